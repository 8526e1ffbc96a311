//! A study as a pure state machine: records in, next step out. No I/O, no clock, no thread.
//!
//! The host asks `next` what to do, does it, writes down what happened as a `Record`, and applies it
//! here; nothing else changes the trials, so that reading the journal back gives the same study. (A new
//! session forgives failures: that only decides when to stop.) This is also the one place where a goal
//! becomes a loss.

mod adaptive;
mod early_stopping;
mod record;
mod rules;

pub use early_stopping::{Continuation, EarlyStop, EarlyStoppingState};
pub use record::{AskedTrial, Record, RecordError, Remedy, TransferredTrial};
pub use rules::{
    Budget, CostLimit, Duplicates, ENQUEUED, EnqueuedPoint, LittleExpected, Member, Mix, Plateau, StudyRules,
};

use crate::curve::Curve;
use crate::incumbent::Incumbent;
use crate::metric::Measurement;
use crate::prediction::Prediction;
use crate::problem::Problem;
use crate::rng::Streams;
use crate::space::Point;
use crate::strategy::{Losses, Observation, ObservedResult, Pending, Suggestion};
use crate::trial::{Failure, Outcome, TrialId};
use adaptive::{Credit, Yield};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

/// How often a trial may be lost with its host: a point that kills the host must not do so for ever.
const LOST_MAX: u32 = 20;
/// Suggestions in a row that were evaluated before, after which there is nothing new to expect.
const REUSED_IN_A_ROW_MAX: u64 = 10_000;

/// One trial with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its number.
    pub id: TrialId,
    /// Index of the member that proposed it; `None`: somebody enqueued it.
    pub member: Option<usize>,
    /// What is evaluated.
    pub point: Point,
    /// The strategy's own tag.
    pub tag: u64,
    /// How much of a full evaluation it uses.
    pub fidelity: Option<f64>,
    /// What the strategy's model expected.
    pub prediction: Option<Prediction>,
    /// The number of the current or last attempt, from 1.
    pub attempt: u32,
    /// How many of the earlier attempts were lost with their host.
    pub lost_count: u32,
    /// How it ended; `None` while it is pending.
    pub outcome: Option<Outcome>,
    /// How long its last attempt took, once it ended.
    pub duration: Duration,
    /// The earlier trial whose outcome was taken over.
    pub reused: Option<TrialId>,
    /// The fallback proposed it in its member's place.
    pub is_by_fallback: bool,
    /// What it reported, over all attempts; empty in a study that ends no trials early.
    pub curve: Curve,
    /// The last step that it reported, over all attempts.
    pub last_step: Option<u64>,
    /// What its present attempt reported last, and at which step; `None` once it has ended.
    pub last_report: Option<(u64, Measurement)>,
    /// The verdict by which it ends or has ended early.
    pub early_stop: Option<EarlyStop>,
    /// The stopped trial that it continues, whose point, curve and steps it has.
    pub continuation: Option<Continuation>,
    /// The trial that continues it, after it was stopped.
    pub continued_by: Option<TrialId>,
}

/// How a member is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemberState {
    /// Trials it proposed.
    pub trial_count: u64,
    /// Of these, how many improved on the best so far when they ended.
    pub improvement_count: u64,
    /// It said that it has nothing left.
    pub is_exhausted: bool,
    /// It broke, and is not asked again in this session.
    pub is_broken: bool,
    /// How often it broke since it was last renewed.
    pub fault_count: u64,
    /// What happened when it last did; empty if it did not.
    pub last_fault: String,
    /// How often it, or its fallback, began anew.
    pub renewal_count: u64,
    /// The fallback proposes in its place from this trial on.
    pub fallback_since: Option<TrialId>,
    /// It gave fewer suggestions than asked: it is not asked again before something ends.
    is_waiting: bool,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Ask a member for up to so many suggestions.
    Ask {
        /// Index of the member.
        member: usize,
        /// At least 1.
        count: usize,
    },
    /// Start so many of the points that the study begins with.
    Enqueue {
        /// At least 1.
        count: usize,
    },
    /// Something is running, and nothing can be started now.
    Wait,
    /// Nothing is running and nothing will be started.
    Stop(StopReason),
}

/// Why a study ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// All trials of the budget are done.
    TrialCount,
    /// The time is up.
    WallTime,
    /// The target was reached.
    Target,
    /// The cost limit was reached.
    Cost,
    /// Enough trials completed.
    CompletedCount,
    /// No better trial for long enough.
    Plateau,
    /// No trial was expected to be much better for long enough.
    ExpectedImprovement,
    /// No strategy has a suggestion left.
    Exhausted,
    /// No strategy is left: the last ones broke.
    Broken,
    /// Too many trials failed in a row.
    Failures,
}

impl fmt::Display for StopReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            StopReason::TrialCount => "all trials of the budget are done",
            StopReason::WallTime => "the wall time of the budget is used up",
            StopReason::Target => "the target was reached",
            StopReason::Cost => "the cost limit of the budget was reached",
            StopReason::CompletedCount => "as many trials of the budget have completed as it asks for",
            StopReason::Plateau => {
                "nothing better was found for as many trials as the plateau of the budget allows"
            }
            StopReason::ExpectedImprovement => {
                "the strategies expect less of another trial than the budget says is worth one"
            }
            StopReason::Exhausted => "no strategy has a suggestion left",
            StopReason::Broken => "no strategy is left: the last one broke; the study can be resumed",
            StopReason::Failures => "too many trials failed in a row",
        })
    }
}

