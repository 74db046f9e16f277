//! The `tokensmith` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokensmith::cli::main()
}
