//! Blob files: what is too large for a record.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use wflo_model::{Digest, RunId};

use crate::store::{Barrier, BarrierSignal, SyncHook, create_private_dir, sync_dir};

/// Threads that write blobs. Their syncs overlap with each other and with the store's.
const WRITERS: usize = 4;

/// Blob files, or their like in memory. Cheap to clone.
///
/// A blob is written to a temporary name, synced, renamed, and its folder synced; only then may anything name it.
#[derive(Clone)]
pub struct Blobs(Arc<Place>);

enum Place {
    Disk(Disk),
    Memory(Mutex<BlobMap>, Option<Arc<dyn SyncHook>>),
}

/// Blobs in memory, as far as they are durable.
pub(crate) type BlobMap = HashMap<BlobName, Vec<u8>>;

/// Names a blob; the first part says under which key it is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BlobName {
    /// A body of a run, sealed with the run's key and named with another of it.
    Run(RunId, Digest),
    /// A value of the deployment, sealed and named with keys of the master key.
    Meta(Digest),
    /// Public content, named by its SHA-256.
    Public(Digest),
}

impl BlobName {
    /// Reads the path below the root.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let digest = |hex: &str| format!("sha256:{hex}").parse().ok();
        match path.split('/').collect::<Vec<_>>()[..] {
            ["runs", run, name] => Some(Self::Run(run.parse().ok()?, digest(name)?)),
            ["meta", name] => Some(Self::Meta(digest(name)?)),
            ["public", name] => Some(Self::Public(digest(name)?)),
            _ => None,
        }
    }

    pub(crate) fn path(&self, root: &Path) -> PathBuf {
        match self {
            Self::Run(run, name) => root.join("runs").join(run.to_string()).join(name.hex()),
            Self::Meta(name) => root.join("meta").join(name.hex()),
            Self::Public(name) => root.join("public").join(name.hex()),
        }
    }
}

/// Why a blob cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// There is none of this name.
    #[error("there is no blob `{digest}`")]
    Missing {
        /// Its name.
        digest: Digest,
    },
    /// Its content is not what its name says.
    #[error("the blob `{digest}` is corrupt")]
    Corrupt {
        /// Its name.
        digest: Digest,
    },
    /// The disk failed.
    #[error("cannot use the blob `{digest}`: {message}")]
    Io {
        /// Its name.
        digest: Digest,
        /// What the disk said.
        message: String,
    },
}

impl Blobs {
    /// Keeps blobs in files below `root`, which is made if need be.
    ///
    /// # Errors
    /// When the folder cannot be made, or the system gives no threads.
    pub fn open(root: &Path) -> io::Result<Self> {
        Self::open_with(root, None)
    }

    /// As [`Blobs::open`], with a hook before every sync.
    ///
    /// # Errors
    /// As [`Blobs::open`].
    pub fn open_with(root: &Path, hook: Option<Arc<dyn SyncHook>>) -> io::Result<Self> {
        Ok(Self(Arc::new(Place::Disk(Disk::open(root, hook)?))))
    }

