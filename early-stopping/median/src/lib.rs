//! The early-stopping rule `median`: a trial ends whose best loss so far is worse than the median of what completed
//! trials had on average up to the same step.
//!
//! Source: Golovin et al. 2017, "Google Vizier: A Service for Black-Box Optimization", section 3.2.2. Only completed
//! trials count there, and only those that got as far. With several metrics a trial's losses become its non-dominated
//! front among them. README.md is the user's side.
#![forbid(unsafe_code)]

use ansatz_core::rng::Rng;
use ansatz_core::{
    Capability, Descriptor, EarlyStopping, EarlyStoppingError, Goal, Observation, Problem, Report, Ruling,
};
use ansatz_curves::{Lengths, fronts, short};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Options of the rule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// No trial is stopped at a step up to this one.
    pub warm_up_steps: u64,
    /// No trial is stopped before so many have completed that got as far as it.
    #[schemars(range(min = 1))]
    pub trials_min: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { warm_up_steps: 0, trials_min: 5 }
    }
}

/// What a trial reported: one entry per report whose losses were all known.
#[derive(Debug)]
struct Curve {
    steps: Vec<u64>,
    /// The running averages up to each of these steps, one row of losses each.
    means: Vec<Vec<f64>>,
    /// The best loss so far of each metric.
    best: Vec<f64>,
}

impl Curve {
    fn new(metric_count: usize) -> Self {
        Self { steps: Vec::new(), means: Vec::new(), best: vec![f64::INFINITY; metric_count] }
    }

    fn add(&mut self, step: u64, losses: &[f64]) {
        let count = self.steps.len() as f64;
        let next = |(index, loss): (usize, &f64)| match self.means.last() {
            Some(mean) => mean[index] + (loss - mean[index]) / (count + 1.0),
            None => *loss,
        };
        let mean = losses.iter().enumerate().map(next).collect();
        self.means.push(mean);
        self.steps.push(step);
        self.best.iter_mut().zip(losses).for_each(|(best, loss)| *best = best.min(*loss));
    }

    /// The running averages up to a step; `None` for a trial that did not get as far.
    fn mean_at(&self, step: u64) -> Option<&Vec<f64>> {
        let last = self.steps.last()?;
        let count = self.steps.partition_point(|known| *known <= step);
        self.means.get(count.checked_sub(1)?).filter(|_| *last >= step)
    }
}

/// The median rule.
#[derive(Debug)]
pub struct Median {
    options: Options,
    /// Of the first metric, for its values in words.
    goal: Goal,
    metric_count: usize,
    running: HashMap<u64, Curve>,
    /// Of trials that keep the outcome constraints.
    completed: Vec<Curve>,
    lengths: Lengths,
}

impl EarlyStopping for Median {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "median",
        summary: "ends what is worse than the median of completed trials at the same step (Golovin et al. 2017)",
        capabilities: &[Capability::MultiObjective],
    };
    type Options = Options;

    fn new(problem: &Problem, options: Options, _: Rng) -> Result<Self, EarlyStoppingError> {
        if options.trials_min == 0 {
            return Err("trials_min must be at least 1: without a completed trial there is no median".into());
        }
        Ok(Self {
            options,
            goal: problem.metrics.first().map_or(Goal::Minimise, |metric| metric.goal),
            metric_count: problem.metrics.len(),
            running: HashMap::new(),
            completed: Vec::new(),
            lengths: Lengths::default(),
        })
    }

    fn reported(&mut self, report: &Report) -> Ruling {
        self.lengths.heard(report);
        // what was not measured is no evidence
        let Some(losses) = report.known_losses() else { return Ruling::Continue };
        let curve = self.running.entry(report.trial.0).or_insert_with(|| Curve::new(losses.len()));
        curve.add(report.step, &losses);
        let best = curve.best.clone();
        if report.step <= self.options.warm_up_steps || self.lengths.is_last(report) {
            return Ruling::Continue;
        }
        let others: Vec<&Vec<f64>> =
            self.completed.iter().filter_map(|curve| curve.mean_at(report.step)).collect();
        if (others.len() as u64) < self.options.trials_min {
            return Ruling::Continue;
        }
        match self.metric_count {
            1 => self.compare(&others, best[0]),
            _ => compare_fronts(&others, &best),
        }
    }

    fn finished(&mut self, observation: &Observation) {
        self.lengths.ended(observation);
        let curve = self.running.remove(&observation.trial.0);
        // none of a trial that breaks an outcome constraint: others need not be as good
        if let (Some(_), Some(curve)) = (observation.loss(), curve) {
            self.completed.push(curve);
        }
    }
}

impl Median {
    fn compare(&self, others: &[&Vec<f64>], best: f64) -> Ruling {
        let mut means: Vec<f64> = others.iter().map(|mean| mean[0]).collect();
        let median = median_of(&mut means);
        if best <= median {
            return Ruling::Continue;
        }
        let [best, median] = [best, median].map(|loss| short(self.goal.loss(loss)));
        Ruling::Stop(format!(
            "its best so far is {best}, the median of {} completed trials {median}",
            others.len()
        ))
    }
}

/// The middle of a list that is not empty, or halfway between the two.
fn median_of(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => 0.5 * (values[middle - 1] + values[middle]),
        _ => values[middle],
    }
}

fn compare_fronts(others: &[&Vec<f64>], best: &[f64]) -> Ruling {
    let mut rows: Vec<Vec<f64>> = others.iter().map(|mean| mean.to_vec()).collect();
    rows.push(best.to_vec());
    let fronts: Vec<f64> = fronts(&rows).into_iter().map(|front| front as f64 + 1.0).collect();
    let (own, others) = fronts.split_last().map_or((1.0, &[][..]), |(own, others)| (*own, others));
    let median = median_of(&mut others.to_vec());
    if own <= median {
        return Ruling::Continue;
    }
    Ruling::Stop(format!(
        "it is in front {own}, the median of {} completed trials is front {}",
        others.len(),
        short(median)
    ))
}

ansatz_core::export_plugin! { early_stopping: [Median] }

#[cfg(test)]
mod tests;
