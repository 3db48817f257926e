//! What moves a run from outside: time, people who end it or say what they know, a fork.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use wflo_engine::{
    AttemptEnd, CallClass, Event, Outcome, ParkReason, Place, Resolution, RunStatus, StepStatus, Verdict,
    decide, next_due, standing,
};
use wflo_manifest::{ApprovalRule, Approver, PlanStep, Quorum};
use wflo_model::{FailureKind, RunId, Timestamp};

use crate::driver::{
    Driver, asks_for_money, cancel, decides, give_up, intent, park, plan, step, unit, wants_money,
};

#[test]
fn a_timer_fires_when_it_is_due_and_the_attempt_goes_on() {
    let mut run = Driver::new(plan(vec![step("a", &[])]));
    run.settle();
    let until = run.now.after(Duration::from_secs(60));
    park(&mut run, "a", ParkReason::Timer { until });
    assert_eq!(run.settle(), []);
    assert_eq!((run.state.status(), next_due(&run.state)), (RunStatus::Parked, Some(until)));
    run.now = until;
    assert_eq!(run.settle(), [("a".into(), 1)]);
    assert_eq!(run.state.status(), RunStatus::Running);
}

#[test]
fn a_cancelled_run_charges_what_was_under_way_and_ends() {
    let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &[]), step("c", &["a"])]));
    run.settle();
    intent(&mut run, "a", CallClass::Repeatable, "0.5");
    cancel(&mut run);
    assert_eq!(run.settle(), []);
    assert_eq!(run.state.status(), RunStatus::Cancelled);
    assert_eq!(run.state.error(), Some("cancelled by `rita`: enough"));
    assert_eq!(run.state.ledger().settled().to_string(), "0.5");
    assert_eq!(run.state.ledger().held().to_string(), "0");
    assert_eq!(["a", "b", "c"].map(|name| run.status(name)), [StepStatus::Cancelled; 3]);
}

#[test]
fn a_step_past_its_commit_point_is_finished_before_a_cancelled_run_ends() {
    let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &["a"])]));
    run.settle();
    let committing = Event::Committing {
        output: json!(1),
        databases: vec![],
        changes: BTreeMap::default(),
        inserted: BTreeMap::default(),
        fuel: 1,
        memory_peak: 1,
    };
    run.append(Place::attempt(&unit("a"), 1), committing);
    cancel(&mut run);
    assert_eq!(run.settle(), [("a".into(), 1)]);
    run.end("a", AttemptEnd::Succeeded { output: json!(1) });
    assert_eq!(run.settle(), []);
    assert_eq!((run.state.status(), run.status("a")), (RunStatus::Cancelled, StepStatus::Succeeded));
}

#[test]
fn nobody_knows_until_somebody_says_so() {
    for cancelled in [false, true] {
        let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &["a"])]));
        run.settle();
        let intent = intent(&mut run, "a", CallClass::Unsafe, "0");
        if cancelled {
            cancel(&mut run);
        } else {
            park(&mut run, "a", ParkReason::Unknown { intent, call: "test:it.call".into() });
        }
        assert_eq!(run.settle(), [], "nothing goes on by itself");
        assert_eq!(run.state.status(), RunStatus::Parked);
        assert!(run.state.unit(&unit("a")).is_unknown());
        let resolution = Resolution::Done { value: json!("it was") };
        let event = Event::Resolved { intent, resolution, by: "rita".parse().unwrap() };
        run.append(Place::attempt(&unit("a"), 1).call(1), event);
        if cancelled {
            assert_eq!(run.settle(), []);
            assert_eq!(run.state.status(), RunStatus::Cancelled);
        } else {
            assert_eq!(run.settle(), [("a".into(), 1)]);
        }
    }
}

