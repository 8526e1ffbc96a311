//! Studies to report on.

use super::explain::{Explanation, Witness};
use ansatz_core::space::Parameter;
use ansatz_core::study::{Budget, Duplicates, Member, Mix, Record, Study, StudyRules};
use ansatz_core::{
    Failure, FidelityRange, Goal, Measurement, Metric, Outcome, Point, Prediction, Problem, Space,
    Suggestion, TrialId,
};

/// A trial: where, what was predicted, what came of it.
pub type Scripted = (f64, Option<Prediction>, Outcome);

pub fn completed(value: f64) -> Outcome {
    Outcome::Completed { measurement: Measurement::new().with("accuracy", value) }
}

fn empty(goal: Goal) -> Study {
    empty_with(vec![Metric { name: "accuracy".into(), goal }])
}

fn empty_with(metrics: Vec<Metric>) -> Study {
    let space = Space::of(vec![Parameter::float("x", 0.0, 1.0)]).unwrap();
    Study::new(StudyRules {
        problem: Problem::new(space, metrics),
        seed: 1,
        members: vec![Member::new("first")],
        mix: Mix::InTurn,
        budget: Budget::default(),
        attempts_max: 1,
        duplicates: Duplicates::Replicate,
        consecutive_failures_max: None,
        window: None,
        early_stopping: None,
        enqueued: Vec::new(),
    })
}

fn drive(study: &mut Study, trials: &[Scripted], mut see: impl FnMut(&Study, &Record)) {
    for (x, prediction, outcome) in trials {
        let suggestion = Suggestion { prediction: *prediction, ..Point::new([Some(*x)]).into() };
        run(study, suggestion, outcome, &mut see);
    }
}

fn run(study: &mut Study, suggestion: Suggestion, outcome: &Outcome, mut see: impl FnMut(&Study, &Record)) {
    let trials = study.admit(1, vec![suggestion]).unwrap();
    let trial = trials[0].trial;
    let asked = Record::Asked { member: 0, count: 1, trials, is_exhausted: false };
    study.apply(&asked).unwrap();
    see(study, &asked);
    let finished = study.conclude(trial, outcome.clone(), Default::default());
    study.apply(&finished).unwrap();
    see(study, &finished);
}

/// A study of one strategy, one parameter and one metric, whose trials ran one after the other.
pub fn study_of(goal: Goal, trials: &[Scripted]) -> Study {
    let mut study = empty(goal);
    drive(&mut study, trials, |_, _| {});
    study
}

/// A study with a fidelity of 1 to 30 epochs, of which each trial took so many; its metric is minimised.
pub fn study_of_parts(trials: &[(f64, f64, Outcome)]) -> Study {
    let fidelity = FidelityRange { name: "epochs".into(), lower: 1.0, upper: 30.0 };
    let mut rules = empty(Goal::Minimise).rules().clone();
    rules.problem.fidelity = Some(fidelity);
    let mut study = Study::new(rules);
    for (x, fidelity, outcome) in trials {
        let suggestion = Suggestion { fidelity: Some(*fidelity), ..Point::new([Some(*x)]).into() };
        run(&mut study, suggestion, outcome, |_, _| {});
    }
    study
}

/// The same with these metrics, all minimised.
pub fn study_of_several(metrics: &[&str], trials: &[Scripted]) -> Study {
    let metric = |name: &&str| Metric { name: (*name).to_owned(), goal: Goal::Minimise };
    let mut study = empty_with(metrics.iter().map(metric).collect());
    drive(&mut study, trials, |_, _| {});
    study
}

