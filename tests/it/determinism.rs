//! The same manifest and seed give the same study, also when it was interrupted. With one slot, that is:
//! with more, trials end in the order that the machine likes.

use crate::scenario;
use ansatz_cli::journal;
use ansatz_core::rng::Rng;
use ansatz_core::study::{Record, Trial};
use ansatz_core::{Outcome, Point};
use ansatz_tests::scenario::finish;
use ansatz_tests::{Running, Scenario, StoredStudy};
use rand::RngExt;
use std::time::{Duration, Instant};

const TRIAL_COUNT: u64 = 60;

/// Strategies that learn and strategies that do not, and a measurement with noise from the trial's seed.
fn manifest(delay_ms: u32) -> String {
    format!(
        r#"
study = {{ name = "repeated", seed = 2024 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "noisy_branin", delay_ms = {delay_ms} }} }}
strategy = [{{ plugin = "sobol" }}, {{ plugin = "annealing" }}, {{ plugin = "bayesian" }}]
budget = {{ trials = {TRIAL_COUNT} }}
"#
    )
}

/// Everything of a trial but how long it took: who proposed it, its point, tag and outcome.
type Essence = (usize, Point, u64, Option<Outcome>);

fn essence(trial: &Trial) -> Essence {
    (trial.member, trial.point.clone(), trial.tag, trial.outcome.clone())
}

fn trials(scenario: &Scenario) -> Vec<Essence> {
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(TRIAL_COUNT);
    stored.study.trials().iter().map(essence).collect()
}

fn undisturbed() -> Vec<Essence> {
    let scenario = scenario();
    scenario.run(&manifest(0)).expect(0);
    trials(&scenario)
}

/// Compares trial by trial, so that the first difference is what one reads.
#[track_caller]
fn expect_same(left: &[Essence], right: &[Essence]) {
    for (number, (left, right)) in left.iter().zip(right).enumerate() {
        assert_eq!(left, right, "trial {number} differs");
    }
    assert_eq!(left.len(), right.len());
}

#[test]
fn a_study_repeats_bit_for_bit() {
    let first = undisturbed();
    expect_same(&first, &undisturbed());
    assert!(first.iter().all(|(.., outcome)| outcome.as_ref().is_some_and(|o| o.completed().is_some())));
}

/// How many trials were lost with a host so far; `None` before the study has begun.
fn lost_count(scenario: &Scenario) -> Option<usize> {
    let store = journal::open_read_only(&scenario.journal()).ok()?;
    store.studies().ok()?.first()?;
    let records = StoredStudy::read(&scenario.journal(), None).records();
    Some(records.iter().filter(|record| matches!(record, Record::Retried { .. })).count())
}

#[test]
fn a_study_that_was_killed_and_resumed_equals_one_that_was_not() {
    let scenario = scenario();
    scenario.write("study.toml", &manifest(5));
    let mut rng = Rng::new(4);
    let started = Instant::now();
    scenario.ansatz(&["check", "study.toml"]).expect(0);
    let mut patience = started.elapsed();
    loop {
        let lost = lost_count(&scenario);
        let arguments: &[&str] = match lost {
            Some(_) => &["resume", "--quiet"],
            None => &["run", "study.toml", "--quiet"],
        };
        let child = Running::start(&mut scenario.command(arguments));
        if lost >= Some(5) {
            finish(child).expect(0);
            break;
        }
        match child.wait(patience + Duration::from_secs_f64(rng.random_range(0.0..0.1))) {
            Ok(ended) => {
                ended.expect(0);
                break;
            }
            Err(running) => drop(running.kill()),
        }
        // it never got as far as to run a trial: on this machine it needs longer
        if lost_count(&scenario) == lost {
            patience = patience.mul_f64(1.1);
        }
    }
    assert!(lost_count(&scenario) > Some(0), "no kill hit a running trial");
    expect_same(&trials(&scenario), &undisturbed());
}

#[test]
fn a_study_in_two_parts_equals_one_in_one_part() {
    let scenario = scenario();
    scenario.run(&manifest(0).replace("trials = 60", "trials = 23")).expect(0);
    let ended = scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=60"]).expect(0);
    assert_eq!(ended.stderr, "");
    expect_same(&trials(&scenario), &undisturbed());
}
