use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokensmith_engine::jose::encode_base64url;
use tokensmith_engine::policy::{BUNDLE_TYPE, Bundle, BundleError, BundleWindow, Source};

use super::Service;
use super::oauth_error::OauthError;
use super::public_documents::is_known;
use crate::clock::unix_now;
use crate::policy_files::{Fingerprint, PolicySources};
use crate::signing_key::SigningKey;

/// Life of a bundle in seconds, where nothing else is configured.
pub(super) const DEFAULT_LIFETIME: i64 = 24 * 3600;

/// Seconds for which a bundle may be kept without asking again.
const MAX_AGE: i64 = 60;

/// The signed bundle of the policy in use (`tokensmith_engine::policy::Bundle`), kept until the
/// policy or the signing key changes, or half of its life is over.
///
/// Its sequence is the store's: higher than that of every other payload before it, and the same
/// for the same payload on every replica and after a restart.
#[derive(Debug)]
pub(super) struct PolicyBundles {
    /// In seconds.
    lifetime: i64,
    latest: ArcSwapOption<SignedBundle>,
    /// Held while signing, so that one signs for all who wait.
    signing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct SignedBundle {
    of: Basis,
    jws: String,
    etag: String,
}

/// What a bundle was made of. Another of these needs another bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Basis {
    texts: Fingerprint,
    kid: String,
    window: BundleWindow,
}

/// `GET /policy/bundle`: a compact JWS.
pub(super) async fn policy_bundle(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
) -> Result<Response, OauthError> {
    let bundle = service.policy_bundles.current(&service, unix_now()).await?;
    Ok(bundle.answer(&headers, service.policy_bundles.max_age()))
}

impl PolicyBundles {
    /// Bundles that live for `lifetime` seconds.
    pub(super) fn new(lifetime: i64) -> Self {
        Self {
            lifetime,
            latest: ArcSwapOption::empty(),
            signing: tokio::sync::Mutex::new(()),
        }
    }

    async fn current(&self, service: &Service, now: i64) -> Result<Arc<SignedBundle>, OauthError> {
        if let Some(bundle) = self.latest(&self.basis(service, now)) {
            return Ok(bundle);
        }
        let _turn = self.signing.lock().await;
        // Policy and key may have changed, and another caller may have signed, since.
        let policy = service.policy.in_use();
        let key = Arc::clone(&service.keys.current().signing);
        let basis = Basis {
            texts: policy.fingerprint,
            kid: key.kid().to_owned(),
            window: BundleWindow::at(now, self.lifetime),
        };
        if let Some(bundle) = self.latest(&basis) {
            return Ok(bundle);
        }
        let issuer = service.settings.issuer.clone();
        let window = basis.window;
        let unsigned =
            tokio::task::spawn_blocking(move || payload(&policy.sources, &issuer, window));
        let mut payload = unsigned
            .await
            .map_err(OauthError::internal)?
            .map_err(OauthError::internal)?;
        // Of all but the sequence: another text, issuer or window needs another one.
        let content = digest(&payload).map_err(OauthError::internal)?;
        let sequence = {
            let _timer = service.metrics.store_timer("policy_sequence");
            service.store.policy_sequence(&content, now).await?
        };
        payload.insert("sequence".to_owned(), sequence.into());
        let version = payload
            .get("policy_version")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let bundle = tokio::task::spawn_blocking(move || sign(&key, &payload, basis));
        let bundle = Arc::new(bundle.await.map_err(OauthError::internal)??);
        tracing::info!(
            target: "audit",
            event = "policy_bundle_signed",
            policy_version = version.as_str(),
            sequence,
            kid = bundle.of.kid.as_str(),
            expires = window.expires,
        );
        self.latest.store(Some(Arc::clone(&bundle)));
        Ok(bundle)
    }

    fn basis(&self, service: &Service, now: i64) -> Basis {
        Basis {
            texts: service.policy.in_use().fingerprint,
            kid: service.keys.current().signing.kid().to_owned(),
            window: BundleWindow::at(now, self.lifetime),
        }
    }

