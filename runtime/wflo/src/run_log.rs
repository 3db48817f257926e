//! The log of one run in memory: its state, its one writer, and the lock that makes them one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use wflo_engine::{
    BadHistory, Day, Event, Notices, Place, Recorded, RunState, RunStatus, Sums, UnitId, UnknownKind,
    budget_alert, next_due, standing,
};
use wflo_journal::{AppendError, Debit, Draft, Entry, Extras, RunKeys, RunWriter, Ticket};
use wflo_manifest::Plan;
use wflo_model::{PicoUsd, PrincipalName, RunId, StoreId, Timestamp};
use wflo_ports::{Clock, Marker, MarkerPurpose};

use crate::accounts::{Accounts, Books};
use crate::outbox;

/// Events in one append, about: what an append may hold is bounded, and what follows can follow in the next.
const MOST_AT_ONCE: usize = 256;

/// What waits for company, at most: events, and bytes of their bodies.
const MOST_NOTED: (usize, usize) = (64, 128 << 10);

/// Clocks are put right by less than this.
const SET_BACK: Duration = Duration::from_secs(60);

/// The log of one run that this process writes.
///
/// State and writer change together under one lock, so that what is decided on a state is appended to that
/// state: that is what makes budget holds and votes atomic.
pub(crate) struct RunLog {
    run: RunId,
    store: StoreId,
    keys: Arc<RunKeys>,
    clock: Arc<dyn Clock>,
    accounts: Arc<Accounts>,
    inner: Mutex<Inner>,
    changed: Notify,
}

struct Inner {
    plan: Arc<Plan>,
    state: RunState,
    writer: RunWriter,
    /// What the events being gathered promise to tell.
    notices: Notices,
    /// Told of each append that promises something.
    posted: watch::Sender<Option<Ticket>>,
    /// The status that the run's summary shows.
    shown: Option<RunStatus>,
    last: Option<Ticket>,
    /// What counts already and goes to the journal with what is appended next.
    noted: Vec<Draft>,
    noted_bytes: usize,
}

/// What the list of runs shows without reading their events.
///
/// ```
/// use wflo::RunStatus;
/// assert_eq!(RunStatus::Waiting.to_string(), "waiting");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Name of the workflow.
    pub workflow: String,
    /// Its version.
    pub version: String,
    /// Where the run stands.
    pub status: RunStatus,
    /// Who asked for it.
    pub requester: PrincipalName,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub changed_at: Timestamp,
    /// What it had cost then.
    pub cost_usd: PicoUsd,
}

/// An append under way.
pub(crate) struct Written {
    /// The number of its first event.
    pub(crate) seq: u64,
    /// The time of its events.
    pub(crate) time: Timestamp,
    ticket: Ticket,
}

/// What [`RunLog::advance`] appended.
pub(crate) struct Advanced {
    pub(crate) appended: Vec<(Place, Event)>,
    /// Whether nothing more follows; false where there was too much for one append.
    pub(crate) is_over: bool,
}

