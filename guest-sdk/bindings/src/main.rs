//! Makes the bindings of the Go and C SDKs from `wit/`, and puts them where they are committed.
//!
//! They are committed, so that a Go module is complete as it is published, so that an editor finds what a step calls, and
//! so that `wflo build` needs no generator. The test here compares what is committed with what would be made.

mod c;
mod go;
mod interfaces;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Files by their path in `guest-sdk/`.
type Made = BTreeMap<PathBuf, Vec<u8>>;

/// The folders that hold nothing but what is made here.
const FOLDERS: [&str; 2] = [go::FOLDER, c::FOLDER];

fn main() -> Result<()> {
    let made = make()?;
    for folder in FOLDERS.map(|folder| sdks().join(folder)) {
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
        }
    }
    for (path, text) in made {
        let file = sdks().join(path);
        let folder = file.parent().context("a file is in a folder")?;
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&file, text))
            .with_context(|| format!("`{}`", file.display()))?;
    }
    Ok(())
}

fn make() -> Result<Made> {
    let mut made = go::make()?;
    made.extend(c::make()?);
    Ok(made)
}

/// The folder of the SDKs.
fn sdks() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this is a folder of it")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::{FOLDERS, make, sdks};

    #[test]
    fn what_is_committed_is_what_the_interfaces_say() {
        let made = make().unwrap();
        for (path, text) in &made {
            let committed = std::fs::read(sdks().join(path)).unwrap_or_default();
            assert!(
                committed == *text,
                "`{}` is not what `wit/` says: run `cargo xtask bindings`",
                path.display()
            );
        }
        let expected: BTreeSet<PathBuf> = made.into_keys().collect();
        let mut there = BTreeSet::new();
        for folder in FOLDERS {
            files(&sdks().join(folder), &mut there);
        }
        let strangers: Vec<_> = there.difference(&expected).collect();
        assert!(strangers.is_empty(), "nothing makes {strangers:?}: run `cargo xtask bindings`");
    }

    fn files(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.insert(path.strip_prefix(sdks()).unwrap().to_owned());
            }
        }
    }
}
