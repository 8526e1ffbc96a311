//! What the strategy was told, reduced to what its models use.

use ansatz_core::{Observation, ObservedResult, Point};
use serde::{Deserialize, Serialize};

/// One finished trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// What was evaluated.
    pub(crate) point: Point,
    /// What it taught.
    pub(crate) lesson: Lesson,
}

/// What a trial teaches about its point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Lesson {
    /// The loss of a full evaluation.
    Loss(f64),
    /// No loss because the point is bad: infeasible, failed, or it breaks an outcome constraint.
    Bad,
    /// Nothing that compares with a full evaluation: stopped early, or evaluated with less than full fidelity.
    Unfinished,
}

impl Told {
    /// `full_fidelity`: from here on an evaluation is a full one; `None` if the problem has no fidelity.
    pub(crate) fn new(observation: &Observation, full_fidelity: Option<f64>) -> Self {
        let is_full = match (observation.fidelity, full_fidelity) {
            (Some(used), Some(full)) => used >= full,
            _ => true,
        };
        let lesson = match (&observation.result, observation.loss()) {
            (ObservedResult::Stopped(_), _) => Lesson::Unfinished,
            (ObservedResult::Completed(_), Some(loss)) if loss.is_finite() => {
                if is_full {
                    Lesson::Loss(loss)
                } else {
                    Lesson::Unfinished
                }
            }
            _ => Lesson::Bad,
        };
        Self { point: observation.point.clone(), lesson }
    }
}

/// Indices of the trials that a model of at most `count_max` observations holds, in the order told: all of them, or
/// else the best half by loss and the latest of the others.
///
/// The choice is made anew when a sixteenth of `count_max` has been added. In between the selection only grows, and so do
/// the factors of the models.
pub(crate) fn select(told: &[Told], count_max: usize) -> Vec<usize> {
    if told.len() <= count_max {
        return (0..told.len()).collect();
    }
    let added_max = count_max / 16;
    let added = match added_max {
        0 => 0,
        _ => (told.len() - count_max - 1) % added_max + 1,
    };
    let (before, _) = told.split_at(told.len() - added);
    let mut selected = best_and_latest(before, count_max - added_max);
    selected.extend(before.len()..told.len());
    selected
}

/// Indices of `count_max` trials in the order told: the best half by loss and the latest of the others.
fn best_and_latest(told: &[Told], count_max: usize) -> Vec<usize> {
    let mut by_loss: Vec<(f64, usize)> = told
        .iter()
        .enumerate()
        .filter_map(|(index, told)| match told.lesson {
            Lesson::Loss(loss) => Some((loss, index)),
            Lesson::Bad | Lesson::Unfinished => None,
        })
        .collect();
    by_loss.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut chosen = vec![false; told.len()];
    let mut count = 0;
    let best = by_loss.iter().take(count_max / 2).map(|(_, index)| *index);
    for index in best.chain((0..told.len()).rev()) {
        if count < count_max && !chosen[index] {
            chosen[index] = true;
            count += 1;
        }
    }
    (0..told.len()).filter(|index| chosen[*index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_model_keeps_the_best_half_and_the_latest() {
        let told: Vec<Told> = (0..20)
            .map(|index| Told {
                point: Point::from_flat(&[f64::from(index)]),
                lesson: if index == 19 { Lesson::Bad } else { Lesson::Loss(f64::from(index)) },
            })
            .collect();
        assert_eq!(select(&told, 20), (0..20).collect::<Vec<_>>());
        assert_eq!(select(&told, 6), [0, 1, 2, 17, 18, 19]);
    }

    #[test]
    fn a_full_model_grows_for_a_while_before_it_is_thinned() {
        let told: Vec<Told> = (0..200)
            .map(|index| Told {
                point: Point::from_flat(&[f64::from(index)]),
                lesson: Lesson::Loss(f64::from(index * 7919 % 200)),
            })
            .collect();
        let mut former = select(&told[..64], 64);
        let mut thinned_count = 0;
        for count in 65..=200 {
            let selected = select(&told[..count], 64);
            assert!((60..=64).contains(&selected.len()));
            assert!(selected.is_sorted() && selected.ends_with(&[count - 1]));
            if !selected.starts_with(&former) {
                thinned_count += 1;
            }
            former = selected;
        }
        assert_eq!(thinned_count, (200_usize - 64).div_ceil(4));
    }
}
