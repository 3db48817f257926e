//! Policies: what they ask for permits one effect, and what they say is said once.

use std::collections::BTreeMap;

use serde_json::json;
use wflo_engine::policy::{Because, Firing};
use wflo_engine::{
    AttemptEnd, CallClass, Event, GateAt, GatedCall, Permitted, Place, Recorded, RunStatus, StepStatus,
    Verdict,
};
use wflo_manifest::{ApprovalRule, Approver, Plan, Policy, PolicyAction, PolicyEvent, Quorum};
use wflo_model::{ApprovalId, Call, Digest};

use crate::driver::{Driver, plan, step, unit};

/// An approval that policies ask for, before call `n` of attempt 1 of `a`; the call may be the claim of a fact.
fn asked(interface: &str, n: u32, ask: Digest) -> (ApprovalId, Digest, Event) {
    let key = Digest::of(&n.to_be_bytes());
    let id = ApprovalId::derive(&key, u64::from(n));
    let asked = Call::new(interface, "call", json!({}));
    let opened = Event::ApprovalOpened {
        id,
        at: GateAt::Call,
        call: Some(GatedCall::new(asked, key, key)),
        subject: key,
        shows: json!({}),
        rule: ApprovalRule::new(vec![Approver::new("fraud")], Quorum::EachListed),
        expires_at: None,
        asks: vec![ask],
        follows: None,
        authors: Vec::new(),
        amount: None,
    };
    (id, key, opened)
}

fn consuming(key: Digest, consumes: ApprovalId) -> Event {
    Event::Intent {
        asked: Call::new("wflo:db/sql", "call", json!({})),
        transcript: None,
        class: CallClass::Transactional,
        args: key,
        key,
        hold: "0".parse().unwrap(),
        max_tokens: None,
        good_until: None,
        consumes: Some(consumes),
        performed: None,
    }
}

#[test]
fn an_approval_that_policies_ask_for_permits_one_effect_and_claims_of_the_same_values() {
    let (ask, other) = (Digest::of(b"150"), Digest::of(b"other"));
    for interface in ["wflo:db/sql", "wflo:approval/policy"] {
        let mut run = Driver::new(plan(vec![step("a", &[])]));
        run.settle();
        let (id, key, opened) = asked(interface, 1, ask);
        let at = |n| Place::attempt(&unit("a"), 1).call(n);
        run.append(at(1), opened);
        let permits = |run: &Driver, what| run.state.approval(&id).unwrap().permits(&[ask], what, run.now);
        assert!(!permits(&run, Permitted::Claim), "nobody has decided");
        run.vote("alice", "fraud", Verdict::Approve);
        assert_eq!(run.settle(), [("a".into(), 1)], "the attempt goes on");

        let is_claim = interface == "wflo:approval/policy";
        assert!(permits(&run, Permitted::Claim) && permits(&run, Permitted::Effect { key: &key }));
        assert_eq!(permits(&run, Permitted::Effect { key: &other }), is_claim, "a claim permits a call");
        assert_eq!(permits(&run, Permitted::Read { args: &other }), is_claim);
        assert!(!run.state.approval(&id).unwrap().permits(&[ask, other], Permitted::Claim, run.now));
        run.append(at(2), consuming(key, id));
        assert!(permits(&run, Permitted::Claim) && permits(&run, Permitted::Effect { key: &key }));
        assert!(!permits(&run, Permitted::Effect { key: &other }), "one effect");
        // The same effect again, as after a crash, is no other one; another one is no history.
        run.append(at(2), consuming(key, id));
        let recorded =
            Recorded { seq: run.state.seq() + 1, time: run.now, place: at(3), event: consuming(other, id) };
        assert!(run.state.clone().apply(&recorded).is_err());
        run.now = run.now.after(ApprovalRule::VALID);
        assert!(!permits(&run, Permitted::Claim), "it lapses");
    }
}

#[test]
fn what_was_rejected_is_rejected_wherever_it_is_asked_again() {
    let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &["a"])]));
    run.settle();
    let ask = Digest::of(b"150");
    let (id, _, opened) = asked("wflo:db/sql", 1, ask);
    run.append(Place::attempt(&unit("a"), 1).call(1), opened);
    run.vote("alice", "fraud", Verdict::Reject);
    let approval = run.state.approval(&id).unwrap();
    assert!(approval.refuses(&[Digest::of(b"other"), ask]) && !approval.refuses(&[Digest::of(b"other")]));
    assert_eq!(approval.refusal(), "rejected by `alice`");
    // People leave the step out in the middle of its attempt: it is not tried again, and what follows goes on.
    run.end("a", AttemptEnd::Skipped { reason: approval.refusal() });
    assert_eq!(run.settle(), [("b".into(), 1)]);
    assert_eq!(run.status("a"), StepStatus::Skipped);
}

#[test]
fn a_policy_that_fired_has_one_form_in_the_journal() {
    let firing = Firing {
        policy: "large_refund".parse().unwrap(),
        digest: Digest::of(b"what it says"),
        on: PolicyEvent::HostCall,
        because: Because::Missing { names: vec!["refund_amount".into()] },
        values: [("refund_amount".to_owned(), json!(null))].into(),
        context: BTreeMap::new(),
        tells: Vec::new(),
    };
    let event = Event::PolicyFired(Box::new(firing));
    assert_eq!(event.kind() as u16, 30);
    let bytes = event.encode();
    assert_eq!(Event::decode(&bytes).unwrap(), event);
    let digest = Digest::of(b"what it says");
    let expect = format!(
        r#"{{"event":"policy_fired","policy":"large_refund","digest":"{digest}","on":"host_call","because":"missing","names":["refund_amount"],"values":{{"refund_amount":null}}}}"#
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expect, "it stays so for ever");
}

#[test]
fn a_policy_at_the_start_refuses_the_run_before_any_step_and_speaks_once() {
    let on_start = |when: &str, action: PolicyAction| Policy {
        name: "night".parse().unwrap(),
        when: when.parse().unwrap(),
        on: [PolicyEvent::RunStart].into(),
        actions: vec![action],
    };
    let with = |policy: Policy| Driver::new(Plan { policies: vec![policy], ..plan(vec![step("a", &[])]) });
    let mut run = with(on_start("run.requester == 'rita'", PolicyAction::Deny));
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Failed);
    assert_eq!(run.state.error(), Some("the run was refused by policy `night`"));
    assert_eq!((run.state.seq(), run.status("a")), (3, StepStatus::Pending), "it fired, and ended");
    // A policy that cannot tell protects all the same.
    let mut run = with(on_start("inputs.hour < 6", PolicyAction::Deny));
    assert_eq!((run.settle(), run.state.status()), (vec![], RunStatus::Failed));

    let mut run = with(on_start("run.requester == 'rita'", PolicyAction::Notify("slack://ops".into())));
    assert_eq!(run.settle(), [("a".into(), 1)]);
    assert_eq!(run.state.seq(), 3, "created, fired, begun");
    run.succeed("a");
    run.settle();
    assert_eq!((run.state.seq(), run.state.status()), (5, RunStatus::Succeeded), "it speaks once");
    let mut run = with(on_start("run.requester == 'mallory'", PolicyAction::Deny));
    assert_eq!((run.settle(), run.state.seq()), (vec![("a".into(), 1)], 2));
}
