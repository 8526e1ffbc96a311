//! What the strategy was told, reduced to what its models use.

use std::borrow::{Borrow, Cow};

use ansatz_core::{Curve, Observation, ObservedResult, Point};
use ansatz_surrogate::non_dominated;
use serde::{Deserialize, Serialize};

/// One finished trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// What was evaluated.
    pub(crate) point: Point,
    /// What it taught.
    pub(crate) lesson: Lesson,
    /// What it reported on its way, if it may be compared with others.
    #[serde(default)]
    pub(crate) curve: Curve,
}

/// What a trial teaches about its point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Lesson {
    /// What a full evaluation measured, also where it breaks an outcome constraint.
    Measured {
        /// One for each metric.
        losses: Vec<f64>,
        /// Their standard errors, 0 where none is known; one for each metric, or empty.
        #[serde(default)]
        standard_errors: Vec<f64>,
        /// One for each outcome constraint, which holds at or below 0.
        excesses: Vec<f64>,
    },
    /// Nothing was measured because the point is bad: infeasible or failed.
    Bad,
    /// Nothing that compares with a full evaluation: stopped early, or evaluated with less than full fidelity.
    Unfinished,
    /// Losses that say no more than that the point is bad; only for a model.
    Diverged {
        /// One for each outcome constraint: these were measured as any other.
        excesses: Vec<f64>,
    },
    /// What a trial that was stopped early would probably have measured (`projection.rs`); only for a model.
    Projected {
        /// One for each metric.
        losses: Vec<f64>,
        /// Their standard deviations.
        deviations: Vec<f64>,
    },
}

#[cfg(test)]
impl Lesson {
    /// Without standard errors.
    pub(crate) fn measured(losses: Vec<f64>, excesses: Vec<f64>) -> Self {
        Self::Measured { losses, standard_errors: Vec::new(), excesses }
    }
}

impl Told {
    /// `full_fidelity`: from here on an evaluation is a full one; `None` if the problem has no fidelity.
    pub(crate) fn new(observation: &Observation, full_fidelity: Option<f64>) -> Self {
        let is_full = observation.is_full(full_fidelity);
        let lesson = match &observation.result {
            ObservedResult::Completed(measured)
                if measured.values.iter().chain(&measured.excesses).all(|value| value.is_finite()) =>
            {
                if is_full {
                    Lesson::Measured {
                        losses: measured.values.clone(),
                        standard_errors: known_errors(&measured.standard_errors),
                        excesses: measured.excesses.clone(),
                    }
                } else {
                    Lesson::Unfinished
                }
            }
            ObservedResult::Stopped(_) => Lesson::Unfinished,
            _ => Lesson::Bad,
        };
        let curve = match lesson {
            Lesson::Measured { .. } => observation.curve.clone(),
            Lesson::Unfinished if is_full => observation.curve.clone(),
            _ => Curve::default(),
        };
        Self { point: observation.point.clone(), curve, lesson }
    }

    /// One for each metric, if they were measured.
    pub(crate) fn losses(&self) -> Option<&[f64]> {
        match &self.lesson {
            Lesson::Measured { losses, .. } => Some(losses),
            Lesson::Bad | Lesson::Unfinished | Lesson::Diverged { .. } | Lesson::Projected { .. } => None,
        }
    }

    /// One for each metric, measured or projected, with their standard deviations; 0 where a measured one has no known
    /// standard error.
    pub(crate) fn believed_losses(&self) -> Option<impl Iterator<Item = (f64, f64)>> {
        let (losses, deviations): (&[f64], &[f64]) = match &self.lesson {
            Lesson::Measured { losses, standard_errors, .. } => (losses, standard_errors),
            Lesson::Projected { losses, deviations } => (losses, deviations),
            Lesson::Bad | Lesson::Unfinished | Lesson::Diverged { .. } => return None,
        };
        let deviations = deviations.iter().copied().chain(std::iter::repeat(0.0));
        Some(losses.iter().copied().zip(deviations))
    }

