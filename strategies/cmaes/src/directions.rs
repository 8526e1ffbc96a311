//! The directions of samples, before the distribution gives them its shape: normal ones in pairs of opposites, as many pairs
//! at right angles to each other as there are coordinates. They cover what is around the mean more evenly than independent
//! ones, each by itself is as normal as those, and a few of them say more.
//!
//! Source: Wang, Emmerich and Bäck 2019, "Mirrored Orthogonal Sampling for Covariance Matrix Adaptation Evolution
//! Strategies", Evolutionary Computation 27. They select one of each pair, so that the step size does not fall when ranks
//! are chance; here all samples are ranked, and it falls: see the README for what that is worth.

use crate::normal;
use ansatz_core::rng::Rng;
use serde::{Deserialize, Serialize};

/// A direction of which less than this share is left beside the others stays as it was drawn.
const SHARE_MIN: f64 = 1e-6;
/// No more pairs than this are drawn at once: the effort grows with the third power.
const PAIR_COUNT_MAX: usize = 64;

/// What is left of the directions that were drawn together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Directions {
    /// Each of shape (n,); the next one is the last.
    left: Vec<Vec<f64>>,
}

impl Directions {
    /// Another generation begins: what is left of the last one is dropped.
    pub(crate) fn renew(&mut self) {
        self.left.clear();
    }

    /// The next one, of shape (n,), where a generation has `population_size`.
    pub(crate) fn draw(&mut self, n: usize, population_size: usize, rng: &mut Rng) -> Vec<f64> {
        if self.left.is_empty() {
            let pairs = orthogonal(n, n.min(population_size.div_ceil(2)).clamp(1, PAIR_COUNT_MAX), rng);
            self.left = pairs.into_iter().flat_map(|row| [row.iter().map(|z| -z).collect(), row]).collect();
        }
        self.left.pop().unwrap_or_default()
    }

    /// Whether a state that was read is one of `n` coordinates.
    pub(crate) fn is_sound(&self, n: usize) -> bool {
        self.left.iter().all(|row| row.len() == n && row.iter().all(|z| z.is_finite()))
    }
}

/// `count` normal rows of shape (n,) with lengths as they were drawn, made orthogonal one after the other (Gram and
/// Schmidt).
fn orthogonal(n: usize, count: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(count);
    for _ in 0..count {
        let drawn = normal::draw(n, rng);
        let mut free = drawn.clone();
        for known in &rows {
            let share = dot(known, &free) / dot(known, known);
            free.iter_mut().zip(known).for_each(|(part, other)| *part -= share * other);
        }
        let (length, left) = (dot(&drawn, &drawn).sqrt(), dot(&free, &free).sqrt());
        if left > SHARE_MIN * length {
            free.iter_mut().for_each(|part| *part *= length / left);
            rows.push(free);
        } else {
            rows.push(drawn);
        }
    }
    rows
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opposites_come_together_and_the_pairs_are_at_right_angles() {
        let mut rng = Rng::new(1);
        let mut directions = Directions::default();
        let drawn: Vec<Vec<f64>> = (0..8).map(|_| directions.draw(6, 8, &mut rng)).collect();
        for (k, pair) in drawn.chunks_exact(2).enumerate() {
            assert!(pair[0].iter().zip(&pair[1]).all(|(a, b)| *a == -b));
            for other in drawn.iter().skip(2 * k + 2) {
                assert!(dot(&pair[0], other).abs() < 1e-12);
            }
        }
        assert_eq!(directions, Directions::default(), "a generation takes all of them");
        directions.draw(6, 8, &mut rng);
        assert!(directions.left.len() == 7 && directions.is_sound(6) && !directions.is_sound(5));
        directions.renew();
        assert_eq!(directions, Directions::default());
        assert_eq!(directions.draw(0, 4, &mut rng), Vec::<f64>::new());
    }

    #[test]
    fn each_direction_is_normal() {
        let mut rng = Rng::new(2);
        let mut directions = Directions::default();
        let rows: Vec<Vec<f64>> = (0..30_000).map(|_| directions.draw(3, 7, &mut rng)).collect();
        for j in 0..3 {
            let moment =
                |power: i32| rows.iter().map(|row| row[j].powi(power)).sum::<f64>() / rows.len() as f64;
            // beyond four standard errors of independent ones; opposites have the same square
            assert!(moment(1).abs() < 0.023, "{}", moment(1));
            assert!((moment(2) - 1.0).abs() < 0.047, "{}", moment(2));
            assert!((moment(4) - 3.0).abs() < 0.33, "{}", moment(4));
        }
    }
}
