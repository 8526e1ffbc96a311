use super::*;
use crate::rng::Rng;
use rand::RngExt;
use std::collections::HashSet;

/// A random space with every kind of parameter, and conditions of any depth.
fn random_space(rng: &mut Rng) -> Space {
    let mut parameters: Vec<Parameter> = Vec::new();
    for index in 0..rng.random_range(1..9) {
        let name = format!("p{index}");
        let (low, width) = (rng.random_range(-20..20i64), rng.random_range(0..30i64));
        let parameter = match rng.random_range(0..9) {
            0 => Parameter::float(name, low as f64, (low + width) as f64),
            1 => Parameter::float(name, 1e-5, 10f64.powi(rng.random_range(-4..3))).log(),
            2 => Parameter::int(name, low, low + width),
            3 => Parameter::int(name, 1 + low.abs(), 1 + low.abs() + width).log(),
            4 => Parameter::new(
                name,
                Domain::Float {
                    lower: low as f64,
                    upper: (low + width) as f64,
                    scale: Scale::Linear,
                    step: Some(0.3),
                },
            ),
            5 => Parameter::new(
                name,
                Domain::Int {
                    lower: 1 + low.abs(),
                    upper: 1 + low.abs() + width,
                    scale: Scale::Log,
                    step: 4,
                },
            ),
            6 => Parameter::categorical(name, ["a", "b", "c"]),
            7 => Parameter::ordinal(name, [1, 2, 4, 8]),
            _ => Parameter::bool(name),
        };
        let parent = (!parameters.is_empty() && rng.random_bool(0.5))
            .then(|| &parameters[rng.random_range(0..parameters.len())]);
        let condition = parent.map(|parent| {
            let some = parent.domain.value(parent.domain.from_unit(rng.random()));
            if parent.domain.is_numeric() && rng.random_bool(0.5) {
                Condition::within(&parent.name, parent.domain.lower(), some.as_f64().unwrap())
            } else if rng.random_bool(0.5) {
                Condition::among(&parent.name, [some])
            } else {
                Condition::equals(&parent.name, some)
            }
        });
        parameters.push(match condition {
            Some(condition) => parameter.when(condition),
            None => parameter,
        });
    }
    // children before parents must work as well
    if rng.random_bool(0.5) {
        parameters.reverse();
    }
    Space::of(parameters).unwrap()
}

