//! Money of runs, and above them, through the whole runtime.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Map, json};
use wflo::{RunStatus, RunView, Runtime, Start, StepStatus, Verdict, Voter};
use wflo_engine::{Day, Event, RunState, Sums};
use wflo_journal::{AccountRow, FaultSync};
use wflo_manifest::{Approver, ComputePrice, OnExceeded, OnFailure, Plan, PlanStep, Spending, WindowLimits};
use wflo_model::{PicoUsd, RunId, Timestamp};

use crate::support::{COMPONENT, Process, World};
use crate::sweep::{plan, step};

fn usd(text: &str) -> PicoUsd {
    text.parse().unwrap()
}

async fn process(world: &World, spending: Spending) -> Process {
    let mut process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    process.host.outside = Arc::new((*process.host.outside).clone().with_spending(spending));
    process
}

async fn start(runtime: &Runtime, plan: &Plan) -> RunId {
    let components = vec![COMPONENT.into()];
    let (inputs, requester) = (Map::new(), "rita".parse().unwrap());
    runtime.start(Start { plan: plan.clone(), components, inputs, requester, key: None }).await.unwrap()
}

async fn drive(process: &Process, run: RunId) -> RunView {
    process.runtime.drive(run, &process.host, None).await.unwrap()
}

/// What the accounts would be if they were counted anew from the events of all runs.
async fn fold(runtime: &Runtime, runs: &[RunId]) -> BTreeMap<Day, Sums> {
    let mut all: BTreeMap<Day, Sums> = BTreeMap::new();
    for run in runs {
        let state = RunState::replay(&runtime.events(*run).await.unwrap()).unwrap();
        for (day, sums) in state.ledger().days() {
            let sum = all.entry(day).or_default();
            sum.settled += sums.settled;
            sum.held += sums.held;
            sum.overrun += sums.overrun;
        }
    }
    all
}

/// Holds the rows of the store against the events they are the sum of.
pub(crate) async fn agree(runtime: &Runtime, account: &str, runs: &[RunId]) -> PicoUsd {
    let mut spent = PicoUsd::ZERO;
    for (day, sums) in fold(runtime, runs).await {
        let row = runtime.journal().account(account, &day.to_string()).await.unwrap();
        let Sums { settled, held, overrun } = sums;
        let expect = AccountRow { settled: settled.pico(), held: held.pico(), overrun: overrun.pico() };
        assert_eq!(row, expect, "{account} on {day}");
        spent += settled + held;
    }
    spent
}

#[tokio::test]
async fn many_runs_at_once_spend_no_more_together_than_the_deployment_allows() {
    let limits = WindowLimits { day: Some(usd("2")), month: None };
    let spending = Spending { all: limits, ..Spending::default() };
    let world = World::new();
    let plan = plan(vec![step("think", &[])], None);
    let mut runs = Vec::new();
    // Processes take turns; in each, many runs go at once.
    for _ in 0..2 {
        let process = process(&world, spending.clone()).await;
        for _ in 0..10 {
            runs.push(start(&process.runtime, &plan).await);
        }
        let views = futures_of(&process, &runs).await;
        assert!(views.iter().any(|view| view.status == RunStatus::Parked), "there is not enough for all");
        let spent = agree(&process.runtime, "deployment", &runs).await;
        assert_eq!(agree(&process.runtime, "workflow/swept", &runs).await, spent);
        assert!(spent <= usd("2"), "{spent}");
    }
    // A call holds 0.20 and costs 0.15: the twelfth finds 0.35 left, the thirteenth 0.20, the fourteenth 0.05.
    assert_eq!(world.model.calls.lock().unwrap().len(), 13);

    // The next day there is money again, and what was spent stays where it was.
    let process = process(&world, spending).await;
    let tomorrow = Timestamp::from_micros(1_800_000_000_000_000 + 86_400_000_000);
    process.clock.set(tomorrow);
    let parked =
        views(&process, &runs).await.into_iter().find(|view| view.status == RunStatus::Parked).unwrap();
    let wait = parked.waiting_for[0].message.clone().unwrap();
    assert!(wait.ends_with("left to the day of the deployment"), "{wait}");
    let view =
        process.runtime.resume(parked.run, &"rita".parse().unwrap(), &process.host, None).await.unwrap();
    assert_eq!(view.status, RunStatus::Succeeded);
    agree(&process.runtime, "deployment", &runs).await;
    let row = process.runtime.journal().account("deployment", &Day::of(tomorrow).to_string()).await.unwrap();
    assert_eq!(row.settled % usd("0.15").pico(), 0);
    assert!(row.settled > 0);
}

