use super::*;
use ansatz_core::space::Parameter;
use ansatz_core::{Curve, Losses, Metric, ObservedResult, Point, Space, TrialId};
use rand::RngExt;

fn problem(metric_count: usize) -> Problem {
    let metric = |index| Metric { name: format!("m{index}"), goal: Goal::Minimise };
    let space = Space::of(vec![Parameter::float("x", 0.0, 1.0)]).unwrap();
    Problem::new(space, (0..metric_count).map(metric).collect())
}

fn rule(metric_count: usize, options: Options) -> SuccessiveHalving {
    SuccessiveHalving::new(&problem(metric_count), options, Rng::new(0)).unwrap()
}

fn report(trial: u64, step: u64, losses: &[f64]) -> Report {
    let losses = losses.iter().map(|loss| Some(*loss).filter(|loss| loss.is_finite())).collect();
    Report { trial: TrialId(trial), step, losses, excesses: Vec::new(), fidelity: None }
}

fn complete(rule: &mut SuccessiveHalving, trial: u64) {
    let losses = Losses { values: vec![0.0], standard_errors: Vec::new(), excesses: Vec::new() };
    rule.finished(&Observation {
        trial: TrialId(trial),
        tag: None,
        point: Point::new([Some(0.5)]),
        fidelity: None,
        curve: Curve::default(),
        result: ObservedResult::Completed(losses),
    });
}

#[test]
fn the_best_part_passes_a_rung() {
    let mut rule = rule(1, Options::default());
    let stops =
        |rule: &mut SuccessiveHalving, trial, loss: f64| rule.reported(&report(trial, 1, &[loss])).is_stop();
    // until there are six, only the best so far passes
    let found: Vec<bool> = [0.5, 0.6, 0.4, 0.45, 0.3]
        .iter()
        .zip(0..)
        .map(|(loss, trial)| stops(&mut rule, trial, *loss))
        .collect();
    assert_eq!(found, [false, true, false, true, false]);
    assert!(!stops(&mut rule, 5, 0.35), "the second of six");
    let Ruling::Stop(reason) = rule.reported(&report(6, 1, &[0.38])) else { panic!("it goes on") };
    assert_eq!(reason, "it is number 3 with 0.38 of 7 trials at rung 1, the best 2 go on");
    // nothing between rungs
    assert!(!rule.reported(&report(0, 2, &[99.0])).is_stop());
    assert!(!rule.reported(&report(0, 3, &[99.0])).is_stop(), "the first at its rung");
    assert!(!rule.reported(&report(2, 3, &[1.0])).is_stop());
    assert!(rule.reported(&report(4, 3, &[2.0])).is_stop());
    // what was not measured is worse than anything
    assert!(rule.reported(&report(5, 3, &[f64::NAN])).is_stop());
}

#[test]
fn rungs_begin_at_the_least_and_end_below_the_whole() {
    let mut first = rule(1, Options { steps_min: 4, steps_max: Some(30), ..Options::default() });
    let heights: Vec<u64> = (0..4).map(|rung| first.height(0, rung)).collect();
    assert_eq!(heights, [4, 12, 36, 108]);
    for (trial, loss) in [(0, 1.0), (1, 2.0)] {
        for step in 1..4 {
            assert!(!first.reported(&report(trial, step, &[loss])).is_stop());
        }
    }
    assert!(!first.reported(&report(0, 5, &[1.0])).is_stop());
    assert!(first.reported(&report(1, 4, &[2.0])).is_stop());
    assert!(!first.reported(&report(0, 40, &[1.0])).is_stop());
    assert_eq!(first.rungs[0].len(), 2, "there is none above 30");
    // learnt from the first that completes
    let mut learning = rule(1, Options::default());
    for step in 1..=9 {
        assert!(!learning.reported(&report(0, step, &[1.0])).is_stop());
    }
    complete(&mut learning, 0);
    for step in 1..=9 {
        assert!(!learning.reported(&report(1, step, &[if step < 9 { 0.5 } else { 7.0 }])).is_stop());
    }
    assert_eq!(learning.rungs[0][2].len(), 1);
}

#[test]
fn a_trial_that_reports_seldom_is_judged_at_every_rung_that_it_passes() {
    let mut rule = rule(1, Options::default());
    assert!(!rule.reported(&report(0, 10, &[1.0])).is_stop());
    assert_eq!(rule.rungs[0].iter().map(Rung::len).collect::<Vec<_>>(), [1, 1, 1]);
    assert!(rule.reported(&report(1, 4, &[2.0])).is_stop());
    assert_eq!(rule.rungs[0].iter().map(Rung::len).collect::<Vec<_>>(), [2, 1, 1]);
}

