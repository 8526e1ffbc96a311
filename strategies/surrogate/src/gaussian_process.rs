//! Gaussian process regression: maximum a posteriori fit, posterior with gradient, appended observations.
//!
//! Model: `y ~ N(c, K + (v + jitter) I + diag(u))` with the covariance of [`crate::kernel`], a constant mean `c` by
//! generalised least squares, noise variance `v`, and what is known beforehand of the noise of each observation, `u`.
//! Targets are expected to be standardised (see [`crate::warp`]); the priors assume it. Approximations for thousands of
//! rows and sampling of hyperparameters are left out.
//!
//! Hyperparameters live in logarithms, and so do the densities of their priors (no Jacobian):
//!
//! | parameter | box | prior of the logarithm |
//! |---|---|---|
//! | length scale, continuous column | [0.01, 200] | N(ln(0.3 √d), 1), d = number of length scales |
//! | length scale, categorical column | [0.01, 200] | N(0, 0.7): distances are 0 or 1 whatever d is |
//! | amplitude | [0.02, 1000] | N(0, 1) |
//! | noise variance | [1e-8, 1] by default | N(-9, 3) |
//!
//! The scaling with √d follows Hvarfner et al. 2024.

use serde::{Deserialize, Serialize};

use crate::error::{SurrogateError, expect_finite, expect_length};
use crate::kernel::{Column, Design, Kernel, Scaled, length_scale_count};
use crate::linear_algebra::{Cholesky, InverseFactor, add_scaled, dot, panel_count};
use crate::optimise::{OptimiseOptions, minimise};
use crate::vectorised::{EIGHT, Eight, Lanes, sum_of_lanes, vectorised};

/// Groups of eight rows predicted together: they share each look at the factor, and fit into the cache beside it.
const GROUP_COUNT: usize = 4;

/// Added to the diagonal besides the noise.
const JITTER: f64 = 1e-10;

/// Where the covariance has no factor, ten times as much is added again and again, but less than this.
const JITTER_MAX: f64 = 5e-4;

/// The posterior variance is at least this times the amplitude.
const RELATIVE_VARIANCE_MIN: f64 = 1e-12;

const LENGTH_SCALE_RANGE: (f64, f64) = (0.01, 200.0);
const AMPLITUDE_RANGE: (f64, f64) = (0.02, 1000.0);

/// What the fit finds. All natural logarithms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hyperparameters {
    /// One per column that takes one, in the order of the columns; in units of the column.
    pub log_length_scales: Vec<f64>,
    /// Prior variance, in squared target units.
    pub log_amplitude: f64,
    /// Noise variance, in squared target units.
    pub log_noise: f64,
}

impl Hyperparameters {
    /// Where a fit without history starts: lengths `0.3 √d` within [0.3, 2], 1 for categorical columns, amplitude 1,
    /// noise 1e-4.
    pub fn initial(columns: &[Column]) -> Self {
        let length = libm::log((0.3 * (length_scale_count(columns) as f64).sqrt()).clamp(0.3, 2.0));
        let log_length_scales = columns
            .iter()
            .filter(|column| column.has_length_scale())
            .map(|column| if *column == Column::Categorical { 0.0 } else { length })
            .collect();
        Self { log_length_scales, log_amplitude: 0.0, log_noise: libm::log(1e-4) }
    }

    /// Length scales, then amplitude, then noise.
    fn to_vector(&self) -> Vec<f64> {
        let mut vector = self.log_length_scales.clone();
        vector.extend([self.log_amplitude, self.log_noise]);
        vector
    }

    fn from_vector(vector: &[f64]) -> Self {
        let (scales, rest) = vector.split_at(vector.len() - 2);
        Self { log_length_scales: scales.to_vec(), log_amplitude: rest[0], log_noise: rest[1] }
    }
}

/// What was observed at the rows of a design.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// Shape (row_count,), standardised.
    pub values: Vec<f64>,
    /// Noise variance that is known of each, besides the one that is fitted for all, in squared target units: shape
    /// (row_count,), at least 0; empty where nothing is known.
    pub variances: Vec<f64>,
}

impl From<Vec<f64>> for Targets {
    fn from(values: Vec<f64>) -> Self {
        Self { values, variances: Vec::new() }
    }
}

impl Targets {
    /// The known variance of a row.
    fn variance(&self, row: usize) -> f64 {
        self.variances.get(row).copied().unwrap_or(0.0)
    }

    fn check(&self, row_count: usize) -> Result<(), SurrogateError> {
        if row_count == 0 {
            return Err(SurrogateError::Empty);
        }
        expect_length("targets", self.values.len(), row_count)?;
        expect_finite("targets", &self.values)?;
        if !self.variances.is_empty() {
            expect_length("variances", self.variances.len(), row_count)?;
            expect_finite("variances", &self.variances)?;
        }
        Ok(())
    }

    /// Leading rows, of the first `count`, whose variances are the same bits.
    fn common_variance_count(&self, other: &Self, count: usize) -> usize {
        let same = |row: &usize| self.variance(*row).to_bits() == other.variance(*row).to_bits();
        (0..count).take_while(same).count()
    }
}

/// Where a fit may begin. Which of several maxima of the posterior density a fit comes to depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// [`Hyperparameters::initial`].
    Usual,
    /// The same with a noise variance of 0.7: what differs between near points may be noise, and not a function that changes
    /// quickly. Where that is the better explanation a fit from little noise may not find it for many observations: each new
    /// one is passed through by shorter length scales.
    Noisy,
}

impl Start {
    fn hyperparameters(self, columns: &[Column]) -> Hyperparameters {
        let usual = Hyperparameters::initial(columns);
        match self {
            Self::Usual => usual,
            Self::Noisy => Hyperparameters { log_noise: libm::log(0.7), ..usual },
        }
    }
}

/// How a fit is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions<'a> {
    /// Lower bound of the noise variance, in squared target units.
    pub noise_min: f64,
    /// Upper bound of the noise variance; equal to the lower one it fixes the noise.
    pub noise_max: f64,
    /// Where it begins besides a warm start. Without one the usual start is always tried.
    pub starts: &'a [Start],
    /// Iterations per start.
    pub iteration_count_max: usize,
}

impl Default for FitOptions<'_> {
    fn default() -> Self {
        Self { noise_min: 1e-8, noise_max: 1.0, starts: &[Start::Usual], iteration_count_max: 60 }
    }
}

/// Normal distribution of the latent function (without noise) at a point, in target units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Posterior {
    /// Mean.
    pub mean: f64,
    /// Variance, above 0.
    pub variance: f64,
}

impl Posterior {
    /// Square root of the variance.
    pub fn deviation(self) -> f64 {
        self.variance.sqrt()
    }
}

/// The function that a fit minimises, with memory for its intermediate results.
pub struct NegativeLogPosterior<'a> {
    design: &'a Design,
    targets: &'a Targets,
    scaled: Scaled,
    factor: Cholesky,
    inverse: InverseFactor,
    /// Derivatives of the covariances by the squared distances, in the panels of a triangle.
    slopes: Vec<Eight>,
}

impl<'a> NegativeLogPosterior<'a> {
    /// # Errors
    /// No rows, another number of targets, or a target that is not finite.
    pub fn new(design: &'a Design, targets: &'a Targets) -> Result<Self, SurrogateError> {
        targets.check(design.row_count())?;
        Ok(Self {
            design,
            targets,
            scaled: Scaled::default(),
            factor: Cholesky::default(),
            inverse: InverseFactor::default(),
            slopes: Vec::new(),
        })
    }

    /// Negative log marginal likelihood (without its constant) minus the log prior, and the gradient.
    ///
    /// `vector`, `gradient`: log length scales in the order of the columns, log amplitude, log noise. Infinite if the
    /// covariance is not positive definite; the gradient is then undefined.
    /// Source: Rasmussen and Williams 2006, eq. 5.8 and 5.9; the mean is profiled out, which leaves the gradient as it
    /// is (envelope theorem).
    pub fn evaluate(&mut self, vector: &[f64], gradient: &mut [f64]) -> f64 {
        evaluate_wide(self, vector, gradient)
    }

