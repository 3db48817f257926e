//! Tasks against a model that is a function of the request.

use async_trait::async_trait;
use serde_json::{Value, json};
use wflo_host_api::Stop;
use wflo_model::{Call, CallError, CallResult};

use super::{Caller, Task};

/// Answers each request with what a function makes of it, and remembers the requests.
struct Scripted<F> {
    answer: F,
    asked: Vec<Value>,
}

#[async_trait]
impl<F: FnMut(&Value) -> Value + Send> Caller for Scripted<F> {
    async fn make(&mut self, call: Call) -> Result<CallResult, Stop> {
        assert_eq!(call.to_string(), "wflo:llm/chat.complete");
        let text = (self.answer)(&call.args).to_string();
        self.asked.push(call.args);
        let usage = json!({ "input": 10, "output": 1 });
        Ok(Ok(json!({ "text": text, "usage": usage, "cost_usd": "0.5", "estimated": false })))
    }
}

async fn perform(
    function: &str,
    args: Value,
    answer: impl FnMut(&Value) -> Value + Send,
) -> (CallResult, Vec<Value>) {
    let task = Task::of(&Call::new("wflo:llm/tasks", function, args)).unwrap().unwrap();
    let mut caller = Scripted { answer, asked: Vec::new() };
    let result = task.perform(&mut caller).await.unwrap();
    (result, caller.asked)
}

fn user(request: &Value) -> &str {
    request["messages"][1]["content"].as_str().unwrap()
}

