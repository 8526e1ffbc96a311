//! Every value as likely as any other: a strategy by somebody who has never seen the host's source.

#![forbid(unsafe_code)]

use ansatz_core::rng::Rng;
use ansatz_core::{
    Capability, Descriptor, NoOptions, Observation, Pending, Problem, Strategy, StrategyError, Suggestion,
};

struct Dice {
    problem: Problem,
    rng: Rng,
}

impl Strategy for Dice {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "com.acme.dice",
        summary: "every value as likely as any other",
        capabilities: &Capability::ANY_SPACE,
    };
    type Options = NoOptions;

    fn new(problem: &Problem, _: NoOptions, rng: Rng) -> Result<Self, StrategyError> {
        Ok(Self { problem: problem.clone(), rng })
    }

    fn ask(&mut self, count: usize, _: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let roll = |_| self.problem.space.sample(&mut self.rng);
        Ok((0..count).filter_map(roll).map(Suggestion::new).collect())
    }

    fn tell(&mut self, _: &[Observation]) -> Result<(), StrategyError> {
        Ok(())
    }
}

ansatz_core::export_plugin! { strategies: [Dice] }
