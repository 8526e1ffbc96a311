//! How foreign code gets in: the one door for strategies, objectives and early-stopping rules, ours and others'.
//!
//! Loading a library runs its code with our rights. So a library is looked at as a file first, and
//! loaded only if it is a plugin of our ABI that mentions the component that was asked for; folders and
//! files that anyone may write to are passed over, and the current directory is never searched.

mod cache;
mod discovery;
mod foreign_early_stopping;
mod foreign_objective;
mod foreign_strategy;
mod handshake;
mod library;
mod metadata;
mod plugin;
pub mod program;
pub mod worker;

pub use cache::MetadataCache;
pub use discovery::{Folder, Found, Meant, Origin, Passed, SearchPath};
pub use foreign_early_stopping::ForeignEarlyStopping;
pub use foreign_objective::{EvaluationFault, ForeignObjective};
pub use foreign_strategy::{Asked, ForeignStrategy};
pub use library::{Component, Library};
pub use metadata::{ComponentMetadata, Form, PluginMetadata, Role, is_component_name};
pub use plugin::{Housing, Plugin};
pub use worker::Launch;

use ansatz_core::abi::{Fault, FaultKind};
use std::fmt;
use std::path::PathBuf;

/// The version of the plugin boundary that this host speaks.
pub const ABI_VERSION: &str = ansatz_core::abi::ABI_VERSION;

/// Why a plugin cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub enum HostError {
    /// No library in the search path offers it.
    Missing {
        /// What was asked for.
        name: String,
        /// Strategy, objective or early-stopping rule.
        role: Role,
        /// The folders that were searched.
        searched: Vec<PathBuf>,
        /// Libraries that were passed over, with the reason.
        passed: Vec<Passed>,
        /// Names that are there.
        known: Vec<String>,
    },
    /// Several libraries offer it, and nobody knows which is meant.
    Ambiguous {
        /// What was asked for.
        name: String,
        /// Where it was found.
        paths: Vec<PathBuf>,
    },
    /// A file is not a plugin that this host can load.
    Refused {
        /// Which file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The plugin refused the study: options, space or problem do not fit.
    Unfit(PluginFault),
}

impl fmt::Display for HostError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // what was seen before is known by name, also where it cannot be loaded now
            HostError::Missing { name, role, searched: _, passed, known }
                if known.contains(name) && !passed.is_empty() =>
            {
                write!(formatter, "the {role} plugin {name:?} is there, and cannot be loaded")?;
                for passed in passed {
                    write!(formatter, "; passed over {}: {}", passed.path.display(), passed.reason)?;
                }
                Ok(())
            }
            HostError::Missing { name, role, searched, passed, known } => {
                let hint = ansatz_core::nearest::did_you_mean(name, known.iter().map(String::as_str));
                write!(formatter, "no {role} plugin is called {name:?}{hint}")?;
                if !known.is_empty() {
                    write!(formatter, "; there are {}", known.join(", "))?;
                }
                let folders: Vec<String> = searched.iter().map(|path| path.display().to_string()).collect();
                write!(formatter, "; searched {}", folders.join(", "))?;
                for passed in passed {
                    write!(formatter, "; passed over {}: {}", passed.path.display(), passed.reason)?;
                }
                Ok(())
            }
            HostError::Ambiguous { name, paths } => {
                let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                write!(
                    formatter,
                    "several libraries offer {name:?}: {}; remove all but one (a study takes the one that its \
                     ansatz.lock pins or that it has run with)",
                    paths.join(", ")
                )
            }
            HostError::Refused { path, reason } => write!(formatter, "{}: {reason}", path.display()),
            HostError::Unfit(fault) => fault.fmt(formatter),
        }
    }
}
impl std::error::Error for HostError {}

/// A call into a plugin that gave no result.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginFault {
    /// Which component.
    pub component: String,
    /// Which call: `create`, `ask`, `tell`, `snapshot`, `restore`, `evaluate`, `reported`, `finished`.
    pub call: &'static str,
    /// What kind of fault.
    pub kind: FaultClass,
    /// What happened.
    pub message: String,
    /// `file:line:column` of a panic, else empty.
    pub location: String,
}

/// What a fault means for the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultClass {
    /// What it was given does not fit: fix the manifest.
    Invalid,
    /// It cannot do this.
    Unsupported,
    /// It panicked, now or in an earlier call: a bug of the plugin.
    Panic,
    /// Its process ended, hung or broke the protocol.
    Crashed,
    /// Anything else.
    Other,
}

impl PluginFault {
    fn new(component: &str, call: &'static str, fault: &Fault) -> Self {
        let kind = match fault.kind {
            FaultKind::INVALID => FaultClass::Invalid,
            FaultKind::UNSUPPORTED => FaultClass::Unsupported,
            FaultKind::PANIC | FaultKind::POISONED => FaultClass::Panic,
            worker::CRASHED => FaultClass::Crashed,
            _ => FaultClass::Other,
        };
        Self {
            component: component.to_owned(),
            call,
            kind,
            message: fault.message.to_string(),
            location: fault.location.to_string(),
        }
    }
}

impl fmt::Display for PluginFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // what a constructor says is about the manifest and needs no more
        match self.call {
            "create" if !matches!(self.kind, FaultClass::Panic | FaultClass::Crashed) => {
                write!(formatter, "{}: {}", self.component, self.message)
            }
            call => {
                write!(formatter, "{} in {call}: {}", self.component, self.message)?;
                if !self.location.is_empty() {
                    write!(formatter, " (at {})", self.location)?;
                }
                Ok(())
            }
        }
    }
}
impl std::error::Error for PluginFault {}

/// What a plugin says, who it is in brackets first: from a worker it goes to the host, and from the host to standard
/// error. Standard output belongs to whoever asked the host.
fn log(level: &str, message: &str) {
    if !worker::log(level, message) {
        say(level, &format!("plugin {message}"));
    }
}

/// A line for a person.
fn say(level: &str, message: &str) {
    use std::io::Write;
    // unlike eprintln!, this does not panic where standard error is closed
    let _ = writeln!(std::io::stderr(), "{level}: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_there_is_not_suggested_for_itself() {
        let missing = |known: &[&str], passed: &[(&str, &str)]| {
            HostError::Missing {
                name: "com.acme.hill".into(),
                role: Role::Strategy,
                searched: vec!["/plugins".into()],
                passed: (passed.iter())
                    .map(|(path, reason)| Passed { path: path.into(), reason: (*reason).into() })
                    .collect(),
                known: known.iter().map(ToString::to_string).collect(),
            }
            .to_string()
        };
        let broken = missing(&["com.acme.hill", "grid"], &[("/plugins/hill", "it does not start")]);
        assert_eq!(
            broken,
            "the strategy plugin \"com.acme.hill\" is there, and cannot be loaded; passed over /plugins/hill: it does not start"
        );
        let misspelt = missing(&["com.acme.hills", "grid"], &[]);
        assert!(
            misspelt.starts_with("no strategy plugin is called \"com.acme.hill\" (did you mean"),
            "{misspelt}"
        );
        assert!(misspelt.contains("there are com.acme.hills, grid; searched /plugins"), "{misspelt}");
    }
}
