//! Dense linear algebra for covariance matrices: Cholesky factor, triangular solves, inverse.
//!
//! A triangle is stored in panels of eight rows, and all work that grows with the third power is the product of two
//! panels: eight numbers of one against four or eight of the other, whose sums stay in registers. General matrices, pivoting and
//! threads are left out. Each entry of a result is one sum in the order of the columns, whatever the size, so a factor of
//! more rows begins with the bits of the smaller one, and rows can be added to it.

use crate::vectorised::{EIGHT, Eight, Lanes, half, sum_of_lanes, vectorised};

vectorised! {
    fn factorise_wide<'a>(lanes, factor: &'a mut Cholesky, row_start: usize, pivot_min: f64) -> bool {
        factor.factorise_here(lanes, row_start, pivot_min)
    }
    fn solve_wide<'a>(lanes, factor: &'a Cholesky, b: &'a mut [Eight]) -> () {
        factor.solve_lanes(lanes, b);
    }
    fn solve_transposed_wide<'a>(lanes, factor: &'a Cholesky, b: &'a mut [Eight]) -> () {
        factor.solve_transposed_lanes(lanes, b);
    }
    fn invert_wide<'a>(lanes, factor: &'a Cholesky, inverse: &'a mut InverseFactor) -> () {
        inverse.invert_here(lanes, factor);
    }
}

/// Number of panels for so many rows.
#[inline(always)]
pub(crate) fn panel_count(row_count: usize) -> usize {
    row_count.div_ceil(EIGHT)
}

/// `Σ_k a_k b_k[4 part + c]` for `c` in 0..4, eight sums each. Both have the same length.
#[inline(always)]
fn half_panel_products<L: Lanes>(lanes: L, a: &[Eight], b: &[Eight], part: usize) -> [L::Register; 4] {
    debug_assert_eq!(a.len(), b.len());
    let mut sums = [lanes.splat(0.0); 4];
    for (entries, factors) in a.iter().zip(b) {
        let entries = lanes.load(entries);
        for (sum, factor) in sums.iter_mut().zip(half(factors, part)) {
            *sum = lanes.add_product(*sum, entries, lanes.splat(*factor));
        }
    }
    sums
}

/// `Σ_k a_k b_k[c]` for `c` in 0..8, eight sums each. Both have the same length.
#[inline(always)]
fn panel_products<L: Lanes>(lanes: L, a: &[Eight], b: &[Eight]) -> [L::Register; EIGHT] {
    debug_assert_eq!(a.len(), b.len());
    if !L::HAS_MANY_REGISTERS {
        let [c, d, e, f] = half_panel_products(lanes, a, b, 0);
        let [g, h, i, j] = half_panel_products(lanes, a, b, 1);
        return [c, d, e, f, g, h, i, j];
    }
    let mut sums = [lanes.splat(0.0); EIGHT];
    for (entries, factors) in a.iter().zip(b) {
        let entries = lanes.load(entries);
        for (sum, factor) in sums.iter_mut().zip(factors) {
            *sum = lanes.add_product(*sum, entries, lanes.splat(*factor));
        }
    }
    sums
}

/// A lower triangle in panels of eight rows; rows that fill the last panel up are those of the identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LowerTriangle {
    size: usize,
    /// Panel `p` has `8 (p + 1)` entries; entry `k` holds column `k` of rows `8 p .. 8 p + 8`, zero above the diagonal.
    panels: Vec<Eight>,
}

impl LowerTriangle {
    /// The identity of `size` rows.
    pub fn identity(size: usize) -> Self {
        let mut triangle = Self::default();
        triangle.resize(size);
        triangle
    }

    /// Number of rows.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Changes the number of rows. New rows are those of the identity once their panel is filled up or new; what
    /// stood in the last panel stays.
    pub(crate) fn resize(&mut self, size: usize) {
        let before = panel_count(self.size.min(size));
        self.panels.truncate(Self::panel_start(before));
        for panel in before..panel_count(size) {
            self.panels.resize(Self::panel_start(panel) + EIGHT * panel, [0.0; EIGHT]);
            for row in 0..EIGHT {
                let mut unit = [0.0; EIGHT];
                unit[row] = 1.0;
                self.panels.push(unit);
            }
        }
        self.size = size;
    }

