//! What became of the samples of a generation, and which of two results is the better one.

use crate::layout::{Activity, Layout, Place};
use ansatz_core::{Observation, ObservedResult};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What a trial says about its point, best first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// A full evaluation that keeps all outcome constraints: its loss.
    Loss(f64),
    /// Stopped early, or evaluated with less than the full fidelity. Whatever it reported last does not compare with a full
    /// evaluation; trials are stopped because they promise little.
    Stopped,
    /// A full evaluation that breaks outcome constraints: by how much altogether.
    Broken(f64),
    /// Infeasible or failed.
    Unmeasured,
}

impl Standing {
    /// `full_fidelity`: from here on an evaluation is a full one; `None` if the problem has no fidelity.
    pub(crate) fn of(observation: &Observation, full_fidelity: Option<f64>) -> Self {
        let is_full = observation.is_full(full_fidelity);
        match &observation.result {
            ObservedResult::Completed(losses) if is_full => {
                let excess: f64 = losses.excesses.iter().filter(|excess| **excess > 0.0).sum();
                match losses.values.first() {
                    Some(loss) if excess == 0.0 && loss.is_finite() => Self::Loss(loss + 0.0),
                    Some(_) if excess > 0.0 => Self::Broken(excess),
                    _ => Self::Unmeasured,
                }
            }
            ObservedResult::Completed(_) | ObservedResult::Stopped(_) => Self::Stopped,
            ObservedResult::Infeasible | ObservedResult::Failed => Self::Unmeasured,
        }
    }

    /// Whether it says how good the point is: only such points pull the distribution towards themselves.
    pub(crate) fn is_measured(&self) -> bool {
        matches!(self, Self::Loss(_) | Self::Broken(_))
    }

    /// The loss of a full evaluation that keeps all outcome constraints.
    pub(crate) fn loss(&self) -> Option<f64> {
        match self {
            Self::Loss(loss) => Some(*loss),
            _ => None,
        }
    }

    /// Class and size within it.
    fn key(&self) -> (u8, f64) {
        match self {
            Self::Loss(loss) => (0, *loss),
            Self::Stopped => (1, 0.0),
            Self::Broken(excess) => (2, *excess),
            Self::Unmeasured => (3, 0.0),
        }
    }

    /// Less is better.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let ((class, size), (other_class, other_size)) = (self.key(), other.key());
        class.cmp(&other_class).then(size.total_cmp(&other_size))
    }

    /// Whether a state that was read makes sense.
    pub(crate) fn is_sound(&self) -> bool {
        !self.key().1.is_nan()
    }
}

/// A result, with what is learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Where the sample lies, as it was drawn or repaired.
    pub(crate) place: Place,
    /// Which coordinates it had.
    pub(crate) activity: Activity,
    /// What came of it.
    pub(crate) standing: Standing,
    /// Whether it was drawn from the distribution as it is now; else its step is shortened.
    pub(crate) is_drawn: bool,
    /// Decides between equal ones: the tag of an own sample, the number of somebody else's trial.
    pub(crate) order: u64,
}

impl Told {
    /// Best first; equal ones in the order in which they were asked for, whenever they were told.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        self.standing.compare(&other.standing).then(self.order.cmp(&other.order))
    }

    /// Whether a state that was read is one of this layout.
    pub(crate) fn is_sound(&self, layout: &Layout) -> bool {
        self.place.is_sound(layout) && self.activity.is_sound(layout) && self.standing.is_sound()
    }
}

