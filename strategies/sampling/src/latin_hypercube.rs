//! Latin hypercubes, for a design whose length is known beforehand.

use rand::{Rng, RngExt};

/// A Latin hypercube, shape (row_count, dimension_count), each number in [0, 1): of the `row_count` equal
/// intervals of every dimension, each holds exactly one row, at a random place in it. Which rows meet is random.
///
/// Where the length is a power of two or not yet known, [`crate::Sobol`] fills pairs of dimensions better.
///
/// Source: McKay, Beckman and Conover 1979, "A Comparison of Three Methods for Selecting Values of Input
/// Variables in the Analysis of Output from a Computer Code", section 2.
pub fn latin_hypercube(row_count: usize, dimension_count: usize, rng: &mut impl Rng) -> Vec<Vec<f64>> {
    let mut rows = vec![vec![0.0; dimension_count]; row_count];
    let mut cells: Vec<usize> = (0..row_count).collect();
    for dimension in 0..dimension_count {
        // Fisher-Yates.
        for last in (1..row_count).rev() {
            cells.swap(last, rng.random_range(0..=last));
        }
        for (row, &cell) in rows.iter_mut().zip(&cells) {
            let place = (cell as f64 + rng.random::<f64>()) / row_count as f64;
            // Rounding may carry a place near the end of its cell into the next one.
            let end = (cell + 1) as f64 / row_count as f64;
            row[dimension] = if place < end { place } else { end.next_down() };
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn every_interval_of_every_dimension_holds_one_row() {
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for row_count in [0, 1, 2, 5, 64, 97] {
                let rows = latin_hypercube(row_count, 6, &mut rng);
                assert_eq!(rows.len(), row_count);
                for dimension in 0..6 {
                    let mut places: Vec<f64> = rows.iter().map(|row| row[dimension]).collect();
                    places.sort_by(f64::total_cmp);
                    for (cell, place) in places.into_iter().enumerate() {
                        let count = row_count as f64;
                        assert!((cell as f64 / count..(cell + 1) as f64 / count).contains(&place));
                    }
                }
            }
        }
    }

    #[test]
    fn the_generator_alone_decides() {
        let draw = |seed| latin_hypercube(8, 3, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(latin_hypercube(3, 0, &mut ChaCha8Rng::seed_from_u64(1)), vec![Vec::<f64>::new(); 3]);
    }

    #[test]
    fn dimensions_are_not_in_step() {
        // Correlation of 500 rows: 5 standard errors are 5 / sqrt(500) = 0.22.
        let rows = latin_hypercube(500, 4, &mut ChaCha8Rng::seed_from_u64(3));
        for i in 0..4 {
            for j in 0..i {
                let covariance: f64 =
                    rows.iter().map(|row| (row[i] - 0.5) * (row[j] - 0.5)).sum::<f64>() / 500.0;
                assert!((covariance * 12.0).abs() < 0.22, "dimensions {i} and {j}: {covariance}");
            }
        }
    }
}
