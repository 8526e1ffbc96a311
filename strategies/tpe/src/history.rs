//! What the strategy was told, reduced to what ranks trials.

use ansatz_core::{Losses, Observation, ObservedResult, Point};
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Lesson {
    /// What a full evaluation measured, also where it breaks an outcome constraint.
    Measured {
        /// One for each metric.
        losses: Vec<f64>,
        /// One for each outcome constraint, which holds at or below 0.
        excesses: Vec<f64>,
    },
    /// Stopped early, or evaluated with less than full fidelity.
    Partial {
        /// How far it came; 0 if that is not known.
        fidelity: f64,
        /// What it last reported of the first metric.
        loss: Option<f64>,
    },
    /// Infeasible or failed.
    Bad,
}

impl Told {
    /// Whether a trial that was stopped early says nothing more beside a later one of the same point that went further, as
    /// one does that continues it.
    pub(crate) fn gives_way(&self, later: &Self) -> bool {
        let Lesson::Partial { fidelity, .. } = &self.lesson else { return false };
        let went_further = match &later.lesson {
            Lesson::Measured { .. } => true,
            Lesson::Partial { fidelity: other, .. } => other >= fidelity,
            Lesson::Bad => false,
        };
        went_further && self.point == later.point
    }
}

impl Lesson {
    /// `full_fidelity`: from here on an evaluation is a full one; `None` if the problem has no fidelity.
    pub(crate) fn new(observation: &Observation, full_fidelity: Option<f64>) -> Self {
        let is_full = observation.is_full(full_fidelity);
        let partial = |losses: Option<&Losses>| Self::Partial {
            fidelity: observation.fidelity.filter(|fidelity| fidelity.is_finite()).unwrap_or(0.0),
            loss: losses.and_then(|losses| losses.values.first().copied()).filter(|loss| loss.is_finite()),
        };
        match &observation.result {
            ObservedResult::Completed(measured)
                if measured.values.iter().chain(&measured.excesses).all(|value| value.is_finite()) =>
            {
                if is_full {
                    Self::Measured { losses: measured.values.clone(), excesses: measured.excesses.clone() }
                } else {
                    partial(Some(measured))
                }
            }
            ObservedResult::Stopped(losses) => partial(losses.as_ref()),
            _ => Self::Bad,
        }
    }
}
