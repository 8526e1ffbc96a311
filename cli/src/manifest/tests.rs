use super::keys::{Form, Key, Keys, MANIFEST, Need, Word};
use super::*;
use crate::plan::{OnInterrupt, Sync};
use ansatz_core::metric::{Goal, Side};
use ansatz_core::rng::Streams;
use ansatz_core::space::{Condition, Constraint, Domain, Scale, Test, Value};
use ansatz_core::study::{Duplicates, Mix, Plateau};
use serde_json::json;
use std::time::Duration;

/// Every key once, in the forms that people use.
const FULL: &str = r#"
[study]
name = "digits"
seed = 7
mix = "weighted"

[metrics]
validation_loss = "minimise"
latency_ms = { at_most = 50 }
accuracy = { goal = "maximize", at_least = 0.9 }

[space]
learning_rate = { float = [1e-5, 1e-1], scale = "log" }
batch_size = { int = [16, 128], step = 16 }
optimizer = { categorical = ["sgd", "adam"] }
mixed = { categorical = ["a", 1, 2.5, true] }
depth = { ordinal = [2, 4, 8] }
augment = { bool = true }
flip = "bool"
momentum = { float = [0, 0.99], when = { optimizer = "sgd" } }
width = { int = [1, 9], when = { depth = [2, 4], augment = true } }
noise = { float = [0.0, 1.0], when = { batch_size = { min = 32, max = 64 } } }
decay = { float = [0.0, 1.0], when = { batch_size = { max = 64 } } }
crop = { float = [0.0, 1.0], step = 0.25, when = { batch_size = { min = 32 } } }

[constraints]
require = ["batch_size + 2*width <= 100", "noise < decay"]
forbid = [{ optimizer = "sgd", depth = [4, 8], batch_size = { min = 64 } }]

[fidelity]
name = "epochs"
min = 3
max = 30

[objective]
plugin = "digits"
options = { epochs = 20, nested = { list = [1, 2.5, "x", true] } }

[[strategy]]
plugin = "sobol"
label = "warm-up"
weight = 1
trials = 20
options = { }

[[strategy]]
plugin = "com.acme.cma"
weight = 2.5
[strategy.options]
sigma = 0.3

[[strategy]]
plugin = "com.acme.cma"

[budget]
trials = 50
wall_time = "1h30min"
target = 0.02
cost = { metric = "gpu_seconds", limit = 3600 }

[run]
slots = 2
trial_timeout = 90
retries = 1
on_interrupt = "fail"
duplicates = "reuse"
stop_after_failures = false

[journal]
path = "studies/ansatz.db"
sync = "off"

[plugins]
path = ["plugins", "/opt/plugins"]
"#;

/// The least that is a plan.
const SMALL: &str = r#"[metrics]
loss = "minimise"
[space]
x = { float = [0.0, 1.0] }
[[strategy]]
plugin = "random"
[budget]
trials = 5
"#;

fn path() -> &'static Path {
    Path::new("/studies/a study.toml")
}

fn parse(source: &str, overrides: &[&str]) -> Result<Manifest, Diagnostics> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    Manifest::parse(source.to_owned(), path(), &overrides)
}

fn plan_with(source: &str, overrides: &[&str]) -> Result<StudyPlan, Diagnostics> {
    parse(source, overrides)?.plan()
}

