//! Holds what a step came to against what was expected.

use serde_json::Value;
use wflo_engine::GateAt;
use wflo_host_api::DecisionStatus;
use wflo_manifest::PolicyEvent;

use super::tape::{Tape, Unanswered};
use super::{StepTest, TestApproval, TestEnd, TestExpects};
use crate::{ApprovalView, Difference};

/// Longest value that is shown in whole.
const LONGEST: usize = 400;

/// Where two values differ, place by place. With `partly`, `got` may have fields that `expected` has not.
pub(super) fn differing(at: &str, expected: &Value, got: &Value, partly: bool) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(at.to_owned(), Some(expected), Some(got), partly, &mut found);
    found
}

fn walk(
    at: String,
    expected: Option<&Value>,
    got: Option<&Value>,
    partly: bool,
    found: &mut Vec<Difference>,
) {
    match (expected, got) {
        (Some(Value::Object(expected)), Some(Value::Object(got))) => {
            for (name, value) in expected {
                walk(field(&at, name), Some(value), got.get(name), partly, found);
            }
            let more = got.iter().filter(|(name, _)| !partly && !expected.contains_key(*name));
            for (name, value) in more {
                walk(field(&at, name), None, Some(value), partly, found);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(got))) if !partly || expected.len() == got.len() => {
            for number in 0..expected.len().max(got.len()) {
                walk(format!("{at}[{number}]"), expected.get(number), got.get(number), false, found);
            }
        }
        (expected, got) if expected == got => {}
        // As JSON and its languages have it, 1.0 is 1.
        (Some(Value::Number(expected)), Some(Value::Number(got)))
            if (expected.is_f64() || got.is_f64()) && expected.as_f64() == got.as_f64() => {}
        (expected, got) => {
            let show = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), shown);
            found.push(Difference { at, expected: show(expected), got: show(got) });
        }
    }
}

fn field(at: &str, name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|sign| sign.is_alphanumeric() || "_-".contains(sign));
    match (at.is_empty(), is_plain) {
        (true, true) => name.to_owned(),
        (false, true) => format!("{at}.{name}"),
        (_, false) => format!("{at}[{name:?}]"),
    }
}

/// A value as people read it.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// Where a step differs from what a test expects of it.
pub(super) fn compare(
    test: &StepTest,
    tape: &Tape,
    end: &TestEnd,
    calls: &[String],
    approvals: &[ApprovalView],
    undecided: Option<Difference>,
) -> Vec<Difference> {
    let mut found = Vec::new();
    for (number, (expected, got)) in test.approvals.iter().zip(approvals).enumerate() {
        found.extend(asked(number, expected, got));
    }
    if let Some(unanswered) = tape.unanswered() {
        // What would follow from an answer is not known: it is the one thing to say.
        found.extend(not_on_tape(tape, &unanswered));
        return found;
    }
    if let Some(undecided) = undecided {
        found.push(undecided);
        return found;
    }
    found.extend(ended(&test.expect.end, end));
    for (number, entry) in tape.unused() {
        found.push(Difference {
            at: format!("entry {} of the tape", number + 1),
            expected: format!("a call of `{}`", entry.name()),
            got: "none that it answers".to_owned(),
        });
    }
    for (number, expected) in test.approvals.iter().enumerate().skip(approvals.len()) {
        let reason = expected.reason.as_ref().map(|reason| format!(" about {reason:?}"));
        let expected = format!("people are asked{}", reason.unwrap_or_default());
        found.push(Difference {
            at: format!("approval {}", number + 1),
            expected,
            got: "nobody was asked".into(),
        });
    }
    if let Some(expected) = &test.expect.calls
        && expected != calls
    {
        found.extend(differing("calls", &serde_json::json!(expected), &serde_json::json!(calls), false));
    }
    found
}

fn ended(expected: &TestExpects, end: &TestEnd) -> Vec<Difference> {
    let differs = |expected: String| vec![Difference { at: "the end".into(), expected, got: told(end) }];
    match (expected, end) {
        (TestExpects::Success, TestEnd::Output(_)) | (TestExpects::Skipped, TestEnd::Skipped(_)) => {
            Vec::new()
        }
        (TestExpects::Success, _) => differs("an output".into()),
        (TestExpects::Skipped, _) => differs("the step is left out".into()),
        (TestExpects::Output(expected), TestEnd::Output(got)) => differing("output", expected, got, false),
        (TestExpects::Output(expected), _) => differs(format!("the output {}", shown(expected))),
        (TestExpects::Fault(kind), TestEnd::Fault(fault)) if fault.kind == *kind => Vec::new(),
        (TestExpects::Fault(kind), _) => differs(format!("the fault `{kind}`")),
        (TestExpects::Failure { kind, message }, TestEnd::Failure(failure)) => {
            let mut found = Vec::new();
            if let Some(kind) = kind.filter(|kind| *kind != failure.kind) {
                let name = |kind| serde_json::json!(kind).as_str().unwrap_or_default().to_owned();
                let at = "failure.kind".into();
                found.push(Difference { at, expected: name(kind), got: name(failure.kind) });
            }
            if let Some(message) = message.as_ref().filter(|message| **message != failure.message) {
                let (expected, got) = (format!("{message:?}"), format!("{:?}", failure.message));
                found.push(Difference { at: "failure.message".into(), expected, got });
            }
            found
        }
        (TestExpects::Failure { message, .. }, _) => {
            let words = message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            differs(format!("a failure{words}"))
        }
    }
}

