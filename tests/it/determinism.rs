//! The same manifest and seed give the same study, also when it was interrupted. With one slot, or with
//! `deterministic`: else trials end in the order that the machine likes, and count in that order.

use crate::scenario;
use ansatz_cli::journal::{self, Entry};
use ansatz_core::rng::Rng;
use ansatz_core::study::{Record, Trial};
use ansatz_core::{Outcome, Point};
use ansatz_tests::scenario::finish;
use ansatz_tests::{Running, Scenario, StoredStudy};
use rand::RngExt;
use std::time::Duration;

const TRIAL_COUNT: u64 = 60;

/// Strategies that learn and strategies that do not, and a measurement with noise from the trial's seed.
fn manifest(delay_ms: u32) -> String {
    format!(
        r#"
study = {{ name = "repeated", seed = 2024 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "noisy_branin", delay_ms = {delay_ms} }} }}
strategy = [{{ plugin = "sobol" }}, {{ plugin = "annealing" }}, {{ plugin = "bayesian" }}, {{ plugin = "cmaes" }},
    {{ plugin = "evolution", options = {{ population_size = 8, shrink = false }} }}]
budget = {{ trials = {TRIAL_COUNT} }}
"#
    )
}

/// Everything of a trial but how long it took: who proposed it, its point, tag and outcome.
type Essence = (Option<usize>, Point, u64, Option<Outcome>);

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

/// How many records there are; `None` before the study has begun.
fn record_count(scenario: &Scenario) -> Option<usize> {
    let store = journal::open_read_only(&scenario.journal()).ok()?;
    store.studies().ok()?.first()?;
    Some(records(scenario).len())
}

/// Runs `study.toml` and resumes it, with a SIGKILL after some records each time, up to so many.
fn run_with_kills(scenario: &Scenario, resume: &[&str], kill_count: u32, seed: u64) {
    let mut rng = Rng::new(seed);
    for kill in 0.. {
        let before = record_count(scenario);
        let resume = [&["resume", "--quiet"], resume].concat();
        let run = ["run", "study.toml", "--quiet"];
        let mut child = Running::start(&mut scenario.command(if before.is_some() { &resume } else { &run }));
        if kill == kill_count {
            finish(child).expect(0);
            break;
        }
        let enough = before.unwrap_or(0) + rng.random_range(1..9);
        let ended = loop {
            match child.wait(Duration::from_millis(1)) {
                Ok(ended) => break Some(ended),
                Err(running) => child = running,
            }
            if record_count(scenario) >= Some(enough) {
                child.kill();
                break None;
            }
        };
        if let Some(ended) = ended {
            ended.expect(0);
            break;
        }
    }
    let lost = records(scenario).iter().filter(|record| matches!(record, Record::Retried { .. })).count();
    assert!(lost > 0, "no kill hit a running trial");
}

#[test]
fn a_study_that_was_killed_and_resumed_equals_one_that_was_not() {
    let scenario = scenario();
    scenario.write("study.toml", &manifest(5));
    run_with_kills(&scenario, &[], 5, 4);
    expect_same(&trials(&scenario), &undisturbed());
}

#[test]
fn an_adaptive_mix_that_was_killed_and_resumed_equals_one_that_was_not() {
    let adaptive = |delay_ms| manifest(delay_ms).replace("seed = 2024", "seed = 2024, mix = \"adaptive\"");
    let (calm, stormy) = (scenario(), scenario());
    calm.run(&adaptive(0)).expect(0);
    stormy.write("study.toml", &adaptive(5));
    run_with_kills(&stormy, &[], 5, 6);
    let calm_trials = trials(&calm);
    expect_same(&trials(&stormy), &calm_trials);
    // The one that learns is given more than a third, and everybody something.
    let count = |member| calm_trials.iter().filter(|(proposer, ..)| *proposer == Some(member)).count();
    assert!(count(2) > 20 && count(0).min(count(1)) > 1, "{} {} {}", count(0), count(1), count(2));
    let shown = calm.ansatz(&["show"]).expect(0).stdout;
    assert!(shown.contains("next share"), "{shown}");
    let strategies = calm.ansatz(&["show", "--json"]).expect(0).json()["strategies"].clone();
    let shares =
        strategies.as_array().unwrap().iter().map(|strategy| strategy["next_share"].as_f64().unwrap());
    assert!((shares.sum::<f64>() - 1.0).abs() < 1e-9, "{strategies}");
}

