//! What the functions of components' own types take and give, as far as steps are such functions.

use std::collections::BTreeMap;

use wasmparser::{BinaryReaderError, Chunk, Parser, Payload};
use wflo_manifest::{ComponentRef, Signatures, Workflow};
use wflo_model::Content;

use crate::failure::Failure;
use crate::project::Project;

/// What steps of a manifest are called with, and what they give; and the files that were read for it.
///
/// Nothing is compiled for steps of wflo's own kind, which most are. What is wrong with a file that is no component is
/// said where it is run.
pub(crate) async fn signatures(
    project: &Project,
    manifest: &str,
) -> Result<(Signatures, BTreeMap<ComponentRef, Content>), Failure> {
    let mut known = Signatures::new();
    let mut files = BTreeMap::new();
    for (component, name) in Workflow::functions(manifest) {
        let ComponentRef::Path(path) = &component else { continue };
        let file = files.entry(component.clone()).or_insert_with(|| {
            let bytes = std::fs::read(project.dir.join(path)).ok()?;
            let holds_steps = holds_steps(&bytes).ok()?;
            Some((Content::new(bytes), holds_steps))
        });
        let Some((content, holds_steps)) = file else { continue };
        if *holds_steps && name.interface().is_none() {
            continue;
        }
        let Ok(program) = project.sandbox()?.load(content).await else { continue };
        if let Some(signature) = program.signature(name.as_str()) {
            known.insert((component, name), signature.map_err(|error| error.to_string()));
        }
    }
    let files = files.into_iter().filter_map(|(name, file)| Some((name, file?.0)));
    Ok((known, files.collect()))
}

/// Whether a component exports steps of wflo's own kind. What lies within it is skipped: it may be large, and only the
/// outermost's exports are the whole's.
fn holds_steps(bytes: &[u8]) -> Result<bool, BinaryReaderError> {
    let (mut parser, mut at) = (Parser::new(0), 0);
    while let Some(rest) = bytes.get(at..) {
        let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else { break };
        at += consumed;
        match payload {
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => at = unchecked_range.end,
            Payload::ComponentExportSection(section) => {
                for export in section {
                    if export?.name.name.starts_with("wflo:step/handler@") {
                        return Ok(true);
                    }
                }
            }
            Payload::End(_) => break,
            _ => {}
        }
    }
    Ok(false)
}
