//! How each host call is carried out, as Envoy does it.

use super::host::{Host, LocalResponse};
use super::link::{Given, Passed};
use super::pairs::{Headers, first, parse, serialize};
use super::{metrics, shared, status};

/// What is given to the module, or the status of the failure.
pub(super) type Answer = Result<Vec<Given>, u32>;

const DONE: Answer = Ok(Vec::new());

impl Host {
    pub(super) fn carry_out(&mut self, function: &str, passed: &Passed) -> Answer {
        let number = |index: usize| passed.numbers.get(index).copied().unwrap_or_default();
        let kind = number(0) as u32;
        let bytes = |index: usize| {
            passed
                .bytes
                .get(index)
                .map(Vec::as_slice)
                .unwrap_or_default()
        };
        match function {
            "proxy_log" => self.log(kind, bytes(0)),
            "proxy_get_log_level" => Ok(vec![Given::Number(2)]),
            "proxy_get_current_time_nanoseconds" => Ok(vec![Given::Number(self.clock)]),
            "proxy_set_tick_period_milliseconds" => {
                self.ticks.insert(self.context(), kind);
                DONE
            }
            "proxy_get_buffer_bytes" => self.buffer(kind, number(1), number(2)),
            "proxy_get_buffer_status" => {
                let size = self.buffer_bytes(kind)?.len() as u64;
                Ok(vec![Given::Number(size), Given::Number(0)])
            }
            "proxy_set_buffer_bytes" => Err(status::NOT_FOUND),
            "proxy_get_header_map_pairs" => {
                let pairs = self.map(kind).map_or_else(Vec::new, |map| serialize(map));
                Ok(vec![Given::Bytes(pairs)])
            }
            "proxy_get_header_map_value" => {
                let map = self.map(kind).ok_or(status::BAD_ARGUMENT)?;
                let value = first(map, bytes(0)).ok_or(status::NOT_FOUND)?;
                Ok(vec![Given::Bytes(value.to_vec())])
            }
            "proxy_get_header_map_size" => {
                let map = self.map(kind).ok_or(status::BAD_ARGUMENT)?;
                let size: usize = map
                    .iter()
                    .map(|(name, value)| name.len() + value.len())
                    .sum();
                Ok(vec![Given::Number(size as u64)])
            }
            "proxy_set_header_map_pairs"
            | "proxy_remove_header_map_value"
            | "proxy_replace_header_map_value"
            | "proxy_add_header_map_value" => self.change_map(function, kind, bytes(0), bytes(1)),
            "proxy_get_property" => {
                let value = self.property(bytes(0)).ok_or(status::NOT_FOUND)?;
                Ok(vec![Given::Bytes(value)])
            }
            "proxy_set_property" => {
                let (path, value) = (bytes(0).to_vec(), bytes(1).to_vec());
                let stream = self.stream_mut().ok_or(status::NOT_FOUND)?;
                stream.filter_state.insert(path, value);
                DONE
            }
            "proxy_continue_stream" | "proxy_close_stream" => self.stream(function, kind),
            "proxy_send_local_response" => {
                let response = LocalResponse {
                    status: kind,
                    headers: parse(bytes(2)).unwrap_or_default(),
                    body: bytes(1).to_vec(),
                };
                if let Some(stream) = self.stream_mut()
                    && stream.continued.is_none()
                    && stream.local_response.is_none()
                {
                    stream.local_response = Some(response);
                }
                DONE
            }
            "proxy_http_call" => self.http_call(bytes(0), bytes(1), kind),
            "proxy_grpc_call" | "proxy_grpc_stream" => Err(status::INTERNAL_FAILURE),
            "proxy_grpc_send" | "proxy_grpc_cancel" | "proxy_grpc_close" => Err(status::NOT_FOUND),
            "proxy_get_status" => Ok(vec![Given::Number(0), Given::Bytes(Vec::new())]),
            "proxy_set_effective_context" => {
                if !self.contexts.contains(&kind) {
                    return Err(status::BAD_ARGUMENT);
                }
                self.effective = kind;
                DONE
            }
            "proxy_call_foreign_function" => {
                let result = self.call_foreign(bytes(0), bytes(1))?;
                Ok(vec![Given::Bytes(result)])
            }
            "proxy_done" => Err(status::NOT_FOUND),
            "proxy_clear_route_cache" => {
                if let Some(stream) = self.stream_mut() {
                    stream.route_cleared = true;
                }
                DONE
            }
            "proxy_define_metric" => metrics::define(&mut self.metrics, kind, bytes(0)),
            "proxy_get_metric" => metrics::get(&self.metrics, kind),
            "proxy_record_metric" => metrics::record(&mut self.metrics, kind, number(1)),
            "proxy_increment_metric" => {
                metrics::increment(&mut self.metrics, kind, number(1) as i64)
            }
            _ => shared::carry_out(&mut self.shared(), function, passed),
        }
    }

