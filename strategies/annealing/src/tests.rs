use super::*;
use ansatz_core::space::{Condition, Constraint, Domain, Parameter, Scale};
use ansatz_core::{Curve, FidelityRange, Goal, Losses, Metric, ObservedResult, TrialId};

mod closed_loop;
mod quality;

/// A space with parameters of every kind, some conditional, some constrained. The first is always an
/// active float, so that no space has only one point.
pub(crate) fn random_space(rng: &mut Rng) -> Space {
    let mut parameters = vec![Parameter::float("x0", -1.0, 1.0)];
    let count = rng.random_range(1..8);
    for index in 1..=count {
        let name = format!("x{index}");
        let scale = if rng.random() { Scale::Log } else { Scale::Linear };
        let mut parameter = match rng.random_range(0..7) {
            0 => Parameter::new(name, Domain::Float { lower: 1e-3, upper: 10.0, scale, step: None }),
            1 => Parameter::new(name, Domain::Float { lower: 0.5, upper: 8.0, scale, step: Some(0.25) }),
            2 => Parameter::new(
                name,
                Domain::Int { lower: 1, upper: rng.random_range(1..300), scale, step: 2 },
            ),
            3 => Parameter::categorical(name, ["a", "b", "c"]),
            4 => Parameter::ordinal(name, [1, 2, 4, 8]),
            5 => Parameter::float(name, 3.0, 3.0),
            _ => Parameter::bool(name),
        };
        let parent: &Parameter = &parameters[rng.random_range(0..parameters.len())];
        if rng.random() {
            parameter = parameter.when(match &parent.domain {
                Domain::Float { lower, upper, .. } => {
                    Condition::within(&parent.name, *lower, 0.5 * (lower + upper))
                }
                domain => Condition::equals(&parent.name, domain.value(domain.lower())),
            });
        }
        parameters.push(parameter);
    }
    let numeric: Vec<&Parameter> = parameters.iter().filter(|p| p.domain.is_numeric()).collect();
    let mut constraints = Vec::new();
    if numeric.len() > 1 && rng.random() {
        let bound = 0.5 * (numeric[1].domain.lower() + numeric[1].domain.upper());
        let text = format!("{} + {} <= {bound}", numeric[0].name, numeric[1].name);
        constraints.push(Constraint::parse(&text).unwrap());
    }
    if let Some(choice) = parameters.iter().find(|p| matches!(p.domain, Domain::Categorical { .. })) {
        constraints.push(Constraint::Forbidden(vec![
            Condition::equals(&choice.name, "b"),
            Condition::within("x0", -1.0, 0.5),
        ]));
    }
    Space::new(parameters, constraints).unwrap()
}

fn problem(space: Space) -> Problem {
    Problem::new(space, vec![Metric { name: "loss".into(), goal: Goal::Minimise }])
}

fn unit_box(dimension: usize) -> Problem {
    let parameters = (0..dimension).map(|index| Parameter::float(format!("x{index}"), 0.0, 1.0));
    problem(Space::of(parameters.collect()).unwrap())
}

fn annealing(problem: &Problem, options: Options, seed: u64) -> Annealing {
    Annealing::new(problem, options, Rng::new(seed)).unwrap()
}

/// One chain and losses as they are.
fn plain() -> Options {
    Options { initial_temperature: 1.0, chains: 1, loss_scale: LossScaling::None, ..Options::default() }
}

fn completed(loss: f64) -> ObservedResult {
    ObservedResult::Completed(losses(loss))
}

fn losses(loss: f64) -> Losses {
    Losses { values: vec![loss], standard_errors: vec![], excesses: vec![] }
}

fn observation(trial: u64, suggestion: &Suggestion, result: ObservedResult) -> Observation {
    let (tag, point) = (Some(suggestion.tag), suggestion.point.clone());
    Observation { trial: TrialId(trial), tag, point, fidelity: None, curve: Curve::default(), result }
}

