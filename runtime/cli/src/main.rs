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

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;

use crate::failure::{Code, Failure};

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
        Err(error) => return end(&Failure::bug(error)),
    };
    let done = runtime.block_on(command::perform(cli));
    // Everything that was said to be done is durable; what still blocks a thread is not waited for for ever.
    runtime.shutdown_timeout(FAREWELL);
    match (done, UNPRINTED.get()) {
        // What the command came to is one thing, and that nobody reads of it another: the first says more, unless it
        // says that all is well.
        (Ok(code), Some(failure)) => {
            say(&failure.to_string());
            ExitCode::from(if code == Code::Succeeded { failure.code } else { code } as u8)
        }
        (Ok(code), None) => ExitCode::from(code as u8),
        (Err(failure), _) => end(&failure),
    }
}

/// Compiles a component, as the child of a command. It is limited in memory, so nothing else is started in it.
fn compile(order: &str) -> ExitCode {
    match wflo_sandbox::compile_worker(order, &mut io::stdin(), &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            say(&failed.to_string());
            ExitCode::from(failed.code)
        }
    }
}

fn end(failure: &Failure) -> ExitCode {
    say(&failure.to_string());
    ExitCode::from(failure.code as u8)
}

/// What was to be printed and could not be, first of all.
static UNPRINTED: OnceLock<Failure> = OnceLock::new();

/// Prints data. What cannot be is an error of the whole command, which goes on and says so at its end.
pub(crate) fn print(text: &str) {
    if let Err(failure) = print_bytes(format!("{}\n", text.trim_end()).as_bytes()) {
        // Of several, the first says why.
        let _ = UNPRINTED.set(failure);
    }
}

/// Prints data as it is. A reader that has gone away is no error.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    match print_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unprinted(&error)),
        _ => Ok(()),
    }
}

/// Prints what is said once and never again: a reader that has gone away has not got it.
pub(crate) fn print_once(text: &str) -> Result<(), Failure> {
    print_all(format!("{text}\n").as_bytes()).map_err(|error| unprinted(&error))
}

fn print_all(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// Where the output goes whoever gave the command has said, as with a file that `--out` names.
fn unprinted(error: &io::Error) -> Failure {
    Failure::usage(format!("standard output: {error}"))
        .hint("what was to be done is done; only what was to be said of it here is lost")
}

/// Prints what is not data.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}
