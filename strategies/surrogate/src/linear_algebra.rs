//! Dense linear algebra for covariance matrices: Cholesky factor, triangular solves, inverse of the factor.
//!
//! Everything is a sum of products of two contiguous rows, four at a time, which is what vectorises and stays in the
//! cache without tuning. General matrices, pivoting and threads are left out: a covariance of a few hundred rows
//! needs none of them. What is called in a loop runs with the widest registers there are.

use crate::vectorised::{Lanes, Portable, vectorised};

/// Rows per cache block: 32 rows of 500 numbers are 128 kB, which a second-level cache holds.
const BLOCK_ROW_COUNT: usize = 32;

/// Rows handled together by the innermost loop.
const TILE: usize = 4;

vectorised! {
    fn factorise_wide<'a>(lanes, matrix: &'a mut LowerTriangle) -> bool { matrix.factorise_here(lanes) }
    fn invert_wide<'a>(lanes, factor: &'a LowerTriangle, storage: InverseColumns) -> InverseColumns {
        InverseColumns::of_here(lanes, factor, storage)
    }
    fn gram_wide<'a>(lanes, inverse: &'a InverseColumns, result: &'a mut LowerTriangle) -> () {
        inverse.gram_here(lanes, result);
    }
}

/// Sum of products. Both slices have the same length.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    dot_lanes(Portable, a, b)
}

/// Sum of products. Both slices have the same length.
#[inline(always)]
pub(crate) fn dot_lanes<L: Lanes>(lanes: L, a: &[f64], b: &[f64]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    let mut sums = [lanes.splat(0.0); 2];
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        let ([x_low, x_high], [y_low, y_high]) = (halves(x), halves(y));
        sums[0] = lanes.add_product(sums[0], lanes.load(x_low), lanes.load(y_low));
        sums[1] = lanes.add_product(sums[1], lanes.load(x_high), lanes.load(y_high));
    }
    let mut sum = sum_of_lanes(lanes, sums);
    for (x, y) in a_rest.iter().zip(b_rest) {
        sum += x * y;
    }
    sum
}

/// Eight numbers as two times four.
#[inline(always)]
fn halves(values: &[f64; 8]) -> [&[f64; 4]; 2] {
    let (halves, _) = values.as_chunks::<4>();
    [&halves[0], &halves[1]]
}

/// In a fixed order, by halves.
#[inline(always)]
fn sum_of_lanes<L: Lanes>(lanes: L, sums: [L::Quad; 2]) -> f64 {
    let mut total = [0.0; 4];
    lanes.store(lanes.add(sums[0], sums[1]), &mut total);
    (total[0] + total[1]) + (total[2] + total[3])
}

/// Sums of products of one row with four others. All five slices have the same length.
#[inline(always)]
fn dot_four<L: Lanes>(lanes: L, a: &[f64], b: [&[f64]; TILE]) -> [f64; TILE] {
    let length = a.len();
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let b: [&[f64]; TILE] = b.map(|row| &row[..length]);
    let [(b0, r0), (b1, r1), (b2, r2), (b3, r3)] = b.map(|row| row.as_chunks::<8>());
    let zero = lanes.splat(0.0);
    let (mut s0, mut s1, mut s2, mut s3) = ([zero; 2], [zero; 2], [zero; 2], [zero; 2]);
    for ((((x, y0), y1), y2), y3) in a_chunks.iter().zip(b0).zip(b1).zip(b2).zip(b3) {
        let [x, y0, y1, y2, y3] = [x, y0, y1, y2, y3].map(halves);
        let (low, high) = (lanes.load(x[0]), lanes.load(x[1]));
        s0[0] = lanes.add_product(s0[0], low, lanes.load(y0[0]));
        s1[0] = lanes.add_product(s1[0], low, lanes.load(y1[0]));
        s2[0] = lanes.add_product(s2[0], low, lanes.load(y2[0]));
        s3[0] = lanes.add_product(s3[0], low, lanes.load(y3[0]));
        s0[1] = lanes.add_product(s0[1], high, lanes.load(y0[1]));
        s1[1] = lanes.add_product(s1[1], high, lanes.load(y1[1]));
        s2[1] = lanes.add_product(s2[1], high, lanes.load(y2[1]));
        s3[1] = lanes.add_product(s3[1], high, lanes.load(y3[1]));
    }
    let mut sums =
        [sum_of_lanes(lanes, s0), sum_of_lanes(lanes, s1), sum_of_lanes(lanes, s2), sum_of_lanes(lanes, s3)];
    for (index, x) in a_rest.iter().enumerate() {
        sums[0] += x * r0[index];
        sums[1] += x * r1[index];
        sums[2] += x * r2[index];
        sums[3] += x * r3[index];
    }
    sums
}

