//! A proxy-wasm host (ABI 0.2.1) that runs the Envoy filter without Envoy, so that everything the
//! filter meets can be made to go wrong: host calls fail, give other bytes than there are, and come
//! in other orders. What is not made to go wrong is done as Envoy does it.

mod abi;
mod calls;
mod draw;
mod faults;
mod foreign;
mod host;
mod http_calls;
mod link;
mod metrics;
mod outcome;
mod pairs;
mod shared;
pub mod status;
mod vm;
mod wasi;

pub use abi::{gives_bytes, gives_numbers};
pub use draw::Draw;
pub use faults::{Fault, Faults, junk};
pub use host::{Host, HttpCall, HttpResponse, LocalResponse, Metric, Shared, Stream};
pub use outcome::{Outcome, Trapped};
pub use pairs::{Headers, first, headers};
pub use vm::{ROOT, Vm};
