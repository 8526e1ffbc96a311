//! The order of things: an initial design, then children of the population, and a design again when differential evolution
//! has nothing left to find.

use crate::differential::{Descent, Differential, POPULATION_SIZE_MIN};
use crate::genetic::{Genetic, Niching};
use crate::genome::Genome;
use crate::merit::{ExcessUnits, Merit};
use crate::options::{Method, Options, POPULATION_SIZE_MAX};
use crate::population::{Newcomer, Population};
use crate::reference_points::Layers;
use crate::variation::Variation;
use ansatz_core::rng::Rng;
use ansatz_core::{Observation, Point, Problem, StrategyError};
use ansatz_sampling::Sobol;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// Children that may be infeasible beyond repair or seen before chance takes over.
const CHILD_COUNT_MAX: usize = 24;
/// As many children are mutated no more than their method says; each further lot is mutated more.
const CHILD_COUNT_PLAIN: usize = 4;
/// Children without a result that are remembered; older ones count as somebody else's when they come back.
const OUTSTANDING_COUNT_MAX: usize = 10_000;
/// Members of the first population of differential evolution, as a share of the square root of the study's trials.
const DIFFERENTIAL_SHARE: f64 = 0.45;
/// At least so many of them.
const DIFFERENTIAL_SIZE_MIN: usize = 8;
/// At most so many of them for each parameter, as L-SHADE has.
const DIFFERENTIAL_PER_PARAMETER: usize = 18;
/// As many of them if the number of trials is not known.
const DIFFERENTIAL_SIZE: usize = 16;
/// At least and at most so many members of the other methods, and as many if the number of trials is not known.
const GENETIC_SIZES: (usize, usize) = (20, 100);
/// Generations of theirs that a study's trials are enough for, where `GENETIC_SIZES` allow it.
const GENERATION_COUNT_MIN: u64 = 12;

/// What does not change during a study.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) genome: Genome,
    method: Method,
    best_share: f64,
    archive_share: f64,
    shrink: bool,
    tolerance: f64,
    variation: Variation,
    population_size: usize,
    reference_points: Vec<Vec<f64>>,
    metric_count: usize,
    /// Fidelities from here on are full evaluations.
    full_fidelity: Option<f64>,
    trial_count: Option<u64>,
}

impl Setting {
    /// Refuses what the options cannot mean for this problem.
    pub(crate) fn new(problem: &Problem, options: &Options) -> Result<Self, StrategyError> {
        let metric_count = problem.metrics.len();
        options.check(metric_count)?;
        let genome = Genome::new(&problem.space);
        let method = options.method(metric_count);
        let free_count = genome.free().len().max(1);
        let usual_size = || match method {
            Method::De => differential_size(problem.trial_count, free_count),
            _ => genetic_size(problem.trial_count),
        };
        let mut population_size = options.population_size.unwrap_or_else(usual_size);
        let mut reference_points = Vec::new();
        if method == Method::Nsga3 {
            let layers = match options.divisions {
                Some(divisions) => Layers::of(metric_count, divisions),
                None => Layers::within(metric_count, population_size),
            };
            let count = layers.count(metric_count).filter(|count| *count <= POPULATION_SIZE_MAX);
            let Some(count) = count else {
                return Err(StrategyError::Invalid(format!(
                    "divisions = {} with {metric_count} metrics is more than {POPULATION_SIZE_MAX} reference points: take \
                     fewer, or leave it out",
                    layers.outer
                )));
            };
            reference_points = layers.points(metric_count);
            if options.population_size.is_none() {
                population_size = count.max(POPULATION_SIZE_MIN);
            }
        }
        let crossover_index =
            options.crossover_index.unwrap_or(if method == Method::Nsga3 { 30.0 } else { 15.0 });
        Ok(Self {
            method,
            best_share: options.best_share,
            archive_share: options.archive_share,
            shrink: options.shrink,
            tolerance: options.tolerance,
            variation: Variation {
                crossover_probability: options.crossover_probability,
                crossover_index,
                mutation_probability: options.mutation_probability.unwrap_or(1.0 / free_count as f64),
                mutation_index: options.mutation_index,
            },
            population_size,
            reference_points,
            metric_count,
            full_fidelity: problem.fidelity.as_ref().map(|fidelity| fidelity.upper),
            trial_count: problem.trial_count,
            genome,
        })
    }

    fn niching(&self) -> Niching<'_> {
        match self.method {
            Method::Nsga3 => Niching::ReferencePoints(&self.reference_points),
            _ => Niching::Crowding,
        }
    }

    /// How many members the population has.
    #[cfg(test)]
    pub(crate) fn population_size(&self) -> usize {
        self.population_size
    }
}