/// The same study with outcomes that count in the order of trials, eight asked ahead. Some trials take ten times as
/// long as others.
fn deterministic(slots: usize) -> String {
    let delays = "delay_ms = 4, delay_spread = 1.0";
    manifest(0).replace("delay_ms = 0", delays) + &format!("run = {{ slots = {slots}, deterministic = 8 }}\n")
}

fn export(scenario: &Scenario) -> String {
    scenario.ansatz(&["export", "--repeatable"]).expect(0).stdout
}

fn records(scenario: &Scenario) -> Vec<Record> {
    StoredStudy::read(&scenario.journal(), None).records()
}

#[test]
fn with_deterministic_the_number_of_slots_does_not_matter() {
    let exports: Vec<String> = [1, 2, 8]
        .into_iter()
        .map(|slots| {
            let scenario = scenario();
            scenario.run(&deterministic(slots)).expect(0);
            trials(&scenario);
            let arrived = records(&scenario).iter().filter(|r| matches!(r, Record::Arrived { .. })).count();
            assert!(slots == 1 || arrived > 10, "hardly anything ended out of order: {arrived}");
            export(&scenario)
        })
        .collect();
    assert_eq!(exports[0].lines().count() as u64, 1 + TRIAL_COUNT);
    assert_eq!(exports[0], exports[1]);
    assert_eq!(exports[0], exports[2]);
    // where the order of the ends counts, it is another study: had it been the same, the above would say nothing
    let scenario = scenario();
    scenario.run(&deterministic(8).replace("deterministic = 8", "deterministic = false")).expect(0);
    assert_ne!(export(&scenario), exports[0]);
    // but what its strategies knew when they were asked is on record, and with that they propose the same
    let replayed = scenario.ansatz(&["replay"]).expect(0);
    for strategy in ["sobol", "annealing", "bayesian", "cmaes", "evolution"] {
        let line = format!("{strategy} proposes all of its 12 trials again, bit for bit");
        assert!(replayed.stdout.contains(&line), "{replayed}");
    }
    assert_eq!(scenario.ansatz(&["replay", "--json"]).expect(0).json()["same"], true);
}

#[test]
fn a_deterministic_study_on_many_slots_that_was_killed_equals_one_that_was_not() {
    let (calm, stormy) = (scenario(), scenario());
    calm.run(&deterministic(1)).expect(0);
    stormy.write("study.toml", &deterministic(4));
    let kill_count = if ansatz_tests::slow_tests_run() { 20 } else { 6 };
    run_with_kills(&stormy, &["--set", "run.slots=8"], kill_count, 5);
    trials(&stormy);
    assert_eq!(export(&stormy), export(&calm));
}

/// A network that trains, whose trials take as long as they take.
fn deterministic_digits(slots: usize) -> String {
    format!(
        r#"
study = {{ name = "digits", seed = 8 }}
metrics = {{ validation_loss = "minimise" }}
objective = {{ plugin = "digits", options = {{ epochs = 2 }} }}
strategy = [{{ plugin = "sobol" }}, {{ plugin = "bayesian" }}, {{ plugin = "annealing" }}]
budget = {{ trials = {TRIAL_COUNT} }}
run = {{ slots = {slots}, deterministic = 8 }}
[space]
learning_rate = {{ float = [1e-4, 1.0], scale = "log" }}
batch_size = {{ int = [8, 256], scale = "log" }}
hidden_units = {{ int = [8, 64], scale = "log" }}
"#
    )
}

