//! The contract of a strategy: it proposes points and hears what became of them.
//!
//! A strategy is a pure function of problem, options, seed and what it was told: it reads no clock, no
//! file, no environment. Then the host can replay it, and a study repeats bit for bit.

use crate::curve::Curve;
use crate::prediction::{Prediction, Recommendation};
use crate::problem::Problem;
use crate::rng::Rng;
use crate::space::Point;
use crate::trial::TrialId;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;

pub use crate::capability::Capability;

/// How a plugin introduces itself.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// `vendor.name`, such as `com.acme.cma`; bare names are for what ships with Ansatz.
    /// Lower-case letters, digits, `-`, `_` and dots.
    pub name: &'static str,
    /// One line: method and source.
    pub summary: &'static str,
    /// What it can do; objectives leave it empty.
    pub capabilities: &'static [Capability],
}

/// A method that proposes points.
///
/// The host calls one instance from one thread at a time. Every strategy of a study hears every
/// finished trial, its own and the others'.
pub trait Strategy: Sized + Send + 'static {
    /// Name, summary, capabilities.
    const DESCRIPTOR: Descriptor;

    /// The options of the manifest: a serde struct with doc comments, which become its documentation.
    /// Give it `#[serde(default, deny_unknown_fields)]` and derive `Serialize`, so that defaults are shown.
    type Options: DeserializeOwned + JsonSchema;

    /// A strategy for one study. The problem needs nothing that `DESCRIPTOR` does not list.
    fn new(problem: &Problem, options: Self::Options, rng: Rng) -> Result<Self, StrategyError>;

    /// Up to `count` (at least 1) suggestions. Fewer is fine. None at all means that it waits for
    /// results of pending trials; `StrategyError::Exhausted` that there will never be more.
    ///
    /// A suggestion must lie in the space and satisfy its constraints: `Space::sample` and
    /// `Space::repair` help.
    fn ask(&mut self, count: usize, pending: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError>;

    /// Results, in the order they came in; a strategy made anew hears those of before by trial number. The
    /// glue drops a trial that was told before, so each trial comes once.
    fn tell(&mut self, observations: &[Observation]) -> Result<(), StrategyError>;

    /// The state as bytes, or `None`: then the host replays the history instead.
    /// `serde_state!();` inside the impl writes this and `restore` from the strategy's serde form.
    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        Ok(None)
    }

    /// Takes over a state that `snapshot` gave, of this or an earlier version.
    fn restore(&mut self, _state: &[u8]) -> Result<(), StrategyError> {
        Err(StrategyError::Unsupported("this strategy has no snapshots".into()))
    }

    /// The points that it would choose for good after all it was told, best first; none where it has no model to
    /// choose by, or knows too little. Must not change what it suggests afterwards.
    fn recommend(&mut self) -> Result<Vec<Recommendation>, StrategyError> {
        Ok(Vec::new())
    }
}

/// Writes `snapshot` and `restore` of a strategy that is `Serialize + Deserialize`.
#[macro_export]
macro_rules! serde_state {
    () => {
        fn snapshot(&self) -> Result<Option<Vec<u8>>, $crate::StrategyError> {
            $crate::strategy::encode_state(self).map(Some)
        }
        fn restore(&mut self, state: &[u8]) -> Result<(), $crate::StrategyError> {
            *self = $crate::strategy::decode_state(state)?;
            Ok(())
        }
    };
}

/// A state as MessagePack with field names: keeps infinities, and fields may be added later.
pub fn encode_state<S: Serialize>(state: &S) -> Result<Vec<u8>, StrategyError> {
    rmp_serde::to_vec_named(state).map_err(|error| StrategyError::Other(format!("saving the state: {error}")))
}

/// The reverse of `encode_state`.
pub fn decode_state<S: DeserializeOwned>(state: &[u8]) -> Result<S, StrategyError> {
    rmp_serde::from_slice(state)
        .map_err(|error| StrategyError::Invalid(format!("reading the state: {error}")))
}

/// A proposed point that is not yet a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// In the space, constraints satisfied.
    pub point: Point,
    /// Whatever the strategy wants to recognise it by; comes back in the observation. Need not be unique.
    pub tag: u64,
    /// How much of a full evaluation to use; `None` leaves it to the study.
    pub fidelity: Option<f64>,
    /// What the strategy's model expects of it: kept in the journal, shown to people, never judged.
    pub prediction: Option<Prediction>,
}

impl Suggestion {
    /// A suggestion without tag, fidelity or prediction.
    pub fn new(point: Point) -> Self {
        Self::tagged(point, 0)
    }

    /// The same with a tag.
    pub fn tagged(point: Point, tag: u64) -> Self {
        Self { point, tag, fidelity: None, prediction: None }
    }

