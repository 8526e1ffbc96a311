//! The table of functions, value by value: stated optima, independent reference values, fronts and names.

use super::{Constrained, FUNCTIONS, Function, Kind, Multi, Single, find};
use crate::pipeline::{self, Model, Pipeline};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One record of the reference table: function, point, metric values.
type Reference = (&'static str, &'static [f64], &'static [f64]);

/// Computed with mpmath 1.3 at 40 digits from the sources' formulas, written down separately from this crate.
#[rustfmt::skip]
const REFERENCES: &[Reference] = &[
    ("branin", &[0.0, 0.0], &[55.602112642270264]),
    ("branin", &[-5.0, 0.0], &[308.12909601160663]),
    ("branin", &[2.5, 7.5], &[24.12996441362226]),
    ("branin", &[-1.25, 13.75], &[43.92704456406906]),
    ("branin_disk", &[0.0, 0.0], &[55.602112642270264, 42.5]),
    ("branin_disk", &[2.5, 7.5], &[24.12996441362226, -20.0]),
    ("branin_disk", &[-1.25, 13.75], &[43.92704456406906, 33.125]),
    ("gardner", &[0.0, 0.0], &[0.0, 0.95]),
    ("gardner", &[2.5, 0.75], &[1.3484721441039565, 1.3579418102155271]),
    ("gardner", &[4.5, 1.25], &[0.27246988233490294, 0.022338953378966467]),
    ("hartmann3", &[0.0, 0.0, 0.0], &[-0.06797411659013468]),
    ("hartmann3", &[0.5, 0.5, 0.5], &[-0.6280220150705942]),
    ("hartmann3", &[0.125, 0.75, 0.25], &[-0.17410785023182473]),
    ("hartmann6", &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0], &[-0.00508911288366444]),
    ("hartmann6", &[0.5, 0.5, 0.5, 0.5, 0.5, 0.5], &[-0.5053149917022332]),
    ("hartmann6", &[0.125, 0.25, 0.375, 0.5, 0.625, 0.75], &[-0.4784007916743017]),
    ("ackley", &[1.0, 1.0], &[3.6253849384403627]),
    ("ackley", &[-32.768, 16.384], &[21.877178588153104]),
    ("ackley", &[0.5, -1.5, 2.25], &[7.64615200795026]),
    ("ackley", &[0.25, 0.25, 0.25, 0.25, 0.25], &[2.693693338444765]),
    ("levy", &[0.0, 0.0], &[0.7158445541169745]),
    ("levy", &[-10.0, 10.0], &[90.38280895184609]),
    ("levy", &[0.5, -1.5, 2.25], &[3.4187891699545454]),
    ("levy", &[3.0, 3.0, 3.0, 3.0, 3.0], &[5.1692658172642885]),
    ("rosenbrock", &[0.0, 0.0], &[1.0]),
    ("rosenbrock", &[-5.0, 10.0], &[22536.0]),
    ("rosenbrock", &[0.5, -1.5, 2.25], &[312.75]),
    ("rosenbrock", &[2.0, 2.0, 2.0, 2.0, 2.0], &[1604.0]),
    ("rastrigin", &[1.0, 1.0], &[2.0]),
    ("rastrigin", &[-5.12, 5.12], &[57.84942745157177]),
    ("rastrigin", &[0.5, -1.5, 2.25], &[57.5625]),
    ("rastrigin", &[0.125, 0.125, 0.125, 0.125, 0.125], &[14.722785940672624]),
    ("styblinski_tang", &[0.0, 0.0], &[0.0]),
    ("styblinski_tang", &[-5.0, 5.0], &[225.0]),
    ("styblinski_tang", &[0.5, -1.5, 2.25], &[-41.998046875]),
    ("styblinski_tang", &[1.0, 1.0, 1.0, 1.0, 1.0], &[-25.0]),
    ("griewank", &[1.0, 1.0], &[0.5897380911762422]),
    ("griewank", &[-600.0, 300.0], &[113.57438854526536]),
    ("griewank", &[0.5, -1.5, 2.25], &[0.8868648787110903]),
    ("griewank", &[10.0, 10.0, 10.0, 10.0, 10.0], &[1.0901300935463583]),
    ("michalewicz", &[1.0, 1.0], &[-2.55738728318139e-05]),
    ("michalewicz", &[2.0, 1.5], &[-1.1932462893425093]),
    ("michalewicz", &[0.5, 1.5, 2.25], &[-1.4934205761813277]),
    ("michalewicz", &[1.75, 1.75, 1.75, 1.75, 1.75], &[-1.005564720101796]),
    ("ellipsoid", &[1.0, 1.0], &[1000001.0]),
    ("ellipsoid", &[-5.0, 2.5], &[6250025.0]),
    ("ellipsoid", &[0.5, -1.5, 2.25], &[5064750.25]),
    ("ellipsoid", &[0.125, -0.25, 0.375, 4.0, -3.25], &[11068607.042675478]),
    ("step_ellipsoid", &[1.0, 1.0], &[90.1]),
    ("step_ellipsoid", &[-5.0, 2.5], &[642.5]),
    ("step_ellipsoid", &[0.5, -1.5, 2.25], &[499.025]),
    ("step_ellipsoid", &[0.125, -0.25, 0.375, 4.0, -3.25], &[1257.1739509725803]),
    ("step_ellipsoid", &[0.03125, 0.0], &[3.125e-07]),
    ("schwefel", &[0.0], &[418.9828872724337]),
    ("schwefel", &[100.0, -200.0], &[1092.3654168582284]),
    ("schwefel", &[-500.0, 420.0, 12.5], &[662.2928700868824]),
    ("schwefel", &[1.0, 2.0, 3.0, 4.0, 5.0], &[2081.565418185365]),
    ("zdt1", &[0.0, 0.0], &[0.0, 1.0]),
    ("zdt1", &[0.25, 0.5], &[0.25, 4.327396060044142]),
    ("zdt1", &[0.5, 0.25, 0.75], &[0.5, 3.8416876048223]),
    ("zdt1", &[0.875, 0.0, 1.0, 0.125, 0.5], &[0.875, 2.637780592255607]),
    ("zdt2", &[0.0, 0.0], &[0.0, 1.0]),
    ("zdt2", &[0.25, 0.5], &[0.25, 5.488636363636363]),
    ("zdt2", &[0.5, 0.25, 0.75], &[0.5, 5.454545454545454]),
    ("zdt2", &[0.875, 0.0, 1.0, 0.125, 0.5], &[0.875, 4.4918204697986575]),
    ("zdt3", &[0.0, 0.0], &[0.0, 1.0]),
    ("zdt3", &[0.25, 0.5], &[0.25, 4.077396060044142]),
    ("zdt3", &[0.5, 0.25, 0.75], &[0.5, 3.8416876048223]),
    ("zdt3", &[0.875, 0.0, 1.0, 0.125, 0.5], &[0.875, 2.0190621587173783]),
    ("dtlz2", &[0.25, 0.75], &[0.9816220032932422, 0.4066011468879079]),
    ("dtlz2", &[0.5, 0.125, 1.0, 0.25], &[1.027514541411702, 1.027514541411702]),
    ("dtlz2", &[0.25, 0.75, 0.5], &[0.3535533905932738, 0.8535533905932737, 0.3826834323650898]),
    ("dtlz2", &[0.5, 0.125, 1.0, 0.25, 0.75], &[0.9535898936589764, 0.18968082325702332, 0.9722718241315028]),
    ("dtlz2", &[0.25, 0.75, 0.125, 0.0, 0.5], &[0.4334499516631711, 0.08621855602591968, 1.0669417382415922, 0.4783542904563622]),
];

