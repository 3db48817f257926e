//! Group commit: one thread owns all writes and makes many of them durable with one sync.
//!
//! The thread takes the first request and whatever else is there by then, checks each against the rows as the
//! group leaves them, commits one batch, and only then answers all of them, refusals too. While the disk syncs, the
//! next group gathers: the sync is the batching window. Only where many runs write and the disk is faster than they are,
//! a group [waits](Crowd) a fraction of a millisecond for more of them.
//!
//! Until the sync has returned, readers see what was there before: a backend shows nothing that is not durable.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;
use wflo_model::{RunId, Timestamp};

use super::crowd::{Crowd, NAP};
use super::generation::{Sieve, Sifted, sift};
use super::ticket::{Answer, Barrier, Ticket};
use super::view::{Backend, Shared, Write, decode_account, decode_blocks, decode_row, decode_run};
use super::{Append, CreateOutcome, CreateRun, Debit, MAX_APPEND, MAX_VALUE, OutboxChange, OutboxRow, Touch};
use crate::error::{AppendError, PruneError, ReadError};
use crate::key::{Key, MAX_RUN_KEY};
use crate::record::{CHECKSUM, ItemBlocks, RunRow, block_of, frame, unframe};

/// Most requests of a group.
const GROUP_REQUESTS: usize = 512;

/// A backend with its one writing thread.
pub(super) struct GroupCommit<B: Backend> {
    shared: Arc<Shared<B>>,
    to: Sender<Request>,
    thread: Option<JoinHandle<()>>,
}

enum Request {
    Append(Append, Answer),
    Create(CreateRun, oneshot::Sender<Result<CreateOutcome, AppendError>>),
    Claim(RunId, oneshot::Sender<Result<RunRow, AppendError>>),
    Meta(String, Vec<u8>, Vec<Barrier>, Answer),
    Outbox(OutboxChange, Answer),
    Prune(Box<dyn Sieve>, oneshot::Sender<Result<Sifted, PruneError>>),
    Close,
}

impl Request {
    fn size(&self) -> usize {
        match self {
            Self::Append(append, _) => append.events.iter().map(Vec::len).sum::<usize>() + append.state.len(),
            Self::Create(create, _) => create.events.iter().map(Vec::len).sum::<usize>() + create.state.len(),
            Self::Meta(_, value, ..) => value.len(),
            Self::Outbox(change, _) => change.put.iter().map(|row| row.value.len()).sum(),
            Self::Claim(..) | Self::Prune(..) | Self::Close => 0,
        }
    }

    const fn appends_to(&self) -> Option<RunId> {
        match self {
            Self::Append(append, _) => Some(append.run),
            _ => None,
        }
    }

    /// Whether nothing may be in its group.
    const fn is_alone(&self) -> bool {
        matches!(self, Self::Prune(..) | Self::Close)
    }
}

