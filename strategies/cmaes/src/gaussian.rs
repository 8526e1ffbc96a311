//! The normal distribution that is adapted: N(m, sigma² C) with its evolution paths, by the equations of the tutorial.
//!
//! Source: Hansen 2023, "The CMA Evolution Strategy: A Tutorial" (arXiv 1604.00772v2), equations 38 to 47; steps from
//! elsewhere are shortened as in Hansen 2011, "Injecting External Solutions Into CMA-ES" (arXiv 1110.4181). It knows nothing
//! of the space: where the margins of whole numbers come in is `margin`, what is ranked is `generation`.

use crate::rates::Rates;
use crate::symmetric_eigen;
use serde::{Deserialize, Serialize};

/// No step size is above this, in units of the cube; far beyond it nothing but reflections would be seen.
const STEP_MAX: f64 = 1e3;
/// Eigenvalues below this are taken for it, and a step size that would make them smaller still is kept up: nothing
/// underflows.
const VARIANCE_MIN: f64 = 1e-40;

/// The distribution. Shapes are (n,) and (n, n), row by row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gaussian {
    /// m.
    pub(crate) mean: Vec<f64>,
    /// sigma.
    pub(crate) step: f64,
    /// C, symmetric.
    covariance: Vec<f64>,
    /// p_sigma.
    step_path: Vec<f64>,
    /// p_c.
    covariance_path: Vec<f64>,
    /// Eigenvectors of C when it was last decomposed, one in each row, and the roots of its eigenvalues.
    axes: Vec<f64>,
    lengths: Vec<f64>,
    /// Updates so far, and at the last decomposition.
    pub(crate) generation: u64,
    decomposed_at: u64,
}

/// One ranked step y = (x - m) / sigma, for an update.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// y, shape (n,).
    pub(crate) direction: Vec<f64>,
    /// Whether the mean follows it in each coordinate, shape (n,).
    pub(crate) is_felt: Vec<bool>,
    /// w: as of its rank, or 0.
    pub(crate) weight: f64,
}

impl Gaussian {
    /// N(mean, step² I).
    pub(crate) fn round(mean: Vec<f64>, step: f64) -> Self {
        let n = mean.len();
        let unit: Vec<f64> = (0..n * n).map(|at| f64::from(u8::from(at % (n + 1) == 0))).collect();
        Self {
            mean,
            step,
            covariance: unit.clone(),
            step_path: vec![0.0; n],
            covariance_path: vec![0.0; n],
            axes: unit,
            lengths: vec![1.0; n],
            generation: 0,
            decomposed_at: 0,
        }
    }

    /// N(mean, covariance), as sigma² C with a C of determinant 1. `None` if it is not positive.
    pub(crate) fn of_covariance(mean: Vec<f64>, mut covariance: Vec<f64>) -> Option<Self> {
        let n = mean.len();
        let eigen = symmetric_eigen::decompose(&covariance, n)?;
        if eigen.values.iter().any(|value| *value <= 0.0) {
            return None;
        }
        let log_mean = eigen.values.iter().map(|value| libm::log(*value)).sum::<f64>() / n.max(1) as f64;
        let scale = libm::exp(log_mean);
        covariance.iter_mut().for_each(|entry| *entry /= scale);
        let lengths = eigen.values.iter().map(|value| (value / scale).sqrt()).collect();
        Some(Self { covariance, axes: eigen.vectors, lengths, ..Self::round(mean, scale.sqrt()) })
    }

    /// n.
    pub(crate) fn dimension_count(&self) -> usize {
        self.mean.len()
    }

    /// The step y = B D z of a direction z, both of shape (n,): from N(0, C) if z is from N(0, I).
    pub(crate) fn along(&self, white: &[f64]) -> Vec<f64> {
        let n = self.dimension_count();
        let mut step = vec![0.0; n];
        for ((axis, length), z) in self.axes.chunks_exact(n.max(1)).zip(&self.lengths).zip(white) {
            for (sum, part) in step.iter_mut().zip(axis) {
                *sum += length * z * part;
            }
        }
        step
    }

    /// sigma times the root of C's diagonal, shape (n,).
    pub(crate) fn deviations(&self) -> Vec<f64> {
        (0..self.dimension_count()).map(|j| self.step * self.variance(j).sqrt()).collect()
    }

