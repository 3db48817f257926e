//! Records how satisfied a customer is.

use wflo::prelude::*;

/// Record a customer's rating
#[wflo::step]
fn record_rating(ctx: Context) -> wflo::Result<u8> {
    let (interaction, rating): (String, u8) = (ctx.input("interaction")?, ctx.input("rating")?);
    let comment: String = ctx.input("comment")?;
    let params = json!({ "interaction": interaction, "rating": rating, "comment": comment });
    db("shop").call::<u64>("record_rating", &params)?;
    Ok(rating)
}

wflo::export!(record_rating);
