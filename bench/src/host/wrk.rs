use std::process::Command;

use serde_json::Value;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::tool;

use crate::latency::Latency;
use crate::processor::LOAD;

/// The result as one line of JSON.
const SCRIPT: &str = r#"
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "duration_us": %d, "bad": %d, "p50_us": %f, "p99_us": %f, ' ..
    '"p999_us": %f, "max_us": %f}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
"#;

/// Reads a document with wrk for two seconds: requests in a second, and their times.
pub(crate) fn get(scratch: &Scratch, port: u16, path: &str, connections: usize) -> (f64, Latency) {
    let script = scratch.write("wrk.lua", SCRIPT);
    let output = Command::new("taskset")
        .args(["--cpu-list", &LOAD.to_string(), &tool("TOKENSMITH_WRK")])
        .args(["--threads", "1", "--duration", "2s"])
        .args(["--connections", &connections.to_string(), "--script"])
        .arg(script)
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text
        .lines()
        .find_map(|line| line.strip_prefix("RESULT "))
        .unwrap_or_else(|| panic!("wrk printed no result: {output:?}"));
    let result: Value = serde_json::from_str(result).unwrap();
    let number = |name: &str| result[name].as_f64().unwrap();
    assert!(number("bad") == 0.0 && number("requests") > 0.0, "{text}");
    let latency = Latency {
        p50_us: number("p50_us"),
        p99_us: number("p99_us"),
        p999_us: number("p999_us"),
        max_us: number("max_us"),
    };
    (number("requests") / number("duration_us") * 1e6, latency)
}
