//! The interfaces, as tools of other languages take them: a folder with a world.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Job;
use crate::failure::Failure;

/// The interfaces of this version: path below `deps`, text. `build.rs` collects them.
pub(super) const PACKAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/wit.rs"));

/// The name of the world that components are made for.
pub(super) const WORLD: &str = "component";

/// Writes a world that imports these interfaces and exports steps, with everything it refers to; gives its folder and
/// all of its text.
pub(super) fn write(job: &Job<'_>, imports: &BTreeSet<String>) -> Result<(PathBuf, String), Failure> {
    let folder = job.work.join("wit");
    let mut all = world(imports);
    let make = |path: &Path| {
        std::fs::create_dir_all(path)
            .map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))
    };
    // Packages of another version of `wflo` must not stay beside these.
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| job.unwritable(&folder, &error))?;
    }
    make(&folder)?;
    job.write(&folder.join("world.wit"), &all)?;
    for (path, text) in PACKAGES {
        let file = folder.join("deps").join(path);
        make(file.parent().expect("a package has a folder"))?;
        job.write(&file, text)?;
        all.push_str(text);
    }
    Ok((folder, all))
}

fn world(imports: &BTreeSet<String>) -> String {
    let mut world = format!("package wflo:built@0.1.0;\n\nworld {WORLD} {{\n");
    for import in imports {
        writeln!(world, "    import {import};").expect("text takes text");
    }
    world.push_str("    export wflo:step/handler@0.1.0;\n}\n");
    world
}

#[cfg(test)]
mod tests {
    use super::{PACKAGES, world};

    #[test]
    fn every_package_is_there_but_the_hosts_own() {
        let paths: Vec<_> = PACKAGES.iter().map(|(path, _)| *path).collect();
        for path in
            ["step/step.wit", "db/db.wit", "http/http.wit", "wasi-http/http.wit", "wasi-logging/logging.wit"]
        {
            assert!(paths.contains(&path), "{paths:?}");
        }
        assert!(!paths.contains(&"host/host.wit"), "{paths:?}");
    }

    #[test]
    fn a_world_imports_what_it_is_told_to() {
        let imports = ["wflo:db/sql@0.1.0".to_owned(), "wasi:io/poll@0.2.12".to_owned()].into();
        assert_eq!(
            world(&imports),
            "package wflo:built@0.1.0;\n\nworld component {\n    import wasi:io/poll@0.2.12;\n    \
             import wflo:db/sql@0.1.0;\n    export wflo:step/handler@0.1.0;\n}\n"
        );
    }
}
