//! What a component imports against what it was granted.

use std::collections::{BTreeSet, VecDeque};

use serde_json::json;
use wflo_host_api::{FUNCTIONS, Reach, Stop};
use wflo_model::{Capability, Limits};
use wflo_sandbox::{DescribeError, End, LinkError, LoadError};

use crate::gate::{Answer, Recorder};
use crate::{SANDBOX, program};

async fn missing(guest: &str, granted: &[Capability]) -> Vec<String> {
    let granted = granted.iter().copied().collect::<BTreeSet<_>>();
    program(guest).await.missing(&granted).iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn ungranted_imports_name_the_grant_to_add() {
    assert_eq!(
        missing("greedy", &[]).await,
        [
            "`wflo:llm/chat@0.1.0` is imported but not granted; add `grants.llm = [\"<model>\"]`",
            "`wflo:llm/tasks@0.1.0` is imported but not granted; add `grants.llm = [\"<model>\"]`",
            "`wflo:db/sql@0.1.0` is imported but not granted; add \
             `grants.db.<label> = { read = [\"<table>\"] }`",
            "`wflo:secret/secrets@0.1.0` is imported but not granted; add `grants.secrets = [\"<label>\"]`",
            "`wflo:notify/mail@0.1.0` is imported but not granted; add `grants.mail = [\"*@<domain>\"]`",
            "`wflo:notify/channel@0.1.0` is imported but not granted; add `grants.notify = [\"<channel>\"]`",
            "`wflo:knowledge/search@0.1.0` is imported but not granted; add `grants.knowledge = [\"<label>\"]`",
        ]
    );
    assert_eq!(missing("greedy", &[Capability::Llm]).await.len(), 5);
    let all = [
        Capability::Llm,
        Capability::Db,
        Capability::Secrets,
        Capability::Mail,
        Capability::Notify,
        Capability::Knowledge,
    ];
    assert!(missing("greedy", &all).await.is_empty());
    assert!(missing("odd", &[Capability::Db]).await.is_empty());
}

#[tokio::test]
async fn an_interface_that_nobody_offers_loads_but_does_not_run() {
    let stranger = program("stranger").await;
    assert!(stranger.imports().contains(&"evil:corp/spy@1.0.0".to_owned()));
    let all = [Capability::Db, Capability::Llm, Capability::Http];
    assert_eq!(
        missing("stranger", &all).await,
        ["`evil:corp/spy@1.0.0` is imported, but no grant gives it and this host does not offer it"]
    );
    assert!(matches!(stranger.linked(), Err(LinkError::Imports { .. })));
    assert!(matches!(stranger.describe().await, Err(DescribeError::Link { .. })));
    let ended = stranger.run("ok", Box::new(Recorder::default()), &Limits::default()).await;
    assert!(matches!(ended.end, End::Stopped(Stop::Host(why)) if why.contains("evil:corp/spy")));
}

#[tokio::test]
async fn what_is_no_component_does_not_load() {
    assert!(matches!(SANDBOX.load(&b"not wasm"[..].into()).await, Err(LoadError::Invalid { .. })));
    let core_module = b"\0asm\x01\0\0\0";
    assert!(matches!(SANDBOX.load(&core_module[..].into()).await, Err(LoadError::Invalid { .. })));
}

#[tokio::test]
async fn every_function_that_reaches_outside_goes_through_the_gate() {
    let usage = json!({"input": 3, "output": 1});
    let chat = json!({
        "text": "hi", "model": "m-1", "finish_reason": "stop", "usage": usage, "cost_usd": "0.01", "estimated": false
    });
    let task = json!({"value": {"a": 1}, "usage": usage, "cost_usd": "0.02", "estimated": true});
    let rows = json!({"columns": ["n"], "rows": [[{"integer": "9223372036854775807"}]]});
    let decision =
        json!({"status": "rejected", "votes": [{"by": "ann", "approved": false, "comment": "no"}]});
    let changed = json!({"columns": ["changed"], "rows": [[{"integer": "1"}]]});
    let answers = [
        chat,
        task.clone(),
        task.clone(),
        rows,
        json!({"changed": 4}),
        decision,
        changed,
        json!("approved"),
        json!("wflo-secret-1"),
    ];
    let (others, last) = (vec![task.clone(); 5], task);
    let answers: VecDeque<_> = answers
        .into_iter()
        .chain(others)
        .chain([json!(null), json!({"id": "0f@wflo"}), json!({"id": "1f@wflo"})])
        .chain([
            json!([{"source": "returns.md#2", "title": "Returns", "text": "30 days", "score": 4.25}]),
            last,
        ])
        .map(|answer| Answer::Result(Ok(answer)))
        .collect();
    let gate = Recorder::answering(answers);
    let ended = program("greedy").await.run("all", Box::new(gate), &Limits::default()).await;
    let End::Output(said) = ended.end else { panic!("{:?}", ended.end) };
    let said: Vec<&str> = said.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let gate = Recorder::back(ended.gate);

    let mut reached: Vec<_> =
        gate.calls.iter().map(|call| (call.interface.as_str(), call.function.as_str())).collect();
    reached.sort_unstable();
    // Those of WASI are other guests', in `http.rs` and `files.rs`. The rest is played through the whole command in
    // `tests/it`: `artifacts.rs` and `etl.rs`, `languages.rs` for what other languages call, `infrastructure.rs`.
    let elsewhere = ["wasi:", "wflo:artifact/", "wflo:db/sql-json", "wflo:http/", "wflo:infra/"];
    let outside = FUNCTIONS.iter().filter(|(interface, function, reach)| {
        let played = elsewhere.iter().any(|of| interface.starts_with(of)) || *function == "bulk-insert";
        *reach == Reach::Gate && !played
    });
    assert_eq!(reached, outside.map(|(interface, function, _)| (*interface, *function)).collect::<Vec<_>>());

    assert_eq!(
        gate.calls[0].args,
        json!({"model": "gpt-4", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 16})
    );
    assert_eq!(gate.calls[1].args, json!({"model": "gpt-4", "data": [1], "prompt": "look", "schema": {}}));
    assert_eq!(gate.calls[2].args, json!({"model": "gpt-4", "text": "text", "categories": ["a", "b"]}));
    let params = json!([{"integer": "9223372036854775807"}, {"decimal": "12.50"}, {"blob": "00ff"}]);
    assert_eq!(gate.calls[3].args, json!({"db": "bank", "sql": "SELECT ?1", "params": params}));

    let ask = json!({"summary": "go on?", "details": [1], "approvers": ["sre"], "quorum": 1});
    assert_eq!(gate.calls[5].args, ask);
    let pay = json!({"db": "bank", "statement": "pay", "params": {"amount": 150}});
    assert_eq!(gate.calls[6].args, pay);
    assert_eq!(gate.calls[7].args, json!({"name": "amount", "value": 150}));

    assert_eq!(gate.calls[8].args, json!({"label": "stripe"}));
    let to = ["a@b.example", "c@d.example"];
    assert_eq!(
        gate.calls[15].args,
        json!({"to": to, "subject": "hello", "text": "you", "answers": "1@wflo"})
    );
    assert_eq!(gate.calls[16].args, json!({"address": "slack://ops", "title": "hello", "text": "all"}));
    assert_eq!(gate.calls[17].args, json!({"knowledge": "help", "query": "returns?", "top": 3}));
    let ask = json!({"model": "gpt-4", "question": "why?", "knowledge": "help", "top": 3});
    assert_eq!(gate.calls[18].args, ask);

    for (said, expect) in said.iter().zip([
        "cost_usd: \"0.01\"",
        "value: \"{\\\"a\\\":1}\"",
        "estimated: true",
        "Integer(9223372036854775807)",
        "Ok(4)",
        "status: Status::Rejected",
        "Integer(1)",
        "Ok(Verdict::Approved)",
        "Ok(\"wflo_secret_1\")",
        "estimated: true",
        "estimated: true",
        "estimated: true",
        "estimated: true",
        "estimated: true",
        "Ok(())",
        "Ok(\"0f@wflo\")",
        "Ok(())",
        "score: 4.25",
        "estimated: true",
        "Invalid(\"`data` is not JSON",
        "UnknownModel(",
        "Invalid(\"the details are not JSON",
        "Invalid(\"`params` is no JSON object",
        "Invalid(\"`value` is not JSON",
    ]) {
        // The guest prints with `{:?}`, which writes kebab-case names its own way.
        assert!(said.replace('-', "_").contains(expect), "{said} does not have {expect}");
    }
}
