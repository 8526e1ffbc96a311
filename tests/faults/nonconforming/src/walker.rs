//! Strategies: random points and steps around the best one, with a misdeed each.
//!
//! A misdeed is as narrow as it can be, so that one case catches it and the others have nothing to say: most need a
//! problem or a course of events that a single case has. Random problems, which a case of their own tries, are spared.

use ansatz_core::abi::ComponentRef;
use ansatz_core::abi::abi_stable::std_types::RVec;
use ansatz_core::rng::Rng;
use ansatz_core::space::{Constraint, Domain, Scale};
use ansatz_core::strategy::{decode_state, encode_state};
use ansatz_core::{
    Capability, Descriptor, Observation, ObservedResult, Pending, Point, Problem, Recommendation, Strategy,
    StrategyError, Suggestion, Value,
};
use rand::{Rng as _, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::ThreadId;

use Capability::{
    Categorical, Conditional, Constraints, Fidelity, Float, Int, MultiObjective, Ordinal, OutcomeConstraints,
    Snapshot,
};

/// Which misdeed a strategy has: a type, so that each is a component of its own.
pub trait Fault: Send + Sync + 'static {
    const NAME: &'static str;
    const CAPABILITIES: &'static [Capability];
    const MISDEED: Misdeed;
}

macro_rules! misdeeds {
    ($($(#[$doc:meta])* $misdeed:ident $name:literal [$($capability:ident),*];)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Misdeed { $($(#[$doc])* $misdeed),* }

        pub mod fault {
            use super::{Capability, Fault, Misdeed};
            #[allow(unused_imports)]
            use super::*;
            $(
                pub struct $misdeed;
                impl Fault for $misdeed {
                    const NAME: &'static str = concat!("com.example.broken.", $name);
                    const CAPABILITIES: &'static [Capability] = &[$($capability),*];
                    const MISDEED: Misdeed = Misdeed::$misdeed;
                }
            )*
        }

        /// Those whose misdeed is their own; the others are made in `past_the_glue`.
        pub fn list(components: &mut RVec<ComponentRef>) {
            $(if !matches!(Misdeed::$misdeed, Misdeed::PastTheGlue | Misdeed::PastTheGlueSaved) {
                components.push(ansatz_core::glue::strategy::<Walker<fault::$misdeed>>());
            })*
        }
    };
}

misdeeds! {
    /// None here; what it does wrong is done around it.
    PastTheGlue "past-the-glue" [Float];
    /// The same, with snapshots.
    PastTheGlueSaved "past-the-glue-saved" [Float, Snapshot];
    /// Describes itself on two lines.
    LongSummary "long-summary" [Float];
    /// Forgets the sign of floats that are always negative.
    FloatSign "float-sign" [Float];
    /// Loses its way on logarithmic scales of more than twenty decades.
    FloatLogRange "float-log-range" [Float];
    /// Suggests values between tenths.
    FloatBetweenSteps "float-between-steps" [Float];
    /// Suggests halves of whole numbers far below zero.
    IntHalves "int-halves" [Int];
    /// Suggests what lies between whole numbers where their range is wide and logarithmic.
    IntLogFraction "int-log-fraction" [Int];
    /// Suggests values between multiples of seven.
    IntBetweenSteps "int-between-steps" [Int];
    /// Counts choices from 1 where their values are of several types.
    ChoiceFromOne "choice-from-one" [Categorical];
    /// Suggests something between true and false where there is nothing else.
    HalfTrue "half-true" [Categorical];
    /// Suggests the value instead of the index where the values are numbers.
    OrdinalByValue "ordinal-by-value" [Ordinal];
    /// Divides by the width of a range.
    ZeroWidth "zero-width" [Float];
    /// Gives every parameter a value, active or not.
    AlwaysActive "always-active" [Float, Conditional];
    /// Pays no heed to linear constraints.
    Unconstrained "unconstrained" [Float, Constraints];
    /// Pays no heed to forbidden combinations.
    Unforbidden "unforbidden" [Float, Constraints];
    /// Gives eight for seven.
    OneTooMany "one-too-many" [Float];
    /// After twelve results it waits for ever.
    Waits "waits" [Float];
    /// Has room for 63 pending trials.
    LittleRoom "little-room" [Float];
    /// Breaks where a finite space of more than two points is used up.
    UsedUp "used-up" [Float];
    /// Is exhausted once, and then not.
    NotExhausted "not-exhausted" [Float];
    /// Ends the process when a trial fails.
    ExitsOnFailure "exits-on-failure" [Float];
    /// Aborts the process when a point is infeasible.
    AbortsOnInfeasible "aborts-on-infeasible" [Float];
    /// Panics when a trial was stopped without losses.
    PanicsOnStopped "panics-on-stopped" [Float];
    /// Needs a best point.
    NeedsABest "needs-a-best" [Float];
    /// Takes trials to end in the order of their numbers.
    InOrder "in-order" [Float];
    /// Uses trial numbers as an index.
    NumberAsIndex "number-as-index" [Float];
    /// Takes it for granted that a trial is at the point that it suggested.
    OwnPointsOnly "own-points-only" [Float];
    /// Squares losses.
    Overflow "overflow" [Float];
    /// Divides by the range of losses.
    NoSpread "no-spread" [Float];
    /// Divides by standard errors.
    DividesByError "divides-by-error" [Float];
    /// Reads the first loss as the only one.
    OnlyLoss "only-loss" [Float, MultiObjective];
    /// Needs a trial that keeps the outcome constraints.
    NeedsFeasible "needs-feasible" [Float, OutcomeConstraints];
    /// Doubles the largest fidelity.
    TooFaithful "too-faithful" [Float, Fidelity];
    /// Counts in one variable for the whole process how many were made.
    CountsItself "counts-itself" [Float];
    /// Keeps its generator in one variable for the whole process.
    SharedGenerator "shared-generator" [Float];
    /// Mixes the process into its seed.
    ProcessSeed "process-seed" [Float];
    /// Draws for each call of tell.
    CountsCalls "counts-calls" [Float];
    /// Stays in the thread that made it.
    OneThread "one-thread" [Float];
    /// Draws what it recommends.
    DrawsToRecommend "draws-to-recommend" [Float];
    /// Forgets its generator in snapshots while nothing is pending.
    ForgetfulSnapshot "forgetful-snapshot" [Float, Snapshot];
    /// Forgets its generator in snapshots while trials are pending.
    ForgetsPending "forgets-pending" [Float, Snapshot];
    /// Has room for 5,000 observations.
    ShortMemory "short-memory" [Float];
    /// Has room for four parameters.
    FewParameters "few-parameters" [Float];
    /// Prints what it hears.
    Prints "prints" [Float];
    /// Starts a thread that never ends.
    LeavesThreads "leaves-threads" [Float];
    /// Leaks what it allocates when it is made.
    Leaks "leaks" [Float];
}

/// Options of all of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How far a step goes, above 0.
    pub step: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { step: 0.1 }
    }
}

