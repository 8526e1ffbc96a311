//! Plugins in processes of their own: what a worker does, and how the host speaks with one.
//!
//! A library is served by the host's own executable under a hidden subcommand; a program is started by it, so that
//! both end with the host and keep to their memory. The rest of the host sees the same boundary as for a library
//! in its own process.

mod early_stopping;
mod objective;
mod process;
mod protocol;
mod serve;
mod strategy;

pub use early_stopping::RemoteEarlyStopping;
pub use objective::RemoteObjective;
pub use process::{Broken, Launch, Log, NoProcess, Process, Served, exit_in_words, last_words};
pub use protocol::{Introduction, Offer, PROTOCOL, json_schema, with_null_for_nan};
pub use serve::{become_program, confine, serve_library};
pub use strategy::RemoteStrategy;

pub(crate) use protocol::Creation;
pub(crate) use serve::log;

use ansatz_core::abi::abi_stable::std_types::RString;
use ansatz_core::abi::{Fault, FaultKind};

/// The process of a plugin ended, hung or broke the protocol. Kinds from 1,000 on never cross the boundary.
pub const CRASHED: FaultKind = FaultKind(1_000);

fn crashed(broken: &Broken, log: Option<&Log>) -> Fault {
    Fault {
        kind: CRASHED,
        message: broken.describe(log).into(),
        location: RString::new(),
        detail: RString::new(),
    }
}
