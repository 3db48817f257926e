//! Writing a generation: a log and an index that say the same, before anybody reads them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wflo_model::{RunId, StoreId};

use super::index::{INDEX, Index, Loader, Standing};
use super::log::{Draft, LOG, Place, Salt, Tail};
use super::sizes::Sizes;
use super::state_dir::{create_private_dir, sync_dir};
use super::sync::SyncHook;
use crate::error::{OpenError, ReadError};
use crate::key::Key;
use crate::record::{BLOCK, Extents, block_of, frame};

/// Bytes of a record. None of them is acknowledged, so where one ends means nothing.
const RECORD: usize = 1 << 20;

/// A generation that is being written.
pub(super) struct Builder<'a> {
    path: PathBuf,
    store: StoreId,
    hook: &'a dyn SyncHook,
    tail: Tail,
    index: Loader,
    draft: Draft,
    /// Where the draft will begin, once an event is in it.
    start: Option<Place>,
    /// The block that the last event was in.
    block: Option<(RunId, u32, Extents)>,
}

/// A generation that was written, and is durable.
pub(super) struct Built {
    pub(super) tail: Tail,
    pub(super) index: Index,
    pub(super) standing: Standing,
}

impl<'a> Builder<'a> {
    /// Begins a generation in an empty folder; its first record has this number.
    pub(super) fn begin(
        path: &Path,
        store: StoreId,
        salt: Salt,
        next: u64,
        sizes: Sizes,
        hook: &'a dyn SyncHook,
    ) -> io::Result<Self> {
        let log = path.join(LOG);
        create_private_dir(&log)?;
        let tail = Tail::create(&log, store, salt, next, sizes.segment)?;
        let index = Index::create(&path.join(INDEX)).map_err(io_error)?;
        Ok(Self {
            path: path.to_owned(),
            store,
            hook,
            tail,
            index: Loader::new(index),
            draft: Draft::default(),
            start: None,
            block: None,
        })
    }

    /// Adds a pair that is no event. Those of a table come in order.
    pub(super) fn pair(&mut self, key: Vec<u8>, value: Vec<u8>) -> io::Result<()> {
        self.draft.change(&key, Some(&value), None);
        self.index.add((key, value)).map_err(read_error)?;
        if self.draft.size() >= RECORD { self.write() } else { Ok(()) }
    }

    /// Adds an event, with its checksum. Those of a run come in order. One that is missing stays so: it has no bytes.
    pub(super) fn event(&mut self, run: RunId, seq: u64, value: &[u8]) -> io::Result<()> {
        let block = block_of(seq);
        if self.block.as_ref().is_none_or(|it| (it.0, it.1) != (run, block)) {
            self.end_block()?;
            self.block = Some((run, block, Extents::default()));
        }
        if self.draft.size() >= RECORD {
            self.write()?;
        }
        let start = match self.start {
            Some(start) => start,
            None => *self.start.insert(self.tail.start(self.hook)?),
        };
        let length = u16::try_from(value.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let at = start.plus(self.draft.event(value));
        let (.., extents) = self.block.as_mut().expect("it was begun");
        let before = (seq.saturating_sub(1) % BLOCK) as usize;
        (extents.count()..before).for_each(|_| extents.add(at.as_u64(), 0));
        extents.add(at.as_u64(), length);
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        let Some((run, block, extents)) = self.block.take() else { return Ok(()) };
        let key = Key::Extents(run, block).encode();
        let value = frame(&key, extents.encode());
        self.pair(key, value)
    }

    fn write(&mut self) -> io::Result<()> {
        if self.draft.is_empty() {
            return Ok(());
        }
        if self.start.take().is_none() {
            self.tail.start(self.hook)?;
        }
        self.tail.append(&mut self.draft).map(drop)
    }

    /// Ends it; everything is durable when this returns.
    pub(super) fn finish(mut self, checkpoint: u64) -> io::Result<Built> {
        self.end_block()?;
        self.write()?;
        self.tail.close()?;
        let standing =
            Standing { store: self.store, salt: *self.tail.salt(), checkpoint, end: self.tail.end() };
        let index = self.index.finish(&standing).map_err(read_error)?;
        let log = self.path.join(LOG);
        for entry in fs::read_dir(&log)? {
            self.hook.sync_data(&File::open(entry?.path())?)?;
        }
        index.sync(self.hook).map_err(io::Error::other)?;
        self.hook.before_sync()?;
        index.settle()?;
        sync_dir(&log)?;
        sync_dir(&self.path)?;
        self.hook.after_sync()?;
        self.tail.run_ahead();
        Ok(Built { tail: self.tail, index, standing })
    }
}

/// The salt of the generation after one: none has that of another.
pub(super) fn next_salt(salt: &Salt, next: u64) -> Salt {
    let digest =
        Sha256::new().chain_update(b"wflo log salt v1\0").chain_update(salt).chain_update(next.to_be_bytes());
    *digest.finalize().first_chunk().expect("a digest has 32 bytes")
}

fn read_error(error: ReadError) -> io::Error {
    io::Error::other(error)
}

fn io_error(error: OpenError) -> io::Error {
    match error {
        OpenError::Io { source, .. } => source,
        other => io::Error::other(other),
    }
}
