//! What `export_plugin!` writes: author types become components of the boundary.

use super::convert;
use super::guard::{Guarded, fault, guard, init};
use super::told::TrialSet;
use crate::capability::Capability;
use crate::metric::Measurement;
use crate::objective::{Context, Objective, Reporter, Surroundings, Verdict};
use crate::problem::Problem;
use crate::rng::Rng;
use crate::strategy::{Pending, Strategy, StrategyError};
use ansatz_abi as abi;
use ansatz_abi::abi_stable::prefix_type::PrefixTypeTrait;
use ansatz_abi::abi_stable::sabi_trait::TD_Opaque;
use ansatz_abi::abi_stable::sabi_types::RMut;
use ansatz_abi::abi_stable::std_types::{RNone, ROption, RResult, RSlice, RSome, RStr, RString, RVec};
use ansatz_abi::{
    BoxObjective, BoxStrategy, Component, ComponentRef, Create, Fault, FaultKind, Kind, Plugin, PluginRef,
    RawContext_TO, RawObjective, RawObjective_TO, RawStrategy, RawStrategy_TO,
};
use serde::{Deserialize, Serialize};

/// A strategy behind the boundary.
struct StrategyObject<S> {
    strategy: Guarded<S>,
    told: TrialSet,
    expected: convert::Expected,
}

/// What a snapshot holds: the author's bytes and what the glue knows.
#[derive(Serialize, Deserialize)]
struct Saved {
    told: TrialSet,
    state: Vec<u8>,
}

impl<S: Strategy> RawStrategy for StrategyObject<S> {
    fn ask(&mut self, count: u32, pending: abi::Pending<'_>) -> RResult<RVec<abi::Suggestion>, Fault> {
        let parameter_count = self.expected.parameter_count;
        self.strategy.call(|strategy| {
            if pending.x.len() != pending.trials.len() * parameter_count {
                return Err(fault(FaultKind::INVALID, "pending points do not fit the space"));
            }
            let pending = Pending::new(pending.trials.as_slice(), pending.x.as_slice());
            let suggestions =
                strategy.ask(count as usize, &pending).map_err(convert::strategy_error_to_fault)?;
            Ok(suggestions.into_iter().map(convert::suggestion_to_abi).collect())
        })
    }

    fn tell(&mut self, observations: RSlice<'_, abi::Observation<'_>>) -> RResult<(), Fault> {
        let (told, expected) = (&mut self.told, &self.expected);
        self.strategy.call(|strategy| {
            // what was told is noted only once it was: an error leaves all of them to be told again
            let mut after = told.clone();
            let mut new = Vec::with_capacity(observations.len());
            for raw in observations.iter() {
                let observation = convert::observation_from_abi(raw, expected)?;
                if after.insert(raw.trial) {
                    new.push(observation);
                }
            }
            if new.is_empty() {
                return Ok(());
            }
            strategy.tell(&new).map_err(convert::strategy_error_to_fault)?;
            *told = after;
            Ok(())
        })
    }

    fn snapshot(&mut self) -> RResult<ROption<RVec<u8>>, Fault> {
        let told = &self.told;
        self.strategy.call(|strategy| {
            let Some(state) = strategy.snapshot().map_err(convert::strategy_error_to_fault)? else {
                return Ok(RNone);
            };
            let saved = Saved { told: told.clone(), state };
            let bytes = crate::strategy::encode_state(&saved).map_err(convert::strategy_error_to_fault)?;
            Ok(RSome(bytes.into()))
        })
    }

    fn restore(&mut self, state: RSlice<'_, u8>) -> RResult<(), Fault> {
        let told = &mut self.told;
        self.strategy.call(|strategy| {
            let saved: Saved =
                crate::strategy::decode_state(state.as_slice()).map_err(convert::strategy_error_to_fault)?;
            strategy.restore(&saved.state).map_err(convert::strategy_error_to_fault)?;
            *told = saved.told;
            Ok(())
        })
    }

    fn recommend(&mut self) -> RResult<RString, Fault> {
        self.strategy.call(|strategy| {
            let recommended = strategy.recommend().map_err(convert::strategy_error_to_fault)?;
            Ok(convert::recommendations_to_abi(&recommended))
        })
    }
}

/// An objective behind the boundary.
struct ObjectiveObject<O> {
    objective: Guarded<O>,
    problem: Problem,
}

/// The host's context, as the author sees it.
struct ForeignReporter<'a, 'b> {
    context: RawContext_TO<'a, RMut<'b, ()>>,
}

impl Reporter for ForeignReporter<'_, '_> {
    fn report(&mut self, step: u64, measurement: &Measurement) -> Verdict {
        let readings = convert::lent_readings(measurement);
        if self.context.report(step, RSlice::from_slice(&readings)) {
            Verdict::Stop
        } else {
            Verdict::Continue
        }
    }
    fn is_stopped(&self) -> bool {
        self.context.is_stopped()
    }
}

