//! Acquisition functions in logarithms: finite and with a useful slope where the plain ones underflow to zero.
//!
//! The maximiser and the combination of several models are left to the strategies.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// ln(2π)/2.
pub(crate) const LOG_SQRT_2_PI: f64 = 0.918_938_533_204_672_7;

/// Below this argument the asymptotic series is as accurate as a double; above it 1 + z Φ/φ loses up to z² machine
/// epsilons, 4e-13 at -40.
const SERIES_BELOW: f64 = -40.0;

/// Further out only the square of the argument matters, and it must not overflow.
pub(crate) const ARGUMENT_MIN: f64 = -1e150;

/// A value and its derivatives with respect to the posterior's mean and standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acquisition {
    /// The natural logarithm of the acquisition function; larger is better.
    pub value: f64,
    /// Derivative with respect to the posterior mean.
    pub mean_slope: f64,
    /// Derivative with respect to the posterior standard deviation.
    pub deviation_slope: f64,
}

impl Acquisition {
    /// Adds `weight` times the gradient with respect to the point to `gradient`, by the chain rule.
    ///
    /// `mean_gradient`, `variance_gradient`: shape of the point; `deviation`: the standard deviation there.
    pub fn add_gradient(
        &self,
        weight: f64,
        deviation: f64,
        mean_gradient: &[f64],
        variance_gradient: &[f64],
        gradient: &mut [f64],
    ) {
        let mean_factor = weight * self.mean_slope;
        let variance_factor = weight * self.deviation_slope / (2.0 * deviation);
        for (total, (mean, variance)) in gradient.iter_mut().zip(mean_gradient.iter().zip(variance_gradient))
        {
            *total += mean_factor * mean + variance_factor * variance;
        }
    }
}

/// Logarithm of the expected improvement below `best`, for a normal posterior.
///
/// `mean`, `deviation > 0` and `best` in the same unit, that of the model's targets. With `z = (best - mean)/deviation`
/// and `h(z) = φ(z) + z Φ(z)` it is `ln deviation + ln h(z)`. Source: Ament et al. 2023, eq. 9.
pub fn log_expected_improvement(mean: f64, deviation: f64, best: f64) -> Acquisition {
    let improvement = log_h((best - mean) / deviation);
    Acquisition {
        value: libm::log(deviation) + improvement.value,
        mean_slope: -improvement.probability_ratio / deviation,
        deviation_slope: improvement.density_ratio / deviation,
    }
}

/// `ln h` with `h = φ + z Φ`, and both derivatives that follow from it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct LogImprovement {
    /// `ln h(z)`.
    value: f64,
    /// `Φ/h`, the derivative of `ln h`.
    probability_ratio: f64,
    /// `φ/h`, which equals `1 - z Φ/h` without its cancellation.
    density_ratio: f64,
}

/// Three branches: direct for z > -1; with `e = Φ/φ` by the scaled complementary error function down to -40 as
/// `ln φ + ln(1 + z e)`; below by the asymptotic series of Mills' ratio (Abramowitz and Stegun 1964, 26.2.12).
fn log_h(z: f64) -> LogImprovement {
    let z = z.max(ARGUMENT_MIN);
    if z > -1.0 {
        let density = libm::exp(-0.5 * z * z - LOG_SQRT_2_PI);
        let probability = normal_cdf(z);
        let h = density + z * probability;
        return LogImprovement {
            value: libm::log(h),
            probability_ratio: probability / h,
            density_ratio: density / h,
        };
    }
    let (e, q) = tail_ratios(z);
    LogImprovement {
        value: -0.5 * z * z - LOG_SQRT_2_PI + libm::log(q),
        probability_ratio: e / q,
        density_ratio: 1.0 / q,
    }
}

/// `e` = Φ/φ and `q` = h/φ = 1 + z e for z <= -1.
pub(crate) fn tail_ratios(z: f64) -> (f64, f64) {
    if z > SERIES_BELOW {
        let e = mills_ratio(z);
        return (e, 1.0 + z * e);
    }
    // -z e = 1 - i (1 - 3 i (1 - 5 i (...))): after eight terms less than an epsilon is left out.
    let i = 1.0 / (z * z);
    let mut series = 1.0;
    for odd in [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        series = 1.0 - odd * i * series;
    }
    let q = i * series;
    ((1.0 - q) / -z, q)
}

