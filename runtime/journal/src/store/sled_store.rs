//! sled 0.34.7 behind seven guards; `DESIGN.md` says what each is against.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use wflo_model::StoreId;
use wflo_ports::Entropy;

use super::commit::GroupCommit;
use super::delegate::store_by_group_commit;
use super::generation::ReplaceError;
use super::state_dir::{Contents, StateDir, Switch, sync_dir};
use super::sync::{NoHook, SyncHook};
use super::view::{Backend, Pair, Sift, Write};
use crate::entropy::draw;
use crate::error::{OpenError, PruneError, ReadError};
use crate::key::Key;
use crate::record::{frame, unframe};

/// Memory for sled's page cache.
const CACHE: u64 = 64 << 20;
/// sled keeps apart, in files that it never syncs, what takes a quarter of a segment: 512 KiB here. The largest it
/// writes is a page of its tree, and no page comes near: a leaf has 17 values before it is split, of
/// [`super::MAX_VALUE`] bytes each, and an inner page 257 keys of 257 bytes. Larger segments would cost: sled fills the
/// last one with zeros each time it opens, and syncs them.
const SEGMENT: usize = 2 << 20;
/// sled collects garbage only in its own periodic flush.
const FLUSH_EVERY_MS: u64 = 500;
/// How long to wait for sled to let go of its files after an earlier store of this process was closed.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// The name under which a store keeps its own id, so that an empty database is never taken for it.
const MARKER: &str = "wflo/marker";
/// The name under which a store keeps how many groups it has written. sled takes the first damaged record of its log
/// for the place where a crash cut it off, and drops it and all that came after: without a word, runs would be gone,
/// or stand where they stood before their last effects. Beside it, `MARK` says how many there were at least.
const WRITES: &str = "wflo/writes";
/// How much later than the last one a group makes `MARK` be written anew.
const MARK_EVERY: Duration = Duration::from_secs(10);

/// Keeps runs in sled. Blocking to open; one thread of its own writes.
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
    commit: GroupCommit<SledBackend>,
    id: StoreId,
    state: Arc<StateDir>,
}

impl SledStore {
    /// Opens the store in the state folder `path`, or makes one where nothing is.
    ///
    /// # Errors
    /// [`OpenError::Locked`] when another process has it open; [`OpenError::Wiped`] when there was a store and it
    /// is gone; [`OpenError::Corrupt`] when sled cannot read its files. Runs are not looked at here, for there may be
    /// many: each is when it is claimed or read.
    pub fn open(path: &Path, entropy: &dyn Entropy) -> Result<Self, OpenError> {
        Self::open_with(path, entropy, Arc::new(NoHook))
    }

    /// As [`SledStore::open`], with a hook before every sync of the database.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn open_with(path: &Path, entropy: &dyn Entropy, hook: Arc<dyn SyncHook>) -> Result<Self, OpenError> {
        let (state, contents) = StateDir::open(path)?;
        let state = Arc::new(state);
        let (id, db, generation, written) = match contents {
            Contents::Store(id, generation) => {
                remove_half_snapshots(&generation).map_err(at(&generation))?;
                let db = open_sled(&generation)?;
                check_marker(&db, id, path)?;
                let written = check_writes(&db, state.marked()?, &generation)?;
                (id, db, generation, written)
            }
            Contents::Nothing => {
                let id = StoreId::from_bytes(draw(entropy)?);
                let generation = state.begin()?;
                let db = open_sled(&generation)?;
                let key = Key::Meta(MARKER).encode();
                let value = frame(&key, id.as_bytes().to_vec());
                db.insert(key, value).and_then(|_| db.flush()).map_err(corrupt(path))?;
                sync_files(&generation).map_err(at(&generation))?;
                state.finish(id)?;
                (id, db, generation, 0)
            }
        };
        make_private(&generation).map_err(at(&generation))?;
        sync_dir(&generation).map_err(at(&generation))?;
        let live = Live::new(db, generation)?;
        let writes = Mutex::new(Writes::of(written));
        let backend = SledBackend { live: RwLock::new(live), state: Arc::clone(&state), hook, writes };
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

struct SledBackend {
    live: RwLock<Live>,
    state: Arc<StateDir>,
    hook: Arc<dyn SyncHook>,
    writes: Mutex<Writes>,
}

/// How many groups were written.
struct Writes {
    applied: u64,
    durable: u64,
    marked: u64,
    marked_at: Instant,
}

impl Writes {
    fn of(written: u64) -> Self {
        Self { applied: written, durable: written, marked: written, marked_at: Instant::now() }
    }

