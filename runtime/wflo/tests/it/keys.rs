//! Keys that runs are started with.

use std::sync::Arc;

use serde_json::{Map, json};
use wflo::{RuntimeError, Start};
use wflo_journal::{Created, Draft, FaultSync};
use wflo_model::RunId;
use wflo_ports::Clock as _;

use crate::support::{COMPONENT, World};
use crate::sweep::{plan, step};

#[tokio::test]
async fn a_key_from_before_there_were_keys_of_workflows_finds_its_run() {
    let world = World::new();
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let (runtime, journal) = (&process.runtime, process.runtime.journal());
    let start = Start {
        plan: plan(vec![step("idle", &[])], None),
        components: vec![COMPONENT.into()],
        inputs: Map::new(),
        requester: "rita".parse().unwrap(),
        key: None,
    };
    // The same run, as it was written then: under the key as it is.
    let like = runtime.start(start.clone()).await.unwrap();
    let event = runtime.events(like).await.unwrap().remove(0).event;
    let summary = journal.head(like).await.unwrap().summary;
    let now = process.clock.now();
    let draft = Draft::new(now, event.kind() as u16, event.encode());
    let older = RunId::new(now, [7; 10]);
    let made = journal.create_run(older, Some("today"), vec![draft], summary).await.unwrap();
    assert!(matches!(made, Created::New(_)));

    let start = Start { key: Some("today".into()), ..start };
    assert_eq!(runtime.start(start.clone()).await.unwrap(), older);
    let inputs = Map::from_iter([("count".to_owned(), json!(2))]);
    let refused = runtime.start(Start { inputs, ..start.clone() }).await;
    assert!(matches!(refused, Err(RuntimeError::KeyTaken { run, .. }) if run == older), "{refused:?}");
    let requester = "bob".parse().unwrap();
    let refused = runtime.start(Start { requester, ..start.clone() }).await;
    assert!(matches!(refused, Err(RuntimeError::KeyTaken { run, .. }) if run == older), "{refused:?}");
    let mut other = start;
    other.plan.workflow = "another".parse().unwrap();
    assert_ne!(runtime.start(other).await.unwrap(), older);
}
