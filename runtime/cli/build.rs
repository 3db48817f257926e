//! Puts the demo's component into the command, if somebody names one: `cargo xtask install` does. Nothing is compiled
//! to WebAssembly here, so that a plain `cargo build` needs no more than Rust; such a command finds the component in
//! the checkout it was built from.

use std::path::Path;

const VARIABLE: &str = "WFLO_DEMO_COMPONENT";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(demo_component)");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    #[expect(clippy::disallowed_methods, reason = "a build script is told things by its environment")]
    let named = std::env::var(VARIABLE);
    let Ok(path) = named else { return };
    assert!(Path::new(&path).is_file(), "`{VARIABLE}` names `{path}`, and there is no such file");
    println!("cargo::rerun-if-changed={path}");
    println!("cargo::rustc-env={VARIABLE}={path}");
    println!("cargo::rustc-cfg=demo_component");
}