    #[inline(always)]
    fn panel_start(panel: usize) -> usize {
        EIGHT / 2 * panel * (panel + 1)
    }

    /// Panel `index`: shape (8 (index + 1), 8), by column.
    #[inline(always)]
    pub(crate) fn panel(&self, index: usize) -> &[Eight] {
        &self.panels[Self::panel_start(index)..][..EIGHT * (index + 1)]
    }

    /// Panel `index`: shape (8 (index + 1), 8), by column.
    #[inline(always)]
    pub(crate) fn panel_mut(&mut self, index: usize) -> &mut [Eight] {
        &mut self.panels[Self::panel_start(index)..][..EIGHT * (index + 1)]
    }

    /// The entry in `row` and `column <= row`.
    pub fn get(&self, row: usize, column: usize) -> f64 {
        self.panel(row / EIGHT)[column][row % EIGHT]
    }

    /// Sets the entry in `row` and `column <= row`.
    pub fn set(&mut self, row: usize, column: usize, value: f64) {
        self.panel_mut(row / EIGHT)[column][row % EIGHT] = value;
    }
}

/// The Cholesky factor `L` of a symmetric matrix, `A = L Lᵀ`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cholesky {
    lower: LowerTriangle,
    /// Inverses of the 8 by 8 blocks on the diagonal: entry `8 p + k` holds column `k`.
    block_columns: Vec<Eight>,
    /// The same by rows.
    block_rows: Vec<Eight>,
}

impl Cholesky {
    /// Factorises a symmetric matrix that is given by its lower triangle. `None` if it is not positive definite.
    /// About n³/3 operations.
    pub fn of(matrix: LowerTriangle) -> Option<Self> {
        let mut factor = Self { lower: matrix, ..Self::default() };
        factor.factorise(0, 0.0).then_some(factor)
    }

    /// The factor itself, or what is to be factorised.
    pub fn lower(&self) -> &LowerTriangle {
        &self.lower
    }

    pub(crate) fn lower_mut(&mut self) -> &mut LowerTriangle {
        &mut self.lower
    }

    /// Factorises the rows from `row_start`'s panel on, of which [`Cholesky::lower_mut`] holds the matrix and not the
    /// factor. Rows before it are finished. Same bits as a factorisation of everything.
    ///
    /// A squared pivot below `pivot_min > 0` is raised to it. With `pivot_min` zero, false if the matrix is not positive
    /// definite; the contents are then unusable.
    #[must_use]
    pub(crate) fn factorise(&mut self, row_start: usize, pivot_min: f64) -> bool {
        factorise_wide(self, row_start, pivot_min)
    }

    #[inline(always)]
    pub(crate) fn factorise_here<L: Lanes>(&mut self, lanes: L, row_start: usize, pivot_min: f64) -> bool {
        let count = panel_count(self.lower.size);
        self.block_columns.resize(EIGHT * count, [0.0; EIGHT]);
        self.block_rows.resize(EIGHT * count, [0.0; EIGHT]);
        for p in row_start / EIGHT..count {
            let (finished, rest) = self.lower.panels.split_at_mut(LowerTriangle::panel_start(p));
            let panel = &mut rest[..EIGHT * (p + 1)];
            for other in 0..p {
                let (known, tile) = panel.split_at_mut(EIGHT * other);
                let factors = &finished[LowerTriangle::panel_start(other)..][..EIGHT * (other + 1)];
                let (factors, block) = factors.split_at(EIGHT * other);
                subtract_products(lanes, known, factors, &mut tile[..EIGHT]);
                // Forward substitution in the eight columns, all rows at a time.
                let mut solved = [lanes.splat(0.0); EIGHT];
                for column in 0..EIGHT {
                    let mut rest = lanes.load(&tile[column]);
                    for earlier in 0..column {
                        rest = lanes.subtract_product(
                            rest,
                            lanes.splat(block[earlier][column]),
                            solved[earlier],
                        );
                    }
                    let reciprocal = self.block_columns[EIGHT * other + column][column];
                    solved[column] = lanes.multiply(rest, lanes.splat(reciprocal));
                    lanes.store(solved[column], &mut tile[column]);
                }
            }
            let (known, tile) = panel.split_at_mut(EIGHT * p);
            subtract_products(lanes, known, known, tile);
            if !factorise_block(lanes, tile, pivot_min) {
                return false;
            }
            let columns = &mut self.block_columns[EIGHT * p..][..EIGHT];
            let rows = &mut self.block_rows[EIGHT * p..][..EIGHT];
            invert_block(lanes, tile, rows);
            for (k, column) in columns.iter_mut().enumerate() {
                for (entry, row) in column.iter_mut().zip(rows.iter()) {
                    *entry = row[k];
                }
            }
        }
        true
    }

