//! An objective in processes of its own: one for each evaluation that is under way, kept for the next.

use super::process::{Broken, Heard, Process, Served, line_of, unexpected};
use super::protocol::{Answer, Creation, Evaluation, Metrics, Reply, Request, Word, numbers};
use super::{Launch, crashed};
use ansatz_core::abi::abi_stable::sabi_types::RMut;
use ansatz_core::abi::abi_stable::std_types::{RResult, RSlice, RStr, RString, RVec};
use ansatz_core::abi::{self, Fault, FaultKind, RawContext_TO, RawObjective};
use ansatz_core::glue::convert;
use ansatz_core::{Point, Space};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an evaluation has to end after it was told to stop, before its process is killed. Shorter than the
/// executor's own patience, so that the slot is free again in time.
const GRACE: Duration = Duration::from_secs(2);
/// How often we look whether the host wants an evaluation to stop.
const STOP_TICK: Duration = Duration::from_millis(20);

/// An objective in processes of its own.
pub struct RemoteObjective {
    launch: Launch,
    served: Served,
    /// The line that makes it.
    creation: String,
    /// For programs, which are told parameters by name.
    space: Option<Space>,
    /// After so many evaluations a process is replaced.
    restart_after: Option<u64>,
    idle: Mutex<Vec<Seat>>,
    /// Of the processes that there are: they tell their logs apart.
    numbers: Arc<Mutex<BTreeSet<u64>>>,
}

/// A process that is not evaluating.
struct Seat {
    process: Process,
    takes_stop: bool,
    evaluation_count: u64,
    /// Given back when the process is no more.
    _number: Number,
}

/// The lowest number that no other process has.
struct Number {
    number: u64,
    taken: Arc<Mutex<BTreeSet<u64>>>,
}

