//! Random points, and the simplest model there is: every loss is expected to be as those before, with their mean and
//! standard deviation. It recommends the points of the two least losses. By option it says nonsense instead, or
//! nothing.

#![forbid(unsafe_code)]

use ansatz_core::rng::Rng;
use ansatz_core::{
    Capability, Descriptor, Observation, Pending, Prediction, Problem, Recommendation, Strategy,
    StrategyError, Suggestion,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of the strategy.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What it says of its points.
    pub says: Says,
}

/// What it says of its points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    /// What its model expects.
    #[default]
    Model,
    /// Not a number.
    Nan,
    /// Nothing.
    Nothing,
}

/// Random points with predictions.
pub struct Predicting {
    problem: Problem,
    says: Says,
    rng: Rng,
    observed: Vec<Observation>,
}

impl Predicting {
    fn predict(&self) -> Option<Prediction> {
        let losses: Vec<f64> = self.observed.iter().filter_map(Observation::loss).collect();
        let count = losses.len() as f64;
        let mean = losses.iter().sum::<f64>() / count;
        let variance = losses.iter().map(|loss| (loss - mean) * (loss - mean)).sum::<f64>() / (count - 1.0);
        match self.says {
            Says::Model if losses.len() >= 2 => {
                Some(Prediction::new(mean, variance.sqrt()).with_acquisition(-0.5))
            }
            Says::Nan => Some(Prediction::new(f64::NAN, 1.0)),
            Says::Model | Says::Nothing => None,
        }
    }
}

impl Strategy for Predicting {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "com.example.predicting",
        summary: "random points, each expected to be as those before",
        capabilities: &Capability::ANY_SPACE,
    };

    type Options = Options;

    fn new(problem: &Problem, options: Options, rng: Rng) -> Result<Self, StrategyError> {
        Ok(Self { problem: problem.clone(), says: options.says, rng, observed: Vec::new() })
    }

    fn ask(&mut self, count: usize, _: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let prediction = self.predict();
        let points = (0..count).filter_map(|_| self.problem.space.sample(&mut self.rng));
        Ok(points.map(|point| Suggestion { prediction, ..point.into() }).collect())
    }

    fn tell(&mut self, observations: &[Observation]) -> Result<(), StrategyError> {
        self.observed.extend_from_slice(observations);
        Ok(())
    }

    fn recommend(&mut self) -> Result<Vec<Recommendation>, StrategyError> {
        let Some(model) = self.predict() else { return Ok(Vec::new()) };
        let mut best: Vec<(f64, &Observation)> =
            self.observed.iter().filter_map(|seen| Some((seen.loss()?, seen))).collect();
        best.sort_by(|a, b| a.0.total_cmp(&b.0));
        let recommended = best.into_iter().take(2).map(|(loss, seen)| {
            let mean = if self.says == Says::Nan { f64::NAN } else { loss };
            Recommendation::new(seen.point.clone(), mean, model.deviation)
        });
        Ok(recommended.collect())
    }
}

ansatz_core::export_plugin! { strategies: [Predicting] }
