//! All trials of a study as a table: CSV for data frames and spreadsheets, JSON for programs.

use super::calibration::in_own_units;
use super::json;
use ansatz_core::study::Study;
use ansatz_core::{Measurement, Outcome};
use serde_json::Value;
use std::io::{self, Write};

/// How much of a trial is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    All,
    /// Not what differs each time that a study is run: how long trials took, and how often they were tried.
    Repeatable,
}

/// What `Extent::Repeatable` leaves out.
const UNREPEATABLE: [&str; 2] = ["attempt", "duration_s"];

/// One line per trial: number, strategy, state, attempt, duration, fidelity, the trial whose outcome it took
/// over, parameters, metrics, their standard errors and what was predicted where there are any, the last step, that
/// at which it was stopped and the stopped trial that it continues where something ends trials early, reason. An inactive
/// parameter and a metric that was not measured are empty cells. Columns of parameters and metrics carry
/// the prefixes `parameters.` and `metrics.`, so that no name can clash.
pub fn csv(study: &Study, extent: Extent, mut out: impl Write) -> io::Result<()> {
    let space = &study.rules().problem.space;
    let mut metrics: Vec<&str> = Vec::new();
    for trial in study.trials() {
        for reading in measurement(&trial.outcome).map(Measurement::readings).unwrap_or_default() {
            if !metrics.contains(&reading.metric.as_str()) {
                metrics.push(&reading.metric);
            }
        }
    }
    let has_error = |metric: &&str| {
        let of = |outcome| measurement(outcome)?.get(metric)?.standard_error;
        study.trials().iter().any(|trial| of(&trial.outcome).is_some())
    };
    let errors: Vec<&str> = metrics.iter().copied().filter(has_error).collect();
    let mut header: Vec<String> =
        ["trial", "strategy", "state", "attempt", "duration_s", "fidelity", "reused"]
            .map(str::to_owned)
            .to_vec();
    header.extend(space.parameters().iter().map(|parameter| format!("parameters.{}", parameter.name)));
    header.extend(metrics.iter().map(|metric| format!("metrics.{metric}")));
    header.extend(errors.iter().map(|metric| format!("standard_errors.{metric}")));
    let has_prediction = study.trials().iter().any(|trial| trial.prediction.is_some());
    if has_prediction {
        header.extend(["mean", "deviation", "acquisition"].map(|what| format!("prediction_{what}")));
    }
    let has_rule = study.rules().early_stopping.is_some();
    if has_rule {
        header.extend(["last_step", "stopped_at", "continues"].map(str::to_owned));
    }
    header.push("reason".to_owned());
    let left_out: &[&str] = if extent == Extent::Repeatable { &UNREPEATABLE } else { &[] };
    let is_kept: Vec<bool> = header.iter().map(|name| !left_out.contains(&name.as_str())).collect();
    let mut line = |cells: Vec<String>| {
        let kept = cells.into_iter().zip(&is_kept).filter(|(_, is_kept)| **is_kept);
        write_line(&mut out, &kept.map(|(cell, _)| cell).collect::<Vec<_>>())
    };
    line(header)?;
    for trial in study.trials() {
        let mut cells = vec![
            trial.id.to_string(),
            study.proposer(trial),
            trial.outcome.as_ref().map_or("pending", Outcome::kind).to_owned(),
            trial.attempt.to_string(),
            trial.duration.as_secs_f64().to_string(),
            trial.fidelity.map(|fidelity| fidelity.to_string()).unwrap_or_default(),
            trial.reused.map(|earlier| earlier.to_string()).unwrap_or_default(),
        ];
        for (index, parameter) in space.parameters().iter().enumerate() {
            let value =
                trial.point.get(index).map(|coordinate| parameter.domain.value(coordinate).to_string());
            cells.push(value.unwrap_or_default());
        }
        let measurement = measurement(&trial.outcome);
        for metric in &metrics {
            let value = measurement.and_then(|measurement| measurement.value(metric));
            cells.push(value.map(|value| value.to_string()).unwrap_or_default());
        }
        for metric in &errors {
            let error = measurement.and_then(|measurement| measurement.get(metric)?.standard_error);
            cells.push(error.map(|error| error.to_string()).unwrap_or_default());
        }
        if has_prediction {
            let prediction = in_own_units(study, trial);
            let acquisition = prediction.and_then(|p| p.acquisition);
            let numbers = [prediction.map(|p| p.mean), prediction.map(|p| p.deviation), acquisition];
            cells.extend(numbers.map(|number| number.map(|number| number.to_string()).unwrap_or_default()));
        }
        if has_rule {
            let stopped_at = trial.early_stop.as_ref().map(|stop| stop.step);
            let continued = trial.continuation.as_ref().map(|continuation| continuation.continued.0);
            let numbers = [trial.last_step, stopped_at, continued];
            cells.extend(numbers.map(|number| number.map(|number| number.to_string()).unwrap_or_default()));
        }
        cells.push(trial.outcome.as_ref().and_then(Outcome::reason).unwrap_or_default().to_owned());
        line(cells)?;
    }
    Ok(())
}

fn measurement(outcome: &Option<Outcome>) -> Option<&Measurement> {
    match outcome {
        Some(Outcome::Completed { measurement }) => Some(measurement),
        Some(Outcome::Stopped { measurement, .. }) => measurement.as_ref(),
        _ => None,
    }
}

/// One record of RFC 4180.
pub(super) fn write_line(out: &mut impl Write, cells: &[String]) -> io::Result<()> {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        if cell.contains([',', '"', '\n', '\r']) {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            out.write_all(cell.as_bytes())?;
        }
    }
    out.write_all(b"\r\n")
}

/// A JSON list with one object per trial, one per line.
pub fn json(study: &Study, extent: Extent, out: impl Write) -> io::Result<()> {
    let objects = study.trials().iter().map(|trial| {
        let mut object = json::trial(study, trial);
        if let (Extent::Repeatable, Some(fields)) = (extent, object.as_object_mut()) {
            UNREPEATABLE.iter().for_each(|name| drop(fields.remove(*name)));
        }
        object
    });
    write_list(objects, out)
}

/// A JSON list with one object per line.
pub(super) fn write_list(objects: impl Iterator<Item = Value>, mut out: impl Write) -> io::Result<()> {
    out.write_all(b"[")?;
    for (index, object) in objects.enumerate() {
        let separator = if index == 0 { "\n" } else { ",\n" };
        write!(out, "{separator}{object}")?;
    }
    out.write_all(b"\n]\n")
}
