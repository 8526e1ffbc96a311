//! Space-filling points in the unit cube, for initial designs and for strategies that only sample.
//!
//! Rows of numbers, nothing else: what a row means is for `ansatz_core::space::Encoding` to say.
//! Uniform random rows are a line of `rand` and not here; normal numbers are.

#![forbid(unsafe_code)]

mod latin_hypercube;
mod normal;
mod sobol;

pub use latin_hypercube::latin_hypercube;
pub use normal::standard_normal;
pub use sobol::{DIMENSION_MAX, SEQUENCE_LENGTH, Sobol, sobol_point};
