//! Which runs have moved since the newest checkpoint, also after a crash.
//!
//! A process remembers the runs it appends to. So that a crash forgets none, the first append after a checkpoint is
//! preceded by a marker in the store, in the same group of writes mostly: a number that the next checkpoint names as
//! closed. A store whose marker is not the tag closed last was left in between; then every row is looked at once.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use wflo_model::RunId;

use crate::reserved::TREE_LOG;
use crate::store::Store;

/// The name of the marker.
pub(crate) const MARKER: &str = "wflo/moved";

/// The runs that have moved.
pub(crate) struct Moved {
    /// The marker as the process before left it.
    pub(super) found: Option<u64>,
    interval: RwLock<Interval>,
}

/// The time from one checkpoint to the next.
struct Interval {
    tag: u64,
    runs: Mutex<HashSet<RunId>>,
}

impl Moved {
    /// Stands for a marker that cannot be read: no store comes to as many by itself.
    pub(crate) const DAMAGED: u64 = 1 << 63;

    /// Of a store with this marker; the tags of this process come after it.
    pub(crate) fn new(found: Option<u64>) -> Self {
        let tag = found.unwrap_or_default() + 1;
        Self { found, interval: RwLock::new(Interval { tag, runs: Mutex::default() }) }
    }

    /// Submits something that moves the run. Whatever is submitted so before [`Moved::close`] is with the store before
    /// anything that is submitted after it; `noted` is the writer's own, and saves it most of the work.
    pub(crate) fn submitting<T>(
        &self,
        run: RunId,
        noted: &mut u64,
        store: &dyn Store,
        submit: impl FnOnce() -> T,
    ) -> T {
        // The tree does not note itself.
        if run == TREE_LOG {
            return submit();
        }
        let interval = self.interval.read().unwrap_or_else(PoisonError::into_inner);
        if *noted != interval.tag {
            interval.note(run, store);
            *noted = interval.tag;
        }
        submit()
    }

    /// Notes a run that has been made, or may have been.
    pub(crate) fn note(&self, run: RunId, store: &dyn Store) {
        if run != TREE_LOG {
            self.interval.read().unwrap_or_else(PoisonError::into_inner).note(run, store);
        }
    }

    /// Begins a new interval; gives the tag of the one before, and the runs that have moved in it.
    pub(super) fn close(&self) -> (u64, HashSet<RunId>) {
        let mut interval = self.interval.write().unwrap_or_else(PoisonError::into_inner);
        let runs = std::mem::take(&mut *interval.runs());
        let tag = interval.tag;
        if !runs.is_empty() {
            interval.tag = tag + 1;
        }
        (tag, runs)
    }

    /// Takes back runs that did not come into the tree.
    pub(super) fn reopen(&self, runs: HashSet<RunId>, store: &dyn Store) {
        let interval = self.interval.read().unwrap_or_else(PoisonError::into_inner);
        runs.into_iter().for_each(|run| interval.note(run, store));
    }
}

impl Interval {
    fn runs(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, run: RunId, store: &dyn Store) {
        let mut runs = self.runs();
        if runs.is_empty() {
            // Nobody has to wait for it: nothing that is submitted later is durable before it.
            let _ = store.put_meta(MARKER, self.tag.to_be_bytes().to_vec(), Vec::new());
        }
        runs.insert(run);
    }
}
