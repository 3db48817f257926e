//! Writes a file of `tests/`, as a person would.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use wflo::{GivenArtifact, StepTest, TapeAnswer, TapeArgs, TestApproval, TestExpects};

/// The longest line that a value is written in.
const LONGEST: usize = 100;

/// Writes a test.
pub(crate) fn write(test: &StepTest) -> String {
    let mut out = Out::default();
    out.value("step", &test.step);
    if test.attempt != 1 {
        out.value("attempt", &test.attempt);
    }
    if !test.inputs.is_empty() {
        out.value("inputs", &test.inputs);
    }
    if let Some(item) = &test.item {
        out.value("item", item);
    }
    if let Some(decision) = &test.decision {
        out.table("decision");
        out.value("status", &decision.status);
        out.list("votes", decision.votes.iter().map(without_nulls));
    }
    let lines: Vec<_> = test.outputs.iter().map(|(step, it)| (step, inline(it))).collect();
    for (suffix, is_line) in [("", true), ("_json", false)] {
        let of_kind = lines.iter().zip(test.outputs.values());
        let mut of_kind = of_kind.filter(|((_, line), _)| line.is_some() == is_line).peekable();
        if of_kind.peek().is_some() {
            out.table(&format!("outputs{suffix}"));
        }
        for ((step, line), value) in of_kind {
            let text = line.clone().unwrap_or_else(|| literal(value));
            out.line(&format!("{} = {text}", key(step.as_str())));
        }
    }
    test.artifacts.iter().for_each(|given| artifact(&mut out, given));
    for entry in &test.tape {
        out.tables("tape");
        out.value("call", &format!("{}.{}", entry.interface, entry.function));
        match &entry.args {
            TapeArgs::Like(part) => out.value("like", part),
            TapeArgs::Exactly(all) => out.value("args", all),
            _ => {}
        }
        match &entry.answer {
            TapeAnswer::Value(value) => out.value("value", value),
            TapeAnswer::Error(error) => out.record("error", &without_nulls(error)),
            _ => {}
        }
    }
    test.approvals.iter().for_each(|one| approval(&mut out, one));
    expect(&mut out, test);
    if let Some(recorded) = &test.recorded {
        out.table("recorded");
        out.value("run", &recorded.run);
        out.value("started", &recorded.started);
        out.value("seed", &recorded.seed);
        out.value("requester", &recorded.requester);
        out.list("clock", recorded.clock.iter().map(to_value));
        out.list("timers", recorded.timers.iter().map(to_value));
    }
    out.0
}

fn artifact(out: &mut Out, given: &GivenArtifact) {
    let GivenArtifact { step, item, artifact, bytes } = given;
    out.tables("artifact");
    out.value("step", step);
    if let Some(item) = item {
        out.value("item", item);
    }
    out.value("name", artifact);
    match bytes.as_text().filter(|text| !text.contains('\r')) {
        // The line break after the quotes is not part of it.
        Some(text) if text.contains('\n') && is_literal(text) => {
            out.line(&format!("text = '''\n{text}'''"));
        }
        Some(text) => out.line(&format!("text = {}", quoted(text))),
        None => out.line(&format!("base64 = \"{}\"", STANDARD.encode(bytes.as_bytes()))),
    }
}

fn approval(out: &mut Out, asked: &TestApproval) {
    out.tables("approval");
    if let Some(at) = &asked.at {
        out.value("at", at);
    }
    if let Some(reason) = &asked.reason {
        out.value("reason", reason);
    }
    if let Some(approvers) = &asked.approvers {
        out.record("approvers", &to_value(approvers));
    }
    out.value("decision", &asked.decision);
    if let Some(comment) = &asked.comment {
        out.value("comment", comment);
    }
    out.list("votes", asked.votes.iter().map(without_nulls));
}

