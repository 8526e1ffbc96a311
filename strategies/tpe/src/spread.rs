//! Of trials that no other of them dominates, those that together dominate the most.

use ansatz_surrogate::{hypervolume, reference_point};

use crate::history::{Lesson, Told};

/// Front points beyond this many are thinned by their crowding before hypervolumes are compared.
const POOL_MAX: usize = 128;
/// More metrics than this are told apart by crowding alone.
const METRIC_COUNT_MAX: usize = 4;

/// Brings the best `count` of mutually non-dominated trials to the front of `ties`.
///
/// Greedily by the hypervolume that each adds to those before (Guerreiro, Fonseca and Paquete 2016), measured in ranges of
/// the metrics; with many metrics by crowding distance (Deb, Pratap, Agarwal and Meyarivan 2002).
pub(crate) fn select(told: &[Told], ties: &mut Vec<usize>, count: usize) {
    if count >= ties.len() {
        return;
    }
    let losses = |index: usize| match &told[index].lesson {
        Lesson::Measured { losses, .. } => losses.as_slice(),
        Lesson::Partial { .. } | Lesson::Bad => &[],
    };
    let rows: Vec<&[f64]> = ties.iter().map(|index| losses(*index)).collect();
    let metric_count = rows.first().map_or(0, |row| row.len());
    let pool_count = POOL_MAX.max(2 * count).min(ties.len());
    let by_crowding = crowded_last(&rows);
    let mut pool: Vec<usize> = by_crowding[..pool_count].to_vec();
    if metric_count <= METRIC_COUNT_MAX {
        let greedy = greedy_volume(&rows, &pool, count);
        let rest: Vec<usize> = pool.iter().copied().filter(|place| !greedy.contains(place)).collect();
        pool = [greedy, rest].concat();
    }
    let order = pool.iter().chain(&by_crowding[pool_count..]);
    *ties = order.map(|place| ties[*place]).collect();
}

/// Places in `rows`, those with the most room around them first.
fn crowded_last(rows: &[&[f64]]) -> Vec<usize> {
    let metric_count = rows.first().map_or(0, |row| row.len());
    let mut distances = vec![0.0; rows.len()];
    for metric in 0..metric_count {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| rows[*a][metric].total_cmp(&rows[*b][metric]).then(a.cmp(b)));
        let (first, last) = (order[0], order[order.len() - 1]);
        let range = rows[last][metric] - rows[first][metric];
        distances[first] = f64::INFINITY;
        distances[last] = f64::INFINITY;
        if range > 0.0 && range.is_finite() {
            for window in order.windows(3) {
                distances[window[1]] += (rows[window[2]][metric] - rows[window[0]][metric]) / range;
            }
        }
    }
    let mut places: Vec<usize> = (0..rows.len()).collect();
    places.sort_by(|a, b| distances[*b].total_cmp(&distances[*a]).then(a.cmp(b)));
    places
}

