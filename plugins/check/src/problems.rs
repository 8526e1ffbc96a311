//! The problems that plugins are tried on, and the losses of their points.

use ansatz_core::rng::Rng;
use ansatz_core::space::{Condition, Constraint, Domain, Parameter, Scale};
use ansatz_core::{
    Capability, FidelityRange, Goal, Losses, Metric, OutcomeConstraint, Point, Problem, Side, Space, Value,
};
use rand::RngExt;

/// The kinds of parameters, as strategies claim them.
const KINDS: [Capability; 4] =
    [Capability::Float, Capability::Int, Capability::Categorical, Capability::Ordinal];

/// What to measure where nothing else matters.
pub(crate) fn metric(name: &str, goal: Goal) -> Metric {
    Metric { name: name.into(), goal }
}

/// A problem of one metric.
pub(crate) fn with_one_metric(space: Space) -> Problem {
    Problem::new(space, vec![metric("loss", Goal::Minimise)])
}

/// A space of parameters that are right: `None` only where the list is empty.
pub(crate) fn space(parameters: Vec<Parameter>) -> Option<Space> {
    Space::of(parameters).ok()
}

pub(crate) fn float(name: &str, lower: f64, upper: f64, scale: Scale, step: Option<f64>) -> Parameter {
    Parameter::new(name, Domain::Float { lower, upper, scale, step })
}

pub(crate) fn int(name: &str, lower: i64, upper: i64, scale: Scale, step: i64) -> Parameter {
    Parameter::new(name, Domain::Int { lower, upper, scale, step })
}

/// A categorical parameter with values of several types.
pub(crate) fn mixed_choices() -> Vec<Value> {
    vec![Value::from("sgd"), Value::Int(3), Value::Float(0.5), Value::Bool(true), Value::from("")]
}

/// The kinds of parameters that are claimed.
pub(crate) fn kinds(claimed: &[Capability]) -> Vec<Capability> {
    KINDS.into_iter().filter(|kind| claimed.contains(kind)).collect()
}

/// One parameter or two of every kind that is claimed; `None` if none is.
pub(crate) fn usual(claimed: &[Capability]) -> Option<Space> {
    let parameters = kinds(claimed).into_iter().flat_map(|kind| match kind {
        Capability::Float => {
            vec![Parameter::float("learning_rate", 1e-5, 1.0).log(), Parameter::float("momentum", -0.5, 1.0)]
        }
        Capability::Int => vec![Parameter::int("units", 1, 64)],
        Capability::Categorical => {
            vec![Parameter::categorical("optimiser", ["sgd", "adam", "lion"]), Parameter::bool("nesterov")]
        }
        _ => vec![Parameter::ordinal("batch", ["small", "medium", "large"])],
    });
    space(parameters.collect())
}

/// A parameter of a kind with a few values: `count` of them, for a float by its step.
pub(crate) fn with_values(name: &str, kind: Capability, count: u32) -> Parameter {
    let last = i64::from(count.max(1)) - 1;
    let texts: Vec<Value> = (0..count.max(1)).map(|index| Value::Text(format!("v{index}"))).collect();
    match kind {
        Capability::Float if last == 0 => Parameter::float(name, 0.5, 0.5),
        Capability::Float => float(name, 0.0, last as f64, Scale::Linear, Some(1.0)),
        Capability::Int => Parameter::int(name, 3, 3 + last),
        Capability::Categorical => Parameter::new(name, Domain::Categorical { choices: texts }),
        _ => Parameter::new(name, Domain::Ordinal { values: texts }),
    }
}

/// A space of one parameter with so many values, of the first kind of these that is claimed.
pub(crate) fn finite(claimed: &[Capability], count: u32) -> Option<Space> {
    let order = [Capability::Int, Capability::Ordinal, Capability::Categorical, Capability::Float];
    let kind = order.into_iter().find(|kind| claimed.contains(kind))?;
    space(vec![with_values("level", kind, count)])
}

/// An ordinary parameter of a kind.
fn ordinary(name: &str, kind: Capability) -> Parameter {
    match kind {
        Capability::Float => Parameter::float(name, -1.0, 2.0),
        Capability::Int => Parameter::int(name, -5, 10),
        kind => with_values(name, kind, 4),
    }
}

