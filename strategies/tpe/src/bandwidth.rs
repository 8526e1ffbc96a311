//! How wide kernels are: as wide as the good trials are spread, and narrower with each trial.
//!
//! Both densities of a group have the same widths. A wider one below the ratio would make it largest in the middle of what is
//! known already, and the search would stay there.

use crate::axis::Axis;

/// Width after one trial, in deviations of the good ones.
const FACTOR: f64 = 1.75;
/// Good trials count as spread by this at least, lest a few that happen to agree end the search in their column.
const DEVIATION_MIN: f64 = 0.14;
/// The least width: kernels narrower than this only repeat what is known.
const WIDTH_MIN: f64 = 0.005;
/// The same in cells of a column that has cells: below, a draw is the kernel's own value nearly always.
const WIDTH_MIN_CELLS: f64 = 0.8;

/// One width for each axis, in (0, 1].
///
/// `good_rows`: places in [0, 1], one for each axis; `weights`: one for each row, above 0; `observation_count`: of all
/// trials of the group. The width is `FACTOR max(deviation, DEVIATION_MIN) / sqrt(observation_count)`.
///
/// It falls faster than Scott's rule (1992) for the good trials alone would have it, which with a tenth of a hundred trials
/// stays so wide that nothing is learnt (Watanabe 2023, section 4). Choices have no width; 1 stands for them.
pub(crate) fn widths(
    axes: &[Axis],
    good_rows: &[Vec<f64>],
    weights: &[f64],
    observation_count: usize,
) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    let shrinkage = FACTOR / libm::sqrt(observation_count.max(1) as f64);
    let width = |(column, axis): (usize, &Axis)| {
        let cell_width = match axis {
            Axis::Continuous { level_count } => level_count.map_or(0.0, |count| 1.0 / count as f64),
            Axis::Levels { centres, .. } => 1.0 / centres.len() as f64,
            Axis::Choices { .. } => return 1.0,
        };
        let mean_of = |value: &dyn Fn(f64) -> f64| {
            let terms = good_rows.iter().zip(weights).map(|(row, weight)| value(row[column]) * weight);
            if total > 0.0 { terms.sum::<f64>() / total } else { 0.0 }
        };
        let mean = mean_of(&|place| place);
        let deviation = libm::sqrt(mean_of(&|place| (place - mean) * (place - mean)));
        (shrinkage * deviation.max(DEVIATION_MIN)).max(WIDTH_MIN_CELLS * cell_width).clamp(WIDTH_MIN, 1.0)
    };
    axes.iter().enumerate().map(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: Axis = Axis::Continuous { level_count: None };

    #[test]
    fn widths_follow_the_spread_and_shrink_with_the_root_of_the_count() {
        let rows = [vec![0.0, 0.5], vec![1.0, 0.5]];
        let [at_100, at_400] = [100, 400].map(|count| widths(&[NUMBER, NUMBER], &rows, &[1.0, 1.0], count));
        assert!(
            (at_100[0] - 0.1 * FACTOR * 0.5).abs() < 1e-12
                && (at_100[1] - 0.1 * FACTOR * DEVIATION_MIN).abs() < 1e-12
        );
        assert!(at_100.iter().zip(&at_400).all(|(a, b)| (a / b - 2.0).abs() < 1e-12));
        // All the weight on one row: no spread.
        let weighted = widths(&[NUMBER, NUMBER], &rows, &[1.0, 1e-9], 100);
        assert!((weighted[0] - weighted[1]).abs() < 1e-9, "{weighted:?}");
    }

    #[test]
    fn widths_have_bounds_and_need_no_good_trial() {
        let cells = Axis::Continuous { level_count: Some(50) };
        let axes = [NUMBER, cells, Axis::Choices { count: 3 }];
        assert_eq!(widths(&axes, &[], &[], 1_000_000), [WIDTH_MIN, WIDTH_MIN_CELLS / 50.0, 1.0]);
        assert_eq!(widths(&axes, &[], &[], 0)[0], FACTOR * DEVIATION_MIN);
        let spread = [vec![0.0; 3], vec![1.0; 3]];
        assert!(widths(&axes, &spread, &[1.0; 2], 1).iter().all(|width| (0.1..=1.0).contains(width)));
    }
}
