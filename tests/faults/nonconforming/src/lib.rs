//! Strategies, objectives and early-stopping rules that conform to the contract, but for one misdeed each: for every case of
//! `ansatz plugins check` there is one that it catches, and that no other case does.
//!
//! `walker` has the strategies, `bowl` the objectives and `judge` the rules. What the glue of ansatz-core prevents for its authors is done
//! by hand in `past_the_glue`, as a plugin in another language would.

#![allow(unsafe_code, reason = "an exported symbol, written by hand because some components are")]
#![allow(clippy::panic, reason = "panics are among the misdeeds")]

mod bowl;
mod judge;
mod past_the_glue;
mod walker;

pub use bowl::Bowl;
pub use judge::Judge;
pub use walker::Walker;

use ansatz_core::abi::abi_stable::library;
use ansatz_core::abi::abi_stable::std_types::RVec;
use ansatz_core::abi::{ComponentRef, PluginRef};

extern "C" fn components() -> RVec<ComponentRef> {
    let mut components = RVec::new();
    walker::list(&mut components);
    past_the_glue::list(&mut components);
    bowl::list(&mut components);
    judge::list(&mut components);
    components
}

fn root() -> PluginRef {
    ansatz_core::glue::plugin(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), components)
}

extern "C" fn erased() -> library::RootModuleResult {
    library::__call_root_module_loader(root)
}

/// As `export_plugin!` writes it.
// SAFETY: plugins are loaded with symbols of their own, so that the name clashes with no other library's.
#[unsafe(no_mangle)]
pub static ANSATZ_PLUGIN_ABI_1: library::LibHeader =
    // SAFETY: the loader it names makes this very root module.
    unsafe { library::LibHeader::from_constructor::<PluginRef>(erased, library::CheckTypeLayout::Yes) };
