//! Trials that are ended before they are done: who decides, what is written down, and what comes of it.

use crate::scenario;
use ansatz_cli::run::trial_output_folder;
use ansatz_core::Outcome;
use ansatz_core::rng::Rng;
use ansatz_core::study::{Record, Trial};
use ansatz_tests::epochs::{self, Best, Pair, Rule, STOPPING};
use ansatz_tests::{Running, Scenario, StoredStudy};
use rand::RngExt;
use std::time::Duration;

/// A study of an objective that reports a curve of 20 steps.
struct Manifest {
    strategy: &'static str,
    rule: &'static str,
    curve: &'static str,
    metrics: &'static str,
    more: &'static str,
}

const USUAL: Manifest = Manifest {
    strategy: r#"{ plugin = "random" }"#,
    rule: r#"{ plugin = "median", options = { trials_min = 3 } }"#,
    curve: "",
    metrics: r#"{ value = "minimise" }"#,
    more: "",
};

impl Manifest {
    fn text(&self) -> String {
        let Manifest { strategy, rule, curve, metrics, more } = self;
        format!(
            r#"
study = {{ name = "stopped", seed = 5 }}
metrics = {metrics}
space = {{ x = {{ float = [0.0, 2.0] }}, y = {{ float = [0.0, 2.0] }} }}
objective = {{ plugin = "com.example.curve", options = {{ {curve} }} }}
strategy = [{strategy}]
early_stopping = {rule}
{more}
budget = {{ trials = 40 }}
"#
        )
    }
}

fn installed() -> Scenario {
    scenario().with("ansatz-fault-misbehaving")
}

fn stored(scenario: &Scenario) -> StoredStudy {
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(40);
    stored
}

/// What a trial came to, without how long it took.
fn essence(trial: &Trial) -> (Option<Outcome>, Option<u64>) {
    (trial.outcome.clone(), trial.last_step)
}

fn stopped(stored: &StoredStudy) -> Vec<&Trial> {
    stored.study.trials().iter().filter(|trial| trial.early_stop.is_some()).collect()
}

/// The reports of a trial: steps, and whether it was to end there.
fn reports(stored: &StoredStudy, id: ansatz_core::TrialId) -> Vec<(u64, bool)> {
    let report = |record: Record| match record {
        Record::Reported { trial, step, stop, .. } if trial == id => Some((step, stop.is_some())),
        _ => None,
    };
    stored.records().into_iter().filter_map(report).collect()
}

#[test]
fn a_trial_ends_at_the_step_of_its_verdict_and_everybody_can_see_why() {
    let scenario = installed();
    let ended = scenario.run(&USUAL.text()).expect(0);
    let stored = stored(&scenario);
    let early = stopped(&stored);
    assert!((10..38).contains(&early.len()), "{} of 40", early.len());
    for trial in stored.study.trials() {
        let reports = reports(&stored, trial.id);
        let steps: Vec<u64> = reports.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, (1..=steps.len() as u64).collect::<Vec<_>>(), "trial {}", trial.id);
        let Some(stop) = &trial.early_stop else {
            assert_eq!((trial.outcome.as_ref().map(Outcome::kind), steps.len()), (Some("completed"), 20));
            continue;
        };
        assert_eq!(reports.last(), Some(&(stop.step, true)));
        let Some(Outcome::Stopped { reason, measurement: Some(measurement) }) = &trial.outcome else {
            panic!("{trial:?}");
        };
        assert!(
            reason.starts_with(&format!("median at step {}: its best so far is ", stop.step)),
            "{reason}"
        );
        assert_eq!(measurement, &stop.measurement);
    }
    // the best trial is one that was allowed to finish
    let best = stored.study.incumbent().first().unwrap();
    assert!(stored.study.trial(best).unwrap().early_stop.is_none());

    let first = early[0];
    let (number, step) = (first.id.to_string(), first.early_stop.as_ref().unwrap().step);
    let count = early.len();
    assert!(ended.stdout.contains(&format!("median stopped {count} of 40 trials early, after ")), "{ended}");
    assert!(ended.stdout.contains("of whole trials were saved"), "{ended}");
    let shown = scenario.ansatz(&["show", "stopped", "--trial", &number]).expect(0);
    assert!(shown.stdout.contains(&format!("reason: median at step {step}: ")), "{shown}");
    assert!(
        shown.stdout.contains(&format!("stopped at step {step} of 20: {} steps saved", 20 - step)),
        "{shown}"
    );
    let shown = scenario.ansatz(&["show", "stopped", "--trial", &number, "--json"]).expect(0).json();
    assert_eq!((&shown["last_step"], &shown["stopped_at"]), (&step.into(), &step.into()));
    let explained = scenario.ansatz(&["explain", "stopped", &number]).expect(0);
    assert!(explained.stdout.contains(&format!("stopped at step {step} of 20 by median")), "{explained}");
    let exported = scenario.ansatz(&["export", "stopped", "--format", "csv"]).expect(0);
    let header = exported.stdout.lines().next().unwrap();
    assert!(header.contains(",stopped_at,"), "{header}");
    let overview = scenario.ansatz(&["show", "stopped", "--json"]).expect(0).json();
    assert_eq!(overview["early_stopping"]["stopped"], count);
    let replayed = scenario.ansatz(&["replay", "stopped"]).expect(0);
    assert!(
        replayed
            .stdout
            .contains(&format!("median comes to all of its verdicts again, with {count} trials stopped")),
        "{replayed}"
    );
}

