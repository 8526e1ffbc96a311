//! The Ansatz host: a manifest becomes a plan, a plan becomes a study that runs, and everything that
//! happens is in a journal before anyone acts on it.

mod args;
mod ask_tell;
pub mod automatic;
pub mod bench;
pub mod board;
mod check_plugin;
mod clock;
mod commands;
pub mod digest;
pub mod engine;
pub mod error;
pub mod executor;
mod install;
pub mod interrupt;
pub mod journal;
pub mod lock;
pub mod manifest;
mod new_plugin;
mod output;
pub mod plan;
pub mod plugins;
pub mod report;
pub mod run;
pub mod session;
pub mod simulate;
pub mod transfer;
pub mod watch;
mod worker;

pub use clock::Clock;

use clap::Parser;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// The whole program: arguments in, exit code out.
pub fn main() -> ExitCode {
    let args = args::Args::parse();
    // it takes its streams its own way
    if let args::Command::PluginWorker(worker) = &args.command {
        return worker::serve(worker);
    }
    output::claim_stdout();
    let exit = match commands::execute(args) {
        Ok(exit) => exit,
        Err(error) => {
            let is_terminal = std::io::stderr().is_terminal();
            // standard error may be closed: the exit code still says what happened
            let _ = write!(std::io::stderr(), "{}", error.render(is_terminal));
            error.exit()
        }
    };
    ExitCode::from(exit as u8)
}
