//! A Pareto front in numbers: how much of what was seen it covers, and which of its trials is the best compromise.

use ansatz_core::TrialId;
use ansatz_core::incumbent::Incumbent;
use ansatz_core::study::{Study, Trial};

/// Metrics for which coverage is computed at most: its cost grows with the front's size to their number.
const COVERED_METRIC_COUNT_MAX: usize = 3;

/// The trial of the front with the least sum of losses, each over its range on the front. With two metrics that is the one
/// furthest below the line between the two ends (Das 1999, "On characterizing the 'knee' of the Pareto curve"). `None` for one
/// metric, and where fewer than three trials leave nothing between the ends.
pub fn knee(study: &Study) -> Option<TrialId> {
    let front = study.incumbent();
    if study.rules().problem.metrics.len() < 2 || front.trials().len() < 3 {
        return None;
    }
    let span = Extent::around(front.losses())?;
    let sums = front.losses().map(|losses| span.scaled(losses).iter().sum::<f64>());
    front.trials().zip(sums).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(trial, _)| trial)
}

/// After each finished trial, what share of the box between the best and the worst losses of all trials the front
/// dominates: its hypervolume in that box, from the worst corner, 0 to 1. Empty for one metric, for more than three, and where
/// losses do not differ in every metric.
pub fn coverage(study: &Study) -> Vec<f64> {
    let metric_count = study.rules().problem.metrics.len();
    let ended: Vec<&Trial> = study.trials().iter().filter(|trial| trial.outcome.is_some()).collect();
    let counted: Vec<Option<Vec<f64>>> = ended.iter().map(|trial| study.counted_losses(trial)).collect();
    let Some(span) = Extent::around(counted.iter().flatten().map(Vec::as_slice)) else { return Vec::new() };
    if !(2..=COVERED_METRIC_COUNT_MAX).contains(&metric_count) || !span.has_volume() {
        return Vec::new();
    }
    let mut front = Incumbent::default();
    let mut covered = 0.0;
    let after = |(trial, losses): (&&Trial, &Option<Vec<f64>>)| {
        if let Some(losses) = losses
            && front.consider(trial.id, &span.scaled(losses))
        {
            covered = hypervolume(&front.losses().collect::<Vec<_>>(), &vec![1.0; metric_count]);
        }
        covered
    };
    ended.iter().zip(&counted).map(after).collect()
}

/// The least and the greatest loss of each metric.
struct Extent {
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Extent {
    fn around<'a>(mut rows: impl Iterator<Item = &'a [f64]>) -> Option<Self> {
        let first = rows.next()?;
        let mut found = Self { low: first.to_vec(), high: first.to_vec() };
        for row in rows {
            found.low.iter_mut().zip(row).for_each(|(low, loss)| *low = low.min(*loss));
            found.high.iter_mut().zip(row).for_each(|(high, loss)| *high = high.max(*loss));
        }
        Some(found)
    }

    fn has_volume(&self) -> bool {
        self.low.iter().zip(&self.high).all(|(low, high)| low < high)
    }

    /// 0 at the best, 1 at the worst; 0 where there is no difference.
    fn scaled(&self, losses: &[f64]) -> Vec<f64> {
        let ends = self.low.iter().zip(&self.high);
        // Halved, lest a difference overflow.
        let scaled = |(loss, (low, high)): (&f64, (&f64, &f64))| match low < high {
            true => (0.5 * loss - 0.5 * low) / (0.5 * high - 0.5 * low),
            false => 0.0,
        };
        losses.iter().zip(ends).map(scaled).collect()
    }
}

/// The volume that points dominate up to a reference point, slice by slice along the last coordinate. A point that is not
/// below the reference in each coordinate adds nothing.
pub fn hypervolume(points: &[&[f64]], reference: &[f64]) -> f64 {
    let is_inside = |point: &&[f64]| point.iter().zip(reference).all(|(loss, limit)| loss < limit);
    let inside: Vec<&[f64]> = points.iter().copied().filter(is_inside).collect();
    volume(inside, reference)
}

/// Of points below the reference, of which further coordinates are not looked at.
fn volume(mut points: Vec<&[f64]>, reference: &[f64]) -> f64 {
    let Some((&limit, rest)) = reference.split_last() else { return 0.0 };
    let last = rest.len();
    if last == 0 {
        return points.iter().map(|point| limit - point[0]).fold(0.0, f64::max);
    }
    points.sort_by(|a, b| a[last].total_cmp(&b[last]));
    let end = |index: usize| points.get(index + 1).map_or(limit, |next| next[last]);
    let mut total = 0.0;
    if last == 1 {
        // the staircase
        let mut best = rest[0];
        for (index, point) in points.iter().enumerate() {
            best = best.min(point[0]);
            total += (end(index) - point[1]) * (rest[0] - best);
        }
        return total;
    }
    for (index, point) in points.iter().enumerate() {
        if end(index) > point[last] {
            total += (end(index) - point[last]) * volume(points[..=index].to_vec(), rest);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::rng::Rng;
    use rand::RngExt;

    #[test]
    fn volumes_are_those_of_counted_cells() {
        let mut rng = Rng::new(4);
        for metric_count in 1..=3 {
            for count in [0, 1, 2, 7, 20] {
                // on a lattice of tenths, so that cells are dominated whole or not at all
                let points: Vec<Vec<f64>> = (0..count)
                    .map(|_| (0..metric_count).map(|_| f64::from(rng.random_range(0..=10)) / 10.0).collect())
                    .collect();
                let cells = 10_usize.pow(metric_count as u32);
                let is_covered = |cell: usize| {
                    let middle = |axis: u32| (cell / 10_usize.pow(axis) % 10) as f64 / 10.0 + 0.05;
                    points
                        .iter()
                        .any(|point| (0..).zip(point).all(|(axis, coordinate)| *coordinate <= middle(axis)))
                };
                let expected = (0..cells).filter(|cell| is_covered(*cell)).count() as f64 / cells as f64;
                let rows: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
                assert!(
                    (hypervolume(&rows, &vec![1.0; metric_count]) - expected).abs() < 1e-12,
                    "{points:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_below_the_reference_adds_nothing() {
        let points = [&[-3.0, 5.0][..], &[-1.0, 4.0], &[2.0, -9.0], &[1.0, 7.0]];
        assert_eq!(hypervolume(&points, &[2.0, 6.0]), 5.0 + 3.0);
    }

    #[test]
    fn boxes_take_any_numbers() {
        let span = Extent::around([&[-1e308, 2.0, 5.0][..], &[1e308, 2.0, 3.0]].into_iter()).unwrap();
        assert_eq!(span.scaled(&[0.0, 2.0, 5.0]), [0.5, 0.0, 1.0]);
        assert!(!span.has_volume() && Extent::around(std::iter::empty()).is_none());
    }
}
