//! Undoing what a run did: asked for, planned, performed.
//!
//! Which steps follow one another is the engine's to say (`wflo_engine::rollback`). What is done here is what needs the
//! outside: the run's events are read into a plan, and in each database the inverse of what the run wrote is applied in
//! one transaction, under a marker of its own (`undo.rs`). What came of it is in the journal before it commits, so that a crash at
//! any moment undoes nothing twice and forgets no conflict. What it applied to infrastructure is taken back by applying
//! the configuration before (`reapply.rs`). Compensators are attempts like any others
//! (`compensate.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wflo_engine::{
    Approval, ApprovalState, Command, Event, Place, Recorded, RollbackPlan, RunState, RunStatus, TakenBack,
    UnitId, inherited_steps, plan_rollback,
};
use wflo_journal::ReadError;
use wflo_manifest::Plan;
use wflo_model::{ChangeSet, Label, PrincipalName, RunId, StepName};
use wflo_ports::DbError;

use crate::attempt::AttemptFailed;
use crate::executor::Executor;
use crate::fork::fork_of;
use crate::operation::database;
use crate::undo::{self, MOST_TRIES, NotUndone, Undoer, Undoing};
use crate::{NotRollable, Runtime, RuntimeError};

/// How long the first pause between two tries is; each is by as much longer than the one before.
const PAUSE: Duration = Duration::from_millis(20);

impl Runtime {
    /// What a rollback of the run would do, and what it could not do; nothing is done.
    ///
    /// # Errors
    /// [`RuntimeError::NotRollable`] for a run that has not ended, or was forked; [`RuntimeError::NoSuchStep`].
    pub async fn rollback_plan(
        &self,
        run: RunId,
        to: Option<&StepName>,
    ) -> Result<RollbackPlan, RuntimeError> {
        let events = self.outline(run).await?;
        let state = RunState::replay(&events).map_err(crate::LogFailed::from)?;
        let plan = self.plan(&state).await?;
        may_roll_back(run, &plan, &state, (to, fork_of(&events)))?;
        self.planned(&plan, &events, to, &[]).await
    }

    /// Has what a run did undone, back to where `to` had ended, or all of it; durable when this returns. Whoever
    /// [drives](Self::drive) the run does it.
    ///
    /// # Errors
    /// [`RuntimeError::NotRollable`] for a run that has not ended, or was forked; [`RuntimeError::NoSuchStep`].
    pub async fn rollback(
        &self,
        run: RunId,
        to: Option<StepName>,
        by: &PrincipalName,
    ) -> Result<(), RuntimeError> {
        let (log, plan) = self.open(run).await?;
        let fork = match log.read(RunState::status) {
            RunStatus::Superseded => fork_of(&self.outline(run).await?),
            _ => None,
        };
        let begun = log.transact(|state| {
            may_roll_back(run, &plan, state, (to.as_ref(), fork))?;
            let event = Event::RollbackStarted { by: Some(by.clone()), to, only: Vec::new() };
            Ok::<_, RuntimeError>((vec![(Place::RUN, event)], ()))
        })?;
        begun?.0.durable().await?;
        log.wake();
        Ok(())
    }

    /// The rows that the steps of a run have changed, in the order in which they committed.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`].
    pub async fn changes(&self, run: RunId) -> Result<Vec<crate::ChangesView>, RuntimeError> {
        Ok(crate::changes_view::changes(&self.outline(run).await?))
    }

    pub(crate) async fn planned(
        &self,
        plan: &Plan,
        events: &[Recorded],
        to: Option<&StepName>,
        only: &[UnitId],
    ) -> Result<RollbackPlan, RuntimeError> {
        let mut compensates = BTreeSet::new();
        for component in plan.components() {
            let able = self.program(&component).await?.compensates().await?;
            let of_it = plan.steps.iter().filter(|step| step.component == component);
            compensates
                .extend(of_it.filter(|step| able.contains(step.function.as_str())).map(|step| &step.name));
        }
        let compensates = |step: &StepName| compensates.contains(step);
        let mut planned = plan_rollback(events, to, compensates);
        self.inherit(&mut planned, events, to, compensates).await?;
        Ok(if only.is_empty() { planned } else { planned.only(only) })
    }