impl<B: Backend> GroupCommit<B> {
    pub(super) fn start(backend: B) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(backend));
        let (to, from) = channel();
        let committer = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("wflo-journal".to_owned())
            .spawn(move || work(&committer, &from))?;
        Ok(Self { shared, to, thread: Some(thread) })
    }

    pub(super) fn shared(&self) -> &Shared<B> {
        &self.shared
    }

    pub(super) fn submit(&self, append: Append) -> Ticket {
        let sizes = check_sizes(&append.events, &append.state).and_then(|()| check_rows(&append.outbox));
        if let Err(error) = sizes {
            return Ticket::answered(Err(error));
        }
        let (answer, ticket) = Ticket::pair();
        self.send(Request::Append(append, answer));
        ticket
    }

    pub(super) async fn create(&self, create: CreateRun) -> Result<CreateOutcome, AppendError> {
        check_sizes(&create.events, &create.state)?;
        if let Some(key) = &create.key {
            check("an idempotency key", key.len(), MAX_RUN_KEY)?;
        }
        let (reply, from) = oneshot::channel();
        self.send(Request::Create(create, reply));
        from.await.unwrap_or_else(|_| Err(stopped()))
    }

    pub(super) async fn claim(&self, run: RunId) -> Result<RunRow, AppendError> {
        let (reply, from) = oneshot::channel();
        self.send(Request::Claim(run, reply));
        from.await.unwrap_or_else(|_| Err(stopped()))
    }

    pub(super) fn put_meta(&self, name: &str, value: Vec<u8>, after: Vec<Barrier>) -> Ticket {
        let sizes = check("a name", name.len(), MAX_RUN_KEY)
            .and_then(|()| check("a value", value.len(), MAX_VALUE - CHECKSUM));
        if let Err(error) = sizes {
            return Ticket::answered(Err(error));
        }
        let (answer, ticket) = Ticket::pair();
        self.send(Request::Meta(name.to_owned(), value, after, answer));
        ticket
    }

    pub(super) fn change_outbox(&self, change: OutboxChange) -> Ticket {
        if let Err(error) = check_rows(&change.put) {
            return Ticket::answered(Err(error));
        }
        let (answer, ticket) = Ticket::pair();
        self.send(Request::Outbox(change, answer));
        ticket
    }

    pub(super) async fn prune(&self, sieve: Box<dyn Sieve>) -> Result<Sifted, PruneError> {
        let (reply, from) = oneshot::channel();
        self.send(Request::Prune(sieve, reply));
        from.await.unwrap_or_else(|_| Err(PruneError::Unknown { message: "the writer stopped".to_owned() }))
    }

    fn send(&self, request: Request) {
        // Where the thread is gone the request is dropped here, and its answer says so.
        let _ = self.to.send(request);
    }
}

impl<B: Backend> Drop for GroupCommit<B> {
    fn drop(&mut self) {
        self.send(Request::Close);
        if let Some(thread) = self.thread.take() {
            // It catches its panics; what was under way is answered before it ends.
            let _ = thread.join();
        }
    }
}

fn stopped() -> AppendError {
    AppendError::Unknown { message: "the writer stopped".to_owned() }
}

fn check(what: &'static str, size: usize, limit: usize) -> Result<(), AppendError> {
    if size > limit { Err(AppendError::TooLarge { what, size, limit }) } else { Ok(()) }
}

fn check_sizes(events: &[Vec<u8>], state: &[u8]) -> Result<(), AppendError> {
    for event in events {
        check("an event", event.len(), MAX_VALUE - CHECKSUM)?;
    }
    // The row's own fields take 26 bytes before the state.
    check("the state of a run", 26 + state.len(), MAX_VALUE - CHECKSUM)?;
    check("an append", events.iter().map(Vec::len).sum(), MAX_APPEND)
}

fn check_rows(rows: &[OutboxRow]) -> Result<(), AppendError> {
    rows.iter().try_for_each(|row| check("what waits to leave", row.value.len(), MAX_VALUE - CHECKSUM))
}

/// Whether a group may have one request more.
fn has_room(requests: &[Request], size: usize) -> bool {
    requests.len() < GROUP_REQUESTS && size < MAX_APPEND && !requests.last().is_some_and(Request::is_alone)
}

/// The writing thread.
fn work<B: Backend>(shared: &Shared<B>, from: &Receiver<Request>) {
    let (mut open, mut crowd) = (true, Crowd::new(B::SYNCS, Instant::now()));
    while open {
        let Ok(first) = from.recv() else { return };
        let mut size = first.size();
        let mut requests = vec![first];
        loop {
            while has_room(&requests, size)
                && let Ok(next) = from.try_recv()
            {
                size += next.size();
                requests.push(next);
            }
            if !has_room(&requests, size) || !crowd.waits_for_more(requests.len(), Instant::now()) {
                break;
            }
            std::thread::sleep(NAP);
        }
        crowd.begins(requests.iter().filter_map(Request::appends_to), Instant::now());
        let alone = requests.pop_if(|last| last.is_alone());
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            commit(shared, requests);
            match alone {
                Some(Request::Prune(mut sieve, reply)) => drop(reply.send(sift(shared, &mut *sieve))),
                // Whatever comes after Close was sent by nobody who waits.
                Some(_) => open = false,
                None => {}
            }
        }));
        if let Err(panic) = outcome {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            shared.poison(&format!("the database panicked: {text}"));
        }
    }
}