    /// A trial that was stopped early teaches nothing more once another one of the same point went further, as one does
    /// that continues it.
    pub(crate) fn give_way(&mut self, later: &Self) {
        if !self.is_projectable() || self.point != later.point {
            return;
        }
        let last = |told: &Self| told.curve.last().map(|last| last.step);
        let went_further = later.losses().is_some() || later.is_projectable() && last(later) >= last(self);
        if went_further {
            self.curve = Curve::default();
        }
    }

    /// Whether it was stopped early, and may be compared with those that went on.
    pub(crate) fn is_projectable(&self) -> bool {
        self.lesson == Lesson::Unfinished && !self.curve.is_empty()
    }

    /// One for each outcome constraint, if they were measured.
    pub(crate) fn excesses(&self) -> Option<&[f64]> {
        match &self.lesson {
            Lesson::Measured { excesses, .. } | Lesson::Diverged { excesses } => Some(excesses),
            Lesson::Bad | Lesson::Unfinished | Lesson::Projected { .. } => None,
        }
    }

    /// Whether it was measured to keep every outcome constraint.
    pub(crate) fn is_allowed(&self) -> bool {
        self.excesses().is_some_and(|excesses| excesses.iter().all(|excess| *excess <= 0.0))
    }
}

/// Losses of so many trials, the first, say how far typical ones lie apart: later ones are where the search has led.
const TYPICAL_COUNT: usize = 8;
/// A loss has diverged that is so many times as far above the best as a typical good one.
const DIVERGED_RATIO: f64 = 300.0;

/// Which losses have diverged, as those of a training with too large a step do: how large they are says nothing, and would leave
/// no difference between all others.
#[derive(Clone, Debug)]
pub(crate) struct Divergence {
    /// For each metric; infinite where nothing can be said.
    bounds: Vec<f64>,
    /// With several metrics, the losses of trials that keep all constraints: what none of them beats has not diverged.
    allowed: Vec<Vec<f64>>,
}

impl Divergence {
    /// By all that was told. A typical good loss is the first quartile of the first eight of trials that keep all
    /// constraints, or the median of all of them if that is larger.
    pub(crate) fn of(told: &[Told], metric_count: usize) -> Self {
        let allowed = || told.iter().filter(|told| told.is_allowed()).filter_map(Told::losses);
        let bound = |metric: usize| {
            let losses: Vec<f64> = allowed().filter_map(|losses| losses.get(metric).copied()).collect();
            let quantile = |losses: &[f64], part: usize| {
                let mut sorted = losses.to_vec();
                sorted.sort_by(f64::total_cmp);
                sorted[losses.len() / part]
            };
            let first = quantile(losses.get(..TYPICAL_COUNT)?, 4);
            let typical =
                first.max(if losses.len() > 2 * TYPICAL_COUNT { quantile(&losses, 2) } else { first });
            let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
            let bound = best + DIVERGED_RATIO * (typical - best);
            (typical > best && bound.is_finite()).then_some(bound)
        };
        let bounds: Vec<f64> =
            (0..metric_count).map(|metric| bound(metric).unwrap_or(f64::INFINITY)).collect();
        let is_needed = metric_count > 1 && bounds.iter().any(|bound| bound.is_finite());
        let allowed = if is_needed { allowed().map(<[f64]>::to_vec).collect() } else { Vec::new() };
        Self { bounds, allowed }
    }

    fn is_beyond(&self, losses: impl Iterator<Item = f64>) -> bool {
        losses.zip(&self.bounds).any(|(loss, bound)| loss > *bound)
    }

    fn has_diverged(&self, losses: &[f64]) -> bool {
        let beats = |other: &Vec<f64>| other != losses && other.iter().zip(losses).all(|(a, b)| a <= b);
        self.is_beyond(losses.iter().copied()) && (self.bounds.len() == 1 || self.allowed.iter().any(beats))
    }

