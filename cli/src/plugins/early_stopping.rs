//! The early-stopping rule of a study, which can be made anew.

use crate::plan::PluginChoice;
use ansatz_core::Problem;
use ansatz_core::rng::Streams;
use ansatz_plugin_host::{ForeignEarlyStopping, HostError, Housing, Plugin};

/// An early-stopping rule, found and checked.
pub struct LoadedEarlyStopping {
    pub(super) plugin: Plugin,
    pub(super) choice: PluginChoice,
    pub(super) housing: Housing,
    pub(super) problem: Problem,
    pub(super) streams: Streams,
    /// Made when the study was checked, and used first.
    pub(super) first: Option<ForeignEarlyStopping>,
}

impl LoadedEarlyStopping {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.choice.plugin
    }

    /// A rule that has heard nothing yet. Each renewal has random numbers of its own.
    pub fn create(&mut self, renewal: u64) -> Result<ForeignEarlyStopping, HostError> {
        if let Some(first) = self.first.take().filter(|_| renewal == 0) {
            return Ok(first);
        }
        let seed = self.streams.seed(&match renewal {
            0 => "early-stopping".to_owned(),
            _ => format!("early-stopping/{renewal}"),
        });
        let (name, options) = (&self.choice.plugin, &self.choice.options);
        self.plugin.create_early_stopping(name, &self.problem, options, seed, &self.housing)
    }
}
