//! Tree-structured Parzen estimators, for one loss or several over mixed, conditional and constrained spaces.
//!
//! Scrambled Sobol points come first. Then the trials are ranked (`ranking`), the best are good, and each group of parameters
//! that are active together gets two densities (`model`): of its good trials and of the others, those under way among them.
//! Candidates are drawn from the good densities, and the one whose ratio of the two is largest is asked (`proposal`). The
//! README has sources and options.
#![forbid(unsafe_code)]

mod axis;
mod bandwidth;
mod estimator;
mod exponential;
mod groups;
mod history;
mod kernel;
mod memory;
mod model;
mod options;
mod proposal;
mod ranking;
mod spread;
#[cfg(test)]
mod tests;

pub use options::Options;

use std::collections::HashSet;

use ansatz_core::rng::Rng;
use ansatz_core::space::{CategoricalForm, Encoding};
use ansatz_core::strategy::{decode_state, encode_state};
use ansatz_core::{
    Capability, Descriptor, Observation, Pending, Point, Problem, Strategy, StrategyError, Suggestion,
};
use ansatz_sampling::Sobol;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use groups::{Group, groups};
use history::{Lesson, Told};
use memory::Memory;
use model::Densities;
use proposal::{Search, Seen};

/// The strategy `tpe`.
#[derive(Debug)]
pub struct Tpe {
    encoding: Encoding,
    groups: Vec<Group>,
    options: Options,
    metric_count: usize,
    /// Fidelities from here on are full evaluations.
    full_fidelity: Option<f64>,
    state: State,
    memory: Memory,
}

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    rng: Rng,
    /// Scramble of the initial design.
    design_seed: u64,
    /// Its next row.
    design_next: u64,
    told: Vec<Told>,
}

/// Trials without a result.
#[derive(Debug, Default)]
struct Unfinished {
    points: HashSet<Point>,
    /// Oldest first, each with its row of the encoding.
    rows: Vec<(Point, Vec<f64>)>,
}

impl Unfinished {
    fn push(&mut self, encoding: &Encoding, point: Point) {
        self.rows.push((point.clone(), encoding.encode(&point)));
        self.points.insert(point);
    }
}

impl Tpe {
    /// One new point, given those that have no result yet.
    fn next_point(&mut self, unfinished: &Unfinished) -> Option<Point> {
        let known_count = self.state.told.len() + unfinished.rows.len();
        let is_judged = |told: &Told| !matches!(told.lesson, Lesson::Bad);
        if known_count < self.options.initial_count || !self.state.told.iter().any(is_judged) {
            return self.design_point(unfinished);
        }
        let densities: Vec<Densities> = self
            .groups
            .iter()
            .enumerate()
            .map(|(index, group)| self.densities(index, group, unfinished))
            .collect();
        let search = Search {
            encoding: &self.encoding,
            groups: &self.groups,
            densities: &densities,
            seen: Seen { told: &self.memory.points, unfinished: &unfinished.points },
            candidate_count: self.options.candidate_count,
        };
        search.propose(&mut self.state.rng)
    }

    /// The next new feasible row of the initial design, or anything new.
    fn design_point(&mut self, unfinished: &Unfinished) -> Option<Point> {
        let seen = Seen { told: &self.memory.points, unfinished: &unfinished.points };
        let sequence = Sobol::new(self.encoding.column_count(), self.state.design_seed);
        let new =
            |row: &[f64]| Some(self.encoding.decode(row)).filter(|point| seen.leaves(&self.encoding, point));
        let found = sequence.first_of(&mut self.state.design_next, new);
        found.or_else(|| seen.draw(self.encoding.space(), &mut self.state.rng))
    }

    fn densities(&self, index: usize, group: &Group, unfinished: &Unfinished) -> Densities {
        let ranking = &self.memory.rankings[index];
        let active: Vec<&[f64]> = unfinished
            .rows
            .iter()
            .filter(|(point, _)| point.is_active(group.parameters[0]))
            .map(|(_, row)| row.as_slice())
            .collect();
        let good_count = self.options.good_count(ranking.len());
        Densities::new(group, ranking, &self.state.told, &self.memory.rows, good_count, &active)
    }
}

impl Strategy for Tpe {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "tpe",
        summary: "tree-structured Parzen estimators with product kernels for each group of parameters; several losses by \
                  domination and hypervolume (Bergstra et al. 2011, Falkner et al. 2018, Watanabe 2023)",
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
        options.check()?;
        let encoding = Encoding::new(&problem.space, CategoricalForm::Index);
        let groups = groups(&encoding);
        let state = State { design_seed: rng.random(), design_next: 0, told: Vec::new(), rng };
        Ok(Self {
            memory: Memory::new(groups.len()),
            encoding,
            groups,
            options,
            metric_count: problem.metrics.len(),
            full_fidelity: problem.fidelity.as_ref().map(|fidelity| fidelity.upper),
            state,
        })
    }

    fn ask(&mut self, count: usize, pending: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let mut unfinished = Unfinished::default();
        pending.iter().for_each(|(_, point)| unfinished.push(&self.encoding, point));
        let mut suggestions = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(point) = self.next_point(&unfinished) else { break };
            unfinished.push(&self.encoding, point.clone());
            suggestions.push(Suggestion::new(point));
        }
        if suggestions.is_empty() && count > 0 {
            if self.state.told.is_empty() && pending.is_empty() {
                return Err(StrategyError::no_feasible_point());
            }
            return Err(StrategyError::Exhausted);
        }
        Ok(suggestions)
    }

    fn tell(&mut self, observations: &[Observation]) -> Result<(), StrategyError> {
        for observation in observations {
            let (point, lesson) = (observation.point.clone(), Lesson::new(observation, self.full_fidelity));
            let told = Told { point, lesson };
            if self.memory.points.contains(&told.point)
                && let Some(place) = self.state.told.iter().position(|before| before.gives_way(&told))
            {
                self.state.told.remove(place);
                self.memory = Memory::new(self.groups.len());
            }
            self.state.told.push(told);
        }
        self.memory.learn(&self.encoding, &self.groups, &self.state.told);
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        encode_state(&self.state).map(Some)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        let state: State = decode_state(state)?;
        let (parameter_count, metric_count) = (self.encoding.space().parameter_count(), self.metric_count);
        let fits = |told: &Told| {
            let metrics_fit = match &told.lesson {
                Lesson::Measured { losses, .. } => losses.len() == metric_count,
                Lesson::Partial { .. } | Lesson::Bad => true,
            };
            told.point.parameter_count() == parameter_count && metrics_fit
        };
        if !state.told.iter().all(fits) {
            return Err(StrategyError::Invalid("the state was saved of another problem".into()));
        }
        self.state = state;
        self.memory = Memory::new(self.groups.len());
        self.memory.learn(&self.encoding, &self.groups, &self.state.told);
        Ok(())
    }
}

ansatz_core::export_plugin! { strategies: [Tpe] }
