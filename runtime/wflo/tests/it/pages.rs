//! Results that are read a part at a time, across a wait in which everything in memory is lost.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use wflo::{RunStatus, RunView, Start};
use wflo_journal::FaultSync;
use wflo_model::RunId;
use wflo_ports::Clock as _;

use crate::support::{COMPONENT, Process, World};
use crate::sweep::{plan, step};

const SIX: &str =
    "DELETE FROM counter; INSERT INTO counter VALUES (1, 10), (2, 20), (3, 30), (4, 40), (5, 50), (6, 60);";

fn write(world: &World, sql: &str) {
    rusqlite::Connection::open(world.database()).unwrap().execute_batch(sql).unwrap();
}

async fn process(world: &World) -> Process {
    world.process(Arc::new(FaultSync::at(0))).await.unwrap()
}

async fn started(process: &Process, name: &str) -> RunId {
    let start = Start {
        plan: plan(vec![step(name, &[])], None),
        components: vec![COMPONENT.into()],
        inputs: Map::new(),
        requester: "rita".parse().unwrap(),
        key: None,
    };
    process.runtime.start(start).await.unwrap()
}

async fn driven(process: &Process, run: RunId) -> RunView {
    process.runtime.drive(run, &process.host, None).await.unwrap()
}

/// Goes on with a run that waits for its timer, in another process.
async fn later(world: &World, run: RunId) -> RunView {
    let process = process(world).await;
    process.clock.set(process.clock.now().after(std::time::Duration::from_secs(3601)));
    driven(&process, run).await
}

fn output(view: &RunView) -> Value {
    view.steps[0].output.clone().unwrap_or_default()
}

#[tokio::test]
async fn what_was_read_in_part_goes_on_after_a_wait() {
    let world = World::new();
    write(&world, SIX);
    let (run, waits) = {
        let process = process(&world).await;
        let run = started(&process, "page").await;
        (run, driven(&process, run).await)
    };
    assert_eq!(waits.status, RunStatus::Parked);
    // What comes behind what was read is not held against anything.
    write(&world, "UPDATE counter SET n = 51 WHERE id = 5; INSERT INTO counter VALUES (7, 70)");
    let ended = later(&world, run).await;
    assert_eq!(ended.status, RunStatus::Succeeded);
    let all = ["10", "20", "30", "40", "51", "60", "70"];
    assert_eq!(output(&ended), json!({ "all": all, "attempt": 1 }));
    let replayed = process(&world).await.runtime.replay(run).await.unwrap();
    assert!(replayed.attempts.iter().all(|attempt| attempt.difference.is_none()), "{replayed:?}");
}

#[tokio::test]
async fn what_is_another_result_since_is_read_by_a_new_attempt() {
    for change in ["UPDATE counter SET n = 21 WHERE id = 2", "DELETE FROM counter WHERE id > 3"] {
        let world = World::new();
        write(&world, SIX);
        let run = {
            let process = process(&world).await;
            let run = started(&process, "page").await;
            assert_eq!(driven(&process, run).await.status, RunStatus::Parked);
            run
        };
        write(&world, change);
        let mut view = later(&world, run).await;
        // The new attempt waits in the middle, too, if there is so much.
        while view.status == RunStatus::Parked {
            view = later(&world, run).await;
        }
        let all: &[&str] = if change.starts_with("UPDATE") {
            &["10", "21", "30", "40", "50", "60"]
        } else {
            &["10", "20", "30"]
        };
        assert_eq!(output(&view), json!({ "all": all, "attempt": 2 }), "{change}");
        assert_eq!(view.status, RunStatus::Succeeded);
    }
}

#[tokio::test]
async fn parts_follow_one_another_and_begin_before_the_first_write() {
    let world = World::new();
    write(&world, SIX);
    let process = process(&world).await;
    let run = started(&process, "page-badly").await;
    let view = driven(&process, run).await;
    let said = output(&view);
    let said: Vec<&str> = said.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let expect =
        ["from row 0 on", "2", "begins with row 2, not with row 1", "2", "2", "has written to this database"];
    assert_eq!(said.len(), expect.len(), "{said:?}");
    assert!(said.iter().zip(expect).all(|(said, expect)| said.contains(expect)), "{said:?}");
}
