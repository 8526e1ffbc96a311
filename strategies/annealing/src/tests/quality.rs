//! Better than chance: the median of many seeds against random search with as many trials.

use super::*;

const SEED_COUNT: u64 = 21;
const TRIAL_COUNT: usize = 200;

fn sphere(point: &Point) -> f64 {
    point.coordinates().flatten().map(|x| (x - 0.3) * (x - 0.3)).sum()
}

/// Branin with its usual bounds as the unit square, minus its optimum.
fn branin(point: &Point) -> f64 {
    use std::f64::consts::PI;
    let (x, y) = (15.0 * point.get(0).unwrap() - 5.0, 15.0 * point.get(1).unwrap());
    let valley = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
    valley * valley + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0 - 0.397_887_357_729_738
}

/// Two families of models with parameters of their own, of every kind; at best 0.
fn mixed_problem() -> Problem {
    let tree = || Condition::equals("family", "tree");
    let net = || Condition::equals("family", "net");
    let parameters = vec![
        Parameter::categorical("family", ["linear", "tree", "net"]),
        Parameter::int("depth", 1, 30).when(tree()),
        Parameter::categorical("split", ["a", "b", "c", "d"]).when(tree()),
        Parameter::float("rate", 1e-5, 1.0).log().when(net()),
        Parameter::ordinal("units", [16, 32, 64, 128, 256, 512]).when(net()),
        Parameter::bool("norm").when(net()),
        Parameter::float("decay", 0.0, 1.0),
    ];
    problem(Space::of(parameters).unwrap())
}

fn mixed(point: &Point) -> f64 {
    let decay = (point.get(6).unwrap() - 0.2).abs();
    let square = |x: f64| x * x;
    decay
        + match point.get(0).unwrap() as u64 {
            0 => 2.0,
            1 => 0.7 + square(point.get(1).unwrap() / 30.0 - 0.4) + 0.1 * point.get(2).unwrap(),
            _ => {
                square((point.get(3).unwrap().log10() + 3.0) / 2.0)
                    + 0.2 * (point.get(4).unwrap() - 3.0).abs()
                    + 0.3 * point.get(5).unwrap()
            }
        }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn medians(problem: &Problem, options: &Options, loss: fn(&Point) -> f64) -> (f64, f64) {
    let best = |losses: Vec<f64>| losses.into_iter().fold(f64::INFINITY, f64::min);
    let annealed = (0..SEED_COUNT).map(|seed| {
        let trials = run(&mut annealing(problem, options.clone(), seed), TRIAL_COUNT, |p| Some(loss(p)));
        best(trials.into_iter().filter_map(|(_, loss)| loss).collect())
    });
    let random = (0..SEED_COUNT).map(|seed| {
        let mut rng = Rng::new(seed);
        best((0..TRIAL_COUNT).map(|_| loss(&problem.space.sample(&mut rng).unwrap())).collect())
    });
    (median(annealed.collect()), median(random.collect()))
}

#[test]
fn two_hundred_trials_beat_random_search() {
    type Loss = fn(&Point) -> f64;
    let cases = [
        ("sphere, 2 parameters", unit_box(2), sphere as Loss, 5.0),
        ("sphere, 6 parameters", unit_box(6), sphere, 5.0),
        ("Branin", unit_box(2), branin, 2.0),
        ("mixed and conditional", mixed_problem(), mixed, 2.0),
    ];
    for (name, problem, loss, times) in cases {
        for schedule in [Schedule::Fast, Schedule::Geometric] {
            let options = Options { schedule, ..Options::default() };
            let (annealed, random) = medians(&problem, &options, loss);
            println!("{name}, {schedule:?}: {annealed:.2e} instead of {random:.2e}");
            assert!(times * annealed < random, "{name}, {schedule:?}: {annealed} and {random}");
        }
    }
}