    /// Adds to the plan of a fork, which these are the events of, what its parents did in the steps that it has from them.
    pub(crate) async fn inherit(
        &self,
        planned: &mut RollbackPlan,
        events: &[Recorded],
        to: Option<&StepName>,
        compensates: impl Fn(&StepName) -> bool,
    ) -> Result<(), RuntimeError> {
        let mut taken = TakenBack::of(events);
        let mut steps = inherited_steps(events);
        let mut next = parent_of(events);
        // Back to a step that the fork has not from there, its parents' steps all stay.
        while let Some(run) = next.filter(|_| !steps.is_empty() && to.is_none_or(|to| steps.contains(to))) {
            let events = match self.outline(run).await {
                Err(RuntimeError::NoSuchRun { .. } | RuntimeError::Journal(ReadError::Erased { .. })) => {
                    planned.inherit_unknown(&run, &steps);
                    return Ok(());
                }
                events => events?,
            };
            planned.inherit(&run, plan_rollback(&events, to, &compensates), &steps, &taken);
            for (unit, more) in TakenBack::of(&events) {
                taken.entry(unit).or_insert(more);
            }
            let before = inherited_steps(&events);
            steps.retain(|step| before.contains(step));
            next = parent_of(&events);
        }
        Ok(())
    }
}

/// The run that the one was forked from that these are the events of.
fn parent_of(events: &[Recorded]) -> Option<RunId> {
    match &events.first()?.event {
        Event::RunCreated { forked: Some(forked), .. } => Some(forked.run),
        _ => None,
    }
}

/// Whether a run can be rolled back as it stands.
pub(crate) fn may_roll_back(
    run: RunId,
    plan: &Plan,
    state: &RunState,
    (to, fork): (Option<&StepName>, Option<RunId>),
) -> Result<(), RuntimeError> {
    let not = |why| Err(RuntimeError::NotRollable { run, why });
    match state.status() {
        RunStatus::Superseded => return not(NotRollable::Forked { by: fork }),
        // Back to a step, or that of some steps alone: the rest may still be undone.
        RunStatus::RolledBack if state.rollback().is_none_or(|it| it.to.is_none() && it.only.is_empty()) => {
            return not(NotRollable::RolledBack);
        }
        status if !status.is_final() => {
            let unknown = state.active().find_map(|(_, unit)| unit.parked.as_ref()?.unknown());
            return not(match (waiting(state), unknown) {
                (Some(approval), _) => NotRollable::Waits { approval: approval.id },
                (None, Some(intent)) => NotRollable::Unknown { intent },
                (None, None) => NotRollable::NotEnded { status },
            });
        }
        _ => {}
    }
    match to {
        Some(step) if plan.step(step).is_none() => Err(RuntimeError::NoSuchStep { run, step: step.clone() }),
        Some(step) if state.step(step).unit.ended_at.is_none() => {
            not(NotRollable::StepNotEnded { step: step.clone() })
        }
        _ => Ok(()),
    }
}

/// What people are asked about the rollback under way, as long as they have not decided.
pub(crate) fn waiting(state: &RunState) -> Option<&Approval> {
    let approval = state.rolling_back()?.approval.and_then(|id| state.approval(&id))?;
    (approval.state == ApprovalState::Open).then_some(approval)
}

