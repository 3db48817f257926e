//! The command, as somebody at a terminal waits for it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::args::Args;
use crate::meter::{median, timed};
use crate::row::Row;

const ROUNDS: usize = 21;

pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    let hello = project(&args.hello)?;
    // The first makes the store and compiles the step.
    run(args, hello.path()).await?;
    let mut rust = Vec::new();
    let Some(python) = &args.python else {
        for _ in 0..ROUNDS {
            rust.push(run(args, hello.path()).await?);
        }
        return Ok(vec![trivial(median(rust))]);
    };
    let python = project(python)?;
    run(args, python.path()).await?;
    let mut beyond = Vec::new();
    for _ in 0..ROUNDS {
        // By turns, so that what else the machine does meets both.
        let (one, other) = (run(args, hello.path()).await?, run(args, python.path()).await?);
        rust.push(one);
        beyond.push(other - one);
    }
    let beyond = Row::new("the same with a step in Python: beyond one in Rust", median(beyond), "ms")
        .at_most(100.0)
        .note("a component of 20 MB, compiled by an earlier process");
    Ok(vec![trivial(median(rust)), beyond])
}

fn trivial(ms: f64) -> Row {
    let row = Row::new("`wflo run` of a trivial workflow", ms, "ms").at_most(50.0);
    row.note("process start to end, with a warm cache of compiled code")
}

/// A copy of a workflow that was built, without a store.
fn project(from: &Path) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for entry in fs::read_dir(from).with_context(|| format!("`{}`", from.display()))? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|end| end == "toml" || end == "wasm") {
            fs::copy(entry.path(), folder.path().join(entry.file_name()))?;
        }
    }
    Ok(folder)
}

/// Runs it once, in milliseconds.
async fn run(args: &Args, project: &Path) -> Result<f64> {
    let run = async || {
        let mut command = Command::new(&args.wflo);
        command.args(["run", "--json", "--dir"]).arg(project).stdin(Stdio::null());
        let output = command.output().with_context(|| format!("`{}`", args.wflo.display()))?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    Ok(timed(run()).await? / 1e3)
}
