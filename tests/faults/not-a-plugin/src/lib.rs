//! A library that is not a plugin: nothing of the boundary is in it.

#![forbid(unsafe_code)]

/// So that the library is not empty.
pub fn hello() -> &'static str {
    "nobody calls this"
}
