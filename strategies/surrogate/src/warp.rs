//! Monotone transformations of losses before the fit, each followed by standardisation.
//!
//! A Gaussian process expects targets that look normal; losses often have a long bad tail or range over many powers of
//! ten. A strategy fits one model per warp and multiplies their acquisition functions. What a failed trial counts as
//! is left to the strategy: it imputes in the warped scale, so that failures never define the spread of the rest.

use serde::{Deserialize, Serialize};

/// A spread below this many times the largest magnitude is rounding error, not information.
const SPREAD_MIN: f64 = 8.0 * f64::EPSILON;

/// A power transformation that leaves less than this standard deviation has flattened the data.
const POWER_DEVIATION_MIN: f64 = 0.3;

/// A monotone increasing transformation of losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Warp {
    /// Standardisation only.
    Identity,
    /// The half above the median is compressed logarithmically; the better half is left as it is.
    CompressBad,
    /// Box-Cox for positive losses, Yeo-Johnson otherwise, with the exponent of greatest likelihood. Source: Cowen-Rivers
    /// et al. 2022 (HEBO).
    Power,
}

impl Warp {
    /// All of them, in the order in which strategies fit them.
    pub const ALL: [Self; 3] = [Self::Identity, Self::CompressBad, Self::Power];

    /// Transforms and standardises: shape (n,) to shape (n,), mean 0 and standard deviation 1, in the order of the
    /// losses. Any magnitude of `f64` is fine; infinities count as the largest or smallest finite loss.
    ///
    /// None if the losses are all equal, if one is NaN, or if a power cannot be fitted (then the identity, which is
    /// always possible, is the fallback).
    pub fn apply(self, losses: &[f64]) -> Option<Vec<f64>> {
        let standard = standardise(losses)?;
        match self {
            Self::Identity => Some(standard),
            Self::CompressBad => standardise(&compress_bad(&standard)),
            Self::Power => power(losses, &standard),
        }
    }
}

/// Shifts and scales to mean 0 and (population) standard deviation 1. None if all equal, empty or NaN.
pub fn standardise(values: &[f64]) -> Option<Vec<f64>> {
    let mut scaled = to_unit_magnitude(values)?;
    let (mean, deviation) = mean_and_deviation(&scaled);
    scaled.iter_mut().for_each(|value| *value = (*value - mean) / deviation);
    // A second pass removes what rounding left of the first when the spread is tiny.
    let (mean, deviation) = mean_and_deviation(&scaled);
    scaled.iter_mut().for_each(|value| *value = (*value - mean) / deviation);
    Some(scaled)
}

