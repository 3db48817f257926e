//! One question to a model whose answer must keep to a schema, with one round of repair.

use serde_json::{Value, json};
use wflo_host_api::Stop;
use wflo_model::{Call, CallError, ModelName, PicoUsd};
use wflo_ports::{ChatRequest, Message, Role};

use super::Caller;

const REPAIR: &str = super::REPAIR;

/// A first request, and the schema its answer must satisfy.
pub(crate) struct Question {
    pub(super) request: ChatRequest,
    schema: Value,
    /// Says what is wrong with an answer that satisfies the schema.
    check: fn(&Value) -> Vec<String>,
}

impl Question {
    pub(super) fn new(model: ModelName, system: &str, user: String, schema: Value) -> Self {
        let system = Message { role: Role::System, content: format!("{}\n{schema}", system.trim_end()) };
        let messages = vec![system, Message { role: Role::User, content: user }];
        let request = ChatRequest {
            model,
            messages,
            schema: Some(schema.clone()),
            max_tokens: None,
            temperature: Some(0.0),
            seed: None,
        };
        Self { request, schema, check: |_| Vec::new() }
    }

    /// A request that was made elsewhere, and the schema in it.
    pub(super) fn of(request: ChatRequest) -> Self {
        let schema = request.schema.clone().unwrap_or(Value::Bool(true));
        Self { request, schema, check: |_| Vec::new() }
    }

    /// Holds the answer to more than its schema: `check` says what is wrong with it.
    pub(super) fn held_to(self, check: fn(&Value) -> Vec<String>) -> Self {
        Self { check, ..self }
    }

    /// Asks, checks, and asks once more with what is wrong. Gives the value that was answered.
    pub(super) async fn ask(
        self,
        caller: &mut dyn Caller,
        total: &mut Total,
    ) -> Result<Result<Value, CallError>, Stop> {
        Ok(self.ask_all(caller, total).await?.map(|(_, value)| value))
    }

    /// The same with the answer around the value.
    pub(super) async fn ask_all(
        mut self,
        caller: &mut dyn Caller,
        total: &mut Total,
    ) -> Result<Result<(Value, Value), CallError>, Stop> {
        let validator = match jsonschema::validator_for(&self.schema) {
            Ok(validator) => validator,
            Err(error) => {
                return Ok(Err(CallError::Invalid { message: format!("not a JSON Schema: {error}") }));
            }
        };
        let mut repaired = false;
        loop {
            let args = serde_json::to_value(&self.request).map_err(|error| Stop::Host(error.to_string()))?;
            let answer = match caller.make(Call::new("wflo:llm/chat", "complete", args)).await? {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(error)),
            };
            total.add(&answer)?;
            let text = answer["text"].as_str().unwrap_or_default();
            let wrong = match parse(text) {
                Ok(value) => {
                    let mut errors: Vec<String> =
                        validator.iter_errors(&value).take(8).map(|error| at(&error)).collect();
                    if errors.is_empty() {
                        errors = (self.check)(&value);
                    }
                    if errors.is_empty() {
                        return Ok(Ok((answer, value)));
                    }
                    errors.join("\n")
                }
                Err(error) => format!("it is not JSON: {error}"),
            };
            if repaired {
                return Ok(Err(CallError::BadOutput { message: wrong }));
            }
            repaired = true;
            self.request.messages.push(Message { role: Role::Assistant, content: text.to_owned() });
            self.request.messages.push(Message { role: Role::User, content: format!("{REPAIR}{wrong}") });
        }
    }
}

/// Reads the JSON of an answer; a Markdown fence around it is forgiven, since many models cannot help it.
fn parse(text: &str) -> Result<Value, serde_json::Error> {
    let text = text.trim();
    let inner = text
        .strip_prefix("```json")
        .or_else(|| text.strip_prefix("```"))
        .and_then(|rest| rest.strip_suffix("```"))
        .unwrap_or(text);
    serde_json::from_str(inner)
}

fn at(error: &jsonschema::ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    if path.is_empty() { error.to_string() } else { format!("at {path}: {error}") }
}

/// What the requests of a task used together.
#[derive(Default)]
pub(super) struct Total {
    input: u64,
    output: u64,
    cost: PicoUsd,
    estimated: bool,
}

impl Total {
    fn add(&mut self, answer: &Value) -> Result<(), Stop> {
        let cost = answer["cost_usd"].as_str().and_then(|text| text.parse::<PicoUsd>().ok());
        self.cost += cost.ok_or_else(|| Stop::Host("an answer without a cost was recorded".into()))?;
        self.input += answer["usage"]["input"].as_u64().unwrap_or_default();
        self.output += answer["usage"]["output"].as_u64().unwrap_or_default();
        self.estimated |= answer["estimated"].as_bool().unwrap_or_default();
        Ok(())
    }

    /// The answer of the task.
    pub(super) fn answer(&self, value: &Value) -> Value {
        self.within(json!({ "value": value }))
    }

    /// An answer, with these in the place of what its own request used.
    pub(super) fn within(&self, mut answer: Value) -> Value {
        answer["usage"] = json!({ "input": self.input, "output": self.output });
        answer["cost_usd"] = json!(self.cost);
        answer["estimated"] = json!(self.estimated);
        answer
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::parse;

    #[test]
    fn a_fence_around_json_is_forgiven() {
        assert_eq!(parse("```json\n{\"a\":1}\n```").unwrap(), json!({ "a": 1 }));
        assert_eq!(parse(" [1] ").unwrap(), json!([1]));
        assert!(parse("Sure! {}").is_err());
    }
}