/// Members of differential evolution if the options do not say it: what was measured to be good, in docs/benchmarks.md.
fn differential_size(trial_count: Option<u64>, free_count: usize) -> usize {
    let Some(trial_count) = trial_count else { return DIFFERENTIAL_SIZE };
    let size = (DIFFERENTIAL_SHARE * (trial_count as f64).sqrt()).round() as usize;
    let most = DIFFERENTIAL_PER_PARAMETER.saturating_mul(free_count).min(POPULATION_SIZE_MAX);
    size.min(most).max(DIFFERENTIAL_SIZE_MIN)
}

/// The same for the other methods.
fn genetic_size(trial_count: Option<u64>) -> usize {
    let (least, most) = GENETIC_SIZES;
    trial_count.map_or(most, |count| ((count / GENERATION_COUNT_MIN) as usize).clamp(least, most))
}

/// Everything that changes; a snapshot holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Search {
    rng: Rng,
    /// Scramble of the design.
    design_seed: u64,
    /// Its next row.
    design_next: u64,
    /// Points of all finished trials.
    told: Vec<Point>,
    /// How many were finished when the present population began.
    begun_at: usize,
    tag_next: u64,
    /// How many of those that were told are of an earlier study.
    #[serde(default)]
    transferred_count: usize,
    /// Own suggestions without a result, by tag.
    outstanding: BTreeMap<u64, Child>,
    units: ExcessUnits,
    population: Population,
    differential: Differential,
    genetic: Genetic,
}

/// A suggestion without a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Child {
    row: Vec<f64>,
    descent: Option<Descent>,
}

/// Points that must not be proposed again, and how many of them have no result.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    /// Of finished trials.
    pub(crate) told: &'a HashSet<Point>,
    /// Of trials that are pending or just asked for.
    pub(crate) unfinished: HashSet<Point>,
    /// Trials, where points may be the same.
    pub(crate) unfinished_count: usize,
}

impl Seen<'_> {
    fn contains(&self, point: &Point) -> bool {
        self.told.contains(point) || self.unfinished.contains(point)
    }
}

impl Search {
    /// Nothing told yet.
    pub(crate) fn new(mut rng: Rng) -> Self {
        Self {
            design_seed: rng.random(),
            design_next: 0,
            rng,
            told: Vec::new(),
            begun_at: 0,
            tag_next: 0,
            transferred_count: 0,
            outstanding: BTreeMap::new(),
            units: ExcessUnits::default(),
            population: Population::default(),
            differential: Differential::default(),
            genetic: Genetic::default(),
        }
    }

    /// Points of all finished trials.
    pub(crate) fn told(&self) -> &[Point] {
        &self.told
    }

    /// Who is in the population.
    #[cfg(test)]
    pub(crate) fn population(&self) -> &Population {
        &self.population
    }

    /// A point that was not seen, with its tag; `None` if there is none.
    pub(crate) fn suggest(&mut self, setting: &Setting, seen: &Seen<'_>) -> Option<(Point, u64)> {
        let known_count = self.told.len() - self.begun_at + seen.unfinished_count;
        let is_design = known_count < self.capacity(setting) || self.population.len() < POPULATION_SIZE_MIN;
        let found = if is_design { self.design(setting, seen) } else { self.descendant(setting, seen) };
        let (point, child) = found.or_else(|| {
            let point = setting.genome.space().sample_unseen(|point| seen.contains(point), &mut self.rng)?;
            let row = setting.genome.row_of(&point, &mut self.rng);
            Some((point, Child { row, descent: None }))
        })?;
        let tag = self.tag_next;
        self.tag_next = self.tag_next.wrapping_add(1);
        self.outstanding.insert(tag, child);
        if self.outstanding.len() > OUTSTANDING_COUNT_MAX {
            self.outstanding.pop_first();
        }
        Some((point, tag))
    }

    /// The next new row of the design that keeps the constraints.
    fn design(&mut self, setting: &Setting, seen: &Seen<'_>) -> Option<(Point, Child)> {
        let genome = &setting.genome;
        let sequence = Sobol::new(genome.len(), self.design_seed);
        sequence.first_of(&mut self.design_next, |row| {
            let point = genome.decode(row);
            let is_new = genome.space().is_feasible(&point) && !seen.contains(&point);
            is_new.then(|| (point, Child { row: row.to_vec(), descent: None }))
        })
    }