/// The condition that a parameter made by `with_values` has its value of this index.
pub(crate) fn has_value(parameter: &Parameter, index: u32) -> Condition {
    match &parameter.domain {
        Domain::Float { .. } => {
            let at = f64::from(index);
            Condition::within(&parameter.name, at - 0.25, at + 0.25)
        }
        domain => Condition::equals(&parameter.name, domain.value(domain.nth(u64::from(index)))),
    }
}

/// A tree of conditions: a switch, a child for each of its values, and a grandchild.
pub(crate) fn tree(claimed: &[Capability]) -> Option<Space> {
    let kinds = kinds(claimed);
    // what has few values switches best
    let switch = with_values("switch", *kinds.last()?, 3);
    let kind = |index: usize| kinds[index % kinds.len()];
    let left = ordinary("left", kind(0)).when(has_value(&switch, 0));
    let right = with_values("right", kind(1), 2).when(has_value(&switch, 1));
    let below = ordinary("below_right", kind(2)).when(has_value(&right, 1));
    space(vec![below, left, right, switch])
}

/// Relations between numbers that leave a third of the cube or less; `None` without numbers.
pub(crate) fn related(claimed: &[Capability]) -> Option<Space> {
    let (parameters, relations) = if claimed.contains(&Capability::Float) {
        let parameters = vec![
            Parameter::float("a", 0.0, 1.0),
            Parameter::float("b", 0.0, 1.0),
            Parameter::float("c", 0.0, 1.0),
        ];
        (parameters, ["a + b + c <= 1", "a < b"])
    } else if claimed.contains(&Capability::Int) {
        let parameters = vec![Parameter::int("a", 0, 20), Parameter::int("b", 0, 20)];
        (parameters, ["a + b <= 20", "a < b"])
    } else {
        return None;
    };
    let constraints = relations.into_iter().map(Constraint::parse).collect::<Result<_, _>>().ok()?;
    Space::new(parameters, constraints).ok()
}

/// Two parameters whose pairs are partly forbidden.
pub(crate) fn with_forbidden_pairs(claimed: &[Capability]) -> Option<Space> {
    let kinds = kinds(claimed);
    let first = with_values("first", *kinds.last()?, 3);
    let second = with_values("second", *kinds.first()?, 3);
    let pair = |a: u32, b: u32| Constraint::Forbidden(vec![has_value(&first, a), has_value(&second, b)]);
    let constraints = vec![pair(0, 0), pair(0, 1), pair(1, 1), pair(2, 2)];
    Space::new(vec![first, second], constraints).ok()
}

/// A problem that needs this one capability, beside a kind of parameter that is claimed; `None` where no problem
/// can need it, or nothing else is claimed.
pub(crate) fn that_needs(capability: Capability, claimed: &[Capability]) -> Option<Problem> {
    if KINDS.contains(&capability) {
        return space(vec![ordinary("x", capability)]).map(with_one_metric);
    }
    let mut problem = with_one_metric(usual(claimed)?);
    match capability {
        Capability::Conditional => problem.space = tree(claimed)?,
        Capability::Constraints => problem.space = with_forbidden_pairs(claimed)?,
        Capability::MultiObjective => problem = with_two_metrics(problem),
        Capability::OutcomeConstraints => problem = with_outcome_constraint(problem),
        _ => return None,
    }
    Some(problem)
}

pub(crate) fn with_two_metrics(mut problem: Problem) -> Problem {
    problem.metrics.push(metric("throughput", Goal::Maximise));
    problem
}

pub(crate) fn with_outcome_constraint(mut problem: Problem) -> Problem {
    let constraint = OutcomeConstraint { metric: "latency".into(), side: Side::AtMost, bound: 0.5 };
    problem.outcome_constraints.push(constraint);
    problem
}

pub(crate) fn with_fidelity(mut problem: Problem) -> Problem {
    problem.fidelity = Some(FidelityRange { name: "epochs".into(), lower: 1.0, upper: 27.0 });
    problem
}

