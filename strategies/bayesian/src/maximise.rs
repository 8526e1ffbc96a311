//! The acquisition maximiser: candidates everywhere and around the best points, climbs from some of them.
//!
//! Every value that counts is that of a point which decodes, lies in the space and satisfies its constraints; only within
//! a climb are long discrete columns taken as continuous.

use std::collections::HashSet;

use ansatz_core::Point;
use ansatz_core::rng::Rng;
use ansatz_sampling::Sobol;
use ansatz_surrogate::{OptimiseOptions, minimise};
use rand::RngExt;

use crate::acquisition::AcquisitionFunction;
use crate::options::Options;
use crate::representation::{Representation, Search};

/// Finite spaces up to this size are searched completely.
const COMPLETE_COUNT_MAX: u64 = 2048;
/// Finite spaces up to this size are walked through when chance finds nothing new.
const WALK_COUNT_MAX: u64 = 1 << 20;
/// Random draws before that.
const DRAW_COUNT_MAX: usize = 200;
/// Points nearer than this in every coordinate of the cube are the same.
const SAME_DISTANCE: f64 = 1e-7;
/// Squared distance, in length scales, between the starts that are taken from the top.
const START_SQUARED_DISTANCE_MIN: f64 = 0.01;
/// Rounds of gradient climb and discrete moves.
const ROUND_COUNT_MAX: usize = 3;
/// Climbs that are taken to their ends.
const FINISH_COUNT: usize = 4;
/// How far all others go.
const APPROACH: OptimiseOptions = OptimiseOptions {
    iteration_count_max: 16,
    gradient_tolerance: 1e-3,
    value_tolerance: 1e-5,
    first_step_max: 0.3,
};
/// Choices of one categorical parameter that a climb tries at most.
const CHOICE_COUNT_MAX: u64 = 64;

/// A point with its features.
#[derive(Clone, Debug)]
struct Candidate {
    point: Point,
    features: Vec<f64>,
}

/// Points that must not be proposed again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    points: HashSet<Point>,
    features: Vec<Vec<f64>>,
}

impl Seen {
    pub(crate) fn insert(&mut self, representation: &Representation, point: &Point) {
        if self.points.insert(point.clone()) {
            self.features.push(representation.features(point));
        }
    }

    pub(crate) fn contains(&self, point: &Point) -> bool {
        self.points.contains(point)
    }

    fn contains_nearly(&self, candidate: &Candidate) -> bool {
        let same =
            |row: &Vec<f64>| row.iter().zip(&candidate.features).all(|(a, b)| (a - b).abs() < SAME_DISTANCE);
        self.points.contains(&candidate.point) || self.features.iter().any(same)
    }
}

/// One search for the best point to ask.
pub(crate) struct Maximiser<'a> {
    pub(crate) representation: &'a Representation,
    pub(crate) acquisition: &'a dyn AcquisitionFunction,
    pub(crate) options: &'a Options,
    pub(crate) seen: &'a Seen,
    pub(crate) rng: &'a mut Rng,
}

