//! One function of the table as an objective: it finds its arguments in the study's space, and measures.

use crate::functions::{Constrained, FUNCTIONS, Function, Kind, Multi, Single, find};
use crate::instance::{Placement, constant as instance_constant, standard_normal};
use crate::mixed::{self, Mixed, SHAPES, SIDES};
use crate::pipeline::{self, BATCH_SIZES, Model, Pipeline};
use ansatz_core::nearest::did_you_mean;
use ansatz_core::rng::Rng;
use ansatz_core::space::{Domain, Parameter};
use ansatz_core::{
    Context, Descriptor, EvaluationError, Measurement, Objective, ObjectiveError, Point, Problem, Space,
    Surroundings, Value,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Options of the objective `synthetic`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Which function, such as "branin"; the README lists them.
    pub function: String,
    /// Standard deviation of the Gaussian noise on every metric; the function's own if not given.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub noise: Option<f64>,
    /// How long each evaluation pretends to take, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// How much that differs between trials: the standard deviation of the logarithm, drawn from the trial's seed.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 10.0))]
    pub delay_spread: f64,
    /// Moves the optimum to a place of its own in the space, and adds a constant to the value: the same number, the same
    /// place. For functions of numbers with one metric.
    #[serde(default)]
    pub instance: Option<u64>,
    /// Turns the function about its optimum, by a random rotation that the instance decides.
    #[serde(default)]
    pub rotate: bool,
}

/// A function of the table, ready for one study.
#[derive(Debug)]
pub struct Synthetic {
    measure: Measure,
    noise: f64,
    delay: Duration,
    delay_spread: f64,
}

/// What to compute from a point. `arguments[i]` is the parameter index of argument i.
#[derive(Debug)]
enum Measure {
    Single {
        function: Single,
        optimum: f64,
        arguments: Vec<usize>,
        placement: Option<Placement>,
    },
    Multi {
        function: Multi,
        metric_count: usize,
        arguments: Vec<usize>,
    },
    Constrained {
        function: Constrained,
        arguments: Vec<usize>,
    },
    Mixed {
        optimum: f64,
    },
    /// `constant` is added to the value, not to the regret.
    Unconditional {
        optimum: f64,
        best: Mixed,
        constant: f64,
    },
}

