//! Rollback: everything that can be undone is, once, whatever is killed meanwhile; what cannot is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wflo::{RollbackView, RunStatus, RunView, StepStatus, Verdict, Voter};
use wflo_journal::FaultSync;
use wflo_manifest::{Approver, OnFailure, Plan, PlanStep, Retry};
use wflo_model::{ConflictReason, RunId, SqlValue};

use crate::support::{Process, World, effects};
use crate::sweep::{go_on, plan, step, sweep};

pub(crate) fn kept(name: &str, needs: &[&str]) -> PlanStep {
    PlanStep { rollback: true, ..step(name, needs) }
}

/// Plays a plan to its end in one process.
pub(crate) async fn played(world: &World, plan: &Plan) -> (Process, RunId, RunView) {
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let (run, view) = go_on(&process, plan).await.unwrap();
    (process, run, view)
}

pub(crate) async fn rolled_back(process: &Process, run: RunId, to: Option<&str>) -> (RunView, RollbackView) {
    let to = to.map(|name| name.parse().unwrap());
    process.runtime.rollback(run, to, &"olga".parse().unwrap()).await.unwrap();
    let view = process.runtime.drive(run, &process.host, None).await.unwrap();
    let replay = process.runtime.replay(run).await.unwrap();
    assert!(replay.identical, "{replay:?}");
    let rollback = view.rollback.clone().unwrap();
    (view, rollback)
}

#[test]
fn a_run_that_fails_undoes_what_it_did_once_whenever_it_is_killed() {
    let steps = vec![kept("note", &[]), step("post", &["note"]), step("refuse", &["post"])];
    let plan = Plan { on_failure: OnFailure::Rollback, ..plan(steps, None) };
    sweep(&plan, |calm| {
        assert_eq!(calm.status, RunStatus::RolledBack);
        assert_eq!(calm.effects, (0, Vec::new()));
        assert_eq!(calm.done, ["/do", "/undo"]);
    });
}

#[test]
fn the_writes_of_items_and_of_steps_that_change_the_same_row_are_undone_newest_first() {
    let items = Some("['a', 'b', 'c']".parse().unwrap());
    let fans = PlanStep { for_each: items, max_parallel: Some(2), ..kept("note", &[]) };
    let again = PlanStep { name: "again".parse().unwrap(), ..kept("note", &["note"]) };
    let plan =
        Plan { on_failure: OnFailure::Rollback, ..plan(vec![fans, again, step("refuse", &["again"])], None) };
    sweep(&plan, |calm| {
        assert_eq!(calm.status, RunStatus::RolledBack);
        assert_eq!(calm.effects, (0, Vec::new()));
    });
}

#[tokio::test]
async fn a_row_that_somebody_changed_since_is_left_and_told() {
    let world = World::new();
    let (process, run, view) = played(&world, &plan(vec![kept("note", &[])], None)).await;
    assert_eq!((view.status, view.rollback), (RunStatus::Succeeded, None));
    let changes = process.runtime.changes(run).await.unwrap();
    assert_eq!((changes.len(), changes[0].committed, changes[0].changes.row_count()), (1, true, 2));

    let owner = rusqlite::Connection::open(world.database()).unwrap();
    owner.execute_batch("UPDATE counter SET n = 100").unwrap();
    let planned = process.runtime.rollback_plan(run, None).await.unwrap();
    assert_eq!((planned.undo.len(), planned.compensate.len(), planned.left.len()), (1, 0, 0));
    let tried = process.runtime.rollback_trial(run, None, &process.host).await.unwrap();
    assert_eq!(effects(&world.database()).1.len(), 1, "a plan does nothing, and neither does a trial");
    let untried = process.runtime.rollback_trial(run, None, &wflo::Host::default()).await.unwrap();
    assert_eq!((&untried.plan, untried.undone.len(), untried.untried.len()), (&planned, 0, 1));

    let (view, rollback) = rolled_back(&process, run, None).await;
    assert_eq!(view.status, RunStatus::PartiallyRolledBack);
    assert_eq!((&tried.plan, &tried.undone), (&planned, &rollback.undone), "it has told what it comes to");
    assert_eq!(process.runtime.changes(run).await.unwrap()[0].left, Some(1));
    assert_eq!(view.steps[0].status, StepStatus::Succeeded, "not all of it is undone");
    assert_eq!(rollback.by, Some("olga".parse().unwrap()));
    let [undone] = &rollback.undone[..] else { panic!("{rollback:?}") };
    let [conflict] = &undone.conflicts[..] else { panic!("{rollback:?}") };
    assert_eq!(
        (undone.rows, &conflict.table[..], &conflict.reason),
        (1, "counter", &ConflictReason::Changed)
    );
    assert_eq!(conflict.found.as_ref().unwrap()[1], SqlValue::Integer(100));
    assert_eq!(effects(&world.database()), (100, Vec::new()));

    // Once the row is as the step left it, rolling back again undoes the rest, and nothing that others did since.
    owner
        .execute_batch("UPDATE counter SET n = 1; INSERT INTO notes (id, text) VALUES (1, 'the step')")
        .unwrap();
    let planned = process.runtime.rollback_plan(run, None).await.unwrap();
    assert_eq!(planned.undo[0].databases.values().collect::<Vec<_>>(), [&1]);
    let tried = process.runtime.rollback_trial(run, None, &process.host).await.unwrap();
    let (first, (view, rollback)) = (rollback, rolled_back(&process, run, None).await);
    assert_eq!((rollback.undone[0].rows, rollback.undone[0].conflicts.len()), (1, 0));
    assert_eq!((&tried.undone, &view.rollbacks), (&rollback.undone, &vec![first]));
    assert_eq!(process.runtime.changes(run).await.unwrap()[0].left, Some(0));
    assert_eq!(effects(&world.database()), (0, vec!["the step".to_owned()]));
    owner.execute_batch("DELETE FROM notes").unwrap();
    assert_eq!((view.status, view.steps[0].status), (RunStatus::RolledBack, StepStatus::RolledBack));
    assert_eq!(effects(&world.database()), (0, Vec::new()));
    let refused = process.runtime.rollback(run, None, &"olga".parse().unwrap()).await;
    assert!(matches!(refused, Err(wflo::RuntimeError::NotRollable { .. })), "{refused:?}");
}