#[test]
fn a_network_is_tuned_the_same_way_on_any_number_of_slots_and_over_kills() {
    let exports = [1, 2, 8].map(|slots| {
        let scenario = scenario();
        scenario.run(&deterministic_digits(slots)).expect(0);
        trials(&scenario);
        export(&scenario)
    });
    assert_eq!(exports[0], exports[1]);
    assert_eq!(exports[0], exports[2]);
    let stormy = scenario();
    stormy.write("study.toml", &deterministic_digits(2));
    let kill_count = if ansatz_tests::slow_tests_run() { 20 } else { 4 };
    run_with_kills(&stormy, &["--set", "run.slots=4"], kill_count, 7);
    trials(&stormy);
    assert_eq!(export(&stormy), exports[0]);
}

#[test]
fn the_window_of_a_deterministic_study_is_fixed_when_it_begins() {
    let scenario = scenario();
    let begun = deterministic(2).replace("deterministic = 8", "deterministic = true").replace("= 60", "= 9");
    scenario.run(&begun).expect(0);
    let other = ["resume", "--quiet", "--set", "run.slots=4", "--set", "budget.trials=12"];
    scenario.ansatz(&other).expect(2).expect_message(&["2 trials ahead", "--set run.deterministic=2"]);
    let same = [&other[..], &["--set", "run.deterministic=2"]].concat();
    scenario.ansatz(&same).expect(0);
}

#[test]
fn a_study_in_two_parts_equals_one_in_one_part() {
    let scenario = scenario();
    scenario.run(&manifest(0).replace("trials = 60", "trials = 23")).expect(0);
    let ended = scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=60"]).expect(0);
    assert_eq!(ended.stderr, "");
    expect_same(&trials(&scenario), &undisturbed());
}

/// What `run --resume` took from an edited manifest is not undone by a later session that sets something else.
#[test]
fn an_edited_manifest_holds_in_later_sessions() {
    let scenario = scenario();
    let first = manifest(0).replace("trials = 60", "trials = 5");
    scenario.run(&first).expect(0);
    scenario.write("study.toml", &first.replace("trials = 5", "trials = 9"));
    scenario.ansatz(&["run", "study.toml", "--resume", "--quiet"]).expect(0);
    let budgets = || -> Vec<Option<u64>> {
        let entries = StoredStudy::read(&scenario.journal(), None).entries.into_iter();
        let plans = entries.filter_map(|entry| match entry.entry {
            Entry::Opened(opened) => opened.plan,
            _ => None,
        });
        plans.map(|plan| plan.rules.budget.trial_count).collect()
    };
    scenario.ansatz(&["resume", "--quiet", "--set", "run.slots=3"]).expect(0);
    assert_eq!(budgets(), [Some(9); 2]);
    scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=11"]).expect(0);
    scenario.ansatz(&["resume", "--quiet", "--set", "run.slots=2"]).expect(0);
    assert_eq!(budgets(), [9, 9, 11, 11].map(Some));
}

/// With a window of eight trials and one slot, seven of them wait when the host dies.
#[test]
fn trials_that_were_asked_ahead_are_not_lost_with_the_host() {
    let scenario = scenario();
    let text =
        manifest(30).replace("trials = 60", "trials = 16") + "run = { slots = 1, deterministic = 8 }\n";
    scenario.write("study.toml", &text);
    let mut child = Running::start(&mut scenario.command(&["run", "study.toml", "--quiet"]));
    while record_count(&scenario) < Some(10) {
        match child.wait(Duration::from_millis(1)) {
            Ok(ended) => panic!("it ended before it was killed: {ended}"),
            Err(running) => child = running,
        }
    }
    child.kill();
    scenario.ansatz(&["resume", "--quiet"]).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(16);
    let lost = stored.records().iter().filter(|record| matches!(record, Record::Retried { .. })).count();
    assert!(lost <= 1, "{lost} attempts are counted as lost where one was under way");
}
