//! Giving space back and forgetting: old runs are dropped, single runs are erased.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wflo_engine::{Recorded, RunState};
use wflo_journal::Prune;
use wflo_model::{Digest, PrincipalName, RunId};

use crate::fork::fork_of;
use crate::seen::seen;
use crate::system_event::SystemEvent;
use crate::{Runtime, RuntimeError};

/// Which runs are kept.
///
/// ```
/// use std::time::Duration;
/// use wflo::Retention;
/// let year = Retention { ended_for: Duration::from_secs(365 * 86_400) };
/// assert!(year.ended_for < Retention::default().ended_for);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// A run is dropped when it has ended for longer than this. One that has not ended never is.
    pub ended_for: Duration,
}

impl Default for Retention {
    /// Six years: what the rules for health data in the United States ask of documentation (45 CFR 164.316(b)(2)).
    fn default() -> Self {
        Self { ended_for: Duration::from_secs(6 * 365 * 86_400) }
    }
}

/// What was taken away, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GcView {
    /// Runs that were dropped.
    pub runs: u64,
    /// Their events.
    pub events: u64,
    /// Files of large bodies.
    pub blobs: u64,
    /// Plans and components that no run needs any more.
    pub public: u64,
    /// Bytes that are free again.
    pub bytes: u64,
    /// True when nothing was done yet.
    pub dry_run: bool,
}

/// What cannot be dropped as long as a run is there.
struct Needs {
    /// The run it was forked from.
    parent: Option<RunId>,
    /// Its plan, and the components of that.
    public: Vec<Digest>,
}

impl Runtime {
    /// Drops, for somebody, the runs that retention does not ask to keep, and the plans and components that no run needs then. A
    /// run stays as long as a fork of it, which reads what it made. With `dry_run`, only says which runs and how many events
    /// these are.
    ///
    /// Takes as long as copying what stays; appends wait meanwhile, and reads go on. The commit point is the switch
    /// to the new generation of the store.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn gc(
        &self,
        keep: Retention,
        dry_run: bool,
        by: &PrincipalName,
    ) -> Result<GcView, RuntimeError> {
        let now = self.now();
        let (mut dropped, mut kept, mut in_use) = (HashMap::new(), Vec::new(), HashSet::new());
        for head in self.journal().runs().await? {
            let summary = self.summary(&head.summary)?;
            if summary.status.is_final() && now.since(summary.changed_at) > keep.ended_for {
                dropped.insert(head.run, head.head);
            } else {
                kept.push(head.run);
            }
        }
        while let Some(run) = kept.pop() {
            let Some(Needs { parent, public }) = self.needs(run).await? else { continue };
            in_use.extend(public);
            kept.extend(parent.filter(|parent| dropped.remove(parent).is_some()));
        }
        if dry_run {
            let (runs, events) = (dropped.len() as u64, dropped.values().sum());
            return Ok(GcView { runs, events, dry_run, ..GcView::default() });
        }
        if !dropped.is_empty() {
            let mut runs: Vec<RunId> = dropped.keys().copied().collect();
            runs.sort_unstable();
            let ended_for = keep.ended_for.as_secs();
            self.system().append(SystemEvent::RunsDropped { runs, ended_for, by: by.clone() }).await?;
        }
        let pruned = self.journal().prune(Prune { runs: dropped, public: Some(in_use) }).await?;
        let wflo_journal::Pruned { runs, events, blobs, public, bytes } = pruned;
        Ok(GcView { runs, events, blobs, public, bytes, dry_run })
    }

    /// What a run needs; none for one that was erased, which runs nothing any more.
    async fn needs(&self, run: RunId) -> Result<Option<Needs>, RuntimeError> {
        let first = match self.first_event(run).await {
            Ok(first) => first,
            Err(RuntimeError::Journal(wflo_journal::ReadError::Erased { .. })) => return Ok(None),
            Err(error) => return Err(error),
        };
        let state = RunState::replay([&first]).map_err(crate::LogFailed::from)?;
        let plan = self.plan(&state).await?;
        let mut public: Vec<_> = plan.components().into_iter().collect();
        public.extend(state.created().map(|created| created.plan));
        let forked = state.created().and_then(|created| created.forked.as_ref());
        Ok(Some(Needs { parent: forked.map(|forked| forked.run), public }))
    }

    /// The runs that go on one after another in place of the one that these are the events of, as far as there is
    /// something of them: each has what those before it said.
    async fn forks_of(&self, events: &[Recorded]) -> Result<Vec<RunId>, RuntimeError> {
        let mut forks = Vec::new();
        let mut next = fork_of(events);
        while let Some(fork) = next {
            next = match self.outline(fork).await {
                Ok(events) => fork_of(&events),
                Err(
                    RuntimeError::NoSuchRun { .. }
                    | RuntimeError::Journal(wflo_journal::ReadError::Erased { .. }),
                ) => break,
                Err(error) => return Err(error),
            };
            forks.push(fork);
        }
        Ok(forks)
    }

    /// Forgets, for somebody, what a run said: the key that opens it and the bodies of its events are gone from the store's files
    /// when this returns. That its events took place, and when, still verifies.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`]; [`RuntimeError::HasForks`] for one whose fork is still there; when the run has not ended,
    /// or was erased before.
    pub async fn erase(&self, run: RunId, by: &PrincipalName) -> Result<u64, RuntimeError> {
        let head = match self.journal().head(run).await {
            Err(wflo_journal::ReadError::UnknownRun { run }) => return Err(RuntimeError::NoSuchRun { run }),
            head => head?,
        };
        // What was seen through a filter outlives the run, as digests; it is in the log before anything is forgotten.
        if head.ended && !head.erased {
            let events = self.outline(run).await?;
            let forks = self.forks_of(&events).await?;
            if !forks.is_empty() {
                return Err(RuntimeError::HasForks { run, forks });
            }
            let seen = seen(&events, &self.journal().audit_key().await?);
            self.system().append(SystemEvent::RunErased { run, by: by.clone(), seen }).await?;
        }
        Ok(self.journal().erase(run, head.summary).await?.events)
    }
}
