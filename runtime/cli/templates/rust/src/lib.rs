//! The steps.

mod greeting;

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
    Ok(Greeting { text: greeting::greeting(&name) })
}

wflo::export!(hello);
