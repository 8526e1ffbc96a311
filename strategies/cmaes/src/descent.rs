//! One descent of the distribution: from a first mean and step until there is nothing left to find. It draws samples, takes
//! what came of them, and updates mean, covariance, margins and probabilities when a generation is complete.

use crate::choices::{Choices, Chosen};
use crate::directions::Directions;
use crate::gaussian::{Gaussian, Step};
use crate::generation::{Told, ranked};
use crate::layout::{Layout, Place, folded};
use crate::margin::Margin;
use crate::rates::Rates;
use crate::restarts::POPULATION_SIZE_MAX;
use crate::stopping::{End, History, end};
use ansatz_core::rng::Rng;
use serde::{Deserialize, Serialize};

/// No number's deviation is above this share of its range: more would only be folded back.
const DEVIATION_MAX: f64 = 1.0 / 3.0;
/// Generations in a row without a single measured trial, after which the descent looks elsewhere.
const UNMEASURED_MAX: u32 = 3;

/// The state of a descent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Descent {
    /// lambda.
    pub(crate) population_size: usize,
    /// Trials after which it ends, whatever it found.
    trial_count_max: Option<u64>,
    /// Own trials told so far.
    pub(crate) trial_count: u64,
    pub(crate) gaussian: Gaussian,
    pub(crate) margin: Margin,
    pub(crate) choices: Choices,
    /// Own results since the last update.
    results: Vec<Told>,
    history: History,
    /// For the samples of the distribution as it is now.
    directions: Directions,
    /// Generations in a row in which nothing was measured.
    unmeasured_count: u32,
}

impl Descent {
    /// A descent from this distribution.
    pub(crate) fn new(
        layout: &Layout,
        population_size: usize,
        trial_count_max: Option<u64>,
        mut gaussian: Gaussian,
        mut choices: Choices,
    ) -> Self {
        let mut margin = Margin::new(gaussian.dimension_count());
        margin.correct(layout, &mut gaussian);
        choices.correct(layout);
        Self {
            population_size,
            trial_count_max,
            trial_count: 0,
            gaussian,
            margin,
            choices,
            results: Vec::new(),
            history: History::default(),
            directions: Directions::default(),
            unmeasured_count: 0,
        }
    }

    /// How many updates there were.
    pub(crate) fn generation(&self) -> u64 {
        self.gaussian.generation
    }

    /// A sample: x = m + sigma A y, and a choice each.
    pub(crate) fn draw(&mut self, rng: &mut Rng) -> Place {
        let white = self.directions.draw(self.gaussian.dimension_count(), self.population_size, rng);
        let mut numbers = self.gaussian.along(&white);
        for (j, part) in numbers.iter_mut().enumerate() {
            *part = self.gaussian.mean[j] + self.gaussian.step * self.margin.scales[j] * *part;
        }
        Place { numbers, choices: self.choices.draw(rng) }
    }

    /// Takes the result of an own sample. When as many as a generation has are in, the distribution is updated, with the
    /// best of `elsewhere`, which is then empty. Says when the descent has ended.
    pub(crate) fn tell(
        &mut self,
        layout: &Layout,
        rates: &Rates,
        tolerance: f64,
        told: Told,
        elsewhere: &mut Vec<Told>,
    ) -> Option<End> {
        self.trial_count += 1;
        self.results.push(told);
        if self.results.len() < self.population_size {
            return None;
        }
        let own = std::mem::take(&mut self.results);
        self.directions.renew();
        let mut losses: Vec<f64> = own.iter().filter_map(|told| told.standing.loss()).collect();
        let ranked = ranked(own, std::mem::take(elsewhere), rates.parent_count);
        if !ranked.iter().any(|told| told.standing.is_measured()) {
            self.unmeasured_count += 1;
            return (self.unmeasured_count >= UNMEASURED_MAX).then_some(End::NothingMeasured);
        }
        self.unmeasured_count = 0;
        if !losses.is_empty() {
            losses.sort_by(f64::total_cmp);
            self.history.add(&losses);
        }
        if self.update(layout, rates, ranked).is_none() {
            return Some(End::Overflow);
        }
        if self.trial_count_max.is_some_and(|most| self.trial_count >= most) {
            return Some(End::Budget);
        }
        end(&self.gaussian, &self.history, self.population_size, layout.dimension_count(), tolerance)
    }

