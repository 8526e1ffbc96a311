//! Uniform random search: independent points, uniform in the unit cube of the space.
//!
//! The baseline of every comparison, and a good choice when evaluations are cheap, many and parallel. Sampling
//! under constraints is the space's own service; nothing is remembered of what was told.
//!
//! Source: Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization".

#![forbid(unsafe_code)]

use ansatz_core::rng::Rng;
use ansatz_core::strategy::{decode_state, encode_state};
use ansatz_core::{
    Capability, Descriptor, NoOptions, Observation, Pending, Problem, Space, Strategy, StrategyError,
    Suggestion,
};

/// Draws every point by itself. Its whole state is the generator.
#[derive(Debug)]
pub struct Random {
    space: Space,
    rng: Rng,
}

impl Strategy for Random {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "random",
        summary: "uniform random search (Bergstra and Bengio 2012)",
        capabilities: &[
            Capability::Float,
            Capability::Int,
            Capability::Categorical,
            Capability::Ordinal,
            Capability::Conditional,
            Capability::Constraints,
            Capability::MultiObjective,
            Capability::OutcomeConstraints,
            Capability::Pending,
            Capability::Snapshot,
        ],
    };

    type Options = NoOptions;

    fn new(problem: &Problem, _: NoOptions, rng: Rng) -> Result<Self, StrategyError> {
        Ok(Self { space: problem.space.clone(), rng })
    }

    fn ask(&mut self, count: usize, _: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let mut suggestions = Vec::with_capacity(count);
        for _ in 0..count {
            match self.space.sample(&mut self.rng) {
                Some(point) => suggestions.push(Suggestion::new(point)),
                None => break,
            }
        }
        if suggestions.is_empty() && count > 0 {
            return Err(StrategyError::no_feasible_point());
        }
        Ok(suggestions)
    }

    fn tell(&mut self, _: &[Observation]) -> Result<(), StrategyError> {
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        encode_state(&self.rng).map(Some)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        self.rng = decode_state(state)?;
        Ok(())
    }
}

ansatz_core::export_plugin! { strategies: [Random] }

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::space::{Condition, Constraint, Parameter};
    use ansatz_core::{Goal, Metric, Point};

    fn problem(space: Space) -> Problem {
        Problem::new(space, vec![Metric { name: "loss".into(), goal: Goal::Minimise }])
    }

    fn mixed_space() -> Space {
        let network = || Condition::equals("model", "network");
        Space::new(
            vec![
                Parameter::float("penalty", 1e-6, 1e2).log(),
                Parameter::int("width", 1, 512).log(),
                Parameter::categorical("model", ["linear", "network"]),
                Parameter::ordinal("batch_size", [16_i64, 32, 64]).when(network()),
                Parameter::float("dropout", 0.0, 0.9).when(network()),
                Parameter::bool("bias"),
                Parameter::float("a", 0.0, 1.0),
                Parameter::float("b", 0.0, 1.0),
            ],
            vec![
                Constraint::parse("a + 2*b <= 1").unwrap(),
                Constraint::Forbidden(vec![network(), Condition::equals("bias", false)]),
            ],
        )
        .unwrap()
    }

    fn strategy(space: &Space, seed: u64) -> Random {
        Random::new(&problem(space.clone()), NoOptions {}, Rng::new(seed)).unwrap()
    }

    fn points(strategy: &mut Random, count: usize) -> Vec<Point> {
        let suggestions = strategy.ask(count, &Pending::NONE).unwrap();
        suggestions.into_iter().map(|suggestion| suggestion.point).collect()
    }

    #[test]
    fn every_point_lies_in_the_space_and_both_branches_occur() {
        let space = mixed_space();
        let points = points(&mut strategy(&space, 1), 2_000);
        assert_eq!(points.len(), 2_000);
        for point in &points {
            assert_eq!(space.check(point), Ok(()));
        }
        let dropout = space.index_of("dropout").unwrap();
        let active = points.iter().filter(|point| point.is_active(dropout)).count();
        // A third of the feasible volume: network with bias against linear with either. Five deviations.
        assert!((active as f64 - 2_000.0 / 3.0).abs() < 5.0 * (2_000.0_f64 * 2.0 / 9.0).sqrt(), "{active}");
    }

    #[test]
    fn points_are_uniform_on_each_parameters_own_scale() {
        let space = Space::of(vec![
            Parameter::float("plain", -3.0, 5.0),
            Parameter::float("log", 1e-4, 1e4).log(),
            Parameter::int("int", 0, 9),
        ])
        .unwrap();
        let points = points(&mut strategy(&space, 2), 10_000);
        for (index, parameter) in space.parameters().iter().enumerate() {
            let mut counts = [0_u32; 10];
            for point in &points {
                let unit = parameter.domain.to_unit(point.get(index).unwrap());
                counts[((unit * 10.0) as usize).min(9)] += 1;
            }
            // The 99.99 % quantile of chi-square with 9 degrees of freedom.
            let chi_square: f64 = counts.iter().map(|&count| (f64::from(count) - 1e3).powi(2) / 1e3).sum();
            assert!(chi_square < 33.7, "{}: {counts:?}", parameter.name);
        }
    }

    #[test]
    fn the_seed_alone_decides_however_many_are_asked_at_once() {
        let space = mixed_space();
        let together = points(&mut strategy(&space, 7), 60);
        let mut one_by_one = strategy(&space, 7);
        let single: Vec<Point> = (0..60).flat_map(|_| points(&mut one_by_one, 1)).collect();
        assert_eq!(together, single);
        assert_ne!(together, points(&mut strategy(&space, 8), 60));
        assert!(points(&mut one_by_one, 0).is_empty());
    }

    #[test]
    fn a_restored_strategy_goes_on_where_it_was() {
        let space = mixed_space();
        let mut original = strategy(&space, 3);
        points(&mut original, 17);
        let state = original.snapshot().unwrap().unwrap();
        let mut restored = strategy(&space, 999);
        restored.restore(&state).unwrap();
        assert_eq!(points(&mut restored, 50), points(&mut original, 50));
        assert!(matches!(restored.restore(b"nonsense"), Err(StrategyError::Invalid(_))));
    }

    #[test]
    fn constraints_without_a_solution_are_an_error_that_says_so() {
        let parameters = vec![Parameter::float("a", 0.0, 1.0), Parameter::float("b", 0.0, 1.0)];
        let constraints = vec![Constraint::parse("a + b <= -1").unwrap()];
        let space = Space::new(parameters, constraints).unwrap();
        let error = strategy(&space, 1).ask(1, &Pending::NONE).unwrap_err();
        assert!(
            matches!(&error, StrategyError::Invalid(message) if message.contains("constraints")),
            "{error:?}"
        );
    }
}