fn plan(source: &str) -> StudyPlan {
    plan_with(source, &[]).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

/// Each finding as `line:column message | label | help`.
fn lines(diagnostics: &Diagnostics) -> Vec<String> {
    let line = |finding: &Diagnostic| {
        let place =
            diagnostics.position(finding).map_or("-".to_owned(), |(line, column)| format!("{line}:{column}"));
        let help = finding.help.as_deref().unwrap_or_default();
        format!("{place} {} | {} | {help}", finding.message, finding.label)
    };
    diagnostics.iter().map(line).collect()
}

fn errors(source: &str) -> Vec<String> {
    match plan_with(source, &[]) {
        Ok(plan) => panic!("accepted: {plan:?}\n{source}"),
        Err(diagnostics) => lines(&diagnostics),
    }
}

/// `SMALL` with one line replaced or, where it is new, a section added.
fn small_with(old: &str, new: &str) -> String {
    assert!(SMALL.contains(old), "{old}");
    SMALL.replace(old, new)
}

/// The manifest has exactly this one error: it begins with `start` and contains all of `parts`.
#[track_caller]
fn check_error(source: &str, start: &str, parts: &[&str]) {
    let errors = errors(source);
    assert_eq!(errors.len(), 1, "{errors:#?}\n{source}");
    assert!(errors[0].starts_with(start), "expected {start:?}, found {:?}", errors[0]);
    for part in parts {
        assert!(errors[0].contains(part), "expected {part:?} in {:?}", errors[0]);
    }
}

#[test]
fn a_manifest_with_everything_becomes_its_plan() {
    let plan = plan(FULL);
    assert_eq!(plan.name, "digits");
    let rules = &plan.rules;
    assert_eq!((rules.seed, rules.mix, rules.attempts_max), (7, Mix::Weighted, 2));
    assert_eq!((rules.duplicates, rules.consecutive_failures_max), (Duplicates::Reuse, None));
    let metrics: Vec<_> =
        rules.problem.metrics.iter().map(|metric| (metric.name.as_str(), metric.goal)).collect();
    assert_eq!(metrics, [("validation_loss", Goal::Minimise), ("accuracy", Goal::Maximise)]);
    let bounds: Vec<_> =
        rules.problem.outcome_constraints.iter().map(|c| (c.metric.as_str(), c.side, c.bound)).collect();
    assert_eq!(bounds, [("latency_ms", Side::AtMost, 50.0), ("accuracy", Side::AtLeast, 0.9)]);
    let fidelity = rules.problem.fidelity.as_ref().unwrap();
    assert_eq!((fidelity.name.as_str(), fidelity.lower, fidelity.upper), ("epochs", 3.0, 30.0));
    assert_eq!(rules.problem.trial_count, Some(50));
    let members: Vec<_> =
        rules.members.iter().map(|m| (m.label.as_str(), m.weight, m.trial_count_max)).collect();
    assert_eq!(
        members,
        [("warm-up", 1.0, Some(20)), ("com.acme.cma", 2.5, None), ("com.acme.cma-2", 1.0, None)]
    );
    assert_eq!(plan.strategies[1].options, json!({ "sigma": 0.3 }));
    assert_eq!(plan.strategies[2].options, json!({}));
    let objective = plan.objective.as_ref().unwrap();
    assert_eq!(objective.plugin, "digits");
    assert_eq!(objective.options, json!({ "epochs": 20, "nested": { "list": [1, 2.5, "x", true] } }));
    assert_eq!(rules.budget.wall_time, Some(Duration::from_secs(5400)));
    assert_eq!((rules.budget.trial_count, rules.budget.target), (Some(50), Some(0.02)));
    let cost = rules.budget.cost.as_ref().unwrap();
    assert_eq!((cost.metric.as_str(), cost.limit), ("gpu_seconds", 3600.0));
    assert_eq!((plan.run.slot_count, plan.run.trial_timeout), (2, Some(Duration::from_secs(90))));
    assert_eq!((plan.run.on_interrupt, plan.journal.sync), (OnInterrupt::Fail, Sync::Off));
    assert_eq!(plan.journal.path, Path::new("/studies/studies/ansatz.db"));
    assert_eq!(plan.plugin_folders, [Path::new("/studies/plugins"), Path::new("/opt/plugins")]);
    assert_eq!(plan.manifest_folder, Path::new("/studies"));
    assert_eq!(plan.manifest_name, "a study.toml");
}

#[test]
fn parameters_keep_the_order_and_meaning_of_the_file() {
    let plan = plan(FULL);
    let space = &plan.rules.problem.space;
    let names: Vec<&str> = space.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "learning_rate",
            "batch_size",
            "optimizer",
            "mixed",
            "depth",
            "augment",
            "flip",
            "momentum",
            "width",
            "noise",
            "decay",
            "crop"
        ]
    );
    let domain = |name: &str| &space.parameters()[space.index_of(name).unwrap()].domain;
    let conditions = |name: &str| &space.parameters()[space.index_of(name).unwrap()].conditions;
    assert_eq!(
        domain("learning_rate"),
        &Domain::Float { lower: 1e-5, upper: 0.1, scale: Scale::Log, step: None }
    );
    assert_eq!(domain("batch_size"), &Domain::Int { lower: 16, upper: 128, scale: Scale::Linear, step: 16 });
    let mixed = vec![Value::from("a"), Value::Int(1), Value::Float(2.5), Value::Bool(true)];
    assert_eq!(domain("mixed"), &Domain::Categorical { choices: mixed });
    assert_eq!(domain("depth"), &Domain::Ordinal { values: vec![2.into(), 4.into(), 8.into()] });
    assert_eq!((domain("augment"), domain("flip")), (&Domain::Bool, &Domain::Bool));
    assert_eq!(
        domain("crop"),
        &Domain::Float { lower: 0.0, upper: 1.0, scale: Scale::Linear, step: Some(0.25) }
    );
    assert_eq!(conditions("momentum"), &[Condition::equals("optimizer", "sgd")]);
    let both = [Condition::among("depth", [2, 4]), Condition::equals("augment", true)];
    assert_eq!(conditions("width"), &both);
    // a missing side is the other parameter's own bound
    assert_eq!(conditions("noise"), &[Condition::within("batch_size", 32.0, 64.0)]);
    assert_eq!(conditions("decay"), &[Condition::within("batch_size", 16.0, 64.0)]);
    assert_eq!(conditions("crop"), &[Condition::within("batch_size", 32.0, 128.0)]);
    assert_eq!(space.constraints().len(), 3);
    assert_eq!(space.constraints()[1], Constraint::parse("noise < decay").unwrap());
    let forbidden = match &space.constraints()[2] {
        Constraint::Forbidden(conditions) => conditions,
        other => panic!("{other:?}"),
    };
    assert_eq!(forbidden[2].test, Test::Within { lower: 64.0, upper: 128.0 });
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let plan = plan(SMALL);
    assert_eq!(plan.name, "a-study");
    assert_eq!((plan.rules.seed, plan.rules.mix, plan.rules.attempts_max), (0, Mix::InTurn, 1));
    assert_eq!(plan.rules.duplicates, Duplicates::Replicate);
    assert_eq!(plan.rules.consecutive_failures_max, Some(10));
    assert_eq!((plan.run.slot_count, plan.run.trial_timeout), (1, None));
    assert_eq!((plan.run.on_interrupt, plan.journal.sync), (OnInterrupt::Requeue, Sync::Full));
    assert_eq!(plan.journal.path, Path::new(DEFAULT_JOURNAL), "where the command runs");
    assert_eq!(plan.objective, None);
    // and the tables that editors read say the same
    let schema = json_schema();
    let default =
        |section: &str, key: &str| schema["properties"][section]["properties"][key]["default"].clone();
    assert_eq!(default("study", "seed"), json!(plan.rules.seed));
    assert_eq!(default("study", "mix"), json!(plan.rules.mix));
    assert_eq!(default("run", "slots"), json!(plan.run.slot_count));
    assert_eq!(default("run", "retries"), json!(plan.rules.attempts_max - 1));
    assert_eq!(default("run", "on_interrupt"), json!(plan.run.on_interrupt));
    assert_eq!(default("run", "duplicates"), json!(plan.rules.duplicates));
    assert_eq!(default("run", "stop_after_failures"), json!(plan.rules.consecutive_failures_max));
    assert_eq!(default("journal", "path"), json!(DEFAULT_JOURNAL));
    assert_eq!(default("journal", "sync"), json!(plan.journal.sync));
}

#[test]
fn deterministic_is_a_window() {
    let window = |run: &str| plan(&format!("{SMALL}[run]\nslots = 3\n{run}\n")).rules.window;
    assert_eq!(window(""), None);
    assert_eq!(window("deterministic = false"), None);
    assert_eq!(window("deterministic = true"), Some(3));
    assert_eq!(window("deterministic = 8"), Some(8));
}

#[test]
fn every_spelling_of_a_word_is_understood() {
    for (word, goal) in [("maximise", Goal::Maximise), ("maximize", Goal::Maximise), ("max", Goal::Maximise)]
    {
        let plan = plan(&small_with("\"minimise\"", &format!("{word:?}")));
        assert_eq!(plan.rules.problem.metrics[0].goal, goal);
    }
    for (word, scale) in [
        ("log", Scale::Log),
        ("logarithmic", Scale::Log),
        ("loguniform", Scale::Log),
        ("linear", Scale::Linear),
        ("lin", Scale::Linear),
        ("uniform", Scale::Linear),
    ] {
        let plan = plan(&small_with("[0.0, 1.0]", &format!("[0.1, 1.0], scale = {word:?}")));
        let domain = &plan.rules.problem.space.parameters()[0].domain;
        assert!(
            matches!(domain, Domain::Float { scale: found, .. } if *found == scale),
            "{word}: {domain:?}"
        );
    }
    assert_eq!(plan(&format!("study.mix = \"in_turn\"\n{SMALL}")).rules.mix, Mix::InTurn);
    assert_eq!(
        plan_with(SMALL, &["space.x=boolean"]).unwrap().rules.problem.space.parameters()[0].domain,
        Domain::Bool
    );
}

#[test]
fn all_errors_are_told_at_once_in_the_order_of_the_file() {
    let source = r#"[study]
sede = 7
mix = "inturn"
[metrics]
loss = "minimize it"
[space]
lr = { float = [0.0, 1.0], scale = "log" }
n = { int = [1.5, 3] }
m = { float = [0.0, 1.0], when = { optimiser = "sgd" } }
optimizer = { categorical = ["sgd", "adam"] }
k = { float = [0.0, 1.0], when = { optimizer = "adamw" } }
[constraints]
require = ["x1 + x2"]
[fidelity]
name = "epochs"
min = 9
max = 3
[[strategy]]
plugin = "random search"
[budget]
trails = 5
wall_time = "10m"
[journl]
"#;
    let found = errors(source);
    let expected = [
        "2:1 study has no key \"sede\" | did you mean \"seed\"?",
        "3:7 study.mix must be \"in-turn\", \"weighted\", \"phases\" or \"adaptive\", found the text \"inturn\" | did you mean \"in-turn\"?",
        "5:8 metrics.loss must be \"minimise\" or \"maximise\", found the text \"minimize it\"",
        "7:17 parameter lr: a log scale needs a lower bound above 0, found 0 |  | raise it",
        "8:14 space.n.int.0 must be a whole number, found 1.5",
        "9:36 condition of m: there is no parameter \"optimiser\" (did you mean \"optimizer\"?)",
        "11:48 condition of k: optimizer never has the value adamw |  | it has sgd, adam",
        "13:12 constraint: \"x1 + x2\" is no relation",
        "16:7 the fidelity range is empty: min 9 is not below max 3",
        "19:10 strategy.0.plugin must be a name of at most 100 letters, digits, _, . and -, found the text \"random search\"",
        "21:1 budget has no key \"trails\" | did you mean \"trials\"? | allowed: trials, wall_time",
        "22:13 budget.wall_time cannot be \"10m\": \"m\" may be minutes or months: write min |  | the units are",
        "23:2 the manifest has no section \"journl\" | did you mean \"journal\"?",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "expected {expected:?}\n   found {found:?}");
    }
}

