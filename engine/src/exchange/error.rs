use thiserror::Error;

use crate::claims::ClaimError;
use crate::jose::JwkError;
use crate::verify::VerifyError;

/// Why a token was not exchanged.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ExchangeError {
    /// The upstream token lacks a claim that an issued token has, and there is neither a mapping nor
    /// a default for it.
    #[error(
        "the identity token has no usable claim for `{0}`: have the provider send it, say in section `[oidc]` of the configuration where it is, or set it in `claimDefaults`"
    )]
    Claim(String),
    /// A requested scope is not granted (RFC 6749 section 5.2).
    #[error("scope `{0}` is not granted to this caller")]
    Scope(String),
    /// A requested target is none of the audiences tokens are issued for (RFC 8693 section 2.2.2).
    #[error("tokens for target `{0}` are not issued here")]
    Target(String),
    /// The user authenticated with fewer factors than tokens need.
    #[error("the user authenticated with {0} factors, 2 are needed")]
    Factors(u64),
    /// The upstream token or session ends before a token could be used.
    #[error("the token or its session has ended")]
    SessionEnded,
    /// A token of the request lacks a claim that an issued token is made of.
    #[error("the {token} token has no usable claim `{claim}`")]
    TokenClaim {
        /// `subject` or `actor`.
        token: &'static str,
        /// The claim.
        claim: &'static str,
    },
    /// No rule lets a caller in that has not shown who it is.
    #[error("exchange is for authenticated clients: send client authentication or `actor_token`")]
    ClientMissing,
    /// No rule lets this client exchange tokens (RFC 6749 section 5.2).
    #[error("client `{0}` may not exchange tokens")]
    ClientRefused(String),
    /// The client may not use the grant type (RFC 6749 section 5.2).
    #[error("client `{client}` may not use grant type `{grant}`")]
    GrantType {
        /// The client.
        client: String,
        /// The grant type, as registrations name it.
        grant: &'static str,
    },
    /// No rule lets the client exchange tokens of this subject (RFC 8693 section 2.2.2).
    #[error("this client may not exchange tokens of this subject")]
    SubjectRefused,
    /// No target was named and there are several to choose from (RFC 8693 section 2.2.2).
    #[error("several targets are possible: name one in `audience` or `resource`")]
    TargetMissing,
    /// The targets are granted in different modes.
    #[error(
        "target `{0}` is granted in another mode than those before it: ask for a token of its own"
    )]
    ModesDiffer(String),
    /// A token that is bound by `cnf` came without what it is bound to.
    #[error("the {0} token is bound by `cnf` and what it is bound to was not shown")]
    NotShown(&'static str),
    /// `may_act` of the subject token names someone else (RFC 8693 section 4.4).
    #[error("the subject token's `may_act` does not name the one who acts")]
    MayAct,
    /// Delegation without anybody who acts.
    #[error("delegation needs someone who acts: send `actor_token` or client authentication")]
    ActorMissing,
    /// Someone acts for the actor: the chain would lose who it is.
    #[error("the actor token has `act`: send a token of the actor's own")]
    ActorDelegated,
    /// `act` of the subject token is not what RFC 8693 section 4.1 says.
    #[error("the subject token's `act` is not an object, or has an `act` that is none")]
    ActMalformed,
    /// More actors than a token may have.
    #[error("the token would name more than {0} actors")]
    ActTooDeep(usize),
}

impl ExchangeError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ExchangeError::Claim(_) | ExchangeError::TokenClaim { .. } => "claim_missing",
            ExchangeError::Scope(_) => "invalid_scope",
            ExchangeError::Target(_) | ExchangeError::TargetMissing => "invalid_target",
            ExchangeError::Factors(_) => "auth_factors_too_few",
            ExchangeError::SessionEnded => "session_ended",
            ExchangeError::ClientMissing => "exchange_client_missing",
            ExchangeError::ClientRefused(_) => "exchange_client_refused",
            ExchangeError::GrantType { .. } => "grant_type_refused",
            ExchangeError::SubjectRefused => "exchange_subject_refused",
            ExchangeError::ModesDiffer(_) => "exchange_modes_differ",
            ExchangeError::NotShown(_) => "cnf_not_shown",
            ExchangeError::MayAct => "may_act_mismatch",
            ExchangeError::ActorMissing => "actor_missing",
            ExchangeError::ActorDelegated => "actor_delegated",
            ExchangeError::ActMalformed => "act_malformed",
            ExchangeError::ActTooDeep(_) => "act_too_deep",
        }
    }

    /// The `error` of a token endpoint's answer (RFC 6749 section 5.2, RFC 8693 section 2.2.2: a
    /// subject or actor token that is not acceptable is `invalid_request`).
    ///
    /// ```
    /// use tokensmith_engine::exchange::ExchangeError;
    /// assert_eq!(ExchangeError::TargetMissing.oauth_error(), "invalid_target");
    /// ```
    pub fn oauth_error(&self) -> &'static str {
        match self {
            ExchangeError::Scope(_) => "invalid_scope",
            ExchangeError::Target(_)
            | ExchangeError::TargetMissing
            | ExchangeError::ModesDiffer(_) => "invalid_target",
            ExchangeError::ClientMissing => "invalid_client",
            ExchangeError::ClientRefused(_) | ExchangeError::GrantType { .. } => {
                "unauthorized_client"
            }
            ExchangeError::Claim(_)
            | ExchangeError::TokenClaim { .. }
            | ExchangeError::Factors(_)
            | ExchangeError::SessionEnded
            | ExchangeError::SubjectRefused
            | ExchangeError::NotShown(_)
            | ExchangeError::MayAct
            | ExchangeError::ActorMissing
            | ExchangeError::ActorDelegated
            | ExchangeError::ActMalformed
            | ExchangeError::ActTooDeep(_) => "invalid_request",
        }
    }
}

