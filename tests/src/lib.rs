//! Helpers of the tests of Ansatz as a whole.
//!
//! A `Scenario` is an installation of the host in a folder of its own, with whatever plugins the test puts
//! there; the libraries are found by `libraries`. What the tests check is in `it/`.

#![forbid(unsafe_code)]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a helper that cannot help ends the test")]

pub mod closed_loop;
pub mod epochs;
pub mod guide;
pub mod json_schema;
pub mod layout;
pub mod libraries;
pub mod nodes;
pub mod postgres_server;
pub mod process;
pub mod scenario;
pub mod stored;
pub mod stranger;

pub use nodes::Nodes;
pub use postgres_server::PostgresServer;
pub use process::{Ended, Running};
pub use scenario::Scenario;
pub use stored::StoredStudy;
pub use stranger::Stranger;

/// Whether tests that take minutes are to run as well.
pub fn slow_tests_run() -> bool {
    std::env::var_os("ANSATZ_SLOW_TESTS").is_some_and(|value| value == "1")
}

/// How many processes a storm of kills is to hit: what `ANSATZ_TEST_KILLS` says, or one of these.
pub fn kill_count(fast: u32, slow: u32) -> u32 {
    let said = std::env::var("ANSATZ_TEST_KILLS").ok().and_then(|count| count.parse().ok());
    said.unwrap_or(if slow_tests_run() { slow } else { fast })
}