/// Divides by the largest magnitude, so that squares neither overflow nor vanish; infinities become extremes.
fn to_unit_magnitude(values: &[f64]) -> Option<Vec<f64>> {
    if values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let magnitude = low.abs().max(high.abs());
    if !(magnitude > 0.0 && magnitude.is_finite()) {
        return None;
    }
    let scaled: Vec<f64> = values.iter().map(|value| value.max(low).min(high) / magnitude).collect();
    (high / magnitude - low / magnitude > SPREAD_MIN).then_some(scaled)
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// `m + s ln(1 + (y - m)/s)` above the median `m`, with `s` the distance from the median to the best: the slope is 1 at
/// the median, so the transformation is smooth there.
fn compress_bad(standard: &[f64]) -> Vec<f64> {
    let mut sorted = standard.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (best, median) = (sorted[0], sorted[(sorted.len() - 1) / 2]);
    // If half of the losses tie for the best, the nearest worse one gives the scale instead.
    let scale = if median > best {
        median - best
    } else {
        sorted.iter().map(|value| value - median).find(|gap| *gap > 0.0).unwrap_or(1.0)
    };
    standard
        .iter()
        .map(
            |value| {
                if *value > median { median + scale * libm::log1p((value - median) / scale) } else { *value }
            },
        )
        .collect()
}

/// HEBO's rule on losses divided by their standard deviation.
fn power(losses: &[f64], standard: &[f64]) -> Option<Vec<f64>> {
    let scaled = to_unit_magnitude(losses)?;
    let (_, deviation) = mean_and_deviation(&scaled);
    let in_deviations: Vec<f64> = scaled.iter().map(|value| value / deviation).collect();
    let positive = losses.iter().all(|loss| *loss > 0.0);
    let accept = |values: Vec<f64>| {
        let useful = values.iter().all(|value| value.is_finite())
            && mean_and_deviation(&values).1 > POWER_DEVIATION_MIN
            && keeps_order(standard, &values);
        if useful { standardise(&values) } else { None }
    };
    let attempt = |transform: fn(f64, f64) -> f64, log_slope: fn(f64) -> f64| {
        let log_slopes: f64 = in_deviations.iter().map(|value| log_slope(*value)).sum();
        let transformed = |exponent: f64| -> Vec<f64> {
            in_deviations.iter().map(|value| transform(*value, exponent)).collect()
        };
        // Log likelihood of normal data after the transformation, up to a constant: Box and Cox 1964, eq. 8.
        let likelihood = |exponent: f64| {
            let (_, deviation) = mean_and_deviation(&transformed(exponent));
            (exponent - 1.0) * log_slopes - in_deviations.len() as f64 * libm::log(deviation)
        };
        accept(transformed(maximise_exponent(likelihood)))
    };
    let box_cox_slope = |value: f64| libm::log(value);
    let yeo_johnson_slope = |value: f64| libm::copysign(libm::log1p(value.abs()), value);
    if positive && let Some(warped) = attempt(box_cox, box_cox_slope) {
        return Some(warped);
    }
    attempt(yeo_johnson, yeo_johnson_slope)
}

/// Whether different losses stayed different or at least did not change places through rounding.
fn keeps_order(before: &[f64], after: &[f64]) -> bool {
    let mut order: Vec<usize> = (0..before.len()).collect();
    order.sort_by(|a, b| before[*a].total_cmp(&before[*b]));
    order.windows(2).all(|pair| after[pair[0]] <= after[pair[1]])
}

/// `(y^λ - 1)/λ` for y > 0. Source: Box and Cox 1964, eq. 1.
fn box_cox(value: f64, exponent: f64) -> f64 {
    let logarithm = libm::log(value);
    if exponent.abs() < 1e-8 { logarithm } else { libm::expm1(exponent * logarithm) / exponent }
}

/// Box-Cox of 1 + y on the positive side, mirrored with exponent 2 - λ on the other. Source: Yeo and Johnson 2000, eq. 2.1.
fn yeo_johnson(value: f64, exponent: f64) -> f64 {
    let (exponent, sign) = if value >= 0.0 { (exponent, 1.0) } else { (2.0 - exponent, -1.0) };
    let logarithm = libm::log1p(value.abs());
    sign * if exponent.abs() < 1e-8 { logarithm } else { libm::expm1(exponent * logarithm) / exponent }
}

/// The exponent in [-2, 3] of greatest likelihood: best of a grid of 21, then golden section around it.
fn maximise_exponent(likelihood: impl Fn(f64) -> f64) -> f64 {
    const GRID_STEP: f64 = 0.25;
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let mut centre = 1.0;
    let mut highest = f64::NEG_INFINITY;
    for index in 0..=20 {
        let exponent = -2.0 + GRID_STEP * f64::from(index);
        let value = likelihood(exponent);
        if value.is_finite() && value > highest {
            (centre, highest) = (exponent, value);
        }
    }
    let (mut low, mut high) = (centre - GRID_STEP, centre + GRID_STEP);
    for _ in 0..30 {
        let (left, right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
        if likelihood(left) > likelihood(right) {
            high = right;
        } else {
            low = left;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;

    fn assert_standard_and_ordered(losses: &[f64], warped: &[f64], warp: Warp) {
        let (mean, deviation) = mean_and_deviation(warped);
        assert!(
            mean.abs() < 1e-9 && (deviation - 1.0).abs() < 1e-9,
            "{warp:?} {mean} {deviation} {losses:?}"
        );
        for i in 0..losses.len() {
            for j in 0..losses.len() {
                if losses[i] < losses[j] {
                    assert!(warped[i] <= warped[j], "{warp:?} {losses:?} {warped:?}");
                }
            }
        }
    }

    #[test]
    fn any_scale_gives_ordered_standard_targets() {
        let mut generator = Generator::new(9);
        for scale in [1e-300, 1e-150, 1e-8, 1.0, 1e8, 1e150, 1e300] {
            for shift in [0.0, 1.0, -3.0, 100.0] {
                let losses: Vec<f64> = (0..40).map(|_| scale * (shift + generator.normal())).collect();
                for warp in Warp::ALL {
                    match warp.apply(&losses) {
                        Some(warped) => assert_standard_and_ordered(&losses, &warped, warp),
                        None => assert_eq!(warp, Warp::Power, "{losses:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn the_scale_does_not_matter() {
        let mut generator = Generator::new(10);
        let losses: Vec<f64> = (0..30).map(|_| libm::exp(2.0 * generator.normal())).collect();
        let huge: Vec<f64> = losses.iter().map(|loss| loss * libm::ldexp(1.0, 900)).collect();
        for warp in Warp::ALL {
            let (a, b) = (warp.apply(&losses).expect("a spread"), warp.apply(&huge).expect("a spread"));
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-9), "{warp:?}");
        }
    }

    #[test]
    fn extreme_mixtures_are_finite() {
        let mixtures: [&[f64]; 6] = [
            &[1e300, -1e300, 0.0],
            &[1e-300, 1e300],
            &[f64::INFINITY, 1.0, 2.0, f64::NEG_INFINITY],
            &[5e-324, 0.0],
            &[f64::MAX, f64::MIN, 1.0, 2.0],
            &[1.0, 1.0, 1.0, 1.0, 7.0],
        ];
        for losses in mixtures {
            for warp in Warp::ALL {
                if let Some(warped) = warp.apply(losses) {
                    assert_standard_and_ordered(losses, &warped, warp);
                } else {
                    assert_eq!(warp, Warp::Power, "{losses:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_to_learn_from_equal_or_undefined_losses() {
        let useless: [&[f64]; 6] =
            [&[], &[3.0], &[0.0, 0.0], &[1e300, 1e300, 1e300], &[f64::NAN, 1.0], &[f64::INFINITY, 2.0]];
        for losses in useless {
            for warp in Warp::ALL {
                assert_eq!(warp.apply(losses), None, "{losses:?}");
            }
        }
        // Two neighbouring doubles differ by rounding only.
        assert_eq!(Warp::Identity.apply(&[1.0, 1.0 + f64::EPSILON]), None);
        assert!(Warp::Identity.apply(&[1.0, 1.0 + 1e-12]).is_some());
    }

    #[test]
    fn compression_shortens_the_bad_tail_only() {
        let losses = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 1e6];
        let warped = Warp::CompressBad.apply(&losses).expect("a spread");
        // Equal steps on the good side.
        let steps: Vec<f64> = (0..3).map(|i| warped[i + 1] - warped[i]).collect();
        assert!(steps.iter().all(|step| (step - steps[0]).abs() < 1e-9), "{warped:?}");
        // Slope 1 at the median 3, distance 3 to the best: 5 becomes 3 + 3 ln(1 + 2/3).
        let expected = (3.0 * libm::log1p(2.0 / 3.0)) * steps[0];
        assert!((warped[5] - warped[3] - expected).abs() < 1e-9, "{warped:?}");
        assert!(warped[6] - warped[3] < 20.0 * (warped[3] - warped[0]), "{warped:?}");
    }

    #[test]
    fn power_makes_log_normal_losses_normal() {
        let mut generator = Generator::new(11);
        let normal: Vec<f64> = (0..200).map(|_| generator.normal()).collect();
        let losses: Vec<f64> = normal.iter().map(|value| libm::exp(1.5 * value)).collect();
        let warped = Warp::Power.apply(&losses).expect("positive losses with a spread");
        let expected = standardise(&normal).expect("a spread");
        let correlation = warped.iter().zip(&expected).map(|(a, b)| a * b).sum::<f64>() / 200.0;
        assert!(correlation > 0.995, "{correlation}");
    }

    #[test]
    fn power_functions_at_known_values() {
        assert!((box_cox(4.0, 0.5) - 2.0).abs() < 1e-14);
        assert!((box_cox(std::f64::consts::E, 0.0) - 1.0).abs() < 1e-14);
        assert!((yeo_johnson(3.0, 0.5) - 2.0).abs() < 1e-14);
        assert!((yeo_johnson(-3.0, 1.5) + 2.0).abs() < 1e-14);
        assert!((yeo_johnson(-3.0, 2.0) + libm::log(4.0)).abs() < 1e-14);
        assert!((yeo_johnson(0.7, 1.0) - 0.7).abs() < 1e-14);
    }
}
