use thiserror::Error;

use crate::jose::{JoseError, JwkError};

/// Why a token was not shown to be the caller's own.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BindingError {
    /// The token is bound to a certificate and the caller showed none.
    #[error("token is bound to a client certificate and there is none")]
    CertificateMissing,
    /// The token is bound to another certificate.
    #[error("token is bound to another client certificate")]
    CertificateMismatch,
    /// The token is bound to a key and there is no proof of it.
    #[error("token is bound to a key and there is no DPoP proof")]
    ProofMissing,
    /// The token is bound to another key than the one that signed the proof.
    #[error("token is bound to another key than the DPoP proof's")]
    KeyMismatch,
    /// `Authorization: DPoP` with a token that is not bound to a key, or `Bearer` with one that
    /// is (RFC 9449 section 7.1).
    #[error("authorization scheme does not fit the token: `DPoP` is for tokens bound to a key")]
    Scheme,
    /// The configuration demands bound tokens and this one is not.
    #[error("token is not bound to its sender")]
    NotBound,
    /// `cnf` names only methods that are not understood.
    #[error("claim `cnf` has no confirmation method that is understood")]
    Unsupported,
    /// The proof is not an acceptable JWS.
    #[error("DPoP proof: {0}")]
    ProofJose(JoseError),
    /// The proof's `typ` is not `dpop+jwt`.
    #[error("DPoP proof: `typ` is not `dpop+jwt`")]
    ProofType,
    /// The proof's `jwk` is missing, private, weak or does not fit its algorithm.
    #[error("DPoP proof: {0}")]
    ProofKey(JwkError),
    /// A claim of the proof is missing or has the wrong type.
    #[error("DPoP proof: claim `{0}` is missing or has the wrong type")]
    ProofClaim(&'static str),
    /// The proof's signature is not its key's.
    #[error("DPoP proof: signature is not valid")]
    ProofSignature,
    /// `htm` is another method than the request's.
    #[error("DPoP proof: `htm` is not the request's method")]
    ProofMethod,
    /// `htu` is another target than the request's.
    #[error("DPoP proof: `htu` is not the request's target")]
    ProofTarget,
    /// `iat` is too old or in the future.
    #[error("DPoP proof: `iat` is not recent")]
    ProofTime,
    /// `ath` is not the digest of the access token.
    #[error("DPoP proof: `ath` is not the digest of the access token")]
    ProofToken,
    /// The server's nonce is missing or another one.
    #[error("DPoP proof: `nonce` is not the server's")]
    ProofNonce,
    /// The proof was used before.
    #[error("DPoP proof: used before")]
    ProofReplayed,
    /// Too many proofs are remembered to tell whether this one was used before.
    #[error("too many DPoP proofs to tell whether this one was used before")]
    ProofsExhausted,
}

impl BindingError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            BindingError::CertificateMissing => "certificate_missing",
            BindingError::CertificateMismatch => "certificate_mismatch",
            BindingError::ProofMissing => "dpop_missing",
            BindingError::KeyMismatch => "dpop_key_mismatch",
            BindingError::Scheme => "dpop_scheme",
            BindingError::NotBound => "token_not_bound",
            BindingError::Unsupported => "cnf_unsupported",
            BindingError::ProofJose(_)
            | BindingError::ProofType
            | BindingError::ProofKey(_)
            | BindingError::ProofClaim(_) => "dpop_malformed",
            BindingError::ProofSignature => "dpop_signature_invalid",
            BindingError::ProofMethod => "dpop_method_mismatch",
            BindingError::ProofTarget => "dpop_target_mismatch",
            BindingError::ProofTime => "dpop_not_recent",
            BindingError::ProofToken => "dpop_token_mismatch",
            BindingError::ProofNonce => "dpop_nonce",
            BindingError::ProofReplayed => "dpop_replayed",
            BindingError::ProofsExhausted => "dpop_exhausted",
        }
    }

    /// The `error` of a challenge that answers this (RFC 6750 section 3.1, RFC 9449 sections 7.1
    /// and 9).
    pub fn challenge_error(&self) -> &'static str {
        match self {
            BindingError::ProofNonce => "use_dpop_nonce",
            BindingError::ProofJose(_)
            | BindingError::ProofType
            | BindingError::ProofKey(_)
            | BindingError::ProofClaim(_)
            | BindingError::ProofSignature
            | BindingError::ProofMethod
            | BindingError::ProofTarget
            | BindingError::ProofTime
            | BindingError::ProofToken
            | BindingError::ProofReplayed
            | BindingError::ProofsExhausted => "invalid_dpop_proof",
            _ => "invalid_token",
        }
    }

    /// Whether the challenge's scheme is `DPoP`: the caller can do better with a proof.
    pub fn asks_for_proof(&self) -> bool {
        !matches!(
            self,
            BindingError::CertificateMissing
                | BindingError::CertificateMismatch
                | BindingError::NotBound
                | BindingError::Unsupported
        )
    }
}
