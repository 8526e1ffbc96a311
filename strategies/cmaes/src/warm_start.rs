//! Where to begin when there are results already: the normal distribution of the best of them.
//!
//! Source: Nomura, Watanabe, Akimoto, Ozaki and Onishi 2021, "Warm Starting CMA-ES for Hyperparameter Optimization" (AAAI 35;
//! arXiv 2012.06932), with its gamma and alpha; in the unit cube, where alpha is a share of each range. Choices are counted,
//! which is ours.

use crate::choices::Choices;
use crate::gaussian::Gaussian;
use crate::generation::Told;
use crate::layout::Layout;

/// gamma: the share of the results that is promising.
const PROMISING_SHARE: f64 = 0.1;
/// alpha: the standard deviation around each promising point, as a share of a parameter's range.
const KERNEL_DEVIATION: f64 = 0.1;
/// With fewer results the best of them say nothing yet.
pub(crate) const RESULT_COUNT_MIN: usize = 10;

/// The distribution of the promising tenth of these results, all of which are losses. `None` if there are too few.
///
/// In equation 3 of the paper, with M promising points: the mean is theirs, the covariance theirs plus alpha² I. Inactive
/// coordinates stand at the mean of those that are active, or in the middle if none is.
pub(crate) fn promising(layout: &Layout, results: &mut [Told]) -> Option<(Gaussian, Choices)> {
    if results.len() < RESULT_COUNT_MIN {
        return None;
    }
    results.sort_by(Told::compare);
    let best = &results[..(PROMISING_SHARE * results.len() as f64).floor().max(1.0) as usize];
    let n = layout.numbers.len();
    let mut mean = vec![0.5; n];
    for (j, mean) in mean.iter_mut().enumerate() {
        let active = best.iter().filter(|told| told.activity.numbers[j]).map(|told| told.place.numbers[j]);
        let (count, sum) = active.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
        if count > 0.0 {
            *mean = sum / count;
        }
    }
    let away = |told: &Told, j: usize| match told.activity.numbers[j] {
        true => told.place.numbers[j] - mean[j],
        false => 0.0,
    };
    let mut covariance = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            let sum: f64 = best.iter().map(|told| away(told, i) * away(told, j)).sum();
            covariance[i * n + j] = sum / best.len() as f64;
        }
        covariance[i * (n + 1)] += KERNEL_DEVIATION * KERNEL_DEVIATION;
    }
    let gaussian = Gaussian::of_covariance(mean, covariance)?;
    let counted = |(j, choice): (usize, &crate::layout::Choice)| {
        // one more of each, so that none is excluded
        let mut counts = vec![1.0; choice.choice_count];
        best.iter()
            .filter(|told| told.activity.choices[j])
            .for_each(|told| counts[told.place.choices[j]] += 1.0);
        let total: f64 = counts.iter().sum();
        counts.iter().map(|count| count / total).collect()
    };
    Some((gaussian, Choices::of(layout.choices.iter().enumerate().map(counted).collect())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::Standing;
    use ansatz_core::Space;
    use ansatz_core::space::Parameter;

    fn layout() -> Layout {
        Layout::new(
            &Space::of(vec![
                Parameter::float("x", 0.0, 10.0),
                Parameter::float("y", 0.0, 1.0),
                Parameter::categorical("kind", ["a", "b", "c"]),
            ])
            .unwrap(),
        )
    }

    fn told(layout: &Layout, order: u64, x: f64, y: f64, kind: f64, loss: f64) -> Told {
        let point = ansatz_core::Point::from_flat(&[x, y, kind]);
        Told {
            place: layout.place(&point),
            activity: layout.activity(&point),
            standing: Standing::Loss(loss),
            is_drawn: false,
            order,
        }
    }

    #[test]
    fn the_best_tenth_is_where_it_begins() {
        let layout = layout();
        let mut results: Vec<Told> =
            (0..18).map(|k| told(&layout, k, 9.0, 0.9, 0.0, 5.0 + k as f64)).collect();
        results.push(told(&layout, 18, 2.0, 0.2, 1.0, 1.0));
        results.push(told(&layout, 19, 4.0, 0.2, 1.0, 2.0));
        let (gaussian, choices) = promising(&layout, &mut results).unwrap();
        // 0.2 and 0.4 on x: variance 0.01, and 0.01 for alpha
        assert!((gaussian.mean[0] - 0.3).abs() < 1e-12 && (gaussian.mean[1] - 0.2).abs() < 1e-12);
        let deviations = gaussian.deviations();
        assert!((deviations[0] - 0.02_f64.sqrt()).abs() < 1e-12, "{deviations:?}");
        assert!((deviations[1] - 0.1).abs() < 1e-12, "{deviations:?}");
        assert_eq!(choices.probabilities, [[0.2, 0.6, 0.2]]);
        assert_eq!(promising(&layout, &mut results[..9]), None);
    }

    #[test]
    fn what_is_inactive_does_not_pull() {
        let layout = layout();
        let mut results: Vec<Told> = (0..20).map(|k| told(&layout, k, 1.0, 0.3, 2.0, k as f64)).collect();
        results[0].activity.numbers[1] = false;
        results[0].place.numbers[1] = 0.5;
        let (gaussian, _) = promising(&layout, &mut results).unwrap();
        assert!((gaussian.mean[1] - 0.3).abs() < 1e-12);
        assert!((gaussian.deviations()[1] - 0.1).abs() < 1e-12);
    }
}
