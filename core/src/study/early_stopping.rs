//! What a study knows of early stopping: which trials were told to end, and how the rule itself is doing.
//!
//! A verdict is part of the report that it answers, and it is binding: whatever the objective does afterwards, the
//! trial ends as stopped, with what it had measured. So the outcome is there with the record, and a host that dies
//! before the objective has heard of it changes nothing.

use super::{RecordError, Remedy, Study};
use crate::early_stopping::Report;
use crate::metric::{Measurement, Metric, OutcomeConstraint};
use crate::trial::{Outcome, TrialId};

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
        if is_news {
            entry.last_step = Some(step);
            if self.rules.early_stopping.is_some() {
                entry.curve.push(step, losses);
            }
        }
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
