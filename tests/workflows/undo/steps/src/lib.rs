//! Steps that reach outside, each with what undoes it.

use wflo::Undo;
use wflo::prelude::*;

/// Have a letter written, and keep it
#[wflo::step]
fn write(_ctx: Context) -> wflo::Result<String> {
    let letter = llm::chat("gpt-4").user("Write a letter").max_tokens(20).text()?;
    db("book").execute("INSERT INTO letters (id, text) VALUES (1, ?1)", params![letter])?;
    Ok(letter)
}

/// Order something, by a request that cannot be made twice
#[wflo::step(compensate = cancel)]
fn order(ctx: Context) -> wflo::Result<String> {
    let url: String = ctx.input("url")?;
    Ok(http::post(format!("{url}/shop/order")).send()?.text()?.to_owned())
}

/// With an apology, which costs something.
fn cancel(ctx: Context, undo: Undo) -> wflo::Result<()> {
    let words = llm::chat("gpt-4").user("Apologise for it").max_tokens(20).text()?;
    wflo::info!("cancels", certain = undo.certain, words = words);
    let number: Option<String> = undo.output()?;
    let url = format!("{}/shop/cancel", ctx.input::<String>("url")?);
    let answer = http::post(url)
        .query("certain", undo.certain)
        .query("number", number.unwrap_or_else(|| "unknown".to_owned()))
        .send()?;
    if answer.status() == 503 { Err(wflo::retryable("the shop is closed")) } else { Ok(()) }
}

/// Ask a model until there is no money left
#[wflo::step]
fn spend(_ctx: Context) -> wflo::Result<u64> {
    loop {
        llm::chat("gpt-4").user("Tell me more").max_tokens(20).text()?;
    }
}

wflo::export!(write, order, spend);
