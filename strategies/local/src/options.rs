//! What a manifest may say about the strategy.

use ansatz_core::StrategyError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of the strategy `local`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Points of a scrambled Sobol sequence before the first region. Trials that other strategies proposed count too, and
    /// so do those under way. Default: one more than there are parameters, and at most 10.
    #[schemars(range(min = 1, max = 10_000))]
    pub initial_count: Option<usize>,
    /// Half the width of the first region, where a parameter's range on its scale has the width 1.
    #[schemars(range(min = 1e-6, max = 0.5))]
    pub first_radius: f64,
    /// A region that is narrower than this has converged.
    #[schemars(range(min = 1e-15, max = 0.1))]
    pub last_radius: f64,
    /// What follows when a region has converged.
    pub at_end: AtEnd,
}

/// What follows when a region has converged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AtEnd {
    /// Another region: around a good trial far from those before, and then around a new point, in turn.
    #[default]
    Restart,
    /// Nothing: the strategy is exhausted.
    Stop,
}

impl Default for Options {
    fn default() -> Self {
        Self { initial_count: None, first_radius: 0.2, last_radius: 1e-7, at_end: AtEnd::Restart }
    }
}

impl Options {
    /// Checks what the types cannot.
    pub(crate) fn check(&self) -> Result<(), StrategyError> {
        let within = |name: &str, found: f64, least: f64, most: f64| match (least..=most).contains(&found) {
            true => Ok(()),
            false => Err(StrategyError::Invalid(format!(
                "option {name}: a number from {least} to {most} is needed, found {found}"
            ))),
        };
        within("initial_count", self.initial_count.unwrap_or(1) as f64, 1.0, 10_000.0)?;
        within("first_radius", self.first_radius, 1e-6, 0.5)?;
        within("last_radius", self.last_radius, 1e-15, 0.1)?;
        if self.last_radius > self.first_radius {
            return Err(StrategyError::Invalid(format!(
                "option last_radius: {} is more than first_radius, which is {}",
                self.last_radius, self.first_radius
            )));
        }
        Ok(())
    }

    pub(crate) fn initial_count(&self, parameter_count: usize) -> usize {
        self.initial_count.unwrap_or_else(|| (parameter_count + 1).min(10))
    }
}
