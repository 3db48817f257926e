//! Steps in Rust: a crate that cargo makes a component of.

use std::process::Stdio;

use super::Job;
use super::tool::Tool;
use crate::failure::Failure;

const TARGET: &str = "wasm32-wasip2";

/// Compiles the crate. Cargo itself knows what has to be built again.
pub(super) fn build(job: &Job<'_>) -> Result<bool, Failure> {
    if job.install {
        Tool::named("rustup", "install Rust from https://rustup.rs")
            .command()
            .run(&job.steps, &["target", "add", TARGET])?;
    }
    let cargo = Tool::named("cargo", "install Rust from https://rustup.rs");
    let output = cargo
        .command()
        .start(&job.steps)
        .args(["build", "--release", "--target", TARGET, "--target-dir", "target"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cargo.missing(&error))?;
    if !output.status.success() {
        return Err(Failure::usage(format!("`cargo build` in `{}` failed", job.steps.display()))
            .hint(format!("if the target is missing, `rustup target add {TARGET}` installs it")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let built = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["filenames"].as_array().cloned())
        .flatten()
        .filter_map(|file| file.as_str().map(str::to_owned))
        .rfind(|file| file.ends_with(".wasm"))
        .ok_or_else(|| {
            Failure::usage("the crate in `steps/` makes no component")
                .hint("it needs `crate-type = [\"cdylib\"]`")
        })?;
    job.put(built.as_ref())?;
    Ok(false)
}