async fn futures_of(process: &Process, runs: &[RunId]) -> Vec<RunView> {
    let mut driven = Vec::new();
    for run in runs {
        driven.push(Box::pin(drive(process, *run)));
    }
    let mut views = Vec::new();
    // Polled side by side: each waits for the journal while the others go on.
    let mut open: Vec<_> = driven.into_iter().map(Some).collect();
    std::future::poll_fn(|cx| {
        for future in &mut open {
            if let Some(running) = future
                && let std::task::Poll::Ready(view) = running.as_mut().poll(cx)
            {
                views.push(view);
                *future = None;
            }
        }
        if open.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    views
}

async fn views(process: &Process, runs: &[RunId]) -> Vec<RunView> {
    let mut views = Vec::new();
    for run in runs {
        views.push(process.runtime.show(*run).await.unwrap());
    }
    views
}

#[tokio::test]
async fn a_workflow_has_a_month_of_its_own_and_another_one_is_not_stopped_by_it() {
    let limits = WindowLimits { day: None, month: Some(usd("0.30")) };
    let workflows = [("swept".parse().unwrap(), limits)].into();
    let world = World::new();
    let process = process(&world, Spending { workflows, ..Spending::default() }).await;
    let own = plan(vec![step("think", &[])], None);
    let run = start(&process.runtime, &own).await;
    let view = drive(&process, run).await;
    assert_eq!(view.status, RunStatus::Parked);
    assert!(view.waiting_for[0].message.as_ref().unwrap().ends_with("left to the month of workflow `swept`"));
    let other = Plan { workflow: "other".parse().unwrap(), ..own };
    let run = start(&process.runtime, &other).await;
    assert_eq!(drive(&process, run).await.status, RunStatus::Succeeded);
    let views = process.runtime.accounts(process.host.outside.spending()).await.unwrap();
    let month = views.iter().find(|view| view.account == "workflow/swept" && view.window == "month").unwrap();
    assert_eq!((month.settled_usd, month.left_usd), (usd("0.15"), Some(usd("0.15"))));
}

#[tokio::test]
async fn a_step_and_each_of_its_items_have_money_of_their_own() {
    let items = PlanStep {
        for_each: Some("['a', 'b', 'c']".parse().unwrap()),
        item_budget: Some(usd("0.30")),
        budget: Some(usd("0.80")),
        ..step("think", &[])
    };
    let approvers = vec![Approver::new("money")];
    let plan = Plan { budget_approvers: approvers, ..plan(vec![items], Some("10")) };
    let world = World::new();
    let process = process(&world, Spending::default()).await;
    let run = start(&process.runtime, &plan).await;
    let view = drive(&process, run).await;
    assert_eq!(view.status, RunStatus::Parked);
    // Each item has had one answer for 0.15, and would hold 0.20 for the second: it has 0.15 left, and the step has
    // more, whatever the others hold meanwhile.
    assert_eq!(view.cost_usd, usd("0.45"));
    let messages: Vec<_> = view.waiting_for.iter().map(|wait| wait.message.clone().unwrap()).collect();
    assert!(messages.iter().any(|message| message.contains("of step `think`")), "{messages:?}");
    // What is granted is there for the run, the step, and the items that wait.
    let asked = process.runtime.top_up(run, usd("1"), &"rita".parse().unwrap()).await.unwrap();
    let dave = Voter { name: "dave".parse().unwrap(), groups: ["money".parse().unwrap()].into() };
    process.runtime.vote(asked.id, &dave, Verdict::Approve, None).await.unwrap();
    let view = drive(&process, run).await;
    assert_eq!((view.status, view.cost_usd), (RunStatus::Succeeded, usd("0.90")));
    assert_eq!(view.budget_usd, Some(usd("11")));
}

#[tokio::test]
async fn a_call_that_cost_more_than_was_held_for_it_freezes_the_run_until_people_raise_it() {
    let world = World::new();
    world.model.answers.store(100, Ordering::SeqCst);
    let process = process(&world, Spending::default()).await;
    let approvers = vec![Approver::new("money")];
    let plan = Plan { budget_approvers: approvers, ..plan(vec![step("think", &[])], Some("10")) };
    let run = start(&process.runtime, &plan).await;
    let view = drive(&process, run).await;
    assert_eq!((view.status, view.cost_usd), (RunStatus::Parked, usd("1.10")), "charged as it was");
    let cost = process.runtime.cost(run).await.unwrap();
    assert_eq!((cost.overrun_usd, cost.left_usd), (usd("0.90"), Some(PicoUsd::ZERO)));
    world.model.answers.store(5, Ordering::SeqCst);
    let asked = process.runtime.top_up(run, usd("1"), &"rita".parse().unwrap()).await.unwrap();
    let dave = Voter { name: "dave".parse().unwrap(), groups: ["money".parse().unwrap()].into() };
    process.runtime.vote(asked.id, &dave, Verdict::Approve, None).await.unwrap();
    assert_eq!(drive(&process, run).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn what_a_step_reports_is_charged_once_and_what_is_not_there_is_an_overrun() {
    let world = World::new();
    let process = process(&world, Spending::default()).await;
    let plan = Plan {
        budget_alerts: vec![50, 90],
        ..plan(vec![step("report", &[]), step("think", &["report"])], Some("0.5"))
    };
    let run = start(&process.runtime, &plan).await;
    let view = drive(&process, run).await;
    assert_eq!((view.status, view.cost_usd), (RunStatus::Parked, usd("0.7")));
    assert_eq!(view.steps[0].status, StepStatus::Succeeded);
    assert_eq!(view.steps[0].output, Some(json!("`-1` USD is below zero")));
    let cost = process.runtime.cost(run).await.unwrap();
    assert_eq!((cost.overrun_usd, cost.steps[0].1), (usd("0.2"), usd("0.7")));
    assert_eq!(agree(&process.runtime, "deployment", &[run]).await, usd("0.7"));
    let replayed = process.runtime.replay(run).await.unwrap();
    assert!(replayed.identical, "{replayed:?}");
    assert_eq!(alerts(&process.runtime, run).await, [90], "both were reached at once");
}

#[tokio::test]
async fn what_a_step_reports_takes_nothing_of_what_is_kept_for_undoing() {
    let world = World::new();
    let process = process(&world, Spending::default()).await;
    let steps = vec![step("post", &[]), step("report", &["post"]), step("think", &["report"])];
    // An attempt holds 0.2 for its fuel, and uses none.
    let plan = Plan {
        rollback_reserve: Some(usd("0.3")),
        compute: ComputePrice { billion_fuel: usd("0.02"), ..ComputePrice::default() },
        on_exceeded: OnExceeded::Fail,
        on_failure: OnFailure::Rollback,
        ..plan(steps, Some("0.7"))
    };
    let run = start(&process.runtime, &plan).await;
    let view = drive(&process, run).await;
    assert_eq!((view.status, view.cost_usd), (RunStatus::RolledBack, usd("0.7")), "{view:?}");
    assert_eq!(world.site.done(), ["/do", "/undo"]);
    let cost = process.runtime.cost(run).await.unwrap();
    assert_eq!(cost.overrun_usd, usd("0.5"), "0.4 were there, and its fuel holds 0.2 of them");
    assert!(process.runtime.replay(run).await.unwrap().identical);
}

#[tokio::test]
async fn what_a_step_reports_takes_from_other_runs_only_what_its_own_was_given() {
    let limited = |month: &str| {
        let all = WindowLimits { month: Some(usd(month)), ..WindowLimits::default() };
        Spending { all, ..Spending::default() }
    };
    for (budget, month, says) in [
        (None, "100", "only out of a `budget_usd`"),
        (Some("0.5"), "100", "more than the 0.5 USD that the run has left"),
        (Some("5"), "0.6", "more than the 0.6 USD that the month of the deployment has left"),
    ] {
        let world = World::new();
        let process = process(&world, limited(month)).await;
        let run = start(&process.runtime, &plan(vec![step("report-told", &[])], budget)).await;
        let view = drive(&process, run).await;
        assert_eq!((view.status, view.cost_usd), (RunStatus::Succeeded, usd("0")), "{says}");
        let said = view.steps[0].output.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(said.contains(says), "{said}");
        assert_eq!(agree(&process.runtime, "deployment", &[run]).await, usd("0"));
        assert!(process.runtime.replay(run).await.unwrap().identical);
    }
    let world = World::new();
    let process = process(&world, limited("100")).await;
    let run = start(&process.runtime, &plan(vec![step("report-told", &[])], Some("0.7"))).await;
    assert_eq!(drive(&process, run).await.cost_usd, usd("0.7"));
    assert_eq!(agree(&process.runtime, "deployment", &[run]).await, usd("0.7"));
}

#[tokio::test]
async fn a_part_of_the_budget_is_told_of_once() {
    let world = World::new();
    let process = process(&world, Spending::default()).await;
    let plan = Plan { budget_alerts: vec![10, 50, 99], ..plan(vec![step("think", &[])], Some("0.50")) };
    let run = start(&process.runtime, &plan).await;
    assert_eq!(drive(&process, run).await.cost_usd, usd("0.30"));
    assert_eq!(alerts(&process.runtime, run).await, [10, 50]);
}

async fn alerts(runtime: &Runtime, run: RunId) -> Vec<u32> {
    let events = runtime.events(run).await.unwrap();
    let percent = |event: &Event| match event {
        Event::BudgetAlert { percent, .. } => Some(*percent),
        _ => None,
    };
    events.iter().filter_map(|recorded| percent(&recorded.event)).collect()
}
