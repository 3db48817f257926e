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

    /// Called after each sync: an error says that it failed, though the bytes are there.
    ///
    /// # Errors
    /// What the disk is to have said.
    fn after_sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Makes the database's file durable: the commit point of a group on disk.
    ///
    /// # Errors
    /// What the disk said.
    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.before_sync()?;
        file.sync_data()?;
        self.after_sync()
    }
}

/// Lets every sync happen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NoHook;

impl SyncHook for NoHook {}

/// Makes a sync fail.
///
/// ```
/// use wflo_journal::{Fault, FaultSync, SyncHook};
/// let faults = FaultSync::at(2);
/// assert!(faults.before_sync().is_ok() && faults.after_sync().is_ok());
/// assert!(faults.before_sync().is_err());
/// assert!(faults.before_sync().is_ok());
/// assert_eq!(faults.count(), 3);
///
/// let late = FaultSync::new(1, Fault::Late);
/// assert!(late.before_sync().is_ok() && late.after_sync().is_err());
/// ```
#[derive(Debug)]
pub struct FaultSync {
    at: u64,
    fault: Fault,
    count: AtomicU64,
    /// Syncs that were let through and whose end is to be told as a failure.
    late: AtomicU64,
}

/// How a sync fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and what it was for is lost. Syncs after it work.
    Lost,
    /// It says that it failed, but what it was for is durable. Syncs after it work.
    Late,
    /// It fails, what it was for is lost, and so is everything after it: the power is off.
    Off,
}

impl FaultSync {
    /// Loses what the `n`-th sync is for, counted from 1; 0 fails none.
    #[must_use]
    pub const fn at(n: u64) -> Self {
        Self::new(n, Fault::Lost)
    }

    /// Has the `n`-th sync fail, counted from 1; 0 fails none.
    #[must_use]
    pub const fn new(n: u64, fault: Fault) -> Self {
        Self { at: n, fault, count: AtomicU64::new(0), late: AtomicU64::new(0) }
    }

    /// How many syncs were asked for.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Whether a sync has failed.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        self.at > 0 && self.count() >= self.at
    }
}

impl SyncHook for FaultSync {
    fn before_sync(&self) -> io::Result<()> {
        let now = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let strikes = now == self.at || (self.fault == Fault::Off && self.has_struck());
        match self.fault {
            Fault::Late if strikes => {
                self.late.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
            _ if strikes => Err(injected()),
            _ => Ok(()),
        }
    }

    fn after_sync(&self) -> io::Result<()> {
        // Of syncs at once, the one that comes first is told so: each is in doubt until it is told.
        let late = self.late.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |late| late.checked_sub(1));
        if late.is_ok() { Err(injected()) } else { Ok(()) }
    }
}

fn injected() -> io::Error {
    io::Error::other("injected failure of a sync")
}