impl Executor<'_> {
    /// Performs what the engine wants done next in a rollback.
    pub(crate) async fn roll_back(&self, command: Command) -> Result<(), RuntimeError> {
        match command {
            Command::PlanRollback => self.plan_rollback().await,
            Command::Undo { database } => self.undo(&database).await,
            Command::Reapply { terraform } => self.reapply(&terraform).await,
            Command::Append(_) | Command::Attempt { .. } => Ok(()),
        }
    }

    async fn plan_rollback(&self) -> Result<(), RuntimeError> {
        self.log.flush().await?;
        let of = |state: &RunState| state.rolling_back().map(|it| (it.to.clone(), it.only.clone()));
        let (to, only) = self.log.read(of).unwrap_or_default();
        let events = self.runtime.outline(*self.log.run()).await?;
        let plan = self.runtime.planned(&self.plan, &events, to.as_ref(), &only).await?;
        self.append(Event::RollbackPlanned { plan }).await
    }

    /// Undoes in one database what the run wrote to it. The commit point is the database's.
    async fn undo(&self, label: &Label) -> Result<(), RuntimeError> {
        let Some((seq, left, writes)) = self.log.read(|state| {
            let rollback = state.rolling_back()?;
            let writes = undo::of_database(rollback.plan.as_ref()?, label);
            let left = undo::left(&writes, |undo| rollback.left_before(&undo.unit(), label));
            Some((rollback.seq, left, writes))
        }) else {
            return Ok(());
        };
        let Some(oldest) = writes.last() else { return Ok(()) };
        let database =
            database(&self.host.outside, label).map_err(|error| undo::failed(oldest, error.to_string()))?;
        let undoer = self.undoer();
        let undoing = undoer.prepare(label, database, seq, &writes, left).await?;
        let mut tries = 1;
        loop {
            match self.try_to_undo(&undoer, &undoing).await {
                Ok(()) => return self.settled(label, None).await,
                Err(NotUndone::Interrupted(_)) if tries < MOST_TRIES => {
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                Err(NotUndone::Interrupted(why)) => return Err(undo::failed(oldest, why).into()),
                Err(NotUndone::Refused(why)) => return self.settled(label, Some(why)).await,
                Err(NotUndone::Failed(error)) => return Err(error),
            }
        }
    }

    fn undoer(&self) -> Undoer<'_> {
        Undoer { runtime: self.runtime, log: &self.log }
    }

    async fn try_to_undo(&self, undoer: &Undoer<'_>, undoing: &Undoing<'_>) -> Result<(), NotUndone> {
        // A crash came between its commit and this: what came of it is in the journal already.
        let Some((transaction, steps)) = undoer.undone(undoing).await? else { return Ok(()) };
        // What the journal says of it is what commits.
        self.append(Event::Undoing { database: undoing.label.clone(), steps }).await?;
        match transaction.commit().await {
            Ok(()) => Ok(()),
            Err(source) => self.after_undo(undoing, source).await,
        }
    }

    /// A COMMIT that reported an error may have committed all the same: the marker tells. One that did not is done
    /// again, at once where the database asks for that, else when the run is resumed.
    async fn after_undo(&self, undoing: &Undoing<'_>, source: DbError) -> Result<(), NotUndone> {
        match (undoing.database.committed(&undoing.marker).await, source) {
            (Ok(true), _) => Ok(()),
            (Ok(false), DbError::Interrupted(why)) => Err(NotUndone::Interrupted(why)),
            (_, source) => {
                let (step, db) = (undoing.oldest.unit().to_string(), undoing.label.to_string());
                Err(NotUndone::Failed(AttemptFailed::Commit { step, db, source }.into()))
            }
        }
    }

    async fn settled(&self, label: &Label, error: Option<String>) -> Result<(), RuntimeError> {
        self.append(Event::Undone { database: label.clone(), error }).await
    }

    pub(crate) async fn append(&self, event: Event) -> Result<(), RuntimeError> {
        Ok(self.log.append(vec![(Place::RUN, event)])?.durable().await?)
    }
}

/// What every database of a step has changed, for the journal.
pub(crate) type Changes = BTreeMap<Label, ChangeSet>;
