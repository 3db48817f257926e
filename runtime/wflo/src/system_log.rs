//! The store's own log in memory: who there is, who failed to prove who they are, what was deployed.
//!
//! What it says is a fold over the log, as a run's state is one over the run. A snapshot of the fold is kept beside
//! it, so that opening a store reads no more than what came after; the log alone decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};
use wflo_journal::{Draft, Extras, Journal, ReadError, RunWriter, SYSTEM_LOG, Ticket};
use wflo_model::{Digest, Timestamp};
use wflo_ports::Clock;

use crate::RuntimeError;
use crate::principal::Principals;
use crate::system_event::{SystemEvent, SystemRecorded};
use crate::throttle::Throttle;

/// Where the snapshot is kept.
const SNAPSHOT: &str = "system";
/// Where principals were kept before the store had a log of its own.
const FORMER: &str = "identities";
/// Records after which the snapshot is written anew.
const SNAPSHOT_EVERY: u64 = 64;

/// What the log comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SystemState {
    /// The newest record that is in it.
    seq: u64,
    time: Timestamp,
    pub(crate) principals: Principals,
    pub(crate) throttle: Throttle,
    /// The deployment file as it last was, by its path.
    deployments: BTreeMap<String, Digest>,
    /// The plan that each workflow was last started with.
    plans: BTreeMap<String, Digest>,
}

impl SystemState {
    pub(crate) fn apply(&mut self, recorded: &SystemRecorded) {
        (self.seq, self.time) = (recorded.seq, recorded.time);
        let people = &mut self.principals.0;
        match &recorded.event {
            SystemEvent::IdentityAdded { name, principal, .. } => {
                people.insert(name.clone(), principal.clone());
            }
            SystemEvent::TokenRotated { name, token_hash, .. } => {
                if let Some(principal) = people.get_mut(name) {
                    principal.token_hash = Some(token_hash.clone());
                }
            }
            // Whoever is not of the store is of the deployment's file: the store notes that they have an end.
            SystemEvent::IdentityExpires { name, at, .. } => {
                people.entry(name.clone()).or_default().expires_at = Some(*at);
            }
            SystemEvent::IdentityRevoked { name, .. } => {
                people.entry(name.clone()).or_default().revoked = true;
            }
            SystemEvent::LoggedIn { name, .. } => self.throttle.succeeded(name),
            SystemEvent::LoginFailed { name, .. } => self.throttle.failed(name, recorded.time),
            SystemEvent::DeploymentChanged { digest, file } => {
                self.deployments.insert(file.clone(), *digest);
            }
            SystemEvent::WorkflowChanged { workflow, plan, .. } => {
                self.plans.insert(workflow.clone(), *plan);
            }
            SystemEvent::Exported { .. }
            | SystemEvent::ArtifactTaken { .. }
            | SystemEvent::Reported { .. }
            | SystemEvent::RunErased { .. }
            | SystemEvent::RunsDropped { .. }
            | SystemEvent::KeyRotated { .. } => {}
        }
    }

    /// Whether the file was so the last time.
    pub(crate) fn has_deployment(&self, file: &str, digest: &Digest) -> bool {
        self.deployments.get(file) == Some(digest)
    }

    /// Whether the workflow was last started with this plan.
    pub(crate) fn has_plan(&self, workflow: &str, plan: &Digest) -> bool {
        self.plans.get(workflow) == Some(plan)
    }
}

/// The log, and what it comes to. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SystemLog(Arc<Shared>);

struct Shared {
    journal: Journal,
    clock: Arc<dyn Clock>,
    /// None until somebody asks: a command that needs nothing of it does not read it.
    inner: Mutex<Option<Inner>>,
}

pub(crate) struct Inner {
    state: SystemState,
    /// None until something is written.
    writer: Option<RunWriter>,
    /// The record up to which the kept snapshot goes.
    kept: u64,
}