impl Number {
    fn take(taken: &Arc<Mutex<BTreeSet<u64>>>) -> Self {
        let mut numbers = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (0..).find(|number| !numbers.contains(number)).unwrap_or(u64::MAX);
        numbers.insert(number);
        Self { number, taken: Arc::clone(taken) }
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl Drop for RemoteObjective {
    fn drop(&mut self) {
        // all are told before each is waited for
        for seat in self.idle.get_mut().unwrap_or_else(PoisonError::into_inner) {
            seat.process.close_input();
        }
    }
}

impl RemoteObjective {
    /// Starts the first process, so that a refusal is heard before the study begins.
    pub fn new(
        launch: Launch,
        served: Served,
        creation: &Creation,
        space: Option<Space>,
        restart_after: Option<u64>,
    ) -> Result<Self, Fault> {
        let objective = Self {
            launch,
            served,
            creation: line_of(&Request::Create(creation.clone())).map_err(|broken| crashed(&broken, None))?,
            space,
            restart_after,
            idle: Mutex::new(Vec::new()),
            numbers: Arc::default(),
        };
        let first = objective.start()?;
        objective.keep(first);
        Ok(objective)
    }

    fn start(&self) -> Result<Seat, Fault> {
        let number = Number::take(&self.numbers);
        let mut launch = self.launch.clone();
        launch.log = launch.log.map(|path| numbered(path, number.number));
        let (process, introduction) = Process::make(&launch, &self.served, &self.creation)?;
        let takes_stop = introduction.features.iter().any(|feature| feature == "stop");
        Ok(Seat { process, takes_stop, evaluation_count: 0, _number: number })
    }

    /// A process for the next evaluation: an idle one, if it is still well.
    fn take(&self) -> Result<Seat, Fault> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut seat) = idle else { return self.start() };
            // one that ended since, or said something that nobody asked for, is of no use
            if seat.process.expect_silence().is_ok() {
                return Ok(seat);
            }
        }
    }

    /// Keeps a process for a later evaluation. One that goes on talking would answer that with what it says now.
    fn keep(&self, mut seat: Seat) {
        let may_go_on = self.restart_after.is_none_or(|limit| seat.evaluation_count < limit);
        if may_go_on && seat.process.expect_silence().is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(seat);
        }
    }

    fn request(&self, assignment: &abi::Assignment<'_>) -> Request {
        let parameters =
            self.space.as_ref().map(|space| space.point_to_json(&Point::from_flat(&assignment.x)));
        Request::Evaluate(Evaluation {
            trial: assignment.trial,
            attempt: assignment.attempt,
            seed: assignment.seed,
            x: numbers(&assignment.x),
            parameters,
            fidelity: Some(assignment.fidelity).filter(|fidelity| !fidelity.is_nan()),
            time_limit_s: Some(assignment.time_limit_s).filter(|limit| limit.is_finite()),
            output_folder: assignment.output_folder.to_string(),
            continued: convert::continued_in_ext(&assignment.ext).map(Into::into),
        })
    }

    fn evaluate_in_process(
        &self,
        assignment: &abi::Assignment<'_>,
        context: &mut RawContext_TO<'_, RMut<'_, ()>>,
    ) -> Result<RVec<abi::OwnedReading>, Fault> {
        let mut seat = self.take()?;
        // a process that was kept may have been on its way out: until it says something, another one may take over
        let mut may_be_on_its_way_out = seat.evaluation_count > 0;
        seat.evaluation_count += 1;
        // the executor sees to the limit too, but its thread may be waiting for a strategy
        let until = Duration::try_from_secs_f64(assignment.time_limit_s).ok();
        let until = until.and_then(|limit| Instant::now().checked_add(limit));
        let must_stop = |context: &RawContext_TO<'_, RMut<'_, ()>>| {
            context.is_stopped() || until.is_some_and(|until| until <= Instant::now())
        };
        let crash = |broken: Broken, seat: &Seat| Err(crashed(&broken, seat.process.log()));
        let request = self.request(assignment);
        let mut sent = seat.process.send(&request, self.launch.call_timeout);
        let mut told_to_stop: Option<Instant> = None;
        loop {
            let heard = sent.and_then(|()| seat.process.hear(Instant::now() + STOP_TICK));
            sent = Ok(());
            if may_be_on_its_way_out && matches!(heard, Err(Broken::Ended(_))) {
                seat = self.start()?;
                seat.evaluation_count = 1;
                may_be_on_its_way_out = false;
                sent = seat.process.send(&request, self.launch.call_timeout);
                continue;
            }
            may_be_on_its_way_out &= !matches!(heard, Ok(Heard::Reply(_)));
            match heard {
                // a late word on an earlier trial says nothing about this one
                Ok(Heard::Reply(reply)) if reply.trial().is_some_and(|trial| trial != assignment.trial) => {}
                Ok(Heard::Reply(reply)) => match *reply {
                    Reply::Measurement(metrics) => {
                        self.keep(seat);
                        return Ok(owned(&metrics));
                    }
                    Reply::Fault(fault) => {
                        self.keep(seat);
                        return Err(fault.into());
                    }
                    Reply::Report { step, metrics } => {
                        let stop = report(context, step, &metrics) || told_to_stop.is_some();
                        let word = if stop { Word::Stop } else { Word::Continue };
                        if stop {
                            told_to_stop.get_or_insert_with(Instant::now);
                        }
                        match seat.process.send(&Answer::Verdict(word), GRACE) {
                            Ok(()) => {}
                            Err(Broken::TimedOut(_)) => {
                                let what = "it does not read the verdicts on its reports";
                                return crash(Broken::Garbled(what.to_owned()), &seat);
                            }
                            Err(broken) => return crash(broken, &seat),
                        }
                    }
                    other => return crash(unexpected("evaluate", &other), &seat),
                },
                Ok(Heard::Nothing) => {}
                Err(broken) => return crash(broken, &seat),
            }
            match told_to_stop {
                None if must_stop(context) => {
                    told_to_stop = Some(Instant::now());
                    if seat.takes_stop
                        && let Err(broken) = seat.process.send(&Request::Stop {}, GRACE)
                    {
                        return crash(broken, &seat);
                    }
                }
                Some(since) if since.elapsed() > GRACE => {
                    seat.process.too_late(GRACE);
                    return Err(Fault {
                        kind: FaultKind::STOPPED,
                        message: "it did not stop when it was told to, and its process was killed".into(),
                        location: RString::new(),
                        detail: RString::new(),
                    });
                }
                _ => {}
            }
        }
    }
}

impl RawObjective for RemoteObjective {
    fn evaluate(
        &self,
        assignment: abi::Assignment<'_>,
        mut context: RawContext_TO<'_, RMut<'_, ()>>,
    ) -> RResult<RVec<abi::OwnedReading>, Fault> {
        self.evaluate_in_process(&assignment, &mut context).into()
    }
}

fn report(context: &mut RawContext_TO<'_, RMut<'_, ()>>, step: u64, metrics: &Metrics) -> bool {
    let readings: Vec<abi::Reading<'_>> = metrics
        .readings()
        .map(|(metric, value, standard_error)| abi::Reading {
            metric: RStr::from(metric),
            value,
            standard_error,
        })
        .collect();
    context.report(step, RSlice::from_slice(&readings))
}

fn owned(metrics: &Metrics) -> RVec<abi::OwnedReading> {
    metrics
        .readings()
        .map(|(metric, value, standard_error)| abi::OwnedReading {
            metric: metric.into(),
            value,
            standard_error,
        })
        .collect()
}

/// `name.log` of a later process is `name-2.log`.
fn numbered(path: PathBuf, number: u64) -> PathBuf {
    if number == 0 {
        return path;
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!("{stem}-{}.log", number + 1))
}
