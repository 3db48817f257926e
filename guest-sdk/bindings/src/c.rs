//! Bindings for C.

use std::path::Path;

use anyhow::Result;
use wit_bindgen_core::Files;

use crate::{Made, interfaces};

/// Where they are committed.
pub(crate) const FOLDER: &str = "c/bindings";

pub(crate) fn make() -> Result<Made> {
    let (mut resolve, world) = interfaces::resolve()?;
    let mut files = Files::default();
    // `wflo build` writes the world into the module itself, as it does for other languages.
    let options = wit_bindgen_c::Opts { no_object_file: true, ..wit_bindgen_c::Opts::default() };
    options.build().generate(&mut resolve, world, &mut files)?;
    Ok(files.iter().map(|(name, text)| (Path::new(FOLDER).join(name), text.to_vec())).collect())
}
