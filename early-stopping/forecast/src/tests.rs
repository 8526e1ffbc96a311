use super::*;
use ansatz_core::space::Parameter;
use ansatz_core::{Losses, Metric, OutcomeConstraint, Point, Side, Space, TrialId};
use rand::RngExt;

const STEPS: u64 = 9;

fn problem(goal: Goal) -> Problem {
    let space = Space::of(vec![Parameter::float("x", 0.0, 1.0)]).unwrap();
    Problem::new(space, vec![Metric { name: "m".into(), goal }])
}

fn rule(options: Options) -> Forecast {
    Forecast::new(&problem(Goal::Minimise), options, Rng::new(0)).unwrap()
}

fn report(trial: u64, step: u64, loss: f64) -> Report {
    let losses = vec![Some(loss).filter(|loss| loss.is_finite())];
    Report { trial: TrialId(trial), step, losses, excesses: Vec::new(), fidelity: None }
}

/// A trial that comes down from its end and 1 more to its end.
fn loss(end: f64, step: u64) -> f64 {
    end + (STEPS - step) as f64 / STEPS as f64
}

fn completed(trial: u64, end: f64, excesses: Vec<f64>) -> Observation {
    let losses = Losses { values: vec![end], standard_errors: Vec::new(), excesses };
    Observation {
        trial: TrialId(trial),
        tag: None,
        point: Point::new([Some(0.5)]),
        fidelity: None,
        curve: Curve::default(),
        result: ObservedResult::Completed(losses),
    }
}

/// Runs a trial to its end, or to where it is stopped: its step and reason.
fn run(rule: &mut Forecast, trial: u64, end: f64) -> Option<(u64, String)> {
    for step in 1..=STEPS {
        if let Ruling::Stop(reason) = rule.reported(&report(trial, step, loss(end, step))) {
            let stopped =
                Observation { result: ObservedResult::Stopped(None), ..completed(trial, end, Vec::new()) };
            rule.finished(&stopped);
            return Some((step, reason));
        }
    }
    rule.finished(&completed(trial, end, Vec::new()));
    None
}

/// Five trials that end between 0.10 and 0.14, with a little noise on their way there.
fn with_five(mut rule: Forecast) -> Forecast {
    for trial in 0..5 {
        for step in 1..=STEPS {
            let noise = if (trial + step) % 2 == 0 { 0.01 } else { -0.01 };
            let value = loss(0.1 + 0.01 * trial as f64, step) + noise;
            assert_eq!(rule.reported(&report(trial, step, value)), Ruling::Continue);
        }
        rule.finished(&completed(trial, 0.1 + 0.01 * trial as f64, Vec::new()));
    }
    rule
}

#[test]
fn what_will_hardly_become_the_best_ends() {
    let mut rule = with_five(rule(Options::default()));
    let (step, reason) = run(&mut rule, 9, 0.3).unwrap();
    assert_eq!(step, 1);
    assert!(reason.starts_with("it would come to 0.29"), "{reason}");
    assert!(
        reason.contains(", better than the best, 0.1, with a probability of 0.0 %, by 5 completed trials"),
        "{reason}"
    );
    assert_eq!(run(&mut rule, 10, 0.09), None, "a better one");
    assert_eq!(run(&mut rule, 11, 0.095), None, "one that may be better");
    // at its last step there is nothing to save
    assert_eq!(rule.reported(&report(12, STEPS, 99.0)), Ruling::Continue);
}

#[test]
fn the_smaller_the_probability_the_more_goes_on() {
    let stopped = |probability_min: f64| {
        let fresh = || with_five(rule(Options { probability_min, ..Options::default() }));
        let ends = (0..30).map(|index| 0.05 + 0.005 * f64::from(index));
        ends.filter(|end| run(&mut fresh(), 9, *end).is_some()).count()
    };
    let counts = [1e-12, 0.01, 0.1, 0.4].map(stopped);
    assert!(counts.is_sorted() && counts[0] < counts[3] && counts[3] < 30, "{counts:?}");
}

#[test]
fn nobody_ends_before_there_is_something_to_go_by() {
    let mut grace = with_five(rule(Options { warm_up_steps: 3, ..Options::default() }));
    assert_eq!(run(&mut grace, 9, 5.0).map(|(step, _)| step), Some(4));
    let mut few = with_five(rule(Options { trials_min: 6, ..Options::default() }));
    assert_eq!(run(&mut few, 9, 5.0), None);
    assert!(run(&mut few, 10, 9.0).is_some(), "now there are six");
    // what was not measured is no evidence, and steps that nobody reported neither
    let mut rule = with_five(rule(Options::default()));
    assert_eq!(rule.reported(&report(9, 1, f64::NAN)), Ruling::Continue);
    let short = Observation { fidelity: Some(3.0), ..completed(20, 0.0, Vec::new()) };
    rule.finished(&short);
    let other = Report { fidelity: Some(3.0), ..report(21, 1, 9.0) };
    assert_eq!(rule.reported(&other), Ruling::Continue, "whole trials say nothing of shorter ones");
}

#[test]
fn what_breaks_a_constraint_is_not_the_best() {
    let mut problem = problem(Goal::Minimise);
    problem.outcome_constraints.push(OutcomeConstraint {
        metric: "c".into(),
        side: Side::AtMost,
        bound: 0.0,
    });
    let mut rule = with_five(Forecast::new(&problem, Options::default(), Rng::new(0)).unwrap());
    for step in 1..=STEPS {
        rule.reported(&report(6, step, loss(-9.0, step)));
    }
    rule.finished(&completed(6, -9.0, vec![1.0]));
    assert_eq!(run(&mut rule, 7, 0.08), None);
}

#[test]
fn maximised_metrics_are_told_as_they_were_measured() {
    let mut rule =
        with_five(Forecast::new(&problem(Goal::Maximise), Options::default(), Rng::new(0)).unwrap());
    let (_, reason) = run(&mut rule, 9, 0.4).unwrap();
    assert!(reason.starts_with("it would come to -0.") && reason.contains("the best, -0.1,"), "{reason}");
}

/// The best of all is never stopped where curves do not cross, in any order.
#[test]
fn of_curves_that_do_not_cross_the_best_completes() {
    let mut rng = Rng::new(7);
    for _ in 0..50 {
        let mut rule = rule(Options::default());
        let ends: Vec<f64> = (0..40).map(|_| rng.random_range(0.0..1.0)).collect();
        let best = ends.iter().copied().fold(f64::INFINITY, f64::min);
        let mut stopped = 0;
        for (trial, end) in (0..).zip(&ends) {
            let is_stopped = run(&mut rule, trial, *end).is_some();
            assert!(!(is_stopped && *end == best), "{ends:?}");
            stopped += usize::from(is_stopped);
        }
        assert!(stopped >= 20, "{stopped}");
    }
}

#[test]
fn options_have_ranges() {
    for options in [
        Options { probability_min: 0.0, ..Options::default() },
        Options { probability_min: 1.0, ..Options::default() },
        Options { probability_min: f64::NAN, ..Options::default() },
        Options { trials_min: 1, ..Options::default() },
    ] {
        assert!(
            Forecast::new(&problem(Goal::Minimise), options.clone(), Rng::new(0)).is_err(),
            "{options:?}"
        );
    }
}
