//! The client of the chat completions API against a server on loopback.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wflo_backends::llm::{OpenAi, ServerConfig};
use wflo_model::Digest;
use wflo_ports::{ChatModel, ChatRequest, Completion, IdempotencyKey, Message, ModelError, Role, TokenUsage};

use crate::server::{Reply, Server};

const NOW: &[(&str, &str)] = &[("Retry-After", "0")];

fn request() -> ChatRequest {
    ChatRequest {
        model: "gpt-4".parse().unwrap(),
        messages: vec![
            Message { role: Role::System, content: "be brief".into() },
            Message { role: Role::User, content: "2 + 2?".into() },
        ],
        schema: None,
        max_tokens: Some(64),
        temperature: None,
        seed: None,
    }
}

fn answer() -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4-0613",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 1, "total_tokens": 20},
    })
}

fn error(message: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": "x", "param": null, "code": code}})
}

fn config(server: &Server) -> ServerConfig {
    ServerConfig::new(&server.base_url, vec!["gpt-4".parse().unwrap()]).with_api_key("sk-secret")
}

fn key() -> IdempotencyKey {
    IdempotencyKey(Digest::of(b"call"))
}

async fn ask(replies: Vec<Reply>) -> (Result<Completion, ModelError>, Server) {
    let server = Server::start(replies).await;
    let model = OpenAi::new(config(&server)).unwrap();
    (model.complete(&request(), &key()).await, server)
}

#[tokio::test]
async fn a_request_has_the_documented_shape() {
    let (answered, server) = ask(vec![Reply::Json(200, &[], answer())]).await;
    let expect = Completion {
        text: "4".into(),
        model: "gpt-4-0613".into(),
        finish_reason: "stop".into(),
        usage: Some(TokenUsage { input: 19, output: 1 }),
    };
    assert_eq!(answered, Ok(expect));
    let [asked] = &server.asked()[..] else { panic!("one request") };
    assert!(asked.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(asked.header("authorization"), Some("Bearer sk-secret"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("idempotency-key"), Some(Digest::of(b"call").hex().as_str()));
    let messages = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "2 + 2?"}]);
    assert_eq!(asked.body, json!({"model": "gpt-4", "messages": messages, "max_tokens": 64}));
}

#[tokio::test]
async fn a_schema_and_sampling_are_passed_on() {
    let schema = json!({
        "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false,
    });
    let server = Server::start(vec![Reply::Json(200, &[], answer())]).await;
    // Without a key there is no header.
    let config = ServerConfig::new(&server.base_url, vec!["gpt-4".parse().unwrap()]);
    let request =
        ChatRequest { schema: Some(schema.clone()), temperature: Some(0.5), seed: Some(7), ..request() };
    OpenAi::new(config).unwrap().complete(&request, &key()).await.unwrap();
    let [asked] = &server.asked()[..] else { panic!("one request") };
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(asked.body["temperature"], json!(0.5));
    assert_eq!(asked.body["seed"], json!(7));
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}});
    assert_eq!(asked.body["response_format"], format);
}

#[tokio::test]
async fn a_busy_provider_is_asked_again_with_the_same_key() {
    let (answered, server) = ask(vec![
        Reply::Json(429, NOW, error("slow down", "rate_limit_exceeded")),
        Reply::Json(500, NOW, error("oops", "")),
        Reply::Json(503, NOW, json!("overloaded")),
        Reply::Json(200, &[], answer()),
    ])
    .await;
    assert_eq!(answered.unwrap().text, "4");
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked.windows(2).all(|two| {
        two[0].body == two[1].body && two[0].header("idempotency-key") == two[1].header("idempotency-key")
    }));
}

