//! The backend on disk: groups go to the log, and from there, now and then, into the index.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use wflo_model::RunId;

use super::build::{Builder, Built, next_salt};
use super::generation::ReplaceError;
use super::index::{INDEX, Standing, remove_dir};
use super::live::Live;
use super::log::{Draft, LOG, LogFiles, Place, Tail};
use super::mark::Mark;
use super::sizes::Sizes;
use super::state_dir::{StateDir, Switch};
use super::sync::SyncHook;
use super::tables::Tables;
use super::view::{Backend, Pair, Sift, Write};
use crate::error::{PruneError, ReadError};
use crate::key::{Key, KeyKind, MAX_RUN_KEY};
use crate::record::{BLOCK, Extents, block_of, frame, unframe};

/// Pairs that are copied at a time.
const PAGE: usize = 1024;
/// How much more than a checkpoint takes may come in while one is under way, before the writer waits for it.
const PATIENCE: usize = 4;

pub(super) struct DiskBackend {
    live: RwLock<Arc<Live>>,
    writer: Mutex<Writer>,
    state: Arc<StateDir>,
    mark: Arc<Mark>,
    hook: Arc<dyn SyncHook>,
    sizes: Sizes,
}

/// What only the writing thread needs.
pub(super) struct Writer {
    pub(super) tail: Tail,
    pub(super) draft: Draft,
    /// Where the index stands, or will when the checkpoint that is under way has ended.
    pub(super) standing: Standing,
    /// Bytes of log after that.
    pub(super) since: u64,
    pub(super) checkpoint: Option<JoinHandle<Result<(), String>>>,
    /// Something failed: nothing is written any more.
    pub(super) failed: bool,
}

impl Writer {
    /// Waits for the checkpoint that is under way.
    fn join(&mut self) -> Result<(), String> {
        let Some(checkpoint) = self.checkpoint.take() else { return Ok(()) };
        let ended = checkpoint.join().unwrap_or_else(|_| Err("the index panicked".to_owned()));
        self.failed |= ended.is_err();
        ended.map_err(|error| format!("the index cannot be brought up to date: {error}"))
    }

    /// What has failed beside the writer is known here.
    fn look(&mut self) -> Result<(), String> {
        if self.checkpoint.as_ref().is_some_and(JoinHandle::is_finished) { self.join() } else { Ok(()) }
    }
}

impl DiskBackend {
    pub(super) fn new(
        live: Live,
        writer: Writer,
        state: Arc<StateDir>,
        mark: Mark,
        hook: Arc<dyn SyncHook>,
        sizes: Sizes,
    ) -> Self {
        let (live, writer) = (RwLock::new(Arc::new(live)), Mutex::new(writer));
        Self { live, writer, state, mark: Arc::new(mark), hook, sizes }
    }

