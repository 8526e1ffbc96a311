//! Whole runs: quality against random search, and what every ask must keep.

use ansatz_core::space::{Condition, Constraint, Parameter};
use ansatz_core::{Curve, FidelityRange, Goal, Losses, Metric, ObservedResult, Space, TrialId};

use super::*;

mod conditions;
mod several_metrics;

fn problem(space: &Space) -> Problem {
    Problem::new(space.clone(), vec![Metric { name: "loss".into(), goal: Goal::Minimise }])
}

fn strategy(space: &Space, seed: u64) -> Tpe {
    Tpe::new(&problem(space), Options::default(), Rng::new(seed)).unwrap()
}

fn measured(losses: Vec<f64>, excesses: Vec<f64>) -> ObservedResult {
    ObservedResult::Completed(Losses { values: losses, standard_errors: vec![], excesses })
}

fn completed(loss: f64) -> ObservedResult {
    measured(vec![loss], vec![])
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
fn run(strategy: &mut Tpe, count: usize, result: impl Fn(&Point) -> ObservedResult) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for trial in 0..count {
        let point = strategy.ask(1, &Pending::NONE).unwrap().remove(0).point;
        assert_eq!(strategy.encoding.space().check(&point), Ok(()));
        assert!(!points.contains(&point), "trial {trial} repeats {point:?}");
        strategy.tell(&[observation(trial as u64, &point, result(&point))]).unwrap();
        points.push(point);
    }
    points
}

fn flat(suggestions: &[Suggestion]) -> Vec<f64> {
    suggestions.iter().flat_map(|suggestion| suggestion.point.flat().to_vec()).collect()
}

fn cube(dimension_count: usize) -> Space {
    Space::of((0..dimension_count).map(|k| Parameter::float(format!("x{k}"), 0.0, 1.0)).collect()).unwrap()
}

fn coordinates(point: &Point) -> Vec<f64> {
    point.coordinates().map(|c| c.unwrap_or(f64::NAN)).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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

/// Median least losses after so many trials, of seeds from 0: of the strategy, and of random search.
fn least(space: &Space, loss: fn(&Point) -> f64, count: usize, seed_count: u64) -> (f64, f64) {
    let best = |points: &[Point]| points.iter().map(loss).fold(f64::INFINITY, f64::min);
    let ours =
        (0..seed_count).map(|seed| best(&run(&mut strategy(space, seed), count, |p| completed(loss(p)))));
    let random = (0..41).map(|seed| {
        let mut rng = Rng::new(1000 + seed);
        best(&(0..count).map(|_| space.sample(&mut rng).unwrap()).collect::<Vec<_>>())
    });
    (median(ours.collect()), median(random.collect()))
}

#[test]
fn losses_of_numbers_are_far_below_those_of_random_search() {
    // A bowl of five parameters; three times as many trials for random search would gain a third.
    let bowl = |point: &Point| coordinates(point).iter().map(|x| (x - 0.3) * (x - 0.3)).sum::<f64>();
    let (ours, random) = least(&cube(5), bowl, 100, 7);
    assert!(ours < random / 20.0, "{ours} against {random}");
}

#[test]
fn losses_of_mixed_and_constrained_spaces_are_far_below_those_of_random_search() {
    // On the edge a + b = 0.8 the best is 4 · 2 · 0.05² = 0.02.
    for (constraints, minimum) in [(&[][..], 0.0), (&["a + b <= 0.8"], 0.02)] {
        let (ours, random) = least(&mixed_space(constraints), mixed_loss, 100, 7);
        assert!(ours - minimum < (random - minimum) / 8.0, "{constraints:?}: {ours} against {random}");
    }
}

#[test]
fn the_same_seed_and_history_give_the_same_points_across_a_snapshot() {
    let space = mixed_space(&["a + b <= 1.2"]);
    let loss = |point: &Point| match mixed_loss(point) {
        loss if loss > 2.5 => ObservedResult::Failed,
        loss => completed(loss),
    };
    let expected = run(&mut strategy(&space, 3), 60, loss);
    assert_eq!(run(&mut strategy(&space, 3), 60, loss), expected);
    assert_ne!(run(&mut strategy(&space, 4), 60, loss), expected);
    for cut in [0, 5, 12, 40] {
        let mut original = strategy(&space, 3);
        run(&mut original, cut, loss);
        let early = original.ask(2, &Pending::NONE).unwrap();
        let mut restored = strategy(&space, 99);
        restored.restore(&original.snapshot().unwrap().unwrap()).unwrap();
        let early = flat(&early);
        let pending = Pending::new(&[100, 101], &early);
        assert_eq!(restored.ask(2, &pending).unwrap(), original.ask(2, &pending).unwrap(), "cut {cut}");
    }
    assert!(matches!(strategy(&space, 0).restore(b"nonsense"), Err(StrategyError::Invalid(_))));
    let mut other = strategy(&cube(2), 0);
    run(&mut other, 1, |_| completed(0.0));
    assert!(strategy(&space, 0).restore(&other.snapshot().unwrap().unwrap()).is_err());
}

/// A change of these numbers changes what every stored study repeats: it belongs in the changelog.
#[test]
fn points_are_the_same_on_every_machine() {
    let space = mixed_space(&[]);
    let points = run(&mut strategy(&space, 1), 40, |point| completed(mixed_loss(point)));
    // FNV-1a of all bits.
    let digest = points
        .iter()
        .flat_map(|point| point.flat().to_vec())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, c| (hash ^ c.to_bits()).wrapping_mul(0x0000_0100_0000_01b3));
    assert_eq!(digest, 0x1e26_02b3_ac31_cfc9, "{digest:#018x}");
}