#[test]
fn the_same_manifest_and_seed_stop_the_same_trials() {
    let run = |more: &'static str| {
        let scenario = installed();
        scenario.run(&Manifest { more, ..USUAL }.text()).expect(0);
        stored(&scenario).study.trials().iter().map(essence).collect::<Vec<_>>()
    };
    let first = run("");
    assert_eq!(run(""), first);
    assert_eq!(run("run = { deterministic = 1, slots = 2 }"), first);
}

#[test]
fn every_rule_works_with_every_strategy() {
    for (strategy, rule) in [
        (r#"{ plugin = "annealing" }"#, r#"{ plugin = "median", options = { trials_min = 2 } }"#),
        (r#"{ plugin = "bayesian" }"#, r#"{ plugin = "successive-halving" }"#),
        (
            r#"{ plugin = "grid", options = { resolution = 7 } }"#,
            r#"{ plugin = "patience", options = { steps = 2, min_delta = 0.1 } }"#,
        ),
        (
            r#"{ plugin = "sobol" }, { plugin = "annealing" }"#,
            r#"{ plugin = "successive-halving", options = { brackets = 2 } }"#,
        ),
    ] {
        let scenario = installed();
        let manifest = Manifest { strategy, rule, more: "run = { slots = 3 }", ..USUAL };
        let ended = scenario.run(&manifest.text()).expect(0);
        assert_eq!(ended.stderr, "", "{strategy} {rule}");
        let stored = stored(&scenario);
        assert!(stopped(&stored).len() > 5, "{strategy} {rule}\n{ended}");
        scenario.ansatz(&["replay", "stopped"]).expect(0);
    }
}

#[test]
fn several_metrics_are_judged_by_front() {
    for rule in ["median", "successive-halving"] {
        let scenario = installed();
        let rule = format!("{{ plugin = \"{rule}\" }}").leak();
        let manifest = Manifest { rule, metrics: r#"{ value = "minimise", other = "minimise" }"#, ..USUAL };
        scenario.run(&manifest.text()).expect(0);
        let stored = stored(&scenario);
        let early = stopped(&stored);
        assert!(early.len() > 3, "{rule}: {}", early.len());
        // nobody of the final front was stopped: it holds completed trials only
        assert!(stored.study.incumbent().trials().len() > 2);
    }
}

/// Runs the study `stopped` of `study.toml` to its end over so many kills at random moments.
fn run_through_kills(scenario: &Scenario, kill_count: usize, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut kills = 0;
    loop {
        let mut command = match scenario.journal().exists() && kills > 0 {
            true => scenario.command(&["resume", "stopped", "--quiet"]),
            false => scenario.command(&["run", "study.toml", "--quiet"]),
        };
        let child = Running::start(&mut command);
        let patience = match kills < kill_count {
            true => Duration::from_millis(rng.random_range(300..900)),
            false => ansatz_tests::scenario::PATIENCE,
        };
        match child.wait(patience) {
            Ok(ended) => {
                assert_eq!(ended.expect(0).stderr, "", "the rule judged otherwise than recorded");
                break;
            }
            Err(running) => drop(running.kill()),
        }
        // a host that was killed before it began the study has left nothing to resume
        let has_begun =
            scenario.journal().exists() && scenario.ansatz(&["show", "stopped", "--json"]).code() == Some(0);
        kills += usize::from(has_begun);
    }
    assert!(kills > 0, "no kill hit a study that had begun");
}

/// Killed at random moments, a study comes to the verdicts that it would have come to: they rest on what was recorded,
/// and what was told to stop has ended, whether its objective heard of it or not.
#[test]
fn killed_and_resumed_it_comes_to_the_same_verdicts() {
    let undisturbed = {
        let scenario = installed();
        scenario.run(&USUAL.text()).expect(0);
        stored(&scenario).study.trials().iter().map(essence).collect::<Vec<_>>()
    };
    let scenario = installed();
    let curve = "step_ms = 4, leaves_marks = true";
    scenario.write("study.toml", &Manifest { curve, ..USUAL }.text());
    run_through_kills(&scenario, 8, 8);
    let stored = stored(&scenario);
    let found: Vec<_> = stored.study.trials().iter().map(essence).collect();
    assert_eq!(found, undisturbed);
    // every step that was begun after the first follows a report that is on record
    let folder = trial_output_folder(&scenario.journal(), "stopped");
    for trial in stopped(&stored) {
        let marks = std::fs::read_to_string(folder.join(format!("trial-{}/steps", trial.id))).unwrap();
        let furthest = marks.lines().filter_map(|line| line.parse::<u64>().ok()).max().unwrap();
        assert_eq!(Some(furthest), trial.last_step, "trial {} went on after its verdict", trial.id);
    }
    scenario.ansatz(&["replay", "stopped"]).expect(0);
}

#[test]
fn a_verdict_binds_an_objective_that_does_not_listen() {
    let scenario = installed();
    scenario.run(&Manifest { curve: "ignores_verdicts = true", ..USUAL }.text()).expect(0);
    let stored = stored(&scenario);
    let early = stopped(&stored);
    assert!(early.len() > 5);
    for trial in early {
        assert_eq!(trial.outcome.as_ref().map(Outcome::kind), Some("stopped"));
        assert_eq!(
            trial.last_step,
            trial.early_stop.as_ref().map(|stop| stop.step),
            "later reports do not count"
        );
    }
}

#[test]
fn a_rule_that_hears_of_no_metric_says_so() {
    let scenario = installed();
    let silent = USUAL
        .text()
        .replace("com.example.curve", "synthetic")
        .replace("options = {  }", "options = { function = \"griewank\" }");
    let ended = scenario.run(&silent).expect(0);
    assert!(ended.stdout.contains("none has reported value on its way"), "{ended}");
}

#[test]
fn what_is_not_measured_stops_nobody_by_the_median() {
    let scenario = installed();
    scenario.run(&Manifest { curve: "nan_from = 5", ..USUAL }.text()).expect(0);
    let stored = stored(&scenario);
    for trial in stopped(&stored).iter().filter(|trial| trial.id.0 % 3 == 0) {
        assert!(trial.early_stop.as_ref().is_some_and(|stop| stop.step < 5), "{trial:?}");
    }
}

#[test]
fn a_rule_that_breaks_costs_no_trial() {
    for (misdeed, isolation) in [
        ("panic-at-report", "none"),
        ("panic-at-end", "none"),
        ("panic-at-report", "process"),
        ("segfault", "process"),
        ("hang", "process"),
    ] {
        let scenario = installed();
        let rule = format!(
            "{{ plugin = \"com.example.misbehaving-rule\", options = {{ misdeed = \"{misdeed}\", from = 10 }}, \
             isolation = \"{isolation}\", call_timeout = \"1s\" }}"
        );
        let manifest = Manifest { rule: rule.leak(), more: "plugins = { restarts = 1 }", ..USUAL };
        let ended = scenario.run(&manifest.text()).expect(0);
        let stored = stored(&scenario);
        // ten trials were judged; then it broke, was made anew, broke once more and was left out
        let early: Vec<u64> = stopped(&stored).iter().map(|trial| trial.id.0).collect();
        let expected: &[u64] =
            if misdeed == "panic-at-end" { &[1, 3, 5, 7, 9, 11] } else { &[1, 3, 5, 7, 9] };
        assert_eq!(early, expected, "{misdeed} in {isolation}: {ended}");
        let others = stored.study.trials().iter().filter(|trial| trial.early_stop.is_none());
        assert!(others.clone().all(|trial| trial.outcome.as_ref().map(Outcome::kind) == Some("completed")));
        let remedies: Vec<String> = (stored.records().iter())
            .filter_map(|record| match record {
                Record::EarlyStoppingBroke { remedy, .. } => Some(format!("{remedy:?}")),
                _ => None,
            })
            .collect();
        assert_eq!(remedies, ["Restart", "LeaveOut"], "{misdeed} in {isolation}");
        for part in ["it is made anew (1 of 1)", "it stops nothing any more, and trials run to their end"] {
            assert!(ended.stderr.contains(part), "{misdeed} in {isolation}: {ended}");
        }
        // whoever resumes gives it another chance, and it relives what it judged
        let resumed =
            scenario.ansatz(&["resume", "stopped", "--quiet", "--set", "budget.trials=40"]).expect(0);
        assert!(!resumed.stderr.contains("no longer judges"), "{resumed}");
    }
}

#[test]
fn a_rule_in_a_process_of_its_own_judges_the_same() {
    let run = |isolation: &str| {
        let scenario = installed();
        let rule =
            format!("{{ plugin = \"median\", options = {{ trials_min = 3 }}, isolation = \"{isolation}\" }}");
        scenario.run(&Manifest { rule: rule.leak(), ..USUAL }.text()).expect(0);
        stored(&scenario).study.trials().iter().map(essence).collect::<Vec<_>>()
    };
    assert_eq!(run("process"), run("none"));
}

#[test]
fn a_manifest_says_what_is_wrong_with_its_rule() {
    let scenario = installed();
    let check = |rule: &'static str, more: &'static str, parts: &[&str]| {
        scenario.write("study.toml", &Manifest { rule, more, ..USUAL }.text());
        let ended = scenario.ansatz(&["check", "study.toml"]);
        assert_ne!(ended.code(), Some(0), "{ended}");
        ended.expect_message(parts);
    };
    check(
        r#"{ plugin = "medain" }"#,
        "",
        &["no early-stopping plugin is called \"medain\" (did you mean \"median\"?)"],
    );
    check(
        r#"{ plugin = "median", options = { warmup_steps = 2 } }"#,
        "",
        &["early_stopping.options has no key \"warmup_steps\"", "did you mean \"warm_up_steps\"?"],
    );
    check(r#"{ plugin = "random" }"#, "", &["no early-stopping plugin is called \"random\""]);
    check(
        r#"{ plugin = "successive-halving", options = { steps_min = 9, steps_max = 3 } }"#,
        "",
        &["steps_max must be above steps_min"],
    );
    check(
        USUAL.rule,
        "run = { deterministic = true, slots = 2 }",
        &["run.deterministic", "[early_stopping]", "deterministic = 1"],
    );
    // it is a part of the study, and stays
    scenario.run(&USUAL.text()).expect(0);
    let other = Manifest { rule: r#"{ plugin = "patience" }"#, ..USUAL };
    scenario.write("other.toml", &other.text());
    let refused = scenario.ansatz(&["ask-tell", "other.toml"]).expect(2);
    refused.expect_message(&["the early stopping differs"]);
}

const PROMOTION: &str =
    r#"{ plugin = "successive-halving", options = { variant = "promotion", steps_max = 20 } }"#;

/// Trials that continue others, with what they continue.
fn promoted(stored: &StoredStudy) -> Vec<(&Trial, &Trial)> {
    let mut pairs = Vec::new();
    for trial in stored.study.trials() {
        if let Some(continuation) = &trial.continuation {
            pairs.push((trial, stored.study.trial(continuation.continued).unwrap()));
        }
    }
    pairs
}

#[test]
fn stopped_trials_go_on_where_the_rule_says_so() {
    for (strategy, more) in [
        (r#"{ plugin = "random" }"#, ""),
        (r#"{ plugin = "bayesian" }"#, "run = { slots = 3 }"),
        (r#"{ plugin = "sobol" }, { plugin = "tpe" }"#, "run = { slots = 2 }"),
    ] {
        let scenario = installed();
        let manifest = Manifest { strategy, rule: PROMOTION, more, ..USUAL };
        let ended = scenario.run(&manifest.text()).expect(0);
        assert_eq!(ended.stderr, "", "{strategy}");
        let stored = StoredStudy::read(&scenario.journal(), None);
        let study = &stored.study;
        // forty points, however many trials that takes
        assert_eq!(study.point_count(), 40);
        stored.expect_each_trial_once(study.trials().len() as u64);
        let promoted = promoted(&stored);
        assert!(!promoted.is_empty(), "{strategy}: {:?}", stored.outcomes());
        for (trial, stopped) in &promoted {
            assert_eq!((&trial.point, trial.member), (&stopped.point, stopped.member));
            let from = stopped.early_stop.as_ref().unwrap().step;
            assert!([1, 3, 9].contains(&from));
            // this objective begins at its first step each time: what is known of a step stays as it is
            let steps: Vec<u64> = reports(&stored, trial.id).iter().map(|(step, _)| *step).collect();
            assert_eq!(steps, (1..=steps.len() as u64).collect::<Vec<_>>());
            let (before, after) = (stopped.curve.points(), trial.curve.points());
            assert_eq!(&after[..before.len()], before, "trial {}", trial.id);
            assert!(after.len() > before.len());
        }
        let completed = study.trials().iter().filter(|trial| trial.early_stop.is_none());
        assert!(completed.clone().all(|trial| trial.last_step == Some(20)));
        assert!((1..30).contains(&completed.count()), "{strategy}: {:?}", stored.outcomes());
        let count = promoted.len();
        assert!(ended.stdout.contains("of 40 trials early"), "{ended}");
        assert!(
            ended.stdout.contains(&format!("  {count} trials went on after having been stopped")),
            "{ended}"
        );
        let replayed = scenario.ansatz(&["replay", "stopped"]).expect(0);
        assert!(replayed.stdout.contains(&format!("trials stopped, {count} of which went on")), "{replayed}");

        let (last, stopped) = promoted.last().unwrap();
        let listed = scenario.ansatz(&["show", "stopped"]).expect(0).stdout;
        assert_eq!(listed.matches(&format!("(continues {})", stopped.id)).count(), 1, "{listed}");
        let (id, before) = (last.id.to_string(), stopped.id.to_string());
        let shown = scenario.ansatz(&["show", "stopped", "--trial", &id]).expect(0).stdout;
        let line = format!("continues trial {before} from step ");
        assert!(shown.contains(&line) && shown.contains("by successive-halving: it is number "), "{shown}");
        let shown = scenario.ansatz(&["show", "stopped", "--trial", &before]).expect(0).stdout;
        assert!(shown.contains(&format!(", and continued by trial {id}")), "{shown}");
        let shown = scenario.ansatz(&["show", "stopped", "--trial", &id, "--json"]).expect(0).json();
        assert_eq!(shown["continues"], stopped.id.0);
        scenario.ansatz(&["explain", "stopped", &id]).expect(0);
        let exported = scenario.ansatz(&["export", "stopped", "--format", "csv"]).expect(0).stdout;
        assert!(exported.lines().next().unwrap().contains(",last_step,stopped_at,continues,"), "{exported}");
        scenario.ansatz(&["fsck"]).expect(0);
    }
}

#[test]
fn promotions_are_the_same_in_a_process_and_with_an_objective_that_continues() {
    let run = |curve: &'static str, isolation: &str| {
        let scenario = installed();
        let rule = PROMOTION.replace("} }", &format!("}}, isolation = \"{isolation}\" }}"));
        let manifest = Manifest { rule: rule.leak(), curve, ..USUAL };
        scenario.run(&manifest.text()).expect(0);
        let stored = StoredStudy::read(&scenario.journal(), None);
        let first_steps: Vec<u64> =
            promoted(&stored).iter().map(|(trial, _)| reports(&stored, trial.id)[0].0).collect();
        let essences: Vec<_> = stored.study.trials().iter().map(essence).collect();
        (first_steps, essences)
    };
    let (from_one, plain) = run("", "none");
    assert!(from_one.len() > 2 && from_one.iter().all(|step| *step == 1));
    assert_eq!(run("", "process"), (from_one, plain.clone()));
    let (further, continued) = run("continues = true", "none");
    assert!(further.iter().all(|step| [2, 4, 10].contains(step)), "{further:?}");
    assert_eq!(continued, plain, "what is reported again changes nothing");
}

#[test]
fn a_build_that_would_have_trials_go_on_where_none_did_is_noticed() {
    let scenario = installed();
    let memory = scenario.path("another-build");
    let rule = format!(
        "{{ plugin = \"com.example.misbehaving-rule\", options = {{ misdeed = \"promotes-later\", promotes = true, \
         memory = \"{}\" }} }}",
        memory.display()
    );
    scenario.run(&Manifest { rule: rule.leak(), ..USUAL }.text()).expect(0);
    assert!(promoted(&stored(&scenario)).is_empty());
    scenario.ansatz(&["replay", "stopped"]).expect(0);
    std::fs::write(&memory, "").unwrap();
    let replayed = scenario.ansatz(&["replay", "stopped"]).expect(4).stdout;
    assert!(replayed.contains("com.example.misbehaving-rule differs first at trial 4"), "{replayed}");
    assert!(replayed.contains("on record  no stopped trial goes on"), "{replayed}");
    assert!(replayed.contains("now        trial 1 goes on"), "{replayed}");
    let json = scenario.ansatz(&["replay", "stopped", "--json"]).expect(4).json();
    assert_eq!(json["promotion"], serde_json::json!({"trial": 4, "recorded": null, "now": 1}));
    let more = ["resume", "stopped", "--quiet", "--set", "budget.trials=44"];
    let resumed = scenario.ansatz(&more).expect(0).stderr;
    assert!(resumed.contains("has trial 1 go on before trial 4, where it did not"), "{resumed}");
    assert!(!promoted(&StoredStudy::read(&scenario.journal(), None)).is_empty());
}

/// Of a point that was stopped more than once, only one trial has to come to its end where duplicates are reused.
#[test]
fn a_point_that_has_been_evaluated_does_not_go_on_once_more() {
    let scenario = installed();
    let rule = r#"{ plugin = "successive-halving", options = { variant = "promotion", steps_max = 20, reduction_factor = 2 } }"#;
    let text = Manifest { rule, more: "run = { duplicates = \"reuse\" }", ..USUAL }.text();
    let text = text.replace("float = [0.0, 2.0]", "int = [0, 1]");
    scenario.run(&text).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    let completed = stored.study.trials().iter().filter(|trial| trial.early_stop.is_none());
    let own: Vec<_> =
        completed.clone().filter(|trial| trial.reused.is_none()).map(|trial| &trial.point).collect();
    assert!(
        completed.clone().any(|trial| trial.reused.is_some() && trial.continuation.is_some()),
        "the test wants some"
    );
    assert!(own.iter().enumerate().all(|(index, point)| !own[..index].contains(point)), "{own:?}");
    scenario.ansatz(&["replay", "stopped"]).expect(0);
}

#[test]
fn killed_and_resumed_the_same_trials_go_on() {
    let undisturbed = {
        let scenario = installed();
        scenario.run(&Manifest { rule: PROMOTION, ..USUAL }.text()).expect(0);
        let stored = StoredStudy::read(&scenario.journal(), None);
        stored.study.trials().iter().map(essence).collect::<Vec<_>>()
    };
    let scenario = installed();
    let curve = "step_ms = 4, continues = true";
    scenario.write("study.toml", &Manifest { rule: PROMOTION, curve, ..USUAL }.text());
    run_through_kills(&scenario, 6, 9);
    let stored = StoredStudy::read(&scenario.journal(), None);
    assert_eq!(stored.study.trials().iter().map(essence).collect::<Vec<_>>(), undisturbed);
    scenario.ansatz(&["replay", "stopped"]).expect(0);
}

#[test]
fn a_rule_that_breaks_over_promotions_costs_no_trial() {
    let remedies = |stored: &StoredStudy| -> Vec<String> {
        let remedy = |record: &Record| match record {
            Record::EarlyStoppingBroke { remedy, reason, .. } => Some(format!("{remedy:?} {reason}")),
            _ => None,
        };
        stored.records().iter().filter_map(remedy).collect()
    };
    for (misdeed, isolation, part) in [
        ("none", "none", ""),
        ("panic-in-promotable", "none", "in promotable: "),
        ("panic-in-promotable", "process", "in promotable: "),
        ("panic-in-promoted", "none", "in promoted: "),
        ("promotes-anyone", "none", "in promotable: trial 10 is to go on, and has not been stopped"),
    ] {
        let scenario = installed();
        let rule = format!(
            "{{ plugin = \"com.example.misbehaving-rule\", options = {{ misdeed = \"{misdeed}\", from = 10, \
             promotes = true }}, isolation = \"{isolation}\" }}"
        );
        let manifest = Manifest { rule: rule.leak(), more: "plugins = { restarts = 1 }", ..USUAL };
        let ended = scenario.run(&manifest.text()).expect(0);
        let stored = StoredStudy::read(&scenario.journal(), None);
        assert_eq!(stored.study.point_count(), 40, "{misdeed}: {ended}");
        stored.expect_each_trial_once(stored.study.trials().len() as u64);
        let promoted = promoted(&stored);
        assert!(promoted.len() > 1, "{misdeed}: {ended}");
        assert!(promoted.iter().all(|(trial, _)| trial.last_step == Some(20)));
        let remedies = remedies(&stored);
        match misdeed {
            "none" => assert_eq!(remedies, [""; 0]),
            _ => {
                assert_eq!(remedies.len(), 2, "{misdeed}: {remedies:?}");
                assert!(remedies.iter().all(|remedy| remedy.contains(part)), "{misdeed}: {remedies:?}");
            }
        }
        // it relives what it said, and what broke it
        let resumed =
            scenario.ansatz(&["resume", "stopped", "--quiet", "--set", "budget.trials=40"]).expect(0);
        assert!(!resumed.stderr.contains("no longer"), "{misdeed}: {resumed}");
        assert!(!resumed.stderr.contains("where it did not"), "{misdeed}: {resumed}");
    }
}

/// The pairs of studies of all seeds with each of the rules, on two threads.
fn pairs<const N: usize>(strategy: &'static str, rules: [(Rule, u64); N], seed_count: u64) -> [Vec<Pair>; N] {
    let half = |from: u64| {
        std::thread::spawn(move || {
            let scenario = scenario();
            let seeds = (from..seed_count).step_by(2);
            seeds.map(|seed| Pair::run(&scenario, strategy, rules, seed)).collect::<Vec<_>>()
        })
    };
    let mut pairs = std::array::from_fn(|_| Vec::new());
    for half in [half(0), half(1)] {
        for of_seed in half.join().unwrap() {
            let lists = pairs.iter_mut().zip(of_seed);
            lists.for_each(|(list, pair): (&mut Vec<Pair>, Pair)| list.push(pair));
        }
    }
    pairs
}

const THIRD: f64 = 1.0 / 3.0;

/// What a study whose trials are stopped has after a third of the epochs.
struct Comparison {
    /// How many studies were as accurate as theirs of whole trials after all epochs.
    within: usize,
    /// How much more accurate they were, on average.
    gain: f64,
    /// The same on images that nothing was chosen by.
    test_gain: f64,
    /// How much more accurate they were than whole trials after a third of the epochs.
    gain_by_epochs: f64,
}

/// What docs/benchmarks.md says of early stopping with a strategy, as a row of its tables; `--nocapture` shows it.
fn compared(strategy: &str, rule: Rule, pairs: &[Pair]) -> Comparison {
    let mean = |value: &dyn Fn(&Pair) -> f64| pairs.iter().map(value).sum::<f64>() / pairs.len() as f64;
    let mut shares: Vec<f64> = pairs.iter().map(|pair| pair.share().unwrap_or(f64::INFINITY)).collect();
    shares.sort_by(f64::total_cmp);
    let within = shares.iter().filter(|share| **share <= THIRD).count();
    let median = 0.5 * (shares[shares.len() / 2 - 1] + shares[shares.len() / 2]);
    let median = if median.is_finite() { format!("{:.0} %", 100.0 * median) } else { "never".into() };
    let three = |value: fn(&Best) -> f64| {
        let parts: [&dyn Fn(&Pair) -> Best; 3] =
            [&Pair::goal, &|pair| pair.whole_after(THIRD), &|pair| pair.after(THIRD)];
        parts.map(|part| mean(&|pair| value(&part(pair))))
    };
    let [whole, cut, stopped] = three(|best| best.accuracy);
    let name = rule.name;
    println!(
        "| `{strategy}`, {name} | {whole:.4} | {cut:.4} | {stopped:.4} | {within} of {} | {median} |",
        pairs.len()
    );
    let [test_whole, test_cut, test_stopped] = three(|best| best.test_accuracy);
    let gains: Vec<f64> =
        pairs.iter().map(|pair| pair.after(THIRD).test_accuracy - pair.goal().test_accuracy).collect();
    let test_gain = test_stopped - test_whole;
    let squares = gains.iter().map(|gain| (gain - test_gain).powi(2)).sum::<f64>();
    let error = (squares / (gains.len() * (gains.len() - 1)) as f64).sqrt();
    println!(
        "| `{strategy}`, {name}, test | {test_whole:.4} | {test_cut:.4} | {test_stopped:.4} | {test_gain:+.4} ± {error:.4} |"
    );
    for pair in pairs {
        println!("  {:.4} {:.4} {:?}", pair.goal().accuracy, pair.after(THIRD).accuracy, pair.share());
    }
    Comparison { within, gain: stopped - whole, test_gain, gain_by_epochs: stopped - cut }
}

#[test]
fn with_random_search_a_third_of_the_epochs_is_enough_where_trials_are_stopped() {
    if !ansatz_tests::slow_tests_run() {
        return;
    }
    let rules = [(STOPPING, 120), (epochs::PROMOTION, 120)];
    let pairs = pairs("random", rules, 10);
    for ((rule, _), pairs) in rules.into_iter().zip(&pairs) {
        let Comparison { within, gain, test_gain, gain_by_epochs } = compared("random", rule, pairs);
        assert!(within >= 6 && gain > -0.002, "{}: {within} of 10, {gain}", rule.name);
        assert!(test_gain > -0.003, "{}: {test_gain}", rule.name);
        assert!(gain_by_epochs > 0.003, "{}: {gain_by_epochs}", rule.name);
    }
}

/// The best of forty whole trials is one by luck among those near the best, and no rung knows it; the accuracy that nobody
/// chose by is the same.
#[test]
fn with_bayesian_optimisation_a_third_of_the_epochs_is_enough() {
    if !ansatz_tests::slow_tests_run() {
        return;
    }
    // where the better half goes on, the accuracy that the studies choose by is the same, too
    let rules = [(STOPPING, 110, 6, -0.004), (epochs::PROMOTION_OF_HALVES, 60, 8, -0.002)];
    let pairs = pairs("bayesian", rules.map(|(rule, trial_count, ..)| (rule, trial_count)), 20);
    for ((rule, _, within_min, gain_min), pairs) in rules.into_iter().zip(&pairs) {
        let Comparison { within, gain, test_gain, gain_by_epochs } = compared("bayesian", rule, pairs);
        assert!(within >= within_min && gain > gain_min, "{}: {within} of 20, {gain}", rule.name);
        assert!(test_gain > -0.003, "{}: {test_gain}", rule.name);
        assert!(gain_by_epochs > 0.003, "{}: {gain_by_epochs}", rule.name);
    }
}
