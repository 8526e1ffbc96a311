//! What is asked next, and what follows from a result.

use crate::merit::Merit;
use crate::options::{AtEnd, Options};
use crate::quadratic::Quadratic;
use crate::region::{Region, Step, Taken};
use ansatz_core::rng::Rng;
use ansatz_core::space::{CategoricalForm, ColumnKind, Encoding};
use ansatz_core::{Observation, Point, Problem, Space};
use ansatz_sampling::{Sobol, standard_normal};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// Trials of which a model is made at most; what is left out is further away.
const MODEL_POINT_MAX: usize = 90;
/// How far from the centre trials are part of the model, in units of the radius.
const MODEL_REACH: f64 = 1e3;
/// How far they are near.
const NEAR_REACH: f64 = 2.0;
/// Share of steps that change a choice or a coarse level, where there are any.
const NEIGHBOUR_SHARE: f64 = 0.3;
/// How often a step is tried that gives nothing new, before the region has converged.
const TRY_MAX: usize = 40;
/// A new region begins at least so far from where others converged: root mean square over the columns.
const APART: f64 = 0.1;
/// Steps without a result that are remembered at most; whoever has more will not miss the oldest.
const OUT_COUNT_MAX: usize = 4096;

/// What does not change.
pub(crate) struct Setting {
    pub(crate) encoding: Encoding,
    options: Options,
    full_fidelity: Option<f64>,
    initial_count: usize,
}

impl Setting {
    pub(crate) fn new(problem: &Problem, options: Options) -> Self {
        Self {
            encoding: Encoding::new(&problem.space, CategoricalForm::Index),
            full_fidelity: problem.fidelity.as_ref().map(|fidelity| fidelity.upper),
            initial_count: options.initial_count(problem.space.parameter_count()),
            options,
        }
    }

    fn space(&self) -> &Space {
        self.encoding.space()
    }
}

/// What follows from the state, and is kept because it is needed often.
#[derive(Default)]
pub(crate) struct Memory {
    /// The row of each trial that was told.
    rows: Vec<Vec<f64>>,
    points: HashSet<Point>,
}

/// One finished trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    point: Point,
    merit: Merit,
}

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Search {
    rng: Rng,
    /// Scramble of the initial design.
    design_seed: u64,
    /// Its next row.
    design_next: u64,
    told: Vec<Told>,
    /// The best of them.
    best: Option<usize>,
    region: Option<Region>,
    /// How many regions there have been.
    region_count: u64,
    /// Where they converged.
    ended: Vec<usize>,
    /// Steps without a result, by tag.
    out: BTreeMap<u64, Taken>,
    tag_next: u64,
    /// Directions of the present poll that were not tried, the next last.
    directions: Vec<Vec<f64>>,
}

impl Search {
    pub(crate) fn new(mut rng: Rng) -> Self {
        Self {
            design_seed: rng.random(),
            rng,
            design_next: 0,
            told: Vec::new(),
            best: None,
            region: None,
            region_count: 0,
            ended: Vec::new(),
            out: BTreeMap::new(),
            tag_next: 0,
            directions: Vec::new(),
        }
    }

    pub(crate) fn has_heard(&self) -> bool {
        !self.told.is_empty()
    }

    /// A new point with its tag; `None` if there is none left.
    pub(crate) fn suggest(
        &mut self,
        setting: &Setting,
        memory: &Memory,
        unfinished: &HashSet<Point>,
    ) -> Option<(Point, u64)> {
        let is_seen = |point: &Point| memory.points.contains(point) || unfinished.contains(point);
        let known_count = self.told.len() + unfinished.len();
        let (point, step) = loop {
            if known_count < setting.initial_count || self.best.is_none() {
                break (self.design_point(setting, &is_seen)?, Step::Start);
            }
            if self.region.is_none() && !self.begin(setting, memory) {
                if setting.options.at_end == AtEnd::Stop {
                    return None;
                }
                break (setting.space().sample_unseen(is_seen, &mut self.rng)?, Step::Start);
            }
            match self.step(setting, memory, &is_seen) {
                Some(found) => break found,
                None => self.end_region(),
            }
        };
        let tag = self.tag_next;
        self.tag_next += 1;
        let is_known = self.is_known(setting, memory);
        let (region, centre, radius) = match &self.region {
            Some(region) => (region.number, region.centre, region.radius),
            None => (self.region_count, 0, 0.0),
        };
        self.out.insert(tag, Taken { step, region, centre, radius, is_known });
        if self.out.len() > OUT_COUNT_MAX {
            self.out.pop_first();
        }
        Some((point, tag))
    }

