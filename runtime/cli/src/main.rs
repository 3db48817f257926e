//! The `wflo` command.

mod args;
mod build;
mod changes;
mod command;
mod failure;
mod functions;
mod new;
mod progress;
mod project;
mod session;
mod show;
mod terminal;
mod test_file;
mod trace;
mod undoing;
mod words;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

/// Events are made on one thread and written on another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long threads that are in the middle of something are waited for at the end.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(5);

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    if let args::Command::Compile { order } = &cli.command {
        return compile(order);
    }
    if let Err(failure) = trace::begin() {
        return end(&failure);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(&failure::Failure::bug(error)),
    };
    let done = runtime.block_on(command::perform(cli));
    // Everything that was said to be done is durable; what still blocks a thread is not waited for for ever.
    runtime.shutdown_timeout(FAREWELL);
    match done {
        Ok(code) => ExitCode::from(code as u8),
        Err(failure) => end(&failure),
    }
}

/// Compiles a component, as the child of a command. It is limited in memory, so nothing else is started in it.
fn compile(order: &str) -> ExitCode {
    match wflo_sandbox::compile_worker(order, &mut std::io::stdin(), &mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            say(&failed.to_string());
            ExitCode::from(failed.code)
        }
    }
}

fn end(failure: &failure::Failure) -> ExitCode {
    say(&failure.to_string());
    ExitCode::from(failure.code as u8)
}

/// Prints data. A reader that has gone away is no error.
pub(crate) fn print(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
}

/// Prints what is not data.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
}
