//! `ansatz plugins check`: every case catches what it is for and nothing else, and what ships conforms.

use crate::scenario;
use ansatz_tests::libraries::{SHIPPED, library};
use ansatz_tests::{Ended, Running, Scenario};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const NONCONFORMING: &str = "ansatz-fault-nonconforming";

/// Longer than a check of many components takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Each component of the library that does not conform: the case that is meant for it, and what that comes to.
const MISDEEDS: [(&str, &str, &str); 73] = [
    ("long-summary", "metadata", "failed"),
    ("no-schema", "option-schema", "failed"),
    ("wrong-default", "default-options", "failed"),
    ("takes-any-option", "unknown-option", "failed"),
    ("float-sign", "float-parameters", "failed"),
    ("float-log-range", "float-log-parameters", "failed"),
    ("float-between-steps", "float-step-parameters", "failed"),
    ("int-halves", "int-parameters", "failed"),
    ("int-log-fraction", "int-log-parameters", "failed"),
    ("int-between-steps", "int-step-parameters", "failed"),
    ("choice-from-one", "categorical-parameters", "failed"),
    ("half-true", "bool-parameters", "failed"),
    ("ordinal-by-value", "ordinal-parameters", "failed"),
    ("zero-width", "one-value-parameters", "failed"),
    ("always-active", "conditional-parameters", "failed"),
    ("unconstrained", "linear-constraints", "failed"),
    ("unforbidden", "forbidden-combinations", "failed"),
    ("claims-less", "unclaimed-capabilities", "failed"),
    ("one-too-many", "ask-counts", "failed"),
    ("waits", "waiting", "failed"),
    ("little-room", "many-pending-trials", "failed"),
    ("used-up", "finite-space", "failed"),
    ("not-exhausted", "exhaustion", "failed"),
    ("exits-on-failure", "failed-trials", "crashed"),
    ("aborts-on-infeasible", "infeasible-trials", "crashed"),
    ("panics-on-stopped", "stopped-trials", "failed"),
    ("needs-a-best", "nothing-but-failures", "failed"),
    ("in-order", "late-results", "failed"),
    ("number-as-index", "foreign-observations", "failed"),
    ("own-points-only", "points-elsewhere", "failed"),
    ("hears-twice", "told-twice", "failed"),
    ("takes-nan", "losses-not-finite", "failed"),
    ("overflow", "extreme-losses", "failed"),
    ("no-spread", "equal-losses", "failed"),
    ("divides-by-error", "standard-errors", "failed"),
    ("only-loss", "multi-objective", "failed"),
    ("needs-feasible", "outcome-constraints", "failed"),
    ("too-faithful", "fidelity", "failed"),
    ("counts-itself", "same-seed", "failed"),
    ("shared-generator", "nothing-shared", "failed"),
    ("process-seed", "every-process", "failed"),
    ("counts-calls", "replay", "failed"),
    ("one-thread", "other-threads", "failed"),
    ("draws-to-recommend", "recommendations", "failed"),
    ("forgetful-snapshot", "snapshot", "failed"),
    ("forgets-pending", "snapshot-while-pending", "failed"),
    ("trusts-states", "wrong-snapshot", "crashed"),
    ("short-memory", "many-observations", "failed"),
    ("few-parameters", "random-studies", "failed"),
    ("prints", "strategy-output", "failed"),
    ("leaves-threads", "strategy-threads", "failed"),
    ("leaks", "strategy-memory", "failed"),
    ("measures-nan", "measurements", "failed"),
    // measurements may be noisy, and evaluations may be unable to stop
    ("drifts", "same-measurement", "warning"),
    ("unstoppable", "stopping", "warning"),
    ("not-alone", "evaluations-at-once", "failed"),
    ("numbers-only", "strange-problems", "failed"),
    ("prints-measurements", "objective-output", "failed"),
    ("leaves-workers", "objective-threads", "failed"),
    ("leaks-data", "objective-memory", "failed"),
    ("by-chance", "rule-repeats", "failed"),
    ("needs-numbers", "rule-answers", "failed"),
    ("prejudiced", "rule-evidence", "failed"),
    ("merciless", "rule-completes", "warning"),
    ("optimistic", "rule-ends", "failed"),
    ("one-metric", "rule-several-metrics", "failed"),
    ("asked-once", "rule-promotions", "failed"),
    ("impatient", "rule-promotions", "failed"),
    ("reviver", "rule-promotions", "failed"),
    ("hasty", "rule-promotions", "failed"),
    ("twice-over", "rule-promotions", "failed"),
    ("lottery", "rule-promotions", "failed"),
    ("little-memory", "rule-many-reports", "failed"),
];

