use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::target_uri::same_target;
use super::{BindingError, Replay, ReplayKey};
use crate::claims::{DEFAULT_LEEWAY, numeric_date};
use crate::jose::{Jwk, JwkError, Jws, Limits, decode_base64url, encode_base64url, parse_object};
use crate::verify::{Key, SignatureCheck, SignatureProvider, Verdict};

/// How long a proof is accepted, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DpopRules {
    /// From its `iat` on.
    pub lifetime: i64,
    /// For the difference of clocks, before and after.
    pub leeway: i64,
}

/// The request that a proof has to be for.
#[derive(Clone, Copy, Debug)]
pub struct ProofRequest<'r> {
    /// The request's method.
    pub method: &'r str,
    /// The request's target URI: scheme, authority and path.
    pub uri: &'r str,
    /// The access token that came with the proof; `None` at a token endpoint.
    pub access_token: Option<&'r str>,
    /// The `cnf.jkt` that the proof's key has to have; a proof of another key costs nothing more.
    pub jkt: Option<&'r str>,
    /// The nonce the server gave, if it asks for one.
    pub nonce: Option<&'r str>,
}

/// A proof whose signature has to be checked.
#[derive(Debug)]
#[must_use = "a proof is checked only by `finish`"]
pub struct ProofJob {
    key: Arc<Key>,
    algorithm: crate::jose::Algorithm,
    signing_input: String,
    signature: Vec<u8>,
    thumbprint: [u8; 32],
    jti: String,
    ends: i64,
}

/// A proof that is its key's own and for this request, but may have been used before.
#[derive(Debug)]
#[must_use = "a proof is good only after `finish`"]
pub struct CheckedProof {
    thumbprint: [u8; 32],
    key: ReplayKey,
    ends: i64,
}

/// A proof of possession that was checked and not used before. Only [`CheckedProof::finish`]
/// makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpopProof {
    thumbprint: [u8; 32],
}

impl DpopRules {
    /// Does every check of RFC 9449 section 4.3 that needs neither cryptography nor a store.
    /// `proof` is the value of the one `DPoP` header, `now` Unix time in seconds; the key inside
    /// is prepared by `provider`.
    ///
    /// # Errors
    /// [`BindingError`].
    pub fn begin(
        &self,
        proof: &str,
        request: &ProofRequest<'_>,
        limits: &Limits,
        provider: &dyn SignatureProvider,
        now: i64,
    ) -> Result<ProofJob, BindingError> {
        let jws = Jws::parse(proof, limits).map_err(BindingError::ProofJose)?;
        if jws.header.typ.as_deref() != Some("dpop+jwt") {
            return Err(BindingError::ProofType);
        }
        let jwk = embedded_key(&jws.signing_input, limits)?;
        let own = jwk.thumbprint();
        if request.jkt.is_some_and(|jkt| jkt != own) {
            return Err(BindingError::KeyMismatch);
        }
        if !jwk.allows(jws.header.algorithm) {
            return Err(BindingError::ProofKey(JwkError::AlgorithmMismatch));
        }
        let claims =
            parse_object(&jws.payload, limits).map_err(|_| BindingError::ProofClaim("jti"))?;
        let iat = claims
            .get("iat")
            .and_then(Value::as_number)
            .and_then(numeric_date)
            .ok_or(BindingError::ProofClaim("iat"))?;
        let jti = required(&claims, "jti")?;
        if required(&claims, "htm")? != request.method {
            return Err(BindingError::ProofMethod);
        }
        if !same_target(required(&claims, "htu")?, request.uri) {
            return Err(BindingError::ProofTarget);
        }
        let ends = iat
            .saturating_add(self.lifetime)
            .saturating_add(self.leeway);
        if now >= ends || now < iat.saturating_sub(self.leeway) {
            return Err(BindingError::ProofTime);
        }
        if let Some(token) = request.access_token {
            let digest = encode_base64url(Sha256::digest(token.as_bytes()));
            if required(&claims, "ath")? != digest {
                return Err(BindingError::ProofToken);
            }
        }
        if let Some(nonce) = request.nonce
            && claims.get("nonce").and_then(Value::as_str) != Some(nonce)
        {
            return Err(BindingError::ProofNonce);
        }
        let thumbprint = decode_base64url(own)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(BindingError::ProofKey(JwkError::Unusable))?;
        Ok(ProofJob {
            key: Arc::new(Key::prepare(&jwk, provider).map_err(BindingError::ProofKey)?),
            algorithm: jws.header.algorithm,
            thumbprint,
            jti: jti.to_owned(),
            ends,
            signing_input: jws.signing_input.into_owned(),
            signature: jws.signature,
        })
    }
}

impl Default for DpopRules {
    fn default() -> Self {
        Self {
            lifetime: 60,
            leeway: DEFAULT_LEEWAY,
        }
    }
}

impl ProofJob {
    /// The signature to check.
    pub fn effect(&self) -> SignatureCheck<'_> {
        SignatureCheck {
            algorithm: self.algorithm,
            key: &self.key,
            message: self.signing_input.as_bytes(),
            signature: &self.signature,
        }
    }

    /// Takes the signature's verdict.
    ///
    /// # Errors
    /// [`BindingError::ProofSignature`].
    pub fn finish(self, verdict: Verdict) -> Result<CheckedProof, BindingError> {
        if verdict != Verdict::Valid {
            return Err(BindingError::ProofSignature);
        }
        let mut hash = Sha256::new();
        hash.update(self.thumbprint);
        hash.update(self.jti.as_bytes());
        Ok(CheckedProof {
            thumbprint: self.thumbprint,
            key: ReplayKey(hash.finalize().into()),
            ends: self.ends,
        })
    }
}

impl CheckedProof {
    /// Under which key a store remembers the proof.
    pub fn replay_key(&self) -> ReplayKey {
        self.key
    }

    /// Until when (Unix seconds) a store has to remember it.
    pub fn remember_until(&self) -> i64 {
        self.ends
    }

    /// Takes the store's answer.
    ///
    /// # Errors
    /// [`BindingError::ProofReplayed`], [`BindingError::ProofsExhausted`].
    pub fn finish(self, replay: Replay) -> Result<DpopProof, BindingError> {
        match replay {
            Replay::Fresh => Ok(DpopProof {
                thumbprint: self.thumbprint,
            }),
            Replay::Seen => Err(BindingError::ProofReplayed),
            Replay::Unknown => Err(BindingError::ProofsExhausted),
        }
    }
}

impl DpopProof {
    /// The thumbprint (RFC 7638) of the key, as tokens name it in `cnf.jkt`.
    pub fn jkt(&self) -> String {
        encode_base64url(self.thumbprint)
    }

    pub(super) fn key_thumbprint(&self) -> [u8; 32] {
        self.thumbprint
    }
}

/// The one place that reads a key out of a header: whose it is, the access token says.
fn embedded_key(signing_input: &str, limits: &Limits) -> Result<Jwk, BindingError> {
    let header = signing_input
        .split('.')
        .next()
        .and_then(decode_base64url)
        .and_then(|bytes| parse_object(&bytes, limits).ok());
    match header.as_ref().and_then(|header| header.get("jwk")) {
        Some(Value::Object(jwk)) => Jwk::from_json(jwk).map_err(BindingError::ProofKey),
        _ => Err(BindingError::ProofKey(JwkError::Member("jwk"))),
    }
}

fn required<'c>(
    claims: &'c Map<String, Value>,
    name: &'static str,
) -> Result<&'c str, BindingError> {
    claims
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or(BindingError::ProofClaim(name))
}
