//! Several objectives at once: fronts, the volume they dominate, and how much of it a point is expected to add.
//!
//! Objectives are taken to be independent given the point, each with a normal posterior of its own. The expected
//! improvement of the hypervolume is then a sum, over boxes that tile what no observation dominates, of products of
//! one-dimensional expectations: exact, without sampling. All of it is in logarithms, with slopes that tell the way
//! where the plain value underflows.
//!
//! The number of boxes is `front + 1` for two objectives, two to three times that for three and, at 50 points, about
//! 17 times for four; for more than four objectives there is [`augmented_chebyshev`]. Left out on purpose:
//! correlated objectives, several points at a time, noise in the front itself (callers pass posterior means).
//!
//! Losses are always minimised. Points are rows of one loss per objective.

use crate::acquisition::{ARGUMENT_MIN, Acquisition, LOG_SQRT_2_PI, log_normal_cdf, normal_cdf, tail_ratios};
use crate::error::{SurrogateError, expect_finite, expect_length};
use std::cmp::Ordering;

/// How far beyond the worst values a reference point lies, as a share of the range of all losses.
const REFERENCE_MARGIN: f64 = 0.1;

/// A front that spans less than this share of the range of all losses is taken to be unfinished there.
const FRONT_SHARE_MIN: f64 = 0.5;

/// A margin below this share of the value itself is rounding, not range.
const RELATIVE_RANGE_MIN: f64 = 1e-12;

/// Weight of the sum in the augmented Chebyshev scalarisation.
const AUGMENTATION: f64 = 0.05;

/// Intervals whose half width times (1 + |middle|), in deviations, is smaller are integrated by Taylor's series: a
/// difference of their ends would cancel.
const NEAR: f64 = 0.5;

/// Terms of that series. Each is less than a quarter of the one before, divided by the factorial's growth: less than
/// an epsilon is left out.
const NEAR_TERM_COUNT: u32 = 7;

/// Below this argument `φ` and `h` are next to the smallest numbers.
const UNDERFLOW_BELOW: f64 = -37.0;

/// Above it Φ is 1.
const CERTAIN_ABOVE: f64 = 8.5;

/// Intervals whose width times (1 + |end|), in deviations, is smaller are integrated by the trapezoidal rule where nine digits
/// are enough.
const NARROW: f64 = 0.03;

/// A volume below this, without logarithms, may have lost parts that underflowed.
const ROUGH_TOTAL_MIN: f64 = 1e-250;

// Fronts ----------------------------------------------------------------------------------------------------

/// Indices of the points that no other point dominates, ascending.
///
/// `points`: shape (count, objective). A point dominates another if it is nowhere larger and somewhere smaller. Of
/// equal points the first is kept. A point with a NaN is left out; infinities compare like numbers.
pub fn non_dominated<P: AsRef<[f64]>>(points: &[P]) -> Vec<usize> {
    let mut order: Vec<usize> =
        (0..points.len()).filter(|&i| !points[i].as_ref().iter().any(|loss| loss.is_nan())).collect();
    // Whoever dominates a point comes before it. The sort is stable: of equal points the first comes first.
    order.sort_by(|&a, &b| lexicographic(points[a].as_ref(), points[b].as_ref()));
    let mut front: Vec<usize> = Vec::new();
    for i in order {
        if !front.iter().any(|&kept| nowhere_larger(points[kept].as_ref(), points[i].as_ref())) {
            front.push(i);
        }
    }
    front.sort_unstable();
    front
}

/// By the first objective in which they differ. There are no NaN, and the zeros are equal.
fn lexicographic(a: &[f64], b: &[f64]) -> Ordering {
    a.partial_cmp(b).unwrap_or(Ordering::Equal)
}

fn nowhere_larger(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b)
}

/// Volume of the region that `points` dominate and that dominates `reference`. Exact but for rounding.
///
/// `points`: shape (count, objective), dominated ones allowed; `reference`: shape (objective,), finite. The unit is the
/// product of the objectives' units. A point that is not below the reference in every objective adds nothing, and
/// neither does one with a NaN. The result does not depend on the order of the points, not even in its last bit.
///
/// Two objectives take `n log n` steps for `n` points on the front, each further one `n` times as many: meant for up to
/// five. Source: While, Hingston, Barone and Huband 2006 (hypervolume by slicing objectives); all its terms are
/// positive, so that nothing cancels.
pub fn hypervolume<P: AsRef<[f64]>>(points: &[P], reference: &[f64]) -> f64 {
    let inside: Vec<&[f64]> =
        points.iter().map(AsRef::as_ref).filter(|point| strictly_below(point, reference)).collect();
    let front = non_dominated(&inside).into_iter().map(|i| inside[i]).collect();
    sliced_volume(front, reference)
}

fn strictly_below(point: &[f64], reference: &[f64]) -> bool {
    debug_assert_eq!(point.len(), reference.len());
    point.iter().zip(reference).all(|(loss, limit)| loss < limit)
}

/// `front`: none dominates another in the first `reference.len()` objectives; further ones are not looked at.
fn sliced_volume(mut front: Vec<&[f64]>, reference: &[f64]) -> f64 {
    let Some((&limit, rest)) = reference.split_last() else { return 0.0 };
    let last = rest.len();
    match last {
        0 => front.iter().map(|point| limit - point[0]).fold(0.0, f64::max),
        1 => {
            front.sort_by(|a, b| lexicographic(a, b));
            let mut height = limit;
            let mut area = 0.0;
            for point in front {
                area += (height - point[1]) * (rest[0] - point[0]);
                height = point[1];
            }
            area
        }
        _ => {
            // The tie break makes the order of the sum independent of the order of the points.
            front.sort_by(|a, b| {
                a[last].partial_cmp(&b[last]).unwrap_or(Ordering::Equal).then_with(|| lexicographic(a, b))
            });
            let mut slice: Vec<&[f64]> = Vec::with_capacity(front.len());
            let mut slice_volume = 0.0;
            let mut changed = false;
            let mut total = 0.0;
            for (i, point) in front.iter().enumerate() {
                let projection = &point[..last];
                if !slice.iter().any(|kept| nowhere_larger(&kept[..last], projection)) {
                    slice.retain(|kept| !nowhere_larger(projection, &kept[..last]));
                    slice.push(point);
                    changed = true;
                }
                let depth = front.get(i + 1).map_or(limit, |next| next[last]) - point[last];
                if depth > 0.0 {
                    if changed {
                        slice_volume = sliced_volume(slice.clone(), rest);
                        changed = false;
                    }
                    total += depth * slice_volume;
                }
            }
            total
        }
    }
}

/// Where hypervolume is measured from: the worst values of the front, and a tenth of the range of all losses beyond. A
/// front that spans less than half of that range in an objective counts there as if it spanned the half.
///
/// `eligible`: shape (count, objective), what may be on the front; `losses`: all that were observed, also where a constraint
/// is broken. Rows with a NaN or an infinity are left out. The result has shape (objective,) and is above every point of
/// the front in every objective; `None` without any finite row that is eligible. Where there is no range the size of the
/// value counts, and for zero one.
///
/// One that is much worse makes the ends of the front attractive at the expense of its middle, one at the worst values
/// makes them worthless. A tenth of the range of the front alone, as in BoTorch's `infer_reference_point`, is next to
/// nothing while the front is next to a point, and then it never grows: on ZDT1 with five parameters three of five searches
/// of 50 evaluations stayed at the end where one parameter decides. With a tenth of the range of all it grows by tenths,
/// hence the half. Source of the former: Ishibuchi, Imada, Setoguchi and
/// Nojima 2018.
pub fn reference_point<P: AsRef<[f64]>>(eligible: &[P], losses: &[P]) -> Option<Vec<f64>> {
    let candidates = finite(eligible);
    let front: Vec<&[f64]> = non_dominated(&candidates).into_iter().map(|i| candidates[i]).collect();
    let all = finite(losses);
    let reference = |objective: usize| {
        let (lowest, highest) = extremes(&front, objective);
        let (lowest_of_all, highest_of_all) = extremes(&all, objective);
        let least = lowest + (FRONT_SHARE_MIN * highest_of_all - FRONT_SHARE_MIN * lowest_of_all);
        (highest.max(least) + margin(&all, objective, highest)).min(f64::MAX)
    };
    Some((0..front.first()?.len()).map(reference).collect())
}