    /// The next new feasible row of the initial design, or anything new.
    fn design_point(&mut self, setting: &Setting, is_seen: &dyn Fn(&Point) -> bool) -> Option<Point> {
        let sequence = Sobol::new(setting.encoding.column_count(), self.design_seed);
        let new = |row: &[f64]| {
            let point = Some(setting.encoding.decode(row));
            point.filter(|point| setting.space().is_feasible(point) && !is_seen(point))
        };
        let found = sequence.first_of(&mut self.design_next, new);
        found.or_else(|| setting.space().sample_unseen(is_seen, &mut self.rng))
    }

    /// Begins a region around a trial that is known, where there is one to begin with; else a new point is wanted.
    fn begin(&mut self, setting: &Setting, memory: &Memory) -> bool {
        let is_first = self.region_count == 0;
        let is_far = |row: &[f64]| self.ended.iter().all(|end| apart(&memory.rows[*end], row) >= APART);
        // after a region around a known trial comes one around a new point
        let start = match (is_first, self.region_count % 2) {
            (true, _) => self.best,
            (false, 1) => None,
            _ => (0..self.told.len())
                .filter(|index| self.told[*index].merit.is_judged() && is_far(&memory.rows[*index]))
                .min_by(|a, b| self.told[*a].merit.compare(self.told[*b].merit).then(a.cmp(b))),
        };
        let Some(centre) = start else { return false };
        self.region = Some(Region::new(self.region_count, centre, setting.options.first_radius));
        self.region_count += 1;
        true
    }

    /// Whether as many trials as a plane needs are near the present centre.
    fn is_known(&self, setting: &Setting, memory: &Memory) -> bool {
        self.region.as_ref().is_some_and(|region| {
            let point = self.told[region.centre].point.clone();
            let around = Surroundings::new(setting, memory, point, region);
            around.near(memory, NEAR_REACH).len() > around.free.len()
        })
    }

    fn end_region(&mut self) {
        if let Some(region) = self.region.take() {
            self.ended.push(region.centre);
            self.directions.clear();
        }
    }

    /// A step of the present region; `None` if it has converged.
    fn step(
        &mut self,
        setting: &Setting,
        memory: &Memory,
        is_seen: &dyn Fn(&Point) -> bool,
    ) -> Option<(Point, Step)> {
        let mut region = self.region.clone()?;
        if region.radius < setting.options.last_radius {
            return None;
        }
        let around = Surroundings::new(setting, memory, self.told[region.centre].point.clone(), &region);
        let is_under_way = self.out.values().any(|taken| {
            matches!(taken.step, Step::Model { .. })
                && (taken.region, taken.centre, taken.radius) == (region.number, region.centre, region.radius)
        });
        let mut found = None;
        for attempt in 0..TRY_MAX {
            let is_neighbour = !around.coarse.is_empty()
                && (around.free.is_empty() || self.rng.random::<f64>() < NEIGHBOUR_SHARE);
            let candidate = if is_neighbour {
                self.neighbour(setting, &around).map(|point| (point, Step::Neighbour))
            } else if around.free.is_empty() {
                None
            } else if attempt == 0 && region.is_for_model() && !is_under_way {
                self.model_step(setting, memory, &around)
            } else {
                region.polled();
                Some((self.poll(setting, &around), Step::Poll))
            };
            let Some((point, step)) = candidate else { continue };
            let feasible = setting.space().repair(&point, &mut self.rng);
            if let Some(point) = feasible.filter(|point| !is_seen(point)) {
                found = Some((point, step));
                break;
            }
        }
        self.region = Some(region);
        found
    }

