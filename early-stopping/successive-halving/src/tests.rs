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

fn end(rule: &mut SuccessiveHalving, trial: u64, result: ObservedResult) {
    rule.finished(&Observation {
        trial: TrialId(trial),
        tag: None,
        point: Point::new([Some(0.5)]),
        fidelity: None,
        curve: Curve::default(),
        result,
    });
}

fn complete(rule: &mut SuccessiveHalving, trial: u64) {
    let losses = Losses { values: vec![0.0], standard_errors: Vec::new(), excesses: Vec::new() };
    end(rule, trial, ObservedResult::Completed(losses));
}

fn stop(rule: &mut SuccessiveHalving, trial: u64) {
    end(rule, trial, ObservedResult::Stopped(None));
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
        (Options { variant: Variant::Promotion, ..with() }, "there must be steps_max"),
        (Options { brackets: 9, ..with() }, "from 1 to 8"),
    ] {
        assert!(refused(options).contains(part), "{part}");
    }
    // no step is too far
    let mut far = rule(1, Options { reduction_factor: 16.0, brackets: 8, ..Options::default() });
    assert!(!far.reported(&report(u64::MAX, u64::MAX, &[1.0])).is_stop());
}

const PROMOTION: Options = Options {
    reduction_factor: 3.0,
    steps_min: 1,
    steps_max: Some(27),
    brackets: 1,
    variant: Variant::Promotion,
};

#[test]
fn with_promotion_trials_wait_until_they_are_among_the_best() {
    let mut rule = rule(1, PROMOTION);
    let Ruling::Stop(reason) = rule.reported(&report(0, 1, &[0.5])) else { panic!("it goes on") };
    assert_eq!(reason, "it is number 1 with 0.5 of 1 trial at rung 1, too few for one to go on: it waits");
    assert_eq!(rule.promotable(), None);
    stop(&mut rule, 0);
    assert!(rule.reported(&report(1, 1, &[0.7])).is_stop());
    stop(&mut rule, 1);
    assert_eq!(rule.promotable(), None, "one of two is more than a third");
    // the third is not the best of three, and makes the first go on
    let Ruling::Stop(reason) = rule.reported(&report(2, 1, &[0.6])) else { panic!("it goes on") };
    assert_eq!(reason, "it is number 2 with 0.6 of 3 trials at rung 1, the best 1 go on: it waits");
    let promotion = rule.promotable().unwrap();
    assert_eq!(promotion.continued, TrialId(0));
    assert_eq!(promotion.reason, "it is number 1 with 0.5 of 3 trials at rung 1, the best 1 go on");
    assert_eq!(rule.promotable(), Some(promotion), "asking changes nothing");
    rule.promoted(TrialId(0), TrialId(3));
    stop(&mut rule, 2);
    assert_eq!(rule.promotable(), None);
    // it is at the second rung now, whatever it reports before
    assert!(!rule.reported(&report(3, 2, &[9.0])).is_stop());
    let Ruling::Stop(reason) = rule.reported(&report(3, 3, &[0.4])) else { panic!("it goes on") };
    assert!(reason.contains("of 1 trial at rung 3"), "{reason}");
    stop(&mut rule, 3);
    // whoever comes and is among the best goes on at once: it would be the next to do so
    assert!(rule.reported(&report(4, 1, &[0.65])).is_stop());
    assert!(rule.reported(&report(5, 1, &[0.9])).is_stop());
    assert!(!rule.reported(&report(6, 1, &[0.1])).is_stop());
    for trial in [7, 8] {
        assert!(rule.reported(&report(trial, 1, &[0.9])).is_stop());
        assert_eq!(rule.promotable(), None, "two of {trial} have gone on");
    }
    assert!(rule.reported(&report(9, 1, &[0.9])).is_stop());
    // of three that may go on the next best waits, and of equals none is better
    assert_eq!(rule.promotable().unwrap().continued, TrialId(2));
}