#[test]
fn the_text_shows_file_line_and_help() {
    let source = small_with("trials = 5", "trails = 5");
    let diagnostics = plan_with(&source, &[]).unwrap_err();
    let expected = "\
error: budget has no key \"trails\"
 --> /studies/a study.toml:8:1
  |
8 | trails = 5
  | ^^^^^^ did you mean \"trials\"?
  |
  = help: allowed: trials, wall_time, target, cost, completed, expected_improvement, plateau, until_exhausted
";
    assert_eq!(diagnostics.render(false), expected);
    assert!(diagnostics.render(true).contains("\u{1b}["), "no colour");
    let json = diagnostics.to_json();
    assert_eq!(
        json,
        json!([{
            "file": "/studies/a study.toml", "override": null, "line": 8, "column": 1,
            "message": "budget has no key \"trails\"", "label": "did you mean \"trials\"?",
            "help": "allowed: trials, wall_time, target, cost, completed, expected_improvement, plateau, until_exhausted",
        }])
    );
}

#[test]
fn errors_of_overrides_show_the_override() {
    let diagnostics = plan_with(SMALL, &["study.seed=3", "budget.trails=5"]).unwrap_err();
    let text = diagnostics.render(false);
    assert!(text.contains("--> command line:1:14"), "{text}");
    assert!(text.contains("--set budget.trails=5\n"), "{text}");
    assert!(text.contains("did you mean \"trials\"?"), "{text}");
    let json = diagnostics.to_json();
    assert_eq!((&json[0]["file"], &json[0]["override"]), (&json!(null), &json!("--set budget.trails=5")));
    for (text, start, part) in [
        ("budget", "1:7 an override needs an equals sign", "--set budget.trials=50"),
        ("budget..trials=1", "1:7 a key of the override is empty", ""),
        ("\"budget=1", "1:7 a quote in the key is not closed", ""),
        ("=1", "1:7 a key of the override is empty", ""),
        ("\"a\"b=1", "1:7 an override needs an equals sign", ""),
        ("strategy.2.plugin=grid", "1:16 strategy has no item \"2\"", "strategy.1 would append"),
        ("strategy.x.plugin=grid", "1:16 strategy has no item \"x\"", "counted from 0"),
        (
            "budget.trials.max=3",
            "1:21 budget.trials is 5, which has no key \"max\"",
            "set budget.trials itself",
        ),
        ("space.y={float=[a, 1]}", "1:15 invalid TOML", "single quotes"),
        (
            "budget.trials=many",
            "1:21 budget.trials must be a whole number of at least 1, found the text \"many\"",
            "",
        ),
        ("budget.trials=", "1:21 budget.trials must be", "found the text \"\""),
        ("run.slots=2020-01-01", "1:17 dates and times are not allowed", "put it in quotes"),
    ] {
        let found = lines(&plan_with(SMALL, &[text]).unwrap_err());
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].starts_with(start) && found[0].contains(part), "{text}: {}", found[0]);
    }
}

#[test]
fn overrides_change_the_manifest_in_their_order() {
    let plan = plan_with(
        FULL,
        &[
            "budget.trials=3",
            "budget.trials = 4 ",
            "run.trial_timeout=5min",
            "strategy.0.options.x=1",
            "strategy.1.plugin=grid",
            "strategy.3.plugin=tpe",
            "space.\"a.b\"={ float = [0, 1] }",
            "space.learning_rate.float=[1e-3, 1]",
            "objective.options={ epochs = 5 }",
            "study.name='x=y'",
            "study.name=x-y",
            "metrics.extra=maximise",
        ],
    )
    .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!(plan.rules.budget.trial_count, Some(4));
    assert_eq!(plan.run.trial_timeout, Some(Duration::from_secs(300)));
    assert_eq!(plan.strategies[0].options, json!({ "x": 1 }));
    assert_eq!((plan.strategies[1].plugin.as_str(), plan.strategies[3].plugin.as_str()), ("grid", "tpe"));
    assert_eq!(plan.objective.unwrap().options, json!({ "epochs": 5 }));
    let parameters = plan.rules.problem.space.parameters();
    assert_eq!(parameters[0].domain.lower(), 1e-3);
    assert_eq!(parameters[parameters.len() - 1].name, "a.b");
    assert_eq!(plan.rules.problem.metrics.last().unwrap().name, "extra");
    assert_eq!((plan.name.as_str(), plan.overrides.len()), ("x-y", 12));
    let without_strategy = SMALL.replace("[[strategy]]\nplugin = \"random\"\n", "");
    let plan = plan_with(&without_strategy, &["strategy.0.plugin=grid"]).unwrap();
    assert_eq!(plan.rules.members[0].label, "grid");
}

#[test]
fn syntax_errors_have_their_place() {
    for (source, start, part) in [
        ("[study]\nname = digits\n", "2:8 invalid TOML: string values must be quoted", "put texts in quotes"),
        ("[study]\n[study]\n", "2:2 invalid TOML: duplicate key", "only [[strategy]] may be repeated"),
        ("[study\n", "1:7 invalid TOML: unclosed table", ""),
        ("a = [1,\n", "1:8 invalid TOML: unclosed array", ""),
        ("é = 1\n", "1:1 invalid TOML: invalid unquoted key", ""),
    ] {
        let found = lines(&parse(source, &[]).unwrap_err());
        assert!(found[0].starts_with(start) && found[0].contains(part), "{source:?}: {found:#?}");
    }
    let two = lines(&parse("a = x\n\n[b]\nc = y\n", &[]).unwrap_err());
    assert_eq!(two.len(), 2, "{two:#?}");
}

#[test]
fn values_that_no_manifest_holds_are_refused() {
    for (value, parts) in [
        ("nan", &["4:17 nan is not allowed"][..]),
        ("-inf", &["4:17 infinity is not allowed", "finite number"]),
        ("1e999", &["4:17 the number 1e999 is too large", "1.79"]),
        ("1979-05-27", &["4:17 dates and times", "\"1979-05-27\""]),
        ("9223372036854775808", &["4:17 the integer 9223372036854775808 is too large", "2^63 - 1"]),
        ("0x", &["4:17 this is no number"]),
    ] {
        check_error(&small_with("[0.0, 1.0]", &format!("[ {value}, 1]")), "4:17", parts);
    }
    let seed = "study.seed = 18446744073709551615\n";
    check_error(
        &format!("{seed}{SMALL}"),
        "1:14 the integer 18446744073709551615 is too large",
        &["9223372036854775807"],
    );
    check_error(
        &format!("study.seed = -1\n{SMALL}"),
        "1:14 study.seed must be a whole number of at least 0",
        &[],
    );
}

