//! What a component was made of, so that it is not made again of the same.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wflo_model::Digest;

use crate::failure::Failure;

/// Everything that a component depends on, on its way into one digest.
#[derive(Default)]
pub(super) struct Ingredients(Vec<u8>);

/// What is written beside a component that was made.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Stamp {
    ingredients: Digest,
    component: Digest,
}

impl Ingredients {
    /// Adds one. Names and lengths keep two that meet from being taken for one.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) {
        self.0.extend_from_slice(format!("{}:{name}:{}:", name.len(), bytes.len()).as_bytes());
        self.0.extend_from_slice(Digest::of(bytes).hex().as_bytes());
    }

    /// Adds every file in a folder that `keep` takes, by its path within.
    pub(super) fn add_folder(&mut self, folder: &Path, keep: &dyn Fn(&Path) -> bool) -> Result<(), Failure> {
        let mut files = Vec::new();
        walk(folder, keep, &mut files)
            .map_err(|error| Failure::usage(format!("`{}`: {error}", folder.display())))?;
        files.sort();
        for file in files {
            let bytes = std::fs::read(&file)
                .map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))?;
            let name = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy();
            self.add(&name, &bytes);
        }
        Ok(())
    }

    /// Whether the component that `stamp` tells of was made of exactly this, and is still there.
    pub(super) fn made(&self, stamp: &Path, component: &Path) -> bool {
        let Ok(text) = std::fs::read(stamp) else { return false };
        let Ok(stamp) = serde_json::from_slice::<Stamp>(&text) else { return false };
        let Ok(bytes) = std::fs::read(component) else { return false };
        stamp == Stamp { ingredients: self.digest(), component: Digest::of(&bytes) }
    }

    /// Writes down that the component was made of this.
    pub(super) fn seal(&self, stamp: &Path, component: &Path) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::usage(format!("`{}`: {error}", stamp.display()));
        let bytes = std::fs::read(component).map_err(failed)?;
        let sealed = Stamp { ingredients: self.digest(), component: Digest::of(&bytes) };
        let text = serde_json::to_vec(&sealed).expect("two digests are JSON");
        std::fs::write(stamp, text).map_err(failed)
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// Files below a folder. What `keep` does not take is not entered.
fn walk(folder: &Path, keep: &dyn Fn(&Path) -> bool, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        let path = entry.path();
        if !keep(&path) {
            continue;
        }
        match entry.file_type()? {
            kind if kind.is_dir() => walk(&path, keep, files)?,
            kind if kind.is_file() => files.push(path),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Ingredients;

    #[test]
    fn a_component_is_made_again_when_anything_it_is_made_of_changes() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        std::fs::create_dir_all(source.join("inner")).unwrap();
        std::fs::write(source.join("inner/steps.py"), "1").unwrap();
        std::fs::write(source.join("notes.txt"), "1").unwrap();
        let (stamp, component) = (folder.path().join("stamp"), folder.path().join("component"));
        std::fs::write(&component, "wasm").unwrap();
        let is_python =
            |path: &std::path::Path| path.is_dir() || path.extension().is_some_and(|end| end == "py");
        let ingredients = |tool: &str| {
            let mut all = Ingredients::default();
            all.add("tool", tool.as_bytes());
            all.add_folder(&source, &is_python).unwrap();
            all
        };
        assert!(!ingredients("1").made(&stamp, &component));
        ingredients("1").seal(&stamp, &component).unwrap();
        assert!(ingredients("1").made(&stamp, &component));
        assert!(!ingredients("2").made(&stamp, &component));
        std::fs::write(source.join("notes.txt"), "2").unwrap();
        assert!(ingredients("1").made(&stamp, &component));
        std::fs::write(source.join("inner/steps.py"), "2").unwrap();
        assert!(!ingredients("1").made(&stamp, &component));
        ingredients("1").seal(&stamp, &component).unwrap();
        std::fs::write(&component, "another").unwrap();
        assert!(!ingredients("1").made(&stamp, &component));
    }
}
