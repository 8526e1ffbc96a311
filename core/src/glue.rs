//! Between the author's side of the contract and the boundary. Written for `export_plugin!` and the
//! host; authors never name it.

pub mod convert;
pub mod export;
mod guard;
mod told;

pub use told::TrialSet;

pub use export::{create_objective, create_strategy, objective, plugin, strategy};
