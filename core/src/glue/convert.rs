//! Domain to boundary and back: the only place that knows both.

use crate::Point;
use crate::curve::{Curve, CurvePoint};
use crate::early_stopping::{Promotion, Report};
use crate::metric::Measurement;
use crate::objective::{Assignment, Continued, EvaluationError};
use crate::prediction::{Prediction, Recommendation};
use crate::problem::Problem;
use crate::strategy::{Losses, Observation, ObservedResult, StrategyError, Suggestion};
use crate::trial::TrialId;
use ansatz_abi as abi;
use ansatz_abi::abi_stable::std_types::{RSlice, RStr, RString, RVec};
use ansatz_abi::{Fault, FaultKind, Status};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// NaN is `None` at the boundary.
pub fn optional(number: f64) -> Option<f64> {
    (!number.is_nan()).then_some(number)
}

/// `None` is NaN at the boundary.
pub fn flat(number: Option<f64>) -> f64 {
    number.unwrap_or(f64::NAN)
}

pub fn suggestion_to_abi(suggestion: Suggestion) -> abi::Suggestion {
    abi::Suggestion {
        tag: suggestion.tag,
        x: suggestion.point.flat().into(),
        fidelity: flat(suggestion.fidelity),
        ext: suggestion_ext(suggestion.prediction),
    }
}

/// What goes into the `ext` of a suggestion.
pub fn suggestion_ext(prediction: Option<Prediction>) -> RString {
    match prediction.and_then(Prediction::usable) {
        Some(prediction) => json!({ "prediction": prediction.to_json() }).to_string().into(),
        None => RString::new(),
    }
}

/// What the `ext` of a suggestion says. What is no such object says nothing: it is never an error.
pub fn prediction_in_ext(ext: &str) -> Option<Prediction> {
    if ext.is_empty() {
        return None;
    }
    let ext: Value = serde_json::from_str(ext).ok()?;
    Prediction::from_json(ext.get("prediction")?)
}

pub fn suggestion_from_abi(suggestion: &abi::Suggestion) -> Suggestion {
    Suggestion {
        point: Point::from_flat(&suggestion.x),
        tag: suggestion.tag,
        fidelity: optional(suggestion.fidelity),
        prediction: prediction_in_ext(&suggestion.ext),
    }
}

/// Recommendations as they cross the boundary. What is not finite is left out.
pub fn recommendations_to_abi(recommended: &[Recommendation]) -> RString {
    let one = |recommendation: &Recommendation| {
        let x: Vec<Option<f64>> = recommendation.point.coordinates().collect();
        json!({ "x": x, "mean": recommendation.mean, "deviation": recommendation.deviation })
    };
    let usable = recommended.iter().filter(|recommendation| recommendation.is_usable());
    usable.map(one).collect::<Value>().to_string().into()
}

/// The reverse; or what is wrong with it. Keys that are not known are passed over.
pub fn recommendations_from_abi(text: &str, parameter_count: usize) -> Result<Vec<Recommendation>, String> {
    #[derive(serde::Deserialize)]
    struct Recommended {
        x: Vec<Option<f64>>,
        mean: f64,
        deviation: f64,
    }
    let list: Vec<Recommended> = serde_json::from_str(text)
        .map_err(|error| format!("its recommendations are not what they should be: {error}"))?;
    if let Some(wrong) = list.iter().find(|recommended| recommended.x.len() != parameter_count) {
        return Err(format!(
            "it recommended a point of {} coordinates, the space has {parameter_count} parameters",
            wrong.x.len()
        ));
    }
    let recommended = list.into_iter().map(|r| Recommendation::new(Point::new(r.x), r.mean, r.deviation));
    Ok(recommended.filter(Recommendation::is_usable).collect())
}

/// An observation taken apart into what the boundary's slices can point at.
pub struct LentObservation<'a> {
    observation: &'a Observation,
    standard_errors: Vec<f64>,
    ext: String,
}

