//! Conditional spaces: made at random, and one in which the branches have optima of their own.

use super::*;

/// A space with every kind of parameter, a third of them conditional on an earlier one, and now and then a constraint.
fn random_space(rng: &mut Rng) -> Space {
    let count = rng.random_range(2..9);
    let mut parameters: Vec<Parameter> = Vec::new();
    for index in 0..count {
        let name = format!("p{index}");
        let mut parameter = match rng.random_range(0..7) {
            0 => Parameter::float(name, -2.0, 3.0),
            1 => Parameter::float(name, 1e-4, 10.0).log(),
            2 => Parameter::int(name, 0, rng.random_range(0..6)),
            3 => Parameter::int(name, 1, 5000).log(),
            4 => Parameter::ordinal(name, [1_i64, 10, 100, 1000]),
            5 => Parameter::bool(name),
            _ => Parameter::categorical(name, ["a", "b", "c"]),
        };
        let parents: Vec<String> = parameters
            .iter()
            .filter(|parent| matches!(parent.domain, ansatz_core::space::Domain::Categorical { .. }))
            .map(|parent| parent.name.clone())
            .collect();
        if !parents.is_empty() && rng.random_range(0..3) > 0 {
            let parent = parents[rng.random_range(0..parents.len())].clone();
            parameter = parameter.when(Condition::among(parent, ["a", "b"]));
        }
        parameters.push(parameter);
    }
    let numeric: Vec<String> = parameters
        .iter()
        .filter(|parameter| parameter.domain.is_numeric() && parameter.domain.value_count() != Some(1))
        .map(|parameter| parameter.name.clone())
        .collect();
    let constraints = match numeric.as_slice() {
        [first, second, ..] if rng.random() => {
            vec![Constraint::parse(&format!("{first} + {second} <= 4")).unwrap()]
        }
        _ => vec![],
    };
    Space::new(parameters, constraints).unwrap()
}

/// Points lie in the space and differ, whatever the space and however trials end; used-up spaces end it.
#[test]
fn any_space_is_searched() {
    let mut rng = Rng::new(11);
    for seed in 0..60 {
        let space = random_space(&mut rng);
        let mut strategy = strategy(&space, seed);
        let mut points: Vec<Point> = Vec::new();
        for trial in 0..50 {
            let point = match strategy.ask(1, &Pending::NONE) {
                Ok(mut asked) => asked.remove(0).point,
                Err(error) => {
                    assert_eq!(error, StrategyError::Exhausted);
                    break;
                }
            };
            assert_eq!(space.check(&point), Ok(()), "{space:?}");
            assert!(!points.contains(&point), "{space:?}: {point:?} again");
            let loss = point.flat().iter().filter(|c| !c.is_nan()).map(|c| c.sin()).sum();
            let result = match trial % 11 {
                3 => ObservedResult::Failed,
                7 => ObservedResult::Infeasible,
                9 => ObservedResult::Stopped(None),
                _ => completed(loss),
            };
            strategy.tell(&[observation(trial, &point, result)]).unwrap();
            points.push(point);
        }
        let all = space.parameters().iter().try_fold(1, |n: u64, p| n.checked_mul(p.domain.value_count()?));
        assert!(points.len() == 50 || all.is_some_and(|all| points.len() as u64 <= all), "{}", points.len());
    }
}

/// Each group has the trials in which it was active, and no other ones.
#[test]
fn groups_learn_from_the_trials_in_which_they_were_active() {
    let space = mixed_space(&[]);
    let mut strategy = strategy(&space, 1);
    let points = run(&mut strategy, 60, |point| completed(mixed_loss(point)));
    assert_eq!(strategy.groups.len(), 3);
    for (group, ranking) in strategy.groups.iter().zip(&strategy.memory.rankings) {
        let active = points.iter().filter(|point| point.is_active(group.parameters[0])).count();
        assert_eq!(ranking.len(), active);
        let (good, others) = ranking.split(&strategy.state.told, 4, 9);
        for index in good.iter().chain(&others) {
            assert!(points[*index].is_active(group.parameters[0]));
        }
        let losses: Vec<f64> = good.iter().map(|index| mixed_loss(&points[*index])).collect();
        assert!(losses.is_sorted(), "{losses:?}");
        assert!(others.iter().all(|index| mixed_loss(&points[*index]) >= losses[losses.len() - 1]));
    }
}

/// The best branch is worst while its own parameters are badly set, and has to be searched nevertheless.
#[test]
fn a_branch_is_searched_within_itself() {
    let branch = |name: &str| Condition::equals("branch", name);
    let space = Space::of(vec![
        Parameter::categorical("branch", ["plain", "deep"]),
        Parameter::float("plain_x", 0.0, 1.0).when(branch("plain")),
        Parameter::float("deep_x", 0.0, 1.0).when(branch("deep")),
        Parameter::float("deep_y", 0.0, 1.0).when(branch("deep")),
    ])
    .unwrap();
    let loss = |point: &Point| match point.get(0) {
        Some(0.0) => 0.5 + 0.1 * (point.get(1).unwrap() - 0.5).abs(),
        _ => 3.0 * (point.get(2).unwrap() - 0.2).abs() + 3.0 * (point.get(3).unwrap() - 0.9).abs(),
    };
    let (ours, random) = least(&space, loss, 80, 9);
    assert!(ours < 0.1 && ours < random / 3.0, "{ours} against {random}");
}
