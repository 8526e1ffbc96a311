//! What a study knows of early stopping: which trials were told to end, and how the rule itself is doing.
//!
//! A verdict is part of the report that it answers, and it is binding: whatever the objective does afterwards, the
//! trial ends as stopped, with what it had measured. So the outcome is there with the record, and a host that dies
//! before the objective has heard of it changes nothing.

use super::{AskedTrial, Record, RecordError, Remedy, StopReason, Study, Trial};
use crate::early_stopping::{Promotion, Report};
use crate::metric::{Measurement, Metric, OutcomeConstraint};
use crate::trial::{Outcome, TrialId};
use std::time::Duration;

/// The end of a trial by an early-stopping rule.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlyStop {
    /// The step whose report it answers.
    pub step: u64,
    /// Who stopped it and why.
    pub reason: String,
    /// What it had reported.
    pub measurement: Measurement,
}

/// How a trial that continues a stopped one came to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// The stopped one.
    pub continued: TrialId,
    /// Who wants it to go on and why.
    pub reason: String,
}

/// How the early-stopping rule of a study is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlyStoppingState {
    /// How often it broke since it was last renewed.
    pub fault_count: u64,
    /// How often it began anew.
    pub renewal_count: u64,
    /// It broke for good in this session: trials run to their end.
    pub is_left_out: bool,
}

/// Whether the rule stopped a trial, and it has ended.
fn is_stopped(trial: &Trial) -> bool {
    trial.early_stop.is_some() && trial.outcome.is_some()
}

impl Study {
    /// How the early-stopping rule is doing; as at the beginning where there is none.
    pub fn early_stopping(&self) -> EarlyStoppingState {
        self.early_stopping
    }

    /// A report as an early-stopping rule hears it.
    pub fn report(&self, trial: TrialId, step: u64, measurement: &Measurement) -> Report {
        let problem = &self.rules.problem;
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        let loss = |metric: &Metric| finite(metric.goal.loss(measurement.value(&metric.name)?));
        let excess = |constraint: &OutcomeConstraint| {
            finite(constraint.excess(measurement.value(&constraint.metric)?))
        };
        Report {
            trial,
            step,
            losses: problem.metrics.iter().map(loss).collect(),
            excesses: problem.outcome_constraints.iter().map(excess).collect(),
            fidelity: self.trial(trial).and_then(|trial| trial.fidelity),
        }
    }

    /// Whether a report says something new of a running trial: an attempt that follows another one goes over the same
    /// steps again, and what was said of them stays.
    pub fn is_news(&self, trial: TrialId, step: u64) -> bool {
        self.trial(trial).is_some_and(|trial| trial.last_step.is_none_or(|last| step > last))
    }

    /// The verdict by which a trial ends or has ended early.
    pub fn early_stop(&self, trial: TrialId) -> Option<&EarlyStop> {
        self.trial(trial)?.early_stop.as_ref()
    }

    pub(super) fn apply_reported(
        &mut self,
        trial: TrialId,
        step: u64,
        measurement: &Measurement,
        stop: Option<&String>,
    ) -> Result<(), RecordError> {
        self.running_index(trial)?;
        let is_news = self.is_news(trial, step);
        let losses = self.report(trial, step, measurement).losses;
        let entry = &mut self.trials[trial.0 as usize];
        if let Some(stop) = &entry.early_stop {
            return Err(RecordError(format!(
                "trial {trial} was stopped at step {} and reported again",
                stop.step
            )));
        }
        if let Some(reason) = stop {
            if !is_news {
                return Err(RecordError(format!(
                    "trial {trial} was stopped at step {step}, which it had passed"
                )));
            }
            let (reason, measurement) = (reason.clone(), measurement.clone());
            entry.early_stop = Some(EarlyStop { step, reason, measurement });
        }
        entry.last_report = Some((step, measurement.clone()));
        if is_news {
            entry.last_step = Some(step);
            if self.rules.early_stopping.is_some() {
                entry.curve.push(step, losses);
            }
        }
        Ok(())
    }

    /// Trials that have points of their own: all but those that continue a stopped one.
    pub fn point_count(&self) -> usize {
        self.trials.len() - self.promoted_count
    }

    /// How many of these points are done, as far as is known: the last trial of each has ended.
    pub fn finished_point_count(&self) -> usize {
        // each that is pending is the last of its point, but where a repair took out how the one before it ended
        self.point_count().saturating_sub(self.pending.len())
    }

