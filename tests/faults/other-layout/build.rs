//! abi_stable writes the package into every layout. This one poses as the boundary's own package, so
//! that the changed field alone gives it away.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=CARGO_PKG_NAME=ansatz-abi");
    println!("cargo::rustc-env=CARGO_PKG_VERSION=1.0.0");
}
