//! Forks of runs that were rolled back, wait for people, or were given money: who goes on, with what.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value, json};
use wflo::{
    Fork, Retention, RollbackView, RunStatus, RunView, RuntimeError, Start, StepStatus, Verdict, Voter,
};
use wflo_engine::{AttemptEnd, Event, RollbackPlan, RunState};
use wflo_journal::FaultSync;
use wflo_manifest::{ApprovalRule, Approver, OnItemFailure, Plan, PlanStep, Quorum};
use wflo_model::{PicoUsd, PrincipalName, RunId};

use crate::rollback::{kept, played, rolled_back};
use crate::support::{COMPONENT, Process, World, effects};
use crate::sweep::{plan, step};

fn olga() -> PrincipalName {
    "olga".parse().unwrap()
}

fn voter(name: &str, group: &str) -> Voter {
    Voter { name: name.parse().unwrap(), groups: [group.parse().unwrap()].into() }
}

async fn fork(process: &Process, run: RunId, at: u64) -> Result<RunId, RuntimeError> {
    process.runtime.fork(Fork { run, at, keep: false }, &olga()).await
}

/// Makes a fork and plays it.
pub(crate) async fn forked(process: &Process, run: RunId, at: u64) -> (RunId, RunView) {
    let child = fork(process, run, at).await.unwrap();
    let view = drive(process, child).await;
    (child, view)
}

async fn drive(process: &Process, run: RunId) -> RunView {
    let view = process.runtime.drive(run, &process.host, None).await.unwrap();
    assert_eq!(process.runtime.show(run).await.unwrap().status, view.status);
    if view.status.is_final() {
        let replay = process.runtime.replay(run).await.unwrap();
        assert!(replay.identical, "{replay:?}");
    }
    view
}

/// Begins a run, which may not come to its end.
async fn begun(process: &Process, plan: &Plan) -> (RunId, RunView) {
    let components = vec![COMPONENT.into()];
    let requester = "rita".parse().unwrap();
    let start = Start { plan: plan.clone(), components, inputs: Map::new(), requester, key: None };
    let run = process.runtime.start(start).await.unwrap();
    (run, drive(process, run).await)
}

/// The event that ends a step.
pub(crate) async fn end_of(process: &Process, run: RunId, step: &str) -> u64 {
    let events = process.runtime.events(run).await.unwrap();
    let ends = |event: &Event| matches!(event, Event::AttemptEnded { end: AttemptEnd::Succeeded { .. }, .. });
    let mut ends = events.iter().filter(|it| ends(&it.event));
    let of_step = ends.find(|it| it.place.step.as_ref().is_some_and(|name| name.as_str() == step));
    of_step.expect("the step has ended").seq
}

async fn state_of(process: &Process, run: RunId) -> RunState {
    RunState::replay(&process.runtime.events(run).await.unwrap()).unwrap()
}

fn attempts(view: &RunView) -> Vec<u32> {
    view.steps.iter().map(|step| step.attempts).collect()
}

fn again(needs: &[&str]) -> PlanStep {
    PlanStep { name: "again".parse().unwrap(), ..kept("note", needs) }
}