    /// Writes `MARK`. That it could not be written costs no more than what it would find.
    fn mark(&mut self, state: &StateDir) {
        if self.marked == self.durable {
            return;
        }
        if let Err(error) = state.mark(self.durable) {
            tracing::warn!(%error, "cannot note how much the store holds");
        }
        (self.marked, self.marked_at) = (self.durable, Instant::now());
    }
}

/// The generation in use.
struct Live {
    db: sled::Db,
    /// Our own handle of sled's data file: `flush` does not sync on Linux.
    file: File,
    path: PathBuf,
}

impl Live {
    fn new(db: sled::Db, path: PathBuf) -> Result<Self, OpenError> {
        let data = path.join("db");
        let file = File::options().write(true).open(&data).map_err(at(&data))?;
        Ok(Self { db, file, path })
    }
}

impl SledBackend {
    fn live(&self) -> RwLockReadGuard<'_, Live> {
        // The generation is replaced in one assignment, which does not panic.
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writes(&self) -> MutexGuard<'_, Writes> {
        // It holds numbers, each changed in one assignment.
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SledBackend {
    fn drop(&mut self) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.mark(&self.state);
    }
}

impl Backend for SledBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        Ok(self.live().db.get(key).map_err(text)?.map(|value| value.to_vec()))
    }

    fn scan(&self, first: &[u8], last: &[u8], limit: usize, down: bool) -> Result<Vec<Pair>, String> {
        if first > last {
            return Ok(Vec::new());
        }
        let range = self.live().db.range(first..=last);
        let pair = |pair: sled::Result<(sled::IVec, sled::IVec)>| {
            pair.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(text)
        };
        if down { range.rev().take(limit).map(pair).collect() } else { range.take(limit).map(pair).collect() }
    }

    fn apply(&self, writes: Vec<Write>) -> Result<(), String> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let mut writes = self.writes();
        writes.applied += 1;
        let key = Key::Meta(WRITES).encode();
        let value = frame(&key, writes.applied.to_be_bytes().to_vec());
        batch.insert(key, value);
        self.live().db.apply_batch(batch).map_err(text)
    }

    fn sync(&self) -> Result<(), String> {
        let live = self.live();
        live.db.flush().map_err(text)?;
        self.hook.sync_data(&live.file).map_err(text)?;
        let mut writes = self.writes();
        writes.durable = writes.applied;
        if writes.marked_at.elapsed() > MARK_EVERY {
            writes.mark(&self.state);
        }
        Ok(())
    }

    fn replace(&self, sift: &mut Sift<'_>) -> Result<u64, ReplaceError> {
        let failed = |error: &dyn ToString| PruneError::Failed { message: error.to_string() };
        let path =
            self.state.next_generation(&*self.hook).map_err(|error| ReplaceError::Nothing(failed(&error)))?;
        let built = open_sled(&path).map_err(|error| failed(&error)).and_then(|db| {
            copy(&self.live().db, &db, sift)?;
            let live = Live::new(db, path.clone()).map_err(|error| failed(&error))?;
            live.db.flush().map_err(|error| failed(&error))?;
            self.hook.sync_data(&live.file).map_err(|error| failed(&error))?;
            self.hook.before_sync().map_err(|error| failed(&error))?;
            sync_files(&path).and_then(|()| make_private(&path)).map_err(|error| failed(&error))?;
            Ok(live)
        });
        let new = built.map_err(|error| {
            // What is left of it is removed when the store is opened, or pruned again.
            let _ = remove_generation(&path, None);
            ReplaceError::Nothing(error)
        })?;
        match self.state.switch(&path, &*self.hook) {
            Ok(()) => {}
            Err(Switch::Not(error)) => {
                let _ = remove_generation(&path, Some(new.db));
                return Err(ReplaceError::Nothing(failed(&error)));
            }
            Err(Switch::Unknown(error)) => return Err(ReplaceError::Unknown(error.to_string())),
        }
        let size = |path: &Path| fs::metadata(path.join("db")).map_or(0, |meta| meta.len());
        let after = size(&path);
        let old = std::mem::replace(&mut *self.live.write().unwrap_or_else(PoisonError::into_inner), new);
        let freed = size(&old.path).saturating_sub(after);
        let Live { db, path, .. } = old;
        let removed = remove_generation(&path, Some(db));
        removed
            .and_then(|()| self.state.sync(&*self.hook))
            .map_err(|error| ReplaceError::LeftBehind(freed, error.to_string()))?;
        Ok(freed)
    }
}

/// Copies what is let through, in order.
fn copy(from: &sled::Db, to: &sled::Db, sift: &mut Sift<'_>) -> Result<(), PruneError> {
    /// Bytes of a batch: none of them is acknowledged, so where one ends means nothing.
    const BATCH: usize = 1 << 20;
    let failed = |error: sled::Error| PruneError::Failed { message: error.to_string() };
    let (mut batch, mut size) = (sled::Batch::default(), 0);
    for pair in from.iter() {
        let (key, value) = pair.map_err(failed)?;
        let Some(value) = sift(&key, value.to_vec())? else { continue };
        size += key.len() + value.len();
        batch.insert(key, value);
        if size >= BATCH {
            to.apply_batch(std::mem::take(&mut batch)).map_err(failed)?;
            size = 0;
        }
    }
    to.apply_batch(batch).map_err(failed)
}

