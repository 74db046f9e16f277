//! The engine beside jsonwebtoken, casbin-rs and the signature check alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod lookups;
mod policies;
mod requests;
mod tokens;

use tokensmith_bench::Report;

fn main() {
    let mut report = Report::new("engine");
    tokens::compare(&mut report);
    lookups::compare(&mut report);
    requests::compare(&mut report);
    policies::compare(&mut report);
    report.write();
}
