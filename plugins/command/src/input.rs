//! How a point reaches a program: as JSON, as environment variables, as arguments.

use std::path::{Path, PathBuf};

use ansatz_core::{Assignment, Continued, Point, Space, Value};
use serde_json::{Map, json};

/// The environment variable of a parameter: `learning-rate` becomes `ANSATZ_PARAM_LEARNING_RATE`.
pub fn variable_name(parameter: &str) -> String {
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    format!("ANSATZ_PARAM_{}", parameter.chars().map(letter).collect::<String>())
}

/// The JSON object that describes one attempt. Only active parameters are in it.
pub fn json(assignment: &Assignment, space: &Space, point: &Point) -> serde_json::Value {
    let mut object = Map::new();
    object.insert("trial".to_owned(), json!(assignment.trial.0));
    object.insert("attempt".to_owned(), json!(assignment.attempt));
    object.insert("seed".to_owned(), json!(assignment.seed));
    object.insert("fidelity".to_owned(), assignment.fidelity.map_or(json!(null), json_number));
    object.insert("parameters".to_owned(), space.point_to_json(point));
    if let Some(Continued { trial, step, .. }) = &assignment.continued {
        let output = continued_output(assignment).map(|path| path.display().to_string());
        object.insert("continued".to_owned(), json!({ "trial": trial, "step": step, "output": output }));
    }
    serde_json::Value::Object(object)
}

/// A whole number without a fraction, so that `range(fidelity)` works.
fn json_number(number: f64) -> serde_json::Value {
    if number.fract() == 0.0 && number.abs() < 2f64.powi(53) { json!(number as i64) } else { json!(number) }
}

/// What a program can be told besides its parameters: names of placeholders, and of variables after
/// `ANSATZ_`.
pub const FACTS: [&str; 9] = [
    "trial",
    "attempt",
    "seed",
    "fidelity",
    "input",
    "metrics",
    "output",
    "continued_step",
    "continued_output",
];

/// The folder that the stopped trial had for what it wanted to keep, if this one continues one.
fn continued_output(assignment: &Assignment) -> Option<PathBuf> {
    let Continued { attempt, output_folder, .. } = assignment.continued.as_ref()?;
    output_folder.as_deref().map(|folder| attempt_folder(folder, *attempt))
}

/// The trial's folder for its first attempt, folders in it for further ones: an attempt that was lost may
/// still write.
pub fn attempt_folder(folder: &Path, attempt: u32) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    match attempt {
        0 | 1 => folder,
        attempt => folder.join(format!("attempt-{attempt}")),
    }
}

fn fact(name: &str, assignment: &Assignment, files: &Files<'_>) -> Option<String> {
    let path = |path: Option<&Path>| path.map(|path| path.display().to_string());
    match name {
        "trial" => Some(assignment.trial.to_string()),
        "attempt" => Some(assignment.attempt.to_string()),
        "seed" => Some(assignment.seed.to_string()),
        "fidelity" => assignment.fidelity.map(|fidelity| json_number(fidelity).to_string()),
        "input" => path(files.input),
        "metrics" => path(files.metrics),
        "output" => path(files.output),
        "continued_step" => assignment.continued.as_ref().map(|continued| continued.step.to_string()),
        "continued_output" => path(continued_output(assignment).as_deref()),
        _ => None,
    }
}

/// The value of a placeholder, `None` for an inactive parameter. A parameter comes before a fact of the same
/// name.
pub fn placeholder(
    name: &str,
    assignment: &Assignment,
    space: &Space,
    point: &Point,
    files: &Files<'_>,
) -> Option<String> {
    match space.index_of(name) {
        Some(_) => space.value(point, name).as_ref().map(Value::to_string),
        None => fact(name, assignment, files),
    }
}

/// Files and folders that a program may be told of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files<'a> {
    /// Its input as a file.
    pub input: Option<&'a Path>,
    /// Where it writes metrics to.
    pub metrics: Option<&'a Path>,
    /// A folder for what it wants to keep.
    pub output: Option<&'a Path>,
}

/// The environment variables of one attempt. What is inactive or absent is removed, so that a study inside a
/// study does not see the outer one's values.
pub fn environment(
    assignment: &Assignment,
    space: &Space,
    point: &Point,
    files: &Files<'_>,
) -> Vec<(String, Option<String>)> {
    let variable = |name: &str| (format!("ANSATZ_{}", name.to_uppercase()), fact(name, assignment, files));
    let mut variables: Vec<_> = FACTS.into_iter().map(variable).collect();
    for parameter in space.parameters() {
        let value = space.value(point, &parameter.name).as_ref().map(Value::to_string);
        variables.push((variable_name(&parameter.name), value));
    }
    variables
}

