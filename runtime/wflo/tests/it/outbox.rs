//! What there is to be told is told: by channels that work, that do not, and across crashes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Map;
use wflo::{Host, RunView, RuntimeError, Start, Verdict, Voter};
use wflo_journal::FaultSync;
use wflo_manifest::{ApprovalRule, Approver, PlanStep, Quorum};
use wflo_model::{ApprovalId, Label, RunId, Timestamp};
use wflo_ports::{Clock as _, Notification, NotificationKind, Notifier, NotifyError};

use crate::support::{COMPONENT, Process, World};
use crate::sweep::{plan, step};

/// Long enough for whatever these channels do, and never waited for in full.
const AWHILE: Duration = Duration::from_secs(20);

/// What a channel of these tests does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Takes,
    /// Takes it, and the answer is lost.
    TakesAndBreaks,
    Refuses,
    Hangs,
}

struct Channel {
    does: Mutex<Does>,
    told: Mutex<Vec<Notification>>,
    accepts: BTreeSet<Label>,
}

impl Channel {
    fn new(does: Does) -> Arc<Self> {
        Arc::new(Self { does: Mutex::new(does), told: Mutex::default(), accepts: BTreeSet::new() })
    }

    fn now(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    /// What was told, by kind.
    fn told(&self) -> Vec<&'static str> {
        let kind = |it: &Notification| match it.kind {
            NotificationKind::Asked => "asked",
            NotificationKind::Decided { .. } => "decided",
            _ => "happened",
        };
        self.told.lock().unwrap().iter().map(kind).collect()
    }

    fn ids(&self) -> BTreeSet<String> {
        self.told.lock().unwrap().iter().map(|it| it.id.clone()).collect()
    }
}

#[async_trait]
impl Notifier for Channel {
    async fn tell(&self, notification: &Notification) -> Result<(), NotifyError> {
        let does = *self.does.lock().unwrap();
        if matches!(does, Does::Takes | Does::TakesAndBreaks) {
            self.told.lock().unwrap().push(notification.clone());
        }
        match does {
            Does::Takes => Ok(()),
            Does::TakesAndBreaks => {
                Err(NotifyError::Later { message: "the connection broke".into(), after: None })
            }
            Does::Refuses => Err(NotifyError::Refused { message: "no such channel".into() }),
            Does::Hangs => std::future::pending().await,
        }
    }

    fn accepts(&self) -> &BTreeSet<Label> {
        &self.accepts
    }

    fn hears_decisions(&self) -> bool {
        true
    }
}

/// The host of a process, with these channels.
fn host(process: &Process, channels: &[(&str, &Arc<Channel>)]) -> Host {
    let mut outside = (*process.host.outside).clone().with_pages("https://wflo.test/");
    for (address, channel) in channels {
        outside = outside.with_channel((*address).to_owned(), Ok(Arc::clone(channel) as Arc<dyn Notifier>));
    }
    Host { outside: Arc::new(outside), ..process.host.clone() }
}

/// Starts a run that asks one group, and tells these channels.
async fn asks(process: &Process, host: &Host, notify: &[&str]) -> Result<(RunId, RunView), RuntimeError> {
    let mut rule = ApprovalRule::new(vec![Approver::new("red")], Quorum::EachListed);
    rule.notify = notify.iter().map(|&channel| channel.to_owned()).collect();
    let start = Start {
        plan: plan(vec![PlanStep { approval: Some(rule), ..step("idle", &[]) }], None),
        components: vec![COMPONENT.into()],
        inputs: Map::new(),
        requester: "rita".parse().unwrap(),
        key: Some("the run".into()),
    };
    let run = process.runtime.start(start).await?;
    Ok((run, process.runtime.drive(run, host, None).await?))
}

async fn approve(process: &Process, id: ApprovalId) -> Result<(), RuntimeError> {
    let alice = Voter { name: "alice".parse().unwrap(), groups: ["red".parse().unwrap()].into() };
    process.runtime.vote(id, &alice, Verdict::Approve, None).await.map(drop)
}

async fn process(world: &World) -> Process {
    world.process(Arc::new(FaultSync::at(0))).await.unwrap()
}

#[tokio::test]
async fn a_question_and_its_decision_are_told_once_each_and_in_order() {
    let (world, channel) = (World::new(), Channel::new(Does::Takes));
    let process = process(&world).await;
    let host = host(&process, &[("slack://a", &channel)]);
    let (run, view) = asks(&process, &host, &["slack://a"]).await.unwrap();
    assert_eq!(process.runtime.outbox().await.unwrap().len(), 1);
    assert_eq!(process.runtime.tell_for(&host, AWHILE).await.unwrap(), []);
    let id = view.waiting_for[0].id.unwrap();
    let asked = channel.told.lock().unwrap()[0].clone();
    assert_eq!((asked.about, asked.step.as_deref()), (id.to_string(), Some("idle")));
    assert_eq!(asked.link, Some(format!("https://wflo.test/approvals/{id}")));
    assert_eq!((asked.approvers, asked.run), (vec!["red".to_owned()], run.to_string()));
    assert!(asked.details.is_some(), "what is decided on is shown");

    approve(&process, id).await.unwrap();
    process.runtime.tell_for(&host, AWHILE).await.unwrap();
    process.runtime.drive(run, &host, None).await.unwrap();
    process.runtime.tell_for(&host, AWHILE).await.unwrap();
    assert_eq!(channel.told(), ["asked", "decided"]);
    let outcome = NotificationKind::Decided { outcome: "approved".into() };
    assert_eq!(channel.told.lock().unwrap()[1].kind, outcome);
}

