//! Whole runs: how close it comes, and what every ask must keep.

use super::*;
use ansatz_core::space::{Condition, Constraint, Parameter};
use ansatz_core::{Curve, Goal, Losses, Metric, ObservedResult, Point, Space, TrialId};

fn strategy_with(space: &Space, options: Options, seed: u64) -> Local {
    let problem = Problem::new(space.clone(), vec![Metric { name: "loss".into(), goal: Goal::Minimise }]);
    Local::new(&problem, options, Rng::new(seed)).unwrap()
}

fn strategy(space: &Space, seed: u64) -> Local {
    strategy_with(space, Options::default(), seed)
}

fn measured(loss: f64, excesses: Vec<f64>) -> ObservedResult {
    ObservedResult::Completed(Losses { values: vec![loss], standard_errors: vec![], excesses })
}

fn observation(trial: u64, tag: Option<u64>, point: &Point, result: ObservedResult) -> Observation {
    Observation {
        trial: TrialId(trial),
        tag,
        point: point.clone(),
        fidelity: None,
        curve: Curve::default(),
        result,
    }
}

/// Asks one by one; each point is checked against the space and those before it.
fn run(strategy: &mut Local, count: usize, result: impl Fn(&Point) -> ObservedResult) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for trial in 0..count {
        let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
        let point = suggestion.point;
        assert_eq!(strategy.setting.encoding.space().check(&point), Ok(()));
        assert!(!points.contains(&point), "trial {trial} repeats {point:?}");
        strategy.tell(&[observation(trial as u64, Some(suggestion.tag), &point, result(&point))]).unwrap();
        points.push(point);
    }
    points
}

fn cube(dimension: usize, lower: f64, upper: f64) -> Space {
    Space::of((0..dimension).map(|k| Parameter::float(format!("x{k}"), lower, upper)).collect()).unwrap()
}

fn xs(point: &Point) -> Vec<f64> {
    point.coordinates().flatten().collect()
}

fn rosenbrock(x: &[f64]) -> f64 {
    x.windows(2).map(|w| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2)).sum()
}

