//! The same steps as argmin's own loop, and as the textbook's.

use super::*;
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error, Executor, IterState, KV};
use argmin::solver::simulatedannealing::{Anneal, SATempFunc, SimulatedAnnealing};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use std::cell::RefCell;
use std::sync::{Arc, Mutex};

/// Many local minima; the best is 0 in the middle of the unit cube.
fn rastrigin(point: &Point) -> f64 {
    let term = |x: f64| {
        let z = 10.24 * (x - 0.5);
        10.0 + z * z - 10.0 * (2.0 * std::f64::consts::PI * z).cos()
    };
    point.coordinates().flatten().map(term).sum()
}

/// The problem as one gives it to argmin.
struct Closed {
    problem: Problem,
    options: Options,
    rng: RefCell<Rng>,
    points: Arc<Mutex<Vec<Point>>>,
}
impl CostFunction for Closed {
    type Param = Point;
    type Output = f64;
    fn cost(&self, point: &Point) -> Result<f64, Error> {
        self.points.lock().unwrap().push(point.clone());
        Ok(rastrigin(point))
    }
}
impl Anneal for Closed {
    type Param = Point;
    type Output = Point;
    type Float = f64;
    fn anneal(&self, point: &Point, temperature: f64) -> Result<Point, Error> {
        let (width, chance) = (self.options.width(temperature), self.options.further_move_chance);
        let rng = &mut self.rng.borrow_mut();
        Ok(neighbourhood::neighbour(&self.problem.space, point, width, chance, rng))
    }
}

/// Current point, its cost and the best cost after each iteration.
type Steps = Arc<Mutex<Vec<(Point, f64, f64)>>>;
struct Recorder(Steps);
impl Observe<IterState<Point, (), (), (), (), f64>> for Recorder {
    fn observe_iter(&mut self, state: &IterState<Point, (), (), (), (), f64>, _: &KV) -> Result<(), Error> {
        let point = state.param.clone().expect("the solver puts it back");
        self.0.lock().unwrap().push((point, state.cost, state.best_cost));
        Ok(())
    }
}

/// Runs both and compares them. `solver` is argmin's, set up by hand; it gets the seeded generator.
fn compare(
    options: Options,
    seed: u64,
    move_max: u64,
    solver: impl Fn(Xoshiro256PlusPlus) -> SimulatedAnnealing<f64, Xoshiro256PlusPlus>,
) -> usize {
    let problem = unit_box(3);
    // the streams of the first chain
    let mut rng = Rng::new(Rng::new(seed).random());
    let start = problem.space.sample(&mut rng).unwrap();
    let solver = solver(Xoshiro256PlusPlus::seed_from_u64(rng.random()));
    let (points, steps) = (Arc::new(Mutex::new(Vec::new())), Steps::default());
    let closed = Closed {
        problem: problem.clone(),
        options: options.clone(),
        rng: RefCell::new(rng),
        points: points.clone(),
    };
    Executor::new(closed, solver)
        .configure(|state| state.param(start).max_iters(move_max))
        .add_observer(Recorder(steps.clone()), ObserverMode::Always)
        .run()
        .unwrap();

    let mut strategy = annealing(&problem, options, seed);
    let (mut asked, mut seen) = (Vec::new(), Vec::new());
    while (asked.len() as u64) < 1 + move_max {
        let suggestion = match ask(&mut strategy, 1) {
            Ok(mut suggestions) => suggestions.remove(0),
            Err(StrategyError::Exhausted) => break,
            Err(error) => panic!("{error}"),
        };
        asked.push(suggestion.point.clone());
        let result = completed(rastrigin(&suggestion.point));
        strategy.tell(&[observation(asked.len() as u64, &suggestion, result)]).unwrap();
        let state = strategy.chains[0].state().filter(|_| asked.len() > 1);
        seen.extend(state.map(|state| (state.param.clone().unwrap(), state.cost, state.best_cost)));
    }
    assert_eq!(asked, *points.lock().unwrap(), "points to evaluate");
    let steps = steps.lock().unwrap();
    // the state of a chain is dropped when it ends
    assert!(seen.len() == steps.len() || seen.len() + 1 == steps.len());
    assert_eq!(seen, steps[..seen.len()], "current point, cost and best cost");
    assert!(seen.windows(2).any(|pair| pair[1].1 > pair[0].1), "a worse point was accepted");
    assert!(seen.windows(2).any(|pair| pair[1].0 == pair[0].0), "a point was refused");
    asked.len()
}