#[tokio::test]
async fn a_channel_that_hangs_delays_neither_the_run_nor_the_others() {
    let world = World::new();
    let (dead, alive) = (Channel::new(Does::Hangs), Channel::new(Does::Takes));
    let process = process(&world).await;
    let host = host(&process, &[("slack://dead", &dead), ("slack://alive", &alive)]);
    let began = tokio::time::Instant::now();
    let driven = asks(&process, &host, &["slack://dead", "slack://alive"]);
    let (run, view) = Box::pin(process.runtime.telling(&host, driven)).await.unwrap();
    let left = process.runtime.tell_for(&host, Duration::from_millis(300)).await.unwrap();
    assert_eq!(alive.told(), ["asked"]);
    assert_eq!(left.iter().map(|line| line.channel.as_str()).collect::<Vec<_>>(), ["slack://dead"]);
    approve(&process, view.waiting_for[0].id.unwrap()).await.unwrap();
    let ended = process.runtime.drive(run, &host, None).await.unwrap();
    assert_eq!(ended.status, wflo::RunStatus::Succeeded);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_was_not_taken_is_told_again_later_and_later() {
    let (world, channel) = (World::new(), Channel::new(Does::TakesAndBreaks));
    let process = process(&world).await;
    let host = host(&process, &[("slack://a", &channel)]);
    asks(&process, &host, &["slack://a"]).await.unwrap();
    let mut waits = Vec::new();
    for tries in 1..=4 {
        let at = process.clock.now();
        let left = process.runtime.tell_for(&host, Duration::from_millis(50)).await.unwrap();
        assert_eq!((left[0].tries, left[0].why.as_deref()), (tries, Some("the connection broke")));
        let rows = process.runtime.journal().outbox(None, Timestamp::from_micros(u64::MAX), 9).await.unwrap();
        let next = rows[0].key.due;
        waits.push(next.since(at));
        process.clock.set(next);
    }
    assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
    assert!(waits[0] >= Duration::from_secs(2) && waits[3] <= Duration::from_secs(33), "{waits:?}");
    channel.now(Does::Takes);
    assert_eq!(process.runtime.tell_for(&host, AWHILE).await.unwrap(), []);
    assert_eq!((channel.told().len(), channel.ids().len()), (5, 1), "each time under the same id");
}

#[tokio::test]
async fn a_channel_that_refuses_is_left_alone_until_somebody_asks() {
    let (world, channel) = (World::new(), Channel::new(Does::Refuses));
    let process = process(&world).await;
    let host = host(&process, &[("slack://a", &channel)]);
    asks(&process, &host, &["slack://a", "slack://not-bound"]).await.unwrap();
    let left = process.runtime.tell_for(&host, AWHILE).await.unwrap();
    assert_eq!(left.len(), 2, "what is not bound here waits for whoever binds it");
    channel.now(Does::Takes);
    process.runtime.tell_for(&host, AWHILE).await.unwrap();
    assert!(channel.told().is_empty(), "it is not asked again at once");
    process.runtime.retry_outbox().await.unwrap();
    assert_eq!(process.runtime.tell_for(&host, AWHILE).await.unwrap().len(), 1);
    assert_eq!(channel.told(), ["asked"]);
}

#[tokio::test]
async fn of_what_is_decided_only_those_are_told_who_may_have_been_asked() {
    for (does, expect) in [(Does::Refuses, &[][..]), (Does::TakesAndBreaks, &["asked", "decided"])] {
        let (world, channel) = (World::new(), Channel::new(does));
        let process = process(&world).await;
        let host = host(&process, &[("slack://a", &channel)]);
        let (_, view) = asks(&process, &host, &["slack://a"]).await.unwrap();
        process.runtime.tell_for(&host, Duration::from_millis(50)).await.unwrap();
        channel.now(Does::Takes);
        approve(&process, view.waiting_for[0].id.unwrap()).await.unwrap();
        assert_eq!(process.runtime.tell_for(&host, AWHILE).await.unwrap(), []);
        assert_eq!(channel.told(), expect);
    }
}

#[tokio::test]
async fn whatever_a_crash_cuts_off_everybody_is_told() {
    for fails_at in 1..40 {
        let (world, channel) = (World::new(), Channel::new(Does::Takes));
        let mut processes = 0;
        let first = world.process(Arc::new(FaultSync::at(fails_at))).await;
        let mut crashed = first.is_err();
        let mut next = first.ok();
        let run = loop {
            let process = match next.take() {
                Some(process) => process,
                None => process(&world).await,
            };
            processes += 1;
            let host = host(&process, &[("slack://a", &channel)]);
            match to_its_end(&process, &host).await {
                Ok(run) => break run,
                Err(_) => crashed = true,
            }
            assert!(processes < 4, "it does not end");
        };
        let told = channel.told();
        assert!(told.contains(&"asked") && told.contains(&"decided"), "at sync {fails_at}: {told:?}");
        assert_eq!(channel.ids().len(), 2, "at sync {fails_at}: what is told twice is told under one id");
        let about = channel.told.lock().unwrap().iter().all(|it| it.run == run.to_string());
        assert!(about, "at sync {fails_at}: nothing is told of a run that was not made");
        if !crashed {
            assert!(fails_at > 5, "the scenario has syncs");
            return;
        }
    }
    panic!("the scenario has more syncs than were tried");
}

async fn to_its_end(process: &Process, host: &Host) -> Result<RunId, RuntimeError> {
    let (run, view) = asks(process, host, &["slack://a"]).await?;
    let left = process.runtime.tell_for(host, AWHILE).await?;
    assert_eq!(left, []);
    if let Some(id) = view.waiting_for.first().and_then(|wait| wait.id) {
        approve(process, id).await?;
        process.runtime.drive(run, host, None).await?;
    }
    process.runtime.tell_for(host, AWHILE).await?;
    Ok(run)
}
