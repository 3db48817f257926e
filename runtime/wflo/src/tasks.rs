//! The verbs of `wflo:llm/tasks`: code of the host above the gate.
//!
//! Each request to a provider is a call of its own through [`Caller::make`], with its own hold, intent,
//! result and call key; what is here only builds requests and checks answers, the same way each time, so that
//! replay needs nothing but the recorded calls.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use wflo_host_api::Stop;
use wflo_model::{Call, CallError, CallResult, Digest, ModelName, PicoUsd};
use wflo_ports::{ChatRequest, Message, Role};

/// Whoever makes the calls that a task is made of: the gate, or a replay.
#[async_trait]
pub(crate) trait Caller: Send {
    /// Makes one call.
    async fn make(&mut self, call: Call) -> Result<CallResult, Stop>;
}

const ANALYZE: &str = include_str!("prompts/analyze.v1.md");
const CLASSIFY: &str = include_str!("prompts/classify.v1.md");
const REPAIR: &str = include_str!("prompts/repair.v1.md");

/// The prompts of this version by task, as a plan pins them.
///
/// ```
/// assert!(wflo::prompt_versions().contains_key("analyze.v1"));
/// ```
#[must_use]
pub fn prompt_versions() -> BTreeMap<String, Digest> {
    [("analyze.v1", ANALYZE), ("classify.v1", CLASSIFY), ("repair.v1", REPAIR)]
        .map(|(name, text)| (name.to_owned(), Digest::of(text.as_bytes())))
        .into()
}

/// A task, as a first request and the schema its answer must satisfy.
pub(crate) struct Task {
    request: ChatRequest,
    schema: Value,
}

#[derive(Deserialize)]
struct Analyze {
    model: ModelName,
    data: Value,
    prompt: String,
    schema: Value,
}

#[derive(Deserialize)]
struct Classify {
    model: ModelName,
    text: String,
    categories: Vec<String>,
}

impl Task {
    /// Reads a call of a task; none for a call of anything else.
    pub(crate) fn of(call: &Call) -> Option<Result<Self, CallError>> {
        if call.interface != "wflo:llm/tasks" {
            return None;
        }
        let invalid = |error: String| CallError::Invalid { message: format!("`{call}`: {error}") };
        let task = match call.function.as_str() {
            "analyze" => {
                Analyze::deserialize(&call.args).map_err(|error| invalid(error.to_string())).map(|task| {
                    let user = format!("{}\n\nData:\n{}", task.prompt.trim(), task.data);
                    Self::new(task.model, ANALYZE, user, task.schema)
                })
            }
            "classify" => Classify::deserialize(&call.args)
                .map_err(|error| invalid(error.to_string()))
                .and_then(|task| {
                    if task.categories.is_empty() {
                        return Err(invalid("at least one category is needed".to_owned()));
                    }
                    let schema = json!({
                        "type": "object",
                        "properties": {
                            "category": { "type": "string", "enum": task.categories },
                            "confidence": { "type": "number", "minimum": 0, "maximum": 1 },
                            "details": { "type": "string" },
                        },
                        "required": ["category", "confidence", "details"],
                        "additionalProperties": false,
                    });
                    Ok(Self::new(task.model, CLASSIFY, format!("Text:\n{}", task.text), schema))
                }),
            other => Err(CallError::AccessDenied { message: format!("there is no task `{other}`") }),
        };
        Some(task)
    }

    fn new(model: ModelName, system: &str, user: String, schema: Value) -> Self {
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
        Self { request, schema }
    }

    /// Asks, checks, and asks once more with what is wrong.
    pub(crate) async fn perform(mut self, caller: &mut dyn Caller) -> Result<CallResult, Stop> {
        let validator = match jsonschema::validator_for(&self.schema) {
            Ok(validator) => validator,
            Err(error) => {
                return Ok(Err(CallError::Invalid { message: format!("not a JSON Schema: {error}") }));
            }
        };
        let mut total = Total::default();
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
                    let errors: Vec<String> =
                        validator.iter_errors(&value).take(8).map(|error| at(&error)).collect();
                    if errors.is_empty() {
                        return Ok(Ok(total.answer(value)));
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
struct Total {
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

    fn answer(&self, value: Value) -> Value {
        json!({
            "value": value,
            "usage": { "input": self.input, "output": self.output },
            "cost_usd": self.cost,
            "estimated": self.estimated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Task, parse};
    use serde_json::json;
    use wflo_model::{Call, CallError};

    #[test]
    fn a_task_becomes_a_request_with_its_schema() {
        let args =
            json!({ "model": "gpt-4", "data": [1], "prompt": " find \n", "schema": { "type": "object" } });
        let task = Task::of(&Call::new("wflo:llm/tasks", "analyze", args)).unwrap().unwrap();
        assert_eq!(task.request.messages[1].content, "find\n\nData:\n[1]");
        assert!(task.request.messages[0].content.ends_with("\n{\"type\":\"object\"}"));
        assert_eq!(task.request.schema, Some(json!({ "type": "object" })));
    }

    #[test]
    fn what_is_no_task_is_refused() {
        let of = |function: &str, args| Task::of(&Call::new("wflo:llm/tasks", function, args)).unwrap().err();
        assert!(matches!(of("dream", json!({})), Some(CallError::AccessDenied { .. })));
        assert!(matches!(of("analyze", json!({})), Some(CallError::Invalid { .. })));
        let none = json!({ "model": "gpt-4", "text": "x", "categories": [] });
        assert!(matches!(of("classify", none), Some(CallError::Invalid { .. })));
        assert!(Task::of(&Call::new("wflo:db/sql", "query", json!({}))).is_none());
    }

    #[test]
    fn a_fence_around_json_is_forgiven() {
        assert_eq!(parse("```json\n{\"a\":1}\n```").unwrap(), json!({ "a": 1 }));
        assert_eq!(parse(" [1] ").unwrap(), json!([1]));
        assert!(parse("Sure! {}").is_err());
    }
}
