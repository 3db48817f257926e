//! A generation in use: its log, its index, and what is in memory between the two.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use wflo_model::RunId;

use super::index::{Index, Standing};
use super::log::{LogFiles, Place};
use super::sync::SyncHook;
use super::tables::Tables;
use super::view::Pair;
use crate::error::ReadError;
use crate::key::{self, Key};
use crate::record::{BLOCK, Extents, block_of, unframe};

/// Bytes between two events that are read rather than a second read begun.
const GAP: u64 = 4 << 10;
/// Bytes that are read at once.
const SPAN: u64 = 256 << 10;

pub(super) struct Live {
    path: PathBuf,
    log: LogFiles,
    index: Index,
    tables: RwLock<Tables>,
}

impl Live {
    pub(super) fn new(path: PathBuf, log: LogFiles, index: Index, tables: Tables) -> Self {
        Self { path, log, index, tables: RwLock::new(tables) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        // Each change of the tables is one insertion, which does not panic half way.
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tables_mut(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a key, be it an event's or another's.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(Key::Event(run, seq)) = Key::decode(key) else { return self.value(key) };
        Ok(self.events(run, seq, seq, 1)?.pop().map(|(_, value)| value))
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        if let Some(known) = self.tables().get(key) {
            return Ok(known.clone());
        }
        self.index.get(key)
    }

    /// Up to `limit` pairs between two keys, both included; from the last one down if `down`. Both are keys of events
    /// of one run, or neither is one.
    pub(super) fn scan(
        &self,
        first: &[u8],
        last: &[u8],
        limit: usize,
        down: bool,
    ) -> Result<Vec<Pair>, ReadError> {
        if first > last {
            return Ok(Vec::new());
        }
        if let (Some(Key::Event(run, from)), Some(Key::Event(_, to))) =
            (Key::decode(first), Key::decode(last))
        {
            return self.events(run, from, to, limit);
        }
        // Held all the while: what leaves the tables is in the index by then, and must be seen in one of the two.
        let tables = self.tables();
        let index = self.index.scan(first, last, down)?;
        tables.over(first, last, down, index).take(limit).collect()
    }

    /// Where the events of a block lie.
    pub(super) fn extents(&self, run: RunId, block: u32) -> Result<Option<Extents>, ReadError> {
        let key = Key::Extents(run, block).encode();
        let Some(value) = self.value(&key)? else { return Ok(None) };
        Extents::decode(&unframe(&key, value)?)
            .map(Some)
            .map_err(|error| ReadError::corrupt(key::show(&key), error))
    }

    /// Events of a run, up to the first that is missing.
    fn events(&self, run: RunId, from: u64, to: u64, limit: usize) -> Result<Vec<Pair>, ReadError> {
        let mut out = Vec::new();
        if limit == 0 {
            return Ok(out);
        }
        let to = to.min(from.saturating_add(limit as u64 - 1));
        for block in block_of(from)..=block_of(to) {
            let Some(extents) = self.extents(run, block)? else { break };
            let first = u64::from(block) * BLOCK + 1;
            let events = (first..).zip(extents.events()).filter(|(seq, _)| (from..=to).contains(seq));
            // A missing one has no bytes; see `Builder::event`.
            let events = events.take_while(|(_, (_, length))| *length > 0);
            let before = out.len();
            self.read(run, &events.collect::<Vec<_>>(), &mut out)?;
            let end = (first + BLOCK - 1).min(to);
            if out.len() - before < (end - first.max(from) + 1) as usize {
                break;
            }
        }
        Ok(out)
    }

    /// The events of a block that are not missing.
    pub(super) fn block(&self, run: RunId, block: u32, extents: &Extents) -> Result<Vec<Pair>, ReadError> {
        let events = (u64::from(block) * BLOCK + 1..).zip(extents.events());
        let events = events.filter(|(_, (_, length))| *length > 0).collect::<Vec<_>>();
        let mut out = Vec::with_capacity(events.len());
        self.read(run, &events, &mut out)?;
        Ok(out)
    }

    /// Reads events, as many at once as lie near each other.
    fn read(&self, run: RunId, events: &[(u64, (u64, u16))], out: &mut Vec<Pair>) -> Result<(), ReadError> {
        let end = |(at, length): (u64, u16)| at + u64::from(length);
        let near = |first: u64, before: (u64, u16), next: (u64, u16)| {
            next.0.saturating_sub(end(before)) <= GAP && end(next) - first <= SPAN
        };
        let mut rest = events;
        while let [(_, first), ..] = rest {
            let pairs = rest.windows(2).take_while(|pair| near(first.0, pair[0].1, pair[1].1));
            let (together, after) = rest.split_at(1 + pairs.count());
            rest = after;
            let [.., (_, last)] = together else { unreachable!("there is one at least") };
            let bytes = self.log.read(Place::from_u64(first.0), (end(*last) - first.0) as usize);
            match bytes {
                Ok(bytes) => out.extend(together.iter().map(|(seq, (at, length))| {
                    let value = &bytes[(at - first.0) as usize..][..usize::from(*length)];
                    (Key::Event(run, *seq).encode(), value.to_vec())
                })),
                // Those before the one that cannot be read are given all the same.
                Err(_) if together.len() > 1 => {
                    together.iter().try_for_each(|event| self.read(run, &[*event], out))?;
                }
                Err(error) if is_damage(&error) => {
                    let (seq, place) = (together[0].0, Place::from_u64(first.0));
                    let what = format!("the log does not reach {place}, where it lies");
                    return Err(ReadError::corrupt(Key::Event(run, seq), what));
                }
                Err(error) => return Err(ReadError::io(error)),
            }
        }
        Ok(())
    }

    /// Has the index made anew when the store is opened the next time, if something in it was found to be damaged.
    pub(super) fn forsake_index(&self) {
        self.index.forsake();
    }

    /// Brings what has left the tables into the index, durably. The commit point is the sync: until then the index
    /// stands where it did.
    pub(super) fn checkpoint(
        &self,
        leaving: &super::index::Changes,
        standing: &Standing,
        hook: &dyn SyncHook,
    ) -> Result<(), String> {
        self.index.merge(leaving, standing).map_err(|error| error.to_string())?;
        self.index.sync(hook)?;
        self.tables_mut().arrived();
        Ok(())
    }
}

/// Whether a read failed for what is there, and not for the disk.
fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound)
}
