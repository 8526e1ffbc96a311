//! What a program says: lines that are JSON objects. Everything else it prints is ordinary output.
//!
//! An object with `step` is an intermediate report; the last one without is the result. Values are entries of
//! the object itself or of its entry `metrics`. `{"infeasible": "reason"}` and `{"failed": "reason"}` are
//! results too.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ansatz_core::Measurement;
use ansatz_core::nearest::did_you_mean;
use serde_json::{Map, Value};

/// Names that a metric cannot have, because they mean something else in a line.
pub const RESERVED: [&str; 4] = ["step", "metrics", "infeasible", "failed"];

/// An entry of this name with the ending is the standard error of the metric without it.
const STANDARD_ERROR_ENDING: &str = "_stderr";

/// The entries of one object.
#[derive(Debug, Clone, Default, PartialEq)]
struct Entries {
    /// Finite numbers.
    numbers: BTreeMap<String, f64>,
    /// Everything else, as it was written.
    others: BTreeMap<String, String>,
}

/// One line that is for us.
#[derive(Debug, Clone, PartialEq)]
enum Message {
    Progress { step: u64, entries: Entries },
    Result(Entries),
    Infeasible(String),
    Failed(String),
}

/// An intermediate report that can be passed on.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Larger than in the report before.
    pub step: u64,
    /// Every finite number of the report.
    pub measurement: Measurement,
}

/// What a program has said so far.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// The metrics that the study asks for.
    wanted: Vec<String>,
    step: Option<u64>,
    progress_count: u64,
    result: Option<Message>,
    /// The last line that looked like an object and could not be used, with the reason.
    unusable_line: Option<String>,
}

/// What a finished program said in the end.
#[derive(Debug, Clone, PartialEq)]
pub enum Conclusion {
    /// All metrics that the study asks for, and what else was reported.
    Measured(Measurement),
    /// The program says that this point cannot be judged.
    Infeasible(String),
    /// The program says that it failed.
    Failed(String),
    /// It did not say what was asked; the reason lists what it did say.
    Unusable(String),
}

impl Transcript {
    /// Nothing said yet.
    pub fn new(wanted: Vec<String>) -> Transcript {
        Transcript { wanted, step: None, progress_count: 0, result: None, unusable_line: None }
    }

    /// Takes one line. Ordinary output is ignored; a report is returned once if its step is above the last
    /// one.
    ///
    /// # Errors
    /// A report in which a metric of the study is not a finite number: there is no point in going on.
    pub fn take(&mut self, line: &str) -> Result<Option<Progress>, String> {
        match parse(line) {
            None => Ok(None),
            Some(Err(reason)) => {
                self.unusable_line = Some(reason);
                Ok(None)
            }
            Some(Ok(Message::Progress { step, entries })) => {
                for name in &self.wanted {
                    if let Some(text) = entries.others.get(name) {
                        return Err(format!("metric {name} is {text} at step {step}, not a finite number"));
                    }
                }
                if entries.numbers.is_empty() || self.step.is_some_and(|last| step <= last) {
                    return Ok(None);
                }
                self.step = Some(step);
                self.progress_count += 1;
                Ok(Some(Progress { step, measurement: entries.measurement()? }))
            }
            // a line of a log is an object as well: it does not take the place of a result
            Some(Ok(Message::Result(entries))) if self.result.is_some() && !self.has_metric(&entries) => {
                Ok(None)
            }
            Some(Ok(result)) => {
                self.result = Some(result);
                Ok(None)
            }
        }
    }

    /// Whether some metric of the study is there, be it a number or not.
    fn has_metric(&self, entries: &Entries) -> bool {
        let is_there =
            |name: &String| entries.numbers.contains_key(name) || entries.others.contains_key(name);
        self.wanted.iter().any(is_there)
    }

    /// Whether a result was seen.
    pub fn has_result(&self) -> bool {
        self.result.is_some()
    }

