//! The index below the log: every key that is no event's, with its value, in sled.
//!
//! It says nothing that the log does not say: it is what the records up to a place come to, so that opening a store
//! reads those after it and no others. One that is damaged or behind what is known of it is made anew from the log.

mod guarded;
mod loader;
mod page;
mod scan;
mod standing;

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use wflo_model::StoreId;

use super::log::Salt;
use super::state_dir::create_private_dir;
use super::sync::SyncHook;
use super::view::Pair;
use crate::error::{OpenError, ReadError};
use crate::key;
use crate::record::{Malformed, frame, unframe};
pub(super) use guarded::{failed, make_private, open as open_sled, remove as remove_dir, sync_files};
pub(super) use loader::Loader;
use page::Pairs;
pub(super) use scan::Scan;
pub(super) use standing::Standing;

/// The folder of a generation's index.
pub(super) const INDEX: &str = "index";
/// sled's key of the standing.
const STANDING: &[u8] = b"m";
/// What sled's keys of pages begin with. The first key of a page follows, or the table alone of its first page.
const PAGE: u8 = b'p';
/// Bytes of pages that are written at once: while they are, nobody scans.
const BATCH: usize = 256 << 10;
/// Changes of a page that are written at once.
const CHANGES: usize = 1024;

/// Keys, and the values they have from now on; none where they go.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An index, open.
pub(super) struct Index {
    db: sled::Db,
    /// Our own handle of sled's data file: `flush` does not sync on Linux.
    file: File,
    path: PathBuf,
    /// Held for writing while pages are cut, so that who goes through them meets every key once.
    cutting: RwLock<()>,
    /// A page was found to be damaged: from then on the index stands nowhere, and is made anew at the next opening.
    damaged: AtomicBool,
}

impl Index {
    /// Makes an empty index in the place of whatever is there.
    pub(super) fn create(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        remove_dir(path).map_err(io)?;
        create_private_dir(path).map_err(io)?;
        Self::of(open_sled(path)?, path)
    }

    /// Opens the index of a log; none where it must be made anew: where it is damaged, or that of another log, or not
    /// as far as it was.
    pub(super) fn open(
        path: &Path,
        store: StoreId,
        salt: &Salt,
        checkpoint: u64,
    ) -> Result<Option<(Self, Standing)>, OpenError> {
        let anew = |why: &str| {
            tracing::warn!(path = %path.display(), why, "the index is made anew from the log");
            Ok(None)
        };
        if !path.join("db").is_file() {
            return anew("it is missing");
        }
        let db = match open_sled(path) {
            Ok(db) => db,
            Err(OpenError::Corrupt { what, .. }) => return anew(&what),
            Err(OpenError::Io { source, .. }) if is_damage(&source) => return anew(&source.to_string()),
            Err(error) => return Err(error),
        };
        let value = match db.get(STANDING) {
            Ok(Some(value)) => value.to_vec(),
            Ok(None) => return anew("it is empty"),
            Err(error) => return anew(&error.to_string()),
        };
        let standing = unframe(STANDING, value).ok().and_then(|value| Standing::decode(&value).ok());
        match standing {
            None => anew("what it says of itself is damaged"),
            Some(found) if found.store != store || found.salt != *salt => anew("it is that of another log"),
            Some(found) if found.checkpoint < checkpoint => anew("it has lost what it was given last"),
            Some(found) => Ok(Some((Self::of(db, path)?, found))),
        }
    }

    fn of(db: sled::Db, path: &Path) -> Result<Self, OpenError> {
        let data = path.join("db");
        let file = File::options().write(true).open(&data);
        let file = file.map_err(|source| OpenError::Io { path: data, source })?;
        Ok(Self {
            db,
            file,
            path: path.to_owned(),
            cutting: RwLock::new(()),
            damaged: AtomicBool::new(false),
        })
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let Some((name, page)) = self.page_of(key)? else { return Ok(None) };
        let pairs = Pairs::of(&name, &page);
        pairs.and_then(|pairs| pairs.find(key)).map_err(|error| self.found_damaged(key, error))
    }

