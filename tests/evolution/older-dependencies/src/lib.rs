//! Any point of a space of floats, from the rand of another time; its options and its snapshots go through
//! the serde of that time.

#![forbid(unsafe_code)]

use ansatz_core::rng::Rng;
use ansatz_core::schemars::{self, JsonSchema};
use ansatz_core::{
    Capability, Descriptor, Observation, Pending, Problem, Strategy, StrategyError, Suggestion,
};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng};
use serde::{Deserialize, Serialize};

/// Options of the strategy.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "ansatz_core::schemars")]
struct Options {
    /// How much of the space to use, around its middle.
    #[serde(default = "half")]
    share: f64,
}

fn half() -> f64 {
    0.5
}

struct Vintage {
    problem: Problem,
    options: Options,
    generator: SmallRng,
}

impl Strategy for Vintage {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "com.acme.vintage",
        summary: "points from the rand of another time",
        capabilities: &[Capability::Float, Capability::Snapshot],
    };
    type Options = Options;

    fn new(problem: &Problem, options: Options, mut rng: Rng) -> Result<Self, StrategyError> {
        // the host's generator has the traits of another rand: its first point is the seed
        let first = problem.space.sample(&mut rng).and_then(|point| point.get(0)).unwrap_or_default();
        let generator = SmallRng::seed_from_u64(first.to_bits());
        Ok(Self { problem: problem.clone(), options, generator })
    }

    fn ask(&mut self, count: usize, _: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let mut suggestions = Vec::new();
        for _ in 0..count {
            let parameters = self.problem.space.parameters().iter();
            let coordinates = parameters.map(|parameter| {
                let (lower, upper) = (parameter.domain.lower(), parameter.domain.upper());
                let half = self.options.share * (upper - lower) / 2.0;
                self.generator.gen_range((lower + upper) / 2.0 - half..=(lower + upper) / 2.0 + half)
            });
            suggestions.push(Suggestion::new(self.problem.space.assemble(coordinates.collect())));
        }
        Ok(suggestions)
    }

    fn tell(&mut self, _: &[Observation]) -> Result<(), StrategyError> {
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        serde_json::to_vec(&self.options).map(Some).map_err(|error| StrategyError::Other(error.to_string()))
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        self.options =
            serde_json::from_slice(state).map_err(|error| StrategyError::Invalid(error.to_string()))?;
        Ok(())
    }
}

ansatz_core::export_plugin! { strategies: [Vintage] }
