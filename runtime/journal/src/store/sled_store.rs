//! The store in a folder: a log of its own, and sled 0.34.7 as the index below it. `DESIGN.md` says what is guarded
//! against what.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use wflo_model::StoreId;
use wflo_ports::Entropy;

use super::build::{Builder, Built};
use super::commit::GroupCommit;
use super::delegate::store_by_group_commit;
use super::disk::{DiskBackend, Writer};
use super::index::{INDEX, Index, Standing};
use super::live::Live;
use super::log::{Change, Draft, End, LOG, LogFiles, Segments, Tail};
use super::mark::Mark;
use super::sizes::Sizes;
use super::state_dir::{Contents, Marked, StateDir};
use super::sync::{NoHook, SyncHook};
use super::tables::Tables;
use super::upgrade;
use crate::entropy::draw;
use crate::error::OpenError;
use crate::key::Key;
use crate::record::{frame, unframe};

/// The name under which a store keeps its own id.
pub(super) const MARKER: &str = "wflo/marker";

/// Keeps runs in a folder. Blocking to open; one thread of its own writes.
///
/// ```
/// use wflo_backends::SystemEntropy;
/// use wflo_journal::{SledStore, Store};
/// let dir = tempfile::tempdir().unwrap();
/// let id = SledStore::open(dir.path(), &SystemEntropy).unwrap().id();
/// assert_eq!(SledStore::open(dir.path(), &SystemEntropy).unwrap().id(), id);
/// ```
pub struct SledStore {
    // Fields drop in this order: the writer ends, sled lets go of its files, and then the lock is given back.
    commit: GroupCommit<DiskBackend>,
    id: StoreId,
    state: Arc<StateDir>,
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SledStore {
    /// Opens the store in the state folder `path`, or makes one where nothing is. One of version 1 is turned into one
    /// of this version, which takes as long as copying it.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another process has it open; [`OpenError::Wiped`] when there was a store and it
    /// is gone; [`OpenError::Corrupt`] when its log is damaged. Runs are not looked at here, for there may be many:
    /// each is when it is claimed or read.
    pub fn open(path: &Path, entropy: &dyn Entropy) -> Result<Self, OpenError> {
        Self::open_with(path, entropy, Arc::new(NoHook))
    }

    /// As [`SledStore::open`], with a hook before every sync of the log and the index.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn open_with(path: &Path, entropy: &dyn Entropy, hook: Arc<dyn SyncHook>) -> Result<Self, OpenError> {
        Self::open_sized(path, entropy, hook, Sizes::default())
    }

    /// As [`SledStore::open_with`], with parts of other sizes.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn open_sized(
        path: &Path,
        entropy: &dyn Entropy,
        hook: Arc<dyn SyncHook>,
        sizes: Sizes,
    ) -> Result<Self, OpenError> {
        let (state, contents) = StateDir::open(path)?;
        let (id, generation) = match contents {
            Contents::Store(id, generation) => (id, generation),
            Contents::Version1(id, generation) => {
                let salt = draw(entropy)?;
                (id, upgrade::from_version_1(&state, id, &generation, salt, sizes, &*hook)?)
            }
            Contents::Nothing => {
                let (id, salt) = (StoreId::from_bytes(draw(entropy)?), draw(entropy)?);
                let generation = state.begin()?;
                let make = || -> io::Result<()> {
                    let mut first = Builder::begin(&generation, id, salt, 1, sizes, &NoHook)?;
                    let key = Key::Meta(MARKER).encode();
                    let value = frame(&key, id.as_bytes().to_vec());
                    first.pair(key, value)?;
                    first.finish(1).map(|Built { .. }| ())
                };
                make().map_err(at(&generation))?;
                state.finish(id)?;
                (id, generation)
            }
        };
        let state = Arc::new(state);
        let backend = open(Arc::clone(&state), id, &generation, hook, sizes)?;
        let commit = GroupCommit::start(backend).map_err(at(path))?;
        Ok(Self { commit, id, state })
    }

    /// The state folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.state.path()
    }
}

store_by_group_commit!(SledStore);

