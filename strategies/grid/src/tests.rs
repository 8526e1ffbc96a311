use super::{Grid, Options};
use ansatz_core::rng::Rng;
use ansatz_core::space::{Condition, Constraint, Parameter};
use ansatz_core::{Goal, Metric, Pending, Point, Problem, Space, Strategy, StrategyError};
use rand::RngExt;
use std::collections::HashSet;

fn create(space: &Space, options: Options, seed: u64) -> Result<Grid, StrategyError> {
    let metric = Metric { name: "loss".into(), goal: Goal::Minimise };
    Grid::new(&Problem::new(space.clone(), vec![metric]), options, Rng::new(seed))
}

fn shuffled(shuffle: bool) -> Options {
    Options { resolution: 3, shuffle, ..Options::default() }
}

fn take(grid: &mut Grid, count: usize) -> Vec<Point> {
    let suggestions = grid.ask(count, &Pending::NONE).unwrap();
    suggestions.into_iter().map(|suggestion| suggestion.point).collect()
}

/// Everything there is, asked for in portions.
fn all(grid: &mut Grid, portion: usize) -> Vec<Point> {
    let mut points = Vec::new();
    loop {
        match grid.ask(portion, &Pending::NONE) {
            Ok(suggestions) => points.extend(suggestions.into_iter().map(|suggestion| suggestion.point)),
            Err(error) => {
                assert_eq!(error, StrategyError::Exhausted);
                assert_eq!(
                    grid.ask(portion, &Pending::NONE),
                    Err(StrategyError::Exhausted),
                    "it stays exhausted"
                );
                return points;
            }
        }
    }
}

/// Every combination of three levels per float and all values of others, with those dropped that are inactive,
/// repeated or infeasible.
fn brute_force(space: &Space) -> HashSet<Point> {
    let mut rows = vec![Vec::new()];
    for parameter in space.parameters() {
        let domain = &parameter.domain;
        let levels: Vec<f64> = match domain.value_count() {
            Some(count) => (0..count).map(|index| domain.nth(index)).collect(),
            None => vec![domain.lower(), (domain.lower() + domain.upper()) / 2.0, domain.upper()],
        };
        rows = rows
            .iter()
            .flat_map(|row| levels.iter().map(move |&level| [row.as_slice(), &[level]].concat()))
            .collect();
    }
    rows.into_iter().map(|row| space.assemble(row)).filter(|point| space.is_feasible(point)).collect()
}

/// A space of up to seven small parameters; each may depend on one or two others, and some combinations are not
/// allowed. The declared order is not the order of dependence.
fn random_space(rng: &mut Rng) -> Space {
    let condition = |rng: &mut Rng, index: usize, parameter: &Parameter| {
        let name = format!("p{index}");
        let domain = &parameter.domain;
        match (domain.value_count(), domain.is_numeric()) {
            (Some(count), true) if rng.random_bool(0.5) => {
                let (a, b) = (domain.nth(rng.random_range(0..count)), domain.nth(rng.random_range(0..count)));
                Condition::within(name, a.min(b), a.max(b))
            }
            (Some(count), _) => {
                let values = (0..rng.random_range(1..=2))
                    .map(|_| domain.value(domain.nth(rng.random_range(0..count))));
                Condition::among(name, values.collect::<Vec<_>>())
            }
            (None, _) => Condition::within(name, -0.5, [0.0, 0.5, 4.0][rng.random_range(0..3)]),
        }
    };
    let mut parameters: Vec<Parameter> = Vec::new();
    for index in 0..rng.random_range(1..=7) {
        let name = format!("p{index}");
        let mut parameter = match rng.random_range(0..5) {
            0 => Parameter::float(name, 0.0, 4.0),
            1 => Parameter::int(name, -1, rng.random_range(-1..=2)),
            2 => Parameter::categorical(name, ["a", "b", "c"]),
            3 => Parameter::ordinal(name, [1_i64, 10]),
            _ => Parameter::bool(name),
        };
        for _ in 0..rng.random_range(0..=2_usize).min(index) {
            let parent = rng.random_range(0..index);
            parameter = parameter.when(condition(rng, parent, &parameters[parent]));
        }
        parameters.push(parameter);
    }
    let mut constraints = Vec::new();
    for _ in 0..rng.random_range(0..=2) {
        let (a, b) = (rng.random_range(0..parameters.len()), rng.random_range(0..parameters.len()));
        if a != b && parameters[a].domain.is_numeric() && parameters[b].domain.is_numeric() {
            constraints.push(Constraint::parse(&format!("p{a} + p{b} <= 2")).unwrap());
        } else {
            let first = condition(rng, a, &parameters[a]);
            constraints.push(Constraint::Forbidden(vec![first, condition(rng, b, &parameters[b])]));
        }
    }
    let places: Vec<usize> = (0..parameters.len()).collect();
    for &place in &places {
        parameters.swap(place, rng.random_range(0..places.len()));
    }
    Space::new(parameters, constraints).unwrap()
}

