//! Giving space back, and forgetting: runs that are dropped, and runs that are erased.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wflo_model::{Digest, RunId};

use crate::error::{PruneError, ReadError};
use crate::journal::{Journal, Shared, chain_state};
use crate::key::Key;
use crate::record::{BodyForm, ChainState, EventRecord, RunRow};
use crate::reserved;
use crate::store::{Fate, Sieve, Sifted};

/// What [`Journal::prune`] takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// The runs that go, each with its newest event as it was when this was decided. All others stay.
    pub runs: HashMap<RunId, u64>,
    /// Public content that stays, of which there must be all that any run that stays needs; `None` keeps all.
    /// What this process has put since it opened the journal stays in any case: a run that needs it may be about to
    /// be made.
    pub public: Option<HashSet<Digest>>,
}

/// What [`Journal::prune`] took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Runs.
    pub runs: u64,
    /// Their events.
    pub events: u64,
    /// Files of large bodies: of these runs, and of such as a crash left behind.
    pub blobs: u64,
    /// Public contents.
    pub public: u64,
    /// Bytes that are free again. Where a store is small its files may have become larger: then none.
    pub bytes: u64,
}

/// What [`Journal::erase`] took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Events whose headers stay and whose bodies are gone.
    pub events: u64,
    /// Files of large bodies.
    pub blobs: u64,
}

impl Journal {
    /// Gives the space of runs back: rows, events, indexes, keys, timers and blobs of the runs in [`Prune::runs`],
    /// and public content that is not in use. What stays is copied to a new generation of the store, which takes the
    /// place of the old one; so this takes as long as copying what stays. Meanwhile appends wait, and reads go on.
    /// Writers of runs that stay go on as if nothing had been; one of a run that is gone is told
    /// [`AppendError::UnknownRun`](crate::AppendError::UnknownRun).
    ///
    /// The commit point is the switch of generations: a crash before it leaves everything, one after it may leave
    /// files that nothing names, which go when the store is opened (generations) or pruned again (blobs). Durable
    /// when this returns.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use std::sync::Arc;
    /// # use wflo_backends::SystemEntropy;
    /// # use wflo_journal::{Draft, Journal, Prune};
    /// # use wflo_model::{RunId, Timestamp};
    /// # let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
    /// # let run = RunId::new(Timestamp::from_micros(1), [0; 10]);
    /// # let draft = Draft::new(Timestamp::from_micros(1), 1, b"started".to_vec());
    /// # journal.create_run(run, None, vec![draft], Vec::new()).await.unwrap();
    /// let old = journal.runs().await.unwrap().into_iter().map(|head| (head.run, head.head)).collect();
    /// let pruned = journal.prune(Prune { runs: old, public: None }).await.unwrap();
    /// assert_eq!((pruned.runs, pruned.events), (1, 1));
    /// assert!(journal.runs().await.unwrap().is_empty());
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`PruneError::Moved`] when a run has gone on; [`PruneError::LeftBehind`] when files could not be removed. See
    /// there for what has changed by then. A run that is not there any more is no error.
    pub async fn prune(&self, prune: Prune) -> Result<Pruned, PruneError> {
        let Prune { runs, public } = prune;
        if let Some(&run) = runs.keys().find(|run| reserved::is_reserved(**run)) {
            return Err(PruneError::Reserved { run });
        }
        let (sifted, mut left) = switched(self.0.store.prune(Box::new(Dropping(runs))).await)?;
        let mut pruned =
            Pruned { runs: sifted.runs, events: sifted.events, bytes: sifted.bytes, ..Pruned::default() };
        let swept = self.sweep(public).await;
        let (blobs, public, bytes) = match swept {
            Ok(swept) => swept,
            Err(message) => {
                left.get_or_insert(message);
                (0, 0, 0)
            }
        };
        (pruned.blobs, pruned.public, pruned.bytes) = (blobs, public, pruned.bytes + bytes);
        match left {
            None => Ok(pruned),
            Some(message) => Err(PruneError::LeftBehind { sifted, message }),
        }
    }

    /// Forgets what a run said: its key, the bodies of its events and its blobs are gone from the disk when this
    /// returns, and so is the generation of the store that held them. Headers stay, and with them the chain: that
    /// such events took place, and when, can be shown for ever, and what they said by nobody. Idempotency key and
    /// list entry stay, with `summary` in the place of the one the run had.
    ///
    /// The run must have ended. It takes as long as [`Journal::prune`] does. Backups, and what a disk keeps of
    /// removed files, are beyond it.
    ///
    /// # Errors
    /// [`PruneError::UnknownRun`], [`PruneError::Reserved`], [`PruneError::Unfinished`], [`PruneError::Erased`]; see [`PruneError`] for others
    /// and for what has changed by then.
    pub async fn erase(&self, run: RunId, summary: Vec<u8>) -> Result<Erased, PruneError> {
        if reserved::is_reserved(run) {
            return Err(PruneError::Reserved { run });
        }
        let row = self.0.store.run(run).await?.ok_or(PruneError::UnknownRun { run })?;
        let sieve = Erasing { run, summary };
        let (_, mut left) = match self.0.store.prune(Box::new(sieve)).await {
            // An earlier try may have come no further than this.
            Err(error @ PruneError::Erased { .. }) => match self.remove_blobs(run).await {
                Ok((0, _)) => return Err(error),
                Ok((blobs, _)) => return Ok(Erased { events: row.head, blobs }),
                Err(message) => return Err(PruneError::LeftBehind { sifted: Sifted::default(), message }),
            },
            outcome => switched(outcome)?,
        };
        let blobs = match self.remove_blobs(run).await {
            Ok((blobs, _)) => blobs,
            Err(message) => {
                left.get_or_insert(message);
                0
            }
        };
        match left {
            None => Ok(Erased { events: row.head, blobs }),
            Some(message) => Err(PruneError::LeftBehind { sifted: Sifted::default(), message }),
        }
    }

    async fn remove_blobs(&self, run: RunId) -> Result<(u64, u64), String> {
        let shared = Arc::clone(&self.0);
        blocking(move || shared.blobs.remove_run(run)).await
    }

    /// Removes blobs of runs that are gone, blobs of runs that never were, and public content that is not kept.
    async fn sweep(&self, keep: Option<HashSet<Digest>>) -> Result<(u64, u64, u64), String> {
        let shared = Arc::clone(&self.0);
        let with_blobs = blocking(move || shared.blobs.runs()).await?;
        let (mut blobs, mut bytes) = (0, 0);
        for run in with_blobs {
            // Whoever makes a run says so before it writes a blob, and until the store has answered; so a run with
            // blobs that nobody is making either has its row by now or never will.
            let making = self.0.under_way.is_making(run);
            let row = self.0.store.run(run).await.map_err(|error| error.to_string())?;
            if row.is_none() && !making {
                let (count, size) = self.remove_blobs(run).await?;
                (blobs, bytes) = (blobs + count, bytes + size);
            }
        }
        let Some(keep) = keep else { return Ok((blobs, 0, bytes)) };
        let shared = Arc::clone(&self.0);
        let (public, size) = blocking(move || remove_public(&shared, &keep)).await?;
        Ok((blobs, public, bytes + size))
    }
}