/// The worst of all losses and a tenth of their range beyond: a reference point for looking past the ends of the front.
///
/// `losses`: shape (count, objective). Rows with a NaN or an infinity are left out. The result has shape (objective,) and is
/// nowhere below [`reference_point`] of the same losses; `None` without any finite row.
///
/// Measured from the near one, a part of the front that is worse in one objective than all that is known of the front, and better
/// in another, adds nothing: a search that has found one piece of a front in pieces never sees the next (ZDT3, DTLZ7).
/// Measured from here it adds most, and the middle of the front next to nothing. Hence by turns.
pub fn outer_reference_point<P: AsRef<[f64]>>(losses: &[P]) -> Option<Vec<f64>> {
    let all = finite(losses);
    let reference = |objective: usize| {
        let (_, highest) = extremes(&all, objective);
        (highest + margin(&all, objective, highest)).min(f64::MAX)
    };
    Some((0..all.first()?.len()).map(reference).collect())
}

/// The rows without a NaN or an infinity.
fn finite<P: AsRef<[f64]>>(rows: &[P]) -> Vec<&[f64]> {
    rows.iter().map(AsRef::as_ref).filter(|row| row.iter().all(|loss| loss.is_finite())).collect()
}

/// How far beyond `highest` a reference lies: a tenth of the range of `all`, or else of the size of the value.
fn margin(all: &[&[f64]], objective: usize, highest: f64) -> f64 {
    let (lowest_of_all, highest_of_all) = extremes(all, objective);
    let rounding = RELATIVE_RANGE_MIN * highest.abs();
    // Scaled before they are subtracted: the range itself may be infinite.
    let margins = [
        REFERENCE_MARGIN * highest_of_all - REFERENCE_MARGIN * lowest_of_all,
        REFERENCE_MARGIN * highest.abs(),
    ];
    margins.into_iter().find(|&margin| margin > rounding).unwrap_or(REFERENCE_MARGIN)
}

/// The smallest and the largest loss in one objective.
fn extremes(points: &[&[f64]], objective: usize) -> (f64, f64) {
    points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lowest, highest), point| {
        (lowest.min(point[objective]), highest.max(point[objective]))
    })
}

// Expected improvement --------------------------------------------------------------------------------------

/// The front's points below the reference, in the order of the first objective; checks lengths and finiteness.
fn front_below<'a, P: AsRef<[f64]>>(
    front: &'a [P],
    reference: &[f64],
) -> Result<Vec<&'a [f64]>, SurrogateError> {
    expect_finite("reference", reference)?;
    for point in front {
        expect_length("point of the front", point.as_ref().len(), reference.len())?;
        expect_finite("point of the front", point.as_ref())?;
    }
    let below: Vec<&[f64]> =
        front.iter().map(AsRef::as_ref).filter(|point| strictly_below(point, reference)).collect();
    let mut front: Vec<&[f64]> = non_dominated(&below).into_iter().map(|i| below[i]).collect();
    front.sort_by(|a, b| lexicographic(a, b));
    Ok(front)
}

/// One end of an interval of losses, seen from a posterior.
#[derive(Clone, Copy, Debug)]
struct Edge {
    /// The end itself.
    bound: f64,
    /// `(bound - mean)/deviation`.
    z: f64,
    /// φ(z).
    density: f64,
    /// Φ(z).
    below: f64,
    /// Φ(-z).
    above: f64,
    /// `h(z) = φ + z Φ`.
    h: f64,
    /// Φ/φ, for z <= -1 only.
    mills: f64,
    /// h/φ, for z <= -1 only.
    ratio: f64,
}

impl Edge {
    fn new(bound: f64, mean: f64, deviation: f64) -> Self {
        let z = ((bound - mean) / deviation).clamp(ARGUMENT_MIN, -ARGUMENT_MIN);
        let density = libm::exp(-0.5 * z * z - LOG_SQRT_2_PI);
        if z > -1.0 {
            let tail = normal_cdf(-z.abs());
            let (below, above) = if z < 0.0 { (tail, 1.0 - tail) } else { (1.0 - tail, tail) };
            return Self { bound, z, density, below, above, h: density + z * below, mills: 0.0, ratio: 0.0 };
        }
        let (mills, ratio) = tail_ratios(z);
        let below = density * mills;
        Self { bound, z, density, below, above: 1.0 - below, h: density * ratio, mills, ratio }
    }

    /// `ln φ(z)`, where φ itself may underflow.
    fn log_density(&self) -> f64 {
        -0.5 * self.z * self.z - LOG_SQRT_2_PI
    }

    /// `ln E[(bound - Y)+] = ln(σ h)`, the plain log expected improvement.
    fn log_improvement(&self, deviation: f64, log_deviation: f64) -> Acquisition {
        let (value, probability_ratio, density_ratio) = if self.z > -1.0 {
            (libm::log(self.h), self.below / self.h, self.density / self.h)
        } else {
            (self.log_density() + libm::log(self.ratio), self.mills / self.ratio, 1.0 / self.ratio)
        };
        Acquisition {
            value: log_deviation + value,
            mean_slope: -probability_ratio / deviation,
            deviation_slope: density_ratio / deviation,
        }
    }
}

/// `ln E[(upper - max(lower, Y))+]` for a normal `Y`: the log of the expected part of the interval above `Y`.
///
/// It is `ln(σ (h(u) - h(l)))` with standardised ends, derivatives `-(Φ(u) - Φ(l))/(σ (h(u) - h(l)))` with respect to
/// the mean and `(φ(u) - φ(l))/(σ (h(u) - h(l)))` to the deviation. All three differences cancel when the interval is
/// short, and underflow when it is far below the mean: four ways to write them.
fn log_capped_improvement(lower: &Edge, upper: &Edge, deviation: f64, log_deviation: f64) -> Acquisition {
    let length = upper.bound - lower.bound;
    let width = length / deviation;
    let middle = 0.5 * (lower.z + upper.z);
    if 0.5 * width * (1.0 + middle.abs()) < NEAR {
        return log_short_improvement(length, 0.5 * width, middle, deviation);
    }
    let (value, probability_ratio, density_ratio) = if upper.z <= -1.0 {
        // In units of φ(u).
        let decay = libm::exp(width * middle);
        let rest = upper.ratio - decay * lower.ratio;
        (
            log_deviation + upper.log_density() + libm::log(rest),
            (upper.mills - decay * lower.mills) / rest,
            (1.0 - decay) / rest,
        )
    } else if middle > 0.0 && lower.z > -1.0 {
        // h(z) = z + h(-z): nearly all of the interval counts, and what does not is at most half of it.
        let missing = (lower.density - lower.z * lower.above) - (upper.density - upper.z * upper.above);
        let rest = width - missing;
        (
            libm::log(length) + libm::log1p(-missing / width),
            (lower.above - upper.above) / rest,
            (upper.density - lower.density) / rest,
        )
    } else {
        let rest = upper.h - lower.h;
        (
            log_deviation + libm::log(rest),
            (upper.below - lower.below) / rest,
            (upper.density - lower.density) / rest,
        )
    };
    Acquisition {
        value,
        mean_slope: -probability_ratio / deviation,
        deviation_slope: density_ratio / deviation,
    }
}

