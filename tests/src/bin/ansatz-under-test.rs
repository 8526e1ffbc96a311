//! The `ansatz` command, as the tests run it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ansatz_cli::main()
}