/// What is to be said of a trial of this study.
pub fn watched<T>(
    study: &Study,
    trials: &[Scripted],
    trial: TrialId,
    say: impl FnOnce(Explanation<'_>) -> T,
) -> T {
    let mut witness = Witness::new(trial);
    let mut again = empty(study.rules().problem.metrics[0].goal);
    drive(&mut again, trials, |study, record| witness.see(study, record));
    say(witness.explain(study, study.trial(trial).unwrap()))
}

/// A study with two metrics, the first of which is maximised.
fn two_metrics(values: &[[f64; 2]]) -> Study {
    let rules = empty(Goal::Maximise).rules().clone();
    let mut problem = rules.problem.clone();
    problem.metrics.push(Metric { name: "latency".into(), goal: Goal::Minimise });
    let mut study = Study::new(StudyRules { problem, ..rules });
    let trials: Vec<Scripted> = (values.iter())
        .map(|[accuracy, latency]| {
            let measurement = Measurement::new().with("accuracy", *accuracy).with("latency", *latency);
            (0.5, None, Outcome::Completed { measurement })
        })
        .collect();
    drive(&mut study, &trials, |_, _| {});
    study
}

#[test]
fn a_front_has_a_knee_and_covers_a_share() {
    // worst corner (0, 100), best (1, 20); the second of the front is far below the line between its ends
    let study = two_metrics(&[[0.0, 100.0], [0.2, 20.0], [1.0, 60.0], [0.8, 30.0], [0.5, 90.0]]);
    let front = [1, 2, 3].map(TrialId);
    assert_eq!(study.incumbent().trials().collect::<Vec<_>>(), front);
    assert_eq!(super::front::knee(&study), Some(TrialId(3)));
    let shares = super::front::coverage(&study);
    // in the box: (1, 1), (0.8, 0), (0, 0.5), (0.2, 0.125)
    let expected = [0.0, 0.2, 0.2 + 0.8 * 0.5, 0.2 + 0.6 * 0.875 + 0.2 * 0.5];
    assert!(
        shares.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12),
        "{shares:?}"
    );
    assert_eq!((shares.len(), shares[4]), (5, shares[3]));
    let text = super::text::best(&study);
    assert!(
        text.starts_with(
            "Pareto front of 3 trials; it covers 82.5 % between the best and the worst values\n"
        ),
        "{text}"
    );
    assert!(text.contains("  trial 3 is the knee: "), "{text}");
    assert!(!text.contains("x 0.5"), "{text}");
    let placed = super::text::best_with_points(&study);
    assert_eq!(placed.matches("\n      x 0.5\n").count(), 3, "{placed}");
    let marked = super::json::best(&study);
    let knees: Vec<bool> = marked.as_array().unwrap().iter().map(|trial| trial["knee"] == true).collect();
    assert_eq!(knees, [false, false, true]);
    assert!(super::text::convergence(&study).starts_with("share of what lies between"));
}

#[test]
fn where_there_is_nothing_between_the_ends_there_is_no_knee() {
    let study = two_metrics(&[[0.0, 10.0], [1.0, 20.0]]);
    assert_eq!(super::front::knee(&study), None);
    assert_eq!(super::front::coverage(&study), [0.0, 0.0], "the ends alone dominate nothing of their box");
    // one value of a metric, one metric, nothing at all
    let flat = two_metrics(&[[0.0, 10.0], [1.0, 10.0]]);
    assert!(super::front::coverage(&flat).is_empty() && super::text::convergence(&flat).is_empty());
    let single = study_of(Goal::Minimise, &[(0.1, None, completed(1.0)), (0.2, None, completed(0.5))]);
    assert_eq!((super::front::knee(&single), super::front::coverage(&single).len()), (None, 0));
    assert!(super::front::coverage(&two_metrics(&[])).is_empty());
}

