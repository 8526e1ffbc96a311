//! Early-stopping rules: each stops what is worse than the mean so far, and has a misdeed.

use ansatz_core::abi::ComponentRef;
use ansatz_core::abi::abi_stable::std_types::RVec;
use ansatz_core::rng::Rng;
use ansatz_core::{
    Capability, Descriptor, EarlyStopping, EarlyStoppingError, NoOptions, Observation, ObservedResult,
    Problem, Report, Ruling,
};
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;

/// Which misdeed a rule has: a type, so that each is a component of its own.
pub trait Fault: Send + 'static {
    const NAME: &'static str;
    const MISDEED: Misdeed;
}

macro_rules! misdeeds {
    ($($(#[$doc:meta])* $misdeed:ident $name:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Misdeed { $($(#[$doc])* $misdeed),* }

        pub mod fault {
            use super::{Fault, Misdeed};
            $(
                pub struct $misdeed;
                impl Fault for $misdeed {
                    const NAME: &'static str = concat!("com.example.broken.", $name);
                    const MISDEED: Misdeed = Misdeed::$misdeed;
                }
            )*
        }

        pub fn list(components: &mut RVec<ComponentRef>) {
            $(components.push(ansatz_core::glue::early_stopping::<Judge<fault::$misdeed>>());)*
        }
    };
}

misdeeds! {
    /// Draws from the operating system.
    ByChance "by-chance";
    /// Takes every loss for a number.
    NumbersOnlyPlease "needs-numbers";
    /// Needs no evidence.
    Prejudiced "prejudiced";
    /// Takes every trial that ends for one that completed.
    Optimistic "optimistic";
    /// Claims several metrics, and compares with one that it heard before.
    OneMetric "one-metric";
    /// Has room for 10,000 reports.
    LittleRoom "little-memory";
}

/// Stops what is worse than the mean of all losses so far at steps from 3 on.
pub struct Judge<F> {
    losses: Vec<Vec<f64>>,
    reports: u64,
    chance: u64,
    fault: PhantomData<F>,
}

impl<F: Fault> EarlyStopping for Judge<F> {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: F::NAME,
        summary: "stops what is worse than the mean, with a misdeed",
        capabilities: if matches!(F::MISDEED, Misdeed::OneMetric) {
            &[Capability::MultiObjective]
        } else {
            &[]
        },
    };
    type Options = NoOptions;

    fn new(_: &Problem, _: NoOptions, _: Rng) -> Result<Self, EarlyStoppingError> {
        Ok(Self {
            losses: Vec::new(),
            reports: 0,
            chance: RandomState::new().hash_one(0),
            fault: PhantomData,
        })
    }

    fn reported(&mut self, report: &Report) -> Ruling {
        self.reports += 1;
        match F::MISDEED {
            Misdeed::Prejudiced if self.reports == 1 => return Ruling::Stop("it does not like it".into()),
            Misdeed::LittleRoom if self.reports > 10_000 => panic!("no room"),
            Misdeed::ByChance if (self.chance >> (report.trial.0 % 60)) & 1 == 1 && report.step > 1 => {
                return Ruling::Stop("the coin says so".into());
            }
            Misdeed::NumbersOnlyPlease if report.losses.contains(&None) => panic!("that is no number"),
            Misdeed::OneMetric if report.losses.len() > 1 => panic!("that are too many"),
            _ => {}
        }
        let Some(losses) = report.known_losses() else { return Ruling::Continue };
        let count = self.losses.len() as f64;
        let mean: f64 = self.losses.iter().map(|losses| losses[0] / count).sum();
        let is_worse = report.step >= 3 && count > 9.0 && losses[0] > mean;
        if self.losses.len() < 100 {
            self.losses.push(losses);
        }
        if is_worse { Ruling::Stop(format!("it is worse than {mean}")) } else { Ruling::Continue }
    }

    fn finished(&mut self, observation: &Observation) {
        let is_completed = matches!(observation.result, ObservedResult::Completed(_));
        if F::MISDEED == Misdeed::Optimistic && observation.trial.0 > 1 << 30 && !is_completed {
            panic!("it did not complete");
        }
    }
}