#[test]
fn a_list_where_no_table_takes_one_is_not_told_to_be_put_in_a_table() {
    for list in ["[\"minimise\"]", "[1, 2]"] {
        let found = errors(&small_with("loss = \"minimise\"", &format!("loss = {list}")));
        assert!(found[0].starts_with("2:8 metrics.loss must be"), "{found:?}");
        assert!(!found[0].contains("put the list in a table"), "{found:?}");
    }
}

#[test]
fn wrong_forms_say_what_is_allowed() {
    for (old, new, start, part) in [
        (
            "trials = 5",
            "trials = 5.0",
            "8:10 budget.trials must be a whole number of at least 1, found 5.0",
            "write 5",
        ),
        ("trials = 5", "trials = 0", "8:10 budget.trials must be a whole number of at least 1, found 0", ""),
        ("trials = 5", "trials = \"5\"", "8:10 budget.trials must be", "write 5 without quotes"),
        ("trials = 5", "slots = 5", "8:1 budget has no key \"slots\"", "slots belongs to [run]"),
        ("trials = 5", "n_trials = 5", "8:1 budget has no key \"n_trials\"", "did you mean \"trials\"?"),
        (
            "trials = 5",
            "trials = 5\nuntil_exhausted = false",
            "9:19 budget.until_exhausted must be true",
            "leave the key out",
        ),
        ("trials = 5", "wall_time = -1", "8:13 budget.wall_time must be above 0, found -1", ""),
        ("trials = 5", "wall_time = \"900000h\"", "8:13 budget.wall_time must be at most 36525d", ""),
        (
            "trials = 5",
            "wall_time = [1]",
            "8:13 budget.wall_time must be a number of seconds, or a text",
            "found a list of 1",
        ),
        (
            "trials = 5",
            "cost = { metric = \"s\" }",
            "8:8 budget.cost needs the key \"limit\"",
            "for example limit = 3600",
        ),
        (
            "trials = 5",
            "cost = { metric = \"s\", limit = 0 }",
            "8:32 budget.cost.limit must be a number above 0",
            "",
        ),
        (
            "\"minimise\"",
            "{ direction = \"max\", at_most = 5 }",
            "2:10 metrics.loss has no key \"direction\"",
            "did you mean \"goal\"?",
        ),
        ("trials = 5", "target = \"low\"", "8:10 budget.target must be a number", ""),
        (
            "[[strategy]]",
            "[strategy]",
            "5:2 strategy must be a list of tables, found a table",
            "[[strategy]]",
        ),
        (
            "plugin = \"random\"",
            "name = \"random\"",
            "5:1 strategy.0 needs the key \"plugin\"",
            "plugin = \"random\"",
        ),
        ("\"random\"", "\"\"", "6:10 strategy.0.plugin must be a name", ""),
        (
            "{ float = [0.0, 1.0] }",
            "[0.0, 1.0]",
            "4:5 space.x must be \"bool\" or a table, found a list of 2",
            "such as { float = [1e-5, 1e-1] }",
        ),
        (
            "{ float = [0.0, 1.0] }",
            "[\"a\", \"b\"]",
            "4:5 space.x must be \"bool\" or a table, found a list of 2",
            "such as { categorical = [\"sgd\", \"adam\"] }",
        ),
        (
            "{ float = [0.0, 1.0] }",
            "\"float\"",
            "4:5 space.x must be \"bool\", found",
            "or a table with float, int",
        ),
        (
            "{ float = [0.0, 1.0] }",
            "{ }",
            "4:5 space.x does not say what its values are: it needs float, int",
            "for example",
        ),
        (
            "float = [0.0, 1.0]",
            "float = [0.0, 1.0], int = [1, 2]",
            "4:27 space.x has both float and int",
            "exactly one of",
        ),
        ("float = [0.0, 1.0]", "low = 0", "4:7 space.x has no key \"low\"", "float = [1e-5, 1e-1]"),
        (
            "[0.0, 1.0]",
            "[0.0]",
            "4:15 space.x.float must be a list of two numbers, [lowest, highest], found a list of 1",
            "",
        ),
        ("[0.0, 1.0]", "[0.0, \"1\"]", "4:21 space.x.float.1 must be a number", "without quotes"),
        ("float = [0.0, 1.0]", "bool = false", "4:14 space.x.bool must be true", ""),
        (
            "float = [0.0, 1.0]",
            "categorical = [[1]]",
            "4:22 space.x.categorical.0 must be a text, a number, true or false",
            "",
        ),
        (
            "[0.0, 1.0]",
            "[0.0, 1.0], scale = \"lgo\"",
            "4:35 space.x.scale must be \"linear\" or \"log\"",
            "did you mean \"log\"?",
        ),
        ("[0.0, 1.0]", "[0.0, 1.0], step = 0", "4:34 space.x.step must be a number above 0, found 0", ""),
        ("[0.0, 1.0]", "[0.0, 1.0], when = { }", "4:34 space.x.when is empty", ""),
        (
            "\"minimise\"",
            "5",
            "2:8 metrics.loss must be \"minimise\" or \"maximise\" or a table, found 5",
            "",
        ),
        ("\"minimise\"", "{ }", "2:8 metric loss has neither a goal nor a bound", "at_most"),
        (
            "[metrics]",
            "[run]\nstop_after_failures = true\n[metrics]",
            "2:23 run.stop_after_failures must be false",
            "",
        ),
        (
            "[metrics]",
            "[run]\ndeterministic = \"true\"\n[metrics]",
            "2:17 run.deterministic must be a whole number from 1 to 1024 or true or false, found the text \"true\"",
            "",
        ),
        (
            "[metrics]",
            "[run]\ndeterministic = 4\non_interrupt = \"fail\"\n[metrics]",
            "3:16 run.deterministic cannot go with on_interrupt",
            "leave on_interrupt out",
        ),
        (
            "[metrics]",
            "[run]\nslots = 0\n[metrics]",
            "2:9 run.slots must be a whole number from 1 to 1024",
            "",
        ),
        ("[metrics]", "[journal]\npath = \" \"\n[metrics]", "2:8 journal.path is an empty text", ""),
        ("[metrics]", "[plugins]\npath = \"x\"\n[metrics]", "2:8 plugins.path must be a list of texts", ""),
        (
            "[metrics]",
            "[objective]\noptions = 3\nplugin = \"a\"\n[metrics]",
            "2:11 objective.options must be a table, found 3",
            "",
        ),
    ] {
        let source = small_with(old, new);
        let found = errors(&source);
        let hit = found.iter().find(|line| line.starts_with(start));
        assert!(hit.is_some_and(|line| line.contains(part)), "expected {start:?} .. {part:?}\n{found:#?}");
        // a renamed key is unknown, and the one that it should be is missing
        let allowed = if new.starts_with("name =") { 2 } else { 1 };
        assert_eq!(found.len(), allowed, "{source}\n{found:#?}");
    }
}

