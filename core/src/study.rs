//! A study as a pure state machine: records in, next step out. No I/O, no clock, no thread.
//!
//! The host asks `next` what to do, does it, writes down what happened as a `Record`, and applies it
//! here; nothing else changes the trials, so that reading the journal back gives the same study. (A new
//! session forgives failures: that only decides when to stop.) This is also the one place where a goal
//! becomes a loss.

mod early_stopping;

pub use early_stopping::{EarlyStop, EarlyStoppingState};

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
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

mod adaptive;

/// Everything that is fixed before a study begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyRules {
    /// What is to be solved.
    pub problem: Problem,
    /// From which all randomness comes.
    pub seed: u64,
    /// The strategies, at least one.
    pub members: Vec<Member>,
    /// How the members take turns.
    pub mix: Mix,
    /// When to stop.
    pub budget: Budget,
    /// How often one trial may be attempted before its failure is final; at least 1.
    pub attempts_max: u32,
    /// What to do with a point that has been evaluated before.
    pub duplicates: Duplicates,
    /// Stop after this many failed trials in a row: the objective is probably broken.
    pub consecutive_failures_max: Option<u64>,
    /// If set, outcomes count in the order of their trials, and so many trials are asked ahead of the oldest that
    /// has not counted yet. Then the study does not depend on how long trials take. `None`: each counts as it comes.
    #[serde(default)]
    pub window: Option<u64>,
    /// The name of the rule that ends trials early, if there is one; shown with what it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<String>,
}

/// One strategy of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Unique in the study; shown beside its trials.
    pub label: String,
    /// Its share in a weighted mix; above 0.
    pub weight: f64,
    /// How many trials it proposes at most; in phases, the length of its phase.
    pub trial_count_max: Option<u64>,
    /// In an adaptive mix: it has no turn before so many trials of the study have been asked, unless nobody else is left.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after_count: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Member {
    /// A member with the usual weight and no limits.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), weight: 1.0, trial_count_max: None, after_count: 0 }
    }
}

/// How the members of a study take turns. Every member hears every result, whatever the mix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mix {
    /// One suggestion each, round and round.
    #[default]
    InTurn,
    /// Suggestions in proportion to the weights, spread evenly.
    Weighted,
    /// One after the other, in the order of the manifest.
    Phases,
    /// By what their trials have brought so far.
    Adaptive,
}

/// What a study may spend. The first limit reached ends it; running trials are finished.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Trials, however they end.
    pub trial_count: Option<u64>,
    /// Time with the study running, summed over its sessions.
    pub wall_time: Option<Duration>,
    /// A value of the first metric that is good enough.
    pub target: Option<f64>,
    /// A limit on the sum of a metric over all trials that measured it.
    pub cost: Option<CostLimit>,
    /// Trials that completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_count: Option<u64>,
    /// So much without a better one is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plateau: Option<Plateau>,
}

/// A study that finds nothing better any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// Trials in a row, other than failed ones, that brought nothing; they count from the first result that is allowed.
    pub trial_count: u64,
    /// By how much a trial must be better than the last one that counted as better, in the unit of the metric; at
    /// least 0. With several metrics, a trial that joins the front is better, and this has no part in it.
    pub min_delta: f64,
}

/// A limit on the sum of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostLimit {
    /// The metric that says what a trial cost.
    pub metric: String,
    /// In the metric's unit.
    pub limit: f64,
}

/// What to do with a point that has been evaluated before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// Evaluate it again: right for noisy objectives.
    #[default]
    Replicate,
    /// Take over the outcome of the earlier trial.
    Reuse,
}

/// How often a trial may be lost with its host: a point that kills the host must not do so for ever.
const LOST_MAX: u32 = 20;
/// Suggestions in a row that were evaluated before, after which there is nothing new to expect.
const REUSED_IN_A_ROW_MAX: u64 = 10_000;