impl Maximiser<'_> {
    /// The best new point found, or `None` if everything found was seen before.
    pub(crate) fn propose(mut self) -> Option<Point> {
        let complete =
            self.representation.combination_count().is_some_and(|count| count <= COMPLETE_COUNT_MAX);
        let candidates = if complete { self.all_points() } else { self.candidates() };
        if candidates.is_empty() {
            return None;
        }
        let rows: Vec<Vec<f64>> = candidates.iter().map(|candidate| candidate.features.clone()).collect();
        let values = self.acquisition.acquisition_batch(&rows);
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]).then(a.cmp(b)));
        if !complete {
            let mut climbed: Vec<(f64, Candidate)> = self
                .starts(&candidates, &values, &order)
                .into_iter()
                .map(|start| self.climb(start, &APPROACH))
                .collect();
            climbed.sort_by(|a, b| b.0.total_cmp(&a.0));
            self.finish(&mut climbed);
            climbed.sort_by(|a, b| b.0.total_cmp(&a.0));
            if let Some((_, best)) = climbed.into_iter().find(|(_, found)| !self.seen.contains_nearly(found))
            {
                return Some(best.point);
            }
        }
        let best = order.into_iter().find(|index| !self.seen.contains_nearly(&candidates[*index]))?;
        candidates.into_iter().nth(best).map(|candidate| candidate.point)
    }

    fn candidate(&self, point: Point) -> Candidate {
        Candidate { features: self.representation.features(&point), point }
    }

    /// Everything new in a small finite space.
    fn all_points(&self) -> Vec<Candidate> {
        let mut known = HashSet::new();
        (0..self.representation.combination_count().unwrap_or(0))
            .map(|index| self.representation.combination(index))
            .filter(|point| self.representation.space().is_feasible(point) && !self.seen.contains(point))
            .filter(|point| known.insert(point.clone()))
            .map(|point| self.candidate(point))
            .collect()
    }

    /// Sobol points and perturbations of the best points, all feasible.
    fn candidates(&mut self) -> Vec<Candidate> {
        let encoding = self.representation.encoding();
        let space = self.representation.space();
        let wanted = self.options.candidate_count;
        let sequence = Sobol::new(encoding.column_count(), self.rng.random());
        let mut row = vec![0.0; encoding.column_count()];
        let mut points = Vec::with_capacity(wanted + self.options.perturbation_count);
        let mut infeasible = Vec::new();
        for index in 0..4 * wanted as u64 {
            if points.len() == wanted {
                break;
            }
            sequence.fill(index, &mut row);
            let point = encoding.decode(&row);
            if space.is_feasible(&point) {
                points.push(point);
            } else {
                infeasible.push(point);
            }
        }
        // Where constraints leave little room: what chance did not find is repaired.
        for point in infeasible.into_iter().take(wanted.saturating_sub(4 * points.len())) {
            points.extend(space.repair(&point, self.rng));
        }
        let centres: Vec<Point> = self.acquisition.centres().into_iter().cloned().collect();
        for index in 0..self.options.perturbation_count {
            if let Some(centre) = centres.get(index % centres.len().max(1)) {
                let point = self.perturb(centre);
                points.extend(space.repair(&point, self.rng));
            }
        }
        points.into_iter().map(|point| self.candidate(point)).collect()
    }

    /// A point near another: steps of a random size, half of the time along about three columns only.
    fn perturb(&mut self, centre: &Point) -> Point {
        let encoding = self.representation.encoding();
        let mut row = encoding.encode(centre);
        let movable: Vec<usize> = (0..row.len())
            .filter(|column| self.representation.searches()[*column] != Search::Fixed)
            .collect();
        let active = encoding.activity(centre);
        // What a change of a parent may bring in has no value to stay near to.
        for column in 0..row.len() {
            if !active[column] {
                row[column] = self.rng.random();
            }
        }
        let scale = libm::pow(10.0, -0.5 - 2.5 * self.rng.random::<f64>());
        let all = self.rng.random::<bool>();
        let probability = if all { 1.0 } else { (3.0 / movable.len().max(1) as f64).min(1.0) };
        let forced = if movable.is_empty() { None } else { Some(self.rng.random_range(0..movable.len())) };
        for (position, column) in movable.into_iter().enumerate() {
            if !(Some(position) == forced || self.rng.random::<f64>() < probability) {
                continue;
            }
            match encoding.columns()[column].kind {
                ansatz_core::space::ColumnKind::Index { .. } => {
                    if self.rng.random::<f64>() < 0.4 {
                        row[column] = self.rng.random();
                    }
                }
                ansatz_core::space::ColumnKind::Discrete { level_count } => {
                    row[column] += scale.max(1.0 / level_count as f64) * self.normal();
                }
                _ => row[column] += scale * self.normal(),
            }
        }
        encoding.decode(&row)
    }

    /// Standard normal (Box and Muller 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.rng.random::<f64>())).sqrt();
        radius * libm::cos(2.0 * std::f64::consts::PI * self.rng.random::<f64>())
    }

    /// Where to climb from: the best candidates at some distance from each other, others by chance with a bias to
    /// the good, and the best observed point.
    fn starts(&mut self, candidates: &[Candidate], values: &[f64], order: &[usize]) -> Vec<Candidate> {
        let count = self.options.start_count;
        let mut starts: Vec<Candidate> = Vec::with_capacity(count + 1);
        for index in order {
            if starts.len() >= count.div_ceil(2) {
                break;
            }
            let candidate = &candidates[*index];
            let far = |start: &Candidate| {
                self.acquisition.squared_distance(&start.features, &candidate.features)
                    > START_SQUARED_DISTANCE_MIN
            };
            if starts.iter().all(far) {
                starts.push(candidate.clone());
            }
        }
        let top = order.first().map_or(0.0, |index| values[*index]);
        for _ in 0..40 * count {
            if starts.len() >= count {
                break;
            }
            let place = self.rng.random::<f64>() * self.rng.random::<f64>() * order.len() as f64;
            let index = order[(place as usize).min(order.len() - 1)];
            if self.rng.random::<f64>() < libm::exp((values[index] - top) / 4.0).max(0.02) {
                starts.push(candidates[index].clone());
            }
        }
        starts.extend(self.acquisition.centres().first().map(|point| self.candidate((*point).clone())));
        starts
    }

    /// Takes the best climbs to their ends, one for each maximum that they approach: most approach the same few.
    fn finish(&self, climbed: &mut [(f64, Candidate)]) {
        let mut finished: Vec<Vec<f64>> = Vec::with_capacity(FINISH_COUNT);
        for (value, candidate) in climbed {
            if finished.len() == FINISH_COUNT {
                break;
            }
            let far = |other: &Vec<f64>| {
                self.acquisition.squared_distance(other, &candidate.features) > START_SQUARED_DISTANCE_MIN
            };
            if finished.iter().all(far) {
                finished.push(candidate.features.clone());
                (*value, *candidate) = self.climb(candidate.clone(), &OptimiseOptions::default());
            }
        }
    }

    /// A local maximum near the start, with its value.
    fn climb(&self, start: Candidate, options: &OptimiseOptions) -> (f64, Candidate) {
        let mut value = self.acquisition.acquisition(&start.features);
        let mut current = start;
        let has_levels = self
            .representation
            .searches()
            .iter()
            .any(|search| matches!(search, Search::Levels(_) | Search::RoundedGradient(_)));
        for _ in 0..if has_levels { ROUND_COUNT_MAX } else { 1 } {
            let before = value;
            self.climb_gradient(&mut current, &mut value, options);
            if has_levels {
                self.climb_levels(&mut current, &mut value);
            }
            if value <= before + 1e-9 {
                break;
            }
        }
        (value, current)
    }

    /// Projected L-BFGS over the active columns with a gradient, each in units of its length scale.
    fn climb_gradient(&self, current: &mut Candidate, value: &mut f64, options: &OptimiseOptions) {
        let encoding = self.representation.encoding();
        let active = encoding.activity(&current.point);
        let length_scales = self.acquisition.length_scales();
        let variables: Vec<(usize, usize, f64)> = (0..encoding.column_count())
            .filter(|column| {
                active[*column]
                    && matches!(
                        self.representation.searches()[*column],
                        Search::Gradient | Search::RoundedGradient(_)
                    )
            })
            .filter_map(|column| {
                let feature = self.representation.feature_of(column)?;
                Some((column, feature, length_scales[feature].clamp(1e-3, 2.0)))
            })
            .collect();
        if variables.is_empty() {
            return;
        }
        let start: Vec<f64> =
            variables.iter().map(|(_, feature, unit)| current.features[*feature] / unit).collect();
        let lower = vec![0.0; variables.len()];
        let upper: Vec<f64> = variables.iter().map(|(_, _, unit)| 1.0 / unit).collect();
        let mut features = current.features.clone();
        let mut feature_gradient = vec![0.0; features.len()];
        let objective = |scaled: &[f64], gradient: &mut [f64]| {
            for ((_, feature, unit), coordinate) in variables.iter().zip(scaled) {
                features[*feature] = coordinate * unit;
            }
            let value = self.acquisition.acquisition_with_gradient(&features, &mut feature_gradient);
            for ((_, feature, unit), slope) in variables.iter().zip(gradient) {
                *slope = -feature_gradient[*feature] * unit;
            }
            -value
        };
        let found = minimise(objective, &start, &lower, &upper, options);
        let row = encoding.encode(&current.point);
        // A straight way back towards the start leads into the feasible region.
        let mut share = 1.0;
        for _ in 0..12 {
            let mut moved = row.clone();
            for (((column, _, unit), to), from) in variables.iter().zip(&found.point).zip(&start) {
                moved[*column] = (from + share * (to - from)) * unit;
            }
            let point = encoding.decode(&moved);
            if self.representation.space().is_feasible(&point) {
                self.accept_better(point, current, value);
                return;
            }
            share *= 0.6;
        }
    }

    /// Takes a point if it is better.
    fn accept_better(&self, point: Point, current: &mut Candidate, value: &mut f64) {
        let candidate = self.candidate(point);
        let found = self.acquisition.acquisition(&candidate.features);
        if found > *value {
            *current = candidate;
            *value = found;
        }
    }

    /// Coordinate search over levels and choices.
    fn climb_levels(&self, current: &mut Candidate, value: &mut f64) {
        let encoding = self.representation.encoding();
        for (column, search) in self.representation.searches().iter().enumerate() {
            if !current.point.is_active(encoding.columns()[column].parameter_index) {
                continue;
            }
            let row = encoding.encode(&current.point);
            let (count, levels): (u64, Vec<u64>) = match *search {
                Search::Levels(count) => (count, (0..count.min(CHOICE_COUNT_MAX)).collect()),
                Search::RoundedGradient(count) => {
                    let here = ((row[column] * count as f64) as u64).min(count - 1);
                    let steps = [1, 2, 5];
                    let below = steps.iter().filter_map(|step| here.checked_sub(*step));
                    let above = steps.iter().map(|step| here + step).filter(|level| *level < count);
                    (count, below.chain(above).collect())
                }
                Search::Gradient | Search::Fixed => continue,
            };
            for level in levels {
                let mut moved = row.clone();
                moved[column] = (level as f64 + 0.5) / count as f64;
                let point = encoding.decode(&moved);
                if point != current.point && self.representation.space().is_feasible(&point) {
                    self.accept_better(point, current, value);
                }
            }
        }
    }
}

/// A feasible point that was not seen, without a model. Where chance finds none, a finite space is walked through;
/// `None` if it is used up.
pub(crate) fn draw_unseen(representation: &Representation, seen: &Seen, rng: &mut Rng) -> Option<Point> {
    let space = representation.space();
    for _ in 0..DRAW_COUNT_MAX {
        if let Some(point) = space.sample(rng).filter(|point| !seen.contains(point)) {
            return Some(point);
        }
    }
    let count = representation.combination_count().filter(|count| *count <= WALK_COUNT_MAX)?;
    let first = rng.random_range(0..count.max(1));
    (0..count)
        .map(|offset| representation.combination((first + offset) % count))
        .find(|point| space.is_feasible(point) && !seen.contains(point))
}
