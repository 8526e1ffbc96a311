//! Whole runs of one metric: quality against random search, and what every ask must keep.

use std::f64::consts::PI;

use ansatz_core::space::{Condition, Constraint, Parameter};
use ansatz_core::{Curve, Goal, Losses, Metric, ObservedResult, Space, TrialId};

use super::*;
use crate::history::Lesson;

mod outcome_constraints;
mod several_metrics;

fn problem(space: &Space) -> Problem {
    Problem::new(space.clone(), vec![Metric { name: "loss".into(), goal: Goal::Minimise }])
}

fn strategy(space: &Space, seed: u64) -> Bayesian {
    Bayesian::new(&problem(space), Options::default(), Rng::new(seed)).unwrap()
}

fn completed(loss: f64) -> ObservedResult {
    ObservedResult::Completed(Losses { values: vec![loss], standard_errors: vec![], excesses: vec![] })
}

fn measured(loss: f64) -> Lesson {
    Lesson::measured(vec![loss], vec![])
}

fn observation(trial: u64, point: &Point, result: ObservedResult) -> Observation {
    Observation {
        trial: TrialId(trial),
        tag: Some(0),
        point: point.clone(),
        fidelity: None,
        curve: Curve::default(),
        result,
    }
}

/// Asks one by one; each point is checked against the space and those before it.
fn run(strategy: &mut Bayesian, count: usize, result: impl Fn(&Point) -> ObservedResult) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for trial in 0..count {
        let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
        let point = suggestion.point;
        assert_eq!(strategy.representation.space().check(&point), Ok(()));
        assert!(!points.contains(&point), "trial {trial} repeats {point:?}");
        strategy.tell(&[observation(trial as u64, &point, result(&point))]).unwrap();
        points.push(point);
    }
    points
}

fn coordinates(point: &Point) -> Vec<f64> {
    point.coordinates().map(|c| c.unwrap_or(f64::NAN)).collect()
}

/// Branin (Dixon and Szegő 1978) on [-5, 10] × [0, 15]; minimum 0.397887357729738.
fn branin(x: &[f64]) -> f64 {
    let a = x[1] - 5.1 / (4.0 * PI * PI) * x[0] * x[0] + 5.0 / PI * x[0] - 6.0;
    a * a + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x[0].cos() + 10.0
}

/// Hartmann (Dixon and Szegő 1978) in six dimensions on the unit cube; minimum -3.32236801141551.
fn hartmann6(x: &[f64]) -> f64 {
    const WEIGHTS: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const SHARPNESS: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const CENTRES: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let peak = |i: usize| {
        let exponent: f64 = (0..6).map(|k| SHARPNESS[i][k] * (x[k] - CENTRES[i][k]).powi(2)).sum();
        WEIGHTS[i] * (-exponent).exp()
    };
    -(0..4).map(peak).sum::<f64>()
}

fn branin_space() -> Space {
    Space::of(vec![Parameter::float("x", -5.0, 10.0), Parameter::float("y", 0.0, 15.0)]).unwrap()
}