#[test]
fn with_promotion_the_highest_rung_comes_first_and_none_is_at_the_end() {
    let mut rule = rule(1, Options { reduction_factor: 2.0, steps_max: Some(4), ..PROMOTION });
    assert!(rule.reported(&report(0, 1, &[1.0])).is_stop());
    stop(&mut rule, 0);
    assert!(!rule.reported(&report(1, 1, &[0.5])).is_stop());
    assert!(rule.reported(&report(1, 2, &[0.5])).is_stop());
    stop(&mut rule, 1);
    assert!(rule.reported(&report(2, 1, &[2.0])).is_stop(), "number 3 of 3");
    assert!(!rule.reported(&report(5, 1, &[0.1])).is_stop());
    assert!(rule.reported(&report(3, 1, &[0.6])).is_stop());
    stop(&mut rule, 3);
    assert_eq!(
        rule.promotable(),
        None,
        "two of four have gone on, and one of one at rung 2 is more than half"
    );
    assert!(rule.reported(&report(5, 2, &[0.7])).is_stop(), "number 2 of 2");
    stop(&mut rule, 5);
    let promotion = rule.promotable().unwrap();
    assert_eq!(promotion.continued, TrialId(1), "it waits at rung 2: {}", promotion.reason);
    rule.promoted(TrialId(1), TrialId(6));
    for step in 3..=4 {
        assert!(!rule.reported(&report(6, step, &[99.0])).is_stop(), "no rung at the end");
    }
    complete(&mut rule, 6);
    assert_eq!(rule.promotable(), None);
}

/// A study with several slots, against the definition: whoever goes on is the best that waits at the highest rung where
/// one may, and in the end nobody waits who may go on.
#[test]
fn promotions_follow_their_definition() {
    struct Waiting {
        trial: u64,
        losses: Vec<f64>,
    }
    for (seed, metric_count, factor) in [(1, 1, 3.0), (2, 1, 2.0), (3, 2, 2.0), (4, 2, 3.0), (5, 1, 4.0)] {
        let mut rng = Rng::new(seed);
        let mut rule = rule(metric_count, Options { reduction_factor: factor, ..PROMOTION });
        let heights: Vec<u64> =
            (0..8).map(|rung| rule.height(0, rung)).take_while(|height| *height < 27).collect();
        let mut came: Vec<Vec<Vec<f64>>> = vec![Vec::new(); heights.len()];
        let mut waiting: Vec<Vec<Waiting>> = (0..heights.len()).map(|_| Vec::new()).collect();
        // by trial: the rung that it comes to next, and its losses
        let mut running: Vec<(u64, usize, Vec<f64>)> = Vec::new();
        let (mut next, mut fresh, mut promoted) = (0, 0, 0);
        let better = |came: &[Vec<f64>], losses: &[f64]| {
            let fronts = ansatz_curves::fronts(came);
            let own = came.iter().position(|row| row == losses).unwrap();
            fronts.iter().filter(|front| **front < fronts[own]).count()
        };
        loop {
            while running.len() < 4 {
                let may = |rung: usize, losses: &[f64]| {
                    better(&came[rung], losses) < (came[rung].len() as f64 / factor) as usize
                };
                let expected = (0..heights.len()).rev().find_map(|rung| {
                    let open = waiting[rung].iter().filter(|one| may(rung, &one.losses));
                    open.min_by_key(|one| (better(&came[rung], &one.losses), one.trial))
                        .map(|one| (rung, one.trial))
                });
                let found = rule.promotable().map(|promotion| promotion.continued.0);
                assert_eq!(found, expected.map(|(_, trial)| trial), "seed {seed}, before trial {next}");
                match expected {
                    Some((rung, trial)) => {
                        let index = waiting[rung].iter().position(|one| one.trial == trial).unwrap();
                        let one = waiting[rung].remove(index);
                        rule.promoted(TrialId(trial), TrialId(next));
                        running.push((next, rung + 1, one.losses));
                        promoted += 1;
                    }
                    None if fresh < 45 => {
                        fresh += 1;
                        let losses =
                            (0..metric_count).map(|_| f64::from(rng.random_range(0..50_u8))).collect();
                        running.push((next, 0, losses));
                    }
                    None => break,
                }
                next += 1;
            }
            if running.is_empty() {
                break;
            }
            let (trial, rung, losses) = running.remove(rng.random_range(0..running.len()));
            let Some(height) = heights.get(rung) else {
                complete(&mut rule, trial);
                continue;
            };
            came[rung].push(losses.clone());
            let passes = better(&came[rung], &losses) < (came[rung].len() as f64 / factor) as usize;
            let ruling = rule.reported(&report(trial, *height, &losses));
            assert_eq!(ruling.is_stop(), !passes, "seed {seed}, trial {trial} at {height}");
            if passes {
                running.push((trial, rung + 1, losses));
            } else {
                stop(&mut rule, trial);
                waiting[rung].push(Waiting { trial, losses });
            }
        }
        assert!(promoted > 5, "seed {seed}: {promoted}");
    }
}

