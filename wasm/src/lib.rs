//! The engine for JavaScript: decoding and verification without a signature library of its own.
//! Signatures are checked by the platform's WebCrypto, keys are fetched by the platform's `fetch`;
//! the package in `wasm/js` does both and is what applications use.

mod decode;
mod job;
mod js_error;
mod options;
mod verifier;

pub use decode::decode;
pub use job::Job;
pub use verifier::Verifier;
