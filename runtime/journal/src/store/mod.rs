//! Stores: opaque bytes, ordered by run, durable by the group.

mod account;
mod build;
mod commit;
mod crowd;
mod delegate;
mod disk;
mod generation;
mod index;
mod live;
mod log;
mod mark;
mod memory;
mod outbox;
mod sizes;
mod sled_store;
mod state_dir;
mod sync;
mod tables;
mod ticket;
mod upgrade;
mod view;

use async_trait::async_trait;
use std::ops::RangeInclusive;

use wflo_model::{RunId, StepName, StoreId, Timestamp};

pub use account::{AccountRow, Debit};
pub use generation::{Fate, Sieve, Sifted};
pub use memory::MemoryStore;
pub use outbox::{OutboxChange, OutboxKey, OutboxRow};
pub use sizes::Sizes;
pub use sled_store::SledStore;
pub(crate) use state_dir::{create_private_dir, sync_dir};
pub use sync::{Fault, FaultSync, SyncHook};
pub use ticket::{Answer, Barrier, BarrierSignal, Ticket};

use crate::error::{AppendError, PruneError, ReadError};
use crate::record::RunRow;

/// Largest value in bytes, checksum included. Larger ones are blobs, in files of their own.
pub const MAX_VALUE: usize = 4096;
/// Most bytes of one append: what a group may hold.
pub const MAX_APPEND: usize = 1 << 20;

/// Keeps runs as opaque bytes.
///
/// The contract, which one suite tests against every implementation:
/// - the events of a run are dense from 1, and only the newest writer (`fence`) that knows the newest event
///   (`expected`) appends: of any number of racing appends one wins;
/// - an append, a creation or a claim lands whole or not at all, also when the process is killed;
/// - it is durable when its ticket or future says so, and dropping either cancels nothing;
/// - appends of a run land in the order in which they were submitted;
/// - no read ever shows what is not durable;
/// - after an I/O error nothing is written any more, until the store is opened again.
#[async_trait]
pub trait Store: Send + Sync {
    /// The store's id, made once when the store was.
    fn id(&self) -> StoreId;

    /// Hands over an append, in order, without waiting.
    fn submit(&self, append: Append) -> Ticket;

    /// Makes a run with its first events, or names the run that has its key. The writer's fence is 1.
    ///
    /// # Errors
    /// [`AppendError::RunExists`], [`AppendError::TooLarge`], or the store failed.
    async fn create_run(&self, create: CreateRun) -> Result<CreateOutcome, AppendError>;

    /// Makes the caller the run's only writer: the fence goes up by one, and older writers are refused. Gives
    /// the row as it is then.
    ///
    /// # Errors
    /// [`AppendError::UnknownRun`], or the store failed.
    async fn claim(&self, run: RunId) -> Result<RunRow, AppendError>;

    /// The row of a run.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn run(&self, run: RunId) -> Result<Option<RunRow>, ReadError>;

    /// Rows of runs, newest first: at most `limit` of those before `before`; fewer only at the end.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn runs(&self, before: Option<RunId>, limit: usize) -> Result<Vec<(RunId, RunRow)>, ReadError>;

    /// The events of a run from `from` on, dense, at most `limit`; fewer only at the end.
    ///
    /// # Errors
    /// [`ReadError::UnknownRun`], [`ReadError::Corrupt`] also for one that is missing.
    async fn read(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, ReadError>;

    /// The events among which all of a step are, or of an item of it, in order: a superset, and none where it has
    /// no event. Where a range goes beyond the newest event, it ends there.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn places(
        &self,
        run: RunId,
        step: &StepName,
        item: Option<u32>,
    ) -> Result<Vec<RangeInclusive<u64>>, ReadError>;

    /// Runs that have not ended, oldest first: at most `limit` of those after `after`; fewer only at the end.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn unfinished(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, ReadError>;

    /// The run that was created with this key.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn by_key(&self, key: &[u8]) -> Result<Option<RunId>, ReadError>;

    /// Runs that are due at `now`, soonest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<(Timestamp, RunId)>, ReadError>;

    /// What waits to leave and is due at `until`, soonest first: at most `limit` of those after `after`; fewer only at
    /// the end.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn outbox(
        &self,
        after: Option<OutboxKey>,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, ReadError>;

    /// Changes what waits to leave, all or nothing. [`AppendError::Gone`] where something to be removed is not there.
    fn change_outbox(&self, change: OutboxChange) -> Ticket;

    /// What an account above the runs stands at in a window of time; nothing where no append has touched it.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn account(&self, account: &str, window: &str) -> Result<AccountRow, ReadError>;

    /// A value of the deployment.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, ReadError>;

    /// Sets a value of the deployment, after the barriers.
    fn put_meta(&self, name: &str, value: Vec<u8>, after: Vec<Barrier>) -> Ticket;

    /// Writes what the sieve lets through into a new generation, switches to it, and removes the old one. Appends and
    /// claims wait meanwhile, and go on in the new generation; of a run that was left out they are told that it is
    /// unknown. Reads go on, of the old generation until the switch. It is durable, and the old generation gone,
    /// when this returns.
    ///
    /// # Errors
    /// See [`PruneError`]: only after two of its errors anything is changed.
    async fn prune(&self, sieve: Box<dyn Sieve>) -> Result<Sifted, PruneError>;

    /// What failed, if the store takes no more writes.
    fn poisoned(&self) -> Option<String>;
}

/// Events and a new state for one run, all or nothing.
#[derive(Debug)]
pub struct Append {
    /// The run.
    pub run: RunId,
    /// The number of the writer.
    pub fence: u64,
    /// The newest event as the writer knows it; the first of `events` gets the number after it.
    pub expected: u64,
    /// The events; may be none.
    pub events: Vec<Vec<u8>>,
    /// The new state of the row.
    pub state: Vec<u8>,
    /// The new timer: `None` leaves it as it is, `Some(None)` takes it away.
    pub due: Option<Option<Timestamp>>,
    /// Whether the run has ended; `None` leaves it as it is.
    pub ended: Option<bool>,
    /// Which of the events belong to which step or item; see [`Touch`].
    pub touched: Vec<Touch>,
    /// What waits to leave because of the events.
    pub outbox: Vec<OutboxRow>,
    /// What the events mean for accounts above the run.
    pub debits: Vec<Debit>,
    /// What must be durable before this is written.
    pub after: Vec<Barrier>,
}

/// Says that an event belongs to a step, or to an item of it. From then on [`Store::places`] finds the event, and
/// up to the next multiple of 32 all after it: they need not be named again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The step.
    pub step: StepName,
    /// The item, where the step fans out.
    pub item: Option<u32>,
    /// The event.
    pub seq: u64,
}

/// A run to be made.
#[derive(Debug)]
pub struct CreateRun {
    /// Its id.
    pub run: RunId,
    /// Its idempotency key, [`crate::MAX_RUN_KEY`] bytes at most.
    pub key: Option<Vec<u8>>,
    /// Its first events.
    pub events: Vec<Vec<u8>>,
    /// The state of its row.
    pub state: Vec<u8>,
    /// Which of the events belong to which step or item.
    pub touched: Vec<Touch>,
    /// What must be durable before this is written.
    pub after: Vec<Barrier>,
}

/// What came of making a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// It was made.
    New,
    /// This run was made with the same key before; nothing was written.
    Exists(RunId),
}