/// A study: its rules, its trials, and what follows from them.
#[derive(Clone, Debug)]
pub struct Study {
    rules: StudyRules,
    trials: Vec<Trial>,
    members: Vec<MemberState>,
    /// Numbers and flat points of the pending trials, oldest first.
    pending: Vec<u64>,
    pending_flat: Vec<f64>,
    /// Of these, the ones that have ended and wait for their turn to count, as the record that will make them.
    arrived: BTreeMap<u64, Record>,
    incumbent: Incumbent,
    /// What the members of an adaptive mix have earned.
    credit: Credit,
    spent_cost: f64,
    completed_count: u64,
    progress: Progress,
    /// Predicted trials in a row of which little was expected.
    little_expected_count: u64,
    failures_in_a_row: u64,
    reused_in_a_row: u64,
    /// The first finished trial of each point and fidelity (by its bits), kept only where duplicates are reused.
    finished_by_point: HashMap<(Point, Option<u64>), TrialId>,
    early_stopping: EarlyStoppingState,
    /// Trials that the early-stopping rule stopped, that have ended, and that none continues; and trials that continue one.
    promotable_count: usize,
    promoted_count: usize,
    transferred: Vec<TransferredTrial>,
    /// Where they come from, and how many from each.
    sources: Vec<(String, usize)>,
    /// Points and fidelities (by bits) that were asked for or transferred, kept only where duplicates are resampled.
    seen: HashSet<(Point, Option<u64>)>,
    /// How many of the points that it begins with are trials by now.
    begun_count: usize,
    enqueued_count: u64,
    /// Requests of people that became trials.
    tickets: HashSet<u64>,
}

/// Of a trial that may be the best.
fn counted_losses(problem: &Problem, trial: &Trial) -> Option<Vec<f64>> {
    let measurement = trial.outcome.as_ref()?.completed()?;
    let is_allowed = problem.excesses(measurement).iter().all(|excess| *excess <= 0.0);
    // a short evaluation is no full one, however good
    let is_whole = problem.fidelity.as_ref().is_none_or(|range| trial.fidelity == Some(range.upper));
    (is_allowed && is_whole).then(|| problem.losses(measurement))
}

/// What makes two trials evaluations of the same.
fn point_key(point: &Point, fidelity: Option<f64>) -> (Point, Option<u64>) {
    (point.clone(), fidelity.map(f64::to_bits))
}

/// How long ago something better was found.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// The first loss of the last trial that counted as better.
    loss: Option<f64>,
    /// Trials since then.
    idle_count: u64,
}

impl Progress {
    /// A trial has ended that did not fail. `best`: its losses, if it is a new best.
    fn finished(&mut self, best: Option<&[f64]>, plateau: Option<&Plateau>) {
        let min_delta = plateau.map_or(0.0, |plateau| plateau.min_delta);
        let is_better = match (best, self.loss) {
            (Some([loss]), Some(known)) => known - loss > min_delta,
            (best, _) => best.is_some(),
        };
        if is_better {
            *self = Self { loss: best.and_then(|losses| losses.first().copied()), idle_count: 0 };
        } else if self.loss.is_some() {
            self.idle_count += 1;
        }
    }
}

impl Study {
    /// A study before its first record.
    pub fn new(rules: StudyRules) -> Self {
        let members = vec![MemberState::default(); rules.members.len()];
        Self {
            credit: Credit::new(rules.members.len()),
            rules,
            trials: Vec::new(),
            members,
            pending: Vec::new(),
            pending_flat: Vec::new(),
            arrived: BTreeMap::new(),
            incumbent: Incumbent::default(),
            spent_cost: 0.0,
            completed_count: 0,
            progress: Progress::default(),
            little_expected_count: 0,
            failures_in_a_row: 0,
            reused_in_a_row: 0,
            finished_by_point: HashMap::new(),
            early_stopping: EarlyStoppingState::default(),
            promotable_count: 0,
            promoted_count: 0,
            transferred: Vec::new(),
            sources: Vec::new(),
            seen: HashSet::new(),
            begun_count: 0,
            enqueued_count: 0,
            tickets: HashSet::new(),
        }
    }

    /// What was fixed before it began.
    pub fn rules(&self) -> &StudyRules {
        &self.rules
    }

    /// Every trial, by number.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// One trial by number.
    pub fn trial(&self, id: TrialId) -> Option<&Trial> {
        self.trials.get(usize::try_from(id.0).ok()?)
    }

    /// How the members are doing, in the order of the rules.
    pub fn members(&self) -> &[MemberState] {
        &self.members
    }

