//! Performs what the engine decides, for one run, until nothing can move.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use wflo_engine::{Command, Event, Outcome, Place, RunState, RunStatus, UnitId, decide, next_due};
use wflo_manifest::Plan;
use wflo_model::ApprovalId;

use crate::attempt::{Attempt, AttemptFailed, Meters};
use crate::compensate::{Parents, Told, item_of, step_of};
use crate::history::History;
use crate::observing::Observing;
use crate::principal::{People, Principals};
use crate::run_log::{Advanced, RunLog};
use crate::signal::Signal;
use crate::{Host, Runtime, RuntimeError, row_filters};

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
    pub(crate) people: People,
    pub(crate) log: Arc<RunLog>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) parents: Parents,
}

/// An attempt: its step or item, and its number.
type Key = (UnitId, u32);
/// What became of the attempts that run side by side.
type Attempts = JoinSet<(Key, Result<Option<(Place, Event)>, AttemptFailed>)>;

impl Executor<'_> {
    /// Drives the run until it has ended, until nothing but a vote, a person or a timer can move it, or until the
    /// runtime is to [stop](Runtime::stop). All it did is durable when it returns.
    pub(crate) async fn drive(&self) -> Result<(), RuntimeError> {
        let mut attempts = Attempts::new();
        let mut running: BTreeSet<Key> = BTreeSet::new();
        let mut fresh: BTreeSet<Key> = BTreeSet::new();
        let mut broken = None;
        let mut undoing = None;
        let stopping = self.runtime.stopping();
        let halt = Signal::default();
        let mut grace = None;
        let mut observing = Observing::new(self.observer.clone());
        loop {
            // Registered before looking, so that no change between looking and waiting is missed.
            let changed = self.log.changed().notified();
            tokio::pin!(changed);
            changed.as_mut().enable();

            let stops = stopping.get();
            let is_cancelled = self.log.read(|state| state.cancel().is_some());
            if !stops && !is_cancelled {
                // Also where a cancelled run has been wound up, and is rolled back now.
                halt.set(false);
                grace = None;
            } else if halt.set(true) {
                grace = Some(Instant::now() + GRACE);
            }
            // What runs comes to its end before a run is wound up, and nothing begins where the host failed.
            let holds = stops || broken.is_some() || (is_cancelled && !attempts.is_empty());
            let (mut undo, mut begun) = (None, Vec::new());
            if !holds {
                fresh.extend(self.advance(Vec::new(), !attempts.is_empty()).await?);
                let now = self.log.now();
                for command in self.log.read(|state| decide(self.log.run(), &self.plan, state, now)) {
                    // What is appended by now, others have made necessary meanwhile: they wake this up.
                    let (unit, attempt) = match command {
                        Command::Attempt { unit, attempt } => (unit, attempt),
                        Command::Append(_) => continue,
                        command => {
                            undo = Some(command);
                            continue;
                        }
                    };
                    let key = (unit, attempt);
                    if running.insert(key.clone()) {
                        let is_fresh = fresh.remove(&key);
                        let attempt = self.attempt(&key, is_fresh, halt.clone()).await?;
                        begun.push((key, attempt));
                    }
                }
            }

            // What has begun is told before it can end or wait.
            let look_again = observing.look(&self.log, &self.plan);
            for (key, attempt) in begun {
                attempts.spawn(async move { (key, Box::pin(attempt.run()).await) });
            }

            if let Some(command) = undo {
                match Box::pin(self.roll_back(command)).await {
                    Ok(()) => continue,
                    Err(error) => undoing = Some(error),
                }
            }
            let due = self.log.read(next_due);
            if attempts.is_empty() {
                let status = self.log.read(RunState::status);
                let moves = matches!(status, RunStatus::Running | RunStatus::RollingBack);
                if stops || broken.is_some() || undoing.is_some() || !moves || due.is_none() {
                    break;
                }
            }
            let due = due.filter(|_| !holds).map(|at| Instant::now() + self.log.wait(at));
            tokio::select! {
                // In this order, so that a simulation does the same again; what is not first now is in the next round.
                biased;
                Some(joined) = attempts.join_next(), if !attempts.is_empty() => {
                    let mut ended = Vec::new();
                    let mut next = Some(joined);
                    while let Some(joined) = next {
                        let (key, result) = joined.map_err(|error| RuntimeError::Bug { message: error.to_string() })?;
                        running.remove(&key);
                        match result {
                            Ok(event) => ended.extend(event),
                            Err(error) => _ = broken.get_or_insert(error),
                        }
                        next = attempts.try_join_next();
                    }
                    // It may have been told to stop since the round began: then nothing follows from what has ended.
                    if !stopping.get() && broken.is_none() {
                        fresh.extend(self.advance(ended, !attempts.is_empty()).await?);
                    } else if !ended.is_empty() {
                        self.log.append(ended)?;
                    }
                }
                () = changed => {}
                () = until(due) => {}
                () = until(look_again) => {}
                () = stopping.until(true), if !stops => {}
                () = until(grace) => {
                    // What is cut off now is as after a crash.
                    attempts.shutdown().await;
                    running.clear();
                    grace = None;
                }
            }
        }
        self.log.flush().await?;
        observing.end(&self.log, &self.plan);
        match (undoing, broken) {
            (Some(error), _) => Err(error),
            (None, Some(error)) => Err(error.into()),
            (None, None) => Ok(()),
        }
    }

    /// Appends events and, in the same piece, what follows from them by itself. Returns the attempts it started.
    ///
    /// What follows is decided and appended under the log's lock, so that it is decided on the very state it is
    /// appended to: whoever votes or cancels meanwhile comes before it or after it.
    async fn advance(&self, events: Vec<(Place, Event)>, busy: bool) -> Result<Vec<Key>, RuntimeError> {
        let mut started = Vec::new();
        let mut events = events;
        // An approval that would be consumed is held against today's groups, which takes a look at the store: that
        // is done between two rounds.
        let mut people = None;
        loop {
            let asks = Cell::new(false);
            let Advanced { appended, is_over } = self.log.advance(events, |state, now| {
                // A cancelled run is wound up when what runs has come to its end.
                if busy && state.cancel().is_some() {
                    return Vec::new();
                }
                for command in decide(self.log.run(), &self.plan, state, now) {
                    let Command::Append(events) = command else { continue };
                    let Some((place, id)) = consumed(&events) else { return events };
                    match &people {
                        Some(people) if is_carried(state, &id, people) => return events,
                        // It is asked again instead.
                        Some(_) => return vec![superseded(place, id)],
                        None => asks.set(true),
                    }
                }
                Vec::new()
            })?;
            started.extend(appended.iter().filter_map(|(place, event)| match event {
                Event::AttemptStarted { .. } => Some((place.unit_id()?, place.attempt)),
                _ => None,
            }));
            if asks.get() {
                people = Some(self.people.known().await?);
            } else if is_over {
                return Ok(started);
            }
            events = Vec::new();
        }
    }

    /// Prepares an attempt; one that this process has just started has nothing to look back on.
    async fn attempt(
        &self,
        (unit, attempt): &Key,
        is_fresh: bool,
        stopping: Signal,
    ) -> Result<Attempt, RuntimeError> {
        let missing = || RuntimeError::Bug { message: format!("the plan has no step `{}`", unit.step) };
        let step = step_of(&self.plan, unit).ok_or_else(missing)?;
        let undo = match self.log.read(|state| Told::by(&step, unit, state)) {
            Some(told) => Some(self.parents.complete(self.runtime, &step, told).await?),
            None if unit.compensates().is_some() => {
                let message = format!("no rollback has planned `{unit}`");
                return Err(RuntimeError::Bug { message });
            }
            None => None,
        };
        let step = self.log.read(|state| {
            // A compensator works on what the step it undoes worked on.
            let item = undo.as_ref().map_or_else(|| item_of(unit, state), |undo| undo.item.as_ref());
            row_filters::bound(step, state, item)
        });
        let audit_key = match row_filters::is_filtered(&step) {
            true => Some(self.runtime.journal().audit_key().await?),
            false => None,
        };
        let program = self.runtime.program(&step.component).await?;
        // The first attempt of a fork has what the parent lends it.
        let is_forked = |state: &RunState| state.created().is_some_and(|created| created.forked.is_some());
        let history = if is_fresh && *attempt == 1 && !self.log.read(is_forked) {
            self.log.read(|state| History::begun(state.unit(unit)))
        } else {
            self.runtime.history(&self.log, unit, *attempt).await?
        };
        Ok(Attempt {
            log: Arc::clone(&self.log),
            journal: self.runtime.journal().clone(),
            outside: Arc::clone(&self.host.outside),
            people: self.people.clone(),
            plan: Arc::clone(&self.plan),
            step,
            audit_key,
            unit: unit.clone(),
            attempt: *attempt,
            undo,
            program,
            history,
            stopping,
            meters: Meters::default(),
        })
    }
}

/// Whether an approval is still carried by those who gave it, in the groups they are in now.
fn is_carried(state: &RunState, id: &ApprovalId, people: &Principals) -> bool {
    state.approval(id).is_some_and(|approval| approval.still_carried(|name| people.groups_of(name)))
}

fn superseded(place: Place, approval: ApprovalId) -> (Place, Event) {
    let place = Place { attempt: 0, ..place };
    (place, Event::ApprovalClosed { approval, outcome: Outcome::Superseded })
}

/// The approval that events would consume, and where.
fn consumed(events: &[(Place, Event)]) -> Option<(Place, ApprovalId)> {
    events.iter().find_map(|(place, event)| match event {
        Event::AttemptStarted { consumes: Some(id), .. }
        | Event::FannedOut { consumes: Some(id), .. }
        | Event::RunPermitted { consumes: Some(id) }
        | Event::ToppedUp { consumes: id, .. } => Some((place.clone(), *id)),
        _ => None,
    })
}

/// Waits until then; for ever if there is no then.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
