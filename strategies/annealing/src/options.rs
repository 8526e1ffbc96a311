//! The options, their checks, and the argmin solver that they describe.

use crate::chain::{Solver, argmin_error};
use ansatz_core::StrategyError;
use argmin::core::{CostFunction, Error as ArgminError, IterState, Problem, Solver as _, State as _};
use argmin::solver::simulatedannealing::{Anneal, SATempFunc, SimulatedAnnealing};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `factor` where none is given: from 1 to 0.01 in 90 moves.
const FACTOR_DEFAULT: f64 = 0.95;

/// Options of the strategy `annealing`. Temperatures are in units of the loss, or of its spread with
/// `loss_scale = "adaptive"`. A move that worsens the loss by d at temperature T is accepted with
/// probability 1 / (1 + exp(d / T)): at most one half.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How the temperature falls with the number of moves.
    pub schedule: Schedule,
    /// Where the temperature starts, above 0. A good value is the worsening of a typical move, which is
    /// then accepted about one time in four. With `loss_scale = "none"` that depends on the loss: 0.1 or
    /// less for an error rate, 100 or more for losses that differ by hundreds.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub initial_temperature: f64,
    /// A chain ends when the temperature has come down to this; above 0 and below the initial
    /// temperature. Without it the temperature ends no chain.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub minimum_temperature: Option<f64>,
    /// By what the temperature is multiplied after each move, between 0 and 1; `geometric` and
    /// `exponential` only, 0.95 if not given.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0))]
    pub factor: Option<f64>,
    /// Back to the beginning of the schedule every so many moves.
    #[schemars(range(min = 1))]
    pub reanneal_fixed: Option<u64>,
    /// Back to the beginning of the schedule when so many moves in a row were not accepted.
    #[schemars(range(min = 1))]
    pub reanneal_accepted: Option<u64>,
    /// Back to the beginning of the schedule when so many moves in a row were no new best of the chain.
    #[schemars(range(min = 1))]
    pub reanneal_best: Option<u64>,
    /// A chain ends when more than so many moves in a row were not accepted.
    pub stall_accepted: Option<u64>,
    /// A chain ends when more than so many moves in a row were no new best of the chain.
    pub stall_best: Option<u64>,
    /// What follows the end of a chain, by `minimum_temperature` or a stall limit.
    pub at_end: AtEnd,
    /// Where a chain starts.
    pub start: Start,
    /// The most chains, at least 1. One chain waits for its pending trial, so a study that evaluates
    /// several trials at a time needs several. Another is opened only when all the open ones wait.
    #[schemars(range(min = 1))]
    pub chains: u64,
    /// The longest step of a numeric or ordinal parameter at the initial temperature, as a share of its
    /// range (on a log scale, of its logarithm), above 0 and up to 1.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0))]
    pub step_width: f64,
    /// Steps shorten with the root of the temperature, but never below this share of `step_width`;
    /// 0 to 1. With 1 they keep their length.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub step_width_floor: f64,
    /// A move changes one parameter; with this chance one more, and then with the same chance another.
    /// 0 up to, but not including, 1.
    #[schemars(extend("minimum" = 0.0, "exclusiveMaximum" = 1.0))]
    pub further_move_chance: f64,
    /// What losses are divided by before they meet the temperature.
    pub loss_scale: LossScaling,
}

/// How the temperature falls. T0 is the initial temperature, k the number of moves so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// argmin's `TemperatureFast`: T0, then T0 / (k + 1). Reannealing goes back to T0 / 2.
    Fast,
    /// argmin's `Boltzmann`: T0, then T0 / ln(k + 1). The second temperature is 1.44 T0, and reannealing
    /// goes back to it. Falls very slowly.
    Boltzmann,
    /// argmin's `Exponential`: T0, then T0 factor^(k + 1). Reannealing goes back to T0 factor^2.
    Exponential,
    /// T0 factor^k from the first move on, as textbooks have it. Reannealing goes back to T0.
    Geometric,
}

/// What follows the end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AtEnd {
    /// Nothing. When all chains have ended, there is nothing left to propose.
    Stop,
    /// The chain goes on from where it is, at the initial temperature, with all counts from 0.
    Reheat,
    /// A new chain starts in its place.
    Restart,
}

/// Where a chain starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At a random point: the first that completes, or the best of those drawn while the loss scale was
    /// measured.
    Random,
    /// At the best point that any strategy of the study has found so far; it is not evaluated again.
    /// As `random` where nothing is known.
    Best,
}

/// What losses are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LossScaling {
    /// The interquartile range of the first ten losses of the study. Until these are known, points are
    /// drawn at random.
    Adaptive,
    /// Nothing: temperatures are in units of the loss.
    None,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            schedule: Schedule::Fast,
            initial_temperature: 0.3,
            minimum_temperature: None,
            factor: None,
            reanneal_fixed: None,
            reanneal_accepted: None,
            reanneal_best: None,
            stall_accepted: None,
            stall_best: None,
            at_end: AtEnd::Stop,
            start: Start::Random,
            chains: 16,
            step_width: 1.0,
            step_width_floor: 0.02,
            further_move_chance: 0.25,
            loss_scale: LossScaling::Adaptive,
        }
    }
}

