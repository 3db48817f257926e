//! `cargo xtask examples`: what the READMEs of the examples show, played.

use anyhow::{Result, bail};

use crate::guests;
use crate::tool::{self, Step, cargo, root};

/// Plays all examples, or those named, and prints the table of `examples/README.md` with what happened; with `--doc` it is
/// written there. What takes long is left out with `--short`.
pub(crate) fn examples(args: &[&str]) -> Result<()> {
    let (mut passed, mut long) = (Vec::new(), true);
    for arg in args {
        match *arg {
            "--short" => long = false,
            "--doc" => passed.push("--doc"),
            name if !name.starts_with('-') => passed.push(name),
            other => bail!("`cargo xtask examples` knows no `{other}`"),
        }
    }
    passed.extend(long.then_some("--long"));
    // The whole workspace, as `cargo xtask test` does: what is built alone is built with other features.
    Step::new("building wflo and what the examples need (the first time takes some minutes)")
        .loud()
        .run(cargo().args(["build", "--quiet", "--workspace", "--all-targets"]))?;
    guests::build_all(&tool::beside("wflo")?)?;
    let mut play = tool::command(tool::beside("wflo-examples")?);
    play.arg("--folder").arg(root().join("examples")).args(passed);
    Step::new("playing the examples").loud().run(&mut play)
}
