//! Many inputs drawn together: condensed in groups until one request can hold what is left.

use serde::Deserialize;
use serde_json::{Value, json};
use wflo_host_api::Stop;
use wflo_model::{CallError, ModelName};

use super::batch::pieces;
use super::question::{Question, Total};
use super::{CONDENSE, Caller, SYNTHESIZE};

/// Most rounds of condensing. Each is to make much less of its inputs; a model that does not would be asked for ever.
const MOST_ROUNDS: u32 = 6;

#[derive(Deserialize)]
pub(crate) struct Synthesize {
    model: ModelName,
    data: Vec<Value>,
    prompt: String,
    schema: Value,
}

impl Synthesize {
    pub(super) async fn perform(
        self,
        caller: &mut dyn Caller,
        total: &mut Total,
    ) -> Result<Result<Value, CallError>, Stop> {
        let Self { model, data, prompt, schema } = self;
        let prompt = prompt.trim();
        let mut groups = pieces(data, usize::MAX);
        let mut rounds = 0;
        while groups.len() > 1 {
            if rounds == MOST_ROUNDS {
                let message = "what it condenses does not become shorter".to_owned();
                return Ok(Err(CallError::BadOutput { message }));
            }
            rounds += 1;
            let mut notes = Vec::with_capacity(groups.len());
            for group in groups {
                let user = format!("Instruction:\n{prompt}\n\nInputs:\n{}", Value::Array(group));
                match Question::new(model.clone(), CONDENSE, user, notes_schema()).ask(caller, total).await? {
                    Ok(note) => notes.push(note),
                    Err(error) => return Ok(Err(error)),
                }
            }
            groups = pieces(notes, usize::MAX);
        }
        let inputs = Value::Array(groups.pop().unwrap_or_default());
        let user = format!("{prompt}\n\nInputs:\n{inputs}");
        Question::new(model, SYNTHESIZE, user, schema).ask(caller, total).await
    }
}

fn notes_schema() -> Value {
    json!({
        "type": "object",
        "properties": { "notes": { "type": "string" } },
        "required": ["notes"],
        "additionalProperties": false,
    })
}
