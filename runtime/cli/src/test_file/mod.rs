//! The files of `tests/`: what a person writes, and `wflo record` for them.
//!
//! TOML has no null, and its integers are of 64 bits. So each value can be written in two ways: as `value`, in TOML, or as
//! `value_json`, a text with JSON. The two are never there together.

mod read;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};
use wflo::GateAt;
use wflo_host_api::{DecisionStatus, DecisionVote};
use wflo_model::{
    ArtifactName, CallError, Digest, FailureKind, FaultKind, GroupName, PrincipalName, RunId, StepName,
    Timestamp,
};

pub(crate) use self::read::read;
pub(crate) use self::write::write;

/// A file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestToml {
    step: StepName,
    #[serde(default)]
    attempt: Option<u32>,
    #[serde(default)]
    inputs: Option<Value>,
    #[serde(default)]
    inputs_json: Option<String>,
    #[serde(default)]
    item: Option<Value>,
    #[serde(default)]
    item_json: Option<String>,
    #[serde(default)]
    outputs: BTreeMap<StepName, Value>,
    #[serde(default)]
    outputs_json: BTreeMap<StepName, String>,
    #[serde(default)]
    decision: Option<DecisionToml>,
    #[serde(default)]
    artifact: Vec<ArtifactToml>,
    #[serde(default)]
    tape: Vec<EntryToml>,
    #[serde(default)]
    approval: Vec<ApprovalToml>,
    #[serde(default)]
    expect: ExpectToml,
    #[serde(default)]
    recorded: Option<RecordedToml>,
}

/// What was decided before the step begins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionToml {
    status: DecisionStatus,
    #[serde(default)]
    votes: Vec<DecisionVote>,
}

/// `[[artifact]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArtifactToml {
    step: StepName,
    #[serde(default)]
    item: Option<u32>,
    name: ArtifactName,
    #[serde(default)]
    text: Option<String>,
    /// For bytes that are no text.
    #[serde(default)]
    base64: Option<String>,
}

/// `[[tape]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryToml {
    call: String,
    #[serde(default)]
    args: Option<Value>,
    #[serde(default)]
    args_json: Option<String>,
    #[serde(default)]
    like: Option<Value>,
    #[serde(default)]
    like_json: Option<String>,
    #[serde(default)]
    value: Option<Value>,
    #[serde(default)]
    value_json: Option<String>,
    #[serde(default)]
    error: Option<CallError>,
}

/// `[[approval]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalToml {
    #[serde(default)]
    at: Option<GateAt>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    approvers: Option<BTreeSet<String>>,
    #[serde(default = "approved")]
    decision: DecisionStatus,
    #[serde(default)]
    comment: Option<String>,
    #[serde(default)]
    votes: Vec<VoteToml>,
}

const fn approved() -> DecisionStatus {
    DecisionStatus::Approved
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VoteToml {
    by: PrincipalName,
    #[serde(default)]
    groups: BTreeSet<GroupName>,
    #[serde(default = "yes")]
    approved: bool,
    #[serde(default)]
    comment: Option<String>,
}

const fn yes() -> bool {
    true
}

/// `[expect]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectToml {
    #[serde(default)]
    output: Option<Value>,
    #[serde(default)]
    output_json: Option<String>,
    #[serde(default)]
    failure: Option<FailureToml>,
    #[serde(default)]
    fault: Option<FaultKind>,
    #[serde(default)]
    skipped: bool,
    #[serde(default)]
    calls: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureToml {
    #[serde(default)]
    kind: Option<FailureKind>,
    #[serde(default)]
    message: Option<String>,
}

/// `[recorded]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedToml {
    run: RunId,
    started: Timestamp,
    seed: Digest,
    requester: PrincipalName,
    #[serde(default)]
    clock: Vec<Timestamp>,
    #[serde(default)]
    timers: Vec<Timestamp>,
}