/// Writes a group. The commit point of everything in it is the backend's sync.
fn commit<B: Backend>(shared: &Shared<B>, requests: Vec<Request>) {
    let mut group = Group::new(shared);
    let mut verdicts = Vec::with_capacity(requests.len());
    let mut failed = shared.poisoned();
    for request in requests {
        if failed.is_none() {
            match group.stage(request) {
                Ok(verdict) => verdicts.push(verdict),
                Err((verdict, message)) => {
                    failed = Some(shared.poison(&message));
                    verdicts.push(verdict);
                }
            }
        } else {
            verdicts.extend(Verdict::refused(request));
        }
    }
    let failure = match failed {
        Some(message) => Some(AppendError::Poisoned { message }),
        None => group.write().err().map(|message| AppendError::Unknown { message: shared.poison(&message) }),
    };
    verdicts.into_iter().for_each(|verdict| verdict.send(failure.as_ref()));
}

/// An answer that waits for the group to be durable.
enum Verdict {
    Done(Answer, Result<(), AppendError>),
    Created(oneshot::Sender<Result<CreateOutcome, AppendError>>, Result<CreateOutcome, AppendError>),
    Claimed(oneshot::Sender<Result<RunRow, AppendError>>, Result<RunRow, AppendError>),
}

impl Verdict {
    /// Answers; refusals too fall with the group, for they may build on what was in it.
    fn send(self, failure: Option<&AppendError>) {
        // Whoever dropped the other end does not want to know; nothing is undone for it.
        match self {
            Self::Done(answer, result) => answer.give(failure.cloned().map_or(result, Err)),
            Self::Created(to, result) => drop(to.send(failure.cloned().map_or(result, Err))),
            Self::Claimed(to, result) => drop(to.send(failure.cloned().map_or(result, Err))),
        }
    }

    fn refused(request: Request) -> Option<Self> {
        Some(match request {
            Request::Append(_, answer) | Request::Meta(_, _, _, answer) | Request::Outbox(_, answer) => {
                Self::Done(answer, Err(stopped()))
            }
            Request::Create(_, to) => Self::Created(to, Err(stopped())),
            Request::Claim(_, to) => Self::Claimed(to, Err(stopped())),
            Request::Prune(..) | Request::Close => return None,
        })
    }
}

/// What a group changes, on top of what is stored.
struct Group<'a, B> {
    shared: &'a Shared<B>,
    events: Vec<Write>,
    rows: HashMap<RunId, StagedRow>,
    /// Keys of requests, values of the deployment, what waits to leave; none for what is taken away.
    cells: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// Where events of steps and items lie; for those that change.
    places: HashMap<Vec<u8>, ItemBlocks>,
}

struct StagedRow {
    row: RunRow,
    changed: bool,
    /// What the indexes say of the run.
    old_due: Option<Timestamp>,
    listed: bool,
}

/// A refusal of one request, or a failure of the store.
enum Stop {
    Refuse(AppendError),
    Fail(String),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io { message } => Self::Fail(message),
            other => Self::Refuse(other.into()),
        }
    }
}

impl<'a, B: Backend> Group<'a, B> {
    fn new(shared: &'a Shared<B>) -> Self {
        let (rows, cells, places) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { shared, events: Vec::new(), rows, cells, places }
    }

    fn stage(&mut self, request: Request) -> Result<Verdict, (Verdict, String)> {
        fn settle<T>(result: Result<T, Stop>) -> (Result<T, AppendError>, Option<String>) {
            match result {
                Ok(value) => (Ok(value), None),
                Err(Stop::Refuse(error)) => (Err(error), None),
                Err(Stop::Fail(message)) => (Err(stopped()), Some(message)),
            }
        }
        let (verdict, failed) = match request {
            Request::Append(append, answer) => {
                let (result, failed) = settle(self.append(append));
                (Verdict::Done(answer, result), failed)
            }
            Request::Meta(name, value, after, answer) => {
                let (result, failed) = settle(self.meta(&name, value, after));
                (Verdict::Done(answer, result), failed)
            }
            Request::Outbox(change, answer) => {
                let (result, failed) = settle(self.change_outbox(change));
                (Verdict::Done(answer, result), failed)
            }
            Request::Create(create, to) => {
                let (result, failed) = settle(self.create(create));
                (Verdict::Created(to, result), failed)
            }
            Request::Claim(run, to) => {
                let (result, failed) = settle(self.claim(run));
                (Verdict::Claimed(to, result), failed)
            }
            Request::Prune(..) | Request::Close => unreachable!("these are never in a group"),
        };
        match failed {
            None => Ok(verdict),
            Some(message) => Err((verdict, message)),
        }
    }

