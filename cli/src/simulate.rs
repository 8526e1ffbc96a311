//! Studies in virtual time: what thousands of workers would do for them, in a moment.
//!
//! Study, strategies and the loop that runs them are the real ones; workers and the time that trials take are not
//! (`slots`). So it shows what the asker can keep busy, and what is lost when trials are asked for before the outcomes of
//! many others are known.

mod slots;

use crate::clock::Clock;
use crate::engine::Engine;
use crate::error::Error;
use crate::executor::Evaluate;
use crate::interrupt::Interrupt;
use crate::journal::{NoJournal, StudyHeader};
use crate::plan::StudyPlan;
use crate::plugins::{Locking, PluginSet, PluginUse};
use crate::report::text::{columns, duration, number};
use crate::run::{SessionEnd, run_in};
use crate::watch::{Detail, Watch};
use ansatz_core::Goal;
use ansatz_core::study::Study;
use serde_json::{Value, json};
use slots::{Tally, VirtualSlots};
use std::sync::Arc;
use std::time::Duration;

/// What workers and trials are like. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Half of all trials take less.
    pub median: f64,
    /// Standard deviation of the logarithm of the time that a trial takes.
    pub spread: f64,
    /// The share of trials that take `straggler_factor` times as long. From 0 to 1.
    pub straggler_share: f64,
    /// See `straggler_share`.
    pub straggler_factor: f64,
    /// The share of attempts of median length in which the worker dies; longer ones are hit more often. Below 1.
    pub crash_share: f64,
    /// After this time a dead worker's trial is run elsewhere.
    pub lease: f64,
    /// After this time, and not before the lease is over, another worker takes its place.
    pub recovery: f64,
    /// What it costs to ask for a trial.
    pub ask_time: AskTime,
    /// What a turn of the asker costs besides: writing it down, and the board.
    pub turn_time: f64,
}

/// What it costs the asker to ask for a trial and to tell the outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AskTime {
    /// Always the same, in seconds: then a simulation repeats bit for bit.
    Each(f64),
    /// What it costs here and now, in processor time.
    Measured,
}

/// What a study with so many workers came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// How many workers.
    pub workers: usize,
    /// Trials that have ended.
    pub trial_count: usize,
    /// When the last of them did, in virtual seconds.
    pub seconds: f64,
    /// The share of the workers' time in which they ran trials.
    pub busy: f64,
    /// The share of its time in which the asker asked.
    pub asking: f64,
    /// Outcomes that waited for the asker when it looked, in the mean and at most.
    pub waiting: (f64, u64),
    /// How long an outcome waited for it, in the mean, in seconds.
    pub wait: f64,
    /// Attempts that were lost with their workers.
    pub lost_count: u64,
    /// The best value of the first metric by the time at which each trial ended, in its own direction.
    pub trace: Vec<(f64, f64)>,
    /// The best trial's number, for who compares; `None`: none completed.
    pub best_trial: Option<u64>,
}

impl Simulated {
    /// The best value at the end.
    pub fn best(&self) -> Option<f64> {
        self.trace.last().map(|(_, best)| *best)
    }

    /// The best value at a time.
    pub fn best_at(&self, seconds: f64) -> Option<f64> {
        let count = self.trace.partition_point(|(at, _)| *at <= seconds);
        count.checked_sub(1).map(|last| self.trace[last].1)
    }

    fn json(&self, early: f64) -> Value {
        json!({
            "workers": self.workers,
            "trials": self.trial_count,
            "seconds": self.seconds,
            "busy": self.busy,
            "asking": self.asking,
            "waiting_mean": self.waiting.0,
            "waiting_max": self.waiting.1,
            "wait_s": self.wait,
            "lost": self.lost_count,
            "best": self.best(),
            "best_trial": self.best_trial,
            "best_early": self.best_at(early),
        })
    }
}

/// Runs a study with so many workers.
///
/// # Errors
/// What cannot be simulated is `Usage`: early stopping, and limits of time; whatever else ends a study early.
pub fn simulate(
    plan: &StudyPlan,
    conditions: Conditions,
    workers: usize,
    interrupt: &Interrupt,
) -> Result<Option<Simulated>, Error> {
    check(plan)?;
    let plugins = PluginSet::load(plan, None, Locking::Warn, PluginUse::Study)?;
    let Some(objective) = plugins.objective else {
        return Err(Error::Usage(format!(
            "study {} has no objective, and what trials come to is asked of it",
            plan.name
        )));
    };
    let objective = objective as Arc<dyn Evaluate>;
    let header = StudyHeader { plan: plan.clone(), manifest: String::new(), created_at: 0.0 };
    let study = Study::new(plan.rules.clone());
    let restarts = plan.faults.restart_count_max;
    let journal = Box::new(NoJournal::new(header));
    let mut engine =
        Engine::new(study, plugins.strategies, None, restarts, journal, Clock::start(Duration::ZERO))?;
    let mut slots = VirtualSlots::new(objective, conditions, workers);
    let mut watch = Watch::new(Detail::Quiet, engine.study());
    match run_in(&mut engine, &mut slots, plan, Vec::new(), interrupt, &mut watch)? {
        SessionEnd::Interrupted => Ok(None),
        SessionEnd::Done(_) => Ok(Some(simulated(engine.study(), &slots.tally, workers))),
    }
}

