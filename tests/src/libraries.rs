//! Where cargo puts the plugin libraries: as dev-dependencies of this package they are built into the
//! folder of the test executable, under plain names.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;

/// The packages whose plugins ship with Ansatz.
pub const SHIPPED: [&str; 16] = [
    "ansatz-strategy-annealing",
    "ansatz-strategy-bayesian",
    "ansatz-strategy-cmaes",
    "ansatz-strategy-evolution",
    "ansatz-strategy-grid",
    "ansatz-strategy-local",
    "ansatz-strategy-random",
    "ansatz-strategy-sobol",
    "ansatz-strategy-tpe",
    "ansatz-early-stopping-forecast",
    "ansatz-early-stopping-median",
    "ansatz-early-stopping-patience",
    "ansatz-early-stopping-successive-halving",
    "ansatz-objective-command",
    "ansatz-objective-digits",
    "ansatz-objective-synthetic",
];

/// The library of a package; the test ends if it was not built.
pub fn library(package: &str) -> PathBuf {
    let executable = std::env::current_exe().expect("a test has an executable");
    let path = executable.with_file_name(file_name(package));
    assert!(path.is_file(), "{} was not built; is {package} a dev-dependency of the tests?", path.display());
    path
}

/// The file name of a package's library on this platform.
pub fn file_name(package: &str) -> String {
    format!("{DLL_PREFIX}{}{DLL_SUFFIX}", package.replace('-', "_"))
}
