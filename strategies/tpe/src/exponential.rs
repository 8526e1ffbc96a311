//! Sums of exponentials, the innermost loop of every density: additions and products only, so that the compiler can
//! take several at a time and every machine gets the same bits.

/// Below this, a summand next to 1 is nothing.
const ARGUMENT_MIN: f64 = -700.0;
/// 1.5 · 2^52: adding it rounds to a whole number, which then stands in the lowest bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// `exp(x)` for `x <= 0`, to 4e-15 of itself; below -700 as for -700.
///
/// `x = n ln 2 + r` with |r| <= ln 2 / 2, and Taylor's series for `exp(r)` up to the twelfth power.
#[inline(always)]
fn exp(x: f64) -> f64 {
    let x = if x > ARGUMENT_MIN { x } else { ARGUMENT_MIN };
    let shifted = x * std::f64::consts::LOG2_E + ROUNDER;
    let n = shifted - ROUNDER;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut sum = 1.0 / 479_001_600.0;
    sum = sum * r + 1.0 / 39_916_800.0;
    sum = sum * r + 1.0 / 3_628_800.0;
    sum = sum * r + 1.0 / 362_880.0;
    sum = sum * r + 1.0 / 40_320.0;
    sum = sum * r + 1.0 / 5_040.0;
    sum = sum * r + 1.0 / 720.0;
    sum = sum * r + 1.0 / 120.0;
    sum = sum * r + 1.0 / 24.0;
    sum = sum * r + 1.0 / 6.0;
    sum = sum * r + 0.5;
    sum = sum * r + 1.0;
    sum = sum * r + 1.0;
    f64::from_bits(sum.to_bits().wrapping_add(shifted.to_bits() << 52))
}

/// `ln(sum of exp(x))` of a slice that is not empty, natural logarithms. Overwrites the slice.
///
/// Eight partial sums, added in a fixed order: the result depends on the order of the numbers alone.
pub(crate) fn log_sum_exp(logs: &mut [f64]) -> f64 {
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, |a, b| if a > b { a } else { b });
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    logs.iter_mut().for_each(|x| *x = exp(*x - largest));
    let (eights, rest) = logs.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        for (sum, x) in sums.iter_mut().zip(eight) {
            *sum += x;
        }
    }
    largest + libm::log(sums.iter().sum::<f64>() + rest.iter().sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_exponential_function() {
        for step in 0..70_000 {
            let x = -0.01 * f64::from(step);
            let expected = libm::exp(x);
            assert!((exp(x) / expected - 1.0).abs() < 4e-15, "{x}: {} {expected}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f64::NEG_INFINITY) < 1e-300);
    }

    #[test]
    fn sums_of_any_length_and_size() {
        for count in [1, 2, 7, 8, 9, 100] {
            for offset in [-1e6, 0.0, 1e6] {
                let logs: Vec<f64> = (0..count).map(|i| offset + f64::from(i).sin() * 3.0).collect();
                let plain: f64 = logs.iter().map(|x| (x - offset).exp()).sum();
                let found = log_sum_exp(&mut logs.clone());
                assert!((found - offset - plain.ln()).abs() < 1e-9, "{count}: {found}");
            }
        }
        assert_eq!(log_sum_exp(&mut [f64::NEG_INFINITY; 3]), f64::NEG_INFINITY);
    }
}
