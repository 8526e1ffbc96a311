//! Probabilities of choices: each follows the natural gradient of the ranked samples, with a step length that adapts to
//! how much the gradients agree, and never falls below a margin.
//!
//! Sources: Hamano et al. 2025, "CatCMA with Margin" (arXiv 2504.07884); Akimoto, Shirakawa, Yoshinari, Uchida, Saito and
//! Nishida 2019, "Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search" (PMLR 97), for the
//! step length. A choice that is inactive in a sample learns nothing from it.

use crate::layout::Layout;
use crate::margin::margin;
use ansatz_core::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Gradients agree where the square of their sum is beyond this.
const AGREEMENT: f64 = 1.5;
/// The longest step is this many times shorter than the first one at most; beyond, learning would stand still.
const SHORTENING_MAX: f64 = 1e6;
/// A gradient of this length is none.
const GRADIENT_MIN: f64 = 1e-8;

/// Probabilities for all choices of a layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Choices {
    /// One row for each choice, each sums to 1.
    pub(crate) probabilities: Vec<Vec<f64>>,
    /// The gradients summed up, in units in which each has length 1; shape (sum of counts - 1,).
    path: Vec<f64>,
    /// Its expected square length if they had nothing in common.
    path_expected: f64,
    /// By how much steps are shorter than the first one.
    shortening: f64,
}

/// What a sample had chosen, for an update.
#[derive(Clone, Debug)]
pub(crate) struct Chosen<'a> {
    pub(crate) choices: &'a [usize],
    pub(crate) is_felt: &'a [bool],
    /// Above 0.
    pub(crate) weight: f64,
}

impl Choices {
    /// All equally likely.
    pub(crate) fn uniform(layout: &Layout) -> Self {
        let counts = layout.choices.iter().map(|choice| choice.choice_count);
        Self::of(counts.map(|count| vec![1.0 / count as f64; count]).collect())
    }

    /// These probabilities, and nothing learned about steps.
    pub(crate) fn of(probabilities: Vec<Vec<f64>>) -> Self {
        let freedom = probabilities.iter().map(|row| row.len() - 1).sum();
        Self { probabilities, path: vec![0.0; freedom], path_expected: 0.0, shortening: 1.0 }
    }

