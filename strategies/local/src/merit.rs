//! How good a trial is, for comparisons.

use ansatz_core::{Observation, ObservedResult};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What a trial taught.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Merit {
    /// The loss of a full evaluation that keeps all outcome constraints.
    Loss(f64),
    /// The sum of what is broken, in the units of the metrics.
    Broken(f64),
    /// Infeasible or failed.
    Bad,
    /// Stopped early, or evaluated with less than full fidelity: says nothing that can be compared.
    Unknown,
}

impl Merit {
    /// `full_fidelity`: from here on an evaluation is a full one; `None` if the problem has no fidelity.
    pub(crate) fn of(observation: &Observation, full_fidelity: Option<f64>) -> Self {
        let is_full = observation.is_full(full_fidelity);
        match &observation.result {
            ObservedResult::Completed(_) | ObservedResult::Stopped(_) if !is_full => Self::Unknown,
            ObservedResult::Stopped(_) => Self::Unknown,
            ObservedResult::Completed(losses) => {
                let broken: f64 = losses.excesses.iter().map(|excess| excess.max(0.0)).sum();
                match losses.values.first() {
                    Some(loss) if broken == 0.0 && loss.is_finite() => Self::Loss(*loss),
                    Some(_) if broken > 0.0 && broken.is_finite() => Self::Broken(broken),
                    _ => Self::Bad,
                }
            }
            ObservedResult::Infeasible | ObservedResult::Failed => Self::Bad,
        }
    }

    /// `None` where there is nothing to compare.
    pub(crate) fn loss(self) -> Option<f64> {
        match self {
            Self::Loss(loss) => Some(loss),
            _ => None,
        }
    }

    /// Whether a region may be around it.
    pub(crate) fn is_judged(self) -> bool {
        matches!(self, Self::Loss(_) | Self::Broken(_))
    }

    /// Better ones are less.
    pub(crate) fn compare(self, other: Self) -> Ordering {
        let rank = |merit: Self| match merit {
            Self::Loss(loss) => (0, loss),
            Self::Broken(sum) => (1, sum),
            Self::Bad => (2, 0.0),
            Self::Unknown => (3, 0.0),
        };
        let ((tier, value), (other_tier, other_value)) = (rank(self), rank(other));
        tier.cmp(&other_tier).then(value.total_cmp(&other_value))
    }
}
