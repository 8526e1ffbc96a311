//! Several metrics: how much of the hypervolume is found, and what every ask must keep.

use ansatz_surrogate::hypervolume;

use super::*;

/// ZDT1 (Zitzler, Deb and Thiele 2000) on the unit cube. Front f2 = 1 - sqrt(f1), which dominates 1.21 - 1/3 below
/// (1.1, 1.1).
fn zdt1(x: &[f64], _: usize) -> Vec<f64> {
    let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64;
    vec![x[0], g * (1.0 - (x[0] / g).sqrt())]
}

/// DTLZ2 (Deb, Thiele, Laumanns and Zitzler 2005) on the unit cube. Front: the unit sphere.
fn dtlz2(x: &[f64], metric_count: usize) -> Vec<f64> {
    let (angles, rest) = x.split_at(metric_count - 1);
    let radius = 1.0 + rest.iter().map(|x| (x - 0.5) * (x - 0.5)).sum::<f64>();
    (0..metric_count)
        .map(|metric| {
            let cosines = angles[..metric_count - 1 - metric].iter().map(|x| (0.5 * PI * x).cos());
            let sine = if metric == 0 { 1.0 } else { (0.5 * PI * angles[metric_count - 1 - metric]).sin() };
            radius * sine * cosines.product::<f64>()
        })
        .collect()
}

/// DTLZ7 on the unit cube: a front in 2^(metrics - 1) pieces, of which the one where the first losses are small is found first.
fn dtlz7(x: &[f64], metric_count: usize) -> Vec<f64> {
    let (first, rest) = x.split_at(metric_count - 1);
    let g = 1.0 + 9.0 * rest.iter().sum::<f64>() / rest.len() as f64;
    let saved: f64 = first.iter().map(|f| f / (1.0 + g) * (1.0 + (3.0 * PI * f).sin())).sum();
    first.iter().copied().chain([(1.0 + g) * (metric_count as f64 - saved)]).collect()
}

/// Three aims of a car's front (Liao et al. 2008; RE34 of Tanabe and Ishibuchi 2020) on the unit cube: mass, acceleration and
/// intrusion.
fn crash(x: &[f64], _: usize) -> Vec<f64> {
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|i| 1.0 + 2.0 * x[i]);
    vec![
        1640.2823 + 2.3573285 * a + 2.3220035 * b + 4.5688768 * c + 7.7213633 * d + 4.4559504 * e,
        6.5856 + 1.15 * a - 1.0427 * b + 0.9738 * c + 0.8364 * d - 0.3695 * a * d
            + 0.0861 * a * e
            + 0.3628 * b * d
            - 0.1106 * a * a
            - 0.3437 * c * c
            + 0.1764 * d * d,
        -0.0551 + 0.0181 * a + 0.1024 * b + 0.0421 * c - 0.0073 * a * b + 0.024 * b * c
            - 0.0118 * b * d
            - 0.0204 * c * d
            - 0.008 * c * e
            - 0.0241 * b * b
            + 0.0109 * d * d,
    ]
}

fn problem_of(space: &Space, metric_count: usize) -> Problem {
    let metric = |index: usize| Metric { name: format!("f{index}"), goal: Goal::Minimise };
    Problem::new(space.clone(), (1..=metric_count).map(metric).collect())
}

fn strategy_of(space: &Space, metric_count: usize, seed: u64) -> Bayesian {
    Bayesian::new(&problem_of(space, metric_count), Options::default(), Rng::new(seed)).unwrap()
}

fn several(losses: Vec<f64>) -> ObservedResult {
    ObservedResult::Completed(Losses { values: losses, standard_errors: vec![], excesses: vec![] })
}

/// Share of `whole`, a hypervolume below `reference`, after each of the counts, median over seeds from 0.
fn shares(
    function: fn(&[f64], usize) -> Vec<f64>,
    dimension_count: usize,
    (reference, whole): (&[f64], f64),
    counts: &[usize],
    seed_count: u64,
) -> Vec<f64> {
    let (space, metric_count) = (cube(dimension_count), reference.len());
    let runs: Vec<Vec<Vec<f64>>> = (0..seed_count)
        .map(|seed| {
            let value = |point: &Point| function(&coordinates(point), metric_count);
            let mut strategy = strategy_of(&space, metric_count, seed);
            let count = counts.iter().copied().max().unwrap();
            run(&mut strategy, count, |point| several(value(point))).iter().map(value).collect()
        })
        .collect();
    let share = |run: &Vec<Vec<f64>>, count: usize| hypervolume(&run[..count], reference) / whole;
    counts
        .iter()
        .map(|&count| {
            let all: Vec<f64> = runs.iter().map(|run| share(run, count)).collect();
            let middle = median(all.clone());
            println!("{dimension_count} parameters, {metric_count} metrics, {count} trials: {middle:.3} of {all:.3?}");
            middle
        })
        .collect()
}

