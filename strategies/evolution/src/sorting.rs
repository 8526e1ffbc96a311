//! Fronts of what does not dominate each other, and how much room each has in its front.

use std::cmp::Ordering;

/// Whether `a` dominates `b`: nowhere larger and somewhere smaller.
pub(crate) fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut is_smaller = false;
    for (a, b) in a.iter().zip(b) {
        if a > b {
            return false;
        }
        is_smaller |= a < b;
    }
    is_smaller
}

/// The front of each of the losses, counted from 0: none in a front dominates another, and each of a later front is dominated
/// by one of the front before.
///
/// Source: Zhang, Tian, Cheng and Jin 2015, "An Efficient Approach to Nondominated Sorting", ENS with sequential search:
/// in lexicographic order nobody is dominated by who comes later, so each finds its place among those before.
pub(crate) fn ranks(losses: &[&[f64]]) -> Vec<usize> {
    let lexicographic = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|&a, &b| lexicographic(losses[a], losses[b]));
    let mut fronts: Vec<Vec<usize>> = Vec::new();
    let mut ranks = vec![0; losses.len()];
    for index in order {
        // the latest of a front are the likeliest to dominate
        let is_free =
            |front: &Vec<usize>| !front.iter().rev().any(|&other| dominates(losses[other], losses[index]));
        let rank = fronts.iter().position(is_free).unwrap_or(fronts.len());
        if rank == fronts.len() {
            fronts.push(Vec::new());
        }
        fronts[rank].push(index);
        ranks[index] = rank;
    }
    ranks
}

/// The crowding distance of each member of a front: the sum over the metrics of the distance of its two neighbours, as a
/// share of the front's range; infinite at the ends.
///
/// Source: Deb, Pratap, Agarwal and Meyarivan 2002, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II",
/// section III B.
pub(crate) fn crowding(front: &[&[f64]]) -> Vec<f64> {
    let mut distances = vec![0.0; front.len()];
    let mut order: Vec<usize> = (0..front.len()).collect();
    let metric_count = front.first().map_or(0, |losses| losses.len());
    for metric in 0..metric_count {
        // halves: the range of what fits into a number may not
        let halves: Vec<f64> = front.iter().map(|losses| 0.5 * losses[metric]).collect();
        order.sort_by(|&a, &b| halves[a].total_cmp(&halves[b]).then(a.cmp(&b)));
        let (first, last) = (order[0], order[order.len() - 1]);
        let range = halves[last] - halves[first];
        distances[first] = f64::INFINITY;
        distances[last] = f64::INFINITY;
        if range > 0.0 {
            for neighbours in order.windows(3) {
                distances[neighbours[1]] += (halves[neighbours[2]] - halves[neighbours[0]]) / range;
            }
        }
    }
    distances
}
