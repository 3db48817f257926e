//! Measures wflo against its goals, each beside the floor it stands on: `cargo xtask bench`.
//!
//! Absolute figures move with the machine's mood, so a goal is held against a floor measured in the same run
//! wherever there is one. Every figure is a median of several rounds after a warm-up, unless its note says what
//! else it is. Where a goal is about a process, the process is real: it is started, and where need be killed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is the table")]

mod args;
mod floor;
mod goal;
mod guest;
mod meter;
mod outside;
mod row;
mod table;
mod world;

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::args::{Args, Task};

/// The command's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let done = Args::parse(std::env::args().skip(1)).and_then(|task| match task {
        Task::Child { what, rest } => block_on(goal::child(&what, &rest)),
        Task::Measure(args) => measure(&args),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    // As many threads as the goals are stated for.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(future);
    // A child that is done is not to wait for guests that never end.
    runtime.shutdown_background();
    done
}

fn measure(args: &Args) -> Result<()> {
    let mut rows = Vec::new();
    for goal in goal::ALL.iter().filter(|goal| args.wants(goal.name)) {
        eprintln!("-- {}", goal.says);
        let measured = block_on((goal.measure)(args)).with_context(|| format!("`{}`", goal.name))?;
        rows.extend(measured);
    }
    anyhow::ensure!(!rows.is_empty(), "no bench has `{}` in its name", args.name.as_deref().unwrap_or(""));
    print!("{}", table::plain(&rows));
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&rows)? + "\n";
        std::fs::write(path, text).with_context(|| format!("`{}`", path.display()))?;
    }
    if let Some(path) = &args.table {
        table::replace(path, &rows)?;
    }
    Ok(())
}