    fn append(&mut self, append: Append) -> Result<(), Stop> {
        let staged = self.row(append.run)?.ok_or(AppendError::UnknownRun { run: append.run });
        let staged = staged.map_err(Stop::Refuse)?;
        if append.fence != staged.row.fence {
            return Err(Stop::Refuse(AppendError::Fenced));
        }
        if append.expected != staged.row.head {
            return Err(Stop::Refuse(AppendError::Conflict { head: staged.row.head }));
        }
        wait(append.after)?;
        let first = staged.row.head + 1;
        staged.row.head += append.events.len() as u64;
        staged.row.state = append.state;
        staged.row.due = append.due.unwrap_or(staged.row.due);
        staged.row.ended = append.ended.unwrap_or(staged.row.ended);
        staged.changed = true;
        self.add_events(append.run, first, append.events);
        self.put_rows(append.outbox);
        self.debit(append.debits)?;
        self.touch(append.run, append.touched)
    }

    /// Whoever removes a row has it: of two that would, one is refused.
    fn change_outbox(&mut self, change: OutboxChange) -> Result<(), Stop> {
        let keys: Vec<_> = change.remove.iter().map(|key| Key::Outbox(key.due, key.id).encode()).collect();
        for key in &keys {
            let is_there = match self.cells.get(key) {
                Some(staged) => staged.is_some(),
                None => self.shared.backend.get(key)?.is_some(),
            };
            if !is_there {
                return Err(Stop::Refuse(AppendError::Gone));
            }
        }
        self.cells.extend(keys.into_iter().map(|key| (key, None)));
        self.put_rows(change.put);
        Ok(())
    }

    /// Adds to the rows of accounts as they are by now: many runs have a part in one.
    fn debit(&mut self, debits: Vec<Debit>) -> Result<(), Stop> {
        for Debit { account, window, change } in debits {
            let key = Key::Account(&account, &window).encode();
            let stands = match self.cells.get(&key) {
                Some(staged) => staged.clone(),
                None => self.shared.backend.get(&key)?,
            };
            let row = stands.map(|value| decode_account(&key, value)).transpose()?;
            let value = frame(&key, row.unwrap_or_default().after(&change).encode());
            self.cells.insert(key, Some(value));
        }
        Ok(())
    }

    fn put_rows(&mut self, rows: Vec<OutboxRow>) {
        for OutboxRow { key, value } in rows {
            let key = Key::Outbox(key.due, key.id).encode();
            let value = frame(&key, value);
            self.cells.insert(key, Some(value));
        }
    }

    fn create(&mut self, create: CreateRun) -> Result<CreateOutcome, Stop> {
        let key = create.key.as_ref().map(|key| Key::Named(key).encode());
        if let Some(key) = &key {
            let value = match self.cells.get(key) {
                Some(staged) => staged.clone(),
                None => self.shared.backend.get(key)?,
            };
            if let Some(value) = value {
                return Ok(CreateOutcome::Exists(decode_run(key, &unframe(key, value)?)?));
            }
        }
        if self.row(create.run)?.is_some() {
            return Err(Stop::Refuse(AppendError::RunExists { run: create.run }));
        }
        wait(create.after)?;
        let head = create.events.len() as u64;
        let row = RunRow { head, fence: 1, due: None, ended: false, state: create.state };
        let staged = StagedRow { row, changed: true, old_due: None, listed: false };
        self.rows.insert(create.run, staged);
        if let Some(key) = key {
            let value = frame(&key, create.run.as_bytes().to_vec());
            self.cells.insert(key, Some(value));
        }
        self.add_events(create.run, 1, create.events);
        self.touch(create.run, create.touched)?;
        Ok(CreateOutcome::New)
    }

