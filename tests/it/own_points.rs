//! Points of people, results of earlier studies, and points that were asked for before.

use crate::scenario;
use ansatz_cli::{journal, session};
use ansatz_core::TrialId;
use ansatz_core::study::Record;
use ansatz_tests::scenario::finish;
use ansatz_tests::{Running, Scenario, StoredStudy};
use std::collections::HashSet;
use std::time::{Duration, Instant};

fn manifest(name: &str, space: &str, delay_ms: u32, rest: &str) -> String {
    format!(
        r#"
study = {{ name = "{name}", seed = 5 }}
metrics = {{ value = "minimise" }}
space = {{ {space} }}
objective = {{ plugin = "synthetic", options = {{ function = "branin", delay_ms = {delay_ms} }} }}
{rest}
"#
    )
}

const PLAIN: &str = "x1 = { float = [-5.0, 10.0] }, x2 = { float = [0.0, 15.0] }";

fn proposers(stored: &StoredStudy) -> Vec<String> {
    stored.study.trials().iter().map(|trial| stored.study.proposer(trial)).collect()
}

fn coordinates(stored: &StoredStudy, trial: u64) -> Vec<f64> {
    stored.study.trial(TrialId(trial)).unwrap().point.coordinates().flatten().collect()
}

#[test]
fn a_study_begins_with_the_points_of_its_manifest() {
    let scenario = scenario();
    let rest = "strategy = [{ plugin = \"random\" }]\nbudget = { trials = 4 }\n[[enqueue]]\nx1 = 3.0\nx2 = 2\n[[enqueue]]\nx1 = -1\nx2 = 7.5";
    scenario.run(&manifest("study", PLAIN, 0, rest)).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(4);
    assert_eq!(proposers(&stored), ["enqueued", "enqueued", "random", "random"]);
    assert_eq!((coordinates(&stored, 0), coordinates(&stored, 1)), (vec![3.0, 2.0], vec![-1.0, 7.5]));
    let shown = scenario.ansatz(&["show"]).expect(0);
    assert!(shown.stdout.contains("(enqueued)"), "{shown}");
    let replayed = scenario.ansatz(&["replay"]).expect(0);
    assert!(replayed.stdout.contains("all of its 2 trials again"), "{replayed}");
    let explained = scenario.ansatz(&["explain", "0"]).expect(0);
    assert!(explained.stdout.contains("somebody enqueued it"), "{explained}");
    let exported = scenario.ansatz(&["export"]).expect(0);
    assert!(exported.stdout.lines().nth(1).unwrap().contains("enqueued"), "{exported}");

    // those of the beginning are fixed; later ones have a command
    let more = rest.replace("x2 = 7.5", "x2 = 7.25");
    scenario.write("study.toml", &manifest("study", PLAIN, 0, &more));
    let refused = scenario.ansatz(&["run", "study.toml", "--resume"]).expect(2);
    assert!(refused.stderr.contains("ansatz enqueue study"), "{refused}");
}

#[test]
fn what_a_point_leaves_out_is_drawn_by_the_seed() {
    let rest = "strategy = [{ plugin = \"random\" }]\nbudget = { trials = 3 }\n[[enqueue]]\nx1 = 3.0\n[[enqueue]]\nx1 = 3.0";
    let [first, again] = [(), ()].map(|()| {
        let scenario = scenario();
        scenario.run(&manifest("study", PLAIN, 0, rest)).expect(0);
        let said = scenario.ansatz(&["enqueue", "study", "x2=2.5"]).expect(0);
        assert!(said.stdout.contains("with what was drawn: {\"x1\":"), "{said}");
        // and the manifest is still the same
        scenario.ansatz(&["run", "study.toml", "--resume", "--quiet", "--set", "budget.trials=4"]).expect(0);
        StoredStudy::read(&scenario.journal(), None)
    });
    let of = |trial| (coordinates(&first, trial), coordinates(&again, trial));
    assert_eq!((of(0).0, of(1).0), (of(0).1, of(1).1));
    assert_eq!((of(0).0[0], of(1).0[0]), (3.0, 3.0));
    assert_ne!(of(0).0[1], of(1).0[1]);
    assert_eq!((of(3).0[1], of(3).1[1]), (2.5, 2.5));
    assert_ne!(of(3).0[0], of(3).1[0], "nobody's seed");
}