/// [`log_capped_improvement`] of a short interval, by Taylor's series about its middle `m` with half width `d`, both in
/// deviations.
///
/// The derivatives of Φ are Hermite polynomials times φ, `Φ^(k+1) = (-1)^k He_k φ`, and odd ones integrate to zero:
/// `∫Φ = 2d (Φ - φ Σ d^(2j) He_(2j-1)/(2j+1)!)`, `∫φ = 2d φ Σ d^(2j) He_2j/(2j+1)!`, and the change of φ is
/// `-2d φ Σ d^(2j) He_(2j+1)/(2j+1)!`. Source: Abramowitz and Stegun 1964, chapter 26.2.
fn log_short_improvement(length: f64, d: f64, m: f64, deviation: f64) -> Acquisition {
    let (log_probability, hazard) = log_normal_cdf(m);
    // d^(2j) He_2j, d^(2j-1) He_(2j-1), 1/(2j+1)!.
    let (mut even, mut odd, mut inverse_factorial) = (1.0, 0.0, 1.0);
    let (mut improvement, mut probability, mut density_change) = (0.0, 0.0, 0.0);
    for j in 0..NEAR_TERM_COUNT {
        let twice = f64::from(2 * j);
        // Without one d, which may be too small to divide by.
        let odd_per_d = m * even - twice * d * odd;
        probability += even * inverse_factorial;
        density_change -= odd_per_d * inverse_factorial;
        odd = d * odd_per_d;
        even = d * m * odd - (twice + 1.0) * d * d * even;
        inverse_factorial /= (twice + 2.0) * (twice + 3.0);
        improvement -= d * odd * inverse_factorial;
    }
    let relative = hazard * improvement;
    let scale = hazard / (1.0 + relative) / deviation;
    Acquisition {
        value: libm::log(length) + log_probability + libm::log1p(relative),
        mean_slope: -scale * probability,
        deviation_slope: scale * density_change,
    }
}

/// The log expected hypervolume improvement over a front of any number of objectives, prepared for many evaluations.
///
/// Meant for two to four; for one it agrees with [`log_expected_improvement`](crate::log_expected_improvement).
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedHypervolume {
    axes: Vec<Axis>,
    /// Shape (box, objective): indices of intervals on each axis.
    boxes: Vec<usize>,
}

/// One objective: many boxes share an interval, and many intervals an end.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    /// Ends of intervals, ascending, without repetition; the first may be minus infinity.
    bounds: Vec<f64>,
    /// Indices of lower and upper ends.
    intervals: Vec<[usize; 2]>,
}

impl ExpectedHypervolume {
    /// Tiles what no point of `front` dominates with boxes.
    ///
    /// `front`: shape (count, objective), finite, in the posteriors' units, in any order; dominated points and those
    /// that are not below the reference change nothing. `reference`: shape (objective,), finite, see
    /// [`reference_point`].
    pub fn new<P: AsRef<[f64]>>(front: &[P], reference: &[f64]) -> Result<Self, SurrogateError> {
        if reference.is_empty() {
            return Err(SurrogateError::Empty);
        }
        let front = front_below(front, reference)?;
        let tiles = non_dominated_boxes(&front, reference);
        let mut boxes = vec![0; tiles.len() * reference.len()];
        let axes = (0..reference.len())
            .map(|objective| {
                let ends = |tile: &Tile| [tile.lower[objective], tile.upper[objective]];
                let mut bounds: Vec<f64> = tiles.iter().flat_map(ends).collect();
                sort_without_repetition(&mut bounds, f64::total_cmp);
                let position = |end: f64| bounds.partition_point(|bound| *bound < end);
                let mut intervals: Vec<[usize; 2]> =
                    tiles.iter().map(|tile| ends(tile).map(position)).collect();
                sort_without_repetition(&mut intervals, Ord::cmp);
                for (row, tile) in boxes.chunks_exact_mut(reference.len()).zip(&tiles) {
                    row[objective] =
                        intervals.partition_point(|interval| *interval < ends(tile).map(position));
                }
                Axis { bounds, intervals }
            })
            .collect();
        Ok(Self { axes, boxes })
    }

    /// Number of objectives.
    pub fn objective_count(&self) -> usize {
        self.axes.len()
    }

    /// Number of boxes, to which the time of an evaluation is proportional when there are many.
    pub fn box_count(&self) -> usize {
        self.boxes.len() / self.axes.len()
    }

    /// The value of [`ExpectedHypervolume::evaluate`] to about nine digits of the volume, several times as fast: for choosing
    /// among many points.
    pub fn log_value(&self, means: &[f64], deviations: &[f64]) -> f64 {
        debug_assert!(means.len() == self.axes.len() && deviations.len() == self.axes.len());
        let factors: Vec<Vec<f64>> = (self.axes.iter().zip(means).zip(deviations))
            .map(|((axis, &mean), &deviation)| axis.improvements(mean, deviation))
            .collect();
        let volume = |row: &[usize]| -> f64 {
            row.iter().zip(&factors).map(|(&interval, factors)| factors[interval]).product()
        };
        let total: f64 = self.boxes.chunks_exact(self.axes.len()).map(volume).sum();
        if total > ROUGH_TOTAL_MIN && total.is_finite() {
            return libm::log(total);
        }
        self.evaluate(means, deviations).first().map_or(f64::NEG_INFINITY, |objective| objective.value)
    }

    /// `ln E[hypervolume improvement]` of a point with independent normal posteriors.
    ///
    /// `means`, `deviations > 0`: shape (objective,), in the unit of the front. Entry `i` of the result has the common
    /// value and the slopes with respect to the mean and the deviation of objective `i`, so that
    /// [`Acquisition::add_gradient`] chains each with its own model.
    ///
    /// Source: Yang, Emmerich, Deutz and Bäck 2019 (a sum over disjoint boxes of products over objectives), in
    /// logarithms as in Ament et al. 2023.
    pub fn evaluate(&self, means: &[f64], deviations: &[f64]) -> Vec<Acquisition> {
        debug_assert!(means.len() == self.axes.len() && deviations.len() == self.axes.len());
        let factors: Vec<Vec<Acquisition>> = (self.axes.iter().zip(means).zip(deviations))
            .map(|((axis, &mean), &deviation)| axis.log_improvements(mean, deviation))
            .collect();
        let mut logs: Vec<f64> = (self.boxes.chunks_exact(self.axes.len()))
            .map(|row| row.iter().zip(&factors).map(|(&interval, factors)| factors[interval].value).sum())
            .collect();
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for log in &mut logs {
            *log = libm::exp(*log - largest);
        }
        let total: f64 = logs.iter().sum();
        let value = largest + libm::log(total);
        let mut result = Vec::with_capacity(self.axes.len());
        for (objective, factors) in factors.iter().enumerate() {
            let mut weights = vec![0.0; factors.len()];
            for (row, share) in self.boxes.chunks_exact(self.axes.len()).zip(&logs) {
                weights[row[objective]] += share;
            }
            let (mut mean_slope, mut deviation_slope) = (0.0, 0.0);
            for (factor, weight) in factors.iter().zip(weights) {
                // A slope may overflow where its weight is zero.
                if weight > 0.0 {
                    mean_slope += weight * factor.mean_slope;
                    deviation_slope += weight * factor.deviation_slope;
                }
            }
            result.push(Acquisition {
                value,
                mean_slope: mean_slope / total,
                deviation_slope: deviation_slope / total,
            });
        }
        result
    }
}

