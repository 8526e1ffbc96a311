//! The standard normal distribution, with functions of `libm` alone: the same bits on every machine.

use ansatz_core::rng::Rng;
use rand::RngExt;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// A row of independent standard normal numbers, shape (count,), by Box and Muller 1958: two uniform numbers give two.
pub(crate) fn draw(count: usize, rng: &mut Rng) -> Vec<f64> {
    let mut row = Vec::with_capacity(count + 1);
    while row.len() < count {
        let radius = (-2.0 * libm::log(1.0 - rng.random::<f64>())).sqrt();
        let (sine, cosine) = libm::sincos(2.0 * PI * rng.random::<f64>());
        row.extend([radius * cosine, radius * sine]);
    }
    row.truncate(count);
    row
}

/// The probability of a number above `z`.
pub(crate) fn upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z * FRAC_1_SQRT_2)
}

/// The z with `upper_tail(z) = p`; infinite at 0 and 1, relative error below 1e-15 in between. The square root of the
/// quantile 1 - 2p of chi-squared with one degree of freedom, for p up to one half.
///
/// Source: Wichura 1988, algorithm AS 241 (PPND16), Applied Statistics 37.
pub(crate) fn upper_quantile(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::INFINITY;
    }
    if p >= 1.0 {
        return f64::NEG_INFINITY;
    }
    let q = 0.5 - p;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * ratio(&CENTRAL, r);
    }
    let tail = if q > 0.0 { p } else { 1.0 - p };
    let r = (-libm::log(tail)).sqrt();
    let size = if r <= 5.0 { ratio(&NEAR_TAIL, r - 1.6) } else { ratio(&FAR_TAIL, r - 5.0) };
    if q > 0.0 { size } else { -size }
}

/// Numerator and denominator of a rational approximation, constants first.
type Ratio = ([f64; 8], [f64; 8]);

fn ratio((numerator, denominator): &Ratio, r: f64) -> f64 {
    let polynomial = |terms: &[f64; 8]| terms.iter().rev().fold(0.0, |sum, term| sum * r + term);
    polynomial(numerator) / polynomial(denominator)
}

#[expect(clippy::excessive_precision, reason = "as published")]
const CENTRAL: Ratio = (
    [
        3.387_132_872_796_366_608_0,
        1.331_416_678_917_843_774_5e2,
        1.971_590_950_306_551_442_7e3,
        1.373_169_376_550_946_112_5e4,
        4.592_195_393_154_987_145_7e4,
        6.726_577_092_700_870_085_3e4,
        3.343_057_558_358_812_810_5e4,
        2.509_080_928_730_122_672_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091_125_2e1,
        6.871_870_074_920_579_083_0e2,
        5.394_196_021_424_751_107_7e3,
        2.121_379_430_158_659_586_7e4,
        3.930_789_580_009_271_061_0e4,
        2.872_908_573_572_194_267_4e4,
        5.226_495_278_852_854_561_0e3,
    ],
);

#[expect(clippy::excessive_precision, reason = "as published")]
const NEAR_TAIL: Ratio = (
    [
        1.423_437_110_749_683_577_34,
        4.630_337_846_156_545_295_90,
        5.769_497_221_460_691_405_50,
        3.647_848_324_763_204_605_04,
        1.270_458_252_452_368_382_58,
        2.417_807_251_774_506_117_70e-1,
        2.272_384_498_926_918_458_33e-2,
        7.745_450_142_783_414_076_40e-4,
    ],
    [
        1.0,
        2.053_191_626_637_758_821_87,
        1.676_384_830_183_803_849_40,
        6.897_673_349_851_000_045_50e-1,
        1.481_039_764_274_800_745_90e-1,
        1.519_866_656_361_645_719_66e-2,
        5.475_938_084_995_344_946_00e-4,
        1.050_750_071_644_416_843_24e-9,
    ],
);

#[expect(clippy::excessive_precision, reason = "as published")]
const FAR_TAIL: Ratio = (
    [
        6.657_904_643_501_103_777_20,
        5.463_784_911_164_114_369_90,
        1.784_826_539_917_291_335_80,
        2.965_605_718_285_048_912_30e-1,
        2.653_218_952_657_612_309_30e-2,
        1.242_660_947_388_078_438_60e-3,
        2.711_555_568_743_487_578_15e-5,
        2.010_334_399_292_288_132_65e-7,
    ],
    [
        1.0,
        5.998_322_065_558_879_376_90e-1,
        1.369_298_809_227_358_053_10e-1,
        1.487_536_129_085_061_485_25e-2,
        7.868_691_311_456_132_591_00e-4,
        1.846_318_317_510_054_681_80e-5,
        1.421_511_758_316_445_888_70e-7,
        2.044_263_103_389_939_785_64e-15,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_tables_and_undo_the_tail() {
        // Abramowitz and Stegun, table 26.5
        for (p, z) in [(0.5, 0.0), (0.25, 0.674_489_75), (0.05, 1.644_853_63), (0.001, 3.090_232_31)] {
            assert!((upper_quantile(p) - z).abs() < 1e-8, "{p}");
            assert!((upper_quantile(1.0 - p) + z).abs() < 1e-8, "{p}");
        }
        for exponent in 1..250 {
            let p = 0.7 * libm::pow(10.0, -f64::from(exponent));
            let again = upper_tail(upper_quantile(p));
            assert!((again / p - 1.0).abs() < 1e-11, "{p}: {again}");
        }
        assert_eq!((upper_quantile(0.0), upper_quantile(1.0)), (f64::INFINITY, f64::NEG_INFINITY));
    }

    #[test]
    fn draws_have_the_moments_of_the_normal_distribution() {
        let row = draw(100_001, &mut Rng::new(5));
        assert_eq!(row.len(), 100_001);
        let moment = |power: u32| row.iter().map(|z| z.powi(power as i32)).sum::<f64>() / row.len() as f64;
        // four standard errors each
        assert!(moment(1).abs() < 0.0127, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.018, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.125, "{}", moment(4));
    }
}
