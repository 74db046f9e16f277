use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::latency::Latency;

/// Prints each group as a table, and all of them as JSON into target/bench.
pub(crate) struct Report {
    machine: Value,
    groups: Vec<Value>,
}

/// One line of a table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Connections, or threads of what has none.
    pub(crate) at_once: usize,
    pub(crate) per_second: f64,
    pub(crate) latency: Option<Latency>,
}

impl Report {
    /// An empty report on this machine.
    pub(crate) fn new() -> Self {
        let machine = machine();
        println!("{machine}");
        Self {
            machine,
            groups: Vec::new(),
        }
    }

    /// Adds a table.
    pub(crate) fn group(&mut self, what: &str, rows: &[Row]) {
        println!("\n{what}");
        println!(
            "  {:<58} {:>7} {:>11} {:>10} {:>10} {:>10}",
            "", "at once", "per second", "p50 us", "p99 us", "p99.9 us"
        );
        for row in rows {
            let time = |of: fn(&Latency) -> f64| {
                row.latency
                    .as_ref()
                    .map_or_else(String::new, |latency| format!("{:.0}", of(latency)))
            };
            println!(
                "  {:<58} {:>7} {:>11.0} {:>10} {:>10} {:>10}",
                row.name,
                row.at_once,
                row.per_second,
                time(|latency| latency.p50_us),
                time(|latency| latency.p99_us),
                time(|latency| latency.p999_us),
            );
        }
        let rows: Vec<Value> = rows.iter().map(Row::json).collect();
        self.groups.push(json!({"what": what, "rows": rows}));
    }

    /// Writes the JSON.
    pub(crate) fn write(&self) {
        write(
            "host",
            &json!({"bench": "host", "machine": self.machine, "groups": self.groups}),
        );
    }
}

impl Row {
    fn json(&self) -> Value {
        let mut row = json!({
            "name": self.name, "at_once": self.at_once, "per_second": self.per_second,
        });
        if let Some(latency) = &self.latency {
            row["latency"] = times(latency);
        }
        row
    }
}

/// Times as JSON.
pub(crate) fn times(latency: &Latency) -> Value {
    json!({
        "p50_us": latency.p50_us, "p99_us": latency.p99_us, "p999_us": latency.p999_us,
        "max_us": latency.max_us,
    })
}

/// Writes a report into target/bench.
pub(crate) fn write(name: &str, report: &Value) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.json")), format!("{report:#}\n")).unwrap();
    println!("\nJSON: target/bench/{name}.json");
}

/// What the numbers depend on. On a file system in memory a sync costs nothing.
pub(crate) fn machine() -> Value {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == "model name")
        .map_or("unknown", |(_, model)| model.trim());
    let file_system = Command::new("df")
        .arg("--output=fstype")
        .arg(std::env::temp_dir())
        .output()
        .unwrap();
    let file_system = String::from_utf8_lossy(&file_system.stdout);
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    json!({
        "processor": model, "processors": processors,
        "file_system": file_system.lines().nth(1).unwrap_or("unknown"),
    })
}