/// Random points, and steps around the best one.
pub struct Walker<F> {
    problem: Problem,
    options: Options,
    state: State,
    /// Where it was made.
    thread: ThreadId,
    fault: PhantomData<F>,
}

/// What a snapshot holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    rng: Rng,
    /// How many suggestions it gave.
    asked: u64,
    /// How many trials it heard of, of its own and in all.
    told_own: u64,
    told: u64,
    last_own: u64,
    losses: Vec<f64>,
    is_any_feasible: bool,
    best: Option<(f64, Point)>,
    has_been_exhausted: bool,
    /// What it suggested, by tag, for `OwnPointsOnly`.
    suggested: Vec<Point>,
}

/// How many were made in this process, for `CountsItself`.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// The generator of all of them, for `SharedGenerator`.
static GENERATOR: Mutex<Option<Rng>> = Mutex::new(None);
/// Different in every process, for `ProcessSeed`.
static PROCESS: OnceLock<u64> = OnceLock::new();

impl<F: Fault> Walker<F> {
    fn does(&self, misdeed: Misdeed) -> bool {
        F::MISDEED == misdeed
    }

    /// Random problems have a case of their own, and their parameters names of their own.
    fn is_random_problem(&self) -> bool {
        self.problem.space.index_of("any0").is_some()
    }

