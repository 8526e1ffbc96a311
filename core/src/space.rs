//! The search space: parameters, when they are active, and what must hold between them.
//!
//! A `Space` is checked once, when it is made; after that every question about a point has an answer.
//! How points become rows of the unit cube is in `encoding`, how feasible points are found in `feasible`.

mod condition;
mod constraint;
mod encoding;
mod feasible;
mod parameter;
mod point;

pub use condition::{Condition, Test};
pub use constraint::{Constraint, Linear};
pub use encoding::{CategoricalForm, Column, ColumnKind, Encoding};
pub use parameter::{Domain, INTEGER_MAGNITUDE_MAX, Parameter, Scale, Value};
pub use point::Point;

use condition::Resolved;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Parameters with conditions and constraints, checked. Cheap to clone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Declaration", into = "Declaration")]
pub struct Space {
    inner: Arc<Inner>,
}

struct Inner {
    parameters: Vec<Parameter>,
    constraints: Vec<Constraint>,
    index_by_name: HashMap<String, usize>,
    /// Parents before children.
    order: Vec<usize>,
    conditions: Vec<Vec<Resolved>>,
    rules: Vec<Rule>,
}

/// A constraint with parameters by index.
enum Rule {
    Linear { terms: Vec<(usize, f64)>, relation: Linear },
    Forbidden(Vec<Resolved>),
}

/// The space as it is written down: what `Space` serialises to.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Declaration {
    parameters: Vec<Parameter>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    constraints: Vec<Constraint>,
}

/// Something wrong with a space, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceError {
    /// What it is about.
    pub place: Place,
    /// What is wrong and what to do, without the place.
    pub message: String,
}

/// Which part of a space an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The space as a whole.
    Space,
    /// A parameter, by index.
    Parameter(usize),
    /// A parameter's condition: parameter index, condition index.
    Condition(usize, usize),
    /// A constraint, by index.
    Constraint(usize),
}

impl fmt::Display for SpaceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Space => write!(formatter, "space: {}", self.message),
            Place::Parameter(index) => write!(formatter, "parameter {index}: {}", self.message),
            Place::Condition(index, _) => {
                write!(formatter, "condition of parameter {index}: {}", self.message)
            }
            Place::Constraint(index) => write!(formatter, "constraint {index}: {}", self.message),
        }
    }
}
impl std::error::Error for SpaceError {}

impl Space {
    /// A checked space; otherwise everything that is wrong with it.
    pub fn new(parameters: Vec<Parameter>, constraints: Vec<Constraint>) -> Result<Self, Vec<SpaceError>> {
        let mut errors = Vec::new();
        let mut error = |place, message| errors.push(SpaceError { place, message });
        if parameters.is_empty() {
            error(Place::Space, "a space needs at least one parameter".into());
        }
        let mut index_by_name = HashMap::new();
        for (index, parameter) in parameters.iter().enumerate() {
            if parameter.name.trim().is_empty() {
                error(Place::Parameter(index), "a parameter needs a name".into());
            }
            if let Err(message) = parameter.domain.check() {
                error(Place::Parameter(index), message);
            }
            if index_by_name.insert(parameter.name.clone(), index).is_some() {
                error(Place::Parameter(index), format!("{} is defined twice", parameter.name));
            }
        }
        let resolve = |condition: &Condition| {
            let index = *index_by_name
                .get(&condition.parameter)
                .ok_or_else(|| unknown_parameter(&condition.parameter, &parameters))?;
            // a broken domain has its own message already
            match parameters[index].domain.check() {
                Ok(()) => condition.resolve(index, &parameters[index].domain).map(Some),
                Err(_) => Ok(None),
            }
        };
        let mut conditions = Vec::new();
        for (index, parameter) in parameters.iter().enumerate() {
            let mut resolved = Vec::new();
            for (position, condition) in parameter.conditions.iter().enumerate() {
                match resolve(condition) {
                    Ok(found) => resolved.extend(found),
                    Err(message) => error(Place::Condition(index, position), message),
                }
            }
            conditions.push(resolved);
        }
        let order = match parents_first(&conditions) {
            Ok(order) => order,
            Err(cycle) => {
                let names: Vec<&str> = cycle.iter().map(|index| parameters[*index].name.as_str()).collect();
                error(
                    Place::Condition(cycle[0], 0),
                    format!("the conditions go in a circle: {} -> {}", names.join(" -> "), names[0]),
                );
                Vec::new()
            }
        };
        let mut rules = Vec::new();
        for (index, constraint) in constraints.iter().enumerate() {
            match resolve_constraint(constraint, &parameters, &index_by_name, &resolve) {
                Ok(rule) => rules.push(rule),
                Err(message) => error(Place::Constraint(index), message),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            inner: Arc::new(Inner { parameters, constraints, index_by_name, order, conditions, rules }),
        })
    }

    /// A space without conditions and constraints between the parameters given.
    pub fn of(parameters: Vec<Parameter>) -> Result<Self, Vec<SpaceError>> {
        Self::new(parameters, Vec::new())
    }