fn remove_public(shared: &Shared, keep: &HashSet<Digest>) -> io::Result<(u64, u64)> {
    let (mut count, mut bytes) = (0, 0);
    for digest in shared.blobs.public()? {
        if keep.contains(&digest) {
            continue;
        }
        // The lock is held while it goes: who puts it meanwhile finds it gone, and writes it again.
        let put = shared.under_way.lock();
        if !put.public.contains_key(&digest) {
            bytes += shared.blobs.remove_public(digest)?;
            count += 1;
        }
    }
    if count > 0 {
        shared.blobs.sync_public()?;
    }
    Ok((count, bytes))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| error.to_string())?.map_err(|error| format!("cannot remove blobs: {error}"))
}

/// Goes on where the new generation is in use, and remembers what was left behind.
fn switched(outcome: Result<Sifted, PruneError>) -> Result<(Sifted, Option<String>), PruneError> {
    match outcome {
        Ok(sifted) => Ok((sifted, None)),
        Err(PruneError::LeftBehind { sifted, message }) => Ok((sifted, Some(message))),
        Err(error) => Err(error),
    }
}

/// Blobs that a process has written and no record names yet.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<Marks>);

#[derive(Debug, Default)]
struct Marks {
    making: HashSet<RunId>,
    /// Public content that this process puts, and whether it is durable by now.
    public: HashMap<Digest, bool>,
}

impl UnderWay {
    pub(crate) fn begin(&self, run: RunId) {
        self.lock().making.insert(run);
    }

    pub(crate) fn end(&self, run: RunId) {
        self.lock().making.remove(&run);
    }

    fn is_making(&self, run: RunId) -> bool {
        self.lock().making.contains(&run)
    }

    pub(crate) fn public(&self, digest: Digest) {
        self.lock().public.entry(digest).or_insert(false);
    }

    pub(crate) fn public_is_durable(&self, digest: Digest) {
        self.lock().public.insert(digest, true);
    }

    pub(crate) fn holds_public(&self, digest: &Digest) -> bool {
        self.lock().public.get(digest).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Marks> {
        // A set is whole between any two of its changes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves runs out.
struct Dropping(HashMap<RunId, u64>);

impl Sieve for Dropping {
    fn run(&mut self, run: RunId, row: &RunRow) -> Result<Fate, PruneError> {
        match self.0.get(&run) {
            None => Ok(Fate::Keep),
            Some(head) if *head == row.head => Ok(Fate::Drop),
            Some(_) => Err(PruneError::Moved { run, head: row.head }),
        }
    }

    fn event(&mut self, _: RunId, _: u64, record: Vec<u8>) -> Result<Vec<u8>, PruneError> {
        Ok(record)
    }
}

/// Takes the bodies and the key of one run away.
struct Erasing {
    run: RunId,
    summary: Vec<u8>,
}

impl Sieve for Erasing {
    fn run(&mut self, run: RunId, row: &RunRow) -> Result<Fate, PruneError> {
        if run != self.run {
            return Ok(Fate::Keep);
        }
        let state = chain_state(run, row)?;
        if state.wrapped.is_none() {
            return Err(PruneError::Erased { run });
        }
        if !row.ended {
            return Err(PruneError::Unfinished { run });
        }
        let state = ChainState::encode_erased(&state.hash, state.time, &self.summary);
        // Who still holds a writer of it is fenced off.
        Ok(Fate::Rewrite(RunRow { fence: row.fence + 1, state, ..row.clone() }))
    }

    fn event(&mut self, run: RunId, seq: u64, record: Vec<u8>) -> Result<Vec<u8>, PruneError> {
        let record =
            EventRecord::decode(&record).map_err(|error| ReadError::corrupt(Key::Event(run, seq), error))?;
        Ok(EventRecord::prefix(record.header_bytes, BodyForm::Erased, 0))
    }
}