#[test]
fn a_budget_may_ask_for_completed_trials_or_a_plateau() {
    let plan = |budget: &str| plan_with(&small_with("trials = 5", budget), &[]).unwrap().rules.budget;
    let budget = plan("completed = 3\nplateau = { trials = 4, min_delta = 0.5 }");
    assert_eq!((budget.completed_count, budget.trial_count), (Some(3), None));
    assert_eq!(budget.plateau, Some(Plateau { trial_count: 4, min_delta: 0.5 }));
    assert_eq!(plan("plateau = { trials = 4 }").plateau, Some(Plateau { trial_count: 4, min_delta: 0.0 }));
    let several = small_with("trials = 5", "plateau = { trials = 4, min_delta = 0.5 }")
        .replace("loss = \"minimise\"", "loss = \"minimise\"\nother = \"minimise\"");
    check_error(
        &several,
        "9:37 budget.plateau.min_delta has no effect with several metrics",
        &["leave it out"],
    );
}

#[test]
fn a_study_without_strategies_has_what_fits_its_metrics() {
    let nameless = SMALL.replace("[[strategy]]\nplugin = \"random\"\n", "");
    let plan = plan_with(&nameless, &[]).unwrap();
    let labels: Vec<&str> = plan.rules.members.iter().map(|member| member.label.as_str()).collect();
    let plugins: Vec<&str> = plan.strategies.iter().map(|choice| choice.plugin.as_str()).collect();
    assert_eq!((labels[0], &labels, plan.rules.mix), ("bayesian", &plugins, Mix::Adaptive));
    let after: Vec<u64> = plan.rules.members.iter().map(|member| member.after_count).collect();
    assert!(after[0] == 0 && after[1..].iter().all(|count| *count > 0), "{after:?}");
    // somebody is left whatever the budget
    assert!(plan.rules.members.iter().any(|member| member.trial_count_max.is_none()));
    // cmaes and local are for one metric
    let two = plan_with(&nameless, &["metrics.other=\"minimise\""]).unwrap();
    assert!(
        labels.contains(&"cmaes")
            && two.strategies.iter().all(|choice| !["cmaes", "local"].contains(&&*choice.plugin))
    );
    let long = plan_with(&nameless, &["budget.trials=5000"]).unwrap();
    assert!(long.strategies.iter().any(|choice| choice.plugin == "evolution"));
    check_error(
        &format!("study.mix = \"phases\"\n{nameless}"),
        "1:13 study.mix has no effect: no strategy is named",
        &["[[strategy]]"],
    );
    let auto = small_with("\"random\"", "\"auto\"");
    check_error(&auto, "6:10 auto is no strategy: it is what a study has that names none", &["leave it out"]);
}

#[test]
fn missing_sections_are_named_with_an_example() {
    let found = errors("");
    let starts = [
        "- the manifest needs a section \"metrics\" |  | for example [metrics], validation_loss",
        "- the manifest needs a section \"space\"",
        "- the study has no limit: it would never end |  | give [budget]",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}");
    }
    let diagnostics = plan_with("", &[]).unwrap_err();
    assert!(diagnostics.render(false).contains("--> /studies/a study.toml"), "{diagnostics}");
    check_error(
        "strategy = []\nmetrics = { l = \"min\" }\nspace = { x = \"bool\" }\nbudget.trials = 1",
        "1:12 strategy is empty",
        &[],
    );
    check_error(&small_with("x = { float = [0.0, 1.0] }\n", ""), "3:2 space is empty", &[]);
}

#[test]
fn spaces_are_judged_with_the_place_of_the_part() {
    for (parameters, start, part) in [
        (
            "x = { float = [0, 1], scale = \"log\" }",
            "4:16 parameter x: a log scale needs a lower bound above 0",
            "drop scale",
        ),
        (
            "x = { int = [0, 8], scale = \"log\" }",
            "4:14 parameter x: a log scale needs a lower bound above 0",
            "",
        ),
        ("x = { float = [2, 1] }", "4:15 parameter x: the range is empty: 2 is above 1", "swap the bounds"),
        ("x = { float = [0, 1], step = 1e-300 }", "4:30 parameter x: the step", "too small"),
        (
            "x = { int = [0, 9], step = 1.5 }",
            "4:28 parameter x: the step of an int is a whole number, found 1.5",
            "use float",
        ),
        ("x = { int = [0, 9007199254740993] }", "4:17 parameter x: integers beyond 2^53", ""),
        ("x = { categorical = [] }", "4:21 parameter x: needs at least one value", ""),
        ("x = { ordinal = [1, 2, 1.0] }", "4:24 parameter x: the value 1 is listed twice", ""),
        (
            "x = { categorical = [1, 2], scale = \"log\" }",
            "4:29 parameter x: a categorical parameter has no scale",
            "float and int",
        ),
        ("x = { bool = true, step = 1 }", "4:20 parameter x: a bool parameter has no step", ""),
        ("x = { int = [1, 2], when = { y = 1 } }", "4:30 condition of x: there is no parameter \"y\"", ""),
        (
            "x = { int = [1, 2], when = { x = 1 } }",
            "4:34 condition of x: the conditions go in a circle: x -> x",
            "",
        ),
        (
            "x = { int = [1, 2], when = { y = 1 } }\ny = { int = [1, 2], when = { x = 1 } }",
            "4:34 condition of x: the conditions go in a circle: x -> y -> x",
            "",
        ),
        (
            "x = \"bool\"\ny = { int = [1, 2], when = { x = { min = 1 } } }",
            "5:34 condition of y: x is bool: a range needs a number",
            "",
        ),
        (
            "x = \"bool\"\ny = { int = [1, 2], when = { x = 1 } }",
            "5:34 condition of y: x never has the value 1",
            "true, false",
        ),
        (
            "x = \"bool\"\ny = { int = [1, 2], when = { x = [] } }",
            "5:34 condition of y: the list of values of x is empty",
            "",
        ),
        (
            "x = { int = [1, 2] }\ny = { int = [1, 2], when = { x = { min = 7 } } }",
            "5:34 condition of y: x lies between 1 and 2, never between",
            "",
        ),
        (
            "x = { int = [1, 2] }\ny = { int = [1, 2], when = { x = { max = 0 } } }",
            "5:34 condition of y: x lies between 1 and 2, never between",
            "",
        ),
        (
            "x = { int = [1, 9] }\ny = { int = [1, 2], when = { x = { min = 4, max = 3 } } }",
            "5:34 condition of y: the range 4 to 3 is empty",
            "",
        ),
        (
            "x = { int = [1, 9] }\ny = { int = [1, 2], when = { x = { } } }",
            "5:34 the range of x has neither min nor max",
            "",
        ),
        (
            "x = { int = [1, 9] }\ny = { int = [1, 2], when = { x = { mni = 3 } } }",
            "5:36 space.y.when.x has no key \"mni\"",
            "did you mean \"min\"?",
        ),
    ] {
        check_error(&small_with("x = { float = [0.0, 1.0] }", parameters), start, &[part]);
    }
}

