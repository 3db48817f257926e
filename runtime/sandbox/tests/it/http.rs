//! Requests over HTTP: how they reach the gate, and what a guest makes of its answers.

use serde_json::{Map, Value, json};
use wflo_host_api::{FUNCTIONS, Reach, StepContext, Stop};
use wflo_model::{Call, CallError, Capability, FaultKind, Limits};
use wflo_sandbox::{End, Ended};

use crate::gate::{Answer, Recorder};
use crate::program;

const URL: &str = "https://example.org/api/a?b=c";

async fn ended(step: &str, url: &str, gate: Recorder) -> (Ended, Recorder) {
    let inputs: Map<String, Value> = [("url".to_owned(), json!(url))].into_iter().collect();
    let gate = Recorder { context: StepContext { inputs, ..StepContext::default() }, ..gate };
    let mut ended = program("courier").await.run(step, Box::new(gate), &Limits::default()).await;
    let gate = std::mem::replace(&mut ended.gate, Box::new(Recorder::default()));
    (ended, Recorder::back(gate))
}

/// What the step says it got.
async fn said(step: &str, gate: Recorder) -> (String, Recorder) {
    let (ended, gate) = ended(step, URL, gate).await;
    let End::Output(Value::String(said)) = ended.end else { panic!("`{step}` ended with {:?}", ended.end) };
    (said, gate)
}

fn answers(all: impl IntoIterator<Item = Value>) -> Recorder {
    Recorder::answering(all.into_iter().map(|answer| Answer::Result(Ok(answer))))
}

fn fails(error: CallError) -> Recorder {
    Recorder::answering([Answer::Result(Err(error))])
}

fn ok() -> Value {
    json!({"status": 200, "headers": [["content-type", "text/plain"]], "body": "hello"})
}

fn handle(args: Value) -> Call {
    Call::new("wasi:http/outgoing-handler", "handle", args)
}

#[tokio::test]
async fn a_request_is_a_call_and_its_answer_a_response() {
    let (text, gate) = said("get", answers([ok()])).await;
    assert_eq!(text, "200  hello");
    assert_eq!(gate.calls, [handle(json!({"method": "GET", "url": URL, "headers": [["x-from", "a step"]]}))]);
    assert!(gate.log.iter().all(|line| line.starts_with("->")), "{:?}", gate.log);
}

#[tokio::test]
async fn a_body_may_come_before_the_handing_over_or_after() {
    for (step, body) in [("post_body_first", "before"), ("post_body_later", "after")] {
        let (text, gate) = said(step, answers([ok()])).await;
        assert_eq!(text, "200  hello", "{step}");
        assert_eq!(gate.calls, [handle(json!({"method": "POST", "url": URL, "body": body}))]);
    }
    let (_, gate) = said("post_bytes", answers([ok()])).await;
    assert_eq!(gate.calls[0].args["body"], json!({"base64": "/wCA"}));
    let bytes = json!({"status": 200, "body": {"base64": "/0E="}});
    assert_eq!(said("get", answers([bytes])).await.0, "200  \u{fffd}A");
}

#[tokio::test]
async fn a_client_that_people_use_works_as_it_is() {
    let (text, gate) = said("with_client", answers([ok()])).await;
    assert_eq!(text, "200 hello");
    assert_eq!(gate.calls[0].args["method"], "GET");
    let (text, gate) = said("with_client_body", answers([ok()])).await;
    assert_eq!(text, "200 hello");
    assert_eq!(gate.calls[0].args["body"], "from a client");
    let (text, _) = said("with_client_body", refusing()).await;
    assert!(text.contains("HttpRequestDenied"), "{text}");
}

#[tokio::test]
async fn the_sdk_is_a_client_like_others() {
    let (text, gate) = said("sdk_get", answers([ok()])).await;
    assert_eq!(text, "Ok(\"hello\")");
    assert_eq!(gate.calls, [handle(json!({"method": "GET", "url": format!("{URL}&q=a%20b")}))]);
    let (text, gate) = said("sdk_post", answers([ok()])).await;
    assert_eq!(text, "200 Some(\"text/plain\")");
    let headers = json!([["content-type", "application/json"]]);
    assert_eq!(
        gate.calls,
        [handle(json!({"method": "POST", "url": URL, "headers": headers, "body": "[1,2]"}))]
    );
    let (text, _) = said("sdk_post", refusing()).await;
    assert_eq!(text, "access denied: `https://example.org/api/a`");
    let (text, _) = said("sdk_follows", answers([json!({"status": 503, "body": "busy"})])).await;
    assert_eq!(text, "Retryable: the server answered 503: busy");
}

