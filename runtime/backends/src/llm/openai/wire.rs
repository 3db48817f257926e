//! The bodies of requests and answers, as <https://platform.openai.com/docs/api-reference/chat> has them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_ports::{ChatRequest, Completion, Message, TokenUsage};

use super::strict::is_strict;

/// Writes a request in the provider's words.
pub(super) fn request(request: &ChatRequest) -> Value {
    serde_json::to_value(Request::new(request)).expect("a request has text keys")
}

/// A request.
#[derive(Debug, Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
}

#[derive(Debug, Serialize)]
struct ResponseFormat<'a> {
    r#type: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Debug, Serialize)]
struct JsonSchema<'a> {
    name: &'static str,
    strict: bool,
    schema: &'a Value,
}

impl<'a> Request<'a> {
    fn new(request: &'a ChatRequest) -> Self {
        Self {
            model: request.model.as_str(),
            messages: &request.messages,
            max_tokens: request.max_tokens,
            temperature: request.temperature,
            seed: request.seed,
            response_format: request.schema.as_ref().map(|schema| ResponseFormat {
                r#type: "json_schema",
                json_schema: JsonSchema { name: "answer", strict: is_strict(schema), schema },
            }),
        }
    }
}

/// An answer. What servers leave out is optional.
#[derive(Debug, Deserialize)]
struct Response {
    #[serde(default)]
    model: Option<String>,
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    message: Answer,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// Reads an answer.
///
/// # Errors
/// In words: what is wrong with it.
pub(super) fn completion(body: &[u8], asked: &str) -> Result<Completion, String> {
    let response: Response = serde_json::from_slice(body)
        // The error's own text may repeat the answer.
        .map_err(|error| format!("its answer is no chat completion (line {})", error.line()))?;
    let choice = response.choices.into_iter().next().ok_or("its answer has no choices")?;
    let (text, finish_reason) = match (choice.message.content, choice.message.refusal) {
        (Some(text), _) => (text, choice.finish_reason),
        (None, Some(refusal)) => (refusal, Some("refusal".to_owned())),
        (None, None) => (String::new(), choice.finish_reason),
    };
    let usage = response
        .usage
        .and_then(|usage| Some(TokenUsage { input: usage.prompt_tokens?, output: usage.completion_tokens? }));
    Ok(Completion {
        text,
        model: response.model.unwrap_or_else(|| asked.to_owned()),
        finish_reason: finish_reason.unwrap_or_else(|| "stop".to_owned()),
        usage,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::completion;

    #[test]
    fn lean_answers_are_read() {
        let read = |body: serde_json::Value| completion(body.to_string().as_bytes(), "asked");
        let lean = read(json!({"choices": [{"message": {"content": "hi"}}]})).unwrap();
        assert_eq!(
            (lean.text.as_str(), lean.model.as_str(), lean.finish_reason.as_str()),
            ("hi", "asked", "stop")
        );
        assert_eq!(lean.usage, None);
        let refused = read(
            json!({"choices": [{"message": {"content": null, "refusal": "no"}, "finish_reason": "stop"}]}),
        );
        let refused = refused.unwrap();
        assert_eq!((refused.text.as_str(), refused.finish_reason.as_str()), ("no", "refusal"));
        let half = read(json!({"choices": [{"message": {}}], "usage": {"prompt_tokens": 1}})).unwrap();
        assert_eq!((half.text.as_str(), half.usage), ("", None));
        assert!(read(json!({"choices": []})).is_err());
        assert!(read(json!({"error": "secret words"})).unwrap_err().starts_with("its answer is no chat"));
    }
}
