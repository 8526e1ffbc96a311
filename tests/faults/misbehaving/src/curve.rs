//! An objective that reports on its way: a curve that falls towards the sum of squares of the coordinates.

use ansatz_core::{
    Context, Descriptor, EvaluationError, Measurement, Objective, ObjectiveError, Point, Problem,
    Surroundings, Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::time::{Duration, Instant};

/// Options of the objective.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How many reports a whole evaluation makes.
    pub steps: u64,
    /// How long each step takes.
    pub step_ms: u64,
    /// Goes on to the end, whatever it is told, and measures.
    pub ignores_verdicts: bool,
    /// Adds a line to the file `steps` in the trial's folder for each step that it begins.
    pub leaves_marks: bool,
    /// A trial that continues a stopped one begins with the step after that, and has no others.
    pub continues: bool,
    /// From this step on it reports NaN in trials whose number is a multiple of 3.
    pub nan_from: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            steps: 20,
            step_ms: 0,
            ignores_verdicts: false,
            leaves_marks: false,
            continues: false,
            nan_from: None,
        }
    }
}

/// A curve for every metric.
pub struct Curve {
    metrics: Vec<String>,
    options: Options,
}

impl Objective for Curve {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "com.example.curve",
        summary: "reports a curve, and does with verdicts what it is told to",
        capabilities: &[],
    };
    type Options = Options;

    fn new(problem: &Problem, options: Options, _: &Surroundings) -> Result<Self, ObjectiveError> {
        let metrics = problem.metrics.iter().map(|metric| metric.name.clone()).collect();
        Ok(Self { metrics, options })
    }

    fn evaluate(&self, point: &Point, context: &mut Context<'_>) -> Result<Measurement, EvaluationError> {
        let coordinates: Vec<f64> = point.coordinates().flatten().collect();
        let end: f64 = coordinates.iter().map(|coordinate| coordinate * coordinate).sum();
        // the metrics disagree: the second and later ones fall where the first rises
        let value = |index: usize, step: u64| {
            let end = if index == 0 { end } else { coordinates.iter().map(|c| (c - 1.0) * (c - 1.0)).sum() };
            end + 1.0 / step as f64
        };
        let at = |step: u64| -> Measurement {
            self.metrics.iter().enumerate().map(|(index, metric)| (metric, value(index, step))).collect()
        };
        let begun = context.assignment.continued.as_ref().filter(|_| self.options.continues);
        for step in begun.map_or(0, |stopped| stopped.step) + 1..=self.options.steps {
            if self.options.leaves_marks {
                let folder = context.output_folder().ok_or_else(|| failed("there is no output folder"))?;
                std::fs::create_dir_all(folder).map_err(failed)?;
                let file = std::fs::File::options().create(true).append(true).open(folder.join("steps"));
                file.and_then(|mut file| writeln!(file, "{step}")).map_err(failed)?;
            }
            let until = Instant::now() + Duration::from_millis(self.options.step_ms);
            while Instant::now() < until {
                std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
            }
            let is_lost = self.options.nan_from.is_some_and(|from| step >= from)
                && context.assignment.trial.0.is_multiple_of(3);
            let measured = match is_lost {
                true => self.metrics.iter().map(|metric| (metric, f64::NAN)).collect(),
                false => at(step),
            };
            if context.report(step, &measured) == Verdict::Stop && !self.options.ignores_verdicts {
                return Err(EvaluationError::Stopped);
            }
        }
        Ok(at(self.options.steps))
    }
}

fn failed(reason: impl ToString) -> EvaluationError {
    EvaluationError::Failed(reason.to_string())
}
