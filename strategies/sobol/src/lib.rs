//! Scrambled Sobol points: they fill the space more evenly than random ones, for any number of trials.
//!
//! One column of the sequence per parameter, decoded by the shared encoding. The sequence itself is in
//! `ansatz-sampling`; nothing is remembered of what was told.

#![forbid(unsafe_code)]

use ansatz_core::rng::Rng;
use ansatz_core::space::{CategoricalForm, Encoding};
use ansatz_core::strategy::{decode_state, encode_state};
use ansatz_core::{
    Capability, Descriptor, Observation, Pending, Point, Problem, Strategy, StrategyError, Suggestion,
};
use ansatz_sampling::Sobol as Sequence;
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Infeasible rows that are skipped in a row before one is repaired.
const SKIP_MAX: usize = 1_000;
/// Rows that are tried for repair before the constraints are taken to contradict each other.
const REPAIR_MAX: usize = 50;

/// Options of the strategy `sobol`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How many rows at the beginning of the sequence to leave out. Two studies with the same seed, of which
    /// one skips what the other used, fill the space together. Powers of two keep the balance best.
    pub skip: u64,
}

/// Walks through one scrambled sequence.
#[derive(Debug)]
pub struct Sobol {
    encoding: Encoding,
    /// Room for one row.
    row: Vec<f64>,
    state: State,
}

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    /// Which scramble.
    seed: u64,
    /// Index of the next row.
    next: u64,
    /// For repairs alone.
    rng: Rng,
}

impl Sobol {
    /// The next feasible point: infeasible rows are left out, which keeps the rest evenly spread; where the
    /// constraints leave so little room that this does not get on, rows are repaired.
    fn next_point(&mut self) -> Option<Point> {
        for row_count in 0..SKIP_MAX + REPAIR_MAX {
            Sequence::new(self.row.len(), self.state.seed).fill(self.state.next, &mut self.row);
            let point = self.encoding.decode(&self.row);
            self.state.next = self.state.next.wrapping_add(1);
            let space = self.encoding.space();
            if space.is_feasible(&point) {
                return Some(point);
            }
            if row_count >= SKIP_MAX
                && let Some(point) = space.repair(&point, &mut self.state.rng)
            {
                return Some(point);
            }
        }
        None
    }
}

impl Strategy for Sobol {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "sobol",
        summary: "scrambled Sobol points (Owen 1998, Burley 2020)",
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

    type Options = Options;

    fn new(problem: &Problem, options: Options, mut rng: Rng) -> Result<Self, StrategyError> {
        let state = State { seed: rng.random(), next: options.skip, rng };
        let encoding = Encoding::new(&problem.space, CategoricalForm::Index);
        Ok(Self { row: vec![0.0; encoding.column_count()], encoding, state })
    }

