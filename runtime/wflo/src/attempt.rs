//! One attempt of one step, from its start or from its journal to its end.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use wflo_engine::{AttemptEnd, Event, GateAt, ParkReason, Place, RunState, UnitId, retry_at};
use wflo_host_api::{StepContext, Stop, Undo};
use wflo_journal::{AuditKey, Journal};
use wflo_manifest::{Plan, PlanStep};
use wflo_model::{ApprovalId, Digest, Failure, FailureKind, Fault, FaultKind, Label, RunId, StepName};
use wflo_ports::{Begun, Capture, ChangeLimits, DbError};
use wflo_sandbox::End;

use crate::Outside;
use crate::arguments::arguments;
use crate::artifact::Shelf;
use crate::ask::decision;
use crate::bulk::NotKept;
use crate::compensate::item_of;
use crate::gate::{AttemptGate, Setup};
use crate::guest::StepProgram;
use crate::halt::Halt;
use crate::history::{Committing, History};
use crate::operation::database;
use crate::output_gate::{UNDECIDABLE, keeps};
use crate::principal::People;
use crate::run_log::{LogFailed, RunLog};
use crate::signal::Signal;
use crate::transactions::{Redo, RedoError, Transactions, differs, is_away};

/// What an attempt needs.
pub(crate) struct Attempt {
    pub(crate) log: Arc<RunLog>,
    pub(crate) journal: Journal,
    pub(crate) outside: Arc<Outside>,
    pub(crate) people: People,
    pub(crate) plan: Arc<Plan>,
    pub(crate) step: PlanStep,
    /// For a step of which some grant is for some rows only.
    pub(crate) audit_key: Option<AuditKey>,
    pub(crate) unit: UnitId,
    pub(crate) attempt: u32,
    /// What it undoes, for a compensator.
    pub(crate) undo: Option<Undo>,
    pub(crate) program: Arc<dyn StepProgram>,
    pub(crate) history: History,
    pub(crate) stopping: Signal,
    /// What this stretch of it has used so far.
    pub(crate) meters: Meters,
}

/// Why an attempt could not be brought to an end; it goes on when the run is resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptFailed {
    /// The journal failed.
    #[error(transparent)]
    Log(#[from] LogFailed),
    /// The host failed under a call.
    #[error("step `{step}`: {message}")]
    Host {
        /// The step.
        step: String,
        /// What happened.
        message: String,
    },
    /// What is outside does not answer, or not yet.
    #[error("step `{step}`: {message}")]
    Away {
        /// The step.
        step: String,
        /// What happened.
        message: String,
    },
    /// A database did not say whether it committed, and cannot be asked.
    #[error("step `{step}`: database `{db}` did not say whether it committed: {source}")]
    Commit {
        /// The step.
        step: String,
        /// The database.
        db: String,
        /// What it said.
        source: DbError,
    },
    /// A database has not committed what another one of the step has, and may yet.
    #[error("step `{step}`: database `{db}` has not committed yet: {source}")]
    NotCommitted {
        /// The step.
        step: String,
        /// The database.
        db: String,
        /// What it said.
        source: DbError,
    },
}

/// What an attempt used.
#[derive(Clone, Copy, Default)]
pub(crate) struct Meters {
    pub(crate) fuel: u64,
    pub(crate) memory_peak: u64,
    pub(crate) ms: u64,
}

/// What an attempt leaves to be journaled; nothing where it goes on later.
pub(crate) type Left = Option<(Place, Event)>;

impl Attempt {
    /// Runs it to its end, or until it parks, and gives the event of its end: the commit point is the append of
    /// that event, together with what follows from it.
    pub(crate) async fn run(mut self) -> Result<Left, AttemptFailed> {
        // Past its commit point a step only goes forward.
        if self.history.committing.is_none()
            && let Some(refused) = self.hold_compute()?
        {
            return Ok(refused);
        }
        let left = self.stretch().await;
        self.charge_compute()?;
        left
    }