#[tokio::test]
async fn one_that_is_not_agreed_to_hides_nothing_of_what_another_has_left() {
    let world = World::new();
    let approvers = vec![Approver::new("red")];
    let plan = Plan { rollback_approvers: approvers, ..plan(vec![kept("note", &[])], None) };
    let (process, run, _) = played(&world, &plan).await;
    let owner = rusqlite::Connection::open(world.database()).unwrap();
    owner.execute_batch("UPDATE counter SET n = 100").unwrap();
    let alice = Voter { name: "alice".parse().unwrap(), groups: ["red".parse().unwrap()].into() };
    let mut views = Vec::new();
    for verdict in [Verdict::Approve, Verdict::Reject] {
        process.runtime.rollback(run, None, &"olga".parse().unwrap()).await.unwrap();
        let asked = process.runtime.drive(run, &process.host, None).await.unwrap();
        process.runtime.vote(asked.waiting_for[0].id.unwrap(), &alice, verdict, None).await.unwrap();
        views.push(process.runtime.drive(run, &process.host, None).await.unwrap());
    }
    let [first, second] = &views[..] else { unreachable!("there are two verdicts") };
    assert_eq!([first.status, second.status], [RunStatus::PartiallyRolledBack; 2]);
    assert_eq!(second.rollback.as_ref().unwrap().refused, Some(wflo_engine::Outcome::Rejected));
    assert_eq!(second.rollbacks, [first.rollback.clone().unwrap()]);
    assert_eq!(second.rollbacks[0].undone[0].conflicts.len(), 1);
}

#[tokio::test]
async fn what_nothing_can_undo_is_told_before_and_after() {
    let world = World::new();
    let unkept = PlanStep { name: "unkept".parse().unwrap(), ..step("note", &[]) };
    let steps = vec![unkept, step("post-alone", &["unkept"])];
    let (process, run, _) = played(&world, &plan(steps, None)).await;
    let left: Vec<_> = {
        let plan = process.runtime.rollback_plan(run, None).await.unwrap();
        assert_eq!((plan.compensate.len(), plan.undo.len()), (0, 0));
        plan.left.iter().map(|left| format!("{}: {}, {}", left.step, left.what, left.certain)).collect()
    };
    assert_eq!(
        left,
        [
            "post-alone: `POST https://site.example/do`, true",
            "unkept: what it wrote to database `ledger` without `rollback = true`, true"
        ]
    );
    let (view, rollback) = rolled_back(&process, run, None).await;
    assert_eq!((view.status, rollback.left.len()), (RunStatus::PartiallyRolledBack, 2));
    assert_eq!(effects(&world.database()).0, 1);
}

