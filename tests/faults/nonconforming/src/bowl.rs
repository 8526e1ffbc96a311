//! Objectives: a bowl for every metric, with a misdeed each.

use ansatz_core::abi::ComponentRef;
use ansatz_core::abi::abi_stable::std_types::RVec;
use ansatz_core::space::Domain;
use ansatz_core::{
    Context, Descriptor, EvaluationError, Measurement, NoOptions, Objective, ObjectiveError, Point, Problem,
    Surroundings, Verdict,
};
use std::marker::PhantomData;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Which misdeed an objective has: a type, so that each is a component of its own.
pub trait Fault: Send + Sync + 'static {
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
            $(components.push(ansatz_core::glue::objective::<Bowl<fault::$misdeed>>());)*
        }
    };
}

misdeeds! {
    /// Measures NaN in trial 3.
    MeasuresNan "measures-nan";
    /// Measures more with every evaluation.
    Drifts "drifts";
    /// Goes on for ever once it is told to stop.
    Unstoppable "unstoppable";
    /// Measures something else while another evaluation runs.
    NotAlone "not-alone";
    /// Takes every space for one of numbers.
    NumbersOnly "numbers-only";
    /// Prints what it measures.
    PrintsMeasurements "prints-measurements";
    /// Starts a thread that never ends.
    LeavesWorkers "leaves-workers";
    /// Leaks what it allocates when it is made.
    LeaksData "leaks-data";
}

/// The squares of the coordinates in the unit cube, for every metric.
pub struct Bowl<F> {
    metrics: Vec<String>,
    domains: Vec<Domain>,
    fault: PhantomData<F>,
}

/// How many evaluations there were, for `Drifts`.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Held by a running evaluation, for `NotAlone`.
static RUNNING: Mutex<()> = Mutex::new(());

impl<F: Fault> Objective for Bowl<F> {
    const DESCRIPTOR: Descriptor =
        Descriptor { name: F::NAME, summary: "a bowl for every metric, with a misdeed", capabilities: &[] };

    type Options = NoOptions;

    fn new(problem: &Problem, _: NoOptions, _: &Surroundings) -> Result<Self, ObjectiveError> {
        let parameters = problem.space.parameters();
        if F::MISDEED == Misdeed::NumbersOnly && parameters.iter().any(|p| !p.domain.is_numeric()) {
            panic!("a parameter is no number");
        }
        if F::MISDEED == Misdeed::LeaksData {
            std::hint::black_box(Box::leak(vec![1_u8; 1 << 15].into_boxed_slice()));
        }
        let metrics = problem.metrics.iter().map(|metric| &metric.name);
        let bounded = problem.outcome_constraints.iter().map(|constraint| &constraint.metric);
        Ok(Self {
            metrics: metrics.chain(bounded).cloned().collect(),
            domains: parameters.iter().map(|parameter| parameter.domain.clone()).collect(),
            fault: PhantomData,
        })
    }

    fn evaluate(&self, point: &Point, context: &mut Context<'_>) -> Result<Measurement, EvaluationError> {
        let units = self.domains.iter().zip(point.coordinates());
        let mut value: f64 =
            units.filter_map(|(domain, c)| Some(domain.to_unit(c?))).map(|unit| unit * unit).sum();
        let mut alone = None;
        match F::MISDEED {
            Misdeed::MeasuresNan if context.assignment.trial.0 == 3 => value = f64::NAN,
            Misdeed::Drifts => value += COUNT.fetch_add(1, Ordering::Relaxed) as f64,
            Misdeed::NotAlone => {
                alone = RUNNING.try_lock().ok();
                value += if alone.is_none() { 1.0 } else { 0.0 };
                std::thread::park_timeout(Duration::from_millis(30));
            }
            Misdeed::PrintsMeasurements => println!("measured {value}"),
            Misdeed::LeavesWorkers => {
                std::thread::spawn(|| {
                    loop {
                        std::thread::park();
                    }
                });
            }
            _ => {}
        }
        drop(alone);
        let measurement: Measurement = self.metrics.iter().map(|metric| (metric, value)).collect();
        for step in 0..3 {
            if context.report(step, &measurement) == Verdict::Stop {
                if F::MISDEED == Misdeed::Unstoppable {
                    loop {
                        std::thread::park();
                    }
                }
                return Err(EvaluationError::Stopped);
            }
        }
        Ok(measurement)
    }
}
