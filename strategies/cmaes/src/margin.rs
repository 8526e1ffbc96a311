//! The margin of whole numbers: however small the normal distribution becomes, each sample leaves the cell of the mean with
//! a probability that is never below alpha. Then a discrete coordinate never freezes before its best value was tried.
//!
//! Sources: Hamano, Saito, Nomura and Shirakawa 2022, "CMA-ES with Margin" (arXiv 2205.13482), for the correction of mean
//! and scales; the same 2025, "CatCMA with Margin" (arXiv 2504.07884), for alpha, the rates that unsuccessful coordinates
//! keep, and the centring of what is learned from.

use crate::gaussian::Gaussian;
use crate::layout::{Cell, Layout};
use crate::normal::{upper_quantile, upper_tail};
use serde::{Deserialize, Serialize};

/// The chance that a sample changes no discrete coordinate is at most this, if they are independent.
const UNCHANGED_CHANCE_MAX: f64 = 0.73;
/// Probabilities are kept this far from 0 and one half, where quantiles would be infinite or 0.
const PROBABILITY_EDGE: f64 = 1e-8;

/// alpha: the least chance of leaving the cell of the mean, with so many discrete coordinates and choices.
pub(crate) fn margin(count: usize) -> f64 {
    1.0 - libm::pow(UNCHANGED_CHANCE_MAX, 1.0 / count.max(1) as f64)
}

/// What the margin keeps of each number; those without gaps have a scale of 1 and nothing else. Shapes (n,).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Margin {
    /// A's diagonal: a sample is m + sigma A y.
    pub(crate) scales: Vec<f64>,
    /// The chance of leaving the cell of the mean, after the last correction.
    leaving_chances: Vec<f64>,
    /// Whether one of the best of the last generation had left it.
    has_left: Vec<bool>,
}

impl Margin {
    /// Before the first generation: nothing limits what a coordinate may do.
    pub(crate) fn new(n: usize) -> Self {
        Self { scales: vec![1.0; n], leaving_chances: vec![1.0; n], has_left: vec![true; n] }
    }

    /// Moves the best samples of a generation, each of shape (n,): those that left the cell of the mean to the centre of
    /// theirs, and the others towards the centre of the mean's by as much as makes up for that. So what is learned does
    /// not hang on where in a cell a sample happened to fall.
    pub(crate) fn centre(&mut self, layout: &Layout, mean: &[f64], best: &mut [Vec<f64>]) {
        for j in 0..mean.len() {
            let Some(home) = layout.cell(j, mean[j]) else { continue };
            let away: Vec<(f64, bool)> = best
                .iter()
                .filter_map(|numbers| layout.cell(j, numbers[j]).map(|cell| (cell, numbers[j])))
                .map(|(cell, value)| (cell.centre - value, cell.centre != home.centre))
                .collect();
            self.has_left[j] = away.iter().any(|(_, has_left)| *has_left);
            let bias: f64 = away.iter().filter(|(_, has_left)| *has_left).map(|(shift, _)| shift).sum();
            let against = |shift: f64, has_left: bool| !has_left && shift * bias < 0.0;
            let total: f64 = away.iter().filter(|(s, left)| against(*s, *left)).map(|(s, _)| s.abs()).sum();
            let share = if total > 0.0 { (bias.abs() / total).min(1.0) } else { 0.0 };
            for (numbers, (shift, has_left)) in best.iter_mut().zip(&away) {
                if *has_left {
                    numbers[j] += shift;
                } else if against(*shift, false) {
                    numbers[j] += share * shift;
                }
            }
        }
    }

    /// Corrects mean and scales so that the margin holds; covariance and step size stay.
    pub(crate) fn correct(&mut self, layout: &Layout, gaussian: &mut Gaussian) {
        let alpha = margin(layout.margin_count());
        let deviations = gaussian.deviations();
        for (j, deviation) in deviations.into_iter().enumerate() {
            let Some(cell) = layout.cell(j, gaussian.mean[j]) else { continue };
            match (cell.lower, cell.upper) {
                (Some(lower), Some(upper)) => {
                    self.correct_within(j, (lower, upper), &mut gaussian.mean[j], deviation, alpha);
                }
                (Some(edge), None) | (None, Some(edge)) => {
                    self.correct_at_end(j, cell, edge, &mut gaussian.mean[j], deviation, alpha);
                }
                (None, None) => {}
            }
        }
    }

