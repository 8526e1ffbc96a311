//! What can go wrong in a surrogate.

use std::fmt;

/// Why a surrogate could not be built or extended.
#[derive(Clone, Debug, PartialEq)]
pub enum SurrogateError {
    /// Two arguments disagree about a length.
    LengthMismatch {
        /// The argument with the wrong length.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that the other arguments imply.
        expected: usize,
    },
    /// A number is NaN or infinite where a finite one is needed.
    NotFinite {
        /// The argument that holds it.
        what: &'static str,
        /// Its position in that argument.
        index: usize,
    },
    /// A model needs at least one observation.
    Empty,
    /// The covariance matrix stayed indefinite on every step of the jitter ladder.
    NotPositiveDefinite {
        /// Number of observations.
        row_count: usize,
    },
}

impl fmt::Display for SurrogateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LengthMismatch { what, found, expected } => {
                write!(formatter, "{what}: expected length {expected}, found {found}")
            }
            Self::NotFinite { what, index } => {
                write!(
                    formatter,
                    "{what}: entry {index} is not finite; leave out or impute it before the fit"
                )
            }
            Self::Empty => {
                formatter.write_str("a Gaussian process needs at least one observation, found none")
            }
            Self::NotPositiveDefinite { row_count } => write!(
                formatter,
                "the covariance of {row_count} observations is not positive definite even with jitter; \
                 raise the noise or merge repeated points"
            ),
        }
    }
}

impl std::error::Error for SurrogateError {}

/// Checks one length.
pub(crate) fn expect_length(what: &'static str, found: usize, expected: usize) -> Result<(), SurrogateError> {
    if found == expected { Ok(()) } else { Err(SurrogateError::LengthMismatch { what, found, expected }) }
}

/// Checks that all numbers are finite.
pub(crate) fn expect_finite(what: &'static str, values: &[f64]) -> Result<(), SurrogateError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(SurrogateError::NotFinite { what, index }),
    }
}
