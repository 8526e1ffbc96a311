//! The `ansatz` command. Everything is in the library, so that tests and benchmarks reach it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    ansatz_cli::main()
}