    /// Entries of one group of eight right-hand sides: the number of rows, filled up.
    #[inline(always)]
    pub(crate) fn group_length(&self) -> usize {
        EIGHT * panel_count(self.lower.size)
    }

    /// Solves `L x = b` in place for groups of eight right-hand sides, one group after another. `b`: shape
    /// (groups, size filled up to eights, 8), zero beyond the last row. Each panel of the factor is read once for all.
    pub fn solve(&self, b: &mut [Eight]) {
        solve_wide(self, b);
    }

    #[inline(always)]
    pub(crate) fn solve_lanes<L: Lanes>(&self, lanes: L, b: &mut [Eight]) {
        let length = self.group_length();
        for p in 0..panel_count(self.lower.size) {
            let panel = &self.lower.panel(p)[..EIGHT * p];
            let inverse = &self.block_columns[EIGHT * p..][..EIGHT];
            for groups in b.chunks_mut(if L::HAS_MANY_REGISTERS { 2 * length } else { length }) {
                if groups.len() == length {
                    let (known, rest) = groups.split_at_mut(EIGHT * p);
                    subtract_products(lanes, known, panel, &mut rest[..EIGHT]);
                    multiply_block(lanes, inverse, &mut rest[..EIGHT]);
                    continue;
                }
                let (first, second) = groups.split_at_mut(length);
                let (known, rest) = first.split_at_mut(EIGHT * p);
                let (other_known, other_rest) = second.split_at_mut(EIGHT * p);
                let blocks = [&mut rest[..EIGHT], &mut other_rest[..EIGHT]];
                subtract_products_of_two(lanes, [known, other_known], panel, blocks);
                multiply_block(lanes, inverse, &mut rest[..EIGHT]);
                multiply_block(lanes, inverse, &mut other_rest[..EIGHT]);
            }
        }
    }

    /// Solves `Lᵀ x = b` in place, with the shapes of [`Cholesky::solve`].
    pub fn solve_transposed(&self, b: &mut [Eight]) {
        solve_transposed_wide(self, b);
    }

    #[inline(always)]
    pub(crate) fn solve_transposed_lanes<L: Lanes>(&self, lanes: L, b: &mut [Eight]) {
        let length = self.group_length();
        for p in (0..panel_count(self.lower.size)).rev() {
            let panel = &self.lower.panel(p)[..EIGHT * p];
            let inverse = &self.block_rows[EIGHT * p..][..EIGHT];
            for groups in b.chunks_mut(if L::HAS_MANY_REGISTERS { 2 * length } else { length }) {
                if groups.len() == length {
                    let (open, rest) = groups.split_at_mut(EIGHT * p);
                    multiply_block(lanes, inverse, &mut rest[..EIGHT]);
                    subtract_panel_products(lanes, open, panel, &rest[..EIGHT]);
                    continue;
                }
                let (first, second) = groups.split_at_mut(length);
                let (open, rest) = first.split_at_mut(EIGHT * p);
                let (other_open, other_rest) = second.split_at_mut(EIGHT * p);
                multiply_block(lanes, inverse, &mut rest[..EIGHT]);
                multiply_block(lanes, inverse, &mut other_rest[..EIGHT]);
                let blocks = [&rest[..EIGHT], &other_rest[..EIGHT]];
                subtract_panel_products_of_two(lanes, [open, other_open], panel, blocks);
            }
        }
    }

