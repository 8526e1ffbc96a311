//! Simulated annealing: argmin's solver (Kirkpatrick, Gelatt and Vecchi, Science 220, 1983) as ask and tell.
//!
//! Acceptance, schedules, reannealing and stall limits are argmin's, untouched. Ours are the moves in mixed,
//! conditional and constrained spaces (`neighbourhood`), the size of losses (`loss_scale`), and that several
//! chains give a batch. The README has the method and its options.
#![forbid(unsafe_code)]

mod chain;
mod loss_scale;
mod neighbourhood;
mod options;

pub use options::{AtEnd, LossScaling, Options, Schedule, Start};

use ansatz_core::rng::Rng;
use ansatz_core::strategy::{decode_state, encode_state};
use ansatz_core::{
    Capability, Descriptor, Observation, Pending, Point, Problem, Space, Strategy, StrategyError, Suggestion,
};
use chain::{Chain, Surroundings};
use loss_scale::LossScale;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// The strategy `annealing`. A suggestion's tag is the index of its chain.
#[derive(Serialize, Deserialize)]
pub struct Annealing {
    space: Space,
    options: Options,
    /// Fidelities from here on are full evaluations.
    full_fidelity: Option<f64>,
    /// Seeds the chains.
    rng: Rng,
    chains: Vec<Chain>,
    loss_scale: LossScale,
    /// The best point that any strategy has found, with its loss.
    best: Option<(Point, f64)>,
}

impl Strategy for Annealing {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "annealing",
        summary: "simulated annealing with logistic acceptance and reannealing, several chains (argmin; Kirkpatrick et al. 1983)",
        capabilities: &[
            Capability::Float,
            Capability::Int,
            Capability::Categorical,
            Capability::Ordinal,
            Capability::Conditional,
            Capability::Constraints,
            Capability::Pending,
            Capability::Snapshot,
        ],
    };

    type Options = Options;

    fn new(problem: &Problem, options: Options, rng: Rng) -> Result<Self, StrategyError> {
        options.check()?;
        Ok(Self {
            space: problem.space.clone(),
            full_fidelity: problem.fidelity.as_ref().map(|fidelity| fidelity.upper),
            rng,
            chains: Vec::new(),
            loss_scale: LossScale::new(options.loss_scale),
            best: None,
            options,
        })
    }

    fn ask(&mut self, count: usize, _: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let around = Surroundings {
            space: &self.space,
            options: &self.options,
            loss_scale: self.loss_scale.get(),
            best: self.best.as_ref(),
        };
        let mut suggestions = Vec::new();
        for (index, chain) in self.chains.iter_mut().enumerate() {
            if suggestions.len() == count {
                break;
            }
            let point = chain.ask(&around)?;
            suggestions.extend(point.map(|point| Suggestion::tagged(point, index as u64)));
        }
        // a chain that has ended leaves its place empty: that is what `at_end` is for
        while suggestions.len() < count
            && (self.chains.len() as u64) < self.options.chains
            && self.chains.iter().all(Chain::is_waiting)
        {
            let mut chain = Chain::new(Rng::new(self.rng.random()));
            let point = chain.ask(&around)?;
            suggestions.extend(point.map(|point| Suggestion::tagged(point, self.chains.len() as u64)));
            self.chains.push(chain);
        }
        if suggestions.is_empty() && self.chains.iter().all(Chain::has_ended) {
            return Err(StrategyError::Exhausted);
        }
        Ok(suggestions)
    }

    fn tell(&mut self, observations: &[Observation]) -> Result<(), StrategyError> {
        for observation in observations {
            let loss = self.loss(observation);
            if let Some(loss) = loss {
                self.loss_scale.observe(loss);
                if self.best.as_ref().is_none_or(|(_, lowest)| loss < *lowest) {
                    self.best = Some((observation.point.clone(), loss));
                }
            }
            let Some(chain) = observation.tag.and_then(|tag| self.chains.get_mut(usize::try_from(tag).ok()?))
            else {
                continue;
            };
            let around = Surroundings {
                space: &self.space,
                options: &self.options,
                loss_scale: self.loss_scale.get(),
                best: self.best.as_ref(),
            };
            chain.tell(&observation.point, loss, &around)?;
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        encode_state(self).map(Some)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        let state: Self = decode_state(state)?;
        let is_same_problem = state.space == self.space && state.full_fidelity == self.full_fidelity;
        if !is_same_problem || state.options != self.options {
            return Err(StrategyError::Invalid(
                "the state was saved of another problem or with other options".into(),
            ));
        }
        *self = state;
        Ok(())
    }
}

impl Annealing {
    /// The loss of a trial that completed a full evaluation. A stopped trial has none: what it last
    /// reported would be taken for more, or less, than it is.
    fn loss(&self, observation: &Observation) -> Option<f64> {
        let is_full = observation.is_full(self.full_fidelity);
        observation.loss().filter(|loss| is_full && loss.is_finite())
    }
}

ansatz_core::export_plugin! { strategies: [Annealing] }

#[cfg(test)]
mod tests;
