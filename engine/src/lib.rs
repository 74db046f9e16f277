//! The TokenSmith engine: JWT verification and Casbin authorization without IO.
//!
//! Nothing in this crate reads a clock, draws randomness, opens a socket or starts a thread.
//! Time, fetched bytes and signature verdicts are arguments; fetches and signature checks are
//! values that a shell (proxy filter, browser module, service) carries out and answers.
//!
//! * [`jose`]: JWS compact form, JWK, JWK sets and thumbprints, with limits and strict parsing.
//! * [`verify`]: a token becomes [`verify::Verified`] only through a [`verify::Verifier`].
//! * [`binding`]: tokens that are bound to a certificate or a key (RFC 8705, RFC 9449).
//! * [`keys`]: the JWK set sources as state machines.
//! * [`claims`] and [`principal`]: what a verified token says, and who that makes the caller.
//! * [`policy`] and [`authz`]: Casbin model and rules, compiled to an index.
//! * [`decide`]: the whole request decision as one pure function.
//! * [`exchange`]: what an exchanged token may carry.
//! * [`manual`]: known vulnerabilities, and what the design does about them.

pub mod authz;
pub mod binding;
pub mod claims;
pub mod decide;
pub mod exchange;
pub mod jose;
pub mod keys;
pub mod manual;
pub mod oidc;
pub mod policy;
pub mod principal;
pub mod verify;
