use super::{Options, Synthetic};
use crate::functions::{FUNCTIONS, Kind, find};
use crate::mixed;
use crate::pipeline;
use ansatz_core::objective::{Assignment, Reporter, Verdict};
use ansatz_core::rng::Rng;
use ansatz_core::space::{Condition, Parameter};
use ansatz_core::{
    Context, EvaluationError, Goal, Measurement, Metric, Objective, Point, Problem, Space, Surroundings,
    TrialId, Value,
};
use std::time::Duration;

/// Takes no reports; says stop if told so.
struct Silent {
    stopped: bool,
}

impl Reporter for Silent {
    fn report(&mut self, _: u64, _: &Measurement) -> Verdict {
        Verdict::Continue
    }
    fn is_stopped(&self) -> bool {
        self.stopped
    }
}

fn problem(parameters: Vec<Parameter>, metrics: &[&str]) -> Problem {
    let metric = |name: &&str| Metric { name: (*name).to_owned(), goal: Goal::Minimise };
    Problem::new(Space::of(parameters).unwrap(), metrics.iter().map(metric).collect())
}

fn floats(prefix: &str, count: usize, lower: f64, upper: f64) -> Vec<Parameter> {
    (1..=count).map(|i| Parameter::float(format!("{prefix}{i}"), lower, upper)).collect()
}

fn options(function: &str) -> Options {
    Options {
        function: function.into(),
        noise: None,
        delay_ms: 0,
        delay_spread: 0.0,
        instance: None,
        rotate: false,
    }
}

fn create(problem: &Problem, options: Options) -> Result<Synthetic, String> {
    Synthetic::new(problem, options, &Surroundings::default()).map_err(|error| error.to_string())
}

fn evaluate(
    objective: &Synthetic,
    problem: &Problem,
    point: &Point,
    seed: u64,
) -> Result<Measurement, EvaluationError> {
    let assignment = Assignment {
        trial: TrialId(0),
        attempt: 1,
        seed,
        fidelity: None,
        time_limit: None,
        output_folder: None,
        continued: None,
    };
    let mut reporter = Silent { stopped: false };
    objective.evaluate(point, &mut Context::new(assignment, &problem.space, &mut reporter))
}

