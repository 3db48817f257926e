//! The end of a log, where one thread writes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use wflo_model::StoreId;

use super::files::write_all_at;
use super::place::Place;
use super::record::{Draft, Salt};
use super::segment::{FRONT, Front, file_name};
use crate::store::state_dir::{private_file, sync_dir};
use crate::store::sync::SyncHook;

/// How far the file of a segment is filled with zeros ahead of its records: a sync then has bytes to write and nothing
/// else, neither a length nor where new blocks are, for which a file system would write its own journal.
const AHEAD: u64 = 256 << 10;
/// The zeros are written in pieces of this size: of what was written at once, Linux keeps as large a piece in memory, and
/// writes that as a whole, or counts it so, whenever a byte in it has changed.
const PAGE: u64 = 4 << 10;
/// As far at least, in a log that is as short.
const LEAST_AHEAD: u64 = 16 << 10;

/// Where the next record goes.
pub(in crate::store) struct Tail {
    dir: PathBuf,
    store: StoreId,
    salt: Salt,
    file: File,
    at: Place,
    /// The length of the file.
    length: u64,
    next: u64,
    link: u32,
    /// A segment takes no more records once it has as many bytes.
    full: u32,
    /// Whether every record is synced: then the file is filled ahead.
    ahead: bool,
}

/// What a tail goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct End {
    /// Where the next record goes.
    pub(in crate::store) at: Place,
    /// Its number.
    pub(in crate::store) next: u64,
    /// The checksum of the record before it.
    pub(in crate::store) link: u32,
}

impl Tail {
    /// Begins the log of a generation in an empty folder, to be written as a whole.
    pub(in crate::store) fn create(
        dir: &Path,
        store: StoreId,
        salt: Salt,
        next: u64,
        full: u32,
    ) -> io::Result<Self> {
        let front = Front { segment: 1, store, salt, first: next, link: 0, before: 0 };
        let file = begin(dir, &front)?;
        let (at, length) = (Place::new(1, FRONT), u64::from(FRONT));
        Ok(Self { dir: dir.to_owned(), store, salt, file, at, length, next, link: 0, full, ahead: false })
    }

    /// Goes on with a log.
    pub(in crate::store) fn resume(
        dir: &Path,
        store: StoreId,
        salt: Salt,
        end: End,
        full: u32,
    ) -> io::Result<Self> {
        let file = File::options().write(true).open(dir.join(file_name(end.at.segment())))?;
        let length = file.metadata()?.len();
        let End { at, next, link } = end;
        Ok(Self { dir: dir.to_owned(), store, salt, file, at, length, next, link, full, ahead: true })
    }

    /// Where the next record goes.
    pub(in crate::store) const fn end(&self) -> End {
        End { at: self.at, next: self.next, link: self.link }
    }

    pub(in crate::store) const fn salt(&self) -> &Salt {
        &self.salt
    }

    /// Where the next record will begin: in a new segment where this one is full. What is in the one before must be
    /// durable: a segment is only ever followed by another when nothing of it is in doubt.
    pub(in crate::store) fn start(&mut self, hook: &dyn SyncHook) -> io::Result<Place> {
        if self.at.byte() >= self.full {
            let front = Front {
                segment: self.at.segment() + 1,
                store: self.store,
                salt: self.salt,
                first: self.next,
                link: self.link,
                before: self.at.byte(),
            };
            self.close()?;
            self.file = begin(&self.dir, &front)?;
            hook.sync_data(&self.file)?;
            hook.before_sync()?;
            sync_dir(&self.dir)?;
            hook.after_sync()?;
            (self.at, self.length) = (Place::new(front.segment, FRONT), u64::from(FRONT));
        }
        Ok(self.at)
    }

    /// Writes a record where [`Tail::start`] said; gives how many bytes it takes. It is durable after [`Tail::sync`].
    pub(in crate::store) fn append(&mut self, draft: &mut Draft) -> io::Result<usize> {
        let (bytes, link) = draft.seal(&self.salt, self.next, self.link);
        let (at, size) = (u64::from(self.at.byte()), bytes.len());
        let end = at + size as u64;
        if self.ahead && end > self.length {
            self.fill(end, end.clamp(LEAST_AHEAD, AHEAD));
        }
        write_all_at(&self.file, bytes, at)?;
        self.length = self.length.max(end);
        self.at = self.at.plus(size);
        self.next += 1;
        self.link = link;
        draft.clear();
        Ok(size)
    }

    /// Fills the file with zeros from a place on. Where there is no room for these, there may be for a record.
    fn fill(&mut self, from: u64, bytes: u64) {
        let to = (from + bytes).next_multiple_of(PAGE);
        let mut at = from;
        while at < to {
            let next = (at + PAGE) / PAGE * PAGE;
            if write_all_at(&self.file, &[0; PAGE as usize][..(next - at) as usize], at).is_err() {
                return;
            }
            (at, self.length) = (next, next);
        }
    }

    /// Makes everything that was written durable.
    pub(in crate::store) fn sync(&self, hook: &dyn SyncHook) -> io::Result<()> {
        hook.sync_data(&self.file)
    }

    /// From here on every record is synced.
    pub(in crate::store) fn run_ahead(&mut self) {
        self.ahead = true;
    }

    /// Gives back what the file is longer than its records.
    pub(in crate::store) fn close(&mut self) -> io::Result<()> {
        let end = u64::from(self.at.byte());
        if self.length > end {
            self.file.set_len(end)?;
            self.length = end;
        }
        Ok(())
    }
}

/// Makes the file of a segment.
fn begin(dir: &Path, front: &Front) -> io::Result<File> {
    let path = dir.join(file_name(front.segment));
    let file = private_file().create(true).truncate(true).open(path)?;
    write_all_at(&file, &front.encode(), 0)?;
    Ok(file)
}
