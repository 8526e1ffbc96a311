//! The strategy as the host sees it: asks and tells in whatever order.

mod operators;
mod quality;
mod several_metrics;

use crate::{Evolution, Method, Options};
use ansatz_core::rng::Rng;
use ansatz_core::space::{Condition, Constraint, Parameter};
use ansatz_core::{
    Curve, FidelityRange, Goal, Losses, Metric, Observation, ObservedResult, OutcomeConstraint, Pending,
    Point, Problem, Side, Space, Strategy, StrategyError, Suggestion, TrialId,
};
use rand::RngExt;
use std::collections::HashSet;

fn metrics(count: usize) -> Vec<Metric> {
    (1..=count).map(|k| Metric { name: format!("f{k}"), goal: Goal::Minimise }).collect()
}

/// A problem of so many metrics.
fn problem(space: Space, metric_count: usize) -> Problem {
    Problem::new(space, metrics(metric_count))
}

fn cube(dimension_count: usize, metric_count: usize) -> Problem {
    let parameters = (0..dimension_count).map(|k| Parameter::float(format!("x{k}"), 0.0, 1.0));
    problem(Space::of(parameters.collect()).unwrap(), metric_count)
}

/// Every kind of parameter, with conditions and constraints.
fn mixed(metric_count: usize) -> Problem {
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
    problem(Space::new(parameters, constraints).unwrap(), metric_count)
}

/// The problems of all methods.
fn problems() -> Vec<Problem> {
    [1, 2, 4].into_iter().flat_map(|count| [cube(4, count), mixed(count)]).collect()
}

/// The squared distance from a place in each parameter's range.
fn distance(problem: &Problem, point: &Point, place: f64) -> f64 {
    let part = |(parameter, coordinate): (&Parameter, Option<f64>)| {
        let domain = &parameter.domain;
        let away =
            coordinate.map_or(0.0, |value| domain.to_unit(value) - domain.to_unit(domain.from_unit(place)));
        away * away
    };
    problem.space.parameters().iter().zip(point.coordinates()).map(part).sum()
}

/// Something to minimise on any space, each metric at another place.
fn distances(problem: &Problem, point: &Point) -> Vec<f64> {
    (0..problem.metrics.len()).map(|k| distance(problem, point, 0.3 + 0.2 * k as f64)).collect()
}

fn losses(values: Vec<f64>) -> Losses {
    Losses { values, standard_errors: vec![], excesses: vec![] }
}

fn completed(values: Vec<f64>) -> ObservedResult {
    ObservedResult::Completed(losses(values))
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

fn foreign(trial: u64, point: Point, values: Vec<f64>) -> Observation {
    Observation {
        trial: TrialId(trial),
        tag: None,
        point,
        fidelity: None,
        curve: Curve::default(),
        result: completed(values),
    }
}

fn evolution(problem: &Problem, options: Options, seed: u64) -> Evolution {
    Evolution::new(problem, options, Rng::new(seed)).unwrap()
}

fn of_size(size: usize) -> Options {
    Options { population_size: Some(size), ..Options::default() }
}

/// One trial after the other; the points and their losses. No point comes twice.
fn run(strategy: &mut Evolution, count: u64, of: impl Fn(&Point) -> Vec<f64>) -> Vec<(Point, Vec<f64>)> {
    let (mut seen, mut points) = (Vec::new(), HashSet::new());
    for trial in 0..count {
        let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
        assert!(points.insert(suggestion.point.clone()), "trial {trial} repeats {:?}", suggestion.point);
        let values = of(&suggestion.point);
        strategy.tell(&[observation(trial, &suggestion, completed(values.clone()))]).unwrap();
        seen.push((suggestion.point, values));
    }
    seen
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn least(seen: &[(Point, Vec<f64>)]) -> f64 {
    seen.iter().map(|(_, losses)| losses[0]).fold(f64::INFINITY, f64::min)
}

#[test]
fn the_same_seed_gives_the_same_points_and_another_seed_others() {
    for problem in problems() {
        let of = |seed| run(&mut evolution(&problem, of_size(12), seed), 150, |p| distances(&problem, p));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1)[0].0, of(2)[0].0);
    }
}