    /// Solves `L x = b` in place for two right-hand sides, shape (size,) each.
    #[inline(always)]
    pub(crate) fn solve_two_lanes<L: Lanes>(&self, lanes: L, b: [&mut [f64]; 2]) {
        let size = self.lower.size;
        let [a, b] = b;
        for p in 0..panel_count(size) {
            let start = EIGHT * p;
            let (panel, block) = self.lower.panel(p).split_at(start);
            let (mut a_sums, mut b_sums) = (lanes.splat(0.0), lanes.splat(0.0));
            for (entries, (x, y)) in panel.iter().zip(a.iter().zip(b.iter())) {
                let entries = lanes.load(entries);
                a_sums = lanes.add_product(a_sums, entries, lanes.splat(*x));
                b_sums = lanes.add_product(b_sums, entries, lanes.splat(*y));
            }
            let mut sums = [[0.0; EIGHT]; 2];
            lanes.store(a_sums, &mut sums[0]);
            lanes.store(b_sums, &mut sums[1]);
            for row in 0..EIGHT.min(size - start) {
                let (mut x, mut y) = (a[start + row] - sums[0][row], b[start + row] - sums[1][row]);
                for column in 0..row {
                    x -= block[column][row] * a[start + column];
                    y -= block[column][row] * b[start + column];
                }
                let reciprocal = self.block_columns[start + row][row];
                a[start + row] = x * reciprocal;
                b[start + row] = y * reciprocal;
            }
        }
    }

    /// Solves `Lᵀ x = b` in place for one right-hand side. `b`: shape (size,).
    pub fn solve_transposed_one(&self, b: &mut [f64]) {
        let size = self.lower.size;
        for p in (0..panel_count(size)).rev() {
            let start = EIGHT * p;
            let (panel, block) = self.lower.panel(p).split_at(start);
            let (open, rest) = b.split_at_mut(start);
            let mut solved = [0.0; EIGHT];
            for row in (0..EIGHT.min(size - start)).rev() {
                let mut x = rest[row];
                for later in row + 1..EIGHT {
                    x -= block[row][later] * solved[later];
                }
                solved[row] = x * self.block_columns[start + row][row];
                rest[row] = solved[row];
            }
            for (target, factors) in open.iter_mut().zip(panel) {
                let mut products = *factors;
                for (product, x) in products.iter_mut().zip(solved) {
                    *product *= x;
                }
                *target -= sum_of_lanes(&products);
            }
        }
    }

    /// Twice the sum of logarithms of the diagonal: ln det(L Lᵀ).
    pub fn log_determinant(&self) -> f64 {
        2.0 * (0..self.lower.size).map(|row| libm::log(self.lower.get(row, row))).sum::<f64>()
    }
}

/// `tile[c] -= Σ_k known_k factors_k[c]` for the eight entries of a tile.
#[inline(always)]
fn subtract_products<L: Lanes>(lanes: L, known: &[Eight], factors: &[Eight], tile: &mut [Eight]) {
    for (target, sum) in tile.iter_mut().zip(panel_products(lanes, known, factors)) {
        lanes.store(lanes.subtract(lanes.load(target), sum), target);
    }
}

/// [`subtract_products`] in two tiles: each factor is read once for both.
#[inline(always)]
fn subtract_products_of_two<L: Lanes>(
    lanes: L,
    known: [&[Eight]; 2],
    factors: &[Eight],
    tiles: [&mut [Eight]; 2],
) {
    let mut sums = [[lanes.splat(0.0); EIGHT]; 2];
    for ((first, second), factors) in known[0].iter().zip(known[1]).zip(factors) {
        let (first, second) = (lanes.load(first), lanes.load(second));
        for (c, factor) in factors.iter().enumerate() {
            let factor = lanes.splat(*factor);
            sums[0][c] = lanes.add_product(sums[0][c], first, factor);
            sums[1][c] = lanes.add_product(sums[1][c], second, factor);
        }
    }
    for (target, sum) in tiles.into_iter().flatten().zip(sums.into_iter().flatten()) {
        lanes.store(lanes.subtract(lanes.load(target), sum), target);
    }
}

