//! `wflo policy test`: what the policies of a workflow would say, before anything happens.

use serde::Serialize;
use serde_json::{Map, Value};
use wflo_engine::policy::{Because, Decision, Firing, Rehearsal, rehearse};
use wflo_manifest::PolicyEvent;
use wflo_model::{PolicyName, StepName};

use super::check::known;
use crate::args::Global;
use crate::failure::{Code, Failure};
use crate::project::Project;
use crate::{print, terminal};

/// What would be said at one place, as `--json` has it.
#[derive(Debug, Serialize)]
struct Said {
    step: StepName,
    on: PolicyEvent,
    /// The fact, or the database and the statement; none for an output.
    name: Option<String>,
    decision: &'static str,
    /// The policies that decide so.
    by: Vec<PolicyName>,
    /// Who would be asked.
    approvers: Vec<String>,
    /// Channels that would be told.
    notify: Vec<String>,
    firings: Vec<Firing>,
}

/// Judges everything in the workflow that would bind one of the given values.
pub(crate) async fn test(global: &Global, facts: &[String], given: &[String]) -> Result<Code, Failure> {
    let project = Project::find(global, None)?;
    let known = known(&project).await?;
    let plan = project.pin(&known).await?.map_err(|found| Failure::usage(found.to_string()))?.plan;
    let mut values = Map::new();
    for fact in facts {
        let (name, text) = pair(fact)?;
        // What is no JSON is a text.
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        values.insert(name.to_owned(), value);
    }
    let defaults = plan.inputs.iter().filter_map(|(name, input)| Some((name, input.default.clone()?)));
    let mut inputs: Map<_, _> = defaults.map(|(name, value)| (name.to_string(), value)).collect();
    for input in given {
        let (name, text) = pair(input)?;
        inputs.insert(name.to_owned(), plan.input_from_text(name, text).map_err(Failure::usage)?);
    }
    let rehearsed = rehearse(&plan, &values, &inputs).map_err(|undeclared| {
        let known: Vec<_> = undeclared.known.iter().map(|name| format!("`{name}`")).collect();
        Failure::usage(&undeclared).hint(match known.is_empty() {
            true => "the workflow declares nothing that policies could hear: no facts, named statements or outputs"
                .to_owned(),
            false => format!("there are {}", known.join(", ")),
        })
    })?;
    let said: Vec<_> = rehearsed.into_iter().map(said).collect();
    if global.json {
        print(&terminal::json(&said));
    } else if said.is_empty() {
        print("give `--fact NAME=VALUE` for what is to be judged");
    } else {
        print(&said.iter().map(words).collect::<Vec<_>>().join("\n"));
    }
    Ok(Code::Succeeded)
}

fn pair(text: &str) -> Result<(&str, &str), Failure> {
    text.split_once('=').ok_or_else(|| Failure::usage(format!("`{text}` is not `NAME=VALUE`")))
}

fn said(rehearsal: Rehearsal) -> Said {
    let Rehearsal { step, on, name, judgement } = rehearsal;
    let (decision, by, rule) = match judgement.decision {
        Decision::None => ("none", Default::default(), None),
        Decision::AutoApprove { by } => ("auto_approve", by, None),
        Decision::RequireApproval { rule, by } => ("require_approval", by, Some(rule)),
        Decision::Deny { by } => ("deny", by, None),
    };
    Said {
        step,
        on,
        name,
        decision,
        by: by.into_iter().collect(),
        approvers: rule.iter().flat_map(|rule| &rule.approvers).map(ToString::to_string).collect(),
        notify: judgement.notify.into_iter().collect(),
        firings: judgement.firings,
    }
}

fn words(said: &Said) -> String {
    let what = match (said.on, &said.name) {
        (PolicyEvent::Fact, Some(name)) => format!("fact `{name}`"),
        (PolicyEvent::HostCall, Some(name)) => format!("call of `{name}`"),
        (PolicyEvent::TerraformApply, Some(name)) => format!("what is applied to `{name}`"),
        _ => "output".to_owned(),
    };
    let by: Vec<_> = said.by.iter().map(|name| format!("`{name}`")).collect();
    let by = by.join(" and ");
    let approvers: Vec<_> = said.approvers.iter().map(|name| format!("`{name}`")).collect();
    let mut line = match said.decision {
        "deny" => format!("denied by {by}"),
        "require_approval" => format!("{by} asks {}", approvers.join(" and ")),
        "auto_approve" => format!("approved by {by}"),
        _ => "no policy objects".to_owned(),
    };
    for firing in &said.firings {
        match &firing.because {
            Because::Missing { names } => {
                line.push_str(&format!("; `{}` cannot know {}", firing.policy, names.join(", ")));
            }
            Because::Unevaluable { error } => {
                line.push_str(&format!("; `{}` cannot be told: {error}", firing.policy));
            }
            _ => {}
        }
    }
    if !said.notify.is_empty() {
        line.push_str(&format!("; tells {}", said.notify.join(", ")));
    }
    format!("{what} of `{}`: {line}", said.step)
}
