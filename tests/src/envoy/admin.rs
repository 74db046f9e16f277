use std::collections::BTreeMap;

use serde_json::Value;

use super::Envoy;
use crate::http;

impl Envoy {
    /// What Envoy's administration answers to `GET target`.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn admin(&self, target: &str) -> String {
        let response = http::request(self.admin, "GET", target, &[])
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        assert_eq!(response.status, 200, "{target}: {response:?}");
        let is_chunked = response.header("transfer-encoding") == Some("chunked");
        if is_chunked {
            joined(&response.body)
        } else {
            response.body
        }
    }

    /// Counters and gauges whose names contain `part`.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub fn stats(&self, part: &str) -> BTreeMap<String, u64> {
        self.admin("/stats")
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| name.contains(part))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// A counter or gauge; 0 if nothing has been counted under that name.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub fn stat(&self, name: &str) -> u64 {
        self.stats(name).get(name).copied().unwrap_or_default()
    }

    /// Bytes that Envoy has allocated, those of Wasm memories not included.
    ///
    /// # Panics
    /// When Envoy does not answer.
    pub fn allocated(&self) -> u64 {
        let memory: Value = serde_json::from_str(&self.admin("/memory")).unwrap();
        memory["allocated"].as_str().unwrap().parse().unwrap()
    }

    /// Bytes of its process in memory, those of Wasm memories included.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kib * 1024
    }
}

/// The chunks of a body (RFC 9112 section 7.1) as one text.
fn joined(chunks: &str) -> String {
    let (mut text, mut rest) = (String::new(), chunks);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        let (chunk, next) = after.split_at(size);
        text.push_str(chunk);
        rest = next.trim_start_matches("\r\n");
    }
    text
}
