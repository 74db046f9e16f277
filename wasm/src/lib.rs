//! The engine for JavaScript: decoding and verification without a signature library of its own.
//! Signatures are checked by the platform's WebCrypto, keys are fetched by the platform's `fetch`;
//! the package in `wasm/js` does both and is what applications use. Policies are a module of their
//! own, `wasm/policy`, and so is what checks signatures where WebCrypto cannot, `wasm/portable`.

mod answer;
mod decode;
mod job;
mod options;
mod refusal;
mod thrown;
mod verifier;

pub use decode::decode;
pub use job::Job;
pub use verifier::Verifier;
