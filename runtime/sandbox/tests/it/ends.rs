//! Each odd program and the one end it must come to.

use std::time::Duration;

use serde_json::json;
use wflo_host_api::{Decision, DecisionStatus, DecisionVote, StepContext, Stop, Undo};
use wflo_model::{Call, CallError, FailureKind, Fault, FaultKind, Limits};
use wflo_sandbox::{DescribeError, End, Sandbox, SandboxConfig};

use crate::gate::{Answer, Recorder};
use crate::{guests, program, run, run_with};

/// Runs a step twice: it must end with this fault, in the same words both times.
async fn fault(step: &str, limits: Limits, kind: FaultKind, words: &[&str]) {
    let mut messages = Vec::new();
    for _ in 0..2 {
        let (ended, _) = run_with(step, Recorder::default(), &limits).await;
        let End::Fault(fault) = ended.end else { panic!("`{step}` ended with {:?}", ended.end) };
        assert_eq!(fault.kind, kind, "`{step}`: {fault}");
        for words in words {
            assert!(fault.message.contains(words), "`{step}`: {fault}");
        }
        messages.push(fault.message);
    }
    assert_eq!(messages[0], messages[1]);
}

#[tokio::test]
async fn an_endless_loop_runs_out_of_fuel() {
    let limits = Limits { fuel: 50_000_000, ..Limits::default() };
    fault("loop_forever", limits, FaultKind::OutOfFuel, &["50000000", "`fuel`"]).await;
}

#[tokio::test]
async fn an_endless_loop_with_much_fuel_meets_its_deadline() {
    let limits = Limits { fuel: u64::MAX / 2, timeout: Duration::from_millis(60), ..Limits::default() };
    fault("loop_forever", limits, FaultKind::Deadline, &["60ms", "`timeout_seconds`"]).await;
}

#[tokio::test]
async fn memory_ends_at_its_limit() {
    let limits = Limits { memory: 4 << 20, ..Limits::default() };
    fault("memory_bomb", limits.clone(), FaultKind::OutOfMemory, &["4194304 bytes", "`memory`"]).await;
    fault("memory_once", limits, FaultKind::OutOfMemory, &[]).await;
    let (ended, _) = run("memory_once").await;
    assert!(matches!(ended.end, End::Output(_)));
    assert!((8 << 20..16 << 20).contains(&ended.usage.memory_peak), "{:?}", ended.usage);
}

#[tokio::test]
async fn an_attempt_finds_nothing_of_the_one_before() {
    let config = SandboxConfig { instances: 1, ..SandboxConfig::default() };
    let program = Sandbox::new(config).unwrap().load(&guests::component("odd").into()).await.unwrap();
    for _ in 0..5 {
        let ended = program.run("leavings", Box::new(Recorder::default()), &Limits::default()).await;
        let End::Output(found) = ended.end else { panic!("{:?}", ended.end) };
        assert_eq!(found, json!([0, 0]));
    }
}

#[tokio::test]
async fn a_limit_below_what_the_component_starts_with_is_a_fault_too() {
    fault("ok", Limits { memory: 1 << 16, ..Limits::default() }, FaultKind::OutOfMemory, &[]).await;
}

#[tokio::test]
async fn what_a_component_is_made_of_is_limited_too() {
    let few = Limits { instances: 1, ..Limits::default() };
    fault("ok", few, FaultKind::TooManyInstances, &["more than 1 core instances", "`instances`"]).await;
    let small = Limits { tables: 1, ..Limits::default() };
    fault("ok", small, FaultKind::OutOfMemory, &["more than 1 elements", "`tables`"]).await;
}

#[tokio::test]
async fn a_flood_of_log_is_a_fault() {
    let limits = Limits { log: 10_000, ..Limits::default() };
    fault("log_flood", limits, FaultKind::TooMuchLog, &["more than 16 times 10000 bytes", "`log`"]).await;
}

#[tokio::test]
async fn endless_recursion_is_a_stack_fault() {
    fault("stack_bomb", Limits::default(), FaultKind::Stack, &["stack overflow"]).await;
}

#[tokio::test]
async fn the_stack_is_as_large_as_it_was_asked_to_be() {
    for (stack, kind) in [(64 << 10, FaultKind::Stack), (32 << 20, FaultKind::Trap)] {
        let config = SandboxConfig { instances: 1, stack, ..SandboxConfig::default() };
        let component = crate::forge::component("recursion-with-an-end");
        let program = Sandbox::new(config).unwrap().load(&component.into()).await.unwrap();
        let ended = program.run("deep", Box::new(Recorder::default()), &Limits::default()).await;
        assert!(matches!(&ended.end, End::Fault(fault) if fault.kind == kind), "{stack}: {:?}", ended.end);
    }
}

