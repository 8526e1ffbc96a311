//! One cell of the arena: one strategy, or a mixture of several, on one problem with one seed, by the engine that runs studies.
//!
//! One trial is evaluated after the other, also where several are under way at a time: the oldest ends first. So what comes of
//! it depends on the seed and the slots and on nothing else. A journal that keeps nothing; no restarts and no fallback,
//! because what a strategy does wrong is its own result.

use super::cpu::{Moment, Span};
use super::reading::{Reader, Reading};
use super::results::{AskCpuMean, Cell, Failing, Seconds};
use crate::clock::Clock;
use crate::engine::{Ending, Engine};
use crate::error::Error;
use crate::executor::{Evaluate, Event, Executor, GRACE};
use crate::interrupt::Interrupt;
use crate::journal::{NoJournal, StudyHeader};
use crate::plan::StudyPlan;
use crate::plugins::LoadedStrategy;
use crate::run::assignment;
use ansatz_core::TrialId;
use ansatz_core::study::{Step, StopReason, Study};
use ansatz_plugin_host::{FaultClass, HostError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How often a cell looks whether it was interrupted, while a trial runs.
const TICK: Duration = Duration::from_millis(200);

/// What a cell is made of.
pub(super) struct Task<'a> {
    /// With the seed, the budget and the members of this cell.
    pub plan: StudyPlan,
    pub objective: Arc<dyn Evaluate>,
    pub strategies: Vec<LoadedStrategy>,
    /// How many trials are under way at a time.
    pub slot_count: usize,
    /// After each trial.
    pub reading: &'a Reading,
    /// Counts of trials at which the cost of asking is noted.
    pub budgets: &'a [u64],
}

/// Runs a cell. `None` if it was interrupted: then it has no result.
pub(super) fn run(task: Task<'_>, interrupt: &Interrupt) -> Option<Cell> {
    let mut cell = Cell::default();
    match trials(task, interrupt, &mut cell) {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) => cell.fail(failing(&error), error.to_string()),
    }
    cell.trial_count = cell.trace.len() as u64;
    Some(cell)
}

/// Trial after trial. False if it was interrupted.
fn trials(task: Task<'_>, interrupt: &Interrupt, cell: &mut Cell) -> Result<bool, Error> {
    let Task { plan, objective, strategies, slot_count, reading, budgets } = task;
    let mut reader = Reader::new(reading);
    let member_count = strategies.len();
    let processes = |engine: &Engine| {
        (0..member_count).filter_map(|member| engine.process_id(member)).collect::<Vec<_>>()
    };
    let header = StudyHeader { plan: plan.clone(), manifest: String::new(), created_at: 0.0 };
    let study = Study::new(plan.rules.clone());
    let journal = Box::new(NoJournal::new(header));
    let mut engine = Engine::new(study, strategies, None, 0, journal, Clock::start(Duration::ZERO))?;
    let mut executor = Executor::new(objective, 1, GRACE)
        .map_err(|error| Error::Io { path: "a thread for a slot".into(), error })?;
    // asked and not evaluated yet, the oldest first
    let mut under_way: VecDeque<TrialId> = VecDeque::new();
    let mut asks = Costs::default();
    let mut tells = Costs::default();
    loop {
        let mut stop = None;
        while under_way.len() < slot_count && stop.is_none() {
            let before = Moment::before(&processes(&engine));
            let (starts, step) = engine.fill(1)?;
            let span = before.until_now(|| processes(&engine));
            engine.commit()?;
            match (starts.first(), step) {
                (Some(trial), _) => {
                    asks.add(span);
                    let number = trial.0 + 1;
                    if budgets.contains(&number) {
                        cell.ask_cpu_means.push(AskCpuMean { trials: number, seconds: asks.cpu_mean() });
                    }
                    under_way.push_back(*trial);
                }
                (None, Step::Stop(reason)) => stop = Some(reason),
                // it waits for results: for ever if it has heard all of them
                (None, _) => break,
            }
        }
        if interrupt.count() > 0 {
            return Ok(false);
        }
        let Some(trial) = under_way.pop_front() else {
            if let Some(reason) = stop {
                end(cell, &mut engine, reason);
            }
            break;
        };
        let Some(entry) = engine.study().trial(trial) else { break };
        executor.start(entry.point.clone(), assignment(engine.study(), entry, &plan, None));
        while executor.running().len() > 0 {
            for event in executor.wait(TICK, Duration::ZERO) {
                match event {
                    Event::Reported { trial, step, measurement } => {
                        engine.report(trial, step, measurement)?;
                    }
                    Event::Ended { trial, outcome, duration } => {
                        cell.evaluation_seconds += duration.as_secs_f64();
                        let before = Moment::before(&processes(&engine));
                        let ending = engine.finish(trial, outcome, duration)?;
                        tells.add(before.until_now(|| processes(&engine)));
                        if ending == Ending::Retry {
                            under_way.push_front(trial);
                        } else {
                            match reader.read(engine.study()) {
                                Ok(value) => cell.trace.push(value),
                                Err(error) => {
                                    cell.fail(Failing::Objective, error);
                                    return Ok(true);
                                }
                            }
                        }
                        engine.commit()?;
                    }
                }
            }
            if interrupt.count() > 0 {
                executor.stop_all();
            }
        }
    }
    cell.ask_seconds = asks.seconds();
    cell.tell_seconds = tells.seconds();
    Ok(true)
}

/// Notes why a cell ended, where that is worth a word.
fn end(cell: &mut Cell, engine: &mut Engine, reason: StopReason) {
    match reason {
        StopReason::Broken => {
            let said = engine.take_notices().join("; ");
            cell.fail(Failing::Broke, said);
        }
        StopReason::Failures => {
            let last =
                engine.study().trials().iter().rev().find_map(|trial| trial.outcome.as_ref()?.reason());
            let last = last.unwrap_or("no reason given").to_owned();
            cell.fail(Failing::Objective, format!("too many trials failed in a row, the last one: {last}"));
        }
        _ => {}
    }
}

/// Whose fault an error is.
fn failing(error: &Error) -> Failing {
    match error {
        Error::Plugin(HostError::Unfit(fault)) => match fault.kind {
            FaultClass::Unsupported => Failing::Unsupported,
            FaultClass::Invalid => Failing::Refused,
            _ => Failing::Broke,
        },
        Error::Plugin(_) => Failing::Refused,
        _ => Failing::Host,
    }
}

/// The sum of what calls cost.
#[derive(Default)]
struct Costs {
    count: u32,
    wall: Duration,
    cpu: Duration,
    is_cpu_unknown: bool,
}

impl Costs {
    fn add(&mut self, span: Span) {
        self.count += 1;
        self.wall += span.wall;
        match span.cpu {
            Some(cpu) => self.cpu += cpu,
            None => self.is_cpu_unknown = true,
        }
    }

    fn seconds(&self) -> Seconds {
        let cpu = (!self.is_cpu_unknown).then_some(self.cpu.as_secs_f64());
        Seconds { wall: self.wall.as_secs_f64(), cpu }
    }

    fn cpu_mean(&self) -> Option<f64> {
        let is_known = !self.is_cpu_unknown && self.count > 0;
        is_known.then(|| self.cpu.as_secs_f64() / f64::from(self.count))
    }
}
