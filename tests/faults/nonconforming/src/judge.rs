//! Early-stopping rules: each stops what is worse than the mean so far, and has a misdeed.

use ansatz_core::abi::ComponentRef;
use ansatz_core::abi::abi_stable::std_types::RVec;
use ansatz_core::rng::Rng;
use ansatz_core::{
    Capability, Descriptor, EarlyStopping, EarlyStoppingError, NoOptions, Observation, ObservedResult,
    Problem, Promotion, Report, Ruling, TrialId,
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
    /// Lets nobody come to the end.
    Merciless "merciless";
    /// Takes every trial that ends for one that completed.
    Optimistic "optimistic";
    /// Claims several metrics, and compares with one that it heard before.
    OneMetric "one-metric";
    /// Has room for 10,000 reports.
    LittleRoom "little-memory";
    /// Forgets that a trial waits once it was asked.
    AskedOnce "asked-once";
    /// Judges more strictly with each question.
    Impatient "impatient";
    /// Has trials go on that ended early without it.
    Reviver "reviver";
    /// Has trials go on that have not ended yet.
    Hasty "hasty";
    /// Has trials go on that others continue already.
    TwiceOver "twice-over";
    /// Draws from the operating system who goes on.
    Lottery "lottery";
}

impl Misdeed {
    /// Whether it is about stopped trials that go on; the others have none.
    fn is_about_promotions(self) -> bool {
        use Misdeed::{AskedOnce, Hasty, Impatient, Lottery, Reviver, TwiceOver};
        matches!(self, AskedOnce | Impatient | Reviver | Hasty | TwiceOver | Lottery)
    }
}

/// Stops what is worse than the mean of all losses so far at steps from 3 on. Of two that wait, the first goes on.
pub struct Judge<F> {
    losses: Vec<Vec<f64>>,
    /// Trials that it stopped and that run yet, and those that have ended.
    stopped: Vec<u64>,
    waiting: Vec<u64>,
    promoted_count: u32,
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
            stopped: Vec::new(),
            waiting: Vec::new(),
            promoted_count: 0,
            reports: 0,
            chance: RandomState::new().hash_one(0),
            fault: PhantomData,
        })
    }

    fn reported(&mut self, report: &Report) -> Ruling {
        self.reports += 1;
        match F::MISDEED {
            Misdeed::Prejudiced if self.reports == 1 => return Ruling::Stop("it does not like it".into()),
            Misdeed::Merciless if report.step > 20 => return Ruling::Stop("that is enough".into()),
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
        if !is_worse {
            return Ruling::Continue;
        }
        self.stopped.push(report.trial.0);
        Ruling::Stop(format!("it is worse than {mean}"))
    }

    fn finished(&mut self, observation: &Observation) {
        let is_completed = matches!(observation.result, ObservedResult::Completed(_));
        if F::MISDEED == Misdeed::Optimistic && observation.trial.0 > 1 << 30 && !is_completed {
            panic!("it did not complete");
        }
        let trial = observation.trial.0;
        let is_mine = self.stopped.contains(&trial);
        self.stopped.retain(|stopped| *stopped != trial);
        if is_mine || (F::MISDEED == Misdeed::Reviver && !is_completed) {
            self.waiting.push(trial);
        }
    }

    fn promotable(&mut self) -> Option<Promotion> {
        if !F::MISDEED.is_about_promotions() {
            return None;
        }
        let promotion = |trial: u64| Promotion { continued: TrialId(trial), reason: "two wait".to_owned() };
        if let Some(trial) = self.stopped.first().filter(|_| F::MISDEED == Misdeed::Hasty) {
            return Some(promotion(*trial));
        }
        if self.waiting.len() < 2 {
            return None;
        }
        match F::MISDEED {
            Misdeed::AskedOnce => return Some(promotion(self.waiting.remove(0))),
            Misdeed::Impatient => self.losses.push(vec![0.0]),
            Misdeed::Lottery => {
                let draw = self.chance.rotate_left(5 * self.promoted_count) as usize;
                return Some(promotion(self.waiting[draw % self.waiting.len()]));
            }
            _ => {}
        }
        Some(promotion(self.waiting[0]))
    }

    fn promoted(&mut self, continued: TrialId, _: TrialId) {
        self.promoted_count += 1;
        if F::MISDEED != Misdeed::TwiceOver {
            self.waiting.retain(|waiting| *waiting != continued.0);
        }
    }
}