fn single(name: &str) -> Single {
    match find(name).unwrap().kind {
        Kind::Single(single) => single,
        other => panic!("{name} has one metric, not {other:?}"),
    }
}

fn multi(name: &str) -> Multi {
    match find(name).unwrap().kind {
        Kind::Multi(multi) => multi,
        other => panic!("{name} has several metrics, not {other:?}"),
    }
}

fn singles() -> impl Iterator<Item = (&'static Function, Single, usize)> {
    FUNCTIONS.iter().flat_map(|function| match function.kind {
        Kind::Single(single) => (1..=20)
            .filter(|&d| single.dimension.allows(d))
            .map(|d| (function, single, d))
            .collect::<Vec<_>>(),
        _ => Vec::new(),
    })
}

fn multis() -> impl Iterator<Item = (&'static Function, Multi)> {
    FUNCTIONS.iter().filter_map(|function| match function.kind {
        Kind::Multi(multi) => Some((function, multi)),
        _ => None,
    })
}

#[test]
fn values_agree_with_an_independent_table() {
    for &(name, x, expected) in REFERENCES {
        let found = match find(name).unwrap().kind {
            Kind::Single(single) => vec![single.value(x).unwrap()],
            Kind::Multi(multi) => multi.values(x, expected.len()).unwrap(),
            Kind::Constrained(function) => {
                [vec![function.value(x).unwrap()], function.constraints(x).unwrap()].concat()
            }
            Kind::Mixed { .. } | Kind::Unconditional { .. } => panic!("{name} is tested by its own table"),
        };
        assert_eq!(found.len(), expected.len(), "{name} at {x:?}");
        for (&found, &expected) in found.iter().zip(expected) {
            let tolerance = 1e-12 * expected.abs().max(1e-3);
            assert!((found - expected).abs() <= tolerance, "{name} at {x:?}: {found}, expected {expected}");
        }
    }
    for function in FUNCTIONS {
        let name = function.name.trim_start_matches("noisy_");
        let covered = REFERENCES.iter().filter(|reference| reference.0 == name).count();
        assert!(
            covered >= 3 || matches!(function.kind, Kind::Mixed { .. } | Kind::Unconditional { .. }),
            "{name}: {covered} references"
        );
    }
}