#[test]
fn constraints_are_judged_with_their_place() {
    for (constraints, start, part) in [
        (
            "require = [\"x <= 1\", \"x + yy <= 1\"]",
            "7:22 constraint: there is no parameter \"yy\"",
            "did you mean \"y\"?",
        ),
        (
            "require = [\"x <= 1\", \"x = 1\"]",
            "7:22 constraint: \"x = 1\": an equality leaves nothing to search",
            "use <= and >=",
        ),
        ("require = [\"o <= 1\"]", "7:12 constraint: o is categorical: only numbers can be compared", ""),
        ("require = [\"\"]", "7:12 constraints.require.0 is an empty text", ""),
        ("require = \"x <= 1\"", "7:11 constraints.require must be a list of texts", ""),
        ("forbid = [{ oo = \"a\" }]", "7:13 forbidden combination: there is no parameter \"oo\"", ""),
        (
            "forbid = [{ x = 0.5 }, { y = 0.1, o = \"c\" }]",
            "7:35 forbidden combination: o never has the value c",
            "it has a, b",
        ),
        ("forbid = [{ }]", "7:11 constraints.forbid.0 is empty", ""),
        (
            "forbid = [{ x = { lower = 0.5 } }]",
            "7:19 constraints.forbid.0.x has no key \"lower\"",
            "did you mean \"min\"?",
        ),
    ] {
        let space =
            "x = { float = [0.0, 1.0] }\ny = { float = [0.0, 1.0] }\no.categorical = [\"a\", \"b\"]\n";
        let source = small_with("x = { float = [0.0, 1.0] }\n", &format!("{space}constraints_here"));
        let source = source.replace("[space]", "[constraints]\nCONSTRAINTS\n[space]");
        let source =
            source.replace("constraints_here", "").replace("CONSTRAINTS", &format!("\n\n\n{constraints}"));
        check_error(&source, start, &[part]);
    }
}

#[test]
fn a_parameter_with_an_error_has_no_errors_in_its_wake() {
    let source = small_with(
        "x = { float = [0.0, 1.0] }",
        "x = { float = [0.0, nan] }\ny = { int = [1, 2], when = { x = { min = 0.5 } } }\nz = { int = [1, 2], when = { x = \"a\" } }\n\
         [constraints]\nrequire = [\"x + y <= 1\"]\nforbid = [{ x = 0.5 }]",
    );
    check_error(&source, "4:21 nan is not allowed", &[]);
    let source = small_with(
        "x = { float = [0.0, 1.0] }",
        "x = { float = [2, 1] }\ny = { int = [1, 2], when = { x = 1 } }",
    );
    check_error(&source, "4:15 parameter x: the range is empty", &[]);
}

#[test]
fn sections_must_fit_together() {
    for (old, new, start, part) in [
        ("\"minimise\"", "{ at_most = 5 }", "1:2 no metric has a goal", "\"minimise\" or \"maximise\""),
        (
            "\"minimise\"",
            "{ goal = \"min\", at_most = 1, at_least = 2 }",
            "2:8 metric loss cannot be at least 2 and at most 1",
            "",
        ),
        ("trials = 5", "", "7:2 the study has no limit", "until_exhausted"),
        (
            "trials = 5",
            "cost = { metric = \"loss\", limit = 5 }\n[[strategy]]\nplugin = \"grid\"\nweight = 2.0",
            "11:1 strategy.1.weight has no effect here",
            "mix = \"weighted\"",
        ),
        (
            "[metrics]",
            "study.mix = \"phases\"\nstrategy = [{ plugin = \"grid\" }, { plugin = \"random\" }]\n[metrics]",
            "2:13 strategy.0 needs the key \"trials\": its phase would never end",
            "trials = 20",
        ),
        (
            "[metrics]",
            "strategy = [{ plugin = \"grid\" }, { plugin = \"random\", after = 9 }]\n[metrics]",
            "1:55 strategy.1.after has no effect here",
            "adaptive",
        ),
        (
            "[metrics]",
            "strategy = [{ plugin = \"grid\", label = \"a\" }, { plugin = \"random\", label = \"a\" }]\n[metrics]",
            "1:76 two strategies have the label \"a\"",
            "unique",
        ),
    ] {
        let source = small_with(old, new);
        let source = match new.contains("strategy = ") {
            true => source.replace("[[strategy]]\nplugin = \"random\"\n", ""),
            false => source,
        };
        check_error(&source, start, &[part]);
    }
    let source = small_with("\"minimise\"", "\"maximise\"")
        .replace("trials = 5", "cost = { metric = \"loss\", limit = 5 }");
    check_error(
        &source,
        "8:19 metric loss cannot be maximised and a cost at the same time",
        &["gpu_seconds"],
    );
}

#[test]
fn a_study_may_be_limited_by_its_strategies() {
    let without_budget = SMALL.replace("[budget]\ntrials = 5\n", "");
    let limited = without_budget
        .replace("\"random\"", "\"random\"\ntrials = 3\n[[strategy]]\nplugin = \"random\"\ntrials = 4");
    let plan_limited = plan(&limited);
    assert_eq!(plan_limited.rules.problem.trial_count, Some(7));
    assert_eq!(plan_limited.rules.members[1].label, "random-2");
    let exhausted = plan(&format!("{without_budget}[budget]\nuntil_exhausted = true"));
    assert_eq!((exhausted.rules.problem.trial_count, exhausted.rules.budget.trial_count), (None, None));
    assert_eq!(plan_with(&limited, &["budget.trials=5"]).unwrap().rules.problem.trial_count, Some(5));
}

#[test]
fn default_labels_avoid_those_that_were_given() {
    let source = small_with(
        "plugin = \"random\"",
        "plugin = \"random\"\n[[strategy]]\nplugin = \"random\"\n[[strategy]]\nplugin = \"grid\"\nlabel = \"random-2\"",
    );
    let labels: Vec<String> = plan(&source).rules.members.into_iter().map(|member| member.label).collect();
    assert_eq!(labels, ["random", "random-3", "random-2"]);
}