    /// From where it stands to its end, or until it parks.
    async fn stretch(&mut self) -> Result<Left, AttemptFailed> {
        let history = std::mem::take(&mut self.history);
        if let Some(committing) = history.committing.clone() {
            return self.finish_commit(committing, &history).await;
        }
        let halt = Halt::new(self.stopping.clone());
        let (run, program) = (self.log.run(), &*self.program);
        let approval = history.approval;
        let mut context = self.log.read(|state| {
            let (unit, undo) = (&self.unit, self.undo.as_ref());
            let of = ContextOf { unit, attempt: self.attempt, undo, approval };
            context(program, run, &self.plan, state, &self.step, of)
        });
        if let Some(tape) = self.outside.tape() {
            context.decision = context.decision.or_else(|| tape.decision().cloned());
        }
        let gate = AttemptGate::new(Setup {
            log: Arc::clone(&self.log),
            journal: self.journal.clone(),
            outside: Arc::clone(&self.outside),
            people: self.people.clone(),
            plan: Arc::clone(&self.plan),
            step: self.step.clone(),
            audit_key: self.audit_key.clone(),
            unit: self.unit.clone(),
            attempt: self.attempt,
            context,
            history,
            halt: halt.clone(),
        });
        let limits = &self.step.limits;
        let began = self.log.now();
        let running = match &self.undo {
            Some(undo) => self.program.compensate(undo, Box::new(gate), limits),
            None => self.program.run(self.step.function.as_str(), Box::new(gate), limits),
        };
        let ended = tokio::select! {
            // In this order, so that a simulation does the same again; and what has ended is not cut off.
            biased;
            ended = running => ended,
            // A guest that computes does not notice: it is dropped, as a crash would, and goes on by replay.
            () = halt.can_stop() => {
                self.meters.ms = u64::try_from(self.log.now().since(began).as_millis()).unwrap_or(u64::MAX);
                return Ok(None);
            }
        };
        let gate: Box<dyn Any> = ended.gate;
        let mut gate = gate.downcast::<AttemptGate>().expect("the sandbox gives back the gate it was given");
        let meters = Meters {
            fuel: ended.usage.fuel,
            memory_peak: ended.usage.memory_peak,
            ms: u64::try_from(ended.usage.wall.as_millis()).unwrap_or(u64::MAX),
        };
        self.meters = meters;
        let mut ended = ended.end;
        // What a deadline cuts off is not waited for.
        let is_cut_off = matches!(&ended, End::Fault(Fault { kind: FaultKind::Deadline, .. }));
        if !is_cut_off && let Err(stop) = gate.settle().await {
            return self.stopped(stop, meters, &mut gate);
        }
        if let End::Output(output) = &ended
            && self.undo.is_none()
            && self.step.output_violations(output).is_empty()
        {
            match gate.returns(output).await {
                // What people have made of it.
                Ok(Some(changed)) => ended = End::Output(changed),
                Ok(None) => {}
                Err(stop) => return self.stopped(stop, meters, &mut gate),
            }
        }
        let end = match ended {
            End::Stopped(stop) => return self.stopped(stop, meters, &mut gate),
            // A fault may cut a replay short; a guest that returns has made every recorded call.
            End::Output(_) | End::Failed(_) if gate.unfinished().is_some() => return Ok(None),
            End::Output(output) => match self.step.output_violations(&output) {
                wrong if wrong.is_empty() => return self.succeed(gate, output, meters).await,
                wrong => AttemptEnd::Fault(Fault { kind: FaultKind::BadOutput, message: wrong.join("; ") }),
            },
            End::Failed(failure) => AttemptEnd::Failed(failure),
            End::Fault(fault) => AttemptEnd::Fault(fault),
        };
        let end = told(end, &mut gate);
        if let Err(stop) = gate.abandon() {
            return self.stopped(stop, meters, &mut gate);
        }
        // Dropping the gate rolls its transactions back: a step that fails leaves no trace in a database.
        drop(gate);
        Ok(Some(self.end(end, meters)))
    }

