//! The service under load, and beside it what bounds it: the HTTP stack alone, the signature
//! alone, the disk alone. The service has one processor, the load the other one.
//!
//! Without arguments it measures and writes target/bench/host.json; `soak SECONDS` keeps a service
//! with a million refresh families under steady load; `bare LENGTH` is the HTTP stack alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod bare;
mod bootstrap;
mod client;
mod documents;
mod grants;
mod issuer;
mod latency;
mod limits;
mod load;
mod processor;
mod report;
mod requests;
mod server;
mod soak;
mod wrk;

use std::process::ExitCode;

use report::{Report, Row};
use tokensmith::signing_key::{KeyKind, RsaSize};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => measure(),
        ["bare", length] => bare::serve(length.parse().unwrap()),
        ["soak", seconds] => return soak::run(seconds.parse().unwrap()),
        _ => panic!("expected nothing, `bare LENGTH` or `soak SECONDS`, not {arguments:?}"),
    }
    ExitCode::SUCCESS
}

fn measure() {
    let mut report = Report::new();
    limits::signatures(&mut report);
    limits::disk(&mut report);
    documents::measure(&mut report);
    let mut redeemed = Vec::new();
    for store in grants::stores() {
        for (name, kind) in [
            ("ES256", KeyKind::Es256),
            ("RS256", KeyKind::Rs256(RsaSize::Bits2048)),
        ] {
            let best = grants::measure(&mut report, &store, name, kind);
            redeemed.push(Row {
                name: format!("tokensmith, bootstrap redeem, {name}, {}", store.name()),
                ..best
            });
        }
    }
    redeemed.extend(limits::json_file_store());
    report.group(
        "bootstrap redeem beside a floor, one processor each. The floor is a program of this \
         benchmark that does nothing but what a store of one JSON file for each token and family \
         has to do for a redeem; no other service is run or claimed to be this fast",
        &redeemed,
    );
    report.write();
}
