//! Tools that come as packages of Python: in an environment of the steps, the one that is active, or on the path.

use std::path::PathBuf;

use super::Job;
use super::tool::Tool;
use crate::failure::Failure;
use crate::project;

/// The folder of the steps' own environment.
pub(super) const ENVIRONMENT: &str = ".venv";

/// The environment of the steps, or the one that is active.
pub(super) fn environment(job: &Job<'_>) -> Option<PathBuf> {
    let own = Some(job.steps.join(ENVIRONMENT)).filter(|own| own.is_dir());
    own.or_else(|| project::variable("VIRTUAL_ENV").map(PathBuf::from))
}

/// A tool of the environment, else one on the path.
pub(super) fn tool(job: &Job<'_>, name: &str) -> Option<Tool> {
    let path = project::variable("PATH").unwrap_or_default();
    let inside = environment(job).map(|environment| environment.join("bin"));
    let folders = inside.into_iter().chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(name)).find(|tool| tool.is_file()).map(Tool::at)
}

/// Makes the environment of the steps, and gets packages into it: `pip install` with these arguments.
pub(super) fn install(job: &Job<'_>, what: &[&str]) -> Result<(), Failure> {
    let python = Tool::named("python3", "install Python 3.11 or later from https://python.org");
    if !job.steps.join(ENVIRONMENT).is_dir() {
        python.command().run(&job.steps, &["-m", "venv", ENVIRONMENT])?;
    }
    let pip = Tool::at(job.steps.join(ENVIRONMENT).join("bin/python"));
    pip.command().run(&job.steps, &[&["-m", "pip", "install", "--quiet"], what].concat())
}