    /// A trial as models see it: of one that has diverged, or had when it was stopped, that its point is bad.
    pub(crate) fn seen<'a>(&self, told: &'a Told) -> Cow<'a, Told> {
        let lesson = match &told.lesson {
            Lesson::Measured { losses, excesses, .. } if self.has_diverged(losses) => {
                Lesson::Diverged { excesses: excesses.clone() }
            }
            Lesson::Projected { losses, .. } if self.has_diverged(losses) => Lesson::Bad,
            Lesson::Unfinished => {
                let last = told.curve.last().map_or(&[][..], |last| &last.losses);
                // with several metrics, nothing is known of what it would have come to
                let is_beyond = self.bounds.len() == 1 && self.is_beyond(last.iter().flatten().copied());
                if !is_beyond {
                    return Cow::Borrowed(told);
                }
                Lesson::Bad
            }
            _ => return Cow::Borrowed(told),
        };
        Cow::Owned(Told { lesson, ..told.clone() })
    }
}

/// Standard errors with 0 for those that are unknown or no number; empty if all are.
fn known_errors(errors: &[Option<f64>]) -> Vec<f64> {
    let known = |error: &Option<f64>| error.filter(|error| error.is_finite() && *error > 0.0);
    match errors.iter().any(|error| known(error).is_some()) {
        true => errors.iter().map(|error| known(error).unwrap_or(0.0)).collect(),
        false => Vec::new(),
    }
}

/// Indices of the trials that a model of at most `count_max` observations holds, in the order told: all of them, or
/// else the best half and the latest of the others.
///
/// The choice is made anew when a quarter of `count_max` has been added. In between the selection only grows, and so do the
/// factors of the models.
pub(crate) fn select<T: Borrow<Told>>(told: &[T], count_max: usize) -> Vec<usize> {
    if told.len() <= count_max {
        return (0..told.len()).collect();
    }
    let added_max = count_max / 4;
    let added = match added_max {
        0 => 0,
        _ => (told.len() - count_max - 1) % added_max + 1,
    };
    let (before, _) = told.split_at(told.len() - added);
    let mut selected = best_and_latest(before, count_max - added_max);
    selected.extend(before.len()..told.len());
    selected
}

/// Indices of `count_max` trials in the order told: the best half and the latest of the others.
fn best_and_latest<T: Borrow<Told>>(told: &[T], count_max: usize) -> Vec<usize> {
    let mut chosen = vec![false; told.len()];
    let mut count = 0;
    for index in best(told, count_max / 2).into_iter().chain((0..told.len()).rev()) {
        if count < count_max && !chosen[index] {
            chosen[index] = true;
            count += 1;
        }
    }
    (0..told.len()).filter(|index| chosen[*index]).collect()
}

