//! Several metrics: how much of the hypervolume is found, and what every ask must keep.

use std::f64::consts::PI;

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

fn strategy_of(space: &Space, metric_count: usize, seed: u64) -> Tpe {
    let metric = |index: usize| Metric { name: format!("f{index}"), goal: Goal::Minimise };
    let problem = Problem::new(space.clone(), (1..=metric_count).map(metric).collect());
    Tpe::new(&problem, Options::default(), Rng::new(seed)).unwrap()
}

/// Medians over seeds from 0 of the hypervolume below `reference` in every metric: of the strategy, and of random search.
fn volumes(
    function: fn(&[f64], usize) -> Vec<f64>,
    (dimension_count, metric_count): (usize, usize),
    reference: f64,
    count: usize,
    seed_count: u64,
) -> (f64, f64) {
    let space = cube(dimension_count);
    let value = |point: &Point| function(&coordinates(point), metric_count);
    let volume = |points: &[Point]| {
        hypervolume(&points.iter().map(value).collect::<Vec<_>>(), &vec![reference; metric_count])
    };
    let ours = (0..seed_count).map(|seed| {
        volume(&run(&mut strategy_of(&space, metric_count, seed), count, |p| measured(value(p), vec![])))
    });
    let random = (0..15).map(|seed| {
        let mut rng = Rng::new(1000 + seed);
        volume(&(0..count).map(|_| space.sample(&mut rng).unwrap()).collect::<Vec<_>>())
    });
    let (ours, random) = (median(ours.collect()), median(random.collect()));
    println!("{metric_count} metrics, {count} trials: {ours:.4}, at random {random:.4}");
    (ours, random)
}

#[test]
fn the_fronts_of_two_and_three_metrics_are_found() {
    let (ours, random) = volumes(zdt1, (5, 2), 1.1, 100, 3);
    assert!(ours > 0.3 && random < 0.05, "ZDT1, of 0.877: {ours} against {random}");
    let (ours, random) = volumes(dtlz2, (6, 3), 1.1, 100, 3);
    assert!(ours > random + 0.1, "DTLZ2, of 0.807: {ours} against {random}");
}

#[test]
fn larger_studies_come_close_to_their_fronts() {
    if std::env::var_os("ANSATZ_SLOW_TESTS").is_none() {
        return;
    }
    let (ours, _) = volumes(zdt1, (5, 2), 1.1, 300, 7);
    assert!(ours > 0.8, "ZDT1, of 0.877: {ours}");
    let (ours, random) = volumes(dtlz2, (6, 3), 1.1, 300, 7);
    assert!(ours > 0.6 && ours > random + 0.1, "DTLZ2, of 0.807: {ours} against {random}");
    let (ours, random) = volumes(dtlz2, (8, 5), 1.1, 300, 3);
    assert!(ours > random, "DTLZ2 of five metrics: {ours} against {random}");
}

/// A minimum and a maximum of the same thing, constant metrics, huge and tiny ones.
#[test]
fn odd_metrics_stop_nothing() {
    let space = mixed_space(&["a < b"]);
    let oddities: [fn(f64) -> Vec<f64>; 6] = [
        |x| vec![x, -x],
        |x| vec![x, x],
        |x| vec![1.0, x],
        |_| vec![0.0, 0.0],
        |x| vec![1e300 * x, -1e-300 * x],
        |x| vec![x, -x, x * x, 1.0 / (0.1 + x), x.sin(), 7.0],
    ];
    for (index, oddity) in oddities.into_iter().enumerate() {
        let metric_count = oddity(1.0).len();
        let mut strategy = strategy_of(&space, metric_count, index as u64);
        run(&mut strategy, 60, |point| match mixed_loss(point) {
            loss if loss > 3.0 => ObservedResult::Failed,
            loss => measured(oddity(loss), vec![]),
        });
    }
}

#[test]
fn several_metrics_repeat_by_their_seed_across_a_snapshot() {
    let space = mixed_space(&["a + b <= 1.2"]);
    for metric_count in [2, 3, 6] {
        let losses = |point: &Point| {
            let loss = mixed_loss(point);
            let metric = |metric: usize| loss * (1.0 - 0.4 * metric as f64) + (loss * metric as f64).sin();
            measured((0..metric_count).map(metric).collect(), vec![])
        };
        let expected = run(&mut strategy_of(&space, metric_count, 3), 40, losses);
        assert_eq!(run(&mut strategy_of(&space, metric_count, 3), 40, losses), expected);
        let mut original = strategy_of(&space, metric_count, 3);
        run(&mut original, 30, losses);
        let mut restored = strategy_of(&space, metric_count, 99);
        restored.restore(&original.snapshot().unwrap().unwrap()).unwrap();
        assert_eq!(restored.ask(3, &Pending::NONE).unwrap(), original.ask(3, &Pending::NONE).unwrap());
        assert!(strategy(&space, 0).restore(&original.snapshot().unwrap().unwrap()).is_err());
    }
}

#[test]
fn constraints_and_several_metrics_go_together() {
    // The front of two bowls is the diagonal between their centres, of which constraints leave the middle third.
    let space = cube(2);
    let bowl = |x: &[f64], centre: f64| (x[0] - centre).powi(2) + (x[1] - centre).powi(2);
    let mut strategy = strategy_of(&space, 2, 5);
    let points = run(&mut strategy, 120, |point| {
        let x = coordinates(point);
        measured(vec![bowl(&x, 0.2), bowl(&x, 0.8)], vec![0.4 - x[0], x[0] - 0.6])
    });
    let found: Vec<[f64; 2]> = points
        .iter()
        .map(coordinates)
        .filter(|x| x[0] >= 0.4 && x[0] <= 0.6)
        .map(|x| [bowl(&x, 0.2), bowl(&x, 0.8)])
        .collect();
    let front: Vec<[f64; 2]> = (0..=1000)
        .map(|step| 0.4 + 2e-4 * f64::from(step))
        .map(|x| [bowl(&[x, x], 0.2), bowl(&[x, x], 0.8)])
        .collect();
    let share = hypervolume(&found, &[0.4, 0.4]) / hypervolume(&front, &[0.4, 0.4]);
    assert!(share > 0.9, "{share}");
}
