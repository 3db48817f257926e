//! What a component is made of, as far as its author wants to know.

use std::path::Path;

use wasmparser::{Parser, Payload};

use crate::failure::Failure;

/// A component, looked at.
pub(super) struct Looked {
    pub(super) bytes: u64,
    /// Every interface it imports, but those of the virtual layer, without versions.
    pub(super) imports: Vec<String>,
}

/// Looks at a component without compiling it.
pub(super) fn look(component: &Path) -> Result<Looked, Failure> {
    let bad = |error: &dyn std::fmt::Display| Failure::usage(format!("`{}`: {error}", component.display()));
    let bytes = std::fs::read(component).map_err(|error| bad(&error))?;
    let imports = imports(&bytes).map_err(|error| bad(&error))?;
    Ok(Looked { bytes: bytes.len() as u64, imports })
}

fn imports(bytes: &[u8]) -> Result<Vec<String>, wasmparser::BinaryReaderError> {
    let mut imports = Vec::new();
    // Components lie within components, and modules within those: only the outermost's imports are the whole's.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    imports.retain(|import| !is_virtual(import));
    for import in &mut imports {
        import.truncate(import.find('@').unwrap_or(import.len()));
    }
    imports.sort();
    Ok(imports)
}

/// Whether it is of those that every component has, and that reach nothing.
fn is_virtual(import: &str) -> bool {
    let package = import.split('/').next().unwrap_or_default();
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"]
        .contains(&package)
        || import.split('@').next().is_some_and(|name| name.ends_with("/types"))
}

/// A size, as people say it.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes.div_ceil(1_000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_virtual, size};

    #[test]
    fn sizes_are_said_in_three_digits() {
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(70_001), "71 kB");
        assert_eq!(size(18_560_000), "18.5 MB");
    }

    #[test]
    fn what_reaches_nothing_is_not_listed() {
        for import in ["wasi:io/poll@0.2.12", "wasi:sockets/tcp@0.2.0", "wflo:llm/types@0.1.0"] {
            assert!(is_virtual(import), "{import}");
        }
        for import in ["wasi:http/outgoing-handler@0.2.12", "wflo:db/sql-json@0.1.0", "wasi:logging/logging"]
        {
            assert!(!is_virtual(import), "{import}");
        }
    }
}