/// Optuna 5.0.0 with its defaults, 50 and 100 evaluations: GPSampler 0.96 and 0.97 on ZDT1, 0.59 and 0.84 on DTLZ2 (of two
/// seeds that the targets are from, 0.54 and 0.88); NSGA-II 0 and 0.38 at 100.
#[test]
fn the_front_of_two_metrics_is_found() {
    let is_slow = std::env::var_os("ANSATZ_SLOW_TESTS").is_some();
    let (counts, seed_count): (&[usize], u64) = if is_slow { (&[50, 100], 5) } else { (&[30], 1) };
    let found = shares(zdt1, 5, (&[1.1; 2], 1.21 - 1.0 / 3.0), counts, seed_count);
    let targets = if is_slow { [0.96, 0.97] } else { [0.8, 0.0] };
    assert!(found.iter().zip(targets).all(|(found, target)| *found >= target), "{found:?}");
    if is_slow {
        let found = shares(dtlz2, 6, (&[1.1; 2], 1.21 - PI / 4.0), counts, seed_count);
        assert!(found.iter().zip([0.54, 0.88]).all(|(found, target)| *found >= target), "{found:?}");
    }
}

/// Measured from near the front alone, no seed ever left the piece that it found first: 0.69 of two metrics after 100 trials.
#[test]
fn all_pieces_of_a_front_are_found() {
    let is_slow = std::env::var_os("ANSATZ_SLOW_TESTS").is_some();
    let (counts, seed_count): (&[usize], u64) = if is_slow { (&[60, 100], 5) } else { (&[45], 1) };
    // the best that was found in many trials
    let found = shares(dtlz7, 5, (&[1.1, 4.6], 1.554), counts, seed_count);
    assert!(found.iter().all(|found| *found >= 0.95), "{found:?}");
    if is_slow {
        let found = shares(dtlz7, 6, (&[1.1, 1.1, 7.0], 3.1), counts, seed_count);
        assert!(found.iter().zip([0.8, 0.94]).all(|(found, target)| *found >= target), "{found:?}");
    }
}

/// Random search finds 0.43 of the hypervolume of DTLZ2 with three metrics, and 20 of that of a crash. As one loss with random weights
/// alone 0.70 of DTLZ2 with three metrics, and 36.1 of the crash.
#[test]
fn the_fronts_of_more_metrics_are_found() {
    if std::env::var_os("ANSATZ_SLOW_TESTS").is_none() {
        return;
    }
    // A cube without the part of the unit ball where no coordinate is negative.
    let balls = [(3, PI / 6.0, 0.75), (4, PI * PI / 32.0, 0.65), (5, PI * PI / 60.0, 0.5)];
    for (metric_count, ball, target) in balls {
        let whole = 1.1_f64.powi(metric_count) - ball;
        let start = std::time::Instant::now();
        let found = shares(dtlz2, 6, (&vec![1.1; metric_count as usize], whole), &[60, 100], 3)[1];
        println!("{:?} an ask", start.elapsed() / 300);
        assert!(found >= target, "{metric_count}: {found}");
    }
    let found = shares(crash, 5, (&[1698.55, 11.21, 0.29], 1.0), &[60, 100], 5);
    assert!(found[1] >= 36.5, "{found:?}");
}

#[test]
fn with_up_to_four_metrics_the_first_is_predicted_at_every_turn() {
    for metric_count in [2, 3, 4, 5] {
        let space = cube(4);
        let mut strategy = strategy_of(&space, metric_count, 2);
        let initial_count = Options::default().initial_count(&space, metric_count) as u64;
        for trial in 0..17 {
            let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
            let losses = dtlz7(&coordinates(&suggestion.point), metric_count);
            assert_eq!(
                suggestion.prediction.is_some(),
                trial >= initial_count && metric_count < 5,
                "{trial}"
            );
            if let Some(prediction) = suggestion.prediction {
                // the first metric of this function is a coordinate
                let off = (prediction.mean - losses[0]).abs();
                assert!(off < 3.0 * prediction.deviation && off < 0.2, "{prediction:?} {losses:?}");
            }
            strategy.tell(&[observation(trial, &suggestion.point, several(losses))]).unwrap();
        }
    }
}