/// Checks that creation is refused with a message that contains every one of `parts`.
fn check_refused(problem: &Problem, options: Options, parts: &[&str]) {
    let message = create(problem, options).expect_err("should be refused");
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

#[test]
fn every_function_reaches_its_optimum_as_an_objective() {
    for function in FUNCTIONS {
        let d = 6;
        let (problem, points, optimum) = match function.kind {
            Kind::Single(single) => {
                let d = (1..=d).rev().find(|&d| single.dimension.allows(d)).unwrap();
                let parameters = (0..d).map(|i| {
                    let (lower, upper) = single.bounds.of(i).unwrap();
                    Parameter::float(format!("p{i}"), lower, upper)
                });
                let points: Vec<Point> =
                    single.optimisers(d).iter().map(|optimiser| Point::from_flat(optimiser)).collect();
                (problem(parameters.collect(), &["value"]), points, single.optimum(d).unwrap())
            }
            Kind::Multi(_) => continue,
            Kind::Constrained(function) => {
                let parameters = (function.bounds.iter().enumerate())
                    .map(|(i, &(lower, upper))| Parameter::float(format!("p{i}"), lower, upper));
                let metrics = ["value", "c1"];
                let points = vec![Point::from_flat(function.optimiser)];
                (problem(parameters.collect(), &metrics), points, function.optimum)
            }
            Kind::Mixed { optimum, .. } => {
                let problem = problem(pipeline::parameters(), &["value"]);
                let point = problem.space.point_from_values([
                    ("model", "network".into()),
                    ("standardise", true.into()),
                    ("layer_count", Value::Int(3)),
                    ("batch_size", Value::Int(64)),
                    ("learning_rate", 10f64.powf(-2.5).into()),
                    ("regularise", true.into()),
                    ("dropout", 0.3.into()),
                ]);
                (problem, vec![point.unwrap()], optimum)
            }
            Kind::Unconditional { optimum, .. } => {
                let problem = problem(mixed::parameters(), &["value"]);
                let point = problem.space.point_from_values([
                    ("x1", 1.25.into()),
                    ("x2", Value::Float(-2.5)),
                    ("count", Value::Int(37)),
                    ("level", Value::Int(4)),
                    ("shape", "wavy".into()),
                    ("side", "left".into()),
                ]);
                (problem, vec![point.unwrap()], optimum)
            }
        };
        let objective = create(&problem, Options { noise: Some(0.0), ..options(function.name) }).unwrap();
        for point in points {
            assert_eq!(problem.space.check(&point), Ok(()), "{}", function.name);
            let measurement = evaluate(&objective, &problem, &point, 1).unwrap();
            assert!((measurement.value("value").unwrap() - optimum).abs() < 1e-10, "{}", function.name);
            assert!(measurement.value("regret").unwrap().abs() < 1e-10, "{}", function.name);
            assert_eq!(problem.check_measurement(&measurement), Ok(()));
        }
    }
}

#[test]
fn arguments_go_by_name_where_names_say_so_and_by_order_elsewhere() {
    let branin = [Parameter::float("x2", 0.0, 15.0), Parameter::float("x1", -5.0, 10.0)];
    let named = problem(branin.to_vec(), &["value"]);
    let point = Point::from_flat(&[2.275, std::f64::consts::PI]);
    let measurement = evaluate(&create(&named, options("branin")).unwrap(), &named, &point, 1).unwrap();
    assert!(measurement.value("regret").unwrap() < 1e-12);

    let ordered =
        problem(vec![Parameter::float("left", -5.0, 10.0), Parameter::int("right", 0, 15)], &["value"]);
    let point = Point::from_flat(&[0.0, 0.0]);
    let measurement = evaluate(&create(&ordered, options("branin")).unwrap(), &ordered, &point, 1).unwrap();
    assert!((measurement.value("value").unwrap() - 55.602_112_642_270_26).abs() < 1e-10);
}

#[test]
fn spaces_that_do_not_fit_are_refused_with_the_bounds() {
    let fitting = problem(floats("x", 2, 0.0, 10.0), &["value"]);
    check_refused(&fitting, options("brainn"), &["brainn", "did you mean \"branin\"", "zdt3"]);
    check_refused(&fitting, options("hartmann6"), &["hartmann6 takes exactly 6 parameters, the space has 2"]);
    check_refused(
        &problem(floats("x", 2, -6.0, 10.0), &["value"]),
        options("branin"),
        &["argument 1 from -5 to 10", "x1 goes from -6 to 10", "narrow"],
    );
    check_refused(
        &problem(vec![Parameter::float("a", 0.0, 1.0), Parameter::bool("b")], &["value"]),
        options("ackley"),
        &["parameter b is bool"],
    );
    let mut conditional = floats("x", 2, 0.0, 1.0);
    conditional[1].conditions.push(Condition::within("x1", 0.0, 0.5));
    check_refused(&problem(conditional, &["value"]), options("levy"), &["x2 is not always active"]);
    check_refused(&problem(floats("x", 11, 0.0, 1.0), &["value"]), options("michalewicz"), &["1 to 10"]);
}

#[test]
fn metrics_that_are_never_measured_and_fidelities_are_refused() {
    let parameters = || floats("x", 3, 0.0, 1.0);
    check_refused(
        &problem(parameters(), &["vaule"]),
        options("ackley"),
        &["did you mean \"value\"", "regret"],
    );
    check_refused(&problem(parameters(), &["f1", "f3"]), options("zdt1"), &["no metric \"f3\"", "f1, f2"]);
    check_refused(
        &problem(parameters(), &["f1", "f4"]),
        options("dtlz2"),
        &["dtlz2 takes 4 or more parameters"],
    );
    for noise in [-1.0, f64::NAN, f64::INFINITY] {
        let options = Options { noise: Some(noise), ..options("ackley") };
        check_refused(&problem(parameters(), &["value"]), options, &["noise"]);
    }
    let mut cut_short = problem(parameters(), &["value"]);
    cut_short.fidelity = Some(ansatz_core::FidelityRange { name: "epochs".into(), lower: 1.0, upper: 9.0 });
    check_refused(&cut_short, options("ackley"), &["no fidelity"]);
}

#[test]
fn several_metrics_are_as_many_as_the_study_wants() {
    for (metrics, expected) in [(vec!["f1", "f2"], 2), (vec!["f1", "f2", "f3"], 3), (vec!["f4"], 4)] {
        let problem = problem(floats("x", 5, 0.0, 1.0), &metrics);
        let objective = create(&problem, options("dtlz2")).unwrap();
        let measurement =
            evaluate(&objective, &problem, &Point::from_flat(&[0.2, 0.3, 0.5, 0.5, 0.5]), 1).unwrap();
        assert_eq!(measurement.readings().len(), expected);
        assert_eq!(problem.check_measurement(&measurement), Ok(()));
    }
    let problem = problem(floats("x", 2, 0.0, 1.0), &["f1", "f2"]);
    let objective = create(&problem, options("zdt2")).unwrap();
    let measurement = evaluate(&objective, &problem, &Point::from_flat(&[0.25, 0.5]), 1).unwrap();
    assert_eq!(measurement.value("f1"), Some(0.25));
    assert!((measurement.value("f2").unwrap() - 5.488_636_363_636_363).abs() < 1e-12);
}

#[test]
fn noise_depends_on_the_seed_alone_and_has_the_stated_deviation() {
    let problem = problem(floats("x", 6, 0.0, 1.0), &["value"]);
    let objective = create(&problem, options("noisy_hartmann6")).unwrap();
    let point = Point::from_flat(&[0.5; 6]);
    let exact = -0.505_314_991_702_233_2;
    let values: Vec<f64> = (0..4000)
        .map(|seed| {
            let measurement = evaluate(&objective, &problem, &point, seed).unwrap();
            assert_eq!(measurement, evaluate(&objective, &problem, &point, seed).unwrap());
            assert_eq!(measurement.get("value").unwrap().standard_error, Some(0.1));
            // The regret is that of the value without noise.
            let optimum = -3.322_368_011_415_515;
            assert!((measurement.value("regret").unwrap() - (exact - optimum)).abs() < 1e-12);
            assert_eq!(measurement.get("regret").unwrap().standard_error, None);
            measurement.value("value").unwrap()
        })
        .collect();
    let mean = values.iter().sum::<f64>() / 4000.0;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 3999.0;
    // Five standard errors of the mean and of the variance of a normal sample.
    assert!((mean - exact).abs() < 5.0 * 0.1 / 4000f64.sqrt(), "{mean}");
    assert!((variance - 0.01).abs() < 5.0 * 0.01 * (2.0 / 3999f64).sqrt(), "{variance}");
    let beyond_two = values.iter().filter(|&value| (value - exact).abs() > 0.2).count();
    assert!((120..=245).contains(&beyond_two), "{beyond_two} of 4000 beyond two deviations, 182 expected");

    let quiet = create(&problem, Options { noise: Some(0.0), ..options("noisy_hartmann6") }).unwrap();
    let measurement = evaluate(&quiet, &problem, &point, 1).unwrap();
    assert!((measurement.value("value").unwrap() - exact).abs() < 1e-14);
    assert_eq!(measurement.get("value").unwrap().standard_error, None);
    assert_eq!(find("noisy_branin").unwrap().noise, 1.0);
}

#[test]
fn the_mixed_function_is_read_from_its_own_space_and_from_smaller_and_flat_ones() {
    let flat = |mut parameters: Vec<Parameter>| {
        parameters.iter_mut().for_each(|parameter| parameter.conditions.clear());
        parameters
    };
    let mut smaller = pipeline::parameters();
    smaller[0] = Parameter::categorical("model", ["forest", "network"]);
    smaller[2].conditions.clear();
    smaller[6] = Parameter::ordinal("batch_size", [32_i64, 128]).when(Condition::equals("model", "network"));
    let mut rng = Rng::new(5);
    for parameters in [pipeline::parameters(), flat(pipeline::parameters()), smaller] {
        let problem = problem(parameters, &["value"]);
        let objective = create(&problem, options("pipeline")).unwrap();
        for _ in 0..500 {
            let point = problem.space.draw(&mut rng);
            let measurement = evaluate(&objective, &problem, &point, 1).unwrap();
            assert!(measurement.value("regret").unwrap() >= 0.0, "{point:?}");
        }
    }
}

#[test]
fn spaces_unlike_the_mixed_function_are_refused() {
    let changed = |change: &dyn Fn(&mut Vec<Parameter>)| {
        let mut parameters = pipeline::parameters();
        change(&mut parameters);
        problem(parameters, &["value"])
    };
    check_refused(
        &changed(&|p| p[9].name = "drop_out".into()),
        options("pipeline"),
        &["needs a parameter dropout"],
    );
    check_refused(
        &changed(&|p| p.push(Parameter::bool("bias"))),
        options("pipeline"),
        &["pipeline has no parameter bias"],
    );
    check_refused(
        &changed(&|p| p[7] = Parameter::float("learning_rate", 1e-7, 1.0).log()),
        options("pipeline"),
        &["learning_rate as float from 0.00001 to 1"],
    );
    check_refused(
        &changed(&|p| {
            p.iter_mut().for_each(|parameter| parameter.conditions.clear());
            p[0] = Parameter::categorical("model", ["linear", "boosting"]);
        }),
        options("pipeline"),
        &["model as one of linear, forest, network"],
    );
    check_refused(
        &changed(&|p| p[4] = Parameter::int("tree_depth", 1, 8).when(Condition::equals("model", "linear"))),
        options("pipeline"),
        &["tree_depth must be active"],
    );
}

#[test]
fn an_evaluation_that_takes_its_time_ends_when_told() {
    let problem = problem(floats("x", 2, 0.0, 1.0), &["value"]);
    let objective = create(&problem, Options { delay_ms: u64::MAX, ..options("ackley") }).unwrap();
    let assignment = Assignment {
        trial: TrialId(3),
        attempt: 1,
        seed: 0,
        fidelity: None,
        time_limit: None,
        output_folder: None,
        continued: None,
    };
    let mut reporter = Silent { stopped: true };
    let mut context = Context::new(assignment, &problem.space, &mut reporter);
    let result = objective.evaluate(&Point::from_flat(&[0.5, 0.5]), &mut context);
    assert_eq!(result, Err(EvaluationError::Stopped));
}

#[test]
fn options_are_read_strictly() {
    let read = |text: &str| serde_json::from_str::<Options>(text);
    assert_eq!(read(r#"{"function": "branin"}"#).unwrap(), options("branin"));
    assert!(read("{}").is_err());
    assert!(read(r#"{"function": "branin", "nois": 1}"#).is_err());
}

#[test]
fn an_instance_moves_the_optimum_and_the_value_but_not_the_regret() {
    let problem = problem(floats("x", 4, -5.0, 5.0), &["value"]);
    let instance = |instance| Options { instance, ..options("styblinski_tang") };
    let plain = create(&problem, instance(None)).unwrap();
    let point = Point::from_flat(&[-2.903_534_027_771_177; 4]);
    let at_old_place = |objective: &Synthetic| evaluate(objective, &problem, &point, 1).unwrap();
    assert!(at_old_place(&plain).value("regret").unwrap() < 1e-9);
    let mut values = Vec::new();
    for number in [0, 1, 2] {
        let moved = create(&problem, instance(Some(number))).unwrap();
        let measured = at_old_place(&moved);
        let (value, regret) = (measured.value("value").unwrap(), measured.value("regret").unwrap());
        assert!(regret > 1e-3, "instance {number} has its optimum where it was");
        let constant = value - regret + 4.0 * 39.166_165_703_771_41;
        assert!((1.0..=100.0).contains(&constant.abs()), "{constant}");
        values.push(value);
        let again = create(&problem, instance(Some(number))).unwrap();
        assert_eq!(at_old_place(&again), measured);
    }
    values.dedup();
    assert_eq!(values.len(), 3);
}

#[test]
fn what_has_no_instances_or_rotations_says_so() {
    let two = problem(floats("x", 2, 0.0, 1.0), &["f1", "f2"]);
    check_refused(&two, Options { instance: Some(1), ..options("zdt1") }, &["zdt1 has no instances"]);
    let mixed = problem(pipeline::parameters(), &["value"]);
    check_refused(&mixed, Options { rotate: true, ..options("pipeline") }, &["pipeline cannot be rotated"]);
    let steep = problem(floats("x", 2, 0.0, 3.0), &["value"]);
    check_refused(
        &steep,
        Options { rotate: true, ..options("michalewicz") },
        &["michalewicz cannot be rotated", "drop rotate"],
    );
    let whole = problem(vec![Parameter::int("a", -5, 5), Parameter::float("b", -5.0, 5.0)], &["value"]);
    check_refused(&whole, Options { rotate: true, ..options("levy") }, &["float parameters"]);
}

#[test]
fn the_choices_of_an_instance_are_elsewhere_too() {
    let problem = problem(mixed::parameters(), &["value"]);
    let mut rng = Rng::new(4);
    for number in [1, 2] {
        let options = Options { instance: Some(number), ..options("mixed") };
        let objective = create(&problem, options).unwrap();
        let best = mixed::optimiser(Some(number));
        let point = problem.space.point_from_values([
            ("x1", Value::Float(best.x[0])),
            ("x2", Value::Float(best.x[1])),
            ("count", Value::Int(best.count)),
            ("level", Value::Int(best.level)),
            ("shape", mixed::SHAPES[best.shape].into()),
            ("side", mixed::SIDES[best.side].into()),
        ]);
        let measured = evaluate(&objective, &problem, &point.unwrap(), 1).unwrap();
        assert_eq!(measured.value("regret"), Some(0.0));
        assert!(measured.value("value").unwrap().abs() >= 1.0);
        for _ in 0..200 {
            let point = problem.space.sample(&mut rng).unwrap();
            assert!(evaluate(&objective, &problem, &point, 1).unwrap().value("regret").unwrap() > 0.0);
        }
    }
    let fewer: Vec<Parameter> = mixed::parameters().into_iter().skip(1).collect();
    let fewer = self::problem(fewer, &["value"]);
    check_refused(&fewer, options("mixed"), &["mixed needs a parameter x1"]);
}

#[test]
fn delays_spread_about_their_median_and_belong_to_the_seed() {
    let problem = problem(floats("x", 2, -5.0, 5.0), &["value"]);
    let with =
        |delay_ms, delay_spread| create(&problem, Options { delay_ms, delay_spread, ..options("ackley") });
    let objective = with(100, 0.5).unwrap();
    let mut logs: Vec<f64> =
        (0..2001).map(|seed| libm::log(objective.delay_of(seed).as_secs_f64() / 0.1)).collect();
    assert_eq!(objective.delay_of(7), objective.delay_of(7));
    logs.sort_by(f64::total_cmp);
    assert!(logs[1000].abs() < 0.05, "{}", logs[1000]);
    let spread = (logs.iter().map(|log| log * log).sum::<f64>() / logs.len() as f64).sqrt();
    assert!((spread - 0.5).abs() < 0.03, "{spread}");
    assert_eq!(with(100, 0.0).unwrap().delay_of(3), Duration::from_millis(100));
    assert!(!with(u64::MAX, 10.0).unwrap().delay_of(1).is_zero(), "no overflow");
    for wrong in [-0.1, 10.5, f64::NAN] {
        assert!(with(1, wrong).unwrap_err().contains("delay_spread is a number from 0 to 10"));
    }
}