/// `sums + weight entries`, for eight numbers.
#[inline(always)]
fn add_products<L: Lanes>(lanes: L, sums: [L::Quad; 2], weight: f64, entries: [L::Quad; 2]) -> [L::Quad; 2] {
    let weight = lanes.splat(weight);
    [lanes.add_product(sums[0], weight, entries[0]), lanes.add_product(sums[1], weight, entries[1])]
}

/// `target += factor * row`. Both slices have the same length.
#[inline(always)]
pub fn add_scaled(target: &mut [f64], factor: f64, row: &[f64]) {
    debug_assert_eq!(target.len(), row.len());
    for (value, other) in target.iter_mut().zip(row) {
        *value += factor * other;
    }
}

/// A lower triangle, row-major and packed: row `i` holds columns `0..=i`, so a new last row is one `extend`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LowerTriangle {
    size: usize,
    data: Vec<f64>,
}

impl LowerTriangle {
    /// All zeros, `size` rows.
    pub fn zeros(size: usize) -> Self {
        Self { size, data: vec![0.0; size * (size + 1) / 2] }
    }

    /// Number of rows.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Row `index`, columns `0..=index`.
    #[inline(always)]
    pub fn row(&self, index: usize) -> &[f64] {
        &self.data[index * (index + 1) / 2..][..index + 1]
    }

    /// Row `index`, columns `0..=index`.
    #[inline(always)]
    pub fn row_mut(&mut self, index: usize) -> &mut [f64] {
        &mut self.data[index * (index + 1) / 2..][..index + 1]
    }

    /// All rows one after another.
    pub fn as_slice(&self) -> &[f64] {
        &self.data
    }

    /// All rows one after another.
    pub fn as_mut_slice(&mut self) -> &mut [f64] {
        &mut self.data
    }

    /// Adds a last row of `size + 1` numbers.
    ///
    /// # Panics
    /// If the row has another length.
    pub fn push_row(&mut self, row: &[f64]) {
        assert_eq!(
            row.len(),
            self.size + 1,
            "the new last row of a triangle is one longer than the one before"
        );
        self.data.extend_from_slice(row);
        self.size += 1;
    }

    /// Replaces a symmetric matrix, given by its lower triangle, with its Cholesky factor `L`, `A = L Lᵀ`.
    ///
    /// False if the matrix is not positive definite; the contents are then unusable. About n³/3 operations.
    #[must_use]
    pub fn factorise(&mut self) -> bool {
        factorise_wide(self)
    }

    #[inline(always)]
    fn factorise_here<L: Lanes>(&mut self, lanes: L) -> bool {
        let size = self.size;
        for block_start in (0..size).step_by(BLOCK_ROW_COUNT) {
            let block_end = (block_start + BLOCK_ROW_COUNT).min(size);
            // Columns finished before this block: four of them against all rows of the block while they are cached.
            for column in (0..block_start).step_by(TILE) {
                for row in block_start..block_end {
                    self.eliminate_tile(lanes, row, column);
                }
            }
            // The block itself, row by row. `block_start` is a multiple of the tile.
            for row in block_start..block_end {
                let mut column = block_start;
                while column + TILE <= row {
                    self.eliminate_tile(lanes, row, column);
                    column += TILE;
                }
                while column < row {
                    let (a, b) = (self.row(row), self.row(column));
                    let value = (a[column] - dot_lanes(lanes, &a[..column], &b[..column])) / b[column];
                    self.row_mut(row)[column] = value;
                    column += 1;
                }
                let a = self.row(row);
                let pivot = a[row] - dot_lanes(lanes, &a[..row], &a[..row]);
                // Also catches NaN.
                if !(pivot > 0.0 && pivot.is_finite()) {
                    return false;
                }
                self.row_mut(row)[row] = pivot.sqrt();
            }
        }
        true
    }