fn foreign(trial: u64, point: Point, result: ObservedResult) -> Observation {
    Observation { trial: TrialId(trial), tag: None, point, fidelity: None, curve: Curve::default(), result }
}

fn ask(strategy: &mut Annealing, count: usize) -> Result<Vec<Suggestion>, StrategyError> {
    strategy.ask(count, &Pending::NONE)
}

/// One trial after another until `trial_max` or the end; each point with its loss.
fn run(
    strategy: &mut Annealing,
    trial_max: usize,
    loss: impl Fn(&Point) -> Option<f64>,
) -> Vec<(Point, Option<f64>)> {
    let mut trials = Vec::new();
    while trials.len() < trial_max {
        let suggestions = match ask(strategy, 1) {
            Ok(suggestions) => suggestions,
            Err(StrategyError::Exhausted) => break,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(suggestions.len(), 1, "a sequential run never waits");
        let loss = loss(&suggestions[0].point);
        let result = loss.map_or(ObservedResult::Failed, completed);
        strategy.tell(&[observation(trials.len() as u64, &suggestions[0], result)]).unwrap();
        trials.push((suggestions[0].point.clone(), loss));
    }
    trials
}

/// Any smooth number in about -2 to 2, whatever the space.
fn wavy(point: &Point) -> f64 {
    point.coordinates().flatten().enumerate().map(|(index, x)| (x * (1.0 + index as f64)).sin()).sum()
}

/// A study with batches, results in another order than asked for, and every way to end a trial;
/// `save` is the step before which strategy is replaced by what its snapshot holds.
fn eventful_study(problem: &Problem, options: &Options, seed: u64, save: Option<usize>) -> Vec<String> {
    let mut strategy = annealing(problem, options.clone(), seed);
    let mut events = Rng::new(seed);
    let (mut waiting, mut trial, mut log) = (Vec::new(), 0, Vec::new());
    for step in 0..120 {
        if save == Some(step) {
            let state = strategy.snapshot().unwrap().unwrap();
            // what the new one was made with does not matter
            strategy = annealing(problem, options.clone(), seed + 1);
            strategy.restore(&state).unwrap();
            assert_eq!(strategy.snapshot().unwrap().unwrap(), state);
        }
        if events.random() {
            match ask(&mut strategy, events.random_range(1..5)) {
                Ok(suggestions) => waiting.extend(suggestions),
                Err(error) => log.push(error.to_string()),
            }
            log.push(format!("{waiting:?}"));
        } else {
            let mut told = Vec::new();
            for _ in 0..waiting.len().min(events.random_range(0..4)) {
                let suggestion: Suggestion = waiting.swap_remove(events.random_range(0..waiting.len()));
                assert_eq!(problem.space.check(&suggestion.point), Ok(()));
                let result = match events.random_range(0..10) {
                    0 => ObservedResult::Failed,
                    1 => ObservedResult::Infeasible,
                    2 => ObservedResult::Stopped(Some(losses(-1e6))),
                    3 => ObservedResult::Stopped(None),
                    _ => completed(wavy(&suggestion.point)),
                };
                told.push(observation(trial, &suggestion, result));
                trial += 1;
            }
            if events.random_range(0..4) == 0 {
                let point = problem.space.sample(&mut events).unwrap();
                told.push(foreign(trial, point.clone(), completed(wavy(&point))));
                trial += 1;
            }
            strategy.tell(&told).unwrap();
        }
    }
    log
}

#[test]
fn the_same_seed_and_results_give_the_same_study_in_any_space() {
    let mut rng = Rng::new(20);
    let options = [
        Options { chains: 3, start: Start::Best, ..Options::default() },
        Options { chains: 2, stall_accepted: Some(2), at_end: AtEnd::Restart, ..Options::default() },
        Options { reanneal_best: Some(5), stall_best: Some(8), ..Options::default() },
    ];
    let mut distinct = std::collections::HashSet::new();
    for seed in 0..30 {
        let problem = problem(random_space(&mut rng));
        let options = &options[seed as usize % 3];
        let log = eventful_study(&problem, options, seed, None);
        assert_eq!(eventful_study(&problem, options, seed, None), log);
        distinct.insert(log);
    }
    assert_eq!(distinct.len(), 30, "other seeds, other studies");
}

#[test]
fn a_restored_strategy_goes_on_as_if_nothing_had_happened() {
    let mut rng = Rng::new(21);
    for seed in 0..8 {
        let problem = problem(random_space(&mut rng));
        let options = Options {
            chains: 3,
            schedule: Schedule::Geometric,
            initial_temperature: 1.0,
            minimum_temperature: Some(0.3),
            stall_best: Some(15),
            at_end: [AtEnd::Stop, AtEnd::Reheat, AtEnd::Restart][seed as usize % 3],
            ..Options::default()
        };
        let log = eventful_study(&problem, &options, seed, None);
        for save in (0..120).step_by(7) {
            assert_eq!(eventful_study(&problem, &options, seed, Some(save)), log, "saved at step {save}");
        }
    }
}

#[test]
fn the_articles_schedule_ends_after_688_moves() {
    let options = Options {
        schedule: Schedule::Geometric,
        initial_temperature: 100.0,
        minimum_temperature: Some(0.1),
        factor: Some(0.99),
        ..plain()
    };
    let mut strategy = annealing(&unit_box(2), options, 1);
    // 100 * 0.99^687 = 0.1003 is the last temperature above 0.1; and the start is a trial, too
    assert_eq!(run(&mut strategy, 2000, |point| Some(wavy(point))).len(), 1 + 688);
    assert_eq!(ask(&mut strategy, 1), Err(StrategyError::Exhausted));
    assert_eq!(ask(&mut strategy, 4), Err(StrategyError::Exhausted));
}

#[test]
fn a_minimum_temperature_ends_every_schedule() {
    // T0 / (k + 1): 100, 50, 33, 25. T0 / ln(k + 1): 100, 144, 91, 72, 62, 55.8, 51.4, 48.09.
    // T0 0.5^(k + 1): 100, 25, 12.5. T0 0.5^k: 100, 50, 25.
    let expected = [
        (Schedule::Fast, 26.0, 3),
        (Schedule::Boltzmann, 48.2, 7),
        (Schedule::Exponential, 13.0, 2),
        (Schedule::Geometric, 26.0, 2),
    ];
    for (schedule, minimum, move_count) in expected {
        let has_factor = matches!(schedule, Schedule::Exponential | Schedule::Geometric);
        let options = Options {
            schedule,
            factor: has_factor.then_some(0.5),
            initial_temperature: 100.0,
            minimum_temperature: Some(minimum),
            ..plain()
        };
        let trials = run(&mut annealing(&unit_box(1), options, 1), 50, |point| Some(wavy(point)));
        assert_eq!(trials.len(), 1 + move_count, "{schedule:?}");
    }
}

#[test]
fn stall_limits_end_a_chain() {
    // nothing is ever better than the start
    let loss = |trial: &std::cell::Cell<f64>| {
        trial.set(trial.get() + 1.0);
        Some(trial.get() * 1e9)
    };
    for options in
        [Options { stall_accepted: Some(7), ..plain() }, Options { stall_best: Some(7), ..plain() }]
    {
        let trial = std::cell::Cell::new(0.0);
        let mut strategy = annealing(&unit_box(2), options, 1);
        assert_eq!(run(&mut strategy, 100, |_| loss(&trial)).len(), 1 + 8);
        assert_eq!(ask(&mut strategy, 1), Err(StrategyError::Exhausted));
    }
}

#[test]
fn an_ended_chain_goes_on_if_told_to() {
    let end = |at_end| Options {
        schedule: Schedule::Geometric,
        minimum_temperature: Some(0.5),
        factor: Some(0.9),
        step_width: 0.01,
        step_width_floor: 1.0,
        further_move_chance: 0.0,
        at_end,
        ..plain()
    };
    // 0.9^6 is above one half, 0.9^7 below
    let move_count = 7;
    // a slope so steep that only steps down are taken: where the chain is, is the best
    let loss = |point: &Point| Some(1e9 * point.coordinates().flatten().sum::<f64>());
    let farthest = |a: &Point, b: &Point| {
        let distances = a.flat().iter().zip(b.flat()).map(|(a, b)| (a - b).abs());
        distances.fold(0.0, f64::max)
    };
    for seed in 0..10 {
        assert_eq!(
            run(&mut annealing(&unit_box(3), end(AtEnd::Stop), seed), 500, loss).len(),
            1 + move_count
        );

        let trials = run(&mut annealing(&unit_box(3), end(AtEnd::Reheat), seed), 500, loss);
        assert_eq!(trials.len(), 500);
        for pair in trials.windows(2) {
            assert!(farthest(&pair[0].0, &pair[1].0) <= 0.02 + 1e-12, "reheating does not jump");
        }

        let trials = run(&mut annealing(&unit_box(3), end(AtEnd::Restart), seed), 500, loss);
        assert_eq!(trials.len(), 500);
        let jumps: Vec<usize> =
            (1..500).filter(|i| farthest(&trials[i - 1].0, &trials[*i].0) > 0.02 + 1e-12).collect();
        assert!(jumps.len() > 40 && jumps.iter().all(|i| i % (1 + move_count) == 0), "{jumps:?}");
    }
}

#[test]
fn a_start_that_fails_is_drawn_again() {
    for result in [
        ObservedResult::Failed,
        ObservedResult::Infeasible,
        ObservedResult::Stopped(Some(losses(0.0))),
        ObservedResult::Completed(Losses { excesses: vec![1.0], ..losses(0.0) }),
        completed(f64::NAN),
    ] {
        let options = Options { step_width: 0.01, ..plain() };
        let mut strategy = annealing(&unit_box(4), options, 5);
        let mut drawn = Vec::new();
        for trial in 0..5 {
            let suggestion = ask(&mut strategy, 1).unwrap().remove(0);
            assert!(!drawn.contains(&suggestion.point));
            drawn.push(suggestion.point.clone());
            strategy.tell(&[observation(trial, &suggestion, result.clone())]).unwrap();
        }
        assert!(strategy.chains[0].state().is_none(), "there is nothing to move from");
        let start = ask(&mut strategy, 1).unwrap().remove(0);
        strategy.tell(&[observation(9, &start, completed(1.0))]).unwrap();
        let next = ask(&mut strategy, 1).unwrap().remove(0);
        let steps = next.point.flat().iter().zip(start.point.flat()).map(|(a, b)| (a - b).abs());
        assert!(steps.fold(0.0, f64::max) <= 0.01 + 1e-12, "the first move is from the first that completed");
    }
}

#[test]
fn what_did_not_complete_is_never_moved_to() {
    let mut moved = 0;
    for seed in 0..20 {
        // so hot that half of all worse points are accepted
        let options = Options { initial_temperature: 1e6, schedule: Schedule::Boltzmann, ..plain() };
        let mut strategy = annealing(&unit_box(2), options, seed);
        let mut last_accepted = None;
        for trial in 0..100 {
            let suggestion = ask(&mut strategy, 1).unwrap().remove(0);
            let is_good = trial % 3 == 0;
            let result = match trial % 3 {
                0 => completed(trial as f64),
                1 => ObservedResult::Stopped(Some(losses(-1e9))),
                _ => ObservedResult::Failed,
            };
            strategy.tell(&[observation(trial, &suggestion, result)]).unwrap();
            let Some(state) = strategy.chains[0].state() else { continue };
            assert!(state.cost.is_finite() && state.best_cost.is_finite());
            if state.param.as_ref() != last_accepted.as_ref() {
                assert!(is_good || last_accepted.is_none());
                moved += 1;
            }
            last_accepted = state.param.clone();
        }
    }
    assert!(moved > 200, "{moved} moves in 20 runs: it must get on between failures");
}

#[test]
fn a_state_of_another_problem_or_other_options_is_refused() {
    let mut original = annealing(&unit_box(2), plain(), 1);
    run(&mut original, 20, |point| Some(wavy(point)));
    let state = original.snapshot().unwrap().unwrap();
    let mut fidelity = unit_box(2);
    fidelity.fidelity = Some(FidelityRange { name: "epochs".into(), lower: 1.0, upper: 9.0 });
    for (problem, options) in
        [(unit_box(3), plain()), (fidelity, plain()), (unit_box(2), Options { chains: 3, ..plain() })]
    {
        let mut other = annealing(&problem, options, 1);
        let before = other.snapshot().unwrap();
        assert!(matches!(other.restore(&state), Err(StrategyError::Invalid(_))));
        assert_eq!(other.snapshot().unwrap(), before, "it is as it was");
    }
    assert_eq!(annealing(&unit_box(2), plain(), 9).restore(&state), Ok(()));
}

#[test]
fn each_chain_waits_for_its_own_trial() {
    let options = Options { chains: 3, ..plain() };
    let mut strategy = annealing(&unit_box(2), options, 2);
    let first = ask(&mut strategy, 8).unwrap();
    let tags: Vec<u64> = first.iter().map(|suggestion| suggestion.tag).collect();
    assert_eq!(tags, [0, 1, 2]);
    assert_eq!(ask(&mut strategy, 1), Ok(vec![]), "all wait");
    strategy.tell(&[observation(0, &first[1], completed(0.5))]).unwrap();
    let next = ask(&mut strategy, 8).unwrap();
    assert_eq!(next.iter().map(|suggestion| suggestion.tag).collect::<Vec<_>>(), [1]);
    // a result that nobody waits for changes nothing
    let before = strategy.snapshot().unwrap();
    let stranger = Suggestion::tagged(first[0].point.clone(), 77);
    strategy.tell(&[observation(1, &stranger, completed(3.0))]).unwrap();
    assert_eq!(strategy.snapshot().unwrap(), before);
    // no more than asked for, and the chains do not repeat one another
    strategy
        .tell(&[observation(2, &first[0], completed(1.0)), observation(3, &first[2], completed(2.0))])
        .unwrap();
    assert_eq!(ask(&mut strategy, 1).unwrap().len(), 1);
    assert_eq!(ask(&mut strategy, 1).unwrap().len(), 1);
    assert_ne!(first[0].point, first[1].point);
}

#[test]
fn chains_are_opened_only_as_needed() {
    let mut strategy = annealing(&unit_box(2), Options::default(), 3);
    run(&mut strategy, 50, |point| Some(wavy(point)));
    assert_eq!(strategy.chains.len(), 1);
    let pair = ask(&mut strategy, 2).unwrap();
    assert_eq!(strategy.chains.len(), 2);
    // in whatever order they are told, a chain goes on alike
    let (mut one, mut two) = (clone(&strategy), clone(&strategy));
    let told = [observation(60, &pair[0], completed(0.1)), observation(61, &pair[1], completed(0.2))];
    one.tell(&told).unwrap();
    two.tell(&told[1..]).unwrap();
    two.tell(&told[..1]).unwrap();
    assert_eq!(ask(&mut one, 2), ask(&mut two, 2));
}

fn clone(strategy: &Annealing) -> Annealing {
    ansatz_core::strategy::decode_state(&strategy.snapshot().unwrap().unwrap()).unwrap()
}

#[test]
fn the_end_of_all_chains_is_the_end() {
    // more chains are allowed, but the place of one that has ended stays empty
    let options = Options { chains: 5, stall_best: Some(0), ..plain() };
    let mut strategy = annealing(&unit_box(2), options, 4);
    let mut trial = 0;
    let mut tell = |strategy: &mut Annealing, suggestion: &Suggestion| {
        trial += 1;
        let result = completed(trial as f64);
        strategy.tell(&[observation(trial, suggestion, result)]).unwrap();
    };
    let starts = ask(&mut strategy, 2).unwrap();
    starts.iter().for_each(|start| tell(&mut strategy, start));
    let moves = ask(&mut strategy, 2).unwrap();
    tell(&mut strategy, &moves[0]);
    assert_eq!(ask(&mut strategy, 2), Ok(vec![]), "one has ended, the other waits");
    tell(&mut strategy, &moves[1]);
    assert_eq!(ask(&mut strategy, 2), Err(StrategyError::Exhausted));
}

#[test]
fn a_chain_may_start_at_the_best_point_of_others() {
    let space = unit_box(2);
    let near = |a: &Point, b: &Point| a.flat().iter().zip(b.flat()).all(|(a, b)| (a - b).abs() < 0.011);
    let known = [(0.2, 3.0), (0.4, 1.0), (0.6, 2.0)];
    let known = known.map(|(x, loss)| (Point::from_flat(&[x, x]), loss));
    let tell_known = |strategy: &mut Annealing| {
        for (trial, (point, loss)) in (0..).zip(&known) {
            strategy.tell(&[foreign(trial, point.clone(), completed(*loss))]).unwrap();
        }
        let bad = Point::from_flat(&[0.9, 0.9]);
        strategy.tell(&[foreign(5, bad.clone(), ObservedResult::Stopped(Some(losses(-9.0))))]).unwrap();
        strategy.tell(&[foreign(6, bad, ObservedResult::Infeasible)]).unwrap();
    };
    let options = Options { start: Start::Best, step_width: 0.01, chains: 2, ..plain() };
    let mut strategy = annealing(&space, options.clone(), 1);
    tell_known(&mut strategy);
    for suggestion in ask(&mut strategy, 2).unwrap() {
        assert!(near(&suggestion.point, &known[1].0) && suggestion.point != known[1].0);
    }
    assert_eq!(strategy.chains[0].state().map(|state| state.cost), Some(1.0), "not evaluated again");

    // at random: as if nothing had been told
    let random = Options { start: Start::Random, ..options };
    let (mut told, mut untold) = (annealing(&space, random.clone(), 1), annealing(&space, random, 1));
    tell_known(&mut told);
    assert_eq!(ask(&mut told, 2), ask(&mut untold, 2));
}

#[test]
fn a_cheap_evaluation_is_no_best_point() {
    let mut problem = unit_box(1);
    problem.fidelity = Some(FidelityRange { name: "epochs".into(), lower: 1.0, upper: 9.0 });
    let mut strategy = annealing(&problem, Options { start: Start::Best, ..plain() }, 1);
    let point = Point::from_flat(&[0.5]);
    let mut cheap = foreign(0, point.clone(), completed(-9.0));
    cheap.fidelity = Some(3.0);
    let mut full = foreign(1, point, completed(4.0));
    full.fidelity = Some(9.0);
    strategy.tell(&[cheap, full]).unwrap();
    assert_eq!(strategy.best.as_ref().map(|(_, loss)| *loss), Some(4.0));
}

#[test]
fn the_adaptive_scale_makes_the_size_of_losses_irrelevant() {
    let points = |factor: f64, loss_scale| {
        let options = Options { loss_scale, ..Options::default() };
        let trials = run(&mut annealing(&unit_box(3), options, 6), 200, |point| Some(factor * wavy(point)));
        trials.into_iter().map(|(point, _)| point).collect::<Vec<_>>()
    };
    // powers of two, so that nothing is rounded
    let unit = points(1.0, LossScaling::Adaptive);
    for exponent in [-40, -3, 5, 60] {
        assert_eq!(points(2f64.powi(exponent), LossScaling::Adaptive), unit);
    }
    assert_ne!(points(1024.0, LossScaling::None), points(1.0, LossScaling::None));
}

#[test]
fn a_chain_starts_at_the_best_of_its_draws() {
    let mut strategy = annealing(&unit_box(2), Options::default(), 7);
    let trials = run(&mut strategy, loss_scale::LOSS_COUNT, |point| Some(wavy(point)));
    ask(&mut strategy, 1).unwrap();
    let best = trials.iter().min_by(|a, b| a.1.unwrap().total_cmp(&b.1.unwrap())).unwrap();
    let state = strategy.chains[0].state().unwrap();
    assert_eq!(state.param.as_ref(), Some(&best.0));
    let scale = strategy.loss_scale.get().unwrap();
    assert_eq!(state.cost, best.1.unwrap() / scale);
}

#[test]
fn losses_of_any_size_leave_costs_finite() {
    for size in [1e308, 1e-308, 0.0] {
        let options = Options { reanneal_fixed: Some(10), ..Options::default() };
        let mut strategy = annealing(&unit_box(2), options, 8);
        run(&mut strategy, 100, |point| Some(size * wavy(point).signum() * wavy(point).abs().min(1.0)));
        let state = strategy.chains[0].state().unwrap();
        assert!(state.cost.is_finite() && state.best_cost.is_finite());
    }
}

#[test]
fn options_that_make_no_sense_are_refused_by_name() {
    let default = Options::default;
    let wrong = [
        ("initial_temperature", Options { initial_temperature: 0.0, ..default() }),
        ("initial_temperature", Options { initial_temperature: f64::NAN, ..default() }),
        ("minimum_temperature", Options { minimum_temperature: Some(0.0), ..default() }),
        ("minimum_temperature", Options { minimum_temperature: Some(1.0), ..default() }),
        ("factor", Options { factor: Some(0.9), ..default() }),
        ("factor", Options { factor: Some(1.0), schedule: Schedule::Geometric, ..default() }),
        ("factor", Options { factor: Some(1e-200), schedule: Schedule::Geometric, ..default() }),
        ("reanneal_fixed", Options { reanneal_fixed: Some(0), ..default() }),
        ("reanneal_accepted", Options { reanneal_accepted: Some(0), ..default() }),
        ("reanneal_best", Options { reanneal_best: Some(0), ..default() }),
        ("chains", Options { chains: 0, ..default() }),
        ("step_width", Options { step_width: 0.0, ..default() }),
        ("step_width", Options { step_width: 1.5, ..default() }),
        ("step_width_floor", Options { step_width_floor: -0.1, ..default() }),
        ("further_move_chance", Options { further_move_chance: 1.0, ..default() }),
    ];
    for (name, options) in wrong {
        match Annealing::new(&unit_box(1), options.clone(), Rng::new(1)).map(|_| ()) {
            Err(StrategyError::Invalid(message)) => assert!(message.starts_with(name), "{message}"),
            other => panic!("{options:?} gave {other:?}"),
        }
    }
}

#[test]
fn options_read_as_in_a_manifest() {
    let read = serde_json::from_str::<Options>;
    assert_eq!(read("{}").unwrap(), Options::default());
    let article = r#"{"schedule": "geometric", "initial_temperature": 100, "minimum_temperature": 0.1,
        "factor": 0.99, "chains": 1, "loss_scale": "none"}"#;
    let expected = Options {
        schedule: Schedule::Geometric,
        initial_temperature: 100.0,
        minimum_temperature: Some(0.1),
        factor: Some(0.99),
        ..plain()
    };
    assert_eq!(read(article).unwrap(), expected);
    assert!(read(r#"{"temperature": 1}"#).is_err());
}

#[test]
fn constraints_that_contradict_are_an_error_and_no_endless_loop() {
    let sum = |text| Constraint::parse(text).unwrap();
    let constraints = vec![sum("x <= 0.2"), sum("x >= 0.8")];
    let space = Space::new(vec![Parameter::float("x", 0.0, 1.0)], constraints).unwrap();
    let mut strategy = annealing(&problem(space), Options::default(), 1);
    assert!(matches!(ask(&mut strategy, 1), Err(StrategyError::Invalid(_))));
}