/// A fact of a study. The journal keeps them in order; applying them in order is the study.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A strategy was asked, and these are the trials that came of it.
    Asked {
        /// Index of the member.
        member: usize,
        /// How many suggestions were asked for.
        count: usize,
        /// The trials admitted; may be fewer, or none.
        trials: Vec<AskedTrial>,
        /// Whether the strategy said that there will never be more.
        is_exhausted: bool,
    },
    /// A strategy broke, or had to begin again for another reason, and this is what was done about it.
    Broke {
        /// Index of the member.
        member: usize,
        /// What was done.
        remedy: Remedy,
        /// What happened, in words.
        reason: String,
    },
    /// The early-stopping rule broke, or had to begin again for another reason, and this is what was done about it.
    EarlyStoppingBroke {
        /// What was done; it has no fallback.
        remedy: Remedy,
        /// What happened, in words.
        reason: String,
    },
    /// A running trial reported.
    Reported {
        /// Which trial.
        trial: TrialId,
        /// Its own count of progress.
        step: u64,
        /// What it measured so far.
        measurement: Measurement,
        /// Why the trial ends here, if the early-stopping rule said so: its name, the step, and what it compared.
        stop: Option<String>,
    },
    /// An attempt failed and another one follows.
    Retried {
        /// Which trial.
        trial: TrialId,
        /// The number of the attempt that follows.
        attempt: u32,
        /// What broke.
        failure: Failure,
        /// In words.
        reason: String,
    },
    /// A trial ended before one that was asked for earlier, and waits for its turn to count. Only with a window.
    Arrived {
        /// Which trial.
        trial: TrialId,
        /// How it ended.
        outcome: Outcome,
        /// How long the last attempt took.
        duration: Duration,
        /// The earlier trial whose outcome was taken over.
        reused: Option<TrialId>,
    },
    /// A trial ended, and counts from here on.
    Finished {
        /// Which trial.
        trial: TrialId,
        /// How it ended.
        outcome: Outcome,
        /// How long the last attempt took.
        duration: Duration,
        /// The earlier trial whose outcome was taken over.
        reused: Option<TrialId>,
    },
}

/// What is done about a strategy that broke. Whoever begins anew hears all finished trials first, as somebody
/// else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// It was made anew.
    Restart,
    /// It was made anew without being at fault: its plugin is another build than before. Its faults are forgotten.
    Renew,
    /// It is asked no more in this study; the fallback proposes in its place.
    Fallback,
    /// It is asked no more in this session.
    LeaveOut,
}

/// A trial as it is admitted.
#[derive(Clone, Debug, PartialEq)]
pub struct AskedTrial {
    /// The next free number.
    pub trial: TrialId,
    /// In the space.
    pub point: Point,
    /// The strategy's own tag.
    pub tag: u64,
    /// How much of a full evaluation to use, if the problem has a fidelity.
    pub fidelity: Option<f64>,
    /// What the strategy's model expected; finite.
    pub prediction: Option<Prediction>,
}

impl AskedTrial {
    /// Whether it is the same trial. What was predicted is beside the point: a model may learn to say more.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let key = |trial: &Self| (trial.trial, trial.tag, trial.fidelity);
        key(self) == key(other) && self.point == other.point
    }
}

/// One trial with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its number.
    pub id: TrialId,
    /// Index of the member that proposed it.
    pub member: usize,
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
    /// The verdict by which it ends or has ended early.
    pub early_stop: Option<EarlyStop>,
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
            StopReason::Exhausted => "no strategy has a suggestion left",
            StopReason::Broken => "no strategy is left: the last one broke; the study can be resumed",
            StopReason::Failures => "too many trials failed in a row",
        })
    }
}

/// A record that does not fit what came before it: the journal is damaged, or the host has a bug.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordError(pub String);

impl fmt::Display for RecordError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
impl std::error::Error for RecordError {}

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
    failures_in_a_row: u64,
    reused_in_a_row: u64,
    /// The first finished trial of each point and fidelity (by its bits), kept only where duplicates are reused.
    finished_by_point: HashMap<(Point, Option<u64>), TrialId>,
    early_stopping: EarlyStoppingState,
}