#[tokio::test]
async fn a_panic_is_a_trap_with_its_text() {
    fault("panic", Limits::default(), FaultKind::Trap, &["about to give up", "panicked at", "boom 7"]).await;
}

#[tokio::test]
async fn exiting_is_a_trap() {
    fault("exit", Limits::default(), FaultKind::Trap, &["exited"]).await;
}

#[tokio::test]
async fn misuse_of_the_host_is_a_trap() {
    fault("empty_poll", Limits::default(), FaultKind::Trap, &["empty poll list"]).await;
    fault("many_handles", Limits::default(), FaultKind::Trap, &[]).await;
}

#[tokio::test]
async fn output_must_be_json_within_its_limit() {
    fault("bad_output", Limits::default(), FaultKind::BadOutput, &["not JSON"]).await;
    fault("big_output", Limits::default(), FaultKind::BadOutput, &["more than 1048576", "`output`"]).await;
}

#[tokio::test]
async fn calls_are_counted() {
    let (ended, gate) =
        run_with("many_calls", Recorder::default(), &Limits { calls: 50, ..Limits::default() }).await;
    assert!(matches!(ended.end, End::Output(_)));
    assert_eq!(gate.calls.len(), 50);
    fault(
        "many_calls",
        Limits { calls: 49, ..Limits::default() },
        FaultKind::TooManyCalls,
        &["49", "`calls`"],
    )
    .await;
}

#[tokio::test]
async fn big_arguments_and_big_answers_are_refused() {
    // Refused while it is copied out of the guest, and, where there is room to copy, when it is counted.
    fault("big_argument", Limits::default(), FaultKind::TooMuchData, &["8388608", "`call_bytes`"]).await;
    let room = Limits { call_bytes: 1 << 20, output: 64 << 20, ..Limits::default() };
    fault("big_argument", room, FaultKind::TooMuchData, &["`wflo:db/sql.query`", "1048576 bytes"]).await;

    let answer = json!({"columns": ["n"], "rows": [["x".repeat(1000)]]});
    let gate = Recorder::answering([Answer::Result(Ok(answer))]);
    let (ended, _) = run_with("query", gate, &Limits { call_bytes: 500, ..Limits::default() }).await;
    assert!(matches!(ended.end, End::Fault(Fault { kind: FaultKind::TooMuchData, .. })), "{:?}", ended.end);
}

#[tokio::test]
async fn all_calls_together_have_a_limit() {
    let limits = |traffic| Limits { traffic, ..Limits::default() };
    fault("many_calls", limits(1_000), FaultKind::TooMuchData, &["more than 1000 bytes", "`traffic`"]).await;
    let (ended, gate) = run_with("many_calls", Recorder::default(), &limits(1_000)).await;
    assert!(
        matches!(ended.end, End::Fault(_)) && (5..15).contains(&gate.calls.len()),
        "{:?}",
        gate.calls.len()
    );
    let (ended, _) = run_with("many_calls", Recorder::default(), &limits(10_000)).await;
    assert!(matches!(ended.end, End::Output(_)));
}

#[tokio::test]
async fn a_call_that_hangs_meets_the_deadline_and_the_gate_comes_back() {
    let limits = Limits { timeout: Duration::from_millis(50), ..Limits::default() };
    let (ended, gate) = run_with("query", Recorder::answering([Answer::Hang]), &limits).await;
    assert!(matches!(ended.end, End::Fault(Fault { kind: FaultKind::Deadline, .. })), "{:?}", ended.end);
    assert_eq!(
        gate.calls,
        [Call::new("wflo:db/sql", "query", json!({"db": "bank", "sql": "SELECT 1", "params": []}))]
    );
}

#[tokio::test]
async fn what_the_gate_stops_with_comes_out_as_it_was() {
    let check = async |stop: Stop| {
        let (ended, _) =
            run_with("query", Recorder::answering([Answer::Stop(stop)]), &Limits::default()).await;
        ended.end
    };
    assert!(matches!(check(Stop::Parked).await, End::Stopped(Stop::Parked)));
    assert!(matches!(check(Stop::Diverged).await, End::Stopped(Stop::Diverged)));
    assert!(
        matches!(check(Stop::Host("disk full".into())).await, End::Stopped(Stop::Host(why)) if why == "disk full")
    );
    let limit = Fault { kind: FaultKind::TooManyCalls, message: "its own".into() };
    assert!(matches!(check(Stop::Fault(limit.clone())).await, End::Fault(fault) if fault == limit));
}

