//! What an exchanged token may carry, and who may have it: pure rules, the service supplies time,
//! randomness, storage.
//!
//! [`ExchangePolicy`] decides on token exchange (RFC 8693), [`exchanged_claims`] makes the issued
//! token's claims. [`ClientRegistration`], [`ClientAssertion`] and [`ServiceIdentity`] say who a
//! client is (RFC 7523, RFC 8705).

mod auth_factors;
mod certificate_names;
mod claim_mapping;
mod claim_presets;
mod claim_source;
mod client;
mod client_assertion;
mod delegation;
mod error;
mod groups;
mod issuance;
mod parties;
mod plugin_answer;
mod policy;
mod rule;
mod service_identity;
mod service_token;
mod token_type;
mod user_token;

pub use certificate_names::CertificateNames;
pub use claim_mapping::{ClaimMapping, ClaimPreset};
pub use claim_source::{ClaimSource, SessionStart};
pub use client::{
    CertificateName, ClientAuthMethod, ClientCredentialsGrant, ClientGrantType, ClientRegistration,
};
pub use client_assertion::{CLIENT_ASSERTION_TYPE, ClientAssertion, UnverifiedAssertion};
pub use delegation::{MAX_ACTORS, exchanged_claims};
pub use error::{ClientAssertionError, ExchangeError, ExchangePolicyError, RegistrationError};
pub use groups::{Grants, GroupGrants, narrow_scopes};
pub use issuance::{Issuance, MAX_SESSION_SECONDS, as_at_jwt};
pub use parties::{ExchangeParties, ExchangeToken};
pub use plugin_answer::{MappedClaims, MappedUser, MappingError, with_scopes_within};
pub use policy::{ExchangeGrant, ExchangePolicy, ExchangeRequest};
pub use rule::{
    ANY_CLIENT, ExchangeMode, ExchangeRule, KeepRoles, PUBLIC, PrincipalCondition, RoleCeiling,
    SubjectConditions, SubjectIssuer,
};
pub use service_identity::ServiceIdentity;
pub use service_token::{ServiceGrant, client_claims, service_claims, session_claims};
pub use token_type::{TokenType, TokenTypeSpelling};
pub use user_token::{ClaimDefaults, UserTokenRequest, UserTokenRules, user_claims};