#[test]
fn batches_and_pending_trials_spread() {
    let space = cube(3);
    let mut strategy = strategy(&space, 1);
    run(&mut strategy, 40, |point| completed(coordinates(point).iter().map(|x| (x - 0.5).abs()).sum()));
    let first = strategy.ask(8, &Pending::NONE).unwrap();
    let early = flat(&first);
    let trials: Vec<u64> = (50..58).collect();
    let second = strategy.ask(8, &Pending::new(&trials, &early)).unwrap();
    let rows: Vec<Vec<f64>> = first.iter().chain(&second).map(|asked| coordinates(&asked.point)).collect();
    for (index, a) in rows.iter().enumerate() {
        for b in &rows[..index] {
            let distance = a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
            assert!(distance > 1e-3, "{a:?} {b:?}");
        }
    }
    // A point under way has lowered the ratio around it.
    let ratio = |pending: &[&[f64]]| {
        let group = &strategy.groups[0];
        let told = &strategy.state.told;
        let densities =
            Densities::new(group, &strategy.memory.rankings[0], told, &strategy.memory.rows, 4, pending);
        densities.log_ratio(group, &rows[0], &mut Vec::new())
    };
    assert!(ratio(&[&rows[0]]) < ratio(&[]) - 0.1, "{} {}", ratio(&[&rows[0]]), ratio(&[]));
}

#[test]
fn finite_spaces_are_used_up_without_repetition() {
    let small = Space::of(vec![
        Parameter::categorical("kind", ["a", "b", "c"]),
        Parameter::int("level", 0, 4).when(Condition::equals("kind", "b")),
        Parameter::bool("flag"),
    ])
    .unwrap();
    let loss = |point: &Point| completed(point.flat().iter().filter(|c| !c.is_nan()).sum());
    let mut first = strategy(&small, 5);
    // a and c with two flags each, b with five levels and two flags.
    run(&mut first, 14, loss);
    assert_eq!(first.ask(1, &Pending::NONE), Err(StrategyError::Exhausted));

    let grid = Space::new(
        vec![Parameter::int("x", 0, 19), Parameter::int("y", 0, 9)],
        vec![Constraint::parse("x + y <= 20").unwrap()],
    )
    .unwrap();
    let feasible = (0..20).flat_map(|x| (0..10).map(move |y| x + y)).filter(|sum| *sum <= 20).count();
    let mut second = strategy(&grid, 6);
    run(&mut second, feasible, loss);
    assert_eq!(second.ask(1, &Pending::NONE), Err(StrategyError::Exhausted));

    let point = Space::of(vec![Parameter::int("only", 7, 7)]).unwrap();
    let mut third = strategy(&point, 7);
    run(&mut third, 1, loss);
    assert_eq!(third.ask(1, &Pending::NONE), Err(StrategyError::Exhausted));
}

