//! The smallest workflow: one step that reaches nothing.

use wflo::prelude::*;

#[wflo::data]
struct Greeting {
    text: String,
}

/// Greet whoever is named
#[wflo::step]
fn hello(ctx: Context) -> wflo::Result<Greeting> {
    let name: String = ctx.input("name")?;
    wflo::info!("greeting", name);
    Ok(Greeting { text: format!("Hello, {name}!") })
}

wflo::export!(hello);
