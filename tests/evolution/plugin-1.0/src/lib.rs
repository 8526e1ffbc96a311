// FROZEN: a plugin as it was built when the boundary was 1.0.0. Changing this file is forbidden: every later
// host of the same major has to load it as it is, and the tests show that.

//! A strategy written against the boundary itself, without `ansatz-core`, so that nothing but the boundary
//! can break it. It fills the unit square evenly (additive recurrence with the plastic number; Roberts 2018)
//! and takes any space of two floats that contains that square.

#![deny(unsafe_op_in_unsafe_fn)]

use ansatz_abi::abi_stable::library::{self, CheckTypeLayout, LibHeader, RootModuleResult};
use ansatz_abi::abi_stable::prefix_type::PrefixTypeTrait;
use ansatz_abi::abi_stable::sabi_trait::TD_Opaque;
use ansatz_abi::abi_stable::std_types::{
    RErr, RNone, ROk, ROption, RResult, RSlice, RSome, RStr, RString, RVec,
};
use ansatz_abi::{
    BoxStrategy, Component, ComponentRef, Create, Fault, FaultKind, HostRef, Kind, Observation, Pending,
    Plugin, PluginRef, RawStrategy, RawStrategy_TO, Suggestion,
};
use std::sync::OnceLock;

static HOST: OnceLock<HostRef> = OnceLock::new();

/// Asked and told so far: all there is to know.
#[derive(Default)]
struct First {
    asked: u64,
    told: u64,
}

impl RawStrategy for First {
    fn ask(&mut self, count: u32, pending: Pending<'_>) -> RResult<RVec<Suggestion>, Fault> {
        if pending.x.len() != 2 * pending.trials.len() {
            return RErr(fault(FaultKind::INVALID, "pending points need two coordinates"));
        }
        let suggestions = (0..count).map(|_| {
            self.asked += 1;
            let number = self.asked as f64;
            let x = [number * 0.754_877_666_246_692_7 % 1.0, number * 0.569_840_290_998_053_3 % 1.0];
            Suggestion { tag: self.asked, x: RVec::from(x.to_vec()), fidelity: f64::NAN, ext: RString::new() }
        });
        ROk(suggestions.collect())
    }

    fn tell(&mut self, observations: RSlice<'_, Observation<'_>>) -> RResult<(), Fault> {
        for observation in observations.iter() {
            if observation.x.len() != 2 || observation.own && observation.tag > self.asked {
                return RErr(fault(FaultKind::INVALID, "this was never asked"));
            }
            self.told += 1;
        }
        ROk(())
    }

    fn snapshot(&mut self) -> RResult<ROption<RVec<u8>>, Fault> {
        let numbers = [self.asked, self.told];
        ROk(RSome(numbers.iter().flat_map(|number| number.to_le_bytes()).collect()))
    }

    fn restore(&mut self, state: RSlice<'_, u8>) -> RResult<(), Fault> {
        let (numbers, []) = state.as_slice().as_chunks::<8>() else {
            return RErr(fault(FaultKind::INVALID, "no state of this strategy"));
        };
        let [asked, told] = numbers else {
            return RErr(fault(FaultKind::INVALID, "no state of this strategy"));
        };
        *self = Self { asked: u64::from_le_bytes(*asked), told: u64::from_le_bytes(*told) };
        ROk(())
    }
}

fn fault(kind: FaultKind, message: &str) -> Fault {
    Fault { kind, message: RString::from(message), location: RString::new(), detail: RString::new() }
}

extern "C" fn init(host: HostRef) {
    let _ = HOST.set(host);
}

extern "C" fn create(create: Create<'_>) -> RResult<BoxStrategy, Fault> {
    if create.options.as_str() != "{}" {
        return RErr(fault(FaultKind::INVALID, "there are no options"));
    }
    if let Some(host) = HOST.get().filter(|host| host.log_level_max() >= 2) {
        let message =
            format!("built for ABI {}, loaded by ABI {}", ansatz_abi::ABI_VERSION, host.abi_version());
        (host.log())(2, RStr::from_str("com.acme.first"), RStr::from(message.as_str()));
    }
    ROk(RawStrategy_TO::from_value(First::default(), TD_Opaque))
}

extern "C" fn options_schema() -> RString {
    RString::from(r#"{"type": "object", "additionalProperties": false}"#)
}

extern "C" fn components() -> RVec<ComponentRef> {
    let component = Component {
        kind: Kind::STRATEGY,
        name: RStr::from_str("com.acme.first"),
        summary: RStr::from_str("the unit square, evenly; Roberts 2018"),
        // float, snapshot
        capabilities: 1 | 1 << 10,
        options_schema,
        create_strategy: RSome(create),
        create_objective: RNone,
    };
    RVec::from(vec![component.leak_into_prefix()])
}

fn root() -> PluginRef {
    Plugin {
        name: RStr::from_str(env!("CARGO_PKG_NAME")),
        version: RStr::from_str(env!("CARGO_PKG_VERSION")),
        build: RStr::from_str("without ansatz-core"),
        init,
        components,
    }
    .leak_into_prefix()
}

extern "C" fn erased() -> RootModuleResult {
    library::__call_root_module_loader(root)
}

#[unsafe(no_mangle)]
pub static ANSATZ_PLUGIN_ABI_1: LibHeader =
    // SAFETY: the loader it names makes this very root module.
    unsafe { LibHeader::from_constructor::<PluginRef>(erased, CheckTypeLayout::Yes) };
