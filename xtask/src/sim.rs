//! `cargo xtask sim`: the simulation, as fast as it goes.

use anyhow::Result;

use crate::tool::{Step, cargo};

/// Plays seeds; `args` are those of `wflo-sim`.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    Step::new("building the simulation (the first time takes some minutes)").loud().run(cargo().args([
        "build",
        "--quiet",
        "--profile",
        "bench",
        "--package",
        "wflo-sim",
    ]))?;
    let mut sim = cargo();
    sim.args(["run", "--quiet", "--profile", "bench", "--package", "wflo-sim", "--"]).args(args);
    Step::new("playing").loud().run(&mut sim)
}