/// The eight entries of a tile.
#[inline(always)]
fn loaded<L: Lanes>(lanes: L, tile: &[Eight]) -> [L::Register; EIGHT] {
    let mut registers = [lanes.splat(0.0); EIGHT];
    for (register, entries) in registers.iter_mut().zip(tile) {
        *register = lanes.load(entries);
    }
    registers
}

/// `open_k -= Σ_c solved[c] factors_k[c]` for the eight entries that are solved.
#[inline(always)]
fn subtract_panel_products<L: Lanes>(lanes: L, open: &mut [Eight], factors: &[Eight], solved: &[Eight]) {
    if L::HAS_MANY_REGISTERS {
        let solved = loaded(lanes, solved);
        for (target, factors) in open.iter_mut().zip(factors) {
            let mut rest = lanes.load(target);
            for (factor, other) in factors.iter().zip(solved) {
                rest = lanes.subtract_product(rest, lanes.splat(*factor), other);
            }
            lanes.store(rest, target);
        }
        return;
    }
    for (part, [a, b, c, d]) in solved.as_chunks().0.iter().enumerate() {
        let solved = [lanes.load(a), lanes.load(b), lanes.load(c), lanes.load(d)];
        for (target, factors) in open.iter_mut().zip(factors) {
            let mut rest = lanes.load(target);
            for (factor, other) in half(factors, part).iter().zip(solved) {
                rest = lanes.subtract_product(rest, lanes.splat(*factor), other);
            }
            lanes.store(rest, target);
        }
    }
}

/// [`subtract_panel_products`] for two groups: each factor is read once for both.
#[inline(always)]
fn subtract_panel_products_of_two<L: Lanes>(
    lanes: L,
    open: [&mut [Eight]; 2],
    factors: &[Eight],
    solved: [&[Eight]; 2],
) {
    let (first, second) = (loaded(lanes, solved[0]), loaded(lanes, solved[1]));
    let [open, other_open] = open;
    for ((target, other_target), factors) in open.iter_mut().zip(other_open).zip(factors) {
        let (mut rest, mut other_rest) = (lanes.load(target), lanes.load(other_target));
        for (factor, (one, other)) in factors.iter().zip(first.into_iter().zip(second)) {
            let factor = lanes.splat(*factor);
            rest = lanes.subtract_product(rest, factor, one);
            other_rest = lanes.subtract_product(other_rest, factor, other);
        }
        lanes.store(rest, target);
        lanes.store(other_rest, other_target);
    }
}

/// `block = D block` for an 8 by 8 matrix `D`, given by columns.
#[inline(always)]
fn multiply_block<L: Lanes>(lanes: L, columns: &[Eight], block: &mut [Eight]) {
    let products = panel_products(lanes, block, columns);
    for (target, product) in block.iter_mut().zip(products) {
        lanes.store(product, target);
    }
}

/// Cholesky factor of an 8 by 8 block, in place, by columns.
#[inline(always)]
fn factorise_block<L: Lanes>(lanes: L, block: &mut [Eight], pivot_min: f64) -> bool {
    for column in 0..EIGHT {
        let mut pivot = block[column][column];
        if pivot_min > 0.0 && pivot < pivot_min {
            pivot = pivot_min;
        }
        // Also catches NaN.
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        let root = pivot.sqrt();
        let (finished, open) = block.split_at_mut(column + 1);
        let current = &mut finished[column];
        lanes.store(lanes.multiply(lanes.load(current), lanes.splat(1.0 / root)), current);
        current[..column].fill(0.0);
        current[column] = root;
        let scaled = lanes.load(current);
        for (later, target) in open.iter_mut().enumerate() {
            let factor = lanes.splat(current[column + 1 + later]);
            lanes.store(lanes.subtract_product(lanes.load(target), factor, scaled), target);
        }
    }
    true
}

/// Inverse of a lower-triangular 8 by 8 block, which is given by columns; the result is by rows.
#[inline(always)]
fn invert_block<L: Lanes>(lanes: L, block: &[Eight], rows: &mut [Eight]) {
    let mut solved = [lanes.splat(0.0); EIGHT];
    for row in 0..EIGHT {
        let mut unit = [0.0; EIGHT];
        unit[row] = 1.0;
        let mut rest = lanes.load(&unit);
        for earlier in 0..row {
            rest = lanes.subtract_product(rest, lanes.splat(block[earlier][row]), solved[earlier]);
        }
        solved[row] = lanes.multiply(rest, lanes.splat(1.0 / block[row][row]));
        lanes.store(solved[row], &mut rows[row]);
    }
}

