//! Studies and trials as JSON for programs. Keys are never given a new meaning; new ones may come.

use super::calibration::{Calibration, INTERVALS, in_own_units};
use super::front;
use super::savings::Savings;
use ansatz_core::study::{Mix, Study, Trial};
use ansatz_core::{Measurement, Outcome};
use serde_json::{Value, json};
use std::time::Duration;

/// One trial. Values are in the metrics' own direction; absent keys mean unknown or inactive.
pub fn trial(study: &Study, trial: &Trial) -> Value {
    let mut object = json!({
        "trial": trial.id,
        "strategy": study.proposer(trial),
        "state": trial.outcome.as_ref().map_or("pending", Outcome::kind),
        "attempt": trial.attempt,
        "seed": study.trial_seed(trial.id),
        "duration_s": trial.duration.as_secs_f64(),
        "parameters": study.rules().problem.space.point_to_json(&trial.point),
    });
    if let Some(fidelity) = trial.fidelity {
        object["fidelity"] = fidelity.into();
    }
    if let Some(step) = trial.last_step {
        object["last_step"] = step.into();
    }
    if let Some((step, measurement)) = &trial.last_report {
        object["last_report"] = json!({ "step": step });
        measured(&mut object["last_report"], measurement);
    }
    if let Some(stop) = &trial.early_stop {
        object["stopped_at"] = stop.step.into();
    }
    if let Some(continuation) = &trial.continuation {
        object["continues"] = continuation.continued.0.into();
    }
    if let Some(by) = trial.continued_by {
        object["continued_by"] = by.0.into();
    }
    if let Some(reused) = trial.reused {
        object["reused"] = reused.0.into();
    }
    if let Some(reason) = trial.outcome.as_ref().and_then(Outcome::reason) {
        object["reason"] = reason.into();
    }
    if let Some(prediction) = in_own_units(study, trial) {
        object["prediction"] = prediction.to_json();
    }
    let measurement = match &trial.outcome {
        Some(Outcome::Completed { measurement }) => Some(measurement),
        Some(Outcome::Stopped { measurement, .. }) => measurement.as_ref(),
        _ => None,
    };
    if let Some(measurement) = measurement {
        measured(&mut object, measurement);
    }
    object
}

/// Adds what was measured: `metrics`, and `standard_errors` where there are any.
pub(super) fn measured(object: &mut Value, measurement: &Measurement) {
    object["metrics"] = metrics(measurement);
    let errors: serde_json::Map<String, Value> = (measurement.readings().iter())
        .filter_map(|reading| Some((reading.metric.clone(), reading.standard_error?.into())))
        .collect();
    if !errors.is_empty() {
        object["standard_errors"] = Value::Object(errors);
    }
}

fn metrics(measurement: &Measurement) -> Value {
    let values = measurement.readings().iter().map(|reading| (reading.metric.clone(), reading.value.into()));
    Value::Object(values.collect())
}

/// The best trials: one for a single metric, a Pareto front for several, with its knee marked; empty if none completed.
pub fn best(study: &Study) -> Value {
    let knee = front::knee(study);
    let trials = study.incumbent().trials().filter_map(|id| study.trial(id)).map(|found| {
        let mut object = trial(study, found);
        if knee == Some(found.id) {
            object["knee"] = true.into();
        }
        object
    });
    trials.collect()
}

/// How far what a strategy predicted of the first metric was to be trusted.
fn calibration(calibration: Calibration) -> Value {
    let mut object = json!({
        "outcomes": calibration.outcome_count,
        "mean_log_density": calibration.log_density_mean,
    });
    for ((share, _), inside) in INTERVALS.iter().zip(calibration.shares()) {
        object[format!("inside_{share}")] = inside.into();
    }
    object
}

/// A study without its trials.
pub fn overview(name: &str, study: &Study, elapsed: Duration) -> Value {
    let count = |kind: &str| {
        let of_kind = |trial: &&Trial| trial.outcome.as_ref().map_or("pending", Outcome::kind) == kind;
        study.trials().iter().filter(of_kind).count()
    };
    let shares = (study.rules().mix == Mix::Adaptive).then(|| study.shares());
    let members =
        study.rules().members.iter().zip(study.members()).enumerate().map(|(index, (member, state))| {
            json!({
                "strategy": member.label,
                "trials": state.trial_count,
                "improvements": state.improvement_count,
                "exhausted": state.is_exhausted,
                "broken": state.is_broken,
                "faults": state.fault_count,
                "last_fault": Some(&state.last_fault).filter(|fault| !fault.is_empty()),
                "fallback_since": state.fallback_since,
                "next_share": shares.as_ref().map(|shares| shares[index]),
                "calibration": Calibration::of(study, index).map(calibration),
            })
        });
    json!({
        "study": name,
        "seed": study.rules().seed,
        "metrics": study.rules().problem.metrics.iter().map(|metric| json!({"metric": metric.name, "goal": metric.goal})).collect::<Value>(),
        "trials": {
            "all": study.trials().len(),
            "completed": count("completed"),
            "failed": count("failed"),
            "infeasible": count("infeasible"),
            "stopped": count("stopped"),
            "pending": count("pending"),
        },
        "elapsed_s": elapsed.as_secs_f64(),
        "best": best(study),
        "front_coverage": front::coverage(study).last(),
        "strategies": members.collect::<Value>(),
        "enqueued": study.enqueued_count(),
        "transferred": study.sources().iter().map(|(source, count)| json!({"source": source, "trials": count})).collect::<Value>(),
        "early_stopping": Savings::json(study),
    })
}