/// `ln Φ(z)` and its derivative `φ/Φ`: the log probability that a constraint with standardised slack `z` holds.
pub fn log_normal_cdf(z: f64) -> (f64, f64) {
    let z = z.max(ARGUMENT_MIN);
    if z > -1.0 {
        let probability = normal_cdf(z);
        // 1 - p loses all digits of a tiny p; the complement keeps them.
        let log_probability = if z > 1.0 { libm::log1p(-normal_cdf(-z)) } else { libm::log(probability) };
        (log_probability, libm::exp(-0.5 * z * z - LOG_SQRT_2_PI) / probability)
    } else {
        let ratio = mills_ratio(z);
        (-0.5 * z * z - LOG_SQRT_2_PI + libm::log(ratio), 1.0 / ratio)
    }
}

/// Logarithm of the probability that a normal posterior lies at or below `bound`: that a constraint holds.
///
/// `mean`, `deviation > 0` and `bound` in the same unit. It is `ln Φ(z)` with `z = (bound - mean)/deviation`, whose slopes
/// are `-φ/Φ` and `-z φ/Φ` in deviations. Source: Gardner et al. 2014 (weights the expected improvement with it), in
/// logarithms as in Ament et al. 2023.
pub fn log_probability_below(mean: f64, deviation: f64, bound: f64) -> Acquisition {
    let z = (bound - mean) / deviation;
    let (value, ratio) = log_normal_cdf(z);
    Acquisition {
        value,
        mean_slope: -ratio / deviation,
        // φ/Φ is zero long before z times it could be anything else.
        deviation_slope: if ratio == 0.0 { 0.0 } else { -z * ratio / deviation },
    }
}

/// Φ(z).
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// Φ(z)/φ(z) for z <= -1.
fn mills_ratio(z: f64) -> f64 {
    (0.5 * PI).sqrt() * scaled_erfc(-z * FRAC_1_SQRT_2)
}

/// `exp(x²) erfc(x)` for x >= 0.5.
///
/// Up to 5 as it stands, beyond by the continued fraction of Abramowitz and Stegun 1964, 7.1.14, whose 40 terms are
/// more than double precision needs there.
fn scaled_erfc(x: f64) -> f64 {
    if x < 5.0 {
        return libm::exp(x * x) * libm::erfc(x);
    }
    let mut fraction = x;
    for k in (1..40).rev() {
        fraction = x + 0.5 * f64::from(k) / fraction;
    }
    1.0 / (fraction * PI.sqrt())
}

#[cfg(test)]
#[expect(
    clippy::excessive_precision,
    clippy::approx_constant,
    reason = "reference values stand as they were computed"
)]
mod tests {
    use super::*;
    use crate::generator::Generator;

    /// z, ln h(z), its derivative, ln Φ(z). Computed with mpmath 1.3 from the definitions at 60 + z² digits; at -1e3
    /// and below with ten terms of the asymptotic series at 60 digits.
    const REFERENCE: [(f64, f64, f64, f64); 17] = [
        (10.0, 2.302585092994045684, 0.1, -7.619853024160526066e-24),
        (3.0, 1.0987396653277077727, 0.33284096845179523558, -0.0013508099647481937988),
        (0.0, -0.91893853320467274178, 1.2533141373155002512, -0.69314718055994530942),
        (-0.5, -1.6205162643873199193, 1.5598731483480796712, -1.1759117615936186089),
        (-1.0, -2.4851210257126413368, 1.9042712333296918229, -1.8410216450092635058),
        (-1.0000001, -2.4851212161397683908, 1.904271305527462158, -1.8410217975227952154),
        (-2.0, -4.7687835239171141569, 2.6794168839555859839, -3.7831843336820319488),
        (-5.0, -16.744301162660990143, 5.3618162412880885298, -15.064998393988725736),
        (-10.0, -55.553122036122355927, 10.194383033412553306, -53.231285150512470578),
        (-25.0, -319.86146358149595433, 25.079620234266532815, -316.63940800802025894),
        (-39.9, -804.29857146543718855, 39.950031269397796269, -800.61094201051187462),
        (-40.0, -808.29856835661996024, 40.049906657648518193, -804.60844201375378817),
        (-40.1, -812.30855281756857467, 40.149782663947819338, -808.61593579029262626),
        (-100.0, -5010.1295788002497923, 100.01999400419586505, -5005.5242086942050886),
        (-1e3, -500014.73445209115845, 1000.001999994000042, -500007.82669481218431),
        (-1e6, -500000000028.54995965, 1000000.000002, -500000000014.73444909),
        (-1e8, -5000000000000037.7603, 100000000.00000002, -5000000000000019.3396),
    ];

    fn assert_relative(found: f64, expected: f64, tolerance: f64, z: f64) {
        assert!(
            (found - expected).abs() <= tolerance * expected.abs(),
            "z {z}: found {found}, expected {expected}"
        );
    }

