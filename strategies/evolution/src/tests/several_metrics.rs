//! Fronts: as near, as wide and as even as the methods promise.

use super::*;
use ansatz_surrogate::hypervolume::{hypervolume, non_dominated};

/// The coordinates of a point of a cube.
fn coordinates(point: &Point) -> Vec<f64> {
    point.coordinates().flatten().collect()
}

/// Zitzler, Deb and Thiele 2000; the front is f2 = 1 - sqrt(f1).
fn zdt1(point: &Point) -> Vec<f64> {
    let x = coordinates(point);
    let g = 1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64;
    vec![x[0], g * (1.0 - (x[0] / g).sqrt())]
}

/// Deb, Thiele, Laumanns and Zitzler 2005, with so many metrics; the front is the unit sphere.
fn dtlz2(metric_count: usize, point: &Point) -> Vec<f64> {
    let x = coordinates(point);
    let (angles, rest) = x.split_at(metric_count - 1);
    let radius = 1.0 + rest.iter().map(|x| (x - 0.5) * (x - 0.5)).sum::<f64>();
    let turn = |x: &f64| libm::sincos(0.5 * std::f64::consts::PI * x);
    (0..metric_count)
        .map(|metric| {
            let cosines: f64 = angles[..metric_count - 1 - metric].iter().map(|x| turn(x).1).product();
            let sine = if metric == 0 { 1.0 } else { turn(&angles[metric_count - 1 - metric]).0 };
            radius * cosines * sine
        })
        .collect()
}

fn losses_of(seen: &[(Point, Vec<f64>)]) -> Vec<Vec<f64>> {
    seen.iter().map(|(_, losses)| losses.clone()).collect()
}

fn random(problem: &Problem, count: u64, seed: u64, of: impl Fn(&Point) -> Vec<f64>) -> Vec<Vec<f64>> {
    let mut rng = Rng::new(seed);
    (0..count).map(|_| of(&problem.space.sample(&mut rng).unwrap())).collect()
}

#[test]
fn nsga2_finds_most_of_a_front_of_which_random_search_finds_nothing() {
    let problem = cube(10, 2);
    let whole = 1.1 * 1.1 - 1.0 / 3.0;
    let share = |losses: &[Vec<f64>]| hypervolume(losses, &[1.1, 1.1]) / whole;
    let found = |seed| share(&losses_of(&run(&mut evolution(&problem, of_size(40), seed), 1500, zdt1)));
    let found = median((0..5).map(found).collect());
    let chance = median((0..5).map(|seed| share(&random(&problem, 1500, seed, zdt1))).collect());
    println!("{found}, random search {chance}");
    assert!(found > 0.95 && chance < 0.2, "{found}, random search {chance}");
}

#[test]
fn nsga3_finds_more_of_a_front_than_random_search() {
    let problem = cube(8, 4);
    let of = |point: &Point| dtlz2(4, point);
    let volume = |losses: Vec<Vec<f64>>| hypervolume(&losses, &[1.1; 4]);
    let found = |seed| {
        let mut strategy = evolution(&problem, Options::default(), seed);
        run(&mut strategy, 1500, of);
        let members = strategy.search.population().members();
        volume(members.iter().filter_map(|member| member.merit.losses().map(<[f64]>::to_vec)).collect())
    };
    let found = median((0..3).map(found).collect());
    let chance = median((0..3).map(|seed| volume(random(&problem, 1500, seed, of))).collect());
    // below the cube's corner all but a sixteenth of the ball of four dimensions
    let whole = 1.1_f64.powi(4) - std::f64::consts::PI * std::f64::consts::PI / 32.0;
    let (left, left_by_chance) = (whole - found, whole - chance);
    println!("left {left}, by random search {left_by_chance}");
    assert!(1.7 * left < left_by_chance, "left {left}, by random search {left_by_chance}");
}

/// The ends of the front are kept, and neighbours are at distances that differ little.
#[test]
fn a_front_is_even_and_reaches_its_ends() {
    for method in [Method::Nsga2, Method::Nsga3] {
        let problem = cube(4, 2);
        let mut strategy = evolution(&problem, Options { method, ..of_size(20) }, 2);
        run(&mut strategy, 1500, |point| dtlz2(2, point));
        let members = strategy.search.population().members();
        let mut angles: Vec<f64> = members
            .iter()
            .map(|member| member.merit.losses().unwrap())
            .map(|losses| libm::atan2(losses[1], losses[0]) / std::f64::consts::FRAC_PI_2)
            .collect();
        angles.sort_by(f64::total_cmp);
        assert_eq!(angles.len(), 20);
        assert!(angles[0] < 0.02 && angles[19] > 0.98, "{method:?}: {angles:?}");
        let widest = angles.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(widest < 2.5 / 19.0, "{method:?}: {widest}");
        let losses: Vec<&[f64]> = members.iter().filter_map(|member| member.merit.losses()).collect();
        assert_eq!(non_dominated(&losses).len(), 20);
    }
}

/// Where reference points are few, each has somebody who stands by it.
#[test]
fn every_reference_point_is_served() {
    let problem = cube(7, 4);
    let mut strategy = evolution(&problem, of_size(30), 1);
    run(&mut strategy, 3000, |point| dtlz2(4, point));
    let members = strategy.search.population().members();
    for reference in crate::reference_points::Layers::within(4, 30).points(4) {
        let length = reference.iter().map(|part| part * part).sum::<f64>().sqrt();
        let nearest = members
            .iter()
            .filter_map(|member| member.merit.losses())
            .map(|losses| {
                let away = losses.iter().zip(&reference).map(|(l, r)| (l - r / length) * (l - r / length));
                away.sum::<f64>().sqrt()
            })
            .fold(f64::INFINITY, f64::min);
        assert!(nearest < 0.2, "{reference:?}: {nearest}");
    }
}

/// What breaks a bound is never a parent's better, however small its losses.
#[test]
fn what_keeps_the_bounds_comes_first() {
    for metric_count in [2, 4] {
        let mut problem = cube(4, metric_count);
        problem.outcome_constraints =
            vec![OutcomeConstraint { metric: "size".into(), side: Side::AtMost, bound: 0.0 }];
        let mut strategy = evolution(&problem, of_size(12), 1);
        let mut rng = Rng::new(1);
        for trial in 0..60 {
            let point = problem.space.sample(&mut rng).unwrap();
            let is_kept = trial % 4 == 0;
            let excess = if is_kept { -1.0 } else { 1.0 };
            let values = distances(&problem, &point).into_iter();
            let values = values.map(|loss| if is_kept { 100.0 + loss } else { loss });
            let values = Losses { excesses: vec![excess], ..losses(values.collect()) };
            let told = Observation {
                result: ObservedResult::Completed(values),
                ..foreign(trial, point, vec![0.0; metric_count])
            };
            strategy.tell(&[told]).unwrap();
        }
        let members = strategy.search.population().members();
        assert_eq!(members.len(), 12);
        assert!(members.iter().all(|member| member.merit.losses().is_some()));
    }
}