    /// All pairs between two keys, both included; from the last one down if `down`.
    pub(super) fn scan(&self, first: &[u8], last: &[u8], down: bool) -> Result<Scan<'_>, ReadError> {
        let cutting = self.cutting.read().unwrap_or_else(PoisonError::into_inner);
        let from = self.page_of(first)?.map_or_else(|| name_of(first), |(name, _)| name.to_vec());
        let pages = self.db.range(from..=name_of(last));
        Ok(Scan::new(self, cutting, pages, first, last, down))
    }

    /// Takes changes in, and then the standing. What a crash leaves of it is a part of the changes, and an earlier
    /// standing: from there, the log brings all of them again.
    pub(super) fn merge(&self, changes: &Changes, standing: &Standing) -> Result<(), ReadError> {
        let mut rest = changes.iter().peekable();
        while rest.peek().is_some() {
            let _cutting = self.cutting.write().unwrap_or_else(PoisonError::into_inner);
            let (mut batch, mut size) = (sled::Batch::default(), 0);
            while let Some((key, _)) = rest.peek()
                && size < BATCH
            {
                let table = key[0];
                let page = self.page_of(key)?;
                let name = page.as_ref().map_or_else(|| vec![PAGE, table], |(name, _)| name.to_vec());
                let after = self.ask(|| self.db.get_gt(&name))?;
                let after = after.map(|(name, _)| name).filter(|name| name.first() == Some(&PAGE));
                let is_of_page =
                    |key: &[u8]| key[0] == table && after.as_ref().is_none_or(|after| key < &after[1..]);
                let mut new = Vec::new();
                while new.len() < CHANGES
                    && let Some(change) = rest.next_if(|(key, _)| is_of_page(key))
                {
                    new.push(change);
                }
                let old = match &page {
                    Some((name, page)) => Pairs::of(name, page).and_then(Pairs::collect),
                    None => Ok(Vec::new()),
                };
                let old = old.map_err(|error| self.found_damaged(&name[1..], error))?;
                size += put_page(&mut batch, &name, old, &new);
                if new.len() == CHANGES {
                    // What is left of its changes goes to the pages that it has become.
                    break;
                }
            }
            self.ask(|| self.db.apply_batch(batch))?;
        }
        self.stand(standing)
    }

    fn stand(&self, standing: &Standing) -> Result<(), ReadError> {
        if self.is_damaged() {
            return self.ask(|| self.db.remove(STANDING)).map(drop);
        }
        let value = frame(STANDING, standing.encode());
        self.ask(|| self.db.insert(STANDING, value)).map(drop)
    }

    /// Asks sled. Where its files are damaged it has errors, and panics; both become errors, and the index is made anew
    /// when the store is opened the next time.
    fn ask<T>(&self, question: impl FnOnce() -> sled::Result<T>) -> Result<T, ReadError> {
        let error = match catch_unwind(AssertUnwindSafe(question)) {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error @ sled::Error::Io(_))) => return Err(ReadError::io(error)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the database panicked".to_owned(),
        };
        self.damaged.store(true, Ordering::SeqCst);
        Err(ReadError::io(error))
    }

    /// A key could not be looked up for the page it is in.
    fn found_damaged(&self, key: &[u8], error: Malformed) -> ReadError {
        self.damaged.store(true, Ordering::SeqCst);
        ReadError::corrupt(key::show(key), error)
    }

    /// Whether something in it was found to be damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::SeqCst)
    }

    /// Takes back that the index stands anywhere, if something in it was found to be damaged.
    pub(super) fn forsake(&self) {
        if self.is_damaged()
            && let Err(error) = self.ask(|| self.db.remove(STANDING).and_then(|_| self.db.flush()))
        {
            tracing::warn!(%error, "a damaged index cannot be forsaken");
        }
    }

    /// Makes everything that was taken in durable.
    pub(super) fn sync(&self, hook: &dyn SyncHook) -> Result<(), String> {
        self.ask(|| self.db.flush()).map_err(|error| error.to_string())?;
        hook.sync_data(&self.file).map_err(|error| error.to_string())
    }

    /// Makes the files that sled made durable, and private.
    pub(super) fn settle(&self) -> std::io::Result<()> {
        sync_files(&self.path).and_then(|()| self.make_private())
    }

    /// Takes group's and others' rights away from what sled made.
    pub(super) fn make_private(&self) -> std::io::Result<()> {
        make_private(&self.path)
    }

    /// The page that has a key, or would.
    fn page_of(&self, key: &[u8]) -> Result<Option<(sled::IVec, sled::IVec)>, ReadError> {
        let found = self.ask(|| self.db.range(..=name_of(key)).next_back().transpose())?;
        Ok(found.filter(|(name, _)| name.len() > 1 && name[0] == PAGE && name.get(1) == key.first()))
    }
}

fn name_of(key: &[u8]) -> Vec<u8> {
    [&[PAGE], key].concat()
}

/// Writes what a page becomes; gives how many bytes that are.
fn put_page(
    batch: &mut sled::Batch,
    name: &[u8],
    old: Vec<Pair>,
    new: &[(&Vec<u8>, &Option<Vec<u8>>)],
) -> usize {
    let was_there = !old.is_empty();
    let (pairs, changed) = merged(old, new);
    if !changed {
        return 0;
    }
    let newest = new.iter().rfind(|(_, value)| value.is_some()).map(|(key, _)| *key);
    let at_the_end = newest.is_some() && pairs.last().map(|(key, _)| key) == newest;
    let pages = page::cut(pairs, at_the_end);
    if pages.is_empty() && was_there {
        batch.remove(name);
    }
    let mut size = 0;
    for (n, pairs) in pages.iter().enumerate() {
        // The first keeps its name, so that there is a page for every key it was there for.
        let name = if n == 0 { name.to_vec() } else { name_of(&pairs[0].0) };
        let page = page::encode(&name, pairs);
        size += name.len() + page.len();
        batch.insert(name, page);
    }
    size
}

/// Pairs with changes taken in, both in order; and whether that changed anything.
fn merged(old: Vec<Pair>, new: &[(&Vec<u8>, &Option<Vec<u8>>)]) -> (Vec<Pair>, bool) {
    let (mut out, mut changed) = (Vec::with_capacity(old.len() + new.len()), false);
    let mut old = old.into_iter().peekable();
    for (key, value) in new {
        while let Some(pair) = old.next_if(|(found, _)| found < *key) {
            out.push(pair);
        }
        let before = old.next_if(|(found, _)| found == *key);
        changed |= before.as_ref().map(|(_, value)| value) != value.as_ref();
        out.extend(value.as_ref().map(|value| ((*key).clone(), value.clone())));
    }
    out.extend(old);
    (out, changed)
}

/// Whether an error is one of what a file holds, and not of the disk it lies on.
fn is_damage(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof)
}

#[cfg(test)]
mod tests;
