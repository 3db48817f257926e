//! Keeps runs going: those whose timer is due, and those that somebody has decided about.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use wflo::{Host, Runtime};
use wflo_model::RunId;

use crate::site::Workflows;

/// How often what is due is looked for. It costs one look into an index.
const LOOK: Duration = Duration::from_secs(1);
/// Runs begun at one look.
const AT_ONCE: usize = 64;

/// Drives runs in the background.
#[derive(Clone)]
pub(crate) struct Driver(Arc<Inner>);

struct Inner {
    runtime: Arc<Runtime>,
    host: Arc<Host>,
    workflows: Arc<dyn Workflows>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    driven: HashSet<RunId>,
    /// Runs that this deployment cannot drive: said once.
    left: HashSet<RunId>,
    tasks: JoinSet<()>,
}

impl Driver {
    pub(crate) fn new(runtime: Arc<Runtime>, host: Arc<Host>, workflows: Arc<dyn Workflows>) -> Self {
        Self(Arc::new(Inner { runtime, host, workflows, state: Mutex::default() }))
    }

    /// Has a run go on, if it can here. One that is being driven need not be told.
    pub(crate) fn drive(&self, run: RunId) {
        let this = self.clone();
        let mut state = self.state();
        while state.tasks.try_join_next().is_some() {}
        if state.left.contains(&run) || !state.driven.insert(run) {
            return;
        }
        state.tasks.spawn(async move {
            let lacks = this.0.workflows.lacks(run).await;
            if !lacks.is_empty() {
                this.state().left.insert(run);
                tracing::warn!(%run, lacks = lacks.join(", "), "left as it is: this deployment does not bind what it needs");
            } else if let Err(error) = this.0.runtime.drive(run, &this.0.host, None).await {
                tracing::error!(%run, %error, "the run was left where it stands");
            }
            this.state().driven.remove(&run);
        });
    }

    /// Goes on with what was interrupted, and with what comes due, until the runtime is to stop.
    pub(crate) fn keep_going(&self) -> JoinHandle<()> {
        let this = self.clone();
        tokio::spawn(async move {
            match this.0.runtime.resumable().await {
                Ok(found) => found.runs.into_iter().for_each(|run| this.drive(run)),
                Err(error) => tracing::error!(%error, "what was interrupted cannot be found"),
            }
            let mut looks = tokio::time::interval(LOOK);
            while !this.0.runtime.is_stopping() {
                tokio::select! {
                    _ = looks.tick() => {}
                    () = this.0.runtime.until_stopping() => return,
                }
                match this.0.runtime.due(AT_ONCE).await {
                    Ok(due) => due.into_iter().for_each(|run| this.drive(run)),
                    Err(error) => tracing::error!(%error, "what is due cannot be found"),
                }
            }
        })
    }

    /// Waits until nothing is driven any more.
    pub(crate) async fn settled(&self) {
        loop {
            let mut tasks = std::mem::take(&mut self.state().tasks);
            if tasks.is_empty() {
                return;
            }
            while tasks.join_next().await.is_some() {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is whole between any two of its changes.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