fn check(scenario: &Scenario, package: &str, more: &[&str]) -> Ended {
    let path = library(package);
    let arguments = [&["plugins", "check", path.to_str().unwrap()], more].concat();
    match Running::start(&mut scenario.command(&arguments)).wait(PATIENCE) {
        Ok(ended) => ended,
        Err(running) => panic!("it did not end within {PATIENCE:?}:\n{}", running.kill()),
    }
}

/// The cases of a report that came to anything of note, with their components.
fn notable(report: &Value) -> BTreeSet<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let results = report["results"].as_array().unwrap().iter();
    results
        .filter(|result| !["passed", "skipped"].contains(&result["verdict"].as_str().unwrap()))
        .map(|result| (text(&result["name"]), text(&result["case"]), text(&result["verdict"])))
        .collect()
}

fn listed(scenario: &Scenario) -> Vec<Value> {
    let list = scenario.ansatz(&["plugins", "check", "--list", "--json"]).expect(0).json();
    list.as_array().unwrap().clone()
}

#[test]
fn every_misdeed_is_caught_by_its_case() {
    let scenario = scenario();
    for (name, case, verdict) in &MISDEEDS {
        let component = format!("com.example.broken.{name}");
        let arguments = ["--json", "--component", &component, "--only", case];
        let output = scenario.ansatz(
            &[&["plugins", "check", library(NONCONFORMING).to_str().unwrap()], &arguments[..]].concat(),
        );
        let report = output.json();
        assert_eq!(report["results"][0]["verdict"], *verdict, "{report:#}");
    }
}

/// Every case on every misdeed: some thousands of processes.
#[test]
fn every_case_catches_one_misdeed_and_no_other() {
    if !ansatz_tests::slow_tests_run() {
        return;
    }
    let scenario = scenario();
    let report = check(&scenario, NONCONFORMING, &["--json"]).expect(4).json();
    let expected: BTreeSet<(String, String, String)> = (MISDEEDS.iter())
        .map(|(name, case, verdict)| {
            (format!("com.example.broken.{name}"), (*case).to_owned(), (*verdict).to_owned())
        })
        .collect();
    let found = notable(&report);
    assert!(found == expected, "{:#?}\n{report:#}", found.symmetric_difference(&expected));
    let names = report["results"].as_array().unwrap().iter().filter_map(|result| result["name"].as_str());
    assert_eq!(names.collect::<BTreeSet<_>>().len(), MISDEEDS.len());
    assert_eq!(report["is_conforming"], false);
    assert_eq!((&report["crashed"], &report["warnings"]), (&3.into(), &3.into()));
}

#[test]
fn there_is_a_misdeed_for_every_case() {
    let listed = listed(&scenario());
    let ids: BTreeSet<&str> = listed.iter().map(|case| case["case"].as_str().unwrap()).collect();
    // a plugin that does not load has a test of its own
    let caught: BTreeSet<&str> = MISDEEDS.iter().map(|(_, case, _)| *case).chain(["loads"]).collect();
    assert_eq!(caught, ids);
}

#[test]
fn a_plugin_that_does_not_load_has_one_result() {
    let scenario = scenario();
    for (package, verdict, part) in [
        ("ansatz-fault-nonconforming-slow", "crashed", "had not ended"),
        ("ansatz-fault-not-a-plugin", "failed", "not an Ansatz plugin"),
    ] {
        let report = check(&scenario, package, &["--json", "--timeout", "1"]).expect(4).json();
        assert_eq!(report["results"].as_array().unwrap().len(), 1, "{report:#}");
        let result = &report["results"][0];
        assert_eq!((&result["case"], &result["verdict"]), (&"loads".into(), &verdict.into()), "{report:#}");
        assert!(result["text"].as_str().unwrap().contains(part), "{report:#}");
    }
}

#[test]
fn a_case_that_hangs_ends_with_its_time() {
    let scenario = scenario();
    let component = ["--component", "com.example.broken.unstoppable"];
    let arguments = [&component[..], &["--only", "stopping", "--timeout", "2"]].concat();
    let ended = check(&scenario, NONCONFORMING, &arguments).expect(0);
    assert!(ended.stdout.contains("still runs after"), "{ended}");
}

