//! Plugins that misbehave while a study runs: what they break is recorded with a reason, what they do not
//! break goes on, and the journal stays sound. Whatever can be survived in the host is tried there and in a process
//! of its own; what cannot is in `isolation`.

use crate::scenario;
use ansatz_core::study::{Record, Remedy};
use ansatz_core::{Failure, Outcome};
use ansatz_tests::{Ended, Scenario, StoredStudy};
use serde_json::json;

const MISBEHAVING: &str = "ansatz-fault-misbehaving";

/// A study with this objective, in the host, and these strategies; 6 trials.
fn manifest(objective: &str, strategies: &str, more: &str) -> String {
    isolated(objective, "none", strategies, more)
}

fn isolated(objective: &str, isolation: &str, strategies: &str, more: &str) -> String {
    format!(
        r#"
study = {{ name = "faulty", seed = 11 }}
metrics = {{ value = "minimise" }}
space = {{ x = {{ float = [-5.0, 10.0] }}, y = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "com.example.misbehaving-objective", options = {{ {objective} }}, isolation = "{isolation}" }}
strategy = [{strategies}]
budget = {{ trials = 6 }}
{more}
"#
    )
}

fn with_objective(options: &str, run: &str) -> String {
    manifest(options, "{ plugin = \"random\" }", &format!("run = {{ {run} }}"))
}

/// Strategies that break are asked no more at once, and nobody takes their place.
const NO_MERCY: &str = "plugins = { restarts = 0, fallback = false }";

fn misbehaving(options: &str) -> String {
    format!("{{ plugin = \"com.example.misbehaving-strategy\", options = {{ {options} }} }}")
}

fn run(manifest: &str) -> (Scenario, Ended) {
    let scenario = scenario().with(MISBEHAVING);
    let ended = scenario.run(manifest);
    (scenario, ended)
}

/// Runs a study whose objective does one thing wrong in trials 0, 2 and 4, and gives what became of these.
#[track_caller]
fn every_other_trial(misdeed: &str, isolation: &str, run_section: &str) -> Vec<Outcome> {
    let options = format!("misdeed = \"{misdeed}\", every = 2");
    let run_section = format!("run = {{ {run_section} }}");
    let (scenario, ended) = run(&isolated(&options, isolation, "{ plugin = \"random\" }", &run_section));
    ended.expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(6);
    let (odd, even): (Vec<_>, Vec<_>) = stored.study.trials().iter().partition(|trial| trial.id.0 % 2 == 1);
    for trial in odd {
        assert_eq!(
            trial.outcome.as_ref().unwrap().kind(),
            "completed",
            "trial {} did nothing wrong",
            trial.id
        );
    }
    even.iter().map(|trial| trial.outcome.clone().unwrap()).collect()
}

#[track_caller]
fn fails(misdeed: &str, run_section: &str, failure: Failure, part: &str) {
    for isolation in ["none", "process"] {
        fails_in(misdeed, isolation, run_section, failure, part);
    }
}

#[track_caller]
fn fails_in(misdeed: &str, isolation: &str, run_section: &str, failure: Failure, part: &str) {
    for outcome in every_other_trial(misdeed, isolation, run_section) {
        match outcome {
            Outcome::Failed { failure: found, reason } => {
                assert_eq!(found, failure, "{reason}");
                assert!(reason.contains(part), "nothing about {part:?}: {reason}");
            }
            other => panic!("{misdeed} should fail: {other:?}"),
        }
    }
}

#[test]
fn an_objective_that_panics_fails_its_trial_and_says_where() {
    fails("panic", "", Failure::Panic, "in evaluate, as asked for");
    fails("panic", "", Failure::Panic, "objective.rs:");
}

#[test]
fn measurements_that_are_no_numbers_or_not_there_fail_their_trial() {
    fails("nan", "", Failure::Measurement, "metric value is NaN");
    fails("infinite", "", Failure::Measurement, "metric value is infinite");
    fails("missing-metric", "", Failure::Measurement, "metric value was not reported");
}

#[test]
fn an_objective_may_say_that_it_failed_or_cannot_judge() {
    fails("failed", "", Failure::Objective, "the disk is on fire");
    for isolation in ["none", "process"] {
        for outcome in every_other_trial("infeasible", isolation, "") {
            assert_eq!(outcome, Outcome::Infeasible { reason: "no such machine, as asked for".into() });
        }
    }
}

