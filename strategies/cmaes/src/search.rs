//! The whole search: descents one after the other, samples that are out, and what comes back in whatever order.
//!
//! A generation is complete when as many own results as it has samples are in, whichever samples they are: asks beyond it
//! keep sampling the distribution as it is, a result of an earlier generation counts where it lies, with a step no longer
//! than usual ones, and a sample that never comes back is missed by nobody.

use crate::choices::Choices;
use crate::descent::Descent;
use crate::gaussian::Gaussian;
use crate::generation::{Standing, Told};
use crate::layout::{Layout, Place};
use crate::options::{Options, Start};
use crate::rates::{Rates, default_population_size};
use crate::restarts::{Plan, Restarts};
use crate::warm_start;
use ansatz_core::rng::Rng;
use ansatz_core::{Observation, Point};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Samples that break a constraint before one is repaired instead.
const RESAMPLING_COUNT: usize = 30;
/// Samples without a result that are remembered; of older ones the result counts as somebody else's.
const OUT_COUNT_MAX: usize = 10_000;

/// Everything that changes, and what a snapshot holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Search {
    rng: Rng,
    /// Samples without a result, by their tags.
    out: BTreeMap<u64, Sample>,
    /// The tag of the next sample.
    tag_next: u64,
    /// Losses of others: before the first descent all of them, later the best since the last update.
    elsewhere: Vec<Told>,
    /// `None` before the first sample.
    descent: Option<Descent>,
    /// Which descent it is, from 0.
    descent_number: u64,
    restarts: Restarts,
    /// No restart is left.
    pub(crate) has_ended: bool,
}

/// A sample without a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sample {
    place: Place,
    /// Which descent and generation of it the sample is from.
    descent_number: u64,
    generation: u64,
    /// Whether it was repaired to keep a constraint.
    is_repaired: bool,
}

/// What stays the same.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) layout: Layout,
    pub(crate) options: Options,
    /// Fidelities from here on are full evaluations.
    pub(crate) full_fidelity: Option<f64>,
}

impl Setting {
    /// lambda of the first descent.
    fn population_size(&self) -> usize {
        self.options.population_size.unwrap_or_else(|| default_population_size(self.layout.dimension_count()))
    }
}

