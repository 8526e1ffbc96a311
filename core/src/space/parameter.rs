//! One dimension of the search space: its name, its domain, and when it is active.
//!
//! A coordinate is a parameter's value as one `f64`: floats and ints as they are, categorical and
//! ordinal values by their index, bools as 0 or 1. `Value` is the same thing as people write it.

use super::condition::Condition;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The largest magnitude of an integer parameter: 2^53, up to which every integer is an exact `f64`.
pub const INTEGER_MAGNITUDE_MAX: i64 = 1 << 53;

/// A value as a person or an objective sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite real number.
    Float(f64),
    /// A text.
    Text(String),
}

impl Value {
    /// The value as a number; `None` for texts and bools.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            Value::Bool(_) | Value::Text(_) => None,
        }
    }

    /// The value as text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether both mean the same: as `==`, and an int equals the float of the same size.
    pub fn means(&self, other: &Value) -> bool {
        self == other || matches!((self.as_f64(), other.as_f64()), (Some(a), Some(b)) if a == b)
    }
}

impl fmt::Display for Value {
    /// Texts bare, floats in the shortest form that reads back to the same bits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(value) => write!(formatter, "{value}"),
            Value::Int(value) => write!(formatter, "{value}"),
            Value::Float(value) if *value != 0.0 && !(1e-4..1e15).contains(&value.abs()) => {
                write!(formatter, "{value:e}")
            }
            Value::Float(value) => write!(formatter, "{value}"),
            Value::Text(value) => formatter.write_str(value),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

/// How distances along a numeric parameter are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// By difference.
    #[default]
    Linear,
    /// By ratio; the lower bound must be above 0.
    Log,
}

/// What values a parameter may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// Real numbers in `[lower, upper]`; with a step, only `lower + k * step`.
    Float {
        /// Smallest value, inclusive.
        lower: f64,
        /// Largest value, inclusive (with a step: the last grid value not above it).
        upper: f64,
        /// How distances are measured.
        #[serde(default)]
        scale: Scale,
        /// Distance of neighbouring values, above 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<f64>,
    },
    /// Whole numbers `lower, lower + step, ...` up to `upper`, of magnitude at most 2^53.
    Int {
        /// Smallest value, inclusive.
        lower: i64,
        /// Largest value, inclusive (the last grid value not above it).
        upper: i64,
        /// How distances are measured.
        #[serde(default)]
        scale: Scale,
        /// Distance of neighbouring values, at least 1.
        #[serde(default = "one")]
        step: i64,
    },
    /// One of several values without an order.
    Categorical {
        /// The values, all different; the coordinate is the index.
        choices: Vec<Value>,
    },
    /// One of several values whose order means something.
    Ordinal {
        /// The values from first to last, all different; the coordinate is the index.
        values: Vec<Value>,
    },
    /// False or true.
    Bool,
}

fn one() -> i64 {
    1
}

/// How far a number may be from a level that it stands for, in steps.
const LEVEL_ROUNDING: f64 = 1e-9;

/// Values that a message lists.
const LISTED_MAX: usize = 20;

impl Domain {
    /// How many different values there are; `None` for a float without a step.
    /// A one-value float range counts 1.
    pub fn value_count(&self) -> Option<u64> {
        match self {
            Domain::Float { lower, upper, .. } if lower == upper => Some(1),
            Domain::Float { lower, upper, step: Some(step), .. } => {
                Some(((upper - lower) / step * (1.0 + 1e-12)).floor() as u64 + 1)
            }
            Domain::Float { step: None, .. } => None,
            Domain::Int { lower, upper, step, .. } => Some(upper.abs_diff(*lower) / step.unsigned_abs() + 1),
            Domain::Categorical { choices } => Some(choices.len() as u64),
            Domain::Ordinal { values } => Some(values.len() as u64),
            Domain::Bool => Some(2),
        }
    }

    /// The coordinate of the `index`-th value of a domain with a finite count, counted from the lowest.
    /// Indices beyond the last give the last.
    pub fn nth(&self, index: u64) -> f64 {
        let index = index.min(self.value_count().map_or(0, |count| count - 1));
        match self {
            Domain::Float { lower, upper, step, .. } => {
                (lower + index as f64 * step.unwrap_or(0.0)).min(*upper)
            }
            Domain::Int { lower, step, .. } => (*lower + index as i64 * step) as f64,
            Domain::Categorical { .. } | Domain::Ordinal { .. } | Domain::Bool => index as f64,
        }
    }

