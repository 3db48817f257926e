//! A store in memory, for runs that need not outlive the process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use wflo_model::StoreId;

use super::commit::GroupCommit;
use super::delegate::store_by_group_commit;
use super::generation::ReplaceError;
use super::sync::{NoHook, SyncHook};
use super::view::{Backend, Pair, Sift, Write};
use crate::error::{PruneError, ReadError};

/// Keeps runs in memory, under the whole contract of [`Store`](super::Store) but that of outliving the process.
///
/// ```
/// use wflo_journal::{MemoryStore, Store};
/// use wflo_model::StoreId;
/// let store = MemoryStore::new(StoreId::from_bytes([1; 16])).unwrap();
/// assert_eq!(store.poisoned(), None);
/// ```
pub struct MemoryStore {
    id: StoreId,
    image: MemoryImage,
    commit: GroupCommit<MemoryBackend>,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What the store would find again on a disk.
type MemoryImage = Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>;

impl MemoryStore {
    /// Makes an empty store.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(id: StoreId) -> std::io::Result<Self> {
        Self::with_hook(id, Arc::new(NoHook))
    }

    /// Makes an empty store that asks `hook` before it calls anything durable.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn with_hook(id: StoreId, hook: Arc<dyn SyncHook>) -> std::io::Result<Self> {
        Self::start(id, BTreeMap::new(), hook)
    }

    /// A new store that holds what is durable in this one, as after a crash.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn reopen(&self, hook: Arc<dyn SyncHook>) -> std::io::Result<Self> {
        Self::start(self.id, self.durable(), hook)
    }

    /// What is durable now, apart from this store.
    pub(crate) fn durable(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.image.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn start(
        id: StoreId,
        image: BTreeMap<Vec<u8>, Vec<u8>>,
        hook: Arc<dyn SyncHook>,
    ) -> std::io::Result<Self> {
        let (map, image) = (RwLock::new(image.clone()), Arc::new(Mutex::new(image)));
        let backend = MemoryBackend { map, image: Arc::clone(&image), hook };
        Ok(Self { id, image, commit: GroupCommit::start(backend)? })
    }
}

store_by_group_commit!(MemoryStore);

struct MemoryBackend {
    map: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
    image: MemoryImage,
    hook: Arc<dyn SyncHook>,
}

fn put(map: &mut BTreeMap<Vec<u8>, Vec<u8>>, (key, value): Write) {
    match value {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

impl Backend for MemoryBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.map.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn scan(&self, first: &[u8], last: &[u8], limit: usize, down: bool) -> Result<Vec<Pair>, ReadError> {
        if first > last {
            return Ok(Vec::new());
        }
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        let range =
            map.range(first.to_vec()..=last.to_vec()).map(|(key, value)| (key.clone(), value.clone()));
        Ok(if down { range.rev().take(limit).collect() } else { range.take(limit).collect() })
    }

    fn commit(&self, writes: Vec<Write>) -> Result<(), String> {
        self.hook.before_sync().map_err(|error| error.to_string())?;
        let mut image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        writes.iter().cloned().for_each(|write| put(&mut image, write));
        drop(image);
        self.hook.after_sync().map_err(|error| error.to_string())?;
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        writes.into_iter().for_each(|write| put(&mut map, write));
        Ok(())
    }

    fn replace(&self, sift: &mut Sift<'_>) -> Result<u64, ReplaceError> {
        let old = self.map.read().unwrap_or_else(PoisonError::into_inner).clone();
        let size = |map: &BTreeMap<Vec<u8>, Vec<u8>>| {
            map.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>()
        };
        let before = size(&old);
        let mut new = BTreeMap::new();
        for (key, value) in old {
            if let Some(value) = sift(&key, value).map_err(ReplaceError::Nothing)? {
                new.insert(key, value);
            }
        }
        let failed = |error: std::io::Error| PruneError::Failed { message: error.to_string() };
        self.hook.before_sync().map_err(|error| ReplaceError::Nothing(failed(error)))?;
        let bytes = before.saturating_sub(size(&new));
        self.image.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&new);
        self.hook.after_sync().map_err(|error| ReplaceError::Unknown(error.to_string()))?;
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(bytes)
    }
}