impl Axis {
    /// `E[(upper - max(lower, Y))+]` of each interval, to nine digits; 0 where it underflows.
    fn improvements(&self, mean: f64, deviation: f64) -> Vec<f64> {
        let edge = |bound: &f64| {
            let z = (bound - mean) / deviation;
            // nothing else is left of h beyond
            if z < UNDERFLOW_BELOW {
                return RoughEdge { z, ..RoughEdge::default() };
            }
            let density = libm::exp(-0.5 * z * z - LOG_SQRT_2_PI);
            let below = normal_cdf(z);
            RoughEdge { z, density, below, h: density + z * below }
        };
        let edges: Vec<RoughEdge> = self.bounds.iter().map(edge).collect();
        let improvement = |&[lower, upper]: &[usize; 2]| {
            let (a, b) = (&edges[lower], &edges[upper]);
            if self.bounds[lower] == f64::NEG_INFINITY {
                return deviation * b.h;
            }
            if a.z > CERTAIN_ABOVE {
                return self.bounds[upper] - self.bounds[lower];
            }
            let width = b.z - a.z;
            if width * (1.0 + a.z.abs().max(b.z.abs())) < NARROW {
                // The difference would cancel: the trapezoid of Φ with its slopes at both ends (Euler and Maclaurin), off by
                // width⁴/720 of the third derivative.
                return deviation
                    * width
                    * (0.5 * (a.below + b.below) + width / 12.0 * (a.density - b.density));
            }
            deviation * (b.h - a.h)
        };
        self.intervals.iter().map(improvement).collect()
    }

    /// [`log_capped_improvement`] of each interval.
    fn log_improvements(&self, mean: f64, deviation: f64) -> Vec<Acquisition> {
        let log_deviation = libm::log(deviation);
        let edges: Vec<Edge> = self.bounds.iter().map(|&bound| Edge::new(bound, mean, deviation)).collect();
        let factor = |&[lower, upper]: &[usize; 2]| {
            if edges[lower].bound == f64::NEG_INFINITY {
                edges[upper].log_improvement(deviation, log_deviation)
            } else {
                log_capped_improvement(&edges[lower], &edges[upper], deviation, log_deviation)
            }
        };
        self.intervals.iter().map(factor).collect()
    }
}

/// [`Edge`] without what the tails need.
#[derive(Clone, Copy, Debug, Default)]
struct RoughEdge {
    z: f64,
    density: f64,
    below: f64,
    h: f64,
}

fn sort_without_repetition<T: PartialEq>(values: &mut Vec<T>, order: impl FnMut(&T, &T) -> Ordering) {
    values.sort_unstable_by(order);
    values.dedup();
}

/// A box, open below where `lower` is minus infinity.
struct Tile {
    lower: Vec<f64>,
    upper: Vec<f64>,
}

/// A local upper bound: a corner of what the points do not dominate.
#[derive(Clone)]
struct Corner {
    upper: Vec<f64>,
    /// Shape (objective, objective): row `k` is the point that bounds the corner in objective `k`.
    defining: Vec<f64>,
}

/// Disjoint boxes whose union is what lies below `reference` and is not dominated by the front.
///
/// That region is the union of the orthants below the front's local upper bounds. Seen from the other side it is what
/// the negated bounds dominate, and so the same algorithm cuts it into boxes.
/// Source: Lacour, Klamroth and Fonseca 2017, applied twice as in BoTorch's `FastNondominatedPartitioning`.
fn non_dominated_boxes(front: &[&[f64]], reference: &[f64]) -> Vec<Tile> {
    let negated = |values: &[f64]| values.iter().map(|value| -value).collect::<Vec<f64>>();
    let mut corners: Vec<Vec<f64>> =
        corners(front, reference).iter().map(|corner| negated(&corner.upper)).collect();
    corners.sort_by(|a, b| lexicographic(a, b));
    let corners: Vec<&[f64]> = corners.iter().map(Vec::as_slice).collect();
    let limit = vec![f64::INFINITY; reference.len()];
    dominated_boxes(&corners, &limit)
        .iter()
        .map(|tile| Tile { lower: negated(&tile.upper), upper: negated(&tile.lower) })
        .collect()
}

/// Disjoint boxes whose union is what the points dominate below `reference`. Source: Lacour et al. 2017, eq. 2.
fn dominated_boxes(points: &[&[f64]], reference: &[f64]) -> Vec<Tile> {
    let size = reference.len();
    let tile = |corner: &Corner| {
        let defining = |k: usize, objective: usize| corner.defining[k * size + objective];
        let lower = |objective: usize| match objective {
            0 => defining(0, 0),
            _ => (0..objective).map(|k| defining(k, objective)).fold(f64::NEG_INFINITY, f64::max),
        };
        let lower: Vec<f64> = (0..size).map(lower).collect();
        let mut upper = corner.upper.clone();
        upper[0] = reference[0];
        strictly_below(&lower, &upper).then_some(Tile { lower, upper })
    };
    corners(points, reference).iter().filter_map(tile).collect()
}

/// Local upper bounds of `points` below `reference`.
///
/// Source: Klamroth, Lacour and Vanderpooten 2015, algorithm 5: a point below a corner replaces it by its projections
/// on the sides where no other defining point is in the way.
fn corners(points: &[&[f64]], reference: &[f64]) -> Vec<Corner> {
    let size = reference.len();
    let mut defining = vec![f64::NEG_INFINITY; size * size];
    for (k, &limit) in reference.iter().enumerate() {
        defining[k * size + k] = limit;
    }
    let mut corners = vec![Corner { upper: reference.to_vec(), defining }];
    for point in points {
        let (replaced, mut kept): (Vec<Corner>, Vec<Corner>) =
            corners.into_iter().partition(|corner| strictly_below(point, &corner.upper));
        for corner in replaced {
            for (objective, &loss) in point.iter().enumerate() {
                let free = (0..size)
                    .filter(|&k| k != objective)
                    .all(|k| loss >= corner.defining[k * size + objective]);
                if free {
                    let mut projection = corner.clone();
                    projection.upper[objective] = loss;
                    projection.defining[objective * size..(objective + 1) * size].copy_from_slice(point);
                    kept.push(projection);
                }
            }
        }
        corners = kept;
    }
    corners
}

// Scalarisation ---------------------------------------------------------------------------------------------

/// The augmented Chebyshev scalarisation `max_i w_i f_i + 0.05 Σ w_i f_i`; smaller is better.
///
/// `losses`, `weights`: shape (objective,); losses scaled to a common range, by convention [0, 1] over the front,
/// weights not negative, see [`simplex_weights`]. Also the points of a concave front are minima for some weights, but
/// for those near its ends where one loss gains less than about a twentieth of what another one costs: the price of the
/// sum, which keeps points from being minima that are merely no worse in the largest term. Source: Knowles 2006
/// (ParEGO).
pub fn augmented_chebyshev(losses: &[f64], weights: &[f64]) -> f64 {
    debug_assert_eq!(losses.len(), weights.len());
    let weighted = || losses.iter().zip(weights).map(|(loss, weight)| loss * weight);
    weighted().fold(f64::NEG_INFINITY, f64::max) + AUGMENTATION * weighted().sum::<f64>()
}