    /// A mean in the first or last cell, whose only edge is `edge`.
    fn correct_at_end(
        &mut self,
        j: usize,
        cell: Cell,
        edge: f64,
        mean: &mut f64,
        deviation: f64,
        alpha: f64,
    ) {
        let side = if cell.upper.is_some() { -1.0 } else { 1.0 };
        let found = upper_tail((*mean - edge).abs() / (deviation * self.scales[j]));
        let mut chance = found.max(alpha);
        if !self.has_left[j] {
            chance = chance.min(self.leaving_chances[j]);
        }
        chance = chance.clamp(PROBABILITY_EDGE, 0.5 - PROBABILITY_EDGE);
        self.leaving_chances[j] = chance;
        // the mean may stand at the centre of its cell and still leave it often enough
        let scale_min = (cell.centre - edge).abs() / (deviation * upper_quantile(alpha));
        if chance == found && self.scales[j] >= scale_min {
            return;
        }
        self.scales[j] = self.scales[j].max(scale_min);
        *mean = edge + side * deviation * self.scales[j] * upper_quantile(chance);
    }

    /// A mean in a cell with neighbours on both sides.
    fn correct_within(
        &mut self,
        j: usize,
        (lower, upper): (f64, f64),
        mean: &mut f64,
        deviation: f64,
        alpha: f64,
    ) {
        let width = deviation * self.scales[j];
        let found = (upper_tail((*mean - lower) / width), upper_tail((upper - *mean) / width));
        let (mut below, mut above) = (found.0.max(alpha / 2.0), found.1.max(alpha / 2.0));
        let stay = 1.0 - found.0 - found.1;
        let stay_min = if self.has_left[j] { alpha / 2.0 } else { 1.0 - self.leaving_chances[j] };
        let wanted = if self.has_left[j] { stay } else { stay.max(stay_min) };
        // what was raised is taken from where there is more than the least
        let room = below + above + wanted - alpha - stay_min;
        if room > 0.0 {
            let excess = (1.0 - below - above - wanted) / room;
            below += excess * (below - alpha / 2.0);
            above += excess * (above - alpha / 2.0);
        }
        below = below.clamp(PROBABILITY_EDGE, 0.5 - PROBABILITY_EDGE);
        above = above.clamp(PROBABILITY_EDGE, 0.5 - PROBABILITY_EDGE);
        self.leaving_chances[j] = below + above;
        // Nothing to correct: then nothing is rounded either, which for cells much narrower than the distribution would
        // matter.
        if found.0 >= alpha / 2.0 && found.1 >= alpha / 2.0 && wanted == stay {
            return;
        }
        let (to_lower, to_upper) = (upper_quantile(below), upper_quantile(above));
        self.scales[j] = (upper - lower) / ((to_lower + to_upper) * deviation);
        *mean = (lower * to_upper + upper * to_lower) / (to_lower + to_upper);
    }

