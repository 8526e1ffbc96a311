//! Matérn-5/2 covariance with one length scale per column, over rows of mixed and conditional columns.
//!
//! With `s = Σ_k w_k δ_k²` and `r = √(5 s)`: `k(s) = a (1 + r + r²/3) e^{-r}` and `dk/ds = -(5/6) a (1 + r) e^{-r}`,
//! which is finite at zero distance. Source: Rasmussen and Williams 2006, eq. 4.17; `a` is the amplitude and
//! `w_k = ℓ_k^{-2}`.
//!
//! What `δ_k` is depends on the [`Column`]. For a conditional space the caller writes the mid-point into a parameter's
//! column while the parameter is inactive, and adds one [`Column::Activity`] per group of parameters that come and go
//! together. Both choices keep the covariance valid (it is a function of a Euclidean distance), unlike the tempting
//! rule by which an inactive column adds nothing at all: that breaks the triangle inequality.

use serde::{Deserialize, Serialize};

use crate::error::{SurrogateError, expect_finite, expect_length};
use crate::gaussian_process::Hyperparameters;

/// Squared distance that a conditional group adds when it is active in one row and inactive in the other.
pub const ACTIVITY_WEIGHT: f64 = 0.25;

/// How two entries of a column are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Column {
    /// A number in [0, 1]: real, integer or ordinal by rank. `δ` is the difference; has a length scale.
    Continuous,
    /// The index of a choice. `δ` is 0 for the same choice and 1 otherwise (Hamming); has a length scale.
    Categorical,
    /// 1 if a conditional group is active, else 0. `δ²` has the fixed weight [`ACTIVITY_WEIGHT`]; no length scale.
    Activity,
}

impl Column {
    /// Whether the column has a length scale among the hyperparameters.
    pub fn has_length_scale(self) -> bool {
        self != Self::Activity
    }

    /// `δ²` of two entries, without weight.
    fn squared_difference(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Continuous => (a - b) * (a - b),
            Self::Categorical | Self::Activity => {
                if a == b {
                    0.0
                } else {
                    1.0
                }
            }
        }
    }
}

/// Rows of encoded points, stored by column.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    columns: Vec<Column>,
    values: Vec<Vec<f64>>,
    row_count: usize,
}

impl Design {
    /// No rows yet.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), values: vec![Vec::new(); columns.len()], row_count: 0 }
    }

    /// All rows at once; each has one entry per column.
    ///
    /// # Errors
    /// A row of another length, or an entry that is not finite.
    pub fn from_rows<R: AsRef<[f64]>>(columns: &[Column], rows: &[R]) -> Result<Self, SurrogateError> {
        let mut design = Self::new(columns);
        for row in rows {
            design.push(row.as_ref())?;
        }
        Ok(design)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// Another length than the number of columns, or an entry that is not finite.
    pub fn push(&mut self, row: &[f64]) -> Result<(), SurrogateError> {
        expect_length("row", row.len(), self.columns.len())?;
        expect_finite("row", row)?;
        for (column, value) in self.values.iter_mut().zip(row) {
            column.push(*value);
        }
        self.row_count += 1;
        Ok(())
    }

    /// The kinds of the columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of rows.
    pub fn row_count(&self) -> usize {
        self.row_count
    }

    /// Entries of one column, shape (row_count,).
    pub fn column(&self, index: usize) -> &[f64] {
        &self.values[index]
    }

    /// A copy of one row, shape (column_count,).
    pub fn row(&self, index: usize) -> Vec<f64> {
        self.values.iter().map(|column| column[index]).collect()
    }
}

/// Squared differences of all pairs of rows of a design, column by column, for fits that evaluate many covariances.
#[derive(Clone, Debug)]
pub(crate) struct PairDifferences {
    pair_count: usize,
    /// Shape (column_count, pair_count); pairs in the order of a strict lower triangle by rows.
    squares: Vec<f64>,
}

impl PairDifferences {
    pub(crate) fn of(design: &Design) -> Self {
        let size = design.row_count();
        let pair_count = size * size.saturating_sub(1) / 2;
        let mut squares = Vec::with_capacity(pair_count * design.columns.len());
        for (column, values) in design.columns.iter().zip(&design.values) {
            for row in 1..size {
                let entry = values[row];
                squares.extend(values[..row].iter().map(|other| column.squared_difference(entry, *other)));
            }
        }
        Self { pair_count, squares }
    }