#[test]
fn every_point_is_new_and_in_the_space_and_the_search_gets_near() {
    for problem in problems() {
        let seen = run(&mut evolution(&problem, of_size(20), 1), 500, |p| distances(&problem, p));
        for (point, _) in &seen {
            assert_eq!(problem.space.check(point), Ok(()));
        }
        // of several metrics the first is only a part of what is sought
        let factor = if problem.metrics.len() == 1 { 0.1 } else { 0.5 };
        assert!(least(&seen) < factor * least(&seen[..20]), "{} {}", least(&seen), least(&seen[..20]));
    }
}

/// Sixteen trials at a time; one in eight never comes back, others late, in any order, failed, stopped or infeasible.
#[test]
fn late_lost_and_failed_trials_never_stall_it() {
    for problem in problems() {
        let mut rng = Rng::new(9);
        let mut strategy = evolution(&problem, of_size(16), 2);
        let mut out: Vec<(u64, Suggestion)> = Vec::new();
        let mut seen = HashSet::new();
        let (mut first, mut last) = (f64::INFINITY, f64::INFINITY);
        let mut trial = 0;
        while trial < 1000 {
            while out.len() < 16 {
                let numbers: Vec<u64> = out.iter().map(|(number, _)| *number).collect();
                let flat: Vec<f64> = out.iter().flat_map(|(_, s)| s.point.flat().to_vec()).collect();
                let more = strategy.ask(16 - out.len(), &Pending::new(&numbers, &flat)).unwrap();
                assert!(!more.is_empty(), "it waits for what never comes");
                for suggestion in more {
                    assert!(
                        out.iter().all(|(_, other)| other.point != suggestion.point),
                        "it asks for what is pending"
                    );
                    assert!(!seen.contains(&suggestion.point), "it asks for what it knows");
                    assert_eq!(problem.space.check(&suggestion.point), Ok(()));
                    trial += 1;
                    out.push((trial, suggestion));
                }
            }
            let (number, suggestion) = out.swap_remove(rng.random_range(0..out.len()));
            let values = distances(&problem, &suggestion.point);
            let result = match rng.random_range(0..16) {
                0 | 1 => continue,
                2 => ObservedResult::Failed,
                3 => ObservedResult::Infeasible,
                4 => ObservedResult::Stopped(Some(losses(vec![-1e9; values.len()]))),
                _ => completed(values.clone()),
            };
            if number <= 30 {
                first = first.min(values[0]);
            }
            last = last.min(values[0]);
            seen.insert(suggestion.point.clone());
            strategy.tell(&[observation(number, &suggestion, result)]).unwrap();
        }
        // of four metrics the first is too small a part of what is sought
        let factor = [0.1, 0.5, f64::INFINITY][problem.metrics.len().ilog2() as usize];
        assert!(last < factor * first, "{} metrics: {first:e} {last:e}", problem.metrics.len());
    }
}

/// Nothing but failures, everything equal, losses at the ends of what a number can be.
#[test]
fn useless_results_are_survived() {
    let results: [fn(u64, usize) -> ObservedResult; 6] = [
        |_, _| ObservedResult::Failed,
        |_, _| ObservedResult::Stopped(None),
        |_, count| completed(vec![1.0; count]),
        |trial, count| {
            let value = if trial.is_multiple_of(2) { f64::MAX } else { -f64::MAX };
            completed((0..count).map(|k| if k % 2 == 0 { value } else { -value }).collect())
        },
        |trial, count| completed(vec![f64::MIN_POSITIVE * trial as f64; count]),
        |_, count| completed(vec![f64::NAN; count]),
    ];
    for problem in problems() {
        for result in results {
            let mut strategy = evolution(&problem, of_size(8), 6);
            for trial in 0..300 {
                let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
                assert_eq!(problem.space.check(&suggestion.point), Ok(()));
                let result = result(trial, problem.metrics.len());
                strategy.tell(&[observation(trial, &suggestion, result)]).unwrap();
            }
            assert!(strategy.search.is_sound(&strategy.setting));
        }
    }
}

