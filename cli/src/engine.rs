//! A study with its strategies and its journal: what happens becomes a record, is applied and told.
//!
//! Record, apply, tell. Records are gathered and written in one transaction by `commit`, before anything
//! that they speak of can be seen outside: no trial starts, nothing is printed and nobody is answered
//! before. A strategy may hear of a record that is gathered and not yet written; if the host dies then,
//! the strategy dies with it, and neither ever happened. So one flush of the disk serves every trial
//! that ended and every one that follows in the same turn.

mod early_stopping;

pub use early_stopping::VerdictDifference;

use crate::clock::Clock;
use crate::error::Error;
use crate::journal::{Entry, Journal, Stamped, Waiting};
use crate::plan::OnInterrupt;
use crate::plugins::{LoadedEarlyStopping, LoadedStrategy};
use ansatz_core::study::{AskedTrial, EnqueuedPoint, Record, Remedy, Step, Study, TransferredTrial};
use ansatz_core::{Failure, Observation, Outcome, Point, Recommendation, TrialId};
use ansatz_plugin_host::{Asked, ForeignStrategy, PluginFault};
use early_stopping::Stopper;
use std::collections::VecDeque;
use std::time::Duration;

/// How often the engine looks whether somebody has enqueued a point.
const QUEUE_DISTANCE: Duration = Duration::from_millis(500);

/// A study in motion.
pub struct Engine {
    study: Study,
    members: Vec<MemberPlugin>,
    stopper: Option<Stopper>,
    /// How often a strategy or an early-stopping rule that breaks is made anew.
    restart_count_max: u64,
    journal: Box<dyn Journal>,
    gathered: Vec<Stamped>,
    clock: Clock,
    notices: Vec<String>,
    differences: Vec<Difference>,
    verdict_difference: Option<VerdictDifference>,
    last_commit_time: Duration,
    /// Points that people enqueued and that are no trials yet, and when the journal was last asked for them.
    queue: VecDeque<Waiting>,
    queue_seen_at: Option<Duration>,
    /// Those that are trials, or cannot be: out of the queue once that is written.
    taken: Vec<u64>,
}

/// Where a strategy that relives a study first answered differently than recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Index of the member.
    pub member: usize,
    /// The first trial that came of that ask, as recorded, or would have followed.
    pub trial: TrialId,
    /// What came of the ask, as recorded: the points.
    pub recorded: Vec<Point>,
    /// What comes of it now; or how the strategy broke.
    pub now: Result<Vec<Point>, String>,
}

struct MemberPlugin {
    loaded: LoadedStrategy,
    /// `None` once it is asked no more: then it is not told any more either.
    strategy: Option<ForeignStrategy>,
    /// While replaying: it no longer answers as recorded.
    has_diverged: bool,
    /// The first trial that this very instance may have proposed: tags of earlier ones mean nothing to it.
    own_from: TrialId,
}

/// Why a plugin does something else than on record, and what is done about it.
const HAS_CHANGED: &str = "its plugin or the machine has changed, or what it proposes depends on more than its seed and what it hears (ansatz plugins check). It starts afresh from all that is on record, which the journal keeps";

/// What becomes of trials that were running when a session ended without saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// They ran in the host, and are gone with it.
    Lost {
        /// Whether they are run again.
        on_interrupt: OnInterrupt,
        /// No more than so many of them, the oldest: the others were asked ahead, and waited for a slot.
        started_max: usize,
    },
    /// They may still be running, or have ended: the board knows.
    MayRun,
}

/// What an ended attempt leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// The trial has ended.
    Finished,
    /// Another attempt follows.
    Retry,
}

