//! What an earlier study means to a new one: its trials in the new space, as far as they have a place there.
//!
//! A parameter that both have keeps its value, if the new domain has it; one that is new gets what `defaults` says; one that
//! is gone is passed over. A trial that does not fit is left out and counted, with the reason. Values are never moved: a
//! result belongs to the point where it was measured.

use crate::error::Error;
use crate::plan::{StudyPlan, Transfer};
use crate::session::{self, ReadStudy};
use ansatz_core::incumbent::Incumbent;
use ansatz_core::study::{EnqueuedPoint, TransferredTrial, Trial};
use ansatz_core::{Outcome, Point, Problem, Value};
use std::collections::BTreeMap;

/// What one earlier study gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Transferred {
    /// Where it comes from, for people.
    pub source: String,
    /// What strategies hear; none where only points are repeated.
    pub trials: Vec<TransferredTrial>,
    /// What became of its trials, for people.
    pub notice: String,
}

/// What the earlier studies of a plan give, and the points that are to be evaluated again, best first.
pub fn of_plan(plan: &StudyPlan) -> Result<(Vec<Transferred>, Vec<EnqueuedPoint>), Error> {
    let (mut given, mut repeated) = (Vec::new(), Vec::new());
    for transfer in &plan.transfers {
        let location = transfer.store.clone().unwrap_or_else(|| plan.journal.location());
        let earlier = session::read(&location, Some(&transfer.study))?;
        let source = format!("study {} in {location}", transfer.study);
        let fitting = fit(&earlier, &plan.rules.problem, transfer)
            .map_err(|reason| Error::Usage(format!("transfer from {source}: {reason}")))?;
        for point in best(&fitting.trials, &plan.rules.problem, transfer.repeat_count) {
            let again = EnqueuedPoint { point, fidelity: None };
            if !repeated.contains(&again) {
                repeated.push(again);
            }
        }
        let told = if transfer.results { fitting.trials.len() } else { 0 };
        let notice = format!("transfer from {source}: {}", fitting.account(told));
        let trials = if transfer.results { fitting.trials } else { Vec::new() };
        given.push(Transferred { source, trials, notice });
    }
    Ok((given, repeated))
}

/// The trials of a study that have a place in another one.
#[derive(Debug, Default)]
struct Fitting {
    trials: Vec<TransferredTrial>,
    /// Why others do not, and how many.
    left_out: BTreeMap<String, usize>,
    /// Parameters that the new space does not have.
    passed_over: Vec<String>,
}

impl Fitting {
    fn account(&self, told: usize) -> String {
        let total = self.trials.len() + self.left_out.values().sum::<usize>();
        let mut text =
            format!("{} of its {total} trials fit, {told} of which strategies hear", self.trials.len());
        for (reason, count) in &self.left_out {
            text += &format!("; left out, {count}: {reason}");
        }
        if !self.passed_over.is_empty() {
            text += &format!("; passed over, because they are gone: {}", self.passed_over.join(", "));
        }
        text
    }
}

fn fit(earlier: &ReadStudy, problem: &Problem, transfer: &Transfer) -> Result<Fitting, String> {
    let before = &earlier.plan.rules.problem;
    for parameter in problem.space.parameters() {
        if before.space.index_of(&parameter.name).is_none()
            && !transfer.defaults.contains_key(&parameter.name)
        {
            return Err(format!(
                "parameter {0} is new; say which value it had then, as defaults = {{ {0} = ... }}",
                parameter.name
            ));
        }
    }
    let names = before.space.parameters().iter().map(|parameter| &parameter.name);
    let gone = names.filter(|name| problem.space.index_of(name).is_none());
    let mut fitting = Fitting { passed_over: gone.cloned().collect(), ..Fitting::default() };
    for trial in earlier.study.trials() {
        match fit_trial(trial, before, problem, &transfer.defaults) {
            Ok(trial) => fitting.trials.push(trial),
            Err(reason) => *fitting.left_out.entry(reason).or_insert(0) += 1,
        }
    }
    Ok(fitting)
}

