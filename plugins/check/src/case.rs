//! What a case is, and what it can come to.

use crate::bench::Bench;
use crate::target::About;
use ansatz_core::Capability;
use ansatz_plugin_host::{HostError, PluginFault, Role};
use serde::{Deserialize, Serialize};

/// One thing that a conforming plugin does.
#[derive(Clone, Copy)]
pub struct Case {
    /// In kebab-case; never changed, never given a new meaning.
    pub id: &'static str,
    /// What a conforming plugin does, in one sentence.
    pub sentence: &'static str,
    /// Whom it is about.
    pub(crate) scope: Scope,
    /// What a strategy must claim for the case to apply.
    pub(crate) needs: &'static [Capability],
    /// Whether it is run in two processes whose digests must agree.
    pub(crate) is_run_twice: bool,
    /// Carries it out.
    pub(crate) run: fn(&Bench<'_>) -> Finding,
}

/// Whom a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The plugin as a whole.
    Plugin,
    /// Components of every role.
    Component,
    /// Components of one role.
    Only(Role),
}

impl Case {
    /// Whether the case is about components of this role.
    pub fn is_about(&self, role: Role) -> bool {
        match self.scope {
            Scope::Plugin => false,
            Scope::Component => true,
            Scope::Only(only) => only == role,
        }
    }

    /// Whom it is about, in a word.
    pub fn about(&self) -> &'static str {
        match self.scope {
            Scope::Plugin => "plugin",
            Scope::Component => "all",
            Scope::Only(Role::Strategy) => "strategy",
            Scope::Only(Role::Objective) => "objective",
            Scope::Only(Role::EarlyStopping) => "early-stopping",
        }
    }

    /// Why it says nothing about a component, by what that claims.
    pub(crate) fn inapplicable(&self, about: &About) -> Option<String> {
        let missing: Vec<&str> =
            self.needs.iter().filter(|needed| !about.can(&[**needed])).map(|needed| needed.name()).collect();
        (!missing.is_empty()).then(|| format!("it does not claim {}", missing.join(", ")))
    }
}

/// What a case came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The plugin does what it should.
    Passed,
    /// It works, and something about it may hurt.
    Warning,
    /// It does not do what it should.
    Failed,
    /// The process that ran it ended by a signal, by itself, or because its time was up.
    Crashed,
    /// The case says nothing about this plugin.
    Skipped,
}

impl Verdict {
    /// Whether a plugin with this verdict does not conform.
    pub fn is_bad(self) -> bool {
        matches!(self, Verdict::Failed | Verdict::Crashed)
    }
}

/// What a case found: something worth saying, or why it ended early.
pub(crate) type Finding = Result<Passed, Ending>;

/// The plugin did what it should.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Passed {
    /// Figures worth knowing, or the warning; may be empty.
    pub text: String,
    /// Whether the text is a warning.
    pub is_warning: bool,
    /// What has to be the same in every process.
    pub digest: Option<u64>,
}

/// Why a case ended early.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ending {
    /// The plugin did something wrong.
    Failed(String),
    /// The case says nothing about this plugin.
    Skipped(String),
}

/// Nothing worth saying.
pub(crate) fn passed() -> Finding {
    Ok(Passed::default())
}

/// Passed, with figures worth knowing.
pub(crate) fn passed_with(text: impl Into<String>) -> Finding {
    Ok(Passed { text: text.into(), ..Passed::default() })
}

/// Passed, and something may hurt.
pub(crate) fn warning(text: impl Into<String>) -> Finding {
    Ok(Passed { text: text.into(), is_warning: true, digest: None })
}

/// The plugin did something wrong.
pub(crate) fn failed<T>(text: impl Into<String>) -> Result<T, Ending> {
    Err(Ending::Failed(text.into()))
}

/// The case says nothing about this plugin.
pub(crate) fn skipped<T>(text: impl Into<String>) -> Result<T, Ending> {
    Err(Ending::Skipped(text.into()))
}

/// A fault where there is no reason for one.
impl From<PluginFault> for Ending {
    fn from(fault: PluginFault) -> Self {
        Ending::Failed(fault.to_string())
    }
}

/// A refusal where there is no reason for one.
impl From<HostError> for Ending {
    fn from(error: HostError) -> Self {
        Ending::Failed(error.to_string())
    }
}