#[test]
fn narrow_constraints_are_kept_and_contradicting_ones_are_an_error_that_says_so() {
    let space = mixed_space(&["a + b <= 0.01", "layers <= 3"]);
    run(&mut strategy(&space, 2), 40, |point| completed(mixed_loss(point)));
    let error = strategy(&mixed_space(&["a + b <= -1"]), 1).ask(1, &Pending::NONE).unwrap_err();
    assert!(
        matches!(&error, StrategyError::Invalid(message) if message.contains("constraints")),
        "{error:?}"
    );
}

#[test]
fn trials_that_end_otherwise_teach_what_they_can() {
    // Left of 0.6 everything fails; what was stopped looks better than what was finished.
    let mut problem = problem(&cube(2));
    problem.fidelity = Some(FidelityRange { name: "epochs".into(), lower: 1.0, upper: 10.0 });
    let mut strategy = Tpe::new(&problem, Options::default(), Rng::new(8)).unwrap();
    let mut late = Vec::new();
    for trial in 0..120 {
        let point = strategy.ask(1, &Pending::NONE).unwrap().remove(0).point;
        let x = coordinates(&point);
        let (result, fidelity) = match (x[0] < 0.6, x[1] < 0.5) {
            (true, _) => {
                (if trial % 2 == 0 { ObservedResult::Failed } else { ObservedResult::Infeasible }, 10.0)
            }
            (false, true) => {
                let losses = Losses { values: vec![-5.0], standard_errors: vec![], excesses: vec![] };
                (ObservedResult::Stopped(Some(losses)), 3.0)
            }
            (false, false) => (completed((x[0] - 0.8).abs() + (x[1] - 0.75).abs()), 10.0),
        };
        strategy
            .tell(&[Observation { fidelity: Some(fidelity), ..observation(trial, &point, result) }])
            .unwrap();
        if trial >= 60 {
            late.push(x);
        }
    }
    let near = late.iter().filter(|x| (x[0] - 0.8).abs() < 0.15 && (x[1] - 0.75).abs() < 0.15).count();
    assert!(near > 30, "{near} of 60 near the optimum of what was finished");
}

#[test]
fn while_every_trial_fails_the_design_goes_on() {
    let mut strategy = strategy(&cube(2), 9);
    let points = run(&mut strategy, 64, |_| ObservedResult::Failed);
    for quarter in 0..4 {
        let inside = |point: &&Point| (point.flat()[0] * 4.0) as usize == quarter;
        assert_eq!(points.iter().filter(inside).count(), 16, "a Sobol sequence is balanced");
    }
}

#[test]
fn the_least_broken_constraint_leads_to_what_is_allowed() {
    let mut problem = problem(&cube(4));
    problem.outcome_constraints = vec![ansatz_core::OutcomeConstraint {
        metric: "size".into(),
        side: ansatz_core::Side::AtMost,
        bound: 0.0,
    }];
    // Allowed is a corner that random search finds once in 625 trials; the loss pulls away from it.
    let mut strategy = Tpe::new(&problem, Options::default(), Rng::new(2)).unwrap();
    let excess = |x: &[f64]| x.iter().fold(0.0_f64, |a, b| a.max(*b)) - 0.2;
    let points = run(&mut strategy, 120, |point| {
        let x = coordinates(point);
        measured(vec![-x.iter().sum::<f64>()], vec![excess(&x)])
    });
    let allowed: Vec<f64> =
        points.iter().map(coordinates).filter(|x| excess(x) <= 0.0).map(|x| x.iter().sum::<f64>()).collect();
    assert!(allowed.len() > 10, "{}", allowed.len());
    assert!(allowed.iter().copied().fold(0.0, f64::max) > 0.6, "the best allowed is 0.8: {allowed:?}");
}

