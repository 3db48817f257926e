//! A simulated store: group commit into an image that outlives the process.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};
use wflo_journal::{
    AccountRow, Answer, Append, AppendError, Barrier, CreateOutcome, CreateRun, OutboxChange, OutboxKey,
    OutboxRow, PruneError, ReadError, RunRow, Sieve, Sifted, Store, Ticket,
};
use wflo_model::{Digest, RunId, StepName, StoreId, Timestamp};

use crate::scenario::{Kind, Wrong};
use crate::world::World;

/// Events of a step up to the next multiple of this are found by the first among them.
const BLOCK: u64 = 32;

/// What is durable.
#[derive(Default)]
pub(crate) struct Image {
    rows: BTreeMap<RunId, RunRow>,
    events: BTreeMap<RunId, Vec<Vec<u8>>>,
    keys: BTreeMap<Vec<u8>, RunId>,
    metas: BTreeMap<String, Vec<u8>>,
    places: BTreeMap<(RunId, StepName, Option<u32>), Vec<u64>>,
    outbox: BTreeMap<OutboxKey, Vec<u8>>,
    accounts: BTreeMap<(String, String), AccountRow>,
}

/// What waits for the next sync. The answers are given when it is done.
pub(crate) enum Request {
    Append(Append, Option<Answer>),
    Create(CreateRun, Option<oneshot::Sender<Result<CreateOutcome, AppendError>>>),
    Claim(RunId, Option<oneshot::Sender<Result<RunRow, AppendError>>>),
    Meta(String, Vec<u8>, Option<Answer>),
    Outbox(OutboxChange, Option<Answer>),
}

enum Verdict {
    Done(Result<(), AppendError>),
    Created(Result<CreateOutcome, AppendError>),
    Claimed(Result<RunRow, AppendError>),
}

impl Image {
    pub(crate) fn heads(&self) -> BTreeMap<RunId, u64> {
        self.rows.iter().map(|(run, row)| (*run, row.head)).collect()
    }

    /// One digest of every byte.
    pub(crate) fn digest(&self) -> Digest {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for (run, row) in &self.rows {
            parts.push(run.as_bytes().to_vec());
            parts.push(row.encode());
            parts.extend(self.events.get(run).into_iter().flatten().cloned());
        }
        parts.extend(self.metas.values().cloned());
        parts.extend(self.outbox.values().cloned());
        parts.extend(self.accounts.values().map(|row| format!("{row:?}").into_bytes()));
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Digest::of_parts(&parts)
    }

    /// Applies a request, all or nothing.
    pub(crate) fn apply(&mut self, request: &Request) {
        self.judge(request);
    }

    fn judge(&mut self, request: &Request) -> Verdict {
        match request {
            Request::Append(append, _) => Verdict::Done(self.append(append)),
            Request::Create(create, _) => Verdict::Created(self.create(create)),
            Request::Claim(run, _) => Verdict::Claimed(match self.rows.get_mut(run) {
                Some(row) => {
                    row.fence += 1;
                    Ok(row.clone())
                }
                None => Err(AppendError::UnknownRun { run: *run }),
            }),
            Request::Meta(name, value, _) => {
                self.metas.insert(name.clone(), value.clone());
                Verdict::Done(Ok(()))
            }
            Request::Outbox(change, _) => Verdict::Done(self.change_outbox(change)),
        }
    }

    fn change_outbox(&mut self, change: &OutboxChange) -> Result<(), AppendError> {
        if !change.remove.iter().all(|key| self.outbox.contains_key(key)) {
            return Err(AppendError::Gone);
        }
        change.remove.iter().for_each(|key| drop(self.outbox.remove(key)));
        self.outbox.extend(change.put.iter().map(|row| (row.key, row.value.clone())));
        Ok(())
    }

