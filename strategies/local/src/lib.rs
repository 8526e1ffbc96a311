//! Trust-region search around the best point, for one loss over mixed, conditional and constrained spaces.
//!
//! A region around the best trial (`region`) holds a quadratic model of the trials in it (`quadratic`), whose lowest point is
//! asked; where the model has failed, a direction at random is tried, and choices and levels that are too coarse for the
//! region are changed one at a time (`search`). Success widens the region, failure narrows it; one that has become very narrow
//! has converged, and another begins elsewhere. The README has sources and options.
#![forbid(unsafe_code)]

mod merit;
mod options;
mod quadratic;
mod region;
mod search;
#[cfg(test)]
mod tests;

pub use options::{AtEnd, Options};

use ansatz_core::rng::Rng;
use ansatz_core::strategy::{decode_state, encode_state};
use ansatz_core::{
    Capability, Descriptor, Observation, Pending, Problem, Strategy, StrategyError, Suggestion,
};
use search::{Memory, Search, Setting};
use std::collections::HashSet;

/// The strategy `local`. A suggestion's tag is the number of its step.
pub struct Local {
    setting: Setting,
    search: Search,
    memory: Memory,
}

impl Strategy for Local {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "local",
        summary: "trust-region search around the best point: quadratic models of least Frobenius norm, polls, and changes of \
                  one choice (Powell 2004, Audet and Dennis 2006)",
        capabilities: &[
            Capability::Float,
            Capability::Int,
            Capability::Categorical,
            Capability::Ordinal,
            Capability::Conditional,
            Capability::Constraints,
            Capability::OutcomeConstraints,
            Capability::Pending,
            Capability::Snapshot,
        ],
    };

    type Options = Options;

    fn new(problem: &Problem, options: Options, rng: Rng) -> Result<Self, StrategyError> {
        options.check()?;
        let setting = Setting::new(problem, options);
        Ok(Self { setting, search: Search::new(rng), memory: Memory::default() })
    }

    fn ask(&mut self, count: usize, pending: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let mut unfinished: HashSet<_> = pending.iter().map(|(_, point)| point).collect();
        let mut suggestions = Vec::with_capacity(count);
        for _ in 0..count {
            let Some((point, tag)) = self.search.suggest(&self.setting, &self.memory, &unfinished) else {
                break;
            };
            unfinished.insert(point.clone());
            suggestions.push(Suggestion::tagged(point, tag));
        }
        if suggestions.is_empty() && count > 0 {
            if !self.search.has_heard() && pending.is_empty() {
                return Err(StrategyError::no_feasible_point());
            }
            return Err(StrategyError::Exhausted);
        }
        Ok(suggestions)
    }

    fn tell(&mut self, observations: &[Observation]) -> Result<(), StrategyError> {
        for observation in observations {
            self.search.tell(&self.setting, &mut self.memory, observation);
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        encode_state(&self.search).map(Some)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        let search: Search = decode_state(state)?;
        if !search.is_sound(&self.setting) {
            return Err(StrategyError::Invalid("the state was saved of another problem".into()));
        }
        self.memory = search.recall(&self.setting);
        self.search = search;
        Ok(())
    }
}

ansatz_core::export_plugin! { strategies: [Local] }
