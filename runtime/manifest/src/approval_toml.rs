//! `[step.approval]`, and the `require_approval` of a policy, as they are written.

use std::time::Duration;

use crate::approval::{ApprovalAt, ApprovalRule, Approver, OnReject, OnTimeout, Quorum};
use crate::diagnostic::Span;
use crate::reader::{Reader, Section, Spanned};
use crate::workflow_toml::LONGEST;

#[derive(Clone, Debug)]
pub(crate) struct ApprovalToml {
    pub(crate) rule: ApprovalRule,
    /// Where the approvers are listed.
    pub(crate) span: Span,
    pub(crate) approvers: Vec<Span>,
    pub(crate) quorum: Option<Span>,
    pub(crate) escalation: Vec<Span>,
    pub(crate) notify: Vec<Spanned<String>>,
}

/// Reads `[step.approval]`, or the `require_approval` of a policy, whose place follows from what it listens to.
pub(crate) fn read_approval(reader: &mut Reader, mut section: Section<'_>) -> ApprovalToml {
    let list = section.need("approvers");
    let span = list.as_ref().map_or_else(|| section.span.clone(), |node| node.span.clone());
    let before = reader.found.errors();
    let names: Vec<Spanned<wflo_model::GroupName>> = list.map(|node| node.names(reader)).unwrap_or_default();
    if names.is_empty() && span != section.span && reader.found.errors() == before {
        let hint = match section.is("[step.approval]") {
            true => "name the groups or principals who may approve, or remove `[step.approval]`",
            false => "name the groups or principals who may approve",
        };
        reader.error(span.clone(), "`approvers` is empty").hint(hint);
    }
    let approvers = names.iter().map(|name| Approver::new(name.value.as_str())).collect();
    let mut rule = ApprovalRule::new(approvers, Quorum::EachListed);

    let quorum = section.take("quorum").and_then(|node| node.integer(reader, 1..=1000));
    if let Some(n) = &quorum {
        rule.quorum = Quorum::Any(u32::try_from(n.value).expect("at most 1000"));
    }
    if section.is("[step.approval]")
        && let Some(node) = section.take("at")
    {
        rule.at = node
            .choice(reader, &[("start", ApprovalAt::Start), ("commit", ApprovalAt::Commit)])
            .unwrap_or_default();
    }
    if let Some(node) = section.take("allow_requester") {
        rule.allow_requester = node.boolean(reader).unwrap_or_default();
    }
    if let Some(node) = section.take("mandatory") {
        rule.mandatory = node.boolean(reader).unwrap_or_default();
    }
    let mut seconds = |reader: &mut Reader, key| {
        let seconds = section.take(key).and_then(|node| node.integer(reader, 1..=LONGEST))?;
        Some(Duration::from_secs(seconds.value))
    };
    rule.timeout = seconds(reader, "timeout_seconds");
    rule.valid = seconds(reader, "valid_seconds").unwrap_or(ApprovalRule::VALID);
    let escalation = read_timeout(reader, &mut section, &mut rule);
    if let Some(node) = section.take("on_reject") {
        let choices = [("fail", OnReject::Fail), ("skip", OnReject::Skip), ("continue", OnReject::Continue)];
        rule.on_reject = node.choice(reader, &choices).unwrap_or_default();
    }
    if let Some(node) = section.take("allow_edit") {
        rule.allow_edit = node.boolean(reader).unwrap_or_default();
        if rule.allow_edit && section.is("[step.approval]") && rule.at == ApprovalAt::Start {
            let found = reader.error(node.key, "there is nothing to edit before a step has begun");
            found.hint("an edit is of a call's arguments, or of the output with `at = \"commit\"`");
        }
    }
    let mut notify: Vec<Spanned<String>> = Vec::new();
    if let Some(node) = section.take("notify") {
        notify = node.names(reader);
    }
    rule.notify = notify.iter().map(|channel| channel.value.clone()).collect();
    section.finish(reader);
    let approvers = names.into_iter().map(|name| name.span).collect();
    ApprovalToml { rule, span, approvers, quorum: quorum.map(|n| n.span), escalation, notify }
}

/// Reads what happens when nobody decides in time, and where those stand who are asked then.
fn read_timeout(reader: &mut Reader, section: &mut Section<'_>, rule: &mut ApprovalRule) -> Vec<Span> {
    let on_timeout = section.take("on_timeout");
    if let Some(node) = &on_timeout {
        let choices = [
            ("reject", OnTimeout::Reject),
            ("escalate", OnTimeout::Escalate),
            ("approve", OnTimeout::Approve),
        ];
        rule.on_timeout = node.choice(reader, &choices).unwrap_or_default();
        if rule.timeout.is_none() {
            let message = "`on_timeout` without `timeout_seconds` never applies";
            reader.error(node.key.clone(), message).hint("add `timeout_seconds`");
        }
        if rule.on_timeout == OnTimeout::Approve && rule.mandatory {
            let found = reader.error(node.key.clone(), "a mandatory gate is not approved by silence");
            found.hint("remove `mandatory`, or let it `reject` or `escalate`");
        }
    }
    let list = section.take("escalation");
    let escalates = rule.on_timeout == OnTimeout::Escalate;
    match (&list, &on_timeout) {
        (Some(list), _) if !escalates => {
            let found = reader
                .error(list.key.clone(), "`escalation` without `on_timeout = \"escalate\"` never applies");
            found.hint("add `on_timeout = \"escalate\"`");
        }
        (None, Some(node)) if escalates => {
            let found = reader.error(node.key.clone(), "`escalate` does not say to whom");
            found.hint("add `escalation = [\"<group>\"]`");
        }
        _ => {}
    }
    let Some(list) = list else { return Vec::new() };
    let before = reader.found.errors();
    let names: Vec<Spanned<wflo_model::GroupName>> = list.names(reader);
    if names.is_empty() && reader.found.errors() == before {
        reader
            .error(list.span.clone(), "`escalation` is empty")
            .hint("name the groups or principals who are asked then");
    }
    rule.escalation = names.iter().map(|name| Approver::new(name.value.as_str())).collect();
    names.into_iter().map(|name| name.span).collect()
}