    /// The parameters, in the order of every point's coordinates.
    pub fn parameters(&self) -> &[Parameter] {
        &self.inner.parameters
    }

    /// How many parameters there are.
    pub fn parameter_count(&self) -> usize {
        self.inner.parameters.len()
    }

    /// The constraints as declared.
    pub fn constraints(&self) -> &[Constraint] {
        &self.inner.constraints
    }

    /// The index of a parameter.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.inner.index_by_name.get(name).copied()
    }

    /// Whether any parameter is conditional.
    pub fn is_conditional(&self) -> bool {
        self.inner.conditions.iter().any(|conditions| !conditions.is_empty())
    }

    /// Parameter indices with every parameter after those its conditions look at.
    pub fn parents_first(&self) -> &[usize] {
        &self.inner.order
    }

    /// The parameters that the conditions of this one look at; empty if it is always active.
    pub fn parents(&self, parameter_index: usize) -> impl Iterator<Item = usize> + '_ {
        self.inner.conditions[parameter_index].iter().map(|condition| condition.parameter_index)
    }

    /// Whether a parameter is active, given the coordinates of those before it in `parents_first`
    /// (flat form: inactive as NaN).
    pub fn is_active(&self, parameter_index: usize, flat: &[f64]) -> bool {
        self.inner.conditions[parameter_index].iter().all(|condition| {
            let coordinate = flat[condition.parameter_index];
            condition.holds((!coordinate.is_nan()).then_some(coordinate))
        })
    }

    /// The point with these coordinates, one per parameter: snapped into the domains, inactive ones
    /// dropped. Constraints are not looked at.
    pub fn assemble(&self, mut coordinates: Vec<f64>) -> Point {
        self.prune(&mut coordinates);
        Point::from_flat_iter(coordinates)
    }

    fn prune(&self, coordinates: &mut [f64]) {
        for &index in &self.inner.order {
            coordinates[index] = if self.is_active(index, coordinates) {
                self.inner.parameters[index].domain.snap(coordinates[index])
            } else {
                f64::NAN
            };
        }
    }

    /// Whether the point satisfies every constraint. Domains are not looked at: see `check`.
    pub fn is_feasible(&self, point: &Point) -> bool {
        self.inner.rules.iter().all(|rule| rule.is_satisfied(point))
    }

    /// Why a point is not in the space, in words; `Ok` if it is.
    pub fn check(&self, point: &Point) -> Result<(), String> {
        if point.parameter_count() != self.parameter_count() {
            return Err(format!(
                "it has {} coordinates, the space has {} parameters",
                point.parameter_count(),
                self.parameter_count()
            ));
        }
        for &index in &self.inner.order {
            let parameter = &self.inner.parameters[index];
            match (point.get(index), self.is_active(index, point.flat())) {
                (None, true) => return Err(format!("{} is active and has no value", parameter.name)),
                (Some(_), false) => return Err(format!("{} is inactive and has a value", parameter.name)),
                (Some(coordinate), true) if !parameter.domain.contains(coordinate) => {
                    return Err(format!(
                        "{} = {coordinate} is not a value of this {} parameter (from {} to {})",
                        parameter.name,
                        parameter.domain.kind(),
                        parameter.domain.lower(),
                        parameter.domain.upper()
                    ));
                }
                _ => {}
            }
        }
        for (constraint, rule) in self.inner.constraints.iter().zip(&self.inner.rules) {
            if !rule.is_satisfied(point) {
                return Err(format!("it violates the constraint {constraint}"));
            }
        }
        Ok(())
    }

    /// The active parameters with their values, in space order.
    pub fn values<'a>(&'a self, point: &'a Point) -> impl Iterator<Item = (&'a str, Value)> + 'a {
        self.inner.parameters.iter().zip(point.coordinates()).filter_map(|(parameter, coordinate)| {
            coordinate.map(|c| (parameter.name.as_str(), parameter.domain.value(c)))
        })
    }

    /// The value of one parameter by name; `None` if it is inactive or unknown.
    pub fn value(&self, point: &Point, name: &str) -> Option<Value> {
        let index = self.index_of(name)?;
        point.get(index).map(|coordinate| self.inner.parameters[index].domain.value(coordinate))
    }

    /// The point as a JSON object of names and values: how it is stored and shown.
    pub fn point_to_json(&self, point: &Point) -> serde_json::Value {
        let map = self.values(point).map(|(name, value)| {
            let value = match value {
                Value::Bool(truth) => truth.into(),
                Value::Int(number) => number.into(),
                Value::Float(number) => number.into(),
                Value::Text(text) => text.into(),
            };
            (name.to_owned(), value)
        });
        serde_json::Value::Object(map.collect())
    }

    /// The point with these values; the error says which name or value does not fit.
    /// Constraints are not looked at: see `check`.
    pub fn point_from_values<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Result<Point, String> {
        let mut flat = vec![f64::NAN; self.parameter_count()];
        for (name, value) in values {
            let index = self.index_of(name).ok_or_else(|| unknown_parameter(name, self.parameters()))?;
            let domain = &self.inner.parameters[index].domain;
            if !flat[index].is_nan() {
                return Err(format!("{name} has two values"));
            }
            flat[index] = domain.coordinate(&value).ok_or_else(|| {
                format!("{value} is not a value of {name}; allowed: {}", domain.describe_values())
            })?;
        }
        Ok(Point::from_flat_iter(flat))
    }

    /// The reverse of `point_to_json`.
    pub fn point_from_json(&self, json: &serde_json::Value) -> Result<Point, String> {
        let object = json.as_object().ok_or("a point is an object of names and values")?;
        let mut values = Vec::with_capacity(object.len());
        for (name, value) in object {
            let value = serde_json::from_value(value.clone())
                .map_err(|_| format!("the value of {name} must be a number, a text or a bool"))?;
            values.push((name.as_str(), value));
        }
        self.point_from_values(values)
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Space")
            .field("parameters", &self.inner.parameters)
            .field("constraints", &self.inner.constraints)
            .finish()
    }
}

