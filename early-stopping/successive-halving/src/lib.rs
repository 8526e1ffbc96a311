//! The early-stopping rule `successive-halving`: at rungs, whose distance grows by a factor, only the best part of the
//! trials that came so far goes on.
//!
//! Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (ASHA), in the stopping variant: a
//! trial is not paused at a rung until it is promoted, it goes on at once or ends. So no trial has to be continued
//! from a state, and none waits for others. Several brackets, which begin at rungs of different height, make
//! Hyperband (Li et al. 2018). Which trial is in which bracket depends on its number alone. README.md is the user's
//! side.
#![forbid(unsafe_code)]

mod brackets;

use ansatz_core::rng::Rng;
use ansatz_core::{
    Capability, Descriptor, EarlyStopping, EarlyStoppingError, Goal, Observation, Problem, Report, Ruling,
};
use ansatz_curves::{Lengths, Standing, short};
use brackets::Brackets;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Rungs of a bracket at most; a factor of 2 from step 1 on needs 64 for every step that there is.
const RUNG_COUNT_MAX: usize = 64;

/// Options of the rule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// One in so many goes on at each rung, and each rung is so many times as high as the one below.
    #[schemars(range(min = 2.0, max = 16.0))]
    pub reduction_factor: f64,
    /// The step of the lowest rung: the grace period. No trial ends before it.
    #[schemars(range(min = 1))]
    pub steps_min: u64,
    /// The steps of a whole trial: there is no rung there or above. Left out, it is learnt from the first trial that
    /// completes.
    #[schemars(range(min = 2))]
    pub steps_max: Option<u64>,
    /// How many brackets, the next with its lowest rung where this one has its second, and so on. 1 is successive
    /// halving, more is Hyperband.
    #[schemars(range(min = 1, max = 8))]
    pub brackets: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { reduction_factor: 3.0, steps_min: 1, steps_max: None, brackets: 1 }
    }
}

/// Who came to a rung.
#[derive(Clone, Debug)]
struct Rung {
    /// By their losses.
    allowed: Standing,
    /// Those that break an outcome constraint there, as far as is known, by how much they do altogether.
    broken: Standing,
}

impl Rung {
    fn new(metric_count: usize) -> Self {
        Self { allowed: Standing::new(metric_count), broken: Standing::new(1) }
    }

    fn len(&self) -> usize {
        self.allowed.len() + self.broken.len()
    }

    /// Adds a trial, and gives how many of those that were there stand strictly better. `excess`: 0 for one that is not
    /// known to break a constraint.
    fn place(&mut self, losses: &[f64], excess: f64) -> usize {
        match excess > 0.0 {
            true => self.allowed.len() + self.broken.place(&[excess]),
            false => self.allowed.place(losses),
        }
    }
}

/// Successive halving by stopping.
#[derive(Debug)]
pub struct SuccessiveHalving {
    options: Options,
    /// Of the metric, where there is only one: for its values in words.
    goal: Option<Goal>,
    metric_count: usize,
    brackets: Brackets,
    /// By bracket and rung.
    rungs: Vec<Vec<Rung>>,
    /// The rungs that running trials have passed.
    passed: HashMap<u64, usize>,
    lengths: Lengths,
}

impl EarlyStopping for SuccessiveHalving {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "successive-halving",
        summary: "lets the best part of the trials pass each rung (ASHA, Li et al. 2020; Hyperband by brackets)",
        capabilities: &[Capability::MultiObjective],
    };
    type Options = Options;

    fn new(problem: &Problem, options: Options, _: Rng) -> Result<Self, EarlyStoppingError> {
        let Options { reduction_factor, steps_min, steps_max, brackets } = options;
        if !(2.0..=16.0).contains(&reduction_factor) {
            return Err(format!("reduction_factor must be from 2 to 16, found {reduction_factor}").into());
        }
        if steps_min == 0 {
            return Err("steps_min must be at least 1: steps are counted from 1".into());
        }
        if let Some(steps_max) = steps_max.filter(|most| *most <= steps_min) {
            let message = format!(
                "steps_max must be above steps_min: with {steps_max} and {steps_min} there is no rung"
            );
            return Err(message.into());
        }
        if !(1..=8).contains(&brackets) {
            return Err(format!("brackets must be from 1 to 8, found {brackets}").into());
        }
        Ok(Self {
            brackets: Brackets::new(brackets as usize, reduction_factor),
            goal: (problem.metrics.len() == 1).then(|| problem.metrics[0].goal),
            metric_count: problem.metrics.len(),
            rungs: vec![Vec::new(); brackets as usize],
            passed: HashMap::new(),
            lengths: Lengths::default(),
            options,
        })
    }

    fn reported(&mut self, report: &Report) -> Ruling {
        self.lengths.heard(report);
        let bracket = self.brackets.of(report.trial.0);
        let mut rung = self.passed.get(&report.trial.0).copied().unwrap_or(0);
        let top = self.options.steps_max.or_else(|| self.lengths.whole(report.fidelity)).unwrap_or(u64::MAX);
        // a trial that reports seldom may pass several at once
        while rung < RUNG_COUNT_MAX {
            let height = self.height(bracket, rung);
            if report.step < height || height >= top {
                break;
            }
            rung += 1;
            self.passed.insert(report.trial.0, rung);
            let ruling = self.judge(report, bracket, rung - 1, height);
            if ruling.is_stop() {
                return ruling;
            }
        }
        Ruling::Continue
    }

    fn finished(&mut self, observation: &Observation) {
        self.lengths.ended(observation);
        self.passed.remove(&observation.trial.0);
    }
}

impl SuccessiveHalving {
    /// The step of a rung.
    fn height(&self, bracket: usize, rung: usize) -> u64 {
        let exponent = (bracket + rung) as i32;
        // the cast saturates
        (self.options.steps_min as f64 * self.options.reduction_factor.powi(exponent)).round() as u64
    }

    /// A trial comes to a rung: it passes if it is among the best part of those that came so far, itself included.
    /// The best of them always passes.
    fn judge(&mut self, report: &Report, bracket: usize, rung: usize, height: u64) -> Ruling {
        // what could not be measured is worse than anything
        let losses: Vec<f64> = report.losses.iter().map(|loss| loss.unwrap_or(f64::INFINITY)).collect();
        let excess: f64 = report.excesses.iter().flatten().filter(|excess| **excess > 0.0).sum();
        let rungs = &mut self.rungs[bracket];
        while rungs.len() <= rung {
            rungs.push(Rung::new(self.metric_count));
        }
        let better = rungs[rung].place(&losses, excess);
        let count = rungs[rung].len();
        let passing = ((count as f64 / self.options.reduction_factor) as usize).max(1);
        if better < passing {
            return Ruling::Continue;
        }
        let value = match (self.goal, report.losses.first()) {
            _ if excess > 0.0 => ", which breaks a constraint,".to_owned(),
            (Some(goal), Some(Some(loss))) => format!(" with {}", short(goal.loss(*loss))),
            (Some(_), _) => " without a value".to_owned(),
            (None, _) => String::new(),
        };
        let of_bracket = match self.options.brackets {
            1 => String::new(),
            _ => format!(" of bracket {bracket}"),
        };
        Ruling::Stop(format!(
            "it is number {}{value} of {count} trials at rung {height}{of_bracket}, the best {passing} go on",
            better + 1
        ))
    }
}

ansatz_core::export_plugin! { early_stopping: [SuccessiveHalving] }

#[cfg(test)]
mod tests;
