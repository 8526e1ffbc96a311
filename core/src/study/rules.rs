//! Everything that is fixed before a study begins.

use crate::problem::Problem;
use crate::space::Point;
use serde::{Deserialize, Serialize};
use std::time::Duration;

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
    /// Points that people want to have evaluated before anything is asked of a strategy; in the space.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enqueued: Vec<EnqueuedPoint>,
}

/// A point that a person, and no strategy, wants to have evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnqueuedPoint {
    /// In the space, constraints satisfied.
    pub point: Point,
    /// How much of a full evaluation to use, in the problem's range; `None`: all of it, or the problem has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<f64>,
}

/// Who proposes the trials of `EnqueuedPoint`s, as people see it.
pub const ENQUEUED: &str = "enqueued";

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
    /// So little left to expect is enough. Only with one metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_improvement: Option<LittleExpected>,
}

/// A study whose strategies expect nothing more of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LittleExpected {
    /// A trial is expected to bring less than this, in the unit of the metric; above 0.
    pub below: f64,
    /// So many predicted trials in a row; at least 1.
    pub trial_count: u64,
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
    /// Evaluate another point nearby that was not asked for before, so that no evaluation is spent twice.
    Resample,
}
