//! Measuring side by side: contestants take turns in one run, so that what disturbs the machine
//! disturbs all of them.
// A benchmark that cannot go on has to stop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod report;
mod turns;

pub use report::Report;
pub use turns::{Contestant, Measured, take_turns};