/// Options as plugins write them.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is read")]
struct SampleOptions {
    /// Passes through the data.
    #[schemars(range(min = 1, max = 100))]
    epochs: u32,
    /// A rate.
    #[serde(default)]
    rate: Option<f64>,
    #[serde(default)]
    rule: Rule,
    #[serde(default)]
    layers: Vec<u8>,
    #[serde(default)]
    kernel: Option<Kernel>,
    #[serde(default)]
    input: InputChoice,
    #[serde(default)]
    names: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    rule_maybe: Option<Rule>,
}

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Rule {
    /// The first.
    #[default]
    Adam,
    /// The second.
    Sgd,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is read")]
enum Kernel {
    /// With a smoothness.
    Matern { smoothness: f64 },
    /// Without.
    Rbf { scale: f64 },
}

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is read")]
enum InputChoice {
    #[default]
    Nothing,
    Count(u64),
    Names(Vec<String>),
}

fn option_errors(options: &str) -> Vec<String> {
    let source = format!("{SMALL}[objective]\nplugin = \"x\"\noptions = {options}\n");
    let manifest = parse(&source, &[]).unwrap();
    let schema = serde_json::to_value(schemars::schema_for!(SampleOptions)).unwrap();
    lines(&manifest.check_options(Section::Objective, &schema))
}

#[test]
fn options_that_fit_the_schema_are_accepted() {
    for options in [
        "{ epochs = 1 }",
        "{ epochs = 100, rate = 1, rule = \"sgd\", layers = [1, 255], rule_maybe = \"adam\", seed = -5 }",
        "{ epochs = 3, kernel = { kind = \"matern\", smoothness = 2.5 } }",
        "{ epochs = 3, kernel = { kind = \"rbf\", scale = 1 }, input = 3, names = { a = \"b\" } }",
        "{ epochs = 3, input = [\"a\", \"b\"] }",
    ] {
        assert_eq!(option_errors(options), [""; 0], "{options}");
    }
}

#[test]
fn options_that_do_not_fit_say_what_is_allowed() {
    for (options, start, part) in [
        (
            "{ epoch = 3, epochs = 1 }",
            "11:13 objective.options has no key \"epoch\"",
            "did you mean \"epochs\"? | allowed: ",
        ),
        ("{ }", "11:11 objective.options needs the key \"epochs\"", "Passes through the data."),
        (
            "{ epochs = 0 }",
            "11:22 objective.options.epochs must be a whole number from 1 to 100, found 0",
            "",
        ),
        (
            "{ epochs = 2.0 }",
            "11:22 objective.options.epochs must be a whole number from 1 to 100, found 2.0",
            "write 2",
        ),
        (
            "{ epochs = \"3\" }",
            "11:22 objective.options.epochs must be a whole number",
            "write 3 without quotes",
        ),
        ("{ epochs = 1, rate = true }", "11:32 objective.options.rate must be a number, found true", ""),
        (
            "{ epochs = 1, rule = \"sdg\" }",
            "11:32 objective.options.rule must be \"adam\" or \"sgd\"",
            "did you mean \"sgd\"?",
        ),
        (
            "{ epochs = 1, rule_maybe = \"sdg\" }",
            "11:38 objective.options.rule_maybe must be \"adam\" or \"sgd\"",
            "",
        ),
        (
            "{ epochs = 1, layers = [1, 256] }",
            "11:38 objective.options.layers.1 must be a whole number from 0 to 255",
            "",
        ),
        ("{ epochs = 1, layers = 3 }", "11:34 objective.options.layers must be a list, found 3", ""),
        ("{ epochs = 1, names = { a = 1 } }", "11:39 objective.options.names.a must be a text, found 1", ""),
        (
            "{ epochs = 1, kernel = { kind = \"matern\", smothness = 1 } }",
            "11:34 objective.options.kernel needs the key \"smoothness\"",
            "",
        ),
        ("{ epochs = 1, kernel = { kind = \"gauss\" } }", "11:34 objective.options.kernel must be", ""),
        (
            "{ epochs = 1, input = true }",
            "11:33 objective.options.input must be a whole number of at least 0 or a list",
            "",
        ),
        ("{ epochs = 1, input = [1] }", "11:34 objective.options.input.0 must be a text, found 1", ""),
    ] {
        let found = option_errors(options);
        let hit = found.iter().find(|line| line.starts_with(start));
        assert!(
            hit.is_some_and(|line| line.contains(part)),
            "{options}: expected {start:?} .. {part:?}\n{found:#?}"
        );
    }
    assert_eq!(option_errors("{ epoch = 3, rule = 5, layers = 1 }").len(), 4, "all at once");
}

#[test]
fn options_are_checked_where_they_were_written() {
    let schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let source = format!("{SMALL}[strategy.options]\n").replace(
        "[budget]\ntrials = 5\n[strategy.options]",
        "[strategy.options]\nx = 1\n[budget]\ntrials = 5",
    );
    let manifest = parse(&source, &["strategy.0.options.y=2"]).unwrap();
    let found = manifest.check_options(Section::Strategy(0), &schema);
    assert_eq!(
        lines(&found),
        [
            "8:1 strategy.0.options has no key \"x\" | unknown key | nothing can be chosen here",
            "1:26 strategy.0.options has no key \"y\" | unknown key | nothing can be chosen here",
        ]
    );
    assert!(manifest.check_options(Section::Objective, &schema).is_empty());
    let needs = json!({ "type": "object", "required": ["a"] });
    let manifest = parse(SMALL, &[]).unwrap();
    let mut all = Diagnostics::default();
    all.extend(manifest.check_options(Section::Strategy(0), &needs));
    all.extend(manifest.plugin_error(Section::Strategy(0), "no plugin random"));
    all.extend(manifest.options_error(Section::Strategy(0), "no"));
    let expected =
        ["6:10 strategy.0.options needs the key \"a\" |  | ", "6:10 no plugin random |  | ", "6:10 no |  | "];
    assert_eq!(lines(&all), expected);
    assert!(all.render(false).contains("plugin = \"random\"\n"), "{all}");
}

#[test]
fn schemas_that_refer_to_themselves_come_to_an_end() {
    let manifest =
        parse(&format!("{SMALL}[objective]\nplugin = \"x\"\noptions = {{ a = {{ a = 1 }} }}"), &[]).unwrap();
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }] }),
        json!({ "properties": { "a": { "$ref": "#" } }, "oneOf": [{ "$ref": "#/oneOf/0" }] }),
        json!({ "$ref": "#/nowhere" }),
        json!(true),
        json!(null),
        json!({ "type": 7, "enum": 3, "required": "x", "properties": [], "minimum": "low", "x-own": {} }),
    ] {
        manifest.check_options(Section::Objective, &schema);
    }
    assert!(!manifest.check_options(Section::Objective, &json!(false)).is_empty());
}

#[test]
fn starters_are_plans_and_fit_the_schema() {
    for objective in ["command", "digits"] {
        let text = starter(objective).unwrap();
        let plan = plan(&text);
        assert_eq!(plan.objective.unwrap().plugin, objective);
        assert_eq!(schema_errors(&text), [""; 0], "{objective}");
    }
    assert_eq!(starter("zebra"), None);
}

/// What the published schema says of a manifest.
fn schema_errors(source: &str) -> Vec<String> {
    let manifest = parse(source, &[]).unwrap();
    let schema = json_schema();
    let mut found = Vec::new();
    options::check(&manifest.root, &schema, &schema, "manifest", &mut found);
    found.into_iter().map(|finding| finding.message).collect()
}

#[test]
fn the_schema_accepts_what_the_checker_accepts() {
    assert_eq!(schema_errors(FULL), [""; 0]);
    assert_eq!(schema_errors(SMALL), [""; 0]);
    for bad in [
        "study.sede = 1",
        "study.seed = -1",
        "study.mix = \"x\"",
        "run.slots = 0",
        "run.stop_after_failures = true",
        "journal.sync = true",
        "budget.wall_time = 0",
        "objective.options = {}",
        "fidelity = { name = \"e\", min = 0, max = 3 }",
        "constraints.forbid = [{ x = { mni = 3 } }]",
    ] {
        let source = match bad.starts_with("budget") {
            true => format!("{bad}\n{}", SMALL.replace("[budget]\ntrials = 5\n", "")),
            false => format!("{bad}\n{SMALL}"),
        };
        assert!(!schema_errors(&source).is_empty(), "the schema accepts {bad}");
        assert!(plan_with(&source, &[]).is_err(), "the checker accepts {bad}");
    }
}

