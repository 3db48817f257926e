//! The tools of languages, and what to say where one is missing.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::failure::Failure;

/// A program of a language.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    program: PathBuf,
    /// What runs it, where it is a script.
    runs_on: Option<&'static str>,
    hint: String,
}

/// What `env` exits with, which the first line of a script names, where there is nothing to run the script.
const NOT_FOUND: i32 = 127;

impl Tool {
    /// A program that is found where the system's are.
    pub(super) fn named(program: &str, hint: &str) -> Self {
        Self { program: program.into(), runs_on: None, hint: hint.to_owned() }
    }

    /// A program at its path.
    pub(super) fn at(program: PathBuf) -> Self {
        Self { program, runs_on: None, hint: String::new() }
    }

    /// A script at its path, what runs it, and how to get that.
    pub(super) fn script(program: PathBuf, runs_on: &'static str, hint: &str) -> Self {
        Self { program, runs_on: Some(runs_on), hint: hint.to_owned() }
    }

    pub(super) const fn command(&self) -> Started<'_> {
        Started { tool: self }
    }

    /// The failure to start it, with how to get it.
    pub(super) fn missing(&self, error: &io::Error) -> Failure {
        let program = self.program.display();
        let failure = Failure::usage(match error.kind() {
            io::ErrorKind::NotFound => format!("`{program}` is not there"),
            _ => format!("`{program}`: {error}"),
        });
        if self.hint.is_empty() { failure } else { failure.hint(&self.hint) }
    }

    fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// A tool, about to run.
pub(super) struct Started<'a> {
    tool: &'a Tool,
}

impl Started<'_> {
    /// In a folder, with nothing to read.
    pub(super) fn start(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.tool.program);
        command.current_dir(folder).stdin(Stdio::null());
        command
    }

    /// Runs it to its end. What it says is for people; `wflo`'s own standard output is data.
    pub(super) fn run<S: AsRef<OsStr>>(&self, folder: &Path, args: &[S]) -> Result<(), Failure> {
        let mut command = self.start(folder);
        let output = command
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| self.tool.missing(&error))?;
        self.judged(folder, &output)
    }

    /// As [`run`](Self::run); what it says on its standard error comes first.
    pub(super) fn listen<S: AsRef<OsStr>>(
        &self,
        folder: &Path,
        args: &[S],
    ) -> Result<(String, Result<(), Failure>), Failure> {
        let output = self.start(folder).args(args).output().map_err(|error| self.tool.missing(&error))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((said, self.judged(folder, &output)))
    }

    fn judged(&self, folder: &Path, output: &Output) -> Result<(), Failure> {
        if output.status.success() {
            return Ok(());
        }
        say(&output.stdout);
        if let Some(runs_on) = self.tool.runs_on.filter(|_| output.status.code() == Some(NOT_FOUND)) {
            let failure =
                Failure::usage(format!("`{}` runs on `{runs_on}`, which is not there", self.tool.name()));
            return Err(failure.hint(&self.tool.hint));
        }
        Err(Failure::usage(format!("`{}` in `{}` failed", self.tool.name(), folder.display())))
    }
}

/// Tells people what a tool has said, if it has said anything.
pub(super) fn say(said: &[u8]) {
    let said = String::from_utf8_lossy(said);
    if !said.trim().is_empty() {
        crate::say(said.trim_end());
    }
}
