//! A plugin that takes very long to say what it offers.

#![allow(unsafe_code, reason = "an exported symbol, written by hand because the list of components is")]

use ansatz_core::abi::abi_stable::library;
use ansatz_core::abi::abi_stable::std_types::RVec;
use ansatz_core::abi::{ComponentRef, PluginRef};
use std::time::{Duration, Instant};

/// Longer than anybody waits.
const PAUSE: Duration = Duration::from_secs(600);

extern "C" fn components() -> RVec<ComponentRef> {
    let until = Instant::now() + PAUSE;
    while Instant::now() < until {
        std::thread::park_timeout(PAUSE);
    }
    RVec::new()
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
