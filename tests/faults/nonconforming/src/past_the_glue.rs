//! Components that are wrong in ways that the glue of ansatz-core does not let its authors be.

use crate::walker::{Walker, fault};
use ansatz_core::Capability;
use ansatz_core::abi::abi_stable::prefix_type::PrefixTypeTrait;
use ansatz_core::abi::abi_stable::sabi_trait::TD_Opaque;
use ansatz_core::abi::abi_stable::std_types::{RNone, ROption, RResult, RSlice, RSome, RStr, RString, RVec};
use ansatz_core::abi::{
    BoxStrategy, Component, ComponentRef, Create, Fault, Kind, Observation, Pending, RawStrategy,
    RawStrategy_TO, Suggestion,
};
use ansatz_core::glue::create_strategy;
use std::collections::HashSet;

type Created = RResult<BoxStrategy, Fault>;
type Create1 = extern "C" fn(Create<'_>) -> Created;

/// What a conforming component would say; each changes one thing.
struct Parts {
    name: &'static str,
    capabilities: &'static [Capability],
    schema: extern "C" fn() -> RString,
    create: Create1,
}

pub fn list(components: &mut RVec<ComponentRef>) {
    let sound = Parts {
        name: "",
        capabilities: &[Capability::Float],
        schema: good_schema,
        create: create_strategy::<Walker<fault::PastTheGlue>>,
    };
    for parts in [
        Parts { name: "com.example.broken.no-schema", schema: no_schema, ..sound },
        Parts { name: "com.example.broken.wrong-default", schema: wrong_default, ..sound },
        Parts { name: "com.example.broken.takes-any-option", create: without_options, ..sound },
        Parts {
            name: "com.example.broken.claims-less",
            create: create_strategy::<Walker<fault::Unforbidden>>,
            ..sound
        },
        Parts { name: "com.example.broken.hears-twice", create: hears_twice, ..sound },
        Parts { name: "com.example.broken.takes-nan", create: takes_nan, ..sound },
        Parts {
            name: "com.example.broken.trusts-states",
            capabilities: &[Capability::Float, Capability::Snapshot],
            create: trusts_states,
            ..sound
        },
    ] {
        let component = Component {
            kind: Kind::STRATEGY,
            name: RStr::from_str(parts.name),
            summary: RStr::from_str("random points and steps around the best, with a misdeed"),
            capabilities: Capability::bits(parts.capabilities),
            options_schema: parts.schema,
            create_strategy: RSome(parts.create),
            create_objective: RNone,
            create_early_stopping: RNone,
        };
        components.push(component.leak_into_prefix());
    }
}

extern "C" fn good_schema() -> RString {
    schema("0.1")
}

/// A default that the strategy refuses.
extern "C" fn wrong_default() -> RString {
    schema("-1.0")
}

fn schema(default: &str) -> RString {
    let property =
        format!(r#"{{"type": "number", "default": {default}, "description": "How far a step goes."}}"#);
    format!(r#"{{"type": "object", "properties": {{"step": {property}}}, "additionalProperties": false}}"#)
        .into()
}

/// No JSON.
extern "C" fn no_schema() -> RString {
    RString::from("step: number")
}

/// Reads no options at all.
extern "C" fn without_options(create: Create<'_>) -> Created {
    create_strategy::<Walker<fault::PastTheGlue>>(Create { options: RStr::from("{}"), ..create })
}

/// A strategy with something between it and the host.
struct Wrapped {
    inner: BoxStrategy,
    misdeed: Misdeed,
    told: HashSet<u64>,
}

enum Misdeed {
    /// Gives a trial that was told before another number, so that it counts twice.
    HearsTwice,
    /// Turns losses that are not finite into 0.
    TakesNan,
    /// Reads the first bytes of a state without asking whether there are any.
    TrustsStates,
}

fn wrap(created: Created, misdeed: Misdeed) -> Created {
    created
        .map(|inner| RawStrategy_TO::from_value(Wrapped { inner, misdeed, told: HashSet::new() }, TD_Opaque))
}

extern "C" fn hears_twice(create: Create<'_>) -> Created {
    wrap(create_strategy::<Walker<fault::PastTheGlue>>(create), Misdeed::HearsTwice)
}

extern "C" fn takes_nan(create: Create<'_>) -> Created {
    wrap(create_strategy::<Walker<fault::PastTheGlue>>(create), Misdeed::TakesNan)
}

extern "C" fn trusts_states(create: Create<'_>) -> Created {
    wrap(create_strategy::<Walker<fault::PastTheGlueSaved>>(create), Misdeed::TrustsStates)
}

impl RawStrategy for Wrapped {
    fn ask(&mut self, count: u32, pending: Pending<'_>) -> RResult<RVec<Suggestion>, Fault> {
        self.inner.ask(count, pending)
    }

    fn tell(&mut self, observations: RSlice<'_, Observation<'_>>) -> RResult<(), Fault> {
        let finite = |values: RSlice<'_, f64>| -> Vec<f64> {
            values.iter().map(|value| if value.is_finite() { *value } else { 0.0 }).collect()
        };
        let losses: Vec<Vec<f64>> =
            observations.iter().map(|observation| finite(observation.losses)).collect();
        let mut changed: Vec<Observation<'_>> = observations.iter().copied().collect();
        for (observation, losses) in changed.iter_mut().zip(&losses) {
            match self.misdeed {
                Misdeed::HearsTwice => {
                    while !self.told.insert(observation.trial) {
                        observation.trial += 1 << 40;
                    }
                }
                Misdeed::TakesNan => observation.losses = RSlice::from_slice(losses),
                Misdeed::TrustsStates => {}
            }
        }
        self.inner.tell(RSlice::from_slice(&changed))
    }

    fn snapshot(&mut self) -> RResult<ROption<RVec<u8>>, Fault> {
        self.inner.snapshot()
    }

    fn restore(&mut self, state: RSlice<'_, u8>) -> RResult<(), Fault> {
        if matches!(self.misdeed, Misdeed::TrustsStates) {
            std::hint::black_box(state.as_slice()[0]);
        }
        self.inner.restore(state)
    }
}
