//! Numbers every point of a grid over a conditional space, each once, without visiting them.
//!
//! A tree of choices, parents before children, with equal subtrees shared: an inactive parameter has no node, so
//! it multiplies nothing. Each branch knows how many points lie below it; the i-th point is found by walking
//! from the root. The size depends on the parameters and their conditions, not on the number of points.

use crate::levels::Levels;
use ansatz_core::Space;
use ansatz_core::space::{Condition, Test};
use std::collections::HashMap;

/// Nodes beyond which conditions are taken to be too entangled: about 100 MB.
const NODE_COUNT_MAX: usize = 1_000_000;

/// The numbered points of a grid.
#[derive(Debug)]
pub(crate) struct Tree {
    levels: Vec<Levels>,
    nodes: Vec<Node>,
    /// The index of each parameter's place in the order of choices.
    position: Vec<usize>,
    root: Option<usize>,
    count: u128,
}

/// The choice of one active parameter.
#[derive(Debug)]
struct Node {
    parameter_index: usize,
    branches: Vec<Branch>,
}

/// Neighbouring levels that make the same parameters active, and so share everything below them.
#[derive(Debug)]
struct Branch {
    first_level: u64,
    level_count: u64,
    /// Points below each level.
    count_below: u128,
    /// `None` where nothing is left to choose.
    next: Option<usize>,
}

/// Why a grid cannot be numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TreeError {
    /// 2^128 points or more: their numbers would not fit.
    TooManyPoints,
    /// The conditions do not fit in memory.
    TooManyNodes,
}

impl Tree {
    /// The tree for one set of levels per parameter of the space.
    pub(crate) fn new(space: &Space, levels: Vec<Levels>) -> Result<Self, TreeError> {
        let order = choice_order(space);
        let mut position = vec![0; order.len()];
        for (place, &parameter_index) in order.iter().enumerate() {
            position[parameter_index] = place;
        }
        let mut builder = Builder {
            segments: segments(space, &levels),
            frontiers: frontiers(space, &order),
            space,
            levels: &levels,
            order: &order,
            nodes: Vec::new(),
            known: HashMap::new(),
            chosen: vec![f64::NAN; order.len()],
        };
        let (root, count) = builder.build(0)?;
        let nodes = builder.nodes;
        Ok(Self { levels, nodes, position, root, count })
    }

    /// How many points there are, constraints aside.
    pub(crate) fn count(&self) -> u128 {
        self.count
    }

    /// Where a parameter stands in the order of choices: points that share all choices up to it are neighbours.
    pub(crate) fn position(&self, parameter_index: usize) -> usize {
        self.position[parameter_index]
    }

    /// Writes the point with this number, below `count`, in flat form: one coordinate per parameter in space
    /// order, inactive as NaN.
    pub(crate) fn write(&self, number: u128, flat: &mut [f64]) {
        flat.fill(f64::NAN);
        self.walk(number, |parameter_index, coordinate, _| {
            flat[parameter_index] = coordinate;
            true
        });
    }

    /// The first number after `number` whose choices differ before or at `position`, in the order of choices.
    pub(crate) fn after(&self, number: u128, position: usize) -> u128 {
        let mut end = number + 1;
        self.walk(number, |parameter_index, _, numbers_left| {
            let go_on = self.position[parameter_index] <= position;
            if go_on {
                end = number + numbers_left;
            }
            go_on
        });
        end
    }

    /// Follows the choices of a number. `visit` gets parameter, coordinate, and how many numbers from this one on
    /// share the choices so far; it says whether to go on.
    fn walk(&self, mut number: u128, mut visit: impl FnMut(usize, f64, u128) -> bool) {
        let mut next = self.root;
        while let Some(index) = next {
            let node = &self.nodes[index];
            next = None;
            for branch in &node.branches {
                let size = branch.count_below * u128::from(branch.level_count);
                if number >= size {
                    number -= size;
                    continue;
                }
                let level = branch.first_level + (number / branch.count_below) as u64;
                number %= branch.count_below;
                let coordinate = self.levels[node.parameter_index].coordinate(level);
                if visit(node.parameter_index, coordinate, branch.count_below - number) {
                    next = branch.next;
                }
                break;
            }
        }
    }
}

/// All parameters, parents before children, children soon after their parents, so that few choices matter at a
/// time; and those that constraints speak of first, so that one violation rules out many points at once.
fn choice_order(space: &Space) -> Vec<usize> {
    let count = space.parameter_count();
    let mut children = vec![Vec::new(); count];
    let mut parents_left: Vec<usize> = vec![0; count];
    for (index, left) in parents_left.iter_mut().enumerate() {
        let mut parents: Vec<usize> = space.parents(index).collect();
        parents.sort_unstable();
        parents.dedup();
        *left = parents.len();
        parents.into_iter().for_each(|parent| children[parent].push(index));
    }
    let constrained = |index: &usize| {
        space.constraints().iter().any(|c| c.parameters().contains(&space.parameters()[*index].name.as_str()))
    };
    let (first, second): (Vec<usize>, Vec<usize>) =
        (0..count).filter(|&index| parents_left[index] == 0).partition(constrained);
    let mut order = Vec::with_capacity(count);
    let mut stack: Vec<usize> = first.into_iter().chain(second).rev().collect();
    while let Some(index) = stack.pop() {
        order.push(index);
        for &child in children[index].iter().rev() {
            parents_left[child] -= 1;
            if parents_left[child] == 0 {
                stack.push(child);
            }
        }
    }
    order
}

