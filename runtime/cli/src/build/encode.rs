//! Components of the modules that compilers make which know nothing of components.

use std::path::Path;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, UnresolvedPackageGroup};

use super::Job;
use super::stamp::Ingredients;
use super::wit::PACKAGES;
use crate::failure::Failure;

/// The world that the SDKs of these languages are bound to. Of its imports a component has those that its module has.
const WORLD: &str = include_str!("../../../../guest-sdk/bindings/guest.wit");

/// Makes the component of a module, unless there is one of the same module; says whether there was.
pub(super) fn encode(job: &Job<'_>, module: &Path) -> Result<bool, Failure> {
    let bytes =
        std::fs::read(module).map_err(|error| Failure::usage(format!("`{}`: {error}", module.display())))?;
    let mut ingredients = Ingredients::default();
    ingredients.add("module", &bytes);
    ingredients.add("world", WORLD.as_bytes());
    ingredients.add("adapter", WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    for (path, text) in PACKAGES {
        ingredients.add(path, text.as_bytes());
    }
    let (stamp, built) = (job.work.join("stamp.json"), job.work.join("component.wasm"));
    if ingredients.made(&stamp, &built) {
        return job.put(&built).map(|()| true);
    }
    let component = component(bytes).map_err(|why| {
        Failure::usage(format!("`{}` cannot be made a component: {why}", module.display()))
            .hint("a component of steps needs the SDK of its language, and imports nothing but WASI beside")
    })?;
    std::fs::write(&built, component).map_err(|error| job.unwritable(&built, &error))?;
    ingredients.seal(&stamp, &built)?;
    job.put(&built).map(|()| false)
}

fn component(mut module: Vec<u8>) -> Result<Vec<u8>, String> {
    // These libraries have errors of a kind that this crate has no use for otherwise.
    let said = |error: &dyn std::fmt::Debug| format!("{error:?}");
    let (mut packages, mut resolve) = (Vec::new(), Resolve::default());
    for (path, text) in PACKAGES {
        let package = UnresolvedPackageGroup::parse(path, text);
        packages.push(package.map_err(|(map, error)| error.render(&map))?);
    }
    let world = UnresolvedPackageGroup::parse("guest.wit", WORLD);
    let world = world.map_err(|(map, error)| error.render(&map))?;
    let package = resolve.push_groups(world, packages).map_err(|error| said(&error))?;
    let world = resolve.select_world(&[package], None).map_err(|error| said(&error))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| said(&error))?;
    let (name, adapter) = (WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    let encoder = ComponentEncoder::default().validate(true).module(&module).map_err(|error| said(&error))?;
    encoder.adapter(name, adapter).and_then(|mut encoder| encoder.encode()).map_err(|error| said(&error))
}

#[cfg(test)]
mod tests {
    use super::component;

    #[test]
    fn a_module_that_is_none_of_steps_is_told_apart() {
        let why = component(b"\0asm\x01\0\0\0".to_vec()).unwrap_err();
        assert!(why.contains("wflo:step/handler@0.1.0"), "{why}");
        assert!(component(b"nothing".to_vec()).is_err());
    }
}
