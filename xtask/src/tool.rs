//! Running other programs, and saying clearly what is lacking when one is not there.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the checkout")
}

/// A program, started in the root of the checkout.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    command(env!("CARGO"))
}

/// Builds the `wflo` command and says where it is.
pub(crate) fn wflo() -> Result<PathBuf> {
    Step::new("building wflo (the first time takes some minutes)").loud().run(cargo().args([
        "build",
        "--quiet",
        "--package",
        "wflo-cli",
        "--package",
        "fraud-data",
    ]))?;
    beside("wflo")
}

/// A program of the workspace: xtask itself was built into the same folder.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("where xtask itself is")?;
    Ok(here.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// One thing to do, announced in a line.
pub(crate) struct Step {
    what: &'static str,
    loud: bool,
}

impl Step {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what, loud: false }
    }

    /// Its output is shown also when it succeeds.
    pub(crate) const fn loud(mut self) -> Self {
        self.loud = true;
        self
    }

    /// Does it.
    #[expect(clippy::print_stderr, reason = "a tool for a terminal")]
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        eprintln!("-- {}", self.what);
        let program = command.get_program().to_string_lossy().into_owned();
        let lacking = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => anyhow::anyhow!("{}: `{program}` is not installed", self.what),
            _ => anyhow::Error::new(error).context(format!("{}: `{program}`", self.what)),
        };
        if self.loud {
            let status = command.status().map_err(lacking)?;
            if !status.success() {
                bail!("{}: `{program}` ended with {status}", self.what);
            }
            return Ok(());
        }
        let output = command.output().map_err(lacking)?;
        if !output.status.success() {
            eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            bail!("{}: `{program}` ended with {}", self.what, output.status);
        }
        Ok(())
    }
}
