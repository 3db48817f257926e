//! Steps that write to people, publish, and search what people have written.

use wflo::prelude::*;

/// Write to somebody, and say so
#[wflo::step]
fn write(ctx: Context) -> wflo::Result<String> {
    let to: String = ctx.input("to")?;
    let text = "Hello Ann,\n\n.\nit is done: ä €\n";
    let id = mail::to(to).and_to("bob@example.org").subject("Grüße").text(text).send()?;
    wflo::notify("slack://team", "a mail was written", "to <!channel> & others")?;
    if ctx.attempt() < ctx.input("fails_until")? {
        return Err(wflo::retryable("not yet"));
    }
    Ok(id.to_string())
}

/// Publish a draft
#[wflo::step]
fn publish(ctx: Context) -> wflo::Result<u16> {
    let url: String = ctx.input("url")?;
    Ok(wflo::publish(url, &json!({ "title": "a draft" }))?.status())
}

/// Look something up
#[wflo::step]
fn look_up(ctx: Context) -> wflo::Result<Vec<wflo::Passage>> {
    let question: String = ctx.input("question")?;
    Ok(wflo::knowledge("help").top(3).search(&question)?)
}

wflo::export!(write, publish, look_up);
