//! Steps under policies: one that pays money back by a named statement, one that claims what it found.

use wflo::db::Error;
use wflo::prelude::*;

#[wflo::data]
struct Refunded {
    refund_amount: String,
    status: String,
    /// Who decided about it, as far as the step knows before and after.
    before: Vec<String>,
    by: Vec<String>,
}

fn deciders(ctx: &Context) -> Vec<String> {
    ctx.decision().map(|it| it.votes.into_iter().map(|vote| vote.by).collect()).unwrap_or_default()
}

/// Pay an order back
#[wflo::step]
fn refund(ctx: Context) -> wflo::Result<Refunded> {
    let before = deciders(&ctx);
    let order_id: i64 = ctx.input("order_id")?;
    let refund_amount: String = ctx.input("amount")?;
    let claim: f64 = ctx.input("claim")?;
    if claim >= 0.0 && !wflo::fact("refund_amount", claim)?.permits() {
        wflo::bail!("the claim was rejected");
    }
    let paid: Vec<f64> = db("shop").call("get_refund_amount", &json!({ "order_id": order_id }))?;
    if paid.is_empty() {
        wflo::bail!("there is no order {order_id}");
    }
    let mut status = "refunded".to_owned();
    for _ in 0..ctx.input::<u32>("times")? {
        let params = json!({ "order_id": order_id, "refund_amount": refund_amount });
        match db("shop").call::<u64>("process_refund", &params) {
            Ok(changed) => assert_eq!(changed, [1]),
            Err(Error::Rejected(why)) => status = why,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Refunded { refund_amount, status, before, by: deciders(&ctx) })
}

/// Claim how sure a model is of its verdict
#[wflo::step]
fn moderate(ctx: Context) -> wflo::Result<String> {
    let verdict = wflo::fact("verdict", ctx.input::<String>("verdict")?)?;
    assert!(verdict.permits());
    Ok(format!("{:?}", wflo::fact("confidence", ctx.input::<f64>("confidence")?)?))
}

wflo::export!(refund, moderate);
