//! What a manifest may say about the strategy.

use ansatz_core::StrategyError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of the strategy `tpe`. The defaults suit studies of some dozens to many thousands of trials.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Points of a scrambled Sobol sequence before the first model. Trials that other strategies proposed count too, and
    /// so do those under way.
    #[schemars(range(min = 1))]
    pub initial_count: usize,
    /// How many points each ask compares. More of them keep the search nearer to what is known to be good.
    #[schemars(range(min = 1, max = 10_000))]
    pub candidate_count: usize,
    /// Which share of the trials is good, rounded up.
    #[schemars(range(min = 0.001, max = 0.9))]
    pub good_share: f64,
    /// How many trials are good at most.
    #[schemars(range(min = 1, max = 1_000))]
    pub good_count_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { initial_count: 10, candidate_count: 32, good_share: 0.1, good_count_max: 100 }
    }
}

impl Options {
    /// Checks what the types cannot.
    pub(crate) fn check(&self) -> Result<(), StrategyError> {
        let within = |name: &str, found: usize, least: usize, most: usize| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            let limits =
                if most == usize::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
            Err(StrategyError::Invalid(format!("option {name}: {limits} is needed, found {found}")))
        };
        within("initial_count", self.initial_count, 1, usize::MAX)?;
        within("candidate_count", self.candidate_count, 1, 10_000)?;
        within("good_count_max", self.good_count_max, 1, 1_000)?;
        if !(0.001..=0.9).contains(&self.good_share) {
            return Err(StrategyError::Invalid(format!(
                "option good_share: 0.001 to 0.9 is needed, found {}",
                self.good_share
            )));
        }
        Ok(())
    }

    /// How many of so many trials are good.
    pub(crate) fn good_count(&self, trial_count: usize) -> usize {
        ((self.good_share * trial_count as f64).ceil() as usize).min(self.good_count_max)
    }
}