    /// One choice each.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Vec<usize> {
        let one = |row: &Vec<f64>| {
            let mut left: f64 = rng.random();
            for (index, probability) in row.iter().enumerate() {
                left -= probability;
                if left < 0.0 {
                    return index;
                }
            }
            row.len() - 1
        };
        self.probabilities.iter().map(one).collect()
    }

    /// One generation.
    pub(crate) fn update(&mut self, layout: &Layout, best: &[Chosen<'_>]) {
        let mut gradient: Vec<Vec<f64>> = self.probabilities.iter().map(|row| vec![0.0; row.len()]).collect();
        for sample in best {
            for (j, row) in self.probabilities.iter().enumerate().filter(|(j, _)| sample.is_felt[*j]) {
                for (choice, probability) in row.iter().enumerate() {
                    let is_chosen = f64::from(u8::from(sample.choices[j] == choice));
                    gradient[j][choice] += sample.weight * (is_chosen - probability);
                }
            }
        }
        // The gradient in units of the root of the Fisher information (Akimoto et al. 2019, appendix B).
        let mut scaled = Vec::with_capacity(self.path.len());
        for (row, slope) in self.probabilities.iter().zip(&gradient) {
            let last = row[row.len() - 1];
            let total: f64 = slope[..slope.len() - 1].iter().sum();
            for (probability, part) in row.iter().zip(slope).take(row.len() - 1) {
                let root = probability.sqrt();
                scaled.push(part / root + root * total / (last + last.sqrt()));
            }
        }
        let length = scaled.iter().map(|part| part * part).sum::<f64>().sqrt();
        if length <= GRADIENT_MIN {
            return;
        }
        let step = 1.0 / (self.shortening * length);
        for (row, slope) in self.probabilities.iter_mut().zip(&gradient) {
            for (probability, part) in row.iter_mut().zip(slope) {
                *probability += step * part;
            }
        }
        let beta = (1.0 / (self.shortening * (self.path.len() as f64).sqrt())).min(1.0);
        let gain = (beta * (2.0 - beta)).sqrt();
        for (sum, part) in self.path.iter_mut().zip(&scaled) {
            *sum = (1.0 - beta) * *sum + gain * part / length;
        }
        self.path_expected = (1.0 - beta) * (1.0 - beta) * self.path_expected + beta * (2.0 - beta);
        let square: f64 = self.path.iter().map(|part| part * part).sum();
        let change = libm::exp(beta * (self.path_expected - square / AGREEMENT));
        self.shortening = (self.shortening * change).clamp(1.0 / SHORTENING_MAX, SHORTENING_MAX);
        self.correct(layout);
    }

    /// Raises what is below the margin, and takes it from where there is more. The margin alpha is shared by the choices
    /// that are not the likeliest.
    pub(crate) fn correct(&mut self, layout: &Layout) {
        let alpha = margin(layout.margin_count());
        for row in &mut self.probabilities {
            let count = row.len() as f64;
            let least = alpha / (count - 1.0);
            // finite, whatever the step was
            row.iter_mut().for_each(|probability| *probability = probability.clamp(least, 1e6));
            let sum: f64 = row.iter().sum();
            let above = sum - least * count;
            if above > 0.0 {
                row.iter_mut().for_each(|p| *p = (*p - (sum - 1.0) * (*p - least) / above).max(least));
            }
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|probability| *probability /= sum);
        }
    }

    /// Whether a state that was read is one of this layout.
    pub(crate) fn is_sound(&self, layout: &Layout) -> bool {
        let fits = |(row, choice): (&Vec<f64>, &crate::layout::Choice)| {
            row.len() == choice.choice_count && row.iter().all(|p| p.is_finite() && *p > 0.0 && *p <= 1.0)
        };
        self.probabilities.len() == layout.choices.len()
            && self.probabilities.iter().zip(&layout.choices).all(fits)
            && self.path.len() == layout.choices.iter().map(|choice| choice.choice_count - 1).sum::<usize>()
            && self.path.iter().all(|part| part.is_finite())
            && self.path_expected.is_finite()
            && self.shortening.is_finite()
            && self.shortening > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Space;
    use ansatz_core::space::Parameter;

    fn layout() -> Layout {
        Layout::new(
            &Space::of(vec![
                Parameter::categorical("a", ["x", "y", "z", "w", "v"]),
                Parameter::bool("b"),
                Parameter::int("n", 0, 9),
            ])
            .unwrap(),
        )
    }

    #[track_caller]
    fn check(choices: &Choices, layout: &Layout) {
        let alpha = margin(layout.margin_count());
        assert!(choices.is_sound(layout), "{choices:?}");
        for row in &choices.probabilities {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{row:?}");
            let least = alpha / (row.len() as f64 - 1.0);
            assert!(row.iter().all(|probability| *probability >= least * (1.0 - 1e-9)), "{least}: {row:?}");
        }
    }

    #[test]
    fn probabilities_sum_to_one_and_keep_the_margin_whatever_is_told() {
        let layout = layout();
        for seed in 0..20 {
            let mut rng = Rng::new(seed);
            let mut choices = Choices::uniform(&layout);
            for _ in 0..200 {
                let drawn: Vec<Vec<usize>> = (0..4).map(|_| choices.draw(&mut rng)).collect();
                let felt: Vec<[bool; 2]> = (0..4).map(|_| [rng.random(), rng.random()]).collect();
                let best: Vec<Chosen<'_>> = (drawn.iter().zip(&felt))
                    .map(|(choices, is_felt)| Chosen { choices, is_felt, weight: 0.25 })
                    .collect();
                choices.update(&layout, &best);
                check(&choices, &layout);
            }
        }
    }

    #[test]
    fn the_choice_of_the_best_becomes_likely_and_one_that_was_inactive_stays() {
        let layout = layout();
        let mut choices = Choices::uniform(&layout);
        let mut rng = Rng::new(1);
        for _ in 0..60 {
            let mut drawn: Vec<Vec<usize>> = (0..6).map(|_| choices.draw(&mut rng)).collect();
            drawn.sort_by_key(|chosen| usize::from(chosen[0] != 3));
            let best: Vec<Chosen<'_>> = [0.5, 0.3, 0.2]
                .iter()
                .zip(&drawn)
                .map(|(weight, choices)| Chosen { choices, is_felt: &[true, false], weight: *weight })
                .collect();
            choices.update(&layout, &best);
            check(&choices, &layout);
        }
        assert!(choices.probabilities[0][3] > 0.8, "{:?}", choices.probabilities);
        assert_eq!(choices.probabilities[1], [0.5, 0.5]);
    }

    /// The first step by hand: two choices, the only sample chose the second. The gradient is (-1/2, 1/2), its length in
    /// units of the root of the information is |-1/2 / r - r / 2 / (1/2 + r)| with r = sqrt(1/2), which is 1.
    #[test]
    fn the_first_step_has_length_one() {
        let layout = Layout::new(&Space::of(vec![Parameter::bool("b"), Parameter::int("n", 0, 9)]).unwrap());
        let mut choices = Choices::uniform(&layout);
        choices.update(&layout, &[Chosen { choices: &[1], is_felt: &[true], weight: 1.0 }]);
        let alpha = margin(2);
        assert!((choices.probabilities[0][0] - alpha).abs() < 1e-9, "{:?}", choices.probabilities);
    }
}