    /// What it comes to.
    pub fn conclusion(&self) -> Conclusion {
        match &self.result {
            Some(Message::Infeasible(reason)) => Conclusion::Infeasible(reason.clone()),
            Some(Message::Failed(reason)) => Conclusion::Failed(reason.clone()),
            Some(Message::Result(entries) | Message::Progress { entries, .. }) => {
                match self.check(entries).and_then(|()| entries.measurement()) {
                    Ok(measurement) => Conclusion::Measured(measurement),
                    Err(reason) => Conclusion::Unusable(reason),
                }
            }
            None => {
                let mut reason = format!(
                    "no result: expected a line such as {{\"{}\": 0.5}}",
                    self.wanted.first().map_or("loss", String::as_str)
                );
                if self.progress_count > 0 {
                    reason += &format!("; lines with a step: {}, without: none", self.progress_count);
                }
                if let Some(line) = &self.unusable_line {
                    reason += &format!("; {line}");
                }
                Conclusion::Unusable(reason)
            }
        }
    }

    fn check(&self, entries: &Entries) -> Result<(), String> {
        for name in &self.wanted {
            if let Some(text) = entries.others.get(name) {
                return Err(format!("metric {name} is {text}, not a finite number"));
            }
            if !entries.numbers.contains_key(name) {
                let found = || entries.numbers.keys().chain(entries.others.keys()).map(String::as_str);
                let list = found().collect::<Vec<_>>().join(", ");
                return Err(format!(
                    "metric {name} is missing in the result{}; found: {}",
                    did_you_mean(name, found()),
                    if list.is_empty() { "nothing" } else { &list }
                ));
            }
            let error_name = format!("{name}{STANDARD_ERROR_ENDING}");
            if let Some(text) = entries.others.get(&error_name) {
                return Err(format!("{error_name} is {text}, not a finite number"));
            }
        }
        Ok(())
    }
}

impl Entries {
    fn of(object: Map<String, Value>) -> Entries {
        let mut entries = Entries::default();
        for (name, value) in object {
            match value {
                Value::Object(metrics) if name == "metrics" => {
                    let nested = Entries::of(metrics);
                    entries.numbers.extend(nested.numbers);
                    entries.others.extend(nested.others);
                }
                value => match value.as_f64().filter(|number| number.is_finite()) {
                    Some(number) => drop(entries.numbers.insert(name, number)),
                    None => drop(entries.others.insert(name, value.to_string())),
                },
            }
        }
        entries
    }

    /// Every finite number, with its standard error where there is one.
    fn measurement(&self) -> Result<Measurement, String> {
        let mut measurement = Measurement::new();
        for (name, value) in &self.numbers {
            let owner = name.strip_suffix(STANDARD_ERROR_ENDING);
            if owner.is_some_and(|owner| self.numbers.contains_key(owner)) {
                continue;
            }
            let error_name = format!("{name}{STANDARD_ERROR_ENDING}");
            let standard_error = self.numbers.get(&error_name).copied();
            if let Some(error) = standard_error.filter(|error| *error < 0.0) {
                return Err(format!("{error_name} is {error}; a standard error is 0 or more"));
            }
            measurement.set(name.clone(), *value, standard_error);
        }
        Ok(measurement)
    }
}

/// `None` for ordinary output, an error for what only looks like an object.
fn parse(line: &str) -> Option<Result<Message, String>> {
    let line = line.trim();
    if !line.starts_with('{') || !line.ends_with('}') {
        return None;
    }
    let mut object: Map<String, Value> = match serde_json::from_str(&quote_non_finite(line)) {
        Ok(object) => object,
        Err(error) => return Some(Err(format!("a line is no JSON ({error}): {}", shorten(line, 120)))),
    };
    if let Some(step) = object.remove("step") {
        // Python writes 3.0 as readily as 3.
        let whole = step.as_u64().or_else(|| {
            let number = step.as_f64()?;
            (number >= 0.0 && number.fract() == 0.0 && number < 2f64.powi(53)).then_some(number as u64)
        });
        return Some(match whole {
            Some(step) => Ok(Message::Progress { step, entries: Entries::of(object) }),
            None => Err(format!("a step is no whole number: {}", shorten(line, 120))),
        });
    }
    let reason = |value: Value| match value {
        Value::String(reason) if !reason.trim().is_empty() => Some(shorten(reason.trim(), 500)),
        Value::Null | Value::Bool(false) => None,
        _ => Some("the program gave no reason".to_owned()),
    };
    if let Some(reason) = object.remove("infeasible").and_then(reason) {
        return Some(Ok(Message::Infeasible(reason)));
    }
    if let Some(reason) = object.remove("failed").and_then(reason) {
        return Some(Ok(Message::Failed(reason)));
    }
    Some(Ok(Message::Result(Entries::of(object))))
}