    /// The nearest allowed coordinate. Values outside are clamped; NaN becomes the lower end.
    pub fn snap(&self, coordinate: f64) -> f64 {
        let snapped = match self {
            Domain::Float { lower, upper, step: None, .. } => coordinate.clamp(*lower, *upper),
            Domain::Float { lower, step: Some(step), .. } => {
                let index = ((coordinate - lower) / step).round().max(0.0);
                return self.nth(index as u64);
            }
            Domain::Int { lower, step, .. } => {
                let index = ((coordinate - *lower as f64) / *step as f64).round().max(0.0);
                return self.nth(index as u64);
            }
            _ => return self.nth(coordinate.round().max(0.0) as u64),
        };
        if snapped.is_nan() { self.lower() } else { snapped }
    }

    /// Whether the coordinate is one of the domain's values, exactly.
    pub fn contains(&self, coordinate: f64) -> bool {
        coordinate.is_finite() && self.snap(coordinate) == coordinate
    }

    /// The coordinate that a number written by a person stands for, `None` if it is none of the domain's: the levels of a float
    /// with a step are sums that a decimal differs from by rounding (0 + 3 × 0.1 is not 0.3).
    fn written(&self, number: f64) -> Option<f64> {
        let slack = match self {
            Domain::Float { step: Some(step), .. } => LEVEL_ROUNDING * step,
            _ => 0.0,
        };
        let snapped = self.snap(number);
        (number.is_finite() && (snapped - number).abs() <= slack).then_some(snapped)
    }

    /// A bound of a range written by a person: a level that it differs from by rounding, or as it is.
    pub(super) fn written_bound(&self, number: f64) -> f64 {
        self.written(number).unwrap_or(number)
    }

    /// The lowest coordinate.
    pub fn lower(&self) -> f64 {
        match self {
            Domain::Float { lower, .. } => *lower,
            Domain::Int { lower, .. } => *lower as f64,
            _ => 0.0,
        }
    }

    /// The highest coordinate.
    pub fn upper(&self) -> f64 {
        match self {
            Domain::Float { upper, step: None, .. } => *upper,
            _ => self.nth(u64::MAX),
        }
    }

    /// Whether the coordinate is a size, so that it may stand in a linear constraint or a range.
    pub fn is_numeric(&self) -> bool {
        matches!(self, Domain::Float { .. } | Domain::Int { .. })
    }

    /// The value of a coordinate, as people see it.
    pub fn value(&self, coordinate: f64) -> Value {
        let at = |values: &[Value]| {
            let index = (coordinate.max(0.0) as usize).min(values.len().saturating_sub(1));
            values.get(index).cloned().unwrap_or(Value::Float(coordinate))
        };
        match self {
            Domain::Float { .. } => Value::Float(coordinate),
            Domain::Int { .. } => Value::Int(coordinate as i64),
            Domain::Categorical { choices } => at(choices),
            Domain::Ordinal { values } => at(values),
            Domain::Bool => Value::Bool(coordinate != 0.0),
        }
    }

    /// The coordinate of a value, or `None` where the value is not in the domain. Of a float with a step the nearest level,
    /// if the value differs from it by no more than rounding.
    pub fn coordinate(&self, value: &Value) -> Option<f64> {
        let position = |values: &[Value]| {
            values.iter().position(|candidate| candidate.means(value)).map(|index| index as f64)
        };
        match self {
            Domain::Float { .. } | Domain::Int { .. } => value.as_f64().and_then(|v| self.written(v)),
            Domain::Categorical { choices } => position(choices),
            Domain::Ordinal { values } => position(values),
            Domain::Bool => match value {
                Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
                _ => None,
            },
        }
    }

