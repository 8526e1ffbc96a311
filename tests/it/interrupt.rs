//! Somebody wants the host to end: politely, less politely. The study can be resumed either way.

use crate::scenario;
use ansatz_cli::journal::Entry;
use ansatz_tests::scenario::{PATIENCE, finish};
use ansatz_tests::{Running, Scenario, StoredStudy};
use std::process::Command;
use std::time::{Duration, Instant};

/// Trials that take their time, or end only when they are told to.
fn manifest(misdeed: &str, more: &str) -> String {
    format!(
        r#"
study = {{ name = "interrupted", seed = 1 }}
metrics = {{ value = "minimise" }}
space = {{ x = {{ float = [-5.0, 10.0] }} }}
objective = {{ plugin = "com.example.misbehaving-objective", options = {{ misdeed = "{misdeed}", attempts = 1 }} }}
strategy = [{{ plugin = "random" }}]
budget = {{ trials = 6 }}
run = {{ slots = 2{more} }}
"#
    )
}

fn terminate(child: &Running) {
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Lets the child run until its journal satisfies a condition.
#[track_caller]
fn run_until(scenario: &Scenario, mut child: Running, condition: impl Fn(&StoredStudy) -> bool) -> Running {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        match child.wait(Duration::from_millis(20)) {
            Ok(ended) => panic!("it ended too early: {ended}"),
            Err(running) => child = running,
        }
        let is_begun = ansatz_cli::session::read(&scenario.journal(), None).is_ok();
        if is_begun && condition(&StoredStudy::read(&scenario.journal(), None)) {
            return child;
        }
    }
    panic!("nothing happened within {PATIENCE:?}");
}

fn start(scenario: &Scenario, manifest: &str) -> Running {
    scenario.write("study.toml", manifest);
    Running::start(&mut scenario.command(&["run", "study.toml", "--quiet"]))
}

#[test]
fn asked_once_the_host_lets_running_trials_end() {
    let scenario = scenario().with("ansatz-fault-misbehaving");
    let objective =
        "{ plugin = \"com.example.misbehaving-objective\", options = { misdeed = \"none\", attempts = 1 } }";
    let slow = "{ plugin = \"synthetic\", options = { function = \"ackley\", delay_ms = 300 } }";
    let child = start(&scenario, &manifest("none", "").replace(objective, slow));
    let child = run_until(&scenario, child, |stored| stored.study.finished_count() > 0);
    terminate(&child);
    let ended = finish(child).expect(130);
    assert!(ended.stderr.contains("interrupted"), "{ended}");
    let stored = StoredStudy::read(&scenario.journal(), None);
    assert!(stored.study.finished_count() < 6);
    assert_eq!(stored.study.pending().len(), 0, "what ran was not waited for");
    assert!(matches!(stored.entries.last().unwrap().entry, Entry::Closed { .. }));
    scenario.ansatz(&["resume", "--quiet"]).expect(0);
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(6);
}

#[test]
fn asked_twice_it_stops_them_and_they_are_run_again_on_resume() {
    let scenario = scenario().with("ansatz-fault-misbehaving");
    let child = start(&scenario, &manifest("hang-until-stopped", ""));
    let child = run_until(&scenario, child, |stored| stored.study.pending().len() == 2);
    terminate(&child);
    // two signals at once would be one
    let child =
        child.wait(Duration::from_millis(300)).expect_err("the first one waits for trials that never end");
    terminate(&child);
    finish(child).expect(130);
    let stored = StoredStudy::read(&scenario.journal(), None);
    assert_eq!((stored.study.finished_count(), stored.study.pending().len()), (0, 2));
    let ended =
        scenario.ansatz(&["resume", "--quiet", "--set", "run.trial_timeout=100ms", "--set", "run.retries=1"]);
    ended.expect(0);
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(6);
}