    #[test]
    fn agrees_with_high_precision_values() {
        for (z, value, slope, log_probability) in REFERENCE {
            assert_relative(log_h(z).value, value, 1e-14, z);
            let difference = log_h(z).density_ratio - (1.0 - z * slope);
            assert!(difference.abs() < 1e-12 * (1.0 + z * z), "z {z}: off by {difference}");
            assert_relative(log_h(z).probability_ratio, slope, 1e-12, z);
            assert_relative(log_normal_cdf(z).0, log_probability, 1e-14, z);
        }
    }

    #[test]
    fn scaled_complement_agrees_with_high_precision_values() {
        // mpmath 1.3, 40 digits and more.
        let reference = [
            (0.5, 0.61569034419292587487),
            (0.7, 0.52593033734944095849),
            (1.0, 0.42758357615580700441),
            (2.0, 0.25539567631050574387),
            (4.9, 0.11287909055975874732),
            (5.0, 0.11070463773306862637),
            (5.1, 0.10861102631393280177),
            (10.0, 0.056140992743822585858),
            (100.0, 0.0056416137829894329036),
            (10000.0, 0.000056418958072680841152),
        ];
        for (x, expected) in reference {
            assert_relative(scaled_erfc(x), expected, 1e-14, x);
        }
    }

    #[test]
    fn branches_meet() {
        for border in [-1.0, SERIES_BELOW] {
            let (below, above) = (log_h(border - 1e-12), log_h(border + 1e-12));
            assert_relative(below.value, above.value, 1e-11, border);
            assert_relative(below.density_ratio, above.density_ratio, 1e-10, border);
        }
    }

    #[test]
    fn finite_and_increasing_over_the_whole_axis() {
        let mut previous = f64::NEG_INFINITY;
        for exponent in (-160..=300).rev() {
            let z = -libm::pow(10.0, f64::from(exponent) / 2.0);
            let LogImprovement { value, probability_ratio: slope, .. } = log_h(z);
            assert!(value.is_finite() && slope.is_finite() && slope > 0.0, "{z}: {value} {slope}");
            assert!(value >= previous, "{z}");
            previous = value;
        }
        let hopeless = log_expected_improvement(1e300, 1e-12, 0.0);
        assert!(hopeless.value.is_finite());
        for mean in [-1e300, -1e9, -1.0, 0.0, 1.0, 1e9] {
            let found = log_probability_below(mean, 1e-9, 0.0);
            let numbers = [found.value, found.mean_slope, found.deviation_slope];
            assert!(numbers.iter().all(|number| number.is_finite()), "{mean}: {found:?}");
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let mut generator = Generator::new(8);
        for _ in 0..2000 {
            let deviation = libm::exp(generator.between(-7.0, 2.0));
            let (mean, best) = (generator.between(-3.0, 3.0), generator.between(-3.0, 3.0));
            let found = log_expected_improvement(mean, deviation, best);
            let step = 1e-5 * deviation;
            let mean_slope = (log_expected_improvement(mean + step, deviation, best).value
                - log_expected_improvement(mean - step, deviation, best).value)
                / (2.0 * step);
            let deviation_slope = (log_expected_improvement(mean, deviation + step, best).value
                - log_expected_improvement(mean, deviation - step, best).value)
                / (2.0 * step);
            let scale = found.value.abs() * 1e-15 / step;
            for (f, e) in [(found.mean_slope, mean_slope), (found.deviation_slope, deviation_slope)] {
                assert!(
                    (f - e).abs() <= 1e-6 * e.abs() + 100.0 * scale,
                    "{mean} {deviation} {best}: {f} {e}"
                );
            }
            let below = |mean: f64, deviation: f64| log_probability_below(mean, deviation, best).value;
            let found = log_probability_below(mean, deviation, best);
            let mean_slope = (below(mean + step, deviation) - below(mean - step, deviation)) / (2.0 * step);
            let deviation_slope =
                (below(mean, deviation + step) - below(mean, deviation - step)) / (2.0 * step);
            let scale = (1e-12 + found.value.abs()) * 1e-15 / step;
            for (f, e) in [(found.mean_slope, mean_slope), (found.deviation_slope, deviation_slope)] {
                assert!(
                    (f - e).abs() <= 1e-6 * e.abs() + 100.0 * scale,
                    "{mean} {deviation} {best}: {f} {e}"
                );
            }
            let z = (best - mean) / deviation;
            let step = 1e-5 * (1.0 + z.abs());
            let slope = (log_normal_cdf(z + step).0 - log_normal_cdf(z - step).0) / (2.0 * step);
            let found = log_normal_cdf(z).1;
            assert!((found - slope).abs() <= 1e-6 * (1e-6 + slope.abs()), "{z}: {found} {slope}");
        }
    }
}
