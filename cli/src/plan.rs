//! A manifest that was checked: nothing left to guess. What a study is run from, and what its journal keeps.

use ansatz_core::StudyRules;
use serde::{Deserialize, Serialize};
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
    /// How trials are run.
    pub run: RunRules,
    /// Where the study is kept.
    pub journal: JournalChoice,
    /// Folders that are searched for plugins before all others.
    #[serde(default)]
    pub plugin_folders: Vec<PathBuf>,
    /// The folder of the manifest: relative paths in the options of an objective are meant from here.
    pub manifest_folder: PathBuf,
    /// The manifest's file name, for messages about it.
    #[serde(default)]
    pub manifest_name: String,
    /// What was set on the command line, as `key=value`.
    #[serde(default)]
    pub overrides: Vec<String>,
}

/// A plugin by name, with its options as the manifest gives them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginChoice {
    /// `vendor.name`, or a bare name for what ships with Ansatz.
    pub plugin: String,
    /// A JSON object; judged by the plugin.
    pub options: serde_json::Value,
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
    /// A SQLite database; made if it does not exist. One may hold many studies.
    pub path: PathBuf,
    /// When a record counts as written.
    pub sync: Sync,
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
