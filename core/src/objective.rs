//! The contract of an objective: it evaluates points.

use crate::metric::Measurement;
use crate::problem::Problem;
use crate::space::{Point, Space, Value};
use crate::strategy::Descriptor;
use crate::trial::TrialId;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Something that evaluates points: a training run, a simulation, a program.
///
/// One instance serves all slots of a study: `evaluate` is called from several threads at once.
pub trait Objective: Sized + Send + Sync + 'static {
    /// Name and summary.
    const DESCRIPTOR: Descriptor;

    /// The options of the manifest; see `Strategy::Options`.
    type Options: DeserializeOwned + JsonSchema;

    /// An objective for one study. Parameters and metrics that it does not know are an error here,
    /// before any trial starts.
    fn new(
        problem: &Problem,
        options: Self::Options,
        surroundings: &Surroundings,
    ) -> Result<Self, ObjectiveError>;

    /// Evaluates one point. `Err` is not a mistake of the study: the trial is infeasible, failed or stopped.
    /// The same point and seed should give the same measurement.
    fn evaluate(&self, point: &Point, context: &mut Context<'_>) -> Result<Measurement, EvaluationError>;
}

/// What an objective may know of the world around the study.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Surroundings {
    /// The folder of the manifest: relative paths in options are meant from here.
    pub manifest_folder: PathBuf,
    /// The study's name.
    pub study: String,
}

/// Why an objective cannot serve a study.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveError(pub String);

impl fmt::Display for ObjectiveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
impl std::error::Error for ObjectiveError {}

impl<S: Into<String>> From<S> for ObjectiveError {
    fn from(message: S) -> Self {
        Self(message.into())
    }
}

/// Why an evaluation gave no full measurement.
#[derive(Clone, Debug, PartialEq)]
pub enum EvaluationError {
    /// The point cannot be judged, and never could: a property of the point.
    Infeasible(String),
    /// The evaluation broke, with the reason: another attempt may succeed.
    Failed(String),
    /// It ended early because it was told to.
    Stopped,
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvaluationError::Infeasible(reason) => write!(formatter, "infeasible: {reason}"),
            EvaluationError::Failed(reason) => write!(formatter, "failed: {reason}"),
            EvaluationError::Stopped => formatter.write_str("stopped"),
        }
    }
}
impl std::error::Error for EvaluationError {}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// End now: return `EvaluationError::Stopped`.
    Stop,
}

/// What a running evaluation may know and say.
pub struct Context<'a> {
    /// The trial's facts.
    pub assignment: Assignment,
    space: &'a Space,
    reporter: &'a mut dyn Reporter,
}

/// The facts of one attempt at one trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// Unique in the study.
    pub trial: TrialId,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// For the objective's own randomness; the same for every attempt, and for a trial that continues another.
    pub seed: u64,
    /// How much of a full evaluation to use, in the unit of the problem's fidelity.
    #[serde(default)]
    pub fidelity: Option<f64>,
    /// How long this attempt may take, from its start; after that its result is not waited for.
    #[serde(default)]
    pub time_limit: Option<Duration>,
    /// A folder of its own for this trial's output; may not exist yet.
    #[serde(default)]
    pub output_folder: Option<PathBuf>,
    /// The stopped trial that this one continues.
    #[serde(default)]
    pub continued: Option<Continued>,
}

/// A trial of the same point and seed that was stopped, and that another one continues. Whoever kept its state goes on from
/// there; whoever did not begins at the first step: what was reported before is not judged again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Continued {
    /// Its number.
    pub trial: TrialId,
    /// Its last attempt, from 1.
    pub attempt: u32,
    /// The step at which it was stopped.
    pub step: u64,
    /// The folder that it had for its output.
    #[serde(default)]
    pub output_folder: Option<PathBuf>,
}

/// Where an evaluation reports to: progress out, continue or stop in.
pub trait Reporter {
    /// Takes an intermediate measurement at a step (epoch, iteration; increasing).
    fn report(&mut self, step: u64, measurement: &Measurement) -> Verdict;
    /// Whether the evaluation should end, for programs that have nothing to report.
    fn is_stopped(&self) -> bool;
}

impl<'a> Context<'a> {
    /// A context for one attempt.
    pub fn new(assignment: Assignment, space: &'a Space, reporter: &'a mut dyn Reporter) -> Self {
        Self { assignment, space, reporter }
    }

    /// Reports several named metrics at a step (epoch, iteration; increasing).
    pub fn report(&mut self, step: u64, measurement: &Measurement) -> Verdict {
        self.reporter.report(step, measurement)
    }

    /// Whether the evaluation should end now: time is up, or the study was cancelled.
    pub fn is_stopped(&self) -> bool {
        self.reporter.is_stopped()
    }

    /// The space of the study.
    pub fn space(&self) -> &Space {
        self.space
    }

    /// The value of a parameter by name; `None` where it is inactive or unknown.
    pub fn value(&self, point: &Point, name: &str) -> Option<Value> {
        self.space.value(point, name)
    }

    /// The folder for this trial's output, if the host gave one.
    pub fn output_folder(&self) -> Option<&Path> {
        self.assignment.output_folder.as_deref()
    }
}
