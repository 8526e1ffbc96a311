//! The scale F and the crossover rate CR of differential evolution, drawn from what succeeded.
//!
//! Source: Tanabe and Fukunaga 2013, "Success-History Based Parameter Adaptation for Differential Evolution", and 2014,
//! "Improving the Search Performance of SHADE Using Linear Population Size Reduction" (L-SHADE), section II.

use ansatz_core::rng::Rng;
use ansatz_sampling::standard_normal;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Entries of the memory, H.
const MEMORY_LENGTH: usize = 6;
/// Deviation of CR and scale of F about the memory.
const SPREAD: f64 = 0.1;

/// How a child was made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rates {
    /// The scale of differences, above 0 and at most 1.
    pub(crate) scale: f64,
    /// The chance that a gene is not that of the target.
    pub(crate) crossover: f64,
}

/// The memory, and the successes since its last entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SuccessHistory {
    scales: Vec<f64>,
    /// `None`: no gene but one, for good.
    crossovers: Vec<Option<f64>>,
    /// The entry that is written next.
    next: usize,
    /// With by how much the loss fell, where it can be said.
    successes: Vec<(Rates, Option<f64>)>,
}

impl Default for SuccessHistory {
    fn default() -> Self {
        Self {
            scales: vec![0.5; MEMORY_LENGTH],
            crossovers: vec![Some(0.5); MEMORY_LENGTH],
            next: 0,
            successes: Vec::new(),
        }
    }
}

impl SuccessHistory {
    /// The rates of a new child.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Rates {
        let entry = rng.random_range(0..MEMORY_LENGTH);
        let crossover = match self.crossovers[entry] {
            Some(centre) => (centre + SPREAD * standard_normal(rng)).clamp(0.0, 1.0),
            None => 0.0,
        };
        let scale = loop {
            // Cauchy; the chance of at most 0 is below one half
            let drawn = self.scales[entry] + SPREAD * libm::tan(PI * (rng.random::<f64>() - 0.5));
            if drawn > 0.0 {
                break drawn.min(1.0);
            }
        };
        Rates { scale, crossover }
    }

    /// Counts a success; `fall`: by how much the loss fell.
    pub(crate) fn succeed(&mut self, rates: Rates, fall: Option<f64>) {
        self.successes.push((rates, fall.map(|fall| fall.clamp(0.0, f64::MAX))));
    }

    /// Writes an entry from the successes since the last one: their weighted Lehmer means.
    pub(crate) fn remember(&mut self) {
        let successes = std::mem::take(&mut self.successes);
        if successes.is_empty() {
            return;
        }
        let largest = successes.iter().filter_map(|(_, fall)| *fall).fold(0.0, f64::max);
        // who left what is no loss at all fell as far as any
        let weight = |fall: &Option<f64>| match fall {
            Some(fall) if largest > 0.0 => fall / largest,
            _ => 1.0,
        };
        let mean = |of: fn(&Rates) -> f64| {
            let (mut squares, mut sum) = (0.0, 0.0);
            for (rates, fall) in &successes {
                let value = of(rates);
                squares += weight(fall) * value * value;
                sum += weight(fall) * value;
            }
            (sum > 0.0).then(|| squares / sum)
        };
        if let Some(scale) = mean(|rates| rates.scale) {
            self.scales[self.next] = scale.clamp(f64::MIN_POSITIVE, 1.0);
        }
        let had_ended = self.crossovers[self.next].is_none();
        self.crossovers[self.next] =
            if had_ended { None } else { mean(|rates| rates.crossover).map(|mean| mean.min(1.0)) };
        self.next = (self.next + 1) % MEMORY_LENGTH;
    }

    /// Whether a state that was read makes sense.
    pub(crate) fn is_sound(&self) -> bool {
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        self.scales.len() == MEMORY_LENGTH
            && self.crossovers.len() == MEMORY_LENGTH
            && self.next < MEMORY_LENGTH
            && self.scales.iter().all(|scale| *scale > 0.0 && is_share(*scale))
            && self.crossovers.iter().flatten().all(|crossover| is_share(*crossover))
            && self.successes.iter().all(|(rates, fall)| {
                rates.is_sound() && fall.is_none_or(|fall| fall.is_finite() && fall >= 0.0)
            })
    }
}

impl Rates {
    /// Whether a state that was read makes sense.
    pub(crate) fn is_sound(&self) -> bool {
        self.scale > 0.0 && self.scale <= 1.0 && (0.0..=1.0).contains(&self.crossover)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_what_succeeded() {
        let mut history = SuccessHistory::default();
        let mut rng = Rng::new(1);
        for _ in 0..MEMORY_LENGTH {
            // the large fall outweighs the small one
            history.succeed(Rates { scale: 0.9, crossover: 0.8 }, Some(1e300));
            history.succeed(Rates { scale: 0.1, crossover: 0.1 }, Some(1e-3));
            history.remember();
        }
        let drawn: Vec<Rates> = (0..2001).map(|_| history.draw(&mut rng)).collect();
        assert!(drawn.iter().all(Rates::is_sound));
        let median = |of: fn(&Rates) -> f64| {
            let mut values: Vec<f64> = drawn.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[1000]
        };
        assert!((median(|rates| rates.scale) - 0.9).abs() < 0.02);
        assert!((median(|rates| rates.crossover) - 0.8).abs() < 0.02);
    }

    /// Lehmer means of 0.5 and 1 with weights 1/4 and 3/4: 0.8125 / 0.875.
    #[test]
    fn means_are_those_of_the_paper() {
        let mut history = SuccessHistory::default();
        history.succeed(Rates { scale: 0.5, crossover: 1.0 }, Some(1.0));
        history.succeed(Rates { scale: 1.0, crossover: 0.5 }, Some(3.0));
        history.remember();
        assert!((history.scales[0] - 0.8125 / 0.875).abs() < 1e-15);
        assert!((history.crossovers[0].unwrap() - 0.4375 / 0.625).abs() < 1e-15);
    }

    #[test]
    fn crossovers_of_nothing_but_zero_end_an_entry() {
        let mut history = SuccessHistory::default();
        history.succeed(Rates { scale: 0.5, crossover: 0.0 }, Some(1.0));
        history.remember();
        assert_eq!(history.crossovers[0], None);
        assert!(history.is_sound());
    }
}