/// For each place in the order: the parameters chosen before it that a condition after it looks at.
fn frontiers(space: &Space, order: &[usize]) -> Vec<Vec<usize>> {
    let mut last_look = vec![None; order.len()];
    for (place, &index) in order.iter().enumerate() {
        space.parents(index).for_each(|parent| last_look[parent] = Some(place));
    }
    let is_open = |index: usize, place: usize| last_look[index].is_some_and(|last| last > place);
    (0..order.len())
        .map(|place| order[..place].iter().copied().filter(|&index| is_open(index, place)).collect())
        .collect()
}

/// For each parameter: its levels as runs `(first_level, level_count)` on which every condition on it is constant.
fn segments(space: &Space, levels: &[Levels]) -> Vec<Vec<(u64, u64)>> {
    let mut cuts: Vec<Vec<u64>> = levels.iter().map(|levels| vec![0, levels.count()]).collect();
    for condition in space.parameters().iter().flat_map(|parameter| &parameter.conditions) {
        if let Some(index) = space.index_of(&condition.parameter) {
            cut(condition, space, index, &levels[index], &mut cuts[index]);
        }
    }
    cuts.into_iter()
        .map(|mut cuts| {
            cuts.sort_unstable();
            cuts.dedup();
            cuts.windows(2).map(|pair| (pair[0], pair[1] - pair[0])).collect()
        })
        .collect()
}

/// Adds the levels at which a condition begins or ceases to hold.
fn cut(condition: &Condition, space: &Space, parameter_index: usize, levels: &Levels, cuts: &mut Vec<u64>) {
    let domain = &space.parameters()[parameter_index].domain;
    let mut around = |lower: f64, upper: f64| {
        cuts.push(levels.at_or_above(lower));
        cuts.push(levels.at_or_above(upper.next_up()));
    };
    let values = match &condition.test {
        Test::Equals(value) => std::slice::from_ref(value),
        Test::Among(values) => values,
        Test::Within { lower, upper } => {
            around(*lower, *upper);
            &[]
        }
    };
    for coordinate in values.iter().filter_map(|value| domain.coordinate(value)) {
        around(coordinate, coordinate);
    }
}

struct Builder<'a> {
    space: &'a Space,
    levels: &'a [Levels],
    order: &'a [usize],
    segments: Vec<Vec<(u64, u64)>>,
    frontiers: Vec<Vec<usize>>,
    nodes: Vec<Node>,
    /// By place in the order and the bits of the frontier's coordinates.
    known: HashMap<(usize, Vec<u64>), (Option<usize>, u128)>,
    /// A coordinate of the branch taken, inactive and not yet chosen as NaN.
    chosen: Vec<f64>,
}

impl Builder<'_> {
    /// The first node at or after a place in the order, given what is chosen, and the points below it.
    fn build(&mut self, mut place: usize) -> Result<(Option<usize>, u128), TreeError> {
        while place < self.order.len() && !self.space.is_active(self.order[place], &self.chosen) {
            place += 1;
        }
        let Some(&parameter_index) = self.order.get(place) else { return Ok((None, 1)) };
        let frontier = self.frontiers[place].iter().map(|&index| self.chosen[index].to_bits()).collect();
        let key = (place, frontier);
        if let Some(&known) = self.known.get(&key) {
            return Ok(known);
        }
        let mut branches: Vec<Branch> = Vec::new();
        let mut count = 0_u128;
        for segment in 0..self.segments[parameter_index].len() {
            let (first_level, level_count) = self.segments[parameter_index][segment];
            self.chosen[parameter_index] = self.levels[parameter_index].coordinate(first_level);
            let (next, count_below) = self.build(place + 1)?;
            let size = count_below.checked_mul(u128::from(level_count)).ok_or(TreeError::TooManyPoints)?;
            count = count.checked_add(size).ok_or(TreeError::TooManyPoints)?;
            branches.push(Branch { first_level, level_count, count_below, next });
        }
        self.chosen[parameter_index] = f64::NAN;
        if self.nodes.len() >= NODE_COUNT_MAX {
            return Err(TreeError::TooManyNodes);
        }
        self.nodes.push(Node { parameter_index, branches });
        let built = (Some(self.nodes.len() - 1), count);
        self.known.insert(key, built);
        Ok(built)
    }
}
