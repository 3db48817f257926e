//! Reading a run: every event is checked before anyone sees it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use wflo_model::{Digest, RunId, Timestamp};

use crate::blobs::BlobName;
use crate::error::ReadError;
use crate::journal::Shared;
use crate::key::Key;
use crate::record::{BodyForm, ChainState, EventRecord, Header};
use crate::run_keys::RunKeys;
use crate::writer::blob_bound;

/// Events fetched at a time.
const PAGE: usize = 256;

/// An event, opened and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its header.
    pub header: Header,
    /// The hash of the header: the next event's `prev`.
    pub hash: Digest,
    /// The salt of the commitment.
    pub salt: [u8; 32],
    /// What it says.
    pub body: Vec<u8>,
}

/// Reads the events of a run, one after another, up to the newest at the time the reader was made.
///
/// It checks of each event: that it is there, the checksum of the record, its place in the chain, the seal, and
/// that the body is the one committed to; and of the last, that the row of the run knows it as the last.
pub struct Reader {
    shared: Arc<Shared>,
    run: RunId,
    keys: RunKeys,
    page: VecDeque<Vec<u8>>,
    next: u64,
    /// The last event to be given; `head` or before it.
    end: u64,
    head: u64,
    head_hash: Digest,
    /// The hash of the event before `next`, and its time.
    before: (Digest, Timestamp),
}

impl Reader {
    pub(crate) async fn new(shared: Arc<Shared>, run: RunId, from: u64) -> Result<Self, ReadError> {
        let row = shared.store.run(run).await?.ok_or(ReadError::UnknownRun { run })?;
        let bad = |what: &str| ReadError::corrupt(Key::Run(run), what);
        let state = ChainState::decode(&row.state).map_err(|error| bad(&error.to_string()))?;
        let key =
            shared.unwrap(run, &state).ok_or_else(|| bad("the master key does not open the run's key"))?;
        let keys = RunKeys::new(&key);
        let mut reader = Self {
            shared,
            run,
            keys,
            page: VecDeque::new(),
            next: 1,
            end: row.head,
            head: row.head,
            head_hash: state.hash,
            before: (Digest::ZERO, Timestamp::default()),
        };
        reader.turn_to(from..=u64::MAX).await?;
        Ok(reader)
    }

    /// Goes on with these events, as far as there are such.
    pub(crate) async fn turn_to(&mut self, events: RangeInclusive<u64>) -> Result<(), ReadError> {
        self.page.clear();
        self.next = (*events.start()).max(1);
        self.end = self.head.min(*events.end());
        self.before = (Digest::ZERO, Timestamp::default());
        if self.next > 1 && self.next <= self.end {
            let seq = self.next - 1;
            let records = self.shared.store.read(self.run, seq, 1).await?;
            let record = records.first().ok_or_else(|| missing(self.run, seq))?;
            let decoded = decode(self.run, seq, record)?;
            self.before = (Header::hash_encoded(decoded.header_bytes), decoded.header.time);
        }
        Ok(())
    }

    /// The newest event that this reader comes to.
    #[must_use]
    pub const fn head(&self) -> u64 {
        self.head
    }

    pub(crate) const fn head_hash(&self) -> Digest {
        self.head_hash
    }

    /// The next event; none after the newest.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] for an event that is not what was written. No event after it is given.
    pub async fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        self.next_that(|_| true).await
    }

    /// The next event whose header is wanted. Of those before it, only their place in the chain is checked.
    pub(crate) async fn next_that(
        &mut self,
        wanted: impl Fn(&Header) -> bool,
    ) -> Result<Option<Entry>, ReadError> {
        while self.next <= self.end {
            if self.page.is_empty() {
                // Opening a page takes a while, and others of this thread may want to go on.
                tokio::task::yield_now().await;
                let left = usize::try_from(self.end - self.next + 1).unwrap_or(usize::MAX);
                self.page = self.shared.store.read(self.run, self.next, left.min(PAGE)).await?.into();
            }
            let record = self.page.pop_front().ok_or_else(|| missing(self.run, self.next))?;
            let (record, hash) = self.follow(&record)?;
            self.before = (hash, record.header.time);
            let entry = if wanted(&record.header) { Some(self.open(record, hash)?) } else { None };
            self.next += 1;
            if entry.is_some() {
                return Ok(entry);
            }
        }
        Ok(None)
    }

    /// Checks that a record is the one at `next`.
    fn follow<'a>(&self, record: &'a [u8]) -> Result<(EventRecord<'a>, Digest), ReadError> {
        let seq = self.next;
        let bad = |what: &str| ReadError::corrupt(Key::Event(self.run, seq), what);
        let record = decode(self.run, seq, record)?;
        let hash = Header::hash_encoded(record.header_bytes);
        if record.header.prev != self.before.0 {
            return Err(bad("it does not follow the event before it"));
        }
        if record.header.time < self.before.1 {
            return Err(bad("it is older than the event before it"));
        }
        if seq == self.head && hash != self.head_hash {
            return Err(bad("the row of the run has another event as its newest"));
        }
        Ok((record, hash))
    }

    fn open(&self, record: EventRecord<'_>, hash: Digest) -> Result<Entry, ReadError> {
        let bad = |what: &str| ReadError::corrupt(Key::Event(self.run, record.header.seq), what);
        let opened = self.keys.seal().open(record.prefix, record.sealed);
        let mut body = opened.ok_or_else(|| bad("the seal does not fit"))?;
        let salt = *body.first_chunk::<32>().ok_or_else(|| bad("the salt is cut short"))?;
        match record.form {
            BodyForm::Inline => drop(body.drain(..32)),
            BodyForm::Blob(name) => {
                let content = self.shared.blobs.get(BlobName::Run(self.run, name)).map_err(ReadError::io)?;
                let content = content.ok_or_else(|| bad("the blob of its body is missing"))?;
                let opened = self.keys.seal().open(&blob_bound(self.run, &name), &content);
                body = opened.ok_or_else(|| bad("the seal of its body's blob does not fit"))?;
            }
        }
        if Header::commit(&salt, &body) != record.header.commitment {
            return Err(bad("its body is not the one committed to"));
        }
        Ok(Entry { header: record.header, hash, salt, body })
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("run", &self.run).field("next", &self.next).finish_non_exhaustive()
    }
}

fn missing(run: RunId, seq: u64) -> ReadError {
    ReadError::corrupt(Key::Event(run, seq), "the event is missing")
}

fn decode(run: RunId, seq: u64, record: &[u8]) -> Result<EventRecord<'_>, ReadError> {
    let bad = |what: &str| ReadError::corrupt(Key::Event(run, seq), what);
    let record = EventRecord::decode(record).map_err(|error| bad(&error.to_string()))?;
    if record.header.run != run || record.header.seq != seq {
        return Err(bad("it is the event of another place"));
    }
    Ok(record)
}
