//! A process is killed at its n-th sync, for every n of every scenario, and the next one goes on to the same end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use wflo::{RunStatus, RunView, RuntimeError, Start, Verdict, Voter};
use wflo_journal::FaultSync;
use wflo_manifest::{
    ApprovalAt, ApprovalRule, Approver, OnCancel, OnExceeded, OnFailure, Plan, PlanStep, Policy,
    PolicyAction, PolicyEvent, Price, Quorum, Retry, UnknownPrice,
};
use wflo_model::{Digest, RunId};

use crate::support::{COMPONENT, MODEL, Process, World, effects, grants};

/// More syncs than any scenario takes.
const MANY: u64 = 200;

pub(crate) fn step(name: &str, needs: &[&str]) -> PlanStep {
    PlanStep {
        depends_on: needs.iter().map(|name| name.parse().unwrap()).collect(),
        grants: grants(),
        retry: Retry { max_attempts: 2, backoff: Duration::ZERO },
        ..PlanStep::new(name.parse().unwrap(), Digest::of(COMPONENT))
    }
}

pub(crate) fn plan(steps: Vec<PlanStep>, budget: Option<&str>) -> Plan {
    let price = Price::flat("0.01".parse().unwrap(), "0.01".parse().unwrap(), "this test");
    Plan {
        workflow: "swept".parse().unwrap(),
        version: "1".into(),
        steps,
        inputs: BTreeMap::new(),
        budget: budget.map(|usd| usd.parse().unwrap()),
        on_exceeded: OnExceeded::Park,
        budget_approvers: Vec::new(),
        rollback_reserve: None,
        rollback_approvers: Vec::new(),
        budget_alerts: Vec::new(),
        budget_notify: Vec::new(),
        on_failure: OnFailure::Keep,
        on_cancel: OnCancel::Keep,
        max_parallel: None,
        prices: [(MODEL.parse().unwrap(), price)].into(),
        price_table: Digest::ZERO,
        on_unknown_price: UnknownPrice::Deny,
        min_output_tokens: 1,
        compute: Default::default(),
        prompts: BTreeMap::new(),
        statements: BTreeMap::new(),
        policies: Vec::new(),
    }
}

/// Starts the run, or finds it, and brings it to its end or to where only money moves it.
pub(crate) async fn go_on(process: &Process, plan: &Plan) -> Result<(RunId, RunView), RuntimeError> {
    let Process { runtime, host, clock } = process;
    let run = runtime
        .start(Start {
            plan: plan.clone(),
            components: vec![COMPONENT.into()],
            inputs: Map::new(),
            requester: "rita".parse().unwrap(),
            key: Some("the run".into()),
        })
        .await?;
    loop {
        let view = runtime.drive(run, host, None).await?;
        if view.status.is_final() {
            return Ok((run, view));
        }
        let mut is_moved = false;
        for wait in &view.waiting_for {
            if let Some(id) = wait.id {
                for (name, group) in [("alice", "red"), ("carol", "blue")] {
                    let voter =
                        Voter { name: name.parse().unwrap(), groups: [group.parse().unwrap()].into() };
                    match runtime.vote(id, &voter, Verdict::Approve, None).await {
                        // Whoever voted before the crash has voted.
                        Ok(_) | Err(RuntimeError::Vote(_)) => is_moved = true,
                        Err(error) => return Err(error),
                    }
                }
            }
            if wait.kind == "timer" {
                clock.set(runtime.journal().head(run).await?.due.expect("a timer is due"));
                is_moved = true;
            }
        }
        if !is_moved {
            return Ok((run, view));
        }
    }
}

/// What must be the same however often the process was killed.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) status: RunStatus,
    outputs: Vec<Option<Value>>,
    pub(crate) effects: (i64, Vec<String>),
    attempts: Vec<u32>,
    /// What was done at a site, by path.
    pub(crate) done: Vec<String>,
}

/// Plays a scenario in processes of which the first fail at these syncs; how it ended, and the syncs of the first.
async fn play(plan: &Plan, fail_at: &[u64]) -> (Outcome, u64) {
    let world = World::new();
    let mut syncs = None;
    for &n in fail_at.iter().chain([&0]) {
        let faults = Arc::new(FaultSync::at(n));
        let done = match world.process(Arc::clone(&faults)).await {
            Ok(process) => {
                let done = go_on(&process, plan).await;
                if let Ok((run, _)) = &done {
                    let replay = process.runtime.replay(*run).await.unwrap();
                    assert!(replay.identical, "killed at {fail_at:?}: {replay:?}");
                    crate::budgets::agree(&process.runtime, "deployment", &[*run]).await;
                }
                done.map(|(_, view)| view).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        syncs.get_or_insert(faults.count());
        match done {
            Ok(view) => {
                let outcome = Outcome {
                    status: view.status,
                    outputs: view.steps.iter().map(|step| step.output.clone()).collect(),
                    attempts: view.steps.iter().map(|step| step.attempts).collect(),
                    effects: effects(&world.database()),
                    done: world.site.done(),
                };
                let calls = world.model.calls.lock().unwrap().clone();
                let mut distinct = calls.clone();
                distinct.sort();
                distinct.dedup();
                // At most the call under way is made again for each kill.
                assert!(calls.len() <= distinct.len() + fail_at.len(), "killed at {fail_at:?}: {calls:?}");
                return (outcome, syncs.unwrap_or_default());
            }
            Err(error) => assert!(n > 0, "killed at {fail_at:?}, and then: {error}"),
        }
    }
    unreachable!("the last process has no fault")
}

/// Sweeps every sync of a scenario, then every sync of it followed by the first ones of its recovery.
pub(crate) fn sweep(plan: &Plan, expect: impl Fn(&Outcome)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (calm, syncs) = play(plan, &[]).await;
        expect(&calm);
        // At least: the store's key, the run's creation, and where it came to rest.
        assert!((3..MANY).contains(&syncs), "{syncs} syncs");
        for n in 1..=syncs {
            let (outcome, _) = play(plan, &[n]).await;
            assert_eq!(outcome, calm, "killed at sync {n}");
            let (outcome, _) = play(plan, &[n, 1 + n % 3, 2]).await;
            assert_eq!(outcome, calm, "killed at sync {n}, and twice while it recovers");
        }
    });
}