#[test]
fn a_rule_made_anew_goes_on_with_trials_that_it_would_not_have_stopped() {
    let mut rule = rule(1, PROMOTION);
    // an earlier one stopped this trial between rungs
    for step in 1..=2 {
        rule.reported(&report(0, step, &[0.5]));
    }
    stop(&mut rule, 0);
    rule.promoted(TrialId(0), TrialId(1));
    assert_eq!(rule.promotable(), None);
    assert!(rule.reported(&report(1, 3, &[0.5])).is_stop());
    // and one of which it has never heard
    rule.promoted(TrialId(77), TrialId(2));
    assert!(rule.reported(&report(2, 1, &[0.6])).is_stop());
}

/// Reports come every ten steps, and there are rungs at 1, 3 and 9: what is known of a trial at all of them decides at once
/// whether it has to run on to show more.
#[test]
fn who_reports_seldom_is_compared_at_every_rung_that_it_has_passed() {
    let mut rule = rule(1, PROMOTION);
    let mut sparse = |trial: u64, loss: f64| {
        let is_stop = rule.reported(&report(trial, 10, &[loss])).is_stop();
        if is_stop {
            stop(&mut rule, trial);
        }
        (is_stop, rule.promotable().map(|promotion| promotion.continued.0))
    };
    // of nine, three are the best third of all and one the best third of these, and only that one has passed the last rung
    let losses = [0.3, 0.9, 0.8, 0.1, 0.7, 0.2, 0.6, 0.5, 0.4];
    let found: Vec<(bool, Option<u64>)> =
        losses.iter().zip(0..).map(|(loss, trial)| sparse(trial, *loss)).collect();
    assert!(found[..8].iter().all(|(_, promoted)| promoted.is_none()), "{found:?}");
    assert_eq!(rule.rungs[0].iter().map(Rung::len).collect::<Vec<_>>(), [9, 3, 1]);
    assert_eq!(rule.promotable(), None, "one of one at rung 9 is more than a third");
    for (trial, loss) in (9..).zip([0.95; 18]) {
        let Ruling::Stop(_) = rule.reported(&report(trial, 10, &[loss])) else {
            panic!("trial {trial} goes on")
        };
        stop(&mut rule, trial);
    }
    // 27 came, 9 are their best third: 3 of these may be at rung 9, and the best of them goes on
    assert_eq!(rule.rungs[0].iter().map(Rung::len).collect::<Vec<_>>(), [27, 9, 3]);
    assert_eq!(rule.promotable().unwrap().continued, TrialId(3));
    rule.promoted(TrialId(3), TrialId(27));
    assert_eq!(rule.promotable(), None);
    assert!(!rule.reported(&report(27, 20, &[0.9])).is_stop(), "it has no rung before the end");
}

#[test]
fn who_has_nothing_to_show_does_not_go_on_by_promotion() {
    let mut rule = rule(1, PROMOTION);
    for trial in 0..6 {
        assert!(rule.reported(&report(trial, 1, &[f64::NAN])).is_stop());
        stop(&mut rule, trial);
        assert_eq!(rule.promotable(), None);
    }
    assert!(!rule.reported(&report(6, 1, &[5.0])).is_stop());
}

#[test]
fn trials_that_continue_others_have_no_place_among_the_brackets() {
    let options = Options { brackets: 2, reduction_factor: 2.0, ..PROMOTION };
    let mut rule = rule(1, options.clone());
    let plain: Vec<usize> = (0..9).map(|trial| rule.climb(trial).bracket).collect();
    assert!(plain.contains(&0) && plain.contains(&1));
    let bracket = rule.climb(2).bracket;
    rule.reported(&report(2, 1, &[0.5]));
    stop(&mut rule, 2);
    rule.promoted(TrialId(2), TrialId(4));
    assert_eq!(rule.climb(4).bracket, bracket);
    let later: Vec<usize> = [0, 1, 2, 3, 5, 6, 7, 8, 9].map(|trial| rule.climb(trial).bracket).to_vec();
    assert_eq!(later, plain);
}
