//! Evolution: a population whose members have children, and make room for those that are better.
//!
//! `search` has the order of things. For one loss it is differential evolution (`differential`, `success_history`), for several
//! a genetic algorithm (`genetic`, with `variation`, `sorting` and `reference_points`). What genes are is in `genome`, what
//! results are worth in `merit`. The README has sources and options.
#![forbid(unsafe_code)]

mod differential;
mod genetic;
mod genome;
mod merit;
mod options;
mod population;
mod reference_points;
mod search;
mod sorting;
mod success_history;
#[cfg(test)]
mod tests;
mod variation;

pub use options::{Method, Options};

use ansatz_core::rng::Rng;
use ansatz_core::strategy::{decode_state, encode_state};
use ansatz_core::{
    Capability, Descriptor, Observation, Pending, Point, Problem, Strategy, StrategyError, Suggestion,
};
use search::{Search, Seen, Setting};
use std::collections::HashSet;

/// The strategy `evolution`. A suggestion's tag is its number.
#[derive(Debug)]
pub struct Evolution {
    setting: Setting,
    search: Search,
    /// Points of all finished trials. Asked whether it holds one, never gone through: its order is chance.
    told: HashSet<Point>,
}

impl Strategy for Evolution {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "evolution",
        summary: "differential evolution (L-SHADE; Tanabe and Fukunaga 2014), NSGA-II and NSGA-III (Deb et al. 2002, 2014) \
                  with one child at a time",
        capabilities: &[
            Capability::Float,
            Capability::Int,
            Capability::Categorical,
            Capability::Ordinal,
            Capability::Conditional,
            Capability::Constraints,
            Capability::MultiObjective,
            Capability::OutcomeConstraints,
            Capability::Pending,
            Capability::Snapshot,
        ],
    };

    type Options = Options;

    fn new(problem: &Problem, options: Options, rng: Rng) -> Result<Self, StrategyError> {
        Ok(Self { setting: Setting::new(problem, &options)?, search: Search::new(rng), told: HashSet::new() })
    }

    fn ask(&mut self, count: usize, pending: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let unfinished = pending.iter().map(|(_, point)| point).collect();
        let mut seen = Seen { told: &self.told, unfinished, unfinished_count: pending.len() };
        let mut suggestions = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            let Some((point, tag)) = self.search.suggest(&self.setting, &seen) else { break };
            seen.unfinished.insert(point.clone());
            seen.unfinished_count += 1;
            suggestions.push(Suggestion::tagged(point, tag));
        }
        if suggestions.is_empty() && count > 0 {
            if self.told.is_empty() && pending.is_empty() {
                return Err(StrategyError::no_feasible_point());
            }
            return Err(StrategyError::Exhausted);
        }
        Ok(suggestions)
    }

    fn tell(&mut self, observations: &[Observation]) -> Result<(), StrategyError> {
        for observation in observations {
            self.told.insert(observation.point.clone());
            self.search.tell(&self.setting, observation);
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        encode_state(&self.search).map(Some)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        let search: Search = decode_state(state)?;
        if !search.is_sound(&self.setting) {
            return Err(StrategyError::Invalid(
                "the state was saved of another problem or other options, or is damaged".into(),
            ));
        }
        self.told = search.told().iter().cloned().collect();
        self.search = search;
        Ok(())
    }
}

ansatz_core::export_plugin! { strategies: [Evolution] }