impl Engine {
    /// An engine for a study without records.
    pub fn new(
        study: Study,
        loaded: Vec<LoadedStrategy>,
        early_stopping: Option<LoadedEarlyStopping>,
        restart_count_max: u64,
        journal: Box<dyn Journal>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let mut members = Vec::new();
        for mut loaded in loaded {
            let strategy = Some(loaded.create(0)?);
            members.push(MemberPlugin { loaded, strategy, has_diverged: false, own_from: TrialId(0) });
        }
        Ok(Self {
            study,
            members,
            stopper: early_stopping.map(Stopper::new).transpose()?,
            restart_count_max,
            journal,
            gathered: Vec::new(),
            clock,
            notices: Vec::new(),
            differences: Vec::new(),
            verdict_difference: None,
            last_commit_time: Duration::ZERO,
            queue: VecDeque::new(),
            queue_seen_at: None,
            taken: Vec::new(),
        })
    }

    /// The study as it is.
    pub fn study(&self) -> &Study {
        &self.study
    }

    /// The process of a member's strategy, if it has one of its own.
    pub fn process_id(&self, member: usize) -> Option<u32> {
        self.members.get(member)?.strategy.as_ref()?.process_id()
    }

    /// How long the study has been running, over all sessions.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// How long the last write took.
    pub fn last_commit_time(&self) -> Duration {
        self.last_commit_time
    }

    /// What a person should know, since the last call.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Where strategies answered differently than recorded while the study was read back; the first of each in turn.
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Starts the clock anew: reading a journal back is not running.
    pub fn restart_clock(&mut self, before: Duration) {
        self.clock = Clock::start(before);
    }

    /// Adds something that a person should know.
    pub fn warn(&mut self, notice: String) {
        self.notices.push(notice);
    }

    /// Takes a record of the journal into the study, and lets the strategies relive it. A strategy that
    /// answers differently than recorded is noted; `after_replay` makes a new one. `later` are the records
    /// that follow: a strategy that is about to break is spared what broke it.
    pub fn replay(&mut self, record: &Record, later: &[Record]) -> Result<(), Error> {
        if let Record::Asked { member, count, trials, is_exhausted } = record {
            self.replay_ask(*member, *count, trials, *is_exhausted);
        }
        self.relive_verdict(record, later);
        self.study.apply(record).map_err(|error| Error::Journal(error.into()))?;
        match record {
            Record::Finished { trial, .. } => {
                for next in later {
                    let Record::Broke { member, .. } = next else { break };
                    if let Some(plugin) = self.members.get_mut(*member) {
                        plugin.has_diverged = true;
                    }
                }
                // what breaks here will be made anew
                for (member, fault) in self.tell_members(*trial) {
                    self.broke_off_record(member, fault.to_string());
                }
            }
            Record::Transferred { .. } => {
                for (member, fault) in self.tell_transferred() {
                    self.broke_off_record(member, fault.to_string());
                }
            }
            Record::Broke { member, remedy: Remedy::LeaveOut, .. } => {
                self.members[*member].has_diverged = true
            }
            Record::Broke { member, .. } => {
                if let Err(fault) = self.make_anew(*member) {
                    let is_on_record =
                        matches!(later.first(), Some(Record::Broke { member: next, .. }) if next == member);
                    match is_on_record {
                        true => self.members[*member].has_diverged = true,
                        false => self.broke_off_record(*member, fault),
                    }
                }
            }
            _ => {}
        }
        self.relive_end(record, later);
        Ok(())
    }

    /// A strategy broke while it heard again what on record did not break it.
    fn broke_off_record(&mut self, member: usize, fault: String) {
        self.members[member].has_diverged = true;
        let trial = TrialId(self.study.trials().len() as u64);
        self.notices.push(format!(
            "{} breaks before trial {trial}, where it did not ({fault}): {HAS_CHANGED}",
            self.study.rules().members[member].label
        ));
        self.differences.push(Difference { member, trial, recorded: Vec::new(), now: Err(fault) });
    }