    fn stopped(&self, stop: Stop, meters: Meters, gate: &mut AttemptGate) -> Result<Left, AttemptFailed> {
        let end = match stop {
            // The gate has journaled why, or it goes on elsewhere.
            Stop::Parked | Stop::Diverged | Stop::Suspended => return Ok(None),
            Stop::Interrupted(message) => AttemptEnd::Interrupted { message },
            Stop::Rejected { reason, skips: true } => AttemptEnd::Skipped { reason },
            Stop::Rejected { reason: message, .. } => {
                AttemptEnd::Failed(Failure { kind: FailureKind::Permanent, message })
            }
            Stop::Fault(fault) => AttemptEnd::Fault(fault),
            Stop::Away(message) => return Err(self.away(message)),
            other => return Err(self.host(other.to_string())),
        };
        Ok(Some(self.end(told(end, gate), meters)))
    }

    /// Commits what the step wrote, in the order: `committing` durable, COMMIT, `succeeded`.
    async fn succeed(
        &self,
        mut gate: Box<AttemptGate>,
        output: serde_json::Value,
        meters: Meters,
    ) -> Result<Left, AttemptFailed> {
        if let Err(stop) = gate.redo().await {
            return self.stopped(stop, meters, &mut gate);
        }
        let databases = gate.transactions.databases();
        if !databases.is_empty() {
            let Meters { fuel, memory_peak, .. } = meters;
            // What was redone once can be once more: a guest that has returned does nothing anew for that.
            let waits = |error: &DbError, of: &Transactions| of.is_redone() && is_away(error);
            let changes = match gate.transactions.changes(ChangeLimits::default()).await {
                Ok(changes) => changes.into_iter().collect(),
                Err(error) if waits(&error, &gate.transactions) => return Err(self.away(error.to_string())),
                Err(error) => return Ok(Some(self.end(told(unkept(error), &mut gate), meters))),
            };
            let inserted = match gate.transactions.inserted(gate.desk.shelf()).await {
                Ok(inserted) => inserted.into_iter().collect(),
                Err(NotKept::Database(error)) if waits(&error, &gate.transactions) => {
                    return Err(self.away(error.to_string()));
                }
                Err(NotKept::Database(error)) => {
                    return Ok(Some(self.end(told(unkept(error), &mut gate), meters)));
                }
                Err(error) => return Err(self.host(error.to_string())),
            };
            let of = (output.clone(), databases.clone());
            let event =
                Event::Committing { output: of.0, databases: of.1, changes, inserted, fuel, memory_peak };
            // What people have permitted is used up by the same append as what they have permitted.
            let permitted = gate.permitted.take();
            let events: Vec<_> = permitted.into_iter().chain([(self.place(), event)]).collect();
            let behind = events.len() as u64 - 1;
            let written = self.log.append(events)?;
            let seq = written.seq + behind;
            written.durable().await?;
            let transactions = std::mem::take(&mut gate.transactions);
            match self.commit(transactions, &databases, seq).await? {
                Committed::All => {}
                Committed::None(end) => return Ok(Some(self.end(told(end, &mut gate), meters))),
                Committed::Some => return Ok(None),
            }
        }
        if let Some(permitted) = gate.permitted.take() {
            self.log.append(vec![permitted])?;
        }
        Ok(Some(self.end(AttemptEnd::Succeeded { output }, meters)))
    }