#[tokio::test]
async fn only_what_came_after_a_step_is_undone_and_the_rest_later() {
    let world = World::new();
    let again = PlanStep { name: "again".parse().unwrap(), ..kept("note", &["post"]) };
    let steps = vec![kept("note", &[]), step("post", &["note"]), again];
    let (process, run, _) = played(&world, &plan(steps, None)).await;
    assert_eq!(effects(&world.database()).0, 2);
    let (view, _) = rolled_back(&process, run, Some("post")).await;
    let statuses: Vec<_> = view.steps.iter().map(|step| step.status).collect();
    assert_eq!(statuses, [StepStatus::Succeeded, StepStatus::Succeeded, StepStatus::RolledBack]);
    assert_eq!((effects(&world.database()).0, world.site.done()), (1, vec!["/do".to_owned()]));
    let (view, rollback) = rolled_back(&process, run, None).await;
    let statuses: Vec<_> = view.steps.iter().map(|step| step.status).collect();
    assert_eq!((view.status, &statuses[..]), (RunStatus::RolledBack, &[StepStatus::RolledBack; 3][..]));
    assert_eq!((rollback.undone.len(), effects(&world.database()).0), (1, 0), "and nothing twice");
}

/// A rollback that left a row is followed by another: what the first has undone stays undone, and is said to be.
#[tokio::test]
async fn what_an_earlier_rollback_has_undone_is_undone_still() {
    let world = World::new();
    let steps = vec![kept("note", &[]), step("post", &["note"])];
    let (process, run, _) = played(&world, &plan(steps, None)).await;
    let owner = rusqlite::Connection::open(world.database()).unwrap();
    owner.execute_batch("UPDATE counter SET n = 100").unwrap();
    for _ in 0..2 {
        let (view, _) = rolled_back(&process, run, None).await;
        let statuses: Vec<_> = view.steps.iter().map(|step| step.status).collect();
        assert_eq!(view.status, RunStatus::PartiallyRolledBack);
        assert_eq!(statuses, [StepStatus::Succeeded, StepStatus::RolledBack]);
        assert_eq!(world.site.done(), ["/do", "/undo"]);
    }
}

#[tokio::test]
async fn a_compensator_is_tried_again_and_one_that_fails_stops_nothing() {
    let world = World::new();
    let post = PlanStep {
        retry: Retry { max_attempts: 3, backoff: Duration::from_millis(1) },
        ..step("post-breaking", &["note"])
    };
    let plan = plan(vec![kept("note", &[]), post], None);
    let (process, run, _) = played(&world, &plan).await;
    world.site.fails.store(4, Ordering::SeqCst);
    let (view, rollback) = rolled_back(&process, run, None).await;
    assert_eq!(view.status, RunStatus::RollbackFailed);
    let compensated = &rollback.compensated[0];
    assert_eq!(
        (compensated.status, compensated.attempts, compensated.certain),
        (StepStatus::Failed, 3, true)
    );
    assert_eq!(compensated.error.as_deref(), Some("the site is broken"));
    assert_eq!(effects(&world.database()), (0, Vec::new()), "the database is undone all the same");
    // It is begun anew when somebody asks again: fails once more, and then is done.
    let (view, rollback) = rolled_back(&process, run, None).await;
    assert_eq!((view.status, rollback.compensated[0].attempts), (RunStatus::RolledBack, 5));
    assert_eq!(world.site.done(), ["/break", "/do"]);
}

/// A component knows its functions, and not what a workflow calls the steps that they run.
#[tokio::test]
async fn steps_that_share_a_function_share_what_undoes_them_and_it_can_tell_which_is_undone() {
    let world = World::new();
    let again = PlanStep { name: "again".parse().unwrap(), ..step("post", &["post"]) };
    let (process, run, _) = played(&world, &plan(vec![step("post", &[]), again], None)).await;
    let (view, _) = rolled_back(&process, run, None).await;
    assert_eq!(view.status, RunStatus::RolledBack);
    let told = world.site.told("/undo");
    assert_eq!(told.iter().map(|told| &told["step"]).collect::<Vec<_>>(), ["again", "post"]);
}

#[tokio::test]
async fn a_run_that_has_not_ended_is_not_rolled_back_and_one_that_is_cannot_be_cancelled() {
    let world = World::new();
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let plan = plan(vec![kept("note", &[])], None);
    let (run, _) = go_on(&process, &plan).await.unwrap();
    process.runtime.rollback(run, None, &"olga".parse().unwrap()).await.unwrap();
    let status = process.runtime.show(run).await.unwrap().status;
    assert_eq!(status, RunStatus::RollingBack);
    let again = process.runtime.rollback(run, None, &"olga".parse().unwrap()).await;
    assert!(matches!(again, Err(wflo::RuntimeError::NotRollable { .. })));
    let cancelled = process.runtime.cancel(run, &"olga".parse().unwrap(), None).await;
    assert!(matches!(cancelled, Err(wflo::RuntimeError::RollingBack { .. })));
    let view = process.runtime.drive(run, &process.host, None).await.unwrap();
    assert_eq!(view.status, RunStatus::RolledBack);
}
