//! Opening a log: which segments there are, and what their records say from a place on.
//!
//! A record is written after the one before it is durable. So a crash leaves one record at most that is not whole, and
//! it is the last: whatever is whole behind a place where no whole record is shows that something was damaged that had
//! been durable. That is refused, with its place, and nothing is cut off.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use wflo_model::StoreId;

use super::files::{read_exact_at, write_all_at};
use super::place::Place;
use super::record::{ALIGN, Record, Salt};
use super::segment::{FRONT, Front, file_name, parse_name};
use super::tail::End;
use crate::error::OpenError;
use crate::record::Malformed;
use crate::store::sync::SyncHook;

/// The segments of a log, each looked at from outside.
#[derive(Debug)]
pub(in crate::store) struct Segments {
    dir: PathBuf,
    /// What each says of itself, the first one first.
    fronts: Vec<Front>,
    /// A segment behind these that a crash left before it was durable.
    unborn: Option<PathBuf>,
}

impl Segments {
    /// Looks at the segments in a folder: none is missing, exchanged or too short.
    pub(in crate::store) fn look(dir: &Path, store: StoreId) -> Result<Self, OpenError> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(dir).map_err(at(dir))? {
            let name = entry.map_err(at(dir))?.file_name();
            numbers.extend(name.to_str().and_then(parse_name));
        }
        numbers.sort_unstable();
        let mut out = Self { dir: dir.to_owned(), fronts: Vec::new(), unborn: None };
        let last = numbers.last().copied().unwrap_or(1);
        for segment in 1..=last {
            let path = out.path(segment);
            if numbers.binary_search(&segment).is_err() {
                return Err(OpenError::Wiped {
                    path: dir.to_owned(),
                    what: format!("`log/{}` is missing", file_name(segment)),
                });
            }
            let mut front = [0; FRONT as usize];
            let file = File::open(&path).map_err(at(&path))?;
            let length = file.metadata().map_err(at(&path))?.len();
            let whole = read_exact_at(&file, &mut front, 0).is_ok();
            match Front::decode(&front).filter(|_| whole) {
                Some(front) => out.take(front, segment, store, length)?,
                None if segment == last && segment > 1 => out.unborn = Some(path),
                None => return Err(corrupt(&path, "its beginning is damaged")),
            }
        }
        Ok(out)
    }

    fn take(&mut self, front: Front, segment: u32, store: StoreId, length: u64) -> Result<(), OpenError> {
        let path = self.path(segment);
        if front.store != store {
            let what = format!("`log/{}` is that of another store", file_name(segment));
            return Err(OpenError::Wiped { path: self.dir.clone(), what });
        }
        let follows = match self.fronts.last() {
            None => front.before == 0,
            Some(before) => front.salt == before.salt && front.first >= before.first,
        };
        if front.segment != segment || !follows {
            return Err(corrupt(&path, "it is the segment of another place"));
        }
        if segment > 1 {
            let before = self.path(segment - 1);
            let length = fs::metadata(&before).map_err(at(&before))?.len();
            if length < u64::from(front.before) {
                let what = format!("it has {length} bytes, and its records go on to byte {}", front.before);
                return Err(corrupt(&before, &what));
            }
        }
        debug_assert!(length >= u64::from(FRONT), "its front was read");
        self.fronts.push(front);
        Ok(())
    }

    fn path(&self, segment: u32) -> PathBuf {
        self.dir.join(file_name(segment))
    }

    /// What every segment of the generation has in the checksums of its records.
    pub(in crate::store) fn salt(&self) -> Salt {
        self.fronts[0].salt
    }

    /// Where the first record is.
    pub(in crate::store) fn beginning(&self) -> End {
        End { at: Place::new(1, FRONT), next: self.fronts[0].first, link: 0 }
    }

    /// Gives every record from a place on to `each`; gives where the next one goes. What a crash has left behind the
    /// last whole record is removed, durably, unless it is nothing.
    ///
    /// Everything is durable when this returns. Of the last record that is not sure: a process may have died, or its
    /// disk failed, between writing and syncing it. So unless it is among the `sure` ones, it is written once more.
    /// Where those are not all there, nothing is changed.
    pub(in crate::store) fn replay(
        &self,
        from: End,
        sure: u64,
        hook: &dyn SyncHook,
        each: &mut dyn FnMut(&Record<'_>, End) -> Result<(), OpenError>,
    ) -> Result<End, OpenError> {
        let last = self.fronts.len() as u32;
        if !(1..=last).contains(&from.at.segment()) {
            let what = format!("it ends before {}, and what is there was durable", from.at);
            return Err(corrupt(&self.dir, &what));
        }
        let mut end = from;
        for segment in from.at.segment()..=last {
            let path = self.path(segment);
            if segment > from.at.segment() {
                end.at = Place::new(segment, FRONT);
            }
            let file = File::open(&path).map_err(at(&path))?;
            let length = file.metadata().map_err(at(&path))?.len();
            let Some(left) = length.checked_sub(u64::from(end.at.byte())) else {
                return Err(corrupt(&path, &format!("it ends before byte {}", end.at.byte())));
            };
            let mut bytes = vec![0; usize::try_from(left).unwrap_or(usize::MAX)];
            read_exact_at(&file, &mut bytes, u64::from(end.at.byte())).map_err(at(&path))?;
            let (mut rest, mut newest) = (&bytes[..], None);
            while let Some(record) = Record::parse(&self.salt(), rest) {
                if record.number != end.next || record.link != end.link {
                    break;
                }
                end = End { at: end.at.plus(record.size), next: record.number + 1, link: record.checksum };
                each(&record, end)?;
                let whole;
                (whole, rest) = rest.split_at(record.size);
                newest = Some(whole);
            }
            if let Some(next) = self.fronts.get(segment as usize) {
                let complete =
                    next.first == end.next && next.link == end.link && next.before == end.at.byte();
                if !complete {
                    return Err(damaged(&path, end, "the segment after it goes on behind it"));
                }
                continue;
            }
            if let Some(number) = later(&self.salt(), rest) {
                let what = format!("record {number} behind it is whole");
                return Err(damaged(&path, end, &what));
            }
            if end.next <= sure {
                let what = format!(
                    "it ends after write {} of at least {sure}: what came then is damaged or lost",
                    end.next - 1
                );
                return Err(corrupt(&path, &what));
            }
            let torn = rest.iter().any(|byte| *byte != 0);
            let unsure = newest.filter(|_| end.next - 1 > sure);
            if torn || unsure.is_some() {
                let file = File::options().write(true).open(&path).map_err(at(&path))?;
                if torn {
                    tracing::warn!(place = %end.at, "removing what a crash has left of a record");
                    file.set_len(u64::from(end.at.byte())).map_err(at(&path))?;
                }
                if let Some(record) = unsure {
                    let place = u64::from(end.at.byte()) - record.len() as u64;
                    write_all_at(&file, record, place).map_err(at(&path))?;
                }
                hook.sync_data(&file).map_err(at(&path))?;
            }
        }
        self.remove_unborn()?;
        Ok(end)
    }

    /// The error for a record that is whole and says what no record says.
    pub(in crate::store) fn damaged(&self, number: u64, error: Malformed) -> OpenError {
        corrupt(&self.dir, &format!("record {number}: {error}"))
    }

    /// A segment whose front is not whole was never written to: it is made durable before its first record is.
    fn remove_unborn(&self) -> Result<(), OpenError> {
        let Some(path) = &self.unborn else { return Ok(()) };
        let bytes = fs::read(path).map_err(at(path))?;
        if let Some(number) = later(&self.salt(), &bytes) {
            return Err(corrupt(
                path,
                &format!("its beginning is damaged, and record {number} in it is whole"),
            ));
        }
        tracing::warn!(path = %path.display(), "removing a segment that a crash has left unfinished");
        fs::remove_file(path).map_err(at(path))
    }
}

/// The number of the first whole record in these bytes, wherever it begins.
fn later(salt: &Salt, bytes: &[u8]) -> Option<u64> {
    let places = (0..bytes.len()).step_by(ALIGN);
    places.into_iter().find_map(|place| Record::parse(salt, &bytes[place..])).map(|record| record.number)
}

fn damaged(path: &Path, end: End, how: &str) -> OpenError {
    let what = format!("record {} at byte {} is damaged: {how}", end.next, end.at.byte());
    corrupt(path, &what)
}

fn corrupt(path: &Path, what: &str) -> OpenError {
    OpenError::Corrupt { path: path.to_owned(), what: what.to_owned() }
}

fn at(path: &Path) -> impl Fn(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Io { path: path.clone(), source }
}
