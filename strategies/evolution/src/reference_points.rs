//! NSGA-III: reference points spread evenly over all trade-offs, and who stands nearest to which.
//!
//! Source: Deb and Jain 2014, "An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based Nondominated
//! Sorting Approach, Part I", section IV; Das and Dennis 1998 for the points.

use serde::{Deserialize, Serialize};

/// Weight of the other axes where the extreme of one is sought.
const OTHER_AXES: f64 = 1e-6;
/// An intercept nearer to the ideal than this is none.
const INTERCEPT_MIN: f64 = 1e-10;

/// All points with coordinates that are multiples of `1 / division_count` and add up to 1.
pub(crate) fn das_dennis(metric_count: usize, division_count: usize) -> Vec<Vec<f64>> {
    fn extend(taken: &mut Vec<usize>, left: usize, axis_count: usize, points: &mut Vec<Vec<usize>>) {
        if taken.len() + 1 == axis_count {
            let mut point = taken.clone();
            point.push(left);
            points.push(point);
            return;
        }
        for part in 0..=left {
            taken.push(part);
            extend(taken, left - part, axis_count, points);
            taken.pop();
        }
    }
    let mut points = Vec::new();
    if metric_count > 0 {
        extend(&mut Vec::new(), division_count, metric_count, &mut points);
    }
    let share = |part: usize| part as f64 / division_count.max(1) as f64;
    points.into_iter().map(|point| point.into_iter().map(share).collect()).collect()
}

/// How many points `das_dennis` gives; `None` beyond what fits into a number.
pub(crate) fn das_dennis_count(metric_count: usize, division_count: usize) -> Option<usize> {
    // C(p + m - 1, m - 1), exact at every step
    let axes = metric_count.checked_sub(1)?;
    (1..=axes).try_fold(1_usize, |count, k| Some(count.checked_mul(division_count + k)? / k))
}

/// How many parts each axis is divided into, in an outer layer and, where all of its points lie on the edge, in an inner one
/// at half the distance from the middle (0: none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layers {
    /// Divisions of the outer layer.
    pub(crate) outer: usize,
    /// Divisions of the inner layer.
    pub(crate) inner: usize,
}

impl Layers {
    /// An inner layer is there where the outer one has fewer divisions than there are metrics: then it has no point inside.
    pub(crate) fn of(metric_count: usize, outer: usize) -> Self {
        Self { outer, inner: if outer < metric_count { outer.saturating_sub(1) } else { 0 } }
    }

    /// The finest with at most so many points, or those of one division.
    pub(crate) fn within(metric_count: usize, count_max: usize) -> Self {
        let fits = |layers: &Self| layers.count(metric_count).is_some_and(|count| count <= count_max);
        let finest = (1..=count_max).map(|outer| Self::of(metric_count, outer)).take_while(fits).last();
        finest.unwrap_or(Self { outer: 1, inner: 0 })
    }

    /// How many points they have.
    pub(crate) fn count(&self, metric_count: usize) -> Option<usize> {
        let inner = if self.inner > 0 { das_dennis_count(metric_count, self.inner)? } else { 0 };
        das_dennis_count(metric_count, self.outer)?.checked_add(inner)
    }

    /// The points.
    pub(crate) fn points(&self, metric_count: usize) -> Vec<Vec<f64>> {
        let mut points = das_dennis(metric_count, self.outer);
        if self.inner > 0 {
            let middle = 1.0 / metric_count as f64;
            let inner = das_dennis(metric_count, self.inner);
            points.extend(
                inner
                    .into_iter()
                    .map(|point| point.iter().map(|part| 0.5 * (part + middle)).collect::<Vec<f64>>()),
            );
        }
        points
    }
}

/// What losses are measured from and by: the least that was seen of each, and the extremes of the front.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    /// The least loss of each metric, of everything seen. Empty at first.
    pub(crate) ideal: Vec<f64>,
    /// The losses that are nearest to each axis. Empty at first.
    extremes: Vec<Vec<f64>>,
}

impl Scale {
    /// Takes in a result.
    pub(crate) fn see(&mut self, losses: &[f64]) {
        self.ideal.resize(losses.len(), f64::INFINITY);
        for (ideal, loss) in self.ideal.iter_mut().zip(losses) {
            *ideal = ideal.min(*loss);
        }
    }

