//! The Messages API of Anthropic, put into the words of the chat API and back.

use serde_json::{Value, json};

/// The tool whose input is the answer.
const TOOL: &str = "answer";

/// A request, as the chat API would have it. An answer with a schema is asked for as the input of a tool.
pub(crate) fn chat(body: &Value) -> Value {
    let system = body["system"].as_str().map(|text| json!({ "role": "system", "content": text }));
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let messages: Vec<Value> = system.into_iter().chain(messages).collect();
    let mut chat = json!({ "model": body["model"], "messages": messages, "max_tokens": body["max_tokens"] });
    if let Some(schema) = body.pointer("/tools/0/input_schema") {
        chat["response_format"] =
            json!({ "type": "json_schema", "json_schema": { "name": TOOL, "schema": schema } });
    }
    chat
}

/// An answer of the chat API, as the Messages API gives it: what is JSON where a tool must be used is its input, and
/// anything else is said.
pub(crate) fn message(request: &Value, answer: &Value) -> Value {
    let choice = &answer["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap_or_default();
    let input = serde_json::from_str::<Value>(text).ok().filter(|_| request["tools"].is_array());
    let cut = choice["finish_reason"] == "length";
    let (block, stop_reason) = match input {
        Some(input) => {
            (json!({ "type": "tool_use", "id": "toolu_1", "name": TOOL, "input": input }), "tool_use")
        }
        None => (json!({ "type": "text", "text": text }), if cut { "max_tokens" } else { "end_turn" }),
    };
    let mut message = json!({
        "id": answer["id"], "type": "message", "role": "assistant", "model": answer["model"],
        "content": [block], "stop_reason": stop_reason, "stop_sequence": null,
    });
    if let Some(usage) = answer.get("usage") {
        message["usage"] =
            json!({ "input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"] });
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_must_be_used_is_a_schema_and_its_input_the_answer() {
        let schema = json!({ "type": "object" });
        let request = json!({
            "model": "claude", "max_tokens": 9, "system": "Be brief.",
            "messages": [{ "role": "user", "content": "hello" }],
            "tools": [{ "name": TOOL, "input_schema": schema }],
        });
        let asked = chat(&request);
        assert_eq!(asked["messages"][0], json!({ "role": "system", "content": "Be brief." }));
        assert_eq!(asked["response_format"]["json_schema"]["schema"], schema);
        let answer = |text: &str| {
            json!({ "choices": [{ "message": { "content": text } }], "usage": {
            "prompt_tokens": 3, "completion_tokens": 2 } })
        };
        let used = message(&request, &answer("{\"a\":1}"));
        assert_eq!(
            (&used["content"][0]["input"], &used["stop_reason"]),
            (&json!({ "a": 1 }), &json!("tool_use"))
        );
        assert_eq!(used["usage"], json!({ "input_tokens": 3, "output_tokens": 2 }));
        let said = message(&request, &answer("No."));
        assert_eq!((&said["content"][0]["text"], &said["stop_reason"]), (&json!("No."), &json!("end_turn")));
    }
}
