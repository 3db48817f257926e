//! People who are asked before a step, and in the middle of one.

use std::time::Duration;

use serde_json::json;
use wflo_engine::{Event, GateAt, GatedCall, Place, RunStatus, StepStatus, Verdict, next_due};
use wflo_manifest::{ApprovalRule, Approver, OnReject, Quorum};
use wflo_model::{ApprovalId, Call, Digest};

use crate::driver::{Driver, gated, plan, step, unit};

#[test]
fn a_gated_step_waits_for_everybody_and_consumes_what_they_gave() {
    let mut run = Driver::new(gated());
    run.settle();
    run.succeed("look");
    assert_eq!(run.settle(), []);
    assert_eq!((run.state.status(), run.status("act")), (RunStatus::Waiting, StepStatus::Waiting));
    run.vote("alice", "fraud", Verdict::Approve);
    assert_eq!(run.settle(), []);
    run.vote("carol", "compliance", Verdict::Approve);
    assert_eq!(run.settle(), [("act".into(), 1)]);
    run.succeed("act");
    run.settle();
    assert_eq!(run.state.status(), RunStatus::Succeeded);
    assert_eq!(run.state.approvals().count(), 1);
}

#[test]
fn a_rejection_fails_the_run_or_skips_the_step() {
    for (on_reject, status) in [(OnReject::Fail, RunStatus::Failed), (OnReject::Skip, RunStatus::Succeeded)] {
        let mut plan = gated();
        plan.steps[1].approval.as_mut().unwrap().on_reject = on_reject;
        let mut run = Driver::new(plan);
        run.settle();
        run.succeed("look");
        run.settle();
        run.vote("alice", "fraud", Verdict::Reject);
        assert_eq!(run.settle(), []);
        assert_eq!(run.state.status(), status);
    }
}

#[test]
fn an_approval_expires_by_the_clock_alone() {
    let mut run = Driver::new(gated());
    run.settle();
    run.succeed("look");
    run.settle();
    assert_eq!(next_due(&run.state), Some(run.now.after(Duration::from_secs(3600))));
    run.now = run.now.after(Duration::from_secs(3600));
    run.settle();
    assert_eq!(run.state.status(), RunStatus::Failed);
    assert!(run.state.error().unwrap().contains("expired"), "{:?}", run.state.error());
}

#[test]
fn an_approval_not_used_in_time_is_asked_again() {
    let mut run = Driver::new(gated());
    run.settle();
    run.succeed("look");
    run.settle();
    run.vote("alice", "fraud", Verdict::Approve);
    run.vote("carol", "compliance", Verdict::Approve);
    run.now = run.now.after(ApprovalRule::VALID);
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Waiting);
    assert_eq!(run.state.approvals().count(), 2);
}

#[test]
fn a_question_in_the_middle_of_a_step_waits_and_the_attempt_goes_on() {
    let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &[])]));
    run.settle();
    let subject = Digest::of(b"what is asked");
    let opened = Event::ApprovalOpened {
        id: ApprovalId::derive(&subject, 1),
        at: GateAt::Call,
        call: Some(GatedCall::new(Call::new("test:it", "ask", json!({})), subject, subject)),
        subject,
        shows: json!({}),
        rule: ApprovalRule::new(vec![Approver::new("fraud")], Quorum::EachListed),
        expires_at: None,
        asks: Vec::new(),
        follows: None,
        authors: Vec::new(),
        amount: None,
    };
    run.append(Place::attempt(&unit("a"), 1).call(1), opened);
    assert_eq!(run.settle(), [("b".into(), 1)]);
    assert_eq!((run.state.status(), run.status("a")), (RunStatus::Running, StepStatus::Waiting));
    run.succeed("b");
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Waiting);
    run.vote("alice", "fraud", Verdict::Reject);
    assert_eq!(run.settle(), [("a".into(), 1)], "the guest is told, whatever was decided");
}
