//! Walking along the chain of a run, with or without its key.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use wflo_model::{Digest, RunId, Timestamp};

use crate::error::ReadError;
use crate::journal::Shared;
use crate::key::Key;
use crate::record::{ChainState, EventRecord, Header, RunRow};

/// Events fetched at a time.
const PAGE: usize = 256;

/// Goes through the records of a run, up to the newest at the time it began, and checks each one's place in the
/// chain; of the last, that the row of the run knows it as the last.
pub(crate) struct Walk {
    shared: Arc<Shared>,
    run: RunId,
    page: VecDeque<Vec<u8>>,
    next: u64,
    /// The last event to be given; `head` or before it.
    end: u64,
    head: u64,
    head_hash: Digest,
    /// The hash of the event before `next`, and its time.
    before: (Digest, Timestamp),
}

impl Walk {
    pub(crate) fn new(shared: Arc<Shared>, run: RunId, row: &RunRow, state: &ChainState) -> Self {
        Self {
            shared,
            run,
            page: VecDeque::new(),
            next: 1,
            end: row.head,
            head: row.head,
            head_hash: state.hash,
            before: (Digest::ZERO, Timestamp::default()),
        }
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

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) const fn run(&self) -> RunId {
        self.run
    }

    /// The event that comes next.
    pub(crate) const fn place(&self) -> u64 {
        self.next
    }

    /// The newest event there was.
    pub(crate) const fn head(&self) -> u64 {
        self.head
    }

    pub(crate) const fn head_hash(&self) -> Digest {
        self.head_hash
    }

    /// The next record, which [`Walk::follow`] must then be given.
    pub(crate) async fn fetch(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        if self.next > self.end {
            return Ok(None);
        }
        if self.page.is_empty() {
            // Opening a page takes a while, and others of this thread may want to go on.
            tokio::task::yield_now().await;
            let left = usize::try_from(self.end - self.next + 1).unwrap_or(usize::MAX);
            self.page = self.shared.store.read(self.run, self.next, left.min(PAGE)).await?.into();
        }
        Ok(Some(self.page.pop_front().ok_or_else(|| missing(self.run, self.next))?))
    }

    /// Checks that the record is the next, and moves on; gives it with the hash of its header.
    pub(crate) fn follow<'a>(&mut self, record: &'a [u8]) -> Result<(EventRecord<'a>, Digest), ReadError> {
        let seq = self.next;
        let bad = |what: &str| Err(ReadError::corrupt(Key::Event(self.run, seq), what));
        let record = decode(self.run, seq, record)?;
        let hash = Header::hash_encoded(record.header_bytes);
        if record.header.prev != self.before.0 {
            return bad("it does not follow the event before it");
        }
        if record.header.time < self.before.1 {
            return bad("it is older than the event before it");
        }
        if seq == self.head && hash != self.head_hash {
            return bad("the row of the run has another event as its newest");
        }
        self.before = (hash, record.header.time);
        self.next += 1;
        Ok((record, hash))
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
