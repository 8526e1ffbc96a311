//! What trials reported on their way: learning curves, as the journal has them.

use super::export::Extent;
use super::{export, json, text};
use ansatz_core::study::{Record, Study};
use ansatz_core::{Measurement, TrialId};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};

/// How many reports of a trial people are shown.
const SHOWN_MAX: usize = 20;

/// Watches a study being read back, and keeps what trials reported.
pub struct Curves {
    /// One trial only; `None`: all.
    of: Option<TrialId>,
    reports: Vec<Reported>,
    /// Of trials that were tried again, the attempt that came last.
    last_attempts: HashMap<TrialId, u32>,
}

/// One report.
struct Reported {
    trial: TrialId,
    attempt: u32,
    step: u64,
    measurement: Measurement,
}

impl Curves {
    /// Of all trials.
    pub fn of_all() -> Self {
        Self { of: None, reports: Vec::new(), last_attempts: HashMap::new() }
    }

    /// Of one trial.
    pub fn of(trial: TrialId) -> Self {
        Self { of: Some(trial), ..Self::of_all() }
    }

    /// Takes the study as it is right after a record.
    pub fn see(&mut self, study: &Study, record: &Record) {
        if let Record::Retried { trial, attempt, .. } = record {
            self.last_attempts.insert(*trial, *attempt);
        }
        let Record::Reported { trial, step, measurement, .. } = record else { return };
        if self.of.is_none_or(|of| of == *trial) {
            let attempt = study.trial(*trial).map_or(1, |known| known.attempt);
            let (trial, step, measurement) = (*trial, *step, measurement.clone());
            self.reports.push(Reported { trial, attempt, step, measurement });
        }
    }

    /// The metrics that were reported, in the order in which they came.
    fn metrics(&self) -> Vec<&str> {
        let mut metrics: Vec<&str> = Vec::new();
        for reading in self.reports.iter().flat_map(|report| report.measurement.readings()) {
            if !metrics.contains(&reading.metric.as_str()) {
                metrics.push(&reading.metric);
            }
        }
        metrics
    }

    /// For people: some twenty reports, the first and the last among them. Empty where there are none.
    pub fn text(&self) -> String {
        let (count, metrics) = (self.reports.len(), self.metrics());
        if count == 0 {
            return String::new();
        }
        let has_attempts = self.reports.iter().any(|report| report.attempt > 1);
        let head = (has_attempts.then_some("attempt").into_iter()).chain(["step"]).chain(metrics.clone());
        let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
        let shown = count.min(SHOWN_MAX);
        for row in 0..shown {
            let report = &self.reports[row * (count - 1) / (shown - 1).max(1)];
            let attempt = has_attempts.then(|| report.attempt.to_string());
            let values = metrics.iter().map(|metric| match report.measurement.get(metric) {
                Some(reading) => text::reading(reading),
                None => "-".to_owned(),
            });
            rows.push(attempt.into_iter().chain([report.step.to_string()]).chain(values).collect());
        }
        let rest = match count {
            count if count > shown => {
                format!(", {shown} of {count} (ansatz export STUDY --reports has all)")
            }
            _ => String::new(),
        };
        format!("  reports{rest}\n{}", text::indented(&text::columns(&rows), "  "))
    }

    /// A list with one object for each report: the attempt, the step, the metrics and their standard errors.
    /// `None` where there are none.
    pub fn json(&self) -> Option<Value> {
        let list = || self.reports.iter().map(|report| report.json(Extent::All, false)).collect();
        (!self.reports.is_empty()).then(list)
    }

    /// One line for each report: trial, attempt, step, metrics with the prefix `metrics.`, and standard errors of those that
    /// have any. What was not reported is an empty cell.
    pub fn write_csv(&self, extent: Extent, mut out: impl Write) -> io::Result<()> {
        let metrics = self.metrics();
        let has_attempt = extent == Extent::All;
        let mut header = vec!["trial".to_owned()];
        header.extend(has_attempt.then(|| "attempt".to_owned()));
        header.push("step".to_owned());
        header.extend(metrics.iter().map(|metric| format!("metrics.{metric}")));
        let error = |report: &Reported, metric: &str| report.measurement.get(metric)?.standard_error;
        let has_error = |metric: &&str| self.reports.iter().any(|report| error(report, metric).is_some());
        let errors: Vec<&str> = metrics.iter().copied().filter(has_error).collect();
        header.extend(errors.iter().map(|metric| format!("standard_errors.{metric}")));
        export::write_line(&mut out, &header)?;
        for report in self.kept(extent) {
            let mut cells = vec![report.trial.to_string()];
            cells.extend(has_attempt.then(|| report.attempt.to_string()));
            cells.push(report.step.to_string());
            let cell = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
            cells.extend(metrics.iter().map(|metric| cell(report.measurement.value(metric))));
            cells.extend(errors.iter().map(|metric| cell(error(report, metric))));
            export::write_line(&mut out, &cells)?;
        }
        Ok(())
    }

    /// A JSON list with one object for each report, one per line.
    pub fn write_json(&self, extent: Extent, out: impl Write) -> io::Result<()> {
        export::write_list(self.kept(extent).into_iter().map(|report| report.json(extent, true)), out)
    }

    /// In the order of trials and, in what can be repeated, without attempts that others followed.
    fn kept(&self, extent: Extent) -> Vec<&Reported> {
        let is_last = |report: &Reported| {
            self.last_attempts.get(&report.trial).is_none_or(|attempt| report.attempt == *attempt)
        };
        let mut kept: Vec<&Reported> =
            self.reports.iter().filter(|report| extent == Extent::All || is_last(report)).collect();
        kept.sort_by_key(|report| report.trial);
        kept
    }
}

impl Reported {
    fn json(&self, extent: Extent, with_trial: bool) -> Value {
        let mut object = json!({ "step": self.step });
        json::measured(&mut object, &self.measurement);
        if with_trial {
            object["trial"] = self.trial.0.into();
        }
        if extent == Extent::All {
            object["attempt"] = self.attempt.into();
        }
        object
    }
}
