//! Signed policy bundles.

mod contents;
mod error;
mod follower;
mod job;
#[cfg(test)]
mod tests;
mod window;

pub use error::BundleError;
pub use follower::{BundleFetchError, BundleFollower};
pub use job::BundleJob;
pub use window::BundleWindow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Source, compile};
use crate::authz::CompiledPolicy;
use crate::jose::JoseError;
use crate::verify::{KeyRing, VerifyError};

/// `typ` of a bundle's header, which keeps tokens that the same keys sign from being taken for
/// bundles (RFC 8725 section 3.11).
pub const BUNDLE_TYPE: &str = "tokensmith-policy+jwt";

/// The largest sequence: every JSON reader tells it from its neighbours (RFC 7493 section 2.2).
const MAX_SEQUENCE: u64 = (1 << 53) - 1;
/// More than header, signature and the dots of a JWS take, in bytes.
const ENVELOPE: usize = 8 * 1024;
/// What the model is called in errors: a bundle has no name for it.
const MODEL_NAME: &str = "<bundle model>";

/// A policy to be signed: model, rules, and for whom and when they count.
///
/// A signed bundle is a compact JWS (RFC 7515 section 7.1) with `typ` [`BUNDLE_TYPE`] and this
/// payload: `{"model", "rules": [{"name", "text"}], "policy_version", "iss", "sequence", "iat",
/// "nbf"?, "exp"}`.
///
/// ```
/// use tokensmith_engine::policy::{BASELINE_MODEL, Bundle, Source};
/// let rules = [Source { name: "site.csv", text: "p, role:viewer, nodes, read" }];
/// let bundle = Bundle {
///     model: Source { name: "model.conf", text: BASELINE_MODEL },
///     rules: &rules,
///     issuer: "https://tokensmith.example",
///     sequence: 7,
///     issued_at: 1_800_000_000,
///     not_before: None,
///     expires: 1_800_086_400,
/// };
/// let payload = bundle.payload().unwrap();
/// assert_eq!(payload["sequence"], 7);
/// assert!(payload["policy_version"].as_str().unwrap().starts_with("v2:"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'b> {
    /// The model; its name is for errors only.
    pub model: Source<'b>,
    /// The rules, all counting together.
    pub rules: &'b [Source<'b>],
    /// `iss`: whose keys sign.
    pub issuer: &'b str,
    /// `sequence`: higher than that of every earlier bundle of the issuer, at most 2^53 - 1.
    pub sequence: u64,
    /// `iat`, Unix time in seconds.
    pub issued_at: i64,
    /// `nbf`, Unix time in seconds: from when on the bundle is accepted.
    pub not_before: Option<i64>,
    /// `exp`, Unix time in seconds: from when on the bundle is no longer accepted.
    pub expires: i64,
}

/// How large a bundle may be. These limits are not those of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleLimits {
    /// Longest accepted bundle, in bytes of the JWS.
    pub bytes: usize,
    /// Most texts of rules in one bundle.
    pub rules: usize,
}

/// What was opened last. Whoever opens bundles keeps one of these for each issuer, also across
/// restarts, where nobody else can write: without it an old bundle that has not expired is good.
///
/// ```
/// use tokensmith_engine::policy::BundleState;
/// let state = BundleState { sequence: 7, digest: None };
/// let text = serde_json::to_string(&state).unwrap();
/// assert_eq!(text, r#"{"sequence":7,"digest":null}"#);
/// assert_eq!(serde_json::from_str::<BundleState>(&text).unwrap(), state);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleState {
    /// Lower sequences are refused.
    pub sequence: u64,
    /// [`OpenedBundle::digest`] of the only bundle that is good with this very sequence; any is
    /// when there is none.
    pub digest: Option<String>,
}

/// A bundle that was verified and compiled.
#[derive(Debug)]
pub struct OpenedBundle {
    /// The policy.
    pub policy: CompiledPolicy,
    /// `sequence`.
    pub sequence: u64,
    /// `exp`, Unix time in seconds. Whether a policy in use ends with its bundle is its user's
    /// choice.
    pub expires: i64,
    /// SHA-256 of the payload in lower-case hex. The same payload signed again has the same.
    pub digest: String,
}

/// Opens bundles of one issuer.
///
/// ```
/// use tokensmith_engine::policy::{BundleLimits, BundleState, BundleVerifier};
/// use tokensmith_engine::verify::KeyRing;
/// let keys = KeyRing::default();
/// let verifier = BundleVerifier {
///     issuer: "https://tokensmith.example",
///     keys: &keys,
///     limits: BundleLimits::default(),
/// };
/// let refused = verifier.open("no.bundle", 1_800_000_000, &BundleState::default());
/// assert_eq!(refused.unwrap_err().code(), "bundle_malformed");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BundleVerifier<'k> {
    /// The `iss` accepted.
    pub issuer: &'k str,
    /// Keys, those of the issuer among them.
    pub keys: &'k KeyRing,
    /// How large a bundle may be.
    pub limits: BundleLimits,
}

