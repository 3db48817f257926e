//! Reading a run: every event is checked before anyone sees it.

use std::sync::Arc;

use wflo_model::{Digest, RunId};

use crate::blobs::BlobName;
use crate::error::ReadError;
use crate::journal::{Shared, chain_state};
use crate::key::Key;
use crate::record::{BodyForm, EventRecord, Header};
use crate::run_keys::RunKeys;
use crate::walk::Walk;
use crate::writer::blob_bound;

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
    walk: Walk,
    keys: RunKeys,
}

impl Reader {
    pub(crate) async fn new(shared: Arc<Shared>, run: RunId, from: u64) -> Result<Self, ReadError> {
        let row = shared.store.run(run).await?.ok_or(ReadError::UnknownRun { run })?;
        let state = chain_state(run, &row)?;
        let keys = RunKeys::new(&shared.unwrap(run, &state)?);
        let mut walk = Walk::new(shared, run, &row, &state);
        walk.turn_to(from..=u64::MAX).await?;
        Ok(Self { walk, keys })
    }

    pub(crate) const fn walk(&mut self) -> &mut Walk {
        &mut self.walk
    }

    /// The newest event that this reader comes to.
    #[must_use]
    pub const fn head(&self) -> u64 {
        self.walk.head()
    }

    pub(crate) const fn head_hash(&self) -> Digest {
        self.walk.head_hash()
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
        while let Some(record) = self.walk.fetch().await? {
            let (record, hash) = self.walk.follow(&record)?;
            if wanted(&record.header) {
                return Ok(Some(self.open(record, hash).await?));
            }
        }
        Ok(None)
    }

    async fn open(&self, record: EventRecord<'_>, hash: Digest) -> Result<Entry, ReadError> {
        let run = self.walk.run();
        let bad = |what: &str| ReadError::corrupt(Key::Event(run, record.header.seq), what);
        if record.form == BodyForm::Erased {
            return Err(ReadError::Erased { run });
        }
        let opened = self.keys.seal().open(record.prefix, record.sealed);
        let mut body = opened.ok_or_else(|| bad("the seal does not fit"))?;
        let salt = *body.first_chunk::<32>().ok_or_else(|| bad("the salt is cut short"))?;
        if let BodyForm::Blob(name) = record.form {
            let content =
                match self.walk.shared().blobs.get(BlobName::Run(run, name)).map_err(ReadError::io)? {
                    Some(content) => content,
                    None => {
                        return Err(self
                            .without_blob()
                            .await
                            .err()
                            .unwrap_or_else(|| bad("the blob of its body is missing")));
                    }
                };
            let opened = self.keys.seal().open(&blob_bound(run, &name), &content);
            body = opened.ok_or_else(|| bad("the seal of its body's blob does not fit"))?;
        } else {
            body.drain(..salt.len());
        }
        if Header::commit(&salt, &body) != record.header.commitment {
            return Err(bad("its body is not the one committed to"));
        }
        Ok(Entry { header: record.header, hash, salt, body })
    }

    /// Whether the run still has bodies: it may have been pruned or erased since its record was read.
    async fn without_blob(&self) -> Result<(), ReadError> {
        let (shared, run) = (self.walk.shared(), self.walk.run());
        let row = shared.store.run(run).await?.ok_or(ReadError::UnknownRun { run })?;
        shared.unwrap(run, &chain_state(run, &row)?).map(drop)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (run, next) = (self.walk.run(), self.walk.place());
        f.debug_struct("Reader").field("run", &run).field("next", &next).finish_non_exhaustive()
    }
}