#[test]
fn an_objective_that_hangs_costs_its_trial_and_not_the_study() {
    fails("hang-until-stopped", "trial_timeout = \"100ms\", slots = 3", Failure::Timeout, "100ms");
    // it ignores the request to stop: the slot gets a new thread after the grace time
    fails_in("hang", "none", "trial_timeout = \"100ms\", slots = 3", Failure::Timeout, "given up");
    // a process of its own is killed
    fails_in("hang", "process", "trial_timeout = \"100ms\", slots = 3", Failure::Timeout, "100ms");
}

#[test]
fn an_objective_may_print_what_it_likes() {
    for isolation in ["none", "process"] {
        let outcomes = every_other_trial("prints", isolation, "slots = 2");
        assert!(outcomes.iter().all(|outcome| outcome.completed().is_some()), "{outcomes:?}");
    }
}

#[test]
fn a_retry_follows_a_failure_but_not_a_measurement_that_would_come_again() {
    let count_retries = |stored: &StoredStudy| {
        stored.records().iter().filter(|record| matches!(record, Record::Retried { .. })).count()
    };
    let (scenario, ended) = run(&with_objective("misdeed = \"failed\", attempts = 1", "retries = 1"));
    ended.expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    assert!(stored.study.trials().iter().all(|trial| trial.attempt == 2), "{:?}", stored.study.trials());
    assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"), "{:?}", stored.outcomes());
    assert_eq!(count_retries(&stored), 6);
    let (scenario, ended) = run(&with_objective("misdeed = \"nan\"", "retries = 1"));
    ended.expect(6);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(6);
    assert_eq!(count_retries(&stored), 0);
}

#[test]
fn too_many_failures_in_a_row_stop_the_study_which_can_be_resumed() {
    let (scenario, ended) = run(&with_objective("misdeed = \"failed\"", "stop_after_failures = 4"));
    ended.expect(6);
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(4);
    // whoever resumes has looked at why
    scenario.ansatz(&["resume", "--quiet"]).expect(6);
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(6);
}

#[test]
fn an_objective_that_takes_the_host_down_leaves_a_journal_to_resume_from() {
    let (scenario, ended) = run(&with_objective("misdeed = \"abort\", every = 3", "on_interrupt = \"fail\""));
    assert_eq!(ended.code(), None, "the host died of a signal: {ended}");
    let mut session_count = 1;
    while scenario.ansatz(&["resume", "--quiet"]).code().is_none() {
        session_count += 1;
        assert!(session_count < 10, "it never gets past the trial that kills it");
    }
    assert_eq!(session_count, 2, "trials 0 and 3 end the host, once each");
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(6);
    let kinds: Vec<&str> = stored.outcomes().iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, ["failed", "completed", "completed", "failed", "completed", "completed"]);
}

/// A study whose only strategy does something wrong at its third call.
#[track_caller]
fn lone_strategy(options: &str, code: i32, finished_count: u64, parts: &[&str]) {
    let (scenario, ended) = run(&manifest("", &misbehaving(options), NO_MERCY));
    let ended = ended.expect(code);
    for part in parts {
        assert!(ended.stderr.contains(part), "nothing about {part:?}\n{ended}");
    }
    assert!(ended.stderr.lines().count() < 15, "{ended}");
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(finished_count);
}

#[test]
fn a_strategy_that_breaks_ends_a_study_that_has_no_other() {
    let name = "com.example.misbehaving-strategy";
    lone_strategy(
        "misdeed = \"panic-in-ask\", after = 2",
        4,
        2,
        &[name, "in ask, as asked for", "strategy.rs:"],
    );
    lone_strategy("misdeed = \"error-in-ask\", after = 2", 4, 2, &[name, "cannot go on"]);
    lone_strategy("misdeed = \"outside\", after = 2", 4, 2, &[name, "not in the space"]);
    lone_strategy("misdeed = \"too-many\", after = 2", 4, 2, &[name, "2 suggestions when asked for 1"]);
    lone_strategy("misdeed = \"panic-in-tell\", after = 2", 4, 3, &[name, "in tell, as asked for"]);
}