    /// The range of each metric: to where the plane through the extremes of the front meets the axes, or to the worst of
    /// the front, or of everybody. `front` and `all`: at least one, seen before.
    pub(crate) fn ranges(&mut self, front: &[&[f64]], all: &[&[f64]]) -> Vec<f64> {
        let metric_count = self.ideal.len();
        let ideal = &self.ideal;
        // halves: the difference of what fits into a number may not
        let away = |losses: &[f64], metric: usize| 0.5 * losses[metric] - 0.5 * ideal[metric];
        let off_axis = |losses: &[f64], axis: usize| {
            let weighted =
                |metric: usize| away(losses, metric) / if metric == axis { 1.0 } else { OTHER_AXES };
            (0..metric_count).map(weighted).fold(f64::NEG_INFINITY, f64::max)
        };
        let mut extremes = Vec::with_capacity(metric_count);
        for axis in 0..metric_count {
            let known = self.extremes.iter().map(Vec::as_slice).chain(front.iter().copied());
            let nearest =
                known.min_by(|a, b| off_axis(a, axis).total_cmp(&off_axis(b, axis))).unwrap_or_default();
            extremes.push(nearest.to_vec());
        }
        let worst = |of: &[&[f64]], metric: usize| {
            2.0 * of.iter().map(|losses| away(losses, metric)).fold(0.0, f64::max)
        };
        let plane =
            extremes.iter().map(|losses| (0..metric_count).map(|m| away(losses, m)).collect()).collect();
        let intercepts = intercepts(plane);
        let ranges = (0..metric_count).map(|metric| {
            let found = intercepts.as_ref().map(|found| 2.0 * found[metric]);
            let widest = worst(all, metric);
            found
                .filter(|range| *range > INTERCEPT_MIN * widest && *range <= widest)
                .or_else(|| Some(worst(front, metric)).filter(|range| *range > INTERCEPT_MIN * widest))
                .unwrap_or(if widest > 0.0 { widest } else { 1.0 })
        });
        let ranges = ranges.map(|range| range.clamp(f64::MIN_POSITIVE, f64::MAX)).collect();
        self.extremes = extremes;
        ranges
    }

    /// Whether a state that was read is of so many metrics.
    pub(crate) fn is_sound(&self, metric_count: usize) -> bool {
        let fits =
            |losses: &Vec<f64>| losses.len() == metric_count && losses.iter().all(|loss| loss.is_finite());
        (self.ideal.is_empty() && self.extremes.is_empty())
            || (fits(&self.ideal)
                && self.extremes.iter().all(fits)
                && [0, metric_count].contains(&self.extremes.len()))
    }
}

/// Where the plane through these points meets the axes; `None` if it does not meet all of them on the positive side.
///
/// `points`: shape (n, n). Elimination with pivots of the linear system that says that each point lies on the plane.
pub(crate) fn intercepts(mut points: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = points.len();
    let largest = points.iter().flatten().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    points.iter_mut().for_each(|row| row.push(1.0));
    for column in 0..n {
        let pivot =
            (column..n).max_by(|&a, &b| points[a][column].abs().total_cmp(&points[b][column].abs()))?;
        if points[pivot][column].abs() <= INTERCEPT_MIN * largest {
            return None;
        }
        points.swap(column, pivot);
        let pivot_row = points[column].clone();
        for (index, row) in points.iter_mut().enumerate() {
            if index != column {
                let factor = row[column] / pivot_row[column];
                row.iter_mut().zip(&pivot_row).for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
    }
    let found: Vec<f64> = (0..n).map(|k| points[k][k] / points[k][n]).collect();
    found.iter().all(|intercept| intercept.is_finite() && *intercept > 0.0).then_some(found)
}

/// The reference point whose ray from the ideal passes nearest, and the distance from it, of losses in units of the ranges.
pub(crate) fn nearest(scaled: &[f64], reference_points: &[Vec<f64>]) -> (usize, f64) {
    let mut best = (0, f64::INFINITY);
    let square_length: f64 = scaled.iter().map(|value| value * value).sum();
    for (index, reference) in reference_points.iter().enumerate() {
        let along: f64 = scaled.iter().zip(reference).map(|(value, part)| value * part).sum();
        let reference_length: f64 = reference.iter().map(|part| part * part).sum();
        let square = square_length - along * along / reference_length;
        if square < best.1 {
            best = (index, square);
        }
    }
    (best.0, best.1.max(0.0).sqrt())
}
