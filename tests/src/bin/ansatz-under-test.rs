//! The `ansatz` command, as the tests run it: on a disk that fails where a test says so.

use ansatz_fault_failing_disk::Disk;
use std::process::ExitCode;

fn main() -> ExitCode {
    Disk::watch_as_said("ANSATZ_TEST_DISK");
    ansatz_cli::main()
}