    fn variance(&self, j: usize) -> f64 {
        self.covariance[j * (self.dimension_count() + 1)].max(VARIANCE_MIN)
    }

    /// D^-1 Bᵀ y, shape (n,): its length is the Mahalanobis length of y.
    fn whitened(&self, direction: &[f64]) -> Vec<f64> {
        let axes = self.axes.chunks_exact(self.dimension_count().max(1));
        axes.zip(&self.lengths)
            .map(|(axis, length)| axis.iter().zip(direction).map(|(a, b)| a * b).sum::<f64>() / length)
            .collect()
    }

    /// A step that was not drawn from this distribution, no longer than drawn ones are in all likelihood: c_y = sqrt(n) +
    /// 2n / (n + 2) in Mahalanobis length (Hansen 2011, equation 4 and table 1).
    pub(crate) fn shortened(&self, mut direction: Vec<f64>) -> Vec<f64> {
        let n = self.dimension_count() as f64;
        let length_max = n.sqrt() + 2.0 * n / (n + 2.0);
        let length = norm(&self.whitened(&direction));
        if length > length_max {
            direction.iter_mut().for_each(|part| *part *= length_max / length);
        }
        direction
    }

    /// One generation: steps from best to worst, one for each weight. `None` if the covariance is no longer one, which
    /// only numbers beyond all measure bring about.
    pub(crate) fn update(&mut self, rates: &Rates, steps: &[Step]) -> Option<()> {
        let n = self.dimension_count();
        if n == 0 {
            self.generation += 1;
            return Some(());
        }
        // equations 41 and 42: the sum of the good steps moves the mean, where it is felt
        let mut together = vec![0.0; n];
        for step in steps.iter().filter(|step| step.weight > 0.0) {
            let parts = step.direction.iter().zip(&step.is_felt);
            for ((sum, mean), (part, is_felt)) in together.iter_mut().zip(&mut self.mean).zip(parts) {
                *sum += step.weight * part;
                if *is_felt {
                    *mean += self.step * step.weight * part;
                }
            }
        }
        // 43 and 44: the step size
        let (c_sigma, mu_eff) = (rates.step_path, rates.parents_effective);
        let gain = (c_sigma * (2.0 - c_sigma) * mu_eff).sqrt();
        let white = self.whitened(&together);
        self.step_path.iter_mut().for_each(|part| *part *= 1.0 - c_sigma);
        for (axis, z) in self.axes.chunks_exact(n).zip(&white) {
            for (sum, part) in self.step_path.iter_mut().zip(axis) {
                *sum += gain * z * part;
            }
        }
        let length = norm(&self.step_path);
        let change = c_sigma / rates.step_damping * (length / rates.normal_length - 1.0);
        let faded = libm::exp(2.0 * (self.generation as f64 + 1.0) * libm::log(1.0 - c_sigma));
        let is_short = length / (1.0 - faded).sqrt() < (1.4 + 2.0 / (n as f64 + 1.0)) * rates.normal_length;
        self.step = (self.step * libm::exp(change.min(1.0))).min(STEP_MAX);
        // 45 to 47: the covariance
        let c_c = rates.covariance_path;
        let gain = if is_short { (c_c * (2.0 - c_c) * mu_eff).sqrt() } else { 0.0 };
        for (path, part) in self.covariance_path.iter_mut().zip(&together) {
            *path = (1.0 - c_c) * *path + gain * part;
        }
        let missing = if is_short { 0.0 } else { c_c * (2.0 - c_c) };
        let mut total = 0.0;
        let mut weighted = Vec::with_capacity(steps.len());
        for step in steps {
            total += step.weight;
            weighted.push(if step.weight < 0.0 {
                let white = self.whitened(&step.direction);
                let square: f64 = white.iter().map(|z| z * z).sum();
                rates.rank_many * step.weight * n as f64 / (square + 1e-8)
            } else {
                rates.rank_many * step.weight
            });
        }
        let kept = 1.0 + rates.rank_one * missing - rates.rank_one - rates.rank_many * total;
        for i in 0..n {
            // the lower triangle, and the upper as its image
            for j in 0..=i {
                let mut entry = kept * self.covariance[i * n + j]
                    + rates.rank_one * self.covariance_path[i] * self.covariance_path[j];
                for (step, weight) in steps.iter().zip(&weighted) {
                    entry += weight * step.direction[i] * step.direction[j];
                }
                self.covariance[i * n + j] = entry;
                self.covariance[j * n + i] = entry;
            }
        }
        self.generation += 1;
        if self.generation - self.decomposed_at >= rates.decomposition_interval {
            self.decompose()?;
        }
        let is_finite = self.step.is_finite() && self.mean.iter().all(|part| part.is_finite());
        is_finite.then_some(())
    }

