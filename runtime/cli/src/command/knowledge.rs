//! `wflo knowledge search`: what a step would find.

use std::fmt::Write as _;

use wflo_backends::knowledge::Folder;
use wflo_model::Label;
use wflo_ports::{Knowledge as _, KnowledgeError, Passage};

use super::{output, say_if_none};
use crate::args::Global;
use crate::failure::{Code, Failure};
use crate::project::Project;
use crate::session::INDEXES;
use crate::terminal::{self, tame};

/// Shows the passages that fit a question best. It needs no run and asks nobody: whoever can read the deployment's file
/// can read the folders it names.
pub(crate) async fn search(global: &Global, label: &Label, query: &str, top: u32) -> Result<Code, Failure> {
    let project = Project::find(global, None)?;
    let Some(binding) = project.deployment.knowledge.get(label) else {
        let bound: Vec<_> = project.deployment.knowledge.keys().map(|label| format!("`{label}`")).collect();
        let failure = Failure::new(Code::NotFound, format!("there is no knowledge base `{label}`"));
        return Err(match bound.is_empty() {
            true => failure.hint(format!("add `[knowledge.{label}]` with a `path` to wflo.toml")),
            false => failure.hint(format!("there are {}", bound.join(", "))),
        });
    };
    // A search is no reason to make a store.
    let indexes = project.state.join("FORMAT").exists().then(|| project.state.join(INDEXES));
    let folder = Folder::new(project.deploy()?.beside(&binding.path), indexes, label);
    let found = folder.search(query, top as usize).await.map_err(|error| match error {
        KnowledgeError::TooLarge { message } => Failure::usage(message),
        other => Failure::usage(other).hint(format!("`path` of `[knowledge.{label}]` names the folder")),
    })?;
    output(global, &found, || shown(&found));
    say_if_none(global, &found, "nothing fits");
    Ok(Code::Succeeded)
}

fn shown(found: &[Passage]) -> String {
    let colors = terminal::stdout_colors();
    found.iter().fold(String::new(), |mut text, it| {
        let source = terminal::dim(&format!("{:6.2}  {}", it.score, tame(&it.source)), colors);
        let _ = writeln!(text, "{source}  {}", tame(&it.title));
        for line in it.text.lines() {
            let _ = writeln!(text, "    {}", tame(line));
        }
        text
    })
}
