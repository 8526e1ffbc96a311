//! The acquisition maximiser: candidates everywhere and around the best points, climbs from some of them.
//!
//! Every value that counts is that of a point which decodes, lies in the space and satisfies its constraints; only within
//! a climb are long discrete columns taken as continuous.

use std::collections::HashSet;

use ansatz_core::Point;
use ansatz_core::rng::Rng;
use ansatz_sampling::{Sobol, standard_normal};
use ansatz_surrogate::{Descent, OptimiseOptions};
use rand::RngExt;

use crate::acquisition::AcquisitionFunction;
use crate::options::Options;
use crate::representation::{Representation, Search};

/// Finite spaces up to this size are searched completely.
const COMPLETE_COUNT_MAX: u64 = 2048;
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
/// The same for models of so many observations that those of fewer did the approach: eight take the time of one.
const FINISH_OF_MANY_COUNT: usize = 8;
/// How far the best go where there are so many observations that the models of fewer did the approach.
const FINISH_OF_MANY: OptimiseOptions = OptimiseOptions {
    iteration_count_max: 12,
    gradient_tolerance: 1e-3,
    value_tolerance: 1e-6,
    first_step_max: 0.1,
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
    /// The best new point found and what it is worth, or `None` if everything found was seen before.
    pub(crate) fn propose(mut self) -> Option<(Point, f64)> {
        let complete =
            self.representation.combination_count().is_some_and(|count| count <= COMPLETE_COUNT_MAX);
        let candidates = if complete { self.all_points() } else { self.candidates() };
        if candidates.is_empty() {
            return None;
        }
        let rows: Vec<&[f64]> = candidates.iter().map(|candidate| candidate.features.as_slice()).collect();
        let order: Vec<(usize, f64)> = if complete {
            let values = self.acquisition.acquisition_batch(&rows);
            let mut order: Vec<(usize, f64)> = values.into_iter().enumerate().collect();
            order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            order
        } else {
            self.rough().best_rows(&rows)
        };
        if !complete {
            let starts = self.starts(&candidates, &order);
            let mut climbed = self.climb(self.rough(), starts, &APPROACH);
            self.finish(&mut climbed);
            if let Some((value, best)) =
                climbed.into_iter().find(|(_, found)| !self.seen.contains_nearly(found))
            {
                return Some((best.point, value));
            }
        }
        let (best, value) =
            order.into_iter().find(|(index, _)| !self.seen.contains_nearly(&candidates[*index]))?;
        let candidate = candidates.into_iter().nth(best)?;
        // by models of fewer observations, if there are any, and not as exactly as others are told
        let value = if complete { value } else { self.acquisition.acquisition(&candidate.features) };
        Some((candidate.point, value))
    }

    /// What does the first part of the search.
    fn rough(&self) -> &dyn AcquisitionFunction {
        self.acquisition.rough().unwrap_or(self.acquisition)
    }

    fn candidate(&self, point: Point) -> Candidate {
        Candidate { features: self.representation.features(&point), point }
    }

    /// Everything new in a small finite space.
    fn all_points(&self) -> Vec<Candidate> {
        let mut known = HashSet::new();
        (0..self.representation.combination_count().unwrap_or(0))
            .map(|index| self.representation.space().combination(index))
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
                    row[column] += scale.max(1.0 / level_count as f64) * standard_normal(&mut self.rng);
                }
                _ => row[column] += scale * standard_normal(&mut self.rng),
            }
        }
        encoding.decode(&row)
    }

    /// Where to climb from: the best candidates at some distance from each other, others by chance with a bias to
    /// the good, and the best observed point.
    fn starts(&mut self, candidates: &[Candidate], order: &[(usize, f64)]) -> Vec<Candidate> {
        let count = self.options.start_count;
        let mut starts: Vec<Candidate> = Vec::with_capacity(count + 1);
        for (index, _) in order {
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
        let top = order.first().map_or(0.0, |(_, value)| *value);
        for _ in 0..40 * count {
            if starts.len() >= count {
                break;
            }
            let place = self.rng.random::<f64>() * self.rng.random::<f64>() * order.len() as f64;
            let (index, value) = order[(place as usize).min(order.len() - 1)];
            if self.rng.random::<f64>() < libm::exp((value - top) / 4.0).max(0.02) {
                starts.push(candidates[index].clone());
            }
        }
        starts.extend(self.acquisition.centres().first().map(|point| self.candidate((*point).clone())));
        starts
    }

    /// Takes the best climbs to their ends, one for each maximum that they approach: most approach the same few. Then all
    /// have the values of the function itself, and stand in their order.
    fn finish(&self, climbed: &mut Vec<(f64, Candidate)>) {
        let best_first = |climbed: &mut Vec<(f64, Candidate)>| climbed.sort_by(|a, b| b.0.total_cmp(&a.0));
        let evaluate = |acquisition: &dyn AcquisitionFunction, climbed: &mut Vec<(f64, Candidate)>| {
            let rows: Vec<&[f64]> = climbed.iter().map(|(_, end)| end.features.as_slice()).collect();
            let values = acquisition.acquisition_batch(&rows);
            climbed.iter_mut().zip(values).for_each(|(climb, value)| climb.0 = value);
        };
        let is_rough = self.acquisition.rough().is_some();
        let rows: Vec<&[f64]> = climbed.iter().map(|(_, end)| end.features.as_slice()).collect();
        let near = self.acquisition.near(&rows);
        let precise = near.as_deref().unwrap_or(self.acquisition);
        if is_rough {
            evaluate(precise, climbed);
        }
        best_first(climbed);
        let (count, options) = match is_rough {
            false => (FINISH_COUNT, OptimiseOptions::default()),
            true => (FINISH_OF_MANY_COUNT, FINISH_OF_MANY),
        };
        let mut chosen: Vec<usize> = Vec::with_capacity(count);
        for (index, (_, candidate)) in climbed.iter().enumerate() {
            let far = |other: &usize| {
                self.acquisition.squared_distance(&climbed[*other].1.features, &candidate.features)
                    > START_SQUARED_DISTANCE_MIN
            };
            if chosen.len() < count && chosen.iter().all(far) {
                chosen.push(index);
            }
        }
        let starts = chosen.iter().map(|index| climbed[*index].1.clone()).collect();
        let finished = self.climb(precise, starts, &options);
        if near.is_some() {
            // What the others do not know of may stand where a climb ended.
            climbed.extend(finished);
            evaluate(self.acquisition, climbed);
        } else {
            chosen.into_iter().zip(finished).for_each(|(index, finished)| climbed[index] = finished);
        }
        best_first(climbed);
    }

    /// A local maximum near each start, with its value. All climb side by side, since the models look at eight points in
    /// the time of one; none depends on the others.
    fn climb(
        &self,
        acquisition: &dyn AcquisitionFunction,
        starts: Vec<Candidate>,
        options: &OptimiseOptions,
    ) -> Vec<(f64, Candidate)> {
        let rows: Vec<&[f64]> = starts.iter().map(|start| start.features.as_slice()).collect();
        let values = acquisition.acquisition_batch(&rows);
        let mut climbs: Vec<(f64, Candidate)> = values.into_iter().zip(starts).collect();
        let has_levels = self.representation.searches().iter().any(Search::has_levels);
        let mut open: Vec<&mut (f64, Candidate)> = climbs.iter_mut().collect();
        for _ in 0..if has_levels { ROUND_COUNT_MAX } else { 1 } {
            let before: Vec<f64> = open.iter().map(|(value, _)| *value).collect();
            self.climb_gradient(acquisition, &mut open, options);
            if has_levels {
                self.climb_levels(acquisition, &mut open);
            }
            let mut before = before.into_iter();
            open.retain(|(value, _)| before.next().is_some_and(|before| *value > before + 1e-9));
        }
        climbs
    }

    /// Projected L-BFGS over the active columns with a gradient, each in units of its length scale.
    fn climb_gradient(
        &self,
        acquisition: &dyn AcquisitionFunction,
        climbs: &mut [&mut (f64, Candidate)],
        options: &OptimiseOptions,
    ) {
        let mut ascents: Vec<Option<Ascent>> =
            climbs.iter().map(|(_, candidate)| self.ascent(candidate, options)).collect();
        let feature_count = self.representation.columns().len();
        let mut gradients = Vec::new();
        loop {
            let mut open: Vec<&mut Ascent> =
                ascents.iter_mut().flatten().filter_map(Ascent::placed).collect();
            if open.is_empty() {
                break;
            }
            let rows: Vec<&[f64]> = open.iter().map(|ascent| ascent.features.as_slice()).collect();
            let values = acquisition.acquisition_with_gradients(&rows, &mut gradients);
            for ((ascent, value), gradient) in
                open.iter_mut().zip(values).zip(gradients.chunks(feature_count))
            {
                ascent.tell(value, gradient);
            }
        }
        let found: Vec<Option<Candidate>> = climbs
            .iter()
            .zip(ascents)
            .map(|((_, candidate), ascent)| self.feasible_end(candidate, ascent?))
            .collect();
        let rows: Vec<&[f64]> = found.iter().flatten().map(|found| found.features.as_slice()).collect();
        let mut values = acquisition.acquisition_batch(&rows).into_iter();
        for (climb, candidate) in climbs.iter_mut().zip(found) {
            if let Some(candidate) = candidate
                && let Some(value) = values.next()
                && value > climb.0
            {
                **climb = (value, candidate);
            }
        }
    }

    /// A climb from here; `None` if no column has a gradient.
    fn ascent(&self, start: &Candidate, options: &OptimiseOptions) -> Option<Ascent> {
        let encoding = self.representation.encoding();
        let active = encoding.activity(&start.point);
        let length_scales = self.acquisition.length_scales();
        let variables: Vec<Variable> = (0..encoding.column_count())
            .filter(|column| {
                active[*column]
                    && matches!(
                        self.representation.searches()[*column],
                        Search::Gradient | Search::RoundedGradient(_)
                    )
            })
            .filter_map(|column| {
                let feature = self.representation.feature_of(column)?;
                Some(Variable { column, feature, unit: length_scales[feature].clamp(1e-3, 2.0) })
            })
            .collect();
        if variables.is_empty() {
            return None;
        }
        let from: Vec<f64> = variables.iter().map(|v| start.features[v.feature] / v.unit).collect();
        let lower = vec![0.0; variables.len()];
        let upper: Vec<f64> = variables.iter().map(|variable| 1.0 / variable.unit).collect();
        let descent = Descent::new(&from, &lower, &upper, options);
        let scaled_gradient = vec![0.0; variables.len()];
        Some(Ascent { variables, start: from, descent, features: start.features.clone(), scaled_gradient })
    }

    /// Where a climb ended, or as near to that as constraints allow: a straight way back towards the start leads into
    /// the feasible region.
    fn feasible_end(&self, start: &Candidate, ascent: Ascent) -> Option<Candidate> {
        let encoding = self.representation.encoding();
        let row = encoding.encode(&start.point);
        let end = ascent.descent.into_minimum().point;
        let mut share = 1.0;
        for _ in 0..12 {
            let mut moved = row.clone();
            for ((variable, to), from) in ascent.variables.iter().zip(&end).zip(&ascent.start) {
                moved[variable.column] = (from + share * (to - from)) * variable.unit;
            }
            let point = encoding.decode(&moved);
            if self.representation.space().is_feasible(&point) {
                return Some(self.candidate(point));
            }
            share *= 0.6;
        }
        None
    }

    /// Coordinate search over levels and choices: column by column, in all climbs side by side.
    fn climb_levels(&self, acquisition: &dyn AcquisitionFunction, climbs: &mut [&mut (f64, Candidate)]) {
        let searches = self.representation.searches().iter().enumerate();
        for (column, search) in searches.filter(|(_, search)| search.has_levels()) {
            let moved: Vec<Vec<Candidate>> =
                climbs.iter().map(|(_, candidate)| self.moved(candidate, column, *search)).collect();
            let rows: Vec<&[f64]> =
                moved.iter().flatten().map(|candidate| candidate.features.as_slice()).collect();
            let mut values = acquisition.acquisition_batch(&rows).into_iter();
            for (climb, moved) in climbs.iter_mut().zip(moved) {
                for (candidate, value) in moved.into_iter().zip(&mut values) {
                    if value > climb.0 {
                        **climb = (value, candidate);
                    }
                }
            }
        }
    }

    /// Where a step over the levels or choices of one column leads from here, if it is feasible.
    fn moved(&self, from: &Candidate, column: usize, search: Search) -> Vec<Candidate> {
        let encoding = self.representation.encoding();
        let parameter_index = encoding.columns()[column].parameter_index;
        let Some(coordinate) = from.point.get(parameter_index) else { return Vec::new() };
        let domain = &encoding.space().parameters()[parameter_index].domain;
        let row = encoding.encode(&from.point);
        let places: Vec<f64> = match search {
            Search::Levels(count) => {
                // of too many those that follow, so that each has its turn from somewhere
                let first = if count > CHOICE_COUNT_MAX { domain.level(coordinate) + 1 } else { 0 };
                let levels = (0..count.min(CHOICE_COUNT_MAX)).map(|index| (first + index) % count);
                levels.map(|level| domain.level_to_unit(level)).collect()
            }
            // steps of the same size anywhere on the scale: on a logarithmic one of several levels at its high end
            Search::RoundedGradient(count) => {
                let here = ((row[column] * count as f64) as u64).min(count - 1);
                let steps = [1, 2, 5];
                let below = steps.iter().filter_map(|step| here.checked_sub(*step));
                let above = steps.iter().map(|step| here + step).filter(|cell| *cell < count);
                below.chain(above).map(|cell| (cell as f64 + 0.5) / count as f64).collect()
            }
            Search::Gradient | Search::Fixed => return Vec::new(),
        };
        let decoded = places.into_iter().map(|place| {
            let mut moved = row.clone();
            moved[column] = place;
            encoding.decode(&moved)
        });
        let is_new = |point: &Point| *point != from.point && encoding.space().is_feasible(point);
        decoded.filter(is_new).map(|point| self.candidate(point)).collect()
    }
}

