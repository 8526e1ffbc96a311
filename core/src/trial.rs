//! One evaluation of one point: its number, and how it ended.

use crate::metric::Measurement;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a trial: unique in its study, counted from 0 in the order of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrialId(pub u64);

impl TrialId {
    /// The number by which strategies know the first trial of an earlier study: far above every number of the study's own,
    /// and still exact where numbers are floating-point ones.
    pub const TRANSFERRED_FIRST: TrialId = TrialId(1 << 52);

    /// Whether it is a trial of an earlier study, which this one has not spent anything on.
    pub fn is_transferred(self) -> bool {
        self >= Self::TRANSFERRED_FIRST
    }
}

impl fmt::Display for TrialId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // padded where that is asked for: numbers stand in columns
        self.0.fmt(formatter)
    }
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Outcome {
    /// As it should, with every metric measured and finite.
    Completed {
        /// What was measured.
        measurement: Measurement,
    },
    /// The point cannot be judged.
    Infeasible {
        /// What the objective said.
        reason: String,
    },
    /// The evaluation broke.
    Failed {
        /// What broke.
        failure: Failure,
        /// In words, with what to do.
        reason: String,
    },
    /// Ended early on purpose.
    Stopped {
        /// Who stopped it and why.
        reason: String,
        /// The last intermediate measurement, if there was one.
        measurement: Option<Measurement>,
    },
}

/// What broke. Infrastructure (`Lost`) is told apart from what the objective itself said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Failure {
    /// The objective said so.
    Objective,
    /// A metric was missing, NaN or infinite.
    Measurement,
    /// The time limit passed.
    Timeout,
    /// The objective panicked.
    Panic,
    /// The objective's process ended, hung or broke the protocol.
    Crash,
    /// The host died while it ran.
    Lost,
}

impl Outcome {
    /// The measurement of a completed trial.
    pub fn completed(&self) -> Option<&Measurement> {
        match self {
            Outcome::Completed { measurement } => Some(measurement),
            _ => None,
        }
    }

    /// One word: completed, infeasible, failed or stopped.
    pub fn kind(&self) -> &'static str {
        match self {
            Outcome::Completed { .. } => "completed",
            Outcome::Infeasible { .. } => "infeasible",
            Outcome::Failed { .. } => "failed",
            Outcome::Stopped { .. } => "stopped",
        }
    }

    /// Why it is not completed, in words.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Outcome::Completed { .. } => None,
            Outcome::Infeasible { reason }
            | Outcome::Failed { reason, .. }
            | Outcome::Stopped { reason, .. } => Some(reason),
        }
    }
}
