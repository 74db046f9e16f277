//! HTTP calls that the module makes.

use super::calls::Answer;
use super::host::{Host, HttpCall};
use super::link::Given;
use super::pairs::{first, parse};
use super::status;

impl Host {
    pub(super) fn http_call(&mut self, cluster: &[u8], headers: &[u8], timeout: u32) -> Answer {
        let headers = parse(headers).unwrap_or_default();
        let complete = [&b":method"[..], b":path", b":authority"]
            .iter()
            .all(|name| first(&headers, name).is_some());
        if !complete || !self.clusters.contains(cluster) {
            return Err(status::BAD_ARGUMENT);
        }
        self.next_token += 1;
        self.http_calls.push(HttpCall {
            token: self.next_token,
            context: self.root(),
            cluster: cluster.to_vec(),
            headers,
            timeout,
            answered: false,
        });
        Ok(vec![Given::Number(u64::from(self.next_token))])
    }

    /// The root context of the context that host calls are about.
    fn root(&self) -> u32 {
        let context = self.context();
        self.streams
            .get(&context)
            .map_or(context, |stream| stream.root)
    }
}
