//! Where the bytes of an attempt's artifacts are written and read, live and in replay.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use wflo_host_api::{Artifacts, Stop};
use wflo_journal::RunBlobs;
use wflo_model::{Artifact, ArtifactName, CallError, Digest, Fault, FaultKind, LimitName, Limits};

use super::index::{Index, PIECE};
use super::shelf::{Shelf, Unreadable, read_index};
use super::writing::Writing;

/// Writers that an attempt may have open: each holds a piece in memory.
const MOST_WRITERS: usize = 4;

/// Pieces, and indexes, that are kept in memory after they were read: as many artifacts can be read side by side.
const REMEMBERED: usize = 4;

/// The artifacts of one attempt.
///
/// Pieces are durable before the event that names them is written, so that a crash at any moment leaves artifacts that
/// are whole or that nobody can see. Written again by a replay, a piece has the name that it has, and is not written.
pub(crate) struct Desk {
    shelf: Shelf,
    /// Whether what is written is kept. `wflo replay` only wants to know its names.
    keeps: bool,
    limit: u64,
    written: u64,
    writers: BTreeMap<u32, (ArtifactName, Writing)>,
    next: u32,
    /// Names that the attempt has used, those under way included.
    taken: Vec<ArtifactName>,
    indexes: Remembered<Arc<Index>>,
    pieces: Remembered<Arc<Vec<u8>>>,
}

/// The last few values, by name.
struct Remembered<T>(VecDeque<(Digest, T)>);

impl<T: Clone> Remembered<T> {
    fn get(&self, name: &Digest) -> Option<T> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn keep(&mut self, name: Digest, value: T) {
        self.0.truncate(REMEMBERED - 1);
        self.0.push_front((name, value));
    }
}

impl Desk {
    pub(crate) fn new(shelf: Shelf, limits: &Limits, keeps: bool) -> Self {
        Self {
            shelf,
            keeps,
            limit: limits.artifacts,
            written: 0,
            writers: BTreeMap::new(),
            next: 0,
            taken: Vec::new(),
            indexes: Remembered(VecDeque::new()),
            pieces: Remembered(VecDeque::new()),
        }
    }

    /// Where what it writes is kept.
    pub(crate) const fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// How many bytes the attempt may still write.
    pub(crate) const fn left(&self) -> u64 {
        self.limit.saturating_sub(self.written)
    }

    /// Whether an artifact of that name may be made.
    ///
    /// # Errors
    /// `Invalid` where the attempt has one.
    pub(crate) fn free(&self, name: &ArtifactName) -> Result<(), CallError> {
        if self.taken.contains(name) {
            let message = format!("the attempt has made an artifact `{name}` already");
            return Err(CallError::Invalid { message });
        }
        Ok(())
    }

    /// Takes note of an artifact that a call has made, where the desk has not written it: in a replay, the journal says
    /// what came of the call.
    pub(crate) fn made(&mut self, artifact: &Artifact) {
        if !self.taken.contains(&artifact.artifact) {
            self.taken.push(artifact.artifact.clone());
            self.written = self.written.saturating_add(artifact.bytes);
        }
    }

    /// Forgets what a call has written that did not come to its end: it counts for nothing, as it will for a replay,
    /// which does not make the call.
    pub(crate) fn undo(&mut self, writer: u32) {
        let bytes = self.writers.get(&writer).map_or(0, |(_, writing)| writing.bytes());
        self.written = self.written.saturating_sub(bytes);
        self.discard(writer);
    }

    async fn index(&mut self, artifact: &Artifact, blobs: &RunBlobs) -> Result<Arc<Index>, Unreadable> {
        if let Some(index) = self.indexes.get(&artifact.index) {
            return Ok(index);
        }
        let index = Arc::new(read_index(blobs, artifact).await?);
        self.indexes.keep(artifact.index, Arc::clone(&index));
        Ok(index)
    }

    async fn bytes(&mut self, artifact: &Artifact, at: u64, most: usize) -> Result<Vec<u8>, Unreadable> {
        let blobs = self.shelf.blobs_of(artifact).await?;
        let index = self.index(artifact, &blobs).await?;
        let (piece, from) = (at / PIECE as u64, at % PIECE as u64);
        let name = usize::try_from(piece).ok().and_then(|piece| index.pieces.get(piece));
        let name = *name.ok_or_else(|| Unreadable::new(artifact, "a piece of it is missing"))?;
        let piece = match self.pieces.get(&name) {
            Some(piece) => piece,
            None => {
                let piece = blobs.get(&name).await.map_err(|error| Unreadable::new(artifact, error))?;
                let piece = Arc::new(piece);
                self.pieces.keep(name, Arc::clone(&piece));
                piece
            }
        };
        let from = usize::try_from(from).expect("a piece is shorter than the memory is large");
        let rest = piece.get(from..).unwrap_or_default();
        Ok(rest[..rest.len().min(most)].to_vec())
    }
}

fn host(error: impl std::error::Error) -> Stop {
    Stop::Host(error.to_string())
}

fn no_writer(number: u32) -> Stop {
    Stop::Host(format!("there is no writer {number}"))
}