#[test]
fn a_decoded_row_is_in_the_space_and_encodes_to_the_same_point() {
    let mut rng = Rng::new(11);
    for _ in 0..400 {
        let space = random_space(&mut rng);
        for form in [CategoricalForm::Index, CategoricalForm::OneHot] {
            let encoding = Encoding::new(&space, form);
            for _ in 0..20 {
                let row: Vec<f64> =
                    (0..encoding.column_count()).map(|_| rng.random_range(-0.1..1.1)).collect();
                let point = encoding.decode(&row);
                assert_eq!(space.check(&point), Ok(()), "{space:?} {point:?}");
                let back = encoding.encode(&point);
                assert!(back.iter().all(|u| (0.0..=1.0).contains(u)), "{back:?}");
                let again = encoding.decode(&back);
                for (index, (a, b)) in point.coordinates().zip(again.coordinates()).enumerate() {
                    match (a, b) {
                        (Some(a), Some(b)) if space.parameters()[index].domain.value_count().is_none() => {
                            assert!((a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(1e-3), "{a} {b}")
                        }
                        _ => assert_eq!(a, b, "{:?}", space.parameters()[index]),
                    }
                }
                let activity = encoding.activity(&point);
                for (column, active) in encoding.columns().iter().zip(activity) {
                    assert_eq!(active, point.is_active(column.parameter_index));
                }
                assert_eq!(space.point_from_json(&space.point_to_json(&point)), Ok(point.clone()));
            }
        }
    }
}

#[test]
fn a_space_survives_json() {
    let mut rng = Rng::new(12);
    for _ in 0..100 {
        let space = random_space(&mut rng);
        let text = serde_json::to_string(&space).unwrap();
        assert_eq!(serde_json::from_str::<Space>(&text).unwrap(), space);
    }
}

#[test]
fn every_value_of_a_discrete_domain_has_a_cell_of_its_own() {
    let domains = [
        Domain::Int { lower: 1, upper: 300, scale: Scale::Log, step: 1 },
        Domain::Int { lower: 3, upper: 100, scale: Scale::Log, step: 7 },
        Domain::Int { lower: -5, upper: 900, scale: Scale::Linear, step: 3 },
        Domain::Float { lower: 0.1, upper: 0.7, scale: Scale::Linear, step: Some(0.1) },
        Domain::Float { lower: 0.001, upper: 0.1, scale: Scale::Log, step: Some(0.001) },
        Domain::Ordinal { values: vec![Value::Int(1), Value::Int(10)] },
    ];
    for domain in domains {
        let count = domain.value_count().unwrap();
        for index in 0..count {
            let coordinate = domain.nth(index);
            assert!(domain.contains(coordinate), "{domain:?} {coordinate}");
            assert_eq!(domain.from_unit(domain.to_unit(coordinate)), coordinate, "{domain:?}");
        }
        assert_eq!(domain.from_unit(0.0), domain.lower());
        assert_eq!(domain.from_unit(1.0), domain.upper());
    }
    let tenths = Domain::Float { lower: 0.0, upper: 1.0, scale: Scale::Linear, step: Some(0.1) };
    assert_eq!(tenths.value_count(), Some(11), "0.1 is no binary fraction, and 1.0 is on the grid");
}

#[test]
fn a_log_scale_gives_every_decade_the_same_room() {
    let domain = Domain::Float { lower: 1e-5, upper: 1e-1, scale: Scale::Log, step: None };
    let middle = domain.from_unit(0.5);
    assert!((middle / 1e-3 - 1.0).abs() < 1e-9, "{middle}");
    assert_eq!((domain.from_unit(0.0), domain.from_unit(1.0)), (1e-5, 1e-1));
}

#[test]
fn levels_and_places_agree_and_cells_fill_the_unit_interval() {
    let stepped = |lower, step, scale| Domain::Float { lower, upper: 8.0, scale, step: Some(step) };
    for domain in [
        Parameter::int("linear", 3, 9).domain,
        Parameter::int("log", 1, 16).log().domain,
        stepped(0.5, 0.5, Scale::Log),
        stepped(0.5, 2.5, Scale::Log),
        stepped(0.0, 0.125, Scale::Linear),
        Parameter::categorical("choice", ["a", "b", "c"]).domain,
    ] {
        let count = domain.value_count().unwrap();
        for level in 0..count {
            assert_eq!(domain.level(domain.nth(level)), level, "{domain:?}");
            assert_eq!(domain.from_unit(domain.level_to_unit(level)), domain.nth(level), "{domain:?}");
        }
        let total: f64 = (0..count).map(|level| domain.cell_width(domain.nth(level))).sum();
        assert!((total - 1.0).abs() < 1e-12, "{domain:?}: {total}");
    }
    let log = Parameter::int("log", 1, 16).log().domain;
    assert!(log.cell_width(1.0) > 0.3 && log.cell_width(16.0) < 0.02);
}

#[test]
fn conditions_reach_any_depth() {
    let space = Space::of(vec![
        Parameter::float("decay", 0.0, 1.0).when(Condition::within("layers", 2.0, 3.0)),
        Parameter::int("layers", 1, 4).when(Condition::equals("model", "net")),
        Parameter::categorical("model", ["net", "tree"]),
        Parameter::int("leaves", 2, 9).when(Condition::among("model", ["tree"])),
    ])
    .unwrap();
    let point = |model, layers| space.assemble(vec![0.5, layers, model, 4.0]);
    let names = |point: &Point| space.values(point).map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&point(0.0, 2.0)), ["decay", "layers", "model"]);
    assert_eq!(names(&point(0.0, 1.0)), ["layers", "model"]);
    assert_eq!(names(&point(1.0, 2.0)), ["model", "leaves"], "a grandchild sleeps with its parent");
    let wrong = Point::new([Some(0.5), None, Some(1.0), Some(4.0)]);
    assert!(space.check(&wrong).unwrap_err().contains("decay is inactive"));
}