    /// The lowest point of a model of the trials around.
    fn model_step(
        &mut self,
        setting: &Setting,
        memory: &Memory,
        around: &Surroundings<'_>,
    ) -> Option<(Point, Step)> {
        let near = around.near(memory, MODEL_REACH);
        if near.len() < 2 + around.free.len() / 2 {
            return None;
        }
        let known = near.iter().filter_map(|index| self.told[*index].merit.loss());
        let (least, most) =
            known.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), loss| (a.min(loss), b.max(loss)));
        // what cannot be compared is as bad as the worst, and a little worse
        let worst = most + 0.1 * (most - least);
        let mut points = Vec::with_capacity(near.len());
        let mut losses = Vec::with_capacity(near.len());
        for index in near {
            let loss = match self.told[index].merit {
                Merit::Loss(loss) => loss,
                Merit::Broken(_) | Merit::Bad => worst,
                Merit::Unknown => continue,
            };
            points.push(around.local(&memory.rows[index]));
            losses.push(loss);
        }
        if points.len() < 2 {
            return None;
        }
        let model = Quadratic::fit(&points, &losses)?;
        let (lower, upper) = around.box_of_region();
        let dimension = around.free.len();
        let mut starts = vec![vec![0.0; dimension]];
        starts.extend((0..2).map(|_| {
            (0..dimension).map(|i| lower[i] + (upper[i] - lower[i]) * self.rng.random::<f64>()).collect()
        }));
        let z = model.lowest(&starts, &lower, &upper)?;
        let gain = model.value(&vec![0.0; dimension]) - model.value(&z);
        if !(gain.is_finite() && gain > 0.0) {
            return None;
        }
        let length = z.iter().map(|entry| entry.abs()).fold(0.0, f64::max);
        Some((setting.encoding.decode(&around.row_at(&z)), Step::Model { length }))
    }

    /// A step of the region's radius in a direction of a random basis, and then the opposite one.
    fn poll(&mut self, setting: &Setting, around: &Surroundings<'_>) -> Point {
        let dimension = around.free.len();
        if self.directions.last().is_none_or(|direction| direction.len() != dimension) {
            self.directions.clear();
            for direction in basis(dimension, &mut self.rng) {
                self.directions.push(direction.iter().map(|entry| -entry).collect());
                self.directions.push(direction);
            }
        }
        let direction = self.directions.pop().unwrap_or_default();
        let (lower, upper) = around.box_of_region();
        let z: Vec<f64> = (0..dimension).map(|i| direction[i].max(lower[i]).min(upper[i])).collect();
        setting.encoding.decode(&around.row_at(&z))
    }

    /// The centre with one choice or coarse level changed. What that makes active has the value of the best trial that had
    /// one, or any.
    fn neighbour(&mut self, setting: &Setting, around: &Surroundings<'_>) -> Option<Point> {
        let column = around.coarse[self.rng.random_range(0..around.coarse.len())];
        let kind = setting.encoding.columns()[column];
        let mut row = around.centre.to_vec();
        row[column] = match kind.kind {
            ColumnKind::Index { choice_count } => {
                let own = (row[column] * choice_count as f64).floor();
                let other = self.rng.random_range(0..choice_count - 1) as f64;
                (if other >= own { other + 1.0 } else { other } + 0.5) / choice_count as f64
            }
            ColumnKind::Discrete { level_count } => {
                let domain = &setting.space().parameters()[kind.parameter_index].domain;
                let level = domain.level(around.point.get(kind.parameter_index)?);
                let (down, up) = (level.checked_sub(1), Some(level + 1).filter(|up| *up < level_count));
                let is_up = self.rng.random::<bool>();
                domain.level_to_unit(if is_up { up.or(down) } else { down.or(up) }?)
            }
            ColumnKind::Continuous | ColumnKind::Indicator { .. } => return None,
        };
        let mut coordinates: Vec<f64> = (setting.encoding.columns().iter().zip(&row))
            .map(|(column, unit)| {
                setting.space().parameters()[column.parameter_index].domain.from_unit(*unit)
            })
            .collect();
        for (index, coordinate) in coordinates.iter_mut().enumerate() {
            if !around.point.is_active(index) {
                let having =
                    self.told.iter().filter(|told| told.point.is_active(index) && told.merit.is_judged());
                let best = having.min_by(|a, b| a.merit.compare(b.merit));
                let domain = &setting.space().parameters()[index].domain;
                let drawn = domain.from_unit(self.rng.random());
                // what was best elsewhere, or anything: what is best here is not known
                let known = best.and_then(|told| told.point.get(index)).filter(|_| self.rng.random());
                *coordinate = known.unwrap_or(drawn);
            }
        }
        Some(setting.space().assemble(coordinates))
    }

    /// Takes a result, and whatever follows from it.
    pub(crate) fn tell(&mut self, setting: &Setting, memory: &mut Memory, observation: &Observation) {
        let merit = Merit::of(observation, setting.full_fidelity);
        let trial = self.told.len();
        memory.add(setting, &observation.point);
        self.told.push(Told { point: observation.point.clone(), merit });
        let is_best =
            merit.is_judged() && self.best.is_none_or(|best| merit.compare(self.told[best].merit).is_lt());
        if is_best {
            self.best = Some(trial);
        }
        let taken = observation.tag.and_then(|tag| self.out.remove(&tag));
        let Some(region) = &mut self.region else {
            // a new point was wanted to begin with, or somebody has found something better
            let is_start =
                taken.is_some_and(|taken| taken.step == Step::Start && taken.region == self.region_count);
            if self.region_count > 0 && merit.is_judged() && (is_start || is_best) {
                self.region = Some(Region::new(self.region_count, trial, setting.options.first_radius));
                self.region_count += 1;
            }
            return;
        };
        let is_better = merit.is_judged() && merit.compare(self.told[region.centre].merit).is_lt();
        match taken {
            Some(taken) if taken.region == region.number && taken.step != Step::Start => {
                if is_better {
                    region.succeeded(taken, trial);
                    self.directions.clear();
                } else if taken.centre == region.centre && merit != Merit::Unknown {
                    region.failed(taken);
                }
            }
            _ if is_best => {
                let distance = furthest(&memory.rows[region.centre], &memory.rows[trial]);
                region.move_to(trial, distance, setting.options.first_radius);
                self.directions.clear();
            }
            _ => {}
        }
    }

    /// What follows from a state that was read.
    pub(crate) fn recall(&self, setting: &Setting) -> Memory {
        let mut memory = Memory::default();
        self.told.iter().for_each(|told| memory.add(setting, &told.point));
        memory
    }

    /// Whether a state that was read is of this problem.
    pub(crate) fn is_sound(&self, setting: &Setting) -> bool {
        let (parameter_count, count) = (setting.space().parameter_count(), self.told.len());
        self.told.iter().all(|told| told.point.parameter_count() == parameter_count)
            && self.best.into_iter().chain(self.ended.iter().copied()).all(|index| index < count)
            && self.region.as_ref().is_none_or(|region| {
                region.centre < count && region.radius.is_finite() && region.radius > 0.0
            })
            && self.directions.iter().flatten().all(|entry| entry.is_finite())
            && self.tag_next < u64::MAX / 2
            && self.region_count < u64::MAX / 2
    }
}