/// A bowl in the unit cube, a little uneven from trial to trial so that no two losses are alike. The same for every
/// metric but for its place; outcome constraints are kept about half of the time.
pub(crate) fn losses(problem: &Problem, point: &Point, number: u64) -> Losses {
    let units: Vec<f64> = (problem.space.parameters().iter().zip(point.coordinates()))
        .filter_map(|(parameter, coordinate)| Some(parameter.domain.to_unit(coordinate?)))
        .collect();
    let bowl = |centre: f64| units.iter().map(|unit| (unit - centre) * (unit - centre)).sum::<f64>();
    let uneven = 1e-3 * (number % 7) as f64;
    Losses {
        values: (0..problem.metrics.len()).map(|index| bowl(0.3 + 0.4 * index as f64) + uneven).collect(),
        standard_errors: Vec::new(),
        excesses: problem.outcome_constraints.iter().map(|_| bowl(0.6) - 0.1 * units.len() as f64).collect(),
    }
}

/// Problems that an objective may accept without knowing them, the likeliest first, and some that it will not.
pub(crate) fn for_objectives() -> Vec<Problem> {
    let numbers = |names: &[&str]| names.iter().map(|name| Parameter::float(*name, 0.0, 1.0)).collect();
    let spaces: Vec<Vec<Parameter>> = vec![
        numbers(&["x", "y"]),
        numbers(&["x1", "x2"]),
        numbers(&["x"]),
        vec![Parameter::int("units", 1, 8), Parameter::float("learning_rate", 1e-4, 1.0).log()],
        vec![
            Parameter::new("choice", Domain::Categorical { choices: mixed_choices() }),
            Parameter::bool("flag"),
        ],
        (0..40).map(|index| Parameter::float(format!("p{index}"), -1e9, 1e9)).collect(),
        vec![Parameter::int("\u{3b1} \"quoted\"\n", -1, 1)],
    ];
    let mut problems = Vec::new();
    for name in ["value", "loss"] {
        problems.extend(
            spaces
                .iter()
                .cloned()
                .filter_map(space)
                .map(|space| Problem::new(space, vec![metric(name, Goal::Minimise)])),
        );
    }
    if let Some(first) = problems.first().cloned() {
        problems.push(with_fidelity(with_outcome_constraint(with_two_metrics(first))));
    }
    problems
}

/// A random problem within what is claimed: five to eight parameters, and now and then everything else. `None` where
/// the constraints that chance wrote leave nothing.
pub(crate) fn random(claimed: &[Capability], rng: &mut Rng) -> Option<Problem> {
    let kinds = kinds(claimed);
    if kinds.is_empty() {
        return None;
    }
    let can = |capability| claimed.contains(&capability);
    let count = rng.random_range(5..=8);
    let mut parameters: Vec<Parameter> = Vec::with_capacity(count);
    for index in 0..count {
        let kind = kinds[rng.random_range(0..kinds.len())];
        let mut parameter = random_parameter(&format!("any{index}"), kind, rng);
        if can(Capability::Conditional) && index > 0 && rng.random_bool(0.3) {
            let parent = &parameters[rng.random_range(0..index)];
            parameter = parameter.when(random_condition(parent, rng));
        }
        parameters.push(parameter);
    }
    let mut constraints = Vec::new();
    if can(Capability::Constraints) && rng.random_bool(0.5) {
        for _ in 0..rng.random_range(1..=3) {
            let pair = [rng.random_range(0..count), rng.random_range(0..count)];
            if pair[0] == pair[1] {
                continue;
            }
            let [left, right] = pair.map(|index| &parameters[index]);
            if left.domain.is_numeric() && right.domain.is_numeric() && rng.random_bool(0.6) {
                // through the middle of the box: about half of it is left
                let middle = |domain: &Domain| 0.5 * domain.lower() + 0.5 * domain.upper();
                constraints.push(Constraint::Linear(ansatz_core::space::Linear {
                    terms: vec![(left.name.clone(), 1.0), (right.name.clone(), -1.0)],
                    strict: rng.random_bool(0.5),
                    bound: middle(&left.domain) - middle(&right.domain),
                }));
            } else {
                let conditions = vec![random_condition(left, rng), random_condition(right, rng)];
                constraints.push(Constraint::Forbidden(conditions));
            }
        }
    }
    let space = Space::new(parameters, constraints).ok()?;
    space.sample(rng)?;
    let mut problem = with_one_metric(space);
    if can(Capability::MultiObjective) && rng.random_bool(0.3) {
        problem = with_two_metrics(problem);
    }
    if can(Capability::OutcomeConstraints) && rng.random_bool(0.3) {
        problem = with_outcome_constraint(problem);
    }
    if can(Capability::Fidelity) && rng.random_bool(0.3) {
        problem = with_fidelity(problem);
    }
    problem.trial_count = rng.random_bool(0.5).then(|| rng.random_range(1..=40));
    Some(problem)
}

