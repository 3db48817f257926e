//! `wflo build`: the steps, compiled by their language's own tools.

use std::path::Path;
use std::process::Command;

use crate::failure::Failure;

const TARGET: &str = "wasm32-wasip2";

/// Compiles the crate in `steps/` and puts the component where the manifest names it.
pub(crate) fn build(folder: &Path) -> Result<(), Failure> {
    let steps = folder.join("steps");
    if !steps.join("Cargo.toml").is_file() {
        return Err(Failure::usage(format!("there is no crate in `{}`", steps.display()))
            .hint("steps in Rust are a crate in `steps/` beside `workflow.toml`"));
    }
    let manifest = std::fs::read_to_string(folder.join("workflow.toml"))
        .map_err(|error| Failure::usage(format!("`workflow.toml`: {error}")))?;
    let workflow = wflo_manifest::Workflow::parse("workflow.toml", &manifest)
        .map_err(|wrong| Failure::rendered(crate::failure::Code::Usage, wrong.render(false)))?;
    let components = workflow.components();
    let [wflo_manifest::ComponentRef::Path(component)] = components.iter().copied().collect::<Vec<_>>()[..]
    else {
        return Err(Failure::usage("`wflo build` needs a workflow with one component given by its path"));
    };
    let output = Command::new("cargo")
        .current_dir(&steps)
        .args(["build", "--release", "--target", TARGET, "--target-dir", "target"])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| {
            Failure::usage(format!("`cargo`: {error}")).hint("install Rust from https://rustup.rs")
        })?;
    if !output.status.success() {
        return Err(Failure::usage(format!("`cargo build` in `{}` failed", steps.display()))
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
    let to = folder.join(component);
    let temporary = to.with_extension("wasm.new");
    std::fs::copy(&built, &temporary)
        .and_then(|_| std::fs::rename(&temporary, &to))
        .map_err(|error| Failure::usage(format!("`{}`: {error}", to.display())))?;
    crate::say(&format!("built {}", to.display()));
    Ok(())
}