impl Memory {
    fn add(&mut self, setting: &Setting, point: &Point) {
        self.rows.push(setting.encoding.encode(point));
        self.points.insert(point.clone());
    }
}

/// The region as its steps see it.
struct Surroundings<'a> {
    point: Point,
    centre: &'a [f64],
    radius: f64,
    /// Columns in which the region has room to move.
    free: Vec<usize>,
    /// Active ones in which it has not: choices, and levels that are further apart than the region is wide.
    coarse: Vec<usize>,
}

impl<'a> Surroundings<'a> {
    fn new(setting: &Setting, memory: &'a Memory, point: Point, region: &Region) -> Self {
        let activity = setting.encoding.activity(&point);
        let (mut free, mut coarse) = (Vec::new(), Vec::new());
        for (index, column) in setting.encoding.columns().iter().enumerate() {
            let domain = &setting.space().parameters()[column.parameter_index].domain;
            let has_room = |coordinate| domain.cell_width(coordinate) <= 2.0 * region.radius;
            match column.kind {
                _ if !activity[index] || domain.value_count() == Some(1) => {}
                ColumnKind::Continuous => free.push(index),
                ColumnKind::Discrete { .. } if point.get(column.parameter_index).is_some_and(has_room) => {
                    free.push(index)
                }
                _ => coarse.push(index),
            }
        }
        Self { point, centre: &memory.rows[region.centre], radius: region.radius, free, coarse }
    }

    /// A row in units of the region, its free columns only.
    fn local(&self, row: &[f64]) -> Vec<f64> {
        self.free.iter().map(|column| (row[*column] - self.centre[*column]) / self.radius).collect()
    }

    /// The row of a place in units of the region.
    fn row_at(&self, z: &[f64]) -> Vec<f64> {
        let mut row = self.centre.to_vec();
        for (column, entry) in self.free.iter().zip(z) {
            row[*column] = (self.centre[*column] + self.radius * entry).clamp(0.0, 1.0);
        }
        row
    }

    /// The region where it lies in the cube, in its own units.
    fn box_of_region(&self) -> (Vec<f64>, Vec<f64>) {
        let lower = self.free.iter().map(|column| (-self.centre[*column] / self.radius).max(-1.0)).collect();
        let upper =
            self.free.iter().map(|column| ((1.0 - self.centre[*column]) / self.radius).min(1.0)).collect();
        (lower, upper)
    }