impl Search {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            rng,
            out: BTreeMap::new(),
            tag_next: 0,
            elsewhere: Vec::new(),
            descent: None,
            descent_number: 0,
            restarts: Restarts::none(),
            has_ended: false,
        }
    }

    /// A point to try and the tag of its sample. `None` if no point was found that keeps the constraints.
    pub(crate) fn suggest(&mut self, setting: &Setting) -> Option<(Point, u64)> {
        let mut descent = match self.descent.take() {
            Some(descent) => descent,
            None => self.first_descent(setting),
        };
        let found = self.draw(setting, &mut descent);
        let generation = descent.generation();
        self.descent = Some(descent);
        let (point, place, is_repaired) = found?;
        let tag = self.tag_next;
        self.tag_next += 1;
        self.out.insert(tag, Sample { place, descent_number: self.descent_number, generation, is_repaired });
        if self.out.len() > OUT_COUNT_MAX {
            self.out.pop_first();
        }
        Some((point, tag))
    }

    /// A sample that keeps the constraints, its place, and whether it had to be repaired for that.
    fn draw(&mut self, setting: &Setting, descent: &mut Descent) -> Option<(Point, Place, bool)> {
        let (layout, space) = (&setting.layout, setting.layout.space());
        let mut place = descent.draw(&mut self.rng);
        let mut point = layout.point(&place);
        let mut count = 0;
        while !space.is_feasible(&point) {
            if count == RESAMPLING_COUNT {
                let repaired = space.repair(&point, &mut self.rng).or_else(|| space.sample(&mut self.rng))?;
                layout.move_to(&mut place, &repaired);
                return Some((repaired, place, true));
            }
            count += 1;
            place = descent.draw(&mut self.rng);
            point = layout.point(&place);
        }
        Some((point, place, false))
    }

    fn first_descent(&mut self, setting: &Setting) -> Descent {
        let layout = &setting.layout;
        let mut elsewhere = std::mem::take(&mut self.elsewhere);
        if setting.options.warm_start
            && let Some((gaussian, choices)) = warm_start::promising(layout, &mut elsewhere)
        {
            return Descent::new(layout, setting.population_size(), None, gaussian, choices);
        }
        let plan =
            Plan { population_size: setting.population_size(), step_factor: 1.0, trial_count_max: None };
        let mean = match setting.options.start {
            Start::Centre => vec![0.5; layout.numbers.len()],
            Start::Random => self.random_mean(layout),
        };
        let descent = self.descent_from(setting, &plan, mean);
        elsewhere.sort_by(Told::compare);
        elsewhere.truncate(descent.rates().parent_count);
        self.elsewhere = elsewhere;
        descent
    }

    fn descent_from(&self, setting: &Setting, plan: &Plan, mean: Vec<f64>) -> Descent {
        let layout = &setting.layout;
        let gaussian = Gaussian::round(mean, setting.options.initial_step * plan.step_factor);
        Descent::new(layout, plan.population_size, plan.trial_count_max, gaussian, Choices::uniform(layout))
    }

    /// Anywhere in the cube, where the constraints are kept if that can be had.
    fn random_mean(&mut self, layout: &Layout) -> Vec<f64> {
        let space = layout.space();
        let point = space.sample(&mut self.rng).unwrap_or_else(|| space.draw(&mut self.rng));
        layout.place(&point).numbers
    }

    /// Takes a result, and whatever follows from it.
    pub(crate) fn tell(&mut self, setting: &Setting, rates: &mut Option<Rates>, observation: &Observation) {
        let layout = &setting.layout;
        let standing = Standing::of(observation, setting.full_fidelity);
        let activity = layout.activity(&observation.point);
        let Some((tag, mut sample)) =
            observation.tag.and_then(|tag| self.out.remove(&tag).map(|sample| (tag, sample)))
        else {
            if standing.loss().is_some() {
                let place = layout.place(&observation.point);
                self.hear(Told { place, activity, standing, is_drawn: false, order: observation.trial.0 });
            }
            return;
        };
        let Some(descent) = &mut self.descent else { return };
        // a former descent has ended, and this one is meant to look elsewhere
        if sample.descent_number != self.descent_number {
            return;
        }
        // the study may have taken another point in its place
        let is_as_drawn = layout.point(&sample.place) == observation.point;
        if !is_as_drawn {
            layout.move_to(&mut sample.place, &observation.point);
        }
        let is_drawn = is_as_drawn && !sample.is_repaired && sample.generation == descent.generation();
        let told = Told { place: sample.place, activity, standing, is_drawn, order: tag };
        let rates = rates.get_or_insert_with(|| descent.rates());
        let end = descent.tell(layout, rates, setting.options.tolerance, told, &mut self.elsewhere);
        if end.is_some() {
            self.restart(setting);
        }
    }

    /// A loss of somebody else.
    fn hear(&mut self, told: Told) {
        let Some(descent) = &self.descent else {
            self.elsewhere.push(told);
            return;
        };
        let at = self.elsewhere.partition_point(|known| known.compare(&told).is_lt());
        self.elsewhere.insert(at, told);
        self.elsewhere.truncate(descent.population_size / 2);
    }

    /// The next descent, or the end.
    fn restart(&mut self, setting: &Setting) {
        let trial_count = self.descent.as_ref().map_or(0, |descent| descent.trial_count);
        let (policy, first) = (setting.options.restarts, setting.population_size());
        self.elsewhere.clear();
        let Some(plan) = self.restarts.next(policy, first, trial_count, &mut self.rng) else {
            self.has_ended = true;
            return;
        };
        self.descent_number += 1;
        let mean = self.random_mean(&setting.layout);
        self.descent = Some(self.descent_from(setting, &plan, mean));
    }

    /// Which descent is under way, from 0.
    pub(crate) fn descent_number(&self) -> u64 {
        self.descent_number
    }

    /// Whether a state that was read is one of this layout.
    pub(crate) fn is_sound(&self, layout: &Layout) -> bool {
        self.out.values().all(|sample| sample.place.is_sound(layout))
            && self.elsewhere.iter().all(|told| told.is_sound(layout))
            && self.descent.as_ref().is_none_or(|descent| descent.is_sound(layout))
            && self.tag_next < u64::MAX / 2
            && self.descent_number < u64::MAX / 2
    }
}
