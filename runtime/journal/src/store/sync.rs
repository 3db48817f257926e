//! The points at which bytes become durable, and a way to make them fail.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Is asked before every sync of a file or folder. The default lets all of them happen.
///
/// Tests make the n-th fail ([`FaultSync`]) or hold one back, and then look at what the store says.
pub trait SyncHook: Send + Sync {
    /// Called before each sync; an error takes its place.
    ///
    /// # Errors
    /// What the disk is to have said.
    fn before_sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Makes the database's file durable: the commit point of a group on disk.
    ///
    /// # Errors
    /// What the disk said.
    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.before_sync()?;
        file.sync_data()
    }
}

/// Lets every sync happen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NoHook;

impl SyncHook for NoHook {}

/// Makes the n-th sync fail.
///
/// ```
/// use wflo_journal::{FaultSync, SyncHook};
/// let faults = FaultSync::at(2);
/// assert!(faults.before_sync().is_ok());
/// assert!(faults.before_sync().is_err());
/// assert_eq!(faults.count(), 2);
/// ```
#[derive(Debug)]
pub struct FaultSync {
    at: u64,
    count: AtomicU64,
}

impl FaultSync {
    /// Fails the `n`-th sync, counted from 1; 0 fails none.
    #[must_use]
    pub const fn at(n: u64) -> Self {
        Self { at: n, count: AtomicU64::new(0) }
    }

    /// How many syncs were asked for.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

impl SyncHook for FaultSync {
    fn before_sync(&self) -> io::Result<()> {
        let now = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if now == self.at { Err(io::Error::other("injected failure of a sync")) } else { Ok(()) }
    }
}