#[tokio::test]
async fn the_sdk_follows_redirects_by_asking_anew() {
    let to = |location: &str| json!({"status": 301, "headers": [["location", location]]});
    let (text, gate) = said("sdk_follows", answers([to("next"), to("https://other.example/z"), ok()])).await;
    assert_eq!(text, "hello");
    let asked: Vec<_> = gate.calls.iter().map(|call| (&call.args["url"], &call.args["headers"])).collect();
    let all = json!([["authorization", "secret"], ["x-kept", "1"]]);
    // Credentials stay with the server they were meant for.
    let kept = json!([["x-kept", "1"]]);
    assert_eq!(
        asked,
        [
            (&json!(URL), &all),
            (&json!("https://example.org/api/next"), &all),
            (&json!("https://other.example/z"), &kept),
        ]
    );
    let (text, gate) = said("sdk_follows", answers((0..9).map(|_| to("/again")))).await;
    assert_eq!(text, "Permanent: the server answered 301");
    assert_eq!(gate.calls.len(), 6);
}

fn denied() -> CallError {
    CallError::AccessDenied { message: "not granted".into() }
}

/// A gate that refuses what is not complete, and what is.
fn refusing() -> Recorder {
    let answers = (0..4).map(|_| Answer::Result(Err(denied())));
    Recorder { refusal: Some(denied()), ..Recorder::answering(answers) }
}

#[tokio::test]
async fn a_denial_by_grant_is_told_at_once() {
    for step in ["get", "post_body_first", "post_body_later"] {
        let (text, gate) = said(step, refusing()).await;
        assert_eq!(text, "handle: ErrorCode::HttpRequestDenied", "{step}");
        assert_eq!(gate.calls.len(), 1, "{step}");
        let line = gate.log.last().unwrap();
        assert!(line.starts_with("Warn wasi:http: "), "{line}");
        // The query may hold a key.
        assert!(line.ends_with("https://example.org/api/a: access denied: not granted"), "{line}");
    }
}

#[tokio::test]
async fn other_errors_come_with_the_response() {
    let check = async |step: &str, error: CallError, code: &str| {
        let (text, _) = said(step, fails(error)).await;
        assert_eq!(text, format!("response: ErrorCode::{code}"), "{step}");
    };
    let message = || "words".to_owned();
    check("post_body_later", denied(), "HttpRequestDenied").await;
    check("get", CallError::Unknown { message: message() }, "ConfigurationError").await;
    check("get", CallError::Limit { message: message() }, "HttpResponseBodySize(None)").await;
    check("get", CallError::Unavailable { message: message() }, "DestinationUnavailable").await;
    check("post_body_first", CallError::Upstream { message: message() }, "ConnectionTerminated").await;
    check("get", CallError::Invalid { message: message() }, "InternalError(Some(\"words\"))").await;
}

#[tokio::test]
async fn stops_of_the_gate_end_the_guest() {
    for step in ["get", "post_body_later"] {
        let (ended, _) = ended(step, URL, Recorder::answering([Answer::Stop(Stop::Parked)])).await;
        assert!(matches!(ended.end, End::Stopped(Stop::Parked)), "{:?}", ended.end);
    }
    let (ended, _) = ended("get", URL, answers([json!("no answer of HTTP")])).await;
    assert!(matches!(ended.end, End::Stopped(Stop::Host(_))), "{:?}", ended.end);
}

#[tokio::test]
async fn bodies_have_a_limit_and_up_to_it_no_end() {
    let (text, gate) = said("large_body", answers([ok()])).await;
    assert_eq!(text, "200  hello");
    assert_eq!(gate.calls[0].args["body"].as_str().unwrap().len(), 3 << 20);

    let code = "ErrorCode::HttpRequestBodySize(Some(4194304))";
    let (text, gate) = said("too_large_body", Recorder::default()).await;
    assert_eq!(text, format!("write: Some({code}), finish: Err({code}), handle: {code}"));
    assert!(gate.calls.is_empty());
    let (text, gate) = said("too_large_body_later", Recorder::default()).await;
    assert_eq!(text, format!("write: Some({code}), finish: Err({code}), response: {code}"));
    assert!(gate.calls.is_empty());

    let large = json!({"status": 200, "body": "y".repeat(3 << 20)});
    assert_eq!(said("get", answers([large])).await.0, "200  3145728 bytes");
}

#[tokio::test]
async fn a_length_that_is_not_the_bodys_is_refused() {
    let (text, gate) = said("short_length", Recorder::default()).await;
    assert_eq!(text, "finish: Ok(()), handle: ErrorCode::HttpRequestBodySize(Some(22))");
    assert!(gate.calls.is_empty());
    let (text, gate) = said("no_length", Recorder::default()).await;
    assert_eq!(text, "finish: Ok(()), handle: ErrorCode::HttpProtocolError");
    assert!(gate.calls.is_empty());
}

