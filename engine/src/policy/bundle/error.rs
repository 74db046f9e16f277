use thiserror::Error;

use crate::policy::PolicyError;
use crate::verify::VerifyError;

/// Why a policy bundle was refused, or cannot be made. What was in use before stays in use.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BundleError {
    /// Not a compact JWS with the payload of a bundle, or larger than allowed.
    #[error("policy bundle is malformed: {0}")]
    Malformed(String),
    /// No key of the issuer made the signature.
    #[error("policy bundle is not signed by a key of its issuer: {0}")]
    Signature(VerifyError),
    /// `typ` names something else (RFC 8725 section 3.11).
    #[error("policy bundle has type `{0}`, expected `tokensmith-policy+jwt`")]
    Type(String),
    /// `iss` is another issuer.
    #[error("policy bundle is of issuer `{found}`, expected `{expected}`")]
    Issuer {
        /// `iss`, shortened.
        found: String,
        /// The issuer configured.
        expected: String,
    },
    /// `exp` is past.
    #[error("policy bundle expired at {expired}, it is {now}: have its issuer sign a new one")]
    Expired {
        /// `exp`, Unix time in seconds.
        expired: i64,
        /// Unix time in seconds.
        now: i64,
    },
    /// `nbf` or `iat` is to come.
    #[error("policy bundle is good from {begins} on, it is {now}: wait, or check the clocks")]
    NotYetValid {
        /// The later of `nbf` and `iat`, Unix time in seconds.
        begins: i64,
        /// Unix time in seconds.
        now: i64,
    },
    /// A later bundle, or another one with the same sequence, was opened before.
    #[error(
        "policy bundle has sequence {sequence}, one with {opened} was opened before: sign it with a higher sequence"
    )]
    Rollback {
        /// `sequence`.
        sequence: u64,
        /// The highest sequence opened.
        opened: u64,
    },
    /// `policy_version` is not that of the policy inside.
    #[error("policy bundle names version `{stated}`, its policy has `{compiled}`")]
    Version {
        /// `policy_version`, shortened.
        stated: String,
        /// The version computed here.
        compiled: String,
    },
    /// The policy inside is not good.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl BundleError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            BundleError::Malformed(_) => "bundle_malformed",
            BundleError::Signature(_) => "bundle_signature",
            BundleError::Type(_) => "bundle_type",
            BundleError::Issuer { .. } => "bundle_issuer",
            BundleError::Expired { .. } => "bundle_expired",
            BundleError::NotYetValid { .. } => "bundle_not_yet_valid",
            BundleError::Rollback { .. } => "bundle_rollback",
            BundleError::Version { .. } => "bundle_version",
            BundleError::Policy(error) => error.code(),
        }
    }
}