    /// Axes and lengths of the covariance as it is now.
    fn decompose(&mut self) -> Option<()> {
        let eigen = symmetric_eigen::decompose(&self.covariance, self.dimension_count())?;
        self.lengths = eigen.values.iter().map(|value| value.max(VARIANCE_MIN).sqrt()).collect();
        self.axes = eigen.vectors;
        self.decomposed_at = self.generation;
        let least = self.lengths.iter().fold(f64::INFINITY, |least, length| length.min(least));
        self.step = self.step.max(VARIANCE_MIN.sqrt() / least).min(STEP_MAX);
        Some(())
    }

    /// Coordinates whose deviation is above `limit` get that deviation; correlations stay as they are.
    pub(crate) fn limit_deviations(&mut self, limit: f64) -> Option<()> {
        let n = self.dimension_count();
        let factors: Vec<f64> = self.deviations().iter().map(|found| (limit / found).min(1.0)).collect();
        if factors.iter().all(|factor| *factor == 1.0) {
            return Some(());
        }
        for i in 0..n {
            for j in 0..n {
                self.covariance[i * n + j] *= factors[i] * factors[j];
            }
            self.covariance_path[i] *= factors[i];
        }
        self.decompose()
    }

    /// The image in the mirror at a bound of coordinate `j`, whose mean becomes `mean`: for a function that is folded
    /// there, the same distribution.
    pub(crate) fn mirror(&mut self, j: usize, mean: f64) {
        let n = self.dimension_count();
        self.mean[j] = mean;
        for i in (0..n).filter(|i| *i != j) {
            self.covariance[i * n + j] = -self.covariance[i * n + j];
            self.covariance[j * n + i] = -self.covariance[j * n + i];
        }
        self.covariance_path[j] = -self.covariance_path[j];
        self.step_path[j] = -self.step_path[j];
        for axis in self.axes.chunks_exact_mut(n) {
            axis[j] = -axis[j];
        }
    }

    /// Largest and smallest root of an eigenvalue of C.
    pub(crate) fn extreme_lengths(&self) -> (f64, f64) {
        let fold = |start, choose: fn(f64, f64) -> f64| self.lengths.iter().copied().fold(start, choose);
        (fold(0.0, f64::max), fold(f64::INFINITY, f64::min))
    }

    /// sigma times |p_c|, shape (n,).
    pub(crate) fn path_deviations(&self) -> impl Iterator<Item = f64> + '_ {
        self.covariance_path.iter().map(|part| self.step * part.abs())
    }

    /// Axis k and its length.
    pub(crate) fn axis(&self, k: usize) -> (&[f64], f64) {
        let n = self.dimension_count();
        (&self.axes[k * n..(k + 1) * n], self.lengths[k])
    }

    /// Whether a state that was read is one of `n` coordinates.
    pub(crate) fn is_sound(&self, n: usize) -> bool {
        let vectors = [&self.mean, &self.step_path, &self.covariance_path, &self.lengths];
        let matrices = [&self.covariance, &self.axes];
        vectors.iter().all(|vector| vector.len() == n)
            && matrices.iter().all(|matrix| matrix.len() == n * n)
            && vectors.iter().chain(&matrices).all(|numbers| numbers.iter().all(|number| number.is_finite()))
            && self.lengths.iter().all(|length| *length > 0.0)
            && self.step.is_finite()
            && self.step > 0.0
            && self.decomposed_at <= self.generation
            && self.generation < u64::MAX / 2
    }
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|part| part * part).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests;
