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
use crate::linear_algebra::panel_count;
use crate::vectorised::{EIGHT, Eight, Lanes, Portable, half};

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

    /// Number of rows with which both designs begin, bit by bit. The columns are those of the same space.
    pub(crate) fn common_row_count(&self, other: &Self) -> usize {
        let same = |(a, b): (&Vec<f64>, &Vec<f64>)| {
            a.iter().zip(b).take_while(|(a, b)| a.to_bits() == b.to_bits()).count()
        };
        let most = self.row_count.min(other.row_count);
        self.values.iter().zip(&other.values).map(same).fold(most, usize::min)
    }

    /// A copy of one row, shape (column_count,).
    pub fn row(&self, index: usize) -> Vec<f64> {
        self.values.iter().map(|column| column[index]).collect()
    }
}

/// A covariance function with fixed hyperparameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    columns: Vec<Column>,
    /// Per column, `ℓ^{-2}` or the activity weight.
    weights: Vec<f64>,
    amplitude: f64,
    /// The columns as [`Scaled`] rows have them: continuous ones first.
    order: Vec<usize>,
    continuous_count: usize,
}

/// Rows in panels of eight, ready for distances: per panel one entry per column, first the continuous columns, divided by
/// their length scales, then the others as they are. Rows that fill the last panel up are zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scaled {
    column_count: usize,
    entries: Vec<Eight>,
}

impl Scaled {
    /// Shape (column_count, 8).
    #[inline(always)]
    pub(crate) fn panel(&self, index: usize) -> &[Eight] {
        &self.entries[index * self.column_count..][..self.column_count]
    }
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
        let is_continuous = |k: &usize| columns[*k] == Column::Continuous;
        let mut order: Vec<usize> = (0..columns.len()).filter(is_continuous).collect();
        let continuous_count = order.len();
        order.extend((0..columns.len()).filter(|k| !is_continuous(k)));
        let amplitude = libm::exp(log_amplitude);
        Self { columns: columns.to_vec(), weights, amplitude, order, continuous_count }
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

    /// The columns in the order of [`Scaled`] rows, and how many of them are continuous.
    #[inline(always)]
    pub(crate) fn order(&self) -> (&[usize], usize) {
        (&self.order, self.continuous_count)
    }

    /// What the entries of a column are multiplied with in [`Scaled`] rows.
    #[inline(always)]
    pub(crate) fn unit(&self, column: usize) -> f64 {
        match self.columns[column] {
            Column::Continuous => self.weights[column].sqrt(),
            Column::Categorical | Column::Activity => 1.0,
        }
    }

    /// The rows of a design from panel `panel_start` on; panels before it stay as they are.
    pub(crate) fn scale_design(&self, design: &Design, panel_start: usize, scaled: &mut Scaled) {
        scaled.column_count = self.columns.len();
        scaled.entries.truncate(panel_start * self.columns.len());
        for panel in panel_start..panel_count(design.row_count()) {
            for &column in &self.order {
                let unit = self.unit(column);
                let mut entry = [0.0; EIGHT];
                for (value, original) in entry.iter_mut().zip(&design.column(column)[EIGHT * panel..]) {
                    *value = unit * original;
                }
                scaled.entries.push(entry);
            }
        }
    }

    /// One panel of up to eight rows, whose last is repeated.
    pub(crate) fn scale_rows(&self, rows: &[&[f64]], panel: &mut Vec<Eight>) {
        panel.clear();
        for &column in &self.order {
            let unit = self.unit(column);
            panel.push(std::array::from_fn(|lane| unit * rows[lane.min(rows.len() - 1)][column]));
        }
    }

    /// Squared distances of the eight rows of panel `a` to rows `4 part + c` of panel `b`, for `c` in 0..4.
    #[inline(always)]
    pub(crate) fn panel_distances<L: Lanes>(
        &self,
        lanes: L,
        a: &[Eight],
        b: &[Eight],
        part: usize,
    ) -> [L::Register; 4] {
        let mut sums = [lanes.splat(0.0); 4];
        let (a, a_rest) = a.split_at(self.continuous_count);
        let (b, b_rest) = b.split_at(self.continuous_count);
        for (entries, others) in a.iter().zip(b) {
            let entries = lanes.load(entries);
            for (sum, other) in sums.iter_mut().zip(half(others, part)) {
                let difference = lanes.subtract(entries, lanes.splat(*other));
                *sum = lanes.add_product(*sum, difference, difference);
            }
        }
        for ((entries, others), column) in a_rest.iter().zip(b_rest).zip(&self.order[self.continuous_count..])
        {
            let entries = lanes.load(entries);
            let weight = lanes.splat(self.weights[*column]);
            for (sum, other) in sums.iter_mut().zip(half(others, part)) {
                *sum = lanes.add(*sum, lanes.unless_equal(entries, lanes.splat(*other), weight));
            }
        }
        sums
    }

    /// Covariances for squared distances, and their derivatives by them.
    #[inline(always)]
    pub(crate) fn covariances<L: Lanes>(
        &self,
        lanes: L,
        squared_distances: L::Register,
    ) -> (L::Register, L::Register) {
        let amplitude = lanes.splat(self.amplitude);
        let (values, slopes) = matern52_of_eight(lanes, squared_distances);
        (lanes.multiply(amplitude, values), lanes.multiply(amplitude, slopes))
    }
}

/// Number of columns that have a length scale.
pub fn length_scale_count(columns: &[Column]) -> usize {
    columns.iter().filter(|column| column.has_length_scale()).count()
}

