//! When a descent has nothing left to find, and a restart is due.
//!
//! Source: Hansen 2009, "Benchmarking a BI-Population CMA-ES on the BBOB-2009 Function Testbed", and the tutorial, section
//! B.3. Losses are only compared, never subtracted: a study of 1000 times the loss, or of its logarithm, restarts at the
//! same trial. Where the paper looks at differences (TolFun), equality stands instead. TolXUp is left out: in the cube
//! the deviations have a limit.

use crate::gaussian::Gaussian;
use serde::{Deserialize, Serialize};

/// Above this ratio of the largest to the least variance there is nothing but rounding errors.
const CONDITION_MAX: f64 = 1e14;
/// Generations that `History` remembers at most.
const GENERATION_COUNT_MAX: usize = 20_000;

/// Why a descent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All deviations are below the tolerance.
    Tolerance,
    /// The best loss of each of the last generations is the same.
    EqualLosses,
    /// Neither the best nor the median losses get better.
    Stagnation,
    /// The mean stays where it is, to the last bit, along an axis or a coordinate.
    NoEffect,
    /// The covariance is too elongated to be computed with.
    Condition,
    /// No trial of the last generations was measured.
    NothingMeasured,
    /// The descent had as many trials as it was given.
    Budget,
    /// Numbers beyond all measure.
    Overflow,
}

/// The losses of the generations of a descent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    /// The best loss of each generation and the lower median, oldest first.
    best: Vec<f64>,
    median: Vec<f64>,
}

impl History {
    /// `sorted`: the losses of a generation, at least one, best first.
    pub(crate) fn add(&mut self, sorted: &[f64]) {
        if self.best.len() >= GENERATION_COUNT_MAX {
            self.best.remove(0);
            self.median.remove(0);
        }
        self.best.push(sorted[0]);
        self.median.push(sorted[(sorted.len() - 1) / 2]);
    }

    /// Whether a state that was read makes sense.
    pub(crate) fn is_sound(&self) -> bool {
        self.best.len() == self.median.len()
            && !self.best.iter().chain(&self.median).any(|loss| loss.is_nan())
    }

    /// `patience`: 30 n / lambda.
    fn is_flat(&self, patience: f64) -> bool {
        let count = 10 + patience.ceil() as usize;
        self.best.len() >= count && {
            let last = &self.best[self.best.len() - count..];
            last.iter().all(|loss| *loss == last[0])
        }
    }

    /// Over the last fifth of the generations, but at least 120 + 30 n / lambda: whether the median of the latest third is
    /// no better than that of the first third, of the best losses and of the medians.
    fn stagnates(&self, patience: f64) -> bool {
        let count = self.best.len();
        let window = (count / 5).max(120 + patience.ceil() as usize);
        if count < window {
            return false;
        }
        [&self.best, &self.median].into_iter().all(|losses| {
            let recent = &losses[count - window..];
            let part = 3 * window / 10;
            lower_median(&recent[window - part..]) >= lower_median(&recent[..part])
        })
    }
}

fn lower_median(losses: &[f64]) -> f64 {
    let mut sorted = losses.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}

/// Why the descent ends here, if it does. `tolerance` is a share of the range of a parameter.
pub(crate) fn end(
    gaussian: &Gaussian,
    history: &History,
    population_size: usize,
    dimension_count: usize,
    tolerance: f64,
) -> Option<End> {
    let patience = 30.0 * dimension_count as f64 / population_size as f64;
    if history.is_flat(patience) {
        return Some(End::EqualLosses);
    }
    if history.stagnates(patience) {
        return Some(End::Stagnation);
    }
    let n = gaussian.dimension_count();
    if n == 0 {
        return None;
    }
    let deviations = gaussian.deviations();
    if deviations.iter().copied().chain(gaussian.path_deviations()).all(|found| found < tolerance) {
        return Some(End::Tolerance);
    }
    let (longest, shortest) = gaussian.extreme_lengths();
    if longest * longest > CONDITION_MAX * shortest * shortest {
        return Some(End::Condition);
    }
    let (axis, length) = gaussian.axis((gaussian.generation % n as u64) as usize);
    let is_still = |(mean, part): (&f64, &f64)| *mean == mean + 0.1 * gaussian.step * length * part;
    let is_coordinate_still = |(mean, found): (&f64, &f64)| *mean == mean + 0.2 * found;
    if gaussian.mean.iter().zip(axis).all(is_still)
        || gaussian.mean.iter().zip(&deviations).any(is_coordinate_still)
    {
        return Some(End::NoEffect);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(losses: impl IntoIterator<Item = f64>) -> History {
        let mut history = History::default();
        losses.into_iter().for_each(|loss| history.add(&[loss, loss + 1.0]));
        history
    }

    fn usual() -> Gaussian {
        Gaussian::round(vec![0.5; 3], 0.1)
    }

    #[test]
    fn a_descent_that_gets_better_goes_on() {
        for count in [0, 5, 50, 500] {
            let history = history((0..count).map(|k| -f64::from(k)));
            assert_eq!(end(&usual(), &history, 7, 3, 1e-9), None, "{count}");
        }
    }

    #[test]
    fn each_end_is_seen() {
        // 10 + 30 * 3 / 7 generations
        assert_eq!(end(&usual(), &history([1.0; 22]), 7, 3, 1e-9), None);
        assert_eq!(end(&usual(), &history([1.0; 23]), 7, 3, 1e-9), Some(End::EqualLosses));
        // to and fro, for 120 + 30 * 3 / 7 generations
        let restless = |count| history((0..count).map(|k| f64::from(k % 7)));
        assert_eq!(end(&usual(), &restless(132), 7, 3, 1e-9), None);
        assert_eq!(end(&usual(), &restless(133), 7, 3, 1e-9), Some(End::Stagnation));
        let none = History::default();
        assert_eq!(end(&Gaussian::round(vec![0.5; 3], 0.9e-9), &none, 7, 3, 1e-9), Some(End::Tolerance));
        assert_eq!(end(&Gaussian::round(vec![0.5; 3], 1.1e-9), &none, 7, 3, 1e-9), None);
        assert_eq!(end(&Gaussian::round(vec![0.5; 3], 1e-17), &none, 7, 3, 0.0), Some(End::NoEffect));
        let long = Gaussian::of_covariance(vec![0.5; 2], vec![1.0, 0.0, 0.0, 0.9e-14]).unwrap();
        assert_eq!(end(&long, &none, 7, 2, 1e-9), Some(End::Condition));
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let mut history = history((0..GENERATION_COUNT_MAX + 5).map(|k| k as f64));
        assert_eq!((history.best.len(), history.best[0]), (GENERATION_COUNT_MAX, 5.0));
        assert!(history.is_sound());
        history.best.pop();
        assert!(!history.is_sound());
    }
}
