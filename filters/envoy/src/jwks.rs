use std::time::Duration;

use http::Uri;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType};
use tokensmith_engine::decide::{ConfigError, IssuerConfig};
use tokensmith_engine::jose::{JwkSet, Limits};
use tokensmith_engine::keys::{Answer, Fetch, JwksSource, RefreshPolicy};

use crate::state::log;

const TIMEOUT: Duration = Duration::from_secs(5);

/// One issuer's keys, fetched through an Envoy cluster.
pub(crate) struct RemoteJwks {
    issuer: String,
    cluster: String,
    authority: String,
    path: String,
    source: JwksSource,
    /// Envoy's number of the call under way, and the source's of the fetch.
    call: Option<(u32, u64)>,
    had_keys: bool,
}

impl RemoteJwks {
    pub(crate) fn new(
        issuer: &IssuerConfig,
        field: impl Fn(&str) -> String,
    ) -> Result<Self, ConfigError> {
        let refused = |name: &str, message: &str| ConfigError::Field {
            field: field(name),
            message: message.to_owned(),
        };
        let uri = issuer.jwks_uri.as_deref().unwrap_or_default();
        let url = uri
            .parse::<Uri>()
            .ok()
            .filter(|url| matches!(url.scheme_str(), Some("http" | "https")))
            .ok_or_else(|| refused("jwks_uri", &format!("`{uri}` is not an http or https URL")))?;
        let cluster = issuer
            .jwks_cluster
            .clone()
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                refused(
                    "jwks_cluster",
                    "is required with `jwks_uri`: name the Envoy cluster that reaches it",
                )
            })?;
        Ok(Self {
            issuer: issuer.issuer.clone(),
            cluster,
            authority: url.authority().map(ToString::to_string).unwrap_or_default(),
            path: url
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            source: JwksSource::new(uri, RefreshPolicy::default()),
            call: None,
            had_keys: false,
        })
    }

    pub(crate) fn poll(&mut self, now: i64) {
        if let Some(fetch) = self.source.poll(now) {
            self.dispatch(&fetch);
        }
    }

    pub(crate) fn unknown_kid(&mut self, now: i64) {
        if let Some(fetch) = self.source.unknown_kid(now) {
            self.dispatch(&fetch);
        }
    }

    pub(crate) fn is_waiting_for(&self, call: u32) -> bool {
        self.call.is_some_and(|(own, _)| own == call)
    }

    /// Reads the answer from Envoy; whether the keys are others now.
    pub(crate) fn fetched(&mut self, limits: &Limits) -> bool {
        let Some((_, fetch)) = self.call.take() else {
            return false;
        };
        let header = |name: &str| {
            hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name)
                .ok()
                .flatten()
                .and_then(|value| String::from_utf8(value).ok())
        };
        let (etag, cache_control) = (header("etag"), header("cache-control"));
        let longest = limits.jwk_set_bytes.saturating_add(1);
        let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, longest)
            .ok()
            .flatten()
            .unwrap_or_default();
        let before = (self.source.generation(), self.had_keys);
        let answer = Answer {
            // Envoy makes an answer of its own when there is none.
            status: header(":status")
                .and_then(|value| value.parse().ok())
                .unwrap_or(0),
            etag: etag.as_deref(),
            cache_control: cache_control.as_deref(),
            body: &body,
        };
        match self.source.fetched(fetch, &answer, limits) {
            Ok(set) => {
                log(
                    LogLevel::Info,
                    &format!(
                        "issuer `{}`: {} keys loaded, {} left out",
                        self.issuer,
                        set.keys.len(),
                        set.rejected.len()
                    ),
                );
                self.had_keys = true;
            }
            Err(error) => {
                log(
                    LogLevel::Warn,
                    &format!("issuer `{}`: {error}; keeping the keys before", self.issuer),
                );
            }
        }
        before != (self.source.generation(), self.had_keys)
    }

    pub(crate) fn keys(&self, now: i64) -> Option<(&str, &JwkSet)> {
        Some((self.issuer.as_str(), self.source.keys(now)?))
    }

    /// Whether keys that were usable reached their hard expiry; says so once.
    pub(crate) fn has_expired(&mut self, now: i64) -> bool {
        let expired = self.had_keys && self.source.keys(now).is_none();
        if expired {
            self.had_keys = false;
            log(
                LogLevel::Error,
                &format!("issuer `{}`: keys have expired", self.issuer),
            );
        }
        expired
    }

    fn dispatch(&mut self, fetch: &Fetch) {
        let mut headers = vec![
            (":method", "GET"),
            (":path", self.path.as_str()),
            (":authority", self.authority.as_str()),
            ("accept", "application/json"),
        ];
        if let Some(etag) = &fetch.etag {
            headers.push(("if-none-match", etag));
        }
        match hostcalls::dispatch_http_call(&self.cluster, headers, None, vec![], TIMEOUT) {
            Ok(call) => self.call = Some((call, fetch.id)),
            Err(status) => {
                self.source.failed(fetch.id);
                log(
                    LogLevel::Warn,
                    &format!(
                        "issuer `{}`: cannot fetch `{}` through cluster `{}`: {status:?}",
                        self.issuer, fetch.url, self.cluster
                    ),
                );
            }
        }
    }
}
