//! A strategy and an objective in a library whose memory nobody else can free: points, schemas, readings,
//! snapshots and faults all have to find their way back to the allocator that they came from.

mod shifted;

use ansatz_core::rng::Rng;
use ansatz_core::schemars::{self, JsonSchema};
use ansatz_core::serde::Deserialize;
use ansatz_core::{
    Capability, Context, Descriptor, EvaluationError, Measurement, NoOptions, Objective, ObjectiveError,
    Observation, Pending, Point, Problem, Strategy, StrategyError, Suggestion, Surroundings,
};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng};

#[global_allocator]
static ALLOCATOR: shifted::Shifted = shifted::Shifted;

/// Any point of the space, chosen by another generator than the host's.
struct Shuffle {
    problem: Problem,
    generator: SmallRng,
    /// So that a snapshot has something to hold.
    told: Vec<u8>,
}

impl Strategy for Shuffle {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "com.acme.shuffle",
        summary: "points from another generator and another allocator",
        capabilities: &[Capability::Float, Capability::Snapshot],
    };
    type Options = NoOptions;

    fn new(problem: &Problem, _: NoOptions, mut rng: Rng) -> Result<Self, StrategyError> {
        if problem.space.parameter_count() > 2 {
            return Err(StrategyError::Unsupported(format!(
                "{} parameters are too many",
                problem.space.parameter_count()
            )));
        }
        // the host's generator has the traits of another rand: its first point is the seed
        let first = problem.space.sample(&mut rng).and_then(|point| point.get(0)).unwrap_or_default();
        let generator = SmallRng::seed_from_u64(first.to_bits());
        Ok(Self { problem: problem.clone(), generator, told: Vec::new() })
    }

    fn ask(&mut self, count: usize, _: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let mut suggestions = Vec::new();
        for _ in 0..count {
            let parameters = self.problem.space.parameters();
            let share = |domain: &ansatz_core::space::Domain, share: f64| {
                domain.lower() + share * (domain.upper() - domain.lower())
            };
            let coordinates: Vec<f64> = parameters
                .iter()
                .map(|parameter| share(&parameter.domain, self.generator.random()))
                .collect();
            suggestions.push(Suggestion::new(self.problem.space.assemble(coordinates)));
        }
        Ok(suggestions)
    }

    fn tell(&mut self, observations: &[Observation]) -> Result<(), StrategyError> {
        self.told.extend(observations.iter().map(|_| 1));
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        Ok(Some(self.told.clone()))
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        self.told = state.to_vec();
        Ok(())
    }
}

/// Options of the objective.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "ansatz_core::serde", deny_unknown_fields)]
#[schemars(crate = "ansatz_core::schemars")]
struct Options {
    /// Each how many trials one fails, one is infeasible and one panics.
    every: u64,
}

/// The sum of the coordinates.
struct Sum {
    options: Options,
}

impl Objective for Sum {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "com.acme.sum",
        summary: "the sum of the coordinates, with failures",
        capabilities: &[],
    };
    type Options = Options;

    fn new(_: &Problem, options: Options, _: &Surroundings) -> Result<Self, ObjectiveError> {
        Ok(Self { options })
    }

    fn evaluate(&self, point: &Point, context: &mut Context<'_>) -> Result<Measurement, EvaluationError> {
        let trial = context.assignment.trial.0;
        match trial % self.options.every.max(4) {
            1 => Err(EvaluationError::Failed(format!("trial {trial} is one of those that fail"))),
            2 => Err(EvaluationError::Infeasible(format!("trial {trial} is one of those that cannot be"))),
            3 => panic!("trial {trial} is one of those that panic"),
            _ => Ok(Measurement::new().with("value", point.coordinates().flatten().sum())),
        }
    }
}

ansatz_core::export_plugin! { strategies: [Shuffle], objectives: [Sum] }