    fn replay_ask(&mut self, member: usize, count: usize, trials: &[AskedTrial], is_exhausted: bool) {
        // a wrong index is for the study to refuse
        let Some(plugin) = self.members.get_mut(member) else { return };
        let Some(strategy) = &mut plugin.strategy else { return };
        if plugin.has_diverged {
            return;
        }
        let now = match strategy.ask(count, &self.study.pending()) {
            Ok(asked) => admit(&self.study, count, asked),
            Err(broke) => Err(broke.to_string()),
        };
        let is_same = now.as_ref().is_ok_and(|(again, is_exhausted_now)| {
            *is_exhausted_now == is_exhausted
                && again.len() == trials.len()
                && again.iter().zip(trials).all(|(again, before)| again.is_same_as(before))
        });
        if !is_same {
            plugin.has_diverged = true;
            let fault = now.as_ref().err().map_or(String::new(), |broke| format!(" ({broke})"));
            let points = |trials: &[AskedTrial]| trials.iter().map(|trial| trial.point.clone()).collect();
            self.differences.push(Difference {
                member,
                trial: TrialId(self.study.trials().len() as u64),
                recorded: points(trials),
                now: now.map(|(again, _)| points(&again)),
            });
            let first = trials.first().map_or(String::new(), |trial| format!(" at trial {}", trial.trial));
            self.notices.push(format!(
                "{} no longer answers as recorded{first}{fault}: {HAS_CHANGED}",
                self.study.rules().members[member].label
            ));
        }
    }

    /// After a replay: strategies that diverged are made anew and hear every result as somebody else's, and so are
    /// those that are not asked any more but have another build now.
    pub fn renew_strategies(&mut self, is_another_build: impl Fn(usize) -> bool) -> Result<(), Error> {
        for member in 0..self.members.len() {
            let state = &self.study.members()[member];
            let (is_replaced, is_left_out) = (state.fallback_since.is_some(), state.is_broken);
            let (remedy, reason) = if is_replaced && is_another_build(member) {
                (Remedy::Renew, "its plugin is another build than the one that broke")
            } else if !self.members[member].has_diverged {
                continue;
            } else if is_replaced {
                (Remedy::Fallback, "the fallback no longer answers as recorded")
            } else if is_left_out {
                (Remedy::Renew, "the study was resumed")
            } else {
                (Remedy::Renew, "it no longer answers as recorded")
            };
            self.take(Record::Broke { member, remedy, reason: reason.to_owned() })?;
            if let Err(message) = self.make_anew(member) {
                self.mend(member, message)?;
            }
        }
        Ok(())
    }

    /// What each member would choose for good, in their order; none of who has no model or is not there.
    pub fn recommendations(&mut self) -> Vec<Result<Vec<Recommendation>, PluginFault>> {
        let recommend = |plugin: &mut MemberPlugin| match &mut plugin.strategy {
            Some(strategy) => strategy.recommend(),
            None => Ok(Vec::new()),
        };
        self.members.iter_mut().map(recommend).collect()
    }

    /// Ends a replay: strategies that need it are made anew, and so is the early-stopping rule; of trials that were
    /// running becomes what `orphans` says, but for those that had been told to stop: they have ended. Gives those to
    /// run again, or that may still be running.
    pub fn after_replay(
        &mut self,
        orphans: Orphans,
        is_another_build: impl Fn(usize) -> bool,
    ) -> Result<Vec<TrialId>, Error> {
        self.renew_strategies(is_another_build)?;
        self.renew_early_stopping()?;
        let pending = self.study.pending().iter().map(|(trial, _)| trial);
        let running: Vec<TrialId> = pending.filter(|trial| self.study.arrived(*trial).is_none()).collect();
        let mut again = Vec::new();
        for (place, trial) in running.into_iter().enumerate() {
            let reason = || "the host ended while it ran".to_owned();
            let is_again = match orphans {
                Orphans::MayRun if self.study.early_stop(trial).is_none() => true,
                Orphans::MayRun => {
                    self.lose(trial, reason(), Duration::ZERO, OnInterrupt::Requeue)? == Ending::Retry
                }
                // it has not had its attempt, nor lost one
                Orphans::Lost { started_max, .. }
                    if place >= started_max && self.study.early_stop(trial).is_none() =>
                {
                    true
                }
                Orphans::Lost { on_interrupt, .. } => {
                    self.lose(trial, reason(), Duration::ZERO, on_interrupt)? == Ending::Retry
                }
            };
            if is_again {
                again.push(trial);
            }
        }
        self.study.forgive_failures();
        Ok(again)
    }

