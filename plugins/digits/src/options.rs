//! What can be chosen about a training: the options of the manifest, and parameters of the same names.

use ansatz_core::nearest::{did_you_mean, nearest};
use ansatz_core::space::{Domain, Parameter};
use ansatz_core::{Space, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network;
use crate::training::{self, Settings};

/// How one network is trained. Whatever the search space does not decide, or leaves inactive, is taken from
/// here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Passes through the training images, 1 to 10,000. A fidelity named `epochs` takes its place.
    #[schemars(range(min = 1, max = 10_000))]
    pub epochs: u64,
    /// Step size of the optimizer, above 0.
    pub learning_rate: f64,
    /// Images per step, 1 to 1,077.
    #[schemars(range(min = 1, max = 1077))]
    pub batch_size: u64,
    /// The rule that turns gradients into steps: "adam" or "sgd".
    pub optimizer: Optimizer,
    /// Share of the last step that SGD carries on, 0 or more and below 1. Adam has none of it.
    #[schemars(range(min = 0, max = 1))]
    pub momentum: f64,
    /// Pull of the weights towards zero, 0 or more: an L2 penalty for SGD, decoupled for Adam.
    #[schemars(range(min = 0))]
    pub weight_decay: f64,
    /// Hidden layers, 0 to 4; 0 makes a linear classifier.
    #[schemars(range(min = 0, max = 4))]
    pub hidden_layers: u64,
    /// Units of each hidden layer, 1 to 1,024.
    #[schemars(range(min = 1, max = 1024))]
    pub hidden_units: u64,
    /// Activation of the hidden units: "relu", "tanh", "gelu" or "sigmoid".
    pub activation: Activation,
    /// Probability that a hidden unit is left out of a training step, 0 or more and below 1.
    #[schemars(range(min = 0, max = 1))]
    pub dropout: f64,
    /// A trial that is told to stop keeps the network in its folder, and one that continues it goes on from there.
    pub checkpoints: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            epochs: 20,
            learning_rate: 0.005,
            batch_size: 32,
            optimizer: Optimizer::Adam,
            momentum: 0.9,
            weight_decay: 0.0,
            hidden_layers: 1,
            hidden_units: 64,
            activation: Activation::Relu,
            dropout: 0.0,
            checkpoints: false,
        }
    }
}

/// The rule that turns gradients into steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam with decoupled weight decay.
    Adam,
}

/// Activation of the hidden units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(0, x).
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// Gaussian error linear unit.
    Gelu,
    /// The logistic function.
    Sigmoid,
}

/// The most epochs a trial may have.
pub(crate) const EPOCHS_MAX: u64 = 10_000;

/// The parameters that a search space may have.
pub const PARAMETERS: [&str; 9] = [
    "learning_rate",
    "batch_size",
    "optimizer",
    "momentum",
    "weight_decay",
    "hidden_layers",
    "hidden_units",
    "activation",
    "dropout",
];