/// A minimum and a maximum of the same thing, constant metrics, huge and tiny ones.
#[test]
fn odd_metrics_stop_nothing() {
    let space = mixed_space(&["a < b"]);
    let oddities: [fn(f64) -> Vec<f64>; 11] = [
        |x| vec![x, -x],
        |x| vec![x, x],
        |x| vec![1.0, x],
        |_| vec![0.0, 0.0],
        |x| vec![1e300 * x, -1e-300 * x],
        |x| vec![1e300 * x, -1e-300 * x, x],
        |x| vec![1.0, x, -x],
        |_| vec![0.0; 3],
        |x| vec![x, -x, x * x, 1.0 / (0.1 + x)],
        |x| vec![x, x, 1.0, 1e-300 * x],
        |x| vec![x, -x, x * x, 1.0 / (0.1 + x), x.sin(), 7.0],
    ];
    for (index, oddity) in oddities.into_iter().enumerate() {
        let metric_count = oddity(1.0).len();
        let mut strategy = strategy_of(&space, metric_count, index as u64);
        run(&mut strategy, 16, |point| match mixed_loss(point) {
            loss if loss > 3.0 => ObservedResult::Failed,
            loss => several(oddity(loss)),
        });
        for recommended in strategy.recommend().unwrap() {
            assert!(recommended.is_usable(), "{recommended:?}");
        }
    }
}

#[test]
fn several_metrics_repeat_by_their_seed_across_a_snapshot() {
    let space = mixed_space(&["a + b <= 1.2"]);
    for metric_count in [2, 3, 4, 6] {
        let losses = |point: &Point| {
            let loss = mixed_loss(point);
            several((0..metric_count).map(|metric| loss * (1.0 - 0.4 * metric as f64) + loss.sin()).collect())
        };
        let expected = run(&mut strategy_of(&space, metric_count, 3), 14, losses);
        assert_eq!(run(&mut strategy_of(&space, metric_count, 3), 14, losses), expected);
        let mut original = strategy_of(&space, metric_count, 3);
        run(&mut original, 12, losses);
        let early = original.ask(2, &Pending::NONE).unwrap();
        let mut restored = strategy_of(&space, metric_count, 99);
        restored.restore(&original.snapshot().unwrap().unwrap()).unwrap();
        let trials = [100, 101];
        let flat: Vec<f64> = early.iter().flat_map(|suggestion| suggestion.point.flat().to_vec()).collect();
        let pending = Pending::new(&trials, &flat);
        // What is recommended changes nothing.
        original.recommend().unwrap();
        assert_eq!(restored.ask(2, &pending).unwrap(), original.ask(2, &pending).unwrap());
    }
    let other = strategy_of(&space, 2, 0).snapshot().unwrap().unwrap();
    assert!(strategy(&space, 0).restore(&other).is_err());
}

#[test]
fn constraints_and_several_metrics_go_together() {
    // The front of two bowls is the diagonal between their centres, of which a constraint leaves the middle third.
    let space = cube(2);
    let mut problem = problem_of(&space, 2);
    let names = ["low", "high"];
    problem.outcome_constraints = names
        .map(|name| ansatz_core::OutcomeConstraint {
            metric: name.into(),
            side: ansatz_core::Side::AtMost,
            bound: 0.0,
        })
        .to_vec();
    let bowl = |x: &[f64], centre: f64| (x[0] - centre).powi(2) + (x[1] - centre).powi(2);
    let mut strategy = Bayesian::new(&problem, Options::default(), Rng::new(5)).unwrap();
    let points = run(&mut strategy, 40, |point| {
        let x = coordinates(point);
        ObservedResult::Completed(Losses {
            values: vec![bowl(&x, 0.2), bowl(&x, 0.8)],
            standard_errors: vec![],
            excesses: vec![0.4 - x[0], x[0] - 0.6],
        })
    });
    let allowed = |x: &Vec<f64>| x[0] >= 0.4 && x[0] <= 0.6;
    let found: Vec<[f64; 2]> =
        points.iter().map(coordinates).filter(allowed).map(|x| [bowl(&x, 0.2), bowl(&x, 0.8)]).collect();
    let front: Vec<[f64; 2]> = (0..=1000)
        .map(|step| 0.4 + 2e-4 * f64::from(step))
        .map(|x| [bowl(&[x, x], 0.2), bowl(&[x, x], 0.8)])
        .collect();
    let share = hypervolume(&found, &[0.4, 0.4]) / hypervolume(&front, &[0.4, 0.4]);
    assert!(share > 0.95, "{share}");
    let recommended = strategy.recommend().unwrap();
    assert!(recommended.len() > 5);
    for recommendation in &recommended {
        let x = coordinates(&recommendation.point);
        assert!(allowed(&x) && (bowl(&x, 0.2) - recommendation.mean).abs() < 1e-2, "{recommendation:?}");
    }
    assert!(recommended.windows(2).all(|pair| pair[0].mean <= pair[1].mean));
}

