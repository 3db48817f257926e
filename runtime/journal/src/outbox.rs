//! What waits to leave, sealed.
//!
//! A notification is promised by the same append as the event it tells of, so that neither is there without the
//! other. It stands in a table of its own by the time when it is due: whoever sends finds the next without looking at
//! any run. A row says which event of which run is to be told where, and not what that event says: of a run that was
//! erased or dropped there is nothing left to tell.

use wflo_model::Timestamp;

use crate::entropy::draw;
use crate::error::{AppendError, ReadError};
use crate::journal::{Journal, Shared};
use crate::key::Key;
use crate::record::{CHECKSUM, Cursor};
use crate::seal::{NONCE, OVERHEAD};
use crate::store::{MAX_VALUE, OutboxChange, OutboxKey, OutboxRow};
use crate::writer::check;

/// Version of a sealed row.
pub(crate) const VERSION: u8 = 1;

/// Something that waits to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Where it stands.
    pub key: OutboxKey,
    /// What it is; sealed at rest.
    pub body: Vec<u8>,
}

impl Journal {
    /// What waits to leave and is due at `until`, soonest first: at most `limit` of those after `after`; fewer only at
    /// the end.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use std::sync::Arc;
    /// # use wflo_backends::SystemEntropy;
    /// # use wflo_journal::{Journal, OutboxEntry, OutboxKey};
    /// # use wflo_model::Timestamp;
    /// # let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
    /// let key = OutboxKey { due: Timestamp::from_micros(5), id: [1; 16] };
    /// let entry = OutboxEntry { key, body: b"tell the fraud team".to_vec() };
    /// journal.change_outbox(Vec::new(), vec![entry.clone()]).await.unwrap();
    /// assert!(journal.outbox(None, Timestamp::from_micros(4), 9).await.unwrap().is_empty());
    /// assert_eq!(journal.outbox(None, Timestamp::from_micros(5), 9).await.unwrap(), [entry]);
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`ReadError::Corrupt`], or the disk failed.
    pub async fn outbox(
        &self,
        after: Option<OutboxKey>,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, ReadError> {
        let rows = self.0.store.outbox(after, until, limit).await?;
        rows.into_iter().map(|row| self.0.open_outbox(row)).collect()
    }

    /// Changes what waits to leave, all or nothing; durable when this returns.
    ///
    /// # Errors
    /// [`AppendError::Gone`] where something to be removed is not there: somebody else has taken it.
    /// [`AppendError::TooLarge`], or the store failed.
    pub async fn change_outbox(
        &self,
        remove: Vec<OutboxKey>,
        put: Vec<OutboxEntry>,
    ) -> Result<(), AppendError> {
        let put = self.0.seal_outbox(put)?;
        self.0.store.change_outbox(OutboxChange { remove, put }).durable().await
    }
}

impl Shared {
    pub(crate) fn seal_outbox(&self, entries: Vec<OutboxEntry>) -> Result<Vec<OutboxRow>, AppendError> {
        let seal = |OutboxEntry { key, body }: OutboxEntry| {
            check("what waits to leave", 1 + OVERHEAD + body.len(), MAX_VALUE - CHECKSUM)?;
            let nonce: [u8; NONCE] = draw(&*self.entropy)?;
            let mut value = vec![VERSION];
            value.extend(self.keys.outbox.seal(&bound(&key.id), &nonce, &body));
            Ok(OutboxRow { key, value })
        };
        entries.into_iter().map(seal).collect()
    }

    fn open_outbox(&self, OutboxRow { key, value }: OutboxRow) -> Result<OutboxEntry, ReadError> {
        let bad = |what: &str| ReadError::corrupt(Key::Outbox(key.due, key.id), what);
        let mut from = Cursor::new(&value);
        from.version(VERSION).map_err(|error| bad(&error.to_string()))?;
        let body = self.keys.outbox.open(&bound(&key.id), from.rest());
        Ok(OutboxEntry { key, body: body.ok_or_else(|| bad("the seal does not fit"))? })
    }
}

/// What a row's seal binds. Not when it is due: that changes with every try.
pub(crate) fn bound(id: &[u8; 16]) -> Vec<u8> {
    [b"wflo outbox v1\0", &id[..]].concat()
}