/// The JSON behind the last heading of a request.
fn material(request: &Value) -> Value {
    let text = user(request);
    serde_json::from_str(text.rsplit_once(":\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn a_task_becomes_a_request_with_its_schema() {
    let schema = json!({ "type": "object" });
    let args = json!({ "model": "gpt-4", "data": [1], "prompt": " find \n", "schema": schema });
    let (result, asked) = perform("analyze", args, |_| json!({ "found": true })).await;
    assert_eq!(user(&asked[0]), "find\n\nData:\n[1]");
    let system = asked[0]["messages"][0]["content"].as_str().unwrap();
    assert!(system.ends_with("\n{\"type\":\"object\"}"), "{system}");
    assert_eq!(asked[0]["schema"], schema);
    let expect = json!({
        "value": { "found": true }, "usage": { "input": 10, "output": 1 }, "cost_usd": "0.5", "estimated": false,
    });
    assert_eq!(result, Ok(expect));
}

#[tokio::test]
async fn a_conversation_with_a_schema_is_held_to_it_here() {
    let messages = json!([{ "role": "user", "content": "Which word?" }]);
    let schema = json!({ "type": "object", "properties": { "word": { "type": "string", "pattern": "^[a-z]+$" } },
        "required": ["word"] });
    let args = json!({ "model": "gpt-4", "messages": messages, "schema": schema, "max_tokens": 8 });
    let call = |args: Value| Task::of(&Call::new("wflo:llm/chat", "complete", args));
    let mut plain = args.clone();
    plain["schema"] = Value::Null;
    assert!(call(plain).is_none(), "an answer that may be anything is no task");

    let ask = async |answers: [Value; 2]| {
        let mut answers = answers.into_iter();
        let mut caller = Scripted { answer: |_: &Value| answers.next().unwrap(), asked: Vec::new() };
        let result = call(args.clone()).unwrap().unwrap().perform(&mut caller).await.unwrap();
        (result, caller.asked)
    };
    let (result, asked) = ask([json!({ "word": "," }), json!({ "word": "sea" })]).await;
    let answer = result.unwrap();
    assert_eq!(answer["text"], "{\"word\":\"sea\"}");
    // Both were asked for, and both are told.
    assert_eq!((&answer["cost_usd"], &answer["usage"]["input"]), (&json!("1"), &json!(20)), "{answer}");
    assert_eq!(asked[0], args, "what the step asked is asked as it is");
    let last = asked[1]["messages"][2]["content"].as_str().unwrap();
    assert!(last.contains("does not satisfy") && last.contains("at /word"), "{last}");
    let (result, asked) = ask([json!({ "word": "," }), json!("sea")]).await;
    assert!(matches!(result, Err(CallError::BadOutput { .. })), "{result:?}");
    assert_eq!(asked.len(), 2);
}

#[test]
fn what_is_no_task_is_refused() {
    let of = |function: &str, args| Task::of(&Call::new("wflo:llm/tasks", function, args)).unwrap().err();
    assert!(matches!(of("dream", json!({})), Some(CallError::AccessDenied { .. })));
    for (function, args) in [
        ("analyze", json!({})),
        ("classify", json!({ "model": "gpt-4", "text": "x", "categories": [] })),
        ("generate-code", json!({ "model": "gpt-4", "language": " ", "requirements": 1 })),
        ("moderate", json!({ "model": "gpt-4", "content": "x", "policies": [] })),
        ("synthesize", json!({ "model": "gpt-4", "data": 1, "prompt": "", "schema": {} })),
        ("transform", json!({ "model": "gpt-4", "rows": {}, "instructions": "", "schema": {} })),
        ("validate", json!({ "model": "gpt-4", "data": [], "rules": [] })),
    ] {
        assert!(matches!(of(function, args), Some(CallError::Invalid { .. })), "{function}");
    }
    assert!(Task::of(&Call::new("wflo:db/sql", "query", json!({}))).is_none());
}

#[tokio::test]
async fn rows_are_transformed_in_batches_and_keep_their_order() {
    let rows: Vec<Value> = (0..100).map(|n| json!({ "n": n })).collect();
    let schema =
        json!({ "type": "object", "properties": { "twice": { "type": "integer" } }, "required": ["twice"] });
    let args = json!({ "model": "gpt-4", "rows": rows, "instructions": "double", "schema": schema });
    let double = |request: &Value| {
        let rows = material(request);
        let twice = |row: &Value| json!({ "twice": row["n"].as_u64().unwrap() * 2 });
        json!({ "rows": rows.as_array().unwrap().iter().map(twice).collect::<Vec<_>>() })
    };
    let (result, asked) = perform("transform", args, double).await;
    let value = result.unwrap();
    let expect: Vec<Value> = (0..100).map(|n| json!({ "twice": n * 2 })).collect();
    assert_eq!(value["value"], json!(expect));
    assert_eq!(asked.len(), 3);
    assert_eq!((&value["cost_usd"], &value["usage"]["input"]), (&json!("1.5"), &json!(30)));
}

#[tokio::test]
async fn a_batch_that_loses_a_row_is_asked_for_again_and_then_given_up() {
    let args =
        json!({ "model": "gpt-4", "rows": [1, 2], "instructions": "", "schema": { "type": "integer" } });
    let (result, asked) = perform("transform", args.clone(), |_| json!({ "rows": [1] })).await;
    assert!(matches!(result, Err(CallError::BadOutput { .. })));
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1]["messages"].as_array().unwrap().len(), 4);
    let mut answers = [json!({ "rows": [1] }), json!({ "rows": [1, 2] })].into_iter();
    let (result, _) = perform("transform", args, |_| answers.next().unwrap()).await;
    assert_eq!(result.unwrap()["value"], json!([1, 2]));
}

#[tokio::test]
async fn a_rule_holds_if_it_does_in_every_batch() {
    let data: Vec<u32> = (0..150).collect();
    let rules = ["numbers only", "below 100"];
    let args = json!({ "model": "gpt-4", "data": data, "rules": rules });
    let judge = |request: &Value| {
        let large = material(request).as_array().unwrap().iter().any(|n| n.as_u64().unwrap() >= 100);
        let issues = if large { json!(["100 is not below 100"]) } else { json!([]) };
        json!({
            "rule_1": { "passed": true, "issues": ["they look fine"] },
            "rule_2": { "passed": !large, "issues": issues },
        })
    };
    let (result, asked) = perform("validate", args, judge).await;
    assert_eq!(asked.len(), 2);
    assert!(user(&asked[0]).starts_with("Rules:\n1. numbers only\n2. below 100\n\nData:\n[0,1,"));
    let expect = json!({
        "passed": false,
        "verdicts": [
            { "rule": "numbers only", "passed": true, "issues": [] },
            { "rule": "below 100", "passed": false, "issues": ["100 is not below 100"] },
        ],
        "issues": ["100 is not below 100"],
    });
    assert_eq!(result.unwrap()["value"], expect);
}