/// A trial of the one problem in the other; or why it has no place there, in words that do not depend on the trial.
fn fit_trial(
    trial: &Trial,
    before: &Problem,
    problem: &Problem,
    defaults: &BTreeMap<String, Value>,
) -> Result<TransferredTrial, String> {
    let outcome = match &trial.outcome {
        Some(Outcome::Completed { measurement }) => {
            problem
                .check_measurement(measurement)
                .map_err(|reason| reason.split(';').next().unwrap_or_default().to_owned())?;
            Outcome::Completed { measurement: measurement.clone() }
        }
        Some(Outcome::Infeasible { reason }) => Outcome::Infeasible { reason: reason.clone() },
        Some(other) => return Err(other.kind().to_owned()),
        None => return Err("not ended".to_owned()),
    };
    let fidelity = fidelity_of(trial, before, problem)?;
    let mut coordinates = Vec::new();
    for parameter in problem.space.parameters() {
        let value = match before.space.index_of(&parameter.name) {
            Some(_) => before.space.value(&trial.point, &parameter.name),
            None => None,
        };
        let value = value.or_else(|| defaults.get(&parameter.name).cloned());
        coordinates.push(match value {
            None => None,
            Some(value) => Some(
                parameter
                    .domain
                    .coordinate(&value)
                    .ok_or_else(|| format!("{} has no such value any more", parameter.name))?,
            ),
        });
    }
    // a default is no value where its parameter is inactive
    let flat: Vec<f64> = coordinates.iter().map(|coordinate| coordinate.unwrap_or(f64::NAN)).collect();
    let point = problem.space.assemble(flat);
    problem.space.check(&point)?;
    Ok(TransferredTrial { original: trial.id, point, fidelity, outcome })
}

/// How much of a full evaluation by the new problem a trial was.
fn fidelity_of(trial: &Trial, before: &Problem, problem: &Problem) -> Result<Option<f64>, String> {
    let was_full = || match (&before.fidelity, trial.fidelity) {
        (Some(range), Some(used)) => used >= range.upper,
        _ => true,
    };
    match &problem.fidelity {
        None if was_full() => Ok(None),
        None => Err("evaluated in part".to_owned()),
        Some(range) => match (&before.fidelity, trial.fidelity) {
            (Some(known), Some(used)) if known.name == range.name => {
                let is_in_range = (range.lower..=range.upper).contains(&used);
                is_in_range.then_some(Some(used)).ok_or_else(|| format!("{} out of range", range.name))
            }
            _ if was_full() => Ok(Some(range.upper)),
            _ => Err("evaluated in part".to_owned()),
        },
    }
}

/// The best points, each once: by the loss; with several metrics, the front.
fn best(trials: &[TransferredTrial], problem: &Problem, count: usize) -> Vec<Point> {
    let allowed = trials.iter().filter_map(|trial| {
        let measurement = trial.outcome.completed()?;
        let is_allowed = problem.excesses(measurement).iter().all(|excess| *excess <= 0.0);
        let is_whole = problem.fidelity.as_ref().is_none_or(|range| trial.fidelity == Some(range.upper));
        (is_allowed && is_whole).then(|| (problem.losses(measurement), trial))
    });
    let mut ranked: Vec<(Vec<f64>, &TransferredTrial)> = allowed.collect();
    if problem.metrics.len() > 1 {
        let mut front = Incumbent::default();
        for (losses, trial) in &ranked {
            front.consider(trial.original, losses);
        }
        ranked.retain(|(_, trial)| front.trials().any(|id| id == trial.original));
    }
    ranked.sort_by(|(a, one), (b, other)| a[0].total_cmp(&b[0]).then(one.original.cmp(&other.original)));
    let mut points: Vec<Point> = Vec::new();
    for (_, trial) in ranked {
        if points.len() < count && !points.contains(&trial.point) {
            points.push(trial.point.clone());
        }
    }
    points
}