#[test]
fn a_small_space_is_used_up_without_a_repetition() {
    for metric_count in [1, 2, 4] {
        let parameters = vec![
            Parameter::int("layers", 1, 3),
            Parameter::categorical("kind", ["a", "b"]),
            Parameter::int("width", 0, 3).when(Condition::equals("kind", "b")),
        ];
        let constraints = vec![Constraint::parse("layers + width <= 4").unwrap()];
        let problem = problem(Space::new(parameters, constraints).unwrap(), metric_count);
        let mut strategy = evolution(&problem, of_size(5), 3);
        // of kind a three; of kind b four, three and two widths
        run(&mut strategy, 12, |point| distances(&problem, point));
        assert_eq!(strategy.ask(1, &Pending::NONE), Err(StrategyError::Exhausted));
    }
}

#[test]
fn results_of_others_are_its_parents() {
    for problem in problems() {
        let mean_loss = |told: bool| {
            let mut strategy = evolution(&problem, of_size(12), 1);
            let mut rng = Rng::new(8);
            let mut known: Vec<(Point, Vec<f64>)> = (0..400)
                .map(|_| problem.space.sample(&mut rng).unwrap())
                .map(|point| (point.clone(), distances(&problem, &point)))
                .collect();
            known.sort_by(|(_, a), (_, b)| a.iter().sum::<f64>().total_cmp(&b.iter().sum()));
            if told {
                for (trial, (point, values)) in (0..).zip(known.into_iter().take(40)) {
                    strategy.tell(&[foreign(trial, point, values)]).unwrap();
                }
            }
            let suggestions = strategy.ask(40, &Pending::NONE).unwrap();
            suggestions.iter().flat_map(|s| distances(&problem, &s.point)).sum::<f64>()
        };
        assert!(mean_loss(true) < 0.8 * mean_loss(false), "{} {}", mean_loss(true), mean_loss(false));
    }
}

#[test]
fn the_edge_of_what_is_allowed_is_found() {
    for method in [Method::De, Method::Nsga2] {
        let mut problem = cube(3, 1);
        problem.outcome_constraints =
            vec![OutcomeConstraint { metric: "size".into(), side: Side::AtMost, bound: 0.0 }];
        let mut strategy = evolution(&problem, Options { method, ..of_size(20) }, 3);
        let mut best = f64::INFINITY;
        for trial in 0..800 {
            let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
            let x: Vec<f64> = suggestion.point.coordinates().flatten().collect();
            // the least of the sum of squares where the sum is at least 2.4: 1.92 at (0.8, 0.8, 0.8)
            let loss: f64 = x.iter().map(|v| v * v).sum();
            let excess = 2.4 - x.iter().sum::<f64>();
            let values = Losses { excesses: vec![excess], ..losses(vec![loss]) };
            if excess <= 0.0 {
                best = best.min(loss);
            }
            strategy.tell(&[observation(trial, &suggestion, ObservedResult::Completed(values))]).unwrap();
        }
        assert!((1.92 - 1e-9..1.94).contains(&best), "{method:?}: {best}");
    }
}

#[test]
fn a_restored_search_goes_on_as_the_one_that_was_saved() {
    for problem in problems() {
        let mut strategy = evolution(&problem, of_size(10), 3);
        run(&mut strategy, 123, |point| distances(&problem, point));
        let out = strategy.ask(5, &Pending::NONE).unwrap();
        let state = strategy.snapshot().unwrap().unwrap();
        let mut again = evolution(&problem, of_size(10), 99);
        again.restore(&state).unwrap();
        for strategy in [&mut strategy, &mut again] {
            for (trial, suggestion) in (500..).zip(&out) {
                let values = distances(&problem, &suggestion.point);
                strategy.tell(&[observation(trial, suggestion, completed(values))]).unwrap();
            }
        }
        let go_on = |strategy: &mut Evolution| run(strategy, 200, |point| distances(&problem, point));
        assert_eq!(go_on(&mut strategy), go_on(&mut again));
        let mut other = evolution(&cube(7, problem.metrics.len()), Options::default(), 1);
        assert!(matches!(other.restore(&state), Err(StrategyError::Invalid(_))));
    }
}