impl Options {
    /// Whether every option is in its range; the error names the option and the range.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut copy = self.clone();
        let checks = [
            whole("epochs", &whole_value(self.epochs), 1, EPOCHS_MAX).map(|_| ()),
            copy.set("learning_rate", &Value::Float(self.learning_rate)),
            copy.set("batch_size", &whole_value(self.batch_size)),
            copy.set("momentum", &Value::Float(self.momentum)),
            copy.set("weight_decay", &Value::Float(self.weight_decay)),
            copy.set("hidden_layers", &whole_value(self.hidden_layers)),
            copy.set("hidden_units", &whole_value(self.hidden_units)),
            copy.set("dropout", &Value::Float(self.dropout)),
        ];
        checks.into_iter().collect::<Result<(), String>>().map_err(|message| format!("option {message}"))
    }

    /// Puts the value of a parameter in the place of the option of the same name.
    pub(crate) fn set(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match name {
            "learning_rate" => self.learning_rate = number(name, value, "above 0", |number| number > 0.0)?,
            "batch_size" => self.batch_size = whole(name, value, 1, 1077)?,
            "optimizer" => {
                self.optimizer = one_of(name, value, &[("sgd", Optimizer::Sgd), ("adam", Optimizer::Adam)])?;
            }
            "momentum" => self.momentum = number(name, value, SHARE, is_share)?,
            "weight_decay" => self.weight_decay = number(name, value, "0 or more", |number| number >= 0.0)?,
            "hidden_layers" => self.hidden_layers = whole(name, value, 0, 4)?,
            "hidden_units" => self.hidden_units = whole(name, value, 1, 1024)?,
            "activation" => {
                let known = [
                    ("relu", Activation::Relu),
                    ("tanh", Activation::Tanh),
                    ("gelu", Activation::Gelu),
                    ("sigmoid", Activation::Sigmoid),
                ];
                self.activation = one_of(name, value, &known)?;
            }
            "dropout" => self.dropout = number(name, value, SHARE, is_share)?,
            _ => {
                let mut known = PARAMETERS.to_vec();
                let nearest = nearest(name, PARAMETERS);
                known.sort_by_key(|candidate| Some(*candidate) != nearest);
                return Err(format!(
                    "{name} is unknown to objective digits{}; it has {}",
                    did_you_mean(name, PARAMETERS),
                    known.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// Whether every value that the space allows is one that this objective can train with.
    pub(crate) fn check_space(&self, space: &Space) -> Result<(), String> {
        let mut copy = self.clone();
        for parameter in space.parameters() {
            let name = &parameter.name;
            let is_whole = ["batch_size", "hidden_layers", "hidden_units"].contains(&name.as_str());
            if is_whole && matches!(parameter.domain, Domain::Float { .. }) {
                return Err(format!("parameter {name} must be whole numbers; make it an int"));
            }
            for value in extreme_values(parameter) {
                copy.set(name, &value).map_err(|message| format!("parameter {message}"))?;
            }
        }
        Ok(())
    }

    /// The form that the training takes.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            learning_rate: self.learning_rate,
            batch_size: self.batch_size as usize,
            optimizer: match self.optimizer {
                Optimizer::Sgd => training::Optimizer::Sgd { momentum: self.momentum },
                Optimizer::Adam => training::Optimizer::Adam,
            },
            weight_decay: self.weight_decay,
            hidden_layers: self.hidden_layers as usize,
            hidden_units: self.hidden_units as usize,
            activation: match self.activation {
                Activation::Relu => network::Activation::Relu,
                Activation::Tanh => network::Activation::Tanh,
                Activation::Gelu => network::Activation::Gelu,
                Activation::Sigmoid => network::Activation::Sigmoid,
            },
            dropout: self.dropout,
        }
    }
}

const SHARE: &str = "0 or more and below 1";

fn is_share(number: f64) -> bool {
    (0.0..1.0).contains(&number)
}

/// Every value of a list, or the two ends of a range: if they are allowed, all between are.
fn extreme_values(parameter: &Parameter) -> Vec<Value> {
    let domain = &parameter.domain;
    match domain {
        Domain::Categorical { choices } => choices.clone(),
        Domain::Ordinal { values } => values.clone(),
        _ => vec![domain.value(domain.lower()), domain.value(domain.upper())],
    }
}

fn whole_value(number: u64) -> Value {
    // Larger than any range allows, so that the check refuses it.
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn number(name: &str, value: &Value, range: &str, is_allowed: impl Fn(f64) -> bool) -> Result<f64, String> {
    let found = value.as_f64().filter(|number| number.is_finite() && is_allowed(*number));
    found.ok_or_else(|| format!("{name} must be a number {range}, found {}", shown(value)))
}

fn whole(name: &str, value: &Value, lower: u64, upper: u64) -> Result<u64, String> {
    let found = match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let found = found.filter(|number| (lower..=upper).contains(number));
    found.ok_or_else(|| {
        format!("{name} must be a whole number from {lower} to {upper}, found {}", shown(value))
    })
}

fn one_of<T: Copy>(name: &str, value: &Value, known: &[(&str, T)]) -> Result<T, String> {
    let found = known.iter().find(|(text, _)| value.as_str() == Some(text));
    found.map(|(_, chosen)| *chosen).ok_or_else(|| {
        let names = known.iter().map(|(text, _)| *text);
        format!(
            "{name} must be one of {}, found {}{}",
            names.clone().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", "),
            shown(value),
            value.as_str().map(|text| did_you_mean(text, names)).unwrap_or_default()
        )
    })
}

/// Texts in quotes, so that "32" is told from 32.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        _ => value.to_string(),
    }
}