#[test]
fn points_that_make_no_sense_are_refused_where_they_stand() {
    let scenario = scenario();
    for (point, said) in [
        ("x1 = 3.0\nx2 = 99", "help: allowed: from 0 to 15"),
        ("x1 = 3.0\nx3 = 1", "did you mean"),
        ("x1 = 3.0\nx2 = [1]", "must be a text, a number, true or false"),
    ] {
        let rest = format!("budget = {{ trials = 4 }}\n[[enqueue]]\n{point}");
        let refused = scenario.run(&manifest("study", PLAIN, 0, &rest)).expect(3);
        assert!(refused.stderr.contains(said) && refused.stderr.contains("study.toml:"), "{refused}");
    }
}

/// How many records of a kind there are.
fn count_of(scenario: &Scenario, is_meant: impl Fn(&Record) -> bool) -> usize {
    StoredStudy::read(&scenario.journal(), None).records().iter().filter(|record| is_meant(record)).count()
}

#[test]
fn a_point_that_is_enqueued_while_a_study_runs_comes_next() {
    let scenario = scenario();
    scenario.write(
        "study.toml",
        &manifest("study", PLAIN, 40, "strategy = [{ plugin = \"random\" }]\nbudget = { trials = 60 }"),
    );
    let child = Running::start(&mut scenario.command(&["run", "study.toml", "--quiet"]));
    let begun = Instant::now();
    while session::read(&scenario.journal(), None).map_or(0, |read| read.study.finished_count()) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = scenario.ansatz(&["enqueue", "study", "x1=1.5", "x2=4"]).expect(0);
    assert!(said.stdout.contains("as soon as a slot is free"), "{said}");
    scenario.write("points.jsonl", "{\"x1\": 2.5, \"x2\": 1}\n\n{\"x1\": 3.5, \"x2\": 2}\n");
    scenario.ansatz(&["enqueue", "study", "--file", "points.jsonl"]).expect(0);
    finish(child).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(60);
    let own: Vec<_> =
        stored.study.trials().iter().filter(|trial| trial.member.is_none()).map(|trial| trial.id.0).collect();
    assert_eq!(own.len(), 3);
    let firsts: Vec<f64> = own.iter().map(|trial| coordinates(&stored, *trial)[0]).collect();
    assert_eq!(firsts, [1.5, 2.5, 3.5], "in their order");
    assert!(own[0] < 40, "trial {} of 60 is not next", own[0]);

    // one that ends: it waits for whoever resumes the study, and is taken once
    for (values, said) in [(["x1=1.5", "x2=99"], "99 is not a value"), (["x1=1.5", "x3=1"], "x3")] {
        let refused = scenario.ansatz(&["enqueue", "study", values[0], values[1]]).expect(2);
        assert!(refused.stderr.contains(said), "{refused}");
    }
    scenario.ansatz(&["enqueue", "study", "x1=8.5", "x2=4"]).expect(0);
    let waiting = scenario.ansatz(&["enqueue", "study"]).expect(0);
    assert_eq!(waiting.stdout.trim(), "{\"x1\":8.5,\"x2\":4.0}");
    scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=62"]).expect(0);
    assert_eq!(coordinates(&StoredStudy::read(&scenario.journal(), None), 60)[0], 8.5);
    let waiting = scenario.ansatz(&["enqueue", "study"]).expect(0);
    assert!(waiting.stdout.contains("no point waits"), "{waiting}");
    let explained = scenario.ansatz(&["explain", "60"]).expect(0);
    assert!(!explained.stdout.contains("no trial had completed"), "{explained}");
    let shown = scenario.ansatz(&["show", "--json"]).expect(0).json();
    assert_eq!(shown["study"]["enqueued"].as_u64().or(shown["enqueued"].as_u64()), Some(4), "{shown}");
}

