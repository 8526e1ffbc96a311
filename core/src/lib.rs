//! The vocabulary of Ansatz, and the contract between the host and what others ship.
//!
//! A plugin author needs this crate alone: `Strategy`, `Objective` or `EarlyStopping`, the `space` with its encoding and
//! feasible sampling, the `rng`, and `export_plugin!`. The host builds studies from the same types.
//! There is no file, clock, thread or environment in here.
//!
//! ```
//! use ansatz_core::{Capability, Descriptor, NoOptions, Observation, Pending, Problem, Strategy, StrategyError, Suggestion};
//! use ansatz_core::rng::Rng;
//!
//! /// Proposes points at random.
//! struct Dice { problem: Problem, rng: Rng }
//!
//! impl Strategy for Dice {
//!     const DESCRIPTOR: Descriptor = Descriptor {
//!         name: "com.example.dice",
//!         summary: "points at random",
//!         capabilities: &Capability::ANY_SPACE,
//!     };
//!     type Options = NoOptions;
//!
//!     fn new(problem: &Problem, _: NoOptions, rng: Rng) -> Result<Self, StrategyError> {
//!         Ok(Dice { problem: problem.clone(), rng })
//!     }
//!     fn ask(&mut self, count: usize, _: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
//!         Ok((0..count).filter_map(|_| self.problem.space.sample(&mut self.rng)).map(Suggestion::new).collect())
//!     }
//!     fn tell(&mut self, _: &[Observation]) -> Result<(), StrategyError> {
//!         Ok(())
//!     }
//! }
//! ansatz_core::export_plugin! { strategies: [Dice] }
//! ```

pub mod capability;
pub mod curve;
pub mod early_stopping;
#[doc(hidden)]
pub mod glue;
pub mod incumbent;
pub mod metric;
pub mod nearest;
pub mod objective;
pub mod prediction;
pub mod problem;
pub mod rng;
pub mod space;
pub mod strategy;
pub mod study;
pub mod trial;

pub use capability::Capability;
pub use curve::{Curve, CurvePoint};
pub use early_stopping::{EarlyStopping, EarlyStoppingError, Promotion, Report, Ruling};
pub use metric::{Goal, Measurement, Metric, OutcomeConstraint, Reading, Side};
pub use objective::{
    Assignment, Context, Continued, EvaluationError, Objective, ObjectiveError, Reporter, Surroundings,
    Verdict,
};
pub use prediction::{Prediction, Recommendation};
pub use problem::{FidelityRange, Problem};
pub use space::{Point, Space, Value};
pub use strategy::{
    Descriptor, Losses, NoOptions, Observation, ObservedResult, Pending, Strategy, StrategyError, Suggestion,
};
pub use study::{Study, StudyRules};
pub use trial::{Failure, Outcome, TrialId};

#[doc(hidden)]
pub use ansatz_abi as abi;
pub use schemars;
pub use serde;