impl Bundle<'_> {
    /// The payload to sign: compiles the policy, so that only a good one is signed, and adds its
    /// version.
    ///
    /// # Errors
    /// [`BundleError::Policy`], and [`BundleError::Malformed`] for what
    /// [`BundleVerifier::open`] would refuse always: a sequence that is too high, too many or too
    /// long texts, and an end that is not after the beginning.
    pub fn payload(&self) -> Result<Map<String, Value>, BundleError> {
        let malformed = |message: &str| Err(BundleError::Malformed(message.to_owned()));
        let limits = BundleLimits::default();
        if self.sequence > MAX_SEQUENCE {
            return malformed("`sequence` is larger than 2^53 - 1");
        }
        if self.rules.len() > limits.rules {
            return malformed("more than 1,000 texts of rules");
        }
        if self.expires <= self.not_before.unwrap_or(self.issued_at) {
            return malformed("`exp` is not after `nbf` or `iat`");
        }
        let policy = compile(self.model, self.rules)?;
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|rule| json!({"name": rule.name, "text": rule.text}))
            .collect();
        let mut payload = Map::new();
        payload.insert("model".to_owned(), self.model.text.into());
        payload.insert("rules".to_owned(), rules.into());
        payload.insert("policy_version".to_owned(), policy.policy_version().into());
        payload.insert("iss".to_owned(), self.issuer.into());
        payload.insert("sequence".to_owned(), self.sequence.into());
        payload.insert("iat".to_owned(), self.issued_at.into());
        if let Some(not_before) = self.not_before {
            payload.insert("nbf".to_owned(), not_before.into());
        }
        payload.insert("exp".to_owned(), self.expires.into());
        let bytes = serde_json::to_vec(&payload)
            .map_err(|error| BundleError::Malformed(error.to_string()))?
            .len();
        // Base64url makes four characters of three bytes.
        if bytes.div_ceil(3).saturating_mul(4) > limits.bytes.saturating_sub(ENVELOPE) {
            return malformed("the policy does not fit into a bundle of 16 MiB");
        }
        Ok(payload)
    }
}

impl BundleVerifier<'_> {
    /// Verifies and compiles the bundle `jws` at `now`, Unix time in seconds.
    ///
    /// The second value is the state to keep from now on; it replaces `state` before the policy is
    /// used. Times are held to with a leeway of 60 seconds.
    ///
    /// # Errors
    /// The first [`BundleError`] found, in this order: form and size of the JWS, `typ`, signature,
    /// form of the payload, `iss`, times, sequence, the policy itself, its version.
    /// [`VerifyError::KeyUnusable`] is inside when the keys were prepared for checks outside the
    /// engine.
    pub fn open(
        &self,
        jws: &str,
        now: i64,
        state: &BundleState,
    ) -> Result<(OpenedBundle, BundleState), BundleError> {
        let job = self.begin(jws)?;
        let verdict = job.check()?;
        job.finish(verdict, now, state)
    }

    /// Does what comes before the signature check, for shells that check outside the engine.
    ///
    /// # Errors
    /// [`BundleError`] of form, size, `typ`, and of the keys.
    pub fn begin<'t>(&self, jws: &'t str) -> Result<BundleJob<'t>, BundleError> {
        BundleJob::begin(jws, self.issuer, self.keys, self.limits)
    }
}

impl BundleState {
    fn check(&self, sequence: u64, digest: &str) -> Result<(), BundleError> {
        let other = self.digest.as_deref().is_some_and(|own| own != digest);
        if sequence < self.sequence || (sequence == self.sequence && other) {
            return Err(BundleError::Rollback {
                sequence,
                opened: self.sequence,
            });
        }
        Ok(())
    }
}

impl Default for BundleLimits {
    /// 16 MiB and 1,000 texts.
    fn default() -> Self {
        Self {
            bytes: 16 * 1024 * 1024,
            rules: 1000,
        }
    }
}

/// What the parser refused; an algorithm that nothing may be signed with is no matter of form.
fn refused(error: JoseError) -> BundleError {
    match error {
        JoseError::AlgorithmMissing | JoseError::AlgorithmRefused(_) => {
            BundleError::Signature(VerifyError::Jose(error))
        }
        JoseError::TokenTooLong { length, limit } => {
            BundleError::Malformed(format!("{length} bytes are more than the limit of {limit}"))
        }
        other => BundleError::Malformed(other.to_string()),
    }
}

/// Compares media types: case does not count, `application/` may be left out (RFC 7515 section
/// 4.1.9).
fn is_bundle_type(typ: &str) -> bool {
    let name = match typ.split_once('/') {
        Some((kind, name)) if kind.eq_ignore_ascii_case("application") => name,
        _ => typ,
    };
    name.eq_ignore_ascii_case(BUNDLE_TYPE)
}

/// What a bundle says goes into messages and logs at a bearable length.
fn shortened(text: &str) -> String {
    text.chars().take(128).collect()
}
