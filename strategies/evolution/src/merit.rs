//! What a trial is worth, and which of two is better.

use ansatz_core::{Observation, ObservedResult};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What a trial says about its point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Merit {
    /// A full evaluation that keeps all outcome constraints: one finite loss for each metric.
    Measured(Vec<f64>),
    /// Stopped early, or evaluated with less than the full fidelity. What it reported last does not compare with a full
    /// evaluation; trials are stopped because they promise little.
    Partial {
        /// How far it came; 0 if that is not known.
        fidelity: f64,
        /// What it last reported of the first metric; infinite if nothing.
        loss: f64,
    },
    /// A full evaluation that breaks outcome constraints: by how much each, 0 where it is kept.
    Broken(Vec<f64>),
    /// Infeasible or failed.
    Bad,
}

/// The size of each excess: the largest that was seen, so that those of several constraints can be added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExcessUnits(Vec<f64>);

impl ExcessUnits {
    /// Takes a result into account.
    pub(crate) fn widen(&mut self, merit: &Merit) {
        let Merit::Broken(excesses) = merit else { return };
        self.0.resize(self.0.len().max(excesses.len()), f64::MIN_POSITIVE);
        for (unit, excess) in self.0.iter_mut().zip(excesses) {
            *unit = unit.max(*excess);
        }
    }

    fn violation(&self, excesses: &[f64]) -> f64 {
        excesses.iter().zip(&self.0).map(|(excess, unit)| excess / unit).sum()
    }

    /// Whether a state that was read makes sense.
    pub(crate) fn is_sound(&self) -> bool {
        self.0.iter().all(|unit| unit.is_finite() && *unit > 0.0)
    }
}

impl Merit {
    /// `full_fidelity`: from here on an evaluation is a full one; `None` if the problem has no fidelity.
    pub(crate) fn of(observation: &Observation, full_fidelity: Option<f64>) -> Self {
        let is_full = observation.is_full(full_fidelity);
        let losses = match &observation.result {
            ObservedResult::Completed(losses) if is_full => {
                return if losses.values.iter().chain(&losses.excesses).any(|value| !value.is_finite()) {
                    Self::Bad
                } else if losses.excesses.iter().any(|excess| *excess > 0.0) {
                    Self::Broken(losses.excesses.iter().map(|excess| excess.max(0.0)).collect())
                } else {
                    // the sum makes -0 the same as 0
                    Self::Measured(losses.values.iter().map(|loss| loss + 0.0).collect())
                };
            }
            ObservedResult::Completed(losses) => Some(losses),
            ObservedResult::Stopped(losses) => losses.as_ref(),
            ObservedResult::Infeasible | ObservedResult::Failed => return Self::Bad,
        };
        Self::Partial {
            fidelity: observation.fidelity.filter(|fidelity| fidelity.is_finite()).unwrap_or(0.0),
            loss: losses
                .and_then(|losses| losses.values.first().copied())
                .filter(|loss| loss.is_finite())
                .unwrap_or(f64::INFINITY),
        }
    }

    /// Whether it was stopped early, or evaluated with less than the full fidelity.
    pub(crate) fn is_partial(&self) -> bool {
        matches!(self, Self::Partial { .. })
    }

    /// The losses of a full evaluation that keeps all outcome constraints.
    pub(crate) fn losses(&self) -> Option<&[f64]> {
        match self {
            Self::Measured(losses) => Some(losses),
            _ => None,
        }
    }

    /// Class and size within it; of what was measured the first loss.
    fn key(&self, units: &ExcessUnits) -> (u8, f64, f64) {
        match self {
            Self::Measured(losses) => (0, losses.first().copied().unwrap_or(0.0), 0.0),
            Self::Partial { fidelity, loss } => (1, -fidelity, *loss),
            Self::Broken(excesses) => (2, units.violation(excesses), 0.0),
            Self::Bad => (3, 0.0, 0.0),
        }
    }

    /// By the first loss; what kept less than was asked comes after all losses. Less is better.
    pub(crate) fn compare(&self, other: &Self, units: &ExcessUnits) -> Ordering {
        let (a, b) = (self.key(units), other.key(units));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
    }

    /// Whether a state that was read is of a problem with so many metrics.
    pub(crate) fn is_sound(&self, metric_count: usize) -> bool {
        match self {
            Self::Measured(losses) => {
                losses.len() == metric_count && losses.iter().all(|loss| loss.is_finite())
            }
            Self::Partial { fidelity, loss } => fidelity.is_finite() && !loss.is_nan(),
            Self::Broken(excesses) => excesses.iter().all(|excess| excess.is_finite() && *excess >= 0.0),
            Self::Bad => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_the_constraints_comes_before_what_was_stopped_and_what_breaks_them() {
        let mut units = ExcessUnits::default();
        let best_first = [
            Merit::Measured(vec![-1.0]),
            Merit::Measured(vec![7.0]),
            Merit::Partial { fidelity: 3.0, loss: f64::INFINITY },
            Merit::Partial { fidelity: 1.0, loss: -9.0 },
            Merit::Partial { fidelity: 1.0, loss: 2.0 },
            // in units of the largest excess of each constraint: a tenth and a half, then one
            Merit::Broken(vec![100.0, 0.5]),
            Merit::Broken(vec![1000.0, 0.0]),
            Merit::Broken(vec![500.0, 1.0]),
            Merit::Bad,
        ];
        best_first.iter().for_each(|merit| units.widen(merit));
        for (i, a) in best_first.iter().enumerate() {
            for (j, b) in best_first.iter().enumerate() {
                assert_eq!(a.compare(b, &units), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }
}