#[test]
fn predictions_are_columns_where_there_are_any() {
    let predicted = Some(Prediction::new(-0.5, 0.1));
    let trials = [(0.25, None, completed(0.5)), (0.5, predicted, completed(0.75))];
    let table = |trials: &[Scripted]| {
        let mut text = Vec::new();
        super::export::csv(&study_of(Goal::Maximise, trials), super::export::Extent::All, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    let expected = "trial,strategy,state,attempt,duration_s,fidelity,reused,parameters.x,metrics.accuracy,\
                    prediction_mean,prediction_deviation,prediction_acquisition,reason\r\n\
                    0,first,completed,1,0,,,0.25,0.5,,,,\r\n\
                    1,first,completed,1,0,,,0.5,0.75,0.5,0.1,,\r\n";
    assert_eq!(table(&trials), expected);
    assert!(!table(&trials[..1]).contains("prediction"));
}

/// A study of two trials: the first one runs, and its first attempt broke after two steps; the second one has completed.
fn reporting() -> (Study, super::curves::Curves, super::curves::Curves) {
    use super::curves::Curves;
    let mut study = empty(Goal::Maximise);
    let (mut first, mut all) = (Curves::of(TrialId(0)), Curves::of_all());
    let mut apply = |study: &mut Study, record: Record| {
        study.apply(&record).unwrap();
        first.see(study, &record);
        all.see(study, &record);
    };
    let points = [0.1, 0.2].map(|x| Point::new([Some(x)]).into());
    let trials = study.admit(2, points.to_vec()).unwrap();
    apply(&mut study, Record::Asked { member: 0, count: 2, trials, is_exhausted: false });
    let report = |trial, step, measurement: Measurement| Record::Reported {
        trial: TrialId(trial),
        step,
        measurement,
        stop: None,
    };
    let accuracy = |value| Measurement::new().with("accuracy", value);
    apply(&mut study, report(0, 1, accuracy(0.1)));
    apply(&mut study, report(1, 1, accuracy(0.3)));
    apply(&mut study, report(0, 2, accuracy(0.2)));
    let (failure, reason) = (Failure::Crash, "it crashed".to_owned());
    apply(&mut study, Record::Retried { trial: TrialId(0), attempt: 2, failure, reason });
    assert_eq!(
        study.trial(TrialId(0)).unwrap().last_report,
        None,
        "another attempt has reported nothing yet"
    );
    apply(&mut study, report(0, 1, accuracy(0.125).with("rate", 0.5)));
    // the attempt that follows has reported nothing
    let (failure, reason) = (Failure::Lost, "its host is gone".to_owned());
    apply(&mut study, Record::Retried { trial: TrialId(1), attempt: 2, failure, reason });
    let finished = study.conclude(TrialId(1), completed(0.4), Default::default());
    apply(&mut study, finished);
    (study, first, all)
}

#[test]
fn a_running_trial_shows_what_it_reported_last() {
    let (study, ..) = reporting();
    let [running, ended] = [0, 1].map(|number| study.trial(TrialId(number)).unwrap());
    assert_eq!(
        super::text::trial_in_short(&study, running),
        "trial 0   first  pending, step 1: accuracy 0.125"
    );
    let expected = serde_json::json!({"step": 1, "metrics": {"accuracy": 0.125, "rate": 0.5}});
    assert_eq!(super::json::trial(&study, running)["last_report"], expected);
    assert_eq!(ended.last_report, None);
    assert!(
        super::text::trial_in_full(&study, running).starts_with("trial 0 by first: pending, attempt 2\n")
    );
}

#[test]
fn learning_curves_can_be_read_back() {
    use super::export::Extent;
    let (_, first, all) = reporting();
    let rows = "  reports\n    attempt  step  accuracy  rate\n    1           1       0.1     -\n    \
                1           2       0.2     -\n    2           1     0.125   0.5\n";
    assert_eq!(first.text(), rows);
    let steps: Vec<_> =
        first.json().unwrap().as_array().unwrap().iter().map(|report| report["step"].clone()).collect();
    assert_eq!(steps, [1, 2, 1]);
    let written = |extent, is_json| {
        let mut out = Vec::new();
        match is_json {
            true => all.write_json(extent, &mut out).unwrap(),
            false => all.write_csv(extent, &mut out).unwrap(),
        }
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        written(Extent::All, false),
        "trial,attempt,step,metrics.accuracy,metrics.rate\r\n\
         0,1,1,0.1,\r\n0,1,2,0.2,\r\n0,2,1,0.125,0.5\r\n1,1,1,0.3,\r\n"
    );
    // what an attempt said that another followed differs from run to run
    assert_eq!(
        written(Extent::Repeatable, false),
        "trial,step,metrics.accuracy,metrics.rate\r\n0,1,0.125,0.5\r\n"
    );
    let list: serde_json::Value = serde_json::from_str(&written(Extent::Repeatable, true)).unwrap();
    assert_eq!(
        list,
        serde_json::json!([{"trial": 0, "step": 1, "metrics": {"accuracy": 0.125, "rate": 0.5}}])
    );
}

#[test]
fn of_a_long_curve_people_see_some_points_and_both_ends() {
    let mut study = empty(Goal::Minimise);
    let trials = study.admit(1, vec![Point::new([Some(0.5)]).into()]).unwrap();
    study.apply(&Record::Asked { member: 0, count: 1, trials, is_exhausted: false }).unwrap();
    let mut curve = super::curves::Curves::of(TrialId(0));
    assert_eq!(curve.text(), "");
    for step in 1..=1000 {
        let measurement = Measurement::new().with("accuracy", 0.5);
        let report = Record::Reported { trial: TrialId(0), step, measurement, stop: None };
        study.apply(&report).unwrap();
        curve.see(&study, &report);
    }
    let text = curve.text();
    assert!(text.starts_with("  reports, 20 of 1000 (ansatz export STUDY --reports has all)\n"), "{text}");
    let steps: Vec<&str> = text.lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!((steps.len(), steps[0], steps[19]), (20, "1", "1000"));
}

#[test]
fn why_trials_failed_is_said_once_for_all_that_failed_alike() {
    let failed = |reason: &str| {
        let (failure, reason) = (Failure::Objective, reason.to_owned());
        (0.5, None, Outcome::Failed { failure, reason })
    };
    let reasons =
        ["a\nlone", "exit 1; see out/trial-1", "exit 1; see out/trial-12", "other", "another", "exit 3"];
    let trials: Vec<Scripted> = reasons.into_iter().map(failed).collect();
    let text = super::text::study_in_full("s", &study_of(Goal::Minimise, &trials), Default::default());
    let said: Vec<&str> = text.lines().filter(|line| line.starts_with("failed: ")).collect();
    assert_eq!(
        said,
        [
            "failed: 2 trials, the first of them trial 1: exit 1; see out/trial-1",
            "failed: trial 0: a lone",
            "failed: trial 3: other",
            "failed: and for 2 other reasons (ansatz export has all)",
        ]
    );
    let sound = super::text::study_in_full(
        "s",
        &study_of(Goal::Minimise, &[(0.5, None, completed(1.0))]),
        Default::default(),
    );
    assert!(!sound.contains("failed: "), "{sound}");
}

#[test]
fn the_standard_errors_of_reports_are_not_lost() {
    let mut study = empty(Goal::Minimise);
    let trials = study.admit(1, vec![Point::new([Some(0.5)]).into()]).unwrap();
    study.apply(&Record::Asked { member: 0, count: 1, trials, is_exhausted: false }).unwrap();
    let mut curve = super::curves::Curves::of(TrialId(0));
    let measurement = Measurement::new().with_error("accuracy", 0.5, 0.125).with("rate", 2.0);
    let report = Record::Reported { trial: TrialId(0), step: 3, measurement, stop: None };
    study.apply(&report).unwrap();
    curve.see(&study, &report);
    assert_eq!(curve.json().unwrap()[0]["standard_errors"], serde_json::json!({"accuracy": 0.125}));
    let mut written = Vec::new();
    curve.write_csv(super::export::Extent::All, &mut written).unwrap();
    let expected =
        "trial,attempt,step,metrics.accuracy,metrics.rate,standard_errors.accuracy\r\n0,1,3,0.5,2,0.125\r\n";
    assert_eq!(String::from_utf8(written).unwrap(), expected);
}
