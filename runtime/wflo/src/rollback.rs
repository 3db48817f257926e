//! Undoing what a run did: asked for, planned, performed.
//!
//! Which steps follow one another is the engine's to say (`wflo_engine::rollback`). What is done here is what needs the
//! outside: the run's events are read into a plan, and in each database the inverse of what the run wrote is applied in
//! one transaction, under a marker of its own. What came of it is in the journal before it commits, so that a crash at
//! any moment undoes nothing twice and forgets no conflict. What it applied to infrastructure is taken back by applying
//! the configuration before (`reapply.rs`). Compensators are attempts like any others
//! (`compensate.rs`).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use wflo_engine::{
    Approval, ApprovalState, Command, Event, ParkReason, Place, Recorded, RollbackPlan, RunState, RunStatus,
    StepUndone, TakenBack, UndoWrites, UnitId, inherited_steps, plan_rollback,
};
use wflo_journal::ReadError;
use wflo_manifest::Plan;
use wflo_model::{
    ChangeSet, Conflict, Inserted, Label, PrincipalName, RunId, SqlValue, StepName, TableChange, Undone,
};
use wflo_ports::{Begun, Capture, Database, DbError, Marker, MarkerPurpose, Transaction};

use crate::artifact::Shelf;
use crate::attempt::AttemptFailed;
use crate::bulk::{self, InBulk};
use crate::executor::Executor;
use crate::fork::fork_of;
use crate::operation::database;
use crate::run_log::recorded;
use crate::{NotRollable, Runtime, RuntimeError};

