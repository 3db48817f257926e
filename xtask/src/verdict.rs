//! Runs tests and repeats at the end what those that failed have said: thousands of lines may stand between.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs `cargo test`. Its output is shown as it comes; the error has the part of it that is about failures.
#[expect(clippy::print_stderr, reason = "a tool for a terminal")]
pub(crate) fn tests(what: &str, cargo: &mut Command) -> Result<()> {
    eprintln!("-- {what}");
    let mut running = cargo.stdout(Stdio::piped()).spawn().with_context(|| what.to_owned())?;
    let output = running.stdout.take().expect("it is piped");
    let failures = failures(BufReader::new(output).lines())?;
    let status = running.wait()?;
    if !status.success() {
        bail!("{what}: {status}\n{failures}");
    }
    Ok(())
}

/// Copies the lines to standard output, and keeps those between `failures:` and the `test result:` that ends them.
fn failures(lines: Lines<BufReader<impl Read>>) -> Result<String> {
    let mut terminal = std::io::stdout();
    let mut failures = String::new();
    let mut failing = false;
    for line in lines {
        let line = line?;
        writeln!(terminal, "{line}")?;
        failing = line == "failures:" || (failing && !line.starts_with("test result:"));
        if failing {
            failures += &line;
            failures.push('\n');
        }
    }
    Ok(failures)
}