    fn point(&mut self) -> Option<Point> {
        let space = &self.problem.space;
        let mut borrowed = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
        let rng = match (F::MISDEED, borrowed.as_mut()) {
            (Misdeed::SharedGenerator, Some(shared)) => shared,
            _ => &mut self.state.rng,
        };
        let point = match &self.state.best {
            Some((_, best)) if self.state.asked % 3 == 2 => {
                let step = |parameter: &ansatz_core::space::Parameter, c: Option<f64>, rng: &mut Rng| {
                    let unit = c.map_or_else(|| rng.random(), |c| parameter.domain.to_unit(c));
                    parameter.domain.from_unit(unit + self.options.step * (rng.random::<f64>() - 0.5))
                };
                let parameters = space.parameters().iter().zip(best.coordinates());
                let coordinates = parameters.map(|(parameter, c)| step(parameter, c, rng)).collect();
                space.repair(&space.assemble(coordinates), rng)
            }
            _ => space.sample(rng),
        };
        drop(borrowed);
        let point = point?;
        Some(self.spoil(point))
    }

    /// The misdeeds that are in the points themselves.
    fn spoil(&mut self, point: Point) -> Point {
        let space = self.problem.space.clone();
        let is_random = self.is_random_problem();
        let ignores = space.constraints().iter().any(|constraint| match constraint {
            Constraint::Linear(_) => self.does(Misdeed::Unconstrained),
            Constraint::Forbidden(_) => self.does(Misdeed::Unforbidden),
        });
        if ignores && !is_random {
            return space.draw(&mut self.state.rng);
        }
        let are_all_bools = space.parameters().iter().all(|parameter| parameter.domain == Domain::Bool);
        let spoilt = space.parameters().iter().zip(point.coordinates()).map(|(parameter, coordinate)| {
            let domain = &parameter.domain;
            let Some(c) = coordinate else {
                let fills = self.does(Misdeed::AlwaysActive) && !is_random;
                return fills.then(|| domain.lower());
            };
            Some(match (F::MISDEED, domain) {
                (Misdeed::FloatSign, Domain::Float { upper, .. }) if *upper < 0.0 && !is_random => c.abs(),
                (Misdeed::FloatLogRange, Domain::Float { lower, upper, scale: Scale::Log, .. })
                    if upper / lower > 1e20 =>
                {
                    c.ln()
                }
                (Misdeed::FloatBetweenSteps, Domain::Float { step: Some(step), .. }) if *step == 0.1 => {
                    c + 0.5 * step
                }
                (Misdeed::IntHalves, Domain::Int { lower, .. }) if *lower < -1_000_000 => c + 0.5,
                (Misdeed::IntLogFraction, Domain::Int { upper, scale: Scale::Log, .. })
                    if *upper > 1_000_000 =>
                {
                    c - 0.25
                }
                (Misdeed::IntBetweenSteps, Domain::Int { step: 7, .. }) => c + 1.0,
                (Misdeed::ChoiceFromOne, Domain::Categorical { choices })
                    if choices.contains(&Value::Bool(true)) =>
                {
                    c + 1.0
                }
                (Misdeed::HalfTrue, Domain::Bool) if are_all_bools && !is_random => 0.5,
                (Misdeed::OrdinalByValue, Domain::Ordinal { .. }) => domain.value(c).as_f64().unwrap_or(c),
                (Misdeed::ZeroWidth, _) if domain.value_count() == Some(1) && !is_random => f64::NAN,
                _ => c,
            })
        });
        Point::new(spoilt)
    }

    /// How many points there are, if they can be counted.
    fn point_count(&self) -> Option<u64> {
        self.problem.space.parameters().iter().map(|parameter| parameter.domain.value_count()).product()
    }
}