impl Objective for Synthetic {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "synthetic",
        summary: "test functions with known optima: Branin, Hartmann, Ackley, ZDT, DTLZ2, constrained ones and others",
        capabilities: &[],
    };

    type Options = Options;

    fn new(problem: &Problem, options: Options, _: &Surroundings) -> Result<Self, ObjectiveError> {
        let function = find(&options.function).ok_or_else(|| {
            let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
            let hint = did_you_mean(&options.function, names.iter().copied());
            format!("there is no function {:?}{hint}; there are {}", options.function, names.join(", "))
        })?;
        let noise = options.noise.unwrap_or(function.noise);
        if !(noise.is_finite() && noise >= 0.0) {
            return Err(
                format!("noise is a standard deviation: a finite number of at least 0, not {noise}").into()
            );
        }
        if !(0.0..=10.0).contains(&options.delay_spread) {
            let found = options.delay_spread;
            return Err(format!("delay_spread is a number from 0 to 10, not {found}").into());
        }
        if problem.fidelity.is_some() {
            return Err(format!("{} has no fidelity: every evaluation is a full one", function.name).into());
        }
        let measure = Measure::new(function, problem, &options)?;
        measure.check_metrics(function.name, problem)?;
        Ok(Self {
            measure,
            noise,
            delay: Duration::from_millis(options.delay_ms),
            delay_spread: options.delay_spread,
        })
    }

    fn evaluate(&self, point: &Point, context: &mut Context<'_>) -> Result<Measurement, EvaluationError> {
        wait(self.delay_of(context.assignment.seed), context)?;
        let mut noise = Noise { deviation: self.noise, rng: Rng::new(context.assignment.seed) };
        let mut measurement = Measurement::new();
        match &self.measure {
            Measure::Single { function, optimum, arguments, placement } => {
                let mut x = numbers(point, arguments)?;
                let mut constant = 0.0;
                if let Some(placement) = placement {
                    (x, constant) = (placement.argument(&x), placement.constant);
                }
                let value = (function.evaluate)(&x);
                noise.measure("value", value + constant, &mut measurement);
                // before the constant, which would cost it digits; what rounding puts below the optimum is the optimum
                measurement.set("regret", (value - optimum).max(0.0), None);
            }
            Measure::Multi { function, metric_count, arguments } => {
                let values = (function.evaluate)(&numbers(point, arguments)?, *metric_count);
                for (number, value) in (1..).zip(values) {
                    noise.measure(&format!("f{number}"), value, &mut measurement);
                }
            }
            Measure::Constrained { function, arguments } => {
                let x = numbers(point, arguments)?;
                let value = (function.evaluate)(&x);
                noise.measure("value", value, &mut measurement);
                // Where a constraint is broken less may be had: then it is below 0, and no regret.
                measurement.set("regret", value - function.optimum, None);
                for (number, value) in (1..).zip((function.constraints)(&x)) {
                    noise.measure(&format!("c{number}"), value, &mut measurement);
                }
            }
            Measure::Mixed { optimum } => {
                let pipeline = read_pipeline(context.space(), point).map_err(EvaluationError::Failed)?;
                let value = pipeline::value(&pipeline);
                noise.measure("value", value, &mut measurement);
                measurement.set("regret", (value - optimum).max(0.0), None);
            }
            Measure::Unconditional { optimum, best, constant } => {
                let point = read_mixed(context.space(), point).map_err(EvaluationError::Failed)?;
                let value = mixed::value(&point, best);
                noise.measure("value", value + constant, &mut measurement);
                measurement.set("regret", value - optimum, None);
            }
        }
        Ok(measurement)
    }
}

impl Measure {
    fn new(function: &Function, problem: &Problem, options: &Options) -> Result<Self, ObjectiveError> {
        let name = function.name;
        let has_instances = matches!(function.kind, Kind::Single(_) | Kind::Unconditional { .. });
        if options.instance.is_some() && !has_instances {
            return Err(format!("{name} has no instances; drop instance").into());
        }
        if options.rotate && !matches!(function.kind, Kind::Single(_)) {
            return Err(format!(
                "{name} cannot be rotated: that is for functions of numbers with one metric; drop rotate"
            )
            .into());
        }
        let row = function;
        match function.kind {
            Kind::Single(function) => {
                let arguments = match_numbers(
                    name,
                    &problem.space,
                    |count| function.dimension.allows(count),
                    &function.dimension.to_string(),
                    |index| function.bounds.of(index),
                )?;
                let optimum = function.optimum(arguments.len()).ok_or("the optimum is not known")?;
                let parameters = problem.space.parameters();
                let domains: Vec<&Domain> =
                    arguments.iter().map(|&index| &parameters[index].domain).collect();
                let placement = Placement::new(row, &function, &domains, options.instance, options.rotate)?;
                Ok(Self::Single { function, optimum, arguments, placement })
            }
            Kind::Multi(function) => {
                let metric_count = function.metric_count.nearest(highest_metric(problem));
                let allowed = |count| function.dimension.allows(count) && count >= metric_count;
                let text = format!("{} or more", metric_count);
                let arguments =
                    match_numbers(name, &problem.space, allowed, &text, |index| function.bounds.of(index))?;
                Ok(Self::Multi { function, metric_count, arguments })
            }
            Kind::Constrained(function) => {
                let arguments = match_numbers(
                    name,
                    &problem.space,
                    |count| count == function.bounds.len(),
                    &format!("exactly {}", function.bounds.len()),
                    |index| function.bounds.get(index).copied(),
                )?;
                Ok(Self::Constrained { function, arguments })
            }
            Kind::Mixed { optimum, .. } => {
                check_pipeline(name, &problem.space)?;
                Ok(Self::Mixed { optimum })
            }
            Kind::Unconditional { optimum, .. } => {
                check_mixed(name, &problem.space)?;
                let best = mixed::optimiser(options.instance);
                let constant = options.instance.map_or(0.0, |instance| instance_constant(name, instance));
                Ok(Self::Unconditional { optimum, best, constant })
            }
        }
    }