/// Of n trials in random order the k-th to come passes with probability max(1, floor(k / factor)) / k.
#[test]
fn the_expected_share_passes_each_rung() {
    for (factor, metric_count) in [(2.0, 1), (3.0, 1), (4.0, 1)] {
        let mut rng = Rng::new(5);
        let count = 3_000;
        let options = Options { reduction_factor: factor, steps_max: Some(2), ..Options::default() };
        let mut rule = rule(metric_count, options);
        let passed = (0..count)
            .filter(|trial| {
                let losses: Vec<f64> = (0..metric_count).map(|_| rng.random()).collect();
                !rule.reported(&report(*trial, 1, &losses)).is_stop()
            })
            .count() as f64;
        let chance = |k: f64| (k / factor).floor().max(1.0) / k;
        let expected: f64 = (1..=count).map(|k| chance(k as f64)).sum();
        let variance: f64 = (1..=count).map(|k| chance(k as f64)).map(|p| p * (1.0 - p)).sum();
        let off = (passed - expected) / variance.sqrt();
        assert!(off.abs() < 4.0, "factor {factor}: {passed} passed, {expected} expected");
    }
}

#[test]
fn of_several_metrics_the_front_counts() {
    let mut rule = rule(2, Options { reduction_factor: 2.0, ..Options::default() });
    for (trial, losses) in [[1.0, 3.0], [3.0, 1.0], [2.0, 2.0]].iter().enumerate() {
        assert!(!rule.reported(&report(trial as u64, 1, losses)).is_stop(), "nobody beats it");
    }
    let Ruling::Stop(reason) = rule.reported(&report(3, 1, &[3.0, 3.0])) else { panic!("it goes on") };
    assert_eq!(reason, "it is number 4 of 4 trials at rung 1, the best 2 go on");
}

#[test]
fn trials_that_break_a_constraint_stand_behind_those_that_do_not() {
    let mut rule = rule(1, Options { reduction_factor: 2.0, ..Options::default() });
    let with = |trial, loss, excesses: &[f64]| Report {
        excesses: excesses.iter().map(|excess| Some(*excess).filter(|excess| excess.is_finite())).collect(),
        ..report(trial, 1, &[loss])
    };
    assert!(!rule.reported(&with(0, -9.0, &[2.0, -1.0])).is_stop(), "the first");
    assert!(!rule.reported(&with(1, 5.0, &[0.0, -1.0])).is_stop(), "the first that breaks none");
    assert!(rule.reported(&with(2, 6.0, &[-1.0, -1.0])).is_stop());
    // what was not measured is not known to be broken
    assert!(!rule.reported(&with(3, 4.0, &[f64::NAN, -1.0])).is_stop());
    assert!(!rule.reported(&with(4, 3.0, &[])).is_stop());
    let Ruling::Stop(reason) = rule.reported(&with(5, -99.0, &[0.5, 0.5])) else { panic!("it goes on") };
    assert_eq!(reason, "it is number 5, which breaks a constraint, of 6 trials at rung 1, the best 3 go on");
    assert!(rule.reported(&with(6, -99.0, &[3.0, -9.0])).is_stop());
    assert_eq!((rule.rungs[0][0].allowed.len(), rule.rungs[0][0].broken.len()), (4, 3));
}

#[test]
fn brackets_begin_higher_and_keep_apart() {
    let mut rule = rule(1, Options { brackets: 3, ..Options::default() });
    assert_eq!([0, 1, 2].map(|bracket| rule.height(bracket, 0)), [1, 3, 9]);
    let member = |bracket| (0..6).find(|trial| rule.brackets.of(*trial) == bracket).unwrap();
    let [low, middle, _] = [member(0), member(1), member(2)];
    assert!(!rule.reported(&report(low, 1, &[1.0])).is_stop());
    assert!(!rule.reported(&report(middle, 1, &[9.0])).is_stop(), "its first rung is at 3");
    assert!(!rule.reported(&report(middle, 3, &[9.0])).is_stop(), "alone in its bracket");
    let Ruling::Stop(reason) = rule.reported(&report(middle + 6, 3, &[10.0])) else { panic!("it goes on") };
    assert!(reason.contains("at rung 3 of bracket 1"), "{reason}");
}

#[test]
fn options_out_of_range_are_refused() {
    let refused = |options: Options| SuccessiveHalving::new(&problem(1), options, Rng::new(0)).unwrap_err().0;
    let with = Options::default;
    for (options, part) in [
        (Options { reduction_factor: 1.5, ..with() }, "from 2 to 16"),
        (Options { reduction_factor: f64::NAN, ..with() }, "from 2 to 16"),
        (Options { steps_min: 0, ..with() }, "at least 1"),
        (Options { steps_min: 5, steps_max: Some(5), ..with() }, "no rung"),
        (Options { brackets: 9, ..with() }, "from 1 to 8"),
    ] {
        assert!(refused(options).contains(part), "{part}");
    }
    // no step is too far
    let mut far = rule(1, Options { reduction_factor: 16.0, brackets: 8, ..Options::default() });
    assert!(!far.reported(&report(u64::MAX, u64::MAX, &[1.0])).is_stop());
}
