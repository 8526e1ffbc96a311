//! A quadratic model of losses around the middle of a region.
//!
//! Of all quadratics `q(z) = c + gᵀz + ½ zᵀHz` it is the one with the least `|H|² + Σ (q(z_i) - y_i)² / λ`, where `|H|` is the
//! Frobenius norm: with few points the flattest one that explains them (Powell 2004, "Least Frobenius norm updating of
//! quadratic models that satisfy interpolation conditions"), with many a regression. In its dual form, with
//! `K_ij = ½ (z_iᵀz_j)² + λ δ_ij` and `P = [1, Z]`: `K a + P b = y`, `Pᵀa = 0`, `H = Σ a_i z_i z_iᵀ`, `(c, g) = b`. How far losses
//! are to be trusted, `λ`, is chosen by leaving one out: the error at point `i` is `a_i / Q_ii`,
//! `Q = K⁻¹ - K⁻¹P (PᵀK⁻¹P)⁻¹ PᵀK⁻¹` (Wahba 1990, section 4.2).

use ansatz_surrogate::linear_algebra::{Cholesky, LowerTriangle, dot};
use ansatz_surrogate::{OptimiseOptions, minimise};

/// From losses without noise to losses that are nothing but noise, for losses with deviation 1.
const NOISES: [f64; 5] = [1e-10, 1e-7, 1e-4, 1e-2, 1.0];
/// Added to `PᵀK⁻¹P`, in units of its largest diagonal entry: few points say nothing of some directions.
const RIDGE: f64 = 1e-10;

/// `q(z) = constant + gradientᵀz + ½ zᵀ hessian z`.
#[derive(Clone, Debug)]
pub(crate) struct Quadratic {
    constant: f64,
    gradient: Vec<f64>,
    /// Row by row, symmetric.
    hessian: Vec<Vec<f64>>,
}

impl Quadratic {
    /// From points (shape `(n, d)`, in units of the region, `n` at least 2) and their losses. `None` where the numbers do
    /// not allow it.
    pub(crate) fn fit(points: &[Vec<f64>], losses: &[f64]) -> Option<Self> {
        let count = losses.len() as f64;
        let mean = losses.iter().sum::<f64>() / count;
        let variance = losses.iter().map(|loss| (loss - mean) * (loss - mean)).sum::<f64>() / count;
        let scale = variance.sqrt();
        if !(scale.is_finite() && scale > 0.0) {
            return None;
        }
        let targets: Vec<f64> = losses.iter().map(|loss| (loss - mean) / scale).collect();
        let best = NOISES
            .iter()
            .filter_map(|noise| Dual::solve(points, &targets, *noise))
            .min_by(|a, b| a.error.total_cmp(&b.error))?;
        let dimension = points[0].len();
        let mut hessian = vec![vec![0.0; dimension]; dimension];
        for (weight, point) in best.weights.iter().zip(points) {
            for (row, own) in hessian.iter_mut().zip(point) {
                for (entry, other) in row.iter_mut().zip(point) {
                    *entry += scale * weight * own * other;
                }
            }
        }
        let linear: Vec<f64> = best.linear.iter().map(|entry| scale * entry).collect();
        Some(Self { constant: mean + linear[0], gradient: linear[1..].to_vec(), hessian })
    }

    /// The value at a point.
    pub(crate) fn value(&self, z: &[f64]) -> f64 {
        let curved: f64 = self.hessian.iter().zip(z).map(|(row, own)| own * dot(row, z)).sum();
        self.constant + dot(&self.gradient, z) + 0.5 * curved
    }

    /// The lowest point in a box that is found from several starts.
    pub(crate) fn lowest(&self, starts: &[Vec<f64>], lower: &[f64], upper: &[f64]) -> Option<Vec<f64>> {
        let options = OptimiseOptions {
            iteration_count_max: 100,
            gradient_tolerance: 0.0,
            value_tolerance: 1e-14,
            first_step_max: 1.0,
        };
        let unit = self.gradient.iter().map(|entry| entry.abs()).fold(f64::MIN_POSITIVE, f64::max);
        let mut objective = |z: &[f64], gradient: &mut [f64]| {
            for ((entry, row), slope) in gradient.iter_mut().zip(&self.hessian).zip(&self.gradient) {
                *entry = (slope + dot(row, z)) / unit;
            }
            (self.value(z) - self.constant) / unit
        };
        let found = starts.iter().map(|start| minimise(&mut objective, start, lower, upper, &options));
        found
            .filter(|found| found.value.is_finite())
            .min_by(|a, b| a.value.total_cmp(&b.value))
            .map(|found| found.point)
    }
}