    /// How many stopped trials may now go on, given how many can be started: none where a limit of the budget is reached,
    /// but for the number of trials, since such a trial is no new one.
    pub fn room_for_promotions(&self, free_slot_count: usize, elapsed: Duration) -> usize {
        let limit = self.limits_reached(elapsed).find(|reason| *reason != StopReason::TrialCount);
        match limit {
            Some(_) => 0,
            None => self.places(free_slot_count),
        }
    }

    /// Whether there are trials that may go on, should the early-stopping rule say so: it stopped them, and no other
    /// continues them.
    pub fn has_promotable(&self) -> bool {
        self.promotable_count > 0
    }

    /// The record by which a stopped trial goes on, by this rule. The error says why it cannot: the rule has a bug.
    pub fn promote(&self, rule: &str, promotion: &Promotion) -> Result<Record, String> {
        let stopped = self.check_promotable(promotion.continued)?;
        Ok(Record::Promoted {
            member: stopped.member,
            trial: AskedTrial {
                trial: TrialId(self.trials.len() as u64),
                point: stopped.point.clone(),
                tag: stopped.tag,
                fidelity: stopped.fidelity,
                prediction: stopped.prediction,
            },
            continued: promotion.continued,
            reason: format!("{rule}: {}", promotion.reason),
        })
    }

    /// The first of the trials that this one continues, itself if it continues none: whose point and seed it has.
    pub fn origin(&self, trial: TrialId) -> TrialId {
        // a trial continues an earlier one, so this ends
        let mut origin = trial;
        while let Some(continuation) = self.trial(origin).and_then(|trial| trial.continuation.as_ref()) {
            origin = continuation.continued;
        }
        origin
    }

    fn check_promotable(&self, continued: TrialId) -> Result<&Trial, String> {
        let trial = self.check_uncontinued(continued)?;
        if !is_stopped(trial) {
            return Err(format!("trial {continued} is to go on, and has not been stopped"));
        }
        Ok(trial)
    }

    fn check_uncontinued(&self, continued: TrialId) -> Result<&Trial, String> {
        let Some(trial) = self.trial(continued) else {
            return Err(format!("trial {continued} is to go on, and was never asked for"));
        };
        if let Some(by) = trial.continued_by {
            return Err(format!("trial {continued} is to go on, and trial {by} does that already"));
        }
        Ok(trial)
    }

    pub(super) fn apply_promoted(
        &mut self,
        member: Option<usize>,
        asked: &AskedTrial,
        continued: TrialId,
        reason: &str,
    ) -> Result<(), RecordError> {
        self.check_numbers(std::slice::from_ref(asked))?;
        let trial = asked.trial;
        // what became of that one may be among what a repair took out: this one goes on all the same
        let stopped = self.check_uncontinued(continued).map_err(RecordError)?;
        if (member, &asked.point, asked.fidelity) != (stopped.member, &stopped.point, stopped.fidelity) {
            return Err(RecordError(format!(
                "trial {trial} continues trial {continued}, and is another one"
            )));
        }
        let continuation = Continuation { continued, reason: reason.to_owned() };
        let next = Trial {
            id: trial,
            continuation: Some(continuation),
            attempt: 1,
            lost_count: 0,
            outcome: None,
            duration: Duration::ZERO,
            last_report: None,
            early_stop: None,
            ..stopped.clone()
        };
        let stopped = &mut self.trials[continued.0 as usize];
        stopped.continued_by = Some(trial);
        self.promotable_count -= usize::from(is_stopped(stopped));
        self.promoted_count += 1;
        self.pending.push(trial.0);
        self.pending_flat.extend_from_slice(next.point.flat());
        self.trials.push(next);
        Ok(())
    }

    pub(super) fn apply_early_stopping_broke(&mut self, remedy: Remedy) -> Result<(), RecordError> {
        let state = &mut self.early_stopping;
        match remedy {
            Remedy::Restart => state.fault_count += 1,
            Remedy::Renew => state.fault_count = 0,
            Remedy::LeaveOut => {
                state.fault_count += 1;
                state.is_left_out = true;
                return Ok(());
            }
            Remedy::Fallback => {
                return Err(RecordError("an early-stopping rule has no fallback".to_owned()));
            }
        }
        state.renewal_count += 1;
        state.is_left_out = false;
        Ok(())
    }

    /// How a trial ends that was told to: not as its objective says, if that did not listen.
    pub(super) fn bound_outcome(&self, trial: TrialId, outcome: Outcome) -> Outcome {
        match self.early_stop(trial) {
            Some(EarlyStop { reason, measurement, .. }) => {
                Outcome::Stopped { reason: reason.clone(), measurement: Some(measurement.clone()) }
            }
            None => outcome,
        }
    }
}
