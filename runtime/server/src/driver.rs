//! Keeps runs going: those whose timer is due, and those that somebody has decided about.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use wflo::{Host, Runtime, RuntimeError};
use wflo_model::RunId;

use crate::site::Workflows;

/// How often what is due is looked for. It costs one look into an index.
const LOOK: Duration = Duration::from_secs(1);
/// Runs begun at one look.
const AT_ONCE: usize = 64;
/// How long a run is left alone after the host has failed it once; twice as long after each time more.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// And at most: what has failed may be mended at any time, and one more failure costs little.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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
    /// Runs that the host has failed, until one try has not.
    failed: HashMap<RunId, Pause>,
    tasks: JoinSet<()>,
}

/// How long a run is left alone before it is tried again.
#[derive(Clone, Copy)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Pause {
    /// The one after another that has failed.
    fn after(before: Option<Self>, now: Instant) -> Self {
        let length = before.map_or(FIRST_PAUSE, |before| (before.length * 2).min(LONGEST_PAUSE));
        Self { length, until: now + length }
    }
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
            }
            let driven = match lacks.is_empty() {
                true => this.0.runtime.drive(run, &this.0.host, None).await.map(drop),
                false => Ok(()),
            };
            this.ended(run, driven);
        });
    }

    /// Notes how it ended: what the host has failed is tried again after a while.
    fn ended(&self, run: RunId, driven: Result<(), RuntimeError>) {
        let mut state = self.state();
        state.driven.remove(&run);
        let before = state.failed.remove(&run);
        if let Err(error) = driven {
            let pause = Pause::after(before, Instant::now());
            let seconds = pause.length.as_secs();
            tracing::error!(%run, %error, "the run was left where it stands; it is tried again in {seconds} s");
            state.failed.insert(run, pause);
        }
    }

    /// What is to be tried again now.
    fn again(&self) -> Vec<RunId> {
        let now = Instant::now();
        self.state().failed.iter().filter(|(_, pause)| pause.until <= now).map(|(run, _)| *run).collect()
    }

    /// The runs that are due now, without those that are left alone for a while.
    async fn due(&self) -> Result<Vec<RunId>, RuntimeError> {
        // They stay due, and are not to hide those behind them.
        let paused = self.state().failed.len();
        let mut due = self.0.runtime.due(AT_ONCE + paused).await?;
        let state = self.state();
        due.retain(|run| !state.failed.contains_key(run));
        Ok(due)
    }

    /// Goes on with what was interrupted, and with what comes due, until the runtime is to stop.
    pub(crate) fn keep_going(&self) -> JoinHandle<()> {
        let this = self.clone();
        tokio::spawn(async move {
            let (mut is_found, mut pause) = (false, None::<Pause>);
            let mut looks = tokio::time::interval(LOOK);
            while !this.0.runtime.is_stopping() {
                tokio::select! {
                    _ = looks.tick() => {}
                    () = this.0.runtime.until_stopping() => return,
                }
                if !is_found && pause.is_none_or(|pause| pause.until <= Instant::now()) {
                    match this.0.runtime.resumable().await {
                        Ok(found) => {
                            is_found = true;
                            found.runs.into_iter().for_each(|run| this.drive(run));
                        }
                        Err(error) => {
                            tracing::error!(%error, "what was interrupted cannot be found");
                            pause = Some(Pause::after(pause, Instant::now()));
                        }
                    }
                }
                this.again().into_iter().for_each(|run| this.drive(run));
                match this.due().await {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_double_up_to_a_minute() {
        let now = Instant::now();
        let pauses =
            std::iter::successors(Some(Pause::after(None, now)), |it| Some(Pause::after(Some(*it), now)));
        let seconds: Vec<_> = pauses.take(8).map(|pause| pause.length.as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