/// The dual form for one noise.
struct Dual {
    weights: Vec<f64>,
    /// Constant and gradient.
    linear: Vec<f64>,
    /// Mean square of the errors that are made at points left out.
    error: f64,
}

impl Dual {
    fn solve(points: &[Vec<f64>], targets: &[f64], noise: f64) -> Option<Self> {
        let count = points.len();
        let mut matrix = LowerTriangle::identity(count);
        for row in 0..count {
            for column in 0..=row {
                let product = dot(&points[row], &points[column]);
                let own = if row == column {
                    noise
                        * (1.0 + (0.25 / points[row].len() as f64 * dot(&points[row], &points[row])).powi(3))
                } else {
                    0.0
                };
                matrix.set(row, column, 0.5 * product * product + own);
            }
        }
        let factor = Cholesky::of(matrix)?;
        let basis: Vec<Vec<f64>> = std::iter::once(vec![1.0; count])
            .chain((0..points[0].len()).map(|column| points.iter().map(|point| point[column]).collect()))
            .collect();
        let units =
            (0..count).map(|row| (0..count).map(|column| f64::from(u8::from(row == column))).collect());
        let right: Vec<Vec<f64>> =
            std::iter::once(targets.to_vec()).chain(basis.iter().cloned()).chain(units).collect();
        let mut solved = solve(&factor, &right);
        let inverse = solved.split_off(1 + basis.len());
        let (target, solved_basis) = solved.split_first()?;
        let size = basis.len();
        let mut gram = LowerTriangle::identity(size);
        let largest = (0..size).map(|i| dot(&basis[i], &solved_basis[i])).fold(0.0, f64::max);
        for (row, left) in basis.iter().enumerate() {
            for (column, right) in solved_basis.iter().enumerate().take(row + 1) {
                let own = if row == column { RIDGE * largest } else { 0.0 };
                gram.set(row, column, dot(left, right) + own);
            }
        }
        let gram = Cholesky::of(gram)?;
        let moments: Vec<f64> = basis.iter().map(|row| dot(row, target)).collect();
        let linear = solve(&gram, &[moments]).pop()?;
        let mut weights = target.clone();
        for (coefficient, row) in linear.iter().zip(solved_basis) {
            weights.iter_mut().zip(row).for_each(|(weight, entry)| *weight -= coefficient * entry);
        }
        // the diagonal of Q
        let columns: Vec<Vec<f64>> =
            (0..count).map(|point| solved_basis.iter().map(|row| row[point]).collect()).collect();
        let explained = solve(&gram, &columns);
        let mut error = 0.0;
        for point in 0..count {
            let kept = inverse[point][point] - dot(&columns[point], &explained[point]);
            // a point that the model follows wherever it goes says nothing of how good the model is
            let miss = if kept > 1e-12 * inverse[point][point] { weights[point] / kept } else { 1.0 };
            error += miss.clamp(-1e6, 1e6) * miss.clamp(-1e6, 1e6) / count as f64;
        }
        error.is_finite().then_some(Self { weights, linear, error })
    }
}

