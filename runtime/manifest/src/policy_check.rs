//! What policies read must be something that happens, and what they do must make sense.

use std::collections::{BTreeMap, BTreeSet};

use wflo_model::TerraformVerb;

use crate::expression::{Name, ValueKind};
use crate::expression_check::{Known, Unknown, check, within};
use crate::near::did_you_mean;
use crate::policy::{PolicyEvent, TERRAFORM_COUNTS};
use crate::policy_toml::{ActionToml, PolicyToml};
use crate::policy_value::{BareName, ValueType};
use crate::reader::Reader;
use crate::workflow_toml::WorkflowToml;

/// What a policy without `on` listens to.
const HEARS: [PolicyEvent; 3] = [PolicyEvent::HostCall, PolicyEvent::Fact, PolicyEvent::StepOutput];

/// Something that binds a bare name: what a policy can listen to.
struct Declaration<'a> {
    on: PolicyEvent,
    declared: ValueType,
    /// The schema, where it is a field of an output.
    schema: Option<&'a serde_json::Value>,
    /// In words, for messages.
    what: String,
}

/// Checks all policies of a workflow.
pub(crate) fn check_policies(reader: &mut Reader, toml: &WorkflowToml) {
    let all = declarations(toml);
    let known = Known::new(toml);
    for (index, policy) in toml.policies.iter().enumerate() {
        let Some(name) = &policy.name else { continue };
        let earlier = toml.policies[..index].iter().filter_map(|other| other.name.as_ref());
        if let Some(first) = earlier.into_iter().find(|other| other.value == name.value) {
            let (line, _) = reader.source.position(first.span.start);
            let message = format!("there are two policies named `{}`", name.value);
            reader.error(name.span.clone(), message).label(format!("the first is in line {line}"));
        }
        check_policy(reader, policy, &all, &known);
    }
}

fn check_policy(
    reader: &mut Reader,
    policy: &PolicyToml,
    all: &BTreeMap<BareName, Vec<Declaration<'_>>>,
    known: &Known<'_>,
) {
    let Some(when) = &policy.when else { return };
    let on = listens_to(policy);
    let reads_call = when.expression.names().iter().any(|name| name.root() == "call");
    if let (Some(written), true) = (&policy.on, reads_call)
        && written.value.iter().any(|event| !event.is_heard_on(&[PolicyEvent::HostCall].into()))
    {
        let found = reader.error(written.span.clone(), "`call` can be read on `host_call` alone");
        found.hint("write `on = \"host_call\"`, or two policies");
        return;
    }
    if policy.on.is_none() && !reads_call && when.expression.bare_names().next().is_none() {
        let message = "`when` names no fact, call or output, so it does not say where it applies";
        let words: Vec<_> = PolicyEvent::ALL.iter().map(|(word, _)| format!("`{word}`")).collect();
        reader.error(when.span.clone(), message).hint(format!("add `on`: it can be {}", words.join(", ")));
        return;
    }
    let before = reader.found.errors();
    let kind = |name: &Name| {
        if name.is_bare() {
            return bare(name, &on, all);
        }
        if name.root() == "steps" && on == BTreeSet::from([PolicyEvent::RunStart]) {
            return Err(("no step is done when a run starts".to_owned(), None));
        }
        known.kind(name.path(), None)
    };
    check(reader, when, ValueKind::Boolean, &kind);
    if reader.found.errors() == before {
        note_claims(reader, policy, &on, all);
    }
}

/// What a policy listens to: as written, else facts, calls and outputs, and calls alone where it reads `call`.
pub(crate) fn listens_to(policy: &PolicyToml) -> BTreeSet<PolicyEvent> {
    let reads_call = || {
        let names = policy.when.iter().flat_map(|when| when.expression.names());
        names.into_iter().any(|name| name.root() == "call")
    };
    match &policy.on {
        Some(on) => on.value.clone(),
        None if reads_call() => [PolicyEvent::HostCall].into(),
        None => HEARS.into(),
    }
}

