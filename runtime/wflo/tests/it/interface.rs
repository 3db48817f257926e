//! An interface that the host brings itself: what a crash, a lost answer and a budget mean for its calls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wflo::{
    CallClassOf, Host, Interface, InterfaceError, InterfaceGrant, Outside, Resolution, RunStatus, RunView,
    Start,
};
use wflo_journal::FaultSync;
use wflo_manifest::{Plan, PlanStep};
use wflo_model::{Call, CallError, Digest, Grants, PicoUsd, Timestamp};
use wflo_ports::IdempotencyKey;
use wflo_sandbox::{Guest, Linked};

use crate::support::{COMPONENT, Process, World};
use crate::sweep::{plan, step};

/// What a grant says: which account.
#[derive(Deserialize)]
struct Account {
    account: String,
}

impl InterfaceGrant for Account {
    fn allows(&self, call: &Call) -> bool {
        call.args["account"] == self.account.as_str()
    }

    fn covers(&self, narrower: &Self) -> bool {
        self.account == narrower.account
    }
}

/// How a call goes.
#[derive(Clone, Copy, PartialEq)]
enum Goes {
    Well,
    /// It is done, and nobody hears of it.
    Lost,
    /// It is not done.
    Badly,
    /// It never comes back.
    Hangs,
}

struct Ledger {
    class: CallClassOf,
    price: &'static str,
    /// The last is the next.
    goes: Mutex<Vec<Goes>>,
    /// The keys that calls came with.
    keys: Mutex<Vec<Digest>>,
}

impl Ledger {
    fn new(class: CallClassOf, price: &'static str, goes: &[Goes]) -> Arc<Self> {
        Arc::new(Self { class, price, goes: Mutex::new(goes.to_vec()), keys: Mutex::default() })
    }

    fn calls(&self) -> usize {
        self.keys.lock().unwrap().len()
    }
}

impl Linked for Ledger {
    fn import(&self) -> &str {
        "bank:ledger/entries@0.1.0"
    }

