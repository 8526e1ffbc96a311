//! Slots that evaluate trials: asynchronous, without a generation barrier. Panics and timeouts stay here.
//!
//! There is a thread for each slot. An attempt that does not end within its time limit is first told to
//! stop; after a grace it is given up: its result, should it ever come, is dropped, and a new thread
//! takes the place of its own. A thread cannot be killed, so an objective in our own process that ignores the request keeps its
//! thread until the host ends; one in a process of its own is killed, and so are the programs of `command`.

mod exchange;

use crate::error::Error;
use crate::run::Slots;
use ansatz_core::{
    Assignment, EvaluationError, Failure, Measurement, Outcome, Point, Reporter, TrialId, Verdict,
};
use ansatz_plugin_host::{EvaluationFault, FaultClass, ForeignObjective};
use exchange::{Exchange, GivenUp};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long an attempt has after it was told to stop.
pub const GRACE: Duration = Duration::from_secs(5);

/// Whatever evaluates: a loaded objective, or a closure in a test or benchmark.
pub trait Evaluate: Send + Sync + 'static {
    /// Evaluates a point; several threads call it at once.
    fn evaluate(
        &self,
        point: &Point,
        assignment: &Assignment,
        reporter: &mut dyn Reporter,
    ) -> Result<Measurement, EvaluationFault>;
}

impl Evaluate for ForeignObjective {
    fn evaluate(
        &self,
        point: &Point,
        assignment: &Assignment,
        reporter: &mut dyn Reporter,
    ) -> Result<Measurement, EvaluationFault> {
        ForeignObjective::evaluate(self, point, assignment, reporter)
    }
}

/// What happens while trials run.
#[derive(Clone, Debug)]
pub enum Event {
    /// A running attempt reported.
    Reported {
        /// Which trial.
        trial: TrialId,
        /// Its own count of progress.
        step: u64,
        /// What it measured so far.
        measurement: Measurement,
    },
    /// An attempt ended, or was given up.
    Ended {
        /// Which trial.
        trial: TrialId,
        /// How; a completed one is not judged yet.
        outcome: Outcome,
        /// How long it took.
        duration: Duration,
    },
}

enum Message {
    Reported { ticket: u64, step: u64, measurement: Measurement },
    Ended { ticket: u64, outcome: Outcome, duration: Duration },
}

/// One attempt on its way to a thread.
struct Job {
    ticket: u64,
    point: Point,
    assignment: Assignment,
    stop: Arc<AtomicBool>,
    /// Where reports are answered; without it they are not judged.
    answers: Option<Receiver<Verdict>>,
}

/// What the executor knows of a running attempt.
struct Running {
    ticket: u64,
    trial: TrialId,
    started: Instant,
    time_limit: Option<Duration>,
    stop: Arc<AtomicBool>,
    /// When it was told to stop.
    told_to_stop: Option<Instant>,
    /// Whether it was told so because its time was up.
    is_late: bool,
    last: Option<Measurement>,
    answers: Option<Sender<Verdict>>,
}

impl Running {
    /// Tells the attempt to stop: it hears of it when it looks, and at a report that waits for its answer.
    fn tell_to_stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.told_to_stop.get_or_insert_with(Instant::now);
        if let Some(answers) = &self.answers {
            let _ = answers.send(Verdict::Stop);
        }
    }
}

/// Slots, some of them busy.
pub struct Executor {
    objective: Arc<dyn Evaluate>,
    exchange: Arc<Exchange>,
    threads: Vec<thread::JoinHandle<()>>,
    free_slot_count: usize,
    running: Vec<Running>,
    /// What was started since the last `wait`, which hands it over: all at once.
    starting: Vec<Job>,
    messages: Vec<Message>,
    next_ticket: u64,
    grace: Duration,
    /// Whether each report waits for its answer.
    is_judging: bool,
}

/// Makes the executor's `wait` return early.
#[derive(Clone)]
pub struct Waker(Arc<Exchange>);

impl Waker {
    /// Wakes the loop; nothing happens if it is gone.
    pub fn wake(&self) {
        self.0.call();
    }
}

impl Executor {
    /// An executor with so many slots. `grace` is how long an attempt has after it was told to stop.
    pub fn new(objective: Arc<dyn Evaluate>, slot_count: usize, grace: Duration) -> std::io::Result<Self> {
        let mut executor = Self {
            objective,
            exchange: Arc::default(),
            threads: Vec::new(),
            free_slot_count: 0,
            running: Vec::new(),
            starting: Vec::new(),
            messages: Vec::new(),
            next_ticket: 0,
            grace,
            is_judging: false,
        };
        for _ in 0..slot_count {
            executor.open_slot()?;
        }
        Ok(executor)
    }

    /// From here on each report of an attempt waits for what `answer` says of it.
    pub fn judge_reports(&mut self) {
        self.is_judging = true;
    }

    /// Answers the report of a running trial, where reports are judged.
    pub fn answer(&mut self, trial: TrialId, verdict: Verdict) {
        let Some(running) = self.running.iter_mut().find(|running| running.trial == trial) else { return };
        match (verdict, &running.answers) {
            (Verdict::Stop, _) => running.tell_to_stop(),
            // an attempt that has ended meanwhile waits for nothing
            (Verdict::Continue, Some(answers)) => drop(answers.send(verdict)),
            (Verdict::Continue, None) => {}
        }
    }

