//! What a manifest may say about the strategy.

use ansatz_core::{Space, StrategyError};
use ansatz_surrogate::Warp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of the strategy `bayesian`. The defaults suit up to some hundred trials of any space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Points of a scrambled Sobol sequence before the first model, at least 2. Trials that other strategies proposed
    /// count too. If left out: half the number of parameters and 2, at most 20, at least 4, or 8 where a parameter has a
    /// condition or there are three metrics or more.
    pub initial_count: Option<usize>,
    /// Points spread over the whole space in which each ask begins its search, at least 16.
    pub candidate_count: usize,
    /// Points around the best ones in which each ask begins its search.
    pub perturbation_count: usize,
    /// How many of them are climbed from, at least 1; the best observed point is always one more.
    pub start_count: usize,
    /// The transformations of the losses of which each gets a model; their acquisition functions are multiplied.
    /// At least one, without repetition. With two to four metrics each metric has one model, of the first of these that
    /// is not `power`; where they are made one loss, that has a model for each.
    pub warps: Vec<LossWarp>,
    /// How much more likely the best point, or the front of several metrics at some asks, lies inside the ranges than at their bounds,
    /// from 0: after n trials the search goes by the power `inside_weight`/n of a normal density about the middle of each range. 0
    /// where much of it may lie at bounds.
    pub inside_weight: f64,
    /// Whether the same point always gives the same loss. Then the models have no noise.
    pub deterministic: bool,
    /// Observations that a model holds at most, at least 50; beyond, the best half of them and the latest.
    /// The time of an ask grows with the second power, and where the models are fitted anew with the third.
    pub observation_count_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            initial_count: None,
            candidate_count: 1024,
            perturbation_count: 512,
            start_count: 12,
            warps: vec![LossWarp::Identity, LossWarp::CompressBad, LossWarp::Power],
            inside_weight: 3.0,
            deterministic: false,
            observation_count_max: 2000,
        }
    }
}

/// A monotone transformation of losses before a model is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LossWarp {
    /// None.
    Identity,
    /// The worse half is compressed logarithmically.
    CompressBad,
    /// The power (Box-Cox or Yeo-Johnson) that makes losses most nearly normal.
    Power,
}

impl LossWarp {
    /// The transformation itself.
    pub(crate) fn warp(self) -> Warp {
        match self {
            Self::Identity => Warp::Identity,
            Self::CompressBad => Warp::CompressBad,
            Self::Power => Warp::Power,
        }
    }
}

impl Options {
    /// Checks what the types cannot.
    pub(crate) fn check(&self) -> Result<(), StrategyError> {
        let at_least = |name: &str, found: usize, least: usize| {
            if found >= least {
                return Ok(());
            }
            Err(StrategyError::Invalid(format!("option {name}: at least {least} is needed, found {found}")))
        };
        at_least("initial_count", self.initial_count.unwrap_or(2), 2)?;
        at_least("candidate_count", self.candidate_count, 16)?;
        at_least("start_count", self.start_count, 1)?;
        at_least("observation_count_max", self.observation_count_max, 50)?;
        at_least("warps", self.warps.len(), 1)?;
        if !(self.inside_weight.is_finite() && self.inside_weight >= 0.0) {
            let found = self.inside_weight;
            return Err(StrategyError::Invalid(format!(
                "option inside_weight: a number from 0, found {found}"
            )));
        }
        let repeated = self.warps.iter().enumerate().any(|(index, warp)| self.warps[..index].contains(warp));
        if repeated {
            return Err(StrategyError::Invalid("option warps: each transformation once at most".into()));
        }
        Ok(())
    }

    /// The transformation of each of several losses that are modelled one by one. A power may not exist, and its place
    /// among the others would be empty.
    pub(crate) fn warp_of_several(&self) -> LossWarp {
        self.warps.iter().copied().find(|warp| *warp != LossWarp::Power).unwrap_or(LossWarp::Identity)
    }

    /// Size of the initial design for these parameters and metrics. Few points would leave whole branches of a space with
    /// conditions without any, of which no model tells anything, and pieces of a front of three metrics.
    pub(crate) fn initial_count(&self, space: &Space, metric_count: usize) -> usize {
        let least = if space.is_conditional() || metric_count > 2 { 8 } else { 4 };
        self.initial_count.unwrap_or_else(|| (2 + space.parameter_count() / 2).clamp(least, 20))
    }
}
