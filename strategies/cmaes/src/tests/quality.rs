//! Better than chance, and as quick as the literature says: medians over fixed seeds.

use super::*;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The best loss after so many trials.
fn best(problem: &Problem, seed: u64, trial_count: u64, loss: fn(&Point) -> f64) -> f64 {
    let seen = run(&mut cmaes(problem, Options::default(), seed), trial_count, loss);
    seen.into_iter().map(|(_, loss)| loss).fold(f64::INFINITY, f64::min)
}

fn random(problem: &Problem, seed: u64, trial_count: u64, loss: fn(&Point) -> f64) -> f64 {
    let mut rng = Rng::new(seed);
    (0..trial_count).map(|_| loss(&problem.space.sample(&mut rng).unwrap())).fold(f64::INFINITY, f64::min)
}

/// Away from the middle, and one axis a hundred times as long as another.
fn ellipsoid(point: &Point) -> f64 {
    let d = point.parameter_count() as f64;
    (0..)
        .zip(point.coordinates().flatten())
        .map(|(k, x)| {
            let away = x - 0.3;
            libm::pow(10.0, 4.0 * f64::from(k) / (d - 1.0)) * away * away
        })
        .sum()
}

#[test]
fn an_ellipsoid_is_found_to_many_digits() {
    let problem = cube(6);
    let found = median((0..7).map(|seed| best(&problem, seed, 1500, ellipsoid)).collect());
    assert!(found < 1e-9, "{found:e}");
}

/// The least is in a corner: what is over the edge is folded back, and the step still becomes small.
#[test]
fn a_minimum_in_a_corner_is_found() {
    fn corner(point: &Point) -> f64 {
        point.coordinates().flatten().map(|x| (x + 1.0) * (1.0 + x)).sum::<f64>()
    }
    let problem = cube(5);
    let found = median((0..7).map(|seed| best(&problem, seed, 1200, corner)).collect());
    assert!(found < 1e-6, "{found:e}");
}

/// Whole numbers and choices that must all be right, and numbers beside them.
fn whole(point: &Point) -> f64 {
    let value = |index: usize| point.get(index).unwrap();
    let wrong = f64::from(u8::from(value(4) != 2.0)) + f64::from(u8::from(value(5) != 1.0));
    let squares = [(0, 17.0, 30.0), (1, 3.0, 9.0), (2, 0.42, 1.0), (3, -2.0, 10.0)];
    wrong + squares.iter().map(|(at, place, range)| ((value(*at) - place) / range).powi(2)).sum::<f64>()
}

fn whole_problem() -> Problem {
    problem(
        Space::of(vec![
            Parameter::int("n", 0, 30),
            Parameter::int("m", 0, 9),
            Parameter::float("x", 0.0, 1.0),
            Parameter::float("y", -5.0, 5.0),
            Parameter::categorical("kind", ["a", "b", "c", "d"]),
            Parameter::bool("flag"),
        ])
        .unwrap(),
    )
}

#[test]
fn whole_numbers_and_choices_are_all_found() {
    let problem = whole_problem();
    let found = median((0..9).map(|seed| best(&problem, seed, 500, whole)).collect());
    assert!(found < 1e-6, "{found:e}");
}

#[test]
fn it_beats_random_search() {
    let trial_count = 150;
    let better = |problem: &Problem, loss: fn(&Point) -> f64, factor: f64| {
        let found = median((0..15).map(|seed| best(problem, seed, trial_count, loss)).collect());
        let chance = median((0..15).map(|seed| random(problem, seed, trial_count, loss)).collect());
        assert!(factor * found < chance, "{found:e}, random search {chance:e}");
    };
    better(&cube(5), ellipsoid, 4.0);
    better(&whole_problem(), whole, 10.0);
}
