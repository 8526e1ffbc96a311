//! Owen-scrambled Sobol sequences, any row at once and in any order.

use sobol_burley::{NUM_DIMENSIONS, sample, sample_4d};

/// Rows of one sequence that fill the cube together: 2^16. Row 2^16 begins a sequence with a scramble of its
/// own, which knows nothing of the first.
pub const SEQUENCE_LENGTH: u64 = 1 << 16;

/// Dimensions that fill the cube together: 256. Dimension 256 begins a group with a scramble of its own; pairs
/// of dimensions from different groups are as random points are.
pub const DIMENSION_MAX: usize = NUM_DIMENSIONS as usize;

/// Rows that [`Sobol::first_of`] looks at.
const SKIP_MAX: usize = 1000;

/// A scrambled Sobol sequence: the `index`-th row is a function of index and seed alone.
///
/// Of every aligned block of 2^k rows (k up to 16), each of the 2^k equal intervals of every dimension holds
/// exactly one. The scramble makes each row uniform by itself, and integration errors smaller than without.
///
/// Sources: Joe and Kuo 2008, "Constructing Sobol sequences with better two-dimensional projections" (direction
/// numbers new-joe-kuo-6); Owen 1998, "Scrambling Sobol' and Niederreiter-Xing points"; Burley 2020, "Practical
/// hash-based Owen scrambling" (the hash that replaces Owen's tables, and padding by reseeding).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sobol {
    dimension_count: usize,
    seed: u64,
}

impl Sobol {
    /// Rows of `dimension_count` numbers. Two seeds give sequences that are independent of each other.
    pub fn new(dimension_count: usize, seed: u64) -> Self {
        Self { dimension_count, seed }
    }

    /// The length of each row.
    pub fn dimension_count(&self) -> usize {
        self.dimension_count
    }

    /// Row `index`, shape (dimension_count,), each in [0, 1) and a multiple of 2^-24.
    pub fn row(&self, index: u64) -> Vec<f64> {
        let mut row = vec![0.0; self.dimension_count];
        self.fill(index, &mut row);
        row
    }

    /// Writes the first `row.len()` dimensions of row `index`: as [`Sobol::row`], without allocating. A `row`
    /// longer than `dimension_count` is filled to its end.
    pub fn fill(&self, index: u64, row: &mut [f64]) {
        let sequence = index / SEQUENCE_LENGTH;
        let place = (index % SEQUENCE_LENGTH) as u32;
        for (group, columns) in row.chunks_mut(DIMENSION_MAX).enumerate() {
            let seed = mix(mix(mix(self.seed) ^ sequence) ^ group as u64) as u32;
            let (fours, rest) = columns.as_chunks_mut::<4>();
            for (set, four) in (0..).zip(&mut *fours) {
                *four = sample_4d(place, set, seed).map(f64::from);
            }
            for (dimension, column) in (4 * fours.len() as u32..).zip(rest) {
                *column = f64::from(sample(place, dimension, seed));
            }
        }
    }

    /// What `accept` makes of the first row, from `next` on, of which it makes something; `next` is then the row after it.
    /// `None` if it makes nothing of a thousand rows. For initial designs in which points may be infeasible or known.
    pub fn first_of<T>(&self, next: &mut u64, mut accept: impl FnMut(&[f64]) -> Option<T>) -> Option<T> {
        let mut row = vec![0.0; self.dimension_count];
        for _ in 0..SKIP_MAX {
            self.fill(*next, &mut row);
            *next = next.wrapping_add(1);
            if let Some(found) = accept(&row) {
                return Some(found);
            }
        }
        None
    }

    /// The rows from `first` on, without end.
    pub fn rows_from(&self, first: u64) -> impl Iterator<Item = Vec<f64>> + '_ {
        (first..=u64::MAX).map(|index| self.row(index))
    }
}