    /// Commits one after another, those that are still open of `databases`; event `seq` has what commits.
    ///
    /// A COMMIT that reported an error may have committed all the same: the marker tells. Where it has not and no other
    /// database has, the attempt ends as at any error of a database. Where another one has, the step only goes forward:
    /// what could not come to more another time waits for a person.
    async fn commit(
        &self,
        mut transactions: Transactions,
        databases: &[Label],
        seq: u64,
    ) -> Result<Committed, AttemptFailed> {
        for db in databases {
            let Some(transaction) = transactions.take(db) else { continue };
            let Err(error) = transaction.commit().await else { continue };
            let database = database(&self.outside, db).map_err(|error| self.host(error.to_string()))?;
            match database.committed(&self.log.marker(&self.unit)).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(_) => return Err(self.commit_failed(db, error)),
            }
            let rest = transactions.databases();
            let missing: Vec<_> = std::iter::once(db).chain(&rest).collect();
            let is_first = missing.len() == databases.len();
            return match error {
                DbError::Interrupted(_) if is_first => Ok(Committed::None(unkept(error))),
                error if !is_refusal(&error) => Err(self.not_committed(db, error)),
                error if is_first => Ok(Committed::None(unkept(error))),
                error => {
                    self.half_committed(seq, databases, &missing, self.refusal(&error))?;
                    Ok(Committed::Some)
                }
            };
        }
        Ok(Committed::All)
    }

    /// A crash came between `committing` and `succeeded`: each database that has not committed is redone and
    /// committed. The guest does not run again.
    async fn finish_commit(
        &mut self,
        committing: Committing,
        history: &History,
    ) -> Result<Left, AttemptFailed> {
        let Committing { output, databases, mut changes, mut inserted, fuel, memory_peak, seq, is_settled } =
            committing;
        let meters = Meters { fuel, memory_peak, ms: 0 };
        self.meters = meters;
        if is_settled {
            return Ok(Some(self.end(AttemptEnd::Succeeded { output }, meters)));
        }
        let marker = self.log.marker(&self.unit);
        let mut transactions = Transactions::resuming(history.tentative(), keeps(&self.plan, &self.step));
        let mut missing = Vec::new();
        for db in &databases {
            let database = database(&self.outside, db).map_err(|error| self.host(error.to_string()))?;
            // Beginning is what waits for a commit still in flight, and tells for sure.
            match database.begin(&marker, Capture::Off).await {
                Ok(Begun::AlreadyCommitted) => {}
                Ok(Begun::Open(transaction)) => {
                    transaction.rollback().await;
                    missing.push(db);
                }
                Err(source) => return Err(self.commit_failed(db, source)),
            }
        }
        let shelf = Shelf::new(self.journal.clone(), *self.log.run(), self.log.keys());
        let redo = Redo {
            outside: &self.outside,
            step: &self.step,
            statements: &self.plan.statements,
            marker: &marker,
            shelf: &shelf,
        };
        match transactions.redo(redo, |db| missing.contains(&db)).await {
            Ok(()) => {}
            Err(error @ RedoError::Differs { number, .. }) if missing.len() == databases.len() => {
                let message = self.differing(&error, number);
                return Ok(Some(self.end(AttemptEnd::Interrupted { message }, meters)));
            }
            Err(error @ RedoError::Differs { number, .. }) => {
                let why = self.differing(&error, number);
                return self.half_committed(seq, &databases, &missing, why);
            }
            Err(error @ RedoError::Away { .. }) => return Err(self.away(error.to_string())),
            Err(error) => return Err(self.host(error.to_string())),
        }
        // Equal results may come of other rows: what commits now is what the journal has to say, and first.
        let kept = async {
            let redone = transactions.changes(ChangeLimits::default()).await.map_err(NotKept::Database)?;
            Ok((redone, transactions.inserted(&shelf).await?))
        };
        let (redone, in_bulk) = match kept.await {
            Ok(kept) => kept,
            Err(NotKept::Database(error)) if is_away(&error) => return Err(self.away(error.to_string())),
            // It would not commit any more, whoever tries: the database is another one by now.
            Err(NotKept::Database(error)) if missing.len() == databases.len() => {
                return Ok(Some(self.end(unkept(error), meters)));
            }
            Err(NotKept::Database(error)) if is_refusal(&error) => {
                return self.half_committed(seq, &databases, &missing, self.refusal(&error));
            }
            Err(error) => return Err(self.host(error.to_string())),
        };
        let has_changed = redone.iter().any(|(db, now)| changes.get(db) != Some(now))
            || in_bulk.iter().any(|(db, now)| inserted.get(db) != Some(now));
        // Where people have decided on the rows, they have not decided on these.
        if has_changed && history.is_decided_on() {
            let message = "redone, it would change other rows than were approved".to_owned();
            if missing.len() < databases.len() {
                return self.half_committed(seq, &databases, &missing, message);
            }
            return Ok(Some(self.end(AttemptEnd::Interrupted { message }, meters)));
        }
        let mut seq = seq;
        if has_changed {
            changes.extend(redone);
            inserted.extend(in_bulk);
            let of = (output.clone(), databases.clone());
            let event =
                Event::Committing { output: of.0, databases: of.1, changes, inserted, fuel, memory_peak };
            let written = self.log.append(vec![(self.place(), event)])?;
            seq = written.seq;
            written.durable().await?;
        }
        Ok(match self.commit(transactions, &databases, seq).await? {
            Committed::All => Some(self.end(AttemptEnd::Succeeded { output }, meters)),
            Committed::None(end) => Some(self.end(end, meters)),
            Committed::Some => None,
        })
    }

    /// One of several databases has committed: there is no way back, and none forward without a person.
    fn half_committed(
        &self,
        intent: u64,
        databases: &[Label],
        missing: &[&Label],
        why: String,
    ) -> Result<Left, AttemptFailed> {
        let (missing, committed): (Vec<_>, Vec<_>) =
            databases.iter().cloned().partition(|db| missing.contains(&db));
        let reason = ParkReason::HalfCommitted { intent, committed, missing, why };
        self.log.append(vec![(self.place(), Event::Parked { reason })])?;
        Ok(None)
    }

    /// What stands against a redo. What its guest has read is not known here, and may be labelled.
    fn differing(&self, error: &RedoError, number: usize) -> String {
        if self.step.labels.is_empty() { error.to_string() } else { differs(number) }
    }

    /// What a database has said against a commit.
    fn refusal(&self, error: &DbError) -> String {
        if self.step.labels.is_empty() { error.to_string() } else { "the database refuses it".to_owned() }
    }

    /// The end of the attempt, and when the next one may begin.
    pub(crate) fn end(&self, end: AttemptEnd, meters: Meters) -> (Place, Event) {
        // An attempt that succeeded is followed by none: most do, and need no jitter.
        let seed = match end {
            AttemptEnd::Succeeded { .. } => 0,
            _ => self.jitter(),
        };
        let now = self.log.now();
        let (retry_at, times) = self.log.read(|state| {
            let unit = state.unit(&self.unit);
            (retry_at(&self.step.retry, unit, &end, seed, now), unit.interrupted)
        });
        let end = match end {
            AttemptEnd::Interrupted { message } if retry_at.is_none() => {
                let message =
                    format!("{message}; it was done again {times} times, and interrupted each time");
                AttemptEnd::Interrupted { message }
            }
            end => end,
        };
        let Meters { fuel, memory_peak, ms } = meters;
        (self.place(), Event::AttemptEnded { end, fuel, memory_peak, ms, retry_at })
    }

    /// What spreads the retries of attempts that failed together: the same each time it is asked.
    fn jitter(&self) -> u64 {
        let seed = self.log.keys().seed(self.unit.step.as_str(), self.unit.item, self.attempt);
        let digest = Digest::of(&seed);
        u64::from_be_bytes(digest.as_bytes()[..8].try_into().expect("a digest has more than 8 bytes"))
    }

    fn commit_failed(&self, db: &Label, source: DbError) -> AttemptFailed {
        AttemptFailed::Commit { step: self.step.name.to_string(), db: db.to_string(), source }
    }

    fn not_committed(&self, db: &Label, source: DbError) -> AttemptFailed {
        AttemptFailed::NotCommitted { step: self.step.name.to_string(), db: db.to_string(), source }
    }

    fn away(&self, message: String) -> AttemptFailed {
        AttemptFailed::Away { step: self.step.name.to_string(), message }
    }

    fn host(&self, message: String) -> AttemptFailed {
        AttemptFailed::Host { step: self.step.name.to_string(), message }
    }
}

