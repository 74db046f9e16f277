//! `cargo xtask`: set-up, build, test and the checks that CI runs.

mod build;
mod ci;
mod command;
mod setup;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>
  setup   install what the build and the tests need: wasm32 std and Envoy
  build   target/release/tokensmith and the Envoy filter
  test    set-up, build, and every test
  ci      formatting, lints, module imports, then `test`";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next();
    let result = match (task.as_deref(), arguments.next()) {
        (Some("setup"), None) => setup::all().map(drop),
        (Some("build"), None) => build::all(),
        (Some("test"), None) => test::all(),
        (Some("ci"), None) => ci::all(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
