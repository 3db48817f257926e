//! The bodies of requests and answers, as <https://docs.anthropic.com/en/api/messages> has them.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wflo_ports::{ChatRequest, Completion, Role, TokenUsage};

/// The API wants a limit; where nobody set one, this is it.
const MAX_TOKENS: u32 = 4096;
/// The tool whose input is the answer.
const TOOL: &str = "answer";
/// The property of the tool's input that is the answer, where the answer is no object itself.
const WRAPPED: &str = "answer";

/// Writes a request in the provider's words.
pub(super) fn request(request: &ChatRequest) -> Value {
    let (system, messages): (Vec<_>, Vec<_>) =
        request.messages.iter().partition(|message| message.role == Role::System);
    let system = system.iter().map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n\n");
    let said = |role: Role, content: &str| {
        let role = if role == Role::Assistant { "assistant" } else { "user" };
        json!({ "role": role, "content": content })
    };
    let mut body = Map::new();
    body.insert("model".into(), request.model.as_str().into());
    body.insert("max_tokens".into(), request.max_tokens.unwrap_or(MAX_TOKENS).into());
    if messages.is_empty() {
        // Somebody has to speak.
        body.insert("messages".into(), json!([said(Role::User, &system)]));
    } else {
        if !system.is_empty() {
            body.insert("system".into(), system.into());
        }
        let messages: Vec<_> = messages.iter().map(|it| said(it.role, &it.content)).collect();
        body.insert("messages".into(), messages.into());
    }
    if let Some(temperature) = request.temperature {
        body.insert("temperature".into(), temperature.into());
    }
    if let Some(schema) = &request.schema {
        let description = "Gives the answer. Always use it.";
        let tool = json!({ "name": TOOL, "description": description, "input_schema": input_schema(schema) });
        body.insert("tools".into(), json!([tool]));
        body.insert("tool_choice".into(), json!({ "type": "tool", "name": TOOL }));
    }
    Value::Object(body)
}

/// The schema of an answer as that of the tool's input, which is an object whatever the answer is.
fn input_schema(schema: &Value) -> Value {
    if is_object(schema) {
        return schema.clone();
    }
    let mut schema = schema.clone();
    let mut outer = Map::new();
    // What the schema refers to by `#/$defs/...` stays at the top.
    if let Value::Object(inner) = &mut schema {
        for key in ["$defs", "definitions"] {
            outer.extend(inner.remove(key).map(|defs| (key.to_owned(), defs)));
        }
    }
    outer.insert("type".into(), "object".into());
    outer.insert("properties".into(), json!({ WRAPPED: schema }));
    outer.insert("required".into(), json!([WRAPPED]));
    Value::Object(outer)
}

fn is_object(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("object")
}

/// An answer. What servers leave out is optional.
#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    model: Option<String>,
    content: Vec<Block>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    ToolUse {
        name: String,
        input: Value,
    },
    /// Thinking, and what is yet to come.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
}

/// Reads an answer to `request`.
///
/// # Errors
/// In words: what is wrong with it.
pub(super) fn completion(body: &[u8], request: &ChatRequest) -> Result<Completion, String> {
    let response: Response = serde_json::from_slice(body)
        // The error's own text may repeat the answer.
        .map_err(|error| format!("its answer is no message (line {})", error.line()))?;
    let (mut text, mut input) = (String::new(), None);
    for block in response.content {
        match block {
            Block::Text { text: more } => text.push_str(&more),
            Block::ToolUse { name, input: given } if name == TOOL => input = Some(given),
            Block::ToolUse { .. } | Block::Other => {}
        }
    }
    if let (Some(schema), Some(mut input)) = (&request.schema, input) {
        if !is_object(schema) {
            input = input.get_mut(WRAPPED).map(Value::take).unwrap_or(input);
        }
        text = input.to_string();
    }
    let usage = response.usage.and_then(|usage| {
        let cached = [usage.cache_creation_input_tokens, usage.cache_read_input_tokens];
        // All of it at the full price: what a cache saves is not known here.
        let input = usage.input_tokens? + cached.into_iter().flatten().sum::<u64>();
        Some(TokenUsage { input, output: usage.output_tokens? })
    });
    let finish_reason = match response.stop_reason.as_deref() {
        Some("max_tokens") => "length",
        Some("end_turn" | "stop_sequence" | "tool_use") | None => "stop",
        Some(other) => other,
    };
    Ok(Completion {
        text,
        model: response.model.unwrap_or_else(|| request.model.to_string()),
        finish_reason: finish_reason.to_owned(),
        usage,
    })
}