/// An end as it may be told: a step's own words have in them what it has read, and so may those of the host and of a
/// database about what it made of that.
fn told(mut end: AttemptEnd, gate: &mut AttemptGate) -> AttemptEnd {
    if let AttemptEnd::Failed(Failure { message: words, .. })
    | AttemptEnd::Fault(Fault { message: words, .. })
    | AttemptEnd::Interrupted { message: words }
    | AttemptEnd::Skipped { reason: words } = &mut end
    {
        *words = gate.redactor.text(std::mem::take(words));
    }
    end
}

/// What came of committing in the databases of a step.
enum Committed {
    /// Each of them has.
    All,
    /// None has, and this is how the attempt ends.
    None(AttemptEnd),
    /// Some have, and a person has to say what becomes of the rest.
    Some,
}

/// Whether a database has refused for what it was to commit, so that it would again.
const fn is_refusal(error: &DbError) -> bool {
    matches!(error, DbError::Constraint(_) | DbError::Invalid(_) | DbError::Denied(_) | DbError::Limit(_))
}

/// What the failure of a step begins with whose guest has returned, and whose writes are not to be.
const UNCOMMITTED: &str = "what it has written cannot be committed: ";

/// How an attempt ends whose changes cannot be kept: nothing of it commits.
fn unkept(error: DbError) -> AttemptEnd {
    let message = error.to_string();
    match error {
        DbError::Unavailable(_) | DbError::Interrupted(_) => AttemptEnd::Interrupted { message },
        _ => {
            let message = format!("{UNCOMMITTED}{message}");
            AttemptEnd::Failed(Failure { kind: FailureKind::Permanent, message })
        }
    }
}