    #[inline(always)]
    fn evaluate_here<L: Lanes>(&mut self, lanes: L, vector: &[f64], gradient: &mut [f64]) -> f64 {
        let size = self.design.row_count();
        let scale_count = vector.len() - 2;
        let (log_amplitude, log_noise) = (vector[scale_count], vector[scale_count + 1]);
        let noise = libm::exp(log_noise) + JITTER;
        let kernel = Kernel::from_logarithms(self.design.columns(), &vector[..scale_count], log_amplitude);
        kernel.scale_design(self.design, 0, &mut self.scaled);
        let diagonal = Diagonal { noise, targets: self.targets };
        fill_covariances(lanes, &kernel, &self.scaled, size, diagonal, 0, &mut self.factor, &mut self.slopes);
        if !self.factor.factorise_here(lanes, 0, 0.0) {
            return f64::INFINITY;
        }
        self.inverse.invert_here(lanes, &self.factor);
        let mut residual = self.targets.values.clone();
        let mut ones = vec![1.0; size];
        self.factor.solve_two_lanes(lanes, [&mut residual, &mut ones]);
        let mean = dot(&residual, &ones) / dot(&ones, &ones);
        add_scaled(&mut residual, -mean, &ones);
        let fit = dot(&residual, &residual);
        let mut value = 0.5 * fit + 0.5 * self.factor.log_determinant();
        let alpha = self.inverse.multiply_transposed(lanes, &residual);

        let (trace, known_trace, sums) = self.gradient_sums(lanes, &kernel, &alpha);
        gradient.fill(0.0);
        let (order, _) = kernel.order();
        let mut parameter = 0;
        for (k, column) in self.design.columns().iter().enumerate() {
            if !column.has_length_scale() {
                continue;
            }
            let place = order.iter().position(|other| *other == k).unwrap_or(0);
            gradient[parameter] = -2.0 * sum_of_lanes(&sums[place]);
            let (centre, width) = length_scale_prior(*column, scale_count);
            value += add_normal_prior(vector[parameter], centre, width, &mut gradient[parameter]);
            parameter += 1;
        }
        gradient[scale_count] = 0.5 * (size as f64 - fit) - 0.5 * noise * trace - 0.5 * known_trace;
        gradient[scale_count + 1] = 0.5 * (noise - JITTER) * trace;
        value += add_normal_prior(log_amplitude, 0.0, 1.0, &mut gradient[scale_count]);
        value += add_normal_prior(log_noise, -9.0, 3.0, &mut gradient[scale_count + 1]);
        value
    }

    /// With `G = K⁻¹ - α αᵀ`: its trace, the same with each entry times its known variance, and for each column of the
    /// scaled rows the sum over all pairs of rows of `G_ij dk/ds w_k δ_k²`, in eight parts. The gradient by any parameter of `K` is `Σ_{i<j} G_ij dK_ij` plus half the
    /// diagonal.
    #[inline(always)]
    fn gradient_sums<L: Lanes>(&self, lanes: L, kernel: &Kernel, alpha: &[f64]) -> (f64, f64, Vec<Eight>) {
        let size = self.design.row_count();
        let count = panel_count(size);
        let mut alpha_panels = vec![[0.0; EIGHT]; count];
        for (panel, values) in alpha_panels.iter_mut().zip(alpha.chunks(EIGHT)) {
            panel[..values.len()].copy_from_slice(values);
        }
        let (order, continuous_count) = kernel.order();
        let mut sums = vec![[0.0; EIGHT]; order.len()];
        let (mut trace, mut known_trace) = (0.0, 0.0);
        let mut slopes = self.slopes.as_slice();
        for row in 0..count {
            let alpha_row = lanes.load(&alpha_panels[row]);
            let (row_sums, row_rest) = sums.split_at_mut(continuous_count);
            let (a, a_rest) = self.scaled.panel(row).split_at(continuous_count);
            for (column, alpha_column) in alpha_panels.iter().enumerate().take(row + 1) {
                let (b, b_rest) = self.scaled.panel(column).split_at(continuous_count);
                let (tile, others) = slopes.split_at(EIGHT);
                slopes = others;
                let mut weights = self.inverse.gram(lanes, row, column);
                for (weight, factor) in weights.iter_mut().zip(alpha_column) {
                    *weight = lanes.subtract_product(*weight, alpha_row, lanes.splat(*factor));
                }
                // A tile on the diagonal has each pair twice.
                let mut share = 1.0;
                if row == column {
                    share = 0.5;
                    for (c, weight) in weights.into_iter().enumerate() {
                        let mut entries = [0.0; EIGHT];
                        lanes.store(weight, &mut entries);
                        let place = EIGHT * row + c;
                        if place < size {
                            trace += entries[c];
                            known_trace += entries[c] * self.targets.variance(place);
                        }
                    }
                }
                let share = lanes.splat(share);
                for (weight, slope) in weights.iter_mut().zip(tile) {
                    *weight = lanes.multiply(lanes.multiply(*weight, share), lanes.load(slope));
                }
                for ((entries, others), total) in a.iter().zip(b).zip(row_sums.iter_mut()) {
                    let entries = lanes.load(entries);
                    let mut sum = lanes.load(total);
                    for (weight, other) in weights.iter().zip(others) {
                        let difference = lanes.subtract(entries, lanes.splat(*other));
                        sum = lanes.add_product(sum, *weight, lanes.multiply(difference, difference));
                    }
                    lanes.store(sum, total);
                }
                let rest = a_rest.iter().zip(b_rest).zip(row_rest.iter_mut());
                for (((entries, others), total), k) in rest.zip(&order[continuous_count..]) {
                    let entries = lanes.load(entries);
                    let unequal = lanes.splat(kernel.weights()[*k]);
                    let mut sum = lanes.load(total);
                    for (weight, other) in weights.iter().zip(others) {
                        let squared = lanes.unless_equal(entries, lanes.splat(*other), unequal);
                        sum = lanes.add_product(sum, *weight, squared);
                    }
                    lanes.store(sum, total);
                }
            }
        }
        (trace, known_trace, sums)
    }
}

/// What is on the diagonal of the covariances besides the amplitude.
#[derive(Clone, Copy)]
struct Diagonal<'a> {
    /// Of every row.
    noise: f64,
    /// With what is known of each row besides.
    targets: &'a Targets,
}

/// Writes the covariances of the rows from panel `panel_start` on, with noise on the diagonal, into the matrix of
/// `factor`, and their derivatives by the squared distances, in the same panels and from there on, into `slopes`.
#[expect(
    clippy::too_many_arguments,
    reason = "two callers, which have these as fields of different structures"
)]
#[inline(always)]
fn fill_covariances<L: Lanes>(
    lanes: L,
    kernel: &Kernel,
    scaled: &Scaled,
    size: usize,
    diagonal: Diagonal<'_>,
    panel_start: usize,
    factor: &mut Cholesky,
    slopes: &mut Vec<Eight>,
) {
    factor.lower_mut().resize(size);
    slopes.clear();
    for row in panel_start..panel_count(size) {
        let rows = scaled.panel(row);
        let panel = factor.lower_mut().panel_mut(row);
        let first = slopes.len();
        slopes.resize(first + panel.len(), [0.0; EIGHT]);
        let tiles = panel.as_chunks_mut::<4>().0.iter_mut().zip(slopes[first..].as_chunks_mut::<4>().0);
        for (index, (covariances, slopes)) in tiles.enumerate() {
            let distances = kernel.panel_distances(lanes, rows, scaled.panel(index / 2), index % 2);
            for ((covariance, slope), distance) in covariances.iter_mut().zip(slopes).zip(distances) {
                let (values, derivatives) = kernel.covariances(lanes, distance);
                lanes.store(values, covariance);
                lanes.store(derivatives, slope);
            }
        }
        let slopes = &mut slopes[first..];
        for (lane, place) in (EIGHT * row..EIGHT * (row + 1)).enumerate() {
            if place < size {
                panel[place][lane] = kernel.amplitude() + diagonal.noise + diagonal.targets.variance(place);
                continue;
            }
            // What fills the panel up is the identity, and has no part in any sum.
            for entries in panel.iter_mut().chain(&mut *slopes) {
                entries[lane] = 0.0;
            }
            panel[place] = [0.0; EIGHT];
            panel[place][lane] = 1.0;
            slopes[place] = [0.0; EIGHT];
        }
    }
}

