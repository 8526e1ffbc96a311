//! The same symbol, the same package and version in the layouts, but one field of the root has another
//! type: what a build from a changed copy of the boundary looks like. A host that trusted the symbol's
//! name alone would read a number as a text.

// the macros of abi_stable write the unsafe code and undocumented items that these lints speak of
#![allow(unsafe_code, missing_docs, clippy::undocumented_unsafe_blocks)]

use abi_stable::library::{
    self, __call_root_module_loader, CheckTypeLayout, LibHeader, RootModule, RootModuleResult,
};
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RStr, RVec};
use abi_stable::{StableAbi, declare_root_module_statics};
use ansatz_abi::{ComponentRef, HostRef};

/// The root as it is, but for `version`.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRef)))]
pub struct Plugin {
    pub name: RStr<'static>,
    /// A text at the real boundary.
    pub version: u64,
    pub build: RStr<'static>,
    pub init: extern "C" fn(HostRef),
    #[sabi(last_prefix_field)]
    pub components: extern "C" fn() -> RVec<ComponentRef>,
}

impl RootModule for PluginRef {
    declare_root_module_statics! {PluginRef}
    const BASE_NAME: &'static str = "ansatz_plugin";
    const NAME: &'static str = "ansatz plugin";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new("1.0.0");
}

extern "C" fn init(_: HostRef) {}

extern "C" fn components() -> RVec<ComponentRef> {
    RVec::new()
}

fn root() -> PluginRef {
    Plugin { name: RStr::from_str("other-layout"), version: 1, build: RStr::from_str(""), init, components }
        .leak_into_prefix()
}

extern "C" fn erased() -> RootModuleResult {
    __call_root_module_loader(root)
}

// SAFETY: the loader makes this very root module; no other library of the process is linked with it.
#[unsafe(no_mangle)]
pub static ANSATZ_PLUGIN_ABI_1: library::LibHeader =
    unsafe { LibHeader::from_constructor::<PluginRef>(erased, CheckTypeLayout::Yes) };