    fn append(&mut self, append: &Append) -> Result<(), AppendError> {
        let Append { run, fence, expected, events, state, due, ended, touched, outbox, debits, .. } = append;
        let row = self.rows.get_mut(run).ok_or(AppendError::UnknownRun { run: *run })?;
        if row.fence != *fence {
            return Err(AppendError::Fenced);
        }
        if row.head != *expected {
            return Err(AppendError::Conflict { head: row.head });
        }
        row.head += events.len() as u64;
        row.state.clone_from(state);
        row.due = due.unwrap_or(row.due);
        row.ended = ended.unwrap_or(row.ended);
        self.events.entry(*run).or_default().extend(events.iter().cloned());
        self.outbox.extend(outbox.iter().map(|row| (row.key, row.value.clone())));
        for debit in debits {
            let row = self.accounts.entry((debit.account.clone(), debit.window.clone())).or_default();
            *row = row.after(&debit.change);
        }
        for touch in touched {
            self.places.entry((*run, touch.step.clone(), touch.item)).or_default().push(touch.seq);
        }
        Ok(())
    }

    fn create(&mut self, create: &CreateRun) -> Result<CreateOutcome, AppendError> {
        let CreateRun { run, key, events, state, touched, .. } = create;
        if let Some(earlier) = key.as_ref().and_then(|key| self.keys.get(key)) {
            return Ok(CreateOutcome::Exists(*earlier));
        }
        if self.rows.contains_key(run) {
            return Err(AppendError::RunExists { run: *run });
        }
        if let Some(key) = key {
            self.keys.insert(key.clone(), *run);
        }
        let head = events.len() as u64;
        let row = RunRow { head, fence: 1, due: None, ended: false, state: state.clone() };
        self.rows.insert(*run, row);
        self.events.insert(*run, events.clone());
        for touch in touched {
            self.places.entry((*run, touch.step.clone(), touch.item)).or_default().push(touch.seq);
        }
        Ok(CreateOutcome::New)
    }
}

impl Request {
    fn answer(self, verdict: Verdict) {
        // Whoever let go of the other end does not want to know.
        match (self, verdict) {
            (
                Self::Append(_, Some(to)) | Self::Meta(_, _, Some(to)) | Self::Outbox(_, Some(to)),
                Verdict::Done(result),
            ) => to.give(result),
            (Self::Create(_, Some(to)), Verdict::Created(result)) => drop(to.send(result)),
            (Self::Claim(_, Some(to)), Verdict::Claimed(result)) => drop(to.send(result)),
            _ => {}
        }
    }

    fn refuse(self, error: AppendError) {
        match self {
            Self::Append(_, Some(to)) | Self::Meta(_, _, Some(to)) | Self::Outbox(_, Some(to)) => {
                to.give(Err(error));
            }
            Self::Create(_, Some(to)) => drop(to.send(Err(error))),
            Self::Claim(_, Some(to)) => drop(to.send(Err(error))),
            _ => {}
        }
    }

    /// The request without whoever waits for it: what the disk sees.
    fn deaf(&self) -> Self {
        match self {
            Self::Append(append, _) => {
                let Append { run, fence, expected, due, ended, .. } = *append;
                let (events, state) = (append.events.clone(), append.state.clone());
                let (touched, outbox, after) = (append.touched.clone(), append.outbox.clone(), Vec::new());
                let debits = append.debits.clone();
                let deaf = Append {
                    run,
                    fence,
                    expected,
                    events,
                    state,
                    due,
                    ended,
                    touched,
                    outbox,
                    debits,
                    after,
                };
                Self::Append(deaf, None)
            }
            Self::Create(create, _) => {
                let CreateRun { run, key, events, state, touched, .. } = create;
                let (key, events, state, touched) =
                    (key.clone(), events.clone(), state.clone(), touched.clone());
                Self::Create(CreateRun { run: *run, key, events, state, touched, after: Vec::new() }, None)
            }
            Self::Claim(run, _) => Self::Claim(*run, None),
            Self::Meta(name, value, _) => Self::Meta(name.clone(), value.clone(), None),
            Self::Outbox(change, _) => Self::Outbox(change.clone(), None),
        }
    }
}

/// The store of one process.
pub(crate) struct SimStore {
    world: Arc<World>,
    queue: Mutex<Vec<Request>>,
    more: Notify,
    poison: Mutex<Option<String>>,
    /// Whether nothing is simulated but the image: for whoever only looks.
    quiet: bool,
}

impl SimStore {
    /// A store, and the task that makes groups durable.
    pub(crate) fn open(world: &Arc<World>) -> Arc<Self> {
        let store = Arc::new(Self::new(world, false));
        tokio::spawn(Arc::clone(&store).commit());
        store
    }

