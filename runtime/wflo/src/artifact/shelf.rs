//! Where the artifacts of a run are kept, and how one is read from its beginning to its end.

use std::sync::Arc;

use wflo_journal::{Journal, RunBlobs, RunKeys};
use wflo_model::{Artifact, RunId};

use super::index::{Index, PIECE};

/// The artifacts of a run, and of those that it was forked from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shelf {
    journal: Journal,
    run: RunId,
    blobs: RunBlobs,
}

/// An artifact cannot be read: it is gone, or not what it was.
#[derive(Debug, thiserror::Error)]
#[error("artifact `{artifact}` cannot be read: {why}")]
pub(crate) struct Unreadable {
    artifact: String,
    why: String,
}

impl Unreadable {
    pub(super) fn new(artifact: &Artifact, why: impl std::fmt::Display) -> Self {
        Self { artifact: artifact.artifact.to_string(), why: why.to_string() }
    }
}

impl Shelf {
    pub(crate) fn new(journal: Journal, run: RunId, keys: Arc<RunKeys>) -> Self {
        Self { blobs: journal.run_blobs_of(run, keys), journal, run }
    }

    /// The blobs of the run itself.
    pub(crate) const fn own(&self) -> &RunBlobs {
        &self.blobs
    }

    /// The blobs that an artifact is kept in.
    pub(super) async fn blobs_of(&self, artifact: &Artifact) -> Result<RunBlobs, Unreadable> {
        match artifact.run.filter(|kept_in| *kept_in != self.run) {
            None => Ok(self.blobs.clone()),
            Some(other) => {
                let blobs = self.journal.run_blobs(other).await;
                blobs.map_err(|error| Unreadable::new(artifact, error))
            }
        }
    }

    /// Begins to read an artifact.
    pub(crate) async fn open(&self, artifact: &Artifact) -> Result<Pieces, Unreadable> {
        let blobs = self.blobs_of(artifact).await?;
        let index = read_index(&blobs, artifact).await?;
        Ok(Pieces { artifact: artifact.clone(), blobs, index, next: 0, last: None })
    }
}

/// Reads the list of an artifact's pieces.
pub(super) async fn read_index(blobs: &RunBlobs, artifact: &Artifact) -> Result<Index, Unreadable> {
    let blob = blobs.get(&artifact.index).await.map_err(|error| Unreadable::new(artifact, error))?;
    let index = Index::decode(&blob).filter(|it| (it.bytes, it.digest) == (artifact.bytes, artifact.digest));
    index.ok_or_else(|| Unreadable::new(artifact, "its list of pieces is another"))
}

/// The pieces of an artifact, one after another, every one checked.
pub(crate) struct Pieces {
    artifact: Artifact,
    blobs: RunBlobs,
    index: Index,
    next: usize,
    /// The last piece that [`range`](Self::range) has read.
    last: Option<(usize, Vec<u8>)>,
}

impl Pieces {
    /// The next piece; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Unreadable> {
        let Some(piece) = self.index.pieces.get(self.next) else { return Ok(None) };
        let bytes = self.blobs.get(piece).await.map_err(|error| Unreadable::new(&self.artifact, error))?;
        self.next += 1;
        Ok(Some(bytes))
    }

    /// Some of its bytes, wherever they are.
    pub(crate) async fn range(&mut self, bytes: std::ops::Range<u64>) -> Result<Vec<u8>, Unreadable> {
        let mut out = Vec::new();
        let mut at = bytes.start;
        while at < bytes.end {
            let missing = || Unreadable::new(&self.artifact, "a piece of it is missing");
            let number = usize::try_from(at / PIECE as u64).map_err(|_| missing())?;
            if self.last.as_ref().is_none_or(|(last, _)| *last != number) {
                let name = self.index.pieces.get(number).ok_or_else(missing)?;
                let piece = self.blobs.get(name).await;
                let piece = piece.map_err(|error| Unreadable::new(&self.artifact, error))?;
                self.last = Some((number, piece));
            }
            let (_, piece) = self.last.as_ref().expect("it was read, now or before");
            let from = usize::try_from(at % PIECE as u64).map_err(|_| missing())?;
            let most = usize::try_from(bytes.end - at).unwrap_or(usize::MAX);
            let some = piece.get(from..).unwrap_or_default();
            let some = &some[..some.len().min(most)];
            if some.is_empty() {
                return Err(missing());
            }
            out.extend_from_slice(some);
            at += some.len() as u64;
        }
        Ok(out)
    }
}