#[test]
fn exactly_the_points_of_the_grid_come_each_once() {
    let mut rng = Rng::new(11);
    let (mut conditional, mut constrained) = (0, 0);
    for round in 0..600 {
        let space = random_space(&mut rng);
        let expected = brute_force(&space);
        conditional += usize::from(space.is_conditional());
        constrained += usize::from(!space.constraints().is_empty());
        for shuffle in [false, true] {
            let mut grid = create(&space, shuffled(shuffle), round).unwrap();
            let points = all(&mut grid, rng.random_range(1..=9));
            let found: HashSet<Point> = points.iter().cloned().collect();
            assert_eq!(found.len(), points.len(), "a point comes twice: {space:?}");
            assert_eq!(found, expected, "{space:?}");
            assert!(points.iter().all(|point| space.check(point) == Ok(())));
            if space.constraints().is_empty() {
                assert_eq!(grid.point_count(), points.len() as u128);
            }
        }
    }
    assert!(conditional > 300 && constrained > 200, "the spaces are too plain: {conditional}, {constrained}");
}

#[test]
fn the_last_parameter_turns_fastest_and_inactive_ones_multiply_nothing() {
    let space = Space::of(vec![
        Parameter::categorical("model", ["linear", "network"]),
        Parameter::int("layers", 1, 2).when(Condition::equals("model", "network")),
        Parameter::bool("bias"),
    ])
    .unwrap();
    let points = all(&mut create(&space, Options::default(), 1).unwrap(), 100);
    let nan = f64::NAN;
    let rows = [
        [0.0, nan, 0.0],
        [0.0, nan, 1.0],
        [1.0, 1.0, 0.0],
        [1.0, 1.0, 1.0],
        [1.0, 2.0, 0.0],
        [1.0, 2.0, 1.0],
    ];
    assert_eq!(points, rows.map(|row| Point::from_flat(&row)));
}

#[test]
fn enormous_grids_start_at_once() {
    // 15 parameters of 10 levels: 10^15 points. Numbers end at 2^128, so 128 parameters of two levels are too many.
    let floats =
        |count| Space::of((0..count).map(|i| Parameter::float(format!("x{i}"), 0.0, 1.0)).collect()).unwrap();
    for shuffle in [false, true] {
        let options = || Options { resolution: 10, shuffle, ..Options::default() };
        let mut grid = create(&floats(15), options(), 3).unwrap();
        assert_eq!(grid.point_count(), 10_u128.pow(15));
        let points: HashSet<Point> = take(&mut grid, 2_000).into_iter().collect();
        assert_eq!(points.len(), 2_000);
    }
    let wide = Space::of((0..2).map(|i| Parameter::int(format!("n{i}"), 0, 1 << 53)).collect()).unwrap();
    let grid = create(&wide, Options::default(), 3).unwrap();
    assert_eq!(grid.point_count(), ((1 << 53) + 1_u128).pow(2));
    let error = create(&floats(128), Options { resolution: 2, ..Options::default() }, 3).unwrap_err();
    assert!(matches!(&error, StrategyError::Invalid(message) if message.contains("2^128")), "{error:?}");
    assert!(create(&floats(127), Options { resolution: 2, ..Options::default() }, 3).is_ok());
}

#[test]
fn many_conditions_stay_small() {
    // 60 switches with three parameters each, and a chain of 60 conditions: 2^60 combinations of switches.
    let mut parameters = vec![Parameter::bool("chain0")];
    for i in 0..60 {
        parameters.push(Parameter::bool(format!("switch{i}")));
        for j in 0..3 {
            let on = Condition::equals(format!("switch{i}"), true);
            parameters.push(Parameter::bool(format!("part{i}_{j}")).when(on));
        }
        let on = Condition::equals(format!("chain{i}"), true);
        parameters.push(Parameter::bool(format!("chain{}", i + 1)).when(on));
    }
    let space = Space::of(parameters).unwrap();
    // Each switch has 1 + 8 states, and 9^60 is above 2^128: counted, and refused.
    assert!(matches!(create(&space, Options::default(), 1), Err(StrategyError::Invalid(_))));
    let fewer: Vec<Parameter> =
        space.parameters().iter().filter(|parameter| !parameter.name.starts_with("part")).cloned().collect();
    let grid = create(&Space::of(fewer).unwrap(), Options::default(), 1).unwrap();
    // The chain has a state for each place where it may end, and one more: 62.
    assert_eq!(grid.point_count(), (1 << 60) * 62);
}

