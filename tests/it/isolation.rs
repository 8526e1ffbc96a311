//! Plugins that do what no `catch_unwind` survives, in processes of their own: the study always finishes, nothing is
//! lost, and each message says what happened.

use crate::scenario;
use ansatz_core::study::{Record, Remedy};
use ansatz_core::{Failure, Outcome};
use ansatz_tests::{Ended, Scenario, StoredStudy};

const MISBEHAVING: &str = "ansatz-fault-misbehaving";
const STRATEGY: &str = "com.example.misbehaving-strategy";

/// A strategy that did not ship with the host, and so has a process of its own.
fn strategy(label: &str, options: &str, more: &str) -> String {
    format!("{{ plugin = \"{STRATEGY}\", label = \"{label}\", options = {{ {options} }}{more} }}")
}

fn manifest(strategies: &[String], trials: u64, slots: u64, more: &str) -> String {
    format!(
        r#"
study = {{ name = "isolated", seed = 12 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "branin" }} }}
strategy = [{}]
budget = {{ trials = {trials} }}
run = {{ slots = {slots} }}
{more}
"#,
        strategies.join(", ")
    )
}

fn run(manifest: &str) -> (Scenario, Ended) {
    let scenario = scenario().with(MISBEHAVING);
    let ended = scenario.run(manifest);
    (scenario, ended)
}

fn remedies(stored: &StoredStudy, of: usize) -> Vec<Remedy> {
    let remedy = |record| match record {
        Record::Broke { member, remedy, .. } if member == of => Some(remedy),
        _ => None,
    };
    stored.records().into_iter().filter_map(remedy).collect()
}

/// A study of 4 trials with one strategy, which breaks at its third call; it is made anew once, and then replaced.
#[track_caller]
fn survives(options: &str, more: &str, parts: &[&str]) {
    let strategy = strategy("only", &format!("{options}, after = 2"), more);
    let (scenario, ended) = run(&manifest(&[strategy], 6, 1, "plugins = { restarts = 1 }"));
    let ended = ended.expect(0);
    for part in parts {
        assert!(ended.stderr.contains(part), "nothing about {part:?}\n{ended}");
    }
    assert!(ended.stderr.contains("made anew (1 of 1)"), "{ended}");
    assert!(ended.stderr.contains("random proposes in its place from trial 4 on"), "{ended}");
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(6);
    assert_eq!(remedies(&stored, 0), [Remedy::Restart, Remedy::Fallback]);
    assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"));
}

#[test]
fn what_ends_a_process_is_told_by_its_signal_or_code() {
    survives("misdeed = \"segfault\"", "", &[STRATEGY, "in ask", "signal 11 (SIGSEGV)"]);
    survives("misdeed = \"abort\"", "", &["in ask", "signal 6 (SIGABRT)"]);
    survives("misdeed = \"exit\"", "", &["in ask", "ended with exit code 0"]);
    survives(
        "misdeed = \"overflow-stack\"",
        "",
        &["signal 6 (SIGABRT)", "plugin-only.log", "stack overflow, aborting"],
    );
    survives(
        "misdeed = \"eat-memory\"",
        ", memory = \"400MiB\"",
        &["in ask", "signal 6 (SIGABRT)", "memory allocation of"],
    );
}

#[test]
fn an_endless_loop_is_ended_at_the_deadline_of_the_call() {
    let hang = ", call_timeout = \"300ms\"";
    survives("misdeed = \"hang\"", hang, &["in ask", "did not answer within 300ms, and was killed"]);
    let strategy = strategy("only", "misdeed = \"hang-in-tell\", after = 1", hang);
    let (scenario, ended) = run(&manifest(&[strategy], 6, 1, "plugins = { restarts = 1 }"));
    let ended = ended.expect(0);
    assert!(ended.stderr.contains("in tell: did not answer within 300ms"), "{ended}");
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(6);
    // who resumes is not made to wait for what hung
    let started = std::time::Instant::now();
    let ended = scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=7"]).expect(0);
    assert_eq!(ended.stderr, "", "after {:?}", started.elapsed());
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(7);
}

#[test]
fn what_a_strategy_prints_is_no_answer() {
    let strategy = strategy("only", "misdeed = \"prints\"", "");
    let (scenario, ended) = run(&manifest(&[strategy], 6, 1, ""));
    assert_eq!(ended.expect(0).stderr, "");
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(6);
    let log = scenario.path("work/ansatz.db.d/isolated/plugin-only.log");
    assert!(std::fs::read_to_string(log).unwrap().contains("suggestions"), "what it printed is in its log");
}

