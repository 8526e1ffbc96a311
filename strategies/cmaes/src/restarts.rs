//! Where the next descent begins, and how large it is.
//!
//! Source: Hansen 2009, "Benchmarking a BI-Population CMA-ES on the BBOB-2009 Function Testbed" (BIPOP); Auger and Hansen
//! 2005, "A Restart CMA Evolution Strategy With Increasing Population Size" (IPOP).

use crate::options::Restarts as Policy;
use ansatz_core::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Populations grow no further than this.
pub(crate) const POPULATION_SIZE_MAX: usize = 50_000;

/// Which kind of descent is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Regime {
    /// The first one, which counts for neither.
    First,
    /// A population twice as large as in the last of this kind.
    Large,
    /// A small population and a small first step: a look at one place.
    Small,
}

/// A descent that is to begin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// lambda.
    pub(crate) population_size: usize,
    /// The first step is the option's times this.
    pub(crate) step_factor: f64,
    /// Trials after which it ends, whatever it found.
    pub(crate) trial_count_max: Option<u64>,
}

/// What was spent so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Restarts {
    regime: Regime,
    /// How often the large population was doubled.
    doublings: u32,
    /// Trials of all large descents, of the last of them, and of the small ones.
    large_trials: u64,
    last_large_trials: u64,
    small_trials: u64,
}

impl Restarts {
    /// The first descent is about to begin.
    pub(crate) fn none() -> Self {
        Self { regime: Regime::First, doublings: 0, large_trials: 0, last_large_trials: 0, small_trials: 0 }
    }

    /// The descent after one that took so many trials; `None` if there is to be none. `population_size` is that of the
    /// first.
    pub(crate) fn next(
        &mut self,
        policy: Policy,
        population_size: usize,
        trial_count: u64,
        rng: &mut Rng,
    ) -> Option<Plan> {
        match self.regime {
            Regime::First => {}
            Regime::Large => {
                self.large_trials = self.large_trials.saturating_add(trial_count);
                self.last_large_trials = trial_count;
            }
            Regime::Small => self.small_trials = self.small_trials.saturating_add(trial_count),
        }
        self.regime = match policy {
            Policy::None => return None,
            Policy::Ipop => Regime::Large,
            Policy::Bipop if self.regime == Regime::First || self.small_trials >= self.large_trials => {
                Regime::Large
            }
            Policy::Bipop => Regime::Small,
        };
        if self.regime == Regime::Large {
            self.doublings = self.doublings.saturating_add(1);
            let population_size = self.large_population_size(population_size);
            return Some(Plan { population_size, step_factor: 1.0, trial_count_max: None });
        }
        // lambda_s = lambda (lambda_l / 2 lambda)^(U²), sigma_s = sigma 10^(-2U)
        let ratio = self.large_population_size(population_size) as f64 / (2.0 * population_size as f64);
        let (u, v): (f64, f64) = (rng.random(), rng.random());
        let size = population_size as f64 * libm::pow(ratio.max(1.0), u * u);
        Some(Plan {
            population_size: (size as usize).clamp(population_size, POPULATION_SIZE_MAX),
            step_factor: libm::pow(10.0, -2.0 * v),
            trial_count_max: Some((self.last_large_trials / 2).max(population_size as u64)),
        })
    }

    fn large_population_size(&self, first: usize) -> usize {
        first.saturating_mul(1 << self.doublings.min(30)).clamp(first, POPULATION_SIZE_MAX.max(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn populations_double_and_small_ones_have_as_much_to_spend() {
        let mut rng = Rng::new(1);
        let mut restarts = Restarts::none();
        let mut sizes = Vec::new();
        let (mut large, mut small) = (0, 0);
        let mut trial_count = 300;
        for _ in 0..60 {
            let plan = restarts.next(Policy::Bipop, 10, trial_count, &mut rng).unwrap();
            trial_count = 100 * plan.population_size as u64;
            match plan.trial_count_max {
                None => {
                    sizes.push(plan.population_size);
                    assert_eq!(plan.step_factor, 1.0);
                    large += trial_count;
                }
                Some(most) => {
                    trial_count = trial_count.min(most);
                    assert!((0.01..=1.0).contains(&plan.step_factor), "{plan:?}");
                    assert!((10..=*sizes.last().unwrap()).contains(&plan.population_size), "{plan:?}");
                    small += trial_count;
                }
            }
            assert!(small <= large + trial_count);
        }
        assert!(sizes.len() > 3, "{sizes:?}");
        assert!(
            sizes.iter().zip(1..).all(|(size, k)| *size == (10 << k).min(POPULATION_SIZE_MAX)),
            "{sizes:?}"
        );
    }

    #[test]
    fn other_policies_have_no_small_ones_or_none_at_all() {
        let mut rng = Rng::new(1);
        let mut restarts = Restarts::none();
        for k in 1..20 {
            let plan = restarts.next(Policy::Ipop, 10, 50, &mut rng).unwrap();
            assert_eq!(plan.population_size, (10 << k).min(POPULATION_SIZE_MAX));
        }
        assert_eq!(Restarts::none().next(Policy::None, 10, 50, &mut rng), None);
    }
}
