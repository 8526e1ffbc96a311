//! The two densities of a group: of its good trials, and of all others.

use crate::bandwidth::widths;
use crate::estimator::Estimator;
use crate::groups::Group;
use crate::history::Told;
use crate::ranking::Ranking;

/// Of the trials that are not good, the best so many each have a kernel.
const NEAR_COUNT: usize = 256;
/// Of those behind them so many have one, spread evenly, and stand for all.
const FAR_COUNT: usize = 256;
/// Of the trials under way, the latest so many have one each.
const UNFINISHED_COUNT_MAX: usize = 256;

/// Two densities over the rows of one group.
#[derive(Clone, Debug)]
pub(crate) struct Densities {
    good: Estimator,
    other: Estimator,
}

impl Densities {
    /// `rows`: of the encoding, one for each trial told. `good_count`: how many trials are good, if so many can be.
    /// `unfinished`: rows of the encoding of trials without a result in which the group is active; they are not good.
    pub(crate) fn new(
        group: &Group,
        ranking: &Ranking,
        told: &[Told],
        rows: &[Vec<f64>],
        good_count: usize,
        unfinished: &[&[f64]],
    ) -> Self {
        let (good, others) = ranking.split(told, good_count, NEAR_COUNT);
        let places = |row: &[f64]| group.columns.iter().map(|column| row[*column]).collect::<Vec<f64>>();
        let good_rows: Vec<Vec<f64>> = good.iter().map(|index| places(&rows[*index])).collect();
        let good_weights: Vec<f64> = rank_weights(good_rows.len());
        let (mut other_rows, mut other_weights) = (Vec::new(), Vec::new());
        for (index, weight) in thinned(&others) {
            other_rows.push(places(&rows[index]));
            other_weights.push(weight);
        }
        for row in unfinished.iter().rev().take(UNFINISHED_COUNT_MAX) {
            other_rows.push(places(row));
            other_weights.push(1.0);
        }
        let observation_count = ranking.len() + unfinished.len();
        let widths = widths(&group.axes, &good_rows, &good_weights, observation_count);
        Self {
            good: Estimator::new(&group.axes, &good_rows, &good_weights, &widths),
            other: Estimator::new(&group.axes, &other_rows, &other_weights, &widths),
        }
    }

    /// The density from which candidates are drawn.
    pub(crate) fn good(&self) -> &Estimator {
        &self.good
    }

    /// Natural logarithm of the ratio of the good density to the other at a row of places; larger is better.
    /// Source: Bergstra et al. 2011, section 4.1: the expected improvement grows with it.
    pub(crate) fn log_ratio(&self, group: &Group, places: &[f64], scratch: &mut Vec<f64>) -> f64 {
        self.good.log_density(&group.axes, places, scratch)
            - self.other.log_density(&group.axes, places, scratch)
    }
}

/// Weights of the good, best first: in a line, the best nearly 2 and the last nearly 0, their mean 1.
fn rank_weights(count: usize) -> Vec<f64> {
    (0..count).map(|rank| 2.0 * (count - rank) as f64 / (count + 1) as f64).collect()
}

/// Which trials have a kernel, and for how many it stands. The best stand for themselves: they lie where candidates do, and
/// decide between them. Of the others a fair sample does.
fn thinned(others: &[usize]) -> impl Iterator<Item = (usize, f64)> {
    let (near, rest) = others.split_at(NEAR_COUNT.min(others.len()));
    let count = FAR_COUNT.min(rest.len());
    let weight = rest.len() as f64 / count.max(1) as f64;
    let far = (0..count).map(move |place| (rest[(2 * place + 1) * rest.len() / (2 * count)], weight));
    near.iter().map(|index| (*index, 1.0)).chain(far)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_the_good_fall_with_their_rank() {
        for count in [1, 2, 25] {
            let weights = rank_weights(count);
            assert!((weights.iter().sum::<f64>() - count as f64).abs() < 1e-12, "{weights:?}");
            assert!(weights.is_sorted_by(|a, b| a > b) && weights[count - 1] > 0.0);
        }
        assert!(rank_weights(0).is_empty());
    }

    #[test]
    fn those_with_a_kernel_stand_for_all() {
        for count in [0, 1, NEAR_COUNT, NEAR_COUNT + 1, NEAR_COUNT + FAR_COUNT, 700, 10_000] {
            let others: Vec<usize> = (0..count).collect();
            let chosen: Vec<(usize, f64)> = thinned(&others).collect();
            assert_eq!(chosen.len(), count.min(NEAR_COUNT + FAR_COUNT));
            assert!(chosen.is_sorted_by(|a, b| a.0 < b.0), "each once");
            assert!((chosen.iter().map(|(_, weight)| weight).sum::<f64>() - count as f64).abs() < 1e-6);
            assert!(chosen.iter().take(NEAR_COUNT).enumerate().all(|(i, pair)| *pair == (i, 1.0)));
        }
    }
}
