//! Synthetic test functions as an objective: cheap, exactly repeatable, and their best value is known.
//!
//! For benchmarks, examples and tests. The functions with their bounds, optima and sources are data in
//! [`functions`]; [`Synthetic`] evaluates one of them, with noise and delay on request.

#![forbid(unsafe_code)]

mod formulas;
pub mod functions;
mod instance;
pub mod mixed;
mod objective;
pub mod pipeline;

pub use objective::{Options, Synthetic};

ansatz_core::export_plugin! { objectives: [Synthetic] }
