//! `wasi:filesystem` as calls of the gate.

use serde_json::{Value, json};
use wflo_host_api::{FUNCTIONS, Reach};
use wflo_model::{Call, CallError, Limits};
use wflo_sandbox::{End, Ended};

use crate::gate::{Answer, Recorder};
use crate::program;

async fn ended(step: &str, mut gate: Recorder) -> (Ended, Recorder) {
    gate.context.folders = vec!["/data".parse().unwrap()];
    let mut ended = program("reader").await.run(step, Box::new(gate), &Limits::default()).await;
    let gate = std::mem::replace(&mut ended.gate, Box::new(Recorder::default()));
    (ended, Recorder::back(gate))
}

async fn said(step: &str, gate: Recorder) -> (Value, Recorder) {
    let (ended, gate) = ended(step, gate).await;
    let End::Output(said) = ended.end else { panic!("`{step}` ended with {:?}", ended.end) };
    (said, gate)
}

fn call(function: &str, args: Value) -> Call {
    Call::new("wasi:filesystem/types", function, args)
}

#[tokio::test]
async fn a_file_is_asked_for_once_and_read_from_what_came() {
    let file = |text: &str| json!({"opened": {"file": text}});
    let failed = |how: &str| json!({"failed": how});
    let entries =
        json!({"entries": [{"name": "hello.txt", "kind": "file"}, {"name": "sub", "kind": "folder"}]});
    let answers = [
        file("hello"),
        file("deep"),
        json!({"opened": "folder"}),
        entries,
        json!({"stat": {"kind": "file", "size": 5}}),
        file("hello"),
        file("hello"),
        failed("no_entry"),
        failed("not_folder"),
        failed("too_large"),
    ];
    let gate = Recorder::answering(answers.into_iter().map(|answer| Answer::Result(Ok(answer))));
    let (said, gate) = said("read", gate).await;
    let expect = json!([
        "hello",
        "deep",
        "hello.txt sub/",
        "5 true",
        "ll",
        "\"hello\"",
        "NotFound",
        "NotADirectory",
        "FileTooLarge"
    ]);
    assert_eq!(said, expect);
    let below = |path: &str| json!({"mount": "/data", "path": path});
    assert_eq!(gate.calls[0], call("open-at", below("hello.txt")));
    assert_eq!(gate.calls[1], call("open-at", below("sub/deep.txt")));
    let list = gate.calls.iter().find(|call| call.function == "read-directory").unwrap();
    assert_eq!(list.args["mount"], "/data");
    assert!(gate.calls.iter().any(|made| *made == call("stat-at", below("hello.txt"))));
    // What is read of an open file is nobody's business: one call a file.
    assert_eq!(gate.calls.len(), 10, "{:?}", gate.calls);
}

#[tokio::test]
async fn whatever_would_write_is_a_call_that_is_denied() {
    let denied = || Answer::Result(Err(CallError::AccessDenied { message: "to be read".into() }));
    // Only the last opens something first.
    let mut answers: Vec<_> = (0..8).map(|_| denied()).collect();
    answers.extend([Answer::Result(Ok(json!({"opened": {"file": "hello"}}))), denied()]);
    let (said, gate) = said("write", Recorder::answering(answers)).await;
    let said: Vec<_> = said.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(said.len(), 9);
    assert!(said.iter().all(|text| ["ReadOnlyFilesystem", "InvalidInput"].contains(text)), "{said:?}");
    let made: Vec<_> = gate.calls.iter().map(|call| call.function.as_str()).collect();
    for function in
        ["create-directory-at", "unlink-file-at", "remove-directory-at", "rename-at", "link-at", "open-at"]
    {
        assert!(made.contains(&function), "{made:?}");
    }
    assert!(gate.calls.iter().all(|call| call.function == "open-at" || call.args.get("mount").is_none()));
}

#[tokio::test]
async fn without_a_grant_there_is_no_folder_and_no_call() {
    let mut ended =
        program("reader").await.run("escape", Box::new(Recorder::default()), &Limits::default()).await;
    let gate = Recorder::back(std::mem::replace(&mut ended.gate, Box::new(Recorder::default())));
    let End::Output(said) = ended.end else { panic!("{:?}", ended.end) };
    assert!(said.as_array().unwrap().iter().all(|text| !text.as_str().unwrap().starts_with('"')), "{said}");
    assert!(gate.calls.is_empty());
    assert!(program("reader").await.missing(&[].into()).is_empty());
    assert_eq!(program("reader").await.describe().await.unwrap().len(), 4);
}

#[tokio::test]
async fn ways_out_reach_the_gate_as_they_are_written() {
    let denied = || Answer::Result(Err(CallError::AccessDenied { message: "leads out".into() }));
    let gate = Recorder::answering((0..20).map(|_| denied()));
    let (said, gate) = said("escape", gate).await;
    assert!(said.as_array().unwrap().iter().all(|text| !text.as_str().unwrap().starts_with('"')), "{said}");
    let paths: Vec<_> = gate.calls.iter().map(|call| call.args["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"../secret.txt") && paths.contains(&"folder_out/secret.txt"), "{paths:?}");
}

#[test]
fn what_writes_is_the_gates_and_what_only_remembers_is_not() {
    let reach = |name: &str| {
        let function = format!("[method]descriptor.{name}");
        FUNCTIONS.iter().find(|(_, found, _)| *found == function).map(|(.., reach)| *reach)
    };
    assert_eq!(reach("open-at"), Some(Reach::Gate));
    assert_eq!(reach("unlink-file-at"), Some(Reach::Gate));
    assert_eq!(reach("read"), Some(Reach::Virtual));
}