    /// A new child of the population. Where children are all known, they are mutated more and more.
    fn descendant(&mut self, setting: &Setting, seen: &Seen<'_>) -> Option<(Point, Child)> {
        let genome = &setting.genome;
        for attempt in 0..CHILD_COUNT_MAX {
            let (mut row, descent) = self.child(setting);
            let extra = (attempt / CHILD_COUNT_PLAIN) as f64 / genome.free().len().max(1) as f64;
            if extra > 0.0 {
                setting.variation.mutate(genome, &mut row, extra.min(1.0), &mut self.rng);
            }
            let point = genome.decode(&row);
            let Some(point) = genome.space().repair(&point, &mut self.rng) else { continue };
            if !seen.contains(&point) {
                return Some((point, Child { row, descent }));
            }
        }
        None
    }

    fn child(&mut self, setting: &Setting) -> (Vec<f64>, Option<Descent>) {
        let Self { population, units, rng, .. } = self;
        match setting.method {
            Method::De => {
                let best_share = setting.best_share;
                let (row, descent) =
                    self.differential.child(&setting.genome, population, units, best_share, rng);
                (row, Some(descent))
            }
            _ => {
                let (niching, variation) = (setting.niching(), &setting.variation);
                (self.genetic.child(&setting.genome, population, units, niching, variation, rng), None)
            }
        }
    }

    /// Takes in a finished trial.
    pub(crate) fn tell(&mut self, setting: &Setting, observation: &Observation) {
        let child = observation.tag.and_then(|tag| self.outstanding.remove(&tag));
        let point = observation.point.clone();
        let merit = Merit::of(observation, setting.full_fidelity);
        self.told.push(point.clone());
        self.transferred_count += usize::from(observation.trial.is_transferred());
        if merit.losses().is_some_and(|losses| losses.len() != setting.metric_count) {
            return;
        }
        self.units.widen(&merit);
        let (row, descent) = match child {
            Some(child) => (setting.genome.adopt(&point, child.row), child.descent),
            None => (setting.genome.row_of(&point, &mut self.rng), None),
        };
        let newcomer = Newcomer { point, row, merit };
        let capacity = self.capacity(setting);
        let Self { population, units, rng, .. } = self;
        if setting.method != Method::De {
            self.genetic.tell(population, units, setting.niching(), newcomer, capacity, rng);
            return;
        }
        self.differential.tell(&setting.genome, population, units, newcomer, descent, capacity);
        let is_generation = self.differential.settle(population, units, capacity, setting.archive_share, rng);
        if is_generation && population.is_within(&setting.genome, setting.tolerance) {
            population.clear();
            self.differential = Differential::default();
            self.begun_at = self.told.len();
        }
    }

    /// How many members there may be. Of differential evolution ever fewer, down to the least when the budget is used up.
    fn capacity(&self, setting: &Setting) -> usize {
        let size = setting.population_size;
        let Some(trial_count) =
            setting.trial_count.filter(|_| setting.shrink && setting.method == Method::De)
        else {
            return size;
        };
        // what an earlier study spent is no part of the budget
        let own = |told: usize| told.saturating_sub(self.transferred_count);
        let (begun_at, told) = (own(self.begun_at), own(self.told.len()));
        if begun_at as u64 >= trial_count {
            // the study was given more trials than it began with, and nobody knows how many
            return size;
        }
        let left_at_begin = trial_count as f64 - begun_at as f64;
        let left = (trial_count as f64 - told as f64).max(0.0);
        // a population that begins late is smaller by as much as one of that budget would be
        let share = (left_at_begin / trial_count as f64).sqrt();
        let first = (share * size as f64).round();
        let least = POPULATION_SIZE_MIN as f64;
        (least + (first - least).max(0.0) * left / left_at_begin).round() as usize
    }

    /// Whether a state that was read is of this problem.
    pub(crate) fn is_sound(&self, setting: &Setting) -> bool {
        let genome = &setting.genome;
        self.begun_at <= self.told.len()
            && self.told.iter().all(|point| point.parameter_count() == genome.len())
            && self.outstanding.values().all(|child| {
                genome.is_sound(&child.row) && child.descent.is_none_or(|descent| descent.rates.is_sound())
            })
            && self.units.is_sound()
            && self.population.is_sound(genome, setting.metric_count)
            && self.population.len() <= POPULATION_SIZE_MAX + 1
            && self.differential.is_sound(genome)
            && (setting.method == Method::De
                || self.genetic.is_sound(genome, &self.population, setting.metric_count))
    }
}
