//! The guests, built before the first test that needs one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/programs");
    // What cargo set for this test must not reach the guests; cargo locks its folder against other processes.
    let status = Command::new(env!("CARGO"))
        .current_dir(&programs)
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir", "target"])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .expect("cargo can be run");
    assert!(
        status.success(),
        "the guests do not build; is the target there? `rustup target add wasm32-wasip2`"
    );
    programs.join("target/wasm32-wasip2/release")
});

/// The component of the guest of this name.
pub(crate) fn component(guest: &str) -> Vec<u8> {
    std::fs::read(BUILT.join(format!("{guest}.wasm"))).expect("cargo built the guest")
}
