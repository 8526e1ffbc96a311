//! The loop that runs a study: this file alone puts events in order.

use crate::digest::Keeper;
use crate::engine::{Ending, Engine};
use crate::error::Error;
use crate::executor::{Evaluate, Event, Executor, GRACE, Waker};
use crate::interrupt::Interrupt;
use crate::journal::Entry;
use crate::plan::StudyPlan;
use crate::watch::Watch;
use ansatz_core::study::{Step, StopReason, Study, Trial};
use ansatz_core::{Assignment, Continued, Failure, Outcome, Point, TrialId, Verdict};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the display is brought up to date while nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// How long the loop waits for more trials to end, before it writes down those that ended: this part of the
/// time that the last write took, and at most so long.
const LINGER_SHARE: u32 = 3;
const LINGER_MAX: Duration = Duration::from_millis(5);

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The study is done.
    Done(StopReason),
    /// Somebody interrupted it; it can be resumed.
    Interrupted,
}

/// Where trials run: in slots of this process, or of workers that see a board.
///
/// What was given to it before a call of `wait` is on record by then, and so is what came of the events of the call
/// before.
pub trait Slots {
    /// How many trials can be started now.
    fn free_slot_count(&self) -> usize;
    /// How many were started and have not ended.
    fn running_count(&self) -> usize;
    /// Starts an attempt.
    fn start(&mut self, point: Point, assignment: Assignment) -> Result<(), Error>;
    /// Answers the oldest report of a trial that has no answer yet.
    fn answer(&mut self, trial: TrialId, verdict: Verdict) -> Result<(), Error>;
    /// Nothing is started any more: takes back what nobody has begun.
    fn drain(&mut self) -> Result<(), Error>;
    /// Tells every running attempt to stop.
    fn stop_all(&mut self) -> Result<(), Error>;
    /// Waits for events, at most `patience`, and after the first one up to `linger` for others.
    fn wait(&mut self, patience: Duration, linger: Duration) -> Result<Vec<Event>, Error>;
    /// Something that makes `wait` return early, where there is such a thing.
    fn waker(&self) -> Option<Waker>;
    /// The study cannot go on here: ends whatever must not outlive it.
    fn abandon(&mut self);
    /// What a person should know, since the last call.
    fn notices(&mut self) -> Vec<String>;
}

/// Runs a study in slots of this process until it is done or interrupted. `again` are trials that a resumed study has
/// to run once more.
pub fn run(
    engine: &mut Engine,
    objective: Arc<dyn Evaluate>,
    plan: &StudyPlan,
    again: Vec<TrialId>,
    interrupt: &Interrupt,
    watch: &mut Watch,
) -> Result<SessionEnd, Error> {
    let executor = Executor::new(objective, plan.run.slot_count, GRACE);
    let mut executor = executor.map_err(|error| Error::Io { path: "a thread for a slot".into(), error })?;
    if engine.has_early_stopping() {
        executor.judge_reports();
    }
    run_in(engine, &mut executor, plan, again, interrupt, watch)
}

/// The same in whatever slots there are.
pub fn run_in(
    engine: &mut Engine,
    slots: &mut dyn Slots,
    plan: &StudyPlan,
    again: Vec<TrialId>,
    interrupt: &Interrupt,
    watch: &mut Watch,
) -> Result<SessionEnd, Error> {
    if let Some(waker) = slots.waker() {
        interrupt.wake_on_signal(waker);
    }
    let mut digests = Keeper::default();
    let end = turns(engine, slots, plan, again, interrupt, watch, &mut digests);
    if end.is_err() {
        // the journal takes nothing more
        slots.abandon();
    }
    let end = end?;
    let elapsed = engine.elapsed();
    let reason = match end {
        SessionEnd::Done(reason) => reason.to_string(),
        SessionEnd::Interrupted => "interrupted".to_owned(),
    };
    engine.note(Entry::Closed { reason, elapsed });
    engine.commit()?;
    digests.end(&plan.name, engine, elapsed);
    watch.finish(engine);
    Ok(end)
}

