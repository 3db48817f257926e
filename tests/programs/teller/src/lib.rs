//! Reads, asks a model, and moves money: one step with every class of call, for tests of what crashes leave.

wit_bindgen::generate!({
    inline: r#"
        package test:teller;
        world teller {
            import wasi:logging/logging@0.1.0-draft;
            import wflo:llm/tasks@0.1.0;
            import wflo:db/sql@0.1.0;
            export wflo:step/handler@0.1.0;
        }
    "#,
    path: ["../../../wit/deps/logging", "../../../wit/step", "../../../wit/llm", "../../../wit/db"],
    world: "test:teller/teller",
    generate_all,
});

use std::hash::{BuildHasher, RandomState};

use exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};
use wasi::logging::logging::{Level, log};
use wflo::db::sql::{self, Value};
use wflo::llm::tasks;

struct Teller;
export!(Teller);

fn failure(error: impl std::fmt::Debug) -> Failure {
    Failure::Permanent(format!("{error:?}"))
}

impl Guest for Teller {
    fn describe() -> Vec<StepInfo> {
        let step = |name: &str| StepInfo {
            name: name.into(),
            summary: "Moves money.".into(),
            compensates: false,
            output_schema: None,
            facts: Vec::new(),
        };
        vec![step("move"), step("peek"), step("give_up")]
    }

    fn run(step: String) -> Result<String, Failure> {
        match step.as_str() {
            "move" => move_money(),
            "peek" => {
                let denied = sql::query("bank", "SELECT * FROM secrets", &[]);
                Ok(format!("{:?}", format!("{denied:?}")))
            }
            "give_up" => {
                sql::execute("bank", "UPDATE accounts SET balance = 0", &[]).map_err(failure)?;
                Err(Failure::Permanent("on second thoughts".into()))
            }
            other => Err(Failure::Permanent(format!("no step `{other}`"))),
        }
    }

    fn compensate(_: Undo) -> Result<(), Failure> {
        Ok(())
    }
}

/// Takes 10 from each rich account, one by one, and gives all of it to the account the model picks.
fn move_money() -> Result<String, Failure> {
    let rich = sql::query("bank", "SELECT id FROM accounts WHERE balance >= 100 ORDER BY id", &[])
        .map_err(failure)?;
    log(Level::Info, "teller", "asking");
    let schema = r#"{"type":"object","properties":{"pick":{"type":"integer"}},"required":["pick"]}"#;
    let answer =
        tasks::analyze("gpt-4", &format!("{}", rich.rows.len()), "pick one", schema).map_err(failure)?;
    let pick: i64 =
        answer.value.chars().filter(char::is_ascii_digit).collect::<String>().parse().map_err(failure)?;
    let luck = RandomState::new().hash_one(7_u8);
    for row in &rich.rows {
        let take = "UPDATE accounts SET balance = balance - 10 WHERE id = ?1";
        sql::execute("bank", take, &row[..1]).map_err(failure)?;
    }
    let give = "UPDATE accounts SET balance = balance + ?1 WHERE id = ?2";
    let amount = 10 * i64::try_from(rich.rows.len()).map_err(failure)?;
    sql::execute("bank", give, &[Value::Integer(amount), Value::Integer(pick)]).map_err(failure)?;
    log(Level::Info, "teller", "given");
    let seen = sql::query("bank", "SELECT balance FROM accounts WHERE id = ?1", &[Value::Integer(pick)]);
    let Value::Integer(balance) = seen.map_err(failure)?.rows[0][0] else {
        return Err(Failure::Permanent("a balance is an integer".into()));
    };
    Ok(format!("{{\"balance\":{balance},\"luck\":\"{luck}\"}}"))
}