/// The fields of an object.
fn fields(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo::{
        GivenArtifact, StepTest, TapeAnswer, TapeArgs, TapeEntry, TestApproval, TestExpects, TestVote,
    };
    use wflo_host_api::{Decision, DecisionStatus, DecisionVote};
    use wflo_model::{CallError, FailureKind};

    use super::{read, write};

    /// Longer than a line of such a file.
    fn long_text() -> String {
        "the step may not have this 'and' \"that\" ".repeat(5)
    }

    fn full() -> StepTest {
        let mut test = StepTest::new("greet".parse().unwrap());
        test.attempt = 2;
        test.inputs.insert("name".into(), json!("Ada \"the\" first\n\u{7f}'''"));
        test.inputs.insert("big".into(), json!(u64::MAX));
        test.outputs.insert("before".parse().unwrap(), json!({"a b": [1, null, 2.5, -7, true]}));
        test.outputs.insert("small".parse().unwrap(), json!([1, "x", {"y-z": 0.5, "1e5": 1e300}]));
        test.item = Some(json!({"id": 7}));
        let vote = |by: &str| DecisionVote { by: by.into(), approved: true, comment: Some("fine".into()) };
        test.decision = Some(Decision { status: DecisionStatus::Approved, votes: vec![vote("ann")] });
        for bytes in [&b"a,b\n1,2\n"[..], &[0, 255, 7]] {
            test.artifacts.push(GivenArtifact {
                step: "before".parse().unwrap(),
                item: (bytes.len() == 3).then_some(4),
                artifact: "rows".parse().unwrap(),
                bytes: bytes.to_vec().into(),
            });
        }
        let like = TapeArgs::Like(json!({"model": "gpt-4"}));
        let long = json!({"text": "x".repeat(300), "rows": [[null]]});
        let entry = |args, answer| TapeEntry::new("wflo:llm/chat", "complete", args, answer);
        test.tape = vec![
            entry(like, TapeAnswer::Value(json!(null))),
            entry(TapeArgs::Exactly(long.clone()), TapeAnswer::Value(long)),
            entry(TapeArgs::Any, TapeAnswer::Error(CallError::RateLimited { retry_after: Some(3) })),
            entry(TapeArgs::Any, TapeAnswer::Error(CallError::AccessDenied { message: long_text() })),
        ];
        let mut approval = TestApproval::new(DecisionStatus::Rejected);
        approval.at = Some(wflo::GateAt::Call);
        approval.reason = Some("may I?".into());
        approval.approvers = Some((0..40).map(|n| format!("group-{n}")).collect());
        approval.votes = vec![TestVote {
            by: "ann".parse().unwrap(),
            groups: ["red".parse().unwrap()].into(),
            approved: false,
            comment: None,
        }];
        test.approvals = vec![approval];
        test.expect.calls = Some(vec!["wflo:llm/chat.complete".into()]);
        let message = Some(format!("it's over\n{}", long_text()));
        test.expect.end = TestExpects::Failure { kind: Some(FailureKind::Permanent), message };
        test.recorded = Some(
            serde_json::from_value(json!({
                "run": wflo_model::RunId::from_bytes([7; 16]),
                "started": wflo_model::Timestamp::from_micros(1_800_000_000_123_456),
                "seed": wflo_model::Digest::of(b"seed"),
                "requester": "local:ann",
                "clock": [wflo_model::Timestamp::from_micros(1_800_000_000_123_457)],
                "timers": [],
            }))
            .unwrap(),
        );
        test
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let test = full();
        let text = write(&test);
        assert_eq!(read(&text).unwrap_or_else(|error| panic!("{error}\n{text}")), test, "{text}");
        for end in [
            TestExpects::Success,
            TestExpects::Skipped,
            TestExpects::Output(json!(null)),
            TestExpects::Output(json!({"text": "Hello, Ada!"})),
            TestExpects::Fault(wflo_model::FaultKind::OutOfFuel),
        ] {
            let mut test = StepTest::new("greet".parse().unwrap());
            test.expect.end = end;
            let text = write(&test);
            assert_eq!(read(&text).unwrap_or_else(|error| panic!("{error}\n{text}")), test, "{text}");
        }
    }

    #[test]
    fn a_file_by_hand_is_short() {
        let text = "step = \"hello\"\ninputs = { name = \"Ada\" }\n\n[expect]\noutput = { text = \"Hello, Ada!\" }\n";
        let mut test = StepTest::new("hello".parse().unwrap());
        test.inputs.insert("name".into(), json!("Ada"));
        test.expect.end = TestExpects::Output(json!({"text": "Hello, Ada!"}));
        assert_eq!(read(text).unwrap(), test);
        assert_eq!(write(&test), text);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let check = |text: &str, says: &str| {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        };
        check("step = \"a\"\nstepp = 1\n", "unknown field `stepp`");
        check("step = \"a\"\nstepp = 1\n", "line 2");
        check("step = \"a\"\n[[tape]]\ncall = \"sql\"\nvalue = 1\n", "`sql` is no call");
        check("step = \"a\"\n[[tape]]\ncall = \"a:b/c.d\"\n", "needs a `value` or an `error`");
        check(
            "step = \"a\"\n[[tape]]\ncall = \"a:b/c.d\"\nvalue = 1\nvalue_json = \"2\"\n",
            "`value` and `value_json`",
        );
        check("step = \"a\"\ninputs_json = \"{\"\n", "`inputs_json`");
        check("step = \"a\"\n[expect]\noutput = 1\nskipped = true\n", "one of");
        check(
            "step = \"a\"\n[[tape]]\ncall = \"wflo:approval/policy.fact\"\nvalue = 1\n",
            "the gate answers",
        );
    }
}