impl<'a> LentObservation<'a> {
    pub fn new(observation: &'a Observation) -> Self {
        let standard_errors = match losses(&observation.result) {
            Some(losses) => losses.standard_errors.iter().copied().map(flat).collect(),
            None => Vec::new(),
        };
        Self { observation, standard_errors, ext: observation_ext(&observation.curve) }
    }

    pub fn to_abi(&self) -> abi::Observation<'_> {
        let observation = self.observation;
        let losses = losses(&observation.result);
        abi::Observation {
            trial: observation.trial.0,
            own: observation.tag.is_some(),
            tag: observation.tag.unwrap_or(0),
            status: match observation.result {
                ObservedResult::Completed(_) => Status::COMPLETED,
                ObservedResult::Infeasible => Status::INFEASIBLE,
                ObservedResult::Failed => Status::FAILED,
                ObservedResult::Stopped(_) => Status::STOPPED,
            },
            x: RSlice::from_slice(observation.point.flat()),
            losses: RSlice::from_slice(losses.map_or(&[], |losses| &losses.values)),
            standard_errors: RSlice::from_slice(&self.standard_errors),
            excesses: RSlice::from_slice(losses.map_or(&[], |losses| &losses.excesses)),
            fidelity: flat(observation.fidelity),
            ext: RStr::from(self.ext.as_str()),
        }
    }
}

/// What goes into the `ext` of an observation.
pub fn observation_ext(curve: &Curve) -> String {
    match curve.is_empty() {
        true => String::new(),
        false => json!({ "curve": curve }).to_string(),
    }
}

/// What the `ext` of an observation says. What is no such object says nothing: it is never an error.
pub fn curve_in_ext(ext: &str) -> Curve {
    #[derive(serde::Deserialize)]
    struct Ext {
        #[serde(default)]
        curve: Vec<CurvePoint>,
    }
    if ext.is_empty() {
        return Curve::default();
    }
    let said: Option<Ext> = serde_json::from_str(ext).ok();
    said.and_then(|ext| Curve::from_points(ext.curve)).unwrap_or_default()
}

fn losses(result: &ObservedResult) -> Option<&Losses> {
    match result {
        ObservedResult::Completed(losses) | ObservedResult::Stopped(Some(losses)) => Some(losses),
        _ => None,
    }
}

/// How long the lists of an observation are in a study.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub parameter_count: usize,
    pub loss_count: usize,
    pub excess_count: usize,
}

impl Expected {
    /// What a problem makes of them.
    pub fn of(problem: &Problem) -> Self {
        Self {
            parameter_count: problem.space.parameter_count(),
            loss_count: problem.metrics.len(),
            excess_count: problem.outcome_constraints.len(),
        }
    }
}

/// Refuses what a strategy must never see: lists of another length, losses that are missing, NaN or infinite.
pub fn observation_from_abi(raw: &abi::Observation<'_>, expected: &Expected) -> Result<Observation, Fault> {
    let invalid = |message: String| Err(super::guard::fault(FaultKind::INVALID, message));
    let measured = !raw.losses.is_empty();
    let fits = raw.x.len() == expected.parameter_count
        && (!measured
            || (raw.losses.len(), raw.excesses.len()) == (expected.loss_count, expected.excess_count))
        && [0, expected.loss_count].contains(&raw.standard_errors.len());
    if !fits {
        return invalid(format!(
            "trial {} has {} coordinates, {} losses, {} standard errors and {} excesses, the problem has {} parameters, {} metrics and {} outcome constraints",
            raw.trial,
            raw.x.len(),
            raw.losses.len(),
            raw.standard_errors.len(),
            raw.excesses.len(),
            expected.parameter_count,
            expected.loss_count,
            expected.excess_count
        ));
    }
    if let Some(loss) = raw.losses.iter().chain(raw.excesses.iter()).find(|loss| !loss.is_finite()) {
        return invalid(format!("trial {} has the loss {loss}: losses are finite", raw.trial));
    }
    let losses = || Losses {
        values: raw.losses.to_vec(),
        standard_errors: raw.standard_errors.iter().copied().map(optional).collect(),
        excesses: raw.excesses.to_vec(),
    };
    let result = match raw.status {
        Status::COMPLETED if !measured => {
            return invalid(format!("trial {} is completed and has no losses", raw.trial));
        }
        Status::COMPLETED => ObservedResult::Completed(losses()),
        Status::INFEASIBLE => ObservedResult::Infeasible,
        Status::STOPPED => ObservedResult::Stopped(measured.then(losses)),
        _ => ObservedResult::Failed,
    };
    Ok(Observation {
        trial: TrialId(raw.trial),
        tag: raw.own.then_some(raw.tag),
        point: Point::from_flat(&raw.x),
        fidelity: optional(raw.fidelity),
        curve: Some(curve_in_ext(&raw.ext))
            .filter(|curve| curve.has_losses(expected.loss_count))
            .unwrap_or_default(),
        result,
    })
}

