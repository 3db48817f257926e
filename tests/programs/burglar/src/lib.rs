//! Goes for databases and models that it was not granted; what it says to them comes as inputs.

wit_bindgen::generate!({
    inline: r#"
        package test:burglar;
        world burglar {
            import wflo:step/context@0.1.0;
            import wflo:llm/chat@0.1.0;
            import wflo:llm/tasks@0.1.0;
            import wflo:db/sql@0.1.0;
            export wflo:step/handler@0.1.0;
        }
    "#,
    path: ["../../../wit/deps/logging", "../../../wit/step", "../../../wit/llm", "../../../wit/db"],
    world: "test:burglar/burglar",
    generate_all,
});

use exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};
use wflo::db::sql::{self, Value};
use wflo::llm::{chat, tasks};
use wflo::step::context;

struct Burglar;
export!(Burglar);

impl Guest for Burglar {
    fn describe() -> Vec<StepInfo> {
        let step = |name: &str| StepInfo {
            name: name.into(),
            summary: "Tries a door.".into(),
            compensates: false,
            output_schema: None,
            facts: Vec::new(),
        };
        ["query", "execute", "call", "query_of_two_megabytes", "complete", "classify"].map(step).into()
    }

    fn run(step: String) -> Result<String, Failure> {
        let said = match step.as_str() {
            "query" => shown(sql::query(&input("db"), &input("sql"), &[])),
            "execute" => format!("{:?}", sql::execute(&input("db"), &input("sql"), &[])),
            "call" => shown(sql::call(&input("db"), &input("sql"), "{}")),
            "query_of_two_megabytes" => {
                let sql = format!("SELECT 1 WHERE '{}' = ''", "x".repeat(2 << 20));
                shown(sql::query(&input("db"), &sql, &[]))
            }
            "complete" => {
                format!("{:?}", chat::complete(&request(&input("model"))).map(|answer| answer.text))
            }
            "classify" => {
                let categories = ["a".to_owned(), "b".to_owned()];
                format!(
                    "{:?}",
                    tasks::classify(&input("model"), "what is it?", &categories).map(|answer| answer.value)
                )
            }
            other => return Err(Failure::Permanent(format!("no step `{other}`"))),
        };
        Ok(format!("{said:?}"))
    }

    fn compensate(_: Undo) -> Result<(), Failure> {
        Ok(())
    }
}

/// An input of text; none of those has anything in it that is not printed as it is, but for escaped quotes.
fn input(name: &str) -> String {
    let json = context::input(name).unwrap_or_default();
    let inside = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or_default();
    inside.replace("\\\"", "\"").replace("\\n", "\n").replace("\\\\", "\\")
}

/// What came of a query: the values alone.
fn shown(answer: Result<sql::Rows, sql::Error>) -> String {
    match answer {
        Ok(rows) => format!(
            "{:?}",
            rows.rows.iter().map(|row| row.iter().map(value).collect()).collect::<Vec<Vec<_>>>()
        ),
        Err(error) => format!("{error:?}"),
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn request(model: &str) -> chat::Request {
    chat::Request {
        model: model.into(),
        messages: vec![chat::Message { role: chat::Role::User, content: "the patient's name is Ada".into() }],
        schema: None,
        max_tokens: Some(16),
        temperature: None,
        seed: None,
    }
}
