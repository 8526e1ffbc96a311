//! Grid search: every combination of chosen levels, once, and then it says that it is done.
//!
//! The grid is never held in memory: points are numbered by a tree over the conditions (`tree.rs`) and made from
//! their number, so a grid of 10^15 points starts at once and a snapshot is one number. Inactive parameters
//! multiply nothing. In shuffled order the number goes through a permutation first (`permutation.rs`).

#![forbid(unsafe_code)]

mod levels;
mod permutation;
mod tree;

use crate::levels::{Levels, RESOLUTION_MAX};
use crate::permutation::Permutation;
use crate::tree::{Tree, TreeError};
use ansatz_core::nearest::did_you_mean;
use ansatz_core::rng::Rng;
use ansatz_core::strategy::{decode_state, encode_state};
use ansatz_core::{
    Capability, Descriptor, Observation, Pending, Point, Problem, Space, Strategy, StrategyError, Suggestion,
};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Points that one ask looks at without finding a feasible one before it gives up.
const SEARCH_MAX: u64 = 5_000_000;

/// Options of the strategy `grid`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Levels of each continuous parameter, evenly spread over its scale, both bounds included.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub resolution: u32,
    /// Levels of single parameters by name, such as { learning_rate = 7 }. Discrete parameters take every value
    /// unless they are named here.
    pub resolutions: BTreeMap<String, u32>,
    /// Whether to visit the grid in a pseudo-random order, for studies that may end before the grid does.
    pub shuffle: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { resolution: 5, resolutions: BTreeMap::new(), shuffle: false }
    }
}

/// Walks through a grid.
#[derive(Debug)]
pub struct Grid {
    tree: Tree,
    rules: Vec<Rule>,
    order: Option<Permutation>,
    /// How many numbers were visited.
    visited: u128,
    /// What `order` is made from.
    key: Option<u64>,
    /// Room for one point.
    flat: Vec<f64>,
}

/// One constraint by itself.
#[derive(Debug)]
struct Rule {
    /// The space with this constraint alone.
    space: Space,
    /// Whether the constraint is broken is decided at this place of the tree's order.
    position: usize,
}

/// What a snapshot holds; 128-bit numbers as their upper and lower half.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    point_count: (u64, u64),
    visited: (u64, u64),
    key: Option<u64>,
}

impl Grid {
    /// How many points the grid has, infeasible ones included.
    pub fn point_count(&self) -> u128 {
        self.tree.count()
    }

    /// The next feasible point, looking at no more than `search_max` numbers; `None` at the end or without success.
    fn next_point(&mut self, search_max: u64) -> Option<Point> {
        for _ in 0..search_max {
            if self.visited == self.tree.count() {
                return None;
            }
            let number = self.order.map_or(self.visited, |order| order.apply(self.visited));
            self.tree.write(number, &mut self.flat);
            let point = Point::from_flat(&self.flat);
            let broken = self.rules.iter().filter(|rule| !rule.space.is_feasible(&point));
            match broken.map(|rule| rule.position).min() {
                None => {
                    self.visited += 1;
                    return Some(point);
                }
                // In order, every point with the same choices up to here breaks the same constraint.
                Some(position) if self.order.is_none() => self.visited = self.tree.after(number, position),
                Some(_) => self.visited += 1,
            }
        }
        None
    }
}

fn invalid(message: String) -> StrategyError {
    StrategyError::Invalid(message)
}

/// The levels of every parameter, in space order.
fn choose_levels(space: &Space, options: &Options) -> Result<Vec<Levels>, StrategyError> {
    let parameters = space.parameters();
    let check = |what: &str, resolution: u32| match resolution {
        1..=RESOLUTION_MAX => Ok(()),
        _ => Err(invalid(format!("{what} must lie between 1 and {RESOLUTION_MAX}, found {resolution}"))),
    };
    check("option resolution", options.resolution)?;
    for (name, &resolution) in &options.resolutions {
        if space.index_of(name).is_none() {
            let hint = did_you_mean(name, parameters.iter().map(|parameter| parameter.name.as_str()));
            return Err(invalid(format!("option resolutions: there is no parameter {name:?}{hint}")));
        }
        check(&format!("option resolutions: {name}"), resolution)?;
    }
    (parameters.iter())
        .map(|parameter| {
            let resolution = options.resolutions.get(&parameter.name).copied();
            Levels::new(&parameter.domain, resolution, options.resolution).ok_or_else(|| {
                invalid(format!(
                    "option resolutions: {} is {} and has no scale to thin out; list fewer values in the space",
                    parameter.name,
                    parameter.domain.kind()
                ))
            })
        })
        .collect()
}

impl Strategy for Grid {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "grid",
        summary: "every combination of chosen levels, in order or shuffled",
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
        let space = &problem.space;
        let tree = Tree::new(space, choose_levels(space, &options)?).map_err(|error| match error {
            TreeError::TooManyPoints => invalid(
                "the grid has more than 2^128 points; lower the resolution or search fewer parameters".into(),
            ),
            TreeError::TooManyNodes => StrategyError::Unsupported(
                "too many conditions depend on each other to number the points of a grid; use random or sobol".into(),
            ),
        })?;
        let rules = (space.constraints().iter())
            .map(|constraint| {
                let alone = Space::new(space.parameters().to_vec(), vec![constraint.clone()]);
                let places = constraint.parameters().into_iter().filter_map(|name| space.index_of(name));
                Ok(Rule {
                    space: alone.map_err(|_| invalid(format!("the constraint {constraint} does not fit")))?,
                    position: places.map(|index| tree.position(index)).max().unwrap_or(0),
                })
            })
            .collect::<Result<_, StrategyError>>()?;
        let key = options.shuffle.then(|| rng.random());
        let order = key.map(|key| Permutation::new(tree.count(), key));
        Ok(Self { tree, rules, order, visited: 0, key, flat: vec![f64::NAN; space.parameter_count()] })
    }

    fn ask(&mut self, count: usize, _: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let mut suggestions = Vec::new();
        while suggestions.len() < count {
            match self.next_point(SEARCH_MAX) {
                Some(point) => suggestions.push(Suggestion::new(point)),
                None => break,
            }
        }
        if suggestions.is_empty() && count > 0 {
            return Err(match self.visited == self.tree.count() {
                true => StrategyError::Exhausted,
                false => invalid(format!(
                    "of {SEARCH_MAX} grid points looked at, none satisfies the constraints; raise the resolution, \
                     widen the constraints, or use random or sobol"
                )),
            });
        }
        Ok(suggestions)
    }

    fn tell(&mut self, _: &[Observation]) -> Result<(), StrategyError> {
        Ok(())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        let halves = |number: u128| ((number >> 64) as u64, number as u64);
        let state =
            State { point_count: halves(self.tree.count()), visited: halves(self.visited), key: self.key };
        encode_state(&state).map(Some)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        let State { point_count, visited, key } = decode_state(state)?;
        let whole = |(upper, lower): (u64, u64)| u128::from(upper) << 64 | u128::from(lower);
        let (point_count, visited) = (whole(point_count), whole(visited));
        if point_count != self.tree.count() || visited > point_count {
            return Err(invalid(format!(
                "the state belongs to a grid of {point_count} points, this one has {}",
                self.tree.count()
            )));
        }
        self.visited = visited;
        self.key = key;
        self.order = key.map(|key| Permutation::new(point_count, key));
        Ok(())
    }
}

ansatz_core::export_plugin! { strategies: [Grid] }

#[cfg(test)]
mod tests;
