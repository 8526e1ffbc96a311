//! When a parameter is active, and which combinations are forbidden: statements about other parameters.

use super::parameter::{Domain, Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A statement about one parameter. It never holds where that parameter is inactive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The parameter that is looked at.
    pub parameter: String,
    /// What is asked of its value.
    pub test: Test,
}

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Test {
    /// It is this value.
    Equals(Value),
    /// It is one of these values.
    Among(Vec<Value>),
    /// It lies between these bounds, both inclusive. Numeric parameters only.
    Within {
        /// Smallest value for which it holds.
        lower: f64,
        /// Largest value for which it holds.
        upper: f64,
    },
}

impl Condition {
    /// Holds where `parameter` has this value.
    pub fn equals(parameter: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { parameter: parameter.into(), test: Test::Equals(value.into()) }
    }

    /// Holds where `parameter` has one of these values.
    pub fn among<V: Into<Value>>(parameter: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self { parameter: parameter.into(), test: Test::Among(values.into_iter().map(Into::into).collect()) }
    }

    /// Holds where `parameter` lies in `[lower, upper]`.
    pub fn within(parameter: impl Into<String>, lower: f64, upper: f64) -> Self {
        Self { parameter: parameter.into(), test: Test::Within { lower, upper } }
    }

    /// Compiles the test against the domain of its parameter; the error says what can never hold.
    pub(super) fn resolve(&self, parameter_index: usize, domain: &Domain) -> Result<Resolved, String> {
        let coordinate = |value: &Value| {
            domain.coordinate(value).ok_or_else(|| {
                format!("{} never has the value {value}{}", self.parameter, allowed_values(domain))
            })
        };
        let test = match &self.test {
            Test::Equals(value) => ResolvedTest::Among(vec![coordinate(value)?]),
            Test::Among(values) if values.is_empty() => {
                return Err(format!("the list of values of {} is empty", self.parameter));
            }
            Test::Among(values) => {
                ResolvedTest::Among(values.iter().map(coordinate).collect::<Result<_, _>>()?)
            }
            Test::Within { .. } if !domain.is_numeric() => {
                return Err(format!("{} is {}: a range needs a number", self.parameter, domain.kind()));
            }
            Test::Within { lower, upper } => {
                if lower.is_nan() || upper.is_nan() || lower > upper {
                    return Err(format!("the range {lower} to {upper} is empty"));
                }
                let (low, high) = (domain.written_bound(*lower), domain.written_bound(*upper));
                if high < domain.lower() || low > domain.upper() {
                    return Err(format!(
                        "{} lies between {} and {}, never between {lower} and {upper}",
                        self.parameter,
                        domain.lower(),
                        domain.upper()
                    ));
                }
                ResolvedTest::Within(low, high)
            }
        };
        Ok(Resolved { parameter_index, test })
    }
}

fn allowed_values(domain: &Domain) -> String {
    match domain {
        Domain::Categorical { choices: values } | Domain::Ordinal { values } => {
            let names: Vec<String> = values.iter().take(12).map(Value::to_string).collect();
            format!("; it has {}", names.join(", "))
        }
        Domain::Bool => "; it has true, false".into(),
        Domain::Float { .. } | Domain::Int { .. } => {
            format!("; it lies between {} and {}", domain.lower(), domain.upper())
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.test {
            Test::Equals(value) => write!(formatter, "{} = {value}", self.parameter),
            Test::Among(values) => {
                let names: Vec<String> = values.iter().map(Value::to_string).collect();
                write!(formatter, "{} in [{}]", self.parameter, names.join(", "))
            }
            Test::Within { lower, upper } => {
                write!(formatter, "{lower} <= {} <= {upper}", self.parameter)
            }
        }
    }
}

/// A condition with its parameter by index and its values as coordinates.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resolved {
    pub parameter_index: usize,
    pub test: ResolvedTest,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ResolvedTest {
    Among(Vec<f64>),
    Within(f64, f64),
}

impl Resolved {
    /// Whether it holds for the coordinate of its parameter; `None` is inactive.
    pub fn holds(&self, coordinate: Option<f64>) -> bool {
        match (coordinate, &self.test) {
            (None, _) => false,
            (Some(c), ResolvedTest::Among(values)) => values.contains(&c),
            (Some(c), ResolvedTest::Within(lower, upper)) => (*lower..=*upper).contains(&c),
        }
    }
}