#[test]
fn published_optima_hold() {
    // As printed by the sources, to the digits they print.
    let published: [(&str, usize, f64, f64); 9] = [
        ("branin", 2, 0.397_887, 1e-6),
        ("hartmann3", 3, -3.862_78, 1e-5),
        ("hartmann6", 6, -3.322_37, 1e-5),
        ("michalewicz", 2, -1.801_3, 1e-4),
        ("michalewicz", 5, -4.687_658, 1e-6),
        ("michalewicz", 10, -9.660_15, 1e-5),
        ("styblinski_tang", 1, -39.165_99, 1e-3),
        ("ackley", 7, 0.0, 0.0),
        ("rosenbrock", 7, 0.0, 0.0),
    ];
    for (name, d, value, tolerance) in published {
        let optimum = single(name).optimum(d).unwrap();
        assert!((optimum - value).abs() <= tolerance, "{name}: {optimum}, published {value}");
    }
}

#[test]
fn every_optimiser_reaches_the_optimum_inside_the_bounds() {
    for (function, single, d) in singles() {
        let optimisers = single.optimisers(d);
        assert!(!optimisers.is_empty(), "{} with {d} parameters", function.name);
        for optimiser in optimisers {
            assert_eq!(optimiser.len(), d);
            for (i, &v) in optimiser.iter().enumerate() {
                let (lower, upper) = single.bounds.of(i).unwrap();
                assert!((lower..=upper).contains(&v), "{}: x{} = {v}", function.name, i + 1);
            }
            let (value, optimum) = (single.value(&optimiser).unwrap(), single.optimum(d).unwrap());
            let slack = 1e-12 * (1.0 + optimum.abs() + d as f64);
            assert!((value - optimum).abs() < slack, "{}: {value}", function.name);
        }
    }
}

#[test]
fn optimisers_are_minima_and_nothing_found_at_random_is_better() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (function, single, d) in singles() {
        let optimum = single.optimum(d).unwrap();
        let slack = 1e-12 * (1.0 + optimum.abs() + d as f64);
        for optimiser in single.optimisers(d) {
            for scale in [1e-5, 1e-3, 0.1] {
                for _ in 0..50 {
                    let mut x = optimiser.clone();
                    for (i, v) in x.iter_mut().enumerate() {
                        let (lower, upper) = single.bounds.of(i).unwrap();
                        *v = (*v + scale * (upper - lower) * rng.random_range(-1.0..1.0)).clamp(lower, upper);
                    }
                    let value = single.value(&x).unwrap();
                    assert!(value > optimum - slack, "{} is {value} at {x:?}", function.name);
                    assert!(scale < 1e-3 || value > optimum + slack, "{} is flat at {x:?}", function.name);
                }
            }
        }
        for _ in 0..2_000 {
            let x: Vec<f64> = (0..d)
                .map(|i| single.bounds.of(i).unwrap())
                .map(|(lower, upper)| rng.random_range(lower..=upper))
                .collect();
            assert!(single.value(&x).unwrap() >= optimum - slack, "{} beaten at {x:?}", function.name);
        }
    }
}

