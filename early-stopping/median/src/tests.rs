use super::*;
use ansatz_core::space::Parameter;
use ansatz_core::{Curve, Losses, Metric, ObservedResult, Point, Space, TrialId};
use rand::RngExt;

fn problem(metric_count: usize) -> Problem {
    let metric = |index| Metric { name: format!("m{index}"), goal: Goal::Minimise };
    let space = Space::of(vec![Parameter::float("x", 0.0, 1.0)]).unwrap();
    Problem::new(space, (0..metric_count).map(metric).collect())
}

fn rule(metric_count: usize, warm_up_steps: u64, trials_min: u64) -> Median {
    Median::new(&problem(metric_count), Options { warm_up_steps, trials_min }, Rng::new(0)).unwrap()
}

fn report(trial: u64, step: u64, losses: &[f64]) -> Report {
    let losses = losses.iter().map(|loss| Some(*loss).filter(|loss| loss.is_finite())).collect();
    Report { trial: TrialId(trial), step, losses, excesses: Vec::new(), fidelity: None }
}

fn end(rule: &mut Median, trial: u64, is_completed: bool) {
    let losses = Losses { values: vec![0.0], standard_errors: Vec::new(), excesses: Vec::new() };
    let result = if is_completed { ObservedResult::Completed(losses) } else { ObservedResult::Failed };
    end_with(rule, trial, result);
}

fn end_with(rule: &mut Median, trial: u64, result: ObservedResult) {
    let (tag, fidelity) = (None, None);
    rule.finished(&Observation {
        trial: TrialId(trial),
        tag,
        point: Point::new([Some(0.5)]),
        fidelity,
        curve: Curve::default(),
        result,
    });
}

/// Three completed trials with constant losses of 1, 2 and 3 over ten steps.
fn with_three(mut rule: Median) -> Median {
    for trial in 0..3 {
        for step in 1..=10 {
            assert_eq!(rule.reported(&report(trial, step, &[trial as f64 + 1.0])), Ruling::Continue);
        }
        end(&mut rule, trial, true);
    }
    rule
}

#[test]
fn what_is_worse_than_the_median_ends() {
    let mut rule = with_three(rule(1, 0, 3));
    assert_eq!(rule.reported(&report(7, 1, &[2.0])), Ruling::Continue, "as good as the median");
    let Ruling::Stop(reason) = rule.reported(&report(8, 1, &[2.5])) else { panic!("it goes on") };
    assert_eq!(reason, "its best so far is 2.5, the median of 3 completed trials 2");
    // the best so far counts, not the last
    assert_eq!(rule.reported(&report(9, 1, &[1.9])), Ruling::Continue);
    assert_eq!(rule.reported(&report(9, 2, &[50.0])), Ruling::Continue);
    // and of the others the running average
    assert!(rule.reported(&report(10, 9, &[2.5])).is_stop());
    assert_eq!(
        rule.reported(&report(11, 10, &[99.0])),
        Ruling::Continue,
        "at its last step there is nothing to save"
    );
}

#[test]
fn it_waits_for_warm_up_and_for_evidence() {
    let mut warm = with_three(rule(1, 4, 3));
    assert_eq!(warm.reported(&report(7, 4, &[9.0])), Ruling::Continue);
    assert!(warm.reported(&report(7, 5, &[9.0])).is_stop());
    let mut few = with_three(rule(1, 0, 4));
    assert_eq!(few.reported(&report(7, 5, &[9.0])), Ruling::Continue);
    // a trial that failed, or did not get as far, is no evidence
    assert_eq!(few.reported(&report(8, 5, &[1.0])), Ruling::Continue);
    end(&mut few, 8, false);
    assert_eq!(few.reported(&report(9, 3, &[1.0])), Ruling::Continue);
    end(&mut few, 9, true);
    assert_eq!(few.reported(&report(7, 6, &[9.0])), Ruling::Continue);
    assert!(few.reported(&report(10, 3, &[9.0])).is_stop());
    // what was not measured says nothing
    assert_eq!(warm.reported(&report(12, 6, &[f64::NAN])), Ruling::Continue);
    assert!(Median::new(&problem(1), Options { warm_up_steps: 0, trials_min: 0 }, Rng::new(0)).is_err());
}

#[test]
fn trials_that_break_a_constraint_are_no_evidence() {
    let mut rule = with_three(rule(1, 0, 3));
    for trial in 3..9 {
        for step in 1..=10 {
            rule.reported(&report(trial, step, &[-9.0]));
        }
        let losses = Losses { values: vec![-9.0], standard_errors: Vec::new(), excesses: vec![-1.0, 0.5] };
        end_with(&mut rule, trial, ObservedResult::Completed(losses));
    }
    assert_eq!(
        rule.reported(&report(10, 1, &[2.0])),
        Ruling::Continue,
        "as good as the median of the others"
    );
    let Ruling::Stop(reason) = rule.reported(&report(11, 1, &[2.5])) else { panic!("it goes on") };
    assert_eq!(reason, "its best so far is 2.5, the median of 3 completed trials 2");
}

#[test]
fn the_best_trial_so_far_is_never_stopped() {
    for metric_count in [1, 2, 3] {
        let mut rng = Rng::new(11);
        let mut rule = rule(metric_count, 0, 1);
        // the best loss that anybody has had up to each step, by metric
        let mut best = vec![vec![f64::INFINITY; 12]; metric_count];
        let mut stopped = 0;
        for trial in 0..120 {
            let mut own = vec![f64::INFINITY; metric_count];
            let mut is_completed = true;
            for step in 1..12 {
                let losses: Vec<f64> = (0..metric_count).map(|_| rng.random()).collect();
                own.iter_mut().zip(&losses).for_each(|(own, loss)| *own = own.min(*loss));
                let is_best = own.iter().zip(&best).any(|(own, best)| *own <= best[step]);
                let ruling = rule.reported(&report(trial, step as u64, &losses));
                assert!(!(is_best && ruling.is_stop()), "trial {trial} at step {step}: {ruling:?}");
                own.iter().zip(&mut best).for_each(|(own, best)| best[step] = best[step].min(*own));
                if ruling.is_stop() {
                    (is_completed, stopped) = (false, stopped + 1);
                    break;
                }
            }
            end(&mut rule, trial, is_completed);
        }
        assert!((20..120).contains(&stopped), "{stopped} of 120 with {metric_count} metrics");
    }
}

#[test]
fn fronts_take_the_place_of_losses() {
    let mut rule = rule(2, 0, 3);
    for (trial, losses) in [[1.0, 3.0], [3.0, 1.0], [4.0, 4.0]].iter().enumerate() {
        for step in 1..=3 {
            assert_eq!(rule.reported(&report(trial as u64, step, losses)), Ruling::Continue);
        }
        end(&mut rule, trial as u64, true);
    }
    assert_eq!(rule.reported(&report(5, 1, &[2.0, 2.0])), Ruling::Continue);
    assert_eq!(rule.reported(&report(6, 1, &[0.5, 9.0])), Ruling::Continue, "nobody beats its first loss");
    let Ruling::Stop(reason) = rule.reported(&report(7, 1, &[3.5, 3.5])) else { panic!("it goes on") };
    assert_eq!(reason, "it is in front 2, the median of 3 completed trials is front 1");
}