fn lowest(points: &[Point], loss: impl Fn(&[f64]) -> f64) -> f64 {
    points.iter().map(|point| loss(&xs(point))).fold(f64::INFINITY, f64::min)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A bowl whose axes are turned and differ by a hundred in their curvature: a model has it after some dozens of trials.
#[test]
fn a_bowl_is_found_to_the_last_digits() {
    let loss = |x: &[f64]| {
        (0..x.len())
            .map(|i| 100_f64.powf(i as f64 / 4.0) * (x[i] + 0.5 * x[(i + 1) % 5] - 0.3).powi(2))
            .sum::<f64>()
    };
    let regrets = (0..7).map(|seed| {
        let points =
            run(&mut strategy(&cube(5, -2.0, 2.0), seed), 120, |point| measured(loss(&xs(point)), vec![]));
        lowest(&points, loss)
    });
    let regret = median(regrets.collect());
    assert!(regret < 1e-9, "{regret}");
}

#[test]
fn a_curved_valley_is_followed() {
    let regrets = (0..7).map(|seed| {
        let points = run(&mut strategy(&cube(4, -2.0, 2.0), seed), 300, |point| {
            measured(rosenbrock(&xs(point)), vec![])
        });
        lowest(&points, rosenbrock)
    });
    let regret = median(regrets.collect());
    assert!(regret < 1e-4, "{regret}");
}

/// Where one region has converged, others follow: five hundred trials find the lowest of 36 bowls more often than not.
#[test]
fn another_region_begins_where_one_has_converged() {
    let loss =
        |x: &[f64]| x.iter().map(|x| x * x - 3.0 * (2.0 * std::f64::consts::PI * x).cos() + 3.0).sum::<f64>();
    let regrets = (0..9).map(|seed| {
        let points =
            run(&mut strategy(&cube(2, -2.3, 3.7), seed), 500, |point| measured(loss(&xs(point)), vec![]));
        lowest(&points, loss)
    });
    let regret = median(regrets.collect());
    assert!(regret < 1e-6, "{regret}");
    let mut once =
        strategy_with(&cube(1, 0.0, 1.0), Options { at_end: AtEnd::Stop, ..Options::default() }, 1);
    for trial in 0.. {
        match once.ask(1, &Pending::NONE) {
            Ok(suggestions) => {
                let Suggestion { point, tag, .. } = &suggestions[0];
                let result = measured((xs(point)[0] - 0.3).powi(2), vec![]);
                once.tell(&[observation(trial, Some(*tag), point, result)]).unwrap();
            }
            Err(error) => {
                assert_eq!(error, StrategyError::Exhausted);
                assert!((10..200).contains(&trial), "{trial}");
                break;
            }
        }
    }
}

fn mixed_space() -> Space {
    Space::new(
        vec![
            Parameter::categorical("kind", ["a", "b", "c"]),
            Parameter::float("rate", 1e-4, 1.0).log(),
            Parameter::float("only_b", 0.0, 1.0).when(Condition::equals("kind", "b")),
            Parameter::int("layers", 1, 6),
            Parameter::int("units", 8, 512).log(),
            Parameter::ordinal("size", [1_i64, 2, 4, 8]),
            Parameter::bool("flag"),
            Parameter::int("one", 3, 3),
        ],
        vec![Constraint::parse("layers + only_b <= 6.5").unwrap()],
    )
    .unwrap()
}

/// The best branch has a parameter of its own, and is not the one that looks best at first.
#[test]
fn choices_levels_and_branches_are_searched() {
    let space = mixed_space();
    let found = (0..9).filter(|seed| {
        let names = space.clone();
        let loss = |point: &Point| {
            let get = |name: &str| names.index_of(name).and_then(|index| point.get(index));
            let branch = match get("only_b") {
                Some(only) => 10.0 * (only - 0.7).powi(2),
                None => 0.5,
            };
            branch
                + (get("rate").unwrap().log10() + 2.0).powi(2)
                + (get("layers").unwrap() - 4.0).abs()
                + (get("units").unwrap().log2() - 6.0).powi(2)
                + (get("size").unwrap() - 2.0).abs()
                + get("flag").unwrap()
        };
        let points = run(&mut strategy(&space, *seed), 250, |point| measured(loss(point), vec![]));
        let l = points.iter().map(loss).fold(f64::INFINITY, f64::min);
        eprintln!("best {l}");
        l < 1e-3
    });
    assert!(found.count() >= 6);
}

#[test]
fn a_small_space_is_used_up_point_by_point() {
    let space =
        Space::of(vec![Parameter::int("a", 0, 4), Parameter::categorical("b", ["x", "y", "z"])]).unwrap();
    let mut strategy = strategy(&space, 3);
    let points = run(&mut strategy, 15, |point| measured(xs(point).iter().sum(), vec![]));
    assert_eq!(points.iter().collect::<HashSet<_>>().len(), 15);
    assert_eq!(strategy.ask(1, &Pending::NONE), Err(StrategyError::Exhausted));
}

/// The minimum lies where the constraint is just kept.
#[test]
fn a_bound_on_a_metric_is_kept() {
    let loss = |x: &[f64]| x[0] + x[1];
    let broken = |x: &[f64]| 0.25 - x[0] * x[1];
    let mut strategy = strategy(&cube(2, 0.0, 1.0), 5);
    let points = run(&mut strategy, 150, |point| measured(loss(&xs(point)), vec![broken(&xs(point))]));
    let kept: Vec<Point> = points.into_iter().filter(|point| broken(&xs(point)) <= 0.0).collect();
    let best = lowest(&kept, loss);
    assert!(best < 1.02, "{best}");
}

#[test]
fn noise_failures_and_stopped_trials_do_not_end_the_search() {
    let mut strategy = strategy(&cube(3, -1.0, 1.0), 6);
    let mut rng = Rng::new(9);
    let mut distances = Vec::new();
    for trial in 0..300 {
        let Suggestion { point, tag, .. } = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
        let x = xs(&point);
        use rand::RngExt;
        let loss = x.iter().map(|x| (x - 0.4).powi(2)).sum::<f64>() + rng.random_range(-0.01..0.01);
        let result = match trial % 7 {
            3 => ObservedResult::Failed,
            5 => ObservedResult::Stopped(None),
            _ => measured(loss, vec![]),
        };
        if trial >= 20 && matches!(result, ObservedResult::Completed(_)) {
            distances.push(x.iter().map(|x| (x - 0.4).abs()).fold(0.0, f64::max));
        }
        strategy.tell(&[observation(trial, Some(tag), &point, result)]).unwrap();
    }
    assert!(median(distances.clone()) < 0.3, "{}", median(distances));
}

/// What others find is where it goes on, and a snapshot goes on as the original does, with points under way.
#[test]
fn it_hears_others_and_a_snapshot_goes_on_the_same() {
    let space = cube(4, -2.0, 2.0);
    let mut strategy = strategy(&space, 8);
    run(&mut strategy, 12, |point| measured(rosenbrock(&xs(point)), vec![]));
    let better = Point::new([Some(0.9), Some(0.8), Some(0.65), Some(0.4)]);
    strategy.tell(&[observation(500, None, &better, measured(rosenbrock(&xs(&better)), vec![]))]).unwrap();
    let batch = strategy.ask(5, &Pending::NONE).unwrap();
    let flat: Vec<f64> = batch.iter().flat_map(|suggestion| xs(&suggestion.point)).collect();
    let pending = Pending::new(&[20, 21, 22, 23, 24], &flat);
    assert_eq!(batch.iter().map(|s| s.point.clone()).collect::<HashSet<_>>().len(), 5);
    assert!(batch.iter().all(|s| xs(&s.point).iter().zip(xs(&better)).all(|(a, b)| (a - b).abs() < 2.1)));

    let state = strategy.snapshot().unwrap().unwrap();
    let mut again = strategy_with(&space, Options::default(), 99);
    again.restore(&state).unwrap();
    for round in 0..30 {
        let (one, other) = (strategy.ask(2, &pending).unwrap(), again.ask(2, &pending).unwrap());
        assert_eq!(one, other, "round {round}");
        let told: Vec<Observation> = (one.iter().enumerate())
            .map(|(index, s)| {
                observation(
                    100 + 2 * round + index as u64,
                    Some(s.tag),
                    &s.point,
                    measured(rosenbrock(&xs(&s.point)), vec![]),
                )
            })
            .collect();
        strategy.tell(&told).unwrap();
        again.tell(&told).unwrap();
    }
    let mut other = strategy_with(&cube(3, 0.0, 1.0), Options::default(), 1);
    assert!(matches!(other.restore(&state), Err(StrategyError::Invalid(_))));
}

#[test]
fn options_say_what_is_wrong_with_them() {
    let wrong = |options: Options| options.check().unwrap_err().to_string();
    let standard = Options::default();
    assert!(wrong(Options { first_radius: 0.7, ..standard.clone() }).contains("first_radius"));
    assert!(wrong(Options { last_radius: f64::NAN, ..standard.clone() }).contains("last_radius"));
    assert!(wrong(Options { initial_count: Some(0), ..standard.clone() }).contains("initial_count"));
    let crossed = Options { first_radius: 1e-3, last_radius: 1e-2, ..standard };
    assert!(wrong(crossed).contains("more than first_radius"));
}
