//! Studies with each strategy that ships, alone, from a manifest to what the journal holds.

use crate::scenario;
use ansatz_core::study::Study;
use ansatz_tests::StoredStudy;
use std::path::Path;

const STRATEGIES: [&str; 9] =
    ["grid", "random", "sobol", "annealing", "bayesian", "cmaes", "evolution", "tpe", "local"];

/// A study on Branin's function, with two slots.
fn branin(strategy: &str, seed: u64, trials: u64) -> String {
    format!(
        r#"
study = {{ name = "branin", seed = {seed} }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "branin" }} }}
strategy = [{{ plugin = "{strategy}" }}]
budget = {{ trials = {trials} }}
run = {{ slots = 2 }}
"#
    )
}

/// Every kind of parameter, with conditions: the function `pipeline` of the objective `synthetic`.
fn pipeline(strategy: &str) -> String {
    format!(
        r#"
[metrics]
value = "minimise"
[space]
model = {{ categorical = ["linear", "forest", "network"] }}
standardise = "bool"
penalty = {{ float = [1e-6, 100.0], scale = "log", when = {{ model = "linear" }} }}
tree_count = {{ int = [10, 1000], scale = "log", when = {{ model = "forest" }} }}
tree_depth = {{ int = [1, 32], when = {{ model = "forest" }} }}
layer_count = {{ int = [1, 6], when = {{ model = "network" }} }}
batch_size = {{ ordinal = [16, 32, 64, 128, 256], when = {{ model = "network" }} }}
learning_rate = {{ float = [1e-5, 1.0], scale = "log", when = {{ model = "network" }} }}
regularise = {{ bool = true, when = {{ model = "network" }} }}
dropout = {{ float = [0.0, 0.9], when = {{ regularise = true }} }}
[objective]
plugin = "synthetic"
options = {{ function = "pipeline" }}
[[strategy]]
plugin = "{strategy}"
[budget]
trials = 25
"#
    )
}

#[track_caller]
fn run(manifest: &str) -> Study {
    let scenario = scenario();
    scenario.run(manifest).expect(0);
    StoredStudy::read(&scenario.journal(), None).study
}

/// Branin's function; Surjanovic and Bingham 2013.
fn branin_value(x1: f64, x2: f64) -> f64 {
    let pi = std::f64::consts::PI;
    let inner = x2 - 5.1 / (4.0 * pi * pi) * x1 * x1 + 5.0 / pi * x1 - 6.0;
    inner * inner + 10.0 * (1.0 - 1.0 / (8.0 * pi)) * x1.cos() + 10.0
}