    /// Entries `column..column + 4` of `row` in the factor; those rows and all earlier columns are finished.
    #[inline(always)]
    fn eliminate_tile<L: Lanes>(&mut self, lanes: L, row: usize, column: usize) {
        let b = [self.row(column), self.row(column + 1), self.row(column + 2), self.row(column + 3)];
        let a = self.row(row);
        let sums = dot_four(lanes, &a[..column], b.map(|r| &r[..column]));
        let mut tile = [0.0; TILE];
        for k in 0..TILE {
            let mut value = a[column + k] - sums[k];
            for (earlier, finished) in tile.iter().enumerate().take(k) {
                value -= finished * b[k][column + earlier];
            }
            tile[k] = value / b[k][column + k];
        }
        self.row_mut(row)[column..column + TILE].copy_from_slice(&tile);
    }

    /// Solves `L x = b` in place. `b`: shape (size,).
    pub fn solve(&self, b: &mut [f64]) {
        self.solve_lanes(Portable, b);
    }

    #[inline(always)]
    pub(crate) fn solve_lanes<L: Lanes>(&self, lanes: L, b: &mut [f64]) {
        for row in 0..self.size {
            let l = self.row(row);
            b[row] = (b[row] - dot_lanes(lanes, &l[..row], &b[..row])) / l[row];
        }
    }

    /// Solves `Lᵀ x = b` in place. `b`: shape (size,).
    #[inline(always)]
    pub fn solve_transposed(&self, b: &mut [f64]) {
        for row in (0..self.size).rev() {
            let l = self.row(row);
            b[row] /= l[row];
            let value = b[row];
            add_scaled(&mut b[..row], -value, &l[..row]);
        }
    }

    /// `L v`. `v`: shape (size,).
    pub fn multiply(&self, v: &[f64]) -> Vec<f64> {
        self.multiply_lanes(Portable, v)
    }

    #[inline(always)]
    pub(crate) fn multiply_lanes<L: Lanes>(&self, lanes: L, v: &[f64]) -> Vec<f64> {
        let mut product = Vec::with_capacity(self.size);
        let tiled = self.size / TILE * TILE;
        for row in (0..tiled).step_by(TILE) {
            let rows = [self.row(row), self.row(row + 1), self.row(row + 2), self.row(row + 3)];
            let sums = dot_four(lanes, &v[..row], rows.map(|r| &r[..row]));
            for k in 0..TILE {
                product.push(sums[k] + dot_lanes(lanes, &rows[k][row..], &v[row..=row + k]));
            }
        }
        for row in tiled..self.size {
            product.push(dot_lanes(lanes, self.row(row), &v[..=row]));
        }
        product
    }

