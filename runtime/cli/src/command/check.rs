//! `wflo check`: everything that can be known without running.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use wflo::{ComponentView, StepProgram};
use wflo_backends::knowledge::{Folder, FolderContents};
use wflo_manifest::{Described, Diagnostic, Diagnostics, Directory, Severity};
use wflo_model::{Capability, Digest, StepName, interface_capability};
use wflo_sandbox::Missing;

use super::run::directory;
use super::{databases, output};
use crate::args::Global;
use crate::failure::{Code, Failure};
use crate::project::{Pinned, Project};
use crate::session::Session;
use crate::{print, say, terminal};

/// One thing to say, as `--json` has it.
#[derive(Debug, Serialize)]
struct Finding {
    severity: &'static str,
    message: String,
    file: Option<String>,
    /// From 1, as editors count.
    line: Option<usize>,
    column: Option<usize>,
    hint: Option<String>,
}

/// What a step can do, as `--json` has it.
#[derive(Debug, Serialize)]
struct Explained<'a> {
    step: &'a StepName,
    explanation: &'a str,
}

/// Checks a workflow, and says all that is wrong with it and all that could be better.
pub(crate) async fn check(
    global: &Global,
    folder: Option<&Path>,
    explain: Option<&StepName>,
) -> Result<Code, Failure> {
    let project = Project::find(global, folder)?;
    let known = known(&project).await?;
    let mut found = project.deployment.hints.clone();
    documents(&project, &mut found)?;
    let pinned = match project.pin(&known).await? {
        Ok(pinned) => pinned,
        Err(wrong) => {
            found.extend(wrong);
            return Ok(report(global, &found, &[]));
        }
    };
    found.extend(pinned.workflow.hints().clone());
    databases::check(&project, &pinned, &mut found).await?;
    found.extend(pinned.workflow.together(&project.everybody(&known)));
    let missing = components(&project, &pinned, &mut found).await?;
    let code = match explain {
        Some(step) if !found.has_errors() && missing.is_empty() => {
            let words = pinned.plan.explain(step);
            let words =
                words.ok_or_else(|| Failure::new(Code::NotFound, format!("there is no step `{step}`")))?;
            let explanation = words + &pinned.workflow.explain_function(step).unwrap_or_default();
            output(global, &Explained { step, explanation: explanation.trim_end() }, || explanation.clone());
            Code::Succeeded
        }
        _ => report(global, &found, &missing),
    };
    if code == Code::Succeeded && explain.is_none() {
        for (step, signature) in pinned.workflow.typed() {
            say(&format!("step `{step}` is {}", signature.wit));
        }
        say(&format!("`{}` {} can run", pinned.plan.workflow, pinned.plan.version));
    }
    Ok(code)
}

/// Who the store knows. One that is not there knows nobody, and a check is no reason to make it.
pub(super) async fn known(project: &Project) -> Result<Directory, Failure> {
    if !project.state.join("FORMAT").exists() {
        return Ok(Directory::default());
    }
    let mut session = Session::open(project.place()?).await?;
    let known = directory(&mut session).await;
    session.close().await;
    known
}

/// Holds the workflow against its components: what they import, and what they say of themselves.
async fn components(
    project: &Project,
    pinned: &Pinned,
    found: &mut Diagnostics,
) -> Result<Vec<Missing>, Failure> {
    let sandbox = project.sandbox()?;
    let mut missing = Vec::new();
    let mut described: BTreeMap<_, ComponentView> = BTreeMap::new();
    for (digest, component) in &pinned.components {
        let at = |error: &dyn std::fmt::Display| {
            Failure::usage(format!("component `{}`: {error}", component.named))
        };
        let program = sandbox.load(&component.content).await.map_err(|error| at(&error))?;
        let lacks = program.missing(&pinned.plan.component_grants(digest).capabilities());
        if !lacks.is_empty() {
            missing.extend(lacks);
            continue;
        }
        described.extend(
            StepProgram::describe(&*program).await.map_err(|error| at(&error))?.map(|it| (*digest, it)),
        );
    }
    found.extend(review(pinned, described));
    Ok(missing)
}

/// Holds a workflow against what its components say of themselves.
pub(super) fn review(pinned: &Pinned, described: BTreeMap<Digest, ComponentView>) -> Diagnostics {
    let mut components = BTreeMap::new();
    for (digest, ComponentView { imports, steps, .. }) in described {
        let Some(component) = pinned.components.get(&digest) else { continue };
        let mut capabilities: BTreeSet<_> =
            imports.iter().filter_map(|name| interface_capability(name).ok().flatten()).collect();
        // It needs no grant to be there, and has use for one.
        let files = imports.iter().filter(|name| name.starts_with("wasi:filesystem/"));
        capabilities.extend(files.map(|_| Capability::Files));
        components.insert(component.named.clone(), Described { capabilities, steps });
    }
    pinned.workflow.review(&components)
}

/// Looks at the folders of the knowledge bases: one that cannot be read answers no step.
fn documents(project: &Project, found: &mut Diagnostics) -> Result<(), Failure> {
    let deploy = project.deploy()?;
    for (label, binding) in &project.deployment.knowledge {
        let looked = tokio::task::block_in_place(|| Folder::look(&deploy.beside(&binding.path)));
        let wrong = match looked {
            Ok(FolderContents { documents: 0, .. }) => "holds no documents",
            Ok(_) => continue,
            Err(ref wrong) => wrong,
        };
        found.extend(project.deployment.unreadable(label, wrong));
    }
    Ok(())
}

/// Says what was found, and with which code that ends the command.
fn report(global: &Global, found: &Diagnostics, missing: &[Missing]) -> Code {
    if global.json {
        let findings: Vec<_> = found.iter().map(finding).chain(missing.iter().map(denied)).collect();
        print(&terminal::json(&findings));
    } else {
        if !found.is_empty() {
            say(&found.render(terminal::stderr_colors()));
        }
        if !missing.is_empty() {
            say(&Failure::from(wflo::RuntimeError::Denied { missing: missing.to_vec() }).to_string());
        }
    }
    match (found.has_errors(), missing.is_empty()) {
        (true, _) => Code::Usage,
        (false, false) => Code::Denied,
        (false, true) => Code::Succeeded,
    }
}

fn finding(found: &Diagnostic) -> Finding {
    let (line, column) = found.position();
    Finding {
        severity: if found.severity == Severity::Error { "error" } else { "hint" },
        message: found.message.clone(),
        file: Some(found.file.name().to_owned()),
        line: Some(line),
        column: Some(column),
        hint: found.hint.clone(),
    }
}

fn denied(missing: &Missing) -> Finding {
    let message = missing.to_string();
    Finding { severity: "error", message, file: None, line: None, column: None, hint: None }
}
