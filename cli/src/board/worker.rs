//! `ansatz worker`: the one program that is started on as many machines as there are. It claims trials of a study,
//! evaluates them with the plugins that the study runs with, and brings back what came of them.
//!
//! Whatever happens to it, or to the store, it either brings the outcome of an attempt that is still its own, or drops
//! it: an attempt whose lease ran out belongs to somebody else.

use super::membership::{Claim, Look, Membership, Offer};
use super::posting::{Continuing, Posting};
use crate::error::Error;
use crate::executor::{Event, Executor, GRACE};
use crate::interrupt::Interrupt;
use crate::journal::{JournalError, JournalErrorKind, Location};
use crate::run::trial_output_folder;
use crate::session::{self, Staff};
use ansatz_core::study::Study;
use ansatz_core::{Assignment, Continued, Outcome, TrialId, Verdict};
use std::collections::{HashSet, VecDeque};
use std::io::Write;
use std::time::{Duration, Instant};

/// How long a worker that runs something looks away from it, or from the board.
const GLANCE: Duration = Duration::from_millis(5);
/// How long a worker that runs nothing waits before it looks whether it was interrupted.
const DOZE: Duration = Duration::from_millis(200);
/// How long to wait before the store is tried again.
const RETRY_DISTANCE: Duration = Duration::from_millis(500);

/// What a worker is to do.
pub struct Orders {
    /// The store of the study.
    pub location: Location,
    /// Its name.
    pub study: String,
    /// How many trials to run at the same time.
    pub slot_count: usize,
    /// How long to wait for somebody who asks, or for a store that is down, before giving up.
    pub patience: Duration,
    /// Say what goes on.
    pub is_quiet: bool,
    /// What the lock beside the manifest means.
    pub locking: crate::plugins::Locking,
}

/// Why a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerEnd {
    /// The study has ended, and why.
    Closed(String),
    /// It was told to end, and has brought or handed back what it had.
    Drained,
    /// Fewer workers are wanted, and it has brought what it had.
    Retired,
    /// Nobody has asked for anything for so long.
    Idle(Duration),
}

/// Why a worker claims nothing more, although there may be work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// It is one too many.
    Retired,
    /// The study goes on with another plan or another build than it has.
    Stale,
}

/// Works until there is nothing left to do.
pub fn work(orders: &Orders, interrupt: &Interrupt) -> Result<WorkerEnd, Error> {
    loop {
        if let Some(end) = work_as_equipped(orders, interrupt)? {
            return Ok(end);
        }
    }
}

/// The same with the plan and the objective of now; `None`: there are others meanwhile.
fn work_as_equipped(orders: &Orders, interrupt: &Interrupt) -> Result<Option<WorkerEnd>, Error> {
    let (location, name) = (&orders.location, &orders.study);
    let place = place();
    let started = Instant::now();
    // the plan is read once, from a journal that may be long: who waits looks at the board
    let mut early: Option<Staff> = None;
    let (staff, mut membership) = loop {
        // a study that is about to begin, or a store that is about to come up, is waited for
        let staff = early.take().map_or_else(|| session::staff(location, name), Ok);
        let found = match staff {
            Ok(staff) => {
                let space = &staff.plan.rules.problem.space;
                let offer = Membership::join(location, name, space, orders.slot_count, &place);
                early = Some(staff);
                offer.map_err(Error::Journal)
            }
            Err(error) => Err(error),
        };
        match found {
            // read again: whoever asks had written down with what, before there was a place
            Ok(Offer::Place(membership)) => {
                break (session::staff(location, name), *membership);
            }
            Ok(Offer::Closed(reason)) => return Ok(Some(WorkerEnd::Closed(reason))),
            Ok(Offer::NotYet) if started.elapsed() >= orders.patience => {
                return Ok(Some(WorkerEnd::Idle(orders.patience)));
            }
            Err(error) if !may_pass(&error) || started.elapsed() >= orders.patience => return Err(error),
            Ok(Offer::NotYet) | Err(_) => {}
        }
        if interrupt.count() > 0 {
            return Ok(Some(WorkerEnd::Drained));
        }
        std::thread::sleep(DOZE.min(orders.patience));
    };
    let equipped = staff.and_then(|staff| {
        let objective = staff.load_objective(orders.locking)?;
        let executor = Executor::new(objective, orders.slot_count, GRACE);
        let executor = executor.map_err(|error| Error::Io { path: "a thread for a slot".into(), error })?;
        Ok((staff, executor))
    });
    let (staff, mut executor) = match equipped {
        Ok(equipped) => equipped,
        Err(error) => {
            // if that cannot be said, the lease says it
            let _ = membership.leave();
            return Err(error);
        }
    };
    if membership.is_judging() {
        executor.judge_reports();
    }
    interrupt.wake_on_signal(executor.waker());
    let study = Study::new(staff.plan.rules.clone());
    let mut worker = Worker {
        orders,
        staff,
        study,
        place,
        executor,
        membership: Some(membership),
        outbox: VecDeque::new(),
        stopped: HashSet::new(),
        renewed_at: Instant::now(),
        reached_at: Instant::now(),
        is_out_of_reach: false,
        leaving: None,
        is_new_asker: false,
    };
    worker.say("joined");
    let end = worker.turns(interrupt);
    // whatever is left must not outlive us, and others may claim it
    worker.executor.stop_all();
    while worker.executor.running().len() > 0 {
        worker.executor.wait(DOZE, Duration::ZERO);
    }
    if let Some(membership) = &mut worker.membership {
        // if that cannot be said, the lease says it
        let _ = membership.leave();
    }
    end
}