impl PartialEq for Space {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
            || (self.inner.parameters == other.inner.parameters
                && self.inner.constraints == other.inner.constraints)
    }
}

impl TryFrom<Declaration> for Space {
    type Error = String;
    fn try_from(declaration: Declaration) -> Result<Self, String> {
        Space::new(declaration.parameters, declaration.constraints)
            .map_err(|errors| errors.iter().map(SpaceError::to_string).collect::<Vec<_>>().join("; "))
    }
}

impl From<Space> for Declaration {
    fn from(space: Space) -> Self {
        Declaration {
            parameters: space.inner.parameters.clone(),
            constraints: space.inner.constraints.clone(),
        }
    }
}

impl Rule {
    fn is_satisfied(&self, point: &Point) -> bool {
        match self {
            Rule::Linear { terms, relation } => {
                let (mut sum, mut magnitude) = (0.0, 0.0);
                for (index, coefficient) in terms {
                    let Some(coordinate) = point.get(*index) else { return true };
                    sum += coefficient * coordinate;
                    magnitude += (coefficient * coordinate).abs();
                }
                relation.is_satisfied(sum, magnitude)
            }
            Rule::Forbidden(conditions) => {
                !conditions.iter().all(|condition| condition.holds(point.get(condition.parameter_index)))
            }
        }
    }
}

fn unknown_parameter(name: &str, parameters: &[Parameter]) -> String {
    let names = parameters.iter().map(|parameter| parameter.name.as_str());
    format!("there is no parameter {name:?}{}", crate::nearest::did_you_mean(name, names))
}

fn resolve_constraint(
    constraint: &Constraint,
    parameters: &[Parameter],
    index_by_name: &HashMap<String, usize>,
    resolve: &dyn Fn(&Condition) -> Result<Option<Resolved>, String>,
) -> Result<Rule, String> {
    match constraint {
        Constraint::Linear(linear) => {
            let mut terms = Vec::new();
            for (name, coefficient) in &linear.terms {
                let index = *index_by_name.get(name).ok_or_else(|| unknown_parameter(name, parameters))?;
                if !parameters[index].domain.is_numeric() {
                    return Err(format!(
                        "{name} is {}: only numbers can be compared",
                        parameters[index].domain.kind()
                    ));
                }
                if !coefficient.is_finite() {
                    return Err(format!("the coefficient of {name} is not finite"));
                }
                terms.push((index, *coefficient));
            }
            if !linear.bound.is_finite() {
                return Err("the bound is not finite".into());
            }
            Ok(Rule::Linear { terms, relation: linear.clone() })
        }
        Constraint::Forbidden(conditions) if conditions.is_empty() => {
            Err("a forbidden combination needs at least one value".into())
        }
        Constraint::Forbidden(conditions) => {
            let mut resolved = Vec::new();
            for condition in conditions {
                resolved.extend(resolve(condition)?);
            }
            Ok(Rule::Forbidden(resolved))
        }
    }
}

/// A topological order, or the members of a circle.
fn parents_first(conditions: &[Vec<Resolved>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order = Vec::with_capacity(conditions.len());
    let mut placed = vec![false; conditions.len()];
    loop {
        let before = order.len();
        for index in 0..conditions.len() {
            if !placed[index] && conditions[index].iter().all(|c| placed[c.parameter_index]) {
                placed[index] = true;
                order.push(index);
            }
        }
        if order.len() == conditions.len() {
            return Ok(order);
        }
        if order.len() == before {
            break;
        }
    }
    // everything left has a parent that is left: walking up must come round
    let left = |index: &usize| !placed[*index];
    let mut path: Vec<usize> = (0..conditions.len()).filter(left).take(1).collect();
    loop {
        let last = path[path.len() - 1];
        let parent = conditions[last].iter().map(|c| c.parameter_index).find(left).unwrap_or(last);
        if let Some(start) = path.iter().position(|index| *index == parent) {
            return Err(path.split_off(start));
        }
        path.push(parent);
    }
}

#[cfg(test)]
mod tests;
