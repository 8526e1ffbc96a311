//! Mathematics of Gaussian process surrogates for Bayesian optimisation.
//!
//! From left to right, each module knows only those before it:
//!
//! | module | what it does |
//! |---|---|
//! | [`linear_algebra`] | Cholesky factorisation, triangular solves, inverse of a factor, in panels of eight rows |
//! | [`optimise`] | projected L-BFGS on a box, used by the fit and by acquisition maximisers |
//! | [`kernel`] | Matérn-5/2 covariance over rows of the unit cube with categorical and conditional columns |
//! | [`gaussian_process`] | maximum a posteriori fit, posterior with gradient, appended observations |
//! | [`acquisition`] | log expected improvement and log probability of feasibility |
//! | [`hypervolume`](mod@hypervolume) | several objectives: fronts, hypervolume, its log expected improvement, scalarisation |
//! | [`warp`] | monotone transformations of losses before the fit |
//!
//! Left out on purpose: search spaces and their encoding (the core crate has them), candidate generation and the
//! choice among candidates (the strategies have them), randomness. Every function here is deterministic, and none
//! uses fused multiplication or a platform's own exponential, so that results agree bit for bit between machines.
//!
//! Losses are always minimised.
#![forbid(unsafe_code)]

pub mod acquisition;
mod error;
pub mod gaussian_process;
#[cfg(test)]
mod generator;
pub mod hypervolume;
pub mod kernel;
pub mod linear_algebra;
pub mod optimise;
mod vectorised;
pub mod warp;

pub use acquisition::{Acquisition, log_expected_improvement, log_normal_cdf, log_probability_below};
pub use error::SurrogateError;
pub use gaussian_process::{FitOptions, GaussianProcess, Hyperparameters, Posterior, Start, Targets};
pub use hypervolume::{
    ExpectedHypervolume, augmented_chebyshev, hypervolume, non_dominated, outer_reference_point,
    reference_point, simplex_weights,
};
pub use kernel::{Column, Design, Kernel};
pub use optimise::{Descent, Minimum, OptimiseOptions, minimise};
pub use warp::Warp;