/// Every byte of a state wrong in turn: refused, or a state that can be gone on with.
#[test]
fn damaged_states_are_refused_or_harmless() {
    for metric_count in [1, 4] {
        let problem = mixed(metric_count);
        let mut strategy = evolution(&problem, of_size(4), 3);
        run(&mut strategy, 12, |point| distances(&problem, point));
        strategy.ask(2, &Pending::NONE).unwrap();
        let state = strategy.snapshot().unwrap().unwrap();
        let mut taken = 0;
        for at in 0..state.len() {
            let mut damaged = state.clone();
            damaged[at] ^= 0x7f;
            let mut again = evolution(&problem, of_size(4), 3);
            if again.restore(&damaged).is_ok() {
                taken += 1;
                for trial in 0..8 {
                    let Ok(suggestions) = again.ask(1, &Pending::NONE) else { break };
                    assert_eq!(problem.space.check(&suggestions[0].point), Ok(()));
                    let values = distances(&problem, &suggestions[0].point);
                    again.tell(&[observation(trial, &suggestions[0], completed(values))]).unwrap();
                }
            }
        }
        assert!(taken > 0 && taken < state.len(), "{taken} of {}", state.len());
    }
}

#[test]
fn spaces_of_one_kind_of_parameter_are_no_trouble() {
    let spaces = [
        vec![Parameter::categorical("c", ["a", "b", "c", "d"]), Parameter::int("n", 0, 99)],
        vec![Parameter::int("n", 0, 1000), Parameter::int("m", 1, 1_000_000_000).log()],
        vec![Parameter::float("x", 0.0, 1e308)],
        vec![Parameter::float("x", -1e-300, 1e-300), Parameter::int("one", 3, 3)],
    ];
    for parameters in spaces {
        for metric_count in [1, 2, 4] {
            let problem = problem(Space::of(parameters.clone()).unwrap(), metric_count);
            let seen = run(&mut evolution(&problem, of_size(8), 1), 300, |point| distances(&problem, point));
            assert!(seen.iter().all(|(point, _)| problem.space.check(point).is_ok()));
            if metric_count > 1 {
                continue;
            }
            let mut rng = Rng::new(1);
            let random = (0..300).map(|_| distance(&problem, &problem.space.draw(&mut rng), 0.3));
            assert!(least(&seen) <= random.fold(f64::INFINITY, f64::min) + 1e-5, "{:?}", problem.space);
        }
    }
}

#[test]
fn a_trial_that_was_cut_short_is_worth_less_than_any_other() {
    let mut problem = cube(2, 1);
    problem.fidelity = Some(FidelityRange { name: "epochs".into(), lower: 1.0, upper: 9.0 });
    let mut strategy = evolution(&problem, of_size(10), 1);
    let suggestions = strategy.ask(20, &Pending::NONE).unwrap();
    for (trial, suggestion) in (0..).zip(&suggestions) {
        let fidelity = Some(if trial % 2 == 0 { 9.0 } else { 3.0 });
        let values = vec![if trial % 2 == 0 { 5.0 } else { -5.0 }];
        let told = Observation { fidelity, ..observation(trial, suggestion, completed(values)) };
        strategy.tell(&[told]).unwrap();
    }
    let members = strategy.search.population().members();
    assert_eq!(members.len(), 10);
    assert!(members.iter().all(|member| member.merit.losses() == Some(&[5.0])));
}

#[test]
fn differential_evolution_begins_anew_when_nothing_is_left_to_find() {
    let problem = cube(2, 1);
    let mut strategy = evolution(&problem, of_size(8), 4);
    let seen = run(&mut strategy, 3000, |point| vec![distance(&problem, point, 0.3)]);
    let near = |part: &[(Point, Vec<f64>)]| part.iter().filter(|(_, losses)| losses[0] < 1e-6).count();
    let first = seen.iter().position(|(_, losses)| losses[0] < 1e-15).unwrap();
    // after the first collapse it is far away again
    let later = &seen[first + 100..];
    assert!(near(later) < later.len() && later.iter().any(|(_, losses)| losses[0] > 0.1));
    let never = Options { tolerance: 0.0, ..of_size(8) };
    let seen = run(&mut evolution(&problem, never, 4), 1000, |point| vec![distance(&problem, point, 0.3)]);
    assert!(seen[900..].iter().all(|(_, losses)| losses[0] < 0.1));
}