    fn ask(&mut self, count: usize, _: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let mut suggestions = Vec::with_capacity(count);
        for _ in 0..count {
            match self.next_point() {
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
        encode_state(&self.state).map(Some)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        self.state = decode_state(state)?;
        Ok(())
    }
}

ansatz_core::export_plugin! { strategies: [Sobol] }

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::space::{Condition, Constraint, Parameter};
    use ansatz_core::{Goal, Metric, Space};

    fn problem(space: &Space) -> Problem {
        Problem::new(space.clone(), vec![Metric { name: "loss".into(), goal: Goal::Minimise }])
    }

    fn strategy(space: &Space, skip: u64, seed: u64) -> Sobol {
        Sobol::new(&problem(space), Options { skip }, Rng::new(seed)).unwrap()
    }

    fn points(strategy: &mut Sobol, count: usize) -> Vec<Point> {
        let suggestions = strategy.ask(count, &Pending::NONE).unwrap();
        suggestions.into_iter().map(|suggestion| suggestion.point).collect()
    }

    fn mixed_space(constraints: &[&str]) -> Space {
        let network = || Condition::equals("model", "network");
        Space::new(
            vec![
                Parameter::categorical("model", ["linear", "network"]),
                Parameter::float("rate", 1e-5, 1.0).log().when(network()),
                Parameter::int("layers", 1, 8).when(network()),
                Parameter::ordinal("batch_size", [16_i64, 32, 64, 128]),
                Parameter::bool("bias"),
                Parameter::float("a", 0.0, 1.0),
                Parameter::float("b", 0.0, 1.0),
            ],
            constraints.iter().map(|text| Constraint::parse(text).unwrap()).collect(),
        )
        .unwrap()
    }

    #[test]
    fn the_first_powers_of_two_are_balanced_in_every_parameter() {
        let space = mixed_space(&[]);
        for seed in 0..10 {
            let points = points(&mut strategy(&space, 0, seed), 64);
            for (index, parameter) in space.parameters().iter().enumerate() {
                let cell_count = parameter.domain.value_count().unwrap_or(64);
                let mut counts = vec![0; cell_count as usize];
                let active: Vec<f64> = points.iter().filter_map(|point| point.get(index)).collect();
                for coordinate in &active {
                    let cell = parameter.domain.to_unit(*coordinate) * cell_count as f64;
                    counts[(cell as usize).min(cell_count as usize - 1)] += 1;
                }
                if parameter.conditions.is_empty() {
                    let expected = 64 / cell_count;
                    assert!(counts.iter().all(|&count| count == expected), "{}: {counts:?}", parameter.name);
                } else {
                    assert_eq!(active.len(), 32, "{}: half of the points are networks", parameter.name);
                }
            }
        }
    }

    #[test]
    fn every_point_satisfies_the_constraints_even_where_few_rows_do() {
        let slivers = ["a + b <= 1e-7", "a - b >= 0.999999"];
        for constraints in [&["a + b <= 0.2"][..], &["a < b"], &slivers[..1], &slivers[1..]] {
            let space = mixed_space(constraints);
            let points = points(&mut strategy(&space, 0, 4), 40);
            assert_eq!(points.len(), 40, "{constraints:?}");
            for point in &points {
                assert_eq!(space.check(point), Ok(()), "{constraints:?}");
            }
        }
    }

    #[test]
    fn infeasible_rows_are_left_out_and_the_others_kept() {
        let all = points(&mut strategy(&mixed_space(&[]), 0, 5), 200);
        let space = mixed_space(&["a + b <= 1"]);
        let expected: Vec<Point> = all.into_iter().filter(|point| space.is_feasible(point)).collect();
        assert_eq!(points(&mut strategy(&space, 0, 5), expected.len()), expected);
    }

    #[test]
    fn skipping_continues_another_study_and_the_seed_decides() {
        let space = mixed_space(&[]);
        let all = points(&mut strategy(&space, 0, 6), 96);
        assert_eq!(points(&mut strategy(&space, 64, 6), 32), all[64..]);
        assert_ne!(points(&mut strategy(&space, 0, 7), 96), all);
        let mut one_by_one = strategy(&space, 0, 6);
        let single: Vec<Point> = (0..96).flat_map(|_| points(&mut one_by_one, 1)).collect();
        assert_eq!(single, all);
        // Nothing breaks at the end of the counter.
        assert_eq!(points(&mut strategy(&space, u64::MAX, 6), 2)[1], all[0]);
    }

    #[test]
    fn a_restored_strategy_goes_on_where_it_was() {
        let space = mixed_space(&["a + b <= 1e-7"]);
        let mut original = strategy(&space, 0, 3);
        points(&mut original, 5);
        let state = original.snapshot().unwrap().unwrap();
        let mut restored = strategy(&space, 11, 999);
        restored.restore(&state).unwrap();
        assert_eq!(points(&mut restored, 10), points(&mut original, 10));
        assert!(matches!(restored.restore(b"nonsense"), Err(StrategyError::Invalid(_))));
    }

    #[test]
    fn constraints_without_a_solution_are_an_error_that_says_so() {
        let error = strategy(&mixed_space(&["a + b <= -1"]), 0, 1).ask(1, &Pending::NONE).unwrap_err();
        assert!(
            matches!(&error, StrategyError::Invalid(message) if message.contains("constraints")),
            "{error:?}"
        );
    }

    #[test]
    fn options_are_read_strictly() {
        assert_eq!(serde_json::from_str::<Options>("{}").unwrap(), Options { skip: 0 });
        assert_eq!(serde_json::from_str::<Options>(r#"{"skip": 8}"#).unwrap(), Options { skip: 8 });
        assert!(serde_json::from_str::<Options>(r#"{"skp": 8}"#).is_err());
        assert!(serde_json::from_str::<Options>(r#"{"skip": -1}"#).is_err());
    }
}