    fn link(&self, _: &mut wasmtime::component::Linker<Guest>) -> wasmtime::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Interface for Ledger {
    type Grant = Account;

    fn class(&self, _: &Call) -> CallClassOf {
        self.class
    }

    fn price(&self, _: &Call) -> PicoUsd {
        self.price.parse().unwrap()
    }

    async fn perform(&self, _: &Call, key: &IdempotencyKey) -> Result<Value, InterfaceError> {
        self.keys.lock().unwrap().push(key.0);
        let goes = self.goes.lock().unwrap().pop().unwrap_or(Goes::Well);
        match goes {
            Goes::Well => Ok(json!("entered")),
            Goes::Lost => Err(InterfaceError::Lost { message: "the line went dead".into() }),
            Goes::Badly => Err(CallError::Constraint { message: "it is closed".into() }.into()),
            Goes::Hangs => std::future::pending().await,
        }
    }
}

const KEYED: CallClassOf = CallClassOf::Keyed { for_as_long_as: Duration::from_secs(3600) };

/// A step that enters something into an account, granted this one.
fn enters(account: &str, budget: Option<&str>) -> Plan {
    let interfaces = [("bank:ledger/entries".parse().unwrap(), vec![json!({ "account": account })])].into();
    let enter = PlanStep { grants: Grants { interfaces, ..Grants::default() }, ..step("enter", &[]) };
    plan(vec![enter], budget)
}

fn start(plan: Plan) -> Start {
    Start {
        plan,
        components: vec![COMPONENT.into()],
        inputs: Map::new(),
        requester: "rita".parse().unwrap(),
        key: None,
    }
}

fn lends(ledger: &Arc<Ledger>, ceiling: Option<&str>) -> Host {
    let ceiling = ceiling.map(|account| vec![Account { account: account.into() }]);
    let outside = Outside::default().with_interface(Arc::clone(ledger), ceiling);
    Host { outside: Arc::new(outside), ..Host::default() }
}

/// Plays a run in one process.
async fn play(ledger: &Arc<Ledger>, plan: Plan) -> (Process, RunView) {
    let process = World::new().process(Arc::new(FaultSync::at(0))).await.unwrap();
    let run = process.runtime.start(start(plan)).await.unwrap();
    let view = process.runtime.drive(run, &lends(ledger, None), None).await.unwrap();
    (process, view)
}

#[tokio::test]
async fn a_call_that_was_granted_is_made_once_and_replays() {
    for class in [CallClassOf::Reads, KEYED, CallClassOf::Unsafe] {
        let ledger = Ledger::new(class, "0", &[]);
        let (process, view) = play(&ledger, enters("7", None)).await;
        assert_eq!(view.steps[0].output, Some(json!({ "Ok": "entered" })), "{class:?}");
        assert!(process.runtime.replay(view.run).await.unwrap().identical);
        assert_eq!(ledger.calls(), 1, "a replay asks nobody");
    }
}

#[tokio::test]
async fn what_was_not_granted_is_denied_and_so_is_what_is_above_todays_ceiling() {
    let ledger = Ledger::new(KEYED, "0", &[]);
    let denied = |view: &RunView, words: &str| {
        let output = view.steps[0].output.clone().unwrap_or_default();
        assert_eq!(output["Err"]["kind"], "access_denied", "{output}");
        assert!(output["Err"]["message"].as_str().unwrap().contains(words), "{output}");
    };
    let (process, view) = play(&ledger, enters("8", None)).await;
    denied(&view, "no grant of the step");
    let ungranted = PlanStep { grants: Grants::default(), ..step("enter", &[]) };
    denied(&play(&ledger, plan(vec![ungranted], None)).await.1, "`bank:ledger/entries` is not granted");

    let host = lends(&ledger, Some("8"));
    let plan = enters("7", None);
    assert_eq!(host.outside.exceeded(&plan).len(), 1);
    assert!(host.outside.exceeded(&enters("8", None)).is_empty());
    let run = process.runtime.start(start(plan)).await.unwrap();
    denied(&process.runtime.drive(run, &host, None).await.unwrap(), "above the ceiling");
    // One that is not lent any more reaches nothing, whatever was pinned.
    let run = process.runtime.start(start(enters("7", None))).await.unwrap();
    let view = process.runtime.drive(run, &Host::default(), None).await.unwrap();
    assert_eq!(view.steps[0].output.clone().unwrap_or_default()["Err"]["kind"], "unknown");
    assert_eq!(ledger.calls(), 0);
}

/// Plays a run whose process is gone while its call is under way, and goes on in another.
async fn killed_in_the_call(class: CallClassOf, price: &'static str) -> (Arc<Ledger>, RunView) {
    killed_and_set(class, price, None).await
}

/// The same, with the clock of the other one set to these microseconds.
async fn killed_and_set(
    class: CallClassOf,
    price: &'static str,
    clock: Option<u64>,
) -> (Arc<Ledger>, RunView) {
    let world = World::new();
    let ledger = Ledger::new(class, price, &[Goes::Hangs]);
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    let run = process.runtime.start(start(enters("7", Some("1")))).await.unwrap();
    let host = lends(&ledger, None);
    tokio::select! {
        _ = process.runtime.drive(run, &host, None) => panic!("the call never comes back"),
        () = async { while ledger.calls() == 0 { tokio::task::yield_now().await } } => {}
    }
    drop(process);
    let process = world.process(Arc::new(FaultSync::at(0))).await.unwrap();
    if let Some(micros) = clock {
        process.clock.set(Timestamp::from_micros(micros));
    }
    let view = process.runtime.drive(run, &host, None).await.unwrap();
    (ledger, view)
}

#[tokio::test]
async fn a_keyed_call_that_a_crash_cut_off_is_made_again_under_its_key() {
    let (ledger, view) = killed_in_the_call(KEYED, "0").await;
    assert_eq!(view.status, RunStatus::Succeeded, "{view:?}");
    let keys = ledger.keys.lock().unwrap();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
}

/// Whether the key still lives cannot be told by a clock that was set back, and it may be dead.
#[tokio::test]
async fn a_keyed_call_is_nobodys_to_repeat_when_its_key_is_dead_or_the_clock_was_set_back() {
    let began = 1_800_000_000_000_000;
    for (clock, calls) in [(began - 86_400_000_000, 1), (began + 3_700_000_000, 1), (began - 1_000_000, 2)] {
        let (ledger, view) = killed_and_set(KEYED, "0", Some(clock)).await;
        assert_eq!(ledger.calls(), calls, "{clock}: {view:?}");
        let expect = if calls == 1 { RunStatus::Parked } else { RunStatus::Succeeded };
        assert_eq!(view.status, expect, "{clock}: {view:?}");
    }
}

#[tokio::test]
async fn an_unsafe_call_that_a_crash_cut_off_is_nobodys_to_repeat() {
    let (ledger, view) = killed_in_the_call(CallClassOf::Unsafe, "0").await;
    assert_eq!((view.status, ledger.calls()), (RunStatus::Parked, 1));
    assert_eq!(view.waiting_for[0].kind, "unknown");
}

#[tokio::test]
async fn a_read_that_a_crash_cut_off_is_done_again_and_what_it_may_have_cost_is_charged() {
    let (ledger, view) = killed_in_the_call(CallClassOf::Reads, "0.25").await;
    assert_eq!((view.status, ledger.calls()), (RunStatus::Succeeded, 2));
    assert_eq!((view.cost_usd.to_string().as_str(), view.held_usd), ("0.5", PicoUsd::ZERO));
}

#[tokio::test]
async fn an_answer_that_is_lost_is_told_or_left_to_a_person() {
    let ledger = Ledger::new(CallClassOf::Unsafe, "0", &[Goes::Lost]);
    let (process, view) = play(&ledger, enters("7", None)).await;
    assert_eq!(view.status, RunStatus::Parked);
    let intent = view.waiting_for[0].intent.unwrap();
    let done = Resolution::Done { value: json!("entered, says the bank") };
    process.runtime.resolve(view.run, intent, done, &"rita".parse().unwrap()).await.unwrap();
    let view = process.runtime.drive(view.run, &lends(&ledger, None), None).await.unwrap();
    assert_eq!(view.steps[0].output, Some(json!({ "Ok": "entered, says the bank" })));
    assert_eq!(ledger.calls(), 1);

    let ledger = Ledger::new(KEYED, "0", &[Goes::Lost]);
    let (_, view) = play(&ledger, enters("7", None)).await;
    assert_eq!(view.steps[0].output.clone().unwrap_or_default()["Err"]["kind"], "upstream");
    let ledger = Ledger::new(CallClassOf::Unsafe, "0.25", &[Goes::Badly]);
    let (_, view) = play(&ledger, enters("7", Some("1"))).await;
    assert_eq!(view.steps[0].output.clone().unwrap_or_default()["Err"]["kind"], "constraint");
    assert_eq!((view.cost_usd, view.held_usd), (PicoUsd::ZERO, PicoUsd::ZERO), "it was not done");
}

#[tokio::test]
async fn a_price_is_held_and_charged_and_the_budget_has_the_last_word() {
    for class in [CallClassOf::Reads, KEYED, CallClassOf::Unsafe] {
        let ledger = Ledger::new(class, "0.25", &[]);
        let (_, view) = play(&ledger, enters("7", Some("1"))).await;
        assert_eq!((view.cost_usd.to_string().as_str(), view.held_usd), ("0.25", PicoUsd::ZERO), "{class:?}");
        let (_, view) = play(&ledger, enters("7", Some("0.2"))).await;
        assert_eq!((view.waiting_for[0].kind.as_str(), ledger.calls()), ("budget", 1), "{class:?}");
    }
}