    /// One generation, best first. Positive weights are for trials that were measured; where too few were, the distribution
    /// moves and grows the less. `None` if the numbers went beyond all measure.
    fn update(&mut self, layout: &Layout, rates: &Rates, mut ranked: Vec<Told>) -> Option<()> {
        // stopped trials may stand before measured ones, and leave them their weights
        let is_measured = |rank: &usize| ranked[*rank].standing.is_measured();
        let parents: Vec<usize> = (0..ranked.len()).filter(is_measured).take(rates.parent_count).collect();
        let mut weights: Vec<f64> = rates.weights.iter().map(|weight| weight.min(0.0)).collect();
        parents.iter().zip(&rates.weights).for_each(|(rank, weight)| weights[*rank] = *weight);
        for told in &mut ranked {
            self.bring_in(layout, told);
        }
        let mut best: Vec<Vec<f64>> =
            parents.iter().map(|rank| std::mem::take(&mut ranked[*rank].place.numbers)).collect();
        self.margin.centre(layout, &self.gaussian.mean, &mut best);
        for (rank, numbers) in parents.iter().zip(best) {
            ranked[*rank].place.numbers = numbers;
        }
        let chosen: Vec<Chosen<'_>> = (parents.iter())
            .map(|rank| Chosen {
                choices: &ranked[*rank].place.choices,
                is_felt: &ranked[*rank].activity.choices,
                weight: weights[*rank],
            })
            .collect();
        self.choices.update(layout, &chosen);
        let steps: Vec<Step> =
            ranked.iter().zip(&weights).map(|(told, weight)| self.step(told, *weight)).collect();
        self.gaussian.update(rates, &steps)?;
        self.gaussian.limit_deviations(DEVIATION_MAX)?;
        for j in 0..layout.numbers.len() {
            if layout.numbers[j].level_count.is_none() {
                match folded(self.gaussian.mean[j]) {
                    (mean, true) => self.gaussian.mirror(j, mean),
                    (mean, false) => self.gaussian.mean[j] = mean,
                }
            }
        }
        self.margin.correct(layout, &mut self.gaussian);
        Some(())
    }

    /// A sample that was not drawn from the distribution as it is now: the image that is nearest to the mean, which lies
    /// in the cube; and at the mean where it has no coordinate.
    fn bring_in(&self, layout: &Layout, told: &mut Told) {
        if told.is_drawn {
            return;
        }
        for (j, value) in told.place.numbers.iter_mut().enumerate() {
            if !told.activity.numbers[j] {
                *value = self.gaussian.mean[j];
            } else if layout.numbers[j].level_count.is_none() {
                *value = folded(*value).0;
            }
        }
    }

    /// The step of a sample.
    fn step(&self, told: &Told, weight: f64) -> Step {
        let (mean, scales) = (&self.gaussian.mean, &self.margin.scales);
        let direction: Vec<f64> = (0..mean.len())
            .map(|j| (told.place.numbers[j] - mean[j]) / (self.gaussian.step * scales[j]))
            .collect();
        Step {
            direction: if told.is_drawn { direction } else { self.gaussian.shortened(direction) },
            is_felt: told.activity.numbers.clone(),
            weight,
        }
    }

    /// What its updates go by.
    pub(crate) fn rates(&self) -> Rates {
        Rates::new(self.gaussian.dimension_count(), self.population_size)
    }

    /// Whether a state that was read is one of this layout.
    pub(crate) fn is_sound(&self, layout: &Layout) -> bool {
        let n = layout.numbers.len();
        (2..=POPULATION_SIZE_MAX).contains(&self.population_size)
            && self.gaussian.is_sound(n)
            && self.margin.is_sound(n)
            && self.choices.is_sound(layout)
            && self.trial_count < u64::MAX / 2
            && self.unmeasured_count < UNMEASURED_MAX
            && self.results.len() < self.population_size
            && self.results.iter().all(|told| told.is_sound(layout))
            && self.history.is_sound()
            && self.directions.is_sound(n)
    }
}

#[cfg(test)]
mod tests;