/// Indices of up to `count` measured trials, best first. One loss: by loss, and two standard errors where they are known.
/// Several: by the front, then the front of the others, and so on. Trials that break an outcome constraint come after all
/// others, by how much they break.
fn best<T: Borrow<Told>>(told: &[T], count: usize) -> Vec<usize> {
    let told: Vec<&Told> = told.iter().map(Borrow::borrow).collect();
    let (mut allowed, broken): (Vec<usize>, Vec<usize>) =
        (0..told.len()).filter(|&i| told[i].losses().is_some()).partition(|&i| told[i].is_allowed());
    // What was measured with little care is the best by luck: it has to be so by two standard errors.
    let careful = |told: &&Told| -> Vec<f64> {
        let believed = told.believed_losses();
        believed.map(|all| all.map(|(loss, error)| loss + 2.0 * error).collect()).unwrap_or_default()
    };
    let all: Vec<Vec<f64>> = told.iter().map(careful).collect();
    let losses = |index: usize| all[index].as_slice();
    let mut ranked: Vec<usize> = Vec::with_capacity(count);
    if allowed.first().is_some_and(|&i| losses(i).len() == 1) {
        allowed.sort_by(|&a, &b| losses(a)[0].total_cmp(&losses(b)[0]).then(a.cmp(&b)));
        ranked = allowed;
    } else {
        while ranked.len() < count && !allowed.is_empty() {
            let rows: Vec<&[f64]> = allowed.iter().map(|&i| losses(i)).collect();
            let mut on_front = vec![false; allowed.len()];
            non_dominated(&rows).into_iter().for_each(|place| on_front[place] = true);
            let mut flags = on_front.iter();
            ranked.extend(allowed.iter().zip(&on_front).filter(|(_, on)| **on).map(|(&i, _)| i));
            allowed.retain(|_| !flags.next().copied().unwrap_or(true));
        }
    }
    let excess = |index: usize, constraint: usize| {
        told[index].excesses().and_then(|excesses| excesses.get(constraint)).map_or(0.0, |e| e.max(0.0))
    };
    let constraint_count = broken.first().map_or(0, |&i| told[i].excesses().unwrap_or_default().len());
    let units: Vec<f64> = (0..constraint_count)
        .map(|constraint| broken.iter().map(|&i| excess(i, constraint)).fold(f64::MIN_POSITIVE, f64::max))
        .collect();
    let mut by_violation: Vec<(f64, usize)> = broken
        .iter()
        .map(|&i| (units.iter().enumerate().map(|(constraint, unit)| excess(i, constraint) / unit).sum(), i))
        .collect();
    by_violation.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    ranked.extend(by_violation.into_iter().map(|(_, index)| index));
    ranked.truncate(count);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(losses: &[f64], excesses: &[f64]) -> Told {
        let lesson = Lesson::measured(losses.to_vec(), excesses.to_vec());
        Told { point: Point::from_flat(&[losses[0]]), curve: Curve::default(), lesson }
    }

    #[test]
    fn a_stopped_trial_gives_way_to_one_that_continues_it() {
        let curve = |steps: u64| {
            let mut curve = Curve::default();
            (1..=steps).for_each(|step| curve.push(step, vec![Some(1.0 / step as f64)]));
            curve
        };
        let at = |x: f64, lesson: Lesson, steps: u64| Told {
            point: Point::from_flat(&[x]),
            lesson,
            curve: curve(steps),
        };
        let stopped = |x, steps| at(x, Lesson::Unfinished, steps);
        let measured = |x, steps| at(x, Lesson::measured(vec![0.1], vec![]), steps);
        let gives_way = |before: &Told, later: &Told| {
            let mut after = before.clone();
            after.give_way(later);
            assert_eq!((&after.point, &after.lesson), (&before.point, &before.lesson));
            after.is_projectable() != before.is_projectable()
        };
        assert!(gives_way(&stopped(0.5, 3), &stopped(0.5, 9)));
        assert!(gives_way(&stopped(0.5, 3), &measured(0.5, 27)));
        assert!(gives_way(&stopped(0.5, 3), &measured(0.5, 0)), "measured is measured");
        assert!(!gives_way(&stopped(0.5, 3), &stopped(0.5, 2)));
        assert!(!gives_way(&stopped(0.5, 3), &at(0.5, Lesson::Bad, 0)), "it still says what it reported");
        assert!(!gives_way(&stopped(0.5, 3), &measured(0.6, 27)), "another point");
        assert!(!gives_way(&measured(0.5, 27), &measured(0.5, 27)), "each measurement counts");
    }

    #[test]
    fn what_has_diverged_is_far_above_typical_losses() {
        let all = |losses: &[f64]| -> Vec<Told> { losses.iter().map(|loss| told(&[*loss], &[])).collect() };
        let bound = |losses: &[f64]| Divergence::of(&all(losses), 1).bounds[0];
        // the best is 1, a typical good one 3
        let typical = [1e30, 3.0, 1.0, 2.0, 7.0, 5.0, 1e9, 4.0];
        assert_eq!(bound(&typical), 1.0 + 300.0 * 2.0);
        // where the search has led since does not count
        let later: Vec<f64> = typical.into_iter().chain((0..60).map(|k| 1.0 + 1e-6 * f64::from(k))).collect();
        assert_eq!(bound(&later), 601.0);
        for unknown in
            [&[][..], &typical[..7], &[2.0; 9], &[-1e308, 1e308, 1e308, 1e308, 1e308, 0.0, 1e308, 1e308]]
        {
            assert_eq!(bound(unknown), f64::INFINITY, "{unknown:?}");
        }
        let told = all(&typical);
        let divergence = Divergence::of(&told, 1);
        let lessons = told.iter().map(|told| divergence.seen(told).lesson.clone());
        let diverged: Vec<bool> =
            lessons.map(|lesson| lesson == Lesson::Diverged { excesses: vec![] }).collect();
        assert_eq!(diverged, [true, false, false, false, false, false, true, false]);
    }

    #[test]
    fn neither_a_front_nor_what_keeps_the_constraints_has_diverged() {
        // what breaks the constraint is cheap, and nothing says what is typical of the others
        let cheap = (0..20).map(|k| told(&[0.1 + 0.01 * f64::from(k)], &[1.0]));
        let all: Vec<Told> = cheap.chain([told(&[100.0], &[-1.0])]).collect();
        assert_eq!(Divergence::of(&all, 1).bounds, [f64::INFINITY]);
        // an end of the front is far away, and something that is beaten is too
        let plain = (0..10).map(|k| told(&[0.1 + 0.1 * f64::from(k), 1.0], &[]));
        let all: Vec<Told> = plain.chain([told(&[1e3, 0.5], &[]), told(&[1e3, 2.0], &[])]).collect();
        let divergence = Divergence::of(&all, 2);
        let seen = |index: usize| divergence.seen(&all[index]).lesson.clone();
        assert_eq!((seen(10), seen(11)), (all[10].lesson.clone(), Lesson::Diverged { excesses: vec![] }));
    }

    #[test]
    fn a_trial_that_had_diverged_when_it_was_stopped_is_bad() {
        let mut all: Vec<Told> = (1..=10).map(|k| told(&[f64::from(k)], &[])).collect();
        let mut stopped = |loss: f64| {
            let mut curve = Curve::default();
            curve.push(3, vec![Some(loss)]);
            all.push(Told { point: Point::from_flat(&[loss]), curve, lesson: Lesson::Unfinished });
        };
        stopped(5.0);
        stopped(1e9);
        let divergence = Divergence::of(&all, 1);
        assert_eq!(divergence.seen(&all[10]).lesson, Lesson::Unfinished);
        assert_eq!(divergence.seen(&all[11]).lesson, Lesson::Bad);
    }

    #[test]
    fn a_full_model_keeps_the_best_half_and_the_latest() {
        let mut all: Vec<Told> = (0..20).map(|index| told(&[f64::from(index)], &[])).collect();
        all[19].lesson = Lesson::Bad;
        assert_eq!(select(&all, 20), (0..20).collect::<Vec<_>>());
        assert_eq!(select(&all, 7), [0, 1, 2, 16, 17, 18, 19]);
    }

    #[test]
    fn a_full_model_grows_for_a_while_before_it_is_thinned() {
        let all: Vec<Told> = (0..200_u32).map(|index| told(&[f64::from(index * 7919 % 200)], &[])).collect();
        let mut former = select(&all[..64], 64);
        let mut thinned_count = 0;
        for count in 65..=200 {
            let selected = select(&all[..count], 64);
            assert!((48..=64).contains(&selected.len()));
            assert!(selected.is_sorted() && selected.ends_with(&[count - 1]));
            if !selected.starts_with(&former) {
                thinned_count += 1;
            }
            former = selected;
        }
        assert_eq!(thinned_count, (200_usize - 64).div_ceil(16));
    }

    #[test]
    fn the_best_of_several_losses_are_the_fronts_one_after_the_other() {
        let all = [[3.0, 3.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [4.0, 4.0]].map(|row| told(&row, &[]));
        assert_eq!(best(&all, 3), [1, 2, 3]);
        assert_eq!(best(&all, 9), [1, 2, 3, 0, 4]);
    }

    #[test]
    fn what_breaks_constraints_comes_last_and_the_least_broken_first() {
        let all = [
            told(&[1.0], &[5.0, 0.0]),
            told(&[9.0], &[-1.0, 0.0]),
            told(&[2.0], &[1.0, -1.0]),
            told(&[8.0], &[0.0, -3.0]),
            told(&[3.0], &[0.0, 100.0]),
        ];
        assert_eq!(best(&all, 5), [3, 1, 2, 0, 4]);
        assert_eq!(best(&all[..1], 5), [0]);
    }
}