vectorised! {
    fn evaluate_wide<'a, 'b>(lanes, function: &'a mut NegativeLogPosterior<'b>,
        vector: &'a [f64],
        gradient: &'a mut [f64],
    ) -> f64 {
        function.evaluate_here(lanes, vector, gradient)
    }
    fn fill_covariances_wide<'a>(lanes, kernel: &'a Kernel,
        scaled: &'a Scaled,
        size: usize,
        diagonal: Diagonal<'a>,
        panel_start: usize,
        factor: &'a mut Cholesky,
        slopes: &'a mut Vec<Eight>,
    ) -> () {
        fill_covariances(lanes, kernel, scaled, size, diagonal, panel_start, factor, slopes);
    }
    fn whiten_wide<'a>(lanes, factor: &'a Cholesky, a: &'a mut [f64], b: &'a mut [f64]) -> () {
        factor.solve_two_lanes(lanes, [a, b]);
    }
    fn predict_batch_wide<'a>(lanes, process: &'a GaussianProcess, rows: &'a [&'a [f64]]) -> Vec<Posterior> {
        process.predict_batch_here(lanes, rows)
    }
    fn predict_means_wide<'a>(lanes, process: &'a GaussianProcess, rows: &'a [&'a [f64]]) -> Vec<f64> {
        process.predict_means_here(lanes, rows)
    }
    fn predict_with_gradients_wide<'a>(lanes, process: &'a GaussianProcess,
        rows: &'a [&'a [f64]],
        mean_gradients: &'a mut [f64],
        variance_gradients: &'a mut [f64],
    ) -> Vec<Posterior> {
        process.predict_with_gradients_here(lanes, rows, mean_gradients, variance_gradients)
    }
}

/// Centre and width of the prior of a log length scale among `count`.
fn length_scale_prior(column: Column, count: usize) -> (f64, f64) {
    match column {
        Column::Categorical => (0.0, 0.7),
        Column::Continuous | Column::Activity => (libm::log(0.3 * (count as f64).sqrt()), 1.0),
    }
}

/// Negative log density of a normal prior without its constant; adds its derivative.
fn add_normal_prior(value: f64, centre: f64, width: f64, derivative: &mut f64) -> f64 {
    let z = (value - centre) / width;
    *derivative += z / width;
    0.5 * z * z
}

/// A Gaussian process conditioned on observations.
#[derive(Clone, Debug)]
pub struct GaussianProcess {
    design: Design,
    targets: Targets,
    hyperparameters: Hyperparameters,
    kernel: Kernel,
    /// On the diagonal besides the amplitude: what was added to the noise for the factor to exist.
    jitter: f64,
    scaled: Scaled,
    factor: Cholesky,
    /// Rows that were factorised as they are; appended ones come after them.
    exact_row_count: usize,
    mean: f64,
    /// `K⁻¹ (y - c)`.
    alpha: Vec<f64>,
}

impl GaussianProcess {
    /// Finds the hyperparameters of greatest posterior density, from `warm_start` and a fixed list of starts, and
    /// conditions on the data. Deterministic.
    ///
    /// A warm start of another shape is passed over.
    ///
    /// # Errors
    /// No rows, lengths that disagree, numbers that are not finite, or a covariance that no jitter makes positive
    /// definite.
    pub fn fit(
        design: Design,
        targets: impl Into<Targets>,
        warm_start: Option<&Hyperparameters>,
        options: &FitOptions<'_>,
    ) -> Result<Self, SurrogateError> {
        let targets = targets.into();
        let initial = Hyperparameters::initial(design.columns());
        let scale_count = initial.log_length_scales.len();
        let range = |(low, high): (f64, f64)| (libm::log(low), libm::log(high));
        let mut bounds = vec![range(LENGTH_SCALE_RANGE); scale_count];
        bounds.push(range(AMPLITUDE_RANGE));
        bounds.push(range((options.noise_min, options.noise_max.max(options.noise_min))));
        let (lower, upper): (Vec<f64>, Vec<f64>) = bounds.into_iter().unzip();
        let mut starts: Vec<Vec<f64>> = warm_start
            .filter(|warm| {
                warm.log_length_scales.len() == scale_count && warm.to_vector().iter().all(|v| v.is_finite())
            })
            .map(Hyperparameters::to_vector)
            .into_iter()
            .collect();
        if starts.is_empty() && !options.starts.contains(&Start::Usual) {
            starts.push(initial.to_vector());
        }
        starts.extend(options.starts.iter().map(|start| start.hyperparameters(design.columns()).to_vector()));
        let optimise_options = OptimiseOptions {
            iteration_count_max: options.iteration_count_max,
            gradient_tolerance: 1e-2,
            value_tolerance: 1e-4,
            first_step_max: 0.3,
        };
        let mut best: Option<(Vec<f64>, f64)> = None;
        {
            let mut posterior = NegativeLogPosterior::new(&design, &targets)?;
            for start in &starts {
                let objective = |x: &[f64], gradient: &mut [f64]| posterior.evaluate(x, gradient);
                let found = minimise(objective, start, &lower, &upper, &optimise_options);
                if found.value.is_finite() && best.as_ref().is_none_or(|(_, value)| found.value < *value) {
                    best = Some((found.point, found.value));
                }
            }
        }
        let hyperparameters = match best {
            Some((vector, _)) => Hyperparameters::from_vector(&vector),
            // No start could be factorised: much noise always can.
            None => Hyperparameters { log_noise: libm::log(1e-2), ..initial },
        };
        Self::with_hyperparameters(design, targets, hyperparameters)
    }

    /// Conditions on the data with given hyperparameters.
    ///
    /// # Errors
    /// As for [`GaussianProcess::fit`].
    pub fn with_hyperparameters(
        design: Design,
        targets: impl Into<Targets>,
        hyperparameters: Hyperparameters,
    ) -> Result<Self, SurrogateError> {
        Self::continued(None, design, targets, hyperparameters)
    }

    /// Conditions on the data with given hyperparameters, with the same bits as
    /// [`GaussianProcess::with_hyperparameters`]. Rows with which `former` begins, under the same hyperparameters, need
    /// not be factorised again: with some new rows and any targets it is O(n²).
    ///
    /// # Errors
    /// As for [`GaussianProcess::fit`].
    pub fn continued(
        former: Option<Self>,
        design: Design,
        targets: impl Into<Targets>,
        hyperparameters: Hyperparameters,
    ) -> Result<Self, SurrogateError> {
        let targets = targets.into();
        let size = design.row_count();
        targets.check(size)?;
        expect_finite("log_noise", &[hyperparameters.log_noise])?;
        let kernel = Kernel::new(design.columns(), &hyperparameters)?;
        let noise = libm::exp(hyperparameters.log_noise);
        let former = former.filter(|former| {
            former.hyperparameters == hyperparameters && former.design.columns() == design.columns()
        });
        let mut known_row_count = 0;
        let mut jitter = JITTER;
        let (mut scaled, mut factor) = (Scaled::default(), Cholesky::default());
        if let Some(former) = former {
            let common = former.design.common_row_count(&design).min(former.exact_row_count);
            let common = former.targets.common_variance_count(&targets, common);
            // More jitter may have been needed for a row that is gone.
            if common == former.exact_row_count || former.jitter == JITTER {
                known_row_count = common / EIGHT * EIGHT;
                jitter = former.jitter;
                (scaled, factor) = (former.scaled, former.factor);
            }
        }
        kernel.scale_design(&design, known_row_count / EIGHT, &mut scaled);
        let mut slopes = Vec::new();
        let mut found = false;
        while jitter < JITTER_MAX {
            let panel_start = known_row_count / EIGHT;
            let diagonal = Diagonal { noise: noise + jitter, targets: &targets };
            fill_covariances_wide(&kernel, &scaled, size, diagonal, panel_start, &mut factor, &mut slopes);
            if factor.factorise(known_row_count, 0.0) {
                found = true;
                break;
            }
            jitter *= 10.0;
            known_row_count = 0;
        }
        if !found {
            return Err(SurrogateError::NotPositiveDefinite { row_count: size });
        }
        let mut process = Self {
            design,
            targets,
            hyperparameters,
            kernel,
            jitter,
            scaled,
            factor,
            exact_row_count: size,
            mean: 0.0,
            alpha: Vec::new(),
        };
        process.update_mean();
        Ok(process)
    }

