//! CMA-ES with margin: a normal distribution over numbers and whole numbers, and probabilities over choices, that follow
//! the ranks of the losses.
//!
//! `search` has the order of things: descents (`descent`) of a distribution (`gaussian`, `margin`, `choices`) that begin in
//! the middle, from a history (`warm_start`) or anew (`stopping`, `restarts`). What the coordinates are is in `layout`, how
//! results are ranked in `generation`. The README has sources and options.
#![forbid(unsafe_code)]

mod choices;
mod descent;
mod directions;
mod gaussian;
mod generation;
mod layout;
mod margin;
mod normal;
mod options;
mod rates;
mod restarts;
mod search;
mod stopping;
mod symmetric_eigen;
#[cfg(test)]
mod tests;
mod warm_start;

pub use options::{Options, Restarts, Start};

use ansatz_core::rng::Rng;
use ansatz_core::strategy::{decode_state, encode_state};
use ansatz_core::{
    Capability, Descriptor, Observation, Pending, Problem, Strategy, StrategyError, Suggestion,
};
use layout::Layout;
use rates::Rates;
use search::{Search, Setting};

/// The strategy `cmaes`. A suggestion's tag is the number of its sample.
#[derive(Debug)]
pub struct Cmaes {
    setting: Setting,
    search: Search,
    /// Of the descent that is under way; made when needed.
    rates: Option<Rates>,
}

impl Strategy for Cmaes {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "cmaes",
        summary: "CMA-ES with margin for numbers, whole numbers and choices, with restarts and warm start (Hansen; Hamano et \
                  al. 2025)",
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
        if problem.metrics.len() > 1 {
            return Err(StrategyError::Unsupported(format!(
                "cmaes improves one metric and this study has {}: use bayesian, or keep one metric and bound the others \
                 by at_most or at_least",
                problem.metrics.len()
            )));
        }
        let full_fidelity = problem.fidelity.as_ref().map(|fidelity| fidelity.upper);
        let setting = Setting { layout: Layout::new(&problem.space), options, full_fidelity };
        Ok(Self { setting, search: Search::new(rng), rates: None })
    }

    fn ask(&mut self, count: usize, pending: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        if self.search.has_ended {
            return Err(StrategyError::Exhausted);
        }
        let suggestions: Vec<Suggestion> = (0..count)
            .map_while(|_| self.search.suggest(&self.setting))
            .map(|(point, tag)| Suggestion::tagged(point, tag))
            .collect();
        if suggestions.is_empty() && count > 0 && pending.is_empty() {
            return Err(StrategyError::no_feasible_point());
        }
        Ok(suggestions)
    }

    fn tell(&mut self, observations: &[Observation]) -> Result<(), StrategyError> {
        for observation in observations {
            let descent_number = self.search.descent_number();
            self.search.tell(&self.setting, &mut self.rates, observation);
            if self.search.descent_number() != descent_number {
                self.rates = None;
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        encode_state(&self.search).map(Some)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        let search: Search = decode_state(state)?;
        if !search.is_sound(&self.setting.layout) {
            return Err(StrategyError::Invalid("the state was saved of another space, or is damaged".into()));
        }
        self.search = search;
        self.rates = None;
        Ok(())
    }
}

ansatz_core::export_plugin! { strategies: [Cmaes] }