#[test]
fn the_population_shrinks_until_the_budget_is_used_up() {
    let sizes = |shrink: bool| {
        let mut problem = cube(6, 1);
        problem.trial_count = Some(400);
        let mut strategy = evolution(&problem, Options { shrink, ..of_size(30) }, 4);
        let mut sizes = Vec::new();
        for _ in 0..4 {
            run(&mut strategy, 100, |point| vec![distance(&problem, point, 0.3)]);
            sizes.push(strategy.search.population().len());
        }
        sizes
    };
    assert_eq!(sizes(false), [30; 4]);
    assert_eq!(sizes(true), [24, 17, 11, 4]);
}

/// Four members go on after the budget, and when they have met there are as many as at first.
#[test]
fn a_study_with_more_trials_than_it_began_with_goes_on() {
    let problem = Problem { trial_count: Some(200), ..cube(2, 1) };
    let mut strategy = evolution(&problem, of_size(12), 4);
    let mut sizes = Vec::new();
    for _ in 0..100 {
        run(&mut strategy, 20, |point| vec![distance(&problem, point, 0.3)]);
        sizes.push(strategy.search.population().len());
    }
    assert_eq!((sizes[9], sizes[10]), (4, 4));
    assert!(sizes[11..].contains(&12), "{sizes:?}");
}

#[test]
fn a_population_is_as_large_as_the_budget_is_enough_for() {
    let size = |metric_count, trial_count| {
        let problem = Problem { trial_count, ..cube(10, metric_count) };
        evolution(&problem, Options::default(), 1).setting.population_size()
    };
    let found: Vec<[usize; 3]> =
        [1, 2, 4].map(|count| [None, Some(100), Some(100_000)].map(|trials| size(count, trials))).into();
    assert_eq!(found, [[16, 8, 142], [100, 20, 100], [84, 14, 84]]);
}

#[test]
fn what_it_cannot_do_is_said_with_what_can() {
    let refused = |metric_count, options: Options| {
        Evolution::new(&cube(2, metric_count), options, Rng::new(1)).err().map(|e| e.to_string())
    };
    let usual = Options::default();
    let wrong = [
        (
            1,
            Options { population_size: Some(3), ..usual.clone() },
            "population_size must be 4 to 10000, found 3",
        ),
        (1, Options { best_share: 0.0, ..usual.clone() }, "best_share must be 0.01 to 1, found 0"),
        (1, Options { archive_share: 10.5, ..usual.clone() }, "archive_share must be 0 to 10, found 10.5"),
        (1, Options { tolerance: f64::NAN, ..usual.clone() }, "tolerance must be 0 to 0.1, found NaN"),
        (
            2,
            Options { crossover_probability: 1.5, ..usual.clone() },
            "crossover_probability must be 0 to 1, found 1.5",
        ),
        (
            2,
            Options { mutation_probability: Some(-1.0), ..usual.clone() },
            "mutation_probability must be 0 to 1, found -1",
        ),
        (4, Options { divisions: Some(0), ..usual.clone() }, "divisions must be 1 to 100, found 0"),
        (
            8,
            Options { divisions: Some(90), ..usual.clone() },
            "divisions = 90 with 8 metrics is more than 10000 reference points: take fewer, or leave it out",
        ),
        (
            2,
            Options { method: Method::De, ..usual.clone() },
            "method = \"de\" improves one metric and this study has 2: use \"auto\", or keep one metric and bound the \
             others by at_most or at_least",
        ),
        (
            1,
            Options { method: Method::Nsga3, ..usual.clone() },
            "method = \"nsga3\" needs two metrics or more and this study has 1: use \"auto\"",
        ),
    ];
    for (metric_count, options, message) in wrong {
        assert_eq!(refused(metric_count, options).as_deref(), Some(message));
    }
    for (metric_count, method) in
        [(1, Method::Nsga2), (2, Method::Nsga3), (5, Method::Nsga2), (3, Method::Auto)]
    {
        assert_eq!(refused(metric_count, Options { method, ..usual.clone() }), None);
    }
    let contradiction = vec![Constraint::parse("x + y >= 3").unwrap()];
    let parameters = vec![Parameter::float("x", 0.0, 1.0), Parameter::float("y", 0.0, 1.0)];
    let problem = problem(Space::new(parameters, contradiction).unwrap(), 1);
    let error = evolution(&problem, usual, 1).ask(1, &Pending::NONE).unwrap_err().to_string();
    assert!(error.contains("drop or widen one of them"), "{error}");
}