/// The ranking of a generation: the own results, best first, and in the place of the worst of them those from elsewhere
/// that are better than the least of the `parent_count` best. The number of results stays.
pub(crate) fn ranked(mut own: Vec<Told>, elsewhere: Vec<Told>, parent_count: usize) -> Vec<Told> {
    let count = own.len();
    own.sort_by(Told::compare);
    let Some(bar) = own.get(parent_count.saturating_sub(1)).map(|told| told.standing) else { return own };
    let mut better: Vec<Told> =
        elsewhere.into_iter().filter(|told| told.standing.compare(&bar) == Ordering::Less).collect();
    better.sort_by(Told::compare);
    better.truncate(parent_count);
    own.truncate(count - better.len().min(count));
    own.extend(better);
    // own results come before others that are no better, so the sort has to be stable
    own.sort_by(|a, b| a.standing.compare(&b.standing));
    own
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::{Curve, Losses, Point, TrialId};

    fn told(standing: Standing, order: u64) -> Told {
        Told {
            place: Place { numbers: vec![order as f64], choices: vec![] },
            activity: Activity { numbers: vec![true], choices: vec![] },
            standing,
            is_drawn: true,
            order,
        }
    }

    fn orders(ranked: &[Told]) -> Vec<u64> {
        ranked.iter().map(|told| told.order).collect()
    }

    #[test]
    fn a_stopped_trial_ranks_after_every_loss_and_a_failed_one_last() {
        use Standing::{Broken, Loss, Stopped, Unmeasured};
        let mixed =
            [Unmeasured, Broken(2.0), Loss(5.0), Stopped, Loss(-1e300), Broken(0.1), Unmeasured, Loss(5.0)];
        let own: Vec<Told> = (0..).zip(mixed).map(|(order, standing)| told(standing, order)).collect();
        let reversed: Vec<Told> = own.iter().rev().cloned().collect();
        assert_eq!(orders(&ranked(own, vec![], 4)), [4, 2, 7, 3, 5, 1, 0, 6]);
        assert_eq!(orders(&ranked(reversed, vec![], 4)), [4, 2, 7, 3, 5, 1, 0, 6], "whenever they were told");
    }

    #[test]
    fn only_what_is_better_than_the_parents_comes_in_from_elsewhere() {
        let own: Vec<Told> = (0..6).map(|order| told(Standing::Loss(order as f64), order)).collect();
        let elsewhere = |losses: &[f64]| {
            (100..).zip(losses).map(|(order, loss)| told(Standing::Loss(*loss), order)).collect::<Vec<_>>()
        };
        assert_eq!(orders(&ranked(own.clone(), elsewhere(&[2.0, 7.0]), 3)), [0, 1, 2, 3, 4, 5]);
        assert_eq!(orders(&ranked(own.clone(), elsewhere(&[0.5, 1.0, 9.0]), 3)), [0, 100, 1, 101, 2, 3]);
        assert_eq!(
            orders(&ranked(own.clone(), elsewhere(&[-4.0, -3.0, -2.0, -1.0]), 3)),
            [100, 101, 102, 0, 1, 2]
        );
        let failed: Vec<Told> = (0..4).map(|order| told(Standing::Unmeasured, order)).collect();
        assert_eq!(orders(&ranked(failed, elsewhere(&[1.0]), 2)), [100, 0, 1, 2]);
    }

    #[test]
    fn observations_stand_where_they_should() {
        let completed = |loss: f64, excesses: &[f64]| {
            ObservedResult::Completed(Losses {
                values: vec![loss],
                standard_errors: vec![],
                excesses: excesses.to_vec(),
            })
        };
        let of = |result: ObservedResult, fidelity: Option<f64>| {
            let point = Point::from_flat(&[0.0]);
            Standing::of(
                &Observation {
                    trial: TrialId(0),
                    tag: None,
                    point,
                    fidelity,
                    curve: Curve::default(),
                    result,
                },
                Some(9.0),
            )
        };
        assert_eq!(of(completed(2.0, &[-1.0, 0.0]), None), Standing::Loss(2.0));
        assert_eq!(of(completed(2.0, &[-1.0, 0.25, 0.5]), Some(9.0)), Standing::Broken(0.75));
        assert_eq!(of(completed(2.0, &[]), Some(3.0)), Standing::Stopped);
        let last = Losses { values: vec![-1e9], standard_errors: vec![], excesses: vec![] };
        assert_eq!(of(ObservedResult::Stopped(Some(last)), None), Standing::Stopped);
        assert_eq!(of(ObservedResult::Failed, None), Standing::Unmeasured);
        assert_eq!(of(ObservedResult::Infeasible, None), Standing::Unmeasured);
    }
}