/// Whether an attempt failed for what it had written, after its guest had returned.
pub(crate) fn is_uncommitted(end: &AttemptEnd) -> bool {
    let begins = |message: &str| message.starts_with(UNCOMMITTED) || message.starts_with(UNDECIDABLE);
    matches!(end, AttemptEnd::Failed(it) if it.kind == FailureKind::Permanent && begins(&it.message))
}

/// The attempt that is told a [`context`].
pub(crate) struct ContextOf<'a> {
    pub(crate) unit: &'a UnitId,
    pub(crate) attempt: u32,
    /// What it undoes, for a compensator.
    pub(crate) undo: Option<&'a Undo>,
    /// The last approval that was asked for it.
    pub(crate) approval: Option<ApprovalId>,
}

/// What the step may know about itself when an attempt begins, and each time it is resumed: `approval` is the last one
/// that was opened for it before. What its own calls have come to since it is told by those calls.
pub(crate) fn context(
    program: &dyn StepProgram,
    run: &RunId,
    plan: &Plan,
    state: &RunState,
    step: &PlanStep,
    ContextOf { unit, attempt, undo, approval }: ContextOf<'_>,
) -> StepContext {
    let ancestors = plan.transitive(&step.name);
    let output = |name: &StepName| state.step(name).unit.output.clone();
    let outputs: BTreeMap<_, _> =
        ancestors.iter().filter_map(|name| Some((name.clone(), output(name)?))).collect();
    // Its own decision first: that of its item, of the step, then of what it depends on, item by item where both
    // fan out.
    let whole = UnitId::step(&unit.step);
    let parents = ancestors.iter().flat_map(|name| {
        let parent = UnitId::step(name);
        unit.item.map(|item| parent.with_item(item)).into_iter().chain([parent])
    });
    let last = |of: UnitId| if of == *unit { approval } else { state.unit(&of).approval };
    let of_units = [unit.clone(), whole]
        .into_iter()
        .chain(parents)
        .find_map(|unit| decision(state.approval(&last(unit)?)?));
    let of_run = || {
        let asked = state.approvals().filter(|approval| approval.at == GateAt::Run);
        asked.max_by_key(|approval| approval.opened_at).and_then(decision)
    };
    let decision = of_units.or_else(of_run);
    // A compensator works on what the step it undoes worked on.
    let item = undo.map_or_else(|| item_of(unit, state).cloned(), |undo| undo.item.clone());
    StepContext {
        run: run.to_string(),
        step: step.name.to_string(),
        attempt,
        inputs: state.created().map(|created| created.inputs.clone()).unwrap_or_default(),
        outputs,
        arguments: match undo {
            Some(_) => None,
            None => arguments(program, run, plan, state, step, item.as_ref()),
        },
        item,
        decision,
        folders: step.grants.files.iter().map(|grant| grant.guest.clone()).collect(),
    }
}