/// Somebody who comes closer and closer to one point, and is always better than the whole population, has one place in it.
#[test]
fn many_foreign_points_near_one_another_do_not_fill_the_population() {
    let problem = cube(2, 1);
    let mut strategy = evolution(&problem, Options { shrink: false, ..of_size(10) }, 1);
    for trial in 0..10 {
        let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
        strategy.tell(&[observation(trial, &suggestion, completed(vec![10.0 + trial as f64]))]).unwrap();
    }
    let middle = |x: f64| Point::new([Some(0.5 + x), Some(0.5 - x)]);
    for step in 1..=50_u32 {
        let (point, loss) = (middle(0.01 / f64::from(step)), 1.0 / f64::from(step));
        strategy.tell(&[foreign(100 + u64::from(step), point, vec![loss])]).unwrap();
    }
    let members = strategy.search.population().members();
    let is_near =
        |member: &&crate::population::Member| member.row.iter().all(|gene| (gene - 0.5).abs() < 0.02);
    assert_eq!((members.len(), members.iter().filter(is_near).count()), (10, 1));
    assert!(members.iter().any(|member| member.merit.losses() == Some(&[0.02])), "the best is there");
}

/// Results of an earlier study, as many as the whole budget, leave the population as large as it would be without them.
#[test]
fn an_earlier_study_is_no_part_of_the_budget() {
    let mut problem = cube(3, 1);
    problem.trial_count = Some(400);
    let mut rng = Rng::new(2);
    let mut strategy = evolution(&problem, Options::default(), 1);
    for number in 0..400 {
        let point = problem.space.draw(&mut rng);
        let values = vec![point.get(0).unwrap()];
        let told = foreign(TrialId::TRANSFERRED_FIRST.0 + number, point, values);
        strategy.tell(&[told]).unwrap();
    }
    let before = strategy.search.population().len();
    let mut alone = evolution(&problem, Options::default(), 1);
    for number in 0..40 {
        let suggestion = alone.ask(1, &Pending::NONE).unwrap().remove(0);
        let values = vec![suggestion.point.get(0).unwrap()];
        alone.tell(&[observation(number, &suggestion, completed(values))]).unwrap();
    }
    let size = alone.search.population().len();
    assert!(size > 4 && before >= size, "{before} {size}");
}

/// A trial that was stopped early is a member by what it showed; what came of its point in the end takes the place of that.
#[test]
fn a_member_that_was_stopped_has_what_came_of_the_trial_that_continues_it() {
    for problem in problems() {
        let mut strategy = evolution(&problem, of_size(6), 3);
        let stopped = |values: Vec<f64>| ObservedResult::Stopped(Some(losses(values)));
        let mut points = Vec::new();
        for trial in 0..6 {
            let suggestion = strategy.ask(1, &Pending::NONE).unwrap().remove(0);
            let values = vec![trial as f64; problem.metrics.len()];
            strategy.tell(&[observation(trial, &suggestion, stopped(values))]).unwrap();
            points.push(suggestion.point);
        }
        let merits = |strategy: &Evolution, point: &Point| -> Vec<Option<Vec<f64>>> {
            let members = strategy.search.population().members().iter();
            let own = members.filter(|member| member.point == *point);
            own.map(|member| member.merit.losses().map(<[f64]>::to_vec)).collect()
        };
        let values = vec![0.25; problem.metrics.len()];
        assert_eq!(merits(&strategy, &points[4]), [None]);
        strategy.tell(&[foreign(6, points[4].clone(), values.clone())]).unwrap();
        assert_eq!(merits(&strategy, &points[4]), [Some(values.clone())]);
        // a measurement stays: another of the same point is no better than it
        strategy.tell(&[foreign(7, points[4].clone(), vec![0.125; problem.metrics.len()])]).unwrap();
        assert_eq!(merits(&strategy, &points[4]), [Some(values)]);
        assert_eq!(merits(&strategy, &points[3]), [None]);
    }
}
