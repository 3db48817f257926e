//! Where the bytes of an attempt's artifacts are written and read, live and in replay.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use wflo_host_api::{Artifacts, Stop};
use wflo_journal::{BlobError, Journal, RunBlobs, RunKeys};
use wflo_model::{
    Artifact, ArtifactName, CallError, Digest, Fault, FaultKind, Hasher, LimitName, Limits, RunId,
};

use super::index::{Index, PIECE};

/// Writers that an attempt may have open: each holds a piece in memory.
const MOST_WRITERS: usize = 4;

/// Pieces that are being sealed and written while the guest goes on.
const UNDER_WAY: usize = 2;

/// Pieces, and indexes, that are kept in memory after they were read: as many artifacts can be read side by side.
const REMEMBERED: usize = 4;

/// The artifacts of one attempt.
///
/// Pieces are durable before the event that names them is written, so that a crash at any moment leaves artifacts that
/// are whole or that nobody can see. Written again by a replay, a piece has the name that it has, and is not written.
pub(crate) struct Desk {
    journal: Journal,
    run: RunId,
    blobs: RunBlobs,
    /// Whether what is written is kept. `wflo replay` only wants to know its names.
    keeps: bool,
    limit: u64,
    written: u64,
    writers: BTreeMap<u32, Writing>,
    next: u32,
    /// Names that the attempt has used, those under way included.
    taken: Vec<ArtifactName>,
    indexes: Remembered<Arc<Index>>,
    pieces: Remembered<Arc<Vec<u8>>>,
}

struct Writing {
    name: ArtifactName,
    piece: Vec<u8>,
    pieces: Vec<Digest>,
    hasher: Hasher,
    bytes: u64,
    under_way: VecDeque<JoinHandle<Result<Digest, BlobError>>>,
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
    pub(crate) fn new(journal: Journal, run: RunId, keys: Arc<RunKeys>, limits: &Limits, keeps: bool) -> Self {
        Self {
            blobs: journal.run_blobs_of(run, keys),
            journal,
            run,
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
        let bytes = self.writers.get(&writer).map_or(0, |writing| writing.bytes);
        self.written = self.written.saturating_sub(bytes);
        self.discard(writer);
    }

    fn writer(&mut self, number: u32) -> Result<&mut Writing, Stop> {
        self.writers.get_mut(&number).ok_or_else(|| Stop::Host(format!("there is no writer {number}")))
    }

    /// Hands a whole piece, or the last one, to be kept.
    async fn put(&mut self, number: u32, piece: Vec<u8>) -> Result<(), Stop> {
        let (blobs, keeps) = (self.blobs.clone(), self.keeps);
        let writing = self.writer(number)?;
        writing.pieces.push(blobs.name(&piece));
        if keeps {
            if writing.under_way.len() >= UNDER_WAY {
                kept(writing.under_way.pop_front()).await?;
            }
            writing.under_way.push_back(tokio::spawn(async move { blobs.put(piece).await }));
        }
        Ok(())
    }

    async fn index(&mut self, artifact: &Artifact, blobs: &RunBlobs) -> Result<Arc<Index>, Stop> {
        if let Some(index) = self.indexes.get(&artifact.index) {
            return Ok(index);
        }
        let index = read_index(blobs, artifact).await?;
        let index = Arc::new(index);
        self.indexes.keep(artifact.index, Arc::clone(&index));
        Ok(index)
    }
}

/// Reads the list of an artifact's pieces.
pub(super) async fn read_index(blobs: &RunBlobs, artifact: &Artifact) -> Result<Index, Stop> {
    let blob = blobs.get(&artifact.index).await.map_err(|error| gone(artifact, &error.to_string()))?;
    let index = Index::decode(&blob).filter(|it| (it.bytes, it.digest) == (artifact.bytes, artifact.digest));
    index.ok_or_else(|| gone(artifact, "its list of pieces is another"))
}

/// The blobs that an artifact of `run` is kept in.
pub(super) async fn blobs_of(journal: &Journal, own: &RunBlobs, run: RunId, artifact: &Artifact) -> Result<RunBlobs, Stop> {
    match artifact.run.filter(|kept_in| *kept_in != run) {
        None => Ok(own.clone()),
        Some(other) => journal.run_blobs(other).await.map_err(|error| gone(artifact, &error.to_string())),
    }
}

fn gone(artifact: &Artifact, why: &str) -> Stop {
    Stop::Host(format!("artifact `{}` cannot be read: {why}", artifact.artifact))
}

async fn kept(piece: Option<JoinHandle<Result<Digest, BlobError>>>) -> Result<(), Stop> {
    let failed = |why: String| Stop::Host(format!("an artifact cannot be kept: {why}"));
    let Some(piece) = piece else { return Ok(()) };
    match piece.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
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
        let writing = Writing {
            name,
            piece: Vec::new(),
            pieces: Vec::new(),
            hasher: Hasher::default(),
            bytes: 0,
            under_way: VecDeque::new(),
        };
        self.writers.insert(number, writing);
        Ok(number)
    }