#[test]
fn everything_wrong_with_a_space_is_said_at_once() {
    let errors = Space::new(
        vec![
            Parameter::float("a", 0.0, 1.0).log(),
            Parameter::int("b", 5, 4),
            Parameter::categorical::<&str>("c", []),
            Parameter::float("d", 0.0, 1.0).when(Condition::equals("e", 1)),
            Parameter::int("e", 0, 3).when(Condition::within("d", 0.0, 0.5)),
            Parameter::bool("f").when(Condition::equals("e", 9)),
            Parameter::bool("g").when(Condition::equals("bb", true)),
        ],
        vec![
            Constraint::parse("a + f <= 1").unwrap(),
            Constraint::parse("a + zebra <= 1").unwrap(),
            Constraint::Forbidden(vec![Condition::equals("c", "x")]),
        ],
    )
    .unwrap_err();
    let text: Vec<String> = errors.iter().map(SpaceError::to_string).collect();
    let text = text.join("\n");
    for expected in [
        "log scale needs a lower bound above 0",
        "5 is above 4",
        "at least one value",
        "d -> e -> d",
        "e never has the value 9",
        "\"bb\"",
        "f is bool: only numbers",
        "\"zebra\"",
    ] {
        assert!(text.contains(expected), "{expected} is missing in:\n{text}");
    }
}

#[test]
fn samples_and_repairs_are_feasible_and_cover_the_feasible_part() {
    let mut rng = Rng::new(13);
    let parameters = || {
        vec![
            Parameter::float("x1", 0.0, 1.0),
            Parameter::float("x2", 0.0, 1.0),
            Parameter::int("low", 0, 100),
            Parameter::int("high", 0, 100),
            Parameter::categorical("kind", ["a", "b"]),
            Parameter::bool("flag").when(Condition::equals("kind", "a")),
        ]
    };
    let constraint = |text| Constraint::parse(text).unwrap();
    let forbidden =
        Constraint::Forbidden(vec![Condition::equals("kind", "a"), Condition::equals("flag", true)]);
    // tight: rejection alone would need about 10^5 draws
    let space = Space::new(
        parameters(),
        vec![
            constraint("x1 + x2 <= 0.01"),
            constraint("low < high"),
            constraint("high - low <= 3"),
            forbidden,
        ],
    )
    .unwrap();
    let mut seen = [false; 2];
    for _ in 0..300 {
        let point = space.sample(&mut rng).expect("there are feasible points");
        assert_eq!(space.check(&point), Ok(()));
        seen[point.get(4).unwrap() as usize] = true;
        let free = Space::of(parameters()).unwrap().draw(&mut rng);
        let repaired = space.repair(&free, &mut rng).expect("can be repaired");
        assert_eq!(space.check(&repaired), Ok(()));
        assert_eq!(space.repair(&repaired, &mut rng), Some(repaired.clone()), "what is feasible stays");
    }
    assert_eq!(seen, [true; 2]);
    let impossible = Space::new(parameters(), vec![constraint("x1 + x2 >= 3")]).unwrap();
    assert_eq!(impossible.sample(&mut rng), None);
}