    /// Something that makes `wait` return early, for signal handlers.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.exchange))
    }

    /// How many trials can be started now.
    pub fn free_slot_count(&self) -> usize {
        self.free_slot_count
    }

    /// The trials that are running, with the time since they started, oldest first.
    pub fn running(&self) -> impl ExactSizeIterator<Item = (TrialId, Duration)> + '_ {
        self.running.iter().map(|running| (running.trial, running.started.elapsed()))
    }

    /// Starts an attempt in a free slot, with the next `wait`. The caller has seen that there is one.
    pub fn start(&mut self, point: Point, assignment: Assignment) {
        let Some(left) = self.free_slot_count.checked_sub(1) else { return };
        self.free_slot_count = left;
        let stop = Arc::new(AtomicBool::new(false));
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let (sender, answers) = if self.is_judging { Some(channel()).unzip() } else { (None, None) };
        self.running.push(Running {
            ticket,
            trial: assignment.trial,
            started: Instant::now(),
            time_limit: assignment.time_limit,
            stop: Arc::clone(&stop),
            told_to_stop: None,
            is_late: false,
            last: None,
            answers: sender,
        });
        self.starting.push(Job { ticket, point, assignment, stop, answers });
    }

    /// Tells every running attempt to stop.
    pub fn stop_all(&mut self) {
        self.running.iter_mut().for_each(Running::tell_to_stop);
    }

    /// Waits for events, at most `patience`, and gives all that are there; none if it was woken, or if
    /// patience ran out. After the first one it lingers a little for others that are about to come: what
    /// follows (writing them down) costs the same for one as for all.
    pub fn wait(&mut self, patience: Duration, linger: Duration) -> Vec<Event> {
        self.exchange.put(self.starting.drain(..));
        let mut events = Vec::new();
        let until = Instant::now() + patience;
        loop {
            let deadline = self.running.iter().filter_map(|running| self.deadline(running)).min();
            let wake_at = deadline.map_or(until, |deadline| deadline.min(until));
            let mut messages = std::mem::take(&mut self.messages);
            let is_called = self.exchange.take(wake_at, || Instant::now() + linger, &mut messages);
            messages.drain(..).for_each(|message| self.receive(message, &mut events));
            self.messages = messages;
            if is_called {
                return events;
            }
            self.enforce_deadlines(&mut events);
            if !events.is_empty() || Instant::now() >= until {
                return events;
            }
        }
    }

    fn deadline(&self, running: &Running) -> Option<Instant> {
        match running.told_to_stop {
            Some(told) => Some(told + self.grace),
            None => running.time_limit.and_then(|limit| running.started.checked_add(limit)),
        }
    }

    fn receive(&mut self, message: Message, events: &mut Vec<Event>) {
        match message {
            // an unknown ticket is an attempt that was given up
            Message::Reported { ticket, step, measurement } => {
                if let Some(running) = self.running.iter_mut().find(|running| running.ticket == ticket) {
                    running.last = Some(measurement.clone());
                    events.push(Event::Reported { trial: running.trial, step, measurement });
                }
            }
            Message::Ended { ticket, outcome, duration } => {
                let Some(index) = self.running.iter().position(|running| running.ticket == ticket) else {
                    return;
                };
                let running = self.running.remove(index);
                self.free_slot_count += 1;
                let late = running.is_late || running.time_limit.is_some_and(|limit| duration >= limit);
                let outcome = match outcome {
                    Outcome::Failed { failure: Failure::Objective, reason } if late => {
                        Outcome::Failed { failure: Failure::Timeout, reason }
                    }
                    Outcome::Stopped { .. } if late => Outcome::Failed {
                        failure: Failure::Timeout,
                        reason: format!(
                            "stopped at its time limit of {:?}",
                            running.time_limit.unwrap_or_default()
                        ),
                    },
                    Outcome::Stopped { reason, measurement: None } => {
                        Outcome::Stopped { reason, measurement: running.last }
                    }
                    other => other,
                };
                events.push(Event::Ended { trial: running.trial, outcome, duration });
            }
        }
    }

    fn enforce_deadlines(&mut self, events: &mut Vec<Event>) {
        let now = Instant::now();
        let mut index = 0;
        while index < self.running.len() {
            let over = self.deadline(&self.running[index]).is_some_and(|deadline| deadline <= now);
            let running = &mut self.running[index];
            match (over, running.told_to_stop) {
                (true, None) => {
                    running.tell_to_stop();
                    running.is_late = true;
                    index += 1;
                }
                (true, Some(_)) => {
                    let given_up = self.exchange.give_up(running.ticket);
                    if given_up == GivenUp::HadEnded {
                        // the next look finds how
                        index += 1;
                        continue;
                    }
                    let running = self.running.remove(index);
                    let limit = running
                        .time_limit
                        .map_or(String::new(), |limit| format!(" its time limit of {limit:?} and"));
                    let reason = format!("ignored{limit} the request to stop for {:?}; given up", self.grace);
                    events.push(Event::Ended {
                        trial: running.trial,
                        outcome: Outcome::Failed { failure: Failure::Timeout, reason },
                        duration: running.started.elapsed(),
                    });
                    match given_up {
                        // without a new thread the slot stays closed: the study goes on with fewer
                        GivenUp::Runs => drop(self.open_slot()),
                        _ => self.free_slot_count += 1,
                    }
                }
                (false, _) => index += 1,
            }
        }
    }

    fn open_slot(&mut self) -> std::io::Result<()> {
        let objective = Arc::clone(&self.objective);
        let exchange = Arc::clone(&self.exchange);
        let number = self.threads.len();
        let thread = thread::Builder::new().name(format!("slot-{number}")).spawn(move || {
            let mut done = None;
            while let Some(job) = exchange.next(done.take()) {
                done = Some((job.ticket, evaluate(&*objective, job, &exchange)));
            }
            drop(objective);
            exchange.leave();
        })?;
        self.exchange.enter();
        self.threads.push(thread);
        self.free_slot_count += 1;
        Ok(())
    }
}