#[test]
fn every_strategy_runs_a_study_to_the_end_of_its_budget() {
    for strategy in STRATEGIES {
        for (manifest, count) in [(branin(strategy, 3, 20), 20), (pipeline(strategy), 25)] {
            let study = run(&manifest);
            assert_eq!(study.trials().len(), count, "{strategy}");
            let space = &study.rules().problem.space;
            let mut least = f64::INFINITY;
            for trial in study.trials() {
                assert_eq!(space.check(&trial.point), Ok(()), "{strategy}, trial {}", trial.id);
                let measurement = trial.outcome.as_ref().and_then(|outcome| outcome.completed());
                least = least.min(measurement.unwrap().value("value").unwrap());
            }
            assert_eq!(study.incumbent().least(0), Some(least), "{strategy}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trials_and_another_seed_others() {
    for strategy in STRATEGIES {
        let points = |seed| {
            // one slot: with two, the order in which trials end is the machine's
            let study = run(&branin(strategy, seed, 15).replace("slots = 2", "slots = 1"));
            study.trials().iter().map(|trial| trial.point.clone()).collect::<Vec<_>>()
        };
        let (first, again, other) = (points(7), points(7), points(8));
        assert_eq!(first, again, "{strategy}");
        // a grid has no randomness unless it is shuffled
        assert_eq!(first == other, strategy == "grid", "{strategy}");
    }
}

#[test]
fn a_grid_visits_every_point_once_and_finds_the_best() {
    let manifest = branin("grid", 0, 1000)
        .replace("float = [-5.0, 10.0]", "int = [-5, 10], step = 5")
        .replace("float = [0.0, 15.0]", "int = [0, 15], step = 3")
        .replace("trials = 1000", "until_exhausted = true");
    let study = run(&manifest);
    let mut visited: Vec<(f64, f64)> =
        study.trials().iter().map(|trial| (trial.point.flat()[0], trial.point.flat()[1])).collect();
    visited.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let all: Vec<(f64, f64)> = [-5.0, 0.0, 5.0, 10.0]
        .into_iter()
        .flat_map(|x1| [0.0, 3.0, 6.0, 9.0, 12.0, 15.0].map(|x2| (x1, x2)))
        .collect();
    assert_eq!(visited, all);
    let best = all.iter().map(|(x1, x2)| branin_value(*x1, *x2)).fold(f64::INFINITY, f64::min);
    let found = study.incumbent().least(0).unwrap();
    assert!((found - best).abs() < 1e-12, "{found} found, {best} is there");
}

#[test]
fn strategies_of_one_study_hear_of_each_other_and_take_turns() {
    let manifest = branin("random", 5, 20).replace(
        r#"[{ plugin = "random" }]"#,
        r#"[{ plugin = "random" }, { plugin = "annealing" }, { plugin = "sobol" }]"#,
    );
    let study = run(&manifest);
    let counts: Vec<u64> = study.members().iter().map(|member| member.trial_count).collect();
    assert_eq!(counts, [7, 7, 6]);
}

#[test]
fn the_commands_that_read_agree_with_the_journal() {
    let scenario = scenario();
    let summary = {
        scenario.write("study.toml", &branin("sobol", 1, 12));
        scenario.ansatz(&["run", "study.toml", "--quiet", "--json"]).expect(0).json()
    };
    assert_eq!(summary["end"], "trial-count");
    let study = StoredStudy::read(&scenario.journal(), None).study;
    let best = study.incumbent().first().unwrap();
    let value = study.incumbent().least(0).unwrap();
    let shown = scenario.ansatz(&["best", "--json"]).expect(0).json();
    assert_eq!(shown[0]["trial"], best.0);
    assert_eq!(shown[0]["metrics"]["value"], value);
    assert_eq!(summary["best"], shown);
    let listed = scenario.ansatz(&["list", "--json"]).expect(0).json();
    assert_eq!(listed[0]["trials"]["completed"], 12);
    let all = scenario.ansatz(&["show", "branin", "--json"]).expect(0).json();
    assert_eq!(all["all_trials"].as_array().unwrap().len(), 12);
    let one = scenario.ansatz(&["show", "--trial", &best.0.to_string(), "--json"]).expect(0).json();
    assert_eq!(one, shown[0]);
    let table = scenario.ansatz(&["export"]).expect(0).stdout;
    assert_eq!(table.lines().count(), 13, "{table}");
    scenario.ansatz(&["show", "--trial", "12"]).expect(7);
    scenario.ansatz(&["show", "brannin"]).expect(7).expect_message(&["brannin", "did you mean \"branin\""]);
}

#[test]
fn what_init_writes_can_be_checked_and_run() {
    let scenario = scenario();
    for objective in ["command", "digits"] {
        let file = format!("{objective}.toml");
        scenario.ansatz(&["init", &file, "--objective", objective]).expect(0);
        if objective == "command" {
            let ended = scenario.ansatz(&["check", &file]).expect(3);
            ended.expect_message(&["script train.py was not found", "there is no file"]);
            scenario.write("train.py", "");
        }
        scenario.ansatz(&["check", &file]).expect(0);
        scenario.ansatz(&["init", &file, "--objective", objective]).expect(2).expect_message(&[&file]);
    }
    let smaller = ["--set", "budget.trials=3", "--set", "objective.options.epochs=2", "--quiet"];
    scenario.ansatz(&[&["run", "digits.toml"], &smaller[..]].concat()).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(3);
    assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"), "{:?}", stored.outcomes());
}

/// Every manifest that ships runs as it stands, but for the length of its study.
#[test]
fn the_examples_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut count = 0;
    for plugin in ["command", "digits", "synthetic"] {
        let folder = root.join("plugins").join(plugin).join("examples");
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let scenario = scenario();
            let manifest = path.to_str().unwrap();
            let journal = scenario.journal();
            let journal = journal.to_str().unwrap();
            // the examples of the article run in full: their length is part of what they show
            let is_article = path.file_name().unwrap().to_string_lossy().starts_with("article");
            let mut arguments = vec!["run", "--quiet", "--journal", journal, manifest];
            if !is_article {
                arguments.extend(["--set", "budget.trials=6"]);
            }
            scenario.ansatz(&arguments).expect(0);
            let stored = StoredStudy::read(&scenario.journal(), None);
            let trials = stored.study.trials();
            assert!(trials.len() >= 4 && stored.study.incumbent().first().is_some(), "{manifest}");
            if manifest.ends_with("article-grid.toml") {
                let points: std::collections::HashSet<_> = trials.iter().map(|trial| &trial.point).collect();
                assert_eq!((trials.len(), points.len()), (4, 4));
            }
            if manifest.ends_with("article-annealing.toml") {
                // from 100 by 0.99 down to 0.1: 688 moves, and the start
                assert_eq!(trials.len(), 689);
            }
            count += 1;
        }
    }
    assert!(count >= 7, "only {count} examples were found");
}

#[test]
fn the_manifest_of_the_reference_is_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join("docs/manifest.md")).unwrap();
    let manifest = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let scenario = scenario();
    scenario.write("reference.toml", manifest);
    scenario.write("train.py", "");
    std::fs::create_dir(scenario.path("plugins")).unwrap();
    scenario.ansatz(&["check", "reference.toml"]).expect(0);
}

/// Without a strategy in its manifest a study keeps those it began with, also where another budget would have had others.
#[test]
fn a_study_that_names_no_strategy_keeps_those_it_began_with() {
    let manifest = branin("random", 3, 3).replace("strategy = [{ plugin = \"random\" }]\n", "");
    let scenario = scenario();
    let ended = scenario.run(&manifest).expect(0);
    assert!(ended.stdout.contains("bayesian"), "{ended}");
    let more = ["resume", "--quiet", "--set", "budget.trials=5000", "--set", "budget.completed=5"];
    scenario.ansatz(&more).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    let labels: Vec<&str> = stored.study.rules().members.iter().map(|member| member.label.as_str()).collect();
    assert_eq!(labels, ["bayesian", "local", "cmaes", "tpe"]);
    assert!((5..8).contains(&stored.study.trials().len()));
    scenario.ansatz(&["replay", "branin"]).expect(0);
    let checked = scenario.ansatz(&["check", "study.toml"]).expect(0);
    assert!(checked.stdout.contains("strategy cmaes"), "{checked}");
}