impl<O: Objective> RawObjective for ObjectiveObject<O> {
    fn evaluate(
        &self,
        assignment: abi::Assignment<'_>,
        context: RawContext_TO<'_, RMut<'_, ()>>,
    ) -> RResult<RVec<abi::OwnedReading>, Fault> {
        self.objective.call_shared(|objective| {
            let point = crate::Point::from_flat(assignment.x.as_slice());
            self.problem.space.check(&point).map_err(|reason| fault(FaultKind::INVALID, reason))?;
            let mut reporter = ForeignReporter { context };
            let facts = convert::assignment_from_abi(&assignment);
            let mut context = Context::new(facts, &self.problem.space, &mut reporter);
            match objective.evaluate(&point, &mut context) {
                Ok(measurement) => Ok(convert::measurement_to_abi(&measurement)),
                Err(error) => Err(convert::evaluation_error_to_fault(error)),
            }
        })
    }
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(what: &str, text: RStr<'_>) -> Result<T, Fault> {
    serde_json::from_str(text.as_str())
        .map_err(|error| fault(FaultKind::INVALID, format!("{what}: {}", without_place(&error.to_string()))))
}

/// serde_json's message without line and column, which mean nothing to whoever wrote TOML.
fn without_place(message: &str) -> &str {
    message.rfind(" at line ").map_or(message, |at| &message[..at])
}

pub extern "C" fn create_strategy<S: Strategy>(create: Create<'_>) -> RResult<BoxStrategy, Fault> {
    guard(|| {
        let problem: Problem = parse("problem", create.problem)?;
        let options: S::Options = parse("options", create.options)?;
        let missing: Vec<&str> = (problem.requirements().into_iter())
            .filter(|needed| !S::DESCRIPTOR.capabilities.contains(needed))
            .map(Capability::name)
            .collect();
        if !missing.is_empty() {
            let message = format!("it cannot do what this study needs: {}", missing.join(", "));
            return Err(convert::strategy_error_to_fault(StrategyError::Unsupported(message)));
        }
        let strategy =
            S::new(&problem, options, Rng::new(create.seed)).map_err(convert::strategy_error_to_fault)?;
        let object = StrategyObject {
            strategy: Guarded::new(strategy),
            told: TrialSet::default(),
            expected: convert::Expected::of(&problem),
        };
        Ok(RawStrategy_TO::from_value(object, TD_Opaque))
    })
}

pub extern "C" fn create_objective<O: Objective>(create: Create<'_>) -> RResult<BoxObjective, Fault> {
    guard(|| {
        let problem: Problem = parse("problem", create.problem)?;
        let options: O::Options = parse("options", create.options)?;
        let surroundings: Surroundings = parse("surroundings", create.surroundings)?;
        let objective = O::new(&problem, options, &surroundings)
            .map_err(|error| fault(FaultKind::INVALID, error.to_string()))?;
        Ok(RawObjective_TO::from_value(
            ObjectiveObject { objective: Guarded::new(objective), problem },
            TD_Opaque,
        ))
    })
}

pub(super) extern "C" fn options_schema<T: schemars::JsonSchema>() -> RString {
    guard(|| Ok(RString::from(schemars::schema_for!(T).as_value().to_string()))).unwrap_or_default()
}

pub fn strategy<S: Strategy>() -> ComponentRef {
    Component {
        kind: Kind::STRATEGY,
        name: RStr::from_str(S::DESCRIPTOR.name),
        summary: RStr::from_str(S::DESCRIPTOR.summary),
        capabilities: Capability::bits(S::DESCRIPTOR.capabilities),
        options_schema: options_schema::<S::Options>,
        create_strategy: RSome(create_strategy::<S>),
        create_objective: RNone,
        create_early_stopping: RNone,
    }
    .leak_into_prefix()
}

pub fn objective<O: Objective>() -> ComponentRef {
    Component {
        kind: Kind::OBJECTIVE,
        name: RStr::from_str(O::DESCRIPTOR.name),
        summary: RStr::from_str(O::DESCRIPTOR.summary),
        capabilities: Capability::bits(O::DESCRIPTOR.capabilities),
        options_schema: options_schema::<O::Options>,
        create_strategy: RNone,
        create_objective: RSome(create_objective::<O>),
        create_early_stopping: RNone,
    }
    .leak_into_prefix()
}

pub fn plugin(
    name: &'static str,
    version: &'static str,
    components: extern "C" fn() -> RVec<ComponentRef>,
) -> PluginRef {
    Plugin {
        name: RStr::from_str(name),
        version: RStr::from_str(version),
        build: RStr::from_str(BUILD),
        init: host_says_hello,
        components,
    }
    .leak_into_prefix()
}

extern "C" fn host_says_hello(host: abi::HostRef) {
    init(host);
}

const BUILD: &str = if cfg!(panic = "abort") {
    concat!("ansatz-core ", env!("CARGO_PKG_VERSION"), ", panic = abort")
} else {
    concat!("ansatz-core ", env!("CARGO_PKG_VERSION"), ", panic = unwind")
};

/// Makes a library a plugin: `export_plugin! { strategies: [Grid], objectives: [Digits], early_stopping: [Median] }`.
///
/// Lists may be left out. The crate needs `crate-type = ["cdylib", "rlib"]`, and the macro is used
/// once per library. The exported static is what abi_stable's own attribute writes, under a name of ours.
#[macro_export]
macro_rules! export_plugin {
    ($($kind:ident: [$($component:ty),* $(,)?]),+ $(,)?) => {
        const _: () = {
            use $crate::abi::{ComponentRef, PluginRef, abi_stable::{library, std_types::RVec}};
            extern "C" fn components() -> RVec<ComponentRef> {
                #[allow(unused_mut)]
                let mut components = RVec::new();
                $($(components.push($crate::glue::$kind::<$component>());)*)+
                components
            }
            fn root() -> PluginRef {
                $crate::glue::plugin(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), components)
            }
            extern "C" fn erased() -> library::RootModuleResult {
                library::__call_root_module_loader(root)
            }
            #[unsafe(no_mangle)]
            pub static ANSATZ_PLUGIN_ABI_1: library::LibHeader =
                // SAFETY: the loader it names makes this very root module.
                unsafe { library::LibHeader::from_constructor::<PluginRef>(erased, library::CheckTypeLayout::Yes) };
        };
    };
}