/// Hosts die between the record and the queue, among others.
#[test]
fn a_point_is_taken_once_however_often_the_host_dies() {
    let scenario = scenario();
    scenario.write(
        "study.toml",
        &manifest("study", PLAIN, 2, "strategy = [{ plugin = \"random\" }]\nbudget = { trials = 1 }"),
    );
    scenario.ansatz(&["run", "study.toml", "--quiet"]).expect(0);
    let mut sent = 0;
    for round in 0..15 {
        let more = format!("budget.trials={}", 400 + round);
        let child = Running::start(&mut scenario.command(&["resume", "--quiet", "--set", &more]));
        for _ in 0..2 {
            scenario.ansatz(&["enqueue", "study", &format!("x1={sent}e-3"), "x2=4"]).expect(0);
            sent += 1;
        }
        if let Err(running) = child.wait(Duration::from_millis(7 * round)) {
            running.kill();
        }
    }
    scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=450"]).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(450);
    let firsts: Vec<f64> = (stored.study.trials().iter().filter(|trial| trial.member.is_none()))
        .map(|trial| trial.point.get(0).unwrap())
        .collect();
    let expected: Vec<f64> = (0..sent).map(|number| f64::from(number) * 1e-3).collect();
    assert_eq!(firsts.len(), expected.len());
    assert!(firsts.iter().zip(&expected).all(|(found, sent)| (found - sent).abs() < 1e-12), "{firsts:?}");
    assert_eq!(count_of(&scenario, |record| matches!(record, Record::Enqueued { .. })), expected.len());
}

/// A program that takes any parameters and gives back the first.
fn of_any_space(manifest: String) -> String {
    let program = r#"objective = { plugin = "command", options = { shell = "echo \"{\\\"value\\\": $ANSATZ_PARAM_X1}\"" } }"#;
    let is_objective = |line: &&str| line.starts_with("objective");
    let objective = manifest.lines().find(is_objective).unwrap_or_default().to_owned();
    manifest.replace(&objective, program)
}

/// The old study has one parameter that is gone, lacks one that is new, and has a range of which a part is left.
#[test]
fn what_an_earlier_study_found_is_where_a_new_one_begins() {
    let scenario = scenario();
    let old = PLAIN.to_owned() + ", gone = { int = [1, 4] }";
    let sobol = "strategy = [{ plugin = \"sobol\" }]\nbudget = { trials = 40 }";
    scenario.run(&of_any_space(manifest("old", &old, 0, sobol))).expect(0);
    let new = "x1 = { float = [0.0, 20.0] }, x2 = { float = [0.0, 15.0] }, extra = { categorical = [\"a\", \"b\"] }";
    let transfer = "budget = { trials = 8 }\n[[transfer]]\nstudy = \"old\"\nrepeat = 2";
    scenario.write("new.toml", &of_any_space(manifest("new", new, 0, transfer)));
    let refused = scenario.ansatz(&["run", "new.toml"]).expect(2);
    assert!(refused.stderr.contains("defaults = { extra = ... }"), "{refused}");

    let transfer = transfer.to_owned() + "\ndefaults = { extra = \"b\" }";
    scenario.write("new.toml", &of_any_space(manifest("new", new, 0, &transfer)));
    let ran = scenario.ansatz(&["run", "new.toml"]).expect(0);
    assert!(ran.stderr.contains("passed over, because they are gone: gone"), "{ran}");
    let before = StoredStudy::read(&scenario.journal(), Some("old"));
    let fitting: Vec<_> =
        (before.study.trials().iter()).filter(|trial| trial.point.get(0).unwrap() >= 0.0).collect();
    let stored = StoredStudy::read(&scenario.journal(), Some("new"));
    stored.expect_each_trial_once(8);
    assert_eq!(stored.study.sources(), [("study old in ansatz.db".to_owned(), fitting.len())]);
    // the two best again, and from then on a model that has heard all of them
    let mut values: Vec<(f64, f64)> = fitting
        .iter()
        .map(|trial| {
            (
                trial.outcome.as_ref().unwrap().completed().unwrap().value("value").unwrap(),
                trial.point.get(0).unwrap(),
            )
        })
        .collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(proposers(&stored)[..3], ["enqueued", "enqueued", "bayesian"]);
    for (trial, (value, x1)) in (0..2).zip(&values) {
        let repeated = stored.study.trial(TrialId(trial)).unwrap();
        assert_eq!(coordinates(&stored, trial)[0], *x1);
        assert_eq!(repeated.outcome.as_ref().unwrap().completed().unwrap().value("value"), Some(*value));
        let point = stored.study.rules().problem.space.point_to_json(&repeated.point);
        assert_eq!(point["extra"], "b");
    }
    assert!(stored.study.trials()[2..].iter().all(|trial| trial.prediction.is_some()));
    let replayed = scenario.ansatz(&["replay", "new"]).expect(0);
    assert!(replayed.stdout.contains("all of its 6 trials again"), "{replayed}");

    // it goes on as it began, also where the same command is given again, and from what it began with, whatever is there now
    scenario.ansatz(&["resume", "old", "--quiet", "--set", "budget.trials=60"]).expect(0);
    let again = ["run", "new.toml", "--resume", "--quiet", "--set", "budget.trials=10"];
    let resumed = scenario.ansatz(&again).expect(0);
    assert!(!resumed.stderr.contains("no longer answers"), "{resumed}");
    assert_eq!(StoredStudy::read(&scenario.journal(), Some("new")).study.trials().len(), 10);
    assert!(scenario.ansatz(&["show", "new"]).expect(0).stdout.contains("they have heard"));
    let checked = scenario.ansatz(&["fsck"]).expect(0);
    assert!(!checked.stdout.contains("damaged"), "{checked}");
}

