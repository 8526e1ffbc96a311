use super::*;
use crate::tests::random_space;
use ansatz_core::space::{CategoricalForm, Condition, Constraint, Encoding, Scale};

fn space(parameters: Vec<Parameter>) -> Space {
    Space::of(parameters).unwrap()
}

fn point(coordinates: &[f64]) -> Point {
    Point::from_flat(coordinates)
}

#[test]
fn neighbours_lie_in_the_space_and_differ() {
    let mut rng = Rng::new(1);
    for round in 0..200 {
        let space = random_space(&mut rng);
        let mut current = space.sample(&mut rng).unwrap();
        for width in [1.0, 0.3, 0.01, 1e-6, 1e-6, 0.3, 1.0, 1.0] {
            let next = neighbour(&space, &current, width, 0.3, &mut rng);
            assert_eq!(space.check(&next), Ok(()), "space {round}: {space:?}");
            assert_ne!(next, current, "space {round}: {space:?}");
            current = next;
        }
    }
}

#[test]
fn the_chance_says_how_many_parameters_move() {
    let space = space((0..8).map(|i| Parameter::int(format!("x{i}"), 0, 9)).collect());
    let start = point(&[5.0; 8]);
    let mut rng = Rng::new(2);
    let mut moved = |chance: f64| -> Vec<usize> {
        (0..500)
            .map(|_| {
                let next = neighbour(&space, &start, 0.5, chance, &mut rng);
                next.coordinates().zip(start.coordinates()).filter(|(a, b)| a != b).count()
            })
            .collect()
    };
    assert!(moved(0.0).iter().all(|count| *count == 1));
    let half = moved(0.5).iter().sum::<usize>() as f64 / 500.0;
    assert!((1.8..2.2).contains(&half), "{half} on average instead of nearly 2");
    assert!(moved(0.999).iter().filter(|count| **count == 8).count() > 480);
}

#[test]
fn numbers_step_within_the_width_in_the_unit_cube() {
    for scale in [Scale::Linear, Scale::Log] {
        let domain = Domain::Float { lower: 1e-4, upper: 10.0, scale, step: None };
        let space = space(vec![Parameter::new("x", domain.clone())]);
        let mut rng = Rng::new(3);
        for width in [0.5, 0.05] {
            let start = domain.from_unit(0.5);
            let steps: Vec<f64> = (0..1000)
                .map(|_| neighbour(&space, &point(&[start]), width, 0.0, &mut rng).get(0).unwrap())
                .map(|x| domain.to_unit(x) - 0.5)
                .collect();
            assert!(steps.iter().all(|step| step.abs() <= width + 1e-9));
            let share = |test: &dyn Fn(f64) -> bool| steps.iter().filter(|step| test(**step)).count();
            assert!((400..600).contains(&share(&|step| step > 0.0)));
            assert!((400..600).contains(&share(&|step| step.abs() > 0.5 * width)));
        }
    }
}

#[test]
fn the_ends_reflect_so_that_a_walk_is_uniform() {
    let space = space(vec![Parameter::float("x", 0.0, 1.0)]);
    let mut rng = Rng::new(4);
    let mut current = point(&[0.0]);
    let mut cells = [0; 10];
    for _ in 0..20_000 {
        current = neighbour(&space, &current, 0.4, 0.0, &mut rng);
        let x = current.get(0).unwrap();
        assert!(x > 0.0 && x < 1.0, "steps must not gather at the ends");
        cells[(x * 10.0) as usize] += 1;
    }
    assert!(cells.iter().all(|count| (1_700..2_300).contains(count)), "{cells:?}");
}

#[test]
fn ranks_and_grid_values_move_by_at_least_one_level() {
    let grid = Domain::Float { lower: -1.0, upper: 1.0, scale: Scale::Linear, step: Some(0.1) };
    let log_grid = Domain::Int { lower: 1, upper: 4096, scale: Scale::Log, step: 3 };
    let parameters = [
        Parameter::int("int", -3, 7),
        Parameter::int("log int", 1, 1000).log(),
        Parameter::int("two", 0, 1),
        Parameter::ordinal("ordinal", ["small", "medium", "large"]),
        Parameter::new("grid", grid),
        Parameter::new("log grid", log_grid),
        Parameter::int("huge", -(1 << 45), 1 << 45),
    ];
    let mut rng = Rng::new(5);
    for parameter in parameters {
        let domain = parameter.domain.clone();
        let (name, count) = (parameter.name.clone(), domain.value_count().unwrap());
        let space = space(vec![parameter]);
        for index in [0, 1, count / 2, count - 2, count - 1] {
            let start = point(&[domain.nth(index)]);
            let near = [index.checked_sub(1), (index + 1 < count).then_some(index + 1)];
            let near: Vec<f64> = near.into_iter().flatten().map(|index| domain.nth(index)).collect();
            let mut seen = Vec::new();
            for _ in 0..40 {
                let found = neighbour(&space, &start, 1e-30, 0.0, &mut rng).get(0).unwrap();
                assert!(near.contains(&found), "{name}: from level {index} to {found}");
                if !seen.contains(&found) {
                    seen.push(found);
                }
            }
            assert_eq!(seen.len(), near.len(), "{name}: both directions from level {index}");
        }
        // and a wide step reaches everything
        let reached: std::collections::HashSet<u64> = (0..400)
            .map(|_| neighbour(&space, &point(&[domain.nth(0)]), 1.0, 0.0, &mut rng))
            .map(|next| next.get(0).unwrap().to_bits())
            .collect();
        assert!(reached.len() as u64 >= (count - 1).min(20), "{name}: {} levels", reached.len());
    }
}

