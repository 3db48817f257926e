//! Reads a file of `tests/`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use wflo::{GivenArtifact, StepTest, TapeAnswer, TapeArgs, TapeEntry, TestApproval, TestExpects, TestVote};
use wflo_host_api::Decision;

use super::{ApprovalToml, ArtifactToml, EntryToml, ExpectToml, FailureToml, TestToml, VoteToml, fields};

/// What of a call the gate answers itself, so that no tape has it.
const THE_GATES_OWN: [&str; 5] =
    ["wflo:approval/gate.", "wflo:approval/policy.", "wflo:artifact/store.", "wflo:secret/", "wflo:step/"];

/// Why a file is no test.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadFile {
    /// It is no TOML, or has other keys or kinds than a test has.
    #[error("{0}")]
    Toml(#[from] toml_edit::de::Error),
    /// It does not make sense.
    #[error("{0}")]
    Wrong(String),
}

fn wrong<T>(message: impl Into<String>) -> Result<T, BadFile> {
    Err(BadFile::Wrong(message.into()))
}

/// Reads a test.
pub(crate) fn read(text: &str) -> Result<StepTest, BadFile> {
    let file: TestToml = toml_edit::de::from_str(text)?;
    let mut test = StepTest::new(file.step);
    test.attempt = file.attempt.unwrap_or(1);
    test.inputs = match either("inputs", file.inputs, file.inputs_json)? {
        None => Map::new(),
        Some(value) => match fields(value) {
            Some(fields) => fields,
            None => return wrong("`inputs` are a table, one key an input"),
        },
    };
    test.item = either("item", file.item, file.item_json)?;
    for (step, value) in file.outputs {
        test.outputs.insert(step, plain(value));
    }
    for (step, text) in file.outputs_json {
        let value = json(&format!("outputs_json.{step}"), &text)?;
        if test.outputs.insert(step.clone(), value).is_some() {
            return wrong(format!("step `{step}` is in `outputs` and in `outputs_json`"));
        }
    }
    test.decision = file.decision.map(|decision| Decision { status: decision.status, votes: decision.votes });
    test.artifacts = file.artifact.into_iter().map(artifact).collect::<Result<_, _>>()?;
    test.tape = file.tape.into_iter().map(entry).collect::<Result<_, _>>()?;
    test.approvals = file.approval.into_iter().map(approval).collect();
    test.expect.calls.clone_from(&file.expect.calls);
    test.expect.end = end(file.expect)?;
    if let Some(recorded) = file.recorded {
        let setting = serde_json::json!({
            "run": recorded.run, "started": recorded.started, "seed": recorded.seed,
            "requester": recorded.requester, "clock": recorded.clock, "timers": recorded.timers,
        });
        let setting = serde_json::from_value(setting).map_err(|error| BadFile::Wrong(error.to_string()))?;
        test.recorded = Some(setting);
    }
    Ok(test)
}

/// A value that is written in TOML, or as JSON.
fn either(name: &str, toml: Option<Value>, text: Option<String>) -> Result<Option<Value>, BadFile> {
    match (toml, text) {
        (None, None) => Ok(None),
        (Some(value), None) => Ok(Some(plain(value))),
        (None, Some(text)) => json(&format!("{name}_json"), &text).map(Some),
        (Some(_), Some(_)) => wrong(format!("`{name}` and `{name}_json` say the same thing: one of them")),
    }
}

fn json(name: &str, text: &str) -> Result<Value, BadFile> {
    serde_json::from_str(text).or_else(|error| wrong(format!("`{name}` is no JSON: {error}")))
}

/// A value without TOML's own kinds: a date is the text that it is written as.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) if fields.len() == 1 && fields.contains_key(DATE) => {
            fields.into_iter().next().map(|(_, date)| date).unwrap_or_default()
        }
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, plain(value))).collect())
        }
        Value::Array(all) => all.into_iter().map(plain).collect(),
        other => other,
    }
}

/// The one key under which the parser hands on a date.
const DATE: &str = "$__toml_private_datetime";

fn artifact(given: ArtifactToml) -> Result<GivenArtifact, BadFile> {
    let ArtifactToml { step, item, name: artifact, text, base64 } = given;
    let bytes = match (text, base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(code)) => STANDARD
            .decode(code.trim())
            .or_else(|error| wrong(format!("artifact `{artifact}`: `base64`: {error}")))?,
        _ => return wrong(format!("artifact `{artifact}` needs `text` or `base64`")),
    };
    Ok(GivenArtifact { step, item, artifact, bytes: bytes.into() })
}

fn entry(entry: EntryToml) -> Result<TapeEntry, BadFile> {
    let EntryToml { call, args, args_json, like, like_json, value, value_json, error } = entry;
    let Some((interface, function)) = call.rsplit_once('.').filter(|(interface, _)| interface.contains('/'))
    else {
        return wrong(format!("`{call}` is no call: one is written as `wflo:db/sql.query`"));
    };
    if THE_GATES_OWN.iter().any(|own| call.starts_with(own)) {
        return wrong(format!(
            "no tape answers `{call}`: the gate answers it itself\nhint: what people say is an `[[approval]]`"
        ));
    }
    let args = match (either("args", args, args_json)?, either("like", like, like_json)?) {
        (None, None) => TapeArgs::Any,
        (Some(all), None) => TapeArgs::Exactly(all),
        (None, Some(part)) => TapeArgs::Like(part),
        (Some(_), Some(_)) => {
            return wrong(format!("an entry of `{call}` has `args` and `like`: one of them"));
        }
    };
    let answer = match (either("value", value, value_json)?, error) {
        (Some(value), None) => TapeAnswer::Value(value),
        (None, Some(error)) => TapeAnswer::Error(error),
        (None, None) => return wrong(format!("an entry of `{call}` needs a `value` or an `error`")),
        (Some(_), Some(_)) => return wrong(format!("an entry of `{call}` has a `value` and an `error`")),
    };
    Ok(TapeEntry::new(interface, function, args, answer))
}

fn approval(it: ApprovalToml) -> TestApproval {
    let mut approval = TestApproval::new(it.decision);
    (approval.at, approval.reason, approval.approvers) = (it.at, it.reason, it.approvers);
    approval.comment = it.comment;
    let votes = it.votes.into_iter();
    approval.votes = votes
        .map(|VoteToml { by, groups, approved, comment }| TestVote { by, groups, approved, comment })
        .collect();
    approval
}

fn end(expect: ExpectToml) -> Result<TestExpects, BadFile> {
    let output = either("output", expect.output, expect.output_json)?;
    let failure = expect.failure.map(|FailureToml { kind, message }| TestExpects::Failure { kind, message });
    let ways = [
        output.map(TestExpects::Output),
        failure,
        expect.fault.map(TestExpects::Fault),
        expect.skipped.then_some(TestExpects::Skipped),
    ];
    let mut ways = ways.into_iter().flatten();
    match (ways.next(), ways.next()) {
        (None, _) => Ok(TestExpects::Success),
        (Some(way), None) => Ok(way),
        (Some(_), Some(_)) => wrong("`[expect]` takes one of `output`, `failure`, `fault` and `skipped`"),
    }
}