    /// `Lᵀ v`. `v`: shape (size,).
    #[inline(always)]
    pub fn multiply_transposed(&self, v: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; self.size];
        let tiled = self.size / TILE * TILE;
        for first in (0..tiled).step_by(TILE) {
            let [a, b, c, d] = [0, 1, 2, 3].map(|k| self.row(first + k));
            let factors = [v[first], v[first + 1], v[first + 2], v[first + 3]];
            for ((((value, a), b), c), d) in product[..first].iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *value += (factors[0] * a + factors[1] * b) + (factors[2] * c + factors[3] * d);
            }
            for (k, row) in [a, b, c, d].into_iter().enumerate() {
                add_scaled(&mut product[first..=first + k], factors[k], &row[first..]);
            }
        }
        for row in tiled..self.size {
            add_scaled(&mut product[..=row], v[row], self.row(row));
        }
        product
    }

    /// Squared lengths of `L v` for eight vectors side by side: `v` has shape (size, 8).
    #[inline(always)]
    pub(crate) fn squared_norms<L: Lanes>(&self, lanes: L, v: &[[f64; 8]]) -> [f64; 8] {
        let zero = lanes.splat(0.0);
        let mut norms = [zero; 2];
        let tiled = self.size / TILE * TILE;
        for first in (0..tiled).step_by(TILE) {
            let rows = [0, 1, 2, 3].map(|k| self.row(first + k));
            let [a, b, c, d] = rows.map(|row| &row[..first]);
            let (mut s0, mut s1, mut s2, mut s3) = ([zero; 2], [zero; 2], [zero; 2], [zero; 2]);
            for ((((entries, a), b), c), d) in v[..first].iter().zip(a).zip(b).zip(c).zip(d) {
                let entries = halves(entries).map(|half| lanes.load(half));
                s0 = add_products(lanes, s0, *a, entries);
                s1 = add_products(lanes, s1, *b, entries);
                s2 = add_products(lanes, s2, *c, entries);
                s3 = add_products(lanes, s3, *d, entries);
            }
            for (k, mut sum) in [s0, s1, s2, s3].into_iter().enumerate() {
                for (weight, entries) in rows[k][first..].iter().zip(&v[first..]) {
                    sum = add_products(lanes, sum, *weight, halves(entries).map(|half| lanes.load(half)));
                }
                norms = [
                    lanes.add_product(norms[0], sum[0], sum[0]),
                    lanes.add_product(norms[1], sum[1], sum[1]),
                ];
            }
        }
        for row in tiled..self.size {
            let mut sum = [zero; 2];
            for (weight, entries) in self.row(row).iter().zip(v) {
                sum = add_products(lanes, sum, *weight, halves(entries).map(|half| lanes.load(half)));
            }
            norms =
                [lanes.add_product(norms[0], sum[0], sum[0]), lanes.add_product(norms[1], sum[1], sum[1])];
        }
        let mut result = [[0.0; 4]; 2];
        lanes.store(norms[0], &mut result[0]);
        lanes.store(norms[1], &mut result[1]);
        let [[a, b, c, d], [e, f, g, h]] = result;
        [a, b, c, d, e, f, g, h]
    }

    /// Twice the sum of logarithms of the diagonal: ln det(L Lᵀ).
    pub fn log_determinant(&self) -> f64 {
        2.0 * (0..self.size).map(|row| libm::log(self.row(row)[row])).sum::<f64>()
    }
}

/// The inverse of a lower-triangular factor, kept by columns: row `j` of the storage is column `j` of `L⁻¹`.
///
/// In this form both the inverse itself and `K⁻¹ = L⁻ᵀ L⁻¹` are products of contiguous rows.
#[derive(Clone, Debug, Default)]
pub struct InverseColumns {
    size: usize,
    /// Square with stride `size`; entry (j, i) is `L⁻¹[i][j]`, zero for i < j.
    data: Vec<f64>,
}

impl InverseColumns {
    /// Inverts a factor without zeros on its diagonal. About n³/3 operations. `storage` is a former result, whose
    /// memory is used again.
    pub fn of(factor: &LowerTriangle, storage: Self) -> Self {
        invert_wide(factor, storage)
    }

    #[inline(always)]
    fn of_here<L: Lanes>(lanes: L, factor: &LowerTriangle, storage: Self) -> Self {
        let size = factor.size();
        let mut data = storage.data;
        data.clear();
        data.resize(size * size, 0.0);
        let mut inverse = Self { size, data };
        for block_start in (0..size).step_by(BLOCK_ROW_COUNT) {
            let block_end = (block_start + BLOCK_ROW_COUNT).min(size);
            for column in (0..block_start).step_by(TILE) {
                for row in block_start..block_end {
                    inverse.substitute_tile(lanes, factor, row, column);
                }
            }
            for row in block_start..block_end {
                let mut column = block_start;
                while column + TILE <= row {
                    inverse.substitute_tile(lanes, factor, row, column);
                    column += TILE;
                }
                let l = factor.row(row);
                while column < row {
                    let known = &inverse.data[column * size..][column..row];
                    inverse.data[column * size + row] = -dot_lanes(lanes, &l[column..row], known) / l[row];
                    column += 1;
                }
                inverse.data[row * size + row] = 1.0 / l[row];
            }
        }
        inverse
    }