    fn latest(&self, basis: &Basis) -> Option<Arc<SignedBundle>> {
        self.latest.load_full().filter(|bundle| bundle.of == *basis)
    }

    /// Whoever keeps a bundle for this long has it long before it ends.
    fn max_age(&self) -> i64 {
        MAX_AGE.min(self.lifetime / 2)
    }
}

impl SignedBundle {
    /// The bundle, or 304 when the caller has it (RFC 9110 section 13.1.2).
    fn answer(&self, request: &HeaderMap, max_age: i64) -> Response {
        let mut response = if is_known(request, &self.etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            // RFC 7515 section 9.2.1.
            let jose = [(header::CONTENT_TYPE, "application/jose")];
            (jose, self.jws.clone()).into_response()
        };
        let headers = response.headers_mut();
        let cache_control = format!("public, max-age={max_age}");
        if let Ok(value) = HeaderValue::from_str(&cache_control) {
            headers.insert(header::CACHE_CONTROL, value);
        }
        // Weak, as two signatures over one payload are of other bytes.
        if let Ok(value) = HeaderValue::from_str(&format!("W/{}", self.etag)) {
            headers.insert(header::ETAG, value);
        }
        response
    }
}

/// The payload with a sequence that is yet to be replaced.
fn payload(
    sources: &PolicySources,
    issuer: &str,
    window: BundleWindow,
) -> Result<Map<String, Value>, BundleError> {
    let (name, text) = &sources.model;
    let rules: Vec<Source<'_>> = sources
        .rules
        .iter()
        .map(|(name, text)| Source {
            name: file_name(name),
            text,
        })
        .collect();
    Bundle {
        model: Source {
            name: file_name(name),
            text,
        },
        rules: &rules,
        issuer,
        sequence: 0,
        issued_at: window.begins,
        not_before: None,
        expires: window.expires,
    }
    .payload()
}

fn sign(
    key: &SigningKey,
    payload: &Map<String, Value>,
    of: Basis,
) -> Result<SignedBundle, OauthError> {
    let etag = format!(
        "\"{}.{}\"",
        digest(payload).map_err(OauthError::internal)?,
        of.kid
    );
    let jws = key
        .sign_as(BUNDLE_TYPE, payload)
        .map_err(OauthError::internal)?;
    Ok(SignedBundle { of, jws, etag })
}

fn digest(payload: &Map<String, Value>) -> Result<String, serde_json::Error> {
    let bytes = serde_json::to_vec(payload)?;
    Ok(encode_base64url(Sha256::digest(bytes)))
}

/// Callers learn the names of the files, not of the folders they are in.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(rules: &str) -> PolicySources {
        PolicySources {
            model: (
                "/etc/model.conf".to_owned(),
                tokensmith_engine::policy::BASELINE_MODEL.to_owned(),
            ),
            rules: vec![("/etc/policy/site.csv".to_owned(), rules.to_owned())],
        }
    }

    #[test]
    fn the_payload_is_the_same_all_through_a_window() {
        let now = 1_800_000_000;
        let of = |rules: &str, now: i64| {
            let window = BundleWindow::at(now, DEFAULT_LIFETIME);
            payload(&sources(rules), "https://a.example", window).unwrap()
        };
        let rules = "p, role:viewer, nodes, read\n";
        let begins = BundleWindow::at(now, DEFAULT_LIFETIME).begins;
        let first = of(rules, begins);
        assert_eq!(first, of(rules, begins + DEFAULT_LIFETIME / 2 - 1));
        assert_eq!(first["rules"][0]["name"], "site.csv");
        // Another text with the same meaning is another payload, and so is a renewal.
        let commented = of("# ours\np, role:viewer, nodes, read\n", begins);
        assert_eq!(commented["policy_version"], first["policy_version"]);
        let renewed = of(rules, begins + DEFAULT_LIFETIME / 2);
        for other in [commented, renewed] {
            assert_ne!(digest(&other).unwrap(), digest(&first).unwrap());
        }
    }
}