#[test]
fn what_is_decided_and_not_acted_upon_can_move() {
    let gate = |approver: &str| ApprovalRule::new(vec![Approver::new(approver)], Quorum::EachListed);
    let gated = |name: &str| PlanStep { approval: Some(gate("fraud")), ..step(name, &[]) };
    let moves = |run: &Driver| {
        let commands = decide(&run.run, &run.plan, &run.state, run.now);
        assert!(!commands.is_empty(), "there is nothing to do");
        assert_eq!(run.state.status(), RunStatus::Running);
    };
    let until = Timestamp::from_micros(1_000_000_000);
    // A step may start while another waits for people, or for a timer.
    for outcome in [Outcome::Approved, Outcome::Rejected] {
        let mut run = Driver::new(plan(vec![gated("a"), gated("b")]));
        run.settle();
        assert_eq!((run.state.status(), run.state.open().count()), (RunStatus::Waiting, 2));
        let first = run.state.open().next().unwrap().id;
        decides(&mut run, first, outcome);
        moves(&run);
        let mut run = Driver::new(plan(vec![gated("a"), step("b", &[])]));
        run.settle();
        park(&mut run, "b", ParkReason::Timer { until });
        assert_eq!(run.state.status(), RunStatus::Waiting);
        let first = run.state.open().next().unwrap().id;
        decides(&mut run, first, outcome);
        moves(&run);
    }
    // Money is there, or is not asked for any more.
    let mut run = Driver::new(plan(vec![step("a", &[])]));
    run.settle();
    wants_money(&mut run, "a");
    for (outcome, status) in [(Outcome::Rejected, RunStatus::Parked), (Outcome::Approved, RunStatus::Running)]
    {
        let asked = asks_for_money(&mut run);
        assert_eq!(run.state.status(), RunStatus::Waiting);
        decides(&mut run, asked, outcome);
        assert_eq!(run.state.status(), status);
    }
    moves(&run);
    // Somebody has cancelled it; what nobody knows has to be said first.
    let mut run = Driver::new(plan(vec![gated("a"), step("b", &[])]));
    run.settle();
    let intent = intent(&mut run, "b", CallClass::Unsafe, "0");
    park(&mut run, "b", ParkReason::Unknown { intent, call: "test:it.call".into() });
    assert_eq!(run.state.status(), RunStatus::Waiting);
    cancel(&mut run);
    moves(&run);
    assert_eq!((run.settle(), run.state.status()), (vec![], RunStatus::Parked));
    give_up(&mut run, "b", intent, "olga");
    moves(&run);
    // So it is where a step has failed.
    let mut run = Driver::new(plan(vec![gated("a"), step("b", &[])]));
    run.settle();
    run.fail("b", FailureKind::Permanent);
    moves(&run);
}

#[test]
fn what_follows_in_the_plan_can_move_while_another_step_waits() {
    let rule = ApprovalRule::new(vec![Approver::new("fraud")], Quorum::EachListed);
    let gated = PlanStep { approval: Some(rule), ..step("c", &[]) };
    let mut run = Driver::new(plan(vec![step("a", &[]), step("b", &["a"]), gated]));
    run.settle();
    let stands = |run: &Driver| standing(&run.run, &run.plan, &run.state, run.now);
    assert_eq!(stands(&run), RunStatus::Running);
    // The process is stopped as soon as it has written down how the attempt ended.
    run.succeed("a");
    assert_eq!((run.state.status(), stands(&run)), (RunStatus::Waiting, RunStatus::Running));
    run.settle();
    run.succeed("b");
    assert_eq!((run.settle(), stands(&run)), (vec![], RunStatus::Waiting));
}

/// Earlier versions left the approvals of a run open when it was forked, and forked one that was being rolled back:
/// nothing moves it any more all the same.
#[test]
fn a_run_that_was_forked_is_superseded_whatever_was_open() {
    let rule = ApprovalRule::new(vec![Approver::new("red")], Quorum::EachListed);
    let gated = PlanStep { approval: Some(rule), ..step("a", &[]) };
    let mut driver = Driver::new(plan(vec![gated]));
    driver.settle();
    let child = RunId::new(Timestamp::from_micros(2), [1; 10]);
    let mut rolled_back = Driver::new(plan(vec![step("a", &[])]));
    rolled_back.settle();
    rolled_back.succeed("a");
    rolled_back.settle();
    rolled_back.append(Place::RUN, Event::RollbackStarted { by: None, to: None, only: Vec::new() });
    for driver in [&mut driver, &mut rolled_back] {
        driver.append(Place::RUN, Event::Superseded { by: child });
        assert_eq!((driver.state.status(), driver.state.open().count()), (RunStatus::Superseded, 0));
        assert_eq!((driver.settle(), next_due(&driver.state)), (Vec::new(), None));
    }
    driver.vote("alice", "red", Verdict::Approve);
    assert_eq!(driver.state.approvals().last().unwrap().votes.len(), 0, "it is late");
    rolled_back.append(Place::RUN, Event::RollbackEnded { status: RunStatus::RolledBack });
    assert_eq!(rolled_back.state.status(), RunStatus::Superseded);
}
