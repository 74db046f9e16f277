//! What this engine, compiled natively, answers to recorded and generated tokens, policies and
//! requests: JSON lines, for the tests that ask the JavaScript package the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod generated;
mod issuers;
mod policies;
mod recorded;
mod splitmix;

use std::io::{BufWriter, Write as _};

use serde_json::Value;

/// How many tokens are generated.
const TOKENS: usize = 10_000;

fn main() {
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut print = |line: Value| writeln!(output, "{line}").unwrap();
    recorded::tokens(&mut print);
    generated::tokens(TOKENS, &mut print);
    policies::recorded(&mut print);
    output.flush().unwrap();
}