#[test]
fn steps_one_after_another_and_side_by_side() {
    let plan = plan(vec![step("think", &[]), step("idle", &[]), step("last", &["think", "idle"])], None);
    sweep(&plan, |calm| {
        assert_eq!(calm.status, RunStatus::Succeeded);
        assert_eq!(calm.outputs[0], Some(json!(["an answer", "an answer"])));
        assert_eq!(calm.attempts, [1, 1, 1]);
    });
}

#[test]
fn writes_to_a_database_once() {
    let plan = plan(vec![step("note", &[]), step("fail-once", &["note"])], None);
    sweep(&plan, |calm| {
        assert_eq!(calm.status, RunStatus::Succeeded);
        assert_eq!(calm.effects, (1, vec!["of an attempt".into(), "the step".into()]));
        assert_eq!(calm.attempts, [1, 2]);
    });
}

#[test]
fn items_of_a_step_that_fans_out() {
    let items = Some("['a', 'b', 'c']".parse().unwrap());
    let plan = plan(vec![PlanStep { for_each: items, max_parallel: Some(2), ..step("note", &[]) }], None);
    sweep(&plan, |calm| {
        assert_eq!(calm.status, RunStatus::Succeeded);
        assert_eq!(calm.effects, (3, vec!["a".into(), "b".into(), "c".into()]));
    });
}

#[test]
fn approvals_before_a_step_and_in_its_middle() {
    let rule = ApprovalRule::new(vec![Approver::new("red"), Approver::new("blue")], Quorum::EachListed);
    let plan =
        plan(vec![PlanStep { approval: Some(rule), ..step("note", &[]) }, step("ask", &["note"])], None);
    sweep(&plan, |calm| {
        assert_eq!(calm.status, RunStatus::Succeeded);
        assert_eq!(calm.outputs[1], Some(json!("approved")));
        assert_eq!(calm.effects.0, 1);
    });
}

#[test]
fn a_commit_that_people_decide_on() {
    let rule = ApprovalRule::new(vec![Approver::new("red"), Approver::new("blue")], Quorum::EachListed);
    let rule = ApprovalRule { at: ApprovalAt::Commit, ..rule };
    let plan = plan(vec![PlanStep { approval: Some(rule), ..step("note", &[]) }], None);
    sweep(&plan, |calm| {
        assert_eq!(calm.status, RunStatus::Succeeded);
        assert_eq!(calm.effects, (1, vec!["the step".into()]));
        assert_eq!(calm.attempts, [1]);
    });
}

#[test]
fn a_run_that_people_decide_on_before_it_begins() {
    let rule = ApprovalRule::new(vec![Approver::new("red")], Quorum::EachListed);
    let policy = Policy {
        name: "every_run".parse().unwrap(),
        when: "run.requester == 'rita'".parse().unwrap(),
        on: [PolicyEvent::RunStart].into(),
        actions: vec![PolicyAction::RequireApproval(rule)],
    };
    let plan = Plan { policies: vec![policy], ..plan(vec![step("note", &[])], None) };
    sweep(&plan, |calm| {
        assert_eq!(calm.status, RunStatus::Succeeded);
        assert_eq!(calm.effects.0, 1);
    });
}

#[test]
fn a_timer_that_is_waited_for() {
    let plan = plan(vec![step("wait", &[]), step("note", &["wait"])], None);
    sweep(&plan, |calm| {
        assert_eq!(calm.status, RunStatus::Succeeded);
        assert_eq!(calm.outputs[0], Some(json!("waited")));
    });
}

#[test]
fn a_run_without_money_parks() {
    // A call holds 0.20 USD.
    let plan = plan(vec![step("idle", &[]), step("think", &["idle"])], Some("0.19"));
    sweep(&plan, |calm| {
        assert_eq!(calm.status, RunStatus::Parked);
        assert_eq!(calm.outputs, [Some(json!("idle")), None]);
    });
}
