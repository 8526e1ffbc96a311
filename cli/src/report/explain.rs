//! Why a trial was run and what it was good for: what was predicted, what came of it, what was known before.

use super::calibration::{Comparison, INTERVALS, in_own_units};
use super::{json, savings, text};
use ansatz_core::space::{CategoricalForm, ColumnKind, Encoding};
use ansatz_core::study::{AskedTrial, Record, Study, Trial};
use ansatz_core::{Outcome, Point, Prediction, TrialId};
use serde_json::{Value, json};
use std::fmt::Write;

/// How many parameters are named in which two points differ.
const DIFFERENCES_MAX: usize = 3;

/// Watches a study being read back: what was known when one trial was asked for, and when it ended.
pub struct Witness {
    trial: TrialId,
    latest_best: Vec<TrialId>,
    when_asked: Known,
    best_before_end: Option<Vec<TrialId>>,
    is_improvement: bool,
}

/// What was known at some moment.
#[derive(Default)]
struct Known {
    /// Trials that had completed.
    completed: Vec<TrialId>,
    /// The best of them.
    best: Vec<TrialId>,
}

impl Witness {
    /// Of one trial.
    pub fn new(trial: TrialId) -> Self {
        Self {
            trial,
            latest_best: Vec::new(),
            when_asked: Known::default(),
            best_before_end: None,
            is_improvement: false,
        }
    }

    /// Takes the study as it is right after a record.
    pub fn see(&mut self, study: &Study, record: &Record) {
        let asked: &[AskedTrial] = match record {
            Record::Asked { trials, .. } | Record::Enqueued { trials, .. } => trials,
            Record::Promoted { trial, .. } => std::slice::from_ref(trial),
            _ => &[],
        };
        match record {
            _ if asked.iter().any(|asked| asked.trial == self.trial) => {
                let is_completed =
                    |trial: &&Trial| trial.outcome.as_ref().and_then(Outcome::completed).is_some();
                self.when_asked = Known {
                    completed: study.trials().iter().filter(is_completed).map(|trial| trial.id).collect(),
                    best: self.latest_best.clone(),
                };
            }
            Record::Finished { trial, .. } => {
                let best: Vec<TrialId> = study.incumbent().trials().collect();
                if *trial == self.trial {
                    self.is_improvement = best.contains(trial);
                    self.best_before_end = Some(std::mem::take(&mut self.latest_best));
                }
                self.latest_best = best;
            }
            _ => {}
        }
    }

    /// What there is to say of the trial, once all of the study was seen.
    pub fn explain<'a>(self, study: &'a Study, trial: &'a Trial) -> Explanation<'a> {
        let known = self.when_asked.completed.iter().filter_map(|id| study.trial(*id));
        let nearest = nearest(study, trial, known);
        Explanation {
            study,
            trial,
            nearest,
            best_when_asked: self.when_asked.best,
            best_before_end: self.best_before_end,
            is_improvement: self.is_improvement,
        }
    }
}

/// What there is to say of a trial.
pub struct Explanation<'a> {
    study: &'a Study,
    trial: &'a Trial,
    nearest: Option<Nearest<'a>>,
    best_when_asked: Vec<TrialId>,
    /// `None` while it is pending.
    best_before_end: Option<Vec<TrialId>>,
    is_improvement: bool,
}

/// The nearest trial that had completed before.
struct Nearest<'a> {
    trial: &'a Trial,
    /// Euclidean, in the unit cube.
    distance: f64,
    /// Parameters by index with their share of the distance, the largest first.
    differences: Vec<(usize, f64)>,
}

