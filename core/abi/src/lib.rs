//! Everything that crosses a library boundary, and nothing else.
//!
//! These types are frozen: prefix types and traits grow at the end only, with default bodies; open enums
//! are integer newtypes; cold data is JSON and state is bytes, so that they evolve without the layout.
//! Who calls each function, from which thread, and who owns what, is in `docs/abi.md`. Domain types
//! and conversions are in `ansatz-core`; plugin authors never name this crate.

// sabi_trait's output trips this lint on current compilers
#![allow(non_local_definitions)]
// the macros of abi_stable write the unsafe code and undocumented items that these lints speak of
#![allow(unsafe_code, missing_docs, clippy::undocumented_unsafe_blocks)]

use abi_stable::{
    StableAbi, declare_root_module_statics,
    library::RootModule,
    sabi_trait,
    sabi_types::{RMut, VersionStrings},
    std_types::{RBox, ROption, RResult, RSlice, RStr, RString, RVec},
};

/// The version of the boundary; not the product's. Majors must be equal, minors need not.
pub const ABI_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The symbol that every plugin exports. It carries the major.
pub const ENTRY_SYMBOL: &str = "ANSATZ_PLUGIN_ABI_1";

/// What kind of thing went wrong. A value unknown to the reader counts as `OTHER`.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultKind(pub u32);

impl FaultKind {
    /// Anything not listed.
    pub const OTHER: Self = Self(0);
    /// The caller's problem, options, observation or state do not fit.
    pub const INVALID: Self = Self(1);
    /// The component cannot do this at all.
    pub const UNSUPPORTED: Self = Self(2);
    /// ask: there will never be another suggestion.
    pub const EXHAUSTED: Self = Self(3);
    /// The plugin panicked; `location` says where.
    pub const PANIC: Self = Self(4);
    /// An earlier call on this object panicked.
    pub const POISONED: Self = Self(5);
    /// evaluate: the point cannot be judged.
    pub const INFEASIBLE: Self = Self(6);
    /// evaluate: the evaluation broke.
    pub const FAILED: Self = Self(7);
    /// evaluate: ended early because it was told to.
    pub const STOPPED: Self = Self(8);
}

/// Why a call gave no result.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    /// What happened and what to do.
    pub message: RString,
    /// `file:line:column` of a panic, else empty.
    pub location: RString,
    /// Backtrace or details; may be empty.
    pub detail: RString,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)?;
        if !self.location.is_empty() {
            write!(formatter, " (at {})", self.location)?;
        }
        Ok(())
    }
}

/// What a component is. A component whose kind the host does not know is left out.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind(pub u32);

impl Kind {
    /// Proposes points.
    pub const STRATEGY: Self = Self(1);
    /// Evaluates points.
    pub const OBJECTIVE: Self = Self(2);
    /// Since 1.2. Says which running trials to end.
    pub const EARLY_STOPPING: Self = Self(3);
}

/// How a trial ended. A value unknown to the plugin counts as `FAILED`.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status(pub u32);

impl Status {
    /// Measured in full.
    pub const COMPLETED: Self = Self(0);
    /// The point cannot be judged.
    pub const INFEASIBLE: Self = Self(1);
    /// The evaluation broke.
    pub const FAILED: Self = Self(2);
    /// Ended early on purpose.
    pub const STOPPED: Self = Self(3);
}

/// A proposed point. `x` has one coordinate per parameter in space order: floats and ints as they are
/// (ints within 2^53), categorical and ordinal values by index, bools 0 or 1, inactive as NaN.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct Suggestion {
    pub tag: u64,
    pub x: RVec<f64>,
    /// NaN leaves it to the host.
    pub fidelity: f64,
    /// A JSON object or empty: where later minors add what older readers may ignore.
    pub ext: RString,
}

/// Trials asked for and not finished, row by row: `x.len() = trials.len() * parameter count`.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Pending<'a> {
    pub trials: RSlice<'a, u64>,
    pub x: RSlice<'a, f64>,
}

/// A finished trial. All slices live until the call returns.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Observation<'a> {
    pub trial: u64,
    /// Whether the strategy that is told proposed it; only then `tag` means something.
    pub own: bool,
    pub tag: u64,
    pub status: Status,
    pub x: RSlice<'a, f64>,
    /// One per metric, minimised; empty if nothing was measured.
    pub losses: RSlice<'a, f64>,
    /// Empty, or one per metric with NaN where unknown.
    pub standard_errors: RSlice<'a, f64>,
    /// One per outcome constraint: by how much it is broken.
    pub excesses: RSlice<'a, f64>,
    /// NaN where the problem has no fidelity.
    pub fidelity: f64,
    pub ext: RStr<'a>,
}

/// One measured value, lent.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Reading<'a> {
    pub metric: RStr<'a>,
    pub value: f64,
    /// NaN where unknown.
    pub standard_error: f64,
}

/// One measured value, given away.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct OwnedReading {
    pub metric: RString,
    pub value: f64,
    /// NaN where unknown.
    pub standard_error: f64,
}

/// What an objective is to evaluate.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Assignment<'a> {
    pub trial: u64,
    pub attempt: u32,
    pub seed: u64,
    pub x: RSlice<'a, f64>,
    /// NaN where the problem has no fidelity.
    pub fidelity: f64,
    /// Infinite without a limit.
    pub time_limit_s: f64,
    /// Empty without one.
    pub output_folder: RStr<'a>,
    pub ext: RStr<'a>,
}

/// Services of the host.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostRef)))]
pub struct Host {
    pub abi_version: RStr<'static>,
    /// 0 nothing, 1 errors, 2 warnings, 3 information, 4 debugging.
    pub log_level_max: u32,
    #[sabi(last_prefix_field)]
    pub log: extern "C" fn(level: u32, target: RStr<'_>, message: RStr<'_>),
}

