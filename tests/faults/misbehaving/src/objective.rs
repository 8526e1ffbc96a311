//! The objective.

use ansatz_core::{
    Context, Descriptor, EvaluationError, Measurement, Objective, ObjectiveError, Point, Problem,
    Surroundings,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Options of the objective.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What it does wrong.
    pub misdeed: Misdeed,
    /// Only in trials whose number is a multiple of this.
    pub every: u64,
    /// Only in so many attempts of each trial; by default in all.
    pub attempts: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { misdeed: Misdeed::None, every: 1, attempts: u32::MAX }
    }
}

/// What it does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Misdeed {
    /// Nothing.
    #[default]
    None,
    /// Panics while it is made.
    PanicInNew,
    /// Panics.
    Panic,
    /// Ends the whole process.
    Abort,
    /// Never returns, whatever it is told.
    Hang,
    /// Returns when it is told to stop, and not before.
    HangUntilStopped,
    /// Measures NaN.
    Nan,
    /// Measures infinity.
    Infinite,
    /// Measures something, but no metric of the study.
    MissingMetric,
    /// Says that the point cannot be judged.
    Infeasible,
    /// Says that the evaluation broke.
    Failed,
    /// Leaves a file in its output folder, which shows that the trial ran, and takes 20 ms.
    LeavesAMark,
    /// Writes a thousand lines to standard output, which is not its own.
    Prints,
}

/// The sum of squares, and a misdeed.
pub struct MisbehavingObjective {
    metrics: Vec<String>,
    options: Options,
}

impl Objective for MisbehavingObjective {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "com.example.misbehaving-objective",
        summary: "does what objectives should not, chosen by option",
        capabilities: &[],
    };

    type Options = Options;

    fn new(problem: &Problem, options: Options, _: &Surroundings) -> Result<Self, ObjectiveError> {
        if options.misdeed == Misdeed::PanicInNew {
            panic!("in new, as asked for");
        }
        let metrics = problem.metrics.iter().map(|metric| metric.name.clone()).collect();
        Ok(Self { metrics, options })
    }

    fn evaluate(&self, point: &Point, context: &mut Context<'_>) -> Result<Measurement, EvaluationError> {
        let value: f64 = point.coordinates().flatten().map(|coordinate| coordinate * coordinate).sum();
        let all = |value: f64| self.metrics.iter().map(|metric| (metric, value)).collect();
        let facts = &context.assignment;
        let is_due =
            facts.trial.0.is_multiple_of(self.options.every.max(1)) && facts.attempt <= self.options.attempts;
        match if is_due { self.options.misdeed } else { Misdeed::None } {
            Misdeed::Panic => panic!("in evaluate, as asked for"),
            Misdeed::Abort => std::process::abort(),
            Misdeed::Hang => loop {
                std::thread::park();
            },
            Misdeed::HangUntilStopped => {
                while !context.is_stopped() {
                    std::thread::park_timeout(Duration::from_millis(5));
                }
                Err(EvaluationError::Stopped)
            }
            Misdeed::Nan => Ok(all(f64::NAN)),
            Misdeed::Infinite => Ok(all(f64::INFINITY)),
            Misdeed::MissingMetric => Ok(Measurement::new().with("something_else", value)),
            Misdeed::Infeasible => Err(EvaluationError::Infeasible("no such machine, as asked for".into())),
            Misdeed::Failed => Err(EvaluationError::Failed("the disk is on fire, as asked for".into())),
            Misdeed::Prints => {
                for line in 0..1000 {
                    println!("{{\"trial\": {}, \"line\": {line}}}", context.assignment.trial);
                }
                Ok(all(value))
            }
            Misdeed::LeavesAMark => {
                let folder = context.output_folder().ok_or_else(|| failed("there is no output folder"))?;
                std::fs::create_dir_all(folder).map_err(failed)?;
                std::fs::write(folder.join("mark"), context.assignment.attempt.to_string())
                    .map_err(failed)?;
                let until = Instant::now() + Duration::from_millis(20);
                while Instant::now() < until {
                    std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
                }
                Ok(all(value))
            }
            Misdeed::None | Misdeed::PanicInNew => Ok(all(value)),
        }
    }
}

fn failed(reason: impl ToString) -> EvaluationError {
    EvaluationError::Failed(reason.to_string())
}