/// A report taken apart into what the boundary's slices can point at.
pub struct LentReport {
    trial: u64,
    step: u64,
    losses: Vec<f64>,
    excesses: Vec<f64>,
    fidelity: f64,
}

impl LentReport {
    pub fn new(report: &Report) -> Self {
        let flattened = |numbers: &[Option<f64>]| numbers.iter().copied().map(flat).collect();
        Self {
            trial: report.trial.0,
            step: report.step,
            losses: flattened(&report.losses),
            excesses: flattened(&report.excesses),
            fidelity: flat(report.fidelity),
        }
    }

    pub fn to_abi(&self) -> abi::Report<'_> {
        abi::Report {
            trial: self.trial,
            step: self.step,
            losses: RSlice::from_slice(&self.losses),
            excesses: RSlice::from_slice(&self.excesses),
            fidelity: self.fidelity,
            ext: RStr::empty(),
        }
    }
}

/// The reverse: lists of another length are refused, and what is not finite counts as not measured.
pub fn report_from_abi(raw: &abi::Report<'_>, expected: &Expected) -> Result<Report, Fault> {
    if (raw.losses.len(), raw.excesses.len()) != (expected.loss_count, expected.excess_count) {
        let message = format!(
            "trial {} reported {} losses and {} excesses, the problem has {} metrics and {} outcome constraints",
            raw.trial,
            raw.losses.len(),
            raw.excesses.len(),
            expected.loss_count,
            expected.excess_count
        );
        return Err(super::guard::fault(FaultKind::INVALID, message));
    }
    let known = |numbers: &[f64]| numbers.iter().map(|n| Some(*n).filter(|n| n.is_finite())).collect();
    Ok(Report {
        trial: TrialId(raw.trial),
        step: raw.step,
        losses: known(raw.losses.as_slice()),
        excesses: known(raw.excesses.as_slice()),
        fidelity: optional(raw.fidelity),
    })
}

pub fn lent_readings(measurement: &Measurement) -> Vec<abi::Reading<'_>> {
    (measurement.readings().iter())
        .map(|reading| abi::Reading {
            metric: RStr::from(reading.metric.as_str()),
            value: reading.value,
            standard_error: flat(reading.standard_error),
        })
        .collect()
}

pub fn measurement_to_abi(measurement: &Measurement) -> RVec<abi::OwnedReading> {
    (measurement.readings().iter())
        .map(|reading| abi::OwnedReading {
            metric: RString::from(reading.metric.as_str()),
            value: reading.value,
            standard_error: flat(reading.standard_error),
        })
        .collect()
}

pub fn measurement_from_lent(readings: &[abi::Reading<'_>]) -> Measurement {
    measurement(
        readings.iter().map(|reading| (reading.metric.as_str(), reading.value, reading.standard_error)),
    )
}

pub fn measurement_from_abi(readings: &[abi::OwnedReading]) -> Measurement {
    measurement(
        readings.iter().map(|reading| (reading.metric.as_str(), reading.value, reading.standard_error)),
    )
}

fn measurement<'a>(readings: impl Iterator<Item = (&'a str, f64, f64)>) -> Measurement {
    let mut measurement = Measurement::new();
    for (metric, value, standard_error) in readings {
        measurement.set(metric, value, optional(standard_error));
    }
    measurement
}

