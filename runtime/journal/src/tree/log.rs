//! The log of the tree: appended to by one fenced writer, read for proofs.

use std::collections::{HashMap, HashSet};

use ed25519_dalek::SigningKey;
use wflo_model::{Digest, RunId, Timestamp};

use super::checkpoint::Checkpoint;
use super::keys::{NEXT_KEY, SIGNING_KEY};
use super::leaf::Leaf;
use super::merkle::{self, Edge};
use super::note::VerifierKey;
use super::record::{GREW, Grew, ROTATED};
use super::rotation::Rotation;
use crate::error::{AppendError, ReadError};
use crate::journal::Journal;
use crate::key::Key;
use crate::read::{Entry, Reader};
use crate::reserved::{SYSTEM_LOG, TREE_LOG};
use crate::writer::{Draft, Extras};

/// Most leaves of one record: 5.7 MB.
const MOST_LEAVES: usize = 100_000;
/// Rows looked at at a time.
const PAGE: usize = 1024;

/// Why no checkpoint was made, or no key rotated.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The store cannot be read, or the log of the tree is not what was written.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store cannot be written.
    #[error(transparent)]
    Write(#[from] AppendError),
}

/// The tree in memory: what is needed to go on with it.
pub(crate) struct Tree {
    pub(super) origin: String,
    pub(super) key: SigningKey,
    edge: Edge,
    /// The newest checkpoint.
    note: Option<String>,
    /// Whether runs may have moved that this process knows nothing of.
    is_behind: bool,
}

/// What the tree says of one run.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    /// The newest checkpoint.
    pub(crate) checkpoint: String,
    /// The newest leaf of the run.
    pub(crate) leaf: Leaf,
    pub(crate) index: u64,
    pub(crate) inclusion: Vec<Digest>,
    /// Earlier checkpoints, each with the proof that the newest goes on from it: the first that had the leaf, and those
    /// that were asked for.
    pub(crate) earlier: Vec<(String, Vec<Digest>)>,
    /// Every rotation of the signing key.
    pub(crate) rotations: Vec<String>,
}