    /// This is where a process first touches a run that another has written, and where it is seen whether the row
    /// and the events fit: sled loses or keeps whole batches, and half a batch would show here. Events in between
    /// are checked when they are read.
    fn claim(&mut self, run: RunId) -> Result<RunRow, Stop> {
        if !self.rows.contains_key(&run)
            && let Some(staged) = self.row(run)?
        {
            let head = staged.row.head;
            let there = |seq| self.shared.backend.get(&Key::Event(run, seq).encode());
            let bad = |seq, what| Stop::from(ReadError::corrupt(Key::Event(run, seq), what));
            for seq in [1, head] {
                if head > 0 && there(seq)?.is_none() {
                    return Err(bad(seq, "the event is missing"));
                }
            }
            if there(head + 1)?.is_some() {
                return Err(bad(head + 1, "the row of the run has an earlier event as its newest"));
            }
        }
        let staged = self.row(run)?.ok_or(Stop::Refuse(AppendError::UnknownRun { run }))?;
        staged.row.fence += 1;
        staged.changed = true;
        Ok(staged.row.clone())
    }

    fn meta(&mut self, name: &str, value: Vec<u8>, after: Vec<Barrier>) -> Result<(), Stop> {
        wait(after)?;
        let key = Key::Meta(name).encode();
        let value = frame(&key, value);
        self.cells.insert(key, Some(value));
        Ok(())
    }

    fn touch(&mut self, run: RunId, touched: Vec<Touch>) -> Result<(), Stop> {
        for Touch { step, item, seq } in touched {
            let key = Key::Item(run, step.as_str(), item).encode();
            let block = block_of(seq);
            if let Some(staged) = self.places.get_mut(&key) {
                staged.add(block);
                continue;
            }
            let mut blocks = match self.shared.backend.get(&key)? {
                Some(value) => decode_blocks(&key, value)?,
                None => ItemBlocks::default(),
            };
            if blocks.add(block) {
                self.places.insert(key, blocks);
            }
        }
        Ok(())
    }

    /// The row as the group leaves it.
    fn row(&mut self, run: RunId) -> Result<Option<&mut StagedRow>, Stop> {
        use std::collections::hash_map::Entry;
        match self.rows.entry(run) {
            Entry::Occupied(found) => Ok(Some(found.into_mut())),
            Entry::Vacant(place) => {
                let key = Key::Run(run).encode();
                let Some(old) = self.shared.backend.get(&key)? else {
                    return Ok(None);
                };
                let row = decode_row(&key, &unframe(&key, old)?)?;
                let (old_due, listed) = (row.due, !row.ended);
                let staged = StagedRow { row, changed: false, old_due, listed };
                Ok(Some(place.insert(staged)))
            }
        }
    }

    fn add_events(&mut self, run: RunId, first: u64, events: Vec<Vec<u8>>) {
        self.events.extend((first..).zip(events).map(|(seq, event)| {
            let key = Key::Event(run, seq).encode();
            let value = frame(&key, event);
            (key, Some(value))
        }));
    }

    fn write(mut self) -> Result<(), String> {
        let mut writes = std::mem::take(&mut self.events);
        for (run, staged) in self.rows.into_iter().filter(|(_, staged)| staged.changed) {
            let StagedRow { row, old_due, listed, .. } = staged;
            if row.due != old_due {
                writes.extend(old_due.map(|due| index(&Key::Due(due, run), false)));
                writes.extend(row.due.map(|due| index(&Key::Due(due, run), true)));
            }
            if row.ended == listed {
                writes.push(index(&Key::Unfinished(run), !row.ended));
            }
            let key = Key::Run(run).encode();
            let value = frame(&key, row.encode());
            writes.push((key, Some(value)));
        }
        writes.extend(self.cells);
        for (key, blocks) in self.places {
            let value = frame(&key, blocks.encode());
            writes.push((key, Some(value)));
        }
        if writes.is_empty() { Ok(()) } else { self.shared.backend.commit(writes) }
    }
}

/// Puts a key that says everything into its table, or takes it out.
fn index(key: &Key<'_>, put: bool) -> Write {
    let key = key.encode();
    let value = put.then(|| frame(&key, Vec::new()));
    (key, value)
}

fn wait(after: Vec<Barrier>) -> Result<(), Stop> {
    after.into_iter().try_for_each(|barrier| barrier.wait().map_err(Stop::Fail))
}
