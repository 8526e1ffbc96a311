//! Tests of Ansatz as a whole: the built host, the built plugins, and what a user sees of them.

// signals, permissions and shells are what much of this is about
#![cfg(unix)]
#![forbid(unsafe_code)]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod abi;
mod ask_tell;
mod bad_input;
mod bench;
mod board;
mod conformance;
mod determinism;
mod disk;
mod early_stopping;
mod evolution;
mod faults;
mod guide;
mod interrupt;
mod isolation;
mod kill;
mod kubernetes;
mod layering;
mod mixed_builds;
mod own_points;
mod postgres;
mod predictions;
mod programs;
mod quality;
mod ray;
mod shipping;
mod simulate;
mod slurm;
mod stores;
mod storm;
mod strategies;
mod third_party;

use ansatz_tests::Scenario;
use std::path::Path;

/// Where tests put what they make.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// A fresh installation of the host and what ships with it.
fn scenario() -> Scenario {
    Scenario::new(Path::new(env!("CARGO_BIN_EXE_ansatz-under-test")), Path::new(SCRATCH))
}
