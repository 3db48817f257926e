//! Performs what the engine decides, for one run, until nothing can move.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use wflo_engine::{Command, Event, Outcome, Place, RunStatus, decide, next_due};
use wflo_manifest::Plan;
use wflo_model::StepName;

use crate::attempt::{Attempt, AttemptFailed};
use crate::history::History;
use crate::run_log::RunLog;
use crate::{Host, Runtime, RuntimeError};

/// How long a stopping process waits for the calls under way. What is cut off then is as after a crash.
const GRACE: Duration = Duration::from_secs(10);

/// Told whenever something about a run has changed.
///
/// ```
/// use wflo::{Observer, RunView};
/// struct Quiet;
/// impl Observer for Quiet {
///     fn changed(&self, _run: &RunView) {}
/// }
/// ```
pub trait Observer: Send + Sync {
    /// The run looks like this now.
    fn changed(&self, run: &crate::RunView);
}

/// Performs commands for one run.
pub(crate) struct Executor<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) host: &'a Host,
    pub(crate) log: Arc<RunLog>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl Executor<'_> {
    /// Drives the run until it has ended, until nothing but a vote, a person or a timer can move it, or until the
    /// runtime is to [stop](Runtime::stop). All it did is durable when it returns.
    pub(crate) async fn drive(&self) -> Result<(), RuntimeError> {
        let mut attempts: JoinSet<((StepName, u32), Result<(), AttemptFailed>)> = JoinSet::new();
        let mut running: BTreeSet<(StepName, u32)> = BTreeSet::new();
        let mut fresh: BTreeSet<(StepName, u32)> = BTreeSet::new();
        let mut broken = None;
        let mut stopping = self.runtime.stopping();
        let mut last_call = None;
        loop {
            // Registered before looking, so that no change between looking and waiting is missed.
            let changed = self.log.changed().notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.observe();

            let now = self.log.now();
            let stops = *stopping.borrow_and_update();
            // The host failed, or is to stop: what runs comes to its end, nothing new begins.
            let commands = if stops || broken.is_some() {
                Vec::new()
            } else {
                self.log.read(|state| decide(self.log.run(), &self.plan, state, now))
            };
            let mut moved = false;
            for command in commands {
                match command {
                    Command::Append(events) => {
                        fresh.extend(self.append(events).await?);
                        moved = true;
                    }
                    Command::Attempt { step, attempt } => {
                        let key = (step, attempt);
                        if running.insert(key.clone()) {
                            let attempt = self.attempt(&key.0, key.1, fresh.remove(&key)).await?;
                            attempts.spawn(async move { (key, Box::pin(attempt.run()).await) });
                        }
                    }
                }
            }
            if moved {
                continue;
            }

            let due = self.log.read(next_due);
            if attempts.is_empty() {
                let status = self.log.read(wflo_engine::RunState::status);
                if stops || broken.is_some() || status != RunStatus::Running || due.is_none() {
                    break;
                }
            }
            if stops {
                last_call.get_or_insert_with(|| tokio::time::Instant::now() + GRACE);
            }
            let timer = async {
                match due {
                    Some(at) => tokio::time::sleep(at.since(self.log.now())).await,
                    None => std::future::pending().await,
                }
            };
            let grace = async {
                match last_call {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(joined) = attempts.join_next(), if !attempts.is_empty() => {
                    let (key, result) = joined.map_err(|error| RuntimeError::Bug { message: error.to_string() })?;
                    running.remove(&key);
                    if let Err(error) = result {
                        broken.get_or_insert(error);
                    }
                }
                () = changed => {}
                () = timer => {}
                // The sender lives in the runtime, which outlives this.
                Ok(()) = stopping.changed() => {}
                () = grace => {
                    attempts.shutdown().await;
                    break;
                }
            }
        }
        self.log.flush().await?;
        self.observe();
        match broken {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Appends what was decided; an approval that would be consumed is first held against today's groups.
    /// Returns the attempts that it started.
    async fn append(&self, mut events: Vec<(Place, Event)>) -> Result<Vec<(StepName, u32)>, RuntimeError> {
        let consumed = events.iter().find_map(|(place, event)| match event {
            Event::AttemptStarted { consumes: Some(id), .. } => Some((place.clone(), *id)),
            _ => None,
        });
        if let Some((place, id)) = consumed {
            let principals = self.runtime.principals(self.host).await?;
            let carried = self.log.read(|state| {
                state.approval(&id).is_some_and(|it| it.still_carried(|name| principals.groups_of(name)))
            });
            if !carried {
                let place = Place { attempt: 0, ..place };
                events = vec![(place, Event::ApprovalClosed { approval: id, outcome: Outcome::Superseded })];
            }
        }
        let started = events.iter().filter(|(_, event)| matches!(event, Event::AttemptStarted { .. }));
        let started = started.filter_map(|(place, _)| Some((place.step.clone()?, place.attempt))).collect();
        self.log.append(events)?;
        Ok(started)
    }

    /// Prepares an attempt; one that this process has just started has nothing to look back on.
    async fn attempt(&self, step: &StepName, attempt: u32, fresh: bool) -> Result<Attempt, RuntimeError> {
        let missing = || RuntimeError::Bug { message: format!("the plan has no step `{step}`") };
        let step = self.plan.step(step).ok_or_else(missing)?.clone();
        let program = self.runtime.program(&step.component).await?;
        let history = if fresh && attempt == 1 {
            let started = self.log.read(|state| state.step(&step.name).started_at).unwrap_or_default();
            History::begun(started)
        } else {
            History::of(&self.runtime.history(&self.log).await?, &step.name, attempt)
        };
        Ok(Attempt {
            log: Arc::clone(&self.log),
            outside: Arc::clone(&self.host.outside),
            plan: Arc::clone(&self.plan),
            step,
            attempt,
            program,
            history,
            stopping: self.runtime.stopping(),
        })
    }

    fn observe(&self) {
        if let Some(observer) = &self.observer {
            observer.changed(&self.log.read(|state| crate::RunView::new(self.log.run(), &self.plan, state)));
        }
    }
}
