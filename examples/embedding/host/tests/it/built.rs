//! The workflow with its component built, for the tests beside this.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

/// The folder of the workflow, with its component built.
pub(crate) static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let steps = example.join("steps");
    let status = Command::new(env!("CARGO"))
        .current_dir(&steps)
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir", "target"])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .expect("cargo can be run");
    assert!(status.success(), "the steps do not build; is the target there?");
    let folder = tempfile::tempdir().expect("a folder for the test");
    copy(&steps.join("target/wasm32-wasip2/release/ward.wasm"), &folder.path().join("ward.wasm"));
    copy(&example.join("workflow.toml"), &folder.path().join("workflow.toml"));
    folder
});

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap_or_else(|error| panic!("`{}`: {error}", from.display()));
}
