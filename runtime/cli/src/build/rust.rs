//! Steps in Rust: a crate that cargo makes a component of.

use std::path::Path;
use std::process::Stdio;

use super::Job;
use super::tool::Tool;
use crate::failure::Failure;

const TARGET: &str = "wasm32-wasip2";
const GET_RUST: &str = "install Rust from https://rustup.rs";

/// Compiles the crate. Cargo itself knows what has to be built again.
pub(super) fn build(job: &Job<'_>) -> Result<bool, Failure> {
    if job.install {
        Tool::named("rustup", GET_RUST).command().run(&job.steps, &["target", "add", TARGET])?;
    }
    let cargo = Tool::named("cargo", GET_RUST);
    let output = cargo
        .command()
        .start(&job.steps)
        .args(["build", "--release", "--target", TARGET, "--target-dir", "target"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cargo.missing(&error))?;
    if !output.status.success() {
        let failure = Failure::usage(format!("`cargo build` in `{}` failed", job.steps.display()));
        // The compiler said that as one of many errors about `core`.
        return Err(match lacks_target(job) {
            true => failure.hint(format!(
                "`{TARGET}` is not there: `wflo build --install` gets it: `rustup target add {TARGET}`"
            )),
            false => failure,
        });
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

/// Whether the compiler has no standard library for components.
fn lacks_target(job: &Job<'_>) -> bool {
    let rustc = Tool::named("rustc", GET_RUST);
    let asked =
        rustc.command().start(&job.steps).args(["--print", "target-libdir", "--target", TARGET]).output();
    asked.is_ok_and(|asked| {
        asked.status.success() && !Path::new(String::from_utf8_lossy(&asked.stdout).trim()).is_dir()
    })
}
