//! Steps that wait, ask, and work on many items.

use std::time::Duration;

use wflo::Ask;
use wflo::prelude::*;

#[wflo::data]
struct Numbers {
    numbers: Vec<i64>,
}

/// List the numbers to square
#[wflo::step]
fn list(ctx: Context) -> wflo::Result<Numbers> {
    let count: i64 = ctx.input("count")?;
    Ok(Numbers { numbers: (1..=count).collect() })
}

/// Square one number and note it in the book
#[wflo::step]
fn square(ctx: Context) -> wflo::Result<i64> {
    let number: i64 = ctx.item()?;
    if number == ctx.input::<i64>("poison")? {
        return Err(wflo::permanent(format!("{number} is poison")));
    }
    db("book").execute("INSERT INTO squares VALUES (?1, ?2)", params![number, number * number])?;
    Ok(number * number)
}

/// Sleep, and say how long it was by the clock
#[wflo::step]
fn nap(ctx: Context) -> wflo::Result<u64> {
    let before = std::time::SystemTime::now();
    std::thread::sleep(Duration::from_millis(ctx.input("nap_ms")?));
    let slept = before.elapsed().map_err(|error| wflo::permanent(error.to_string()))?;
    wflo::info!("slept", ms = slept.as_millis() as u64);
    Ok(slept.as_millis() as u64)
}

#[wflo::data]
struct Answer {
    approved: bool,
    by: Vec<String>,
    /// Whether the last decision about this step is the one it was given.
    same: bool,
}

/// Ask the operators in the middle of the step
#[wflo::step]
fn ask(ctx: Context) -> wflo::Result<Answer> {
    let decision = Ask::new("Go on?").details(&json!({ "run": ctx.run_id() })).approvers(["ops"]).decide()?;
    Ok(Answer {
        approved: decision.is_approved(),
        by: decision.votes.iter().map(|vote| vote.by.clone()).collect(),
        same: ctx.decision().as_ref() == Some(&decision),
    })
}

/// Compute until somebody stops it
#[wflo::step]
fn spin(_ctx: Context) -> wflo::Result<u64> {
    let mut n = 0u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
        if n == u64::MAX {
            return Ok(n);
        }
    }
}

/// Add up what is in the book
#[wflo::step]
fn total(_ctx: Context) -> wflo::Result<i64> {
    Ok(db("book").query_as::<(i64,)>("SELECT coalesce(sum(square), 0) FROM squares", params![])?[0].0)
}

wflo::export!(list, square, nap, ask, spin, total);
