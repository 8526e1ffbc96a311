//! The mixed function: a stand-in for tuning a learning pipeline, with every type of parameter, two levels
//! of conditions and an interaction. It is our own definition; its optimum is known because the value is a
//! sum of terms that are never negative and all vanish at one point.
//!
//! | parameter | type | active when |
//! |---|---|---|
//! | `model` | categorical `linear`, `forest`, `network` | always |
//! | `standardise` | bool | always |
//! | `penalty` | float, log, 1e-6 to 100 | `model = linear` |
//! | `tree_count` | int, log, 10 to 1000 | `model = forest` |
//! | `tree_depth` | int, 1 to 32 | `model = forest` |
//! | `layer_count` | int, 1 to 6 | `model = network` |
//! | `batch_size` | ordinal 16, 32, 64, 128, 256 | `model = network` |
//! | `learning_rate` | float, log, 1e-5 to 1 | `model = network` |
//! | `regularise` | bool | `model = network` |
//! | `dropout` | float, 0 to 0.9 | `regularise = true` |

use ansatz_core::space::{Condition, Parameter};
use std::f64::consts::PI;

/// Values of `model`, in order.
pub const MODELS: [&str; 3] = ["linear", "forest", "network"];
/// Levels of `batch_size`, in order.
pub const BATCH_SIZES: [i64; 5] = [16, 32, 64, 128, 256];
/// Bounds of `penalty`.
pub const PENALTY: (f64, f64) = (1e-6, 100.0);
/// Bounds of `tree_count`.
pub const TREE_COUNT: (i64, i64) = (10, 1000);
/// Bounds of `tree_depth`.
pub const TREE_DEPTH: (i64, i64) = (1, 32);
/// Bounds of `layer_count`.
pub const LAYER_COUNT: (i64, i64) = (1, 6);
/// Bounds of `learning_rate`.
pub const LEARNING_RATE: (f64, f64) = (1e-5, 1.0);
/// Bounds of `dropout`.
pub const DROPOUT: (f64, f64) = (0.0, 0.9);

/// The least value.
pub const OPTIMUM: f64 = 0.05;
/// The only point where it is reached; `learning_rate` there is 10^-2.5.
pub const OPTIMISER: Pipeline = Pipeline {
    standardise: true,
    model: Model::Network {
        layer_count: 3,
        batch_size_index: 2,
        learning_rate: 0.003_162_277_660_168_379_5,
        dropout: Some(0.3),
    },
};

/// One point of the mixed function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pipeline {
    /// Whether inputs are standardised; costs 0.1 if not, 0.01 for a forest.
    pub standardise: bool,
    /// The model with its own parameters.
    pub model: Model,
}

/// The value of `model` with the parameters it makes active.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Model {
    /// At best 0.35.
    Linear {
        /// Best at 0.01.
        penalty: f64,
    },
    /// At best 0.2.
    Forest {
        /// Best at 300.
        tree_count: i64,
        /// Best at 12.
        tree_depth: i64,
    },
    /// At best 0.05.
    Network {
        /// Best at 3.
        layer_count: i64,
        /// Index into [`BATCH_SIZES`], best at 2; the best learning rate grows with it.
        batch_size_index: usize,
        /// Best at 10^-2.5 for the best batch size, with local minima on either side.
        learning_rate: f64,
        /// Present when `regularise` is true; best at 0.3. Without it the value is 0.04 higher.
        dropout: Option<f64>,
    },
}

/// The parameters of the whole function, in the order of the table above.
pub fn parameters() -> Vec<Parameter> {
    let when = |model: &str| Condition::equals("model", model.to_owned());
    vec![
        Parameter::categorical("model", MODELS.map(str::to_owned)),
        Parameter::bool("standardise"),
        Parameter::float("penalty", PENALTY.0, PENALTY.1).log().when(when("linear")),
        Parameter::int("tree_count", TREE_COUNT.0, TREE_COUNT.1).log().when(when("forest")),
        Parameter::int("tree_depth", TREE_DEPTH.0, TREE_DEPTH.1).when(when("forest")),
        Parameter::int("layer_count", LAYER_COUNT.0, LAYER_COUNT.1).when(when("network")),
        Parameter::ordinal("batch_size", BATCH_SIZES).when(when("network")),
        Parameter::float("learning_rate", LEARNING_RATE.0, LEARNING_RATE.1).log().when(when("network")),
        Parameter::bool("regularise").when(when("network")),
        Parameter::float("dropout", DROPOUT.0, DROPOUT.1).when(Condition::equals("regularise", true)),
    ]
}

/// The value at `point`, minimised: [`OPTIMUM`] at [`OPTIMISER`] and more everywhere else.
pub fn value(point: &Pipeline) -> f64 {
    let unstandardised = |cost: f64| if point.standardise { 0.0 } else { cost };
    match point.model {
        Model::Linear { penalty } => {
            let decades = libm::log10(penalty) + 2.0;
            0.35 + unstandardised(0.1) + 0.02 * decades * decades
        }
        Model::Forest { tree_count, tree_depth } => {
            let decades = libm::log10(tree_count as f64 / 300.0);
            let levels = (tree_depth - 12) as f64;
            0.2 + unstandardised(0.01) + 0.1 * decades * decades + 0.0005 * levels * levels
        }
        Model::Network { layer_count, batch_size_index, learning_rate, dropout } => {
            let layers = (layer_count - 3) as f64;
            let doublings = batch_size_index as f64 - 2.0;
            let decades = libm::log10(learning_rate) + 2.5 - 0.25 * doublings;
            let ripple = 0.02 * (1.0 - libm::cos(2.0 * PI * decades));
            let overfit = dropout.map_or(0.04, |share| 0.3 * (share - 0.3) * (share - 0.3));
            OPTIMUM
                + unstandardised(0.1)
                + 0.01 * layers * layers
                + 0.01 * doublings * doublings
                + 0.05 * decades * decades
                + ripple
                + overfit
        }
    }
}