    /// Whether a state that was read is one of `n` coordinates.
    pub(crate) fn is_sound(&self, n: usize) -> bool {
        self.scales.len() == n
            && self.leaving_chances.len() == n
            && self.has_left.len() == n
            && self.scales.iter().all(|scale| scale.is_finite() && *scale > 0.0)
            && self.leaving_chances.iter().all(|chance| (0.0..=1.0).contains(chance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Space;
    use ansatz_core::rng::Rng;
    use ansatz_core::space::Parameter;
    use rand::RngExt;

    fn layout() -> Layout {
        Layout::new(
            &Space::of(vec![
                Parameter::int("few", 0, 2),
                Parameter::int("some", -4, 15),
                Parameter::int("log", 1, 1024).log(),
                Parameter::int("many", 0, 1_000_000_000),
                Parameter::float("x", 0.0, 1.0),
                Parameter::bool("flag"),
            ])
            .unwrap(),
        )
    }

    /// The chances of a sample below and above the cell of the mean.
    fn leaving(layout: &Layout, gaussian: &Gaussian, margin: &Margin, j: usize) -> (f64, f64) {
        let cell = layout.cell(j, gaussian.mean[j]).unwrap();
        let width = gaussian.deviations()[j] * margin.scales[j];
        let beyond =
            |edge: Option<f64>| edge.map_or(0.0, |edge| upper_tail((gaussian.mean[j] - edge).abs() / width));
        (beyond(cell.lower), beyond(cell.upper))
    }

    #[test]
    fn the_cell_of_the_mean_is_left_with_the_margin_or_more() {
        let layout = layout();
        let alpha = margin(layout.margin_count());
        assert!((alpha - 0.061).abs() < 0.001, "1 - 0.73^(1/5), found {alpha}");
        let mut rng = Rng::new(4);
        for round in 0..2000 {
            let step = libm::pow(10.0, -9.0 * rng.random::<f64>());
            let mean = (0..5).map(|_| 1.6 * rng.random::<f64>() - 0.3).collect();
            let mut gaussian = Gaussian::round(mean, step);
            let mut kept = Margin::new(5);
            for _ in 0..3 {
                kept.has_left.fill_with(|| rng.random());
                kept.correct(&layout, &mut gaussian);
                for j in 0..4 {
                    let (below, above) = leaving(&layout, &gaussian, &kept, j);
                    let cell = layout.cell(j, gaussian.mean[j]).unwrap();
                    let least = 0.999_999 * alpha;
                    if cell.lower.is_some() && cell.upper.is_some() {
                        assert!(below >= least / 2.0 && above >= least / 2.0, "{round} {j}: {below} {above}");
                    }
                    assert!(below + above >= least, "{round} {j}: {below} {above}");
                }
                assert_eq!(kept.scales[4], 1.0, "a number without gaps needs no margin");
                assert!(kept.is_sound(5));
                gaussian.step *= 0.2 + rng.random::<f64>();
                gaussian.mean.iter_mut().for_each(|m| *m += 0.1 * (rng.random::<f64>() - 0.5));
            }
        }
    }

    #[test]
    fn what_keeps_the_margin_is_left_alone() {
        let layout = layout();
        let mut gaussian = Gaussian::round(vec![0.5, 0.475, 0.5, 0.3, 0.2], 0.2);
        let before = gaussian.clone();
        let mut kept = Margin::new(5);
        kept.correct(&layout, &mut gaussian);
        assert_eq!((gaussian, &kept.scales), (before, &vec![1.0; 5]));
    }

    #[test]
    fn a_coordinate_without_success_leaves_its_cell_no_more_often_than_before() {
        let layout = layout();
        // 0.4 of 20 cells: the ninth cell, from 0.4 to 0.45
        let mut gaussian = Gaussian::round(vec![0.5, 0.425, 0.5, 0.5, 0.5], 0.02);
        let mut kept = Margin::new(5);
        kept.correct(&layout, &mut gaussian);
        let (below, above) = leaving(&layout, &gaussian, &kept, 1);
        gaussian.step = 0.2;
        kept.has_left[1] = false;
        kept.correct(&layout, &mut gaussian);
        let later = leaving(&layout, &gaussian, &kept, 1);
        assert!((later.0 + later.1 - below - above).abs() < 1e-9, "{below} {above} {later:?}");
        kept.has_left[1] = true;
        gaussian.step = 2.0;
        kept.correct(&layout, &mut gaussian);
        let successful = leaving(&layout, &gaussian, &kept, 1);
        assert!(successful.0 + successful.1 > 2.0 * (below + above), "{successful:?}");
    }

    #[test]
    fn samples_that_left_are_centred_and_the_others_make_up_for_it() {
        let layout = layout();
        let mean = [0.5, 0.475, 0.5, 0.5, 0.5];
        // cells of 0.05: the mean's is 0.45 to 0.5 with its centre 0.475
        let mut best = vec![mean.to_vec(), mean.to_vec(), mean.to_vec()];
        best[0][1] = 0.51;
        best[1][1] = 0.49;
        best[2][1] = 0.46;
        let mut kept = Margin::new(5);
        kept.centre(&layout, &mean, &mut best);
        let found: Vec<f64> = best.iter().map(|numbers| numbers[1]).collect();
        // the first goes up to 0.525 by 0.015, the second down by as much, the third is on the other side
        for (found, expected) in found.iter().zip([0.525, 0.475, 0.46]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert!(kept.has_left[1] && !kept.has_left[0] && kept.has_left[4]);
        assert_eq!(best[0][4], 0.5);
    }
}