impl Options {
    /// What is wrong with these options and what to do, in words; `Ok` if nothing.
    pub(crate) fn check(&self) -> Result<(), StrategyError> {
        let invalid = |message: String| Err(StrategyError::Invalid(message));
        let initial = self.initial_temperature;
        if !(initial.is_finite() && initial > 0.0) {
            return invalid(format!("initial_temperature must be above 0 and finite, found {initial}"));
        }
        if let Some(minimum) = self.minimum_temperature
            && !(minimum > 0.0 && minimum < initial)
        {
            return invalid(format!(
                "minimum_temperature must be above 0 and below initial_temperature ({initial}), found {minimum}"
            ));
        }
        if let Some(factor) = self.factor {
            if !matches!(self.schedule, Schedule::Exponential | Schedule::Geometric) {
                return invalid(
                    "factor has no meaning for this schedule; drop it, or choose schedule = \"geometric\""
                        .into(),
                );
            }
            if !(factor > 0.0 && factor < 1.0) {
                return invalid(format!("factor must be between 0 and 1, found {factor}"));
            }
            if !(initial / (factor * factor)).is_finite() {
                return invalid(format!("factor is too small, found {factor}; raise it, for example to 0.9"));
            }
        }
        let periods = [
            ("reanneal_fixed", self.reanneal_fixed),
            ("reanneal_accepted", self.reanneal_accepted),
            ("reanneal_best", self.reanneal_best),
            ("chains", Some(self.chains)),
        ];
        if let Some((name, _)) = periods.into_iter().find(|(_, number)| *number == Some(0)) {
            return invalid(format!("{name} must be at least 1, found 0"));
        }
        if !(self.step_width > 0.0 && self.step_width <= 1.0) {
            return invalid(format!("step_width must be above 0 and at most 1, found {}", self.step_width));
        }
        if !(0.0..=1.0).contains(&self.step_width_floor) {
            return invalid(format!("step_width_floor must be 0 to 1, found {}", self.step_width_floor));
        }
        if !(0.0..1.0).contains(&self.further_move_chance) {
            let found = self.further_move_chance;
            return invalid(format!("further_move_chance must be at least 0 and below 1, found {found}"));
        }
        Ok(())
    }

    /// The longest step at this temperature, as a share of the unit interval.
    pub(crate) fn width(&self, temperature: f64) -> f64 {
        let share = (temperature / self.initial_temperature).sqrt();
        self.step_width * share.clamp(self.step_width_floor, 1.0)
    }

    /// Whether a chain ends when its temperature is this.
    pub(crate) fn is_cold(&self, temperature: f64) -> bool {
        self.minimum_temperature.is_some_and(|minimum| temperature <= minimum)
    }

    /// argmin's solver before its first move. `seed` is for the acceptance of moves.
    pub(crate) fn solver(&self, seed: u64) -> Result<Solver, StrategyError> {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let factor = self.factor.unwrap_or(FACTOR_DEFAULT);
        let (initial, function) = match self.schedule {
            Schedule::Fast => (self.initial_temperature, SATempFunc::TemperatureFast),
            Schedule::Boltzmann => (self.initial_temperature, SATempFunc::Boltzmann),
            Schedule::Exponential => (self.initial_temperature, SATempFunc::Exponential(factor)),
            Schedule::Geometric => {
                (self.initial_temperature / (factor * factor), SATempFunc::Exponential(factor))
            }
        };
        let mut solver = SimulatedAnnealing::new_with_rng(initial, rng)
            .map_err(|error| argmin_error(&error))?
            .with_temp_func(function);
        if self.schedule == Schedule::Geometric {
            solver = after_one_move(solver)?;
        }
        let limit = |number: Option<u64>| number.unwrap_or(u64::MAX);
        Ok(solver
            .with_reannealing_fixed(limit(self.reanneal_fixed))
            .with_reannealing_accepted(limit(self.reanneal_accepted))
            .with_reannealing_best(limit(self.reanneal_best))
            .with_stall_accepted(limit(self.stall_accepted))
            .with_stall_best(limit(self.stall_best)))
    }
}

/// The solver after an accepted move in a space of nothing.
///
/// argmin's exponential schedule goes t, t x^2, t x^3, ...: it leaves out an exponent. From the second
/// temperature on it is geometric, so with t = T0 / x^2 and its first move spent it gives T0, T0 x, ...,
/// and begins there again when it reanneals. The move counts in the first period of `reanneal_fixed`,
/// which is then as long as the later ones (argmin's own is one move longer).
fn after_one_move(mut solver: Solver) -> Result<Solver, StrategyError> {
    struct Nothing;
    impl CostFunction for Nothing {
        type Param = ();
        type Output = f64;
        fn cost(&self, (): &()) -> Result<f64, ArgminError> {
            Ok(0.0)
        }
    }
    impl Anneal for Nothing {
        type Param = ();
        type Output = ();
        type Float = f64;
        fn anneal(&self, (): &(), _: f64) -> Result<(), ArgminError> {
            Ok(())
        }
    }
    let state: IterState<(), (), (), (), (), f64> = IterState::new().param(());
    solver.next_iter(&mut Problem::new(Nothing), state).map_err(|error| argmin_error(&error))?;
    Ok(solver)
}