/// The manifest with which a shipped objective is checked; strategies need none.
fn problem(package: &str) -> Option<&'static str> {
    match package {
        "ansatz-objective-command" => Some("plugins/command/examples/study.toml"),
        "ansatz-objective-digits" => Some("plugins/digits/examples/article-grid.toml"),
        "ansatz-objective-synthetic" => Some("plugins/synthetic/examples/branin.toml"),
        _ => None,
    }
}

#[test]
fn what_ships_conforms() {
    if !ansatz_tests::slow_tests_run() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let scenario = scenario();
    for package in SHIPPED {
        let manifest = problem(package).map(|manifest| root.join(manifest));
        let mut arguments = vec!["--json"];
        if let Some(manifest) = &manifest {
            arguments.extend(["--problem", manifest.to_str().unwrap()]);
        }
        let report = check(&scenario, package, &arguments).expect(0).json();
        // how long an ask takes depends on the machine and the build
        let found: Vec<_> =
            notable(&report).into_iter().filter(|found| found.1 != "many-observations").collect();
        assert_eq!(found, [], "{package}: {report:#}");
        if manifest.is_some() {
            assert_eq!(report["skipped"], 0, "{package}: {report:#}");
        }
        assert!(report["passed"].as_u64().unwrap() >= 11, "{package}: {report:#}");
    }
}

#[test]
fn a_rule_has_trials_go_on_by_the_options_of_a_manifest() {
    let scenario = scenario();
    let manifest = r#"
        metrics = { loss = "minimise" }
        space = { x = { float = [0.0, 1.0] } }
        objective = { plugin = "com.example.curve" }
        strategy = [{ plugin = "random" }]
        budget = { trials = 10 }

        [early_stopping]
        plugin = "successive-halving"
        options = { variant = "promotion", steps_max = 27 }
    "#;
    let path = scenario.write("study.toml", manifest);
    let package = "ansatz-early-stopping-successive-halving";
    for (more, part) in [
        (&["--only", "rule-promotions"][..], "it has none of "),
        (&["--problem", path.to_str().unwrap()], "stopped trials went on, from 60 points"),
    ] {
        let report = check(&scenario, package, &[&["--json"], more].concat()).expect(0).json();
        let results = report["results"].as_array().unwrap();
        let promotions = results.iter().find(|result| result["case"] == "rule-promotions").unwrap();
        assert!(promotions["text"].as_str().unwrap().contains(part), "{report:#}");
        assert_eq!(report["passed"], results.len(), "{report:#}");
    }
}

#[test]
fn a_person_reads_one_line_for_each_case() {
    let scenario = scenario();
    let name = "com.example.broken.takes-nan";
    let only =
        ["--component", name, "--only", "losses-not-finite", "--only", "snapshot", "--only", "same-seed"];
    let ended = check(&scenario, NONCONFORMING, &[&only[..], &["--seed", "7"]].concat()).expect(4);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{ended}");
    assert_eq!(lines[0], format!("strategy {name}"));
    for (line, parts) in lines[1..].iter().zip([
        ["FAILED", "losses-not-finite", "it takes a loss that is NaN"],
        ["ok", "same-seed", "Equal seeds"],
        ["skipped", "snapshot", "it does not claim snapshot"],
        ["1 passed", "1 failed", "1 skipped (seed 7)"],
    ]) {
        assert!(parts.iter().all(|part| line.contains(part)), "{ended}");
    }
    check(&scenario, NONCONFORMING, &["--only", "same-sed"])
        .expect(2)
        .expect_message(&["did you mean \"same-seed\""]);
    check(&scenario, NONCONFORMING, &["--component", "com.example.broken", "--only", "loads"])
        .expect(7)
        .expect_message(&["offers no com.example.broken"]);
    let ended = scenario.ansatz(&["plugins", "check"]).expect(2);
    assert!(ended.stderr.contains("<PATH>"), "{ended}");
}

#[test]
fn the_cases_of_the_documentation_are_those_of_the_program() {
    let rows = listed(&scenario()).into_iter().map(|case| {
        let text = |key: &str| case[key].as_str().unwrap().to_owned();
        format!("| `{}` | {} | {} |\n", text("case"), text("about"), text("sentence"))
    });
    let table: String = rows.collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let documented = std::fs::read_to_string(path).unwrap();
    let documented = documented.split("| case | about |").nth(1).unwrap();
    let is_row = |line: &&str| line.starts_with("| `");
    let rows: String = documented.lines().filter(is_row).map(|line| format!("{line}\n")).collect();
    assert!(rows == table, "docs/conformance.md should have these rows:\n{table}");
}