/// Every bare name and what binds it: facts, fields of outputs, parameters of statements.
fn declarations(toml: &WorkflowToml) -> BTreeMap<BareName, Vec<Declaration<'_>>> {
    let mut all: BTreeMap<BareName, Vec<Declaration<'_>>> = BTreeMap::new();
    for step in &toml.steps {
        let of = step.name.as_ref().map_or("", |name| name.value.as_str());
        for (name, (declared, _)) in &step.facts {
            let what = format!("a fact of step `{of}`");
            let one = Declaration { on: PolicyEvent::Fact, declared: *declared, schema: None, what };
            all.entry(name.clone()).or_default().push(one);
        }
        let properties = step.output.as_ref().and_then(|schema| schema.get("properties")?.as_object());
        for (name, schema) in properties.into_iter().flatten() {
            let Ok(name) = name.parse::<BareName>() else { continue };
            let (on, declared) = (PolicyEvent::StepOutput, ValueType::of_schema(schema));
            let what = format!("the output of step `{of}`");
            all.entry(name).or_default().push(Declaration { on, declared, schema: Some(schema), what });
        }
    }
    for step in &toml.steps {
        let applied = step.reach.terraform.iter().filter(|it| it.value.allow.contains(&TerraformVerb::Apply));
        for grant in applied {
            let what = format!("what is applied to terraform folder `{}`", grant.value.label);
            for name in TERRAFORM_COUNTS {
                let name = name.parse::<BareName>().expect("each is a word that means nothing else");
                let (on, declared) = (PolicyEvent::TerraformApply, ValueType::Integer);
                all.entry(name).or_default().push(Declaration {
                    on,
                    declared,
                    schema: None,
                    what: what.clone(),
                });
            }
        }
    }
    for (label, statements) in &toml.statements {
        for (statement, toml) in statements {
            for (name, declared) in &toml.statement.params {
                let what = format!("statement `{statement}` of database `{label}`");
                let one = Declaration { on: PolicyEvent::HostCall, declared: *declared, schema: None, what };
                all.entry(name.clone()).or_default().push(one);
            }
        }
    }
    all
}

/// The kind of a bare name, as what the policy listens to declares it.
fn bare(
    name: &Name,
    on: &BTreeSet<PolicyEvent>,
    all: &BTreeMap<BareName, Vec<Declaration<'_>>>,
) -> Result<ValueKind, Unknown> {
    let root = name.root();
    let declared = all.get(root).map(Vec::as_slice).unwrap_or_default();
    let heard: Vec<_> = declared.iter().filter(|one| one.on.is_heard_on(on)).collect();
    if let (Some(other), true) = (declared.first(), heard.is_empty()) {
        let on: Vec<_> = on.iter().map(|event| format!("`{event}`")).collect();
        let message = format!("`{root}` is no part of {}", on.join(" or "));
        return Err((message, Some(format!("it is in {}: add `{}` to `on`", other.what, other.on))));
    }
    if heard.is_empty() {
        let hint =
            did_you_mean(root, "", all.keys().map(BareName::as_str)).filter(|hint| hint.starts_with("did"));
        let hint = hint.unwrap_or_else(|| {
            format!("declare it where it comes from: in `facts` or `output` of a step, or in `params` of a statement; an input is `inputs.{root}`")
        });
        return Err((format!("no fact, call or output is called `{root}`"), Some(hint)));
    }
    let mut kinds = heard.iter().map(|one| match one.schema {
        // A decimal that is written as a text is a number here.
        Some(schema) if name.path().len() > 1 => {
            within(schema, &name.path()[1..], &format!("`{root}` of {}", one.what))
        }
        _ if name.path().len() > 1 && !one.declared.kind().may_be(ValueKind::Object) => {
            let what = one.declared.kind().what();
            Err((format!("`{root}` of {} is {what}, which has no `{}`", one.what, name.path()[1]), None))
        }
        _ if name.path().len() > 1 => Ok(ValueKind::Any),
        _ => Ok(one.declared.kind()),
    });
    let first = kinds.next().unwrap_or(Ok(ValueKind::Any))?;
    for kind in kinds {
        if kind? != first {
            return Ok(ValueKind::Any);
        }
    }
    Ok(first)
}

/// A policy that guards something and hears only what a guest claims is worth a word.
fn note_claims(
    reader: &mut Reader,
    policy: &PolicyToml,
    on: &BTreeSet<PolicyEvent>,
    all: &BTreeMap<BareName, Vec<Declaration<'_>>>,
) {
    let guards = |action: &ActionToml| matches!(action, ActionToml::RequireApproval(_) | ActionToml::Deny);
    let (Some(name), Some(when)) = (&policy.name, &policy.when) else { return };
    if !policy.actions.iter().any(|action| guards(&action.value)) {
        return;
    }
    let bare: Vec<_> = when.expression.bare_names().collect();
    let heard = bare.iter().filter_map(|name| all.get(*name)).flatten().filter(|one| one.on.is_heard_on(on));
    let (executed, claimed): (Vec<_>, Vec<_>) =
        heard.partition(|one| one.on.is_heard_on(&[PolicyEvent::HostCall].into()));
    let Some(claim) = claimed.first().filter(|_| executed.is_empty()) else { return };
    let message = format!("policy `{}` hears only what steps claim, such as {}", name.value, claim.what);
    let hint = "a step that claims something else is not stopped; a parameter of a named statement is what is executed";
    reader.note(when.span.clone(), message).hint(hint);
}
