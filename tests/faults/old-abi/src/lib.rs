//! A plugin for a major of the boundary that this host does not speak: the symbol's name alone says so,
//! and nothing may be read through it.

#![allow(unsafe_code, reason = "an exported symbol")]

/// What another major has behind its symbol is its own affair.
// SAFETY: no other library of the process exports this name.
#[unsafe(no_mangle)]
pub static ANSATZ_PLUGIN_ABI_2: u64 = u64::MAX;