impl Journal {
    /// Appends to the audit tree where each run stands that has moved since the last time, and signs a checkpoint:
    /// durable when this returns. None where nothing has moved.
    ///
    /// Whoever holds a store calls this every few seconds and before letting it go. What has moved in a process that
    /// was killed is found by the next one.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use std::sync::Arc;
    /// # use wflo_backends::SystemEntropy;
    /// # use wflo_journal::{Draft, Journal};
    /// # use wflo_model::{RunId, Timestamp};
    /// # let now = Timestamp::from_micros(1);
    /// # let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
    /// let run = RunId::new(now, [0; 10]);
    /// journal.create_run(run, None, vec![Draft::new(now, 1, Vec::new())], Vec::new()).await.unwrap();
    /// let note = journal.checkpoint(now).await.unwrap().unwrap();
    /// assert_eq!(note.lines().nth(1), Some("1"), "the tree has one leaf");
    /// assert_eq!(journal.checkpoint(now).await.unwrap(), None);
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`CheckpointError`]; the next call tries again.
    pub async fn checkpoint(&self, now: Timestamp) -> Result<Option<String>, CheckpointError> {
        let mut tree = self.0.tree.lock().await;
        let tree = self.tree(&mut tree).await?;
        let (tag, moved) = self.0.moved.close();
        if moved.is_empty() && !tree.is_behind {
            return Ok(None);
        }
        match self.grow(tree, tag, &moved, now).await {
            Ok(()) => {
                tree.is_behind = false;
                Ok(tree.note.clone())
            }
            Err(error) => {
                self.0.moved.reopen(moved, &*self.0.store);
                Err(error)
            }
        }
    }

    /// The newest checkpoint, as a signed note; none where there is none yet.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub async fn newest_checkpoint(&self) -> Result<Option<String>, CheckpointError> {
        let mut tree = self.0.tree.lock().await;
        Ok(self.tree(&mut tree).await?.note.clone())
    }

    /// Has another key sign checkpoints from now on. Both keys sign that it does, so that whoever trusts the old one can
    /// trust the new one, and checkpoints of the old one stay good. Gives the new key; durable when this returns.
    ///
    /// The commit point is the record in the log of the tree: a crash before it leaves the old key, one after it the new
    /// one.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub async fn rotate_signing_key(&self, now: Timestamp) -> Result<VerifierKey, CheckpointError> {
        let mut tree = self.0.tree.lock().await;
        let tree = self.tree(&mut tree).await?;
        let new = self.new_signing_key(NEXT_KEY).await?;
        let note = Rotation::sign(&tree.origin, &tree.key, &new, tree.edge.size());
        let mut log = self.own_log(TREE_LOG).await?;
        let draft = Draft::new(now, ROTATED, note.into_bytes());
        log.append(vec![draft], Extras::default())?.ticket.durable().await?;
        self.put_sealed(SIGNING_KEY, new.as_bytes()).await?;
        tree.key = new;
        Ok(VerifierKey::new(&tree.origin, &tree.key))
    }

    /// The tree as it is in memory, read if it is not there yet.
    pub(super) async fn tree<'a>(&self, tree: &'a mut Option<Tree>) -> Result<&'a mut Tree, CheckpointError> {
        if tree.is_none() {
            *tree = Some(self.load_tree().await?);
        }
        Ok(tree.as_mut().expect("it was just read"))
    }

    async fn load_tree(&self) -> Result<Tree, CheckpointError> {
        let origin = Checkpoint::origin_of(self.store_id());
        let head = match self.head(TREE_LOG).await {
            Ok(head) => head.head,
            Err(ReadError::UnknownRun { .. }) => 0,
            Err(error) => return Err(error.into()),
        };
        let (mut grown, mut rotated) = (None, None);
        // Rotations come after the newest checkpoint at most a few times.
        for seq in (1..=head).rev() {
            let entry = self.record(seq).await?;
            if entry.header.kind == GREW {
                grown = Some(grew(&entry)?);
                break;
            }
            if rotated.is_none() {
                rotated = Some(rotation(&origin, &entry)?);
            }
        }
        let mut key = self.signing_key(SIGNING_KEY).await?;
        if let Some(rotation) = rotated
            && key.as_ref().map(|key| VerifierKey::new(&origin, key)) != Some(rotation.new.clone())
        {
            // A crash came between the record and the key: the record counts.
            let next = self.signing_key(NEXT_KEY).await?;
            let next = next.filter(|key| VerifierKey::new(&origin, key) == rotation.new);
            let lost = || ReadError::corrupt(Key::Meta(NEXT_KEY), "it is not the key that was handed on to");
            let next = next.ok_or_else(lost)?;
            self.put_sealed(SIGNING_KEY, next.as_bytes()).await?;
            key = Some(next);
        }
        let key = match key {
            Some(key) => key,
            None => self.new_signing_key(SIGNING_KEY).await?,
        };
        let closed = grown.as_ref().map(|grown| grown.closes);
        // A store from before it had a tree has no marker either, and may have runs.
        let is_behind = closed.is_none() || self.0.moved.found != closed;
        let (edge, note) = grown.map(|grown| (grown.edge, grown.checkpoint)).unzip();
        Ok(Tree { origin, key, edge: edge.unwrap_or_default(), note, is_behind })
    }

    async fn record(&self, seq: u64) -> Result<Entry, ReadError> {
        let entry = self.reader(TREE_LOG, seq).await?.next().await?;
        entry.ok_or_else(|| ReadError::corrupt(Key::Event(TREE_LOG, seq), "the event is missing"))
    }

    async fn grow(
        &self,
        tree: &mut Tree,
        tag: u64,
        moved: &HashSet<RunId>,
        now: Timestamp,
    ) -> Result<(), CheckpointError> {
        if moved.is_empty() && tree.note.is_none() && self.all_moved().await?.is_empty() {
            // An empty store needs no tree.
            return Ok(());
        }
        // The claim is behind everything that was submitted in the interval: what is read after it is durable.
        let mut log = self.own_log(TREE_LOG).await?;
        let leaves = if tree.is_behind { self.all_moved().await? } else { self.leaves_of(moved).await? };
        let mut left = leaves.chunks(MOST_LEAVES).peekable();
        // Nothing new, as it turns out, is said too: the tag is closed then.
        let mut next = Some(left.next().unwrap_or_default());
        while let Some(leaves) = next {
            next = left.next();
            let mut edge = tree.edge.clone();
            leaves.iter().for_each(|leaf| edge.push(leaf.leaf_hash()));
            let (origin, size, root) = (tree.origin.clone(), edge.size(), edge.root());
            let checkpoint = Checkpoint { origin, size, root }.sign(&tree.key);
            let closes = if next.is_none() { tag } else { 0 };
            let grew = Grew { closes, leaves: leaves.to_vec(), edge, checkpoint };
            let draft = Draft::new(now, GREW, grew.encode());
            log.append(vec![draft], Extras::default())?.ticket.durable().await?;
            (tree.edge, tree.note) = (grew.edge, Some(grew.checkpoint));
        }
        Ok(())
    }

    async fn leaves_of(&self, moved: &HashSet<RunId>) -> Result<Vec<Leaf>, ReadError> {
        let mut runs: Vec<RunId> = moved.iter().copied().collect();
        runs.sort_unstable();
        let mut leaves = Vec::with_capacity(runs.len());
        for run in runs {
            match self.head(run).await {
                Ok(head) if head.head > 0 => leaves.push(Leaf { run, seq: head.head, hash: head.hash }),
                // It was not made after all, or has been dropped since.
                Ok(_) | Err(ReadError::UnknownRun { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(leaves)
    }

    /// Every run that stands elsewhere than the tree says.
    async fn all_moved(&self) -> Result<Vec<Leaf>, CheckpointError> {
        let mut known: HashMap<RunId, (u64, Digest)> = HashMap::new();
        self.each_record(|entry| {
            if entry.header.kind == GREW {
                let leaves = grew(entry)?.leaves;
                known.extend(leaves.into_iter().map(|leaf| (leaf.run, (leaf.seq, leaf.hash))));
            }
            Ok(())
        })
        .await?;
        let mut leaves = self.leaves_of(&HashSet::from([SYSTEM_LOG])).await?;
        let mut before = None;
        loop {
            let page = self.runs_before(before, PAGE).await?;
            before = page.last().map(|head| head.run);
            let is_last = page.len() < PAGE;
            let heads = page.into_iter().filter(|head| head.head > 0);
            leaves.extend(heads.map(|head| Leaf { run: head.run, seq: head.head, hash: head.hash }));
            if is_last {
                break;
            }
        }
        leaves.retain(|leaf| known.get(&leaf.run) != Some(&(leaf.seq, leaf.hash)));
        leaves.sort_unstable_by_key(|leaf| leaf.run);
        Ok(leaves)
    }

    /// What the tree says of a run; none where it says nothing. `since` are the sizes of checkpoints from which the
    /// newest is to be shown to go on. Reads the whole tree: 32 bytes of memory for each of its leaves, and about a
    /// second for a million.
    pub(crate) async fn evidence(&self, run: RunId, since: &[u64]) -> Result<Option<Evidence>, ReadError> {
        let (mut hashes, mut checkpoints, mut rotations) = (Vec::new(), Vec::new(), Vec::new());
        let mut newest = None;
        self.each_record(|entry| {
            if entry.header.kind == ROTATED {
                rotations.push(text(entry)?);
                return Ok(());
            }
            for leaf in &grew(entry)?.leaves {
                if leaf.run == run {
                    newest = Some((hashes.len(), *leaf));
                }
                hashes.push(leaf.leaf_hash());
            }
            checkpoints.push((hashes.len(), grew(entry)?.checkpoint));
            Ok(())
        })
        .await?;
        let (Some((index, leaf)), Some((_, checkpoint))) = (newest, checkpoints.last().cloned()) else {
            return Ok(None);
        };
        let first_with_it = checkpoints.iter().position(|(size, _)| *size > index);
        let is_wanted = |at: usize, size: usize| Some(at) == first_with_it || since.contains(&(size as u64));
        let earlier = checkpoints
            .iter()
            .enumerate()
            .filter(|(at, (size, _))| *size < hashes.len() && is_wanted(*at, *size));
        let mut earlier: Vec<_> =
            earlier.map(|(_, (size, note))| (note.clone(), merkle::consistency(*size, &hashes))).collect();
        earlier.dedup();
        let inclusion = merkle::inclusion(index, &hashes);
        Ok(Some(Evidence { checkpoint, leaf, index: index as u64, inclusion, earlier, rotations }))
    }

    async fn each_record(
        &self,
        mut see: impl FnMut(&Entry) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut reader: Reader = match self.reader(TREE_LOG, 1).await {
            Ok(reader) => reader,
            Err(ReadError::UnknownRun { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        while let Some(entry) = reader.next().await? {
            see(&entry)?;
        }
        Ok(())
    }
}

fn grew(entry: &Entry) -> Result<Grew, ReadError> {
    Grew::decode(&entry.body)
        .map_err(|error| ReadError::corrupt(Key::Event(TREE_LOG, entry.header.seq), error))
}

fn text(entry: &Entry) -> Result<String, ReadError> {
    String::from_utf8(entry.body.clone())
        .map_err(|error| ReadError::corrupt(Key::Event(TREE_LOG, entry.header.seq), error))
}

fn rotation(origin: &str, entry: &Entry) -> Result<Rotation, ReadError> {
    Rotation::parse(origin, &text(entry)?)
        .map_err(|error| ReadError::corrupt(Key::Event(TREE_LOG, entry.header.seq), error))
}
