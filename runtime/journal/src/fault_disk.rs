//! A disk that fails on demand, for tests of whatever is built on the journal.

use std::sync::{Arc, Mutex, PoisonError};

use wflo_model::StoreId;
use wflo_ports::{Entropy, SystemEntropyError};

use crate::blobs::{BlobMap, Blobs};
use crate::entropy::draw;
use crate::error::OpenError;
use crate::journal::Journal;
use crate::master::MasterKey;
use crate::store::{MemoryImage, MemoryStore, SyncHook};

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
    None,
    Opened(Arc<MemoryStore>, Blobs),
}

impl FaultDisk {
    /// An empty disk.
    ///
    /// # Errors
    /// When there is no randomness to make a key of.
    pub fn new(entropy: &dyn Entropy) -> Result<Self, SystemEntropyError> {
        let (id, master) = (StoreId::from_bytes(draw(entropy)?), MasterKey::new(draw(entropy)?));
        Ok(Self { id, master, newest: Mutex::new(Newest::None) })
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

    fn next(&self, hook: Arc<dyn SyncHook>) -> std::io::Result<(Arc<MemoryStore>, Blobs)> {
        // What is durable is whole at any time, also where a test panicked.
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let (image, blobs) = match &*newest {
            Newest::None => (MemoryImage::default(), BlobMap::default()),
            // The store first: what it names is among the blobs that are durable by then.
            Newest::Opened(store, blobs) => (store.durable(), blobs.durable()),
        };
        let store = Arc::new(MemoryStore::start(self.id, image, Arc::clone(&hook))?);
        let blobs = Blobs::in_map(blobs, Some(hook));
        *newest = Newest::Opened(Arc::clone(&store), blobs.clone());
        Ok((store, blobs))
    }
}

impl std::fmt::Debug for FaultDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FaultDisk").field(&self.id).finish()
    }
}