#[tokio::test]
async fn what_is_no_list_is_validated_as_a_whole() {
    for data in [json!({ "a": 1 }), json!([]), json!("text")] {
        let args = json!({ "model": "gpt-4", "data": data, "rules": ["any"] });
        let (result, asked) =
            perform("validate", args, |_| json!({ "rule_1": { "passed": true, "issues": [] } })).await;
        assert_eq!((result.unwrap()["value"]["passed"].clone(), asked.len()), (json!(true), 1));
    }
}

#[tokio::test]
async fn code_comes_without_its_fence() {
    let args = json!({ "model": "gpt-4", "language": "terraform", "requirements": ["a bucket"] });
    let fenced = "```hcl\nresource \"x\" \"y\" {}\n```";
    let (result, asked) =
        perform("generate-code", args, |_| json!({ "code": fenced, "explanation": "a bucket" })).await;
    assert_eq!(user(&asked[0]), "Language: terraform\n\nRequirements:\n[\"a bucket\"]");
    assert_eq!(result.unwrap()["value"]["code"], "resource \"x\" \"y\" {}\n");
}

#[tokio::test]
async fn content_is_judged_by_the_policies_there_are() {
    let args = json!({ "model": "gpt-4", "content": "buy now", "policies": ["No spam", "No violence"] });
    let verdict = |violated: &str| json!({ "verdict": "block", "confidence": 0.99, "reasoning": "an advertisement", "violated": [violated] });
    let (result, _) = perform("moderate", args.clone(), |_| verdict("No spam")).await;
    assert_eq!(result.unwrap()["value"], verdict("No spam"));
    let (result, _) = perform("moderate", args, |_| verdict("No fun")).await;
    assert!(matches!(result, Err(CallError::BadOutput { .. })));
}

#[tokio::test]
async fn much_is_condensed_before_it_is_drawn_together() {
    let data: Vec<Value> = (0..60).map(|n| json!({ "paper": n, "text": "x".repeat(2000) })).collect();
    let schema = json!({ "type": "object", "required": ["papers"] });
    let args = json!({ "model": "gpt-4", "data": data, "prompt": "count", "schema": schema });
    let count = |request: &Value| {
        let inputs = material(request);
        let inputs = inputs.as_array().unwrap();
        if request["schema"]["properties"]["notes"].is_object() {
            return json!({ "notes": inputs.len().to_string() });
        }
        let papers: u64 =
            inputs.iter().map(|note| note["notes"].as_str().unwrap().parse::<u64>().unwrap()).sum();
        json!({ "papers": papers })
    };
    let (result, asked) = perform("synthesize", args, count).await;
    assert_eq!(result.unwrap()["value"], json!({ "papers": 60 }));
    // 120 kB in groups of at most 24 KiB, and the notes of all in one.
    assert_eq!(asked.len(), 6);
}

#[tokio::test]
async fn little_is_drawn_together_at_once_and_what_never_becomes_less_is_given_up() {
    let args = |data: Value| json!({ "model": "gpt-4", "data": data, "prompt": "p", "schema": true });
    let (result, asked) = perform("synthesize", args(json!(["a", "b"])), |_| json!("both")).await;
    assert_eq!((result.unwrap()["value"].clone(), asked.len()), (json!("both"), 1));
    let data = vec!["x".repeat(20_000); 3];
    let verbose = |_: &Value| json!({ "notes": "y".repeat(20_000) });
    let (result, asked) = perform("synthesize", args(json!(data)), verbose).await;
    assert!(matches!(result, Err(CallError::BadOutput { .. })));
    assert_eq!(asked.len(), 18);
}