#[test]
fn a_strategy_that_cannot_be_made_is_refused_before_the_study_begins() {
    let (scenario, ended) = run(&manifest("", &misbehaving("misdeed = \"panic-in-new\""), ""));
    ended.expect(4).expect_message(&["com.example.misbehaving-strategy", "in new, as asked for"]);
    assert!(!scenario.journal().exists());
}

#[test]
fn a_strategy_that_says_nothing_more_ends_the_study() {
    lone_strategy("misdeed = \"exhausted\", after = 2", 0, 2, &[]);
    lone_strategy("misdeed = \"waits\", after = 2", 0, 2, &[]);
    // no trial completed
    lone_strategy("misdeed = \"exhausted\"", 6, 0, &[]);
    lone_strategy("misdeed = \"waits\"", 6, 0, &[]);
}

#[test]
fn the_others_go_on_without_a_strategy_that_broke() {
    for misdeed in ["panic-in-ask", "panic-in-tell", "outside", "exhausted"] {
        let both = format!(
            "{}, {{ plugin = \"random\" }}",
            misbehaving(&format!("misdeed = \"{misdeed}\", after = 1"))
        );
        let (scenario, ended) = run(&manifest("", &both, NO_MERCY));
        let ended = ended.expect(0);
        let is_broken = misdeed != "exhausted";
        assert_eq!(ended.stderr.contains("goes on without it"), is_broken, "{ended}");
        let stored = StoredStudy::read(&scenario.journal(), None);
        stored.expect_each_trial_once(6);
        // what is exhausted stays so; what broke gets another chance when somebody resumes, and hears the
        // results first
        scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=8"]).expect(0);
        let stored = StoredStudy::read(&scenario.journal(), None);
        stored.expect_each_trial_once(8);
        let later = &stored.study.trials()[6..];
        let has_another_chance = later.iter().any(|trial| trial.member == Some(0));
        assert_eq!(has_another_chance, is_broken, "{misdeed}: {later:?}");
    }
}

#[test]
fn a_strategy_that_does_not_repeat_itself_is_noticed_and_the_journal_wins() {
    let (scenario, ended) = run(&manifest("", &misbehaving("misdeed = \"unrepeatable\""), ""));
    ended.expect(0);
    let before = StoredStudy::read(&scenario.journal(), None);
    let replayed = scenario.ansatz(&["replay"]).expect(4);
    assert!(replayed.stdout.contains("differs first at trial 0\n  on record\n    x"), "{replayed}");
    let replayed = scenario.ansatz(&["replay", "--json"]).expect(4).json();
    let difference = &replayed["differences"][0];
    assert_eq!((&replayed["same"], &difference["trial"]), (&json!(false), &json!(0)));
    let point = |points: &serde_json::Value| points[0]["x"].as_f64().unwrap();
    assert_ne!(point(&difference["recorded"]), point(&difference["now"]));
    let ended = scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=9"]).expect(0);
    assert!(ended.stderr.contains("no longer answers as recorded at trial 0"), "{ended}");
    let after = StoredStudy::read(&scenario.journal(), None);
    after.expect_each_trial_once(9);
    assert_eq!(after.study.trials()[..6], before.study.trials()[..]);
}

/// It proposes as recorded as far as anybody can tell, since it is not asked after it broke.
#[test]
fn a_plugin_that_breaks_only_when_it_is_read_back_does_not_repeat_the_study() {
    let scenario = scenario().with(MISBEHAVING);
    let memory = scenario.path("another-build");
    let rule = |misdeed: &str| {
        format!(
            "early_stopping = {{ plugin = \"com.example.misbehaving-rule\", options = {{ misdeed = \"{misdeed}\", memory = \"{}\" }} }}",
            memory.display()
        )
    };
    let strategy = |misdeed: &str| {
        misbehaving(&format!("misdeed = \"{misdeed}\", after = 2, memory = \"{}\"", memory.display()))
    };
    for (name, strategy, rule, what) in [
        ("strategy", strategy("panic-in-tell-later"), rule("none"), "breaks before trial"),
        ("rule", strategy("none"), rule("panic-at-end-later"), "differs first at"),
    ] {
        let manifest = manifest("", &strategy, &rule).replace("\"faulty\"", &format!("\"{name}\""));
        scenario.run(&manifest).expect(0);
        scenario.ansatz(&["replay", name]).expect(0);
        std::fs::write(&memory, "").unwrap();
        let replayed = scenario.ansatz(&["replay", name]).expect(4);
        assert!(replayed.stdout.contains(what) && replayed.stdout.contains("as asked for"), "{replayed}");
        assert_eq!(scenario.ansatz(&["replay", name, "--json"]).expect(4).json()["same"], false);
        let resumed = scenario.ansatz(&["resume", name, "--quiet", "--set", "budget.trials=8"]);
        assert!(resumed.stderr.contains("where it did not"), "{resumed}");
        std::fs::remove_file(&memory).unwrap();
    }
}

