//! `cargo xtask`: set-up, build, test and the checks that CI runs.

mod bench;
mod build;
mod callbacks;
mod ci;
mod command;
mod demo;
mod dependencies;
mod fuzz;
mod module_imports;
mod plugins;
mod setup;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <task>
  setup          install what the build and the tests need
  build          target/release/tokensmith, the Envoy filter, wasm/pkg, target/plugins
  demo [--once]  set-up, build, and the main job on real parts; stays up without --once
  test           set-up, build, and every test
  bench [engine|tower|envoy|wasm|host|plugins]
                 beside what others do, in one run: tables, and JSON in target/bench
  soak [SECONDS] the service with a million refresh families under steady load, 600 s; fails when
                 its memory grows or a request fails
  fuzz [SECONDS] every fuzz target, 60 s each
  advisories     known vulnerabilities of dependencies
  ci             formatting, lints, dependencies, `test`, module imports, `fuzz`, `demo --once`";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next();
    let option = arguments.next();
    let result = match (task.as_deref(), option.as_deref()) {
        (Some("setup"), None) => setup::all().map(drop),
        (Some("build"), None) => build::all(),
        (Some("demo"), None) => demo::run_demo(&[]),
        (Some("demo"), Some("--once")) => demo::run_demo(&["--once"]),
        (Some("bench"), None) => bench::all(),
        (Some("bench"), Some("engine")) => bench::engine(),
        (Some("bench"), Some("tower")) => bench::tower(),
        (Some("bench"), Some("envoy")) => bench::envoy(),
        (Some("bench"), Some("wasm")) => bench::wasm(),
        (Some("bench"), Some("host")) => bench::host(),
        (Some("bench"), Some("plugins")) => bench::plugins(),
        (Some("soak"), None) => bench::soak(bench::SOAK_SECONDS),
        (Some("soak"), Some(seconds))
            if seconds
                .parse()
                .is_ok_and(|seconds: u32| seconds >= bench::LEAST_SOAK_SECONDS) =>
        {
            bench::soak(seconds.parse().unwrap_or(bench::SOAK_SECONDS))
        }
        (Some("fuzz"), None) => fuzz::all(fuzz::SECONDS),
        (Some("fuzz"), Some(seconds)) if seconds.parse::<u32>().is_ok() => {
            fuzz::all(seconds.parse().unwrap_or(fuzz::SECONDS))
        }
        (Some("advisories"), None) => dependencies::advisories(),
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