    async fn write(&mut self, writer: u32, mut bytes: &[u8]) -> Result<(), Stop> {
        let size = bytes.len() as u64;
        if size > self.left() {
            let message = format!("more than {} bytes of artifacts (`{}`)", self.limit, LimitName::Artifacts);
            return Err(Stop::Fault(Fault { kind: FaultKind::TooMuchData, message }));
        }
        self.written += size;
        let writing = self.writer(writer)?;
        writing.hasher.update(bytes);
        writing.bytes += size;
        while !bytes.is_empty() {
            let writing = self.writer(writer)?;
            let (now, rest) = bytes.split_at(bytes.len().min(PIECE - writing.piece.len()));
            writing.piece.extend_from_slice(now);
            bytes = rest;
            if writing.piece.len() == PIECE {
                let piece = std::mem::take(&mut writing.piece);
                self.put(writer, piece).await?;
            }
        }
        Ok(())
    }

    async fn seal(&mut self, writer: u32) -> Result<Artifact, Stop> {
        let last = std::mem::take(&mut self.writer(writer)?.piece);
        if !last.is_empty() {
            self.put(writer, last).await?;
        }
        let writing = self.writers.remove(&writer);
        let Writing { name, pieces, hasher, bytes, under_way, .. } =
            writing.ok_or_else(|| Stop::Host(format!("there is no writer {writer}")))?;
        for piece in under_way {
            kept(Some(piece)).await?;
        }
        let index = Index { bytes, digest: hasher.finish(), pieces };
        let blob = index.encode();
        let digest = index.digest;
        let index = self.blobs.name(&blob);
        if self.keeps {
            let put = self.blobs.put(blob).await;
            put.map_err(|error| Stop::Host(format!("an artifact cannot be kept: {error}")))?;
        }
        Ok(Artifact { artifact: name, bytes, digest, index, run: None })
    }

    fn discard(&mut self, writer: u32) {
        if let Some(writing) = self.writers.remove(&writer) {
            self.taken.retain(|name| *name != writing.name);
        }
    }

    async fn read(&mut self, artifact: &Artifact, at: u64, most: usize) -> Result<Vec<u8>, Stop> {
        if at >= artifact.bytes || most == 0 {
            return Ok(Vec::new());
        }
        let blobs = blobs_of(&self.journal, &self.blobs, self.run, artifact).await?;
        let index = self.index(artifact, &blobs).await?;
        let (piece, from) = (at / PIECE as u64, at % PIECE as u64);
        let name = usize::try_from(piece).ok().and_then(|piece| index.pieces.get(piece));
        let name = *name.ok_or_else(|| gone(artifact, "a piece of it is missing"))?;
        let piece = match self.pieces.get(&name) {
            Some(piece) => piece,
            None => {
                let piece = blobs.get(&name).await.map_err(|error| gone(artifact, &error.to_string()))?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wflo_backends::SystemEntropy;
    use wflo_host_api::{Artifacts as _, Stop};
    use wflo_journal::{Draft, Journal};
    use wflo_model::{CallError, Digest, FaultKind, Limits, RunId, Timestamp};

    use super::{Desk, MOST_WRITERS, PIECE};

    async fn desks(limit: u64) -> (Desk, Desk) {
        let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
        let run = RunId::new(Timestamp::from_micros(1), [0; 10]);
        let draft = Draft::new(Timestamp::from_micros(1), 1, b"started".to_vec());
        journal.create_run(run, None, vec![draft], Vec::new()).await.unwrap();
        let keys = Arc::new(journal.keys(run).await.unwrap());
        let limits = Limits { artifacts: limit, ..Limits::default() };
        let desk = |keeps| Desk::new(journal.clone(), run, Arc::clone(&keys), &limits, keeps);
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
