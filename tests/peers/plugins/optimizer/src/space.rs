//! The space of a study as the protocol describes it. A coordinate is one number: floats and ints as they are, other
//! values by their index, bools 0 or 1; `None` where a parameter is inactive.

use serde_json::Value;

use crate::Fault;

pub type Point = Vec<Option<f64>>;

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Float,
    Int,
    Ordinal,
    /// Categorical or bool: no order.
    Choice,
}

pub struct Parameter {
    pub name: String,
    pub kind: Kind,
    pub lower: f64,
    pub upper: f64,
    pub log: bool,
    /// Distance of neighbouring values; `None` for a float without gaps.
    pub step: Option<f64>,
    /// How many values there are; `None` for a float without gaps.
    pub count: Option<u64>,
    /// Those of all but numbers.
    values: Vec<Value>,
    conditions: Vec<Condition>,
}

/// Holds where another parameter is active and has one of these values, or lies within a range.
struct Condition {
    index: usize,
    test: Test,
}

enum Test {
    Among(Vec<f64>),
    Within(f64, f64),
}

pub struct Space {
    pub parameters: Vec<Parameter>,
    /// Indices, each after those that its conditions speak of.
    pub parents_first: Vec<usize>,
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

impl Parameter {
    fn read(declaration: &Value) -> Result<Self, Fault> {
        let name = declaration["name"].as_str().unwrap_or_default().to_owned();
        let domain = &declaration["domain"];
        let unknown = || Fault::unsupported(format!("parameter {name}: this plugin does not know {domain}"));
        let (kind, body) = match domain {
            Value::String(kind) => (kind.as_str(), &Value::Null),
            Value::Object(map) => map.iter().next().map(|(k, v)| (k.as_str(), v)).ok_or_else(unknown)?,
            _ => return Err(unknown()),
        };
        let mut values = Vec::new();
        let mut step = number(&body["step"]);
        let (mut lower, mut upper) = (0.0, 0.0);
        let kind = match kind {
            "float" | "int" => {
                lower = number(&body["lower"]).ok_or_else(unknown)?;
                upper = number(&body["upper"]).ok_or_else(unknown)?;
                if kind == "int" { Kind::Int } else { Kind::Float }
            }
            "categorical" | "ordinal" => {
                let (key, kind) =
                    if kind == "ordinal" { ("values", Kind::Ordinal) } else { ("choices", Kind::Choice) };
                values = body[key].as_array().ok_or_else(unknown)?.clone();
                kind
            }
            "bool" => {
                values = vec![Value::Bool(false), Value::Bool(true)];
                Kind::Choice
            }
            _ => return Err(unknown()),
        };
        let mut count = None;
        if !values.is_empty() {
            upper = (values.len() - 1) as f64;
        }
        if kind != Kind::Float {
            step = step.or(Some(1.0));
        }
        if lower == upper {
            count = Some(1);
        } else if let Some(step) = step {
            // a float's last step may miss the bound by a rounding error
            let steps = ((upper - lower) / step * (1.0 + 1e-12)).floor();
            count = Some(steps as u64 + 1);
            upper = upper.min(lower + steps * step);
        }
        let log = body["scale"] == "log";
        Ok(Self { name, kind, lower, upper, log, step, count, values, conditions: Vec::new() })
    }

    /// The nearest allowed coordinate; NaN becomes the lower end.
    pub fn snap(&self, coordinate: f64) -> f64 {
        if coordinate >= self.upper {
            return self.upper;
        }
        if coordinate.is_nan() || coordinate <= self.lower {
            return self.lower;
        }
        match self.step {
            Some(step) => {
                (self.lower + ((coordinate - self.lower) / step + 0.5).floor() * step).min(self.upper)
            }
            None => coordinate,
        }
    }

    pub fn is_fixed(&self) -> bool {
        self.count == Some(1)
    }

    /// What an inactive parameter counts as for a library that wants a value.
    pub fn middle(&self) -> f64 {
        self.snap(if self.log { (self.lower * self.upper).sqrt() } else { 0.5 * (self.lower + self.upper) })
    }

    /// The coordinate of a value in a condition.
    fn coordinate(&self, value: &Value) -> Option<f64> {
        if self.values.is_empty() {
            return number(value);
        }
        let same = |other: &Value| other == value || number(other).is_some_and(|n| number(value) == Some(n));
        self.values.iter().position(same).map(|index| index as f64)
    }
}

impl Condition {
    fn holds(&self, x: &[Option<f64>]) -> bool {
        x[self.index].is_some_and(|coordinate| match &self.test {
            Test::Among(values) => values.contains(&coordinate),
            Test::Within(lower, upper) => (*lower..=*upper).contains(&coordinate),
        })
    }
}

impl Space {
    pub fn read(declaration: &Value) -> Result<Self, Fault> {
        let declared = declaration["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        let mut parameters = declared.iter().map(Parameter::read).collect::<Result<Vec<_>, _>>()?;
        for (index, declaration) in declared.iter().enumerate() {
            let conditions = declaration["conditions"].as_array().map_or(&[][..], Vec::as_slice);
            parameters[index].conditions = conditions
                .iter()
                .map(|condition| Self::condition(&parameters, condition))
                .collect::<Result<Vec<_>, _>>()?;
        }
        let mut parents_first = Vec::new();
        while parents_first.len() < parameters.len() {
            let is_known = |condition: &Condition| parents_first.contains(&condition.index);
            let is_next =
                |&i: &usize| !parents_first.contains(&i) && parameters[i].conditions.iter().all(is_known);
            let Some(next) = (0..parameters.len()).find(is_next) else {
                return Err(Fault::invalid("the conditions go in a circle"));
            };
            parents_first.push(next);
        }
        Ok(Self { parameters, parents_first })
    }

    fn condition(parameters: &[Parameter], condition: &Value) -> Result<Condition, Fault> {
        let unknown = || Fault::unsupported(format!("this plugin does not know the condition {condition}"));
        let index = parameters.iter().position(|p| condition["parameter"] == p.name).ok_or_else(unknown)?;
        let test = &condition["test"];
        let parent = &parameters[index];
        let among = |values: &[Value]| {
            values.iter().map(|value| parent.coordinate(value)).collect::<Option<Vec<_>>>().map(Test::Among)
        };
        let test = if let Some(value) = test.get("equals") {
            among(std::slice::from_ref(value))
        } else if let Some(values) = test.get("among").and_then(Value::as_array) {
            among(values)
        } else {
            // an open side may be null
            test.get("within").map(|range| {
                Test::Within(
                    number(&range["lower"]).unwrap_or(f64::NEG_INFINITY),
                    number(&range["upper"]).unwrap_or(f64::INFINITY),
                )
            })
        };
        Ok(Condition { index, test: test.ok_or_else(unknown)? })
    }

    /// Whether a parameter is active, given the coordinates of those before it in `parents_first`.
    pub fn is_active(&self, index: usize, x: &[Option<f64>]) -> bool {
        self.parameters[index].conditions.iter().all(|condition| condition.holds(x))
    }

    /// The point with these coordinates, one per parameter: inactive ones are dropped.
    pub fn assemble(&self, coordinates: &[f64]) -> Point {
        let mut x = vec![None; coordinates.len()];
        for &index in &self.parents_first {
            if self.is_active(index, &x) {
                x[index] = Some(self.parameters[index].snap(coordinates[index]));
            }
        }
        x
    }
}