#[test]
fn constraints_rule_out_many_points_at_once() {
    // Of 100^6 points only those with a + b at most 0 remain, and the two are declared last.
    let mut parameters: Vec<Parameter> = (0..4).map(|i| Parameter::int(format!("n{i}"), 1, 100)).collect();
    parameters.extend(["a", "b"].map(|name| Parameter::int(name, 0, 99)));
    let space = Space::new(parameters, vec![Constraint::parse("a + b >= 198").unwrap()]).unwrap();
    let mut grid = create(&space, Options::default(), 1).unwrap();
    for point in take(&mut grid, 1_000) {
        assert_eq!(space.check(&point), Ok(()));
    }
}

#[test]
fn constraints_without_a_solution_end_the_grid() {
    let parameters = ["a", "b"].map(|name| Parameter::int(name, 0, 99)).to_vec();
    let space = Space::new(parameters, vec![Constraint::parse("a + b >= 199").unwrap()]).unwrap();
    for shuffle in [false, true] {
        assert!(all(&mut create(&space, shuffled(shuffle), 1).unwrap(), 10).is_empty());
    }
}

#[test]
fn the_seed_decides_the_shuffled_order_alone() {
    let space = random_space(&mut Rng::new(4));
    let order = |shuffle, seed| all(&mut create(&space, shuffled(shuffle), seed).unwrap(), 7);
    assert!(order(true, 1).len() > 20);
    assert_eq!(order(true, 1), order(true, 1));
    assert_ne!(order(true, 1), order(true, 2));
    assert_ne!(order(true, 1), order(false, 1));
    assert_eq!(order(false, 1), order(false, 2));
}

#[test]
fn a_restored_grid_goes_on_where_it_was() {
    let space = random_space(&mut Rng::new(4));
    for shuffle in [false, true] {
        let mut original = create(&space, shuffled(shuffle), 1).unwrap();
        take(&mut original, 13);
        let state = original.snapshot().unwrap().unwrap();
        assert!(state.len() < 100);
        // Whatever the seed and order of the grid that takes over.
        for (shuffle, seed) in [(shuffle, 1), (!shuffle, 99)] {
            let mut restored = create(&space, shuffled(shuffle), seed).unwrap();
            restored.restore(&state).unwrap();
            assert_eq!(restored.snapshot().unwrap().unwrap(), state);
            let mut reference = create(&space, shuffled(shuffle), seed).unwrap();
            reference.restore(&state).unwrap();
            assert_eq!(all(&mut restored, 4), all(&mut reference, 9));
        }
        let rest = all(&mut original, 5);
        let mut restored = create(&space, shuffled(shuffle), 7).unwrap();
        restored.restore(&state).unwrap();
        assert_eq!(all(&mut restored, 3), rest);
    }
    let mut other = create(&space, Options { resolution: 4, ..Options::default() }, 1).unwrap();
    let smaller = Space::of(vec![Parameter::bool("x")]).unwrap();
    let state = create(&smaller, Options::default(), 1).unwrap().snapshot().unwrap().unwrap();
    assert!(
        matches!(other.restore(&state), Err(StrategyError::Invalid(message)) if message.contains("2 points"))
    );
    assert!(matches!(other.restore(b"nonsense"), Err(StrategyError::Invalid(_))));
}

#[test]
fn resolutions_apply_by_name_and_mistakes_are_explained() {
    let space = Space::of(vec![
        Parameter::float("learning_rate", 1e-4, 1.0).log(),
        Parameter::int("width", 1, 1000),
        Parameter::categorical("model", ["a", "b", "c"]),
    ])
    .unwrap();
    let with = |name: &str, resolution| {
        let options = Options { resolutions: [(name.to_owned(), resolution)].into(), ..Options::default() };
        create(&space, options, 1)
    };
    assert_eq!(create(&space, Options::default(), 1).unwrap().point_count(), 5 * 1000 * 3);
    assert_eq!(with("learning_rate", 7).unwrap().point_count(), 7 * 1000 * 3);
    assert_eq!(with("width", 4).unwrap().point_count(), 5 * 4 * 3);
    for (name, resolution, part) in [
        ("learning_rat", 3, "did you mean \"learning_rate\""),
        ("model", 2, "model is categorical"),
        ("width", 0, "between 1 and 1000000"),
    ] {
        let error = with(name, resolution).unwrap_err();
        assert!(matches!(&error, StrategyError::Invalid(message) if message.contains(part)), "{error:?}");
    }
    assert!(create(&space, Options { resolution: 0, ..Options::default() }, 1).is_err());
}

#[test]
fn options_are_read_strictly() {
    assert_eq!(serde_json::from_str::<Options>("{}").unwrap(), Options::default());
    let read =
        serde_json::from_str::<Options>(r#"{"resolution": 3, "resolutions": {"a": 2}, "shuffle": true}"#)
            .unwrap();
    assert_eq!((read.resolution, read.resolutions["a"], read.shuffle), (3, 2, true));
    assert!(serde_json::from_str::<Options>(r#"{"resolutoin": 3}"#).is_err());
}
