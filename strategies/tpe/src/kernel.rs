//! The kernels of one column: a normal distribution cut off at the ends of [0, 1], and what it puts into cells.

use ansatz_core::rng::Rng;
use rand::RngExt;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// ln(2 π) / 2: a normal density of deviation 1 has its negative at its peak, as a logarithm.
pub(crate) const LOG_SQRT_2_PI: f64 = 0.918_938_533_204_672_7;
/// Beyond so many deviations nothing of a normal distribution is left: 4e-18 of it.
const REACH: f64 = 8.6;
/// Draws before a place is taken to lie at the end. At least a third of all draws fall into [0, 1].
const DRAW_COUNT_MAX: usize = 200;
/// What a cell holds at least, so that its logarithm is finite.
const MASS_MIN: f64 = 1e-300;

/// Φ(z).
fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

/// A standard normal number (Box and Muller 1958).
fn standard_normal(rng: &mut Rng) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - rng.random::<f64>()));
    radius * libm::cos(2.0 * PI * rng.random::<f64>())
}

/// A normal distribution cut off outside of [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Kernel {
    /// Where it is highest, in [0, 1].
    pub(crate) centre: f64,
    /// Deviation of the distribution before it is cut, above 0 and at most about 1.
    pub(crate) width: f64,
}

impl Kernel {
    /// What of the uncut distribution lies in [0, 1].
    pub(crate) fn mass(self) -> f64 {
        let (below, above) = (self.centre / self.width, (1.0 - self.centre) / self.width);
        let outside = |z: f64| if z > REACH { 0.0 } else { normal_cdf(-z) };
        1.0 - outside(below) - outside(above)
    }

    /// Logarithms of what it puts into each of the cells between `edges`, which fill [0, 1].
    pub(crate) fn log_masses(self, edges: &[f64]) -> impl Iterator<Item = f64> {
        let mass = self.mass();
        // The smaller of the two tails at each end, lest a difference of numbers near 1 cancel.
        let tails = move |edge: f64| {
            let z = (edge - self.centre) / self.width;
            let tail = if z.abs() > REACH { 0.0 } else { normal_cdf(-z.abs()) };
            (z, tail)
        };
        edges.windows(2).map(move |pair| {
            let ((low, below), (high, above)) = (tails(pair[0]), tails(pair[1]));
            let inside = match (low < 0.0, high < 0.0) {
                (true, true) => above - below,
                (false, false) => below - above,
                _ => 1.0 - below - above,
            };
            libm::log((inside / mass).max(MASS_MIN))
        })
    }

    /// A place drawn from it.
    pub(crate) fn draw(self, rng: &mut Rng) -> f64 {
        for _ in 0..DRAW_COUNT_MAX {
            let place = self.centre + self.width * standard_normal(rng);
            if (0.0..=1.0).contains(&place) {
                return place;
            }
        }
        self.centre
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTHS: [f64; 5] = [0.003, 0.03, 0.2, 0.7, 1.0];
    const CENTRES: [f64; 5] = [0.0, 0.01, 0.4, 0.99, 1.0];

    fn kernels() -> impl Iterator<Item = Kernel> {
        WIDTHS.into_iter().flat_map(|width| CENTRES.map(|centre| Kernel { centre, width }))
    }

    fn density(kernel: Kernel, x: f64) -> f64 {
        let z = (x - kernel.centre) / kernel.width;
        (-0.5 * z * z - LOG_SQRT_2_PI).exp() / (kernel.width * kernel.mass())
    }

    /// Simpson's rule with so many pairs of intervals.
    fn integral(kernel: Kernel, lower: f64, upper: f64, pair_count: usize) -> f64 {
        let step = (upper - lower) / (2 * pair_count) as f64;
        let at = |i: usize| density(kernel, lower + i as f64 * step);
        let inner: f64 = (1..2 * pair_count).map(|i| at(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
        (at(0) + inner + at(2 * pair_count)) * step / 3.0
    }

    #[test]
    fn densities_integrate_to_one() {
        for kernel in kernels() {
            let total = integral(kernel, 0.0, 1.0, 20_000);
            assert!((total - 1.0).abs() < 1e-10, "{kernel:?}: {total}");
        }
    }

    #[test]
    fn cells_hold_the_integral_of_the_density() {
        let edges = [0.0, 0.1, 0.15, 0.5, 0.9, 1.0];
        for kernel in kernels() {
            let masses: Vec<f64> = kernel.log_masses(&edges).map(f64::exp).collect();
            assert!((masses.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{kernel:?}: {masses:?}");
            for (mass, pair) in masses.iter().zip(edges.windows(2)) {
                let expected = integral(kernel, pair[0], pair[1], 10_000);
                assert!((mass - expected).abs() < 1e-10, "{kernel:?}, {pair:?}: {mass} {expected}");
            }
        }
    }

    /// Far from a kernel its cells still have the right proportions, though next to nothing lies there.
    #[test]
    fn far_cells_do_not_cancel() {
        let kernel = Kernel { centre: 0.1, width: 0.1 };
        let masses: Vec<f64> = kernel.log_masses(&[0.0, 0.85, 0.86, 0.87, 1.0]).collect();
        let expected = 0.01 * density(kernel, 0.865);
        assert!((masses[2].exp() / expected - 1.0).abs() < 0.03, "{masses:?} {expected}");
    }

    /// Chi-square with 19 degrees of freedom: 99.99 % are below 50.8.
    #[test]
    fn draws_have_the_density() {
        let edges: Vec<f64> = (0..=20).map(|i| f64::from(i) / 20.0).collect();
        let mut rng = Rng::new(1);
        for kernel in kernels().filter(|kernel| kernel.width > 0.1) {
            let mut counts = [0.0; 20];
            for _ in 0..20_000 {
                let place = kernel.draw(&mut rng);
                counts[((place * 20.0) as usize).min(19)] += 1.0;
            }
            let masses = kernel.log_masses(&edges).map(|log| 20_000.0 * log.exp());
            // Cells in which less than five draws are expected are left out.
            let chi_square: f64 = counts
                .iter()
                .zip(masses)
                .filter(|(_, mass)| *mass > 5.0)
                .map(|(count, mass)| (count - mass) * (count - mass) / mass)
                .sum();
            assert!(chi_square < 50.8, "{kernel:?}: {chi_square}");
        }
    }
}
