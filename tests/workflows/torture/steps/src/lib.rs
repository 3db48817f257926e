//! Steps that can be cut off in the middle of anything. Their outputs are the same in every run.

use std::time::Duration;

use wflo::Ask;
use wflo::prelude::*;

/// More than the journal keeps beside its records.
const SMALL_BLOB: usize = 6 * 1024;
/// More than one piece of a blob.
const LARGE_BLOB: usize = 1280 * 1024;

#[wflo::data]
struct Numbers {
    numbers: Vec<i64>,
}

/// List the numbers of the items
#[wflo::step]
fn list(ctx: Context) -> wflo::Result<Numbers> {
    let count: i64 = ctx.input("count")?;
    wflo::info!("listed", count = count);
    Ok(Numbers { numbers: (1..=count).collect() })
}

#[wflo::data]
struct Done {
    number: i64,
    said: String,
}

/// Ask a model about one item, and note that it was done
#[wflo::step]
fn each(ctx: Context) -> wflo::Result<Done> {
    let number: i64 = ctx.item()?;
    wflo::info!("before", number = number);
    let said = llm::chat("gpt-4").user(format!("item {number}")).max_tokens(50).text()?;
    note(&ctx, number)?;
    wflo::info!("after", number = number);
    Ok(Done { number, said })
}

#[wflo::data]
struct Said {
    said: Vec<String>,
}

/// Have a conversation of three turns
#[wflo::step]
fn talk(_ctx: Context) -> wflo::Result<Said> {
    let mut chat = llm::chat("gpt-4").system("x".repeat(SMALL_BLOB)).max_tokens(50);
    let mut said = Vec::new();
    for turn in 1..=3 {
        chat = chat.user(format!("turn {turn}"));
        let answer = chat.clone().text()?;
        wflo::info!("answered", turn = turn);
        chat = chat.assistant(answer.clone());
        said.push(answer);
    }
    Ok(Said { said })
}

/// Fail twice after everything was done, then succeed
#[wflo::step]
fn flaky(ctx: Context) -> wflo::Result<String> {
    let said = llm::chat("gpt-4").user("which attempt is this?").max_tokens(50).text()?;
    note(&ctx, 0)?;
    if ctx.attempt() < 3 {
        return Err(wflo::retryable(format!("attempt {} fails", ctx.attempt())));
    }
    Ok(said)
}

/// Sleep for as long as parks
#[wflo::step]
fn nap(ctx: Context) -> wflo::Result<bool> {
    let wait = Duration::from_millis(ctx.input("nap_ms")?);
    let before = std::time::SystemTime::now();
    std::thread::sleep(wait);
    let slept = before.elapsed().map_err(|error| wflo::permanent(error.to_string()))?;
    Ok(slept >= wait)
}

#[wflo::data]
struct Large {
    small: String,
    large: String,
}

/// Return and log what is kept beside the journal
#[wflo::step]
fn large(_ctx: Context) -> wflo::Result<Large> {
    wflo::info!("large", text = "l".repeat(SMALL_BLOB));
    // Two steps, so that a crash can come between the blobs too.
    std::thread::sleep(Duration::from_millis(20));
    Ok(Large { small: "s".repeat(SMALL_BLOB), large: "L".repeat(LARGE_BLOB) })
}

#[wflo::data]
struct Answer {
    approved: bool,
    by: Vec<String>,
    said: String,
}

/// Ask people in the middle of the step, between two questions to a model
#[wflo::step]
fn ask(ctx: Context) -> wflo::Result<Answer> {
    let first = llm::chat("gpt-4").user("what should people be asked?").max_tokens(50).text()?;
    let decision = Ask::new("Go on?").details(&json!({ "question": first })).approvers(["ops"]).decide()?;
    let said = llm::chat("gpt-4").user(format!("they said {}", decision.is_approved())).text()?;
    note(&ctx, 0)?;
    Ok(Answer {
        approved: decision.is_approved(),
        by: decision.votes.iter().map(|vote| vote.by.clone()).collect(),
        said,
    })
}

/// Note what only people permit
#[wflo::step]
fn guarded(ctx: Context) -> wflo::Result<u64> {
    note(&ctx, 0)
}

/// Count what was noted
#[wflo::step]
fn total(ctx: Context) -> wflo::Result<i64> {
    let rows = db("book")
        .query_as::<(i64,)>("SELECT count(*) FROM effects WHERE run = ?1", params![ctx.run_id()])?;
    Ok(rows[0].0)
}

/// Two effects that must happen once: a row that cannot be there twice, and a number that shows how often it was
/// raised.
fn note(ctx: &Context, item: i64) -> wflo::Result<u64> {
    let book = db("book");
    let noted = book.execute(
        "INSERT INTO effects (run, step, item) VALUES (?1, ?2, ?3)",
        params![ctx.run_id(), ctx.step(), item],
    )?;
    let raised = book.execute(
        "UPDATE tally SET n = n + 1 WHERE step = ?1 AND item = ?2",
        params![ctx.step(), item],
    )?;
    Ok(noted + raised)
}

wflo::export!(list, each, talk, flaky, nap, large, ask, guarded, total);