/// How often undoing is tried while others write to the same rows, as with a step.
const MOST_TRIES: u32 = 10;

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
        let events = self.events(run).await?;
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
            RunStatus::Superseded => fork_of(&self.events(run).await?),
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
        Ok(crate::changes_view::changes(&self.events(run).await?))
    }

    async fn planned(
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
            let events = match self.events(run).await {
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
fn may_roll_back(
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
            let unknown = state.active().find_map(|(_, unit)| match unit.parked {
                Some(ParkReason::Unknown { intent, .. }) => Some(intent),
                _ => None,
            });
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
        let events = self.runtime.events(*self.log.run()).await?;
        let plan = self.runtime.planned(&self.plan, &events, to.as_ref(), &only).await?;
        self.append(Event::RollbackPlanned { plan }).await
    }

    /// Undoes in one database what the run wrote to it. The commit point is the database's.
    async fn undo(&self, label: &Label) -> Result<(), RuntimeError> {
        let Some((rollback, left, writes)) = self.log.read(|state| {
            let rollback = state.rolling_back()?;
            let writes = rollback.plan.as_ref()?.undo.iter();
            let here: Vec<_> = writes.filter(|undo| undo.databases.contains_key(label)).cloned().collect();
            let left = here
                .iter()
                .filter_map(|undo| Some((at(undo), rows(rollback.left_before(&undo.unit(), label)?))));
            Some((rollback.seq, left.collect(), here))
        }) else {
            return Ok(());
        };
        let Some(oldest) = writes.last() else { return Ok(()) };
        let database =
            database(&self.host.outside, label).map_err(|error| failed(oldest, error.to_string()))?;
        let mut missing = BTreeSet::new();
        for undo in writes.iter().filter(|undo| !undo.certain) {
            if !self.has_committed(database, undo).await? {
                missing.insert(at(undo));
            }
        }
        let marker = Marker { purpose: MarkerPurpose::Undo { rollback }, ..self.log.marker(&oldest.unit()) };
        let undoing = Undoing { label, database, marker, writes: &writes, missing, left };
        let mut tries = 1;
        loop {
            match self.try_to_undo(&undoing).await {
                Ok(()) => return self.settled(label, None).await,
                Err(NotUndone::Interrupted(_)) if tries < MOST_TRIES => tries += 1,
                Err(NotUndone::Interrupted(why)) => return Err(failed(oldest, why).into()),
                Err(NotUndone::Refused(why)) => return self.settled(label, Some(why)).await,
                Err(NotUndone::Failed(error)) => return Err(error),
            }
        }
    }

    /// Whether a database has what a step wrote there whose commit was given up. Beginning is what waits for a commit
    /// still in flight, and tells for sure.
    async fn has_committed(
        &self,
        database: &Arc<dyn Database>,
        undo: &UndoWrites,
    ) -> Result<bool, RuntimeError> {
        let own = self.log.marker(&undo.unit());
        let marker = Marker { run: undo.run.unwrap_or(own.run), ..own };
        match database.begin(&marker, Capture::Off).await {
            Ok(Begun::AlreadyCommitted) => Ok(true),
            Ok(Begun::Open(transaction)) => {
                transaction.rollback().await;
                Ok(false)
            }
            Err(error) => Err(failed(undo, error.to_string()).into()),
        }
    }

    async fn try_to_undo(&self, undoing: &Undoing<'_>) -> Result<(), NotUndone> {
        let Undoing { label, database, marker, writes, missing, left } = undoing;
        let Some(oldest) = writes.last() else { return Ok(()) };
        let mut transaction = match database.begin(marker, Capture::Off).await {
            Ok(Begun::Open(transaction)) => transaction,
            // A crash came between its commit and this: what came of it is in the journal already.
            Ok(Begun::AlreadyCommitted) => return Ok(()),
            Err(DbError::Interrupted(why)) => return Err(NotUndone::Interrupted(why)),
            Err(error) => return Err(NotUndone::Failed(failed(oldest, error.to_string()).into())),
        };
        let mut steps = Vec::new();
        let shelf = Shelf::new(self.runtime.journal().clone(), *self.log.run(), self.log.keys());
        for undo in *writes {
            let (mut changes, inserted) = match missing.contains(&at(undo)) {
                true => Default::default(),
                false => self.changes_of(undo, label).await?,
            };
            if let Some(left) = left.get(&at(undo)) {
                keep(&mut changes, left);
            }
            match undo_all(transaction.as_mut(), &changes, inserted.as_ref(), &shelf).await {
                Ok((undone, in_bulk)) => steps.push(StepUndone {
                    step: undo.step.clone(),
                    item: undo.item,
                    rows: undone.rows + in_bulk.rows,
                    conflicts: [undone.conflicts, in_bulk.conflicts].concat(),
                    more_conflicts: in_bulk.more,
                }),
                Err(error) => {
                    transaction.rollback().await;
                    return Err(not_undone(undo, error));
                }
            }
        }
        // What the journal says of it is what commits.
        if let Err(error) = transaction.ready().await {
            transaction.rollback().await;
            return Err(not_undone(oldest, error));
        }
        self.append(Event::Undoing { database: (*label).clone(), steps }).await?;
        match transaction.commit().await {
            Ok(()) => Ok(()),
            Err(source) => self.after_undo(undoing, oldest, source).await,
        }
    }

    /// A COMMIT that reported an error may have committed all the same: the marker tells. One that did not is done
    /// again, at once where the database asks for that, else when the run is resumed.
    async fn after_undo(
        &self,
        undoing: &Undoing<'_>,
        of: &UndoWrites,
        source: DbError,
    ) -> Result<(), NotUndone> {
        match (undoing.database.committed(&undoing.marker).await, source) {
            (Ok(true), _) => Ok(()),
            (Ok(false), DbError::Interrupted(why)) => Err(NotUndone::Interrupted(why)),
            (_, source) => {
                let (step, db) = (of.unit().to_string(), undoing.label.to_string());
                Err(NotUndone::Failed(AttemptFailed::Commit { step, db, source }.into()))
            }
        }
    }

    /// What a step changed in a database, as the journal has it.
    async fn changes_of(
        &self,
        undo: &UndoWrites,
        label: &Label,
    ) -> Result<(ChangeSet, Option<Inserted>), RuntimeError> {
        let run = undo.run.unwrap_or(*self.log.run());
        let mut reader = self.runtime.journal().reader(run, undo.event).await?;
        let entry = reader.next().await?;
        let event = entry.as_ref().map(recorded).transpose().map_err(crate::LogFailed::from)?;
        match event.map(|recorded| recorded.event) {
            Some(Event::Committing { mut changes, mut inserted, .. }) => {
                let inserted = inserted.remove(label).map(|mut inserted| {
                    inserted.kept.run.get_or_insert(run);
                    inserted
                });
                Ok((changes.remove(label).unwrap_or_default(), inserted))
            }
            _ => Err(RuntimeError::Bug { message: format!("event {} holds no changes", undo.event) }),
        }
    }

    async fn settled(&self, label: &Label, error: Option<String>) -> Result<(), RuntimeError> {
        self.append(Event::Undone { database: label.clone(), error }).await
    }

    pub(crate) async fn append(&self, event: Event) -> Result<(), RuntimeError> {
        Ok(self.log.append(vec![(Place::RUN, event)])?.durable().await?)
    }
}

/// What is undone in one database.
struct Undoing<'a> {
    label: &'a Label,
    database: &'a Arc<dyn Database>,
    /// Of the transaction that undoes it.
    marker: Marker,
    /// The newest first.
    writes: &'a [UndoWrites],
    /// The events of those that have not committed here after all.
    missing: BTreeSet<At>,
    /// By event, the rows that an earlier rollback has left: those alone are tried again.
    left: BTreeMap<At, Rows>,
}