#[test]
fn constrained_optima_are_allowed_and_nothing_allowed_is_better() {
    let constrained = FUNCTIONS.iter().filter_map(|function| match function.kind {
        Kind::Constrained(constrained) => Some((function.name, constrained)),
        _ => None,
    });
    for (name, function) in constrained {
        let Constrained { bounds, optimum, optimiser, .. } = function;
        let allowed = |x: &[f64], slack: f64| {
            let constraints = function.constraints(x).unwrap();
            assert_eq!(constraints.len(), function.constraint_count);
            constraints.iter().all(|constraint| *constraint <= slack)
        };
        assert!((function.value(optimiser).unwrap() - optimum).abs() < 1e-12, "{name}");
        assert!(allowed(optimiser, 1e-12) && !allowed(optimiser, -1e-9), "{name}: it is on the edge");
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut allowed_count = 0;
        for index in 0..200_000 {
            // Everywhere, and around the optimiser.
            let x: Vec<f64> = (bounds.iter().zip(optimiser))
                .map(|(&(lower, upper), &best)| {
                    let drawn = rng.random_range(lower..=upper);
                    if index % 2 == 0 { drawn } else { (best + 0.01 * (drawn - best)).clamp(lower, upper) }
                })
                .collect();
            if allowed(&x, 0.0) {
                allowed_count += 1;
                assert!(function.value(&x).unwrap() >= optimum - 1e-12, "{name} at {x:?}");
            }
        }
        assert!(allowed_count > 1000 && allowed_count < 199_000, "{name}: {allowed_count} are allowed");
        assert_eq!((function.value(&[0.0]), function.constraints(&[0.0; 3])), (None, None));
    }
}

#[test]
fn a_dimension_that_does_not_fit_has_no_value() {
    assert_eq!(single("branin").value(&[0.0; 3]), None);
    assert_eq!(single("rosenbrock").value(&[0.0]), None);
    assert_eq!(single("michalewicz").optimum(11), None);
    assert!(single("hartmann6").optimisers(5).is_empty());
    assert_eq!(multi("zdt1").values(&[0.0; 3], 3), None);
    assert_eq!(multi("dtlz2").values(&[0.0; 3], 4), None, "more metrics than parameters");
    assert_eq!(multi("dtlz2").values(&[0.0; 3], 1), None);
    assert_eq!(multi("zdt1").values(&[], 2), None);
}

#[test]
fn fronts_are_reached_and_never_passed() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (function, multi) in multis() {
        for d in [2, 3, 7] {
            let metric_count = multi.metric_count.nearest(3).min(d);
            for _ in 0..2_000 {
                let mut x: Vec<f64> = (0..d)
                    .map(|i| multi.bounds.of(i).unwrap())
                    .map(|(lower, upper)| rng.random_range(lower..=upper))
                    .collect();
                let anywhere = multi.values(&x, metric_count).unwrap();
                assert!(multi.front_residual(&anywhere) > -1e-12, "{} at {x:?}", function.name);
                x[metric_count - 1..].fill(multi.distance_parameter);
                let front = multi.values(&x, metric_count).unwrap();
                assert!(multi.front_residual(&front).abs() < 1e-12, "{} at {x:?}", function.name);
                assert!(front.iter().all(|&value| value < multi.reference));
            }
        }
    }
}

/// Hypervolume of two metrics by a sweep over the points in order of the first.
fn hypervolume_of_two(mut points: Vec<[f64; 2]>, reference: f64) -> f64 {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let (mut volume, mut height) = (0.0, reference);
    for [f1, f2] in points {
        if f2 < height {
            volume += (reference - f1) * (height - f2);
            height = f2;
        }
    }
    volume
}

