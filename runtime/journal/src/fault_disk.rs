//! A disk that fails on demand, for tests of whatever is built on the journal.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wflo_model::StoreId;
use wflo_ports::{Entropy, SystemEntropyError};

use crate::blobs::{BlobMap, BlobName, Blobs};
use crate::entropy::draw;
use crate::error::OpenError;
use crate::journal::Journal;
use crate::master::MasterKey;
use crate::store::{MemoryStore, SyncHook};

/// A disk in memory under a journal: it holds what is durable, and nothing that is not. Every journal opened on it
/// begins with that, as after a crash.
///
/// With a [`FaultSync`](crate::FaultSync) whose number goes up until it no longer strikes, a test goes through every
/// sync of a scenario and looks at what a new process would find:
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use wflo_backends::SystemEntropy;
/// use wflo_journal::{Draft, Fault, FaultDisk, FaultSync};
/// use wflo_model::{RunId, Timestamp};
///
/// let run = RunId::new(Timestamp::from_micros(1), [0; 10]);
/// for n in 1.. {
///     let disk = FaultDisk::new(&SystemEntropy).unwrap();
///     let faults = Arc::new(FaultSync::new(n, Fault::Off));
///     let scenario = async {
///         let journal = disk.open(Arc::clone(&faults) as _, Arc::new(SystemEntropy)).await.ok()?;
///         let draft = Draft::new(Timestamp::from_micros(1), 1, b"started".to_vec());
///         journal.create_run(run, None, vec![draft], Vec::new()).await.ok()
///     };
///     let acknowledged = scenario.await.is_some();
///
///     let journal = disk.open(Arc::new(FaultSync::at(0)), Arc::new(SystemEntropy)).await.unwrap();
///     assert_eq!(journal.read(run, 1).await.is_ok(), acknowledged);
///     if !faults.has_struck() {
///         break;
///     }
/// }
/// # });
/// ```
pub struct FaultDisk {
    id: StoreId,
    master: MasterKey,
    newest: Mutex<Newest>,
}

/// The newest journal on the disk: its durable content is the disk's.
enum Newest {
    Image(DiskImage),
    Opened(Arc<MemoryStore>, Blobs),
}

/// What is durable on a [`FaultDisk`], to the byte: for tests that damage it, or keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskImage {
    /// The records of the store, by their keys.
    pub records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The blobs, by their paths below the folder of blobs.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

impl DiskImage {
    fn of(store: &MemoryStore, blobs: &Blobs) -> Self {
        // The store first: what it names is among the blobs that are durable by then.
        let records = store.durable();
        let path = |name: &BlobName| name.path(Path::new("")).to_string_lossy().into_owned();
        let blobs = blobs.durable().into_iter().map(|(name, content)| (path(&name), content)).collect();
        Self { records, blobs }
    }
}

impl FaultDisk {
    /// An empty disk.
    ///
    /// # Errors
    /// When there is no randomness to make a key of.
    pub fn new(entropy: &dyn Entropy) -> Result<Self, SystemEntropyError> {
        let (id, master) = (StoreId::from_bytes(draw(entropy)?), MasterKey::new(draw(entropy)?));
        Ok(Self { id, master, newest: Mutex::new(Newest::Image(DiskImage::default())) })
    }

    /// Opens a journal on what is durable by now. Journals that were opened before are those of a dead process: what
    /// they write from here on goes nowhere.
    ///
    /// # Errors
    /// As [`Journal::open`]; the hook may make its first sync fail.
    pub async fn open(
        &self,
        hook: Arc<dyn SyncHook>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Journal, OpenError> {
        let (store, blobs) =
            self.next(hook).map_err(|source| OpenError::Io { path: "memory".into(), source })?;
        Journal::open(store, blobs, self.master.clone(), entropy).await
    }

    /// What is durable now.
    #[must_use]
    pub fn image(&self) -> DiskImage {
        match &*self.newest() {
            Newest::Image(image) => image.clone(),
            Newest::Opened(store, blobs) => DiskImage::of(store, blobs),
        }
    }

    /// Puts something else on the disk, for the next journal that is opened. Blobs whose paths are none are left out.
    pub fn set_image(&self, image: DiskImage) {
        *self.newest() = Newest::Image(image);
    }

    fn next(&self, hook: Arc<dyn SyncHook>) -> std::io::Result<(Arc<MemoryStore>, Blobs)> {
        let DiskImage { records, blobs } = self.image();
        let store = MemoryStore::start(self.id, records, Arc::clone(&hook))?;
        let named = |(path, content): (String, _)| Some((BlobName::parse(&path)?, content));
        let blobs = Blobs::in_map(blobs.into_iter().filter_map(named).collect::<BlobMap>(), Some(hook));
        let store = Arc::new(store);
        *self.newest() = Newest::Opened(Arc::clone(&store), blobs.clone());
        Ok((store, blobs))
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        // What is durable is whole at any time, also where a test panicked.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for FaultDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FaultDisk").field(&self.id).finish()
    }
}
