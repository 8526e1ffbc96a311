//! The strategy as the host sees it: asks and tells in whatever order.

mod quality;

use crate::{Cmaes, Options, Restarts, Start};
use ansatz_core::rng::Rng;
use ansatz_core::space::{Condition, Constraint, Parameter};
use ansatz_core::{
    Curve, Goal, Losses, Metric, Observation, ObservedResult, OutcomeConstraint, Pending, Point, Problem,
    Side, Space, Strategy, StrategyError, Suggestion, TrialId,
};
use rand::RngExt;

/// A problem of one metric.
fn problem(space: Space) -> Problem {
    Problem::new(space, vec![Metric { name: "loss".into(), goal: Goal::Minimise }])
}

fn cube(dimension_count: usize) -> Problem {
    let parameters = (0..dimension_count).map(|k| Parameter::float(format!("x{k}"), -1.0, 3.0));
    problem(Space::of(parameters.collect()).unwrap())
}

/// Every kind of parameter, with conditions and constraints.
fn mixed() -> Problem {
    let parameters = vec![
        Parameter::float("x", -5.0, 5.0),
        Parameter::float("rate", 1e-5, 1.0).log(),
        Parameter::int("count", 0, 40),
        Parameter::int("width", 1, 512).log(),
        Parameter::ordinal("batch", [16, 32, 64, 128]),
        Parameter::categorical("kind", ["a", "b", "c"]),
        Parameter::bool("flag"),
        Parameter::float("only_a", 0.0, 1.0).when(Condition::equals("kind", "a".to_owned())),
        Parameter::int("only_b", 1, 9).when(Condition::equals("kind", "b".to_owned())),
        Parameter::int("constant", 7, 7),
    ];
    let constraints = vec![Constraint::parse("count + x <= 30").unwrap()];
    problem(Space::new(parameters, constraints).unwrap())
}

/// Something to minimise on any space, at best 0: the squared distance from a place in each parameter's range.
fn distance(problem: &Problem, point: &Point) -> f64 {
    let part = |(parameter, coordinate): (&Parameter, Option<f64>)| {
        let domain = &parameter.domain;
        let away =
            coordinate.map_or(0.0, |value| domain.to_unit(value) - domain.to_unit(domain.from_unit(0.3)));
        away * away
    };
    problem.space.parameters().iter().zip(point.coordinates()).map(part).sum()
}

fn completed(loss: f64) -> ObservedResult {
    ObservedResult::Completed(Losses { values: vec![loss], standard_errors: vec![], excesses: vec![] })
}

fn observation(trial: u64, suggestion: &Suggestion, result: ObservedResult) -> Observation {
    Observation {
        trial: TrialId(trial),
        tag: Some(suggestion.tag),
        point: suggestion.point.clone(),
        fidelity: None,
        curve: Curve::default(),
        result,
    }
}

fn foreign(trial: u64, point: Point, loss: f64) -> Observation {
    Observation {
        trial: TrialId(trial),
        tag: None,
        point,
        fidelity: None,
        curve: Curve::default(),
        result: completed(loss),
    }
}

fn cmaes(problem: &Problem, options: Options, seed: u64) -> Cmaes {
    Cmaes::new(problem, options, Rng::new(seed)).unwrap()
}

/// One trial after the other; the losses.
fn run(strategy: &mut Cmaes, trial_count: u64, loss: impl Fn(&Point) -> f64) -> Vec<(Point, f64)> {
    let mut seen = Vec::new();
    for trial in 0..trial_count {
        let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
        let loss = loss(&suggestion.point);
        strategy.tell(&[observation(trial, &suggestion, completed(loss))]).unwrap();
        seen.push((suggestion.point, loss));
    }
    seen
}

fn points(seen: &[(Point, f64)]) -> Vec<&Point> {
    seen.iter().map(|(point, _)| point).collect()
}

#[test]
fn only_the_order_of_losses_matters() {
    for problem in [cube(5), mixed()] {
        let plain = run(&mut cmaes(&problem, Options::default(), 3), 700, |p| distance(&problem, p));
        let cubed = run(&mut cmaes(&problem, Options::default(), 3), 700, |p| {
            let loss = distance(&problem, p);
            1e6 * loss * loss * loss + 1e-9 * loss
        });
        assert_eq!(points(&plain), points(&cubed));
    }
}