    /// The names of what is measured, in the order reported.
    fn metrics(&self) -> Vec<String> {
        match self {
            Self::Single { .. } | Self::Mixed { .. } | Self::Unconditional { .. } => {
                vec!["value".into(), "regret".into()]
            }
            Self::Constrained { function, .. } => {
                let constraints = (1..=function.constraint_count).map(|number| format!("c{number}"));
                ["value".into(), "regret".into()].into_iter().chain(constraints).collect()
            }
            Self::Multi { metric_count, .. } => {
                (1..=*metric_count).map(|number| format!("f{number}")).collect()
            }
        }
    }

    /// Refuses a study that wants what is never measured, before any trial starts.
    fn check_metrics(&self, function: &str, problem: &Problem) -> Result<(), ObjectiveError> {
        let offered = self.metrics();
        for wanted in wanted_metrics(problem) {
            if !offered.iter().any(|metric| metric == wanted) {
                let hint = did_you_mean(wanted, offered.iter().map(String::as_str));
                return Err(format!(
                    "{function} has no metric {wanted:?}{hint}; it has {}",
                    offered.join(", ")
                )
                .into());
            }
        }
        Ok(())
    }
}

/// Every metric that the study needs to be measured.
fn wanted_metrics(problem: &Problem) -> impl Iterator<Item = &str> {
    let goals = problem.metrics.iter().map(|metric| metric.name.as_str());
    goals.chain(problem.outcome_constraints.iter().map(|constraint| constraint.metric.as_str()))
}

/// The largest k for which the study wants the metric `fk`; 0 if it wants none.
fn highest_metric(problem: &Problem) -> usize {
    wanted_metrics(problem).filter_map(|name| name.strip_prefix('f')?.parse().ok()).max().unwrap_or(0)
}

/// Matches parameters with arguments: by name if they are called `x1`, `x2`, ..., else in the order of the
/// space. Every parameter must be a number, always active, and within its argument's bounds.
fn match_numbers(
    function: &str,
    space: &Space,
    allowed: impl Fn(usize) -> bool,
    allowed_text: &str,
    bounds: impl Fn(usize) -> Option<(f64, f64)>,
) -> Result<Vec<usize>, ObjectiveError> {
    let parameters = space.parameters();
    if !allowed(parameters.len()) {
        let found = parameters.len();
        return Err(format!("{function} takes {allowed_text} parameters, the space has {found}").into());
    }
    let by_name: Option<Vec<usize>> =
        (1..=parameters.len()).map(|number| space.index_of(&format!("x{number}"))).collect();
    let arguments = by_name.unwrap_or_else(|| (0..parameters.len()).collect());
    for (position, &index) in arguments.iter().enumerate() {
        let Parameter { name, domain, conditions } = &parameters[index];
        if !domain.is_numeric() {
            return Err(format!("{function} takes numbers; parameter {name} is {}", domain.kind()).into());
        }
        if !conditions.is_empty() {
            return Err(format!("{function} needs all its parameters; {name} is not always active").into());
        }
        let (lower, upper) = bounds(position).ok_or("the function has no such argument")?;
        if domain.lower() < lower || domain.upper() > upper {
            return Err(format!(
                "{function} is defined for its argument {} from {lower} to {upper}; parameter {name} goes from {} \
                 to {}; narrow it",
                position + 1,
                domain.lower(),
                domain.upper()
            )
            .into());
        }
    }
    Ok(arguments)
}

