//! The command, as somebody at a terminal waits for it.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::args::Args;
use crate::meter::{median, timed};
use crate::row::Row;

const ROUNDS: usize = 21;

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    for file in ["workflow.toml", "wflo.toml", "hello.wasm"] {
        let from = args.hello.join(file);
        fs::copy(&from, folder.path().join(file)).with_context(|| format!("`{}`", from.display()))?;
    }
    let run = async || {
        let mut command = Command::new(&args.wflo);
        command.args(["run", "--json", "--dir"]).arg(folder.path()).stdin(Stdio::null());
        let output = command.output().with_context(|| format!("`{}`", args.wflo.display()))?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    // The first makes the store and compiles the step.
    run().await?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(timed(run()).await? / 1e3);
    }
    let row = Row::new("`wflo run` of a trivial workflow", median(times), "ms").at_most(50.0);
    Ok(vec![row.note("process start to end, with a warm cache of compiled code")])
}
