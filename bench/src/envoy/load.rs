use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tokensmith_tests::scratch::Scratch;
use tokensmith_tests::tool;

/// Requests with the tokens in turn, made before the load starts; the result as one line of JSON.
const SCRIPT: &str = r#"
local requests = {}
local number = 0
function init(args)
  for token in io.lines(args[1]) do
    requests[#requests + 1] =
      wrk.format("GET", "/nodes/x1000c0s0b0n0", {authorization = "Bearer " .. token})
  end
end
function request()
  number = number % #requests + 1
  return requests[number]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "duration_us": %d, "bad": %d, "p50_us": %f, "p99_us": %f}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"#;

/// Load with a set of tokens.
pub(crate) struct Load {
    script: PathBuf,
    tokens: PathBuf,
}

/// What one run brought.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Load {
    pub(crate) fn new(scratch: &Scratch, tokens: &[String]) -> Self {
        Self {
            script: scratch.write("load.lua", SCRIPT),
            tokens: scratch.write("tokens", &tokens.join("\n")),
        }
    }

    /// Every answer has to be a good one: a filter that refuses would be fast.
    pub(crate) fn run(&self, port: u16, seconds: u32) -> Rate {
        let output = Command::new("taskset")
            .args(["--cpu-list", "1", &tool("TOKENSMITH_WRK")])
            .args(["--threads", "1", "--connections", "32", "--duration"])
            .arg(format!("{seconds}s"))
            .arg("--script")
            .arg(&self.script)
            .arg(format!("http://127.0.0.1:{port}/"))
            .arg("--")
            .arg(&self.tokens)
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
        Rate {
            requests_per_second: number("requests") / number("duration_us") * 1e6,
            p50_us: number("p50_us"),
            p99_us: number("p99_us"),
        }
    }
}

impl Rate {
    pub(crate) fn median(mut rates: Vec<Self>) -> Self {
        rates.sort_by(|a, b| a.requests_per_second.total_cmp(&b.requests_per_second));
        rates[rates.len() / 2]
    }
}