    /// What is wrong with this domain, in words for the person who wrote it; `Ok` if nothing.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Domain::Float { lower, upper, scale, step } => {
                if !lower.is_finite() || !upper.is_finite() {
                    return Err("both bounds must be finite".into());
                }
                check_range(*lower, *upper, *scale)?;
                match step {
                    Some(step) if !(step.is_finite() && *step > 0.0) => {
                        Err(format!("the step must be above 0, found {step}"))
                    }
                    Some(step) if (upper - lower) / step > 2f64.powi(53) => {
                        Err(format!("the step {step} is too small for the range {lower} to {upper}"))
                    }
                    _ => Ok(()),
                }
            }
            Domain::Int { lower, upper, scale, step } => {
                for bound in [lower, upper] {
                    if bound.unsigned_abs() > INTEGER_MAGNITUDE_MAX as u64 {
                        return Err(format!("integers beyond 2^53 cannot be told apart, found {bound}"));
                    }
                }
                check_range(*lower as f64, *upper as f64, *scale)?;
                if upper.abs_diff(*lower) > INTEGER_MAGNITUDE_MAX as u64 {
                    return Err(format!(
                        "a range of more than 2^53 integers has gaps, found {lower} to {upper}"
                    ));
                }
                if *step < 1 {
                    return Err(format!("the step must be at least 1, found {step}"));
                }
                Ok(())
            }
            Domain::Categorical { choices: values } | Domain::Ordinal { values } => {
                if values.is_empty() {
                    return Err("needs at least one value".into());
                }
                for (index, value) in values.iter().enumerate() {
                    if matches!(value, Value::Float(number) if !number.is_finite()) {
                        return Err(format!("the value {value} is not finite"));
                    }
                    if values[..index].iter().any(|earlier| earlier.means(value)) {
                        return Err(format!("the value {value} is listed twice"));
                    }
                }
                Ok(())
            }
            Domain::Bool => Ok(()),
        }
    }

    /// Its values in words, for messages: `from 1 to 8 in steps of 1`, `"sgd", "adam"`.
    pub fn describe_values(&self) -> String {
        let listed = |values: &[Value]| {
            let shown: Vec<String> = values.iter().take(LISTED_MAX).map(Value::to_string).collect();
            let more = if values.len() > LISTED_MAX { ", ..." } else { "" };
            shown.join(", ") + more
        };
        match self {
            Domain::Float { step: None, .. } => format!("from {} to {}", self.lower(), self.upper()),
            Domain::Float { step: Some(step), .. } => {
                format!("from {} to {} in steps of {step}", self.lower(), self.upper())
            }
            Domain::Int { step, .. } => {
                format!("from {} to {} in steps of {step}", self.lower(), self.upper())
            }
            Domain::Categorical { choices } => listed(choices),
            Domain::Ordinal { values } => listed(values),
            Domain::Bool => "true, false".to_owned(),
        }
    }

    /// The kind in one word, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Domain::Float { .. } => "float",
            Domain::Int { .. } => "int",
            Domain::Categorical { .. } => "categorical",
            Domain::Ordinal { .. } => "ordinal",
            Domain::Bool => "bool",
        }
    }
}

fn check_range(lower: f64, upper: f64, scale: Scale) -> Result<(), String> {
    if lower > upper {
        return Err(format!("the range is empty: {lower} is above {upper}; swap the bounds"));
    }
    if scale == Scale::Log && lower <= 0.0 {
        return Err(format!(
            "a log scale needs a lower bound above 0, found {lower}; raise it, for example to 1e-6, or drop scale = \"log\""
        ));
    }
    Ok(())
}

/// One dimension of the search space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Unique in its space; not empty.
    pub name: String,
    /// What values it may take.
    pub domain: Domain,
    /// All of them must hold for the parameter to be active; none means always active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl Parameter {
    /// A parameter that is always active.
    pub fn new(name: impl Into<String>, domain: Domain) -> Self {
        Self { name: name.into(), domain, conditions: Vec::new() }
    }

    /// A float in `[lower, upper]` on a linear scale.
    pub fn float(name: impl Into<String>, lower: f64, upper: f64) -> Self {
        Self::new(name, Domain::Float { lower, upper, scale: Scale::Linear, step: None })
    }

    /// An int from `lower` to `upper`, both inclusive, on a linear scale.
    pub fn int(name: impl Into<String>, lower: i64, upper: i64) -> Self {
        Self::new(name, Domain::Int { lower, upper, scale: Scale::Linear, step: 1 })
    }

    /// One of several values without an order.
    pub fn categorical<V: Into<Value>>(
        name: impl Into<String>,
        choices: impl IntoIterator<Item = V>,
    ) -> Self {
        Self::new(name, Domain::Categorical { choices: choices.into_iter().map(Into::into).collect() })
    }

    /// One of several values whose order means something.
    pub fn ordinal<V: Into<Value>>(name: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self::new(name, Domain::Ordinal { values: values.into_iter().map(Into::into).collect() })
    }

    /// False or true.
    pub fn bool(name: impl Into<String>) -> Self {
        Self::new(name, Domain::Bool)
    }

    /// The same on a log scale; no effect on domains that are not numeric.
    pub fn log(mut self) -> Self {
        if let Domain::Float { scale, .. } | Domain::Int { scale, .. } = &mut self.domain {
            *scale = Scale::Log;
        }
        self
    }

    /// The same, active only where the condition holds too.
    pub fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}
