//! The interfaces of `wit/`: their page, and the promise that what is published stays.
//!
//! `cargo xtask wit` writes `docs/wit.md` and adds what is new to the list of what is frozen. Tests hold both against
//! `wit/`, and every item against the rules: a comment, and the version that it is there since.

mod item;
mod page;
mod surface;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wit_parser::{PackageId, PackageName, Resolve, UnresolvedPackageGroup, WorldItem};

use crate::tool::root;

/// The version whose surface is frozen.
const FROZEN: &str = "0.1.0";

/// A package with everything it refers to, and nothing else.
pub(crate) struct Package {
    pub(crate) resolve: Resolve,
    pub(crate) id: PackageId,
    /// Imports and exports of its worlds that do not say since when.
    undated: Vec<String>,
}

/// `cargo xtask wit`.
pub(crate) fn write() -> Result<()> {
    let packages = packages()?;
    let missing = missing(&packages);
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    let frozen = std::fs::read_to_string(frozen_file()).unwrap_or_default();
    let surface = surface::of(&packages, FROZEN);
    let gone = surface::gone(&frozen, &surface);
    if !gone.is_empty() {
        bail!(
            "{FROZEN} is frozen, and this is no longer there as it was:\n  {}\nadd something new beside it instead",
            gone.join("\n  ")
        );
    }
    std::fs::write(frozen_file(), surface.join("\n") + "\n")?;
    std::fs::write(page_file(), page::page(&packages))?;
    Ok(())
}

fn page_file() -> PathBuf {
    root().join("docs/wit.md")
}

fn frozen_file() -> PathBuf {
    root().join(format!("xtask/wit-{FROZEN}.txt"))
}

/// What is wrong with the packages by the rules for them.
fn missing(packages: &[Package]) -> Vec<String> {
    let items = packages.iter().flat_map(item::all).filter_map(|item| item.lacks());
    items.chain(packages.iter().flat_map(|package| package.undated.clone())).collect()
}

/// Every package of ours, by name, each resolved on its own: from its own folder, and the folders of what it refers to.
fn packages() -> Result<Vec<Package>> {
    let wit = root().join("wit");
    let mut own = folders(&wit)?;
    own.retain(|folder| !folder.ends_with("deps"));
    let deps = folders(&wit.join("deps"))?;
    let mut names = BTreeMap::new();
    for folder in own.iter().chain(&deps) {
        let group =
            UnresolvedPackageGroup::parse_dir(folder).with_context(|| format!("`{}`", folder.display()))?;
        names.insert(group.main.name, folder.clone());
    }
    let resolved = own.iter().map(|folder| {
        let mut resolve = Resolve::default();
        let id = push(&mut resolve, folder, &names).with_context(|| format!("`{}`", folder.display()))?;
        Ok(Package { resolve, id, undated: undated(folder)? })
    });
    resolved.collect()
}

/// Adds the package of a folder, and before it what it refers to.
fn push(resolve: &mut Resolve, folder: &Path, names: &BTreeMap<PackageName, PathBuf>) -> Result<PackageId> {
    let group = UnresolvedPackageGroup::parse_dir(folder)?;
    for needed in group.main.foreign_deps.keys() {
        if resolve.package_names.contains_key(needed) {
            continue;
        }
        let there = names.get(needed).with_context(|| format!("`{needed}` is not in `wit`"))?;
        push(resolve, there, names)?;
    }
    resolve.push_group(group).map_err(|error| anyhow::anyhow!("{error:?}"))
}

/// What the worlds of a folder import and export without a version. It is looked for before what these bring along is
/// imported with them.
fn undated(folder: &Path) -> Result<Vec<String>> {
    let group = UnresolvedPackageGroup::parse_dir(folder)?;
    let mut all = Vec::new();
    for (_, world) in group.main.worlds.iter() {
        for (number, item) in world.imports.values().chain(world.exports.values()).enumerate() {
            let stability = match item {
                WorldItem::Interface { stability, .. } => stability,
                WorldItem::Function(function) => &function.stability,
                WorldItem::Type { id, .. } => &group.main.types[*id].stability,
            };
            if stability.is_unknown() {
                all.push(format!(
                    "line {} of world `{}` of `{}`: no `@since`",
                    number + 1,
                    world.name,
                    group.main.name
                ));
            }
        }
    }
    Ok(all)
}

fn folders(of: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in of.read_dir().with_context(|| format!("`{}`", of.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{FROZEN, frozen_file, missing, packages, page, page_file, surface};

    #[test]
    fn each_package_resolves_offline_and_alone() {
        let packages = packages().unwrap();
        assert!(packages.len() >= 11, "the packages are not where they were");
        for package in packages {
            let name = &package.resolve.packages[package.id].name;
            assert_eq!(name.namespace, "wflo");
            assert!(name.version.is_some(), "`{name}` has no version");
        }
    }

    #[test]
    fn every_item_says_what_it_is_and_since_when() {
        let missing = missing(&packages().unwrap());
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }

    #[test]
    fn the_page_is_current() {
        let page = page::page(&packages().unwrap());
        let there = fs::read_to_string(page_file()).unwrap();
        assert!(there == page, "`docs/wit.md` is another: run `cargo xtask wit`");
    }

    #[test]
    fn what_is_frozen_stays_and_what_is_new_is_frozen_with_it() {
        let frozen = fs::read_to_string(frozen_file()).unwrap();
        let surface = surface::of(&packages().unwrap(), FROZEN);
        let gone = surface::gone(&frozen, &surface);
        assert!(gone.is_empty(), "{FROZEN} is frozen, and this has changed:\n{}", gone.join("\n"));
        let new: Vec<_> = surface.iter().filter(|line| !frozen.lines().any(|old| old == *line)).collect();
        assert!(new.is_empty(), "run `cargo xtask wit`, which freezes\n{new:?}");
    }
}
