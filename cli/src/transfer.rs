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
        let earlier = session::read(&location, Some(&transfer.study)).map_err(|error| match error {
            Error::NotFound(_) if location.is_missing() => Error::NotFound(format!(
                "[[transfer]] of study {}: there is no store {location}; its key store says where the earlier study is",
                transfer.study
            )),
            Error::NotFound(reason) => {
                Error::NotFound(format!("[[transfer]] of study {}: {reason}", transfer.study))
            }
            other => other,
        })?;
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
    // where it was not known, it is not made up
    let made_up = problem.space.parameters().iter().zip(&coordinates).enumerate();
    if let Some((_, (parameter, _))) =
        made_up.into_iter().find(|(index, (_, coordinate))| coordinate.is_none() && point.is_active(*index))
    {
        return Err(format!("{} was inactive and is active now", parameter.name));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::metric::{Goal, Measurement, Metric};
    use ansatz_core::space::{Condition, Parameter, Space};
    use ansatz_core::{Curve, TrialId};
    use std::time::Duration;

    fn problem(parameters: Vec<Parameter>) -> Problem {
        let space = Space::of(parameters).unwrap();
        Problem::new(space, vec![Metric { name: "loss".into(), goal: Goal::Minimise }])
    }

    fn trial(number: u64, point: Point, outcome: Option<Outcome>) -> Trial {
        Trial {
            id: TrialId(number),
            member: Some(0),
            point,
            tag: 0,
            fidelity: None,
            prediction: None,
            attempt: 1,
            lost_count: 0,
            outcome,
            duration: Duration::ZERO,
            reused: None,
            is_by_fallback: false,
            curve: Curve::default(),
            last_step: None,
            last_report: None,
            early_stop: None,
            continuation: None,
            continued_by: None,
        }
    }

    fn completed(loss: f64) -> Option<Outcome> {
        Some(Outcome::Completed { measurement: Measurement::new().with("loss", loss) })
    }

    fn into(
        point: Point,
        before: &Problem,
        after: &Problem,
        defaults: &[(&str, f64)],
    ) -> Result<Point, String> {
        let defaults =
            defaults.iter().map(|(name, value)| ((*name).to_owned(), Value::Float(*value))).collect();
        fit_trial(&trial(3, point, completed(1.0)), before, after, &defaults).map(|trial| trial.point)
    }

    #[test]
    fn values_are_kept_or_the_trial_is_left_out() {
        let kind = || Parameter::categorical("kind", ["a", "b"]);
        let before = problem(vec![
            kind(),
            Parameter::float("x", 0.0, 1.0),
            Parameter::float("only_b", 0.0, 1.0).when(Condition::equals("kind", "b")),
        ]);
        let a = || Point::new([Some(0.0), Some(0.5), None]);
        let b = || Point::new([Some(1.0), Some(0.5), Some(0.25)]);
        // the same space, in another order and wider
        let wider =
            problem(vec![Parameter::float("x", -1.0, 2.0), Parameter::categorical("kind", ["c", "b", "a"])]);
        assert_eq!(into(b(), &before, &wider, &[]), Ok(Point::new([Some(0.5), Some(1.0)])));
        assert_eq!(into(a(), &before, &wider, &[]), Ok(Point::new([Some(0.5), Some(2.0)])));
        // narrower, and another kind of number
        let narrower = problem(vec![Parameter::int("x", 0, 1)]);
        assert_eq!(into(b(), &before, &narrower, &[]), Err("x has no such value any more".to_owned()));
        // what was inactive has no value, unless one is given
        let always =
            problem(vec![kind(), Parameter::float("x", 0.0, 1.0), Parameter::float("only_b", 0.0, 1.0)]);
        assert_eq!(into(b(), &before, &always, &[]), Ok(Point::new([Some(1.0), Some(0.5), Some(0.25)])));
        assert_eq!(into(a(), &before, &always, &[]), Err("only_b was inactive and is active now".to_owned()));
        assert_eq!(
            into(a(), &before, &always, &[("only_b", 0.75)]),
            Ok(Point::new([Some(0.0), Some(0.5), Some(0.75)]))
        );
        // a default is none where its parameter is inactive
        assert_eq!(into(a(), &before, &before, &[("only_b", 0.75)]), Ok(a()));
    }

    #[test]
    fn only_what_says_something_is_taken_over() {
        let one = problem(vec![Parameter::float("x", 0.0, 1.0)]);
        let point = || Point::new([Some(0.5)]);
        let fit = |outcome| fit_trial(&trial(0, point(), outcome), &one, &one, &BTreeMap::new());
        assert!(fit(completed(1.0)).is_ok());
        assert!(fit(Some(Outcome::Infeasible { reason: String::new() })).is_ok());
        assert_eq!(fit(None), Err("not ended".to_owned()));
        let stopped = Outcome::Stopped { reason: String::new(), measurement: None };
        assert_eq!(fit(Some(stopped)), Err("stopped".to_owned()));
        let other = Outcome::Completed { measurement: Measurement::new().with("accuracy", 1.0) };
        assert!(fit(Some(other)).unwrap_err().contains("loss was not reported"));
    }

    #[test]
    fn the_best_points_come_first_and_each_once() {
        let one = problem(vec![Parameter::float("x", 0.0, 1.0)]);
        let transferred: Vec<TransferredTrial> = [(0.1, 3.0), (0.2, 1.0), (0.3, 2.0), (0.2, 1.5)]
            .iter()
            .zip(0..)
            .map(|((x, loss), number)| TransferredTrial {
                original: TrialId(number),
                point: Point::new([Some(*x)]),
                fidelity: None,
                outcome: completed(*loss).unwrap(),
            })
            .collect();
        let xs = |count| {
            best(&transferred, &one, count).iter().map(|point| point.get(0).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!((xs(2), xs(9), xs(0)), (vec![0.2, 0.3], vec![0.2, 0.3, 0.1], vec![]));
    }
}
