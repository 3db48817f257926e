//! What the store held at least, outside of it: fewer is refused.
//!
//! `MARK` says how many groups were written, so that a log whose end was cut off or damaged is not taken for one that a
//! crash has left; and how often the index was brought up to date, so that one which has lost something is not read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::state_dir::{Marked, StateDir};

/// How much later than the last one a group makes `MARK` be written anew.
const EVERY: Duration = Duration::from_secs(10);

pub(super) struct Mark {
    state: Arc<StateDir>,
    notes: Mutex<Notes>,
}

struct Notes {
    durable: Marked,
    marked: Marked,
    at: Instant,
}

impl Mark {
    pub(super) fn new(state: Arc<StateDir>, durable: Marked, marked: Marked) -> Self {
        Self { state, notes: Mutex::new(Notes { durable, marked, at: Instant::now() }) }
    }

    /// A group is durable.
    pub(super) fn wrote(&self, writes: u64) {
        let mut notes = self.notes();
        notes.durable.writes = writes;
        if notes.at.elapsed() > EVERY {
            self.write(&mut notes);
        }
    }

    /// The index is durable as of so many checkpoints.
    pub(super) fn checkpoint(&self, checkpoint: u64) {
        let mut notes = self.notes();
        notes.durable.checkpoint = checkpoint;
        self.write(&mut notes);
    }

    /// Writes what is durable by now.
    pub(super) fn settle(&self) {
        self.write(&mut self.notes());
    }

    /// That it could not be written costs no more than what it would find.
    fn write(&self, notes: &mut Notes) {
        if notes.marked == notes.durable {
            return;
        }
        if let Err(error) = self.state.mark(notes.durable) {
            tracing::warn!(%error, "cannot note how much the store holds");
        }
        (notes.marked, notes.at) = (notes.durable, Instant::now());
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // It holds numbers, each changed in one assignment.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