    /// Mean by generalised least squares and the weights of the posterior mean.
    fn update_mean(&mut self) {
        let mut residual = self.targets.values.clone();
        let mut ones = vec![1.0; residual.len()];
        whiten_wide(&self.factor, &mut residual, &mut ones);
        self.mean = dot(&residual, &ones) / dot(&ones, &ones);
        add_scaled(&mut residual, -self.mean, &ones);
        self.factor.solve_transposed_one(&mut residual);
        self.alpha = residual;
    }

    /// Noise and jitter on the diagonal.
    fn noise(&self) -> f64 {
        libm::exp(self.hyperparameters.log_noise) + self.jitter
    }

    /// Adds an observation without a new fit: O(n²).
    ///
    /// With `target` equal to the posterior mean at `row` this is the Kriging believer (Ginsbourger et al. 2010): the
    /// mean stays where it was and the variance shrinks around `row`.
    ///
    /// # Errors
    /// A row of another length, or a number that is not finite. The process is then unchanged.
    pub fn append(&mut self, row: &[f64], target: f64) -> Result<(), SurrogateError> {
        self.append_all(&[row], &[target])
    }

    /// Adds q observations without a new fit: O(q n²), as one after the other, in a fraction of the time. `rows` and `targets`:
    /// as many of each.
    ///
    /// # Errors
    /// As for [`GaussianProcess::append`], and another number of targets than of rows.
    pub fn append_all<R: AsRef<[f64]>>(&mut self, rows: &[R], targets: &[f64]) -> Result<(), SurrogateError> {
        expect_length("targets", targets.len(), rows.len())?;
        expect_finite("target", targets)?;
        for row in rows {
            expect_length("row", row.as_ref().len(), self.design.columns().len())?;
            expect_finite("row", row.as_ref())?;
        }
        if rows.is_empty() {
            return Ok(());
        }
        let last = self.targets.values.len();
        let size = last + rows.len();
        let noise = self.noise();
        for row in rows {
            self.design.push(row.as_ref())?;
        }
        self.targets.values.extend_from_slice(targets);
        if !self.targets.variances.is_empty() {
            self.targets.variances.resize(size, 0.0);
        }
        self.kernel.scale_design(&self.design, last / EIGHT, &mut self.scaled);
        let Self { kernel, scaled, factor, targets, .. } = self;
        let diagonal = Diagonal { noise, targets };
        fill_covariances_wide(kernel, scaled, size, diagonal, last / EIGHT, factor, &mut Vec::new());
        // A repeated point leaves almost nothing but noise; rounding must not take that away.
        if !self.factor.factorise(last, 0.5 * noise) {
            return Err(SurrogateError::NotPositiveDefinite { row_count: size });
        }
        self.update_mean();
        Ok(())
    }