#[test]
fn the_order_of_tells_within_a_generation_does_not_matter() {
    let problem = mixed();
    let run = |is_reversed: bool| {
        let mut strategy = cmaes(&problem, Options { population_size: Some(9), ..Options::default() }, 5);
        let mut all = Vec::new();
        for generation in 0..40 {
            let suggestions = strategy.ask(9, &Pending::NONE).unwrap();
            let mut news: Vec<Observation> = (0..)
                .zip(&suggestions)
                .map(|(k, suggestion)| {
                    let result = match k {
                        3 => ObservedResult::Failed,
                        5 => ObservedResult::Stopped(None),
                        _ => completed((10.0 * distance(&problem, &suggestion.point)).floor()),
                    };
                    observation(generation * 9 + k, suggestion, result)
                })
                .collect();
            if is_reversed {
                news.reverse();
            }
            strategy.tell(&news).unwrap();
            all.extend(suggestions);
        }
        all
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn the_same_seed_gives_the_same_points_and_another_seed_others() {
    let problem = mixed();
    let of = |seed| run(&mut cmaes(&problem, Options::default(), seed), 200, |p| distance(&problem, p));
    assert_eq!(of(1), of(1));
    assert_ne!(of(1)[0].0, of(2)[0].0);
}

#[test]
fn every_point_is_in_the_space_and_the_search_gets_near() {
    let problem = mixed();
    let seen = run(&mut cmaes(&problem, Options::default(), 1), 600, |p| distance(&problem, p));
    for (point, _) in &seen {
        assert_eq!(problem.space.check(point), Ok(()));
    }
    let best = |part: &[(Point, f64)]| part.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
    assert!(best(&seen[..600]) < 0.2 * best(&seen[..20]), "{} {}", best(&seen), best(&seen[..20]));
}

/// Sixteen trials at a time; one in eight never comes back, others late, in any order, failed, stopped or infeasible.
#[test]
fn late_lost_and_failed_trials_never_stall_it() {
    for problem in [cube(4), mixed()] {
        let mut rng = Rng::new(9);
        let mut strategy = cmaes(&problem, Options::default(), 2);
        let mut out: Vec<Suggestion> = Vec::new();
        let (mut first, mut last) = (f64::INFINITY, f64::INFINITY);
        let mut trial = 0;
        while trial < 1200 {
            while out.len() < 16 {
                let more = strategy.ask(16 - out.len(), &Pending::NONE).unwrap();
                assert!(!more.is_empty(), "it waits for what never comes");
                out.extend(more);
            }
            let suggestion = out.swap_remove(rng.random_range(0..out.len()));
            assert_eq!(problem.space.check(&suggestion.point), Ok(()));
            trial += 1;
            let loss = distance(&problem, &suggestion.point);
            let result = match rng.random_range(0..16) {
                0 | 1 => continue,
                2 => ObservedResult::Failed,
                3 => ObservedResult::Infeasible,
                4 => ObservedResult::Stopped(Some(Losses {
                    values: vec![-1e9],
                    standard_errors: vec![],
                    excesses: vec![],
                })),
                _ => completed(loss),
            };
            if trial <= 30 {
                first = first.min(loss);
            }
            last = last.min(loss);
            strategy.tell(&[observation(trial, &suggestion, result)]).unwrap();
        }
        assert!(last < 0.1 * first, "{first:e} {last:e}");
    }
}

#[test]
fn descents_begin_anew_and_without_restarts_it_is_exhausted() {
    let problem = cube(2);
    let options = |restarts| Options { restarts, ..Options::default() };
    for restarts in [Restarts::Bipop, Restarts::Ipop] {
        let mut strategy = cmaes(&problem, options(restarts), 4);
        run(&mut strategy, 4000, |point| distance(&problem, point));
        assert!(strategy.search.descent_number() >= 3, "{restarts:?}: {}", strategy.search.descent_number());
    }
    let mut strategy = cmaes(&problem, options(Restarts::None), 4);
    let mut trial = 0;
    let error = loop {
        match strategy.ask(1, &Pending::NONE) {
            Ok(suggestions) => {
                let loss = distance(&problem, &suggestions[0].point);
                strategy.tell(&[observation(trial, &suggestions[0], completed(loss))]).unwrap();
            }
            Err(error) => break error,
        }
        trial += 1;
        assert!(trial < 2000, "it goes on and on");
    };
    assert_eq!(error, StrategyError::Exhausted);
    assert_eq!(strategy.ask(3, &Pending::NONE), Err(StrategyError::Exhausted));
}

/// Nothing but failures, everything equal, losses at the ends of what a number can be.
#[test]
fn useless_results_are_survived() {
    let results: [fn(u64) -> ObservedResult; 5] = [
        |_| ObservedResult::Failed,
        |_| ObservedResult::Stopped(None),
        |_| completed(1.0),
        |trial| completed(if trial.is_multiple_of(2) { 1e300 } else { -1e300 }),
        |trial| completed(f64::MIN_POSITIVE * trial as f64),
    ];
    for problem in [cube(3), mixed()] {
        for result in results {
            let mut strategy = cmaes(&problem, Options::default(), 6);
            for trial in 0..1500 {
                let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
                assert_eq!(problem.space.check(&suggestion.point), Ok(()));
                strategy.tell(&[observation(trial, &suggestion, result(trial))]).unwrap();
            }
            assert!(strategy.search.is_sound(&strategy.setting.layout));
        }
    }
}

#[test]
fn results_of_others_are_where_it_begins() {
    let problem = cube(6);
    let best = |warm_start: bool| {
        let mut strategy = cmaes(&problem, Options { warm_start, ..Options::default() }, 1);
        let mut rng = Rng::new(8);
        for trial in 0..200 {
            let point = problem.space.sample(&mut rng).unwrap();
            let loss = distance(&problem, &point);
            strategy.tell(&[foreign(trial, point, loss)]).unwrap();
        }
        let suggestions = strategy.ask(40, &Pending::NONE).unwrap();
        suggestions.iter().map(|suggestion| distance(&problem, &suggestion.point)).sum::<f64>()
    };
    assert!(best(true) < 0.7 * best(false), "{} {}", best(true), best(false));
}

#[test]
fn a_better_point_of_somebody_else_pulls_and_a_worse_one_does_not() {
    let problem = cube(4);
    let target = Point::from_flat(&[2.4, 2.4, 2.4, 2.4]);
    let mean_after = |told: Option<f64>| {
        let mut strategy = cmaes(&problem, Options { population_size: Some(8), ..Options::default() }, 1);
        let suggestions = strategy.ask(8, &Pending::NONE).unwrap();
        if let Some(loss) = told {
            strategy.tell(&[foreign(100, target.clone(), loss)]).unwrap();
        }
        for (trial, suggestion) in (0..).zip(&suggestions) {
            strategy.tell(&[observation(trial, suggestion, completed(trial as f64))]).unwrap();
        }
        let next = strategy.ask(400, &Pending::NONE).unwrap();
        next.iter().map(|s| s.point.coordinates().flatten().sum::<f64>()).sum::<f64>() / 1600.0
    };
    assert_eq!(mean_after(None), mean_after(Some(1e3)));
    assert!(mean_after(Some(-1.0)) > mean_after(None) + 0.1);
}

#[test]
fn the_edge_of_what_is_allowed_is_found() {
    let mut problem = cube(3);
    problem.outcome_constraints =
        vec![OutcomeConstraint { metric: "size".into(), side: Side::AtMost, bound: 0.0 }];
    let mut strategy = cmaes(&problem, Options::default(), 3);
    let mut best = f64::INFINITY;
    for trial in 0..600 {
        let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
        let x: Vec<f64> = suggestion.point.coordinates().flatten().collect();
        // the least of the sum of squares where the sum is at least 3: 3 at (1, 1, 1)
        let loss: f64 = x.iter().map(|v| v * v).sum();
        let excess = 3.0 - x.iter().sum::<f64>();
        let losses = Losses { values: vec![loss], standard_errors: vec![], excesses: vec![excess] };
        if excess <= 0.0 {
            best = best.min(loss);
        }
        strategy.tell(&[observation(trial, &suggestion, ObservedResult::Completed(losses))]).unwrap();
    }
    assert!((3.0..3.1).contains(&best), "{best}");
}

#[test]
fn a_restored_search_goes_on_as_the_one_that_was_saved() {
    for problem in [cube(4), mixed()] {
        let mut strategy = cmaes(&problem, Options::default(), 3);
        run(&mut strategy, 123, |point| distance(&problem, point));
        let out = strategy.ask(5, &Pending::NONE).unwrap();
        let state = strategy.snapshot().unwrap().unwrap();
        let mut again = cmaes(&problem, Options::default(), 99);
        again.restore(&state).unwrap();
        for strategy in [&mut strategy, &mut again] {
            for (trial, suggestion) in (500..).zip(&out) {
                let loss = distance(&problem, &suggestion.point);
                strategy.tell(&[observation(trial, suggestion, completed(loss))]).unwrap();
            }
        }
        let go_on = |strategy: &mut Cmaes| run(strategy, 300, |point| distance(&problem, point));
        assert_eq!(go_on(&mut strategy), go_on(&mut again));
        let other = cmaes(&cube(7), Options::default(), 1).restore(&state);
        assert!(matches!(other, Err(StrategyError::Invalid(_))), "{other:?}");
    }
}

#[test]
fn spaces_of_one_kind_of_parameter_are_no_trouble() {
    let spaces = [
        vec![Parameter::int("one", 3, 3)],
        vec![Parameter::bool("b")],
        vec![Parameter::categorical("c", ["a", "b", "c", "d"]), Parameter::bool("b")],
        vec![Parameter::int("n", 0, 2)],
        vec![Parameter::int("n", 0, 1000), Parameter::int("m", 1, 1_000_000_000).log()],
        vec![Parameter::float("x", 0.0, 1e308)],
    ];
    for parameters in spaces {
        let problem = problem(Space::of(parameters).unwrap());
        let seen = run(&mut cmaes(&problem, Options::default(), 1), 600, |point| distance(&problem, point));
        assert!(seen.iter().all(|(point, _)| problem.space.check(point).is_ok()));
        let best = seen.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
        let mut rng = Rng::new(1);
        let random = (0..600).map(|_| distance(&problem, &problem.space.draw(&mut rng)));
        assert!(best <= random.fold(f64::INFINITY, f64::min) + 1e-6, "{:?}: {best}", problem.space);
    }
}

#[test]
fn what_it_cannot_do_is_said_with_what_can() {
    let mut problem = cube(2);
    problem.metrics.push(Metric { name: "time".into(), goal: Goal::Minimise });
    let Err(StrategyError::Unsupported(message)) = Cmaes::new(&problem, Options::default(), Rng::new(1))
    else {
        panic!("it took two metrics");
    };
    assert!(message.contains("bayesian") && message.contains("this study has 2"), "{message}");
    let refused = |options: Options| Cmaes::new(&cube(2), options, Rng::new(1)).err().map(|e| e.to_string());
    let usual = Options::default();
    let wrong = [
        (
            Options { population_size: Some(3), ..usual.clone() },
            "population_size must be 4 to 50000, found 3",
        ),
        (Options { initial_step: 0.0, ..usual.clone() }, "initial_step must be 0.001 to 1, found 0"),
        (Options { initial_step: f64::NAN, ..usual.clone() }, "initial_step must be 0.001 to 1, found NaN"),
        (Options { tolerance: 0.5, ..usual.clone() }, "tolerance must be 0 to 0.1, found 0.5"),
    ];
    for (options, message) in wrong {
        assert_eq!(refused(options).as_deref(), Some(message));
    }
    assert_eq!(refused(Options { start: Start::Random, ..usual }), None);
}

/// Every byte of a state wrong in turn: refused, or a state that can be gone on with.
#[test]
fn damaged_states_are_refused_or_harmless() {
    let problem = mixed();
    let mut strategy = cmaes(&problem, Options { population_size: Some(4), ..Options::default() }, 3);
    run(&mut strategy, 30, |point| distance(&problem, point));
    strategy.ask(2, &Pending::NONE).unwrap();
    let state = strategy.snapshot().unwrap().unwrap();
    let mut taken = 0;
    for at in 0..state.len() {
        let mut damaged = state.clone();
        damaged[at] ^= 0x7f;
        let mut again = cmaes(&problem, Options { population_size: Some(4), ..Options::default() }, 3);
        if again.restore(&damaged).is_ok() {
            taken += 1;
            for trial in 0..20 {
                let Ok(suggestions) = again.ask(1, &Pending::NONE) else { break };
                assert_eq!(problem.space.check(&suggestions[0].point), Ok(()));
                let loss = distance(&problem, &suggestions[0].point);
                again.tell(&[observation(trial, &suggestions[0], completed(loss))]).unwrap();
            }
        }
    }
    assert!(taken > 0 && taken < state.len(), "{taken} of {}", state.len());
}
