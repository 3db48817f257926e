//! sled 0.34.7 behind six guards; `DESIGN.md` says what each is against.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wflo_model::StoreId;
use wflo_ports::Entropy;

use super::commit::GroupCommit;
use super::delegate::store_by_group_commit;
use super::state_dir::{Contents, StateDir, sync_dir};
use super::sync::{NoHook, SyncHook};
use super::view::{Backend, Pair, Write};
use crate::entropy::draw;
use crate::error::OpenError;
use crate::key::Key;
use crate::record::{frame, unframe};

/// Memory for sled's page cache.
const CACHE: u64 = 64 << 20;
/// sled keeps a value apart when it is a large part of a segment: the larger the segment, the later. The largest
/// there is, as a second line behind [`super::MAX_VALUE`].
const SEGMENT: usize = 16 << 20;
/// sled collects garbage only in its own periodic flush.
const FLUSH_EVERY_MS: u64 = 500;
/// How long to wait for sled to let go of its files after an earlier store of this process was closed.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// The name under which a store keeps its own id, so that an empty database is never taken for it.
const MARKER: &str = "wflo/marker";

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
    state: StateDir,
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
        let (id, db, generation) = match contents {
            Contents::Store(id, generation) => {
                remove_half_snapshots(&generation).map_err(at(&generation))?;
                let db = open_sled(&generation)?;
                check_marker(&db, id, path)?;
                (id, db, generation)
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
                (id, db, generation)
            }
        };
        make_private(&generation).map_err(at(&generation))?;
        sync_dir(&generation).map_err(at(&generation))?;
        let data = generation.join("db");
        let file = File::options().write(true).open(&data).map_err(at(&data))?;
        let commit = GroupCommit::start(SledBackend { db, file, hook }).map_err(at(path))?;
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
    db: sled::Db,
    /// Our own handle of sled's data file: `flush` does not sync on Linux.
    file: File,
    hook: Arc<dyn SyncHook>,
}

impl Backend for SledBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        Ok(self.db.get(key).map_err(text)?.map(|value| value.to_vec()))
    }

    fn scan(&self, first: &[u8], last: &[u8], limit: usize, down: bool) -> Result<Vec<Pair>, String> {
        if first > last {
            return Ok(Vec::new());
        }
        let range = self.db.range(first..=last);
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
        self.db.apply_batch(batch).map_err(text)
    }

    fn sync(&self) -> Result<(), String> {
        self.db.flush().map_err(text)?;
        self.hook.sync_data(&self.file).map_err(text)
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Opens sled. Its panics become errors: it has some where files are damaged.
fn open_sled(generation: &Path) -> Result<sled::Db, OpenError> {
    let config = sled::Config::new()
        .path(generation)
        .cache_capacity(CACHE)
        .segment_size(SEGMENT)
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