    /// Keeps blobs in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::in_map(BlobMap::default(), None)
    }

    pub(crate) fn in_map(blobs: BlobMap, hook: Option<Arc<dyn SyncHook>>) -> Self {
        Self(Arc::new(Place::Memory(Mutex::new(blobs), hook)))
    }

    /// What is durable now, for blobs in memory.
    pub(crate) fn durable(&self) -> BlobMap {
        match &*self.0 {
            Place::Memory(blobs, _) => locked(blobs).clone(),
            Place::Disk(_) => BlobMap::default(),
        }
    }

    /// Begins to write a blob; the barrier lifts when it is durable. A blob that is there is not written again.
    pub(crate) fn put(&self, name: BlobName, content: impl AsRef<[u8]> + Send + 'static) -> Barrier {
        let (signal, barrier) = Barrier::pair();
        self.start(name, Box::new(content), Done::Barrier(signal));
        barrier
    }

    /// Writes a blob; durable when it returns.
    pub(crate) async fn put_now(
        &self,
        name: BlobName,
        content: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<(), String> {
        let (to, from) = tokio::sync::oneshot::channel();
        self.start(name, Box::new(content), Done::Waiting(to));
        from.await.unwrap_or_else(|_| Err("the writer of blobs stopped".to_owned()))
    }

    /// The content of a blob, unchecked.
    pub(crate) fn get(&self, name: BlobName) -> io::Result<Option<Vec<u8>>> {
        match &*self.0 {
            Place::Memory(blobs, _) => Ok(locked(blobs).get(&name).cloned()),
            Place::Disk(disk) => match fs::read(name.path(&disk.root)) {
                Ok(content) => Ok(Some(content)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// The runs that have blobs.
    pub(crate) fn runs(&self) -> io::Result<Vec<RunId>> {
        match &*self.0 {
            Place::Memory(blobs, _) => {
                let mut runs = Vec::new();
                for name in locked(blobs).keys() {
                    if let BlobName::Run(run, _) = name
                        && !runs.contains(run)
                    {
                        runs.push(*run);
                    }
                }
                Ok(runs)
            }
            Place::Disk(disk) => names(&disk.root.join("runs")),
        }
    }

    /// Removes the blobs of a run, durably; gives how many there were and their bytes.
    pub(crate) fn remove_run(&self, run: RunId) -> io::Result<(u64, u64)> {
        match &*self.0 {
            Place::Memory(blobs, _) => {
                let of = |name: &BlobName| matches!(name, BlobName::Run(of, _) if *of == run);
                let mut blobs = locked(blobs);
                let gone = blobs.extract_if(|name, _| of(name)).map(|(_, content)| content.len() as u64);
                Ok(gone.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size)))
            }
            Place::Disk(disk) => {
                let folder = disk.root.join("runs").join(run.to_string());
                let mut gone = (0, 0);
                let entries = match fs::read_dir(&folder) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(gone),
                    entries => entries?,
                };
                for entry in entries {
                    gone = (gone.0 + 1, gone.1 + entry?.metadata()?.len());
                }
                fs::remove_dir_all(&folder)?;
                disk.sync_folder(folder.parent().expect("runs lie in a folder"))?;
                Ok(gone)
            }
        }
    }

    /// All public content.
    pub(crate) fn public(&self) -> io::Result<Vec<Digest>> {
        match &*self.0 {
            Place::Memory(blobs, _) => {
                let public = |name: &BlobName| match name {
                    BlobName::Public(digest) => Some(*digest),
                    _ => None,
                };
                Ok(locked(blobs).keys().filter_map(public).collect())
            }
            Place::Disk(disk) => {
                let found: Vec<String> = names(&disk.root.join("public"))?;
                Ok(found.iter().filter_map(|hex| format!("sha256:{hex}").parse().ok()).collect())
            }
        }
    }

    /// Removes the blob of a value that nothing names any more.
    pub(crate) fn remove_meta(&self, digest: Digest) -> io::Result<()> {
        let name = BlobName::Meta(digest);
        match &*self.0 {
            Place::Memory(blobs, _) => {
                locked(blobs).remove(&name);
                Ok(())
            }
            Place::Disk(disk) => match fs::remove_file(name.path(&disk.root)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => sync_dir(&disk.root.join("meta")),
            },
        }
    }

    /// Removes public content; gives its bytes. Durable after [`Blobs::sync_public`].
    pub(crate) fn remove_public(&self, digest: Digest) -> io::Result<u64> {
        let name = BlobName::Public(digest);
        match &*self.0 {
            Place::Memory(blobs, _) => {
                Ok(locked(blobs).remove(&name).map_or(0, |content| content.len() as u64))
            }
            Place::Disk(disk) => {
                let path = name.path(&disk.root);
                let size = fs::metadata(&path)?.len();
                fs::remove_file(&path)?;
                Ok(size)
            }
        }
    }

    /// Makes removals of public content durable.
    pub(crate) fn sync_public(&self) -> io::Result<()> {
        match &*self.0 {
            Place::Memory(..) => Ok(()),
            Place::Disk(disk) => disk.sync_folder(&disk.root.join("public")),
        }
    }

    fn start(&self, name: BlobName, content: Bytes, done: Done) {
        match &*self.0 {
            Place::Memory(blobs, hook) => {
                let put = hooked(hook.as_deref(), || {
                    locked(blobs).entry(name).or_insert_with(|| (*content).as_ref().to_vec());
                    Ok(())
                });
                done.tell(put.map_err(|error| format!("cannot write a blob: {error}")));
            }
            Place::Disk(disk) => {
                // Where the writers are gone the job is dropped, and with it what waits for it.
                if let Some(to) = &disk.to {
                    let _ = to.send(Job { name, content, done });
                }
            }
        }
    }
}

impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blobs(..)")
    }
}

/// What the names in a folder say; others, such as temporary ones, are left out.
fn names<T: std::str::FromStr>(folder: &Path) -> io::Result<Vec<T>> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder)? {
        out.extend(entry?.file_name().to_str().and_then(|name| name.parse::<T>().ok()));
    }
    Ok(out)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Disk {
    root: PathBuf,
    hook: Option<Arc<dyn SyncHook>>,
    to: Option<Sender<Job>>,
    writers: Vec<JoinHandle<()>>,
}

/// What is written, whoever else has it.
type Bytes = Box<dyn AsRef<[u8]> + Send>;

struct Job {
    name: BlobName,
    content: Bytes,
    done: Done,
}