fn nearest<'a>(
    study: &Study,
    trial: &Trial,
    candidates: impl Iterator<Item = &'a Trial>,
) -> Option<Nearest<'a>> {
    let encoding = Encoding::new(&study.rules().problem.space, CategoricalForm::OneHot);
    let row = encoding.encode(&trial.point);
    let by_parameter = |other: &Point| squares_by_parameter(&encoding, &row, other);
    let distance = |other: &Trial| by_parameter(&other.point).iter().sum::<f64>();
    // the first of equals
    let (found, square) =
        candidates.map(|other| (other, distance(other))).min_by(|a, b| a.1.total_cmp(&b.1))?;
    let squares = by_parameter(&found.point);
    let mut differences: Vec<(usize, f64)> = (0..squares.len())
        .filter(|index| trial.point.get(*index) != found.point.get(*index))
        .map(|index| (index, squares[index].sqrt()))
        .collect();
    differences.sort_by(|a, b| b.1.total_cmp(&a.1));
    Some(Nearest { trial: found, distance: square.sqrt(), differences })
}

/// The squared distance in each parameter. A categorical one counts 1 where it differs.
fn squares_by_parameter(encoding: &Encoding, row: &[f64], other: &Point) -> Vec<f64> {
    let mut squares = vec![0.0; encoding.space().parameter_count()];
    for ((column, here), there) in encoding.columns().iter().zip(row).zip(encoding.encode(other)) {
        // one that differs has two columns that do
        let weight = if matches!(column.kind, ColumnKind::Indicator { .. }) { 0.5 } else { 1.0 };
        squares[column.parameter_index] += weight * (here - there) * (here - there);
    }
    squares
}