fn cube(dimension_count: usize) -> Space {
    Space::of((0..dimension_count).map(|k| Parameter::float(format!("x{k}"), 0.0, 1.0)).collect()).unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Simple regrets after 60 evaluations, for seeds from 0: of the strategy, and of random search.
fn regrets(
    space: &Space,
    function: fn(&[f64]) -> f64,
    minimum: f64,
    seed_count: u64,
) -> (Vec<f64>, Vec<f64>) {
    let regret = |points: &[Point]| {
        points.iter().map(|point| function(&coordinates(point))).fold(f64::INFINITY, f64::min) - minimum
    };
    (0..seed_count)
        .map(|seed| {
            let ours = run(&mut strategy(space, seed), 60, |point| completed(function(&coordinates(point))));
            let mut rng = Rng::new(1000 + seed);
            let drawn: Vec<Point> = (0..60).map(|_| space.sample(&mut rng).unwrap()).collect();
            (regret(&ours), regret(&drawn))
        })
        .unzip()
}

#[test]
fn branin_regret_is_far_below_that_of_random_search() {
    let (ours, random) = regrets(&branin_space(), branin, 0.397_887_357_729_738, 11);
    assert!(ours.iter().all(|regret| *regret < 1e-3), "{ours:?}");
    assert!(median(ours.clone()) < median(random.clone()) / 1000.0, "{ours:?} against {random:?}");
}

/// About seven of ten runs end in the global basin, nearly all others in the second best at regret 0.119:
/// the median says something only over many seeds.
#[test]
fn hartmann_regret_is_far_below_that_of_random_search() {
    if std::env::var_os("ANSATZ_SLOW_TESTS").is_none() {
        return;
    }
    let (ours, random) = regrets(&cube(6), hartmann6, -3.322_368_011_415_51, 41);
    assert!(median(ours.clone()) < median(random.clone()) / 20.0, "{ours:?} against {random:?}");
}

fn mixed_space(constraints: &[&str]) -> Space {
    let network = || Condition::equals("model", "network");
    Space::new(
        vec![
            Parameter::categorical("model", ["linear", "network", "forest"]),
            Parameter::float("rate", 1e-5, 1.0).log().when(network()),
            Parameter::int("layers", 1, 8).when(network()),
            Parameter::int("trees", 10, 1000).log().when(Condition::equals("model", "forest")),
            Parameter::ordinal("batch_size", [16_i64, 32, 64, 128]),
            Parameter::bool("bias"),
            Parameter::float("a", 0.0, 1.0),
            Parameter::float("b", 0.0, 1.0),
            Parameter::int("only", 7, 7),
        ],
        constraints.iter().map(|text| Constraint::parse(text).unwrap()).collect(),
    )
    .unwrap()
}

/// Best 0: a network with rate 0.01, 5 layers, batches of 64, bias, a = 0.3, b = 0.6.
fn mixed_loss(point: &Point) -> f64 {
    let model = match point.get(0) {
        Some(1.0) => {
            let rate = point.get(1).unwrap().log10() + 2.0;
            let layers = point.get(2).unwrap() - 5.0;
            0.3 * rate * rate + 0.1 * layers * layers
        }
        Some(2.0) => 0.4 + 0.2 * (point.get(3).unwrap().log10() - 2.0).powi(2),
        _ => 1.0,
    };
    let rest = 0.1 * (point.get(4).unwrap() - 2.0).abs() + 0.2 * (1.0 - point.get(5).unwrap());
    let (a, b) = (point.get(6).unwrap(), point.get(7).unwrap());
    model + rest + 4.0 * (a - 0.3).powi(2) + 4.0 * (b - 0.6).powi(2)
}

/// Up to a third of the runs end in the second best branch, at 0.4: fewer seeds say little.
#[test]
fn mixed_conditional_and_constrained_spaces_are_searched_well() {
    let constraint = "a + b <= 0.8";
    // On the edge a + b = 0.8 the best is 4 · 2 · 0.05² = 0.02.
    let cases: [(&[&str], f64); 2] = [(&[], 0.0), (&[constraint], 0.02)];
    for (constraints, minimum) in cases {
        let space = mixed_space(constraints);
        let mut regrets = Vec::new();
        let mut random = Vec::new();
        for seed in 0..21 {
            let mut strategy = strategy(&space, seed);
            let points = run(&mut strategy, 50, |point| completed(mixed_loss(point)));
            regrets.push(points.iter().map(mixed_loss).fold(f64::INFINITY, f64::min) - minimum);
            let mut rng = Rng::new(500 + seed);
            let drawn = (0..50).map(|_| mixed_loss(&space.sample(&mut rng).unwrap()));
            random.push(drawn.fold(f64::INFINITY, f64::min) - minimum);
        }
        let (ours, random) = (median(regrets), median(random));
        assert!(ours < random / 20.0, "{constraints:?}: {ours} against {random}");
    }
}

#[test]
fn the_same_seed_and_history_give_the_same_points_across_a_snapshot() {
    let space = mixed_space(&["a + b <= 1.2"]);
    let loss = |point: &Point| completed(mixed_loss(point));
    let expected = run(&mut strategy(&space, 3), 25, loss);
    assert_eq!(run(&mut strategy(&space, 3), 25, loss), expected);
    assert_ne!(run(&mut strategy(&space, 4), 25, loss), expected);
    for cut in [0, 5, 12, 20] {
        let mut original = strategy(&space, 3);
        run(&mut original, cut, loss);
        // Models that were fitted for pending asks must not depend on whether they were kept or rebuilt.
        let early = original.ask(2, &Pending::NONE).unwrap();
        let state = original.snapshot().unwrap().unwrap();
        let mut restored = strategy(&space, 99);
        restored.restore(&state).unwrap();
        let trials = [100, 101];
        let flat: Vec<f64> = early.iter().flat_map(|suggestion| suggestion.point.flat().to_vec()).collect();
        let pending = Pending::new(&trials, &flat);
        assert_eq!(restored.ask(2, &pending).unwrap(), original.ask(2, &pending).unwrap(), "cut {cut}");
    }
    assert!(matches!(strategy(&space, 0).restore(b"nonsense"), Err(StrategyError::Invalid(_))));
}

#[test]
fn batches_and_pending_trials_spread() {
    let space = branin_space();
    let mut strategy = strategy(&space, 1);
    run(&mut strategy, 15, |point| completed(branin(&coordinates(point))));
    let first = strategy.ask(3, &Pending::NONE).unwrap();
    let flat: Vec<f64> = first.iter().flat_map(|suggestion| suggestion.point.flat().to_vec()).collect();
    let second = strategy.ask(3, &Pending::new(&[20, 21, 22], &flat)).unwrap();
    let encoding = strategy.representation.encoding();
    let rows: Vec<Vec<f64>> =
        first.iter().chain(&second).map(|suggestion| encoding.encode(&suggestion.point)).collect();
    for (index, a) in rows.iter().enumerate() {
        for b in &rows[..index] {
            let distance = a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
            assert!(distance > 1e-3, "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_large_first_batch_is_the_initial_design() {
    let space = cube(3);
    let mut strategy = strategy(&space, 2);
    let suggestions = strategy.ask(20, &Pending::NONE).unwrap();
    assert_eq!(suggestions.len(), 20);
    for (index, suggestion) in suggestions.iter().enumerate() {
        assert!(suggestions[..index].iter().all(|other| other.point != suggestion.point));
    }
}

#[test]
fn finite_spaces_are_used_up_without_repetition() {
    let small = Space::new(
        vec![
            Parameter::categorical("kind", ["a", "b", "c"]),
            Parameter::int("level", 0, 4).when(Condition::equals("kind", "b")),
            Parameter::bool("flag"),
        ],
        vec![],
    )
    .unwrap();
    let loss = |point: &Point| completed(point.flat().iter().filter(|c| !c.is_nan()).sum());
    let mut strategy = strategy(&small, 5);
    // a and c with two flags each, b with five levels and two flags.
    run(&mut strategy, 14, loss);
    assert_eq!(strategy.ask(1, &Pending::NONE), Err(StrategyError::Exhausted));

    // Too large for complete enumeration in each ask, small enough to be filled.
    let large = Space::of(vec![Parameter::int("a", 0, 99), Parameter::int("b", 0, 49)]).unwrap();
    let mut strategy = Bayesian::new(&problem(&large), Options::default(), Rng::new(6)).unwrap();
    let points = run(&mut strategy, 40, |point| completed(mixed_integer_loss(point)));
    let best = points.iter().map(mixed_integer_loss).fold(f64::INFINITY, f64::min);
    assert_eq!(best, 0.0, "the minimum of a smooth function on a grid is found exactly");
}

fn mixed_integer_loss(point: &Point) -> f64 {
    let x = coordinates(point);
    (x[0] - 73.0).powi(2) / 1000.0 + (x[1] - 11.0).powi(2) / 100.0
}

#[test]
fn failures_are_avoided_and_stopped_trials_are_no_losses() {
    let space = cube(2);
    // The left half fails; the minimum without that would be there.
    let mut strategy = strategy(&space, 7);
    let result = |point: &Point| {
        let x = coordinates(point);
        if x[0] < 0.5 {
            ObservedResult::Failed
        } else {
            completed((x[0] - 0.4).powi(2) + (x[1] - 0.7).powi(2))
        }
    };
    let points = run(&mut strategy, 40, result);
    let failed = points[20..].iter().filter(|point| coordinates(point)[0] < 0.5).count();
    assert!(failed < 10, "{failed} of the last 20 failed");
    let best = points
        .iter()
        .map(coordinates)
        .filter(|x| x[0] >= 0.5)
        .map(|x| (x[0] - 0.4).powi(2) + (x[1] - 0.7).powi(2))
        .fold(f64::INFINITY, f64::min);
    assert!(best < 0.03, "the best that can be had is 0.01, found {best}");

    // A stopped trial with a wonderful intermediate loss must not attract anything.
    let mut strategy = self::strategy(&space, 8);
    let result = |point: &Point| {
        let x = coordinates(point);
        if x[0] < 0.5 {
            let losses = Losses { values: vec![-1e6], standard_errors: vec![], excesses: vec![] };
            ObservedResult::Stopped(Some(losses))
        } else {
            completed((x[0] - 0.8).powi(2) + (x[1] - 0.7).powi(2))
        }
    };
    let points = run(&mut strategy, 30, result);
    let best = points
        .iter()
        .map(coordinates)
        .filter(|x| x[0] >= 0.5)
        .map(|x| (x[0] - 0.8).powi(2) + (x[1] - 0.7).powi(2))
        .fold(f64::INFINITY, f64::min);
    assert!(best < 1e-4, "{best}");
}

#[test]
fn what_other_strategies_found_is_learnt() {
    let space = branin_space();
    let mut strategy = strategy(&space, 9);
    let mut rng = Rng::new(77);
    let foreign: Vec<Observation> = (0..30)
        .map(|trial| {
            let point = space.sample(&mut rng).unwrap();
            let result = completed(branin(&coordinates(&point)));
            Observation { tag: None, ..observation(trial, &point, result) }
        })
        .collect();
    strategy.tell(&foreign).unwrap();
    let points = run(&mut strategy, 20, |point| completed(branin(&coordinates(point))));
    let best = points.iter().map(|point| branin(&coordinates(point))).fold(f64::INFINITY, f64::min);
    assert!(best < 0.4, "{best}");
}

#[test]
fn odd_losses_stop_nothing() {
    let space = mixed_space(&["a < b"]);
    let oddities: [fn(f64) -> ObservedResult; 6] = [
        |_| completed(1.0),
        |x| completed(1e300 * x),
        |x| completed(1e-300 * x),
        |_| ObservedResult::Infeasible,
        |x| if x < 1.0 { completed(x) } else { ObservedResult::Failed },
        |x| if x < 1.0 { completed(f64::MAX * (x - 0.5)) } else { ObservedResult::Stopped(None) },
    ];
    for (index, oddity) in oddities.into_iter().enumerate() {
        run(&mut strategy(&space, index as u64), 16, |point| oddity(mixed_loss(point)));
    }
}

#[test]
fn low_fidelity_is_not_taken_for_the_loss() {
    let space = cube(1);
    let mut with_fidelity = problem(&space);
    with_fidelity.fidelity =
        Some(ansatz_core::FidelityRange { name: "epochs".into(), lower: 1.0, upper: 9.0 });
    let strategy = Bayesian::new(&with_fidelity, Options::default(), Rng::new(1)).unwrap();
    let point = Point::from_flat(&[0.5]);
    for (fidelity, expected) in
        [(Some(3.0), Lesson::Unfinished), (Some(9.0), measured(2.0)), (None, measured(2.0))]
    {
        let told = Observation { fidelity, ..observation(0, &point, completed(2.0)) };
        assert_eq!(Told::new(&told, strategy.full_fidelity).lesson, expected);
    }
}

#[test]
fn constraints_without_a_solution_are_an_error_that_says_so() {
    let error = strategy(&mixed_space(&["a + b <= -1"]), 1).ask(1, &Pending::NONE).unwrap_err();
    assert!(
        matches!(&error, StrategyError::Invalid(message) if message.contains("constraints")),
        "{error:?}"
    );
}

#[test]
fn many_observations_are_thinned() {
    let space = cube(2);
    let options = Options { observation_count_max: 60, ..Options::default() };
    let mut strategy = Bayesian::new(&problem(&space), options, Rng::new(12)).unwrap();
    let mut rng = Rng::new(13);
    let told: Vec<Observation> = (0..300)
        .map(|trial| {
            let point = space.sample(&mut rng).unwrap();
            let x = coordinates(&point);
            observation(trial, &point, completed((x[0] - 0.2).powi(2) + (x[1] - 0.9).powi(2)))
        })
        .collect();
    strategy.tell(&told).unwrap();
    let points = run(&mut strategy, 8, |point| {
        let x = coordinates(point);
        completed((x[0] - 0.2).powi(2) + (x[1] - 0.9).powi(2))
    });
    let best = points.iter().map(coordinates).map(|x| (x[0] - 0.2).powi(2) + (x[1] - 0.9).powi(2));
    assert!(best.fold(f64::INFINITY, f64::min) < 1e-5);
}

#[test]
fn options_are_read_strictly_and_checked() {
    assert_eq!(serde_json::from_str::<Options>("{}").unwrap(), Options::default());
    let read = serde_json::from_str::<Options>(r#"{"warps": ["power"], "initial_count": 5}"#).unwrap();
    assert_eq!((read.warps, read.initial_count), (vec![LossWarp::Power], Some(5)));
    assert!(serde_json::from_str::<Options>(r#"{"candidates": 5}"#).is_err());
    let broken = [
        Options { initial_count: Some(1), ..Options::default() },
        Options { candidate_count: 3, ..Options::default() },
        Options { start_count: 0, ..Options::default() },
        Options { warps: vec![], ..Options::default() },
        Options { warps: vec![LossWarp::Power, LossWarp::Power], ..Options::default() },
        Options { observation_count_max: 1, ..Options::default() },
    ];
    for options in broken {
        let made = Bayesian::new(&problem(&cube(1)), options.clone(), Rng::new(1));
        assert!(matches!(made, Err(StrategyError::Invalid(_))), "{options:?}");
    }
}

/// Two of three trials are measured badly, as with few repetitions; whoever knows which learns from the third.
#[test]
fn known_standard_errors_say_which_trials_to_believe() {
    let space = branin_space();
    let regret = |seed: u64, is_known: bool| {
        let mut strategy = strategy(&space, seed);
        let mut rng = Rng::new(100 + seed);
        for trial in 0..45 {
            let point = strategy.ask(1, &Pending::NONE).unwrap().remove(0).point;
            let error = if trial % 3 == 0 { 0.1 } else { 30.0 };
            let loss = branin(&coordinates(&point)) + error * ansatz_sampling::standard_normal(&mut rng);
            let losses = Losses {
                values: vec![loss],
                standard_errors: if is_known { vec![Some(error)] } else { Vec::new() },
                excesses: Vec::new(),
            };
            strategy.tell(&[observation(trial, &point, ObservedResult::Completed(losses))]).unwrap();
        }
        let best = strategy.recommend().unwrap().remove(0);
        branin(&coordinates(&best.point)) - 0.397887357729738
    };
    let medians = [true, false].map(|is_known| median((0..9).map(|seed| regret(seed, is_known)).collect()));
    // 0.04 and 4.5 when this was written
    assert!(medians[0] < 0.2 && medians[1] > 1.0, "{medians:?}");
}

/// A standard error that is no positive number is none.
#[test]
fn odd_standard_errors_are_as_good_as_none() {
    let space = branin_space();
    let points = |errors: &[Option<f64>]| {
        let mut strategy = strategy(&space, 3);
        run(&mut strategy, 14, |point| {
            ObservedResult::Completed(Losses {
                values: vec![branin(&coordinates(point))],
                standard_errors: errors.to_vec(),
                excesses: Vec::new(),
            })
        })
    };
    let none = points(&[]);
    for error in [None, Some(0.0), Some(-1.0), Some(f64::NAN), Some(f64::INFINITY)] {
        assert_eq!(points(&[error]), none, "{error:?}");
    }
    assert_ne!(points(&[Some(5.0)]), none);
    // beyond what a variance can hold, and below
    for error in [f64::MIN_POSITIVE, f64::MAX] {
        assert_eq!(points(&[Some(error)]).len(), 14);
    }
}

/// Beyond a hundred results a model is fitted after each fiftieth part of new ones, however many come at once.
#[test]
fn every_model_is_fitted_again_in_time_one_by_one_and_in_batches() {
    let space = cube(1);
    for batch in [1, 2, 8, 40] {
        let mut strategy = strategy(&space, 4);
        let mut rng = Rng::new(9);
        let mut told = 0;
        let mut tell = |strategy: &mut Bayesian, count: u64| {
            for _ in 0..count {
                let x = rng.random::<f64>();
                let loss = (20.0 * x).sin() + x + 0.3 * ansatz_sampling::standard_normal(&mut rng);
                strategy.tell(&[observation(told, &Point::new([Some(x)]), completed(loss))]).unwrap();
                told += 1;
            }
            told
        };
        tell(&mut strategy, 110);
        strategy.ask(1, &Pending::NONE).unwrap();
        let mut fitted_at = [110; 3];
        for _ in 0..50 {
            let before = strategy.state.fits.all();
            let count = tell(&mut strategy, batch);
            strategy.ask(1, &Pending::NONE).unwrap();
            let changed: Vec<bool> =
                before.iter().zip(strategy.state.fits.all()).map(|(a, b)| *a != b).collect();
            let change_count = changed.iter().filter(|changed| **changed).count();
            // three in 2.2 trials at 110
            let most = if count <= 150 { 2 } else { 1 };
            assert!(batch > 1 || change_count <= most, "{changed:?} in one ask");
            for (at, changed) in fitted_at.iter_mut().zip(changed) {
                // a fiftieth part and the rounding of two turns, or what came at once; and once more that
                let most = (count / 50 + 2).max(batch) + batch;
                assert!(changed || count - *at <= most, "not fitted for {} of {count}", count - *at);
                if changed {
                    *at = count;
                }
            }
            if count > 400 {
                break;
            }
        }
    }
}

#[test]
fn a_copy_from_a_snapshot_goes_on_alike_beyond_a_hundred_results() {
    let space = cube(2);
    let mut original = strategy(&space, 11);
    let loss = |point: &Point| coordinates(point).iter().map(|x| (x - 0.4).powi(2)).sum::<f64>();
    let mut rng = Rng::new(12);
    for trial in 0..118 {
        let point = Point::new([Some(rng.random()), Some(rng.random())]);
        original.tell(&[observation(trial, &point, completed(loss(&point)))]).unwrap();
    }
    original.ask(1, &Pending::NONE).unwrap();
    for trial in 118..126 {
        let mut copy = strategy(&space, 1);
        copy.restore(&original.snapshot().unwrap().unwrap()).unwrap();
        let suggestions = original.ask(1, &Pending::NONE).unwrap();
        assert_eq!(copy.ask(1, &Pending::NONE).unwrap(), suggestions, "after {trial}");
        assert_eq!(copy.snapshot(), original.snapshot());
        let point = &suggestions[0].point;
        original.tell(&[observation(trial, point, completed(loss(point)))]).unwrap();
    }
}

/// A model that holds a hundred of four hundred trials holds those that were measured well, not the luckiest.
#[test]
fn a_full_model_keeps_what_was_measured_well() {
    let space = branin_space();
    let regret = |seed: u64| {
        let options = Options { observation_count_max: 100, ..Options::default() };
        let mut strategy = Bayesian::new(&problem(&space), options, Rng::new(seed)).unwrap();
        let mut rng = Rng::new(50 + seed);
        for trial in 0..400 {
            let point = space.sample(&mut rng).unwrap();
            let error = if trial % 5 == 0 { 0.1 } else { 60.0 };
            let loss = branin(&coordinates(&point)) + error * ansatz_sampling::standard_normal(&mut rng);
            let losses =
                Losses { values: vec![loss], standard_errors: vec![Some(error)], excesses: Vec::new() };
            strategy.tell(&[observation(trial, &point, ObservedResult::Completed(losses))]).unwrap();
        }
        branin(&coordinates(&strategy.recommend().unwrap().remove(0).point)) - 0.397887357729738
    };
    let found = median((0..5).map(regret).collect());
    assert!(found < 2.0, "{found}");
}

#[test]
fn what_is_predicted_includes_the_known_noise() {
    let space = cube(1);
    let deviation = |error: Option<f64>| {
        let mut strategy = strategy(&space, 5);
        for trial in 0..12 {
            let x = trial as f64 / 11.0;
            let losses =
                Losses { values: vec![10.0 * x * x], standard_errors: vec![error], excesses: Vec::new() };
            let point = Point::new([Some(x)]);
            strategy.tell(&[observation(trial, &point, ObservedResult::Completed(losses))]).unwrap();
        }
        let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
        suggestion.prediction.unwrap().deviation
    };
    let (without, with) = (deviation(None), deviation(Some(0.5)));
    assert!(without < 0.2 && (0.5..2.0).contains(&with), "{without} {with}");
}

#[test]
fn with_many_results_a_suggestion_is_worth_what_all_of_them_say() {
    let space = Space::of((0..3).map(|k| Parameter::float(format!("x{k}"), 0.0, 1.0)).collect()).unwrap();
    let mut strategy = strategy(&space, 5);
    let mut rng = Rng::new(6);
    let loss =
        |point: &Point| coordinates(point).iter().map(|x| (x - 0.3).powi(2) + 0.1 * (9.0 * x).sin()).sum();
    let told: Vec<Observation> = (0..1020)
        .map(|trial| {
            let point = space.sample(&mut rng).unwrap();
            observation(trial, &point, completed(loss(&point)))
        })
        .collect();
    strategy.tell(&told).unwrap();
    let suggestions = strategy.ask(2, &Pending::NONE).unwrap();
    let mut models = strategy.models.clone().unwrap();
    for suggestion in suggestions {
        let prediction = suggestion.prediction.unwrap();
        let features = strategy.representation.features(&suggestion.point);
        let all = AllowedImprovement::new(&models, Reference::Near)
            .unwrap()
            .inside(Options::default().inside_weight / told.len() as f64)
            .acquisition(&features);
        assert_eq!(prediction.acquisition, Some(all));
        models.believe(&strategy.representation, std::slice::from_ref(&suggestion.point)).unwrap();
        let least = told.iter().map(|told| loss(&told.point)).fold(f64::INFINITY, f64::min);
        assert!(prediction.mean < least + 0.05, "{prediction:?} {least}");
    }
}

/// A training whose step was too large reports numbers like 1e30: they say that the point is bad, and nothing else.
#[test]
fn losses_that_have_diverged_do_not_blind_it() {
    let space = cube(2);
    let bowl = |x: &[f64]| (x[0] - 0.3).powi(2) + (x[1] - 0.6).powi(2);
    for huge in [1e6, 1e30, 1e300] {
        // a corner, about a quarter of the space, and more the deeper in it
        let corner = |x: &[f64]| (x[0] + x[1] > 1.3).then_some(huge * (x[0] + x[1]));
        let mut strategy = strategy(&space, 3);
        let loss = |point: &Point| {
            let x = coordinates(point);
            corner(&x).unwrap_or_else(|| bowl(&x))
        };
        let points = run(&mut strategy, 40, |point| completed(loss(point)));
        let best = points.iter().map(loss).fold(f64::INFINITY, f64::min);
        assert!(best < 1e-7, "{huge:e}: {best:e}");
        let recommended = strategy.recommend().unwrap().remove(0);
        assert!(loss(&recommended.point) < 1e-5, "{huge:e}: {recommended:?}");
        assert!(recommended.mean.abs() < 0.01 && recommended.deviation < 0.1, "{huge:e}: {recommended:?}");
    }
}

#[test]
fn of_many_parameters_few_go_to_bounds_before_anything_is_known_there() {
    let parameters = (0..20).map(|index| Parameter::float(format!("x{index}"), 0.0, 1.0)).collect();
    let space = Space::of(parameters).unwrap();
    let bowl = |point: &Point| {
        let distances = coordinates(point).into_iter().enumerate();
        completed(distances.map(|(index, x)| (x - 0.3 - 0.02 * index as f64).powi(2)).sum())
    };
    let at_bounds = |inside_weight: f64| {
        let options = Options { inside_weight, ..Options::default() };
        let mut strategy = Bayesian::new(&problem(&space), options, Rng::new(7)).unwrap();
        let points = run(&mut strategy, 30, bowl);
        let of_models = points.iter().skip(Options::default().initial_count(&space, 1)).flat_map(coordinates);
        of_models.filter(|x| *x == 0.0 || *x == 1.0).count()
    };
    let (with, without) = (at_bounds(Options::default().inside_weight), at_bounds(0.0));
    assert!(without >= 20 && 5 * with < without, "{with} {without} of 360");
}

#[test]
fn the_initial_design_grows_with_the_space_and_leaves_no_branch_of_it_out() {
    let cube = |count: usize| {
        Space::of((0..count).map(|index| Parameter::float(format!("x{index}"), 0.0, 1.0)).collect()).unwrap()
    };
    let counts =
        [1, 4, 5, 6, 8, 12, 20, 36, 100].map(|count| Options::default().initial_count(&cube(count), 2));
    assert_eq!(counts, [4, 4, 4, 5, 6, 8, 12, 20, 20]);
    let model = Parameter::categorical("model", ["a", "b"]);
    let of_a = Parameter::float("x", 0.0, 1.0).when(Condition::equals("model", "a"));
    let space = Space::of(vec![model, of_a]).unwrap();
    assert_eq!(Options::default().initial_count(&space, 1), 8);
    assert_eq!(
        [2, 3, 5].map(|metric_count| Options::default().initial_count(&cube(2), metric_count)),
        [4, 8, 8]
    );
    assert_eq!(Options { initial_count: Some(3), ..Options::default() }.initial_count(&space, 3), 3);

    // and what follows it is of models
    let space = cube(5);
    let mut strategy = Bayesian::new(&problem(&space), Options::default(), Rng::new(1)).unwrap();
    let mut of_models = Vec::new();
    for trial in 0..7 {
        let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
        of_models.push(suggestion.prediction.is_some());
        let loss = coordinates(&suggestion.point).iter().sum::<f64>();
        strategy.tell(&[observation(trial, &suggestion.point, completed(loss))]).unwrap();
    }
    assert_eq!(of_models, [false, false, false, false, true, true, true]);
}

#[test]
fn an_inside_weight_below_zero_is_refused() {
    for inside_weight in [-1.0, f64::INFINITY, f64::NAN] {
        let options = Options { inside_weight, ..Options::default() };
        let message = options.check().unwrap_err().to_string();
        assert!(message.contains("option inside_weight: a number from 0"), "{message}");
    }
}
