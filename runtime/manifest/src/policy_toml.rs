//! `[[policy]]` as it is written.

use std::collections::{BTreeMap, BTreeSet};

use wflo_model::PolicyName;

use crate::approval_toml::{ApprovalToml, read_approval};
use crate::diagnostic::Span;
use crate::expression_toml::ExpressionToml;
use crate::policy::PolicyEvent;
use crate::policy_value::{BareName, ValueType};
use crate::reader::{Node, Reader, Section, Spanned};

#[derive(Clone, Debug)]
pub(crate) struct PolicyToml {
    pub(crate) name: Option<Spanned<PolicyName>>,
    pub(crate) when: Option<ExpressionToml>,
    /// What it listens to, if that is written.
    pub(crate) on: Option<Spanned<BTreeSet<PolicyEvent>>>,
    pub(crate) actions: Vec<Spanned<ActionToml>>,
}

#[derive(Clone, Debug)]
pub(crate) enum ActionToml {
    RequireApproval(Box<ApprovalToml>),
    AutoApprove,
    Deny,
    Notify(Vec<Spanned<String>>),
}

impl ActionToml {
    /// As it is written.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::RequireApproval(_) => "require_approval",
            Self::AutoApprove => "auto_approve",
            Self::Deny => "deny",
            Self::Notify(_) => "notify",
        }
    }
}

/// Reads one `[[policy]]`.
pub(crate) fn read_policy(reader: &mut Reader, mut section: Section<'_>) -> PolicyToml {
    let name = section.need("name").and_then(|node| node.parse(reader));
    let when = section.need("when").and_then(|node| ExpressionToml::read(reader, &node));
    let on = section.take("on").map(|node| read_events(reader, &node));
    // What it listens to is wrong: whether it hears what it names cannot be said.
    let when = when.filter(|_| on != Some(None));
    let on = on.flatten();
    let mut actions: Vec<Spanned<ActionToml>> = Vec::new();
    if let Some(node) = section.need("actions") {
        let before = reader.found.errors();
        for node in node.list(reader).unwrap_or_default() {
            let Some(action) = read_action(reader, &node) else { continue };
            let contradicts = |other: &&Spanned<ActionToml>| match (&other.value, &action) {
                (ActionToml::Notify(_), _) | (_, ActionToml::Notify(_)) => false,
                // Two that are the same say nothing more, two that differ contradict each other.
                _ => true,
            };
            if let Some(other) = actions.iter().find(contradicts) {
                let message = format!("`{}` beside `{}` has no meaning", action.word(), other.value.word());
                reader
                    .error(node.span.clone(), message)
                    .hint("a policy permits, asks or refuses: choose one");
                continue;
            }
            actions.push(node.at(action));
        }
        if actions.is_empty() && reader.found.errors() == before {
            let found = reader.error(node.span, "`actions` is empty");
            found.hint(
                "add `\"deny\"`, `\"auto_approve\"`, `{ require_approval = .. }` or `{ notify = \"..\" }`",
            );
        }
    }
    section.finish(reader);
    PolicyToml { name, when, on, actions }
}

/// `on = "fact"`, or a list of them.
fn read_events(reader: &mut Reader, node: &Node<'_>) -> Option<Spanned<BTreeSet<PolicyEvent>>> {
    let nodes = if node.is_text() { vec![node.clone()] } else { node.list(reader)? };
    if nodes.is_empty() {
        let found = reader.error(node.span.clone(), "`on` is empty");
        found.hint("leave it out to listen to facts, calls and outputs");
        return None;
    }
    let events = nodes.iter().map(|node| node.choice(reader, &PolicyEvent::ALL));
    // Every word is looked at, so that each that is wrong is reported.
    let events: Vec<_> = events.collect();
    Some(node.at(events.into_iter().collect::<Option<_>>()?))
}

fn read_action(reader: &mut Reader, node: &Node<'_>) -> Option<ActionToml> {
    if node.is_text() {
        let word = node.text(reader)?;
        // It is asked for with a table, which is where its approvers stand.
        if word.value == "require_approval" {
            let found = reader.error(word.span, "`require_approval` does not say who");
            found.hint("write `{ require_approval = { approvers = [\"<group>\"] } }`");
            return None;
        }
        return node.choice(reader, &[("auto_approve", ()), ("deny", ())]).map(|()| {
            match word.value.as_str() {
                "deny" => ActionToml::Deny,
                _ => ActionToml::AutoApprove,
            }
        });
    }
    if !node.is_table() {
        node.expected(reader, "`\"deny\"`, `\"auto_approve\"` or a table");
        return None;
    }
    let mut section = node.section(reader, "an action")?;
    let approval =
        section.take("require_approval").and_then(|node| node.section(reader, "`require_approval`"));
    let approval =
        approval.map(|section| ActionToml::RequireApproval(Box::new(read_approval(reader, section))));
    let notify = section.take("notify").and_then(|node| {
        if node.is_text() { node.text(reader).map(|one| vec![one]) } else { Some(node.names(reader)) }
    });
    let notify = notify.map(ActionToml::Notify);
    let one = match (approval, notify) {
        (Some(_), Some(_)) => {
            let found = reader.error(node.span.clone(), "one table is one action");
            found.hint("write `{ require_approval = .. }, { notify = .. }`");
            None
        }
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => {
            if section.is_empty() {
                reader
                    .error(node.span.clone(), "an action is missing")
                    .hint("remove it, or say what follows");
            }
            None
        }
    };
    section.finish(reader);
    one
}

/// A declared value and where its name stands.
pub(crate) type Declared = BTreeMap<BareName, (ValueType, Span)>;

/// Reads `facts = { refund_amount = "number" }` of a step.
pub(crate) fn read_facts(reader: &mut Reader, section: &Section<'_>) -> Declared {
    let mut all = Declared::new();
    for (name, node) in section.named::<BareName>(reader) {
        if let Some(declared) = node.choice(reader, &ValueType::FACTS) {
            all.insert(name.value, (declared, name.span));
        }
    }
    all
}