fn check(plan: &StudyPlan) -> Result<(), Error> {
    let budget = &plan.rules.budget;
    let refused = if plan.early_stopping.is_some() {
        "has [early_stopping], and how far a trial has come is not simulated; leave that section out"
    } else if !plan.transfers.is_empty() {
        "has [[transfer]], and nothing is transferred here; leave that section out"
    } else if budget.wall_time.is_some() {
        "has budget.wall_time, and time is virtual here; set budget.trials instead"
    } else {
        return Ok(());
    };
    Err(Error::Usage(format!("study {} {refused}", plan.name)))
}

fn simulated(study: &Study, tally: &Tally, workers: usize) -> Simulated {
    let seconds = tally.ends.last().map_or(0.0, |(at, _)| *at);
    let goal = study.rules().problem.metrics.first().map_or(Goal::Minimise, |metric| metric.goal);
    let (mut least, mut trace) = (f64::INFINITY, Vec::new());
    for (at, trial) in &tally.ends {
        let losses = study.trial(*trial).and_then(|trial| study.counted_losses(trial));
        least = losses.as_deref().and_then(<[f64]>::first).map_or(least, |loss| least.min(*loss));
        if least.is_finite() {
            trace.push((*at, goal.loss(least)));
        }
    }
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    Simulated {
        workers,
        trial_count: study.finished_count(),
        seconds,
        busy: share(tally.busy, seconds * workers as f64).min(1.0),
        asking: share(tally.asking, seconds).min(1.0),
        waiting: (share(tally.found_count as f64, tally.turn_count as f64), tally.found_max),
        wait: share(tally.waited, tally.found_count as f64),
        lost_count: tally.lost_count,
        trace,
        best_trial: study.incumbent().first().map(|trial| trial.0),
    }
}

/// Runs with the same number of workers, and other seeds.
pub struct Row(Vec<Simulated>);

/// What a study comes to with each of some numbers of workers, as medians over seeds.
pub struct Table {
    metric: String,
    rows: Vec<Row>,
    /// When the quickest study ended: the others are compared at that time, too.
    early: f64,
}

/// Simulates a study with each number of workers, with as many seeds. `None` if it was interrupted.
pub fn compare(
    plan: &StudyPlan,
    conditions: Conditions,
    workers: &[usize],
    seed_count: u64,
    interrupt: &Interrupt,
) -> Result<Option<Table>, Error> {
    let mut rows = Vec::new();
    for count in workers {
        let mut row = Vec::new();
        for number in 0..seed_count {
            let mut plan = plan.clone();
            plan.rules.seed = plan.rules.seed.wrapping_add(number);
            let Some(simulated) = simulate(&plan, conditions, *count, interrupt)? else { return Ok(None) };
            row.push(simulated);
        }
        rows.push(Row(row));
    }
    let early = rows.iter().map(|row| row.median(|one| one.seconds)).fold(f64::INFINITY, f64::min);
    let metric = plan.rules.problem.metrics.first().map_or(String::new(), |metric| metric.name.clone());
    Ok(Some(Table { metric, rows, early }))
}

impl Row {
    fn median(&self, value: impl Fn(&Simulated) -> f64) -> f64 {
        let mut values: Vec<f64> = self.0.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        // the lower one of two, so that it is a value that was seen
        values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
    }
}

impl Table {
    /// For people.
    pub fn text(&self) -> String {
        let span = |seconds: f64| duration(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let early = format!("{} by {}", self.metric, span(self.early));
        let head = [
            "workers",
            "time",
            "trials/h",
            "busy",
            "asking",
            "waiting",
            "at most",
            "lost",
            &self.metric,
            &early,
        ];
        let mut rows = vec![head.map(str::to_owned)];
        let value = |value: f64| if value.is_finite() { number(value) } else { "-".to_owned() };
        for row in &self.rows {
            let median = |value: &dyn Fn(&Simulated) -> f64| row.median(value);
            let seconds = median(&|one| one.seconds);
            rows.push([
                row.0.first().map_or(0, |one| one.workers).to_string(),
                span(seconds),
                number(median(&|one| 3600.0 * one.trial_count as f64 / one.seconds.max(f64::MIN_POSITIVE))),
                format!("{:.0} %", 100.0 * median(&|one| one.busy)),
                format!("{:.1} %", 100.0 * median(&|one| one.asking)),
                format!("{:.1}", median(&|one| one.waiting.0)),
                number(median(&|one| one.waiting.1 as f64)),
                number(median(&|one| one.lost_count as f64)),
                value(median(&|one| one.best().unwrap_or(f64::NAN))),
                value(median(&|one| one.best_at(self.early).unwrap_or(f64::NAN))),
            ]);
        }
        columns(&rows)
    }

    /// For programs: every run.
    pub fn json(&self) -> Value {
        let runs = self.rows.iter().flat_map(|row| &row.0).map(|one| one.json(self.early));
        json!({"early_s": self.early, "runs": runs.collect::<Value>()})
    }
}

#[cfg(test)]
mod tests;
