//! Blobs of a run that no event has as its body: pieces of artifacts.

use std::sync::Arc;

use wflo_model::{Digest, RunId};

use crate::blobs::{BlobError, BlobName};
use crate::entropy::draw;
use crate::error::ReadError;
use crate::journal::{Journal, Shared};
use crate::run_keys::RunKeys;
use crate::writer::{MAX_BODY, blob_bound};

/// The blobs of one run: sealed with its key, named by a keyed digest of what they hold, each kept once, and gone with
/// the run. Cheap to clone.
///
/// What is put here and named by no event is seen by nobody; it goes when the run goes.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # use std::sync::Arc;
/// # use wflo_backends::SystemEntropy;
/// # use wflo_journal::{Draft, Journal};
/// # use wflo_model::{RunId, Timestamp};
/// # let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
/// # let run = RunId::new(Timestamp::from_micros(1), [0; 10]);
/// # let draft = Draft::new(Timestamp::from_micros(1), 1, b"started".to_vec());
/// # journal.create_run(run, None, vec![draft], Vec::new()).await.unwrap();
/// let blobs = journal.run_blobs(run).await.unwrap();
/// let name = blobs.put(b"piece".to_vec()).await.unwrap();
/// assert_eq!(name, blobs.name(b"piece"));
/// assert_eq!(blobs.get(&name).await.unwrap(), b"piece");
/// # });
/// ```
#[derive(Clone)]
pub struct RunBlobs {
    shared: Arc<Shared>,
    run: RunId,
    keys: Arc<RunKeys>,
}

impl Journal {
    /// The blobs of a run.
    ///
    /// # Errors
    /// As [`Journal::keys`].
    pub async fn run_blobs(&self, run: RunId) -> Result<RunBlobs, ReadError> {
        Ok(self.run_blobs_of(run, Arc::new(self.keys(run).await?)))
    }

    /// The blobs of a run whose keys are at hand.
    #[must_use]
    pub fn run_blobs_of(&self, run: RunId, keys: Arc<RunKeys>) -> RunBlobs {
        RunBlobs { shared: Arc::clone(&self.0), run, keys }
    }
}

impl RunBlobs {
    /// The name that this content has.
    #[must_use]
    pub fn name(&self, content: &[u8]) -> Digest {
        self.keys.blob_name(content)
    }

    /// Keeps this content; durable when it returns. What is there already is not written again.
    ///
    /// # Errors
    /// When there is more of it than an event may have, no randomness, or the disk fails.
    pub async fn put(&self, content: Vec<u8>) -> Result<Digest, BlobError> {
        let name = self.name(&content);
        let failed = |message: String| BlobError::Io { digest: name, message };
        if content.len() > MAX_BODY {
            return Err(failed(format!("it has {} bytes, more than {MAX_BODY}", content.len())));
        }
        let nonce = draw(&*self.shared.entropy).map_err(|error| failed(error.to_string()))?;
        let sealed = self.keys.seal().seal(&blob_bound(self.run, &name), &nonce, &content);
        self.shared.blobs.put_now(BlobName::Run(self.run, name), sealed).await.map_err(failed)?;
        Ok(name)
    }

    /// What a name stands for, checked.
    ///
    /// # Errors
    /// [`BlobError::Missing`], also when the run was erased since; [`BlobError::Corrupt`] for what is not what was put.
    pub async fn get(&self, name: &Digest) -> Result<Vec<u8>, BlobError> {
        let (shared, blob, digest) = (Arc::clone(&self.shared), BlobName::Run(self.run, *name), *name);
        let failed = |message: String| BlobError::Io { digest, message };
        let read = tokio::task::spawn_blocking(move || shared.blobs.get(blob)).await;
        let sealed =
            read.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        let sealed = sealed.ok_or(BlobError::Missing { digest })?;
        let opened = self.keys.seal().open(&blob_bound(self.run, name), &sealed);
        opened.filter(|content| self.name(content) == digest).ok_or(BlobError::Corrupt { digest })
    }
}

impl std::fmt::Debug for RunBlobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunBlobs").field("run", &self.run).finish_non_exhaustive()
    }
}