    /// Trials that were asked for and have not ended, oldest first.
    pub fn pending(&self) -> Pending<'_> {
        Pending::new(&self.pending, &self.pending_flat)
    }

    /// How a pending trial ended that waits for its turn to count.
    pub fn arrived(&self, trial: TrialId) -> Option<&Outcome> {
        match self.arrived.get(&trial.0)? {
            Record::Finished { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// The record by which the oldest pending trial counts, if it has arrived: whose turn it is next.
    pub fn due(&self) -> Option<&Record> {
        self.arrived.get(self.pending.first()?)
    }

    /// Whether an outcome has to wait for those of earlier trials, or for an ask that comes before it.
    pub fn has_to_wait(&self, trial: TrialId, elapsed: Duration) -> bool {
        self.rules.window.is_some()
            && (self.pending.first() != Some(&trial.0)
                || matches!(self.next(0, elapsed), Step::Ask { .. } | Step::Enqueue { .. }))
    }

    /// How many trials people have enqueued.
    pub fn enqueued_count(&self) -> u64 {
        self.enqueued_count
    }

    /// How many trials have ended.
    pub fn finished_count(&self) -> usize {
        self.trials.len() - self.pending.len()
    }

    /// The best trials: completed, with every outcome constraint kept.
    pub fn incumbent(&self) -> &Incumbent {
        &self.incumbent
    }

    /// The sum of the cost metric so far; 0 without a cost limit.
    pub fn spent_cost(&self) -> f64 {
        self.spent_cost
    }

    /// Starts counting failed trials anew, and gives members that broke another chance: whoever resumes a
    /// study has looked at why.
    pub fn forgive_failures(&mut self) {
        self.failures_in_a_row = 0;
        for member in &mut self.members {
            member.is_broken = false;
        }
    }

    /// What to do, given how many trials can be started now and how long the study has been running. With a window the
    /// former does not matter: what is asked ahead depends on nothing but what has counted.
    pub fn next(&self, free_slot_count: usize, elapsed: Duration) -> Step {
        let beginning = self.rules.enqueued.len() - self.begun_count;
        let nothing_left = || self.nothing_left().filter(|_| beginning == 0);
        match self.limit_reached(elapsed).or_else(nothing_left) {
            Some(reason) if self.pending.is_empty() => return Step::Stop(reason),
            Some(_) => return Step::Wait,
            None => {}
        }
        let room = self.room(free_slot_count);
        if room == 0 {
            return Step::Wait;
        }
        if beginning > 0 {
            return Step::Enqueue { count: beginning.min(room) };
        }
        match self.member_in_turn() {
            Some((member, allowance)) => {
                let count = allowance.min(room as u64);
                Step::Ask { member, count: count as usize }
            }
            // a strategy that waits while nothing is pending would wait for ever
            None if self.pending.is_empty() => Step::Stop(StopReason::Exhausted),
            None => Step::Wait,
        }
    }

    /// How many trials may be added now, whoever proposes them; 0 where a limit of the budget is reached.
    pub fn room_for_more(&self, free_slot_count: usize, elapsed: Duration) -> usize {
        self.limit_reached(elapsed).map_or_else(|| self.room(free_slot_count), |_| 0)
    }

    fn room(&self, free_slot_count: usize) -> usize {
        let count = self.point_count() as u64;
        let left = self.rules.budget.trial_count.map_or(u64::MAX, |max| max.saturating_sub(count));
        self.places(free_slot_count).min(usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// How many trials may run or be asked ahead besides those that are pending.
    fn places(&self, free_slot_count: usize) -> usize {
        match self.rules.window {
            Some(window) => usize::try_from(window).unwrap_or(usize::MAX).saturating_sub(self.pending.len()),
            None => free_slot_count,
        }
    }

    fn limit_reached(&self, elapsed: Duration) -> Option<StopReason> {
        self.limits_reached(elapsed).next()
    }

    /// What the study has used up, in the order in which one is named before the other.
    fn limits_reached(&self, elapsed: Duration) -> impl Iterator<Item = StopReason> {
        let budget = &self.rules.budget;
        let target = budget.target.is_some_and(|target| {
            let goal = self.rules.problem.metrics[0].goal;
            self.incumbent.least(0).is_some_and(|least| least <= goal.loss(target))
        });
        let plateau = budget.plateau.as_ref();
        let little = budget.expected_improvement.as_ref();
        let failures_max = self.rules.consecutive_failures_max;
        let limits = [
            (target, StopReason::Target),
            (budget.trial_count.is_some_and(|max| self.point_count() as u64 >= max), StopReason::TrialCount),
            (budget.wall_time.is_some_and(|max| elapsed >= max), StopReason::WallTime),
            (budget.cost.as_ref().is_some_and(|cost| self.spent_cost >= cost.limit), StopReason::Cost),
            (
                budget.completed_count.is_some_and(|max| self.completed_count >= max),
                StopReason::CompletedCount,
            ),
            (
                plateau.is_some_and(|plateau| self.progress.idle_count >= plateau.trial_count),
                StopReason::Plateau,
            ),
            (
                little.is_some_and(|little| self.little_expected_count >= little.trial_count),
                StopReason::ExpectedImprovement,
            ),
            (failures_max.is_some_and(|max| self.failures_in_a_row >= max), StopReason::Failures),
        ];
        limits.into_iter().filter_map(|(is_reached, reason)| is_reached.then_some(reason))
    }

    /// Why nobody will propose anything again, if so.
    fn nothing_left(&self) -> Option<StopReason> {
        if self.reused_in_a_row >= REUSED_IN_A_ROW_MAX {
            return Some(StopReason::Exhausted);
        }
        if !self.is_anyone_left() {
            let is_broken = self.members.iter().any(|member| member.is_broken);
            return Some(if is_broken { StopReason::Broken } else { StopReason::Exhausted });
        }
        None
    }

    /// Whether any member may still propose something.
    pub fn is_anyone_left(&self) -> bool {
        (0..self.members.len()).any(|member| !self.is_done(member))
    }

    /// Whether a member will never propose again.
    fn is_done(&self, member: usize) -> bool {
        let state = &self.members[member];
        state.is_exhausted
            || state.is_broken
            || self.rules.members[member].trial_count_max.is_some_and(|max| state.trial_count >= max)
    }

    /// One that waits while nothing is pending would wait for ever: then others have their time.
    fn is_stuck(&self, member: usize) -> bool {
        self.members[member].is_waiting && self.pending.is_empty()
    }

    /// What part of the next trials each member of an adaptive mix gets, 1 in sum; 0 for one that will never propose again.
    pub fn shares(&self) -> Vec<f64> {
        self.credit.shares(|member| self.has_turns(member))
    }

    /// Whether a member of an adaptive mix may be asked: it may still propose, and its time has come, or nobody else's has.
    fn has_turns(&self, member: usize) -> bool {
        let after = |member: usize| self.rules.members[member].after_count;
        let least = || {
            let able = |member: &usize| !self.is_done(*member) && !self.is_stuck(*member);
            (0..self.members.len()).filter(able).map(after).min()
        };
        !self.is_done(member)
            && (after(member) <= self.point_count() as u64
                || least().is_some_and(|least| after(member) <= least))
    }

    /// Whose turn it is, and how many suggestions in a row it may give.
    fn member_in_turn(&self) -> Option<(usize, u64)> {
        let mut open = (0..self.members.len()).filter(|member| !self.is_done(*member));
        let allowance = |member: usize| {
            let max = self.rules.members[member].trial_count_max;
            max.map_or(u64::MAX, |max| max - self.members[member].trial_count)
        };
        if self.rules.mix == Mix::Phases || self.members.len() == 1 {
            let member = open
                .find(|member| !self.is_stuck(*member))
                .filter(|member| !self.members[*member].is_waiting)?;
            return Some((member, allowance(member)));
        }
        if self.rules.mix == Mix::Adaptive {
            let shares = self.shares();
            let due = |member: usize| self.credit.behind(member, shares[member]);
            let member = open
                .filter(|member| self.has_turns(*member) && !self.members[*member].is_waiting)
                .max_by(|a, b| due(*a).total_cmp(&due(*b)).then(b.cmp(a)))?;
            return Some((member, 1));
        }
        // whoever is furthest behind its share; the first of equals
        let due = |member: usize| {
            let weight =
                if self.rules.mix == Mix::Weighted { self.rules.members[member].weight } else { 1.0 };
            (self.members[member].trial_count as f64 + 1.0) / weight
        };
        let member = open
            .filter(|member| !self.members[*member].is_waiting)
            .min_by(|a, b| due(*a).total_cmp(&due(*b)))?;
        Some((member, 1))
    }

    /// Turns suggestions into trials, if each lies in the space, satisfies the constraints and has a
    /// fidelity in range. The error says which does not and why: the strategy has a bug.
    ///
    /// Where duplicates are resampled, the trial of a point that was asked for before has another point; trials are fewer
    /// than suggestions where every point of the space was asked for.
    pub fn admit(&self, count: usize, suggestions: Vec<Suggestion>) -> Result<Vec<AskedTrial>, String> {
        if suggestions.len() > count {
            return Err(format!("it gave {} suggestions when asked for {count}", suggestions.len()));
        }
        let mut trials: Vec<AskedTrial> = Vec::with_capacity(suggestions.len());
        for (index, suggestion) in suggestions.into_iter().enumerate() {
            let fidelity = self
                .check_point(&suggestion.point, suggestion.fidelity)
                .map_err(|reason| format!("its suggestion {} is not in the space: {reason}", index + 1))?;
            let trial = TrialId((self.trials.len() + trials.len()) as u64);
            let Suggestion { mut point, tag, prediction, .. } = suggestion;
            let mut prediction = prediction.and_then(Prediction::usable);
            if self.rules.duplicates == Duplicates::Resample {
                let is_seen = |point: &Point| {
                    self.seen.contains(&point_key(point, fidelity))
                        || trials.iter().any(|other| other.point == *point && other.fidelity == fidelity)
                };
                if is_seen(&point) {
                    let mut rng = Streams::new(self.rules.seed).resampling(trial.0);
                    let Some(other) = self.rules.problem.space.sample_unseen_near(&point, is_seen, &mut rng)
                    else {
                        break;
                    };
                    // what the model expected, it expected elsewhere
                    (point, prediction) = (other, None);
                }
            }
            trials.push(AskedTrial { trial, point, tag, fidelity, prediction });
        }
        Ok(trials)
    }

    /// Whether a point may become a trial; its fidelity, if the problem has one.
    fn check_point(&self, point: &Point, fidelity: Option<f64>) -> Result<Option<f64>, String> {
        self.rules.problem.space.check(point)?;
        match (&self.rules.problem.fidelity, fidelity) {
            (None, _) => Ok(None),
            (Some(range), None) => Ok(Some(range.upper)),
            (Some(range), Some(chosen)) if (range.lower..=range.upper).contains(&chosen) => Ok(Some(chosen)),
            (Some(range), Some(chosen)) => {
                Err(format!("{} = {chosen} is not between {} and {}", range.name, range.lower, range.upper))
            }
        }
    }

    /// The record by which the next points that the study begins with become trials, at most `count` (at least 1). The
    /// error says which cannot and why.
    pub fn begin(&self, count: usize) -> Result<Record, String> {
        let next = self.rules.enqueued[self.begun_count..].iter().take(count);
        Ok(Record::Enqueued { ticket: None, trials: self.admit_enqueued(next)? })
    }

    /// The record by which the point of a request becomes a trial. `None` if it has been taken before; the error says why it
    /// cannot.
    pub fn take_enqueued(&self, ticket: u64, point: &EnqueuedPoint) -> Result<Option<Record>, String> {
        if self.tickets.contains(&ticket) {
            return Ok(None);
        }
        let trials = self.admit_enqueued(std::iter::once(point))?;
        Ok(Some(Record::Enqueued { ticket: Some(ticket), trials }))
    }

    fn admit_enqueued<'a>(
        &self,
        points: impl Iterator<Item = &'a EnqueuedPoint>,
    ) -> Result<Vec<AskedTrial>, String> {
        let admit = |(index, EnqueuedPoint { point, fidelity }): (usize, &EnqueuedPoint)| {
            let fidelity = self.check_point(point, *fidelity)?;
            let trial = TrialId((self.trials.len() + index) as u64);
            Ok(AskedTrial { trial, point: point.clone(), tag: 0, fidelity, prediction: None })
        };
        points.enumerate().map(admit).collect()
    }

    /// The earlier trial of the same point and fidelity whose outcome stands for this one, where the rules say
    /// that duplicates are reused.
    pub fn earlier(&self, trial: &Trial) -> Option<&Trial> {
        self.finished_by_point.get(&point_key(&trial.point, trial.fidelity)).and_then(|id| self.trial(*id))
    }

    /// The seed that the objective gets for a trial: one that continues another has the seed of that.
    pub fn trial_seed(&self, trial: TrialId) -> u64 {
        Streams::new(self.rules.seed).trial_seed(self.origin(trial).0)
    }

    /// A completed outcome whose measurement cannot be used becomes a failed one, with the reason.
    pub fn judge(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Completed { measurement } => match self.check_measurement(&measurement) {
                Ok(()) => Outcome::Completed { measurement },
                Err(reason) => Outcome::Failed { failure: Failure::Measurement, reason },
            },
            // what was measured before the stop is kept as far as it can be used: a report need not have every metric
            Outcome::Stopped { reason, measurement } => {
                Outcome::Stopped { reason, measurement: measurement.and_then(Measurement::finite) }
            }
            other => other,
        }
    }

    fn check_measurement(&self, measurement: &Measurement) -> Result<(), String> {
        self.rules.problem.check_measurement(measurement)?;
        // without it the limit would never be reached
        match &self.rules.budget.cost {
            Some(cost) if measurement.get(&cost.metric).is_none() => {
                Err(format!("metric {}, by which the budget counts the cost, was not reported", cost.metric))
            }
            _ => Ok(()),
        }
    }

    /// The record for the end of an attempt: another attempt where the rules allow one, else the end.
    /// What would only repeat itself (a missing metric, a NaN) is not tried again; a trial that was lost
    /// with its host has not had its attempt, and gets another (up to 20 times). A trial that was told to stop is
    /// stopped, whatever its objective says.
    pub fn conclude(&self, trial: TrialId, outcome: Outcome, duration: Duration) -> Record {
        let (attempt, lost_count) =
            self.trial(trial).map_or((1, 0), |trial| (trial.attempt, trial.lost_count));
        let is_retried = |failure| match failure {
            Failure::Lost => lost_count < LOST_MAX,
            Failure::Measurement => false,
            Failure::Objective | Failure::Timeout | Failure::Panic | Failure::Crash => {
                attempt - lost_count < self.rules.attempts_max
            }
        };
        match self.judge(self.bound_outcome(trial, outcome)) {
            Outcome::Failed { failure, reason } if is_retried(failure) => {
                Record::Retried { trial, attempt: attempt + 1, failure, reason }
            }
            outcome => Record::Finished { trial, outcome, duration, reused: None },
        }
    }

    /// Takes a record into the state. The error leaves the state as it was.
    pub fn apply(&mut self, record: &Record) -> Result<(), RecordError> {
        match record {
            Record::Asked { member, count, trials, is_exhausted } => {
                self.apply_asked(*member, *count, trials, *is_exhausted)
            }
            Record::Transferred { source, trials } => self.apply_transferred(source, trials),
            Record::Enqueued { ticket, trials } => self.apply_enqueued(*ticket, trials),
            Record::Broke { member, remedy, reason } => self.apply_broke(*member, *remedy, reason),
            Record::EarlyStoppingBroke { remedy, .. } => self.apply_early_stopping_broke(*remedy),
            Record::Reported { trial, step, measurement, stop } => {
                self.apply_reported(*trial, *step, measurement, stop.as_ref())
            }
            Record::Promoted { member, trial, continued, reason } => {
                self.apply_promoted(*member, trial, *continued, reason)
            }
            Record::Retried { trial, attempt, failure, .. } => {
                self.running_index(*trial)?;
                let entry = &mut self.trials[trial.0 as usize];
                entry.attempt = *attempt;
                entry.last_report = None;
                entry.lost_count += u32::from(*failure == Failure::Lost);
                Ok(())
            }
            Record::Arrived { trial, outcome, duration, reused } => {
                self.running_index(*trial)?;
                if self.rules.window.is_none() {
                    return Err(RecordError(format!("trial {trial} arrived in a study without a window")));
                }
                self.check_outcome(*trial, outcome)?;
                let (trial, outcome, duration, reused) = (*trial, outcome.clone(), *duration, *reused);
                self.arrived.insert(trial.0, Record::Finished { trial, outcome, duration, reused });
                Ok(())
            }
            Record::Finished { trial, outcome, duration, reused } => {
                self.apply_finished(*trial, outcome, *duration, *reused)
            }
        }
    }

    fn apply_asked(
        &mut self,
        member: usize,
        count: usize,
        trials: &[AskedTrial],
        is_exhausted: bool,
    ) -> Result<(), RecordError> {
        if member >= self.members.len() {
            return Err(RecordError(format!(
                "strategy {member} was asked, the study has {}",
                self.members.len()
            )));
        }
        self.check_numbers(trials)?;
        let shares = (self.rules.mix == Mix::Adaptive).then(|| self.shares());
        let is_by_fallback = self.members[member].fallback_since.is_some();
        for asked in trials {
            self.expect(asked.prediction);
            self.add_trial(Some(member), is_by_fallback, asked);
        }
        if let Some(shares) = shares {
            self.credit.asked(member, trials.len(), &shares);
        }
        let state = &mut self.members[member];
        state.trial_count += trials.len() as u64;
        state.is_exhausted |= is_exhausted;
        state.is_broken = false;
        state.is_waiting = trials.len() < count;
        Ok(())
    }

    fn apply_transferred(&mut self, source: &str, trials: &[TransferredTrial]) -> Result<(), RecordError> {
        if !self.trials.is_empty() {
            return Err(RecordError("results were transferred after the study had begun".into()));
        }
        for TransferredTrial { original, point, fidelity, outcome } in trials {
            let error = |reason| RecordError(format!("transferred trial {original}: {reason}"));
            self.check_point(point, *fidelity).map_err(error)?;
            match outcome {
                Outcome::Completed { measurement } => {
                    self.rules.problem.check_measurement(measurement).map_err(error)?;
                }
                Outcome::Infeasible { .. } => {}
                other => return Err(error(format!("it is {}", other.kind()))),
            }
        }
        if self.rules.duplicates == Duplicates::Resample {
            self.seen.extend(trials.iter().map(|trial| point_key(&trial.point, trial.fidelity)));
        }
        self.transferred.extend_from_slice(trials);
        self.sources.push((source.to_owned(), trials.len()));
        Ok(())
    }

    /// Where results of earlier studies come from, and how many from each.
    pub fn sources(&self) -> &[(String, usize)] {
        &self.sources
    }

    /// Where an enqueued trial repeats one that was transferred and measured something else by the first metric: then and
    /// now. Differences below a fifth of the standard deviation of what was transferred may be noise.
    pub fn changed_since_transfer(&self, trial: TrialId) -> Option<(f64, f64)> {
        let trial = self.trial(trial).filter(|trial| trial.member.is_none())?;
        let metric = &self.rules.problem.metrics[0].name;
        let value = |outcome: &Outcome| outcome.completed()?.value(metric);
        let now = value(trial.outcome.as_ref()?)?;
        let is_same = |one: &&TransferredTrial| one.point == trial.point && one.fidelity == trial.fidelity;
        let then = self.transferred.iter().filter(is_same).find_map(|one| value(&one.outcome))?;
        let values: Vec<f64> = self.transferred.iter().filter_map(|one| value(&one.outcome)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance =
            values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / values.len() as f64;
        ((now - then).abs() > 0.2 * variance.sqrt()).then_some((then, now))
    }

    /// The same as strategies hear them: as somebody else's, under numbers that no trial of the study has.
    pub fn transferred_observations(&self) -> impl Iterator<Item = Observation> + '_ {
        let numbers = (TrialId::TRANSFERRED_FIRST.0..).map(TrialId);
        numbers.zip(&self.transferred).map(|(number, trial)| Observation {
            trial: number,
            tag: None,
            point: trial.point.clone(),
            fidelity: trial.fidelity,
            curve: Curve::default(),
            result: self.result_of(&trial.outcome),
        })
    }

    fn apply_enqueued(&mut self, ticket: Option<u64>, trials: &[AskedTrial]) -> Result<(), RecordError> {
        self.check_numbers(trials)?;
        match ticket {
            Some(ticket) if self.tickets.contains(&ticket) => {
                return Err(RecordError(format!("request {ticket} was taken twice")));
            }
            Some(ticket) => drop(self.tickets.insert(ticket)),
            None if self.begun_count + trials.len() > self.rules.enqueued.len() => {
                return Err(RecordError(format!(
                    "the study begins with {} points, and more than these were taken",
                    self.rules.enqueued.len()
                )));
            }
            None => self.begun_count += trials.len(),
        }
        for asked in trials {
            self.add_trial(None, false, asked);
        }
        self.enqueued_count += trials.len() as u64;
        Ok(())
    }

    /// Notes how much is expected of a trial. What was predicted before there was anything to improve on, or not at all,
    /// says nothing.
    fn expect(&mut self, prediction: Option<Prediction>) {
        let Some(little) = &self.rules.budget.expected_improvement else { return };
        if let (Some(prediction), Some(best)) = (prediction, self.incumbent.least(0)) {
            let is_little = prediction.expected_improvement(best) < little.below;
            self.little_expected_count = if is_little { self.little_expected_count + 1 } else { 0 };
        }
    }

    fn check_numbers(&self, trials: &[AskedTrial]) -> Result<(), RecordError> {
        for (expected, asked) in (self.trials.len() as u64..).zip(trials) {
            if asked.trial.0 != expected {
                return Err(RecordError(format!(
                    "trial {} was asked where trial {expected} follows",
                    asked.trial
                )));
            }
        }
        Ok(())
    }

    fn add_trial(&mut self, member: Option<usize>, is_by_fallback: bool, asked: &AskedTrial) {
        if self.rules.duplicates == Duplicates::Resample {
            self.seen.insert(point_key(&asked.point, asked.fidelity));
        }
        self.pending.push(asked.trial.0);
        self.pending_flat.extend_from_slice(asked.point.flat());
        self.trials.push(Trial {
            id: asked.trial,
            member,
            point: asked.point.clone(),
            tag: asked.tag,
            fidelity: asked.fidelity,
            prediction: asked.prediction,
            attempt: 1,
            lost_count: 0,
            outcome: None,
            duration: Duration::ZERO,
            reused: None,
            is_by_fallback,
            curve: Curve::default(),
            last_step: None,
            last_report: None,
            early_stop: None,
            continuation: None,
            continued_by: None,
        });
    }

    fn apply_broke(&mut self, member: usize, remedy: Remedy, reason: &str) -> Result<(), RecordError> {
        let next = TrialId(self.trials.len() as u64);
        let count = self.members.len();
        let state = self
            .members
            .get_mut(member)
            .ok_or_else(|| RecordError(format!("strategy {member} broke, the study has {count}")))?;
        state.is_broken = remedy == Remedy::LeaveOut;
        state.renewal_count += u64::from(remedy != Remedy::LeaveOut);
        state.is_waiting = false;
        match remedy {
            Remedy::Renew => state.last_fault.clear(),
            // the fallback begins again: why it is there stays
            Remedy::Fallback if state.fallback_since.is_some() => {}
            _ => reason.clone_into(&mut state.last_fault),
        }
        match remedy {
            Remedy::Restart | Remedy::LeaveOut => state.fault_count += 1,
            Remedy::Fallback => {
                state.fault_count += 1;
                state.fallback_since.get_or_insert(next);
            }
            Remedy::Renew => {
                state.fault_count = 0;
                state.fallback_since = None;
            }
        }
        Ok(())
    }

    /// Who proposed a trial, as people see it: the member's label, and whether it was the fallback in its place; or
    /// `ENQUEUED`.
    pub fn proposer(&self, trial: &Trial) -> String {
        let Some(member) = trial.member else { return ENQUEUED.to_owned() };
        let label = &self.rules.members[member].label;
        match trial.is_by_fallback {
            true => format!("{label}/fallback"),
            false => label.clone(),
        }
    }

    fn apply_finished(
        &mut self,
        trial: TrialId,
        outcome: &Outcome,
        duration: Duration,
        reused: Option<TrialId>,
    ) -> Result<(), RecordError> {
        let row = self.pending_index(trial)?;
        self.check_outcome(trial, outcome)?;
        self.arrived.remove(&trial.0);
        let width = self.rules.problem.space.parameter_count();
        self.pending.remove(row);
        self.pending_flat.drain(row * width..(row + 1) * width);
        for member in &mut self.members {
            member.is_waiting = false;
        }
        let entry = &mut self.trials[trial.0 as usize];
        entry.outcome = Some(outcome.clone());
        entry.last_report = None;
        entry.duration = duration;
        entry.reused = reused;
        self.reused_in_a_row = if reused.is_some() { self.reused_in_a_row + 1 } else { 0 };
        let mut counted: Option<(Vec<f64>, bool)> = None;
        match outcome {
            Outcome::Completed { .. } => {
                self.failures_in_a_row = 0;
                self.completed_count += 1;
                if let Some(losses) = counted_losses(&self.rules.problem, entry) {
                    let is_best = self.incumbent.consider(trial, &losses);
                    if let Some(member) = entry.member {
                        self.members[member].improvement_count += u64::from(is_best);
                    }
                    counted = Some((losses, is_best));
                }
            }
            // that its host or worker was lost says nothing of the objective
            Outcome::Failed { failure: Failure::Lost, .. } => {}
            Outcome::Failed { .. } => self.failures_in_a_row += 1,
            Outcome::Infeasible { .. } | Outcome::Stopped { .. } => self.failures_in_a_row = 0,
        }
        self.promotable_count += usize::from(entry.early_stop.is_some() && entry.continued_by.is_none());
        // that its point brought nothing was counted when the trial was stopped that it continues
        let is_continuation = entry.continuation.is_some();
        let is_best = counted.as_ref().is_some_and(|(_, is_best)| *is_best);
        if !matches!(outcome, Outcome::Failed { .. }) && (is_best || !is_continuation) {
            let best = counted.as_ref().filter(|(_, is_best)| *is_best).map(|(losses, _)| losses.as_slice());
            self.progress.finished(best, self.rules.budget.plateau.as_ref());
        }
        let measurement = match outcome {
            Outcome::Completed { measurement } => Some(measurement),
            Outcome::Stopped { measurement, .. } => measurement.as_ref(),
            _ => None,
        };
        let mut own_cost = None;
        if let (Some(cost), Some(measurement), None) = (&self.rules.budget.cost, measurement, reused) {
            own_cost = measurement.value(&cost.metric);
            self.spent_cost += own_cost.unwrap_or(0.0);
        }
        if self.rules.mix == Mix::Adaptive {
            // what was taken over from an earlier trial is nothing that the member found
            let counted = counted.filter(|_| reused.is_none());
            let gained = Yield {
                losses: counted.as_ref().map(|(losses, _)| losses.as_slice()),
                is_best: counted.as_ref().is_some_and(|(_, is_best)| *is_best),
                cost: own_cost,
                is_continuation,
            };
            self.credit.finished(self.trials[trial.0 as usize].member, gained);
        }
        let is_final = matches!(outcome, Outcome::Completed { .. } | Outcome::Infeasible { .. });
        if is_final && self.rules.duplicates == Duplicates::Reuse {
            let entry = &self.trials[trial.0 as usize];
            self.finished_by_point.entry(point_key(&entry.point, entry.fidelity)).or_insert(trial);
        }
        Ok(())
    }

    /// One loss for each metric of a trial that may be the best: completed, whole, and keeping all bounds on metrics. `None`
    /// for all others.
    pub fn counted_losses(&self, trial: &Trial) -> Option<Vec<f64>> {
        counted_losses(&self.rules.problem, trial)
    }

    fn check_outcome(&self, trial: TrialId, outcome: &Outcome) -> Result<(), RecordError> {
        if self.early_stop(trial).is_some() && !matches!(outcome, Outcome::Stopped { .. }) {
            return Err(RecordError(format!("trial {trial} was told to stop and is {}", outcome.kind())));
        }
        let Outcome::Completed { measurement } = outcome else { return Ok(()) };
        let check = self.rules.problem.check_measurement(measurement);
        check.map_err(|reason| RecordError(format!("trial {trial} is completed, but {reason}")))
    }

    /// As `pending_index`, of a trial that has not arrived.
    fn running_index(&self, trial: TrialId) -> Result<usize, RecordError> {
        if self.arrived.contains_key(&trial.0) {
            return Err(RecordError(format!("trial {trial} has arrived already")));
        }
        self.pending_index(trial)
    }

    fn pending_index(&self, trial: TrialId) -> Result<usize, RecordError> {
        self.pending.iter().position(|id| *id == trial.0).ok_or_else(|| {
            let state = if self.trial(trial).is_some() { "has ended already" } else { "was never asked for" };
            RecordError(format!("trial {trial} {state}"))
        })
    }

    /// What a finished trial means to strategies; `None` while it is pending. The tag is for the member
    /// that proposed it: the others get `None` there.
    pub fn observation(&self, trial: TrialId) -> Option<Observation> {
        let trial = self.trial(trial)?;
        Some(Observation {
            trial: trial.id,
            // the suggestion was answered when the trial that it continues was stopped
            tag: Some(trial.tag).filter(|_| trial.continuation.is_none()),
            point: trial.point.clone(),
            fidelity: trial.fidelity,
            curve: trial.curve.clone(),
            result: self.result_of(trial.outcome.as_ref()?),
        })
    }

    fn result_of(&self, outcome: &Outcome) -> ObservedResult {
        let problem = &self.rules.problem;
        let losses = |measurement: &Measurement| Losses {
            values: problem.losses(measurement),
            standard_errors: {
                let errors =
                    problem.metrics.iter().map(|metric| measurement.get(&metric.name)?.standard_error);
                if errors.clone().any(|error| error.is_some()) { errors.collect() } else { Vec::new() }
            },
            excesses: problem.excesses(measurement),
        };
        match outcome {
            Outcome::Completed { measurement } => ObservedResult::Completed(losses(measurement)),
            Outcome::Infeasible { .. } => ObservedResult::Infeasible,
            Outcome::Failed { .. } => ObservedResult::Failed,
            Outcome::Stopped { measurement, .. } => {
                let whole = measurement.as_ref().filter(|m| problem.check_measurement(m).is_ok());
                ObservedResult::Stopped(whole.map(losses))
            }
        }
    }
}

#[cfg(test)]
mod tests;