impl<F: Fault> Strategy for Walker<F> {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: F::NAME,
        summary: match F::MISDEED {
            Misdeed::LongSummary => "random points and steps around the best,\nwith a summary of two lines",
            _ => "random points and steps around the best, with a misdeed",
        },
        capabilities: F::CAPABILITIES,
    };

    type Options = Options;

    fn new(problem: &Problem, options: Options, mut rng: Rng) -> Result<Self, StrategyError> {
        if !(options.step.is_finite() && options.step > 0.0) {
            return Err(StrategyError::Invalid("option step must be above 0".into()));
        }
        match F::MISDEED {
            Misdeed::CountsItself => rng = Rng::new(rng.next_u64() + COUNT.fetch_add(1, Ordering::Relaxed)),
            Misdeed::SharedGenerator => {
                *GENERATOR.lock().unwrap_or_else(PoisonError::into_inner) = Some(rng.clone());
            }
            Misdeed::ProcessSeed => {
                let process = PROCESS.get_or_init(|| RandomState::new().hash_one(0));
                rng = Rng::new(rng.next_u64() ^ process);
            }
            Misdeed::Leaks => {
                std::hint::black_box(Box::leak(vec![1_u8; 1 << 15].into_boxed_slice()));
            }
            _ => {}
        }
        let state = State {
            rng,
            asked: 0,
            told_own: 0,
            told: 0,
            last_own: 0,
            losses: Vec::new(),
            is_any_feasible: false,
            best: None,
            has_been_exhausted: false,
            suggested: Vec::new(),
        };
        let thread = std::thread::current().id();
        Ok(Self { problem: problem.clone(), options, state, thread, fault: PhantomData })
    }

    fn ask(&mut self, count: usize, pending: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let is_random = self.is_random_problem();
        let losses = &self.state.losses;
        match F::MISDEED {
            Misdeed::Waits if self.state.told >= 12 && pending.is_empty() && !is_random => {
                return Ok(Vec::new());
            }
            Misdeed::LittleRoom if pending.len() >= 64 => panic!("64 pending trials do not fit"),
            Misdeed::UsedUp
                if self.point_count().is_some_and(|count| count > 2 && count <= self.state.told) =>
            {
                return Err(StrategyError::Other("no point is left".into()));
            }
            Misdeed::NotExhausted
                if self.point_count() == Some(2)
                    && self.state.told >= 2
                    && !self.state.has_been_exhausted =>
            {
                self.state.has_been_exhausted = true;
                return Err(StrategyError::Exhausted);
            }
            Misdeed::NeedsABest if self.state.told >= 8 && losses.is_empty() && !is_random => {
                panic!("there is no best point");
            }
            Misdeed::NoSpread
                if losses.len() >= 8 && losses.iter().all(|loss| *loss == losses[0]) && !is_random =>
            {
                panic!("losses have no spread");
            }
            Misdeed::NeedsFeasible if losses.len() >= 8 && !self.state.is_any_feasible && !is_random => {
                panic!("no trial keeps the outcome constraints");
            }
            Misdeed::OneThread if std::thread::current().id() != self.thread => {
                panic!("it was made in another thread");
            }
            Misdeed::FewParameters if self.problem.space.parameter_count() > 4 => {
                panic!("more than four parameters do not fit");
            }
            _ => {}
        }
        let count = if self.does(Misdeed::OneTooMany) && count == 7 { 8 } else { count };
        let mut suggestions = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(point) = self.point() else { break };
            let mut suggestion = Suggestion::tagged(point, self.state.asked);
            if self.does(Misdeed::TooFaithful) && !is_random {
                suggestion.fidelity = self.problem.fidelity.as_ref().map(|range| 2.0 * range.upper);
            }
            self.state.asked += 1;
            if self.does(Misdeed::OwnPointsOnly) {
                self.state.suggested.push(suggestion.point.clone());
            }
            suggestions.push(suggestion);
        }
        Ok(suggestions)
    }

    fn tell(&mut self, observations: &[Observation]) -> Result<(), StrategyError> {
        let is_random = self.is_random_problem();
        if self.does(Misdeed::CountsCalls) && observations.len() > 1 {
            self.state.rng.next_u64();
        }
        for observation in observations {
            let is_own = observation.tag.is_some();
            let number = observation.trial.0;
            let after_a_loss = is_own && !self.state.losses.is_empty() && !is_random;
            match (F::MISDEED, &observation.result) {
                (Misdeed::ExitsOnFailure, ObservedResult::Failed) if after_a_loss => std::process::exit(0),
                (Misdeed::AbortsOnInfeasible, ObservedResult::Infeasible) if after_a_loss => {
                    std::process::abort()
                }
                (Misdeed::PanicsOnStopped, ObservedResult::Stopped(None)) if after_a_loss => {
                    panic!("a stopped trial has no losses");
                }
                (Misdeed::InOrder, _) if is_own && number < self.state.last_own && !is_random => {
                    panic!("trial {number} comes after {}", self.state.last_own);
                }
                (Misdeed::NumberAsIndex, _) if number >= 1_000_000 && !is_own => {
                    panic!("trial {number} does not fit");
                }
                (Misdeed::OwnPointsOnly, _)
                    if observation.tag.is_some_and(|tag| {
                        self.state.suggested.get(tag as usize).is_some_and(|own| *own != observation.point)
                    }) =>
                {
                    panic!("a trial is not where it was suggested");
                }
                (Misdeed::Overflow, ObservedResult::Completed(losses))
                    if losses.values.iter().any(|loss| (loss * loss).is_infinite()) && !is_random =>
                {
                    panic!("a loss overflows");
                }
                (Misdeed::DividesByError, ObservedResult::Completed(losses))
                    if losses.standard_errors.contains(&Some(0.0)) =>
                {
                    panic!("a standard error is 0");
                }
                (Misdeed::OnlyLoss, ObservedResult::Completed(losses))
                    if losses.values.len() > 1 && !is_random =>
                {
                    panic!("there are {} losses", losses.values.len());
                }
                (Misdeed::ShortMemory, _) if self.state.told >= 5000 => {
                    panic!("5,000 observations fit, no more")
                }
                (Misdeed::Prints, _) if self.state.told == 3 => println!("heard of trial {number}"),
                (Misdeed::LeavesThreads, _) if self.state.told == 10 => {
                    std::thread::spawn(|| {
                        loop {
                            std::thread::park();
                        }
                    });
                }
                _ => {}
            }
            // what is told matters, and telling it twice would show
            let _: u64 = self.state.rng.random();
            self.state.told += 1;
            if is_own {
                self.state.told_own += 1;
                self.state.last_own = self.state.last_own.max(number);
            }
            if let ObservedResult::Completed(losses) = &observation.result {
                self.state.losses.extend(losses.values.first());
                self.state.is_any_feasible |= losses.excesses.iter().all(|excess| *excess <= 0.0);
            }
            if let Some(loss) = observation.loss()
                && self.state.best.as_ref().is_none_or(|(best, _)| loss < *best)
            {
                self.state.best = Some((loss, observation.point.clone()));
            }
        }
        Ok(())
    }

    fn recommend(&mut self) -> Result<Vec<Recommendation>, StrategyError> {
        if self.does(Misdeed::DrawsToRecommend) {
            let _: u64 = self.state.rng.random();
        }
        let best = self.state.best.iter();
        Ok(best.map(|(loss, point)| Recommendation::new(point.clone(), *loss, 1.0)).collect())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        if !F::CAPABILITIES.contains(&Snapshot) {
            return Ok(None);
        }
        let mut state = self.state.clone();
        let is_pending = state.asked > state.told_own;
        if self.does(if is_pending { Misdeed::ForgetsPending } else { Misdeed::ForgetfulSnapshot }) {
            state.rng = Rng::new(0);
        }
        encode_state(&state).map(Some)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        self.state = decode_state(state)?;
        Ok(())
    }
}