/// A host may die right after a study was created: nothing is on record, and the results of the earlier one are still meant.
#[test]
fn a_study_that_died_at_birth_still_hears_the_earlier_one() {
    let scenario = scenario();
    let sobol = "strategy = [{ plugin = \"sobol\" }]\nbudget = { trials = 20 }";
    scenario.run(&manifest("old", PLAIN, 0, sobol)).expect(0);
    let rest = "budget = { trials = 4 }\n[[transfer]]\nstudy = \"old\"";
    scenario.run(&manifest("new", PLAIN, 0, rest)).expect(0);
    let reader = journal::open_read_only(&scenario.journal()).unwrap();
    let mut header = reader.read("new").unwrap().header().clone();
    "again".clone_into(&mut header.plan.name);
    header.plan.journal.path = scenario.journal();
    drop(journal::open(&header.plan.journal).unwrap().create(header.clone()).unwrap());
    scenario.ansatz(&["resume", "again", "--quiet"]).expect(0);
    let (new, again) = (
        StoredStudy::read(&scenario.journal(), Some("new")),
        StoredStudy::read(&scenario.journal(), Some("again")),
    );
    assert_eq!((new.study.sources(), new.study.trials().len()), (again.study.sources(), 4));
    let points = |stored: &StoredStudy| -> Vec<_> {
        stored.study.trials().iter().map(|trial| trial.point.clone()).collect()
    };
    assert_eq!(points(&new), points(&again));

    // what a study begins with, and what becomes of duplicates, is fixed
    scenario.write(
        "study.toml",
        &manifest("new", PLAIN, 0, &rest.replace("study = \"old\"", "study = \"old\"\nresults = false")),
    );
    let refused = scenario.ansatz(&["run", "study.toml", "--resume"]).expect(2);
    assert!(refused.stderr.contains("what is transferred to it differs"), "{refused}");
    let refused = scenario.ansatz(&["resume", "new", "--set", "run.duplicates=\"resample\""]).expect(2);
    assert!(refused.stderr.contains("run.duplicates differs"), "{refused}");
    scenario
        .ansatz(&[
            "resume",
            "new",
            "--quiet",
            "--set",
            "run.duplicates=\"reuse\"",
            "--set",
            "budget.trials=5",
        ])
        .expect(0);
}

/// Whoever goes on with a study of an earlier version brings its store up to date; who only reads says how.
#[test]
fn a_store_of_an_earlier_version_is_brought_up_to_date_by_whoever_writes() {
    let golden = include_str!("../golden/journal-5.sql");
    for command in [
        &["resume", "golden", "--quiet", "--set", "budget.trials=8"][..],
        &["enqueue", "golden", "x1=1", "x2=2"],
    ] {
        let scenario = scenario();
        scenario.write("golden.sql", golden);
        let path = scenario.journal();
        rusqlite::Connection::open(&path).unwrap().execute_batch(golden).unwrap();
        let refused = scenario.ansatz(&["show", "golden"]);
        assert!(refused.stderr.contains("ansatz resume, run and enqueue bring it up to date"), "{refused}");
        scenario.ansatz(command).expect(0);
        let shown = scenario.ansatz(&["show", "golden"]).expect(0);
        assert!(shown.stdout.contains("sobol"), "{shown}");
    }
}

