use std::time::Duration;

use http::Uri;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType};
use tokensmith_engine::decide::{ConfigError, IssuerConfig};
use tokensmith_engine::jose::Limits;
use tokensmith_engine::keys::{Answer, Fetch, KeySources};
use tokensmith_engine::verify::portable::Portable;

use crate::state::log;

const TIMEOUT: Duration = Duration::from_secs(5);

/// How Envoy reaches one issuer's `jwks_uri`.
pub(crate) struct JwksRoute {
    issuer: String,
    cluster: String,
    authority: String,
    path: String,
    /// Envoy's number of the call under way, and the engine's of the fetch.
    call: Option<(u32, u64)>,
}

impl JwksRoute {
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
            call: None,
        })
    }

    pub(crate) fn is_for(&self, issuer: &str) -> bool {
        self.issuer == issuer
    }

    pub(crate) fn is_waiting_for(&self, call: u32) -> bool {
        self.call.is_some_and(|(own, _)| own == call)
    }

    /// Asks Envoy to carry out `fetch`.
    pub(crate) fn dispatch(&mut self, fetch: &Fetch, keys: &mut KeySources) {
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
                keys.failed(fetch.id);
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

    /// Reads the answer from Envoy.
    pub(crate) fn fetched(&mut self, keys: &mut KeySources, limits: &Limits) {
        let Some((_, fetch)) = self.call.take() else {
            return;
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
        let answer = Answer {
            // Envoy makes an answer of its own when there is none.
            status: header(":status")
                .and_then(|value| value.parse().ok())
                .unwrap_or(0),
            etag: etag.as_deref(),
            cache_control: cache_control.as_deref(),
            body: &body,
        };
        match keys.fetched(fetch, &answer, limits, &Portable) {
            Ok(loaded) => {
                log(
                    LogLevel::Info,
                    &format!(
                        "issuer `{}`: {} keys loaded, {} left out",
                        loaded.issuer,
                        loaded.keys,
                        loaded.rejected.len()
                    ),
                );
            }
            Err(error) => {
                log(
                    LogLevel::Warn,
                    &format!("issuer `{}`: {error}; keeping the keys before", self.issuer),
                );
            }
        }
    }
}
