//! A run that goes on while a database of its writes is away is left where it stands, and goes on when that is back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};
use wflo::{AttemptFailed, Host, Outside, RunStatus, RuntimeError, Start};
use wflo_backends::db::sqlite::{Sqlite, SqliteOptions};
use wflo_journal::FaultSync;
use wflo_manifest::PlanStep;
use wflo_model::RunId;

use crate::support::{COMPONENT, Process, World, effects};
use crate::sweep::{plan, step};
use crate::two_databases::{Both, approve, gated, started};

/// Drives a run whose database is away.
async fn left(process: &Process, run: RunId) -> String {
    match process.runtime.drive(run, &process.host, None).await {
        Err(RuntimeError::Attempt(away @ AttemptFailed::Away { .. })) => away.to_string(),
        other => panic!("its database is away: {other:?}"),
    }
}

#[tokio::test]
async fn what_people_have_approved_stays_approved_while_the_server_is_down() {
    let both = Both::new().await;
    let process = both.process(None).await;
    let run = started(&process, gated("both-unseen")).await;
    let view = process.runtime.drive(run, &process.host, None).await.unwrap();
    let asked = view.waiting_for[0].id.unwrap();
    drop(process);
    let process = both.without_bank().await;
    approve(&process, &view).await;
    for _ in 0..2 {
        let why = left(&process, run).await;
        let said = "database `bank` is away, and what the step has written there is yet to be done again: ";
        assert!(why.contains(said), "{why}");
        assert_eq!(process.runtime.approval(asked).await.unwrap().status, "approved");
        assert_eq!(both.counts(), (0, "0".to_owned()));
    }
    drop(process);
    let view = both.go_on(run).await;
    assert_eq!((view.status, view.steps[0].attempts), (RunStatus::Succeeded, 1), "{view:?}");
    assert_eq!(both.counts(), (1, "1".to_owned()));
}

/// The ledger, for those who do not wait for it long.
async fn hasty(world: &World) -> Process {
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let options =
        SqliteOptions { transaction_timeout: Duration::from_millis(200), ..SqliteOptions::default() };
    let ledger = Sqlite::open(world.database(), options).unwrap();
    let outside = Outside::default().with_database("ledger".parse().unwrap(), Arc::new(ledger));
    Process { host: Host { outside: Arc::new(outside), ..process.host }, ..process }
}

#[tokio::test]
async fn a_resumed_step_waits_for_a_file_that_another_program_holds() {
    // One that is redone in its middle, and one whose output people have approved.
    for step in [step("note-and-wait", &[]), gated("pay")] {
        let (name, is_gated) = (step.name.clone(), step.approval.is_some());
        let world = World::new();
        let process = hasty(&world).await;
        let start = Start {
            plan: plan(vec![PlanStep { ..step }], None),
            components: vec![COMPONENT.into()],
            inputs: Map::new(),
            requester: "rita".parse().unwrap(),
            key: None,
        };
        let run = process.runtime.start(start).await.unwrap();
        let view = process.runtime.drive(run, &process.host, None).await.unwrap();
        match is_gated {
            true => approve(&process, &view).await,
            false => process.clock.set(view.waiting_for[0].until.as_ref().unwrap().parse().unwrap()),
        }
        let mut holder = rusqlite::Connection::open(world.database()).unwrap();
        let held = holder.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        let why = left(&process, run).await;
        assert!(why.contains("did not let the transaction begin"), "{name}: {why}");
        held.rollback().unwrap();
        let view = process.runtime.drive(run, &process.host, None).await.unwrap();
        assert_eq!((view.status, view.steps[0].attempts), (RunStatus::Succeeded, 1), "{name}: {view:?}");
        let done = effects(&world.database());
        match is_gated {
            true => assert_eq!(done, (0, vec!["150".to_owned()])),
            false => assert_eq!((done.0, view.steps[0].output.clone()), (1, Some(json!("1")))),
        }
        assert!(process.runtime.replay(run).await.unwrap().identical, "{name}");
    }
}