/// Calls `visit` for every table of keys with its schema.
fn visit_tables(form: &Form, schema: &serde_json::Value, visit: &mut dyn FnMut(&Keys, &serde_json::Value)) {
    match form {
        Form::Table(keys) => {
            visit(keys, schema);
            for key in keys.keys {
                visit_tables(&key.form, &schema["properties"][key.name], visit);
            }
        }
        Form::Tables(keys) => visit_tables(&Form::Table(keys), &schema["items"], visit),
        Form::List(inner) | Form::Pair(inner) => visit_tables(inner, &schema["items"], visit),
        Form::Named(inner) => visit_tables(inner, &schema["additionalProperties"], visit),
        Form::OneOf(forms) => {
            for (index, inner) in forms.iter().enumerate() {
                visit_tables(inner, &schema["anyOf"][index], visit);
            }
        }
        _ => {}
    }
}

#[test]
fn the_schema_has_exactly_the_keys_of_the_checker() {
    let mut count = 0;
    visit_tables(&Form::Table(&MANIFEST), &json_schema(), &mut |keys, schema| {
        let properties = schema["properties"].as_object().unwrap();
        let names: Vec<&str> = keys.names().collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let mut listed: Vec<&str> = properties.keys().map(String::as_str).collect();
        listed.sort_unstable();
        assert_eq!(listed, sorted);
        assert_eq!(schema["additionalProperties"], json!(false));
        for Key { name, need, doc, also, .. } in keys.keys {
            assert_eq!(properties[*name]["description"], json!(doc));
            assert!(doc.ends_with('.'), "{name}");
            if let Need::Default(text) = need {
                assert_eq!(
                    properties[*name]["default"],
                    serde_json::from_str::<serde_json::Value>(text).unwrap()
                );
            }
            assert!(also.iter().all(|other| !names.contains(other)), "{name}: {also:?}");
            count += 1;
        }
        assert!(keys.one_of.iter().all(|name| keys.get(name).is_some()));
    });
    assert!(count > 50, "{count}");
}

#[test]
fn every_example_of_a_key_has_its_form() {
    visit_tables(&Form::Table(&MANIFEST), &json_schema(), &mut |keys, _| {
        for key in keys.keys {
            let document = parse(key.example, &[]).unwrap_or_else(|error| panic!("{}: {error}", key.example));
            let value = document.root.get(key.name).unwrap_or_else(|| panic!("{}", key.example));
            let mut found = Vec::new();
            structure::check(&key.form, value, key.name, &mut found);
            assert!(found.is_empty(), "{}: {found:?}", key.example);
        }
    });
}

/// Every word that the tables accept is one that the plan understands: none falls back to a default in silence.
#[test]
fn every_word_of_the_tables_reaches_the_plan() {
    fn words(key: &str) -> Vec<&'static str> {
        let mut all = Vec::new();
        visit_tables(&Form::Table(&MANIFEST), &json_schema(), &mut |keys, _| {
            if let Some(Key { form: Form::Choice(words), .. }) = keys.get(key) {
                all.extend(words.iter().map(|Word { word, .. }| *word));
            }
        });
        assert!(!all.is_empty(), "{key}");
        all
    }
    for (section, key) in
        [("study", "mix"), ("run", "on_interrupt"), ("run", "duplicates"), ("journal", "sync")]
    {
        let mut plans = Vec::new();
        for word in words(key) {
            let plan = plan(&format!("{section}.{key} = {word:?}\n{SMALL}"));
            assert!(!plans.contains(&plan), "{key} = {word} changes nothing");
            plans.push(plan);
        }
    }
}

#[test]
fn odd_files_are_read() {
    let with_mark = format!("\u{feff}{}", SMALL.replace('\n', "\r\n").replace("trials = 5", "trails = 5"));
    check_error(&with_mark, "8:1 budget has no key \"trails\"", &["did you mean"]);
    let wide = small_with("x = ", "\"größe\" = ").replace("float =", "flota =");
    check_error(&wide, "4:13 space.größe has no key \"flota\"", &["did you mean \"float\"?"]);
    // a name becomes that of a folder
    let named = |length: usize| format!("study.name = \"{}\"\n{SMALL}", "n".repeat(length));
    assert_eq!(plan(&named(100)).name.len(), 100);
    check_error(&named(101), "1:14 study.name must be a name of at most 100 letters", &[]);
    let error = Manifest::read(Path::new("/nonexistent/study.toml"), &[]).unwrap_err();
    assert!(error.render(false).contains("the manifest cannot be read"), "{error}");
    let control = format!("study.name = \"a\\u001b[31mb\"\n{SMALL}");
    let text = plan_with(&control, &[]).unwrap_err().render(false);
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

/// Splits a text into words, numbers, blanks and single signs.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        let end = match is_word(first) {
            true => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (token, after) = rest.split_at(end);
        tokens.push(token);
        rest = after;
    }
    tokens
}

#[test]
fn no_manifest_makes_the_checker_panic() {
    let odd = [
        "\"",
        "'",
        "[",
        "]",
        "{",
        "}",
        "=",
        ",",
        "\n",
        "nan",
        "inf",
        "-1",
        "0",
        "1e999",
        "99999999999999999999",
        "2020-01-01",
        "true",
        "\"\"",
        "é",
        "\u{0}",
        "{}",
        "[]",
        "when",
        "#",
        "\t",
        "\r",
        "0x",
        "1..2",
        "🦀",
    ];
    let schema = json_schema();
    let (streams, mut draw_count) = (Streams::new(20_240_601), 0);
    let mut below = |bound: usize| {
        draw_count += 1;
        (streams.trial_seed(draw_count) % bound as u64) as usize
    };
    let digits = starter("digits").unwrap();
    let mut counts = [0; 3];
    for round in 0..1500 {
        let source = if round % 2 == 0 { FULL } else { &digits };
        let mut parts = tokens(source);
        for _ in 0..=below(3) {
            let index = below(parts.len());
            match below(4) {
                0 => drop(parts.remove(index)),
                1 => parts.insert(index, parts[index]),
                2 => parts[index] = odd[below(odd.len())],
                _ => {
                    let other = below(parts.len());
                    parts.swap(index, other);
                }
            }
        }
        let source = parts.concat();
        let path = parts[below(parts.len())];
        let overrides = [format!("strategy.0.{path}={}", odd[below(odd.len())])];
        let overrides = if round % 3 == 0 { &overrides[..] } else { &[] };
        let diagnostics = match Manifest::parse(source, Path::new("study.toml"), overrides) {
            Err(diagnostics) => {
                counts[0] += 1;
                diagnostics
            }
            Ok(manifest) => {
                let mut diagnostics = manifest.plan().err().unwrap_or_default();
                if diagnostics.is_empty() {
                    let mut found = Vec::new();
                    options::check(&manifest.root, &schema, &schema, "manifest", &mut found);
                    assert!(found.is_empty(), "a plan that the schema refuses: {found:?}");
                }
                counts[if diagnostics.is_empty() { 2 } else { 1 }] += 1;
                diagnostics.extend(manifest.check_options(Section::Strategy(0), &schema));
                diagnostics.extend(manifest.check_options(Section::Objective, &schema));
                diagnostics
            }
        };
        diagnostics.render(round % 5 == 0);
        diagnostics.to_json();
    }
    assert!(counts.iter().all(|count| *count > 30), "syntax errors, other errors, plans: {counts:?}");
}