/// What was measured before is not what is measured now.
#[test]
fn results_that_do_not_hold_any_more_are_warned_of() {
    let scenario = scenario();
    let moved = |manifest: String| manifest.replace("\"branin\"", "\"branin\", instance = 3");
    let sobol = "strategy = [{ plugin = \"sobol\" }]\nbudget = { trials = 20 }";
    scenario.run(&manifest("old", PLAIN, 0, sobol)).expect(0);
    let rest = "budget = { trials = 4 }\n[[transfer]]\nstudy = \"old\"";
    let same = scenario.run(&manifest("same", PLAIN, 0, rest)).expect(0);
    assert!(!same.stderr.contains("misleads"), "{same}");
    let other = scenario.run(&moved(manifest("other", PLAIN, 0, rest))).expect(0);
    assert!(other.stderr.contains("misleads"), "{other}");
}

/// Points only, from a store of its own; and a study that is not there.
#[test]
fn a_transfer_may_repeat_points_and_tell_nothing() {
    let scenario = scenario();
    scenario
        .run(&manifest("old", PLAIN, 0, "strategy = [{ plugin = \"sobol\" }]\nbudget = { trials = 20 }"))
        .expect(0);
    std::fs::rename(scenario.journal(), scenario.path("work/elsewhere.db")).unwrap();
    let rest = "budget = { trials = 4 }\n[[transfer]]\nstudy = \"old\"\nstore = \"elsewhere.db\"\nresults = false\nrepeat = 3";
    scenario.run(&manifest("new", PLAIN, 0, rest)).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), Some("new"));
    assert_eq!(proposers(&stored)[..3], ["enqueued"; 3]);
    assert_eq!(stored.study.sources(), []);
    assert_eq!(count_of(&scenario, |record| matches!(record, Record::Transferred { .. })), 0);
    let simulated = scenario.ansatz(&["simulate", "study.toml"]).expect(2);
    assert!(simulated.stderr.contains("nothing is transferred here"), "{simulated}");
    let missing = rest.replace("study = \"old\"", "study = \"odl\"");
    let refused = scenario.run(&manifest("third", PLAIN, 0, &missing)).expect(7);
    assert!(refused.stderr.contains("did you mean"), "{refused}");
}

/// Twenty-four points in all: each strategy finds them all, and the study ends.
#[test]
fn every_strategy_sees_each_point_of_a_small_space_once_where_duplicates_are_resampled() {
    let scenario = scenario();
    let space = "x1 = { int = [-5, 0] }, x2 = { int = [0, 3] }";
    for strategy in ["random", "sobol", "annealing", "cmaes", "evolution", "tpe", "local", "bayesian"] {
        let rest = format!(
            "strategy = [{{ plugin = \"{strategy}\" }}]\nbudget = {{ trials = 100 }}\nrun = {{ duplicates = \"resample\", slots = 2 }}"
        );
        scenario.run(&manifest(strategy, space, 0, &rest)).expect(0);
        let stored = StoredStudy::read(&scenario.journal(), Some(strategy));
        let points: HashSet<_> = stored.study.trials().iter().map(|trial| trial.point.clone()).collect();
        assert_eq!((points.len(), stored.study.trials().len()), (24, 24), "{strategy}");
        stored.expect_each_trial_once(24);
        scenario.ansatz(&["replay", strategy]).expect(0);
    }
}

#[test]
fn a_study_ends_where_its_model_expects_nothing_more() {
    let scenario = scenario();
    let rest =
        "strategy = [{ plugin = \"bayesian\" }]\nbudget = { trials = 150, expected_improvement = 1e-2 }";
    let ran = scenario.run(&manifest("study", PLAIN, 0, rest)).expect(0);
    assert!(ran.stdout.contains("the strategies expect less of another trial"), "{ran}");
    let stored = StoredStudy::read(&scenario.journal(), None);
    assert!((10..100).contains(&stored.study.trials().len()), "{}", stored.study.trials().len());
    let best = stored.study.incumbent().least(0).unwrap();
    assert!(best - 0.397_887 < 1e-2, "{best}");
    let alone = rest.replace("trials = 150, ", "");
    let refused = scenario.run(&manifest("alone", PLAIN, 0, &alone)).expect(3);
    assert!(refused.stderr.contains("may never end"), "{refused}");
}
