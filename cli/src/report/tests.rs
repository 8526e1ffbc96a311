//! Studies to report on.

use super::explain::{Explanation, Witness};
use ansatz_core::space::Parameter;
use ansatz_core::study::{Budget, Duplicates, Member, Mix, Record, Study, StudyRules};
use ansatz_core::{
    Goal, Measurement, Metric, Outcome, Point, Prediction, Problem, Space, Suggestion, TrialId,
};

/// A trial: where, what was predicted, what came of it.
pub type Scripted = (f64, Option<Prediction>, Outcome);

pub fn completed(value: f64) -> Outcome {
    Outcome::Completed { measurement: Measurement::new().with("accuracy", value) }
}

fn empty(goal: Goal) -> Study {
    let metric = Metric { name: "accuracy".into(), goal };
    let space = Space::of(vec![Parameter::float("x", 0.0, 1.0)]).unwrap();
    Study::new(StudyRules {
        problem: Problem::new(space, vec![metric]),
        seed: 1,
        members: vec![Member::new("first")],
        mix: Mix::InTurn,
        budget: Budget::default(),
        attempts_max: 1,
        duplicates: Duplicates::Replicate,
        consecutive_failures_max: None,
        window: None,
        early_stopping: None,
    })
}

fn drive(study: &mut Study, trials: &[Scripted], mut see: impl FnMut(&Study, &Record)) {
    for (x, prediction, outcome) in trials {
        let suggestion = Suggestion { prediction: *prediction, ..Point::new([Some(*x)]).into() };
        let trials = study.admit(1, vec![suggestion]).unwrap();
        let trial = trials[0].trial;
        let asked = Record::Asked { member: 0, count: 1, trials, is_exhausted: false };
        study.apply(&asked).unwrap();
        see(study, &asked);
        let finished = study.conclude(trial, outcome.clone(), Default::default());
        study.apply(&finished).unwrap();
        see(study, &finished);
    }
}

/// A study of one strategy, one parameter and one metric, whose trials ran one after the other.
pub fn study_of(goal: Goal, trials: &[Scripted]) -> Study {
    let mut study = empty(goal);
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
