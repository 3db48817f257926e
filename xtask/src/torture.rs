//! `cargo xtask torture`: kill -9 at random moments, and nothing is lost.

use anyhow::Result;

use crate::guests;
use crate::tool::{self, Step, cargo};

/// Builds the command, its guests and the torturer, and lets it go; it takes `--rounds N` and `--seed S`.
pub(crate) fn torture(args: &[&str]) -> Result<()> {
    // The whole workspace, as `cargo xtask test` does: what is built alone is built with other features.
    Step::new("building wflo and what tortures it (the first time takes some minutes)")
        .loud()
        .run(cargo().args(["build", "--quiet", "--workspace", "--all-targets"]))?;
    guests::target()?;
    Step::new("building the steps").run(
        tool::command(tool::beside("wflo")?).arg("build").arg(tool::root().join("tests/workflows/torture")),
    )?;
    Step::new("torturing").loud().run(tool::command(tool::beside("wflo-torture")?).args(args))
}