    /// Asks strategies for as many trials as there are free slots, or as the window has room for. Gives the trials to
    /// start, after `commit`, and why no more. With a window they may be more than there are free slots.
    pub fn fill(&mut self, free_slot_count: usize) -> Result<(Vec<TrialId>, Step), Error> {
        let mut starts: Vec<TrialId> = Vec::new();
        let now = self.clock.elapsed();
        if self.queue_seen_at.is_none_or(|seen| now >= seen + QUEUE_DISTANCE) {
            self.look_into_queue()?;
        }
        loop {
            let free = free_slot_count.saturating_sub(starts.len());
            let elapsed = self.clock.elapsed();
            if let Some(trial) = self.promote(free, elapsed)? {
                if !self.reuse(trial)? {
                    starts.push(trial);
                }
                continue;
            }
            let step = self.study.next(free, elapsed);
            let trials = if let Step::Enqueue { count } = step {
                let record = self.study.begin(count);
                self.enqueue(record.map_err(|reason| Error::Usage(format!("[[enqueue]]: {reason}")))?)?
            } else if self.study.room_for_more(free, elapsed) > 0
                && let Some(waiting) = self.queue.pop_front()
            {
                self.take_waiting(waiting)?
            } else if let Step::Ask { member, count } = step {
                self.ask(member, count)?
            } else if self.settle()? {
                // with a window: what waited for this ask, and then what that leaves room for
                continue;
            } else if matches!(step, Step::Stop(_)) && starts.is_empty() && self.is_more_waiting(free)? {
                continue;
            } else {
                return Ok((starts, step));
            };
            for trial in trials {
                if !self.reuse(trial)? {
                    starts.push(trial);
                }
            }
        }
    }

    /// Sees whether somebody has enqueued points, once those that are known are trials.
    fn look_into_queue(&mut self) -> Result<(), Error> {
        self.queue_seen_at = Some(self.clock.elapsed());
        if self.queue.is_empty() {
            // those that were taken are still there until that is written
            let queue = self.journal.queue()?.into_iter();
            self.queue = queue.filter(|waiting| !self.taken.contains(&waiting.ticket)).collect();
        }
        Ok(())
    }

    /// Whether the queue has a point for which there is room, right before a study ends: the last look may be a while ago.
    fn is_more_waiting(&mut self, free_slot_count: usize) -> Result<bool, Error> {
        self.look_into_queue()?;
        let room = self.study.room_for_more(free_slot_count, self.clock.elapsed());
        Ok(room > 0 && !self.queue.is_empty())
    }

    /// Makes a trial of a point of the queue. None of one that is a trial already, because a host died before it was out of
    /// the queue, nor of one that makes no sense.
    fn take_waiting(&mut self, waiting: Waiting) -> Result<Vec<TrialId>, Error> {
        let Waiting { ticket, point } = waiting;
        self.taken.push(ticket);
        match point.and_then(|point| self.study.take_enqueued(ticket, &point)) {
            Ok(Some(record)) => self.enqueue(record),
            Ok(None) => Ok(Vec::new()),
            // written by somebody else than we
            Err(reason) => {
                self.notices.push(format!("a point in the queue is passed over: {reason}"));
                Ok(Vec::new())
            }
        }
    }

    /// Makes trials of points that people enqueued.
    fn enqueue(&mut self, record: Record) -> Result<Vec<TrialId>, Error> {
        let first = self.study.trials().len();
        self.take(record)?;
        Ok(self.study.trials()[first..].iter().map(|trial| trial.id).collect())
    }