    /// Entries (row, column..column + 4) of the inverse; all earlier rows are finished.
    #[inline(always)]
    fn substitute_tile<L: Lanes>(&mut self, lanes: L, factor: &LowerTriangle, row: usize, column: usize) {
        let size = self.size;
        let l = factor.row(row);
        // Entries above the diagonal are zero, so four columns can share one start.
        let known = [0, 1, 2, 3].map(|k| &self.data[(column + k) * size..][column..row]);
        let sums = dot_four(lanes, &l[column..row], known);
        for (k, sum) in sums.into_iter().enumerate() {
            self.data[(column + k) * size + row] = -sum / l[row];
        }
    }

    /// Column `index` of the inverse from its diagonal down: shape (size - index,).
    #[inline(always)]
    pub fn column(&self, index: usize) -> &[f64] {
        &self.data[index * self.size..][index..self.size]
    }

    /// The inverse as a packed triangle.
    pub fn to_lower_triangle(&self) -> LowerTriangle {
        let mut triangle = LowerTriangle::zeros(self.size);
        for column in 0..self.size {
            for (offset, value) in self.column(column).iter().enumerate() {
                triangle.row_mut(column + offset)[column] = *value;
            }
        }
        triangle
    }

    /// Lower triangle of `L⁻ᵀ L⁻¹`, the inverse of the factorised matrix, into `result`. About n³/3 operations.
    ///
    /// # Panics
    /// If `result` has another size.
    pub fn gram(&self, result: &mut LowerTriangle) {
        assert_eq!(result.size(), self.size, "the result has the size of the factor");
        gram_wide(self, result);
    }

    #[inline(always)]
    fn gram_here<L: Lanes>(&self, lanes: L, result: &mut LowerTriangle) {
        let size = self.size;
        for block_start in (0..size).step_by(BLOCK_ROW_COUNT) {
            let block_end = (block_start + BLOCK_ROW_COUNT).min(size);
            for column in (0..block_end).step_by(TILE) {
                for row in block_start.max(column)..block_end {
                    let a = &self.data[row * size..][row..size];
                    if column + TILE <= row + 1 {
                        let b = [0, 1, 2, 3].map(|k| &self.data[(column + k) * size..][row..size]);
                        let sums = dot_four(lanes, a, b);
                        result.row_mut(row)[column..column + TILE].copy_from_slice(&sums);
                    } else {
                        for other in column..=row {
                            let b = &self.data[other * size..][row..size];
                            result.row_mut(row)[other] = dot_lanes(lanes, a, b);
                        }
                    }
                }
            }
        }
    }
}

/// Factorises a covariance with as little added to its diagonal as it needs.
///
/// `fill` writes the lower triangle of the matrix, without jitter. Tries the amounts `jitter_first`,
/// `10 jitter_first`, ... `attempt_count` times; result: the factor and the amount that was added.
pub fn factorise_with_jitter(
    size: usize,
    jitter_first: f64,
    attempt_count: usize,
    mut fill: impl FnMut(&mut LowerTriangle),
) -> Option<(LowerTriangle, f64)> {
    let mut matrix = LowerTriangle::zeros(size);
    let mut jitter = jitter_first;
    for _ in 0..attempt_count {
        fill(&mut matrix);
        for row in 0..size {
            matrix.row_mut(row)[row] += jitter;
        }
        if matrix.factorise() {
            return Some((matrix, jitter));
        }
        jitter *= 10.0;
    }
    None
}

#[cfg(test)]
#[expect(clippy::needless_range_loop, reason = "indices as in the formulas")]
mod tests {
    use super::*;
    use crate::generator::Generator;

    /// A well-conditioned random covariance as a full matrix.
    fn random_covariance(size: usize, generator: &mut Generator) -> Vec<Vec<f64>> {
        let factor: Vec<Vec<f64>> =
            (0..size).map(|_| (0..size + 3).map(|_| generator.normal()).collect()).collect();
        (0..size)
            .map(|i| {
                (0..size)
                    .map(|j| {
                        let product: f64 = factor[i].iter().zip(&factor[j]).map(|(a, b)| a * b).sum();
                        product + if i == j { 0.5 } else { 0.0 }
                    })
                    .collect()
            })
            .collect()
    }

    fn lower(matrix: &[Vec<f64>]) -> LowerTriangle {
        let mut triangle = LowerTriangle::default();
        for (index, row) in matrix.iter().enumerate() {
            triangle.push_row(&row[..=index]);
        }
        triangle
    }

