use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Measured;

/// Prints each comparison as a table, and all of them as JSON into target/bench.
pub struct Report {
    name: &'static str,
    groups: Vec<Value>,
}

impl Report {
    /// An empty report.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            groups: Vec::new(),
        }
    }

    /// Adds a comparison; ratios are to the first contestant.
    pub fn compare(&mut self, what: &str, measured: &[Measured]) {
        println!("\n{what}");
        println!(
            "  {:<44} {:>14} {:>14} {:>8} {:>12}",
            "", "median", "best", "ratio", "allocations"
        );
        let first = measured[0].median_ns;
        for one in measured {
            println!(
                "  {:<44} {:>11.1} ns {:>11.1} ns {:>7.2}x {:>12.1}",
                one.name,
                one.median_ns,
                one.best_ns,
                one.median_ns / first,
                one.allocations
            );
        }
        let contestants: Vec<Value> = measured
            .iter()
            .map(|one| {
                json!({
                    "name": one.name, "median_ns": one.median_ns, "best_ns": one.best_ns,
                    "allocations": one.allocations,
                })
            })
            .collect();
        self.groups
            .push(json!({"what": what, "contestants": contestants}));
    }

    /// Adds something measured once.
    pub fn note(&mut self, what: &str, measured: &str) {
        println!("\n{what}: {measured}");
        self.groups
            .push(json!({"what": what, "measured": measured}));
    }

    /// Writes the JSON.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{}.json", self.name));
        let report = json!({"bench": self.name, "groups": self.groups});
        std::fs::write(&path, format!("{report:#}\n")).unwrap();
        println!("\nJSON: target/bench/{}.json", self.name);
    }
}
