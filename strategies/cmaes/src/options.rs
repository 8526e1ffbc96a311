//! What a manifest may say about the strategy.

use crate::restarts::POPULATION_SIZE_MAX;
use ansatz_core::StrategyError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of the strategy `cmaes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Trials of a generation, 4 to 50,000. More are slower and find better minima among many. If left out: 4 and three
    /// times the natural logarithm of the number of parameters.
    #[schemars(range(min = 4, max = 50_000))]
    pub population_size: Option<usize>,
    /// The standard deviation of the first samples, as a share of each parameter's range.
    #[schemars(range(min = 0.001, max = 1.0))]
    pub initial_step: f64,
    /// Where the first samples lie, unless there is a history to start from. Later descents start anywhere.
    pub start: Start,
    /// Whether results of others from before the first suggestion decide where the search begins, and how wide: from ten
    /// of them on.
    pub warm_start: bool,
    /// What comes when a descent has nothing left to find.
    pub restarts: Restarts,
    /// A descent ends when its samples differ by less than this share of each parameter's range.
    #[schemars(range(min = 0.0, max = 0.1))]
    pub tolerance: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            population_size: None,
            initial_step: 1.0 / 6.0,
            start: Start::Centre,
            warm_start: true,
            restarts: Restarts::Bipop,
            tolerance: 1e-9,
        }
    }
}

/// Where the first descent starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// In the middle of all ranges.
    Centre,
    /// At a random point.
    Random,
}

/// What comes after a descent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Restarts {
    /// Descents from random points, large ones with a doubled population each time, and small ones in between.
    Bipop,
    /// Descents from random points, each with twice the population of the last.
    Ipop,
    /// Nothing: the strategy is exhausted.
    None,
}

impl Options {
    /// Checks what the types cannot.
    pub(crate) fn check(&self) -> Result<(), StrategyError> {
        let invalid = |message: String| Err(StrategyError::Invalid(message));
        if let Some(found) = self.population_size
            && !(4..=POPULATION_SIZE_MAX).contains(&found)
        {
            return invalid(format!("population_size must be 4 to {POPULATION_SIZE_MAX}, found {found}"));
        }
        if !(0.001..=1.0).contains(&self.initial_step) {
            return invalid(format!("initial_step must be 0.001 to 1, found {}", self.initial_step));
        }
        if !(0.0..=0.1).contains(&self.tolerance) {
            return invalid(format!("tolerance must be 0 to 0.1, found {}", self.tolerance));
        }
        Ok(())
    }
}
