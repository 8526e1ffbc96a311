//! Studies in virtual time, by the program itself.

use crate::scenario;
use serde_json::Value;

fn manifest(trials: u64, more: &str) -> String {
    format!(
        r#"
study = {{ name = "virtual", seed = 3 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "noisy_branin" }} }}
strategy = [{{ plugin = "annealing" }}, {{ plugin = "cmaes" }}]
budget = {{ trials = {trials} }}
{more}
"#
    )
}

#[test]
fn one_worker_asks_for_what_a_study_with_one_slot_asks_for() {
    for seed in ["3", "4"] {
        let scenario = scenario();
        let set = format!("study.seed={seed}");
        scenario.write("study.toml", &manifest(60, ""));
        scenario.ansatz(&["run", "study.toml", "--quiet", "--set", &set]).expect(0);
        let best = &scenario.ansatz(&["best", "--json"]).expect(0).json()[0];
        let words = ["simulate", "study.toml", "--set", &set, "--workers", "1", "--turn-time", "0", "--json"];
        let simulated = scenario.ansatz(&words).expect(0).json();
        let run = &simulated["runs"][0];
        assert_eq!(run["best_trial"], best["trial"]);
        assert_eq!(run["best"], best["metrics"]["value"]);
        assert_eq!((&run["trials"], &run["lost"]), (&Value::from(60), &Value::from(0)));
        assert!(run["seconds"].as_f64().unwrap() > 1000.0, "a median of a minute for each: {run}");
    }
}

#[test]
fn a_thousand_workers_are_a_moment_and_the_same_each_time() {
    let scenario = scenario();
    scenario.write("study.toml", &manifest(3000, ""));
    let words =
        ["simulate", "study.toml", "--workers", "10,1000", "--crashes", "0.05", "--stragglers", "0.1"];
    let first = scenario.ansatz(&words).expect(0).stdout;
    assert_eq!(scenario.ansatz(&words).expect(0).stdout, first);
    assert!(first.lines().count() == 3 && first.contains("trials/h"), "{first}");
    let runs = scenario.ansatz(&[&words[..], &["--json", "--seeds", "2"]].concat()).expect(0).json();
    let runs = runs["runs"].as_array().unwrap().clone();
    assert_eq!(runs.len(), 4);
    assert!(runs.iter().all(|run| run["trials"] == 3000 && run["lost"].as_u64().unwrap() > 50));
    let seconds = |index: usize| runs[index]["seconds"].as_f64().unwrap();
    assert!(seconds(0) > 10.0 * seconds(2), "{} and {}", seconds(0), seconds(2));
}

#[test]
fn what_cannot_be_simulated_is_refused() {
    let scenario = scenario();
    scenario.write("study.toml", &manifest(10, "early_stopping = { plugin = \"median\" }"));
    scenario.ansatz(&["simulate", "study.toml"]).expect(2).expect_message(&["[early_stopping]"]);
    scenario.write("study.toml", &manifest(10, "").replace("trials = 10", "wall_time = \"1h\""));
    scenario.ansatz(&["simulate", "study.toml"]).expect(2).expect_message(&["budget.wall_time"]);
    scenario.write("study.toml", &manifest(10, ""));
    for wrong in [["--median", "fast"], ["--stragglers", "1"], ["--spread", "nan"], ["--ask-time", "1m"]] {
        let ended = scenario.ansatz(&[&["simulate", "study.toml"][..], &wrong].concat()).expect(2);
        assert!(ended.stderr.contains(wrong[0]), "{ended}");
    }
}
