//! A clock that is set back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;
use wflo::{Start, Verdict, Voter};
use wflo_journal::FaultSync;
use wflo_manifest::{ApprovalRule, Approver, PlanStep, Quorum};

use wflo_ports::Clock as _;

use crate::support::{COMPONENT, World};
use crate::sweep::{plan, step};

#[tokio::test]
async fn what_was_too_late_is_not_in_time_again() {
    let world = World::new();
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let rule = ApprovalRule {
        timeout: Some(Duration::from_secs(60)),
        ..ApprovalRule::new(vec![Approver::new("red")], Quorum::EachListed)
    };
    let start = Start {
        plan: plan(vec![PlanStep { approval: Some(rule), ..step("idle", &[]) }], None),
        components: vec![COMPONENT.into()],
        inputs: Map::new(),
        requester: "rita".parse().unwrap(),
        key: None,
    };
    let run = process.runtime.start(start).await.unwrap();
    let view = process.runtime.drive(run, &process.host, None).await.unwrap();
    let id = view.waiting_for[0].id.unwrap();

    // Somebody writes to the run when the time to vote is over; then the clock is set back.
    let before = process.clock.now();
    process.clock.set(before.after(Duration::from_secs(3600)));
    process.runtime.cancel(run, &"rita".parse().unwrap(), None).await.unwrap();
    process.clock.set(before);

    let alice = Voter { name: "alice".parse().unwrap(), groups: ["red".parse().unwrap()].into() };
    let voted = process.runtime.vote(id, &alice, Verdict::Approve, None).await.unwrap();
    assert_eq!((voted.status.as_str(), voted.votes.len()), ("expired", 0));
}