    /// The generation in use. Held for as long as something is read: it is removed when nobody does.
    fn live(&self) -> RwLockReadGuard<'_, Arc<Live>> {
        // The generation is replaced in one assignment, which does not panic.
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // Whoever panicked with it has poisoned the whole store.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, writer: &mut Writer, live: &Arc<Live>, writes: Vec<Write>) -> Result<(), String> {
        writer.look()?;
        let text = |error: io::Error| error.to_string();
        let start = writer.tail.start(&*self.hook).map_err(text)?;
        let changes = stage(live, &mut writer.draft, start, writes).map_err(|error| error.to_string())?;
        let size = writer.tail.append(&mut writer.draft).map_err(text)?;
        writer.tail.sync(&*self.hook).map_err(text)?;
        // From here on the group is durable, and readers see it, all at once.
        let mut tables = live.tables_mut();
        changes.into_iter().for_each(|change| tables.put(change));
        let weight = tables.weight();
        drop(tables);
        self.mark.wrote(writer.tail.end().next - 1);
        writer.since += size as u64;
        if writer.since >= self.sizes.checkpoint {
            let most = PATIENCE.saturating_mul(usize::try_from(self.sizes.checkpoint).unwrap_or(usize::MAX));
            if writer.checkpoint.is_none() || weight >= most {
                self.begin_checkpoint(writer, live)?;
            }
        }
        Ok(())
    }

    /// Has what is in memory brought into the index by another thread, while this one goes on.
    fn begin_checkpoint(&self, writer: &mut Writer, live: &Arc<Live>) -> Result<(), String> {
        writer.join()?;
        let (leaving, standing) = depart(writer, live);
        let (live, mark, hook) = (Arc::clone(live), Arc::clone(&self.mark), Arc::clone(&self.hook));
        let work = move || {
            live.checkpoint(&leaving, &standing, &*hook)?;
            mark.checkpoint(standing.checkpoint);
            Ok(())
        };
        let thread = std::thread::Builder::new().name("wflo-index".to_owned()).spawn(work);
        writer.checkpoint = Some(thread.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn build(
        &self,
        writer: &Writer,
        live: &Live,
        path: &Path,
        sift: &mut Sift<'_>,
    ) -> Result<Built, PruneError> {
        let failed = |error: io::Error| PruneError::Failed { message: error.to_string() };
        let next = writer.tail.end().next;
        let (store, salt) = (writer.standing.store, next_salt(writer.tail.salt(), next));
        let mut builder = Builder::begin(path, store, salt, next, self.sizes, &*self.hook).map_err(failed)?;
        let (first, last) = (vec![0], vec![0xff; 2 + MAX_RUN_KEY]);
        let table = KeyKind::Extents as u8;
        each(live, first, vec![table], &mut |key, value| match sift(&key, value)? {
            Some(value) => builder.pair(key, value).map_err(failed),
            None => Ok(()),
        })?;
        each(live, vec![table + 1], last.clone(), &mut |key, value| match sift(&key, value)? {
            Some(value) => builder.pair(key, value).map_err(failed),
            None => Ok(()),
        })?;
        each(live, vec![table], [&[table], &last[..]].concat(), &mut |key, value| {
            let decoded = unframe(&key, value.clone()).ok().and_then(|value| Extents::decode(&value).ok());
            let (Some(Key::Extents(run, block)), Some(extents)) = (Key::decode(&key), decoded) else {
                // A damaged one stays damaged, and named when the run is read.
                return builder.pair(key, value).map_err(failed);
            };
            for (key, value) in live.block(run, block, &extents)? {
                let Some(Key::Event(run, seq)) = Key::decode(&key) else { unreachable!("it is an event's") };
                if let Some(value) = sift(&key, value)? {
                    builder.event(run, seq, &value).map_err(failed)?;
                }
            }
            Ok(())
        })?;
        builder.finish(writer.standing.checkpoint + 1).map_err(failed)
    }
}

impl Backend for DiskBackend {
    const SYNCS: bool = true;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.live().get(key)
    }

    fn scan(&self, first: &[u8], last: &[u8], limit: usize, down: bool) -> Result<Vec<Pair>, ReadError> {
        self.live().scan(first, last, limit, down)
    }

    fn commit(&self, writes: Vec<Write>) -> Result<(), String> {
        let (mut writer, live) = (self.writer(), self.live());
        let written = self.write(&mut writer, &live, writes);
        writer.failed |= written.is_err();
        written
    }

    fn replace(&self, sift: &mut Sift<'_>) -> Result<u64, ReplaceError> {
        let failed = |error: io::Error| PruneError::Failed { message: error.to_string() };
        let mut writer = self.writer();
        writer.join().map_err(|message| ReplaceError::Nothing(PruneError::Poisoned { message }))?;
        let path = self.state.next_generation(&*self.hook);
        let path = path.map_err(|error| ReplaceError::Nothing(failed(error)))?;
        let built = self.build(&writer, &self.live(), &path, sift);
        let Built { tail, index, standing } = built.map_err(|error| {
            // What is left of it is removed when the store is opened, or pruned again.
            let _ = remove_dir(&path);
            ReplaceError::Nothing(error)
        })?;
        let new = Live::new(path.clone(), LogFiles::new(path.join(LOG)), index, Tables::default());
        match self.state.switch(&path, &*self.hook) {
            Ok(()) => {}
            Err(Switch::Not(error)) => {
                drop(new);
                let _ = remove_dir(&path);
                return Err(ReplaceError::Nothing(failed(error)));
            }
            Err(Switch::Unknown(error)) => {
                writer.failed = true;
                return Err(ReplaceError::Unknown(error.to_string()));
            }
        }
        let after = size(&path);
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *live, Arc::new(new));
        drop(live);
        (writer.tail, writer.standing, writer.since) = (tail, standing, 0);
        let freed = size(old.path()).saturating_sub(after);
        let path = old.path().to_owned();
        drop(old);
        let removed = remove_dir(&path).and_then(|()| self.state.sync(&*self.hook));
        removed.map_err(|error| ReplaceError::LeftBehind(freed, error.to_string()))?;
        self.mark.checkpoint(standing.checkpoint);
        Ok(freed)
    }
}