fn by_hand(
    initial: f64,
    function: SATempFunc<f64>,
    rng: Xoshiro256PlusPlus,
) -> SimulatedAnnealing<f64, Xoshiro256PlusPlus> {
    SimulatedAnnealing::new_with_rng(initial, rng).unwrap().with_temp_func(function)
}

#[test]
fn every_schedule_takes_argmins_steps() {
    for seed in 0..3 {
        let options = Options { initial_temperature: 30.0, ..plain() };
        let fast = Options { schedule: Schedule::Fast, ..options.clone() };
        assert_eq!(compare(fast, seed, 500, |rng| by_hand(30.0, SATempFunc::TemperatureFast, rng)), 501);
        let boltzmann = Options { schedule: Schedule::Boltzmann, ..options.clone() };
        assert_eq!(compare(boltzmann, seed, 500, |rng| by_hand(30.0, SATempFunc::Boltzmann, rng)), 501);
        let exponential = Options { schedule: Schedule::Exponential, factor: Some(0.98), ..options };
        assert_eq!(
            compare(exponential, seed, 500, |rng| by_hand(30.0, SATempFunc::Exponential(0.98), rng)),
            501
        );
    }
}

#[test]
fn reannealing_is_argmins() {
    let base = Options { initial_temperature: 30.0, further_move_chance: 0.6, ..plain() };
    for seed in 0..3 {
        let options = Options { reanneal_fixed: Some(60), ..base.clone() };
        compare(options, seed, 500, |rng| {
            by_hand(30.0, SATempFunc::TemperatureFast, rng).with_reannealing_fixed(60)
        });
        let options = Options {
            schedule: Schedule::Exponential,
            factor: Some(0.9),
            reanneal_accepted: Some(10),
            reanneal_best: Some(70),
            ..base.clone()
        };
        compare(options, seed, 500, |rng| {
            by_hand(30.0, SATempFunc::Exponential(0.9), rng)
                .with_reannealing_accepted(10)
                .with_reannealing_best(70)
        });
    }
}

#[test]
fn stall_limits_are_argmins() {
    let mut counts = Vec::new();
    for seed in 0..5 {
        let options =
            Options { initial_temperature: 30.0, stall_accepted: Some(12), stall_best: Some(90), ..plain() };
        counts.push(compare(options, seed, 500, |rng| {
            by_hand(30.0, SATempFunc::TemperatureFast, rng).with_stall_accepted(12).with_stall_best(90)
        }));
    }
    assert!(counts.iter().any(|count| *count < 501), "{counts:?}");
}

/// Kirkpatrick's loop as everybody writes it, with argmin's acceptance rule.
#[test]
fn the_geometric_schedule_is_the_textbooks() {
    let (first, last, factor) = (100.0, 0.1, 0.99);
    for (seed, reanneal_fixed) in [(1, None), (2, None), (3, Some(150))] {
        let options = Options {
            schedule: Schedule::Geometric,
            initial_temperature: first,
            minimum_temperature: Some(last),
            factor: Some(factor),
            reanneal_fixed,
            step_width_floor: 1.0,
            ..plain()
        };
        let problem = unit_box(3);
        let mut rng = Rng::new(Rng::new(seed).random());
        let mut current = problem.space.sample(&mut rng).unwrap();
        let mut acceptance = Xoshiro256PlusPlus::seed_from_u64(rng.random());
        let mut uniform = || (acceptance.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        uniform(); // of the move that is spent
        let mut points = vec![current.clone()];
        let (mut temperature, mut move_count) = (first, 0);
        while temperature > last && points.len() < 800 {
            let width = options.step_width;
            let next = neighbourhood::neighbour(
                &problem.space,
                &current,
                width,
                options.further_move_chance,
                &mut rng,
            );
            points.push(next.clone());
            let difference = rastrigin(&next) - rastrigin(&current);
            let draw = uniform();
            if difference < 0.0 || 1.0 / (1.0 + (difference / temperature).exp()) > draw {
                current = next;
            }
            move_count += 1;
            temperature = if reanneal_fixed == Some(move_count) {
                move_count = 0;
                first
            } else {
                temperature * factor
            };
        }
        let trials =
            run(&mut annealing(&problem, options, seed), points.len(), |point| Some(rastrigin(point)));
        let asked: Vec<Point> = trials.into_iter().map(|(point, _)| point).collect();
        assert_eq!(asked.len(), if reanneal_fixed.is_some() { 800 } else { 689 });
        assert_eq!(asked, points);
    }
}