fn numbers(point: &Point, arguments: &[usize]) -> Result<Vec<f64>, EvaluationError> {
    arguments
        .iter()
        .map(|&index| point.get(index))
        .collect::<Option<_>>()
        .ok_or_else(|| EvaluationError::Failed("the point lacks a parameter".into()))
}

/// Whether every value of `found` is a value of `wanted`.
fn is_within(found: &Domain, wanted: &Domain) -> bool {
    let inside = || wanted.lower() <= found.lower() && found.upper() <= wanted.upper();
    match (found, wanted) {
        (Domain::Float { .. } | Domain::Int { .. }, Domain::Float { .. }) => inside(),
        (Domain::Int { .. }, Domain::Int { .. }) => inside(),
        _ => found.value_count().is_some_and(|count| {
            count <= 1_000 && (0..count).all(|i| wanted.coordinate(&found.value(found.nth(i))).is_some())
        }),
    }
}

/// Checks that the space has exactly these parameters, with values that the function knows.
fn check_parameters(function: &str, space: &Space, reference: &[Parameter]) -> Result<(), ObjectiveError> {
    for wanted in reference {
        let name = &wanted.name;
        let Some(index) = space.index_of(name) else {
            let names = space.parameters().iter().map(|parameter| parameter.name.as_str());
            return Err(format!("{function} needs a parameter {name}{}", did_you_mean(name, names)).into());
        };
        let found = &space.parameters()[index].domain;
        if !is_within(found, &wanted.domain) {
            return Err(format!("{function} takes {name} as {}", describe(&wanted.domain)).into());
        }
    }
    for parameter in space.parameters() {
        let known = reference.iter().map(|wanted| wanted.name.as_str());
        if !known.clone().any(|name| name == parameter.name) {
            let hint = did_you_mean(&parameter.name, known);
            return Err(format!("{function} has no parameter {}{hint}", parameter.name).into());
        }
    }
    Ok(())
}

/// Checks that the space has the parameters of the function `mixed`, all of them always active.
fn check_mixed(function: &str, space: &Space) -> Result<(), ObjectiveError> {
    check_parameters(function, space, &mixed::parameters())?;
    match space.parameters().iter().find(|parameter| !parameter.conditions.is_empty()) {
        Some(Parameter { name, .. }) => {
            Err(format!("{function} needs all its parameters; {name} is not always active").into())
        }
        None => Ok(()),
    }
}

/// The argument of the function `mixed`.
fn read_mixed(space: &Space, point: &Point) -> Result<Mixed, String> {
    let value = |name: &str| space.value(point, name).ok_or_else(|| format!("{name} must be active here"));
    let float = |name: &str| value(name)?.as_f64().ok_or_else(|| format!("{name} must be a number"));
    let choice = |name: &str, choices: &[&str]| {
        let chosen = value(name)?;
        let index = choices.iter().position(|choice| chosen.as_str() == Some(choice));
        index.ok_or_else(|| format!("{name} is never {chosen}"))
    };
    Ok(Mixed {
        x: [float("x1")?, float("x2")?],
        count: float("count")? as i64,
        level: float("level")? as i64,
        shape: choice("shape", &SHAPES)?,
        side: choice("side", &SIDES)?,
    })
}

/// Checks that the space has the parameters of `pipeline`, with values it knows, and active where needed.
fn check_pipeline(function: &str, space: &Space) -> Result<(), ObjectiveError> {
    check_parameters(function, space, &pipeline::parameters())?;
    // What is active depends on these two alone; every other parameter is at its lowest value.
    let lowest: Vec<f64> = space.parameters().iter().map(|parameter| parameter.domain.lower()).collect();
    let count = |name: &str| {
        let index = space.index_of(name)?;
        Some((index, space.parameters()[index].domain.value_count()?))
    };
    let (Some((model, models)), Some((regularise, truths))) = (count("model"), count("regularise")) else {
        return Err(format!("{function} needs the parameters model and regularise").into());
    };
    for i in 0..models {
        for j in 0..truths {
            let mut coordinates = lowest.clone();
            coordinates[model] = space.parameters()[model].domain.nth(i);
            coordinates[regularise] = space.parameters()[regularise].domain.nth(j);
            read_pipeline(space, &space.assemble(coordinates))
                .map_err(|reason| format!("{function}: {reason}"))?;
        }
    }
    Ok(())
}