    fn assert_close(found: f64, expected: f64, tolerance: f64) {
        assert!(
            (found - expected).abs() <= tolerance * (1.0 + expected.abs()),
            "found {found}, expected {expected}"
        );
    }

    #[test]
    fn factor_times_its_transpose_is_the_matrix() {
        let mut generator = Generator::new(1);
        for size in [1, 2, 3, 4, 5, 7, 31, 32, 33, 37, 64, 70, 101] {
            let matrix = random_covariance(size, &mut generator);
            let mut factor = lower(&matrix);
            assert!(factor.factorise());
            for i in 0..size {
                for j in 0..=i {
                    let product = dot(&factor.row(i)[..=j], factor.row(j));
                    assert_close(product, matrix[i][j], 1e-11);
                }
            }
        }
    }

    #[test]
    fn solves_and_products_are_inverse_to_each_other() {
        let mut generator = Generator::new(2);
        for size in [1, 2, 4, 6, 33, 50, 67] {
            let mut factor = lower(&random_covariance(size, &mut generator));
            assert!(factor.factorise());
            let vector: Vec<f64> = (0..size).map(|_| generator.normal()).collect();
            let mut forward = factor.multiply(&vector);
            factor.solve(&mut forward);
            let mut backward = factor.multiply_transposed(&vector);
            factor.solve_transposed(&mut backward);
            for index in 0..size {
                assert_close(forward[index], vector[index], 1e-9);
                assert_close(backward[index], vector[index], 1e-9);
            }
        }
    }

    #[test]
    fn inverse_factor_and_inverse_matrix() {
        let mut generator = Generator::new(3);
        let mut storage = InverseColumns::default();
        for size in [70, 1, 2, 4, 5, 9, 32, 35, 66] {
            let matrix = random_covariance(size, &mut generator);
            let mut factor = lower(&matrix);
            assert!(factor.factorise());
            storage = InverseColumns::of(&factor, storage);
            let inverse_factor = storage.to_lower_triangle();
            let mut inverse = LowerTriangle::zeros(size);
            storage.gram(&mut inverse);
            for i in 0..size {
                for j in 0..size {
                    let identity = if i == j { 1.0 } else { 0.0 };
                    let triangular: f64 = (j..=i.max(j))
                        .filter(|k| *k <= i)
                        .map(|k| factor.row(i)[k] * inverse_factor.row(k)[j])
                        .sum();
                    assert_close(triangular, identity, 1e-9);
                    let product: f64 = (0..size)
                        .map(|k| matrix[i][k] * if k >= j { inverse.row(k)[j] } else { inverse.row(j)[k] })
                        .sum();
                    assert_close(product, identity, 1e-8);
                }
            }
        }
    }

    #[test]
    fn log_determinant_of_a_known_matrix() {
        // [[4, 2], [2, 5]]: determinant 16.
        let mut factor = LowerTriangle::default();
        factor.push_row(&[4.0]);
        factor.push_row(&[2.0, 5.0]);
        assert!(factor.factorise());
        assert_close(factor.log_determinant(), libm::log(16.0), 1e-15);
    }

    #[test]
    fn indefinite_and_not_finite_matrices_are_refused() {
        let mut indefinite = LowerTriangle::default();
        indefinite.push_row(&[1.0]);
        indefinite.push_row(&[2.0, 1.0]);
        assert!(!indefinite.factorise());
        let mut not_finite = LowerTriangle::default();
        not_finite.push_row(&[f64::NAN]);
        assert!(!not_finite.factorise());
    }

    #[test]
    fn jitter_grows_until_the_matrix_is_positive_definite() {
        // Rank one and slightly indefinite: eigenvalues 2 + 1e-9 and -1e-9.
        let fill = |matrix: &mut LowerTriangle| {
            matrix.row_mut(0)[0] = 1.0;
            matrix.row_mut(1).copy_from_slice(&[1.0 + 1e-9, 1.0]);
        };
        let (_, jitter) = factorise_with_jitter(2, 1e-10, 6, fill).expect("1e-8 is enough");
        assert!((1e-9..1e-7).contains(&jitter), "{jitter}");
        assert!(factorise_with_jitter(2, 1e-14, 3, fill).is_none());
    }
}
