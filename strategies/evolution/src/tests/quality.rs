//! Better than chance: medians over fixed seeds.

use super::*;

const TRIAL_COUNT: u64 = 400;

type Loss = fn(&Point) -> f64;

/// Of differential evolution and of random search, the median over 9 and 15 seeds of the least loss.
fn medians(problem: &Problem, loss: Loss) -> (f64, f64) {
    let problem = Problem { trial_count: Some(TRIAL_COUNT), ..problem.clone() };
    let found = |seed| {
        let mut strategy = evolution(&problem, Options::default(), seed);
        least(&run(&mut strategy, TRIAL_COUNT, |point| vec![loss(point)]))
    };
    let chance = |seed| {
        let mut rng = Rng::new(seed);
        let drawn = (0..TRIAL_COUNT).map(|_| loss(&problem.space.sample(&mut rng).unwrap()));
        drawn.fold(f64::INFINITY, f64::min)
    };
    (median((0..9).map(found).collect()), median((0..15).map(chance).collect()))
}

/// Away from the middle, and one axis ten times as long as another.
fn ellipsoid(point: &Point) -> f64 {
    let part = |(k, x): (i32, f64)| libm::pow(100.0, f64::from(k) / 5.0) * (x - 0.3) * (x - 0.3);
    (0..).zip(point.coordinates().flatten()).map(part).sum()
}

/// Many minima on a slope.
fn waves(point: &Point) -> f64 {
    let wave = |x: f64| {
        let z = 10.0 * (x - 0.42);
        z * z + 10.0 * (1.0 - libm::cos(std::f64::consts::TAU * z))
    };
    point.coordinates().flatten().map(wave).sum()
}

/// Whole numbers and choices that must all be right, and numbers beside them.
fn whole(point: &Point) -> f64 {
    let value = |index: usize| point.get(index).unwrap();
    let wrong = f64::from(u8::from(value(4) != 2.0)) + f64::from(u8::from(value(5) != 1.0));
    let squares = [(0, 17.0, 30.0), (1, 3.0, 9.0), (2, 0.42, 1.0), (3, -2.0, 10.0)];
    wrong + squares.iter().map(|(at, place, range)| ((value(*at) - place) / range).powi(2)).sum::<f64>()
}

#[test]
fn it_beats_random_search() {
    let parameters = vec![
        Parameter::int("n", 0, 30),
        Parameter::int("m", 0, 9),
        Parameter::float("x", 0.0, 1.0),
        Parameter::float("y", -5.0, 5.0),
        Parameter::categorical("kind", ["a", "b", "c", "d"]),
        Parameter::bool("flag"),
    ];
    let mixed = problem(Space::of(parameters).unwrap(), 1);
    let cases: [(&str, &Problem, Loss, f64); 3] = [
        ("ellipsoid", &cube(6, 1), ellipsoid, 1000.0),
        ("waves", &cube(4, 1), waves, 5.0),
        ("whole", &mixed, whole, 1e4),
    ];
    for (name, problem, loss, factor) in cases {
        let (found, chance) = medians(problem, loss);
        println!("{name}: {found:.2e}, random search {chance:.2e}");
        assert!(factor * found < chance, "{name}: {found:e}, random search {chance:e}");
    }
}