    /// The same with what the model expects of it. One that is not finite is dropped on its way.
    pub fn with_prediction(mut self, prediction: Prediction) -> Self {
        self.prediction = Some(prediction);
        self
    }
}

impl From<Point> for Suggestion {
    fn from(point: Point) -> Self {
        Self::new(point)
    }
}

/// Trials that were asked for and have no result yet, whichever strategy proposed them.
/// Decoded only when looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pending<'a> {
    trials: &'a [u64],
    /// Shape `(trials, parameter_count)`, row by row.
    flat: &'a [f64],
}

impl<'a> Pending<'a> {
    /// No pending trials.
    pub const NONE: Pending<'static> = Pending { trials: &[], flat: &[] };

    /// From trial numbers and their points in flat form, row by row; `flat.len()` must be a multiple of
    /// `trials.len()`.
    pub fn new(trials: &'a [u64], flat: &'a [f64]) -> Self {
        Self { trials, flat }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.trials.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.trials.is_empty()
    }

    /// Trials and points, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (TrialId, Point)> + 'a {
        let width = self.flat.len().checked_div(self.trials.len()).unwrap_or(0);
        let flat = self.flat;
        self.trials.iter().enumerate().map(move |(row, trial)| {
            (TrialId(*trial), Point::from_flat(&flat[row * width..(row + 1) * width]))
        })
    }

    /// Trial numbers and flat points, as they cross the boundary.
    pub fn parts(&self) -> (&'a [u64], &'a [f64]) {
        (self.trials, self.flat)
    }
}

/// What a strategy hears about one finished trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Unique in the study.
    pub trial: TrialId,
    /// The tag of the suggestion that this answers, `None` if somebody else proposed the point.
    pub tag: Option<u64>,
    /// What was evaluated: not what was suggested, in a study that resamples duplicates, where that had been asked for
    /// before.
    pub point: Point,
    /// How much of a full evaluation was used, if the problem has a fidelity.
    pub fidelity: Option<f64>,
    /// What it reported on its way, in a study that ends trials early; else empty.
    pub curve: Curve,
    /// What came of it.
    pub result: ObservedResult,
}

/// What came of a trial, in losses.
#[derive(Clone, Debug, PartialEq)]
pub enum ObservedResult {
    /// The evaluation ended as it should.
    Completed(Losses),
    /// The point cannot be judged; worse than any loss.
    Infeasible,
    /// The evaluation broke; says little about the point unless it keeps happening.
    Failed,
    /// Ended early on purpose. The losses, if any, are the last reported: not those of a full evaluation.
    Stopped(Option<Losses>),
}

/// Measured values as a strategy sees them: every loss is minimised.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// One per metric of the problem, finite.
    pub values: Vec<f64>,
    /// Standard errors of the values where known; empty, or one per metric.
    pub standard_errors: Vec<Option<f64>>,
    /// One per outcome constraint: by how much it is broken; at or below 0 is kept.
    pub excesses: Vec<f64>,
}

impl Observation {
    /// Whether it was a full evaluation, given the fidelity of one; every one is where the problem has none.
    pub fn is_full(&self, full_fidelity: Option<f64>) -> bool {
        match (self.fidelity, full_fidelity) {
            (Some(used), Some(full)) => used >= full,
            _ => true,
        }
    }

    /// The first loss of a completed trial that keeps all outcome constraints.
    pub fn loss(&self) -> Option<f64> {
        match &self.result {
            ObservedResult::Completed(losses) if losses.excesses.iter().all(|excess| *excess <= 0.0) => {
                losses.values.first().copied()
            }
            _ => None,
        }
    }
}

/// Why a strategy could not do what it was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum StrategyError {
    /// Nothing left to propose, ever. Not a mistake.
    Exhausted,
    /// The problem, options or state do not fit; the message says what to change.
    Invalid(String),
    /// It cannot do this at all.
    Unsupported(String),
    /// Anything else.
    Other(String),
}

impl StrategyError {
    /// For a strategy that finds no point to suggest although nothing was asked for yet.
    pub fn no_feasible_point() -> Self {
        Self::Invalid(
            "no point was found that satisfies all constraints; they may contradict each other: drop or widen one of them"
                .into(),
        )
    }
}

impl fmt::Display for StrategyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StrategyError::Exhausted => formatter.write_str("nothing left to propose"),
            StrategyError::Invalid(message)
            | StrategyError::Unsupported(message)
            | StrategyError::Other(message) => formatter.write_str(message),
        }
    }
}
impl std::error::Error for StrategyError {}

/// The options of a plugin that has none: an empty table.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}
