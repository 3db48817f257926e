//! Does nothing, or one thing a given number of times: what `cargo xtask bench` measures.

wit_bindgen::generate!({
    inline: r#"
        package test:pacer;
        world pacer {
            import wflo:llm/chat@0.1.0;
            import wflo:db/sql@0.1.0;
            import wflo:artifact/store@0.1.0;
            import wflo:approval/gate@0.1.0;
            export wflo:step/handler@0.1.0;
        }
    "#,
    path: ["../../../wit/deps/logging", "../../../wit/step", "../../../wit/llm", "../../../wit/db", "../../../wit/artifact", "../../../wit/approval"],
    world: "test:pacer/pacer",
    generate_all,
});

use exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};
use wflo::approval::gate;
use wflo::artifact::store;
use wflo::db::sql;
use wflo::llm::chat;

struct Pacer;
export!(Pacer);

impl Guest for Pacer {
    fn describe() -> Vec<StepInfo> {
        let step = |name: &str| StepInfo {
            name: name.into(),
            summary: "Keeps a pace.".into(),
            compensates: false,
            output_schema: None,
            facts: Vec::new(),
        };
        vec![
            step("nothing"),
            step("reads-N"),
            step("asks-N"),
            step("pauses-N"),
            step("makes-N"),
            step("loads"),
            step("pages-N"),
            step("spins"),
            step("grows"),
            step("floods"),
        ]
    }

    fn run(step: String) -> Result<String, Failure> {
        let (what, times) = step.split_once('-').unwrap_or((&step, "0"));
        let times: u32 = times.parse().map_err(failure)?;
        match what {
            "nothing" => {}
            "reads" => reads(times)?,
            "asks" => asks(times)?,
            "pauses" => {
                reads(times)?;
                pause()?;
            }
            "makes" => makes(times)?,
            "loads" => return loads(),
            "pages" => return pages(times),
            "spins" => loop {
                std::hint::black_box(());
            },
            "grows" => {
                let mut all = Vec::new();
                loop {
                    all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            "floods" => loop {
                println!("on and on");
            },
            other => return Err(Failure::Permanent(format!("no step `{other}`"))),
        }
        Ok("null".into())
    }

    fn compensate(_: Undo) -> Result<(), Failure> {
        Ok(())
    }
}

fn failure(error: impl std::fmt::Debug) -> Failure {
    Failure::Permanent(format!("{error:?}"))
}

/// Reads a row so many times; each time another, so that no two calls are equal.
fn reads(times: u32) -> Result<(), Failure> {
    for n in 0..times {
        let rows = sql::query("bank", "SELECT ?1", &[sql::Value::Integer(n.into())]).map_err(failure)?;
        if rows.rows.len() != 1 {
            return Err(failure("a row was expected"));
        }
    }
    Ok(())
}

/// Makes an artifact with so many rows.
fn makes(rows: u32) -> Result<(), Failure> {
    let writer = store::create("rows.jsonl").map_err(failure)?;
    let mut text = String::new();
    for n in 0..rows {
        text += &format!("{{\"id\":{n},\"name\":\"row {n}\",\"amount\":{{\"decimal\":\"{n}.50\"}}}}\n");
        if text.len() > 60 << 10 || n + 1 == rows {
            writer.write(text.as_bytes()).map_err(failure)?;
            text.clear();
        }
    }
    store::Writer::finish(writer).map(drop).map_err(failure)
}

/// Inserts the rows of that artifact: their number.
fn loads() -> Result<String, Failure> {
    let format = sql::RowFormat::JsonLines;
    let rows = sql::RowSource { name: "rows.jsonl".into(), step: None, item: None, format };
    sql::bulk_insert("bank", "rows", &[], &rows).map(|inserted| inserted.to_string()).map_err(failure)
}

/// Reads those rows so many at a time: their number.
fn pages(most: u32) -> Result<String, Failure> {
    let mut read = 0;
    loop {
        let page = sql::page("bank", "SELECT id, name, amount FROM rows ORDER BY id", &[], read, most);
        match page.map_err(failure)?.rows.len() {
            0 => return Ok(read.to_string()),
            rows => read += rows as u64,
        }
    }
}

/// Asks a model so many times.
fn asks(times: u32) -> Result<(), Failure> {
    for n in 0..times {
        let message = chat::Message { role: chat::Role::User, content: format!("question {n}") };
        let request = chat::Request {
            model: "echo".into(),
            messages: vec![message],
            schema: None,
            max_tokens: Some(16),
            temperature: None,
            seed: None,
        };
        chat::complete(&request).map_err(failure)?;
    }
    Ok(())
}

/// Asks people, which parks the attempt.
fn pause() -> Result<(), Failure> {
    let ask = gate::Ask {
        summary: "go on?".into(),
        details: None,
        approvers: vec!["crew".into()],
        quorum: None,
        timeout_seconds: None,
    };
    gate::request(&ask).map(drop).map_err(failure)
}