pub fn assignment_from_abi(raw: &abi::Assignment<'_>) -> Assignment {
    Assignment {
        trial: TrialId(raw.trial),
        attempt: raw.attempt,
        seed: raw.seed,
        fidelity: optional(raw.fidelity),
        // infinite, negative or absurd: no limit
        time_limit: Duration::try_from_secs_f64(raw.time_limit_s).ok(),
        output_folder: (!raw.output_folder.is_empty()).then(|| PathBuf::from(raw.output_folder.as_str())),
        continued: continued_in_ext(&raw.ext),
    }
}

/// What goes into the `ext` of an assignment.
pub fn assignment_ext(continued: Option<&Continued>) -> String {
    continued.map_or(String::new(), |continued| json!({ "continued": continued }).to_string())
}

/// What the `ext` of an assignment says. What is no such object says nothing: it is never an error.
pub fn continued_in_ext(ext: &str) -> Option<Continued> {
    if ext.is_empty() {
        return None;
    }
    let ext: Value = serde_json::from_str(ext).ok()?;
    Continued::deserialize(ext.get("continued")?).ok()
}

pub fn promotion_to_abi(promotion: Promotion) -> abi::Promotion {
    let Promotion { continued, reason } = promotion;
    abi::Promotion { continued: continued.0, reason: reason.into(), ext: RString::new() }
}

pub fn promotion_from_abi(promotion: abi::Promotion) -> Promotion {
    Promotion { continued: TrialId(promotion.continued), reason: promotion.reason.into() }
}

pub fn strategy_error_to_fault(error: StrategyError) -> Fault {
    let kind = match &error {
        StrategyError::Exhausted => FaultKind::EXHAUSTED,
        StrategyError::Invalid(_) => FaultKind::INVALID,
        StrategyError::Unsupported(_) => FaultKind::UNSUPPORTED,
        StrategyError::Other(_) => FaultKind::OTHER,
    };
    super::guard::fault(kind, error.to_string())
}