fn told(end: &TestEnd) -> String {
    match end {
        TestEnd::Output(output) => format!("the output {}", shown(output)),
        TestEnd::Failure(failure) => format!("the failure `{failure}`"),
        TestEnd::Fault(fault) => format!("the fault `{fault}`"),
        TestEnd::Skipped(reason) => format!("it was left out: {reason}"),
        TestEnd::Stopped(reason) => reason.clone(),
    }
}

fn not_on_tape(tape: &Tape, unanswered: &Unanswered) -> Vec<Difference> {
    let Unanswered { ordinal, call, nearest } = unanswered;
    let at = format!("call {ordinal}, `{call}`");
    let nearest = nearest.and_then(|(number, is_used)| Some((number, is_used, tape.entry(number)?)));
    match nearest {
        None => vec![Difference {
            at,
            expected: "no call of that function: the tape has none".into(),
            got: shown(&call.args),
        }],
        Some((number, true, _)) => vec![Difference {
            at,
            expected: format!("no such call any more: entry {} of the tape has answered", number + 1),
            got: shown(&call.args),
        }],
        Some((number, false, entry)) => {
            let mut found = entry.args.differing("", &call.args);
            for difference in &mut found {
                let place = std::mem::take(&mut difference.at);
                let place = if place.is_empty() { String::new() } else { format!(", {place}") };
                difference.at = format!("{at}{place} (nearest: entry {} of the tape)", number + 1);
            }
            found
        }
    }
}

/// Why people were asked: what a step asked in its own words, or the policies that asked.
pub(super) fn reason(approval: &ApprovalView) -> String {
    if let Some(summary) = approval.shows["summary"].as_str() {
        return summary.to_owned();
    }
    let policies = approval.shows["policies"].as_array().into_iter().flatten();
    let policies: Vec<_> = policies.filter_map(|policy| policy["name"].as_str()).collect();
    match (policies.is_empty(), approval.at) {
        (false, _) => policies.join(", "),
        (true, GateAt::Commit) => "before it commits".to_owned(),
        (true, _) => "before it starts".to_owned(),
    }
}

fn asked(number: usize, expected: &TestApproval, got: &ApprovalView) -> Vec<Difference> {
    let at = |what: &str| format!("approval {}, {what}", number + 1);
    let mut found = Vec::new();
    if let Some(place) = expected.at.filter(|place| *place != got.at) {
        let name = |at| serde_json::json!(at).as_str().unwrap_or_default().to_owned();
        found.push(Difference { at: at("at"), expected: name(place), got: name(got.at) });
    }
    let real = reason(got);
    if let Some(reason) = expected.reason.as_ref().filter(|reason| **reason != real) {
        found.push(Difference {
            at: at("reason"),
            expected: format!("{reason:?}"),
            got: format!("{real:?}"),
        });
    }
    let real = got.approvers.iter().cloned().collect();
    if let Some(approvers) = expected.approvers.as_ref().filter(|approvers| **approvers != real) {
        let list = |all: &std::collections::BTreeSet<String>| {
            all.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")
        };
        found.push(Difference { at: at("approvers"), expected: list(approvers), got: list(&real) });
    }
    let came_to = match (expected.decision, got.status.as_str()) {
        (DecisionStatus::Approved, "approved" | "consumed")
        | (DecisionStatus::Rejected, "rejected")
        | (DecisionStatus::Expired, _) => None,
        (DecisionStatus::Approved, other) => Some(("approved", other)),
        (DecisionStatus::Rejected, other) => Some(("rejected", other)),
    };
    if let Some((expected, got_status)) = came_to {
        let lacking = match got.lacking.is_empty() {
            true => String::new(),
            false => format!("; nobody voted for {}", got.lacking.join(", ")),
        };
        let got = format!("{got_status}{lacking}");
        found.push(Difference { at: at("decision"), expected: expected.to_owned(), got });
    }
    found
}

/// Whether a policy is about anything but the start of the run, which is before any step.
pub(super) fn outlives_start(on: &std::collections::BTreeSet<PolicyEvent>) -> bool {
    on.iter().any(|event| *event != PolicyEvent::RunStart)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differing;

    #[test]
    fn a_difference_is_named_where_it_is() {
        let expected = json!({"a": 1, "list": [1, 2], "deep": {"x y": true}, "gone": null});
        let got = json!({"a": 2, "list": [1, 2, 3], "deep": {"x y": false}, "new": "n"});
        assert!(differing("", &json!({"a": [1.0]}), &json!({"a": [1]}), false).is_empty());
        let told: Vec<_> =
            differing("output", &expected, &got, false).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "at output.a: expected 1, got 2",
                "at output.list[2]: expected nothing, got 3",
                "at output.deep[\"x y\"]: expected true, got false",
                "at output.gone: expected null, got nothing",
                "at output.new: expected nothing, got \"n\"",
            ]
        );
        assert!(differing("", &expected, &expected, false).is_empty());
    }

    #[test]
    fn a_part_differs_only_where_it_says_something() {
        let args = json!({"model": "m", "messages": [1], "more": {"a": 1}});
        assert!(differing("", &json!({"more": {"a": 1}}), &args, true).is_empty());
        assert_eq!(differing("", &json!({"more": {"b": 1}}), &args, true).len(), 1);
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = "x".repeat(5000);
        let found = differing("output", &json!(long), &json!(1), false);
        assert!(found[0].expected.len() < 500 && found[0].expected.ends_with("... (5002 bytes)"));
    }
}
