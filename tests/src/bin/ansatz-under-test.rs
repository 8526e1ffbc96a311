//! The `ansatz` command, as the tests run it: on a disk that fails, and with a clock that jumps, where a test says so.

use ansatz_cli::Clock;
use ansatz_fault_failing_disk::Disk;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    Disk::watch_as_said("ANSATZ_TEST_DISK");
    if std::env::var_os("ANSATZ_TEST_CLOCK").is_some_and(|said| said == "jumps") {
        let year = 365 * 24 * 3600;
        std::thread::spawn(move || {
            for years in [3, -20, 0, 1, 30, -1].into_iter().cycle() {
                Clock::set_time_of_day_by(years * year);
                std::thread::sleep(Duration::from_millis(3));
            }
        });
    }
    ansatz_cli::main()
}