#[test]
fn what_other_strategies_found_counts() {
    let space = cube(3);
    let mut strategy = strategy(&space, 3);
    let mut rng = Rng::new(4);
    let told: Vec<Observation> = (0..200)
        .map(|trial| {
            let point = space.sample(&mut rng).unwrap();
            let loss = coordinates(&point).iter().map(|x| (x - 0.7).abs()).sum();
            Observation { tag: None, ..observation(trial, &point, completed(loss)) }
        })
        .collect();
    strategy.tell(&told).unwrap();
    let near = (0..20)
        .map(|_| coordinates(&strategy.ask(1, &Pending::NONE).unwrap()[0].point))
        .filter(|x| x.iter().all(|x| (x - 0.7).abs() < 0.35))
        .count();
    assert!(near > 15, "{near} of 20");
}

#[test]
fn options_are_checked_with_words() {
    let check = |options: Options, expected: &str| {
        let error = Tpe::new(&problem(&cube(1)), options, Rng::new(0)).unwrap_err();
        assert_eq!(error, StrategyError::Invalid(expected.into()));
    };
    let options = Options::default();
    check(
        Options { initial_count: 0, ..options.clone() },
        "option initial_count: at least 1 is needed, found 0",
    );
    check(
        Options { candidate_count: 10_001, ..options.clone() },
        "option candidate_count: 1 to 10000 is needed, found 10001",
    );
    check(
        Options { good_count_max: 0, ..options.clone() },
        "option good_count_max: 1 to 1000 is needed, found 0",
    );
    for good_share in [0.0, 1.0, f64::NAN] {
        check(
            Options { good_share, ..options.clone() },
            &format!("option good_share: 0.001 to 0.9 is needed, found {good_share}"),
        );
    }
    assert!(serde_json::from_str::<Options>(r#"{"gamma": 0.2}"#).is_err());
    assert_eq!(serde_json::from_str::<Options>("{}").unwrap(), options);
}

/// Whoever heard of a trial that was stopped, and of one that continues it, knows as much as whoever heard of the latter.
#[test]
fn a_stopped_trial_gives_way_to_one_that_continues_it() {
    let space = mixed_space(&[]);
    let stopped = |loss: f64| {
        ObservedResult::Stopped(Some(Losses {
            values: vec![loss],
            standard_errors: vec![],
            excesses: vec![],
        }))
    };
    let mut rng = Rng::new(4);
    let points: Vec<Point> = (0..60).map(|_| space.sample(&mut rng).unwrap()).collect();
    let (mut both, mut last) = (strategy(&space, 7), strategy(&space, 7));
    for (trial, point) in points[..20].iter().enumerate() {
        both.tell(&[observation(trial as u64, point, stopped(9.0))]).unwrap();
    }
    for (trial, point) in points.iter().enumerate().skip(20) {
        let told = observation(trial as u64, point, completed(mixed_loss(point)));
        both.tell(std::slice::from_ref(&told)).unwrap();
        last.tell(&[told]).unwrap();
    }
    for (trial, point) in (100..).zip(&points[..20]) {
        // some are stopped once more before they come to their end
        if trial % 2 == 0 {
            both.tell(&[observation(trial, point, stopped(8.0))]).unwrap();
        }
        let told = observation(trial + 100, point, completed(mixed_loss(point)));
        both.tell(std::slice::from_ref(&told)).unwrap();
        last.tell(&[told]).unwrap();
    }
    assert_eq!(both.state.told, last.state.told);
    assert_eq!(both.ask(8, &Pending::NONE).unwrap(), last.ask(8, &Pending::NONE).unwrap());
    // what failed afterwards leaves what was known
    both.tell(&[observation(900, &points[0], ObservedResult::Failed)]).unwrap();
    assert_eq!(both.state.told.len(), 61);
}