    /// The same hyperparameters conditioned on some of the observations: `rows`, in this order. Near those it predicts what
    /// this one does, in less time.
    ///
    /// # Errors
    /// No rows, or a covariance that no jitter makes positive definite.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn of_rows(&self, rows: &[usize]) -> Result<Self, SurrogateError> {
        let of = |values: &[f64]| match values {
            [] => Vec::new(),
            values => rows.iter().map(|row| values[*row]).collect(),
        };
        let targets = Targets { values: of(&self.targets.values), variances: of(&self.targets.variances) };
        let some: Vec<Vec<f64>> = rows.iter().map(|row| self.design.row(*row)).collect();
        let design = Design::from_rows(self.design.columns(), &some)?;
        Self::with_hyperparameters(design, targets, self.hyperparameters.clone())
    }

    /// Observations conditioned on, appended ones included.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// Their targets, shape (row_count,).
    pub fn targets(&self) -> &[f64] {
        &self.targets.values
    }

    /// The hyperparameters in use, a warm start for the next fit.
    pub fn hyperparameters(&self) -> &Hyperparameters {
        &self.hyperparameters
    }

    /// The covariance function in use.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The constant mean.
    pub fn constant_mean(&self) -> f64 {
        self.mean
    }

    #[inline(always)]
    fn posterior(&self, mean: f64, explained: f64) -> Posterior {
        let amplitude = self.kernel.amplitude();
        Posterior { mean, variance: (amplitude - explained).max(RELATIVE_VARIANCE_MIN * amplitude) }
    }

    /// Posterior at one row, shape (column_count,). O(n²).
    pub fn predict(&self, row: &[f64]) -> Posterior {
        predict_batch_wide(self, &[row])[0]
    }

    /// Posterior mean at one row, shape (column_count,). O(n).
    pub fn predict_mean(&self, row: &[f64]) -> f64 {
        predict_means_wide(self, &[row])[0]
    }

    /// Posterior means at many rows, shape (column_count,) each, with the bits of [`GaussianProcess::predict_mean`].
    pub fn predict_means<R: AsRef<[f64]>>(&self, rows: &[R]) -> Vec<f64> {
        let rows: Vec<&[f64]> = rows.iter().map(AsRef::as_ref).collect();
        predict_means_wide(self, &rows)
    }

    /// Posterior means at the observations, shape (row_count,). O(n).
    ///
    /// With `(K + v I + diag(u)) α = y - c` they are `c + K α = y - (v + u) α`.
    pub fn observed_means(&self) -> Vec<f64> {
        let noise = self.noise();
        let rows = self.targets.values.iter().zip(&self.alpha).enumerate();
        rows.map(|(row, (target, weight))| target - (noise + self.targets.variance(row)) * weight).collect()
    }

    /// Posterior at many rows, shape (column_count,) each; several times faster per row than one by one.
    pub fn predict_batch<R: AsRef<[f64]>>(&self, rows: &[R]) -> Vec<Posterior> {
        let rows: Vec<&[f64]> = rows.iter().map(AsRef::as_ref).collect();
        predict_batch_wide(self, &rows)
    }

    /// Covariances of a panel of rows with all observations, and their derivatives by the squared distances: shape
    /// (8 panels, 8), zero beyond the last observation. Result: the posterior means.
    #[inline(always)]
    fn covariances<L: Lanes>(
        &self,
        lanes: L,
        panel: &[Eight],
        covariances: &mut [Eight],
        mut slopes: Option<&mut [Eight]>,
    ) -> L::Register {
        let mut means = lanes.splat(self.mean);
        for (index, (targets, alpha)) in
            covariances.as_chunks_mut::<4>().0.iter_mut().zip(self.alpha.chunks(4)).enumerate()
        {
            let distances =
                self.kernel.panel_distances(lanes, panel, self.scaled.panel(index / 2), index % 2);
            for (c, weight) in alpha.iter().enumerate() {
                let (values, derivatives) = self.kernel.covariances(lanes, distances[c]);
                lanes.store(values, &mut targets[c]);
                if let Some(slopes) = &mut slopes {
                    lanes.store(derivatives, &mut slopes[4 * index + c]);
                }
                means = lanes.add_product(means, lanes.splat(*weight), values);
            }
        }
        covariances[self.targets.values.len()..].fill([0.0; EIGHT]);
        means
    }

    #[inline(always)]
    fn predict_means_here<L: Lanes>(&self, lanes: L, rows: &[&[f64]]) -> Vec<f64> {
        let mut covariances = vec![[0.0; EIGHT]; EIGHT * panel_count(self.targets.values.len())];
        let mut panel = Vec::new();
        let mut result = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(EIGHT) {
            self.kernel.scale_rows(chunk, &mut panel);
            let mut means = [0.0; EIGHT];
            lanes.store(self.covariances(lanes, &panel, &mut covariances, None), &mut means);
            result.extend_from_slice(&means[..chunk.len()]);
        }
        result
    }

    #[inline(always)]
    fn predict_batch_here<L: Lanes>(&self, lanes: L, rows: &[&[f64]]) -> Vec<Posterior> {
        let length = self.factor.group_length();
        let group_count = rows.len().div_ceil(EIGHT).min(GROUP_COUNT);
        let mut covariances = vec![[0.0; EIGHT]; group_count * length];
        let mut panel = Vec::new();
        let mut posteriors = Vec::with_capacity(rows.len());
        for groups in rows.chunks(EIGHT * GROUP_COUNT) {
            let mut means = [[0.0; EIGHT]; GROUP_COUNT];
            let used = &mut covariances[..groups.len().div_ceil(EIGHT) * length];
            let parts = groups.chunks(EIGHT).zip(used.chunks_exact_mut(length));
            for ((group, covariances), means) in parts.zip(&mut means) {
                self.kernel.scale_rows(group, &mut panel);
                lanes.store(self.covariances(lanes, &panel, covariances, None), means);
            }
            self.factor.solve_lanes(lanes, used);
            let parts = groups.chunks(EIGHT).zip(used.chunks_exact(length));
            for ((group, whitened), means) in parts.zip(&means) {
                let mut explained = [0.0; EIGHT];
                lanes.store(squared_norms(lanes, whitened), &mut explained);
                let found = means.iter().zip(explained).take(group.len());
                posteriors.extend(found.map(|(mean, explained)| self.posterior(*mean, explained)));
            }
        }
        posteriors
    }

    /// Posterior at one row with the gradients of mean and variance, shape (column_count,), zero in categorical and
    /// activity columns. Where the variance is held at its floor, its gradient is that of the variance without floor,
    /// which still points away from the observation.
    pub fn predict_with_gradient(
        &self,
        row: &[f64],
        mean_gradient: &mut [f64],
        variance_gradient: &mut [f64],
    ) -> Posterior {
        predict_with_gradients_wide(self, &[row], mean_gradient, variance_gradient)[0]
    }

    /// [`GaussianProcess::predict_with_gradient`] at many rows, with the same bits; eight rows take the time of one.
    /// The gradients have the shape (rows, column_count), row after row.
    pub fn predict_with_gradients<R: AsRef<[f64]>>(
        &self,
        rows: &[R],
        mean_gradients: &mut [f64],
        variance_gradients: &mut [f64],
    ) -> Vec<Posterior> {
        let rows: Vec<&[f64]> = rows.iter().map(AsRef::as_ref).collect();
        predict_with_gradients_wide(self, &rows, mean_gradients, variance_gradients)
    }

    #[inline(always)]
    fn predict_with_gradients_here<L: Lanes>(
        &self,
        lanes: L,
        rows: &[&[f64]],
        mean_gradients: &mut [f64],
        variance_gradients: &mut [f64],
    ) -> Vec<Posterior> {
        let column_count = self.design.columns().len();
        let length = self.factor.group_length();
        let group_count = rows.len().div_ceil(EIGHT).min(GROUP_COUNT);
        let mut whitened = vec![[0.0; EIGHT]; group_count * length];
        let mut slopes = whitened.clone();
        let mut panels = vec![Vec::new(); group_count];
        let mut posteriors = Vec::with_capacity(rows.len());
        let mut sums = vec![[[0.0; EIGHT]; 2]; column_count];
        let (order, continuous_count) = self.kernel.order();
        let mut gradients = mean_gradients
            .chunks_exact_mut(column_count.max(1))
            .zip(variance_gradients.chunks_exact_mut(column_count.max(1)));
        for groups in rows.chunks(EIGHT * GROUP_COUNT) {
            let used_length = groups.len().div_ceil(EIGHT) * length;
            let (used, slopes) = (&mut whitened[..used_length], &mut slopes[..used_length]);
            let mut means = [[0.0; EIGHT]; GROUP_COUNT];
            let parts = used.chunks_exact_mut(length).zip(slopes.chunks_exact_mut(length));
            for (((group, panel), means), (covariances, slopes)) in
                groups.chunks(EIGHT).zip(&mut panels).zip(&mut means).zip(parts)
            {
                self.kernel.scale_rows(group, panel);
                lanes.store(self.covariances(lanes, panel, covariances, Some(slopes)), means);
            }
            self.factor.solve_lanes(lanes, used);
            for ((group, whitened), means) in groups.chunks(EIGHT).zip(used.chunks_exact(length)).zip(&means)
            {
                let mut explained = [0.0; EIGHT];
                lanes.store(squared_norms(lanes, whitened), &mut explained);
                let found = means.iter().zip(explained).take(group.len());
                posteriors.extend(found.map(|(mean, explained)| self.posterior(*mean, explained)));
            }
            self.factor.solve_transposed_lanes(lanes, used);
            let parts = used.chunks_exact(length).zip(slopes.chunks_exact(length));
            for ((group, panel), (weights, slopes)) in groups.chunks(EIGHT).zip(&panels).zip(parts) {
                self.input_sums(lanes, panel, slopes, weights, &mut sums);
                for (lane, (mean_gradient, variance_gradient)) in (0..group.len()).zip(&mut gradients) {
                    mean_gradient.fill(0.0);
                    variance_gradient.fill(0.0);
                    for (&k, [mean, variance]) in order.iter().zip(&sums).take(continuous_count) {
                        let unit = 2.0 * self.kernel.unit(k);
                        mean_gradient[k] = unit * mean[lane];
                        variance_gradient[k] = -2.0 * unit * variance[lane];
                    }
                }
            }
        }
        posteriors
    }

    /// For each continuous column, in its scale, `Σ_i weight_i dk/ds_i (x - x_i)` with the weights of the mean and with
    /// `weights`.
    #[inline(always)]
    fn input_sums<L: Lanes>(
        &self,
        lanes: L,
        panel: &[Eight],
        slopes: &[Eight],
        weights: &[Eight],
        sums: &mut [[Eight; 2]],
    ) {
        let (_, continuous_count) = self.kernel.order();
        sums.fill([[0.0; EIGHT]; 2]);
        let zero = lanes.splat(0.0);
        for (index, alpha) in self.alpha.chunks(EIGHT).enumerate() {
            let mut products = [[zero; 2]; EIGHT];
            for (row, weight) in alpha.iter().enumerate() {
                let slope = lanes.load(&slopes[EIGHT * index + row]);
                let other = lanes.load(&weights[EIGHT * index + row]);
                products[row] = [lanes.multiply(slope, lanes.splat(*weight)), lanes.multiply(slope, other)];
            }
            let columns = self.scaled.panel(index)[..continuous_count].iter().zip(panel);
            for ((others, entries), total) in columns.zip(sums.iter_mut()) {
                let entries = lanes.load(entries);
                let (mut mean, mut variance) = (lanes.load(&total[0]), lanes.load(&total[1]));
                for (product, other) in products.iter().zip(others) {
                    let difference = lanes.subtract(entries, lanes.splat(*other));
                    mean = lanes.add_product(mean, product[0], difference);
                    variance = lanes.add_product(variance, product[1], difference);
                }
                lanes.store(mean, &mut total[0]);
                lanes.store(variance, &mut total[1]);
            }
        }
    }
}

