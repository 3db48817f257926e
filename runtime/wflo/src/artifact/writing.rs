//! An artifact that is being written.

use std::collections::VecDeque;

use tokio::task::JoinHandle;
use wflo_journal::{BlobError, RunBlobs};
use wflo_model::{Artifact, ArtifactName, Digest, Hasher};

use super::index::{Index, PIECE};

/// Pieces that are being sealed and written while more comes.
const UNDER_WAY: usize = 2;

/// An artifact that is being written. Its pieces are durable when [`seal`](Self::seal) returns, and nobody knows of them
/// before somebody names what it returns.
pub(crate) struct Writing {
    blobs: RunBlobs,
    /// Whether what is written is kept. `wflo replay` only wants to know its names.
    keeps: bool,
    piece: Vec<u8>,
    pieces: Vec<Digest>,
    hasher: Hasher,
    bytes: u64,
    under_way: VecDeque<JoinHandle<Result<Digest, BlobError>>>,
}

/// The bytes of an artifact could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("an artifact cannot be kept: {0}")]
pub(crate) struct Unkept(String);

impl Writing {
    pub(crate) fn new(blobs: RunBlobs, keeps: bool) -> Self {
        Self {
            blobs,
            keeps,
            piece: Vec::new(),
            pieces: Vec::new(),
            hasher: Hasher::default(),
            bytes: 0,
            under_way: VecDeque::new(),
        }
    }

    /// How many bytes it has.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Unkept> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
            self.piece.extend_from_slice(now);
            bytes = rest;
            if self.piece.len() == PIECE {
                let piece = std::mem::take(&mut self.piece);
                self.put(piece).await?;
            }
        }
        Ok(())
    }

    /// Hands a whole piece, or the last one, to be kept.
    async fn put(&mut self, piece: Vec<u8>) -> Result<(), Unkept> {
        self.pieces.push(self.blobs.name(&piece));
        if self.keeps {
            if self.under_way.len() >= UNDER_WAY {
                kept(self.under_way.pop_front()).await?;
            }
            let blobs = self.blobs.clone();
            self.under_way.push_back(tokio::spawn(async move { blobs.put(piece).await }));
        }
        Ok(())
    }

    /// Keeps what is left of it, and waits until all of it is durable.
    pub(crate) async fn seal(mut self, name: ArtifactName) -> Result<Artifact, Unkept> {
        let last = std::mem::take(&mut self.piece);
        if !last.is_empty() {
            self.put(last).await?;
        }
        for piece in self.under_way {
            kept(Some(piece)).await?;
        }
        let (bytes, digest) = (self.bytes, self.hasher.finish());
        let blob = Index { bytes, digest, pieces: self.pieces }.encode();
        let index = self.blobs.name(&blob);
        if self.keeps {
            self.blobs.put(blob).await.map_err(|error| Unkept(error.to_string()))?;
        }
        Ok(Artifact { artifact: name, bytes, digest, index, run: None })
    }
}

async fn kept(piece: Option<JoinHandle<Result<Digest, BlobError>>>) -> Result<(), Unkept> {
    let Some(piece) = piece else { return Ok(()) };
    match piece.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Unkept(error.to_string())),
        Err(error) => Err(Unkept(error.to_string())),
    }
}
