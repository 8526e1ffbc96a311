//! Normal numbers.

use rand::{Rng, RngExt};

/// A standard normal number, by Box and Muller 1958, with functions of `libm` alone: the same bits on every machine.
pub fn standard_normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * libm::log(1.0 - rng.random::<f64>())).sqrt();
    radius * libm::cos(2.0 * std::f64::consts::PI * rng.random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn moments_are_those_of_the_normal_distribution() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let numbers: Vec<f64> = (0..100_000).map(|_| standard_normal(&mut rng)).collect();
        let moment = |power| numbers.iter().map(|number: &f64| number.powi(power)).sum::<f64>() / 1e5;
        let moments = [1, 2, 3, 4].map(moment);
        for (found, expected) in moments.into_iter().zip([0.0, 1.0, 0.0, 3.0]) {
            assert!((found - expected).abs() < 0.06, "{moments:?}");
        }
    }
}