/// Row `index` of the sequence with this seed, shape (dimension_count,), each in [0, 1). See [`Sobol`].
pub fn sobol_point(index: u64, dimension_count: usize, seed: u64) -> Vec<f64> {
    Sobol::new(dimension_count, seed).row(index)
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every bit of the input moves every bit of the result.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `rows` fall into each of `cell_count` equal intervals of a dimension.
    fn histogram(rows: &[Vec<f64>], dimension: usize, cell_count: usize) -> Vec<usize> {
        let mut counts = vec![0; cell_count];
        for row in rows {
            counts[(row[dimension] * cell_count as f64) as usize] += 1;
        }
        counts
    }

    #[test]
    fn every_aligned_block_hits_every_interval_once() {
        for (dimension_count, seed) in [(1, 0), (3, 1), (4, 2), (7, u64::MAX), (300, 3)] {
            let sobol = Sobol::new(dimension_count, seed);
            for exponent in 0..=9 {
                let length = 1_usize << exponent;
                for block in
                    [0, 1, 5, SEQUENCE_LENGTH / length as u64, 3 * SEQUENCE_LENGTH / length as u64 + 1]
                {
                    let rows: Vec<_> = sobol.rows_from(block * length as u64).take(length).collect();
                    for dimension in 0..dimension_count {
                        let counts = histogram(&rows, dimension, length);
                        assert!(counts.iter().all(|&count| count == 1), "{dimension} of {rows:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_two_dimensions_are_a_net() {
        // (0, m, 2)-net in base 2: every elementary interval of area 2^-m holds one of the first 2^m rows.
        for seed in 0..20 {
            let rows: Vec<_> = Sobol::new(2, seed).rows_from(0).take(64).collect();
            for split in 0..=6 {
                let (width, height) = (1 << split, 64 >> split);
                let mut counts = vec![0; 64];
                for row in &rows {
                    let (i, j) = ((row[0] * width as f64) as usize, (row[1] * height as f64) as usize);
                    counts[i * height + j] += 1;
                }
                assert_eq!(counts, vec![1; 64], "seed {seed}, {width} by {height}");
            }
        }
    }

    #[test]
    fn rows_are_reproducible_in_any_order_and_by_every_door() {
        let sobol = Sobol::new(6, 42);
        let forward: Vec<_> = sobol.rows_from(0).take(100).collect();
        for index in (0..100).rev() {
            assert_eq!(sobol_point(index, 6, 42), forward[index as usize]);
        }
        // More dimensions do not move the first ones.
        assert_eq!(sobol_point(77, 300, 42)[..6], forward[77]);
        assert!(Sobol::new(0, 1).row(5).is_empty());
        assert_eq!(Sobol::new(2, 1).rows_from(u64::MAX).count(), 1);
    }

    /// A change of these numbers changes every stored study that starts with a Sobol design.
    #[test]
    fn rows_are_the_same_in_every_release() {
        assert_eq!(sobol_point(0, 3, 0), GOLDEN[0]);
        assert_eq!(sobol_point(70_000, 3, 7), GOLDEN[1]);
    }
    const GOLDEN: [[f64; 3]; 2] = [
        [0.140_028_953_552_246_1, 0.299_872_279_167_175_3, 0.699_604_153_633_117_7],
        [0.679_342_627_525_329_6, 0.475_551_366_806_030_3, 0.454_824_328_422_546_4],
    ];

    #[test]
    fn seeds_sequences_and_groups_differ() {
        let rows = [
            sobol_point(0, 4, 0),
            sobol_point(0, 4, 1),
            sobol_point(0, 4, 1 << 32),
            sobol_point(SEQUENCE_LENGTH, 4, 0),
            sobol_point(2 * SEQUENCE_LENGTH, 4, 0),
            sobol_point(0, 260, 0)[DIMENSION_MAX..].to_vec(),
        ];
        for (i, left) in rows.iter().enumerate() {
            assert!(left.iter().all(|value| (0.0..1.0).contains(value)));
            assert!(rows[..i].iter().all(|right| right != left), "{rows:?}");
        }
    }

    #[test]
    fn the_mean_of_a_product_converges_faster_than_at_random() {
        // The integral of the product of 2 x_i over the cube is 1; 4096 random rows have a standard error of
        // sqrt((4/3)^5 - 1) / 64 = 0.028 in five dimensions.
        for seed in 0..10 {
            let total: f64 = (Sobol::new(5, seed).rows_from(0).take(4096))
                .map(|row| row.iter().map(|x| 2.0 * x).product::<f64>())
                .sum();
            assert!((total / 4096.0 - 1.0).abs() < 0.003, "seed {seed}: {}", total / 4096.0);
        }
    }

    #[test]
    fn each_row_by_itself_is_uniform_over_seeds() {
        // Chi-square of 4000 draws in 10 cells: the 99.99 % quantile with 9 degrees of freedom is 33.7.
        for index in [0, 1, 12_345, 1_000_000] {
            let rows: Vec<_> = (0..4000).map(|seed| sobol_point(index, 2, seed)).collect();
            for dimension in 0..2 {
                let chi_square: f64 = (histogram(&rows, dimension, 10).iter())
                    .map(|&count| (count as f64 - 400.0).powi(2) / 400.0)
                    .sum();
                assert!(chi_square < 33.7, "row {index}, dimension {dimension}: {chi_square}");
            }
        }
    }
}
