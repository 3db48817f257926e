//! What the functions of components' own types take and give, as far as steps are such functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmparser::{BinaryReaderError, Parser, Payload};
use wflo_manifest::{ComponentRef, Signatures, Workflow};
use wflo_sandbox::Sandbox;

use crate::failure::Failure;
use crate::project::Project;
use crate::session::sandbox;

/// What steps of a manifest are called with, and what they give.
///
/// Nothing is compiled for steps of wflo's own kind, which most are. What is wrong with a file that is no component is
/// said where it is run.
pub(crate) async fn signatures(project: &Project, manifest: &str) -> Result<Signatures, Failure> {
    let mut known = Signatures::new();
    let mut files = BTreeMap::new();
    let mut room: Option<Arc<Sandbox>> = None;
    for (component, name) in Workflow::functions(manifest) {
        let ComponentRef::Path(path) = &component else { continue };
        let file = files.entry(component.clone()).or_insert_with(|| {
            let bytes = std::fs::read(project.dir.join(path)).ok()?;
            let holds_steps = holds_steps(&bytes).ok()?;
            Some((bytes, holds_steps))
        });
        let Some((bytes, holds_steps)) = file else { continue };
        if *holds_steps && name.interface().is_none() {
            continue;
        }
        let sandbox = match &room {
            Some(sandbox) => sandbox,
            None => {
                let state = project.state.is_dir().then_some(project.state.as_path());
                room.insert(sandbox(state, &project.room())?)
            }
        };
        let Ok(program) = sandbox.load(bytes).await else { continue };
        if let Some(signature) = program.signature(name.as_str()) {
            known.insert((component, name), signature.map_err(|error| error.to_string()));
        }
    }
    Ok(known)
}

/// Whether a component exports steps of wflo's own kind.
fn holds_steps(bytes: &[u8]) -> Result<bool, BinaryReaderError> {
    // Components lie within components, and modules within those: only the outermost's exports are the whole's.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    if export?.name.name.starts_with("wflo:step/handler@") {
                        return Ok(true);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(false)
}