    /// Makes a trial of a point at once; or says why it cannot be one, or not now.
    ///
    /// The trial may have ended by that, where duplicates are reused.
    pub fn enqueue_now(&mut self, point: &EnqueuedPoint) -> Result<Result<TrialId, String>, Error> {
        let no_room = "there is no room for another trial: a limit of the budget is reached, or the window of \
                       run.deterministic is full";
        if self.study.room_for_more(usize::MAX, self.clock.elapsed()) == 0 {
            return Ok(Err(no_room.to_owned()));
        }
        let trial = TrialId(self.study.trials().len() as u64);
        // above those of queues, and no two trials have the same
        let record = match self.study.take_enqueued((1 << 52) + trial.0, point) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(Err(format!("trial {trial} has been enqueued already"))),
            Err(reason) => return Ok(Err(reason)),
        };
        self.take(record)?;
        self.reuse(trial)?;
        Ok(Ok(trial))
    }

    /// Takes results of an earlier study, before anything is asked.
    pub fn transfer(&mut self, source: String, trials: Vec<TransferredTrial>) -> Result<(), Error> {
        self.take(Record::Transferred { source, trials })?;
        for (member, fault) in self.tell_transferred() {
            self.mend(member, fault.to_string())?;
        }
        Ok(())
    }

    /// Lets outcomes that waited for their turn count, until one has to wait for an ask. Whether any did.
    fn settle(&mut self) -> Result<bool, Error> {
        let mut any = false;
        while let Some(Record::Finished { trial, .. }) = self.study.due() {
            let trial = *trial;
            if self.study.has_to_wait(trial, self.clock.elapsed()) {
                break;
            }
            let Some(record) = self.study.due().cloned() else { break };
            self.take(record)?;
            self.tell(trial)?;
            any = true;
        }
        Ok(any)
    }

    /// Ends a trial: it counts at once, or with a window when it is its turn.
    fn end(
        &mut self,
        trial: TrialId,
        outcome: Outcome,
        duration: Duration,
        reused: Option<TrialId>,
    ) -> Result<(), Error> {
        if self.study.has_to_wait(trial, self.clock.elapsed()) {
            return self.take(Record::Arrived { trial, outcome, duration, reused });
        }
        self.take(Record::Finished { trial, outcome, duration, reused })?;
        self.tell(trial)?;
        self.settle().map(drop)
    }

    /// Asks one member, and records what came of it.
    fn ask(&mut self, member: usize, count: usize) -> Result<Vec<TrialId>, Error> {
        let Some(strategy) = self.members[member].strategy.as_mut() else {
            self.leave_out(member, "it is not there".to_owned())?;
            return Ok(Vec::new());
        };
        let (trials, is_exhausted) = match strategy.ask(count, &self.study.pending()) {
            Ok(asked) => match admit(&self.study, count, asked) {
                Ok(admitted) => admitted,
                Err(message) => {
                    let fault = PluginFault {
                        component: strategy.name().to_owned(),
                        call: "ask",
                        kind: ansatz_plugin_host::FaultClass::Other,
                        message,
                        location: String::new(),
                    };
                    self.mend(member, fault.to_string())?;
                    return Ok(Vec::new());
                }
            },
            Err(fault) => {
                self.mend(member, fault.to_string())?;
                return Ok(Vec::new());
            }
        };
        let ids = trials.iter().map(|trial| trial.trial).collect();
        self.take(Record::Asked { member, count, trials, is_exhausted })?;
        Ok(ids)
    }

    /// A strategy broke: it is made anew a few times, then the fallback takes its place, and if that breaks too
    /// nobody does. If nobody is left, the study stops once its running trials have ended.
    fn mend(&mut self, member: usize, mut reason: String) -> Result<(), Error> {
        loop {
            let state = &self.study.members()[member];
            let may_fall_back = state.fallback_since.is_none() && self.members[member].loaded.has_fallback();
            let remedy = match state.fault_count {
                count if state.fallback_since.is_none() && count < self.restart_count_max => Remedy::Restart,
                _ if may_fall_back => Remedy::Fallback,
                _ => return self.leave_out(member, reason),
            };
            self.take(Record::Broke { member, remedy, reason: reason.clone() })?;
            let state = &self.study.members()[member];
            let what = match remedy {
                Remedy::Fallback => format!(
                    "{} proposes in its place from trial {} on",
                    self.members[member].loaded.fallback_name(),
                    self.study.trials().len()
                ),
                _ => format!("it is made anew ({} of {})", state.fault_count, self.restart_count_max),
            };
            self.notices.push(format!("{reason}; {what}"));
            match self.make_anew(member) {
                Ok(()) => return Ok(()),
                Err(next) => reason = next,
            }
        }
    }

    /// Notes that a member is asked no more.
    fn leave_out(&mut self, member: usize, reason: String) -> Result<(), Error> {
        self.members[member].strategy = None;
        self.take(Record::Broke { member, remedy: Remedy::LeaveOut, reason: reason.clone() })?;
        let rest = if self.study.is_anyone_left() { "; the study goes on without it" } else { "" };
        self.notices.push(format!("{reason}{rest}"));
        Ok(())
    }

    /// A member begins anew, or the fallback in its place, and hears every finished trial as somebody else's.
    fn make_anew(&mut self, member: usize) -> Result<(), String> {
        let state = &self.study.members()[member];
        let (is_replaced, renewal) = (state.fallback_since.is_some(), state.renewal_count);
        let finished = self.study.trials().iter().filter(|trial| trial.outcome.is_some());
        let finished = finished
            .filter_map(|trial| self.study.observation(trial.id))
            .map(|observation| Observation { tag: None, ..observation });
        let history: Vec<Observation> = self.study.transferred_observations().chain(finished).collect();
        let plugin = &mut self.members[member];
        plugin.strategy = None; // the old one ends before the new one begins
        plugin.has_diverged = false;
        plugin.own_from = TrialId(self.study.trials().len() as u64);
        let made =
            if is_replaced { plugin.loaded.create_fallback(renewal) } else { plugin.loaded.create(renewal) };
        let mut strategy = made.map_err(|error| error.to_string())?;
        strategy.tell(&history).map_err(|fault| fault.to_string())?;
        plugin.strategy = Some(strategy);
        Ok(())
    }

    /// Ends a trial whose point was evaluated before, where the rules say so. Whether it did.
    fn reuse(&mut self, trial: TrialId) -> Result<bool, Error> {
        let earlier = self.study.trial(trial).and_then(|trial| self.study.earlier(trial));
        let Some((reused, Some(outcome))) = earlier.map(|earlier| (earlier.id, earlier.outcome.clone()))
        else {
            return Ok(false);
        };
        self.end(trial, outcome, Duration::ZERO, Some(reused))?;
        Ok(true)
    }

    /// Takes the end of an attempt.
    pub fn finish(&mut self, trial: TrialId, outcome: Outcome, duration: Duration) -> Result<Ending, Error> {
        match self.study.conclude(trial, outcome, duration) {
            Record::Finished { trial, outcome, duration, reused } => {
                self.end(trial, outcome, duration, reused)?;
                Ok(Ending::Finished)
            }
            retried => self.take(retried).map(|()| Ending::Retry),
        }
    }

    /// Takes note that whoever ran an attempt is gone: it is run again or failed, as the plan says; one that had been
    /// told to stop has ended.
    pub fn lose(
        &mut self,
        trial: TrialId,
        reason: String,
        duration: Duration,
        on_interrupt: OnInterrupt,
    ) -> Result<Ending, Error> {
        let outcome = Outcome::Failed { failure: Failure::Lost, reason };
        if on_interrupt == OnInterrupt::Requeue || self.study.early_stop(trial).is_some() {
            return self.finish(trial, outcome, duration);
        }
        self.end(trial, outcome, duration, None)?;
        Ok(Ending::Finished)
    }

    /// Notes an entry that is not the study's: the begin or end of a session.
    pub fn note(&mut self, entry: Entry) {
        self.gathered.push(Stamped { at: self.clock.unix_seconds(), entry });
    }

    /// Writes what was gathered, in one transaction.
    pub fn commit(&mut self) -> Result<(), Error> {
        if !self.gathered.is_empty() {
            let before = self.clock.elapsed();
            self.journal.append(&self.gathered)?;
            self.gathered.clear();
            self.last_commit_time = self.clock.elapsed().saturating_sub(before);
        }
        if !self.taken.is_empty() {
            self.journal.dequeue(&self.taken)?;
            self.taken.clear();
        }
        Ok(())
    }

    /// Keeps what the study comes to in short with its journal, which has everything by now.
    pub fn keep_digest(&mut self, body: &str) -> Result<(), Error> {
        Ok(self.journal.keep_digest(self.clock.unix_seconds(), body)?)
    }

    fn take(&mut self, record: Record) -> Result<(), Error> {
        self.study.apply(&record).map_err(|error| Error::Journal(error.into()))?;
        self.note(Entry::Study(record));
        Ok(())
    }

    /// Every strategy hears of it, its own trial or not.
    fn tell(&mut self, trial: TrialId) -> Result<(), Error> {
        if let Some((then, now)) = self.study.changed_since_transfer(trial) {
            self.notices.push(format!(
                "trial {trial} repeats a point of an earlier study and measures {now}, where that had {then}: if the same \
                 is not measured any more, what was transferred misleads; begin again with results = false"
            ));
        }
        for (member, fault) in self.tell_members(trial) {
            self.mend(member, fault.to_string())?;
        }
        self.tell_early_stopping(trial)
    }

    /// Tells all members what was transferred; gives those that broke.
    fn tell_transferred(&mut self) -> Vec<(usize, PluginFault)> {
        let observations: Vec<Observation> = self.study.transferred_observations().collect();
        let mut broken = Vec::new();
        for (member, plugin) in self.members.iter_mut().enumerate() {
            let Some(strategy) = plugin.strategy.as_mut().filter(|_| !plugin.has_diverged) else { continue };
            if let Err(fault) = strategy.tell(&observations) {
                broken.push((member, fault));
            }
        }
        broken
    }

    /// Tells all members; gives those that broke.
    fn tell_members(&mut self, trial: TrialId) -> Vec<(usize, PluginFault)> {
        let (Some(mut observation), Some(owner)) =
            (self.study.observation(trial), self.study.trial(trial).map(|trial| trial.member))
        else {
            return Vec::new();
        };
        let tag = observation.tag;
        let mut broken = Vec::new();
        for (member, plugin) in self.members.iter_mut().enumerate() {
            let Some(strategy) = plugin.strategy.as_mut().filter(|_| !plugin.has_diverged) else { continue };
            observation.tag = tag.filter(|_| Some(member) == owner && trial >= plugin.own_from);
            if let Err(fault) = strategy.tell(std::slice::from_ref(&observation)) {
                broken.push((member, fault));
            }
        }
        broken
    }
}

/// The trials of what a strategy answered, and whether it has nothing left: because it says so, or because every point of
/// the space was asked for and none is to be evaluated twice.
fn admit(study: &Study, count: usize, asked: Asked) -> Result<(Vec<AskedTrial>, bool), String> {
    let Asked::Suggestions(suggestions) = asked else { return Ok((Vec::new(), true)) };
    let suggested = suggestions.len();
    let trials = study.admit(count, suggestions)?;
    let is_used_up = trials.len() < suggested;
    Ok((trials, is_used_up))
}