/// Maps a point of the unit cube to weights that are not negative and sum to one, uniformly distributed if it is.
///
/// `uniforms`: one fewer than there are objectives, in [0, 1]; the result has shape (objective,). The map is continuous
/// and keeps the evenness of quasi-random points. It is the inverse Rosenblatt transformation: of `k + 1` weights
/// the first has the distribution `1 - (1 - w)^k`, and the others are uniform on what it leaves.
pub fn simplex_weights(uniforms: &[f64]) -> Vec<f64> {
    let mut remainder = 1.0;
    let mut weights = Vec::with_capacity(uniforms.len() + 1);
    for (i, uniform) in uniforms.iter().enumerate() {
        let kept = libm::pow(1.0 - uniform.clamp(0.0, 1.0), 1.0 / (uniforms.len() - i) as f64);
        weights.push(remainder * (1.0 - kept));
        remainder *= kept;
    }
    weights.push(remainder);
    weights
}

#[cfg(test)]
#[expect(
    clippy::excessive_precision,
    clippy::approx_constant,
    reason = "reference values stand as they were computed"
)]
mod tests {
    use super::*;
    use crate::acquisition::log_expected_improvement;
    use crate::generator::Generator;

    /// Losses on a coarse grid, so that many are equal, or in general position.
    fn random_points(
        generator: &mut Generator,
        count: usize,
        size: usize,
        grid: Option<usize>,
    ) -> Vec<Vec<f64>> {
        let mut loss = || match grid {
            Some(steps) => generator.below(steps) as f64,
            None => generator.uniform(),
        };
        (0..count).map(|_| (0..size).map(|_| loss()).collect()).collect()
    }

    /// Points near the part of a sphere that faces the origin: most of them are on the front.
    fn spherical_front(generator: &mut Generator, count: usize, size: usize) -> Vec<Vec<f64>> {
        (0..count)
            .map(|_| {
                let direction: Vec<f64> = (0..size).map(|_| generator.between(0.01, 1.0)).collect();
                let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
                let radius = generator.between(1.0, 1.02);
                direction.iter().map(|x| 1.0 - radius * x / norm).collect()
            })
            .collect()
    }