/// The inverse `L⁻¹` of a factor, in panels of eight columns.
#[derive(Clone, Debug, Default)]
pub struct InverseFactor {
    size: usize,
    /// Panel `p` has as many entries as there are rows from `8 p` on, filled up; entry `k` holds row `8 p + k` of
    /// columns `8 p .. 8 p + 8`.
    panels: Vec<Eight>,
}

impl InverseFactor {
    /// Becomes the inverse of a factor. About n³/3 operations.
    pub fn invert(&mut self, factor: &Cholesky) {
        invert_wide(factor, self);
    }

    #[inline(always)]
    pub(crate) fn invert_here<L: Lanes>(&mut self, lanes: L, factor: &Cholesky) {
        self.size = factor.lower.size;
        let count = panel_count(self.size);
        self.panels.resize(EIGHT / 2 * count * (count + 1), [0.0; EIGHT]);
        let mut rest: &mut [Eight] = &mut self.panels;
        for p in 0..count {
            let (columns, others) = rest.split_at_mut(EIGHT * (count - p));
            rest = others;
            columns[..EIGHT].copy_from_slice(&factor.block_rows[EIGHT * p..][..EIGHT]);
            for row in p + 1..count {
                let (known, tile) = columns.split_at_mut(EIGHT * (row - p));
                let tile = &mut tile[..EIGHT];
                tile.fill([0.0; EIGHT]);
                subtract_products(lanes, known, &factor.lower.panel(row)[EIGHT * p..EIGHT * row], tile);
                multiply_block(lanes, &factor.block_columns[EIGHT * row..][..EIGHT], tile);
            }
        }
    }

    /// Panel `index`: shape (rows from `8 index` on, 8).
    #[inline(always)]
    fn panel(&self, index: usize) -> &[Eight] {
        let count = panel_count(self.size);
        let length = EIGHT * (count - index);
        let start = EIGHT / 2 * (count * (count + 1) - (count - index) * (count - index + 1));
        &self.panels[start..][..length]
    }

    /// Eight columns of `L⁻ᵀ L⁻¹`, the inverse of the factorised matrix: rows `8 row ..`, columns `8 column ..`, for panels
    /// `row >= column`.
    #[inline(always)]
    pub(crate) fn gram<L: Lanes>(&self, lanes: L, row: usize, column: usize) -> [L::Register; EIGHT] {
        panel_products(lanes, self.panel(row), &self.panel(column)[EIGHT * (row - column)..])
    }

    /// `L⁻ᵀ v`. `v`: shape (size,).
    #[inline(always)]
    pub(crate) fn multiply_transposed<L: Lanes>(&self, lanes: L, v: &[f64]) -> Vec<f64> {
        let mut product = Vec::with_capacity(EIGHT * panel_count(self.size));
        for p in 0..panel_count(self.size) {
            let mut sums = lanes.splat(0.0);
            for (entries, factor) in self.panel(p).iter().zip(&v[EIGHT * p..]) {
                sums = lanes.add_product(sums, lanes.load(entries), lanes.splat(*factor));
            }
            let mut eight = [0.0; EIGHT];
            lanes.store(sums, &mut eight);
            product.extend_from_slice(&eight);
        }
        product.truncate(self.size);
        product
    }
}

/// Sum of products. Both slices have the same length.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    let mut sums = [0.0; EIGHT];
    let (a_chunks, a_rest) = a.as_chunks::<EIGHT>();
    let (b_chunks, b_rest) = b.as_chunks::<EIGHT>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..EIGHT {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let mut sum = sum_of_lanes(&sums);
    for (x, y) in a_rest.iter().zip(b_rest) {
        sum += x * y;
    }
    sum
}

/// `target += factor * row`. Both slices have the same length.
pub fn add_scaled(target: &mut [f64], factor: f64, row: &[f64]) {
    debug_assert_eq!(target.len(), row.len());
    for (value, other) in target.iter_mut().zip(row) {
        *value += factor * other;
    }
}