pub fn evaluation_error_to_fault(error: EvaluationError) -> Fault {
    match error {
        EvaluationError::Infeasible(reason) => super::guard::fault(FaultKind::INFEASIBLE, reason),
        EvaluationError::Failed(reason) => super::guard::fault(FaultKind::FAILED, reason),
        EvaluationError::Stopped => super::guard::fault(FaultKind::STOPPED, "stopped"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_crosses_the_boundary() {
        let report = Report {
            trial: TrialId(3),
            step: 7,
            losses: vec![Some(0.1 + 0.2), None],
            excesses: vec![Some(-1.0)],
            fidelity: None,
        };
        let expected = Expected { parameter_count: 0, loss_count: 2, excess_count: 1 };
        let lent = LentReport::new(&report);
        assert_eq!(report_from_abi(&lent.to_abi(), &expected).ok(), Some(report));
        let losses = [f64::INFINITY, f64::NEG_INFINITY];
        let raw = abi::Report { losses: RSlice::from_slice(&losses), ..lent.to_abi() };
        assert_eq!(report_from_abi(&raw, &expected).map(|report| report.losses).ok(), Some(vec![None, None]));
        let one = Expected { loss_count: 1, ..expected };
        let fault = report_from_abi(&lent.to_abi(), &one).err();
        assert_eq!(fault.map(|fault| fault.kind), Some(FaultKind::INVALID));
    }

    #[test]
    fn an_observation_crosses_the_boundary_with_its_curve() {
        let mut curve = Curve::default();
        curve.push(1, vec![Some(0.1 + 0.2), None]);
        curve.push(9, vec![Some(-1e300), Some(f64::NAN)]);
        let losses =
            Losses { values: vec![0.5, 1.0], standard_errors: vec![None, Some(0.1)], excesses: Vec::new() };
        let observation = Observation {
            trial: TrialId(3),
            tag: Some(7),
            point: Point::from_flat(&[0.5]),
            fidelity: None,
            curve,
            result: ObservedResult::Stopped(Some(losses)),
        };
        let expected = Expected { parameter_count: 1, loss_count: 2, excess_count: 0 };
        let lent = LentObservation::new(&observation);
        assert_eq!(observation_from_abi(&lent.to_abi(), &expected).ok(), Some(observation.clone()));
        let bare = Observation { curve: Curve::default(), ..observation.clone() };
        assert!(LentObservation::new(&bare).to_abi().ext.is_empty());
        // what cannot be read says nothing
        let one = r#"{"curve":[[1,[0.5]]]}"#;
        for ext in ["", "{", "3", r#"{"curve":3}"#, r#"{"curve":[[2,[1,1]],[1,[1,1]]]}"#, one] {
            let raw = abi::Observation { ext: ext.into(), ..lent.to_abi() };
            assert_eq!(observation_from_abi(&raw, &expected).ok(), Some(bare.clone()), "{ext}");
        }
    }

    #[test]
    fn a_prediction_crosses_the_boundary() {
        let bare = Suggestion::tagged(Point::from_flat(&[0.5, f64::NAN]), 7);
        let raw = suggestion_to_abi(bare.clone());
        assert_eq!(raw.ext.as_str(), "");
        assert_eq!(suggestion_from_abi(&raw), bare);
        let predicted = bare.clone().with_prediction(Prediction::new(0.25, 0.5).with_acquisition(-3.0));
        let raw = suggestion_to_abi(predicted.clone());
        let ext: Value = serde_json::from_str(&raw.ext).unwrap();
        assert_eq!(ext, json!({"prediction": {"mean": 0.25, "deviation": 0.5, "acquisition": -3.0}}));
        assert_eq!(suggestion_from_abi(&raw), predicted);
        let broken = bare.clone().with_prediction(Prediction::new(f64::NAN, 1.0));
        assert_eq!(suggestion_to_abi(broken).ext.as_str(), "");
    }

    #[test]
    fn recommendations_cross_the_boundary() {
        let good = Recommendation::new(Point::from_flat(&[0.1 + 0.2, f64::NAN]), -0.5, 0.0);
        let broken = Recommendation::new(good.point.clone(), f64::NAN, 1.0);
        let text = recommendations_to_abi(&[broken, good.clone()]);
        assert_eq!(recommendations_from_abi(&text, 2), Ok(vec![good]));
        assert_eq!(recommendations_from_abi("[]", 2), Ok(Vec::new()));
        let later =
            r#"[{"x":[1,null],"mean":1,"deviation":2,"later":[]},{"x":[1,2],"mean":1,"deviation":-1}]"#;
        assert_eq!(recommendations_from_abi(later, 2).map(|list| list.len()), Ok(1));
        for nonsense in ["", "{}", "[1]", r#"[{"x":[1,2]}]"#, r#"[{"x":[1],"mean":1,"deviation":1}]"#] {
            assert!(recommendations_from_abi(nonsense, 2).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn an_ext_that_makes_no_sense_breaks_no_suggestion() {
        let bare = Suggestion::new(Point::from_flat(&[1.0]));
        let deep = "[".repeat(100_000);
        for ext in
            ["{", "null", "3", "{}", r#"{"prediction":null}"#, r#"{"prediction":{"mean":1e999}}"#, &deep]
        {
            let raw = abi::Suggestion { ext: ext.into(), ..suggestion_to_abi(bare.clone()) };
            assert_eq!(suggestion_from_abi(&raw), bare);
        }
        // what a later minor says beside it is passed over
        let ext = r#"{"reason":["a"],"prediction":{"mean":1,"deviation":2,"kind":"t"}}"#;
        let raw = abi::Suggestion { ext: ext.into(), ..suggestion_to_abi(bare.clone()) };
        assert_eq!(suggestion_from_abi(&raw), bare.with_prediction(Prediction::new(1.0, 2.0)));
    }
}