#[test]
fn batches_of_several_metrics_spread() {
    let space = cube(3);
    for metric_count in [2, 3, 4, 5] {
        let mut strategy = strategy_of(&space, metric_count, 1);
        run(&mut strategy, 15, |point| {
            several(dtlz2(&[coordinates(point), vec![0.5; 3]].concat(), metric_count))
        });
        let asked = strategy.ask(4, &Pending::NONE).unwrap();
        let rows: Vec<Vec<f64>> = asked.iter().map(|suggestion| coordinates(&suggestion.point)).collect();
        for (index, a) in rows.iter().enumerate() {
            for b in &rows[..index] {
                let distance = a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
                assert!(distance > 1e-3, "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn a_front_is_expected_inside_when_its_gaps_are_filled_and_not_beyond_its_ends() {
    let space = cube(4);
    for (metric_count, near, outer) in [(2, 0, 1), (3, 1, 2)] {
        let proposed = |inside_weight: f64, turn: u64| {
            let options = Options { inside_weight, ..Options::default() };
            let mut strategy =
                Bayesian::new(&problem_of(&space, metric_count), options, Rng::new(3)).unwrap();
            let mut rng = Rng::new(7);
            for trial in 0..12 {
                let point = space.sample(&mut rng).unwrap();
                let losses = several(dtlz2(&coordinates(&point), metric_count));
                strategy.tell(&[observation(trial, &point, losses)]).unwrap();
            }
            strategy.state.turn = turn;
            coordinates(&strategy.ask(1, &Pending::NONE).unwrap()[0].point)
        };
        assert_eq!(proposed(0.0, outer), proposed(1000.0, outer), "{metric_count} metrics");
        let inside = proposed(1000.0, near);
        assert!(inside.iter().all(|x| (x - 0.5).abs() < 0.2), "{metric_count} metrics: {inside:?}");
        assert_ne!(proposed(0.0, near), inside);
    }
}

/// An aim that cannot be had must not be tried for ever.
#[test]
fn an_ask_that_no_model_answers_takes_its_turn() {
    let space = cube(2);
    let mut strategy = strategy_of(&space, 3, 1);
    let points = run(&mut strategy, 12, |_| several(vec![1.0; 3]));
    assert!(strategy.models.is_none() && strategy.weighted_models.is_none());
    assert_eq!((points.len(), strategy.state.turn), (12, 4));
}

/// Where two strategies take turns, one of them asks after every second trial.
#[test]
fn what_others_tell_skips_no_turn() {
    let space = cube(3);
    let mut strategy = strategy_of(&space, 2, 1);
    let mut rng = Rng::new(2);
    let mut told = 0;
    let mut tell = |strategy: &mut Bayesian, point: &Point| {
        let losses = several(dtlz2(&coordinates(point), 2));
        strategy.tell(&[observation(told, point, losses)]).unwrap();
        told += 1;
    };
    (0..8).for_each(|_| tell(&mut strategy, &space.sample(&mut rng).unwrap()));
    let mut aims = Vec::new();
    for _ in 0..4 {
        aims.push(Aim::of_turn(2, strategy.state.turn));
        let point = strategy.ask(1, &Pending::NONE).unwrap().remove(0).point;
        tell(&mut strategy, &point);
        tell(&mut strategy, &space.sample(&mut rng).unwrap());
    }
    let (near, outer) = (Aim::Front(Reference::Near), Aim::Front(Reference::Outer));
    assert_eq!(aims, [near, outer, near, outer]);
}

#[test]
fn a_copy_of_three_metrics_with_a_constraint_goes_on_alike_beyond_a_hundred_results() {
    let space = cube(3);
    let mut problem = problem_of(&space, 3);
    problem.outcome_constraints = vec![ansatz_core::OutcomeConstraint {
        metric: "sum".into(),
        side: ansatz_core::Side::AtMost,
        bound: 0.0,
    }];
    let new = |seed: u64| Bayesian::new(&problem, Options::default(), Rng::new(seed)).unwrap();
    let result = |point: &Point| {
        let x = coordinates(point);
        let values = dtlz2(&x, 3);
        ObservedResult::Completed(Losses {
            values,
            standard_errors: vec![],
            excesses: vec![x.iter().sum::<f64>() - 2.0],
        })
    };
    let mut original = new(1);
    let mut rng = Rng::new(4);
    let early: Vec<Observation> = (0..118)
        .map(|trial| {
            let point = space.sample(&mut rng).unwrap();
            observation(trial, &point, result(&point))
        })
        .collect();
    original.tell(&early).unwrap();
    // a copy that knows nothing of former models, before each of two rounds of turns
    for trial in 118..126 {
        let mut copy = new(9);
        copy.restore(&original.snapshot().unwrap().unwrap()).unwrap();
        let asked = original.ask(1, &Pending::NONE).unwrap();
        assert_eq!(copy.ask(1, &Pending::NONE).unwrap(), asked, "trial {trial}");
        assert_eq!(copy.snapshot().unwrap(), original.snapshot().unwrap());
        original.tell(&[observation(trial, &asked[0].point, result(&asked[0].point))]).unwrap();
    }
}