#[cfg(test)]
#[expect(clippy::needless_range_loop, reason = "indices as in the formulas")]
mod tests {
    use super::*;
    use crate::generator::Generator;
    use crate::vectorised::Portable;

    const SIZES: [usize; 12] = [1, 2, 3, 7, 8, 9, 15, 16, 33, 64, 70, 101];

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
        let mut triangle = LowerTriangle::identity(matrix.len());
        for (i, row) in matrix.iter().enumerate() {
            for j in 0..=i {
                triangle.set(i, j, row[j]);
            }
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
        for size in SIZES {
            let matrix = random_covariance(size, &mut generator);
            let factor = Cholesky::of(lower(&matrix)).expect("positive definite");
            for i in 0..size {
                for j in 0..=i {
                    let product: f64 =
                        (0..=j).map(|k| factor.lower().get(i, k) * factor.lower().get(j, k)).sum();
                    assert_close(product, matrix[i][j], 1e-11);
                }
            }
        }
    }

    #[test]
    fn solves_agree_with_substitution() {
        let mut generator = Generator::new(2);
        for size in SIZES {
            let factor =
                Cholesky::of(lower(&random_covariance(size, &mut generator))).expect("positive definite");
            let l = |i: usize, j: usize| factor.lower().get(i, j);
            let mut b = vec![[0.0; EIGHT]; EIGHT * panel_count(size)];
            b[..size].iter_mut().for_each(|row| row.iter_mut().for_each(|x| *x = generator.normal()));
            let (mut forward, mut backward) = (b.clone(), b.clone());
            factor.solve(&mut forward);
            factor.solve_transposed(&mut backward);
            let column = |lane: usize| b[..size].iter().map(|row| row[lane]).collect::<Vec<f64>>();
            let (mut first, mut second, mut third) = (column(0), column(1), column(2));
            factor.solve_two_lanes(Portable, [&mut first, &mut second]);
            factor.solve_transposed_one(&mut third);
            for lane in 0..EIGHT {
                let mut x = column(lane);
                for i in 0..size {
                    let sum: f64 = (0..i).map(|k| l(i, k) * x[k]).sum();
                    x[i] = (x[i] - sum) / l(i, i);
                    assert_close(forward[i][lane], x[i], 1e-9);
                    match lane {
                        0 => assert_close(first[i], x[i], 1e-9),
                        1 => assert_close(second[i], x[i], 1e-9),
                        _ => {}
                    }
                }
                let mut x = column(lane);
                for i in (0..size).rev() {
                    let sum: f64 = (i + 1..size).map(|k| l(k, i) * x[k]).sum();
                    x[i] = (x[i] - sum) / l(i, i);
                    assert_close(backward[i][lane], x[i], 1e-9);
                    if lane == 2 {
                        assert_close(third[i], x[i], 1e-9);
                    }
                }
            }
        }
    }

    #[test]
    fn inverse_of_the_factor_and_of_the_matrix() {
        let mut generator = Generator::new(3);
        let mut inverse = InverseFactor::default();
        for size in SIZES.into_iter().rev() {
            let matrix = random_covariance(size, &mut generator);
            let factor = Cholesky::of(lower(&matrix)).expect("positive definite");
            inverse.invert(&factor);
            let mut full = vec![vec![0.0; size]; size];
            for row in 0..panel_count(size) {
                for column in 0..=row {
                    for (c, entries) in inverse.gram(Portable, row, column).into_iter().enumerate() {
                        let (i, j) = (EIGHT * row, EIGHT * column + c);
                        for (r, value) in entries.iter().enumerate() {
                            if i + r < size && j < size {
                                full[i + r][j] = *value;
                                full[j][i + r] = *value;
                            }
                        }
                    }
                }
            }
            for i in 0..size {
                for j in 0..size {
                    let product: f64 = (0..size).map(|k| matrix[i][k] * full[k][j]).sum();
                    assert_close(product, if i == j { 1.0 } else { 0.0 }, 1e-8);
                }
            }
            let v: Vec<f64> = (0..size).map(|_| generator.normal()).collect();
            let mut expected = v.clone();
            factor.solve_transposed_one(&mut expected);
            for (found, expected) in inverse.multiply_transposed(Portable, &v).into_iter().zip(expected) {
                assert_close(found, expected, 1e-9);
            }
        }
    }

