//! Outcome constraints: the best is often on their edge, and most of the space may break them.

use ansatz_core::{OutcomeConstraint, Side};

use super::*;

fn constrained_problem(space: &Space, constraint_count: usize) -> Problem {
    let constraint =
        |index: usize| OutcomeConstraint { metric: format!("c{index}"), side: Side::AtMost, bound: 0.0 };
    let mut problem = problem(space);
    problem.outcome_constraints = (1..=constraint_count).map(constraint).collect();
    problem
}

/// A loss with its excesses.
type Judge = fn(&[f64]) -> (f64, Vec<f64>);

/// Regrets at the best allowed point after `count` trials, for seeds from 0; infinite where there is none.
fn allowed_regrets(space: &Space, judge: Judge, best: f64, count: usize, seed_count: u64) -> Vec<f64> {
    let regret = |seed: u64| {
        let constraint_count = judge(&coordinates(&space.sample(&mut Rng::new(0)).unwrap())).1.len();
        let problem = constrained_problem(space, constraint_count);
        let mut strategy = Bayesian::new(&problem, Options::default(), Rng::new(seed)).unwrap();
        let points = run(&mut strategy, count, |point| {
            let (loss, excesses) = judge(&coordinates(point));
            ObservedResult::Completed(Losses { values: vec![loss], standard_errors: vec![], excesses })
        });
        let judged = points.iter().map(|point| judge(&coordinates(point)));
        let allowed = judged.filter(|(_, excesses)| excesses.iter().all(|excess| *excess <= 0.0));
        allowed.map(|(loss, _)| loss).fold(f64::INFINITY, f64::min) - best
    };
    (0..seed_count).map(regret).collect()
}

/// Branin in a disk without its optimisers; the best is on the edge.
fn branin_in_a_disk(x: &[f64]) -> (f64, Vec<f64>) {
    (branin(x), vec![(x[0] - 2.5).powi(2) + (x[1] - 7.5).powi(2) - 20.0])
}

/// Simulation 2 of Gardner et al. 2014: allowed is a fiftieth of the space.
fn gardner(x: &[f64]) -> (f64, Vec<f64>) {
    (x[0].sin() + x[1], vec![x[0].sin() * x[1].sin() + 0.95])
}

/// A plane over a triangle, of which two more constraints leave a corner.
fn corner(x: &[f64]) -> (f64, Vec<f64>) {
    (x[0] + 2.0 * x[1], vec![1.0 - x[0] - x[1], x[0] - 0.75, 100.0 * (x[1] - 0.9)])
}

#[test]
fn the_best_on_the_edge_of_what_is_allowed_is_found() {
    let is_slow = std::env::var_os("ANSATZ_SLOW_TESTS").is_some();
    let (count, seed_count) = if is_slow { (60, 11) } else { (40, 3) };
    let square = Space::of(vec![Parameter::float("x", 0.0, 6.0), Parameter::float("y", 0.0, 6.0)]).unwrap();
    let cases: [(&str, Space, Judge, f64); 3] = [
        ("disk", branin_space(), branin_in_a_disk, 0.939_476_045_454_072_4),
        ("gardner", square, gardner, 0.253_235_897_503_375_3),
        ("corner", cube(2), corner, 1.25),
    ];
    for (name, space, judge, best) in cases {
        let regrets = allowed_regrets(&space, judge, best, count, seed_count);
        println!("{name}, {count} trials: median {:.1e} of {regrets:?}", median(regrets.clone()));
        assert!(median(regrets.clone()) < 1e-3, "{name}: {regrets:?}");
    }
}

#[test]
fn the_measured_loss_of_what_breaks_a_constraint_is_learnt() {
    let space = cube(1);
    let mut strategy =
        Bayesian::new(&constrained_problem(&space, 1), Options::default(), Rng::new(1)).unwrap();
    // Three quarters are broken, and the loss falls towards the edge: only from there is its slope to be learnt.
    let told: Vec<Observation> = (0..12)
        .map(|trial| {
            let x = f64::from(trial) / 11.0;
            let losses =
                Losses { values: vec![(x - 0.5).powi(2)], standard_errors: vec![], excesses: vec![x - 0.25] };
            observation(trial as u64, &Point::from_flat(&[x]), ObservedResult::Completed(losses))
        })
        .collect();
    strategy.tell(&told).unwrap();
    let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
    let x = coordinates(&suggestion.point)[0];
    assert!((x - 0.25).abs() < 0.02, "{x}");
    let predicted = suggestion.prediction.unwrap();
    assert!((predicted.mean - (x - 0.5).powi(2)).abs() < 1e-3, "{predicted:?}");
    let recommended = strategy.recommend().unwrap().remove(0);
    assert!((coordinates(&recommended.point)[0] - 2.0 / 11.0).abs() < 1e-12, "{recommended:?}");
}

#[test]
fn nothing_allowed_is_no_recommendation_and_the_search_goes_where_least_is_broken() {
    let space = cube(2);
    let mut strategy =
        Bayesian::new(&constrained_problem(&space, 1), Options::default(), Rng::new(2)).unwrap();
    let result = |point: &Point| {
        let x = coordinates(point);
        let excess = 0.1 + (x[0] - 0.3).powi(2) + (x[1] - 0.8).powi(2);
        let losses = Losses { values: vec![x[0] + x[1]], standard_errors: vec![], excesses: vec![excess] };
        ObservedResult::Completed(losses)
    };
    let points = run(&mut strategy, 25, result);
    assert_eq!(strategy.recommend().unwrap(), []);
    let nearest = points.iter().map(coordinates).map(|x| (x[0] - 0.3).hypot(x[1] - 0.8));
    assert!(nearest.fold(f64::INFINITY, f64::min) < 0.1);
}

#[test]
fn odd_excesses_stop_nothing() {
    let space = mixed_space(&["a < b"]);
    let oddities: [fn(f64) -> f64; 7] = [
        |_| 1.0,
        |_| -1.0,
        |_| 0.0,
        |x| 1e300 * x,
        |x| 1e-300 * (x - 1.0),
        |x| (x - 1.0).signum(),
        |x| {
            if x < 1.0 { f64::MAX } else { f64::MIN }
        },
    ];
    for (index, oddity) in oddities.into_iter().enumerate() {
        let problem = constrained_problem(&space, 2);
        let mut strategy = Bayesian::new(&problem, Options::default(), Rng::new(index as u64)).unwrap();
        run(&mut strategy, 14, |point| {
            let excesses = vec![oddity(mixed_loss(point)), -1.0];
            let losses = Losses { values: vec![mixed_loss(point)], standard_errors: vec![], excesses };
            if mixed_loss(point) > 2.0 { ObservedResult::Failed } else { ObservedResult::Completed(losses) }
        });
    }
}
