//! The files of the example, as the command carries them.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The component, as the manifest names it.
pub(crate) const COMPONENT: &str = "fraud.wasm";

/// The files that are text.
const TEXTS: &[(&str, &str)] = &[
    ("workflow.toml", include_str!("../../../../../examples/fraud-detection/workflow.toml")),
    ("wflo.toml", include_str!("../../../../../examples/fraud-detection/wflo.toml")),
    ("cassettes/fraud.jsonl", include_str!("../../../../../examples/fraud-detection/cassettes/fraud.jsonl")),
    (".gitignore", ".wflo/\ntokens/\n*.db\n*.db-*\n*.audit\n"),
];

#[cfg(demo_component)]
const EMBEDDED: Option<&[u8]> = Some(include_bytes!(env!("WFLO_DEMO_COMPONENT")));
#[cfg(not(demo_component))]
const EMBEDDED: Option<&[u8]> = None;

/// Puts the example into a folder, unless it is there.
pub(crate) fn unpack(folder: &Path) -> Result<(), Failure> {
    if folder.join("workflow.toml").is_file() {
        return Ok(());
    }
    let bad = |path: &Path, error: std::io::Error| Failure::usage(format!("`{}`: {error}", path.display()));
    if folder.read_dir().is_ok_and(|mut inside| inside.next().is_some()) {
        return Err(Failure::usage(format!("`{}` is there already, and is no workflow", folder.display()))
            .hint("name another folder: `wflo demo FOLDER`"));
    }
    let component = component()?;
    for (name, text) in TEXTS {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| bad(parent, error))?;
        std::fs::write(&path, text).map_err(|error| bad(&path, error))?;
    }
    let path = folder.join(COMPONENT);
    std::fs::write(&path, component).map_err(|error| bad(&path, error))
}

/// The component: the one inside, else that of the checkout this command was built from, built there if need be.
fn component() -> Result<Vec<u8>, Failure> {
    if let Some(bytes) = EMBEDDED {
        return Ok(bytes.to_vec());
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/fraud-detection");
    if !example.join("steps/Cargo.toml").is_file() {
        let repository = env!("CARGO_PKG_REPOSITORY");
        return Err(Failure::usage("this `wflo` was built without the component of the demo").hint(format!(
            "in a checkout of {repository}, `cargo xtask demo` plays it, and `cargo xtask install` installs a \
             `wflo` that has it inside"
        )));
    }
    let path: PathBuf = example.join(COMPONENT);
    if !path.is_file() {
        crate::build::build(&crate::build::Order { folder: &example, steps: None, install: false })?;
    }
    std::fs::read(&path).map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))
}
