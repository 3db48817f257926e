//! Guests: programs that compile to WebAssembly components.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tool::{Step, cargo, command, root};

/// What guests are compiled to.
const TARGET: &str = "wasm32-wasip2";

/// Builds the steps of every example, and of the workflows that only tests use.
pub(crate) fn build_all(wflo: &Path) -> Result<()> {
    target()?;
    for folder in workflows("examples")?.into_iter().chain(workflows("tests/workflows")?) {
        Step::new("building the steps of a workflow").run(command(wflo).arg("build").arg(folder))?;
    }
    Ok(())
}

/// Makes sure that the compiler has the guests' target.
pub(crate) fn target() -> Result<()> {
    let output = command("rustc").args(["--print", "sysroot"]).output().context("`rustc --print sysroot`")?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if sysroot.join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(());
    }
    Step::new("installing the WebAssembly target of the compiler")
        .run(command("rustup").args(["target", "add", TARGET]))
        .with_context(|| {
            format!("guests need `{TARGET}`; with rustup, `rustup target add {TARGET}` installs it")
        })
}

/// What builds one of `tests/programs`, into the folder that tests build them into as well.
pub(crate) fn program(name: &str) -> Command {
    let mut build = cargo();
    build
        .current_dir(root().join("tests/programs"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--target",
            TARGET,
            "--target-dir",
            "target",
            "--package",
            name,
        ])
        // What cargo set for this tool must not reach the guests.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    build
}

/// Where [`program`] puts it.
pub(crate) fn program_file(name: &str) -> PathBuf {
    root().join("tests/programs/target").join(TARGET).join("release").join(format!("{name}.wasm"))
}

/// The folders in a folder that hold a workflow, and those in these: a workflow may have others beside it.
fn workflows(folder: &str) -> Result<Vec<PathBuf>> {
    let folder = root().join(folder);
    let mut found = Vec::new();
    for path in folders(&folder)?.into_iter().filter(|path| path.join("workflow.toml").is_file()) {
        found.extend(folders(&path)?.into_iter().filter(|path| path.join("workflow.toml").is_file()));
        found.push(path);
    }
    if found.is_empty() {
        bail!("there are no workflows in `{}`", folder.display());
    }
    found.sort();
    Ok(found)
}

/// The folders in a folder.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("`{}`", folder.display());
    let mut found = Vec::new();
    for entry in folder.read_dir().with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}