/// Whether a whole text is one JSON object, over however many lines.
pub fn is_one_object(text: &str) -> bool {
    matches!(parse(text), Some(Ok(_)))
}

/// Puts quotes round the words NaN, Infinity and -Infinity, which Python's `json` writes and JSON does not
/// know. What stands inside strings is left alone.
fn quote_non_finite(text: &str) -> Cow<'_, str> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 8);
    let mut in_string = false;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let word = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word));
        let length = match (character, word) {
            // The escaped character cannot end the string.
            ('\\', _) if in_string => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            ('"', _) => {
                in_string = !in_string;
                1
            }
            (_, Some(word)) if !in_string => {
                quoted.extend(["\"", word, "\""]);
                rest = &rest[word.len()..];
                continue;
            }
            _ => character.len_utf8(),
        };
        quoted.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    Cow::Owned(quoted)
}

/// At most `characters_max` characters, with an ellipsis where something was left out.
pub fn shorten(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conclusion(wanted: &[&str], lines: &[&str]) -> Conclusion {
        let mut transcript = Transcript::new(wanted.iter().map(|name| name.to_string()).collect());
        for line in lines {
            transcript.take(line).unwrap();
        }
        transcript.conclusion()
    }

    fn unusable(wanted: &[&str], lines: &[&str]) -> String {
        match conclusion(wanted, lines) {
            Conclusion::Unusable(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_object_without_step_is_the_result() {
        let lines = [
            "loading data",
            r#"{"step": 1, "loss": 0.9}"#,
            r#"{"loss": 0.5}"#,
            "[1, 2]",
            r#"  {"loss": 0.25, "loss_stderr": 0.01, "accuracy": 1, "note": "good"}  "#,
            "done",
        ];
        let expected = Measurement::new().with("accuracy", 1.0).with_error("loss", 0.25, 0.01);
        assert_eq!(conclusion(&["loss"], &lines), Conclusion::Measured(expected));
        let nested = r#"{"metrics": {"loss": 3e-2}, "epoch": 4}"#;
        let expected = Measurement::new().with("epoch", 4.0).with("loss", 0.03);
        assert_eq!(conclusion(&["loss"], &[nested]), Conclusion::Measured(expected));
    }

    #[test]
    fn a_standard_error_without_its_metric_is_a_metric() {
        let expected = Measurement::new().with("loss", 1.0).with("other_stderr", 2.0);
        assert_eq!(
            conclusion(&["loss"], &[r#"{"loss": 1, "other_stderr": 2}"#]),
            Conclusion::Measured(expected)
        );
        assert!(unusable(&["loss"], &[r#"{"loss": 1, "loss_stderr": -2}"#]).contains("0 or more"));
        assert!(
            unusable(&["loss"], &[r#"{"loss": 1, "loss_stderr": NaN}"#]).contains("loss_stderr is \"NaN\"")
        );
    }

    #[test]
    fn what_is_not_a_finite_number_is_never_taken_as_one() {
        for (text, shown) in [
            ("NaN", "\"NaN\""),
            ("Infinity", "\"Infinity\""),
            ("-Infinity", "\"-Infinity\""),
            ("null", "null"),
            ("true", "true"),
            ("\"0.5\"", "\"0.5\""),
            ("[1]", "[1]"),
        ] {
            let line = format!(r#"{{"loss": {text}, "other": 1}}"#);
            assert_eq!(unusable(&["loss"], &[&line]), format!("metric loss is {shown}, not a finite number"));
            let report = format!(r#"{{"step": 2, "loss": {text}}}"#);
            let error = Transcript::new(vec!["loss".to_owned()]).take(&report).unwrap_err();
            assert_eq!(error, format!("metric loss is {shown} at step 2, not a finite number"));
        }
        // Too large for a double: no number either.
        assert!(unusable(&["loss"], &[r#"{"loss": 1e999}"#]).contains("no JSON"));
    }

    #[test]
    fn a_line_without_the_metrics_does_not_take_the_place_of_one_with_them() {
        let log = r#"{"level": "info", "message": "bye", "epochs": 3}"#;
        let expected = Conclusion::Measured(Measurement::new().with("loss", 0.5));
        assert_eq!(conclusion(&["loss"], &[log, r#"{"loss": 0.5}"#, log]), expected);
        assert_eq!(
            conclusion(&["loss"], &[r#"{"infeasible": "no"}"#, log]),
            Conclusion::Infeasible("no".into())
        );
        // what has some of them was meant as a result
        let partial = unusable(&["loss", "cost"], &[r#"{"loss": 1, "cost": 2}"#, r#"{"loss": 3}"#]);
        assert!(partial.contains("cost"), "{partial}");
        assert!(unusable(&["loss"], &[log]).contains("epochs"));
    }

    #[test]
    fn other_values_that_are_not_finite_are_left_out() {
        let expected = Measurement::new().with("loss", 1.0);
        assert_eq!(
            conclusion(&["loss"], &[r#"{"loss": 1, "gradient_norm": NaN}"#]),
            Conclusion::Measured(expected)
        );
    }

    #[test]
    fn words_inside_strings_stay() {
        let line = r#"{"a": "NaN \" NaN \\", "b": NaN, "c": [-Infinity, "é\\"], "NaN": Infinity}"#;
        let expected = r#"{"a": "NaN \" NaN \\", "b": "NaN", "c": ["-Infinity", "é\\"], "NaN": "Infinity"}"#;
        assert_eq!(quote_non_finite(line), expected);
        assert_eq!(quote_non_finite(r#"{"a": "NaN \"#), r#"{"a": "NaN \"#);
    }

    #[test]
    fn missing_metrics_are_named_with_what_was_found() {
        let reason = unusable(&["validation_loss"], &[r#"{"validation_los": 1, "note": "x"}"#]);
        assert_eq!(
            reason,
            "metric validation_loss is missing in the result (did you mean \"validation_los\"?); \
             found: validation_los, note"
        );
        assert!(unusable(&["loss"], &["{}"]).ends_with("found: nothing"));
        let reason = unusable(&["loss"], &["hello", r#"{"step": 1, "loss": 2}"#, "{'loss': 0.5}"]);
        assert!(reason.starts_with("no result: expected a line such as {\"loss\": 0.5}"), "{reason}");
        assert!(reason.contains("lines with a step: 1, without: none"), "{reason}");
        assert!(reason.contains("{'loss': 0.5}"), "{reason}");
    }

    #[test]
    fn reports_are_passed_on_in_order() {
        let mut transcript = Transcript::new(vec!["loss".to_owned()]);
        let mut steps = Vec::new();
        for line in [
            r#"{"step": 1, "loss": 3}"#,
            r#"{"step": 2.0, "loss": 2, "rate": 0.1}"#,
            r#"{"step": 2, "loss": 9}"#,
            r#"{"step": 3, "text": "only"}"#,
            r#"{"step": 4, "metrics": {"loss": 1}}"#,
            r#"{"step": "five", "loss": 1}"#,
            r#"{"step": -1, "loss": 1}"#,
        ] {
            steps.extend(transcript.take(line).unwrap());
        }
        let shown: Vec<_> =
            steps.iter().map(|progress| (progress.step, progress.measurement.value("loss"))).collect();
        assert_eq!(shown, [(1, Some(3.0)), (2, Some(2.0)), (4, Some(1.0))]);
        assert!(!transcript.has_result());
    }

    #[test]
    fn the_program_may_judge_itself() {
        assert_eq!(
            conclusion(&["loss"], &[r#"{"infeasible": "3 heads do not divide 64 units"}"#]),
            Conclusion::Infeasible("3 heads do not divide 64 units".to_owned())
        );
        assert_eq!(
            conclusion(&["loss"], &[r#"{"loss": 1}"#, r#"{"failed": true}"#]),
            Conclusion::Failed("the program gave no reason".to_owned())
        );
        let expected = Measurement::new().with("loss", 1.0);
        assert_eq!(
            conclusion(&["loss"], &[r#"{"loss": 1, "failed": false}"#]),
            Conclusion::Measured(expected)
        );
    }
}