    /// Squared differences in one column, shape (pair_count,).
    #[inline(always)]
    pub(crate) fn column(&self, index: usize) -> &[f64] {
        &self.squares[index * self.pair_count..][..self.pair_count]
    }
}

/// A covariance function with fixed hyperparameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    columns: Vec<Column>,
    /// Per column, `ℓ^{-2}` or the activity weight.
    weights: Vec<f64>,
    amplitude: f64,
}

impl Kernel {
    /// `hyperparameters` has one length scale per column that takes one, in the order of the columns.
    ///
    /// # Errors
    /// Another number of length scales, or one that is not finite.
    pub fn new(columns: &[Column], hyperparameters: &Hyperparameters) -> Result<Self, SurrogateError> {
        let scales = &hyperparameters.log_length_scales;
        expect_length("log_length_scales", scales.len(), length_scale_count(columns))?;
        expect_finite("log_length_scales", scales)?;
        expect_finite("log_amplitude", &[hyperparameters.log_amplitude])?;
        Ok(Self::from_logarithms(columns, scales, hyperparameters.log_amplitude))
    }

    pub(crate) fn from_logarithms(columns: &[Column], log_length_scales: &[f64], log_amplitude: f64) -> Self {
        let mut scales = log_length_scales.iter();
        let weights = columns
            .iter()
            .map(|column| match scales.as_slice().first() {
                Some(scale) if column.has_length_scale() => {
                    scales.next();
                    libm::exp(-2.0 * scale)
                }
                _ => ACTIVITY_WEIGHT,
            })
            .collect();
        Self { columns: columns.to_vec(), weights, amplitude: libm::exp(log_amplitude) }
    }

    /// Variance of the prior: the covariance of a point with itself.
    pub fn amplitude(&self) -> f64 {
        self.amplitude
    }

    /// Weight of each column in the squared distance, shape (column_count,).
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Scaled squared distance of two rows.
    pub fn squared_distance(&self, a: &[f64], b: &[f64]) -> f64 {
        (0..self.columns.len())
            .map(|k| self.weights[k] * self.columns[k].squared_difference(a[k], b[k]))
            .sum()
    }

    /// Covariance of two rows.
    pub fn covariance(&self, a: &[f64], b: &[f64]) -> f64 {
        self.amplitude * matern52(self.squared_distance(a, b)).0
    }

    /// Gradient of the covariance with respect to the logarithms of the length scales, in the order of the columns
    /// that have one: `-2 w_k δ_k² dk/ds`.
    pub fn gradient_log_length_scales(&self, a: &[f64], b: &[f64]) -> Vec<f64> {
        let slope = self.amplitude * matern52(self.squared_distance(a, b)).1;
        (0..self.columns.len())
            .filter(|k| self.columns[*k].has_length_scale())
            .map(|k| -2.0 * self.weights[k] * self.columns[k].squared_difference(a[k], b[k]) * slope)
            .collect()
    }

    /// Gradient of the covariance with respect to the row `a`, shape (column_count,): `2 w_k (a_k - b_k) dk/ds` in
    /// continuous columns and zero elsewhere.
    pub fn gradient_input(&self, a: &[f64], b: &[f64]) -> Vec<f64> {
        let slope = self.amplitude * matern52(self.squared_distance(a, b)).1;
        (0..self.columns.len())
            .map(|k| match self.columns[k] {
                Column::Continuous => 2.0 * self.weights[k] * (a[k] - b[k]) * slope,
                Column::Categorical | Column::Activity => 0.0,
            })
            .collect()
    }

    /// Squared distances of `row` to the first `distances.len()` rows of the design.
    #[inline(always)]
    pub(crate) fn squared_distances(&self, design: &Design, row: &[f64], distances: &mut [f64]) {
        distances.fill(0.0);
        let count = distances.len();
        for (k, column) in self.columns.iter().enumerate() {
            let (entry, weight) = (row[k], self.weights[k]);
            let values = &design.column(k)[..count];
            match column {
                Column::Continuous => {
                    for (distance, value) in distances.iter_mut().zip(values) {
                        let difference = value - entry;
                        *distance += weight * (difference * difference);
                    }
                }
                Column::Categorical | Column::Activity => {
                    for (distance, value) in distances.iter_mut().zip(values) {
                        *distance += if *value == entry { 0.0 } else { weight };
                    }
                }
            }
        }
    }

