//! Between the author's side of the contract and the boundary. Written for `export_plugin!` and the
//! host; authors never name it.

pub mod convert;
mod early_stopping;
pub mod export;
mod guard;
mod told;

pub use told::TrialSet;

pub use early_stopping::early_stopping;
pub use export::{create_objective, create_strategy, objective, plugin, strategy};
// the lists of `export_plugin!` have these names
pub use export::{objective as objectives, strategy as strategies};