/// A strategy behind the boundary.
#[sabi_trait]
pub trait RawStrategy: Send {
    fn ask(&mut self, count: u32, pending: Pending<'_>) -> RResult<RVec<Suggestion>, Fault>;
    fn tell(&mut self, observations: RSlice<'_, Observation<'_>>) -> RResult<(), Fault>;
    /// RNone where the strategy has no snapshots: the host replays the history instead.
    fn snapshot(&mut self) -> RResult<ROption<RVec<u8>>, Fault>;
    #[sabi(last_prefix_field)]
    fn restore(&mut self, state: RSlice<'_, u8>) -> RResult<(), Fault>;
    /// Since 1.1. The points that it would choose for good, best first, as a JSON list of
    /// `{"x": [...], "mean": ..., "deviation": ...}`; empty where it has no model to choose by.
    fn recommend(&mut self) -> RResult<RString, Fault> {
        RResult::ROk(RString::from("[]"))
    }
}

/// What a running evaluation may ask of the host.
#[sabi_trait]
pub trait RawContext {
    /// Takes intermediate values; true: end now.
    fn report(&mut self, step: u64, readings: RSlice<'_, Reading<'_>>) -> bool;
    /// Whether the evaluation should end now.
    #[sabi(last_prefix_field)]
    fn is_stopped(&self) -> bool;
}

/// An objective behind the boundary.
#[sabi_trait]
pub trait RawObjective: Send + Sync {
    #[sabi(last_prefix_field)]
    fn evaluate(
        &self,
        assignment: Assignment<'_>,
        context: RawContext_TO<'_, RMut<'_, ()>>,
    ) -> RResult<RVec<OwnedReading>, Fault>;
}

/// Since 1.2. What a running trial measured on its way. All slices live until the call returns.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Report<'a> {
    pub trial: u64,
    /// The trial's own count of progress; increasing.
    pub step: u64,
    /// One per metric, minimised; NaN where it was not measured or is not finite.
    pub losses: RSlice<'a, f64>,
    /// One per outcome constraint: by how much it is broken; NaN as for losses.
    pub excesses: RSlice<'a, f64>,
    /// NaN where the problem has no fidelity.
    pub fidelity: f64,
    pub ext: RStr<'a>,
}

/// Since 1.2. An early-stopping rule behind the boundary.
#[sabi_trait]
pub trait RawEarlyStopping: Send {
    /// RSome ends the trial, with the reason; RNone lets it go on.
    fn reported(&mut self, report: Report<'_>) -> RResult<ROption<RString>, Fault>;
    /// A trial ended, however it did.
    #[sabi(last_prefix_field)]
    fn finished(&mut self, observation: Observation<'_>) -> RResult<(), Fault>;
    /// Since 1.3. Which stopped trial is to go on, if any.
    fn promotable(&mut self) -> RResult<ROption<Promotion>, Fault> {
        RResult::ROk(ROption::RNone)
    }
    /// Since 1.3. A stopped trial goes on, as another one.
    fn promoted(&mut self, _continued: u64, _trial: u64) -> RResult<(), Fault> {
        RResult::ROk(())
    }
}

/// Since 1.3. A stopped trial that is to go on.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct Promotion {
    pub continued: u64,
    /// What was compared with what.
    pub reason: RString,
    /// A JSON object or empty.
    pub ext: RString,
}

/// A strategy owned by the host.
pub type BoxStrategy = RawStrategy_TO<'static, RBox<()>>;
/// An objective owned by the host.
pub type BoxObjective = RawObjective_TO<'static, RBox<()>>;
/// An early-stopping rule owned by the host.
pub type BoxEarlyStopping = RawEarlyStopping_TO<'static, RBox<()>>;

/// What a component is made from. JSON documents evolve with serde defaults, not with the layout.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Create<'a> {
    /// Space, metrics, outcome constraints, fidelity.
    pub problem: RStr<'a>,
    pub options: RStr<'a>,
    /// Manifest folder, study name; objectives only.
    pub surroundings: RStr<'a>,
    pub seed: u64,
}

/// One strategy, objective or early-stopping rule of a library.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ComponentRef)))]
pub struct Component {
    pub kind: Kind,
    pub name: RStr<'static>,
    pub summary: RStr<'static>,
    /// One bit per capability; unknown bits are ignored.
    pub capabilities: u64,
    /// JSON Schema of the options.
    pub options_schema: extern "C" fn() -> RString,
    pub create_strategy: ROption<extern "C" fn(Create<'_>) -> RResult<BoxStrategy, Fault>>,
    #[sabi(last_prefix_field)]
    pub create_objective: ROption<extern "C" fn(Create<'_>) -> RResult<BoxObjective, Fault>>,
    /// Since 1.2.
    pub create_early_stopping: ROption<extern "C" fn(Create<'_>) -> RResult<BoxEarlyStopping, Fault>>,
}

/// A library's root: what the entry symbol leads to.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRef)))]
pub struct Plugin {
    /// The package's name and version.
    pub name: RStr<'static>,
    pub version: RStr<'static>,
    /// How it was built: shown, never compared.
    pub build: RStr<'static>,
    pub init: extern "C" fn(HostRef),
    #[sabi(last_prefix_field)]
    pub components: extern "C" fn() -> RVec<ComponentRef>,
}

impl RootModule for PluginRef {
    declare_root_module_statics! {PluginRef}
    const BASE_NAME: &'static str = "ansatz_plugin";
    const NAME: &'static str = "ansatz plugin";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new(ABI_VERSION);
}

pub use abi_stable;
