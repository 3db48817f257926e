//! Imports models, databases, approvals, secrets, messages and knowledge, calls every function of theirs that reaches outside, and calls its host while it describes itself.

wit_bindgen::generate!({
    inline: r#"
        package test:greedy;
        world greedy {
            import wflo:step/context@0.1.0;
            import wflo:llm/chat@0.1.0;
            import wflo:llm/tasks@0.1.0;
            import wflo:db/sql@0.1.0;
            import wflo:approval/gate@0.1.0;
            import wflo:approval/policy@0.1.0;
            import wflo:secret/secrets@0.1.0;
            import wflo:notify/mail@0.1.0;
            import wflo:notify/channel@0.1.0;
            import wflo:knowledge/search@0.1.0;
            export wflo:step/handler@0.1.0;
        }
    "#,
    path: ["../../../wit/deps/logging", "../../../wit/step", "../../../wit/llm", "../../../wit/db", "../../../wit/approval", "../../../wit/secret", "../../../wit/notify", "../../../wit/knowledge"],
    world: "test:greedy/greedy",
    generate_all,
});

use exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};
use wflo::approval::{gate, policy};
use wflo::db::sql::{self, Value};
use wflo::knowledge::search;
use wflo::llm::{chat, tasks};
use wflo::notify::{channel, mail};
use wflo::secret::secrets;
use wflo::step::context;

struct Greedy;
export!(Greedy);

impl Guest for Greedy {
    fn describe() -> Vec<StepInfo> {
        let _ = sql::query("bank", "SELECT 1", &[]);
        Vec::new()
    }

    /// Calls everything; the output is what each call said, as text.
    fn run(_: String) -> Result<String, Failure> {
        let request = chat::Request {
            model: "gpt-4".into(),
            messages: vec![chat::Message { role: chat::Role::User, content: "hello".into() }],
            schema: None,
            max_tokens: Some(16),
            temperature: None,
            seed: None,
        };
        let params = [Value::Integer(i64::MAX), Value::Decimal("12.50".into()), Value::Blob(vec![0, 255])];
        let said = [
            format!("{:?}", chat::complete(&request)),
            format!("{:?}", tasks::analyze("gpt-4", "[1]", "look", "{}")),
            format!("{:?}", tasks::classify("gpt-4", "text", &["a".into(), "b".into()])),
            format!("{:?}", sql::query("bank", "SELECT ?1", &params)),
            format!("{:?}", sql::execute("bank", "DELETE FROM t", &[])),
            format!("{:?}", gate::request(&ask("[1]"))),
            format!("{:?}", sql::call("bank", "pay", r#"{"amount":150}"#)),
            format!("{:?}", policy::fact("amount", "150")),
            format!("{:?}", secrets::placeholder("stripe")),
            format!("{:?}", tasks::transform("gpt-4", "[1]", "add one", "{}")),
            format!("{:?}", tasks::validate("gpt-4", "[1]", &["is one".into()])),
            format!("{:?}", tasks::generate_code("gpt-4", "rust", "{}")),
            format!("{:?}", tasks::moderate("gpt-4", "text", &["be kind".into()])),
            format!("{:?}", tasks::synthesize("gpt-4", "[1]", "sum up", "{}")),
            format!("{:?}", context::report_cost("cloud", "0.10", "a machine for an hour")),
            format!("{:?}", mail::send(&letter())),
            format!("{:?}", channel::send("slack://ops", &saying())),
            format!("{:?}", search::search("help", "returns?", 3)),
            format!("{:?}", tasks::answer("gpt-4", "why?", "help", 3)),
            // These never reach the gate.
            format!("{:?}", tasks::analyze("gpt-4", "not json", "look", "{}")),
            format!("{:?}", tasks::classify("no such name", "text", &["a".into()])),
            format!("{:?}", gate::request(&ask("not json"))),
            format!("{:?}", sql::call("bank", "pay", "[]")),
            format!("{:?}", policy::fact("amount", "not json")),
            format!("{:?}", sql::page("bank", "SELECT 1", &[], 0, 1)),
        ];
        let lines: Vec<String> = said.iter().map(|text| format!("{text:?}")).collect();
        Ok(format!("[{}]", lines.join(",")))
    }

    fn compensate(_: Undo) -> Result<(), Failure> {
        Ok(())
    }
}

fn letter() -> mail::Message {
    mail::Message {
        to: vec!["a@b.example".into(), "c@d.example".into()],
        subject: "hello".into(),
        text: "you".into(),
        answers: Some("1@wflo".into()),
    }
}

fn saying() -> channel::Message {
    channel::Message { title: "hello".into(), text: "all".into() }
}

fn ask(details: &str) -> gate::Ask {
    gate::Ask {
        summary: "go on?".into(),
        details: Some(details.into()),
        approvers: vec!["sre".into()],
        quorum: Some(1),
        timeout_seconds: None,
    }
}
