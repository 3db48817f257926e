//! What the program is asked to do.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

/// What to do.
pub(crate) enum Task {
    /// Measure.
    Measure(Args),
    /// Play a part in a measurement of another process of this program.
    Child {
        /// The part.
        what: String,
        /// What it is given.
        rest: Vec<String>,
    },
}

/// How to measure.
#[derive(Debug, Default)]
pub(crate) struct Args {
    /// Measure only what has this in its name.
    pub(crate) name: Option<String>,
    /// Where the figures go, as JSON.
    pub(crate) json: Option<PathBuf>,
    /// The page whose table the figures replace.
    pub(crate) table: Option<PathBuf>,
    /// The guest `pacer`, compiled.
    pub(crate) guest: PathBuf,
    /// The command `wflo`, built as this program was.
    pub(crate) wflo: PathBuf,
    /// A folder with the workflow `hello`, built.
    pub(crate) hello: PathBuf,
    /// A folder with a workflow like it whose step is in Python, built; none where Python's tools cannot be had.
    pub(crate) python: Option<PathBuf>,
    /// A folder with the example of content moderation, built.
    pub(crate) moderation: PathBuf,
}

impl Args {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Task> {
        let mut out = Self::default();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("`{arg}` needs a value"));
            match arg.as_str() {
                "child" => {
                    let what = value()?;
                    return Ok(Task::Child { what, rest: args.collect() });
                }
                "--json" => out.json = Some(value()?.into()),
                "--table" => out.table = Some(value()?.into()),
                "--guest" => out.guest = value()?.into(),
                "--wflo" => out.wflo = value()?.into(),
                "--hello" => out.hello = value()?.into(),
                "--python" => out.python = Some(value()?.into()),
                "--moderation" => out.moderation = value()?.into(),
                name if !name.starts_with('-') && out.name.is_none() => out.name = Some(arg),
                other => bail!("`{other}` is not expected"),
            }
        }
        Ok(Task::Measure(out))
    }

    /// Whether what has this name is to be measured.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|wanted| name.contains(wanted.as_str()))
    }
}
