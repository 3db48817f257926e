//! Logs of the store itself, kept as runs are: chained, sealed, fenced, and exported and verified as they are.
//!
//! They have the last ids there are, which no run is ever made with: an id begins with the time, and these lie past
//! the year 10889. So lists of runs end before them, and nothing else has to know of them.

use wflo_model::RunId;

use crate::error::AppendError;
use crate::journal::{Created, Journal};
use crate::writer::RunWriter;

/// The log of what happened to the store as a whole: who was added, who failed to log in, what was exported.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # use std::sync::Arc;
/// # use wflo_backends::SystemEntropy;
/// use wflo_journal::{Draft, Extras, Journal, SYSTEM_LOG};
/// # use wflo_model::Timestamp;
/// # let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
/// let mut log = journal.system_log().await.unwrap();
/// let draft = Draft::new(Timestamp::from_micros(1), 1, b"alice was added".to_vec());
/// log.append(vec![draft], Extras::default()).unwrap().ticket.durable().await.unwrap();
/// assert_eq!(journal.read(SYSTEM_LOG, 1).await.unwrap().len(), 1);
/// assert!(journal.runs().await.unwrap().is_empty(), "it is no run");
/// # });
/// ```
pub const SYSTEM_LOG: RunId = RunId::from_bytes(id(0xfe));
/// The log of the audit tree: what was appended to it, and its signed checkpoints.
pub(crate) const TREE_LOG: RunId = RunId::from_bytes(id(0xff));
/// The first id of this kind.
const FIRST: RunId = RunId::from_bytes(id(0xf0));

const fn id(last: u8) -> [u8; 16] {
    let mut id = [0xff; 16];
    id[15] = last;
    id
}

/// Whether the id is that of a log of the store itself.
pub(crate) fn is_reserved(run: RunId) -> bool {
    run >= FIRST
}

/// Where a list of runs that ends before `before` begins, logs of the store left out.
pub(crate) fn clamped(before: Option<RunId>) -> RunId {
    before.map_or(FIRST, |before| before.min(FIRST))
}

impl Journal {
    /// Makes the caller the one writer of [`SYSTEM_LOG`], which is made if there is none. Durable when this returns.
    ///
    /// # Errors
    /// As [`Journal::claim`].
    pub async fn system_log(&self) -> Result<RunWriter, AppendError> {
        self.own_log(SYSTEM_LOG).await
    }

    pub(crate) async fn own_log(&self, id: RunId) -> Result<RunWriter, AppendError> {
        if self.0.store.run(id).await?.is_none() {
            match self.make_run(id, None, Vec::new(), Vec::new()).await {
                Ok(Created::New(writer)) => return Ok(writer),
                // Another task of this process was first.
                Ok(Created::Exists(_)) | Err(AppendError::RunExists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.claim(id).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wflo_backends::SystemEntropy;
    use wflo_model::Timestamp;

    use super::*;
    use crate::{Draft, Extras, Prune, PruneError};

    #[tokio::test]
    async fn the_logs_of_the_store_are_no_runs() {
        let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
        let draft = || Draft::new(Timestamp::from_micros(1), 1, b"body".to_vec());
        for id in [SYSTEM_LOG, TREE_LOG] {
            let error = journal.create_run(id, None, vec![draft()], Vec::new()).await.unwrap_err();
            assert!(matches!(error, AppendError::Reserved { run } if run == id), "{error}");
            let mut log = journal.own_log(id).await.unwrap();
            log.append(vec![draft()], Extras::default()).unwrap().ticket.durable().await.unwrap();
        }
        // Whoever comes later goes on, and the one before is shut out.
        let mut before = journal.system_log().await.unwrap();
        let mut after = journal.system_log().await.unwrap();
        after.append(vec![draft()], Extras::default()).unwrap().ticket.durable().await.unwrap();
        let fenced = before.append(vec![draft()], Extras::default()).unwrap().ticket.durable().await;
        assert!(matches!(fenced, Err(AppendError::Fenced)));
        assert_eq!(journal.head(SYSTEM_LOG).await.unwrap().head, 2);

        let run = RunId::new(Timestamp::from_micros(5), [0; 10]);
        journal.create_run(run, None, vec![draft()], Vec::new()).await.unwrap();
        assert_eq!(journal.runs().await.unwrap().iter().map(|head| head.run).collect::<Vec<_>>(), [run]);
        let before = Some(RunId::from_bytes([0xff; 16]));
        assert_eq!(journal.runs_before(before, 9).await.unwrap().len(), 1);
        assert_eq!(journal.unfinished(None, 9).await.unwrap(), [run]);

        let error = journal.erase(SYSTEM_LOG, Vec::new()).await.unwrap_err();
        assert!(matches!(error, PruneError::Reserved { .. }), "{error}");
        let prune = Prune { runs: [(TREE_LOG, 1)].into(), public: None };
        assert!(matches!(journal.prune(prune).await, Err(PruneError::Reserved { .. })));
    }
}