#[test]
fn what_a_wide_forbidden_range_leaves_is_found() {
    let mut rng = Rng::new(2);
    let million = || Domain::Int { lower: 0, upper: 1_000_000, scale: Scale::Linear, step: 1 };
    let stepped = || Domain::Float { lower: 0.0, upper: 1e6, scale: Scale::Linear, step: Some(0.5) };
    for (domain, forbidden, left) in [
        (million(), (1.0, 1e6), 0.0),
        (million(), (0.0, 999_999.0), 1e6),
        (million(), (0.25, 1e6), 0.0),
        (stepped(), (0.5, 1e6), 0.0),
    ] {
        let forbidden = Constraint::Forbidden(vec![Condition::within("n", forbidden.0, forbidden.1)]);
        let space = Space::new(vec![Parameter::new("n", domain)], vec![forbidden]).unwrap();
        for _ in 0..20 {
            assert_eq!(space.sample(&mut rng), Some(Point::new([Some(left)])));
        }
    }
}

#[test]
fn every_combination_is_a_point_and_unseen_ones_are_found_until_none_is_left() {
    let space = Space::new(
        vec![
            Parameter::int("layers", 1, 3),
            Parameter::categorical("kind", ["a", "b"]),
            Parameter::int("width", 0, 3).when(Condition::equals("kind", "b")),
        ],
        vec![Constraint::parse("layers + width <= 4").unwrap()],
    )
    .unwrap();
    assert_eq!(space.combination_count(), Some(24));
    let feasible: HashSet<Point> =
        (0..24).map(|index| space.combination(index)).filter(|point| space.is_feasible(point)).collect();
    // Three of kind a, and of kind b four, three and two widths.
    assert_eq!(feasible.len(), 3 + 4 + 3 + 2);
    let mut rng = Rng::new(3);
    let mut seen = HashSet::new();
    while let Some(point) = space.sample_unseen(|point| seen.contains(point), &mut rng) {
        assert!(feasible.contains(&point) && seen.insert(point));
    }
    assert_eq!(seen, feasible);
    let endless = Space::of(vec![Parameter::float("x", 0.0, 1.0)]).unwrap();
    assert_eq!(endless.combination_count(), None);
    assert!(endless.sample_unseen(|_| true, &mut rng).is_none());
}

#[test]
fn a_value_that_does_not_fit_is_answered_with_those_that_do() {
    let space = Space::of(vec![
        Parameter::float("rate", 1e-5, 0.1).log(),
        Parameter::int("layers", 1, 8),
        Parameter::categorical("optimiser", ["sgd", "adam"]),
        Parameter::categorical("many", (0..30).collect::<Vec<i64>>()),
        Parameter::bool("flag"),
    ])
    .unwrap();
    let refused = |name, value: Value| space.point_from_values([(name, value)]).unwrap_err();
    assert_eq!(refused("rate", 1.0.into()), "1 is not a value of rate; allowed: from 0.00001 to 0.1");
    assert_eq!(refused("layers", 9.into()), "9 is not a value of layers; allowed: from 1 to 8 in steps of 1");
    assert_eq!(refused("optimiser", "adm".into()), "adm is not a value of optimiser; allowed: sgd, adam");
    assert!(refused("many", 31.into()).ends_with("18, 19, ..."));
    assert_eq!(refused("flag", 1.into()), "1 is not a value of flag; allowed: true, false");
}