/// The log could not take events, or does not hold what it must.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogFailed {
    /// The journal could not be written. Nothing goes on without it.
    #[error("the journal cannot be written: {0}")]
    Append(#[from] AppendError),
    /// The journal has something this version cannot read.
    #[error(transparent)]
    Unknown(#[from] UnknownKind),
    /// The journal is not one that wflo wrote.
    #[error(transparent)]
    BadHistory(#[from] BadHistory),
}

impl Written {
    /// Waits until the events, and all before them, are durable.
    pub(crate) async fn durable(self) -> Result<(), LogFailed> {
        Ok(self.ticket.durable().await?)
    }
}

impl RunLog {
    pub(crate) fn new(
        run: RunId,
        store: StoreId,
        clock: Arc<dyn Clock>,
        accounts: Arc<Accounts>,
        writer: RunWriter,
        (plan, state): (Arc<Plan>, RunState),
        posted: watch::Sender<Option<Ticket>>,
    ) -> Self {
        let keys = Arc::clone(writer.keys());
        let inner = Mutex::new(Inner {
            plan,
            state,
            writer,
            notices: Notices::default(),
            posted,
            shown: None,
            last: None,
            noted: Vec::new(),
            noted_bytes: 0,
        });
        Self { run, store, keys, clock, accounts, inner, changed: Notify::new() }
    }

    pub(crate) const fn run(&self) -> &RunId {
        &self.run
    }

    pub(crate) fn keys(&self) -> Arc<RunKeys> {
        Arc::clone(&self.keys)
    }

    pub(crate) fn marker(&self, unit: &UnitId) -> Marker {
        Marker {
            store: self.store,
            run: self.run,
            step: unit.step.clone(),
            item: unit.item,
            purpose: MarkerPurpose::Step,
        }
    }

    /// The time as the log has it: it stands still while a clock that was set back comes after, so that nothing
    /// that was too late is in time again.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now().max(self.lock().state.time())
    }

    /// Whether it is surely not then yet. A clock that stands far behind the log was set back: by it nobody knows.
    pub(crate) fn is_before(&self, then: Timestamp) -> bool {
        let (clock, log) = (self.clock.now(), self.lock().state.time());
        log.since(clock) <= SET_BACK && clock.max(log) < then
    }

    /// How long the clock takes until then.
    pub(crate) fn wait(&self, until: Timestamp) -> Duration {
        until.since(self.clock.now())
    }

    /// Looks at the state.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&RunState) -> R) -> R {
        look(&self.lock().state)
    }

    /// Appends events; they count at once, and are durable when the result says so.
    pub(crate) fn append(&self, events: Vec<(Place, Event)>) -> Result<Written, LogFailed> {
        self.lock().append(self.clock.now(), events, &self.accounts, None)
    }

    /// Takes an event that nothing waits for: it counts at once, and goes to the journal in one piece with what is
    /// appended next, or when there is much of it. A crash before that is one before the event: the read that it
    /// tells of is made again, and nothing was done on what it said, since every intent is appended behind it.
    ///
    /// Gives its time, and the event back.
    pub(crate) fn note(&self, place: Place, event: Event) -> Result<(Timestamp, Event), LogFailed> {
        self.lock().note(self.clock.now(), place, event)
    }

    /// Appends events, if any, and in the same piece whatever `next` says should follow on the state they lead to,
    /// again and again until that is nothing or until there is much of it.
    pub(crate) fn advance(
        &self,
        events: Vec<(Place, Event)>,
        next: impl Fn(&RunState, Timestamp) -> Vec<(Place, Event)>,
    ) -> Result<Advanced, LogFailed> {
        self.lock().advance(self.clock.now(), events, &self.accounts, next)
    }

    /// Decides on the state and appends what was decided, with nothing in between.
    pub(crate) fn transact<T, E>(
        &self,
        decide: impl FnOnce(&RunState) -> Result<(Vec<(Place, Event)>, T), E>,
    ) -> Result<Result<(Written, T), E>, LogFailed> {
        let mut inner = self.lock();
        let (events, value) = match decide(&inner.state) {
            Ok(decided) => decided,
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok((inner.append(self.clock.now(), events, &self.accounts, None)?, value)))
    }

    /// As [`transact`](Self::transact), with the accounts above the run held still as well: what is decided on what
    /// they leave is charged to them before any other run looks.
    pub(crate) fn transact_money<T, E>(
        &self,
        decide: impl FnOnce(&RunState, &Books<'_>, Day) -> Result<(Vec<(Place, Event)>, T), E>,
    ) -> Result<Result<(Written, T), E>, LogFailed> {
        let mut inner = self.lock();
        let now = self.clock.now().max(inner.state.time());
        let books = self.accounts.lock();
        let (events, value) = match decide(&inner.state, &books, Day::of(now)) {
            Ok(decided) => decided,
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok((inner.append(now, events, &self.accounts, Some(books))?, value)))
    }

    /// Tells when a part of the budget is spent, once. It is no event of a call, and a step's clock does not show it.
    pub(crate) fn alert(&self, plan: &Plan) -> Result<(), LogFailed> {
        let alerted = self.transact(|state| match budget_alert(plan, state) {
            Some(alert) => Ok((vec![alert], ())),
            None => Err(()),
        });
        alerted.map(|_| ())
    }

    /// Waits until everything appended so far is durable.
    pub(crate) async fn flush(&self) -> Result<(), LogFailed> {
        let last = {
            let mut inner = self.lock();
            let time = inner.state.time();
            inner.submit_noted(time)?;
            inner.last.clone()
        };
        match last {
            Some(ticket) => Ok(ticket.durable().await?),
            None => Ok(()),
        }
    }

    /// Has whoever drives the run decide again: somebody else has written to it. The driver's own appends and
    /// the ends of its attempts need no such call, and a call of a guest moves nothing in the run.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Told of each [`wake`](Self::wake) from now on.
    pub(crate) const fn changed(&self) -> &Notify {
        &self.changed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was held would have left state and writer apart: stop rather than go on with them.
        self.inner.lock().expect("nothing panics between a state and its append")
    }
}

impl Inner {
    fn append(
        &mut self,
        now: Timestamp,
        events: Vec<(Place, Event)>,
        accounts: &Accounts,
        books: Option<Books<'_>>,
    ) -> Result<Written, LogFailed> {
        let time = now.max(self.state.time());
        self.make_room(time, events.len())?;
        let seq = self.state.seq() + 1;
        let before = events
            .iter()
            .any(|(place, event)| is_money(&self.state, place, event))
            .then(|| self.state.ledger().days());
        let mut drafts = Vec::with_capacity(events.len());
        for (place, event) in events {
            self.take(time, place, event, &mut drafts)?;
        }
        let debits = self.debits(before, accounts, books);
        let ticket = self.submit(time, drafts, debits)?;
        Ok(Written { seq, time, ticket })
    }

    /// What the events since `before` mean for the accounts above the run.
    fn debits(
        &self,
        before: Option<BTreeMap<Day, Sums>>,
        accounts: &Accounts,
        books: Option<Books<'_>>,
    ) -> Vec<Debit> {
        let (Some(before), Some(created)) = (before, self.state.created()) else { return Vec::new() };
        let after = self.state.ledger().days();
        books.unwrap_or_else(|| accounts.lock()).moved(&created.workflow, &before, &after)
    }

    fn note(&mut self, now: Timestamp, place: Place, event: Event) -> Result<(Timestamp, Event), LogFailed> {
        let time = now.max(self.state.time());
        let mut noted = std::mem::take(&mut self.noted);
        let event = self.take(time, place, event, &mut noted)?;
        self.noted_bytes += noted.last().map_or(0, |draft| draft.body.len());
        self.noted = noted;
        if self.noted.len() >= MOST_NOTED.0 || self.noted_bytes >= MOST_NOTED.1 {
            self.submit_noted(time)?;
        }
        Ok((time, event))
    }

    /// Sends off what is noted where it and so many events might be more than an append takes: before any of them is
    /// taken into the state, for what an append says of the run is true of its own events.
    fn make_room(&mut self, time: Timestamp, events: usize) -> Result<(), LogFailed> {
        if events > MOST_NOTED.0 { self.submit_noted(time) } else { Ok(()) }
    }

    fn submit_noted(&mut self, time: Timestamp) -> Result<(), LogFailed> {
        if !self.noted.is_empty() {
            self.submit(time, Vec::new(), Vec::new())?;
        }
        Ok(())
    }

    fn advance(
        &mut self,
        now: Timestamp,
        events: Vec<(Place, Event)>,
        accounts: &Accounts,
        next: impl Fn(&RunState, Timestamp) -> Vec<(Place, Event)>,
    ) -> Result<Advanced, LogFailed> {
        let time = now.max(self.state.time());
        self.make_room(time, MOST_AT_ONCE)?;
        let mut before = None;
        let (mut appended, mut drafts) = (Vec::new(), Vec::new());
        let mut events = if events.is_empty() { next(&self.state, time) } else { events };
        while !events.is_empty() && drafts.len() < MOST_AT_ONCE {
            for (place, event) in events {
                if before.is_none() && is_money(&self.state, &place, &event) {
                    before = Some(self.state.ledger().days());
                }
                appended.push((place.clone(), event.clone()));
                self.take(time, place, event, &mut drafts)?;
            }
            events = next(&self.state, time);
        }
        if !drafts.is_empty() {
            let debits = self.debits(before, accounts, None);
            self.submit(time, drafts, debits)?;
        }
        Ok(Advanced { appended, is_over: events.is_empty() })
    }

    fn take(
        &mut self,
        time: Timestamp,
        place: Place,
        event: Event,
        drafts: &mut Vec<Draft>,
    ) -> Result<Event, LogFailed> {
        drafts.push(draft(time, &place, &event));
        let recorded = Recorded { seq: self.state.seq() + 1, time, place, event };
        self.state.apply(&recorded)?;
        self.notices.hear(&recorded, &self.state);
        Ok(recorded.event)
    }

    /// Hands the drafts to the journal, behind what was noted before them.
    fn submit(
        &mut self,
        time: Timestamp,
        mut drafts: Vec<Draft>,
        debits: Vec<Debit>,
    ) -> Result<Ticket, LogFailed> {
        if !self.noted.is_empty() {
            self.noted.append(&mut drafts);
            drafts = std::mem::take(&mut self.noted);
        }
        self.noted_bytes = 0;
        let run = self.writer.run();
        let promised = self.notices.take().into_iter();
        let outbox: Vec<_> = promised.map(|(seq, notice)| outbox::entry(run, seq, notice, time)).collect();
        let posts = !outbox.is_empty();
        let status = standing(&run, &self.plan, &self.state, time);
        let moved = self.shown != Some(status);
        let extras = Extras {
            summary: if moved { summary(&self.state, status).as_ref().map(encode) } else { None },
            due: Some(next_due(&self.state)),
            ended: Some(status.is_final()),
            outbox,
            debits,
        };
        // After a failure the writer takes nothing more, so a state that is ahead of it is never built upon.
        let ticket = self.writer.append(drafts, extras)?.ticket;
        self.shown = Some(status);
        self.last = Some(ticket.clone());
        if posts {
            self.posted.send_replace(Some(ticket.clone()));
        }
        Ok(ticket)
    }
}

/// Whether an event may change what the run has spent or holds.
fn is_money(state: &RunState, place: &Place, event: &Event) -> bool {
    match event {
        Event::Intent { .. }
        | Event::Returned(_)
        | Event::Abandoned { .. }
        | Event::Resolved { .. }
        | Event::ComputeHeld { .. }
        | Event::ComputeCharged { .. } => true,
        // It releases what was held for a stretch that no process lived to charge.
        Event::AttemptEnded { .. } => {
            place.unit_id().is_some_and(|unit| state.unit(&unit).compute.held.is_some())
        }
        _ => false,
    }
}

fn summary(state: &RunState, status: RunStatus) -> Option<Summary> {
    let created = state.created()?;
    Some(Summary {
        workflow: created.workflow.clone(),
        version: created.version.clone(),
        status,
        requester: created.requester.clone(),
        created_at: created.at,
        changed_at: state.time(),
        cost_usd: state.ledger().settled(),
    })
}

fn encode(summary: &Summary) -> Vec<u8> {
    serde_json::to_vec(summary).expect("a summary has text keys only")
}

/// The summary of a run that stands so.
pub(crate) fn encoded_summary(state: &RunState) -> Vec<u8> {
    summary(state, state.status()).as_ref().map(encode).unwrap_or_default()
}

pub(crate) fn draft(time: Timestamp, place: &Place, event: &Event) -> Draft {
    Draft {
        time,
        kind: event.kind() as u16,
        step: place.step.clone(),
        item: place.item,
        attempt: place.attempt,
        ordinal: place.ordinal,
        body: event.encode(),
    }
}

/// Reads an entry of the journal back.
pub(crate) fn recorded(entry: &Entry) -> Result<Recorded, UnknownKind> {
    let header = &entry.header;
    Ok(Recorded {
        seq: header.seq,
        time: header.time,
        place: Place {
            step: header.step.clone(),
            item: header.item,
            attempt: header.attempt,
            ordinal: header.ordinal,
        },
        event: Event::decode(&entry.body)?,
    })
}
