//! The contract of an early-stopping rule: it hears what running trials report, and says which of them to end.
//!
//! Like a strategy it is a pure function of problem, options, seed and what it heard: it reads no clock, no file, no
//! environment. Then the host can replay it, and a resumed study comes to the same verdicts.

use crate::problem::Problem;
use crate::rng::Rng;
use crate::strategy::{Descriptor, Observation};
use crate::trial::TrialId;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::fmt;

/// A rule by which trials are ended before they are done.
///
/// The host calls one instance from one thread at a time, in the order in which things happened: every report of
/// every trial that is running, and every end of a trial. Reports of one trial come with increasing steps, each step
/// once; a trial that was told to stop reports no more. A rule that begins anew in the middle of a study hears all
/// that went before in the same order, and what it then says of it changes nothing.
pub trait EarlyStopping: Sized + Send + 'static {
    /// Name and summary. Of the capabilities `MultiObjective` alone means something: without it the rule is not used
    /// where there are several metrics.
    const DESCRIPTOR: Descriptor;

    /// The options of the manifest; see `Strategy::Options`.
    type Options: DeserializeOwned + JsonSchema;

    /// A rule for one study.
    fn new(problem: &Problem, options: Self::Options, rng: Rng) -> Result<Self, EarlyStoppingError>;

    /// Takes what a running trial measured on its way, and says whether it goes on.
    fn reported(&mut self, report: &Report) -> Ruling;

    /// Takes the end of a trial, however it ended; each trial once. The tag of the observation is `None`.
    fn finished(&mut self, observation: &Observation);

    /// Which of the trials that this rule stopped is to go on after all, if any: one that has ended, and that no other
    /// continues yet.
    ///
    /// Go by your own rulings: an objective may stop a trial by itself, and to name such a one is a fault, as it is to name
    /// one that runs, or one that goes on already. After a fault the rule is made anew.
    ///
    /// Asked whenever a trial can be started and something was stopped, before a strategy is asked for a new point. To
    /// be asked changes nothing: what is said takes place only once `promoted` follows, which it need not.
    fn promotable(&mut self) -> Option<Promotion> {
        None
    }

    /// A stopped trial goes on, as another trial with the same point: `continued` stays as it ended, and `trial` begins
    /// with the next step, or goes over the first steps again without anybody hearing of it. It reports as any other.
    fn promoted(&mut self, continued: TrialId, trial: TrialId) {
        let _ = (continued, trial);
    }
}

/// A stopped trial that is to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The trial that was stopped.
    pub continued: TrialId,
    /// Why, in words: what was compared with what. The host puts the rule's name before it.
    pub reason: String,
}

/// What a running trial measured on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Unique in the study, counted from 0 in the order of asking.
    pub trial: TrialId,
    /// The trial's own count of progress: epoch, iteration. Increasing.
    pub step: u64,
    /// One per metric of the problem, in its order, always minimised; `None` where it was not measured or is not
    /// finite.
    pub losses: Vec<Option<f64>>,
    /// One per outcome constraint: by how much it is broken, at or below 0 is kept; `None` as for losses.
    pub excesses: Vec<Option<f64>>,
    /// How much of a full evaluation the trial uses, if the problem has a fidelity.
    pub fidelity: Option<f64>,
}

impl Report {
    /// Every loss, if all of them are known.
    pub fn known_losses(&self) -> Option<Vec<f64>> {
        self.losses.iter().copied().collect()
    }
}

/// What a rule says of a running trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It goes on.
    Continue,
    /// It ends now, with the reason in words: what was compared with what. The host puts the rule's name and the step
    /// before it.
    Stop(String),
}

impl Ruling {
    /// Whether the trial ends.
    pub fn is_stop(&self) -> bool {
        matches!(self, Ruling::Stop(_))
    }
}

/// Why a rule cannot serve a study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyStoppingError(pub String);

impl fmt::Display for EarlyStoppingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
impl std::error::Error for EarlyStoppingError {}

impl<S: Into<String>> From<S> for EarlyStoppingError {
    fn from(message: S) -> Self {
        Self(message.into())
    }
}