#[tokio::test]
async fn retries_end() {
    let busy = || Reply::Json(429, NOW, error("slow down", "rate_limit_exceeded"));
    let (answered, server) = ask(vec![busy(), busy(), busy(), busy(), busy()]).await;
    assert_eq!(answered, Err(ModelError::RateLimited { retry_after: Some(Duration::ZERO) }));
    assert_eq!(server.asked().len(), 4);
    let fail = || Reply::Json(500, NOW, error("oops", ""));
    let (answered, server) = ask(vec![fail(), fail(), fail(), fail(), fail()]).await;
    assert_eq!(answered, Err(ModelError::Upstream { message: "the provider failed (500): oops".into() }));
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn what_was_never_taken_is_not_sent_unless_an_earlier_try_was() {
    let loading = || Reply::Json(503, NOW, error("Loading model", ""));
    let message = "the provider takes no requests now (503): Loading model".to_owned();
    let (answered, server) = ask(vec![loading(), loading(), loading(), loading()]).await;
    assert_eq!(answered, Err(ModelError::NotSent { message: message.clone() }));
    assert_eq!(server.asked().len(), 4);
    // The first may have been worked on, and be charged.
    let oops = Reply::Json(500, NOW, error("oops", ""));
    let (answered, _) = ask(vec![oops, loading(), loading(), loading()]).await;
    assert_eq!(answered, Err(ModelError::Upstream { message }));
}

#[tokio::test]
async fn a_wait_longer_than_the_cap_is_the_callers() {
    let started = Instant::now();
    let (answered, server) = ask(vec![Reply::Json(429, &[("Retry-After", "3600")], json!({}))]).await;
    assert_eq!(answered, Err(ModelError::RateLimited { retry_after: Some(Duration::from_secs(3600)) }));
    assert_eq!(server.asked().len(), 1);
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn what_will_not_pass_is_asked_once() {
    for (status, body, expect) in [
        (401, error("Incorrect API key provided: sk-secret", "invalid_api_key"), "provided: (key)"),
        (429, error("you are out of credits", "insufficient_quota"), "out of credits"),
        (400, error("bad temperature", "invalid_value"), "bad temperature"),
        (302, json!({}), "not followed"),
    ] {
        let (answered, server) = ask(vec![Reply::Json(status, &[("Location", "/other")], body)]).await;
        match answered {
            Err(ModelError::NotSent { message }) => {
                assert!(message.contains(expect) && !message.contains("sk-secret"), "{message}");
            }
            other => panic!("{status}: {other:?}"),
        }
        assert_eq!(server.asked().len(), 1, "{status}");
    }
    let body = error("This model's maximum context length is 8192 tokens.", "context_length_exceeded");
    let (answered, _) = ask(vec![Reply::Json(400, &[], body)]).await;
    assert!(matches!(answered, Err(ModelError::ContextTooLong { .. })), "{answered:?}");
}

#[tokio::test]
async fn what_may_have_been_done_is_not_asked_again() {
    for (reply, expect) in [
        (Reply::Hang, "the connection broke after the request was sent"),
        (Reply::Cut, "the connection broke after the request was sent"),
        (Reply::Text(200, "surely not JSON".into()), "its answer is no chat completion (line 1)"),
        (Reply::Json(200, &[], json!({"choices": []})), "its answer has no choices"),
        (Reply::Text(200, " ".repeat((16 << 20) + 1)), "longer than 16 MiB"),
    ] {
        let (answered, server) = ask(vec![reply]).await;
        match answered {
            Err(ModelError::Upstream { message }) => assert!(message.contains(expect), "{message}"),
            other => panic!("{expect}: {other:?}"),
        }
        assert_eq!(server.asked().len(), 1, "{expect}");
    }
}

#[tokio::test]
async fn a_slow_provider_times_out() {
    let server = Server::start(vec![Reply::Wait]).await;
    let config = ServerConfig { timeout: Duration::from_millis(50), ..config(&server) };
    match OpenAi::new(config).unwrap().complete(&request(), &key()).await {
        Err(ModelError::Upstream { message }) => assert!(message.contains("within 50ms"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_gets_nothing() {
    // A port that was free a moment ago.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let base_url = format!("http://{free}/v1?key=sk-in-query");
    let mut config = ServerConfig::new(base_url, vec!["gpt-4".parse().unwrap()]);
    config.max_retries = 0;
    match OpenAi::new(config).unwrap().complete(&request(), &key()).await {
        Err(ModelError::NotSent { message }) => {
            assert!(message.starts_with(&format!("cannot connect to http://{free}/v1/chat/completions: ")));
            assert!(!message.contains("sk-in-query"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_missing_usage_is_none() {
    let mut body = answer();
    body.as_object_mut().unwrap().remove("usage");
    let (answered, _) = ask(vec![Reply::Json(200, &[], body)]).await;
    assert_eq!(answered.unwrap().usage, None);
}

#[tokio::test]
async fn newer_models_get_the_limit_under_its_newer_name() {
    let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                   'max_completion_tokens' instead.";
    let (answered, server) = ask(vec![
        Reply::Json(400, &[], error(message, "unsupported_parameter")),
        Reply::Json(200, &[], answer()),
    ])
    .await;
    assert_eq!(answered.unwrap().text, "4");
    let second = &server.asked()[1].body;
    assert_eq!((&second["max_completion_tokens"], second.get("max_tokens")), (&json!(64), None));
}

#[tokio::test]
async fn another_model_is_not_asked_for() {
    let server = Server::start(vec![]).await;
    let other = ChatRequest { model: "gpt-5".parse().unwrap(), ..request() };
    let answered = OpenAi::new(config(&server)).unwrap().complete(&other, &key()).await;
    assert!(matches!(answered, Err(ModelError::NotSent { .. })), "{answered:?}");
    assert!(server.asked().is_empty());
}

#[test]
fn the_key_is_never_shown() {
    let config = ServerConfig::new("https://api.example/v1", vec![]).with_api_key("sk-secret");
    let model = OpenAi::new(config.clone());
    assert!(!format!("{config:?} {model:?}").contains("sk-secret"));
}