fn random_parameter(name: &str, kind: Capability, rng: &mut Rng) -> Parameter {
    let is_log = rng.random_bool(0.4);
    let scale = if is_log { Scale::Log } else { Scale::Linear };
    match kind {
        Capability::Float => {
            let size = 10f64.powi(rng.random_range(-6..=6));
            let lower = if is_log { size } else { size * rng.random_range(-2.0..1.0) };
            let upper = if is_log { lower * 10f64.powi(rng.random_range(0..=6)) } else { lower + size };
            let step = (upper > lower && rng.random_bool(0.3))
                .then(|| (upper - lower) * rng.random_range(0.05..0.6));
            float(name, lower, upper, scale, step)
        }
        Capability::Int => {
            let lower = if is_log { rng.random_range(1..=50) } else { rng.random_range(-1000..=1000) };
            let upper = lower + rng.random_range(0i64..=10).pow(rng.random_range(1..=4));
            int(name, lower, upper, scale, rng.random_range(1..=5))
        }
        Capability::Categorical if rng.random_bool(0.3) => Parameter::bool(name),
        kind => with_values(name, kind, rng.random_range(1..=7)),
    }
}

/// That a parameter has one value or lies in one half of its range.
fn random_condition(parameter: &Parameter, rng: &mut Rng) -> Condition {
    let domain = &parameter.domain;
    match domain {
        Domain::Float { lower, upper, .. } => {
            let middle = 0.5 * lower + 0.5 * upper;
            match rng.random_bool(0.5) {
                true => Condition::within(&parameter.name, *lower, middle),
                false => Condition::within(&parameter.name, middle, *upper),
            }
        }
        domain => {
            let index = rng.random_range(0..domain.value_count().unwrap_or(1));
            Condition::equals(&parameter.name, domain.value(domain.nth(index)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_kinds_has_its_problems() {
        for bits in 1..16u32 {
            let claimed: Vec<Capability> = KINDS
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| bits & (1 << bit) != 0)
                .map(|(_, k)| k)
                .collect();
            let within = |problem: &Problem, more: &[Capability]| {
                for needed in problem.requirements() {
                    assert!(claimed.contains(&needed) || more.contains(&needed), "{claimed:?}: {problem:?}");
                }
            };
            within(&with_one_metric(usual(&claimed).unwrap()), &[]);
            within(&with_one_metric(finite(&claimed, 6).unwrap()), &[]);
            within(&with_one_metric(tree(&claimed).unwrap()), &[Capability::Conditional]);
            within(&with_one_metric(with_forbidden_pairs(&claimed).unwrap()), &[Capability::Constraints]);
            assert_eq!(related(&claimed).is_some(), bits & 3 != 0);
            for capability in Capability::ALL {
                if let Some(problem) = that_needs(capability, &claimed) {
                    assert!(problem.requirements().contains(&capability), "{capability:?}: {problem:?}");
                    within(&problem, &[capability]);
                }
            }
        }
    }

    #[test]
    fn random_problems_are_within_what_is_claimed() {
        let mut rng = Rng::new(2);
        let made = (0..300).filter_map(|_| random(&Capability::ALL, &mut rng)).count();
        assert!(made > 250, "{made}");
        let floats = [Capability::Float];
        for _ in 0..100 {
            let problem = random(&floats, &mut rng).unwrap();
            assert_eq!(problem.requirements(), floats);
            assert!(problem.space.parameter_count() >= 5);
        }
    }
}
