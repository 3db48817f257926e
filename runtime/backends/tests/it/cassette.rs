//! Tapes: played, recorded, cut off.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;
use wflo_backends::llm::{Cassette, CassetteError, OpenAi, ServerConfig};
use wflo_model::{Digest, ModelName};
use wflo_ports::{ChatModel, ChatRequest, Completion, IdempotencyKey, Message, ModelError, Role};

use crate::server::{Reply, Server};

fn request(text: &str) -> ChatRequest {
    ChatRequest {
        model: "gpt-4".parse().unwrap(),
        messages: vec![Message { role: Role::User, content: text.into() }],
        schema: None,
        max_tokens: None,
        temperature: None,
        seed: None,
    }
}

fn line(question: &str, answer: &str) -> String {
    let completion = json!({"text": answer, "model": "gpt-4", "finish_reason": "stop", "usage": null});
    format!("{}\n", json!({"request": request(question), "completion": completion}))
}

fn models() -> Vec<ModelName> {
    vec!["gpt-4".parse().unwrap()]
}

fn tape(content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.jsonl");
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

async fn ask(model: &Cassette, request: &ChatRequest) -> Result<Completion, ModelError> {
    model.complete(request, &IdempotencyKey(Digest::ZERO)).await
}

fn reply(text: &str) -> Reply {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 1});
    Reply::Json(200, &[], json!({"choices": [{"message": {"content": text}}], "usage": usage}))
}

fn provider(server: &Server) -> Arc<dyn ChatModel> {
    let mut config = ServerConfig::new(&server.base_url, models()).with_api_key("sk-secret");
    config.max_retries = 0;
    Arc::new(OpenAi::new(config).unwrap())
}

#[tokio::test]
async fn equal_requests_get_the_first_answer() {
    let (_folder, path) = tape(&format!("{}\n{}{}", line("a", "1"), line("b", "2"), line("a", "3")));
    let model = Cassette::open(&path, models()).unwrap();
    assert_eq!(model.models(), models());
    for _ in 0..3 {
        assert_eq!(ask(&model, &request("a")).await.unwrap().text, "1");
        assert_eq!(ask(&model, &request("b")).await.unwrap().text, "2");
    }
    // What the budget leaves does not matter; all else does.
    let capped = ChatRequest { max_tokens: Some(7), ..request("a") };
    assert_eq!(ask(&model, &capped).await.unwrap().text, "1");
    for other in [
        ChatRequest { seed: Some(1), ..request("a") },
        ChatRequest { temperature: Some(0.0), ..request("a") },
        ChatRequest { schema: Some(json!({})), ..request("a") },
        ChatRequest { model: "gpt-5".parse().unwrap(), ..request("a") },
        request("a "),
    ] {
        assert!(matches!(ask(&model, &other).await, Err(ModelError::NotOnTape { .. })), "{other:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_on_the_tape_is_explained() {
    let first = line("Analyze these 20 transactions of March", "x");
    let (_folder, path) = tape(&format!("{first}{}", line("Say hello", "y")));
    let model = Cassette::open(&path, models()).unwrap();
    let hint = async |request| match ask(&model, &request).await {
        Err(ModelError::NotOnTape { message }) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        hint(request("Analyze these 20 transactions of April")).await,
        "the cassette has no answer of `gpt-4` to `Analyze these 20 transactions of April`; nearest is line 1, \
         where message 1 has `...transactions of March` instead of `...transactions of April`; `mode = \"record\"` \
         asks the model and records its answer"
    );
    assert!(
        hint(ChatRequest { seed: Some(1), ..request("Say hello") })
            .await
            .contains("line 2, where the seed differs")
    );
    let other = ChatRequest { model: "gpt-5".parse().unwrap(), ..request("Say hello") };
    assert!(hint(other).await.contains("line 2, where the model is `gpt-4`"));
    let (_folder, path) = tape("");
    let empty = Cassette::open(&path, models()).unwrap();
    let error = ask(&empty, &request("x")).await.unwrap_err();
    assert!(error.to_string().contains("nothing is recorded"), "{error}");
}

#[tokio::test]
async fn a_bad_tape_names_its_line() {
    let (_folder, path) = tape(&format!("{}{{\"request\": 1}}\n", line("a", "1")));
    assert!(matches!(Cassette::open(&path, models()), Err(CassetteError::Line { line: 2, .. })));
    let missing = path.with_file_name("other.jsonl");
    let error = Cassette::open(&missing, models()).unwrap_err();
    assert!(matches!(error, CassetteError::Missing { .. }) && !missing.exists());
}

#[tokio::test]
async fn what_is_recorded_plays_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.jsonl");
    let refused = Reply::Json(400, &[], json!({"error": "no"}));
    let server = Server::start(vec![reply("one"), refused, reply("two")]).await;
    {
        let recording = Cassette::record(&path, provider(&server)).unwrap();
        assert_eq!(recording.models(), models());
        let capped = ChatRequest { max_tokens: Some(9), ..request("a") };
        assert_eq!(ask(&recording, &capped).await.unwrap().text, "one");
        // On the tape now; the provider is not asked again.
        assert_eq!(ask(&recording, &request("a")).await.unwrap().text, "one");
        // An error is no answer.
        assert!(matches!(ask(&recording, &request("b")).await, Err(ModelError::NotSent { .. })));
        assert_eq!(ask(&recording, &request("b")).await.unwrap().text, "two");
    }
    assert_eq!(server.asked().len(), 3);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(!text.contains("sk-secret") && !text.contains("Bearer"));
    let playing = Cassette::open(&path, models()).unwrap();
    for (question, answer) in [("a", "one"), ("b", "two")] {
        let completion = ask(&playing, &request(question)).await.unwrap();
        assert_eq!((completion.text.as_str(), completion.usage.unwrap().input), (answer, 3));
    }
}

#[tokio::test]
async fn a_line_that_a_crash_cut_off_is_dropped_by_the_next_recording() {
    let second = line("b", "2");
    let (_folder, path) = tape(&format!("{}{}", line("a", "1"), &second[..second.len() - 9]));
    assert!(matches!(Cassette::open(&path, models()), Err(CassetteError::Line { line: 2, .. })));
    let server = Server::start(vec![reply("3")]).await;
    let recording = Cassette::record(&path, provider(&server)).unwrap();
    assert_eq!(ask(&recording, &request("a")).await.unwrap().text, "1");
    assert_eq!(ask(&recording, &request("b")).await.unwrap().text, "3");
    let playing = Cassette::open(&path, models()).unwrap();
    assert_eq!(ask(&playing, &request("b")).await.unwrap().text, "3");
    // A whole line that only lacks its end is kept.
    let (_folder, path) = tape(line("a", "1").trim_end());
    let server = Server::start(vec![reply("2")]).await;
    let recording = Cassette::record(&path, provider(&server)).unwrap();
    assert_eq!(ask(&recording, &request("b")).await.unwrap().text, "2");
    assert_eq!(ask(&recording, &request("a")).await.unwrap().text, "1");
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn two_at_once_hear_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.jsonl");
    let server = Server::start(vec![reply("one"), reply("two")]).await;
    let recording = Cassette::record(&path, provider(&server)).unwrap();
    let question = request("a");
    let (left, right) = tokio::join!(ask(&recording, &question), ask(&recording, &question));
    assert_eq!(left.unwrap(), right.unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
}