enum Done {
    Barrier(BarrierSignal),
    Waiting(tokio::sync::oneshot::Sender<Result<(), String>>),
}

impl Done {
    fn tell(self, result: Result<(), String>) {
        match self {
            Self::Barrier(signal) => signal.lift(result),
            // Nobody may wait any more; the blob is there all the same.
            Self::Waiting(to) => drop(to.send(result)),
        }
    }
}

impl Disk {
    fn open(root: &Path, hook: Option<Arc<dyn SyncHook>>) -> io::Result<Self> {
        for dir in ["runs", "meta", "public"] {
            create_private_dir(&root.join(dir))?;
        }
        sync_dir(root)?;
        root.canonicalize()?.parent().map_or(Ok(()), sync_dir)?;
        let (to, from) = channel();
        let from = Arc::new(Mutex::new(from));
        let writers = (0..WRITERS)
            .map(|_| {
                let writer = Writer { root: root.to_owned(), hook: hook.clone() };
                let from = Arc::clone(&from);
                std::thread::Builder::new().name("wflo-blobs".to_owned()).spawn(move || writer.work(&from))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { root: root.to_owned(), hook, to: Some(to), writers })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        sync_folder(self.hook.as_deref(), folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.to = None;
        for writer in self.writers.drain(..) {
            // It ends when the queue is empty; a panic of it has failed whatever it was to write.
            let _ = writer.join();
        }
    }
}

/// Makes temporary names unique within the process; the lock of the state folder keeps other processes out.
static TEMPORARY: AtomicU64 = AtomicU64::new(0);

struct Writer {
    root: PathBuf,
    hook: Option<Arc<dyn SyncHook>>,
}

impl Writer {
    fn work(&self, from: &Mutex<Receiver<Job>>) {
        loop {
            // The lock is held while waiting and let go before writing: one waits, the others write.
            let Ok(job) = locked(from).recv() else { return };
            let written = self.write(&job.name, (*job.content).as_ref());
            job.done.tell(written.map_err(|error| format!("cannot write a blob: {error}")));
        }
    }

    fn write(&self, name: &BlobName, content: &[u8]) -> io::Result<()> {
        let path = name.path(&self.root);
        let folder = path.parent().expect("every blob lies in a folder below the root");
        if let BlobName::Run(..) = name
            && !folder.is_dir()
        {
            create_private_dir(folder)?;
            self.sync_folder(folder.parent().expect("runs lie in a folder"))?;
        }
        // One that is there was synced before it got its name, but its name may not be durable yet.
        if !path.exists() {
            let temporary = folder.join(format!("tmp-{}", TEMPORARY.fetch_add(1, Ordering::Relaxed)));
            let mut file = private_file(&temporary)?;
            file.write_all(content)?;
            hooked(self.hook.as_deref(), || file.sync_all())?;
            fs::rename(&temporary, &path)?;
        }
        self.sync_folder(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        sync_folder(self.hook.as_deref(), folder)
    }
}

fn sync_folder(hook: Option<&dyn SyncHook>, folder: &Path) -> io::Result<()> {
    hooked(hook, || sync_dir(folder))
}

fn hooked(hook: Option<&dyn SyncHook>, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let Some(hook) = hook else { return sync() };
    hook.before_sync()?;
    sync()?;
    hook.after_sync()
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    // What an earlier process left under this name was never renamed, so nothing names it.
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::FaultSync;

    fn name(n: u8) -> BlobName {
        BlobName::Run(RunId::from_bytes([1; 16]), Digest::from_bytes([n; 32]))
    }

    #[tokio::test]
    async fn a_blob_is_written_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&dir.path().join("blobs")).unwrap();
        blobs.put(name(1), b"one".to_vec()).wait().unwrap();
        blobs.put_now(name(1), b"never".to_vec()).await.unwrap();
        assert_eq!(blobs.get(name(1)).unwrap().unwrap(), b"one");
        assert_eq!(blobs.get(name(2)).unwrap(), None);

        let path = name(1).path(&dir.path().join("blobs"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_failed_sync_is_told_and_leaves_no_name() {
        // The syncs of a first blob: the folder of runs, the file, the folder of the run.
        for at in 1..=3 {
            let dir = tempfile::tempdir().unwrap();
            let blobs = Blobs::open_with(dir.path(), Some(Arc::new(FaultSync::at(at)))).unwrap();
            assert!(blobs.put(name(1), b"one".to_vec()).wait().is_err(), "sync {at}");
            assert_eq!(blobs.get(name(1)).unwrap().is_some(), at == 3, "sync {at}");
            blobs.put(name(1), b"one".to_vec()).wait().unwrap();
            assert_eq!(blobs.get(name(1)).unwrap().unwrap(), b"one");
        }
    }
}