fn expect(out: &mut Out, test: &StepTest) {
    let calls = test.expect.calls.as_ref();
    if test.expect.end == TestExpects::Success && calls.is_none() {
        return;
    }
    out.table("expect");
    match &test.expect.end {
        TestExpects::Output(output) => out.value("output", output),
        TestExpects::Failure { kind, message } => {
            out.record("failure", &without_nulls(&serde_json::json!({ "kind": kind, "message": message })));
        }
        TestExpects::Fault(kind) => out.value("fault", kind),
        TestExpects::Skipped => out.line("skipped = true"),
        _ => {}
    }
    if let Some(calls) = calls {
        match calls.is_empty() {
            true => out.line("calls = []"),
            false => out.list("calls", calls.iter().map(to_value)),
        }
    }
}

/// The text of a file.
#[derive(Default)]
struct Out(String);

impl Out {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn table(&mut self, name: &str) {
        self.line(&format!("\n[{name}]"));
    }

    fn tables(&mut self, name: &str) {
        self.line(&format!("\n[[{name}]]"));
    }

    /// A key and its value: in one line, or as JSON where TOML cannot say it or the line would be long.
    fn value(&mut self, name: &str, value: &impl Serialize) {
        let value = to_value(value);
        match inline(&value) {
            Some(text) => self.line(&format!("{name} = {text}")),
            None => self.line(&format!("{name}_json = {}", literal(&value))),
        }
    }

    /// A key and what has a form of its own in these files, which is TOML however long it is.
    fn record(&mut self, name: &str, value: &Value) {
        self.line(&format!(
            "{name} = {}",
            toml(value).expect("records of a test hold texts and small numbers")
        ));
    }

    /// A list, an element a line; nothing for one without.
    fn list(&mut self, name: &str, all: impl Iterator<Item = Value>) {
        let lines: Vec<_> = all.map(|value| format!("    {},\n", toml(&value).unwrap_or_default())).collect();
        if !lines.is_empty() {
            self.line(&format!("{name} = [\n{}]", lines.concat()));
        }
    }
}

fn to_value(value: &(impl Serialize + ?Sized)) -> Value {
    serde_json::to_value(value).expect("what a test has has text keys")
}

/// A record without the fields that say nothing, of which TOML has none.
fn without_nulls(value: &impl Serialize) -> Value {
    let mut value = to_value(value);
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}

/// A value in one line of TOML, if it fits.
fn inline(value: &Value) -> Option<String> {
    // A text has no better form than the one it has; all else is easier to read as JSON where it is long.
    toml(value).filter(|text| text.len() <= LONGEST || value.is_string())
}

/// A value in TOML; none where it has what TOML has not.
fn toml(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(it) => it.to_string(),
        Value::Number(number) if number.is_f64() || number.as_i64().is_some() => number.to_string(),
        Value::Number(_) => return None,
        Value::String(text) => quoted(text),
        Value::Array(all) => {
            let all = all.iter().map(toml).collect::<Option<Vec<_>>>()?;
            format!("[{}]", all.join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let one = |(name, value): (&String, &Value)| Some(format!("{} = {}", key(name), toml(value)?));
            let all = fields.iter().map(one).collect::<Option<Vec<_>>>()?;
            format!("{{ {} }}", all.join(", "))
        }
    })
}

fn key(name: &str) -> String {
    let is_bare = |sign: char| sign.is_ascii_alphanumeric() || sign == '_' || sign == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// A text in quotes. What JSON writes there TOML reads, but for one sign that it wants escaped.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON").replace('\u{7f}', "\\u007f")
}

/// A value as JSON in a literal text of several lines.
fn literal(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).expect("a value is JSON");
    let text = text.replace('\u{7f}', "\\u007f").replace("'''", "\\u0027\\u0027\\u0027");
    let mut out = String::new();
    write!(out, "'''\n{text}\n'''").expect("writing to a string does not fail");
    out
}

/// Whether a text can stand in literal quotes as it is.
fn is_literal(text: &str) -> bool {
    !text.contains("'''")
        && !text.ends_with('\'')
        && text.chars().all(|sign| sign == '\n' || sign == '\t' || !sign.is_control())
}
