//! The interfaces, resolved.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use wit_bindgen_core::wit_parser::{Resolve, UnresolvedPackageGroup, WorldId};

/// The world that is bound: every interface that the SDKs wrap.
const WORLD: &str = include_str!("../guest.wit");

/// Everything that a generator needs: the packages of `wit/`, and the world.
pub(crate) fn resolve() -> Result<(Resolve, WorldId)> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut packages = Vec::new();
    for folder in [wit.clone(), wit.join("deps")] {
        let entries = folder.read_dir().with_context(|| format!("`{}`", folder.display()))?;
        let mut folders: Vec<_> = entries.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>()?;
        // The host's own world is of no use to a guest.
        folders.retain(|folder| folder.is_dir() && !folder.ends_with("deps") && !folder.ends_with("host"));
        folders.sort();
        for folder in folders {
            packages.push(UnresolvedPackageGroup::parse_dir(folder)?);
        }
    }
    let world = UnresolvedPackageGroup::parse("guest.wit", WORLD)
        .map_err(|(map, error)| anyhow!(error.render(&map)))?;
    let mut resolve = Resolve::default();
    let package = resolve.push_groups(world, packages).map_err(|error| anyhow!("{error:?}"))?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    Ok((resolve, world))
}