    /// Squared distances of `LANES` rows to all rows of the design; entry `i` of the result belongs to row `i`.
    #[inline(always)]
    pub(crate) fn squared_distance_lanes<const LANES: usize>(
        &self,
        design: &Design,
        rows: &[&[f64]; LANES],
        distances: &mut [[f64; LANES]],
    ) {
        distances.fill([0.0; LANES]);
        for (k, column) in self.columns.iter().enumerate() {
            let weight = self.weights[k];
            let entries: [f64; LANES] = std::array::from_fn(|lane| rows[lane][k]);
            let values = design.column(k);
            match column {
                Column::Continuous => {
                    for (distance, value) in distances.iter_mut().zip(values) {
                        for lane in 0..LANES {
                            let difference = value - entries[lane];
                            distance[lane] += weight * (difference * difference);
                        }
                    }
                }
                Column::Categorical | Column::Activity => {
                    for (distance, value) in distances.iter_mut().zip(values) {
                        for lane in 0..LANES {
                            distance[lane] += if *value == entries[lane] { 0.0 } else { weight };
                        }
                    }
                }
            }
        }
    }
}

/// Number of columns that have a length scale.
pub fn length_scale_count(columns: &[Column]) -> usize {
    columns.iter().filter(|column| column.has_length_scale()).count()
}

/// `k(s)` and `dk/ds` at amplitude 1 for a squared distance `s >= 0`.
#[inline(always)]
pub fn matern52(squared_distance: f64) -> (f64, f64) {
    let r = (5.0 * squared_distance).sqrt();
    let decay = exp_negative(-r);
    ((1.0 + r + squared_distance * (5.0 / 3.0)) * decay, -(5.0 / 6.0) * (1.0 + r) * decay)
}