/// A column that a climb moves.
struct Variable {
    /// Its place in the encoding and among the features.
    column: usize,
    feature: usize,
    /// What a step of 1 is in the cube.
    unit: f64,
}

/// A climb along the gradient.
struct Ascent {
    variables: Vec<Variable>,
    /// In units of the variables.
    start: Vec<f64>,
    /// Of the negative acquisition function.
    descent: Descent,
    /// Of the point that is wanted next.
    features: Vec<f64>,
    scaled_gradient: Vec<f64>,
}

impl Ascent {
    /// With the features of the point that is wanted next; `None` at the end.
    fn placed(&mut self) -> Option<&mut Self> {
        for (variable, coordinate) in self.variables.iter().zip(self.descent.wanted()?) {
            self.features[variable.feature] = coordinate * variable.unit;
        }
        Some(self)
    }

    /// The acquisition function there, and its gradient by the features.
    fn tell(&mut self, value: f64, gradient: &[f64]) {
        for (slope, variable) in self.scaled_gradient.iter_mut().zip(&self.variables) {
            *slope = -gradient[variable.feature] * variable.unit;
        }
        self.descent.tell(-value, &self.scaled_gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Space;
    use ansatz_core::space::Parameter;

    /// The nearer to this place of the one feature, the better.
    struct Nearness(f64);

    impl AcquisitionFunction for Nearness {
        fn acquisition_batch(&self, rows: &[&[f64]]) -> Vec<f64> {
            rows.iter().map(|row| -(row[0] - self.0).abs()).collect()
        }

        fn acquisition_with_gradients(&self, rows: &[&[f64]], gradients: &mut Vec<f64>) -> Vec<f64> {
            *gradients = rows.iter().map(|row| (self.0 - row[0]).signum()).collect();
            self.acquisition_batch(rows)
        }

        fn centres(&self) -> Vec<&Point> {
            Vec::new()
        }

        fn squared_distance(&self, a: &[f64], b: &[f64]) -> f64 {
            (a[0] - b[0]).powi(2)
        }

        fn length_scales(&self) -> Vec<f64> {
            vec![1.0]
        }
    }

    /// The level that a climb over levels comes to, if the nearer to `target` the better.
    fn end(parameter: &Parameter, start: u64, target: u64) -> u64 {
        let space = Space::of(vec![parameter.clone()]).unwrap();
        let representation = Representation::new(&space);
        let at = |level| Point::new([Some(parameter.domain.nth(level))]);
        let acquisition = Nearness(representation.features(&at(target))[0]);
        let maximiser = Maximiser {
            representation: &representation,
            acquisition: &acquisition,
            options: &Options::default(),
            seen: &Seen::default(),
            rng: &mut Rng::new(1),
        };
        let start = maximiser.candidate(at(start));
        let mut climb = (acquisition.acquisition(&start.features), start);
        maximiser.climb_levels(&acquisition, &mut [&mut climb]);
        parameter.domain.level(climb.1.point.get(0).unwrap())
    }

    #[test]
    fn a_climb_tries_all_of_few_levels_on_every_scale() {
        for parameter in [Parameter::int("n", 1, 16), Parameter::int("n", 1, 16).log()] {
            for (start, target) in (0..16).flat_map(|start| (0..16).map(move |target| (start, target))) {
                assert_eq!(end(&parameter, start, target), target, "from {start} of {parameter:?}");
            }
        }
    }

    #[test]
    fn a_climb_tries_the_next_of_many_levels() {
        let parameter = Parameter::int("n", 1, 1000);
        for (start, target) in [(0, 1), (0, 2), (1, 0), (7, 12), (500, 499), (998, 999), (999, 994)] {
            assert_eq!(end(&parameter, start, target), target, "from {start}");
        }
    }

    #[test]
    fn of_many_choices_a_climb_tries_those_that_follow() {
        let parameter = Parameter::categorical("choice", (0..100).map(|choice| format!("c{choice}")));
        for (start, target) in [(3, 4), (3, 67), (70, 99), (70, 0), (70, 34)] {
            assert_eq!(end(&parameter, start, target), target, "from {start}");
        }
        let few = Parameter::categorical("choice", (0..64).map(|choice| format!("c{choice}")));
        assert!((0..64).all(|target| end(&few, 40, target) == target));
    }
}