    fn shuffle<T>(generator: &mut Generator, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            values.swap(i, generator.below(i + 1));
        }
    }

    fn assert_close(found: f64, expected: f64, tolerance: f64, context: &str) {
        assert!(
            (found - expected).abs() <= tolerance * expected.abs().max(1e-300),
            "{context}: found {found:e}, expected {expected:e}"
        );
    }

    #[test]
    fn the_front_is_what_nothing_dominates() {
        assert_eq!(non_dominated::<[f64; 2]>(&[]), [0; 0]);
        assert_eq!(
            non_dominated(&[
                [2.0, 2.0],
                [1.0, 3.0],
                [2.0, 2.0],
                [1.0, 4.0],
                [f64::NAN, 0.0],
                [-0.0, 9.0],
                [0.0, 8.0]
            ]),
            [0, 1, 6]
        );
        let infinite = f64::INFINITY;
        assert_eq!(non_dominated(&[[infinite, 0.0], [infinite, -infinite], [1.0, infinite]]), [1, 2]);
        let mut generator = Generator::new(1);
        for case in 0..300 {
            let points = random_points(&mut generator, case % 30, 1 + case % 5, (case % 2 == 0).then_some(4));
            let dominated = |i: usize| {
                (0..points.len())
                    .any(|j| nowhere_larger(&points[j], &points[i]) && (points[j] != points[i] || j < i))
            };
            let expected: Vec<usize> = (0..points.len()).filter(|&i| !dominated(i)).collect();
            assert_eq!(non_dominated(&points), expected);
        }
    }

    #[test]
    fn hypervolume_agrees_with_inclusion_and_exclusion() {
        let mut generator = Generator::new(2);
        for case in 0..300 {
            let size = 1 + case % 5;
            let points = random_points(&mut generator, case % 9, size, (case % 2 == 0).then_some(5));
            let reference: Vec<f64> = if case % 2 == 0 {
                vec![4.0; size]
            } else {
                (0..size).map(|_| generator.between(0.5, 2.0)).collect()
            };
            let mut expected = 0.0;
            for subset in 1_u32..1 << points.len() {
                let volume: f64 = (0..size)
                    .map(|objective| {
                        let worst = (0..points.len())
                            .filter(|i| subset >> i & 1 == 1)
                            .map(|i| points[i][objective])
                            .fold(f64::NEG_INFINITY, f64::max);
                        (reference[objective] - worst).max(0.0)
                    })
                    .product();
                expected += if subset.count_ones() % 2 == 1 { volume } else { -volume };
            }
            let found = hypervolume(&points, &reference);
            assert!((found - expected).abs() <= 1e-12 * (1.0 + expected), "{found} {expected}");
        }
    }

    #[test]
    fn hypervolume_of_known_fronts() {
        assert_eq!(hypervolume(&[[1.0, 2.0], [2.0, 1.0], [3.0, 0.0]], &[3.0, 3.0]), 3.0);
        assert_eq!(hypervolume(&[[1.0]], &[3.0]), 2.0);
        assert_eq!(hypervolume::<[f64; 2]>(&[], &[3.0, 3.0]), 0.0);
        assert_eq!(hypervolume(&[[f64::NAN, 0.0], [4.0, 0.0]], &[3.0, 3.0]), 0.0);
        // ZDT1 and ZDT2, f2 = 1 - sqrt(f1) and 1 - f1^2, measured from (11, 11): 121 minus what lies below the curve.
        let count = 4000;
        for (curve, expected) in [
            ((|f: f64| 1.0 - f.sqrt()) as fn(f64) -> f64, 121.0 - 1.0 / 3.0),
            (|f: f64| 1.0 - f * f, 121.0 - 2.0 / 3.0),
        ] {
            let front: Vec<[f64; 2]> =
                (0..=count).map(|i| f64::from(i) / f64::from(count)).map(|f| [f, curve(f)]).collect();
            let found = hypervolume(&front, &[11.0, 11.0]);
            assert!(found < expected && found > expected - 1e-3, "{found} {expected}");
        }
        // DTLZ1: the lattice points of a plane, whose staircase is a number of unit cubes.
        let k = 20;
        let front: Vec<[f64; 3]> =
            (0..=k).flat_map(|a| (0..=k - a).map(move |b| [a, b, k - a - b].map(f64::from))).collect();
        let cubes = (0..k)
            .flat_map(|a| (0..k).flat_map(move |b| (0..k).map(move |c| a + b + c)))
            .filter(|&sum| sum >= k)
            .count();
        assert_eq!(hypervolume(&front, &[f64::from(k); 3]), cubes as f64);
        // DTLZ2 in three objectives: a cube minus an eighth of the unit ball.
        let count = 40;
        let angle = |i: i32| std::f64::consts::FRAC_PI_2 * f64::from(i) / f64::from(count);
        let front: Vec<[f64; 3]> = (0..=count)
            .flat_map(|i| (0..=count).map(move |j| (angle(i), angle(j))))
            .map(|(a, b)| [libm::cos(a) * libm::cos(b), libm::cos(a) * libm::sin(b), libm::sin(a)])
            .collect();
        let expected = 1.1 * 1.1 * 1.1 - std::f64::consts::PI / 6.0;
        let found = hypervolume(&front, &[1.1; 3]);
        assert!(found < expected && found > expected - 0.03, "{found} {expected}");
    }

    #[test]
    fn hypervolume_grows_with_points_and_ignores_their_order() {
        let mut generator = Generator::new(3);
        for case in 0..100 {
            let size = 2 + case % 4;
            let mut points = random_points(&mut generator, 15, size, (case % 3 == 0).then_some(6));
            let reference = vec![if case % 3 == 0 { 5.0 } else { 0.9 }; size];
            let all = hypervolume(&points, &reference);
            shuffle(&mut generator, &mut points);
            assert_eq!(hypervolume(&points, &reference).to_bits(), all.to_bits());
            let front: Vec<&Vec<f64>> = non_dominated(&points).into_iter().map(|i| &points[i]).collect();
            assert_eq!(hypervolume(&front, &reference).to_bits(), all.to_bits());
            let mut previous = 0.0;
            for count in 0..=points.len() {
                let volume = hypervolume(&points[..count], &reference);
                assert!(volume >= previous * (1.0 - 1e-14), "{volume} {previous}");
                previous = volume;
            }
        }
    }

    #[test]
    fn the_outer_reference_lies_a_tenth_beyond_all_that_is_known() {
        assert_eq!(
            outer_reference_point(&[[0.0, 20.0], [4.0, 10.0], [f64::NAN, 99.0]]),
            Some(vec![4.4, 21.0])
        );
        // without a range, a tenth of the value, or one
        assert_eq!(outer_reference_point(&[[10.0, 0.0]]), Some(vec![11.0, 0.1]));
        assert_eq!(outer_reference_point::<[f64; 2]>(&[]), None);
        let mut generator = Generator::new(14);
        for case in 0..200 {
            let points =
                random_points(&mut generator, 1 + case % 20, 2 + case % 3, (case % 2 == 0).then_some(5));
            let (near, outer) =
                (reference_point(&points, &points).unwrap(), outer_reference_point(&points).unwrap());
            assert!(near.iter().zip(&outer).all(|(near, outer)| near <= outer), "{near:?} {outer:?}");
        }
    }

    #[test]
    fn the_reference_lies_a_tenth_beyond_the_front_or_beyond_half_of_what_is_known() {
        let of = |rows: &[[f64; 2]]| reference_point(rows, rows);
        let front = [[0.0, 20.0], [1.0, 10.0]];
        assert_eq!(of(&front), Some(vec![1.1, 21.0]));
        let (infinite, nan) = (f64::INFINITY, f64::NAN);
        let noisy = [[0.0, 20.0], [5.0, 50.0], [infinite, 0.0], [1.0, 10.0], [-1.0, nan], [-infinite, 3.0]];
        assert_eq!(of(&noisy), Some(vec![3.0, 34.0]));
        assert_eq!(of(&[[0.0, 2.0], [1.0, 4.0], [10.0, 2.0]]), Some(vec![6.0, 3.2]));
        assert_eq!(of(&[[5.0, 0.0]; 3]), Some(vec![5.5, 0.1]));
        assert_eq!(of(&[[-5.0, 0.0]]), Some(vec![-4.5, 0.1]));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[[infinite, 1.0]]), None);
        let huge = of(&[[1e308, -1e308], [-1e308, 1e308], [1e300, 1e300]]).unwrap();
        assert!(huge.iter().all(|limit| limit.is_finite() && *limit > 1e308), "{huge:?}");
        // What breaks a constraint counts for the range only.
        assert_eq!(reference_point(&front, &[[0.0, 20.0], [-9.0, 60.0]]), Some(vec![5.4, 34.0]));
        // A range within rounding is none.
        let flat = of(&[[1e9, 2.0], [1e9 + 1e-7, 1.0]]).unwrap();
        assert!(flat[0] > 1e9 + 1e7, "{flat:?}");
    }

    #[test]
    fn boxes_tile_what_is_not_dominated() {
        let mut generator = Generator::new(4);
        for case in 0..200 {
            let size = 1 + case % 4;
            let grid = (case % 2 == 0).then_some(6);
            let points = random_points(&mut generator, case % 12, size, grid);
            let reference = vec![if grid.is_some() { 5.0 } else { 0.9 }; size];
            let front = front_below(&points, &reference).unwrap();
            let tiles = non_dominated_boxes(&front, &reference);
            if size == 2 {
                assert_eq!(tiles.len(), front.len() + 1);
            }
            // Their volume above a floor below everything.
            let floor = -1.0;
            let volume: f64 = (tiles.iter())
                .map(|tile| {
                    tile.lower
                        .iter()
                        .zip(&tile.upper)
                        .map(|(l, u)| (u - l.max(floor)).max(0.0))
                        .product::<f64>()
                })
                .sum();
            let whole: f64 = reference.iter().map(|limit| limit - floor).product();
            assert_close(volume, whole - hypervolume(&points, &reference), 1e-12, "volume");
            for _ in 0..200 {
                let scale = if grid.is_some() { 7.0 } else { 1.2 };
                let place: Vec<f64> = (0..size).map(|_| generator.between(-0.1, 1.0) * scale).collect();
                let holding = (tiles.iter())
                    .filter(|tile| strictly_below(&tile.lower, &place) && strictly_below(&place, &tile.upper))
                    .count();
                let wanted = strictly_below(&place, &reference)
                    && !front.iter().any(|point| nowhere_larger(point, &place));
                assert_eq!(holding, usize::from(wanted), "{place:?} in {front:?}");
            }
        }
    }

    const FRONT: [[f64; 2]; 3] = [[4.0, 1.0], [1.0, 5.0], [2.0, 3.0]];

    /// Two points that are almost one.
    const CLOSE: [[f64; 2]; 3] = [[1.0, 5.0], [1.0000001, 4.9999999], [2.0, 3.0]];

    const REFERENCE: [f64; 2] = [6.0, 6.0];

    /// Front, means, deviations, value, slopes with respect to the means and to the deviations.
    type Row = ([[f64; 2]; 3], [f64; 2], [f64; 2], f64, [f64; 4]);

    /// Computed with mpmath 1.3 at 120 digits from the sum over strips of products of ψ as in Emmerich et al. 2011,
    /// slopes by central differences there.
    const TABLE: [Row; 16] = [
        (
            FRONT,
            [0.0, 0.0],
            [1.0, 1.0],
            2.95843025521568321,
            [
                -3.00803504101910854e-1,
                -2.94793942224850648e-1,
                1.81749007368386433e-2,
                2.55747771632579655e-2,
            ],
        ),
        (
            FRONT,
            [3.0, 3.0],
            [5.0e-1, 2.0],
            1.30712714825388086e-1,
            [
                -7.14866651535902817e-1,
                -7.19708726821666456e-1,
                9.48556357600718533e-2,
                7.74703476634009932e-1,
            ],
        ),
        (
            FRONT,
            [1.0e+1, 1.0e+1],
            [1.0, 1.0],
            -5.18046290426233474e+1,
            [-6.55804257096400107, -7.02513974643041962, 4.24954789078918018e+1, 4.882636103160817e+1],
        ),
        (
            FRONT,
            [1.0e+2, -5.0],
            [1.25e-1, 1.0],
            -2.827664520985585e+5,
            [
                -6.01602127648287369e+3,
                -1.66666666497892143e-1,
                4.52405599991512101e+6,
                1.01264714161082517e-9,
            ],
        ),
        (
            FRONT,
            [1.0e+3, 1.0e+3],
            [1.0, 1.0],
            -9.93041823593572442e+5,
            [
                -9.96241551542774214e+2,
                -9.96762462496346593e+2,
                9.92496674639165049e+5,
                9.93534852260586208e+5,
            ],
        ),
        (
            FRONT,
            [1.0e+6, 2.0],
            [1.0, 7.8125e-3],
            -4.9999400825402516e+11,
            [-9.99994000002000012e+5, -1.63859996339454306e+4, 9.99988000039e+11, 2.09753595314501512e+6],
        ),
        (
            FRONT,
            [-1.0e+3, -1.0e+3],
            [1.0, 1.0],
            1.38274579033568627e+1,
            [-9.94052483204366716e-4, -9.94052483204366716e-4, 0.0, 0.0],
        ),
        (FRONT, [3.0, 2.5], [9.765625e-4, 9.765625e-4], -6.93147180559945309e-1, [-1.0, -2.0, 0.0, 0.0]),
        (
            FRONT,
            [3.0, 5.0],
            [1.0e+8, 9.5367431640625e-7],
            1.75017421856814146e+1,
            [-1.25331414873142465e-8, -1.000000006266566, 1.00000002506627821e-8, 5.00000006549004847e-9],
        ),
        (
            FRONT,
            [2.0, -3.0e+2],
            [6.25e-2, 1.0],
            7.09676265892172676,
            [-2.51645240901670377e-1, -3.31112159081145232e-3, 6.60473199062370124e-4, 0.0],
        ),
        (
            FRONT,
            [5.0, 4.0e+1],
            [6.25e-2, 3.125e-2],
            -5.93950378895044352e+5,
            [
                -1.02449963441340962e+3,
                -3.48160588233803343e+4,
                6.55839766024582159e+4,
                3.78799039998378037e+7,
            ],
        ),
        (
            FRONT,
            [1.0e+4, 1.0e+4],
            [1.0, 5.0e-1],
            -2.49750113257279763e+8,
            [-9.999000200019996e+3, -3.99760002001200705e+4, 9.998000399999994e+7, 7.9904029399999997e+8],
        ),
        (
            CLOSE,
            [1.0, 5.0],
            [1.0, 1.0],
            -3.03186832171695525e-1,
            [-9.19725694154903047e-1, -1.03856470527379811, 4.97660967136123502e-1, 7.86802890464738887e-1],
        ),
        (
            CLOSE,
            [1.5, 8.0],
            [6.25e-2, 2.5e-1],
            -7.82171643686347166e+1,
            [
                -1.09746507419687041e+2,
                -3.56274091484178059e+1,
                8.88528934493894127e+2,
                3.22122600975634224e+2,
            ],
        ),
        (
            CLOSE,
            [5.0e+1, 5.0e+1],
            [1.0, 2.0],
            -1.25915905508766019e+3,
            [-4.40453843630781687e+1, -1.1792324907749565e+1, 1.93899691197543942e+3, 2.77619635332114778e+2],
        ),
        (
            CLOSE,
            [1.0e+3, 0.0],
            [1.0, 1.0],
            -4.94031623676317506e+5,
            [-9.94002012066325342e+2, -3.32840968451795236e-1, 9.8803899999392739e+5, 1.47709464461429325e-3],
        ),
    ];

    #[test]
    fn two_objectives_agree_with_high_precision_values() {
        for (front, means, deviations, value, slopes) in TABLE {
            let context = format!("{means:?} {deviations:?}");
            let boxes = ExpectedHypervolume::new(&front, &REFERENCE).unwrap();
            let all = boxes.evaluate(&means, &deviations);
            for (objective, found) in all.into_iter().enumerate() {
                assert!((found.value - value).abs() < 2e-15 * (1.0 + value.abs()), "{context}: {found:?}");
                for (found, expected) in
                    [(found.mean_slope, slopes[objective]), (found.deviation_slope, slopes[2 + objective])]
                {
                    let scale = expected.abs() + 1e-6 / deviations[objective];
                    assert!((found - expected).abs() < 1e-9 * scale, "{context}: {found:e} {expected:e}");
                }
            }
        }
    }

    #[test]
    fn one_objective_is_log_expected_improvement() {
        let mut generator = Generator::new(5);
        for _ in 0..500 {
            let best = generator.between(-2.0, 2.0);
            let deviation = libm::exp(generator.between(-7.0, 3.0));
            let mean = best + deviation * generator.between(-40.0, 40.0);
            let plain = log_expected_improvement(mean, deviation, best);
            let boxes = ExpectedHypervolume::new(&[[best + 1.0], [best]], &[best + 9.0]).unwrap();
            let found = boxes.evaluate(&[mean], &[deviation])[0];
            // No front, and nothing to lose in the second objective: as tall as the reference is far.
            let none = ExpectedHypervolume::new::<[f64; 2]>(&[], &[best, 3.0]).unwrap();
            let flat = none.evaluate(&[mean, 1.0], &[deviation, 1e-9])[0];
            // A front of one point that is better in the second objective leaves the strip before it.
            let one = ExpectedHypervolume::new(&[[best, 0.0]], &[best + 100.0 * deviation, 3.0]).unwrap();
            let strip = one.evaluate(&[mean, 1.0], &[deviation, 1e-3])[0];
            for (found, height) in [(found, 1.0), (flat, 2.0), (strip, 2.0)] {
                assert!(
                    (found.value - libm::log(height) - plain.value).abs() < 1e-12 * (1.0 + plain.value.abs())
                );
                assert_close(found.mean_slope, plain.mean_slope, 1e-11, "mean");
                assert_close(found.deviation_slope, plain.deviation_slope, 1e-11, "deviation");
            }
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let mut generator = Generator::new(7);
        for case in 0..2000 {
            let size = 2 + case % 3;
            let points = spherical_front(&mut generator, case % 9, size);
            let boxes = ExpectedHypervolume::new(&points, &vec![1.1; size]).unwrap();
            let reach = if case % 4 == 0 { 30.0 } else { 1.5 };
            let means: Vec<f64> = (0..size).map(|_| generator.between(-reach, reach)).collect();
            let deviations: Vec<f64> = (0..size).map(|_| libm::exp(generator.between(-5.0, 2.0))).collect();
            let found = boxes.evaluate(&means, &deviations);
            for objective in 0..size {
                let step = 1e-5 * deviations[objective];
                let difference = |in_mean: bool| {
                    let at = |step: f64| {
                        let (mut means, mut deviations) = (means.clone(), deviations.clone());
                        *(if in_mean { &mut means[objective] } else { &mut deviations[objective] }) += step;
                        boxes.evaluate(&means, &deviations)[0].value
                    };
                    (at(step) - at(-step)) / (2.0 * step)
                };
                let rounding = 1e-15 * (1.0 + found[0].value.abs()) / step;
                for (found, expected) in [
                    (found[objective].mean_slope, difference(true)),
                    (found[objective].deviation_slope, difference(false)),
                ] {
                    assert!(
                        (found - expected).abs()
                            <= 1e-6 * expected.abs() + 20.0 * rounding + 1e-9 / deviations[objective],
                        "case {case} {means:?} {deviations:?}: {found:e} {expected:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn expectation_agrees_with_brute_force() {
        let mut generator = Generator::new(8);
        for case in 0..24 {
            let size = 2 + case % 3;
            let mut points = spherical_front(&mut generator, 6, size);
            let reference = vec![1.1; size];
            let boxes = ExpectedHypervolume::new(&points, &reference).unwrap();
            let means: Vec<f64> = (0..size).map(|_| generator.between(0.0, 0.8)).collect();
            let deviations: Vec<f64> = (0..size).map(|_| generator.between(0.05, 0.6)).collect();
            let before = hypervolume(&points, &reference);
            let count = 20_000;
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..count {
                let sample = means.iter().zip(&deviations).map(|(m, s)| m + s * generator.normal()).collect();
                points.push(sample);
                let improvement = hypervolume(&points, &reference) - before;
                points.pop();
                sum += improvement;
                squares += improvement * improvement;
            }
            let mean = sum / f64::from(count);
            let error = ((squares / f64::from(count) - mean * mean) / f64::from(count)).sqrt();
            let found = libm::exp(boxes.evaluate(&means, &deviations)[0].value);
            assert!((found - mean).abs() < 4.0 * error, "{found} {mean} +- {error}");
        }
    }

    #[test]
    fn expectation_is_at_least_the_improvement_of_the_means_and_tends_to_it() {
        // The improvement is convex in each objective alone, so that Jensen's inequality applies one by one.
        let mut generator = Generator::new(9);
        for case in 0..300 {
            let size = 2 + case % 3;
            let mut points = spherical_front(&mut generator, 8, size);
            let reference = vec![1.1; size];
            let boxes = ExpectedHypervolume::new(&points, &reference).unwrap();
            let means: Vec<f64> = (0..size).map(|_| generator.between(0.0, 0.6)).collect();
            let before = hypervolume(&points, &reference);
            points.push(means.clone());
            let improvement = hypervolume(&points, &reference) - before;
            let mut previous = f64::INFINITY;
            for exponent in 0..12 {
                let deviation = libm::pow(10.0, -f64::from(exponent));
                let found = libm::exp(boxes.evaluate(&means, &vec![deviation; size])[0].value);
                assert!(found >= improvement - 1e-12, "{found} {improvement}");
                assert!(found <= previous * (1.0 + 1e-12), "grows with the deviation");
                previous = found;
            }
            assert!((previous - improvement).abs() < 1e-10, "{previous} {improvement}");
        }
    }

    #[test]
    fn the_fast_value_agrees_to_nine_digits() {
        let mut generator = Generator::new(13);
        for case in 0..4000 {
            let size = 1 + case % 4;
            let points = spherical_front(&mut generator, case % 30, size);
            let boxes = ExpectedHypervolume::new(&points, &vec![1.1; size]).unwrap();
            let reach = [0.3, 1.5, 30.0, 3000.0][generator.below(4)];
            let means: Vec<f64> = (0..size).map(|_| generator.between(-reach, reach)).collect();
            let widths: Vec<f64> = (0..size).map(|_| libm::exp(generator.between(-12.0, 3.0))).collect();
            let (fast, exact) = (boxes.log_value(&means, &widths), boxes.evaluate(&means, &widths)[0].value);
            assert!(
                (fast - exact).abs() < 1e-9 * (1.0 + 1e-6 * exact.abs()),
                "{case}: {fast} {exact} {means:?} {widths:?}"
            );
        }
    }

    #[test]
    fn finite_at_extreme_arguments() {
        let mut generator = Generator::new(10);
        for size in 2..=4 {
            let points = spherical_front(&mut generator, 10, size);
            let boxes = ExpectedHypervolume::new(&points, &vec![1.1; size]).unwrap();
            let magnitudes = [0.0, 0.5, 1.1, -3.0, 30.0, -1e3, 1e3, 1e6, -1e9, 1e12];
            let widths = [1e-6, 1e-3, 1.0, 1e3];
            for case in 0..5000 {
                let means: Vec<f64> =
                    (0..size).map(|_| magnitudes[generator.below(magnitudes.len())]).collect();
                let deviations: Vec<f64> = (0..size).map(|_| widths[generator.below(widths.len())]).collect();
                let found = boxes.evaluate(&means, &deviations);
                // The shares of the boxes are as accurate as their logarithms.
                let slack = 1e-9 + 1e-15 * found[0].value.abs();
                for (objective, found) in found.iter().enumerate() {
                    assert!(
                        found.value.is_finite()
                            && found.mean_slope.is_finite()
                            && found.deviation_slope.is_finite()
                            && found.mean_slope <= 0.0
                            && found.deviation_slope >= -slack / deviations[objective],
                        "case {case} {means:?} {deviations:?}: {found:?}"
                    );
                }
            }
        }
        // Towards the front it only gets better, however far away.
        let boxes = ExpectedHypervolume::new(&FRONT, &REFERENCE).unwrap();
        let mut previous = f64::NEG_INFINITY;
        for exponent in (-40..=600).rev() {
            let distance = libm::pow(10.0, f64::from(exponent) / 4.0);
            let found = boxes.evaluate(&[4.0 + distance, 5.0 + distance], &[1e-3, 1.0])[0];
            assert!(found.value.is_finite() && found.value >= previous, "{distance:e}: {found:?}");
            previous = found.value;
        }
    }

    #[test]
    fn the_order_of_the_front_changes_no_bit() {
        let mut generator = Generator::new(11);
        for case in 0..60 {
            let size = 2 + case % 3;
            let mut points = random_points(&mut generator, 12, size, (case % 2 == 0).then_some(6));
            let reference = vec![if case % 2 == 0 { 5.0 } else { 0.95 }; size];
            let boxes = ExpectedHypervolume::new(&points, &reference).unwrap();
            shuffle(&mut generator, &mut points);
            points.push(points[0].clone());
            points.push(vec![99.0; size]);
            assert_eq!(ExpectedHypervolume::new(&points, &reference).unwrap(), boxes);
        }
    }

    #[test]
    fn unusable_fronts_are_refused() {
        let error = ExpectedHypervolume::new(&[[0.0, f64::INFINITY]], &[1.0, 1.0]).unwrap_err();
        assert!(matches!(error, SurrogateError::NotFinite { what: "point of the front", index: 1 }));
        let error = ExpectedHypervolume::new(&[[0.0, 0.0]], &[1.0, f64::NAN]).unwrap_err();
        assert!(matches!(error, SurrogateError::NotFinite { what: "reference", index: 1 }));
        let error = ExpectedHypervolume::new(&[[0.0, 0.0]], &[1.0; 3]).unwrap_err();
        assert!(matches!(error, SurrogateError::LengthMismatch { found: 2, expected: 3, .. }));
        assert!(ExpectedHypervolume::new::<[f64; 2]>(&[], &[]).is_err());
    }

    #[test]
    fn the_scalarisation_reaches_the_points_of_a_concave_front() {
        assert_eq!(augmented_chebyshev(&[0.5, 0.25], &[0.5, 0.5]), 0.25 + 0.05 * 0.375);
        let front: Vec<[f64; 2]> = (1..20)
            .map(|i| std::f64::consts::FRAC_PI_2 * f64::from(i) / 20.0)
            .map(|angle| [libm::cos(angle), libm::sin(angle)])
            .collect();
        for (i, point) in front.iter().enumerate() {
            let weights = [point[1], point[0]].map(|w| w / (point[0] + point[1]));
            let value = |i: usize| augmented_chebyshev(&front[i], &weights);
            let least = (0..front.len()).all(|j| j == i || value(j) > value(i));
            assert!(least || !(3..16).contains(&i), "{i}");
        }
        // Equal in the worst objective, worse in the other.
        assert!(
            augmented_chebyshev(&[0.5, 0.3], &[0.5, 0.5]) > augmented_chebyshev(&[0.5, 0.2], &[0.5, 0.5])
        );
    }

    #[test]
    fn weights_are_uniform_on_the_simplex() {
        assert_eq!(simplex_weights(&[]), [1.0]);
        assert_eq!(simplex_weights(&[0.25]), [0.25, 0.75]);
        assert_eq!(simplex_weights(&[0.0, 0.0, 0.0]), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(simplex_weights(&[1.0, 0.3]), [1.0, 0.0, 0.0]);
        let mut generator = Generator::new(12);
        let count = 20_000;
        let mut sums = [[0.0; 5]; 2];
        for _ in 0..count {
            let uniforms = [(); 4].map(|()| generator.uniform());
            let weights = simplex_weights(&uniforms);
            assert!(weights.iter().all(|&weight| weight >= 0.0));
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-15 * 5.0);
            for (i, weight) in weights.iter().enumerate() {
                sums[0][i] += weight / f64::from(count);
                sums[1][i] += weight * weight / f64::from(count);
            }
        }
        // Moments of the flat Dirichlet distribution of five weights.
        for i in 0..5 {
            assert!((sums[0][i] - 0.2).abs() < 5e-3 && (sums[1][i] - 2.0 / 30.0).abs() < 3e-3, "{sums:?}");
        }
    }
}