#[cfg(test)]
mod tests {
    use ansatz_core::TrialId;
    use ansatz_core::space::{Condition, Parameter};

    use super::*;

    fn example() -> (Assignment, Space, Point) {
        let space = Space::of(vec![
            Parameter::float("learning-rate", 1e-6, 1.0).log(),
            Parameter::categorical("optimizer", ["sgd", "adam"]),
            Parameter::float("momentum", 0.0, 0.9).when(Condition::equals("optimizer", "sgd")),
            Parameter::bool("nesterov"),
        ])
        .unwrap();
        let values = [
            ("learning-rate", Value::Float(2e-5)),
            ("optimizer", "adam".into()),
            ("nesterov", Value::Bool(true)),
        ];
        let point = space.point_from_values(values).unwrap();
        let assignment = Assignment {
            trial: TrialId(17),
            attempt: 2,
            seed: u64::MAX,
            fidelity: Some(27.0),
            time_limit: None,
            output_folder: None,
            continued: None,
        };
        (assignment, space, point)
    }

    #[test]
    fn json_has_the_active_parameters_with_their_types() {
        let (mut assignment, space, point) = example();
        let expected = r#"{"trial": 17, "attempt": 2, "seed": 18446744073709551615, "fidelity": 27,
            "parameters": {"learning-rate": 2e-5, "optimizer": "adam", "nesterov": true}}"#;
        assert_eq!(
            json(&assignment, &space, &point),
            serde_json::from_str::<serde_json::Value>(expected).unwrap()
        );
        assignment.fidelity = Some(0.5);
        assert_eq!(json(&assignment, &space, &point)["fidelity"], 0.5);
        assignment.fidelity = None;
        assert!(json(&assignment, &space, &point)["fidelity"].is_null());
    }

    #[test]
    fn a_program_hears_of_the_trial_that_its_own_continues() {
        let (mut assignment, space, point) = example();
        let files = Files::default();
        assert!(json(&assignment, &space, &point).get("continued").is_none());
        assert_eq!(placeholder("continued_output", &assignment, &space, &point, &files), None);
        let output_folder = Some(PathBuf::from("/tmp/trial-4"));
        assignment.continued = Some(Continued { trial: TrialId(4), attempt: 3, step: 9, output_folder });
        let expected = json!({"trial": 4, "step": 9, "output": "/tmp/trial-4/attempt-3"});
        assert_eq!(json(&assignment, &space, &point)["continued"], expected);
        let variables = environment(&assignment, &space, &point, &files);
        let value = |name: &str| variables.iter().find(|(known, _)| known == name).unwrap().1.as_deref();
        assert_eq!(value("ANSATZ_CONTINUED_STEP"), Some("9"));
        assert_eq!(value("ANSATZ_CONTINUED_OUTPUT"), Some("/tmp/trial-4/attempt-3"));
        assignment.continued =
            Some(Continued { trial: TrialId(4), attempt: 1, step: 9, output_folder: None });
        assert!(json(&assignment, &space, &point)["continued"]["output"].is_null());
    }

    #[test]
    fn variables_say_the_same_and_clear_what_is_inactive() {
        let (assignment, space, point) = example();
        let files = Files { output: Some(Path::new("/tmp/out")), ..Files::default() };
        let variables = environment(&assignment, &space, &point, &files);
        let value = |name: &str| variables.iter().find(|(known, _)| known == name).unwrap().1.as_deref();
        assert_eq!(value("ANSATZ_TRIAL"), Some("17"));
        assert_eq!(value("ANSATZ_SEED"), Some("18446744073709551615"));
        assert_eq!(value("ANSATZ_FIDELITY"), Some("27"));
        assert_eq!(value("ANSATZ_OUTPUT"), Some("/tmp/out"));
        assert_eq!(value("ANSATZ_INPUT"), None);
        assert_eq!(value("ANSATZ_PARAM_LEARNING_RATE"), Some("2e-5"));
        assert_eq!(value("ANSATZ_PARAM_NESTEROV"), Some("true"));
        assert_eq!(value("ANSATZ_PARAM_MOMENTUM"), None);
    }

    #[test]
    fn placeholders_say_the_same() {
        let (assignment, space, point) = example();
        let files = Files { input: Some(Path::new("/tmp/input.json")), ..Files::default() };
        let value = |name| placeholder(name, &assignment, &space, &point, &files);
        assert_eq!(value("learning-rate").as_deref(), Some("2e-5"));
        assert_eq!(value("attempt").as_deref(), Some("2"));
        assert_eq!(value("input").as_deref(), Some("/tmp/input.json"));
        assert_eq!(value("momentum"), None);
        assert_eq!(value("metrics"), None);
    }
}