/// Sums of squares of eight columns.
#[inline(always)]
fn squared_norms<L: Lanes>(lanes: L, columns: &[Eight]) -> L::Register {
    let mut sums = lanes.splat(0.0);
    for entries in columns {
        let entries = lanes.load(entries);
        sums = lanes.add_product(sums, entries, entries);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;

    const MIXED: [Column; 5] =
        [Column::Continuous, Column::Categorical, Column::Activity, Column::Continuous, Column::Continuous];

    fn random_row(generator: &mut Generator) -> Vec<f64> {
        let mut row = vec![
            generator.uniform(),
            generator.below(3) as f64,
            generator.below(2) as f64,
            generator.uniform(),
            generator.uniform(),
        ];
        if row[2] == 0.0 {
            row[4] = 0.5;
        }
        row
    }

    fn response(row: &[f64]) -> f64 {
        libm::sin(4.0 * row[0]) + 0.5 * row[1] * row[3] + row[2] * (row[4] - 0.3) * (row[4] - 0.3)
    }

    fn data(count: usize, generator: &mut Generator) -> (Design, Vec<f64>) {
        let rows: Vec<Vec<f64>> = (0..count).map(|_| random_row(generator)).collect();
        let responses: Vec<f64> = rows.iter().map(|row| response(row) + 0.05 * generator.normal()).collect();
        let targets = crate::warp::standardise(&responses).unwrap_or(responses);
        (Design::from_rows(&MIXED, &rows).expect("rows fit"), targets)
    }

    fn random_hyperparameters(generator: &mut Generator) -> Hyperparameters {
        Hyperparameters {
            log_length_scales: (0..4).map(|_| generator.between(-1.2, 1.2)).collect(),
            log_amplitude: generator.between(-1.0, 1.5),
            log_noise: generator.between(-12.0, -1.0),
        }
    }

    /// Inverse and log determinant by Gauss-Jordan elimination with row exchanges.
    fn invert(matrix: &[Vec<f64>]) -> (Vec<Vec<f64>>, f64) {
        let size = matrix.len();
        let mut work: Vec<Vec<f64>> = matrix
            .iter()
            .enumerate()
            .map(|(i, row)| {
                let mut extended = row.clone();
                extended.extend((0..size).map(|j| if i == j { 1.0 } else { 0.0 }));
                extended
            })
            .collect();
        let mut log_determinant = 0.0;
        for column in 0..size {
            let pivot_row = (column..size)
                .max_by(|a, b| work[*a][column].abs().total_cmp(&work[*b][column].abs()))
                .expect("not empty");
            work.swap(column, pivot_row);
            let pivot = work[column][column];
            log_determinant += pivot.abs().ln();
            work[column].iter_mut().for_each(|v| *v /= pivot);
            for row in (0..size).filter(|row| *row != column) {
                let factor = work[row][column];
                let source = work[column].clone();
                work[row].iter_mut().zip(source).for_each(|(v, s)| *v -= factor * s);
            }
        }
        (work.into_iter().map(|row| row[size..].to_vec()).collect(), log_determinant)
    }

    /// Covariance written down from the documentation, with the standard library's exponential.
    fn dense_covariance(h: &Hyperparameters, a: &[f64], b: &[f64]) -> f64 {
        let scale = |k: usize| h.log_length_scales[k].exp();
        let squared = ((a[0] - b[0]) / scale(0)).powi(2)
            + if a[1] == b[1] { 0.0 } else { scale(1).powi(-2) }
            + if a[2] == b[2] { 0.0 } else { 0.25 }
            + ((a[3] - b[3]) / scale(2)).powi(2)
            + ((a[4] - b[4]) / scale(3)).powi(2);
        let r = (5.0 * squared).sqrt();
        h.log_amplitude.exp() * (1.0 + r + r * r / 3.0) * (-r).exp()
    }

    fn with_variances(values: Vec<f64>, are_known: bool, generator: &mut Generator) -> Targets {
        let variances = values.iter().filter(|_| are_known).map(|_| 0.2 * generator.uniform()).collect();
        Targets { values, variances }
    }

    fn sum(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn posterior_and_likelihood_agree_with_a_dense_computation() {
        let mut generator = Generator::new(12);
        for count in [1, 2, 5, 17, 40] {
            let (design, values) = data(count, &mut generator);
            let targets = with_variances(values.clone(), count % 2 == 0, &mut generator);
            let h = random_hyperparameters(&mut generator);
            let rows: Vec<Vec<f64>> = (0..count).map(|i| design.row(i)).collect();
            let matrix: Vec<Vec<f64>> = (0..count)
                .map(|i| {
                    (0..count)
                        .map(|j| {
                            dense_covariance(&h, &rows[i], &rows[j])
                                + if i == j { h.log_noise.exp() + JITTER + targets.variance(i) } else { 0.0 }
                        })
                        .collect()
                })
                .collect();
            let (inverse, log_determinant) = invert(&matrix);
            let weighted = |v: &[f64]| inverse.iter().map(|row| sum(row, v)).collect::<Vec<f64>>();
            let ones = vec![1.0; count];
            let mean = sum(&weighted(&values), &ones) / sum(&weighted(&ones), &ones);
            let centred: Vec<f64> = values.iter().map(|y| y - mean).collect();
            let alpha = weighted(&centred);

            let mut prior = 0.0;
            let square = |x: f64| x * x;
            for (k, scale) in h.log_length_scales.iter().enumerate() {
                prior += if k == 1 { 0.5 * square(scale / 0.7) } else { 0.5 * square(scale - 0.6f64.ln()) };
            }
            prior += 0.5 * square(h.log_amplitude) + 0.5 * square((h.log_noise + 9.0) / 3.0);
            let expected = 0.5 * sum(&centred, &alpha) + 0.5 * log_determinant + prior;
            let mut function = NegativeLogPosterior::new(&design, &targets).expect("shapes agree");
            let found = function.evaluate(&h.to_vector(), &mut [0.0; 6]);
            assert!((found - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{found} {expected}");

            let process =
                GaussianProcess::with_hyperparameters(design, targets, h.clone()).expect("shapes agree");
            assert!((process.constant_mean() - mean).abs() < 1e-6);
            let others: Vec<Vec<f64>> = (0..19).map(|_| random_row(&mut generator)).collect();
            let batch = process.predict_batch(&others);
            assert_eq!(batch.len(), others.len());
            for (other, batched) in others.iter().zip(&batch) {
                let covariances: Vec<f64> = rows.iter().map(|row| dense_covariance(&h, row, other)).collect();
                let expected_mean = mean + sum(&covariances, &alpha);
                let expected_variance = h.log_amplitude.exp() - sum(&covariances, &weighted(&covariances));
                for found in [process.predict(other), *batched] {
                    assert!((found.mean - expected_mean).abs() < 1e-6, "{found:?} {expected_mean}");
                    assert!(
                        (found.variance - expected_variance).abs() < 1e-6,
                        "{found:?} {expected_variance}"
                    );
                }
                assert!((process.predict_mean(other) - expected_mean).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn gradient_of_the_fit_agrees_with_finite_differences() {
        let mut generator = Generator::new(13);
        for count in [1, 2, 9, 45] {
            let (design, values) = data(count, &mut generator);
            let targets = with_variances(values, count > 1, &mut generator);
            let mut function = NegativeLogPosterior::new(&design, &targets).expect("shapes agree");
            for _ in 0..5 {
                let vector = random_hyperparameters(&mut generator).to_vector();
                let mut gradient = vec![0.0; 6];
                function.evaluate(&vector, &mut gradient);
                for k in 0..6 {
                    let step = 1e-4;
                    let mut moved = |sign: f64| {
                        let mut v = vector.clone();
                        v[k] += sign * step;
                        function.evaluate(&v, &mut [0.0; 6])
                    };
                    let expected =
                        (8.0 * (moved(1.0) - moved(-1.0)) - (moved(2.0) - moved(-2.0))) / (12.0 * step);
                    let tolerance = 1e-6 * (1.0 + expected.abs());
                    assert!((gradient[k] - expected).abs() < tolerance, "{k}: {} {expected}", gradient[k]);
                }
            }
        }
    }

    #[test]
    fn gradient_of_the_posterior_agrees_with_finite_differences() {
        let mut generator = Generator::new(14);
        for count in [1, 6, 30] {
            let (design, targets) = data(count, &mut generator);
            let mut h = random_hyperparameters(&mut generator);
            h.log_noise = -6.0;
            let process = GaussianProcess::with_hyperparameters(design, targets, h).expect("shapes agree");
            for _ in 0..20 {
                let row = random_row(&mut generator);
                let (mut mean_gradient, mut variance_gradient) = (vec![9.0; 5], vec![9.0; 5]);
                let found = process.predict_with_gradient(&row, &mut mean_gradient, &mut variance_gradient);
                let plain = process.predict(&row);
                assert!(
                    (found.mean - plain.mean).abs() < 1e-12
                        && (found.variance - plain.variance).abs() < 1e-12
                );
                for k in 0..5 {
                    let step = if MIXED[k] == Column::Continuous { 1e-5 } else { 0.0 };
                    let moved = |sign: f64| {
                        let mut r = row.clone();
                        r[k] += sign * step;
                        process.predict(&r)
                    };
                    let (above, below) = (moved(1.0), moved(-1.0));
                    let width = if step == 0.0 { 1.0 } else { 2.0 * step };
                    let mean = (above.mean - below.mean) / width;
                    let variance = (above.variance - below.variance) / width;
                    assert!((mean_gradient[k] - mean).abs() < 1e-5 * (1.0 + mean.abs()));
                    assert!((variance_gradient[k] - variance).abs() < 1e-5 * (1.0 + variance.abs()));
                }
            }
        }
    }

    #[test]
    fn append_equals_conditioning_on_everything() {
        let mut generator = Generator::new(15);
        let (design, targets) = data(25, &mut generator);
        let mut h = random_hyperparameters(&mut generator);
        h.log_noise = -7.0;
        let mut some = Design::new(&MIXED);
        for i in 0..10 {
            some.push(&design.row(i)).expect("rows fit");
        }
        let mut grown = GaussianProcess::with_hyperparameters(some, targets[..10].to_vec(), h.clone())
            .expect("shapes agree");
        let started = grown.clone();
        for (i, target) in targets.iter().enumerate().skip(10) {
            grown.append(&design.row(i), *target).expect("rows fit");
        }
        let mut at_once = started.clone();
        let rows: Vec<Vec<f64>> = (10..25).map(|i| design.row(i)).collect();
        at_once.append_all(&rows, &targets[10..]).expect("rows fit");
        at_once.append_all(&rows[..0], &[]).expect("nothing to add");
        let whole = GaussianProcess::with_hyperparameters(design, targets, h).expect("shapes agree");
        for _ in 0..20 {
            let row = random_row(&mut generator);
            let (a, b) = (grown.predict(&row), whole.predict(&row));
            assert!((a.mean - b.mean).abs() < 1e-9 && (a.variance - b.variance).abs() < 1e-9, "{a:?} {b:?}");
            assert_eq!(at_once.predict(&row), a, "the same bits as one after the other");
            assert_eq!(at_once.predict_means(&[&row, &row]), [a.mean; 2]);
        }
        // what does not fit leaves everything as it was
        let before = at_once.predict(&rows[0]);
        assert!(at_once.append_all(&rows[..2], &[0.0]).is_err());
        assert!(at_once.append_all(&[rows[0].clone(), vec![0.0]], &[0.0; 2]).is_err());
        assert!(at_once.append_all(&rows[..2], &[0.0, f64::NAN]).is_err());
        assert_eq!((at_once.predict(&rows[0]), at_once.targets().len()), (before, 25));
    }

    #[test]
    fn a_believed_point_keeps_the_mean_and_shrinks_the_variance() {
        let mut generator = Generator::new(16);
        let (design, targets) = data(20, &mut generator);
        let fitted = GaussianProcess::fit(design, targets, None, &FitOptions::default()).expect("a fit");
        let pending = random_row(&mut generator);
        let mut believer = fitted.clone();
        believer.append(&pending, fitted.predict_mean(&pending)).expect("rows fit");
        for _ in 0..30 {
            let row = random_row(&mut generator);
            let (before, after) = (fitted.predict(&row), believer.predict(&row));
            assert!((before.mean - after.mean).abs() < 1e-7, "{before:?} {after:?}");
            assert!(after.variance <= before.variance + 1e-12);
        }
        assert!(believer.predict(&pending).variance < 0.5 * fitted.predict(&pending).variance);
        // Repeated points must neither fail nor give infinities.
        for _ in 0..5 {
            believer.append(&pending, 0.3).expect("rows fit");
        }
        assert!(believer.predict(&pending).mean.is_finite());
    }

    #[test]
    fn the_fit_predicts_and_finds_what_matters() {
        let mut generator = Generator::new(17);
        let columns = [Column::Continuous; 3];
        let rows: Vec<Vec<f64>> = (0..60).map(|_| (0..3).map(|_| generator.uniform()).collect()).collect();
        // The third column is irrelevant.
        let function = |row: &[f64]| libm::sin(6.0 * row[0]) + row[1] * row[1];
        let responses: Vec<f64> = rows.iter().map(|row| function(row)).collect();
        let targets = crate::warp::standardise(&responses).expect("a spread");
        let design = Design::from_rows(&columns, &rows).expect("rows fit");
        let process = GaussianProcess::fit(design.clone(), targets.clone(), None, &FitOptions::default())
            .expect("a fit");
        let scales = &process.hyperparameters().log_length_scales;
        assert!(scales[2] > scales[0] + 1.5, "{scales:?}");
        assert!(process.hyperparameters().log_noise < libm::log(1e-4));
        for (index, target) in targets.iter().enumerate() {
            assert!((process.predict_mean(&rows[index]) - target).abs() < 0.01);
        }
        // The same data and a warm start at the optimum end where they began; and nothing is random.
        let again = GaussianProcess::fit(design.clone(), targets.clone(), None, &FitOptions::default())
            .expect("a fit");
        assert_eq!(again.hyperparameters(), process.hyperparameters());
        let value = |h: &Hyperparameters| {
            NegativeLogPosterior::new(&design, &targets.clone().into())
                .expect("shapes agree")
                .evaluate(&h.to_vector(), &mut [0.0; 5])
        };
        let warm = GaussianProcess::fit(
            design.clone(),
            targets.clone(),
            Some(process.hyperparameters()),
            &FitOptions { starts: &[Start::Usual, Start::Noisy], ..FitOptions::default() },
        )
        .expect("a fit");
        assert!(value(warm.hyperparameters()) <= value(process.hyperparameters()) + 1e-9);
    }

    #[test]
    fn noise_is_found_from_a_noisy_start_where_the_usual_one_passes_through_it() {
        let columns = [Column::Continuous; 4];
        let mut generator = Generator::new(23);
        let (mut missed_count, mut noises) = (0, Vec::new());
        for _ in 0..20 {
            // a slope, and as much noise: close together as in a search around the best point
            let rows: Vec<Vec<f64>> = (0..16)
                .map(|row| {
                    let width = if row < 8 { 1.0 } else { 0.1 };
                    (0..4).map(|_| 0.5 + width * (generator.uniform() - 0.5)).collect()
                })
                .collect();
            let targets: Vec<f64> =
                rows.iter().map(|row| 2.0 * row[0] - 1.0 + 0.7 * generator.normal()).collect();
            let design = Design::from_rows(&columns, &rows).expect("rows fit");
            let fit = |starts| {
                let options = FitOptions { starts, ..FitOptions::default() };
                let fitted =
                    GaussianProcess::fit(design.clone(), targets.clone(), None, &options).expect("a fit");
                let found = fitted.hyperparameters().clone();
                let value = NegativeLogPosterior::new(&design, &targets.clone().into())
                    .expect("shapes agree")
                    .evaluate(&found.to_vector(), &mut [0.0; 6]);
                (value, found.log_noise)
            };
            let (usual, both) = (fit(&[]), fit(&[Start::Usual, Start::Noisy]));
            assert!(both.0 <= usual.0, "more starts, a worse end: {usual:?} {both:?}");
            missed_count += usize::from(usual.0 > both.0 + 0.1);
            noises.push(both.1);
        }
        assert!(missed_count >= 10, "the usual start ended in a worse mode {missed_count} times");
        // its variance is 0.49
        noises.sort_by(f64::total_cmp);
        assert!((libm::log(0.1)..libm::log(0.7)).contains(&noises[12]), "{noises:?}");
    }

    #[test]
    fn degenerate_data_can_be_fitted() {
        let columns = [Column::Continuous, Column::Categorical];
        let repeated = vec![vec![0.25, 1.0]; 12];
        let cases: Vec<(Vec<Vec<f64>>, Vec<f64>)> = vec![
            (vec![vec![0.5, 0.0]], vec![0.0]),
            (repeated.clone(), vec![0.0; 12]),
            (repeated, (0..12).map(|i| f64::from(i % 2)).collect()),
            ((0..30).map(|i| vec![f64::from(i) * 1e-9, 0.0]).collect(), (0..30).map(f64::from).collect()),
        ];
        for (rows, targets) in cases {
            let design = Design::from_rows(&columns, &rows).expect("rows fit");
            let process = GaussianProcess::fit(design, targets, None, &FitOptions::default()).expect("a fit");
            let posterior = process.predict(&[0.9, 0.0]);
            assert!(posterior.mean.is_finite() && posterior.variance > 0.0, "{posterior:?}");
        }
        let empty = GaussianProcess::fit(Design::new(&columns), vec![], None, &FitOptions::default());
        assert_eq!(empty.err(), Some(SurrogateError::Empty));
    }

    #[test]
    fn noise_can_be_fixed() {
        let mut generator = Generator::new(18);
        let (design, targets) = data(15, &mut generator);
        let options = FitOptions { noise_min: 1e-6, noise_max: 1e-6, ..FitOptions::default() };
        let process = GaussianProcess::fit(design, targets, None, &options).expect("a fit");
        assert!((process.hyperparameters().log_noise - libm::log(1e-6)).abs() < 1e-12);
    }

    #[test]
    fn a_continued_process_has_the_bits_of_a_new_one() {
        let mut generator = Generator::new(31);
        let (design, targets) = data(45, &mut generator);
        let variances: Vec<f64> = (0..45).map(|_| 0.2 * generator.uniform()).collect();
        let rows: Vec<Vec<f64>> = (0..45).map(|i| design.row(i)).collect();
        let h = random_hyperparameters(&mut generator);
        let part = |count: usize| Design::from_rows(&MIXED, &rows[..count]).expect("rows fit");
        let asked: Vec<Vec<f64>> = (0..11).map(|_| random_row(&mut generator)).collect();
        for (known, count) in [(44, 45), (40, 45), (7, 41), (16, 24), (30, 20), (45, 45)] {
            let some = Targets { values: targets[..known].to_vec(), variances: variances[..known].to_vec() };
            let mut former = GaussianProcess::with_hyperparameters(part(known), some, h.clone())
                .expect("positive definite");
            // What was only believed is forgotten.
            former.append(&asked[0], 0.3).expect("a row");
            // Other targets: the factor does not depend on them.
            let mut new_targets = Targets {
                values: targets[..count].iter().map(|y| 0.5 * y + 0.1).collect(),
                variances: variances[..count].to_vec(),
            };
            let new = GaussianProcess::with_hyperparameters(part(count), new_targets.clone(), h.clone())
                .expect("positive definite");
            let continued =
                GaussianProcess::continued(Some(former.clone()), part(count), new_targets.clone(), h.clone())
                    .expect("positive definite");
            assert_eq!(continued.factor, new.factor);
            assert_eq!(continued.alpha, new.alpha);
            assert_eq!(continued.predict_batch(&asked), new.predict_batch(&asked));
            // It does depend on what is known of the noise.
            new_targets.variances[count / 2] += 0.1;
            let new = GaussianProcess::with_hyperparameters(part(count), new_targets.clone(), h.clone())
                .expect("positive definite");
            let continued =
                GaussianProcess::continued(Some(former.clone()), part(count), new_targets.clone(), h.clone())
                    .expect("positive definite");
            assert_eq!(continued.predict_batch(&asked), new.predict_batch(&asked));
            // Another former process is no help and does no harm.
            let other = Hyperparameters { log_amplitude: h.log_amplitude + 0.1, ..h.clone() };
            let new = GaussianProcess::with_hyperparameters(part(count), new_targets.clone(), other.clone())
                .expect("positive definite");
            let continued = GaussianProcess::continued(Some(former), part(count), new_targets, other)
                .expect("positive definite");
            assert_eq!(continued.predict_batch(&asked), new.predict_batch(&asked));
        }
    }

    #[test]
    fn some_rows_are_those_of_a_process_of_them() {
        let mut generator = Generator::new(34);
        let (design, values) = data(29, &mut generator);
        let rows: Vec<Vec<f64>> = (0..29).map(|i| design.row(i)).collect();
        let asked: Vec<Vec<f64>> = (0..5).map(|_| random_row(&mut generator)).collect();
        let h = random_hyperparameters(&mut generator);
        for are_known in [false, true] {
            let targets = with_variances(values.clone(), are_known, &mut generator);
            let process = GaussianProcess::with_hyperparameters(design.clone(), targets.clone(), h.clone())
                .expect("positive definite");
            let chosen = [3, 28, 0, 17];
            let of = |numbers: &[f64]| chosen.iter().filter_map(|row| numbers.get(*row)).copied().collect();
            let some_rows: Vec<&Vec<f64>> = chosen.iter().map(|row| &rows[*row]).collect();
            let expected = GaussianProcess::with_hyperparameters(
                Design::from_rows(&MIXED, &some_rows).expect("rows fit"),
                Targets { values: of(&targets.values), variances: of(&targets.variances) },
                h.clone(),
            )
            .expect("positive definite");
            let found = process.of_rows(&chosen).expect("rows");
            assert_eq!(found.predict_batch(&asked), expected.predict_batch(&asked));
        }
        let process = GaussianProcess::with_hyperparameters(design, values, h).expect("positive definite");
        assert!(matches!(process.of_rows(&[]), Err(SurrogateError::Empty)));
    }

    #[test]
    fn rows_together_and_alone_and_all_vectors_give_the_same_bits() {
        const COUNT: usize = 49;
        let mut generator = Generator::new(32);
        let (design, targets) = data(37, &mut generator);
        let process = GaussianProcess::with_hyperparameters(
            design.clone(),
            targets.clone(),
            random_hyperparameters(&mut generator),
        )
        .expect("positive definite");
        let asked: Vec<Vec<f64>> = (0..COUNT).map(|_| random_row(&mut generator)).collect();
        let rows: Vec<&[f64]> = asked.iter().map(Vec::as_slice).collect();
        let (mut means, mut variances) = (vec![0.0; COUNT * 5], vec![0.0; COUNT * 5]);
        let together = process.predict_with_gradients(&rows, &mut means, &mut variances);
        assert_eq!(process.predict_batch(&rows), together);
        for (index, row) in rows.iter().enumerate() {
            let (mut mean, mut variance) = (vec![0.0; 5], vec![0.0; 5]);
            assert_eq!(process.predict_with_gradient(row, &mut mean, &mut variance), together[index]);
            assert_eq!(mean, means[5 * index..][..5]);
            assert_eq!(variance, variances[5 * index..][..5]);
            assert_eq!(process.predict(row), together[index]);
            assert_eq!(process.predict_mean(row), together[index].mean);
        }
        let vector = process.hyperparameters().to_vector();
        let targets = Targets::from(targets);
        let mut posterior = NegativeLogPosterior::new(&design, &targets).expect("targets");
        let mut gradient = vec![0.0; vector.len()];
        let value = posterior.evaluate(&vector, &mut gradient);

        let prediction =
            Prediction { rows: &rows, posteriors: &together, means: &means, variances: &variances };
        let likelihood = (vector.as_slice(), value, gradient.as_slice());
        assert_same_bits(crate::vectorised::Portable, &process, &prediction, &mut posterior, likelihood);
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(lanes) = pulp::x86::V3::try_new() {
                assert_same_bits(lanes, &process, &prediction, &mut posterior, likelihood);
            }
            if let Some(lanes) = pulp::x86::V4::try_new() {
                assert_same_bits(lanes, &process, &prediction, &mut posterior, likelihood);
            }
        }
    }

    struct Prediction<'a> {
        rows: &'a [&'a [f64]],
        posteriors: &'a [Posterior],
        means: &'a [f64],
        variances: &'a [f64],
    }

    fn assert_same_bits<L: Lanes>(
        lanes: L,
        process: &GaussianProcess,
        expected: &Prediction<'_>,
        posterior: &mut NegativeLogPosterior<'_>,
        (vector, value, gradient): (&[f64], f64, &[f64]),
    ) {
        let (mut means, mut variances) =
            (vec![0.0; expected.means.len()], vec![0.0; expected.variances.len()]);
        let found = process.predict_with_gradients_here(lanes, expected.rows, &mut means, &mut variances);
        assert_eq!(found, expected.posteriors);
        assert_eq!((means.as_slice(), variances.as_slice()), (expected.means, expected.variances));
        assert_eq!(process.predict_batch_here(lanes, expected.rows), expected.posteriors);
        let mut found = vec![0.0; gradient.len()];
        assert_eq!(posterior.evaluate_here(lanes, vector, &mut found), value);
        assert_eq!(found, gradient);
    }

    #[test]
    fn means_at_the_observations_are_those_of_the_posterior() {
        let mut generator = Generator::new(33);
        let (design, values) = data(29, &mut generator);
        let targets = with_variances(values, true, &mut generator);
        let rows: Vec<Vec<f64>> = (0..29).map(|i| design.row(i)).collect();
        let process =
            GaussianProcess::with_hyperparameters(design, targets, random_hyperparameters(&mut generator))
                .expect("positive definite");
        for (row, found) in rows.iter().zip(process.observed_means()) {
            let expected = process.predict_mean(row);
            assert!((found - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{found} {expected}");
        }
    }
}