#[test]
fn the_stated_hypervolume_is_the_limit_of_dense_fronts() {
    for (function, multi) in multis() {
        let volume_with = |count: usize| {
            let points = (0..=count).map(|i| {
                let f = multi.values(&[i as f64 / count as f64, multi.distance_parameter], 2).unwrap();
                [f[0], f[1]]
            });
            hypervolume_of_two(points.collect(), multi.reference)
        };
        let stated = multi.hypervolume(2).unwrap();
        let (coarse, fine) = (volume_with(100), volume_with(20_000));
        assert!(coarse < fine && fine < stated, "{}: {coarse} {fine} {stated}", function.name);
        assert!(stated - fine < 1e-3, "{}: {fine} of {stated}", function.name);
    }
    // Three metrics: 1.1 cubed less an eighth of the unit ball.
    let expected = 1.331 - std::f64::consts::PI / 6.0;
    assert!((multi("dtlz2").hypervolume(3).unwrap() - expected).abs() < 1e-12);
    assert_eq!(multi("zdt1").hypervolume(3), None);
}

#[test]
fn the_mixed_function_agrees_with_values_worked_out_by_hand() {
    let network = |layer_count, batch_size_index, learning_rate, dropout| Model::Network {
        layer_count,
        batch_size_index,
        learning_rate,
        dropout,
    };
    let cases = [
        (true, Model::Linear { penalty: 0.01 }, 0.35),
        (false, Model::Linear { penalty: 1e-6 }, 0.35 + 0.1 + 0.02 * 16.0),
        (true, Model::Forest { tree_count: 300, tree_depth: 12 }, 0.2),
        (false, Model::Forest { tree_count: 30, tree_depth: 32 }, 0.2 + 0.01 + 0.1 + 0.0005 * 400.0),
        (true, network(3, 2, 10f64.powf(-2.5), None), 0.09),
        // Two doublings more move the best learning rate half a decade up.
        (true, network(3, 4, 1e-2, Some(0.3)), 0.05 + 0.04),
        // Half a decade off: 0.05 / 4 and the full ripple 0.04.
        (false, network(1, 2, 1e-2, Some(0.0)), 0.05 + 0.1 + 0.04 + 0.0125 + 0.04 + 0.027),
    ];
    for (standardise, model, expected) in cases {
        let found = pipeline::value(&Pipeline { standardise, model });
        assert!((found - expected).abs() < 1e-12, "{model:?}: {found}, expected {expected}");
    }
}

#[test]
fn the_mixed_function_has_one_optimiser() {
    let Kind::Mixed { optimum, optimiser } = find("pipeline").unwrap().kind else {
        panic!("pipeline is the mixed function")
    };
    assert!((pipeline::value(&optimiser) - optimum).abs() < 1e-15);

    let shares: Vec<f64> = (0..=24).map(|i| f64::from(i) / 24.0).collect();
    let mut points = Vec::new();
    for standardise in [false, true] {
        for &share in &shares {
            let penalty = 1e-6 * 1e8_f64.powf(share);
            points.push(Pipeline { standardise, model: Model::Linear { penalty } });
        }
        for tree_count in (10..=1000).step_by(10) {
            for tree_depth in 1..=32 {
                points.push(Pipeline { standardise, model: Model::Forest { tree_count, tree_depth } });
            }
        }
        for layer_count in 1..=6 {
            for batch_size_index in 0..5 {
                for &share in &shares {
                    let learning_rate = 1e-5 * 1e5_f64.powf(share);
                    for dropout in [None].into_iter().chain(shares.iter().map(|&share| Some(0.9 * share))) {
                        let model = Model::Network { layer_count, batch_size_index, learning_rate, dropout };
                        points.push(Pipeline { standardise, model });
                    }
                }
            }
        }
    }
    let mut close = 0;
    for point in &points {
        let value = pipeline::value(point);
        assert!(value >= optimum - 1e-15, "{point:?} has {value}");
        if value < optimum + 1e-6 {
            close += 1;
            let Model::Network { layer_count: 3, batch_size_index: 2, dropout: Some(_), .. } = point.model
            else {
                panic!("{point:?} is as good as the optimiser")
            };
            assert!(point.standardise);
        }
    }
    assert_eq!(close, 1, "the grid has the optimiser once");
}

#[test]
fn names_are_sorted_and_sources_are_given() {
    assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(FUNCTIONS.iter().all(|function| !function.source.is_empty() && function.noise >= 0.0));
    assert!(find("Branin").is_none());
}
