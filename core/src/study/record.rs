//! The facts of a study.

use crate::metric::Measurement;
use crate::prediction::Prediction;
use crate::space::Point;
use crate::trial::{Failure, Outcome, TrialId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A fact of a study. The journal keeps them in order; applying them in order is the study.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A strategy was asked, and these are the trials that came of it.
    Asked {
        /// Index of the member.
        member: usize,
        /// How many suggestions were asked for.
        count: usize,
        /// The trials admitted; may be fewer, or none.
        trials: Vec<AskedTrial>,
        /// Whether the strategy said that there will never be more.
        is_exhausted: bool,
    },
    /// Results of an earlier study, which strategies hear before anything else.
    Transferred {
        /// Where they come from, for people.
        source: String,
        /// In the order in which they are told.
        trials: Vec<TransferredTrial>,
    },
    /// Points that people had enqueued became trials.
    Enqueued {
        /// Which request they are, where they came while the study was there; `None`: those of `StudyRules::enqueued`
        /// that follow. No request is taken twice.
        ticket: Option<u64>,
        /// The trials, at least one; without tag and prediction.
        trials: Vec<AskedTrial>,
    },
    /// A strategy broke, or had to begin again for another reason, and this is what was done about it.
    Broke {
        /// Index of the member.
        member: usize,
        /// What was done.
        remedy: Remedy,
        /// What happened, in words.
        reason: String,
    },
    /// The early-stopping rule broke, or had to begin again for another reason, and this is what was done about it.
    EarlyStoppingBroke {
        /// What was done; it has no fallback.
        remedy: Remedy,
        /// What happened, in words.
        reason: String,
        /// It broke as it was asked which stopped trial goes on, and by nothing that is on record.
        when_asked: bool,
    },
    /// A running trial reported.
    Reported {
        /// Which trial.
        trial: TrialId,
        /// Its own count of progress.
        step: u64,
        /// What it measured so far.
        measurement: Measurement,
        /// Why the trial ends here, if the early-stopping rule said so: its name, the step, and what it compared.
        stop: Option<String>,
    },
    /// A trial that the early-stopping rule had stopped goes on after all, as a trial of its own with the same point.
    Promoted {
        /// Index of the member that proposed the point; `None`: somebody enqueued it.
        member: Option<usize>,
        /// The trial that goes on: with the next free number, and else as the stopped one was asked.
        trial: AskedTrial,
        /// The one that was stopped, and that no other continues.
        continued: TrialId,
        /// Why: the rule's name, and what it compared.
        reason: String,
    },
    /// An attempt failed and another one follows.
    Retried {
        /// Which trial.
        trial: TrialId,
        /// The number of the attempt that follows.
        attempt: u32,
        /// What broke.
        failure: Failure,
        /// In words.
        reason: String,
    },
    /// A trial ended before one that was asked for earlier, and waits for its turn to count. Only with a window.
    Arrived {
        /// Which trial.
        trial: TrialId,
        /// How it ended.
        outcome: Outcome,
        /// How long the last attempt took.
        duration: Duration,
        /// The earlier trial whose outcome was taken over.
        reused: Option<TrialId>,
    },
    /// A trial ended, and counts from here on.
    Finished {
        /// Which trial.
        trial: TrialId,
        /// How it ended.
        outcome: Outcome,
        /// How long the last attempt took.
        duration: Duration,
        /// The earlier trial whose outcome was taken over.
        reused: Option<TrialId>,
    },
}

/// What is done about a strategy that broke. Whoever begins anew hears all finished trials first, as somebody
/// else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// It was made anew.
    Restart,
    /// It was made anew without being at fault: its plugin is another build than before. Its faults are forgotten.
    Renew,
    /// It is asked no more in this study; the fallback proposes in its place.
    Fallback,
    /// It is asked no more in this session.
    LeaveOut,
}

/// A trial as it is admitted.
#[derive(Clone, Debug, PartialEq)]
pub struct AskedTrial {
    /// The next free number.
    pub trial: TrialId,
    /// In the space.
    pub point: Point,
    /// The strategy's own tag.
    pub tag: u64,
    /// How much of a full evaluation to use, if the problem has a fidelity.
    pub fidelity: Option<f64>,
    /// What the strategy's model expected; finite.
    pub prediction: Option<Prediction>,
}

/// A trial of an earlier study, as far as it means something here.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferredTrial {
    /// Its number there.
    pub original: TrialId,
    /// In this study's space.
    pub point: Point,
    /// How much of a full evaluation it used, if the problem has a fidelity.
    pub fidelity: Option<f64>,
    /// Completed, by this study's metrics; or infeasible.
    pub outcome: Outcome,
}

impl AskedTrial {
    /// Whether it is the same trial. What was predicted is beside the point: a model may learn to say more.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let key = |trial: &Self| (trial.trial, trial.tag, trial.fidelity);
        key(self) == key(other) && self.point == other.point
    }
}

/// A record that does not fit what came before it: the journal is damaged, or the host has a bug.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordError(pub String);

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
impl std::error::Error for RecordError {}