/// `e^x` for x <= 0 within 1e-15 relative, without branches so that loops over it vectorise. Below -700 it stays at
/// e^-700, which is far less than any covariance that matters.
///
/// Reduction x = n ln 2 + r with |r| <= ln 2 / 2, Taylor series of degree 13 in r, and n added to the exponent's bits.
#[inline(always)]
fn exp_negative(x: f64) -> f64 {
    /// Adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// ln 2 in two parts; the first has trailing zeros, so that n times it is exact.
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const RECIPROCAL_FACTORIALS: [f64; 13] = [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let x = if x < -700.0 { -700.0 } else { x };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut series = 1.0 / 6_227_020_800.0;
    for coefficient in RECIPROCAL_FACTORIALS {
        series = series * r + coefficient;
    }
    f64::from_bits(series.to_bits().wrapping_add(shifted.to_bits() << 52))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;
    use crate::linear_algebra::LowerTriangle;

    const MIXED: [Column; 6] = [
        Column::Continuous,
        Column::Categorical,
        Column::Activity,
        Column::Continuous,
        Column::Continuous,
        Column::Activity,
    ];

    fn random_row(generator: &mut Generator) -> Vec<f64> {
        MIXED
            .iter()
            .map(|column| match column {
                Column::Continuous => generator.uniform(),
                Column::Categorical => generator.below(3) as f64,
                Column::Activity => generator.below(2) as f64,
            })
            .collect()
    }

    fn random_hyperparameters(generator: &mut Generator) -> Hyperparameters {
        Hyperparameters {
            log_length_scales: (0..4).map(|_| generator.between(-1.5, 1.5)).collect(),
            log_amplitude: generator.between(-1.0, 1.0),
            log_noise: -10.0,
        }
    }

    #[test]
    fn exponential_agrees_with_libm() {
        let mut x: f64 = 0.0;
        while x > -700.0 {
            let expected = libm::exp(x);
            assert!((exp_negative(x) - expected).abs() <= 1e-15 * expected, "{x}");
            x = x * 1.003 - 0.0007;
        }
        assert_eq!(exp_negative(0.0), 1.0);
        assert!(exp_negative(f64::NEG_INFINITY) < 1e-300);
    }

    #[test]
    fn matern_at_known_distances() {
        assert_eq!(matern52(0.0), (1.0, -5.0 / 6.0));
        // s = 1: (1 + √5 + 5/3) e^{-√5}, from its definition with 20 digits (mpmath 1.3).
        let (value, slope) = matern52(1.0);
        assert!((value - 0.523_994_108_831_820_3).abs() < 1e-15, "{value}");
        assert!((slope + 0.288_220_193_942_647_84).abs() < 1e-15, "{slope}");
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let mut generator = Generator::new(5);
        for _ in 0..200 {
            let hyperparameters = random_hyperparameters(&mut generator);
            let (a, b) = (random_row(&mut generator), random_row(&mut generator));
            let covariance = |h: &Hyperparameters, a: &[f64]| {
                Kernel::new(&MIXED, h).expect("the lengths agree").covariance(a, &b)
            };
            let kernel = Kernel::new(&MIXED, &hyperparameters).expect("the lengths agree");
            let step = 1e-5;
            for (k, found) in kernel.gradient_log_length_scales(&a, &b).into_iter().enumerate() {
                let moved = |sign: f64| {
                    let mut h = hyperparameters.clone();
                    h.log_length_scales[k] += sign * step;
                    covariance(&h, &a)
                };
                let expected = (moved(1.0) - moved(-1.0)) / (2.0 * step);
                assert!((found - expected).abs() < 1e-8 * (1.0 + expected.abs()), "{found} {expected}");
            }
            for (k, found) in kernel.gradient_input(&a, &b).into_iter().enumerate() {
                let moved = |sign: f64| {
                    let mut a = a.clone();
                    a[k] += sign * step;
                    covariance(&hyperparameters, &a)
                };
                let expected = match MIXED[k] {
                    Column::Continuous => (moved(1.0) - moved(-1.0)) / (2.0 * step),
                    Column::Categorical | Column::Activity => 0.0,
                };
                assert!((found - expected).abs() < 1e-7 * (1.0 + expected.abs()), "{found} {expected}");
            }
        }
    }

    #[test]
    fn batch_distances_agree_with_single_ones() {
        let mut generator = Generator::new(6);
        let rows: Vec<Vec<f64>> = (0..23).map(|_| random_row(&mut generator)).collect();
        let design = Design::from_rows(&MIXED, &rows).expect("rows fit");
        assert_eq!((0..23).map(|i| design.row(i)).collect::<Vec<_>>(), rows);
        let kernel = Kernel::new(&MIXED, &random_hyperparameters(&mut generator)).expect("the lengths agree");
        let others: Vec<Vec<f64>> = (0..4).map(|_| random_row(&mut generator)).collect();
        let mut lanes = vec![[0.0; 4]; 23];
        kernel.squared_distance_lanes(
            &design,
            &std::array::from_fn(|lane| others[lane].as_slice()),
            &mut lanes,
        );
        for (lane, other) in others.iter().enumerate() {
            let mut single = vec![0.0; 23];
            kernel.squared_distances(&design, other, &mut single);
            for (i, row) in rows.iter().enumerate() {
                let expected = kernel.squared_distance(other, row);
                assert!((single[i] - expected).abs() < 1e-13 * (1.0 + expected));
                assert_eq!(single[i], lanes[i][lane]);
            }
        }
    }

    #[test]
    fn covariances_of_mixed_conditional_rows_are_positive_definite() {
        let mut generator = Generator::new(7);
        for _ in 0..30 {
            let kernel =
                Kernel::new(&MIXED, &random_hyperparameters(&mut generator)).expect("the lengths agree");
            let rows: Vec<Vec<f64>> = (0..40)
                .map(|_| {
                    let mut row = random_row(&mut generator);
                    // The convention for conditional columns: mid-point while inactive.
                    if row[2] == 0.0 {
                        row[3] = 0.5;
                    }
                    if row[5] == 0.0 {
                        row[4] = 0.5;
                    }
                    row
                })
                .collect();
            let mut matrix = LowerTriangle::zeros(rows.len());
            for i in 0..rows.len() {
                for j in 0..=i {
                    matrix.row_mut(i)[j] = kernel.covariance(&rows[i], &rows[j]);
                }
                matrix.row_mut(i)[i] += 1e-9;
            }
            assert!(matrix.factorise());
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let hyperparameters =
            Hyperparameters { log_length_scales: vec![0.0; 3], log_amplitude: 0.0, log_noise: 0.0 };
        assert!(Kernel::new(&MIXED, &hyperparameters).is_err());
        let mut design = Design::new(&MIXED);
        assert!(design.push(&[0.0; 5]).is_err());
        assert!(design.push(&[0.0, 0.0, 0.0, f64::NAN, 0.0, 0.0]).is_err());
        assert_eq!(design.row_count(), 0);
    }
}