/// Opens a generation: its index, and the records of its log that are not in that.
fn open(
    state: Arc<StateDir>,
    id: StoreId,
    generation: &Path,
    hook: Arc<dyn SyncHook>,
    sizes: Sizes,
) -> Result<DiskBackend, OpenError> {
    let marked = state.marked()?;
    let (log, path) = (generation.join(LOG), generation.join(INDEX));
    let segments = Segments::look(&log, id)?;
    let salt = segments.salt();
    let most = usize::try_from(sizes.checkpoint).unwrap_or(usize::MAX);
    let catch_up =
        |index: &Index, standing| CaughtUp::of(&segments, index, standing, marked.writes, most, &*hook);
    let found = match Index::open(&path, id, &salt, marked.checkpoint)? {
        Some((index, standing)) => match catch_up(&index, standing) {
            Ok(caught) => Some((index, caught)),
            Err(error) if index.is_damaged() => {
                let why = error.to_string();
                tracing::warn!(path = %path.display(), why, "the index is made anew from the log");
                None
            }
            Err(error) => return Err(error),
        },
        None => None,
    };
    let (index, CaughtUp { tables, standing, end, since }) = match found {
        Some(found) => found,
        None => {
            let index = Index::create(&path)?;
            // It counts on from what is marked only once it has everything.
            let standing = Standing { store: id, salt, checkpoint: 0, end: segments.beginning() };
            let CaughtUp { mut tables, end, .. } = catch_up(&index, standing)?;
            let standing = Standing { checkpoint: marked.checkpoint + 1, end, ..standing };
            index.merge(&tables.send_off(), &standing)?;
            tables.arrived();
            index.sync(&*hook).map_err(|error| OpenError::Io { path, source: io::Error::other(error) })?;
            index.settle().map_err(at(generation))?;
            (index, CaughtUp { tables, standing, end, since: 0 })
        }
    };
    index.make_private().map_err(at(generation))?;
    let tail = Tail::resume(&log, id, salt, end, sizes.segment).map_err(at(&log))?;
    let durable = Marked { writes: end.next - 1, checkpoint: standing.checkpoint };
    let mark = Mark::new(Arc::clone(&state), durable, marked);
    let live = Live::new(generation.to_owned(), LogFiles::new(log), index, tables);
    let marker = Key::Meta(MARKER).encode();
    let found = live.get(&marker)?.map(|value| unframe(&marker, value)).transpose()?;
    if found.as_deref() != Some(id.as_bytes()) {
        let what = "it does not say which store it is".to_owned();
        return Err(OpenError::Wiped { path: generation.to_owned(), what });
    }
    let writer = Writer { tail, draft: Draft::default(), standing, since, checkpoint: None, failed: false };
    Ok(DiskBackend::new(live, writer, state, mark, hook, sizes))
}

/// What the log has come to from where an index stands.
struct CaughtUp {
    /// What is not in the index.
    tables: Tables,
    standing: Standing,
    /// Where the next record goes.
    end: End,
    /// Bytes of log that are not in the index.
    since: u64,
}

impl CaughtUp {
    /// Reads the log from where the index stands, and gives that as much as is not wanted in memory at a time.
    fn of(
        segments: &Segments,
        index: &Index,
        mut standing: Standing,
        sure: u64,
        most: usize,
        hook: &dyn SyncHook,
    ) -> Result<Self, OpenError> {
        let (mut tables, mut since) = (Tables::default(), 0);
        let end = segments.replay(standing.end, sure, hook, &mut |record, end| {
            for change in record.changes() {
                let (key, change) = change.map_err(|error| segments.damaged(record.number, error))?;
                let value = match change {
                    Change::Value(value) => Some(value.to_vec()),
                    Change::Gone => None,
                    Change::Patch(patch) => {
                        let before = match tables.get(key) {
                            Some(known) => known.clone(),
                            None => index.get(key)?,
                        };
                        Some(patch.apply(&before.unwrap_or_default()))
                    }
                };
                tables.put((key.to_vec(), value));
            }
            since += record.size as u64;
            if tables.weight() >= most {
                standing.end = end;
                index.merge(&tables.send_off(), &standing)?;
                tables.arrived();
                since = 0;
            }
            Ok(())
        })?;
        Ok(Self { tables, standing, end, since })
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Io { path: path.clone(), source }
}
