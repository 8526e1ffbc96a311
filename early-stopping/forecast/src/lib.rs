//! The early-stopping rule `forecast`: a trial ends that will hardly become the best, by how completed trials went on from
//! the same step.
//!
//! The loss in the end is taken to be normally distributed around the line of [`ansatz_curves::Line`]; a trial ends where the
//! probability that it is below the best loss of all completed trials is too small. Rules of this kind: Domhan, Springenberg
//! and Hutter 2015, "Speeding up Automatic Hyperparameter Optimization of Deep Neural Networks by Extrapolation of Learning
//! Curves", whose curve models are replaced here by what the study itself has shown. README.md is the user's side.
#![forbid(unsafe_code)]

use ansatz_core::rng::Rng;
use ansatz_core::{
    Capability, Curve, Descriptor, EarlyStopping, EarlyStoppingError, Goal, Observation, ObservedResult,
    Problem, Report, Ruling,
};
use ansatz_curves::{Lengths, Line, Passed, Projection, loss_at, short};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::f64::consts::FRAC_1_SQRT_2;

/// Options of the rule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// A trial ends where the probability that it becomes the best is below this: above 0, and below 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability_min: f64,
    /// No trial is stopped at a step up to this one.
    pub warm_up_steps: u64,
    /// No trial is stopped before so many have completed that got as far as it.
    #[schemars(range(min = 2))]
    pub trials_min: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { probability_min: 0.1, warm_up_steps: 0, trials_min: 5 }
    }
}

/// A trial that completed.
#[derive(Debug)]
struct Whole {
    curve: Curve,
    end: f64,
    /// Whether it keeps the outcome constraints, and may be the best.
    is_allowed: bool,
    fidelity: Option<f64>,
}

/// The forecasting rule.
#[derive(Debug)]
pub struct Forecast {
    options: Options,
    goal: Goal,
    running: HashMap<u64, Curve>,
    completed: Vec<Whole>,
    lengths: Lengths,
}

impl EarlyStopping for Forecast {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "forecast",
        summary: "ends what will hardly become the best, by how completed trials went on from the same step",
        capabilities: &[] as &[Capability],
    };
    type Options = Options;

    fn new(problem: &Problem, options: Options, _: Rng) -> Result<Self, EarlyStoppingError> {
        if !(options.probability_min > 0.0 && options.probability_min < 1.0) {
            return Err(format!(
                "probability_min must be above 0 and below 1, not {}",
                options.probability_min
            )
            .into());
        }
        if options.trials_min < 2 {
            return Err("trials_min must be at least 2: a single trial shows no spread".into());
        }
        Ok(Self {
            options,
            goal: problem.metrics.first().map_or(Goal::Minimise, |metric| metric.goal),
            running: HashMap::new(),
            completed: Vec::new(),
            lengths: Lengths::default(),
        })
    }

    fn reported(&mut self, report: &Report) -> Ruling {
        self.lengths.heard(report);
        self.running.entry(report.trial.0).or_default().push(report.step, report.losses.clone());
        // what was not measured is no evidence
        let Some(&Some(loss)) = report.losses.first() else { return Ruling::Continue };
        if report.step <= self.options.warm_up_steps || self.lengths.is_last(report) {
            return Ruling::Continue;
        }
        self.judge(report, loss)
    }

    fn finished(&mut self, observation: &Observation) {
        self.lengths.ended(observation);
        let curve = self.running.remove(&observation.trial.0);
        if let (ObservedResult::Completed(losses), Some(curve)) = (&observation.result, curve)
            && let Some(end) = losses.values.first()
        {
            let (is_allowed, fidelity) = (observation.loss().is_some(), observation.fidelity);
            self.completed.push(Whole { curve, end: *end, is_allowed, fidelity });
        }
    }
}

impl Forecast {
    /// What becomes of a trial that reports this loss.
    fn judge(&self, report: &Report, loss: f64) -> Ruling {
        let comparable = || self.completed.iter().filter(|whole| whole.fidelity == report.fidelity);
        let passed: Vec<Passed> = comparable()
            .filter_map(|whole| {
                Some(Passed { early: loss_at(&whole.curve, report.step, 0)?, end: whole.end, deviation: 0.0 })
            })
            .collect();
        let best = comparable().filter(|whole| whole.is_allowed).map(|whole| whole.end).reduce(f64::min);
        let Some(best) = best.filter(|_| passed.len() as u64 >= self.options.trials_min) else {
            return Ruling::Continue;
        };
        let Some(projection) = Line::fit(&passed, &[loss]).and_then(|line| line.project(loss)) else {
            return Ruling::Continue;
        };
        let probability = probability_below(&projection, best);
        if probability >= self.options.probability_min {
            return Ruling::Continue;
        }
        let [end, best] = [projection.loss, best].map(|loss| short(self.goal.loss(loss)));
        Ruling::Stop(format!(
            "it would come to {end} ± {}, better than the best, {best}, with a probability of {:.1} %, by {} completed trials",
            short(projection.deviation),
            100.0 * probability,
            passed.len()
        ))
    }
}

/// That a loss in the end is at or below a bound.
fn probability_below(projection: &Projection, bound: f64) -> f64 {
    let distance = bound - projection.loss;
    match projection.deviation > 0.0 {
        true => 0.5 * libm::erfc(-FRAC_1_SQRT_2 * (distance / projection.deviation)),
        false => f64::from(distance >= 0.0),
    }
}

ansatz_core::export_plugin! { early_stopping: [Forecast] }

#[cfg(test)]
mod tests;