/// `count` places of the pool, each of which adds the most volume to those before. What a place adds never grows, so that
/// the last known volumes say which places need not be looked at again.
fn greedy_volume(rows: &[&[f64]], pool: &[usize], count: usize) -> Vec<usize> {
    let points: Vec<&[f64]> = pool.iter().map(|place| rows[*place]).collect();
    let Some(reference) = reference_point(&points, &points) else { return Vec::new() };
    // In units of the distance to the reference, lest tiny or huge metrics leave the range of numbers.
    let lowest: Vec<f64> = (0..reference.len())
        .map(|metric| points.iter().map(|point| point[metric]).fold(f64::INFINITY, f64::min))
        .collect();
    let scaled: Vec<Vec<f64>> = points
        .iter()
        .map(|point| {
            (point.iter().zip(&lowest).zip(&reference))
                .map(|((loss, low), high)| (loss - low) / (high - low).max(f64::MIN_POSITIVE))
                .collect()
        })
        .collect();
    let ones = vec![1.0; reference.len()];
    let mut bounds = vec![f64::INFINITY; pool.len()];
    let mut chosen: Vec<usize> = Vec::with_capacity(count);
    let mut total = 0.0;
    while chosen.len() < count.min(pool.len()) {
        let mut order: Vec<usize> = (0..pool.len()).filter(|place| !chosen.contains(place)).collect();
        order.sort_by(|a, b| bounds[*b].total_cmp(&bounds[*a]).then(a.cmp(b)));
        let mut best: Option<(f64, usize)> = None;
        for place in order {
            if best.is_some_and(|(gain, _)| gain >= bounds[place]) {
                break;
            }
            let with: Vec<&[f64]> = chosen.iter().chain([&place]).map(|i| scaled[*i].as_slice()).collect();
            bounds[place] = hypervolume(&with, &ones) - total;
            if best.is_none_or(|(gain, _)| bounds[place] > gain) {
                best = Some((bounds[place], place));
            }
        }
        let Some((gain, place)) = best else { break };
        total += gain;
        chosen.push(place);
    }
    chosen.into_iter().map(|place| pool[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Point;

    fn front(metric_count: usize, count: usize) -> Vec<Told> {
        (0..count)
            .map(|index| {
                // A corner of the sphere, unevenly covered: most points lie near one end.
                let share = (index as f64 / (count - 1) as f64).powi(3);
                let mut losses = vec![share.sqrt(), (1.0 - share).sqrt()];
                losses.extend((2..metric_count).map(|metric| ((index * (metric + 3)) % count) as f64));
                let lesson = Lesson::Measured { losses, excesses: vec![] };
                Told { point: Point::from_flat(&[index as f64]), lesson }
            })
            .collect()
    }

    /// Of every choice of three, the greedy one has nearly the largest volume: more than 1 - 1/e of it is certain.
    #[test]
    fn the_chosen_dominate_nearly_as_much_as_any() {
        let told = front(2, 12);
        let losses = |index: usize| match &told[index].lesson {
            Lesson::Measured { losses, .. } => losses.clone(),
            _ => unreachable!(),
        };
        let mut ties: Vec<usize> = (0..12).collect();
        select(&told, &mut ties, 3);
        let all: Vec<Vec<f64>> = (0..12).map(losses).collect();
        let reference = reference_point(&all, &all).unwrap();
        let volume = |chosen: &[usize]| {
            hypervolume(&chosen.iter().map(|i| losses(*i)).collect::<Vec<_>>(), &reference)
        };
        let mut best = 0.0_f64;
        for a in 0..12 {
            for b in 0..a {
                for c in 0..b {
                    best = best.max(volume(&[a, b, c]));
                }
            }
        }
        assert!(volume(&ties[..3]) > 0.95 * best, "{} of {best}", volume(&ties[..3]));
        ties.sort_unstable();
        assert_eq!(ties, (0..12).collect::<Vec<_>>(), "nothing is lost");
    }

    #[test]
    fn large_fronts_and_many_metrics_are_thinned_evenly() {
        for (metric_count, count) in [(2, 400), (6, 40)] {
            let told = front(metric_count, count);
            let mut ties: Vec<usize> = (0..count).collect();
            select(&told, &mut ties, 10);
            let first: Vec<f64> = ties[..10]
                .iter()
                .map(|index| match &told[*index].lesson {
                    Lesson::Measured { losses, .. } => losses[0],
                    _ => unreachable!(),
                })
                .collect();
            let (least, most) = first.iter().fold((1.0_f64, 0.0_f64), |(a, b), x| (a.min(*x), b.max(*x)));
            assert!(least < 0.25 && most > 0.9, "{metric_count} metrics: {first:?}");
        }
    }

    /// Equal losses, constant ones, and such that leave the range of numbers when multiplied.
    #[test]
    fn odd_losses_are_chosen_from_all_the_same() {
        for rows in [[[1.0, 1.0]; 5], [[1e300, -1e300]; 5], [[0.0, 5e-324]; 5]] {
            let told: Vec<Told> = rows
                .iter()
                .map(|row| Told {
                    point: Point::from_flat(&[0.0]),
                    lesson: Lesson::Measured { losses: row.to_vec(), excesses: vec![] },
                })
                .collect();
            let mut ties: Vec<usize> = (0..5).collect();
            select(&told, &mut ties, 2);
            ties.sort_unstable();
            assert_eq!(ties, [0, 1, 2, 3, 4]);
        }
    }
}