/// Turn by turn until there is nothing to do: start what follows, write it down, see what happens.
fn turns(
    engine: &mut Engine,
    slots: &mut dyn Slots,
    plan: &StudyPlan,
    again: Vec<TrialId>,
    interrupt: &Interrupt,
    watch: &mut Watch,
    digests: &mut Keeper,
) -> Result<SessionEnd, Error> {
    // trials to start, the next first: those to run again, and with a window those that found no slot yet
    let mut queue = VecDeque::from(again);
    let output_folder = trial_output_folder(&plan.journal.path, &plan.name);
    // trials whose last report was judged to be the last
    let mut stopped: Vec<TrialId> = Vec::new();
    loop {
        let is_draining = interrupt.count() > 0;
        let mut starts: Vec<TrialId> = Vec::new();
        let mut stop = None;
        if !is_draining {
            let (fresh, step) = engine.fill(slots.free_slot_count().saturating_sub(queue.len()))?;
            queue.extend(fresh);
            starts.extend(queue.drain(..queue.len().min(slots.free_slot_count())));
            if let Step::Stop(reason) = step {
                stop = Some(SessionEnd::Done(reason));
            }
        } else if slots.running_count() == 0 {
            stop = Some(SessionEnd::Interrupted);
        }
        engine.commit()?; // before anybody acts on it
        for trial in stopped.drain(..) {
            slots.answer(trial, Verdict::Stop)?;
        }
        // asking may have taken a while: whoever interrupted twice meanwhile wants nothing more to begin
        if interrupt.count() < 2 {
            for trial in starts {
                start(slots, engine, plan, &output_folder, trial)?;
            }
        }
        digests.look(&plan.name, engine);
        slots.notices().into_iter().for_each(|notice| engine.warn(notice));
        watch.update(engine, slots.running_count(), is_draining);
        if let Some(end) = stop {
            return Ok(end);
        }
        if is_draining {
            slots.drain()?;
        }
        if interrupt.count() > 1 {
            slots.stop_all()?;
        }
        // a share of what writing costs: one flush for all that end together
        let linger = engine.last_commit_time() / LINGER_SHARE;
        for event in slots.wait(TICK, linger.min(LINGER_MAX))? {
            match event {
                // going on is safe at once: if the host dies, the trial dies with it
                Event::Reported { trial, step, measurement } => {
                    match engine.report(trial, step, measurement)? {
                        Verdict::Continue => slots.answer(trial, Verdict::Continue)?,
                        Verdict::Stop => stopped.push(trial),
                    }
                }
                // stopped by the user: it has not had its chance, and is run again on resume
                Event::Ended { trial, outcome: Outcome::Stopped { .. } | Outcome::Failed { .. }, .. }
                    if interrupt.count() > 1 && engine.study().early_stop(trial).is_none() => {}
                // whoever ran it is gone, and what that means is for the plan to say
                Event::Ended {
                    trial,
                    outcome: Outcome::Failed { failure: Failure::Lost, reason },
                    duration,
                } => {
                    if engine.lose(trial, reason, duration, plan.run.on_interrupt)? == Ending::Retry {
                        queue.push_back(trial);
                    }
                }
                Event::Ended { trial, outcome, duration } => {
                    if engine.finish(trial, outcome, duration)? == Ending::Retry {
                        queue.push_back(trial);
                    }
                }
            }
        }
    }
}

fn start(
    slots: &mut dyn Slots,
    engine: &Engine,
    plan: &StudyPlan,
    output_folder: &Path,
    trial: TrialId,
) -> Result<(), Error> {
    let study = engine.study();
    let Some(entry) = study.trial(trial) else { return Ok(()) };
    slots.start(entry.point.clone(), assignment(study, entry, plan, Some(output_folder)))
}

/// The facts of a trial's current attempt. `output_folder`: where those of the study's trials are.
pub fn assignment(
    study: &Study,
    trial: &Trial,
    plan: &StudyPlan,
    output_folder: Option<&Path>,
) -> Assignment {
    let folder_of = |trial: TrialId| output_folder.map(|folder| folder.join(format!("trial-{trial}")));
    let continued = trial.continuation.as_ref().and_then(|continuation| {
        let stopped = study.trial(continuation.continued)?;
        Some(Continued {
            trial: stopped.id,
            attempt: stopped.attempt,
            step: stopped.early_stop.as_ref()?.step,
            output_folder: folder_of(stopped.id),
        })
    });
    Assignment {
        trial: trial.id,
        attempt: trial.attempt,
        seed: study.trial_seed(trial.id),
        fidelity: trial.fidelity,
        time_limit: plan.run.trial_timeout,
        output_folder: folder_of(trial.id),
        continued,
    }
}

/// Where the output of a study's trials goes: a folder beside its journal, absolute.
pub fn trial_output_folder(journal: &Path, study: &str) -> PathBuf {
    let journal = std::path::absolute(journal).unwrap_or_else(|_| journal.to_owned());
    let mut name = journal.file_name().unwrap_or_default().to_owned();
    name.push(".d");
    journal.with_file_name(name).join(study)
}