/// Removes a generation that is not in use.
fn remove_generation(path: &Path, db: Option<sled::Db>) -> io::Result<()> {
    drop(db);
    // sled closes its files a moment after it was dropped, and may make one until then.
    let patience = Instant::now() + LOCK_PATIENCE;
    loop {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return Ok(()),
        }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// The size of a generation's segments: sled opens it with no other than it was made with.
fn segment_size(generation: &Path) -> usize {
    // Lines of text, and a checksum that sled looks at.
    let settings = fs::read(generation.join("conf")).unwrap_or_default();
    let settings = String::from_utf8_lossy(&settings);
    let made_with = settings.lines().find_map(|line| line.strip_prefix("segment_size: ")?.parse().ok());
    made_with.unwrap_or(SEGMENT)
}

/// Opens sled. Its panics become errors: it has some where files are damaged.
fn open_sled(generation: &Path) -> Result<sled::Db, OpenError> {
    let config = sled::Config::new()
        .path(generation)
        .cache_capacity(CACHE)
        .segment_size(segment_size(generation))
        .flush_every_ms(Some(FLUSH_EVERY_MS));
    let patience = Instant::now() + LOCK_PATIENCE;
    loop {
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => return Ok(db),
            // We hold the lock of the state folder, so this can only be a store of this process that is closing.
            Ok(Err(sled::Error::Io(error)))
                if error.to_string().contains("could not acquire lock") && Instant::now() < patience =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(Err(error)) => return Err(corrupt(generation)(error)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
                let what = format!("the database panicked while opening: {text}");
                return Err(OpenError::Corrupt { path: generation.to_owned(), what });
            }
        }
    }
}

/// Removes snapshots that a crash cut short: sled would take them for whole ones, and call the database corrupt.
fn remove_half_snapshots(generation: &Path) -> io::Result<()> {
    for entry in fs::read_dir(generation)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("snap.") && name.ends_with(".generating")) {
            tracing::warn!(path = %entry.path().display(), "removing a snapshot that a crash cut short");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn check_marker(db: &sled::Db, id: StoreId, path: &Path) -> Result<(), OpenError> {
    let key = Key::Meta(MARKER).encode();
    let wiped = |what: &str| OpenError::Wiped { path: path.to_owned(), what: what.to_owned() };
    let value = db.get(&key).map_err(corrupt(path))?;
    let value = value.ok_or_else(|| wiped("the database is empty, and `FORMAT` says that it was not"))?;
    let found = unframe(&key, value.to_vec())?;
    if found == id.as_bytes() { Ok(()) } else { Err(wiped("the database is that of another store")) }
}

/// Checks that nothing which was there is gone, and says how many groups were written.
fn check_writes(db: &sled::Db, marked: u64, generation: &Path) -> Result<u64, OpenError> {
    let key = Key::Meta(WRITES).encode();
    let written = match db.get(&key).map_err(corrupt(generation))? {
        Some(value) => {
            let bytes = <[u8; 8]>::try_from(unframe(&key, value.to_vec())?);
            let bytes = bytes.map_err(|_| ReadError::corrupt(Key::Meta(WRITES), "it is no number"))?;
            u64::from_be_bytes(bytes)
        }
        // None was written yet, or by a version that did not count.
        None => 0,
    };
    if written < marked {
        let what =
            format!("it ends after write {written} of at least {marked}: what came then is damaged or lost");
        return Err(OpenError::Corrupt { path: generation.to_owned(), what });
    }
    Ok(written)
}

/// Makes everything that sled created durable; it leaves its settings to the operating system.
fn sync_files(generation: &Path) -> io::Result<()> {
    for path in files(generation)? {
        match File::open(&path) {
            Ok(file) => file.sync_all()?,
            // sled renames and removes snapshots in the background.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    sync_dir(generation)
}

/// Takes group's and others' rights away from what sled made. What it makes later is behind the folder's 0700.
fn make_private(generation: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for path in files(generation)? {
            let mode = if path.is_dir() { 0o700 } else { 0o600 };
            match fs::set_permissions(&path, fs::Permissions::from_mode(mode)) {
                // sled renames and removes snapshots in the background.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

fn corrupt(path: &Path) -> impl Fn(sled::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |error| match error {
        sled::Error::Io(source) => OpenError::Io { path: path.clone(), source },
        other => OpenError::Corrupt { path: path.clone(), what: other.to_string() },
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Io { path: path.clone(), source }
}
