//! Sender-constrained tokens: whoever presents one also shows that it is theirs.
//!
//! A token says in `cnf` (RFC 7800) to what it is bound: a client certificate (`x5t#S256`,
//! RFC 8705) or a key that signs a proof for each request (`jkt`, RFC 9449). A bound token
//! without what it is bound to is refused everywhere; [`crate::verify::SignatureJob::finish`]
//! never lets one through by itself.

mod confirmation;
mod dpop;
mod error;
mod presented;
mod replay;
mod target_uri;

pub(crate) use confirmation::check_binding;
pub use confirmation::{CertificateThumbprint, Confirmation};
pub use dpop::{CheckedProof, DpopProof, DpopRules, ProofJob, ProofRequest};
pub use error::BindingError;
pub use presented::{Presented, Scheme};
pub use replay::{Replay, ReplayCache, ReplayKey};