    fn log(&mut self, level: u32, message: &[u8]) -> Answer {
        if level > 5 {
            return Err(status::BAD_ARGUMENT);
        }
        let message = String::from_utf8_lossy(message).into_owned();
        self.log.push((level, message));
        DONE
    }

    /// Those of the request's headers are there of themselves: all copies of one, joined.
    fn property(&self, path: &[u8]) -> Option<Vec<u8>> {
        if let Some(value) = self.properties.get(path) {
            return Some(value.clone());
        }
        let name = path.strip_prefix(b"request\0headers\0")?;
        let copies: Vec<&[u8]> = self
            .map(0)?
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
            .collect();
        (!copies.is_empty()).then(|| copies.join(&b","[..]))
    }

    fn buffer_bytes(&self, kind: u32) -> Result<&[u8], u32> {
        let bytes = match kind {
            4 => self
                .http_response
                .as_ref()
                .map(|answer| answer.body.as_slice()),
            6 => Some(&b""[..]),
            7 => self.configuration.as_deref(),
            0 | 1 | 2 | 3 | 5 | 8 => None,
            _ => return Err(status::BAD_ARGUMENT),
        };
        bytes.ok_or(status::NOT_FOUND)
    }

    fn buffer(&self, kind: u32, start: u64, most: u64) -> Answer {
        let bytes = self.buffer_bytes(kind)?;
        let start = usize::try_from(start)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let rest = bytes.get(start..).unwrap_or_default();
        let end = usize::try_from(most).unwrap_or(usize::MAX).min(rest.len());
        Ok(vec![Given::Bytes(
            rest.get(..end).unwrap_or_default().to_vec(),
        )])
    }

    fn map(&self, kind: u32) -> Option<&Headers> {
        let stream = self.streams.get(&self.context());
        match kind {
            // Gone once the request went on.
            0 => stream
                .filter(|own| own.continued.is_none())
                .map(|own| &own.request),
            1 => stream?.request_trailers.as_ref(),
            2 => stream?.response.as_ref(),
            3 => stream?.response_trailers.as_ref(),
            6 => self.http_response.as_ref().map(|answer| &answer.headers),
            _ => None,
        }
    }

    fn change_map(&mut self, function: &str, kind: u32, name: &[u8], value: &[u8]) -> Answer {
        let stream = self.stream_mut();
        let map = match kind {
            0 => stream
                .filter(|own| own.continued.is_none())
                .map(|own| &mut own.request),
            1 => stream.and_then(|own| own.request_trailers.as_mut()),
            2 => stream.and_then(|own| own.response.as_mut()),
            3 => stream.and_then(|own| own.response_trailers.as_mut()),
            _ => None,
        };
        let map = map.ok_or(status::BAD_ARGUMENT)?;
        if function == "proxy_set_header_map_pairs" {
            // Here `name` is the whole map; Envoy takes one that it cannot read for an empty one.
            *map = parse(name).unwrap_or_default();
            return DONE;
        }
        if function != "proxy_add_header_map_value" {
            map.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        }
        if function != "proxy_remove_header_map_value" {
            map.push((name.to_ascii_lowercase(), value.to_vec()));
        }
        DONE
    }

    fn stream(&mut self, function: &str, kind: u32) -> Answer {
        let close = function == "proxy_close_stream";
        match (kind, self.stream_mut()) {
            (0 | 1, Some(stream)) if close => stream.reset = true,
            (0, Some(stream)) => stream.hand_on(),
            (0 | 1, _) => {}
            _ => return Err(status::BAD_ARGUMENT),
        }
        DONE
    }
}