impl Slots for Executor {
    fn free_slot_count(&self) -> usize {
        Executor::free_slot_count(self)
    }

    fn running_count(&self) -> usize {
        self.running.len()
    }

    fn start(&mut self, point: Point, assignment: Assignment) -> Result<(), Error> {
        Executor::start(self, point, assignment);
        Ok(())
    }

    fn answer(&mut self, trial: TrialId, verdict: Verdict) -> Result<(), Error> {
        Executor::answer(self, trial, verdict);
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Error> {
        // whatever was started has begun
        Ok(())
    }

    fn stop_all(&mut self) -> Result<(), Error> {
        Executor::stop_all(self);
        Ok(())
    }

    fn wait(&mut self, patience: Duration, linger: Duration) -> Result<Vec<Event>, Error> {
        Ok(Executor::wait(self, patience, linger))
    }

    fn waker(&self) -> Option<Waker> {
        Some(Executor::waker(self))
    }

    /// What was started must not outlive us.
    fn abandon(&mut self) {
        Executor::stop_all(self);
        while !self.running.is_empty() {
            Executor::wait(self, self.grace, Duration::ZERO);
        }
    }

    fn notices(&mut self) -> Vec<String> {
        Vec::new()
    }
}

impl Drop for Executor {
    /// Threads that wait for work hold the objective: it must be gone, with its processes, before the host is.
    fn drop(&mut self) {
        if self.exchange.end() {
            self.threads.drain(..).for_each(|thread| drop(thread.join()));
        }
    }
}

/// What an objective's answer means.
pub(crate) fn outcome_of(answer: Result<Measurement, EvaluationFault>) -> Outcome {
    let failed = |failure, reason| Outcome::Failed { failure, reason };
    match answer {
        Ok(measurement) => Outcome::Completed { measurement },
        Err(EvaluationFault::Objective(EvaluationError::Infeasible(reason))) => {
            Outcome::Infeasible { reason }
        }
        Err(EvaluationFault::Objective(EvaluationError::Failed(reason))) => {
            failed(Failure::Objective, reason)
        }
        Err(EvaluationFault::Objective(EvaluationError::Stopped)) => {
            Outcome::Stopped { reason: "ended early".into(), measurement: None }
        }
        Err(EvaluationFault::Plugin(fault)) => {
            let failure = match fault.kind {
                FaultClass::Panic => Failure::Panic,
                FaultClass::Crashed => Failure::Crash,
                _ => Failure::Objective,
            };
            failed(failure, fault.to_string())
        }
    }
}

/// Runs one attempt; whatever happens becomes an outcome.
fn evaluate(objective: &dyn Evaluate, job: Job, exchange: &Exchange) -> Message {
    let started = Instant::now();
    let answers = job.answers.as_ref();
    let mut reporter = SlotReporter { ticket: job.ticket, stop: &job.stop, answers, exchange };
    let result =
        catch_unwind(AssertUnwindSafe(|| objective.evaluate(&job.point, &job.assignment, &mut reporter)));
    let outcome = result.map_or_else(
        |_| Outcome::Failed {
            failure: Failure::Panic,
            reason: "the host panicked while it evaluated; please report this".into(),
        },
        outcome_of,
    );
    Message::Ended { ticket: job.ticket, outcome, duration: started.elapsed() }
}

struct SlotReporter<'a> {
    ticket: u64,
    stop: &'a AtomicBool,
    answers: Option<&'a Receiver<Verdict>>,
    exchange: &'a Exchange,
}

impl Reporter for SlotReporter<'_> {
    fn report(&mut self, step: u64, measurement: &Measurement) -> Verdict {
        let message = Message::Reported { ticket: self.ticket, step, measurement: measurement.clone() };
        if !self.exchange.send(message) || self.is_stopped() {
            return Verdict::Stop;
        }
        match self.answers {
            None => Verdict::Continue,
            // whoever would answer is gone: so is the attempt
            Some(answers) => answers.recv().unwrap_or(Verdict::Stop),
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