/// Whatever it is told breaks it, also when it is made anew and hears all of it: as on record.
#[test]
fn a_strategy_that_breaks_whenever_it_is_told_repeats_that() {
    let (scenario, ended) = run(&manifest("", &misbehaving("misdeed = \"panic-in-tell\""), ""));
    ended.expect(0);
    let replayed = scenario.ansatz(&["replay"]).expect(0);
    assert!(!replayed.stderr.contains("has changed"), "{replayed}");
}

/// What was done about strategies that broke, in order.
fn remedies(stored: &StoredStudy) -> Vec<Remedy> {
    let remedy = |record| match record {
        Record::Broke { remedy, .. } => Some(remedy),
        _ => None,
    };
    stored.records().into_iter().filter_map(remedy).collect()
}

#[test]
fn a_strategy_that_keeps_breaking_is_made_anew_three_times_and_then_the_fallback_proposes() {
    for isolation in ["none", "process"] {
        for misdeed in ["panic-in-ask", "panic-in-tell", "error-in-ask", "outside", "too-many"] {
            let strategy = format!(
                "{{ plugin = \"com.example.misbehaving-strategy\", isolation = \"{isolation}\", options = {{ misdeed = \"{misdeed}\", after = 1 }} }}"
            );
            let (scenario, ended) = run(&manifest("", &strategy, ""));
            let ended = ended.expect(0);
            assert!(ended.stderr.contains("it is made anew (3 of 3)"), "{ended}");
            assert!(ended.stderr.contains("random proposes in its place"), "{ended}");
            let stored = StoredStudy::read(&scenario.journal(), None);
            stored.expect_each_trial_once(6);
            let expected = [Remedy::Restart, Remedy::Restart, Remedy::Restart, Remedy::Fallback];
            assert_eq!(remedies(&stored), expected, "{misdeed}");
            let points: Vec<_> = stored.study.trials().iter().map(|trial| &trial.point).collect();
            let repeated = (1..points.len()).any(|index| points[..index].contains(&points[index]));
            assert!(!repeated, "a strategy that is made anew proposes what it proposed before: {points:?}");
            assert!(stored.study.trials().last().unwrap().is_by_fallback);
            // who resumes goes on with the fallback, and everything answers as recorded
            let ended = scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=8"]).expect(0);
            assert_eq!(ended.stderr, "", "{misdeed}");
            let again = StoredStudy::read(&scenario.journal(), None);
            again.expect_each_trial_once(8);
            assert_eq!(again.study.trials()[..6], stored.study.trials()[..]);
            assert_eq!(remedies(&again), expected, "{misdeed}");
            assert!(again.study.trials()[6..].iter().all(|trial| trial.is_by_fallback));
        }
    }
}

#[test]
fn another_build_of_a_strategy_that_was_replaced_gets_another_chance() {
    let strategy = misbehaving("misdeed = \"error-in-ask\", after = 1");
    let (scenario, ended) = run(&manifest("", &strategy, "plugins = { restarts = 0 }"));
    ended.expect(0);
    let library = scenario.strangers().join(ansatz_tests::libraries::file_name(MISBEHAVING));
    let mut bytes = std::fs::read(&library).unwrap();
    bytes.push(0);
    std::fs::remove_file(&library).unwrap();
    std::fs::write(&library, bytes).unwrap();
    let ended = scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=7"]).expect(0);
    assert!(ended.stderr.contains("another build"), "{ended}");
    let stored = StoredStudy::read(&scenario.journal(), None);
    assert_eq!(remedies(&stored), [Remedy::Fallback, Remedy::Renew]);
    assert!(!stored.study.trials()[6].is_by_fallback);
}