impl Drop for DiskBackend {
    /// Leaves as little to read again as is worth a sync. What fails here costs nothing: the log has it all.
    fn drop(&mut self) {
        let (mut writer, live) = (self.writer(), self.live());
        let mut settle = || -> Result<(), String> {
            writer.join()?;
            if writer.failed {
                return Ok(());
            }
            if writer.since >= self.sizes.at_the_end {
                let (leaving, standing) = depart(&mut writer, &live);
                live.checkpoint(&leaving, &standing, &*self.hook)?;
                self.mark.checkpoint(standing.checkpoint);
            }
            writer.tail.close().map_err(|error| error.to_string())
        };
        if let Err(error) = settle() {
            tracing::warn!(error, "the store is closed, and will read more of its log when it is opened");
        }
        live.forsake_index();
        self.mark.settle();
    }
}

/// Sends off what is in memory; the index will stand where the log ends now.
fn depart(writer: &mut Writer, live: &Live) -> (Arc<super::index::Changes>, Standing) {
    let standing =
        Standing { checkpoint: writer.standing.checkpoint + 1, end: writer.tail.end(), ..writer.standing };
    (writer.standing, writer.since) = (standing, 0);
    (live.tables_mut().send_off(), standing)
}

/// Puts what a group writes into a record that will begin at `start`; gives what changes besides events.
fn stage(live: &Live, draft: &mut Draft, start: Place, writes: Vec<Write>) -> Result<Vec<Write>, ReadError> {
    draft.clear();
    let mut changes = Vec::with_capacity(writes.len());
    // Events of a run lie together in the record, so that they are read together.
    let mut events: BTreeMap<(RunId, u64), Vec<u8>> = BTreeMap::new();
    for (key, value) in writes {
        match (Key::decode(&key), value) {
            (Some(Key::Event(run, seq)), Some(value)) => drop(events.insert((run, seq), value)),
            (_, value) => changes.push((key, value)),
        }
    }
    let mut blocks: HashMap<(RunId, u32), Extents> = HashMap::new();
    for ((run, seq), value) in events {
        let place = (seq - 1) % BLOCK;
        let extents = match blocks.entry((run, block_of(seq))) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(match place {
                0 => Extents::default(),
                _ => live.extents(run, block_of(seq))?.unwrap_or_default(),
            }),
        };
        if extents.count() as u64 != place {
            return Err(ReadError::corrupt(Key::Event(run, seq), "the log has other events before it"));
        }
        let at = start.plus(draft.event(&value));
        let length = u16::try_from(value.len()).expect("a value has 4 KiB at most");
        extents.add(at.as_u64(), length);
    }
    changes.extend(blocks.into_iter().map(|((run, block), extents)| {
        let key = Key::Extents(run, block).encode();
        let value = frame(&key, extents.encode());
        (key, Some(value))
    }));
    // In one order, whatever order they were gathered in: the same group is the same bytes.
    changes.sort_unstable();
    // What the index alone has is not looked up to be left out: a value is said once after each checkpoint.
    let tables = live.tables();
    for (key, value) in &changes {
        let before = tables.get(key).and_then(Option::as_deref);
        draft.change(key, value.as_deref(), before);
    }
    drop(tables);
    Ok(changes)
}

/// Gives all pairs between two keys to `to`, in order.
fn each(
    live: &Live,
    mut first: Vec<u8>,
    last: Vec<u8>,
    to: &mut dyn FnMut(Vec<u8>, Vec<u8>) -> Result<(), PruneError>,
) -> Result<(), PruneError> {
    loop {
        let page = live.scan(&first, &last, PAGE, false)?;
        let full = page.len() == PAGE;
        for (key, value) in page {
            first = [&key[..], &[0]].concat();
            to(key, value)?;
        }
        if !full {
            return Ok(());
        }
    }
}

/// Bytes of a generation's files.
fn size(path: &Path) -> u64 {
    let log = std::fs::read_dir(path.join(LOG)).into_iter().flatten().flatten();
    let log = log.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum::<u64>();
    log + std::fs::metadata(path.join(INDEX).join("db")).map_or(0, |meta| meta.len())
}
