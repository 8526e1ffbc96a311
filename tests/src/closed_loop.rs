//! A study in one process without journal, clock or threads: ask, evaluate, tell, one trial at a time.
//! For tests of how good strategies are, which need many studies and nothing of the host around them.

use crate::libraries::library;
use ansatz_core::rng::Streams;
use ansatz_core::space::Parameter;
use ansatz_core::study::{Budget, Duplicates, Member, Mix, Record, Step};
use ansatz_core::{
    Assignment, Goal, Measurement, Metric, Outcome, Problem, Reporter, Space, Study, StudyRules,
    Surroundings, Verdict,
};
use ansatz_plugin_host::{Asked, Library, Role};
use serde_json::json;
use std::time::Duration;

/// A function of the objective `synthetic` with its space.
#[derive(Clone, Debug)]
pub struct Function {
    /// As the objective knows it.
    pub name: &'static str,
    /// Lower and upper bound of each argument.
    pub bounds: Vec<(f64, f64)>,
}

/// Nobody listens, and nobody stops.
struct Deaf;

impl Reporter for Deaf {
    fn report(&mut self, _: u64, _: &Measurement) -> Verdict {
        Verdict::Continue
    }
    fn is_stopped(&self) -> bool {
        false
    }
}

/// How far the best of so many trials is from the function's optimum, in the unit of its value, when the
/// strategy that ships under this name proposes them, with its defaults.
pub fn regret(strategy: &str, function: &Function, trial_count: u64, seed: u64) -> f64 {
    let parameters = (1..)
        .zip(&function.bounds)
        .map(|(number, (lower, upper))| Parameter::float(format!("x{number}"), *lower, *upper));
    let space = Space::of(parameters.collect()).expect("bounds make a space");
    let mut problem = Problem::new(space, vec![Metric { name: "value".into(), goal: Goal::Minimise }]);
    problem.trial_count = Some(trial_count);

    let objective = Library::load(&library("ansatz-objective-synthetic")).expect("it is a plugin");
    let objective = objective.component(Role::Objective, "synthetic").expect("it offers it");
    let options = json!({"function": function.name});
    let objective =
        objective.create_objective(&problem, &options, &Surroundings::default()).expect("it fits");
    let plugin = Library::load(&library(&format!("ansatz-strategy-{strategy}"))).expect("it is a plugin");
    let plugin = plugin.component(Role::Strategy, strategy).expect("it offers it");
    let stream = Streams::new(seed).seed("strategy/0");
    let mut strategy = plugin.create_strategy(&problem, &json!({}), stream).expect("it fits");

    let mut study = Study::new(StudyRules {
        problem,
        seed,
        members: vec![Member::new("only")],
        mix: Mix::InTurn,
        budget: Budget { trial_count: Some(trial_count), ..Budget::default() },
        attempts_max: 1,
        duplicates: Duplicates::Replicate,
        consecutive_failures_max: None,
        window: None,
        early_stopping: None,
        enqueued: Vec::new(),
    });
    let mut regret = f64::INFINITY;
    while let Step::Ask { member, count } = study.next(1, Duration::ZERO) {
        let suggestions = match strategy.ask(count, &study.pending()) {
            Ok(Asked::Suggestions(suggestions)) => suggestions,
            other => panic!("{}: {other:?}", strategy.name()),
        };
        let trials =
            study.admit(count, suggestions).unwrap_or_else(|reason| panic!("{}: {reason}", strategy.name()));
        study
            .apply(&Record::Asked { member, count, trials: trials.clone(), is_exhausted: false })
            .expect("it fits");
        for asked in trials {
            let assignment = Assignment {
                trial: asked.trial,
                attempt: 1,
                seed: study.trial_seed(asked.trial),
                fidelity: None,
                time_limit: None,
                output_folder: None,
                continued: None,
            };
            let measurement = objective.evaluate(&asked.point, &assignment, &mut Deaf).expect("it measures");
            regret = regret.min(measurement.value("regret").expect("it knows its optimum"));
            let outcome = Outcome::Completed { measurement };
            let record = study.conclude(asked.trial, outcome, Duration::ZERO);
            study.apply(&record).expect("it fits");
            let observation = study.observation(asked.trial).expect("it has ended");
            strategy.tell(&[observation]).expect("it listens");
        }
    }
    regret
}

/// The middle value; of an even number the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}