/// `k(s)` and `dk/ds` at amplitude 1 for a squared distance `s >= 0`.
pub fn matern52(squared_distance: f64) -> (f64, f64) {
    let (values, slopes) = matern52_of_eight(Portable, [squared_distance; EIGHT]);
    (values[0], slopes[0])
}

/// `k(s)` and `dk/ds` at amplitude 1 for eight squared distances.
#[inline(always)]
fn matern52_of_eight<L: Lanes>(lanes: L, squared_distances: L::Register) -> (L::Register, L::Register) {
    let r = lanes.square_root(lanes.multiply(lanes.splat(5.0), squared_distances));
    let decay = exp_negative(lanes, lanes.subtract(lanes.splat(0.0), r));
    let linear = lanes.add(lanes.splat(1.0), r);
    let polynomial = lanes.add_product(linear, squared_distances, lanes.splat(5.0 / 3.0));
    let slopes = lanes.multiply(lanes.multiply(lanes.splat(-(5.0 / 6.0)), linear), decay);
    (lanes.multiply(polynomial, decay), slopes)
}

/// `e^x` for x <= 0 within 1e-15 relative. Below -700 it stays at e^-700, which is far less than any covariance that
/// matters.
///
/// Reduction x = n ln 2 + r with |r| <= ln 2 / 2, Taylor series of degree 13 in r, and n added to the exponent's bits.
/// Even and odd powers are summed apart: these are chains of operations that do not wait for each other.
#[inline(always)]
fn exp_negative<L: Lanes>(lanes: L, x: L::Register) -> L::Register {
    /// Adding 1.5 * 2^52 rounds to an integer and leaves it in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// ln 2 in two parts; the first has trailing zeros, so that n times it is exact.
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    /// Reciprocals of the factorials of 12 and 13, 10 and 11, ...: even powers and odd ones.
    const COEFFICIENTS: [[f64; 2]; 7] = [
        [1.0 / 479_001_600.0, 1.0 / 6_227_020_800.0],
        [1.0 / 3_628_800.0, 1.0 / 39_916_800.0],
        [1.0 / 40_320.0, 1.0 / 362_880.0],
        [1.0 / 720.0, 1.0 / 5_040.0],
        [1.0 / 24.0, 1.0 / 120.0],
        [0.5, 1.0 / 6.0],
        [1.0, 1.0],
    ];
    let x = lanes.larger(x, lanes.splat(-700.0));
    let shifted = lanes.add_product(lanes.splat(ROUND), x, lanes.splat(std::f64::consts::LOG2_E));
    let n = lanes.subtract(shifted, lanes.splat(ROUND));
    let high = lanes.subtract_product(x, n, lanes.splat(LN_2_HIGH));
    let r = lanes.subtract_product(high, n, lanes.splat(LN_2_LOW));
    let square = lanes.multiply(r, r);
    let [first, others @ ..] = COEFFICIENTS;
    let (mut even, mut odd) = (lanes.splat(first[0]), lanes.splat(first[1]));
    for [even_coefficient, odd_coefficient] in others {
        even = lanes.add_product(lanes.splat(even_coefficient), even, square);
        odd = lanes.add_product(lanes.splat(odd_coefficient), odd, square);
    }
    lanes.scale_exponent(lanes.add_product(even, odd, r), shifted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;
    use crate::linear_algebra::{Cholesky, LowerTriangle};

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
            let found = exp_negative(Portable, [x; EIGHT])[7];
            assert!((found - expected).abs() <= 1e-15 * expected, "{x}");
            x = x * 1.003 - 0.0007;
        }
        assert_eq!(exp_negative(Portable, [0.0; EIGHT]), [1.0; EIGHT]);
        assert!(exp_negative(Portable, [f64::NEG_INFINITY; EIGHT])[0] < 1e-300);
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
    fn panel_distances_agree_with_single_ones() {
        let mut generator = Generator::new(6);
        let rows: Vec<Vec<f64>> = (0..23).map(|_| random_row(&mut generator)).collect();
        let design = Design::from_rows(&MIXED, &rows).expect("rows fit");
        assert_eq!((0..23).map(|i| design.row(i)).collect::<Vec<_>>(), rows);
        let kernel = Kernel::new(&MIXED, &random_hyperparameters(&mut generator)).expect("the lengths agree");
        let mut scaled = Scaled::default();
        kernel.scale_design(&design, 0, &mut scaled);
        let others: Vec<Vec<f64>> = (0..5).map(|_| random_row(&mut generator)).collect();
        let mut panel = Vec::new();
        kernel.scale_rows(&others.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut panel);
        for (i, row) in rows.iter().enumerate() {
            let part = i % EIGHT / 4;
            let found = kernel.panel_distances(Portable, &panel, scaled.panel(i / EIGHT), part)[i % 4];
            let (value, slope) = kernel.covariances(Portable, found);
            for lane in 0..EIGHT {
                let other = &others[lane.min(4)];
                let expected = kernel.squared_distance(other, row);
                assert!((found[lane] - expected).abs() < 1e-13 * (1.0 + expected));
                let (expected_value, expected_slope) = matern52(found[lane]);
                assert_eq!(value[lane], kernel.amplitude() * expected_value);
                assert_eq!(slope[lane], kernel.amplitude() * expected_slope);
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
            let mut matrix = LowerTriangle::identity(rows.len());
            for i in 0..rows.len() {
                for j in 0..=i {
                    let jitter = if i == j { 1e-9 } else { 0.0 };
                    matrix.set(i, j, kernel.covariance(&rows[i], &rows[j]) + jitter);
                }
            }
            assert!(Cholesky::of(matrix).is_some());
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