#[tokio::test]
async fn an_answer_of_the_wrong_shape_is_the_hosts_fault() {
    for wrong in
        [json!(1), json!({"columns": ["a", "b"], "rows": [[null]]}), json!({"columns": ["a"], "rows": [[1]]})]
    {
        let (ended, _) =
            run_with("query", Recorder::answering([Answer::Result(Ok(wrong))]), &Limits::default()).await;
        let End::Stopped(Stop::Host(why)) = ended.end else { panic!("{:?}", ended.end) };
        assert!(why.contains("`wflo:db/sql.query`"), "{why}");
    }
}

#[tokio::test]
async fn an_error_of_a_call_is_the_guests_to_handle() {
    let denied = CallError::AccessDenied { message: "`bank` is not granted".into() };
    let (ended, _) =
        run_with("query", Recorder::answering([Answer::Result(Err(denied))]), &Limits::default()).await;
    let End::Output(output) = ended.end else { panic!("{:?}", ended.end) };
    assert!(output.as_str().unwrap().contains("AccessDenied(\"`bank` is not granted\")"), "{output}");
}

#[tokio::test]
async fn the_guests_own_failures_are_kept_apart() {
    for (step, kind) in [
        ("permanent", FailureKind::Permanent),
        ("retryable", FailureKind::Retryable),
        ("redo", FailureKind::Redo),
        ("no such step", FailureKind::Permanent),
    ] {
        let (ended, _) = run(step).await;
        assert!(matches!(&ended.end, End::Failed(failure) if failure.kind == kind), "{:?}", ended.end);
    }
}

#[tokio::test]
async fn a_step_knows_what_its_context_says() {
    let context = StepContext {
        run: "01J".into(),
        step: "take_action".into(),
        attempt: 2,
        inputs: serde_json::from_value(json!({"amount": 12})).unwrap(),
        outputs: [("before".parse().unwrap(), json!({"risk": "high"}).into())].into(),
        item: Some(json!("item")),
        folders: Vec::new(),
        arguments: None,
        decision: Some(Decision {
            status: DecisionStatus::Approved,
            votes: vec![DecisionVote { by: "alice".into(), approved: true, comment: Some("fine".into()) }],
        }),
    };
    let (ended, gate) =
        run_with("context", Recorder { context, ..Recorder::default() }, &Limits::default()).await;
    let End::Output(output) = ended.end else { panic!("{:?}", ended.end) };
    let expect = json!([
        "01J", "take_action", 2, 12, null, {"risk": "high"}, "item", "Status::Approved: alice true fine"
    ]);
    assert_eq!(output, expect);
    assert!(gate.calls.is_empty());
}

#[tokio::test]
async fn a_component_says_what_it_holds_and_undoes_it() {
    let odd = program("odd").await;
    let steps = odd.describe().await.unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!((steps[0].name.as_str(), steps[0].compensates), ("ok", true));
    assert_eq!(steps[0].facts, [("risk".to_owned(), "{\"type\":\"number\"}".to_owned())]);

    let undo = Undo { step: "ok".into(), item: None, output: Some(json!({"ok": true})), certain: true };
    let ended = odd.compensate(&undo, Box::new(Recorder::default()), &Limits::default()).await;
    assert!(matches!(ended.end, End::Output(value) if value.is_null()));
    let uncertain = Undo { certain: false, ..undo };
    let ended = odd.compensate(&uncertain, Box::new(Recorder::default()), &Limits::default()).await;
    assert!(matches!(ended.end, End::Failed(_)));
}

#[tokio::test]
async fn a_call_to_the_host_while_describing_is_a_fault() {
    let error = program("greedy").await.describe().await.unwrap_err();
    let DescribeError::Fault { fault } = error else { panic!("{error}") };
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.contains("while it describes itself"), "{fault}");
}

#[tokio::test]
async fn attempts_wait_for_room() {
    let sandbox = Sandbox::new(SandboxConfig { instances: 1, ..SandboxConfig::default() }).unwrap();
    let odd = sandbox.load(&guests::component("odd").into()).await.unwrap();
    let one = || async {
        let gate = Box::new(Recorder::default());
        odd.run("loop_forever", gate, &Limits { fuel: 30_000_000, ..Limits::default() }).await.end
    };
    let (first, second, third) = tokio::join!(one(), one(), one());
    for end in [first, second, third] {
        assert!(matches!(end, End::Fault(Fault { kind: FaultKind::OutOfFuel, .. })), "{end:?}");
    }
}
