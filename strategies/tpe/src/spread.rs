//! Of trials that no other of them dominates, those that together dominate the most or please the most.

use ansatz_sampling::Sobol;
use ansatz_surrogate::{augmented_chebyshev, hypervolume, reference_point, simplex_weights};

use crate::history::{Lesson, Told};

/// More of them are thinned by their crowding before hypervolumes are compared.
const VOLUME_POOL_MAX: usize = 128;
/// With more metrics than this hypervolumes take too long, and preferences are compared.
const VOLUME_METRIC_COUNT_MAX: usize = 4;
/// Of more trials than this, so many evenly spaced ones have their preferences compared.
const PREFERENCE_POOL_MAX: usize = 512;
/// How many weightings of the metrics stand for all of them.
const PREFERENCE_COUNT: usize = 128;

/// Brings the best `count` of mutually non-dominated trials to the front of `ties`.
///
/// Greedily by the hypervolume that each adds to those before (Guerreiro, Fonseca and Paquete 2016), measured in ranges of
/// the metrics. With many metrics by how much each lowers the mean over weightings of the least augmented Chebyshev value,
/// the R2 indicator (Brockhoff, Wagner and Trautmann 2012): crowding, which is as quick, keeps the ends of the front, and with
/// five metrics nearly everything is an end.
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
    let chosen = if metric_count <= VOLUME_METRIC_COUNT_MAX {
        let pool_count = VOLUME_POOL_MAX.max(2 * count).min(rows.len());
        greedy_volume(&rows, &crowded_last(&rows)[..pool_count], count)
    } else {
        let pool_count = PREFERENCE_POOL_MAX.max(count).min(rows.len());
        let pool: Vec<usize> = (0..pool_count).map(|place| place * rows.len() / pool_count).collect();
        greedy_preferences(&rows, &pool, count)
    };
    let mut is_chosen = vec![false; rows.len()];
    chosen.iter().for_each(|place| is_chosen[*place] = true);
    let rest = (0..rows.len()).filter(|place| !is_chosen[*place]);
    *ties = chosen.iter().copied().chain(rest).map(|place| ties[place]).collect();
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
    let Some(reference) = reference_point(&points, &points) else { return pool[..count].to_vec() };
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

/// `count` places of the pool, each of which improves most on what those before offer to all weightings of the metrics.
fn greedy_preferences(rows: &[&[f64]], pool: &[usize], count: usize) -> Vec<usize> {
    let metric_count = rows.first().map_or(0, |row| row.len());
    let extremes = |metric: usize| {
        let losses = pool.iter().map(|place| rows[*place][metric]);
        losses.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| (low.min(loss), high.max(loss)))
    };
    let ranges: Vec<(f64, f64)> = (0..metric_count).map(extremes).collect();
    let sequence = Sobol::new(metric_count.saturating_sub(1), 0);
    let weightings: Vec<Vec<f64>> =
        sequence.rows_from(0).take(PREFERENCE_COUNT).map(|row| simplex_weights(&row)).collect();
    let values: Vec<Vec<f64>> = pool
        .iter()
        .map(|place| {
            // Halved before they are subtracted: the range itself may be infinite.
            let scaled: Vec<f64> = (rows[*place].iter().zip(&ranges))
                .map(|(loss, (low, high))| {
                    (0.5 * loss - 0.5 * low) / (0.5 * high - 0.5 * low).max(f64::MIN_POSITIVE)
                })
                .collect();
            weightings.iter().map(|weights| augmented_chebyshev(&scaled, weights)).collect()
        })
        .collect();
    let mut least = vec![f64::MAX / PREFERENCE_COUNT as f64; PREFERENCE_COUNT];
    let mut is_open = vec![true; pool.len()];
    let mut chosen = Vec::with_capacity(count);
    while chosen.len() < count {
        let mut best: Option<(f64, usize)> = None;
        for place in (0..pool.len()).filter(|place| is_open[*place]) {
            let total: f64 = least.iter().zip(&values[place]).map(|(least, value)| least.min(*value)).sum();
            if best.is_none_or(|(other, _)| total < other) {
                best = Some((total, place));
            }
        }
        let Some((_, place)) = best else { break };
        is_open[place] = false;
        least.iter_mut().zip(&values[place]).for_each(|(least, value)| *least = least.min(*value));
        chosen.push(pool[place]);
    }
    chosen
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
    fn large_fronts_are_thinned_evenly() {
        for (metric_count, count) in [(2, 400), (3, 200)] {
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

    /// Every trial with six metrics but the last two is worst in five of them and best in one; those are good in all.
    #[test]
    fn of_many_metrics_what_is_good_in_all_is_chosen_first() {
        let told: Vec<Told> = (0..8)
            .map(|index| {
                let loss =
                    |metric: usize| if index >= 6 { 0.1 } else { f64::from(u8::from(metric != index)) };
                let losses = (0..6).map(loss).collect();
                let lesson = Lesson::Measured { losses, excesses: vec![] };
                Told { point: Point::from_flat(&[index as f64]), lesson }
            })
            .collect();
        let mut ties: Vec<usize> = (0..8).collect();
        select(&told, &mut ties, 3);
        assert_eq!(ties[0], 6);
        ties.sort_unstable();
        assert_eq!(ties, (0..8).collect::<Vec<_>>(), "nothing is lost");
    }

    /// Equal losses, constant ones, and such that leave the range of numbers when multiplied.
    #[test]
    fn odd_losses_are_chosen_from_all_the_same() {
        let rows_of = |a: f64, b: f64| [vec![a, b], vec![a, b, a, b, a]];
        for row in [(1.0, 1.0), (1e308, -1e308), (0.0, 5e-324)].into_iter().flat_map(|(a, b)| rows_of(a, b)) {
            let rows = vec![row; 5];
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