fn not_forkable(refused: Result<RunId, RuntimeError>) -> String {
    match refused {
        Err(RuntimeError::NotForkable { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_run_that_is_being_rolled_back_is_not_forked() {
    let world = World::new();
    let approvers = vec![Approver::new("blue")];
    let plan = Plan { rollback_approvers: approvers, ..plan(vec![kept("note", &[])], None) };
    let (process, run, view) = played(&world, &plan).await;
    process.runtime.rollback(run, None, &olga()).await.unwrap();
    assert_eq!(not_forkable(fork(&process, run, view.events).await), "it is being rolled back");
    let waits = drive(&process, run).await;
    assert_eq!(waits.status, RunStatus::Waiting);
    assert_eq!(not_forkable(fork(&process, run, view.events).await), "it is being rolled back");

    // People are against it: it stands where it stood.
    let approval = waits.waiting_for[0].id.unwrap();
    process.runtime.vote(approval, &voter("carol", "blue"), Verdict::Reject, None).await.unwrap();
    assert_eq!(drive(&process, run).await.status, RunStatus::Succeeded);
    let (_, child) = forked(&process, run, view.events).await;
    assert_eq!((child.status, attempts(&child)), (RunStatus::Succeeded, vec![0]), "nothing was undone");
    assert_eq!(process.runtime.show(run).await.unwrap().status, RunStatus::Superseded);
    assert_eq!(effects(&world.database()).0, 1);
}

#[tokio::test]
async fn what_a_run_was_waiting_for_is_nobodys_to_decide_once_it_is_forked() {
    let world = World::new();
    let rule = ApprovalRule::new(vec![Approver::new("red")], Quorum::EachListed);
    let gated = PlanStep { approval: Some(rule), ..kept("note", &[]) };
    let plan = plan(vec![gated], None);
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let (run, view) = begun(&process, &plan).await;
    let asked = view.waiting_for[0].id.unwrap();
    let (child, waits) = forked(&process, run, 1).await;
    assert_eq!(process.runtime.approval(asked).await.unwrap().status, "superseded");
    let open: Vec<_> = process.runtime.approvals(false).await.unwrap().iter().map(|it| it.run).collect();
    assert_eq!(open, [child]);

    let late = process.runtime.vote(asked, &voter("alice", "red"), Verdict::Approve, None).await.unwrap();
    assert_eq!((late.status.as_str(), late.votes.len()), ("superseded", 0));
    assert_eq!(process.runtime.show(run).await.unwrap().status, RunStatus::Superseded);
    let asked = waits.waiting_for[0].id.unwrap();
    process.runtime.vote(asked, &voter("alice", "red"), Verdict::Approve, None).await.unwrap();
    assert_eq!(drive(&process, child).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn what_was_rolled_back_is_no_effect_and_is_done_anew() {
    let world = World::new();
    let steps = vec![kept("note", &[]), step("post", &["note"]), again(&["post"])];
    let plan = plan(steps, None);
    let (process, run, _) = played(&world, &plan).await;
    let at = end_of(&process, run, "note").await;
    match fork(&process, run, at).await {
        Err(RuntimeError::Effects { units, .. }) => {
            let units: Vec<_> = units.iter().map(ToString::to_string).collect();
            assert_eq!(units, ["again", "post"]);
        }
        other => panic!("{other:?}"),
    }
    rolled_back(&process, run, Some("note")).await;
    assert_eq!((effects(&world.database()).0, world.site.done()), (1, vec!["/do".into(), "/undo".into()]));
    let (child, view) = forked(&process, run, at).await;
    assert_eq!((view.status, attempts(&view)), (RunStatus::Succeeded, vec![0, 1, 1]));
    assert_eq!(effects(&world.database()).0, 2);

    // All of it is rolled back, and the last event is one of that: nothing has its output from there.
    rolled_back(&process, child, None).await;
    assert_eq!(effects(&world.database()), (0, Vec::new()));
    let at = process.runtime.show(child).await.unwrap().events;
    let (_, view) = forked(&process, child, at).await;
    assert_eq!((view.status, attempts(&view)), (RunStatus::Succeeded, vec![1; 3]));
    assert_eq!(effects(&world.database()).0, 2);
    assert_eq!(world.site.done(), ["/do", "/do", "/do", "/undo", "/undo"]);
}

/// A step whose call was compensated makes it itself, and then that is what is compensated: nothing is twice.
#[tokio::test]
async fn what_was_compensated_is_not_lent() {
    let world = World::new();
    let (process, run, _) = played(&world, &plan(vec![step("post", &[])], None)).await;
    let at = end_of(&process, run, "post").await - 1;
    rolled_back(&process, run, None).await;
    let (child, view) = forked(&process, run, at).await;
    assert_eq!(
        (view.status, world.site.done()),
        (RunStatus::Succeeded, ["/do", "/do", "/undo"].map(String::from).into())
    );
    rolled_back(&process, child, None).await;
    assert_eq!(world.site.done(), ["/do", "/do", "/undo", "/undo"]);
}

/// What a run did in the steps that its fork has from it is undone with the fork, and with the fork of that.
#[tokio::test]
async fn a_fork_undoes_what_its_parents_did_in_the_steps_it_has_from_them() {
    let world = World::new();
    let steps = vec![kept("note", &[]), step("post", &["note"]), again(&["post"]), step("think", &["again"])];
    let (process, run, _) = played(&world, &plan(steps, None)).await;
    let at = end_of(&process, run, "again").await;
    let (child, _) = forked(&process, run, at).await;
    let at = process.runtime.show(child).await.unwrap().events;
    // Its own beginning is before all that it has from there.
    assert!(
        matches!(fork(&process, child, 1).await, Err(RuntimeError::Effects { units, .. }) if units.len() == 3)
    );
    let (last, view) = forked(&process, child, at).await;
    assert_eq!((view.status, attempts(&view)), (RunStatus::Succeeded, vec![0; 4]));

    let think = "think".parse().unwrap();
    assert!(process.runtime.rollback_plan(last, Some(&think)).await.unwrap().is_empty(), "all of it stays");
    let planned = process.runtime.rollback_plan(last, None).await.unwrap();
    let undo: Vec<_> = planned.undo.iter().map(|undo| (undo.step.as_str(), undo.run)).collect();
    assert_eq!(undo, [("again", Some(run)), ("note", Some(run))]);

    let (view, rollback) = rolled_back(&process, last, Some("post")).await;
    assert_eq!((view.status, undone(&rollback)), (RunStatus::RolledBack, vec!["again"]));
    assert_eq!((effects(&world.database()).0, world.site.done()), (1, vec!["/do".to_owned()]));
    let (view, rollback) = rolled_back(&process, last, None).await;
    assert_eq!((view.status, undone(&rollback)), (RunStatus::RolledBack, vec!["note"]));
    assert_eq!(
        (effects(&world.database()), world.site.done()),
        ((0, Vec::new()), vec!["/do".into(), "/undo".into()])
    );
    let statuses: Vec<_> = view.steps.iter().map(|step| step.status).collect();
    let back = StepStatus::RolledBack;
    assert_eq!(statuses, [back, back, back, StepStatus::Succeeded]);
}

/// Each item is compensated by itself, and told what it was, what it returned, and whether that is certain.
#[tokio::test]
async fn a_fork_compensates_the_items_of_its_parents() {
    let world = World::new();
    let items = Some("['a', 'b', 'c']".parse().unwrap());
    let collect = OnItemFailure::Collect;
    let posts = PlanStep { for_each: items, on_item_failure: collect, ..step("post-each", &[]) };
    let plan = plan(vec![posts, step("think", &["post-each"])], None);
    let (process, run, _) = played(&world, &plan).await;
    let at = process.runtime.show(run).await.unwrap().events;
    let (child, _) = forked(&process, run, at).await;
    let (last, view) = forked(&process, child, 3).await;
    assert_eq!((view.status, attempts(&view)), (RunStatus::Succeeded, vec![0, 0]));
    assert_eq!(world.site.done(), ["/do", "/do", "/do"]);

    let planned = process.runtime.rollback_plan(last, None).await.unwrap();
    let compensate: Vec<_> = planned.compensate.iter().map(|it| (it.item, it.certain)).collect();
    assert_eq!(compensate, [(Some(2), true), (Some(1), true), (Some(0), true)]);
    assert!(planned.left.is_empty(), "{:?}", planned.left);
    let (view, rollback) = rolled_back(&process, last, None).await;
    assert_eq!((view.status, rollback.compensated.len()), (RunStatus::RolledBack, 3));
    assert_eq!(view.steps[0].status, StepStatus::RolledBack);
    let told = |item: &str, output: Value| json!({ "step": "post-each", "item": item, "output": output, "certain": true });
    let told = [told("c", json!("c")), told("b", Value::Null), told("a", json!("a"))];
    assert_eq!(world.site.told("/undo"), told);

    // There is nothing left to refuse another fork for, and it does all of it anew.
    let at = process.runtime.show(last).await.unwrap().events;
    let (_, view) = forked(&process, last, at).await;
    assert_eq!(attempts(&view), [3, 1]);
}

/// Who has to agree to a rollback is asked about what the parents of a fork did, too.
#[tokio::test]
async fn people_agree_to_what_a_fork_undoes_for_its_parents() {
    let world = World::new();
    let items = Some("['a', 'c']".parse().unwrap());
    let posts = PlanStep { for_each: items, ..step("post-each", &[]) };
    let steps = vec![posts, step("apply", &["post-each"])];
    let plan = Plan { rollback_approvers: vec![Approver::new("blue")], ..plan(steps, None) };
    let (process, run, view) = played(&world, &plan).await;
    let (child, _) = forked(&process, run, view.events).await;
    let (waits, _) = rolled_back(&process, child, None).await;
    assert_eq!((waits.status, world.site.told("/undo").len()), (RunStatus::Waiting, 0));
    let approval = waits.waiting_for[0].id.unwrap();
    let shows = process.runtime.approval(approval).await.unwrap().shows;
    let planned: RollbackPlan = serde_json::from_value(shows["rollback"].clone()).unwrap();
    assert_eq!((planned.compensate.len(), planned.reapply.len()), (2, 1));
    assert_eq!(world.infra.stands().1, 1);

    process.runtime.vote(approval, &voter("carol", "blue"), Verdict::Approve, None).await.unwrap();
    assert_eq!(drive(&process, child).await.status, RunStatus::RolledBack);
    assert_eq!((world.site.told("/undo").len(), world.infra.stands()), (2, (None, 2)));
}

fn undone(rollback: &RollbackView) -> Vec<&str> {
    rollback.undone.iter().map(|undone| undone.step.as_str()).collect()
}

#[tokio::test]
async fn a_fork_has_the_money_of_its_parent_and_what_that_has_spent() {
    let usd = |text: &str| -> PicoUsd { text.parse().unwrap() };
    let world = World::new();
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let approvers = vec![Approver::new("money")];
    let plan = Plan { budget_approvers: approvers, ..plan(vec![step("think", &[])], Some("0.30")) };
    let (run, view) = begun(&process, &plan).await;
    assert_eq!((view.status, view.cost_usd), (RunStatus::Parked, usd("0.15")));
    let asked = process.runtime.top_up(run, usd("0.20"), &"rita".parse().unwrap()).await.unwrap();
    process.runtime.vote(asked.id, &voter("dave", "money"), Verdict::Approve, None).await.unwrap();
    assert_eq!(drive(&process, run).await.cost_usd, usd("0.30"));

    // From the very beginning: what came later was spent all the same.
    let (_, view) = forked(&process, run, 1).await;
    assert_eq!((view.status, view.cost_usd), (RunStatus::Parked, usd("0.45")));
    assert_eq!(view.budget_usd, Some(usd("0.50")));
}

/// A call that cost more than was held for it freezes the account, in a fork as well, until people raise it.
#[tokio::test]
async fn a_fork_has_the_frozen_accounts_of_its_parent() {
    let usd = |text: &str| -> PicoUsd { text.parse().unwrap() };
    let world = World::new();
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let approvers = vec![Approver::new("money")];
    let think = PlanStep { budget: Some(usd("5")), ..step("think", &[]) };
    let plan = Plan { budget_approvers: approvers, ..plan(vec![think], Some("9")) };
    world.model.answers.store(30, Ordering::SeqCst);
    let (run, view) = begun(&process, &plan).await;
    let parent = state_of(&process, run).await;
    let overrun = parent.ledger().overrun();
    assert_eq!((view.status, overrun > PicoUsd::ZERO), (RunStatus::Parked, true));

    // It is the same of a fork of the fork.
    world.model.answers.store(5, Ordering::SeqCst);
    let (child, _) = forked(&process, run, 1).await;
    let (last, view) = forked(&process, child, 1).await;
    let ledger = state_of(&process, last).await.ledger().clone();
    assert_eq!((view.status, ledger.settled()), (RunStatus::Parked, parent.ledger().settled()));
    assert_eq!((ledger.overrun(), ledger.frozen()), (overrun, parent.ledger().frozen()));
    assert_eq!(world.model.calls.lock().unwrap().len(), 1, "nothing is asked");
    let asked = process.runtime.top_up(last, usd("1"), &"rita".parse().unwrap()).await.unwrap();
    process.runtime.vote(asked.id, &voter("dave", "money"), Verdict::Approve, None).await.unwrap();
    assert_eq!(drive(&process, last).await.status, RunStatus::Succeeded);
    // And then it is thawed for good.
    let at = end_of(&process, last, "think").await - 1;
    let (_, view) = forked(&process, last, at).await;
    assert_eq!(view.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_run_is_kept_as_long_as_a_fork_of_it() {
    let world = World::new();
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let (run, _) = begun(&process, &plan(vec![kept("note", &[]), step("wait", &["note"])], None)).await;
    let at = end_of(&process, run, "note").await;
    let (child, _) = forked(&process, run, at).await;
    let at = process.runtime.show(child).await.unwrap().events;
    let (last, view) = forked(&process, child, at).await;
    assert_eq!(view.status, RunStatus::Parked);

    let all = Retention { ended_for: Duration::ZERO };
    assert_eq!(process.runtime.gc(all, false, &olga()).await.unwrap().runs, 0, "it goes on in their place");
    let refused = process.runtime.erase(run, &olga()).await;
    assert!(matches!(refused, Err(RuntimeError::HasForks { forks, .. }) if forks == [child, last]));
    process.runtime.cancel(last, &olga(), None).await.unwrap();
    assert_eq!(drive(&process, last).await.status, RunStatus::Cancelled);
    for run in [last, child, run] {
        process.runtime.erase(run, &olga()).await.unwrap();
    }
    assert_eq!(process.runtime.gc(all, false, &olga()).await.unwrap().runs, 3);
}
