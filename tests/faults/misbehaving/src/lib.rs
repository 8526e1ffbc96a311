//! A strategy, an objective and an early-stopping rule that do what plugins should not, one misdeed at a time, chosen by option.
//!
//! Without a misdeed they are ordinary: random points, and the sum of squares of the coordinates as the
//! value of every metric.

#![forbid(unsafe_code)]
#![allow(clippy::panic, reason = "panics are among the misdeeds")]

mod curve;
mod objective;
mod rule;
mod strategy;

pub use curve::Curve;
pub use objective::MisbehavingObjective;
pub use rule::MisbehavingRule;
pub use strategy::MisbehavingStrategy;

ansatz_core::export_plugin! {
    strategies: [MisbehavingStrategy],
    objectives: [MisbehavingObjective, Curve],
    early_stopping: [MisbehavingRule],
}