/// Where this worker is, for people.
fn place() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("process {} on {host}", std::process::id())
}

/// Whether an error may be gone when the same is tried again.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Journal(error) => may_pass_by(error),
        // the study may be about to begin
        Error::NotFound(_) => true,
        _ => false,
    }
}

fn may_pass_by(error: &JournalError) -> bool {
    matches!(error.kind, JournalErrorKind::Io | JournalErrorKind::Locked | JournalErrorKind::Missing)
}

struct Worker<'a> {
    orders: &'a Orders,
    staff: Staff,
    /// Without records: it knows the seeds.
    study: Study,
    place: String,
    executor: Executor,
    /// `None`: it was put out, and joins again once nothing runs.
    membership: Option<Membership>,
    /// What the board has to hear, oldest first.
    outbox: VecDeque<Event>,
    /// What runs and was told to stop by the asker.
    stopped: HashSet<TrialId>,
    renewed_at: Instant,
    /// When the store was last reached.
    reached_at: Instant,
    /// It was not reached the last time, and that was said.
    is_out_of_reach: bool,
    leaving: Option<Leaving>,
    /// Another one asks, and whether with what we have is to be seen.
    is_new_asker: bool,
}

impl Worker<'_> {
    fn say(&self, what: &str) {
        if !self.orders.is_quiet {
            let number =
                self.membership.as_ref().map_or(String::new(), |place| format!(" {}", place.worker()));
            // standard error may be closed: nobody reads, and nothing is lost
            let _ = writeln!(std::io::stderr(), "worker{number} of {}: {what}", self.orders.study);
        }
    }

    /// `None`: it is to begin anew, with the plan and the objective of now.
    fn turns(&mut self, interrupt: &Interrupt) -> Result<Option<WorkerEnd>, Error> {
        let mut is_time = true;
        loop {
            let is_idle = self.executor.running().len() == 0 && self.outbox.is_empty();
            if interrupt.count() > 0 && is_idle {
                return Ok(Some(WorkerEnd::Drained));
            }
            match self.leaving {
                Some(Leaving::Retired) if is_idle => return Ok(Some(WorkerEnd::Retired)),
                Some(Leaving::Stale) if is_idle => return Ok(None),
                _ => {}
            }
            if interrupt.count() > 1 {
                self.executor.stop_all();
            }
            if self.membership.is_none() && is_idle {
                if let Some(end) = self.rejoin()? {
                    return Ok(Some(end));
                }
                if self.membership.is_none() {
                    continue;
                }
            }
            match self.board_turn(interrupt, is_time) {
                Ok(None) => {
                    self.reached_at = Instant::now();
                    self.is_out_of_reach = false;
                }
                Ok(Some(end)) => return Ok(Some(end)),
                Err(error) if may_pass_by(&error) && self.reached_at.elapsed() < self.orders.patience => {
                    self.reconnect(&error);
                }
                Err(error) => return Err(error.into()),
            }
            let is_checked = self.check_staff()?;
            let is_idle = self.executor.running().len() == 0 && self.outbox.is_empty();
            let events = self.executor.wait(if is_idle { Duration::ZERO } else { GLANCE }, Duration::ZERO);
            // a slot that has become free is filled at once
            let has_news = !events.is_empty();
            self.outbox.extend(events);
            let patience = if is_idle { DOZE } else { GLANCE };
            is_time = has_news || is_checked || {
                let is_free = self.leaving.is_none() && self.executor.free_slot_count() > 0;
                match self.membership.as_mut().map(|membership| membership.wait(patience, is_free)) {
                    Some(Ok(is_time)) => is_time,
                    // the next turn finds out
                    Some(Err(_)) | None => true,
                }
            };
        }
    }

    /// Says what is to be said to the board, and does what it says.
    fn board_turn(
        &mut self,
        interrupt: &Interrupt,
        is_time: bool,
    ) -> Result<Option<WorkerEnd>, JournalError> {
        while let Some(event) = self.outbox.front().cloned() {
            let ended = match &event {
                Event::Ended { trial, .. } => Some(*trial),
                Event::Reported { .. } => None,
            };
            self.send(event, interrupt)?;
            self.outbox.pop_front();
            if let Some(trial) = ended {
                self.stopped.remove(&trial);
            }
        }
        let Some(membership) = &mut self.membership else { return Ok(None) };
        if self.renewed_at.elapsed() >= membership.lease() / 3 {
            let is_ours = membership.renew()?;
            self.renewed_at = Instant::now();
            if !is_ours {
                self.put_out();
                return Ok(None);
            }
        }
        if !is_time {
            return Ok(None);
        }
        let look = membership.look()?;
        if look.is_put_out {
            self.put_out();
            return Ok(None);
        }
        let Look { closed, silence, has_work, stops, verdicts, is_retired, is_new_asker, .. } = look;
        self.is_new_asker |= is_new_asker;
        if let Some(reason) = closed {
            return Ok(Some(WorkerEnd::Closed(reason)));
        }
        for (trial, verdict) in verdicts {
            self.executor.answer(trial, verdict);
        }
        for trial in stops {
            if self.stopped.insert(trial) {
                self.executor.answer(trial, Verdict::Stop);
            }
        }
        match (self.leaving, is_retired) {
            (None, true) => {
                self.leaving = Some(Leaving::Retired);
                self.say("fewer workers are wanted: this one ends once it has brought what it runs");
            }
            // whoever asks now wants us again
            (Some(Leaving::Retired), false) => self.leaving = None,
            _ => {}
        }
        let free = self.executor.free_slot_count();
        let may_claim = self.leaving.is_none() && !self.is_new_asker && interrupt.count() == 0;
        if has_work && free > 0 && may_claim {
            let claimed = match &mut self.membership {
                Some(membership) => membership.claim(free)?,
                None => None,
            };
            let Some(claims) = claimed else {
                self.put_out();
                return Ok(None);
            };
            self.renewed_at = Instant::now();
            let plan = &self.staff.plan;
            let folder = trial_output_folder(&plan.journal.path, &plan.name);
            for claim in claims {
                self.stopped.remove(&claim.trial);
                let Claim { trial, attempt, posting: Posting { point, fidelity, continuing } } = claim;
                let folder_of = |trial: TrialId| Some(folder.join(format!("trial-{trial}")));
                let seed = continuing.as_ref().map(|continuing| continuing.seed);
                let assignment = Assignment {
                    trial,
                    attempt,
                    seed: seed.unwrap_or_else(|| self.study.trial_seed(trial)),
                    fidelity,
                    time_limit: plan.run.trial_timeout,
                    output_folder: folder_of(trial),
                    continued: continuing.map(|Continuing { continued, .. }| Continued {
                        output_folder: folder_of(continued.trial),
                        ..continued
                    }),
                };
                self.executor.start(point, assignment);
            }
        } else if silence >= self.orders.patience && self.executor.running().len() == 0 {
            return Ok(Some(WorkerEnd::Idle(silence)));
        }
        Ok(None)
    }

    fn send(&mut self, event: Event, interrupt: &Interrupt) -> Result<(), JournalError> {
        let (trial, is_end) = match &event {
            Event::Reported { trial, .. } => (*trial, false),
            Event::Ended { trial, .. } => (*trial, true),
        };
        let Some(membership) = self.membership.as_mut().filter(|membership| membership.holds(trial)) else {
            match is_end {
                true => self.say(&format!("what came of trial {trial} is dropped: it was not ours any more")),
                false => self.executor.answer(trial, Verdict::Stop),
            }
            return Ok(());
        };
        match event {
            Event::Reported { step, measurement, .. } => {
                if !membership.report(trial, step, &measurement)? {
                    self.executor.answer(trial, Verdict::Stop);
                }
            }
            // ended by the user and not by the study: it is handed back when we leave
            Event::Ended { outcome: Outcome::Stopped { .. } | Outcome::Failed { .. }, .. }
                if interrupt.count() > 1 && !self.stopped.contains(&trial) => {}
            Event::Ended { outcome, duration, .. } => {
                if !membership.finish(trial, &outcome, duration)? {
                    self.say(&format!(
                        "what came of trial {trial} is dropped: it came too late, and was not ours any more"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Where another one asks: whether with the plan and the builds that we have. Whether that is known now, and was not.
    fn check_staff(&mut self) -> Result<bool, Error> {
        if !self.is_new_asker {
            return Ok(false);
        }
        match session::staff(&self.orders.location, &self.orders.study) {
            Ok(now) => {
                self.is_new_asker = false;
                if now != self.staff && self.leaving.is_none() {
                    self.leaving = Some(Leaving::Stale);
                    self.say(
                        "the study goes on with another plan or other plugins: beginning anew with them",
                    );
                }
                Ok(true)
            }
            // the next turn finds out, and claims nothing before
            Err(error) if may_pass(&error) && self.reached_at.elapsed() < self.orders.patience => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Others have what we run: it is ended, and we begin anew.
    fn put_out(&mut self) {
        self.say(
            "no sign of life of ours was heard for too long: what we run is not ours any more, and is ended",
        );
        self.membership = None;
        self.executor.stop_all();
    }

    /// Asks for a new place, with a new number; why there is none to be had, if so.
    fn rejoin(&mut self) -> Result<Option<WorkerEnd>, Error> {
        let (location, study) = (&self.orders.location, &self.orders.study);
        let space = &self.staff.plan.rules.problem.space;
        match Membership::join(location, study, space, self.orders.slot_count, &self.place) {
            Ok(Offer::Place(membership)) => {
                self.membership = Some(*membership);
                // who asks now may not be who asked then
                self.is_new_asker = true;
                (self.renewed_at, self.reached_at) = (Instant::now(), Instant::now());
                self.say("joined again");
                return Ok(None);
            }
            Ok(Offer::Closed(reason)) => return Ok(Some(WorkerEnd::Closed(reason))),
            Ok(Offer::NotYet) if self.reached_at.elapsed() >= self.orders.patience => {
                return Ok(Some(WorkerEnd::Idle(self.reached_at.elapsed())));
            }
            Err(error) if !may_pass_by(&error) || self.reached_at.elapsed() >= self.orders.patience => {
                return Err(error.into());
            }
            Ok(Offer::NotYet) | Err(_) => {}
        }
        std::thread::sleep(RETRY_DISTANCE);
        Ok(None)
    }

    fn reconnect(&mut self, error: &JournalError) {
        if !self.is_out_of_reach {
            self.say(&format!("{error}; trying again for {:?}", self.orders.patience));
            self.is_out_of_reach = true;
        }
        // what runs goes on meanwhile; what ends waits in the outbox
        let events = self.executor.wait(RETRY_DISTANCE, Duration::ZERO);
        self.outbox.extend(events);
        if let Some(membership) = &mut self.membership {
            let _ = membership.reconnect(&self.orders.location);
        }
    }
}
