//! A manifest that was checked: nothing left to guess. What a study is run from, and what its journal keeps.

use crate::journal::{Location, ServerUrl};
use ansatz_core::space::{Domain, Parameter};
use ansatz_core::{StudyRules, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Everything a study needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyPlan {
    /// Unique in its journal.
    pub name: String,
    /// Problem, seed, members, mix, budget.
    pub rules: StudyRules,
    /// Who evaluates; `None` where a program asks and tells.
    pub objective: Option<PluginChoice>,
    /// Who proposes: one for each member of the rules, in their order.
    pub strategies: Vec<PluginChoice>,
    /// Whether Ansatz chose them, because the manifest names none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_automatic: bool,
    /// Who ends trials early; `None`: all run to their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<PluginChoice>,
    /// Earlier studies from which it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<Transfer>,
    /// How many of the points that it begins with are theirs: the first of `rules.enqueued`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeated_count: usize,
    /// How trials are run.
    pub run: RunRules,
    /// Where the study is kept.
    pub journal: JournalChoice,
    /// Folders that are searched for plugins before all others.
    #[serde(default)]
    pub plugin_folders: Vec<PathBuf>,
    /// What happens when a strategy breaks.
    #[serde(default)]
    pub faults: FaultRules,
    /// The folder of the manifest: relative paths in the options of an objective are meant from here.
    pub manifest_folder: PathBuf,
    /// The manifest's file name, for messages about it.
    #[serde(default)]
    pub manifest_name: String,
    /// What was set on the command line, as `key=value`.
    #[serde(default)]
    pub overrides: Vec<String>,
}

impl StudyPlan {
    /// The folder of the manifest may have been moved, with the journal and all else in it. Where it is gone, and a file of the
    /// manifest's name lies beside the journal, that folder is taken for it.
    pub(crate) fn follow_folder(&mut self, journal: &Location) {
        let Location::File(path) = journal else { return };
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let Some(folder) = path.parent() else { return };
        if !self.is_homeless() || !folder.join(&self.manifest_name).is_file() {
            return;
        }
        for path in &mut self.plugin_folders {
            if let Ok(within) = path.strip_prefix(&self.manifest_folder) {
                *path = folder.join(within);
            }
        }
        self.manifest_folder = folder.to_owned();
    }

    /// What is allowed and hardly meant.
    pub fn warnings(&self) -> Vec<String> {
        self.rules.problem.space.parameters().iter().filter_map(unreached_end).collect()
    }

    /// Whether the folder of the manifest is gone.
    pub(crate) fn is_homeless(&self) -> bool {
        !self.manifest_folder.is_dir()
    }
}

/// A range whose steps pass over its upper end.
fn unreached_end(parameter: &Parameter) -> Option<String> {
    let (lower, upper, step) = match &parameter.domain {
        Domain::Int { lower, upper, step, .. } if *step > 1 => {
            (lower.to_string(), *upper as f64, step.to_string())
        }
        Domain::Float { lower, upper, step: Some(step), .. } => (lower.to_string(), *upper, step.to_string()),
        _ => return None,
    };
    let last = parameter.domain.nth(u64::MAX);
    // sums of steps are rounded
    let is_reached = upper - last <= 1e-9 * upper.abs().max(last.abs());
    (!is_reached).then(|| {
        format!(
            "parameter {}: by steps of {step} from {lower} the last value is {last}; {upper} is never tried",
            parameter.name
        )
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// An earlier study from which another one starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Its name.
    pub study: String,
    /// Where it is kept; `None`: where the study itself is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<Location>,
    /// Whether strategies hear its results.
    pub results: bool,
    /// How many of its best points are evaluated again, before anything is asked of a strategy.
    pub repeat_count: usize,
    /// What parameters had for a value that it did not have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, Value>,
}

/// A plugin by name, with its options as the manifest gives them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginChoice {
    /// `vendor.name`, or a bare name for what ships with Ansatz.
    pub plugin: String,
    /// A JSON object; judged by the plugin.
    pub options: serde_json::Value,
    /// How it is kept apart from the host.
    #[serde(default)]
    pub isolation: IsolationRules,
}

/// How a plugin is kept apart from the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsolationRules {
    /// Where it runs; without it, what did not ship with the host has a process of its own.
    pub isolation: Option<Isolation>,
    /// How long one call may take in a process of its own; evaluations have their own limit.
    pub call_timeout: Duration,
    /// How much address space such a process may use.
    pub memory_bytes_max: Option<u64>,
}

impl Default for IsolationRules {
    fn default() -> Self {
        Self { isolation: None, call_timeout: Duration::from_secs(60), memory_bytes_max: None }
    }
}

/// Where a plugin runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// In a process of its own.
    Process,
    /// In the host.
    None,
}

/// What happens when a strategy or an early-stopping rule breaks: panics, crashes, hangs, or proposes what is no point of the space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultRules {
    /// How often it is made anew; the next fault after that puts the fallback in the place of a strategy, and lets
    /// trials run to their end where it is the early-stopping rule.
    pub restart_count_max: u64,
    /// Who proposes in a strategy's place from then on; `None`: nobody.
    pub fallback: Option<PluginChoice>,
}

impl Default for FaultRules {
    fn default() -> Self {
        Self { restart_count_max: 3, fallback: Some(PluginChoice::new("random")) }
    }
}

impl PluginChoice {
    /// A plugin with its default options.
    pub fn new(plugin: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            options: serde_json::json!({}),
            isolation: IsolationRules::default(),
        }
    }
}

/// How trials are run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRules {
    /// How many trials run at the same time; at least 1.
    pub slot_count: usize,
    /// How long one attempt may take.
    pub trial_timeout: Option<Duration>,
    /// What becomes of trials that were running when the host died.
    pub on_interrupt: OnInterrupt,
}

/// What becomes of trials that were running when the host died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnInterrupt {
    /// They are run again.
    #[default]
    Requeue,
    /// They count as failed.
    Fail,
}

/// Where a study is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalChoice {
    /// A SQLite database; made if it does not exist. One may hold many studies. Output of trials is kept beside it, also
    /// where the study is on a server.
    pub path: PathBuf,
    /// A database of a PostgreSQL server, in place of the SQLite one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerUrl>,
    /// When a record counts as written.
    pub sync: Sync,
}

impl JournalChoice {
    /// Where the store is.
    pub fn location(&self) -> Location {
        match &self.server {
            Some(url) => Location::Server(url.clone()),
            None => Location::File(self.path.clone()),
        }
    }

    /// Puts the study there. A server leaves the path: output of trials goes beside it.
    pub fn move_to(&mut self, location: &Location) {
        match location {
            Location::Server(url) => self.server = Some(url.clone()),
            Location::File(path) => (self.path, self.server) = (path.clone(), None),
        }
    }
}

/// When a record counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sync {
    /// When it is on the disk: survives a power cut.
    #[default]
    Full,
    /// When the operating system has it: survives a crash of the host, not of the machine.
    Off,
}