#[async_trait]
impl Artifacts for Desk {
    fn create(&mut self, name: ArtifactName) -> Result<u32, CallError> {
        self.free(&name)?;
        if self.writers.len() >= MOST_WRITERS {
            let message = format!("{MOST_WRITERS} artifacts are being written; finish or drop one first");
            return Err(CallError::Limit { message });
        }
        self.taken.push(name.clone());
        let number = self.next;
        self.next += 1;
        self.writers.insert(number, (name, Writing::new(self.shelf.own().clone(), self.keeps)));
        Ok(number)
    }

    async fn write(&mut self, writer: u32, bytes: &[u8]) -> Result<(), Stop> {
        let size = bytes.len() as u64;
        if size > self.left() {
            let message = format!("more than {} bytes of artifacts (`{}`)", self.limit, LimitName::Artifacts);
            return Err(Stop::Fault(Fault { kind: FaultKind::TooMuchData, message }));
        }
        self.written += size;
        let (_, writing) = self.writers.get_mut(&writer).ok_or_else(|| no_writer(writer))?;
        writing.write(bytes).await.map_err(host)
    }

    async fn seal(&mut self, writer: u32) -> Result<Artifact, Stop> {
        let (name, writing) = self.writers.remove(&writer).ok_or_else(|| no_writer(writer))?;
        writing.seal(name).await.map_err(host)
    }

    fn discard(&mut self, writer: u32) {
        if let Some((name, _)) = self.writers.remove(&writer) {
            self.taken.retain(|taken| *taken != name);
        }
    }

    async fn read(&mut self, artifact: &Artifact, at: u64, most: usize) -> Result<Vec<u8>, Stop> {
        if at >= artifact.bytes || most == 0 {
            return Ok(Vec::new());
        }
        self.bytes(artifact, at, most).await.map_err(host)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wflo_backends::SystemEntropy;
    use wflo_host_api::{Artifacts as _, Stop};
    use wflo_journal::{Draft, Journal};
    use wflo_model::{CallError, Digest, FaultKind, Limits, RunId, Timestamp};

    use super::{Desk, MOST_WRITERS, PIECE, Shelf};

    async fn desks(limit: u64) -> (Desk, Desk) {
        let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
        let run = RunId::new(Timestamp::from_micros(1), [0; 10]);
        let draft = Draft::new(Timestamp::from_micros(1), 1, b"started".to_vec());
        journal.create_run(run, None, vec![draft], Vec::new()).await.unwrap();
        let keys = Arc::new(journal.keys(run).await.unwrap());
        let limits = Limits { artifacts: limit, ..Limits::default() };
        let shelf = Shelf::new(journal, run, keys);
        let desk = |keeps| Desk::new(shelf.clone(), &limits, keeps);
        (desk(true), desk(false))
    }

    fn content() -> Vec<u8> {
        (0..2 * PIECE + 77).map(|n| (n % 251) as u8).collect()
    }

    async fn written(desk: &mut Desk, content: &[u8], at_once: usize) -> wflo_model::Artifact {
        let writer = desk.create("all".parse().unwrap()).unwrap();
        for bytes in content.chunks(at_once) {
            desk.write(writer, bytes).await.unwrap();
        }
        desk.seal(writer).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_written_is_read_and_a_replay_comes_to_the_same() {
        let content = content();
        let (mut live, mut replay) = desks(1 << 30).await;
        let artifact = written(&mut live, &content, 10_000).await;
        assert_eq!((artifact.bytes, artifact.digest), (content.len() as u64, Digest::of(&content)));
        assert_eq!(written(&mut replay, &content, PIECE + 5).await, artifact);
        let mut read = Vec::new();
        loop {
            let bytes = replay.read(&artifact, read.len() as u64, 100_000).await.unwrap();
            if bytes.is_empty() {
                break;
            }
            read.extend(bytes);
        }
        assert!(read == content, "other bytes came back");
        assert!(live.read(&artifact, artifact.bytes - 1, 9).await.unwrap().len() == 1);
        assert!(live.read(&artifact, u64::MAX, 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn names_are_used_once_and_writers_are_few() {
        let (mut desk, _) = desks(1 << 30).await;
        let name = |n: usize| format!("a{n}").parse().unwrap();
        let writers: Vec<_> = (0..MOST_WRITERS).map(|n| desk.create(name(n)).unwrap()).collect();
        assert!(matches!(desk.create(name(99)), Err(CallError::Limit { .. })));
        desk.discard(writers[0]);
        assert!(matches!(desk.create(name(1)), Err(CallError::Invalid { .. })));
        desk.create(name(0)).unwrap();
        desk.seal(writers[1]).await.unwrap();
        assert!(matches!(desk.create(name(1)), Err(CallError::Invalid { .. })));
    }

    #[tokio::test]
    async fn more_than_the_limit_is_a_fault() {
        let (mut desk, _) = desks(10).await;
        let writer = desk.create("all".parse().unwrap()).unwrap();
        desk.write(writer, b"12345678").await.unwrap();
        let Err(Stop::Fault(fault)) = desk.write(writer, b"123").await else { panic!() };
        assert_eq!(fault.kind, FaultKind::TooMuchData);
        assert_eq!(fault.message, "more than 10 bytes of artifacts (`artifacts`)");
    }

    #[tokio::test]
    async fn a_piece_that_was_changed_is_not_read() {
        let (mut desk, _) = desks(1 << 30).await;
        let mut artifact = written(&mut desk, b"some bytes", 3).await;
        artifact.digest = Digest::ZERO;
        assert!(matches!(desk.read(&artifact, 0, 9).await, Err(Stop::Host(_))));
    }
}