/// Why exchange rules were refused. None of them is in use.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ExchangePolicyError {
    /// A rule has no name.
    #[error("exchange rule {0} has no `name`")]
    Name(usize),
    /// Two rules have one name.
    #[error("exchange rule `{0}` is there twice: give each rule a name of its own")]
    DuplicateRule(String),
    /// A list that needs an element has none.
    #[error("exchange rule `{rule}` has no `{field}`: name at least one")]
    Empty {
        /// The rule.
        rule: String,
        /// The field.
        field: &'static str,
    },
    /// An element of a list is blank, or a scope with white space in it.
    #[error("exchange rule `{rule}`: `{field}` has `{value}`, which names nothing")]
    Value {
        /// The rule.
        rule: String,
        /// The field.
        field: &'static str,
        /// The element.
        value: String,
    },
    /// An element of a list is there twice.
    #[error("exchange rule `{rule}`: `{field}` has `{value}` twice")]
    DuplicateValue {
        /// The rule.
        rule: String,
        /// The field.
        field: &'static str,
        /// The element.
        value: String,
    },
    /// `max_lifetime` is 0.
    #[error("exchange rule `{0}`: `max_lifetime` has to be at least 1 second")]
    Lifetime(String),
}

impl ExchangePolicyError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ExchangePolicyError::Name(_) => "exchange_rule_name",
            ExchangePolicyError::DuplicateRule(_) => "exchange_rule_duplicate",
            ExchangePolicyError::Empty { .. } => "exchange_rule_empty",
            ExchangePolicyError::Value { .. } => "exchange_rule_value",
            ExchangePolicyError::DuplicateValue { .. } => "exchange_rule_duplicate",
            ExchangePolicyError::Lifetime(_) => "exchange_rule_lifetime",
        }
    }
}

/// Why registered clients or service identities were refused. None of them is in use.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RegistrationError {
    /// The name is blank, has control characters, or has a meaning of its own in rules.
    #[error(
        "`{0}` cannot name a client or service: use 1 to 255 bytes without control characters, and neither `*` nor `public`"
    )]
    Name(String),
    /// Two have one name.
    #[error("`{0}` is registered twice")]
    Duplicate(String),
    /// What the registration's way of authentication needs is not there.
    #[error("`{client}`: {message}")]
    Authentication {
        /// The client.
        client: String,
        /// What is missing, or is there and does not belong.
        message: &'static str,
    },
    /// A certificate's thumbprint is not one.
    #[error(
        "`{client}`: `certificate_sha256` has `{value}`, which is not base64url of a SHA-256 digest"
    )]
    Thumbprint {
        /// The client.
        client: String,
        /// The text.
        value: String,
    },
    /// The key set is not one.
    #[error("`{client}`: `jwks`: {error}")]
    Jwks {
        /// The client.
        client: String,
        /// Why.
        error: JwkError,
    },
    /// What is granted does not fit together.
    #[error("`{client}`: {message}")]
    Grant {
        /// The client.
        client: String,
        /// What is missing, or is there and does not belong.
        message: &'static str,
    },
    /// A time is 0 or longer than it may be.
    #[error("`{client}`: `{field}` has to be 1 to {most} seconds")]
    Seconds {
        /// The service.
        client: String,
        /// The field.
        field: &'static str,
        /// The most it may be.
        most: u32,
    },
}

impl RegistrationError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            RegistrationError::Name(_) => "registration_name",
            RegistrationError::Duplicate(_) => "registration_duplicate",
            RegistrationError::Authentication { .. } => "registration_auth",
            RegistrationError::Thumbprint { .. } => "registration_thumbprint",
            RegistrationError::Jwks { .. } => "registration_jwks",
            RegistrationError::Grant { .. } => "registration_grant",
            RegistrationError::Seconds { .. } => "registration_seconds",
        }
    }
}

/// Why a client assertion was refused (RFC 7523 section 3). At the token endpoint every one is
/// `invalid_client`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ClientAssertionError {
    /// It is not an acceptable JWS, or no key of the client made the signature.
    #[error("client assertion: {0}")]
    Verify(#[from] VerifyError),
    /// A claim has the wrong type, or is past or to come.
    #[error("client assertion: {0}")]
    Claim(#[from] ClaimError),
    /// `typ` names another kind of token (RFC 8725 section 3.11).
    #[error("client assertion: `typ` `{0}` is another kind of token")]
    Type(String),
    /// `iss` or `sub` is not the client's id.
    #[error("client assertion: `iss` and `sub` both have to be the client's id")]
    Client,
    /// `exp` or `iat` is too far from now.
    #[error("client assertion: `{0}` is more than {1} seconds away")]
    Window(&'static str, i64),
    /// `jti` is missing, empty or too long.
    #[error("client assertion: `jti` has to have 1 to {0} characters")]
    Jti(usize),
}

impl ClientAssertionError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ClientAssertionError::Verify(error) => error.code(),
            ClientAssertionError::Claim(error) => error.code(),
            ClientAssertionError::Type(_) => "client_assertion_type",
            ClientAssertionError::Client => "client_assertion_client",
            ClientAssertionError::Window(..) => "client_assertion_window",
            ClientAssertionError::Jti(_) => "client_assertion_jti",
        }
    }
}
