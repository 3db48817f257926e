//! One question to a model, by any of the verbs.

use wflo::llm::{Answer, Completion, Error};
use wflo::prelude::*;

const MODEL: &str = "gemma-3-270m";

/// Ask, and say what came of it
#[wflo::step]
fn ask(ctx: Context) -> wflo::Result<Value> {
    let (verb, text): (String, String) = (ctx.input("verb")?, ctx.input("text")?);
    let schema: Value = ctx.input("schema")?;
    let chat = || llm::chat(MODEL).user(&text).temperature(0.0).seed(7);
    let came_to = match verb.as_str() {
        "complete" => chat().max_tokens(ctx.input("max_tokens")?).send().map(completed),
        "open-end" => chat().send().map(completed),
        "json" => chat().schema(schema).send().map(completed),
        "analyze" => llm::analyze(MODEL).data(&[&text]).prompt("Which word matters?").schema(schema).answer().map(answered::<Value>),
        "classify" => llm::classify(MODEL).text(&text).one_of(["refund", "question"]).map(|it| json!({ "value": it })),
        "answer" => llm::answer(MODEL).question(&text).from("help").map(|it| json!({ "value": it })),
        "transform" => {
            let words = llm::transform(MODEL).rows(&[&text, "second"]).instructions("One word of each.").schema(schema);
            words.answer().map(answered::<Vec<Value>>)
        }
        "validate" => llm::validate(MODEL).data(&[&text]).rules(["It is polite"]).map(|it| json!({ "value": it })),
        "generate-code" => {
            llm::generate_code(MODEL).language("Python").requirements(&text).map(|it| json!({ "value": it }))
        }
        "moderate" => llm::moderate(MODEL).content(&text).policies(["No spam"]).map(|it| json!({ "value": it })),
        "synthesize" => {
            llm::synthesize(MODEL).data(&[&text, "second"]).prompt("What is it?").schema(schema).answer().map(answered::<Value>)
        }
        other => wflo::bail!("there is no `{other}`"),
    };
    Ok(came_to.unwrap_or_else(failed))
}

fn completed(it: Completion) -> Value {
    json!({ "value": it.text, "finish_reason": it.finish_reason, "usage": usage(&it.usage) })
}

fn answered<T: wflo::Serialize>(it: Answer<T>) -> Value {
    json!({ "value": it.value, "usage": usage(&it.usage) })
}

fn usage(it: &llm::Usage) -> Value {
    json!({ "input": it.input_tokens, "output": it.output_tokens, "cost_usd": it.cost_usd, "estimated": it.estimated })
}

/// The kind of an error, as the SDK names it, and its words.
fn failed(error: Error) -> Value {
    let kind = format!("{error:?}");
    json!({ "error": kind.split('(').next(), "message": error.to_string() })
}

wflo::export!(ask);