    #[test]
    fn all_vectors_and_added_rows_give_the_same_bits() {
        let mut generator = Generator::new(4);
        for size in SIZES {
            let matrix = random_covariance(size, &mut generator);
            let whole = Cholesky::of(lower(&matrix)).expect("positive definite");
            let b: Vec<Eight> = (0..3 * EIGHT * panel_count(size))
                .map(|_| std::array::from_fn(|_| generator.normal()))
                .collect();
            let mut solved = b.clone();
            whole.solve(&mut solved);
            whole.solve_transposed(&mut solved);
            for (together, alone) in
                solved.chunks(EIGHT * panel_count(size)).zip(b.chunks(EIGHT * panel_count(size)))
            {
                let mut alone = alone.to_vec();
                whole.solve(&mut alone);
                whole.solve_transposed(&mut alone);
                assert_eq!(together, alone);
            }
            let mut inverse = InverseFactor::default();
            inverse.invert(&whole);
            assert_same_bits(Portable, &matrix, (&whole, &inverse), (&b, &solved));
            #[cfg(target_arch = "x86_64")]
            {
                if let Some(lanes) = pulp::x86::V3::try_new() {
                    assert_same_bits(lanes, &matrix, (&whole, &inverse), (&b, &solved));
                }
                if let Some(lanes) = pulp::x86::V4::try_new() {
                    assert_same_bits(lanes, &matrix, (&whole, &inverse), (&b, &solved));
                }
            }
            for kept in [0, 1, size / 2, size - 1] {
                let mut grown = Cholesky::of(lower(&matrix[..kept])).expect("positive definite");
                grown.lower.resize(size);
                let first = kept / EIGHT * EIGHT;
                for i in first..size {
                    for j in 0..=i {
                        grown.lower.set(i, j, matrix[i][j]);
                    }
                }
                for i in first..kept {
                    for j in i + 1..(first + EIGHT).min(size) {
                        grown.lower.panel_mut(i / EIGHT)[j][i % EIGHT] = 0.0;
                    }
                }
                assert!(grown.factorise(kept, 0.0));
                assert_eq!(grown, whole);
            }
        }
    }

    fn assert_same_bits<L: Lanes>(
        lanes: L,
        matrix: &[Vec<f64>],
        (factor, inverse): (&Cholesky, &InverseFactor),
        (sides, solved): (&[Eight], &[Eight]),
    ) {
        let mut found = Cholesky { lower: lower(matrix), ..Cholesky::default() };
        assert!(found.factorise_here(lanes, 0, 0.0));
        assert_eq!(&found, factor);
        let mut work = sides.to_vec();
        factor.solve_lanes(lanes, &mut work);
        factor.solve_transposed_lanes(lanes, &mut work);
        assert_eq!(work, solved);
        let mut found = InverseFactor::default();
        found.invert_here(lanes, factor);
        assert_eq!(found.panels, inverse.panels);
    }

    #[test]
    fn log_determinant_of_a_known_matrix() {
        // [[4, 2], [2, 5]]: determinant 16.
        let factor = Cholesky::of(lower(&[vec![4.0, 2.0], vec![2.0, 5.0]])).expect("positive definite");
        assert_close(factor.log_determinant(), libm::log(16.0), 1e-15);
    }

    #[test]
    fn indefinite_and_not_finite_matrices_are_refused() {
        assert!(Cholesky::of(lower(&[vec![1.0, 2.0], vec![2.0, 1.0]])).is_none());
        assert!(Cholesky::of(lower(&[vec![f64::NAN]])).is_none());
    }

    #[test]
    fn small_pivots_are_raised_on_request() {
        let mut factor = Cholesky { lower: lower(&[vec![1.0, 1.0], vec![1.0, 1.0]]), ..Cholesky::default() };
        assert!(factor.factorise(0, 1e-6));
        assert_close(factor.lower().get(1, 1), 1e-3, 1e-12);
    }
}