#[test]
fn decimals_stand_for_the_levels_that_they_differ_from_by_rounding() {
    for (lower, step, count) in
        [(0.0, 0.1, 11_u32), (0.0, 0.05, 19), (0.0, 0.01, 101), (-1.0, 0.1, 21), (1e-3, 1e-3, 100)]
    {
        let upper = lower + step * f64::from(count - 1);
        let domain = Domain::Float { lower, upper, scale: Scale::Linear, step: Some(step) };
        assert_eq!(domain.value_count(), Some(u64::from(count)));
        for index in 0..count {
            let level = domain.nth(u64::from(index));
            let decimal: f64 = format!("{level:.6}").parse().unwrap();
            assert_eq!(domain.coordinate(&Value::Float(decimal)), Some(level));
            assert_eq!(domain.coordinate(&Value::Float(level)), Some(level));
        }
        for wrong in [lower + 0.5 * step, lower - step, upper + step, lower + 1.0001 * step, f64::NAN] {
            assert_eq!(domain.coordinate(&Value::Float(wrong)), None, "{wrong}");
        }
    }
    // a condition knows them too: 0 + 3 × 0.1 is a little more than 0.3
    let mut dropout = Parameter::float("dropout", 0.0, 0.5);
    dropout.domain = Domain::Float { lower: 0.0, upper: 0.5, scale: Scale::Linear, step: Some(0.1) };
    let tests = [
        Condition::equals("dropout", 0.3),
        Condition::within("dropout", 0.3, 0.3),
        Condition::within("dropout", 0.1, 0.3),
    ];
    for condition in tests {
        let child = Parameter::float("momentum", 0.0, 1.0).when(condition.clone());
        let space = Space::of(vec![dropout.clone(), child]).unwrap();
        let third = dropout.domain.nth(3);
        assert_eq!(space.assemble(vec![third, 0.5]).get(1), Some(0.5), "{condition}");
        assert_eq!(space.assemble(vec![dropout.domain.nth(4), 0.5]).get(1), None, "{condition}");
        let point = space.point_from_values([("dropout", 0.3.into()), ("momentum", 0.5.into())]).unwrap();
        assert_eq!(space.check(&point), Ok(()));
    }
}

#[test]
fn the_widest_range_has_a_middle() {
    let domain = Domain::Float { lower: -1e308, upper: 1e308, scale: Scale::Linear, step: None };
    for unit in [0.0, 0.25, 0.5, 1.0] {
        assert_eq!(domain.to_unit(domain.from_unit(unit)), unit);
    }
}

#[test]
fn a_name_with_two_values_is_refused() {
    let space = Space::of(vec![Parameter::float("x", 0.0, 1.0)]).unwrap();
    let twice = space.point_from_values([("x", 0.5.into()), ("x", 0.25.into())]);
    assert_eq!(twice.unwrap_err(), "x has two values");
}

#[test]
fn what_a_point_leaves_out_is_filled_and_what_it_has_stays() {
    let space = Space::new(
        vec![
            Parameter::categorical("model", ["net", "tree"]),
            Parameter::int("layers", 1, 4).when(Condition::equals("model", "net")),
            Parameter::float("a", 0.0, 1.0),
            Parameter::float("b", 0.0, 1.0),
        ],
        vec![Constraint::parse("a + b <= 0.5").unwrap()],
    )
    .unwrap();
    let mut rng = Rng::new(5);
    for _ in 0..50 {
        let whole = space.sample(&mut rng).unwrap();
        let some: Vec<Option<f64>> = whole.coordinates().map(|c| c.filter(|_| rng.random())).collect();
        let filled = space.filled(&Point::new(some.clone()), &mut rng).unwrap();
        assert_eq!(space.check(&filled), Ok(()));
        for (given, found) in some.iter().zip(filled.coordinates()) {
            assert!(given.is_none() || *given == found);
        }
        assert_eq!(space.filled(&whole, &mut rng), Ok(whole));
    }
    // a child wakes its parent, or says that it cannot
    let child = Point::new([None, Some(3.0), None, None]);
    assert_eq!(space.filled(&child, &mut rng).unwrap().get(0), Some(0.0));
    let contradiction = Point::new([Some(1.0), Some(3.0), None, None]);
    assert!(space.filled(&contradiction, &mut rng).unwrap_err().contains("layers would be inactive"));
    let too_much = Point::new([None, None, Some(0.75), None]);
    assert!(space.filled(&too_much, &mut rng).unwrap_err().contains("a + b"));
    let whole = Point::new([Some(1.0), None, Some(0.5), Some(0.5)]);
    assert_eq!(space.filled(&whole, &mut rng).unwrap_err(), space.check(&whole).unwrap_err());
}