#[tokio::test]
async fn what_is_not_finished_is_not_sent() {
    let (text, gate) = said("unfinished", Recorder::default()).await;
    assert_eq!(text, "response: ErrorCode::HttpProtocolError");
    assert!(gate.calls.is_empty());
    let (text, gate) = said("dropped_body", Recorder::default()).await;
    assert_eq!(text, "handle: ErrorCode::HttpProtocolError");
    assert!(gate.calls.is_empty());
}

#[tokio::test]
async fn waiting_for_oneself_ends() {
    let (ended, gate) = ended("waits_for_itself", URL, Recorder::default()).await;
    let End::Fault(fault) = ended.end else { panic!("{:?}", ended.end) };
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.contains("whose body is not finished"), "{fault}");
    assert!(gate.calls.is_empty());
    // A timer beside it comes, and then the request can be finished.
    let (text, gate) = said("waits_with_timer", answers([ok()])).await;
    assert_eq!(text, "[1] [0, 1] 200  hello");
    assert_eq!(gate.sleeps.len(), 1);
}

#[tokio::test]
async fn several_at_a_time_are_answered_in_the_order_of_asking() {
    let answer = |n: u32| json!({"status": 200, "body": format!("{n}")});
    let (text, gate) = said("three", answers([answer(0), answer(1), answer(2)])).await;
    assert_eq!(text, "[0, 1, 2] 200  0, 200  1, 200  2");
    let asked: Vec<_> = gate.calls.iter().map(|call| call.args["url"].as_str().unwrap()).collect();
    assert_eq!(asked, [0, 1, 2].map(|n| format!("{URL}&n={n}")));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_where_it_leads_is_asked_anew() {
    let away = json!({"status": 302, "headers": [["location", "http://169.254.169.254/latest"]]});
    let answers = [Answer::Result(Ok(away)), Answer::Result(Err(denied()))];
    let (text, gate) = said("follows", Recorder::answering(answers)).await;
    assert_eq!(text, "302, handle: ErrorCode::HttpRequestDenied");
    assert_eq!(gate.calls[1].args["url"], "http://169.254.169.254/latest");
}

#[tokio::test]
async fn options_are_part_of_the_call() {
    let (_, gate) = said("timeouts", answers([ok()])).await;
    assert_eq!(
        gate.calls[0].args,
        json!({"method": "GET", "url": URL, "first_byte_ms": 1500, "between_bytes_ms": 1})
    );
}

#[tokio::test]
async fn headers_and_addresses_cannot_be_made_into_others() {
    let (text, gate) = said("bad_headers", Recorder::default()).await;
    let (syntax, forbidden) = ("HeaderError::InvalidSyntax", "HeaderError::Forbidden");
    let expect =
        format!("{syntax} {syntax} {forbidden} {forbidden} {forbidden} ok, Err(HeaderError::Immutable)");
    assert_eq!(text, expect);
    assert!(gate.calls.is_empty());
    let (text, gate) = said("bad_addresses", Recorder::default()).await;
    assert_eq!(text, "no no no no no no no no no set, Err(ErrorCode::HttpRequestUriInvalid)");
    assert!(gate.calls.is_empty());
}

#[tokio::test]
async fn a_step_serves_nothing() {
    let (ended, _) = ended("serves", URL, Recorder::default()).await;
    let End::Fault(fault) = ended.end else { panic!("{:?}", ended.end) };
    assert!(fault.message.contains("serves none"), "{fault}");
}

#[tokio::test]
async fn the_same_answers_give_the_same_run() {
    let run = async || {
        let (ended, gate) = ended("three", URL, answers([ok(), ok(), ok()])).await;
        (ended.usage.fuel, gate.calls, gate.log, gate.now)
    };
    assert_eq!(run().await, run().await);
}

#[tokio::test]
async fn its_imports_need_a_grant_and_its_calls_are_the_gates() {
    let courier = program("courier").await;
    let missing: Vec<String> = courier.missing(&[].into()).iter().map(ToString::to_string).collect();
    assert!(missing.iter().all(|line| line.contains("grants.http")) && missing.len() == 2, "{missing:?}");
    assert!(courier.missing(&[Capability::Http].into()).is_empty());
    // `handle`, and `finish` for a body that is finished later: both are the one call.
    let outside: Vec<_> = FUNCTIONS
        .iter()
        .filter(|(interface, _, reach)| *reach == Reach::Gate && interface.starts_with("wasi:http/"))
        .map(|(_, function, _)| *function)
        .collect();
    assert_eq!(outside, ["handle", "[static]outgoing-body.finish"]);
}