/// Where the journal has what is undone: the event, and the run if it is a parent's.
type At = (Option<RunId>, u64);

const fn at(undo: &UndoWrites) -> At {
    (undo.run, undo.event)
}

/// Rows by their table and key.
type Rows = HashSet<(String, String)>;

fn rows(conflicts: &[Conflict]) -> Rows {
    conflicts.iter().map(|it| (it.table.clone(), of_key(&it.key))).collect()
}

/// Leaves other rows out of what is undone.
fn keep(changes: &mut ChangeSet, rows: &Rows) {
    for table in &mut changes.tables {
        let TableChange { table, rows: changed, .. } = table;
        changed.retain(|row| rows.contains(&(table.clone(), of_key(row.key()))));
    }
}

fn of_key(key: &[SqlValue]) -> String {
    serde_json::to_string(key).expect("the values of a key can be written down")
}

/// Why nothing was undone.
enum NotUndone {
    /// Others wrote there meanwhile: the database asks for another try.
    Interrupted(String),
    /// It is not to be undone.
    Refused(String),
    /// It goes on when the run is resumed.
    Failed(RuntimeError),
}

impl From<RuntimeError> for NotUndone {
    fn from(error: RuntimeError) -> Self {
        Self::Failed(error)
    }
}

fn not_undone(of: &UndoWrites, error: DbError) -> NotUndone {
    match error {
        DbError::Interrupted(why) => NotUndone::Interrupted(why),
        DbError::Unavailable(_) => NotUndone::Failed(failed(of, error.to_string()).into()),
        error => NotUndone::Refused(error.to_string()),
    }
}

/// Undoes what a step changed, and then what it had inserted in bulk: a row of those that it changed later is first put
/// back to what it was when it was inserted.
async fn undo_all(
    transaction: &mut dyn Transaction,
    changes: &ChangeSet,
    inserted: Option<&Inserted>,
    shelf: &Shelf,
) -> Result<(Undone, InBulk), DbError> {
    let undone = transaction.undo(changes).await?;
    let in_bulk = match inserted {
        Some(inserted) => bulk::undo(inserted, transaction, shelf).await?,
        None => InBulk::default(),
    };
    Ok((undone, in_bulk))
}

fn failed(of: &UndoWrites, message: String) -> AttemptFailed {
    AttemptFailed::Away {
        step: of.unit().to_string(),
        message: format!("it cannot be undone now: {message}"),
    }
}

/// What every database of a step has changed, for the journal.
pub(crate) type Changes = BTreeMap<Label, ChangeSet>;