    /// A store to look into.
    pub(crate) fn look(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self::new(world, true))
    }

    fn new(world: &Arc<World>, quiet: bool) -> Self {
        let world = Arc::clone(world);
        Self { world, queue: Mutex::default(), more: Notify::new(), poison: Mutex::default(), quiet }
    }

    async fn commit(self: Arc<Self>) {
        loop {
            let requests = std::mem::take(&mut *self.queue());
            if requests.is_empty() {
                self.more.notified().await;
                continue;
            }
            if let Some(message) = self.poisoned() {
                let refuse =
                    |request: Request| request.refuse(AppendError::Poisoned { message: message.clone() });
                requests.into_iter().for_each(refuse);
                continue;
            }
            self.world.lock().syncing = requests.iter().map(Request::deaf).collect();
            self.world.live_on().await;
            let wait = self.world.lock().rng.pick(&[0, 0, 0, 1, 3]);
            if wait > 0 {
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            self.world.live_on().await;
            let fails = match self.world.fault(Kind::Sync) {
                Some(Wrong::SyncFails { landed }) => Some(landed),
                _ => None,
            };
            if fails != Some(false) {
                let verdicts: Vec<_> = {
                    let inner = &mut *self.world.lock();
                    inner.syncing.clear();
                    requests.iter().map(|request| inner.image.judge(request)).collect()
                };
                self.world.live_on().await;
                if fails.is_none() {
                    for (request, verdict) in requests.into_iter().zip(verdicts) {
                        self.note(&request, &verdict);
                        request.answer(verdict);
                    }
                    continue;
                }
            }
            self.world.lock().syncing.clear();
            let message = "the simulated disk failed".to_owned();
            *self.poisoned_by() = Some(message.clone());
            for request in requests {
                request.refuse(AppendError::Unknown { message: message.clone() });
            }
        }
    }

    /// No two writers are alive at a time here, so none may find that it has company.
    fn note(&self, request: &Request, verdict: &Verdict) {
        if let (Request::Append(append, _), Verdict::Done(Err(error))) = (request, verdict) {
            self.world.violated("one writer", format!("an append to {} was refused: {error}", append.run));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Vec<Request>> {
        self.queue.lock().expect("one thread does everything")
    }

    fn poisoned_by(&self) -> MutexGuard<'_, Option<String>> {
        self.poison.lock().expect("one thread does everything")
    }

    fn send(&self, request: Request, after: Vec<Barrier>) {
        // Blobs are kept in memory by the world, and there as soon as they are written.
        let lifted: Result<Vec<()>, String> = after.into_iter().map(Barrier::wait).collect();
        if let Err(message) = lifted {
            return request.refuse(AppendError::Unknown { message });
        }
        if let Some(message) = self.poisoned_by().clone() {
            return request.refuse(AppendError::Poisoned { message });
        }
        self.world.moment();
        self.queue().push(request);
        self.more.notify_one();
    }

    async fn reads(&self) {
        if !self.quiet {
            self.world.live_on().await;
        }
    }
}

#[async_trait]
impl Store for SimStore {
    fn id(&self) -> StoreId {
        StoreId::from_bytes([7; 16])
    }

    /// Histories of a simulation are short, and none of them prunes.
    async fn prune(&self, _: Box<dyn Sieve>) -> Result<Sifted, PruneError> {
        Err(PruneError::Failed { message: "a simulated store keeps everything".to_owned() })
    }

    fn submit(&self, mut append: Append) -> Ticket {
        {
            let inner = &mut *self.world.lock();
            let people = Arc::clone(&inner.people);
            inner.written.push((append.run, append.expected + 1, people));
        }
        let (answer, ticket) = Ticket::pair();
        let after = std::mem::take(&mut append.after);
        self.send(Request::Append(append, Some(answer)), after);
        ticket
    }

    async fn create_run(&self, mut create: CreateRun) -> Result<CreateOutcome, AppendError> {
        let (to, from) = oneshot::channel();
        let after = std::mem::take(&mut create.after);
        self.send(Request::Create(create, Some(to)), after);
        from.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn claim(&self, run: RunId) -> Result<RunRow, AppendError> {
        let (to, from) = oneshot::channel();
        self.send(Request::Claim(run, Some(to)), Vec::new());
        from.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRow>, ReadError> {
        self.reads().await;
        Ok(self.world.lock().image.rows.get(&run).cloned())
    }

    async fn runs(&self, before: Option<RunId>, limit: usize) -> Result<Vec<(RunId, RunRow)>, ReadError> {
        self.reads().await;
        let inner = self.world.lock();
        let rows =
            inner.image.rows.iter().rev().filter(|(run, _)| before.is_none_or(|before| **run < before));
        Ok(rows.take(limit).map(|(run, row)| (*run, row.clone())).collect())
    }

    async fn read(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, ReadError> {
        self.reads().await;
        let inner = self.world.lock();
        let events = inner.image.events.get(&run).ok_or(ReadError::UnknownRun { run })?;
        let skip = usize::try_from(from.max(1) - 1).unwrap_or(usize::MAX);
        Ok(events.iter().skip(skip).take(limit).cloned().collect())
    }

    async fn places(
        &self,
        run: RunId,
        step: &StepName,
        item: Option<u32>,
    ) -> Result<Vec<RangeInclusive<u64>>, ReadError> {
        self.reads().await;
        let inner = self.world.lock();
        let head = inner.image.rows.get(&run).map_or(0, |row| row.head);
        let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
        let touched = inner.image.places.get(&(run, step.clone(), item));
        let mut touched: Vec<u64> = touched.into_iter().flatten().copied().collect();
        touched.sort_unstable();
        for seq in touched {
            // What an earlier one finds need not be found twice.
            if ranges.last().is_none_or(|last| !last.contains(&seq)) {
                ranges.push(seq..=seq.next_multiple_of(BLOCK).min(head));
            }
        }
        Ok(ranges)
    }

    async fn unfinished(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, ReadError> {
        self.reads().await;
        let inner = self.world.lock();
        let open = inner.image.rows.iter().filter(|(_, row)| !row.ended).map(|(run, _)| *run);
        Ok(open.filter(|run| after.is_none_or(|after| *run > after)).take(limit).collect())
    }

    async fn by_key(&self, key: &[u8]) -> Result<Option<RunId>, ReadError> {
        self.reads().await;
        Ok(self.world.lock().image.keys.get(key).copied())
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<(Timestamp, RunId)>, ReadError> {
        self.reads().await;
        let inner = self.world.lock();
        let due = inner.image.rows.iter().filter_map(|(run, row)| Some((row.due?, *run)));
        let mut due: Vec<_> = due.filter(|(at, _)| *at <= now).collect();
        due.sort();
        due.truncate(limit);
        Ok(due)
    }

    async fn account(&self, account: &str, window: &str) -> Result<AccountRow, ReadError> {
        self.reads().await;
        let at = (account.to_owned(), window.to_owned());
        Ok(self.world.lock().image.accounts.get(&at).copied().unwrap_or_default())
    }

    async fn outbox(
        &self,
        after: Option<OutboxKey>,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, ReadError> {
        self.reads().await;
        let inner = self.world.lock();
        let rows = inner
            .image
            .outbox
            .iter()
            .filter(|(key, _)| key.due <= until && after.is_none_or(|after| **key > after));
        Ok(rows.take(limit).map(|(key, value)| OutboxRow { key: *key, value: value.clone() }).collect())
    }

    fn change_outbox(&self, change: OutboxChange) -> Ticket {
        let (answer, ticket) = Ticket::pair();
        self.send(Request::Outbox(change, Some(answer)), Vec::new());
        ticket
    }

    async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        self.reads().await;
        Ok(self.world.lock().image.metas.get(name).cloned())
    }

    fn put_meta(&self, name: &str, value: Vec<u8>, after: Vec<Barrier>) -> Ticket {
        let (answer, ticket) = Ticket::pair();
        self.send(Request::Meta(name.to_owned(), value, Some(answer)), after);
        ticket
    }

    fn poisoned(&self) -> Option<String> {
        self.poisoned_by().clone()
    }
}

fn stopped() -> AppendError {
    AppendError::Unknown { message: "the simulated process is gone".to_owned() }
}
