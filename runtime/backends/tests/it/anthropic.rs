//! The client of the Messages API against a server on loopback.

use serde_json::{Value, json};
use wflo_backends::llm::{Anthropic, ServerConfig};
use wflo_model::Digest;
use wflo_ports::{ChatModel, ChatRequest, Completion, IdempotencyKey, Message, ModelError, Role, TokenUsage};

use crate::server::{Reply, Server};

fn says(role: Role, content: &str) -> Message {
    Message { role, content: content.into() }
}

fn request() -> ChatRequest {
    ChatRequest {
        model: "claude".parse().unwrap(),
        messages: vec![says(Role::System, "be brief"), says(Role::User, "2 + 2?")],
        schema: None,
        max_tokens: Some(64),
        temperature: None,
        seed: None,
    }
}

/// An answer as the documentation shows one.
fn answer(content: Value, stop_reason: &str) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-4", "content": content,
        "stop_reason": stop_reason, "stop_sequence": null,
        "usage": {"input_tokens": 12, "output_tokens": 6, "cache_read_input_tokens": 8},
    })
}

async fn ask(request: ChatRequest, replies: Vec<Reply>) -> (Result<Completion, ModelError>, Server) {
    let server = Server::start(replies).await;
    let config =
        ServerConfig::new(&server.base_url, vec!["claude".parse().unwrap()]).with_api_key("sk-ant-secret");
    let model = Anthropic::new(config).unwrap();
    let key = IdempotencyKey(Digest::of(b"call"));
    (model.complete(&request, &key).await, server)
}

#[tokio::test]
async fn a_request_has_the_documented_shape() {
    let text = json!([{"type": "thinking", "thinking": "..."}, {"type": "text", "text": "4"}]);
    let (answered, server) = ask(request(), vec![Reply::Json(200, &[], answer(text, "end_turn"))]).await;
    let expect = Completion {
        text: "4".into(),
        model: "claude-4".into(),
        finish_reason: "stop".into(),
        usage: Some(TokenUsage { input: 20, output: 6 }),
    };
    assert_eq!(answered, Ok(expect));
    let [asked] = &server.asked()[..] else { panic!("one request") };
    assert!(asked.head.starts_with("POST /v1/messages HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(asked.header("x-api-key"), Some("sk-ant-secret"));
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(asked.header("anthropic-version"), Some("2023-06-01"));
    let messages = json!([{"role": "user", "content": "2 + 2?"}]);
    let expect = json!({"model": "claude", "max_tokens": 64, "system": "be brief", "messages": messages});
    assert_eq!(asked.body, expect);
}

#[tokio::test]
async fn an_answer_with_a_schema_is_the_input_of_a_tool_that_must_be_used() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let used = json!([
        {"type": "text", "text": "Let me say."},
        {"type": "tool_use", "id": "toolu_1", "name": "answer", "input": {"n": 4}},
    ]);
    let asks = ChatRequest { schema: Some(schema.clone()), temperature: Some(0.5), ..request() };
    let (answered, server) = ask(asks, vec![Reply::Json(200, &[], answer(used, "tool_use"))]).await;
    let answered = answered.unwrap();
    assert_eq!((answered.text.as_str(), answered.finish_reason.as_str()), (r#"{"n":4}"#, "stop"));
    let [asked] = &server.asked()[..] else { panic!("one request") };
    assert_eq!(asked.body["tools"][0]["input_schema"], schema);
    assert_eq!(asked.body["tool_choice"], json!({"type": "tool", "name": "answer"}));
    assert_eq!(asked.body["temperature"], json!(0.5));
}

#[tokio::test]
async fn an_answer_that_is_no_object_is_wrapped_in_one() {
    let schema = json!({
        "type": "array", "items": {"$ref": "#/$defs/word"}, "$defs": {"word": {"type": "string"}},
    });
    let used = json!([{"type": "tool_use", "id": "t", "name": "answer", "input": {"answer": ["a", "b"]}}]);
    let asks = ChatRequest { schema: Some(schema), ..request() };
    let (answered, server) = ask(asks, vec![Reply::Json(200, &[], answer(used, "tool_use"))]).await;
    assert_eq!(answered.unwrap().text, r#"["a","b"]"#);
    let [asked] = &server.asked()[..] else { panic!("one request") };
    let expect = json!({
        "$defs": {"word": {"type": "string"}},
        "type": "object",
        "properties": {"answer": {"type": "array", "items": {"$ref": "#/$defs/word"}}},
        "required": ["answer"],
    });
    assert_eq!(asked.body["tools"][0]["input_schema"], expect);
}

#[tokio::test]
async fn an_overloaded_provider_is_asked_again_and_a_cut_answer_says_so() {
    let busy = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let text = json!([{"type": "text", "text": "four and"}]);
    let replies = vec![
        Reply::Json(529, &[("Retry-After", "0")], busy),
        Reply::Json(200, &[], answer(text, "max_tokens")),
    ];
    let (answered, server) = ask(request(), replies).await;
    assert_eq!(answered.unwrap().finish_reason, "length");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_refusal_says_why_and_never_shows_the_key() {
    let error = json!({
        "type": "error",
        "error": {"type": "authentication_error", "message": "invalid x-api-key sk-ant-secret"},
    });
    let (answered, _) = ask(request(), vec![Reply::Json(401, &[], error)]).await;
    let Err(ModelError::NotSent { message }) = answered else { panic!("{answered:?}") };
    assert!(message.contains("invalid x-api-key (key)"), "{message}");
}