/// Of a trial that may be the best.
fn counted_losses(problem: &Problem, trial: &Trial) -> Option<Vec<f64>> {
    let measurement = trial.outcome.as_ref()?.completed()?;
    let is_allowed = problem.excesses(measurement).iter().all(|excess| *excess <= 0.0);
    // a short evaluation is no full one, however good
    let is_whole = problem.fidelity.as_ref().is_none_or(|range| trial.fidelity == Some(range.upper));
    (is_allowed && is_whole).then(|| problem.losses(measurement))
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
            failures_in_a_row: 0,
            reused_in_a_row: 0,
            finished_by_point: HashMap::new(),
            early_stopping: EarlyStoppingState::default(),
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
            && (self.pending.first() != Some(&trial.0) || matches!(self.next(0, elapsed), Step::Ask { .. }))
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
        let stop = self.limit_reached(elapsed).or_else(|| self.nothing_left());
        match stop {
            Some(reason) if self.pending.is_empty() => return Step::Stop(reason),
            Some(_) => return Step::Wait,
            None => {}
        }
        let room = match self.rules.window {
            Some(window) => window.saturating_sub(self.pending.len() as u64),
            None => free_slot_count as u64,
        };
        if room == 0 {
            return Step::Wait;
        }
        match self.member_in_turn() {
            Some((member, allowance)) => {
                let left =
                    self.rules.budget.trial_count.map_or(u64::MAX, |max| max - self.trials.len() as u64);
                let count = room.min(left).min(allowance);
                Step::Ask { member, count: count as usize }
            }
            // a strategy that waits while nothing is pending would wait for ever
            None if self.pending.is_empty() => Step::Stop(StopReason::Exhausted),
            None => Step::Wait,
        }
    }

    fn limit_reached(&self, elapsed: Duration) -> Option<StopReason> {
        let budget = &self.rules.budget;
        if let Some(target) = budget.target {
            let goal = self.rules.problem.metrics[0].goal;
            if self.incumbent.least(0).is_some_and(|least| least <= goal.loss(target)) {
                return Some(StopReason::Target);
            }
        }
        if budget.trial_count.is_some_and(|max| self.trials.len() as u64 >= max) {
            return Some(StopReason::TrialCount);
        }
        if budget.wall_time.is_some_and(|max| elapsed >= max) {
            return Some(StopReason::WallTime);
        }
        if budget.cost.as_ref().is_some_and(|cost| self.spent_cost >= cost.limit) {
            return Some(StopReason::Cost);
        }
        if budget.completed_count.is_some_and(|max| self.completed_count >= max) {
            return Some(StopReason::CompletedCount);
        }
        if budget.plateau.as_ref().is_some_and(|plateau| self.progress.idle_count >= plateau.trial_count) {
            return Some(StopReason::Plateau);
        }
        if self.rules.consecutive_failures_max.is_some_and(|max| self.failures_in_a_row >= max) {
            return Some(StopReason::Failures);
        }
        None
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
            && (after(member) <= self.trials.len() as u64
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
    pub fn admit(&self, count: usize, suggestions: Vec<Suggestion>) -> Result<Vec<AskedTrial>, String> {
        if suggestions.len() > count {
            return Err(format!("it gave {} suggestions when asked for {count}", suggestions.len()));
        }
        let range = self.rules.problem.fidelity.as_ref();
        let mut trials = Vec::with_capacity(suggestions.len());
        for (index, suggestion) in suggestions.into_iter().enumerate() {
            let describe =
                |reason: String| format!("its suggestion {} is not in the space: {reason}", index + 1);
            self.rules.problem.space.check(&suggestion.point).map_err(describe)?;
            let fidelity = match (range, suggestion.fidelity) {
                (None, _) => None,
                (Some(range), None) => Some(range.upper),
                (Some(range), Some(chosen)) if (range.lower..=range.upper).contains(&chosen) => Some(chosen),
                (Some(range), Some(chosen)) => {
                    return Err(describe(format!(
                        "{} = {chosen} is not between {} and {}",
                        range.name, range.lower, range.upper
                    )));
                }
            };
            let trial = TrialId((self.trials.len() + index) as u64);
            let Suggestion { point, tag, prediction, .. } = suggestion;
            let prediction = prediction.and_then(Prediction::usable);
            trials.push(AskedTrial { trial, point, tag, fidelity, prediction });
        }
        Ok(trials)
    }

    /// The earlier trial of the same point and fidelity whose outcome stands for this one, where the rules say
    /// that duplicates are reused.
    pub fn earlier(&self, trial: &Trial) -> Option<&Trial> {
        let key = (trial.point.clone(), trial.fidelity.map(f64::to_bits));
        self.finished_by_point.get(&key).and_then(|id| self.trial(*id))
    }

    /// The seed that the objective gets for a trial.
    pub fn trial_seed(&self, trial: TrialId) -> u64 {
        Streams::new(self.rules.seed).trial_seed(trial.0)
    }

    /// A completed outcome whose measurement cannot be used becomes a failed one, with the reason.
    pub fn judge(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Completed { measurement } => match self.check_measurement(&measurement) {
                Ok(()) => Outcome::Completed { measurement },
                Err(reason) => Outcome::Failed { failure: Failure::Measurement, reason },
            },
            // what was measured before the stop is kept only if it can be used
            Outcome::Stopped { reason, measurement } => Outcome::Stopped {
                reason,
                measurement: measurement.filter(|m| self.rules.problem.check_measurement(m).is_ok()),
            },
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
            Record::Broke { member, remedy, .. } => self.apply_broke(*member, *remedy),
            Record::EarlyStoppingBroke { remedy, .. } => self.apply_early_stopping_broke(*remedy),
            Record::Reported { trial, step, measurement, stop } => {
                self.apply_reported(*trial, *step, measurement, stop.as_ref())
            }
            Record::Retried { trial, attempt, failure, .. } => {
                self.running_index(*trial)?;
                let entry = &mut self.trials[trial.0 as usize];
                entry.attempt = *attempt;
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
        for (index, asked) in trials.iter().enumerate() {
            let expected = (self.trials.len() + index) as u64;
            if asked.trial.0 != expected {
                return Err(RecordError(format!(
                    "trial {} was asked where trial {expected} follows",
                    asked.trial
                )));
            }
        }
        let shares = (self.rules.mix == Mix::Adaptive).then(|| self.shares());
        for asked in trials {
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
                is_by_fallback: self.members[member].fallback_since.is_some(),
                curve: Curve::default(),
                last_step: None,
                early_stop: None,
            });
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

    fn apply_broke(&mut self, member: usize, remedy: Remedy) -> Result<(), RecordError> {
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

    /// Who proposed a trial, as people see it: the member's label, and whether it was the fallback in its place.
    pub fn proposer(&self, trial: &Trial) -> String {
        let label = &self.rules.members[trial.member].label;
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
                    self.members[entry.member].improvement_count += u64::from(is_best);
                    counted = Some((losses, is_best));
                }
            }
            Outcome::Failed { .. } => self.failures_in_a_row += 1,
            Outcome::Infeasible { .. } | Outcome::Stopped { .. } => self.failures_in_a_row = 0,
        }
        if !matches!(outcome, Outcome::Failed { .. }) {
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
            };
            self.credit.finished(self.trials[trial.0 as usize].member, gained);
        }
        let is_final = matches!(outcome, Outcome::Completed { .. } | Outcome::Infeasible { .. });
        if is_final && self.rules.duplicates == Duplicates::Reuse {
            let entry = &self.trials[trial.0 as usize];
            let key = (entry.point.clone(), entry.fidelity.map(f64::to_bits));
            self.finished_by_point.entry(key).or_insert(trial);
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
        let result = match trial.outcome.as_ref()? {
            Outcome::Completed { measurement } => ObservedResult::Completed(losses(measurement)),
            Outcome::Infeasible { .. } => ObservedResult::Infeasible,
            Outcome::Failed { .. } => ObservedResult::Failed,
            Outcome::Stopped { measurement, .. } => ObservedResult::Stopped(measurement.as_ref().map(losses)),
        };
        Some(Observation {
            trial: trial.id,
            tag: Some(trial.tag),
            point: trial.point.clone(),
            fidelity: trial.fidelity,
            curve: trial.curve.clone(),
            result,
        })
    }
}

#[cfg(test)]
mod tests;