impl Explanation<'_> {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = text::trial_in_full(self.study, self.trial);
        let lines = [
            ("prediction", self.prediction_text()),
            ("outcome", self.outcome_text()),
            ("nearest", self.nearest_text()),
            ("best", self.best_text()),
        ];
        text.push('\n');
        for (title, said) in lines {
            let _ = writeln!(text, "{title:<10}  {}", said.replace('\n', "\n            "));
        }
        text
    }

    fn metric_name(&self) -> &str {
        self.study.rules().problem.metrics.first().map_or("loss", |metric| &metric.name)
    }

    fn prediction_text(&self) -> String {
        let Some(Prediction { mean, deviation, acquisition }) = in_own_units(self.study, self.trial) else {
            if self.trial.member.is_none() {
                return "none: somebody enqueued it".to_owned();
            }
            let proposer = self.study.proposer(self.trial);
            return format!("none: {proposer} said nothing of what it expected here");
        };
        let number = text::number;
        let mut said = format!("{} {} ± {}", self.metric_name(), number(mean), number(deviation));
        if let Some(acquisition) = acquisition {
            let _ = write!(said, ", log acquisition {}", number(acquisition));
        }
        for (share, width) in INTERVALS {
            let (low, high) = (mean - width * deviation, mean + width * deviation);
            let _ = write!(said, "\n{share} % between {} and {}", number(low), number(high));
        }
        said
    }

    fn outcome_text(&self) -> String {
        let Some(outcome) = &self.trial.outcome else { return "none yet: it is pending".to_owned() };
        if let (Some(place), Some(rule)) =
            (savings::place(self.study, self.trial), &self.study.rules().early_stopping)
        {
            return format!("stopped at {place} by {rule}: nothing to compare with a prediction");
        }
        let Some(measurement) = outcome.completed() else {
            return format!("{}: nothing to compare with a prediction", outcome.kind());
        };
        let value = measurement.value(self.metric_name()).unwrap_or(f64::NAN);
        let mut said = format!("{} {}", self.metric_name(), text::number(value));
        if let Some(earlier) = self.trial.reused {
            let _ = write!(said, ", taken over from trial {earlier}");
        }
        let Some(compared) = Comparison::of(self.study, self.trial) else { return said };
        match compared.residual() {
            Some(residual) => {
                let side = if residual < 0.0 { "below" } else { "above" };
                let verdict = if compared.is_better() { "better" } else { "worse" };
                let size = text::number(residual.abs());
                let unit = if size == "1" { "deviation" } else { "deviations" };
                let _ = write!(said, ", {size} {unit} {side} the mean ({verdict} than predicted)");
            }
            None if compared.is_within(0.0) => said.push_str(", exactly as predicted"),
            None => said.push_str(", not as predicted, and the model was certain"),
        }
        let place = |(share, width): (u32, f64)| {
            format!("{} the {share} % interval", if compared.is_within(width) { "inside" } else { "outside" })
        };
        let _ = write!(said, "\n{}", INTERVALS.map(place).join(", "));
        said
    }

    fn nearest_text(&self) -> String {
        let Some(Nearest { trial, distance, differences }) = &self.nearest else {
            return "none: no trial had completed when it was asked for".to_owned();
        };
        let mut said =
            format!("{}\nat distance {} in the unit cube", self.short(trial.id), text::number(*distance));
        if differences.is_empty() {
            said.push_str(": the same point");
        }
        for (index, share) in differences.iter().take(DIFFERENCES_MAX) {
            let parameter = &self.study.rules().problem.space.parameters()[*index];
            let shown = |point: &Point| match point.get(*index) {
                Some(coordinate) => text::shown(&parameter.domain.value(coordinate)),
                None => "inactive".to_owned(),
            };
            let (here, there) = (shown(&self.trial.point), shown(&trial.point));
            let _ = write!(said, "\n{} {here}, there {there} ({})", parameter.name, text::number(*share));
        }
        match differences.len().saturating_sub(DIFFERENCES_MAX) {
            0 => {}
            1 => said.push_str("\nand 1 parameter more"),
            more => {
                let _ = write!(said, "\nand {more} parameters more");
            }
        }
        said
    }

    /// A trial with its value, in a few words.
    fn short(&self, id: TrialId) -> String {
        let value = self.study.trial(id).and_then(|trial| self.value(trial));
        match value {
            Some(value) => format!("trial {id}, {} {}", self.metric_name(), text::number(value)),
            None => format!("trial {id}"),
        }
    }

    fn value(&self, trial: &Trial) -> Option<f64> {
        trial.outcome.as_ref()?.completed()?.value(self.metric_name())
    }

    fn best_text(&self) -> String {
        let shown = |best: &[TrialId]| match best {
            [] => "there was no best trial yet".to_owned(),
            [only] => format!("the best was {}", self.short(*only)),
            many => format!("the Pareto front had {} trials", many.len()),
        };
        let mut said = format!("when it was asked for {}", shown(&self.best_when_asked));
        let Some(before) = &self.best_before_end else { return said };
        if *before != self.best_when_asked {
            let _ = write!(said, "\nwhen it ended {}", shown(before));
        }
        let verdict = match (self.is_improvement, self.improvement()) {
            (true, Some(size)) => format!("it improved on it by {}", text::number(size)),
            (true, None) if before.is_empty() => "it became the first best trial".to_owned(),
            (true, None) => "it joined the Pareto front".to_owned(),
            (false, _) if before.is_empty() => format!("it did not become one{}", self.why_not()),
            (false, _) => format!("it did not improve on it{}", self.why_not()),
        };
        let _ = write!(said, "\n{verdict}");
        said
    }

    /// By how much it improved on the best trial of a single metric, in the metric's unit.
    fn improvement(&self) -> Option<f64> {
        let [metric] = &self.study.rules().problem.metrics[..] else { return None };
        let [before] = self.best_before_end.as_deref()? else { return None };
        let before = metric.goal.loss(self.value(self.study.trial(*before)?)?);
        Some(before - metric.goal.loss(self.value(self.trial)?)).filter(|_| self.is_improvement)
    }

    /// Why a trial could not be the best, however good its value.
    fn why_not(&self) -> &'static str {
        let problem = &self.study.rules().problem;
        let Some(measurement) = self.trial.outcome.as_ref().and_then(Outcome::completed) else { return "" };
        if problem.excesses(measurement).iter().any(|excess| *excess > 0.0) {
            return ": it breaks a bound on the metrics";
        }
        match &problem.fidelity {
            Some(range) if self.trial.fidelity != Some(range.upper) => ": it was no full evaluation",
            _ => "",
        }
    }

    /// For programs. Values are in the metrics' own direction; distances are in the unit cube.
    pub fn json(&self) -> Value {
        let mut object = json::trial(self.study, self.trial);
        if let Some(compared) = Comparison::of(self.study, self.trial) {
            let inside =
                INTERVALS.map(|(share, width)| (format!("inside_{share}"), compared.is_within(width).into()));
            let mut judged = serde_json::Map::from_iter(inside);
            judged.insert("residual".into(), compared.residual().into());
            judged.insert("log_density".into(), compared.log_density().into());
            object["judged"] = judged.into();
        }
        let parameters = self.study.rules().problem.space.parameters();
        object["nearest"] = self.nearest.as_ref().map_or(Value::Null, |nearest| {
            let differences = nearest
                .differences
                .iter()
                .map(|(index, share)| json!({"parameter": parameters[*index].name, "distance": share}));
            json!({
                "trial": json::trial(self.study, nearest.trial),
                "distance": nearest.distance,
                "differences": differences.collect::<Value>(),
            })
        });
        object["best_when_asked"] = json!(self.best_when_asked);
        object["best_before_end"] = json!(self.best_before_end);
        object["improved"] = self.best_before_end.as_ref().map(|_| self.is_improvement).into();
        object["improvement"] = self.improvement().into();
        object
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{completed, study_of, watched};
    use super::*;
    use ansatz_core::Goal;

    #[test]
    fn a_trial_is_explained_by_what_was_known_when_it_was_asked_for() {
        let predicted = Some(Prediction::new(-0.5, 0.1).with_acquisition(-2.0));
        let trials = [
            (0.2, None, completed(0.4)),
            (0.9, None, completed(0.5)),
            (0.3, predicted, completed(0.6)),
            (0.31, None, completed(0.9)),
        ];
        let study = study_of(Goal::Maximise, &trials);
        let said = watched(&study, &trials, TrialId(2), |explanation| explanation.text());
        let expected = "
prediction  accuracy 0.5 ± 0.1, log acquisition -2
            50 % between 0.43255 and 0.56745
            90 % between 0.33551 and 0.66449
outcome     accuracy 0.6, 1 deviation above the mean (better than predicted)
            outside the 50 % interval, inside the 90 % interval
nearest     trial 0, accuracy 0.4
            at distance 0.1 in the unit cube
            x 0.3, there 0.2 (0.1)
best        when it was asked for the best was trial 1, accuracy 0.5
            it improved on it by 0.1
";
        assert!(said.ends_with(expected), "{said}");
        let json = watched(&study, &trials, TrialId(2), |explanation| explanation.json());
        assert_eq!(json["prediction"], json!({"mean": 0.5, "deviation": 0.1, "acquisition": -2.0}));
        assert_eq!(json["judged"]["inside_50"], false);
        assert_eq!(json["judged"]["inside_90"], true);
        assert_eq!(json["nearest"]["trial"]["trial"], 0);
        assert_eq!(json["nearest"]["differences"][0]["parameter"], "x");
        assert_eq!((&json["best_when_asked"], &json["improved"]), (&json!([1]), &json!(true)));
    }

    #[test]
    fn what_is_not_there_is_said_in_words() {
        let trials = [(0.2, None, completed(0.4)), (0.2, None, completed(0.5))];
        let study = study_of(Goal::Minimise, &trials);
        let first = watched(&study, &trials, TrialId(0), |explanation| explanation.text());
        let expected = "
prediction  none: first said nothing of what it expected here
outcome     accuracy 0.4
nearest     none: no trial had completed when it was asked for
best        when it was asked for there was no best trial yet
            it became the first best trial
";
        assert!(first.ends_with(expected), "{first}");
        let second = watched(&study, &trials, TrialId(1), |explanation| explanation.text());
        assert!(second.contains("at distance 0 in the unit cube: the same point\n"), "{second}");
        assert!(second.ends_with("it did not improve on it\n"), "{second}");
    }
}
