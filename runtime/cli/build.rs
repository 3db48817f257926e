//! Puts the demo's component into the command, if somebody names one: `cargo xtask install` does. Nothing is compiled
//! to WebAssembly here, so that a plain `cargo build` needs no more than Rust; such a command finds the component in
//! the checkout it was built from.
//!
//! Also collects the interfaces, which `wflo build` gives to the tools of languages.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "WFLO_DEMO_COMPONENT";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(demo_component)");
    collect_wit();
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

/// Writes `wit.rs`: the path of each package below a folder of dependencies, and its text.
fn collect_wit() {
    let variable = |name: &str| PathBuf::from(std::env::var_os(name).expect("cargo sets it"));
    let wit = variable("CARGO_MANIFEST_DIR").join("../../wit");
    println!("cargo::rerun-if-changed={}", wit.display());
    let mut packages = Vec::new();
    for folder in [wit.clone(), wit.join("deps")] {
        for package in folder.read_dir().expect("the interfaces are in the checkout") {
            let package = package.expect("the interfaces are in the checkout").path();
            // The host's world is of no use to a guest.
            let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !package.is_dir() || ["deps", "host"].contains(&name.as_str()) {
                continue;
            }
            for file in package.read_dir().expect("a package is a folder") {
                let file = file.expect("a package is a folder").path();
                let file = file.canonicalize().expect("it is there");
                let of_others = if folder.ends_with("deps") { "wasi-" } else { "" };
                let path =
                    format!("{of_others}{name}/{}", file.file_name().unwrap_or_default().to_string_lossy());
                packages.push((path, file));
            }
        }
    }
    packages.sort();
    let mut code = "&[\n".to_owned();
    for (path, file) in packages {
        writeln!(code, "    ({path:?}, include_str!({file:?})),").expect("text takes text");
    }
    code.push_str("]\n");
    std::fs::write(variable("OUT_DIR").join("wit.rs"), code).expect("cargo's folder can be written");
}