    /// Trials in and around the region that differ from its centre in free columns only, the nearest.
    fn near(&self, memory: &Memory, reach: f64) -> Vec<usize> {
        let reach = reach * self.radius;
        let is_near = |row: &Vec<f64>| {
            let mut free = self.free.iter();
            let mut next = free.next();
            row.iter().zip(self.centre).enumerate().all(|(column, (entry, centre))| {
                if next == Some(&column) {
                    next = free.next();
                    return (entry - centre).abs() <= reach;
                }
                // inactive ones are in the middle
                entry == centre
            })
        };
        let mut near: Vec<(f64, usize)> = (memory.rows.iter().enumerate())
            .filter(|(_, row)| is_near(row))
            .map(|(index, row)| (self.free.iter().map(|c| (row[*c] - self.centre[*c]).powi(2)).sum(), index))
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let enough = (self.free.len() + 1) * (self.free.len() + 2) / 2 + 3;
        near.truncate(enough.min(MODEL_POINT_MAX));
        near.into_iter().map(|(_, index)| index).collect()
    }
}

/// Root mean square of the differences.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    (sum / a.len().max(1) as f64).sqrt()
}

/// The largest difference.
fn furthest(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Orthonormal directions, uniform: normal ones, made orthogonal one after the other (Gram and Schmidt).
fn basis(dimension: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
    let mut found: Vec<Vec<f64>> = Vec::with_capacity(dimension);
    while found.len() < dimension {
        let mut direction: Vec<f64> = (0..dimension).map(|_| standard_normal(rng)).collect();
        for other in &found {
            let along: f64 = direction.iter().zip(other).map(|(a, b)| a * b).sum();
            direction.iter_mut().zip(other).for_each(|(entry, other)| *entry -= along * other);
        }
        let length = direction.iter().map(|entry| entry * entry).sum::<f64>().sqrt();
        if length > 1e-6 {
            direction.iter_mut().for_each(|entry| *entry /= length);
            found.push(direction);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::space::Parameter;
    use ansatz_core::{Goal, Metric};

    /// What holds of a whole number from 1 to 16 in a region around one value.
    fn check(
        parameter: &Parameter,
        value: u64,
        radius: f64,
        expected: impl Fn(&mut Search, &Setting, &Surroundings<'_>),
    ) {
        let space = Space::of(vec![parameter.clone()]).unwrap();
        let problem = Problem::new(space, vec![Metric { name: "loss".into(), goal: Goal::Minimise }]);
        let setting = Setting::new(&problem, Options::default());
        let (mut search, mut memory) = (Search::new(Rng::new(value)), Memory::default());
        let point = Point::new([Some(value as f64)]);
        memory.add(&setting, &point);
        let around = Surroundings::new(&setting, &memory, point, &Region::new(0, 0, radius));
        expected(&mut search, &setting, &around);
    }

    #[test]
    fn neighbours_of_a_value_are_the_next_ones_on_every_scale() {
        for parameter in [Parameter::int("n", 1, 16), Parameter::int("n", 1, 16).log()] {
            for value in 1..=16_u64 {
                check(&parameter, value, 1e-3, |search, setting, around| {
                    assert_eq!(around.coarse, [0]);
                    let mut neighbour = || search.neighbour(setting, around).unwrap().get(0).unwrap() as u64;
                    let found: HashSet<u64> = (0..40).map(|_| neighbour()).collect();
                    let next = [value - 1, value + 1].into_iter().filter(|next| (1..=16).contains(next));
                    assert_eq!(found, next.collect(), "{value} of {parameter:?}");
                });
            }
        }
    }

    #[test]
    fn a_region_has_room_where_it_is_as_wide_as_a_cell() {
        for (parameter, value, radius, is_free) in [
            (Parameter::int("n", 1, 16), 1, 0.0625, true),
            (Parameter::int("n", 1, 16), 16, 0.03125, true),
            (Parameter::int("n", 1, 16), 16, 0.03, false),
            (Parameter::int("n", 1, 16).log(), 1, 0.0625, false),
            (Parameter::int("n", 1, 16).log(), 16, 0.0625, true),
        ] {
            check(&parameter, value, radius, |_, _, around| {
                assert_eq!(around.free.len(), usize::from(is_free), "{value} of {parameter:?}");
            });
        }
    }
}