impl SystemLog {
    pub(crate) fn new(journal: Journal, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared { journal, clock, inner: Mutex::new(None) }))
    }

    /// The time as the log has it: a clock that was set back comes after.
    fn now(&self, state: &SystemState) -> Timestamp {
        self.0.clock.now().max(state.time)
    }

    /// Looks at the state as it is now, and at the time.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) async fn read<R>(
        &self,
        look: impl FnOnce(&SystemState, Timestamp) -> R,
    ) -> Result<R, RuntimeError> {
        let inner = self.inner().await?;
        let state = &inner.as_ref().expect("it was read").state;
        Ok(look(state, self.now(state)))
    }

    /// Appends; durable when this returns.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub(crate) async fn append(&self, event: SystemEvent) -> Result<(), RuntimeError> {
        self.transact(|_, _| Ok((vec![event], ()))).await
    }

    /// Decides on the state and appends what was decided, with nothing in between. Durable when this returns.
    ///
    /// # Errors
    /// What `decide` says; when the log cannot be read or written.
    pub(crate) async fn transact<T>(
        &self,
        decide: impl FnOnce(&SystemState, Timestamp) -> Result<(Vec<SystemEvent>, T), RuntimeError>,
    ) -> Result<T, RuntimeError> {
        let mut guard = self.inner().await?;
        let inner = guard.as_mut().expect("it was read");
        let now = self.now(&inner.state);
        let (events, value) = decide(&inner.state, now)?;
        if events.is_empty() {
            return Ok(value);
        }
        let ticket = self.write(inner, now, events).await?;
        let snapshot = (inner.state.seq >= inner.kept + SNAPSHOT_EVERY).then(|| {
            inner.kept = inner.state.seq;
            inner.state.clone()
        });
        // Others may go on meanwhile: what they append becomes durable after this, or not at all.
        drop(guard);
        ticket.durable().await?;
        if let Some(state) = snapshot {
            let bytes = serde_json::to_vec(&state).expect("the state has text keys");
            self.0.journal.meta_put(SNAPSHOT, &bytes).await?;
        }
        Ok(value)
    }

    async fn write(
        &self,
        inner: &mut Inner,
        now: Timestamp,
        events: Vec<SystemEvent>,
    ) -> Result<Ticket, RuntimeError> {
        if inner.writer.is_none() {
            inner.writer = Some(self.0.journal.system_log().await?);
        }
        let writer = inner.writer.as_mut().expect("it was just made");
        let draft = |event: &SystemEvent| {
            let body = serde_json::to_vec(event).expect("an event of the store has text keys");
            Draft::new(now, event.kind(), body)
        };
        let drafts = events.iter().map(draft).collect();
        let appended = writer.append(drafts, Extras::default())?;
        for (header, event) in appended.headers.iter().zip(events) {
            inner.state.apply(&SystemRecorded { seq: header.seq, time: header.time, event });
        }
        Ok(appended.ticket)
    }

    async fn inner(&self) -> Result<MutexGuard<'_, Option<Inner>>, RuntimeError> {
        let mut inner = self.0.inner.lock().await;
        if inner.is_none() {
            let state = load(&self.0.journal).await?;
            *inner = Some(Inner { kept: state.seq, writer: None, state });
        }
        Ok(inner)
    }
}

/// The state by the log: by its snapshot and what came after.
async fn load(journal: &Journal) -> Result<SystemState, RuntimeError> {
    let damaged =
        |what: &str, error: &dyn std::fmt::Display| RuntimeError::Bug { message: format!("{what}: {error}") };
    let mut state = match journal.meta_get(SNAPSHOT).await? {
        Some(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| damaged("the snapshot of the store's own log", &error))?,
        None => before_the_log(journal).await?,
    };
    for recorded in records(journal, state.seq + 1).await? {
        state.apply(&recorded);
    }
    Ok(state)
}

async fn before_the_log(journal: &Journal) -> Result<SystemState, RuntimeError> {
    let principals = match journal.meta_get(FORMER).await? {
        Some(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| RuntimeError::Bug { message: format!("the stored identities: {error}") })?,
        None => Principals::default(),
    };
    Ok(SystemState { principals, ..SystemState::default() })
}

/// The records of the log from `from` on; none where there is no log yet.
pub(crate) async fn records(journal: &Journal, from: u64) -> Result<Vec<SystemRecorded>, RuntimeError> {
    match journal.read(SYSTEM_LOG, from).await {
        Ok(entries) => entries.iter().map(SystemRecorded::of).collect(),
        Err(ReadError::UnknownRun { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use wflo_backends::SystemEntropy;
    use wflo_model::PrincipalName;

    use super::*;
    use crate::principal::Principal;

    struct Ticking(AtomicU64);
    impl Clock for Ticking {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.fetch_add(1_000_000, Ordering::SeqCst))
        }
    }

    fn name(name: &str) -> PrincipalName {
        name.parse().unwrap()
    }

    /// What is kept beside the log is what the log comes to, at any length.
    #[tokio::test]
    async fn the_snapshot_is_the_fold_of_the_log() {
        let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
        let log = SystemLog::new(journal.clone(), Arc::new(Ticking(AtomicU64::new(1))));
        let add = |n: u64| SystemEvent::IdentityAdded {
            name: name(&format!("person-{n}")),
            principal: Principal::default(),
            by: name("local:root"),
        };
        for n in 0..3 * SNAPSHOT_EVERY {
            log.append(match n % 3 {
                0 => add(n),
                1 => SystemEvent::LoginFailed { name: name("eve"), through: "page".into(), turned_away: 0 },
                _ => {
                    SystemEvent::IdentityRevoked { name: name(&format!("person-{}", n - 2)), by: name("ann") }
                }
            })
            .await
            .unwrap();
            let mut folded = SystemState::default();
            records(&journal, 1).await.unwrap().iter().for_each(|recorded| folded.apply(recorded));
            assert_eq!(load(&journal).await.unwrap(), folded);
            log.read(|state, _| assert_eq!(*state, folded)).await.unwrap();
        }
        assert!(journal.meta_get(SNAPSHOT).await.unwrap().is_some(), "a snapshot was kept");
    }

    #[tokio::test]
    async fn principals_from_before_the_log_are_still_known() {
        let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
        let kept = br#"{"alice":{"groups":["fraud-team"],"token_hash":"$argon2id$"}}"#;
        journal.meta_put(FORMER, kept).await.unwrap();
        let log = SystemLog::new(journal, Arc::new(Ticking(AtomicU64::new(1))));
        log.read(|state, now| assert!(state.principals.0[&name("alice")].is_active(now))).await.unwrap();
    }
}