/// `A⁻¹ b` for several right-hand sides.
fn solve(factor: &Cholesky, right: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let size = factor.lower().size();
    let length = size.div_ceil(8) * 8;
    let mut groups = vec![[0.0; 8]; right.len().div_ceil(8) * length];
    for (index, values) in right.iter().enumerate() {
        for (row, value) in values.iter().enumerate() {
            groups[index / 8 * length + row][index % 8] = *value;
        }
    }
    factor.solve(&mut groups);
    factor.solve_transposed(&mut groups);
    (0..right.len())
        .map(|index| (0..size).map(|row| groups[index / 8 * length + row][index % 8]).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::rng::Rng;
    use rand::RngExt;

    fn points(count: usize, dimension: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
        (0..count).map(|_| (0..dimension).map(|_| rng.random_range(-1.0..1.0)).collect()).collect()
    }

    /// Any quadratic, from hardly more points than it has coefficients, to a thousandth of the deviation of its values.
    #[test]
    fn a_quadratic_is_found_from_enough_points() {
        let mut rng = Rng::new(1);
        for dimension in 1..7 {
            let (half, slope) =
                (points(dimension, dimension, &mut rng), points(1, dimension, &mut rng).remove(0));
            let truth = |z: &[f64]| {
                let curved: f64 = half.iter().zip(z).map(|(row, own)| own * dot(row, z)).sum();
                1e3 * (7.0 + dot(&slope, z) + curved)
            };
            let count = (dimension + 1) * (dimension + 2) / 2 + 3;
            let known = points(count, dimension, &mut rng);
            let losses: Vec<f64> = known.iter().map(|z| truth(z)).collect();
            let model = Quadratic::fit(&known, &losses).unwrap();
            let mean = losses.iter().sum::<f64>() / count as f64;
            let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / count as f64;
            for z in points(20, dimension, &mut rng) {
                assert!(
                    (model.value(&z) - truth(&z)).abs() < 1e-3 * variance.sqrt(),
                    "{dimension}: {} {}",
                    model.value(&z),
                    truth(&z)
                );
            }
        }
    }

    /// Two points in five dimensions: what they say is kept, and nothing is made up across them.
    #[test]
    fn few_points_give_the_flattest_model() {
        let known = vec![vec![0.0; 5], vec![1.0, 0.0, 0.0, 0.0, 0.0]];
        let model = Quadratic::fit(&known, &[2.0, 1.0]).unwrap();
        assert!((model.value(&known[0]) - 2.0).abs() < 1e-3 && (model.value(&known[1]) - 1.0).abs() < 1e-3);
        assert!((model.value(&[0.0, 1.0, 1.0, 1.0, 1.0]) - 2.0).abs() < 1e-3);
    }

    #[test]
    fn noise_is_not_followed() {
        let mut rng = Rng::new(4);
        let known = points(60, 3, &mut rng);
        let truth = |z: &[f64]| dot(z, z);
        let losses: Vec<f64> = known.iter().map(|z| truth(z) + rng.random_range(-0.3..0.3)).collect();
        let model = Quadratic::fit(&known, &losses).unwrap();
        let errors =
            points(50, 3, &mut rng).iter().map(|z| (model.value(z) - truth(z)).powi(2)).sum::<f64>() / 50.0;
        assert!(errors < 0.02, "{errors}");
    }

    #[test]
    fn the_lowest_point_is_found_in_a_valley_at_a_bound_and_on_a_saddle() {
        let of = |gradient: [f64; 2], hessian: [[f64; 2]; 2]| Quadratic {
            constant: 0.0,
            gradient: gradient.to_vec(),
            hessian: hessian.iter().map(|row| row.to_vec()).collect(),
        };
        let (lower, upper) = (vec![-1.0; 2], vec![1.0; 2]);
        let starts = [vec![0.0; 2], vec![0.5, -0.5]];
        let valley = of([0.05, -0.1], [[2.0, 1.9], [1.9, 2.0]]).lowest(&starts, &lower, &upper).unwrap();
        // H z = -g
        assert!(
            (2.0 * valley[0] + 1.9 * valley[1] + 0.05).abs() < 1e-5
                && (1.9 * valley[0] + 2.0 * valley[1] - 0.1).abs() < 1e-5
        );
        let slope = of([1.0, -2.0], [[0.0; 2]; 2]).lowest(&starts, &lower, &upper).unwrap();
        assert_eq!(slope, [-1.0, 1.0]);
        let saddle = of([0.0, 0.0], [[1.0, 0.0], [0.0, -1.0]]).lowest(&starts, &lower, &upper).unwrap();
        assert!(saddle[0].abs() < 1e-5 && saddle[1] == -1.0, "{saddle:?}");
    }

    #[test]
    fn losses_that_say_nothing_give_no_model() {
        let known = vec![vec![0.0], vec![1.0], vec![0.5]];
        assert!(Quadratic::fit(&known, &[3.0; 3]).is_none());
        assert!(Quadratic::fit(&known, &[1e300, -1e300, 0.0]).is_none());
        // the same point twice is no reason to fail
        assert!(Quadratic::fit(&[vec![0.5], vec![0.5], vec![0.0]], &[1.0, 1.1, 2.0]).is_some());
    }
}