/// The values of a domain, for messages.
fn describe(domain: &Domain) -> String {
    match domain {
        Domain::Categorical { choices: values } | Domain::Ordinal { values } => {
            let names: Vec<String> = values.iter().map(Value::to_string).collect();
            format!("one of {}", names.join(", "))
        }
        Domain::Bool => "bool".into(),
        _ => format!("{} from {} to {}", domain.kind(), domain.lower(), domain.upper()),
    }
}

/// The argument of `pipeline`; `Err` names the parameter that should be active and is not.
fn read_pipeline(space: &Space, point: &Point) -> Result<Pipeline, String> {
    let value = |name: &str| space.value(point, name).ok_or_else(|| format!("{name} must be active here"));
    let float = |name: &str| value(name)?.as_f64().ok_or_else(|| format!("{name} must be a number"));
    let int = |name: &str| float(name).map(|number| number as i64);
    let truth = |name: &str| match value(name)? {
        Value::Bool(truth) => Ok(truth),
        other => Err(format!("{name} must be true or false, not {other}")),
    };
    let model = value("model")?;
    let model = match model.as_str() {
        Some("linear") => Model::Linear { penalty: float("penalty")? },
        Some("forest") => Model::Forest { tree_count: int("tree_count")?, tree_depth: int("tree_depth")? },
        Some("network") => {
            let batch_size = int("batch_size")?;
            Model::Network {
                layer_count: int("layer_count")?,
                batch_size_index: (BATCH_SIZES.iter().position(|&size| size == batch_size))
                    .ok_or_else(|| format!("batch_size is never {batch_size}"))?,
                learning_rate: float("learning_rate")?,
                dropout: if truth("regularise")? { Some(float("dropout")?) } else { None },
            }
        }
        _ => return Err(format!("model is never {model}")),
    };
    Ok(Pipeline { standardise: truth("standardise")?, model })
}

/// Gaussian noise, a function of the trial's seed alone.
struct Noise {
    deviation: f64,
    rng: Rng,
}

impl Noise {
    /// Adds the metric with noise, and with the deviation as its standard error; without noise as it is.
    fn measure(&mut self, metric: &str, value: f64, measurement: &mut Measurement) {
        if self.deviation == 0.0 {
            measurement.set(metric, value, None);
        } else {
            measurement.set(
                metric,
                value + self.deviation * standard_normal(&mut self.rng),
                Some(self.deviation),
            );
        }
    }
}

impl Synthetic {
    /// How long a trial pretends to take.
    fn delay_of(&self, seed: u64) -> Duration {
        if self.delay_spread == 0.0 {
            return self.delay;
        }
        // another stream than that of the noise
        let mut rng = Rng::new(seed ^ u64::from_be_bytes(*b"duration"));
        let factor = libm::exp(self.delay_spread * standard_normal(&mut rng));
        Duration::try_from_secs_f64(self.delay.as_secs_f64() * factor).unwrap_or(Duration::MAX)
    }
}

/// Lets time pass as an expensive evaluation would, and ends early when told to.
fn wait(delay: Duration, context: &Context<'_>) -> Result<(), EvaluationError> {
    const LOOK_UP: Duration = Duration::from_millis(5);
    let start = Instant::now();
    loop {
        let left = delay.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        if context.is_stopped() {
            return Err(EvaluationError::Stopped);
        }
        std::thread::sleep(left.min(LOOK_UP));
    }
}

#[cfg(test)]
mod tests;
