//! Customer service: a model understands what a customer wants. Questions are answered from the help pages, refunds are
//! paid, by a person's leave where they are large, and whatever else there is goes to a person.

use wflo::db::Error;
use wflo::prelude::*;

const MODEL: &str = "gpt-3.5-turbo";
const MANAGERS: &str = "slack://cs-managers";
const INTENTS: [&str; 4] = ["refund", "question", "complaint", "other"];

#[wflo::data]
struct Understood {
    intent: String,
    details: String,
}

/// Understand customer inquiry
#[wflo::step]
fn understand_query(ctx: Context) -> wflo::Result<Understood> {
    let message: String = ctx.input("message")?;
    let found = llm::classify(MODEL).text(message).one_of(INTENTS)?;
    Ok(Understood { intent: found.category, details: found.details })
}

#[wflo::data]
struct Handled {
    response: String,
    /// In USD; 0 where nothing is paid back.
    refund_amount: String,
    /// The help pages that the response is taken from.
    sources: Vec<String>,
}

/// Handle based on intent
#[wflo::step]
fn handle_query(ctx: Context) -> wflo::Result<Handled> {
    let Understood { intent, details } = ctx.output_of("understand_query")?;
    match intent.as_str() {
        "question" => answer(&ctx),
        "refund" => refund(&ctx),
        "complaint" => pass_on(&ctx, "a complaint", &details, "We are sorry. A manager will write to you today."),
        _ => pass_on(&ctx, "a request", &details, "Thank you. A colleague will write to you."),
    }
}

/// Answers from what the help pages say, and from nothing else.
fn answer(ctx: &Context) -> wflo::Result<Handled> {
    let question: String = ctx.input("message")?;
    let found = llm::answer(MODEL).question(question).from("help")?;
    if !found.answered {
        return pass_on(ctx, "an open question", &found.answer, "A colleague will look that up and write to you.");
    }
    let sources = found.citations.into_iter().map(|it| it.source).collect();
    Ok(Handled { response: found.answer, refund_amount: "0".into(), sources })
}

/// Pays an order back. Where that is much, the policy has a manager asked, and the step waits here.
fn refund(ctx: &Context) -> wflo::Result<Handled> {
    let order_id: String = ctx.input("order_id")?;
    let amounts: Vec<String> = db("shop").call("get_refund_amount", &json!({ "order_id": order_id }))?;
    let Some(refund_amount) = amounts.into_iter().next() else {
        return Ok(without_refund(format!("We have no order `{order_id}`. Which one is it about?")));
    };
    let params = json!({ "order_id": order_id, "refund_amount": refund_amount });
    match db("shop").call::<u64>("process_refund", &params) {
        Ok(changed) if changed == [1] => {
            let response = format!("Refund processed: you get {refund_amount} USD back.");
            Ok(Handled { response, refund_amount, sources: Vec::new() })
        }
        Ok(_) => Err(wflo::retryable("the order has changed meanwhile")),
        Err(Error::Rejected(_)) => Ok(without_refund("We cannot refund this order. A manager has looked at it.".into())),
        Err(Error::Constraint(_)) => Ok(without_refund("This order was refunded already.".into())),
        Err(error) => Err(error.into()),
    }
}

fn without_refund(response: String) -> Handled {
    Handled { response, refund_amount: "0".into(), sources: Vec::new() }
}

/// Has a person look at it.
fn pass_on(ctx: &Context, what: &str, details: &str, response: &str) -> wflo::Result<Handled> {
    let message: String = ctx.input("message")?;
    wflo::notify(MANAGERS, format!("{what} of a customer"), format!("{details}\n\n{message}"))?;
    Ok(without_refund(response.to_owned()))
}

#[wflo::data]
struct Feedback {
    feedback_requested: bool,
}

/// Ask for customer satisfaction
#[wflo::step]
fn collect_feedback(ctx: Context) -> wflo::Result<Feedback> {
    let Handled { response, .. } = ctx.output_of("handle_query")?;
    let customer: String = ctx.input("customer_email")?;
    let text = format!(
        "{response}\n\nPlease rate your support experience, from 1 to 5, and name this interaction: {}\n",
        ctx.run_id()
    );
    mail::to(customer).subject("How did we do?").text(text).send()?;
    Ok(Feedback { feedback_requested: true })
}

wflo::export!(understand_query, handle_query, collect_feedback);