#[test]
fn choices_change_to_any_other_with_equal_chance() {
    let space = space(vec![Parameter::categorical("c", ["a", "b", "c", "d"]), Parameter::bool("b")]);
    let mut rng = Rng::new(6);
    for chosen in 0..4 {
        let start = point(&[f64::from(chosen), 1.0]);
        let mut counts = [0; 4];
        for _ in 0..4000 {
            let next = neighbour(&space, &start, 0.01, 0.0, &mut rng);
            if next.get(1) == Some(0.0) {
                assert_eq!(next.get(0), start.get(0), "one parameter moves");
            } else {
                counts[next.get(0).unwrap() as usize] += 1;
            }
        }
        assert_eq!(counts[chosen as usize], 0);
        let others = counts.iter().filter(|count| (560..780).contains(*count)).count();
        assert_eq!(others, 3, "{counts:?} from {chosen}");
    }
}

#[test]
fn what_becomes_active_is_drawn_and_what_stays_is_kept() {
    let space = space(vec![
        Parameter::bool("switch"),
        Parameter::float("child", 0.0, 1.0).when(Condition::equals("switch", true)),
        Parameter::float("other", 0.0, 1.0).when(Condition::equals("switch", false)),
    ]);
    let mut rng = Rng::new(7);
    let mut cells = [0; 4];
    for _ in 0..2000 {
        let next = neighbour(&space, &point(&[0.0, f64::NAN, 0.25]), 0.01, 0.0, &mut rng);
        if next.get(0) == Some(1.0) {
            assert_eq!(next.get(2), None);
            cells[(next.get(1).unwrap() * 4.0) as usize] += 1;
        } else {
            assert_eq!(next.get(1), None);
            assert!((next.get(2).unwrap() - 0.25).abs() <= 0.01 + 1e-12);
        }
    }
    assert!(cells.iter().all(|count| (180..320).contains(count)), "{cells:?}");
}

#[test]
fn constraints_are_kept_and_steps_stay_short() {
    let parameters: Vec<Parameter> = (0..4).map(|i| Parameter::float(format!("x{i}"), 0.0, 1.0)).collect();
    let sum = Constraint::parse("x0 + x1 + x2 + x3 <= 1").unwrap();
    let space = Space::new(parameters, vec![sum]).unwrap();
    let encoding = Encoding::new(&space, CategoricalForm::Index);
    let mut rng = Rng::new(8);
    let mut current = point(&[0.25; 4]);
    for _ in 0..1000 {
        let next = neighbour(&space, &current, 0.1, 0.0, &mut rng);
        assert_eq!(space.check(&next), Ok(()));
        let (a, b) = (encoding.encode(&current), encoding.encode(&next));
        // the step, and at most as much again for the repair
        assert!(a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f64>() <= 0.2 + 1e-9);
        current = next;
    }
}

#[test]
fn the_only_other_point_is_found_however_far_it_is() {
    let gap = Constraint::Forbidden(vec![Condition::within("x", 1.0, 99.0)]);
    let space = Space::new(vec![Parameter::int("x", 0, 100)], vec![gap]).unwrap();
    let mut rng = Rng::new(9);
    for (from, to) in [(0.0, 100.0), (100.0, 0.0)] {
        assert_eq!(neighbour(&space, &point(&[from]), 0.01, 0.0, &mut rng), point(&[to]));
    }
}

#[test]
fn a_space_of_one_point_has_no_other() {
    let mut rng = Rng::new(10);
    let single = space(vec![Parameter::float("x", 2.0, 2.0), Parameter::int("n", 3, 3)]);
    assert_eq!(neighbour(&single, &point(&[2.0, 3.0]), 0.5, 0.5, &mut rng), point(&[2.0, 3.0]));
    let forbidden = Constraint::Forbidden(vec![Condition::equals("b", true)]);
    let single = Space::new(vec![Parameter::bool("b")], vec![forbidden]).unwrap();
    assert_eq!(neighbour(&single, &point(&[0.0]), 0.5, 0.5, &mut rng), point(&[0.0]));
}