#[test]
fn a_process_that_dies_once_is_replaced_and_nothing_changes() {
    let with = |options: &str| {
        let scenario = scenario().with(MISBEHAVING);
        let memory = scenario.path("work/remembered");
        let options = format!("{options}, after = 3, memory = \"{}\"", memory.display());
        let ended = scenario.run(&manifest(&[strategy("only", &options, "")], 8, 1, "")).expect(0);
        let stored = StoredStudy::read(&scenario.journal(), None);
        stored.expect_each_trial_once(8);
        assert_eq!(remedies(&stored, 0), []);
        let points: Vec<_> = stored.study.trials().iter().map(|trial| trial.point.clone()).collect();
        (points, ended)
    };
    let (undisturbed, ended) = with("misdeed = \"none\"");
    assert_eq!(ended.stderr, "");
    let (points, ended) = with("misdeed = \"segfault-once\"");
    assert!(
        ended.stderr.contains("signal 11") && ended.stderr.contains("its process is replaced"),
        "{ended}"
    );
    assert_eq!(points, undisturbed);
}

#[test]
fn two_hundred_trials_with_eight_slots_and_four_of_five_strategies_misbehaving() {
    for isolation in ["", ", isolation = \"none\""] {
        let broken = if isolation.is_empty() {
            // each of them in turn: after some good calls, again and again
            vec![
                strategy("panics", "misdeed = \"panic-in-ask\", after = 3", ""),
                strategy("segfaults", "misdeed = \"segfault\", after = 5", ""),
                strategy("loops", "misdeed = \"hang\", after = 4", ", call_timeout = \"200ms\""),
                strategy("lies", "misdeed = \"outside\", after = 2", ""),
            ]
        } else {
            vec![strategy("panics", "misdeed = \"panic-in-ask\", after = 3", isolation)]
        };
        let mut strategies = vec!["{ plugin = \"sobol\" }".to_owned()];
        strategies.extend(broken);
        let (scenario, ended) = run(&manifest(&strategies, 200, 8, ""));
        let ended = ended.expect(0);
        let stored = StoredStudy::read(&scenario.journal(), None);
        stored.expect_each_trial_once(200);
        assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"), "all are told");
        let expected = [Remedy::Restart, Remedy::Restart, Remedy::Restart, Remedy::Fallback];
        assert_eq!(remedies(&stored, 0), []);
        for member in 1..strategies.len() {
            assert_eq!(remedies(&stored, member), expected, "strategy {member}\n{ended}");
            let of_member = stored.study.trials().iter().filter(|trial| trial.member == member).count();
            assert_eq!(of_member, 200 / strategies.len(), "each keeps its share");
        }
        // and all of it again, from the journal
        let ended = scenario.ansatz(&["resume", "--quiet"]).expect(0);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn an_objective_that_dies_costs_its_attempt_and_not_the_study() {
    for (misdeed, part) in [("abort", "signal 6 (SIGABRT)"), ("hang", "time limit of 300ms")] {
        let manifest = format!(
            r#"
study = {{ name = "isolated", seed = 12 }}
metrics = {{ value = "minimise" }}
space = {{ x = {{ float = [-5.0, 10.0] }} }}
objective = {{ plugin = "com.example.misbehaving-objective", options = {{ misdeed = "{misdeed}", every = 3 }} }}
strategy = [{{ plugin = "random" }}]
budget = {{ trials = 8 }}
run = {{ slots = 3, trial_timeout = "300ms" }}
"#
        );
        let (scenario, ended) = run(&manifest);
        ended.expect(0);
        let stored = StoredStudy::read(&scenario.journal(), None);
        stored.expect_each_trial_once(8);
        for trial in stored.study.trials() {
            match trial.outcome.as_ref().unwrap() {
                Outcome::Failed { failure, reason } => {
                    assert!(trial.id.0.is_multiple_of(3) && reason.contains(part), "{}: {reason}", trial.id);
                    let expected = if misdeed == "hang" { Failure::Timeout } else { Failure::Crash };
                    assert_eq!(*failure, expected);
                }
                other => assert!(!trial.id.0.is_multiple_of(3), "trial {} is {}", trial.id, other.kind()),
            }
        }
    }
}

#[test]
fn isolated_or_not_a_study_is_the_same_bit_for_bit() {
    let with = |isolation: &str| {
        let strategies: Vec<String> = ["bayesian", "annealing", "sobol"]
            .map(|name| format!("{{ plugin = \"{name}\", isolation = \"{isolation}\" }}"))
            .to_vec();
        let (scenario, ended) = run(&manifest(&strategies, 45, 1, ""));
        assert_eq!(ended.expect(0).stderr, "");
        let stored = StoredStudy::read(&scenario.journal(), None);
        stored.study.trials().iter().map(|trial| trial.point.clone()).collect::<Vec<_>>()
    };
    assert_eq!(with("none"), with("process"));
}
