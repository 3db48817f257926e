//! What a log gives back, and what it refuses, byte by byte.

use std::fs;
use std::path::{Path, PathBuf};

use wflo_model::StoreId;

use super::segment::{FRONT, file_name};
use super::*;
use crate::error::OpenError;
use crate::store::sync::NoHook;

const STORE: StoreId = StoreId::from_bytes([7; 16]);
const SALT: Salt = *b"saltsalt";

/// Writes records, each with an event and a change, in segments of this size; gives where each ends.
fn write(dir: &Path, records: u64, full: u32) -> Vec<End> {
    let mut tail = Tail::create(dir, STORE, SALT, 1, full).unwrap();
    let mut draft = Draft::default();
    let mut ends = vec![tail.end()];
    for n in 1..=records {
        tail.start(&NoHook).unwrap();
        draft.event(&[n as u8; 50]);
        draft.change(b"key", Some(&n.to_be_bytes()), None);
        tail.append(&mut draft).unwrap();
        tail.sync(&NoHook).unwrap();
        ends.push(tail.end());
    }
    tail.close().unwrap();
    ends
}

/// What the log says after the first `sure` records, and where it ends.
fn read(dir: &Path, from: Option<End>, sure: u64) -> Result<(Vec<u64>, End), OpenError> {
    let segments = Segments::look(dir, STORE)?;
    assert_eq!(segments.salt(), SALT);
    let mut found = Vec::new();
    let from = from.unwrap_or_else(|| segments.beginning());
    let end = segments.replay(from, sure, &NoHook, &mut |record, end| {
        assert_eq!(end.next, record.number + 1);
        let changes = record.changes().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(changes, [(&b"key"[..], Change::Value(&record.number.to_be_bytes()))]);
        found.push(record.number);
        Ok(())
    })?;
    Ok((found, end))
}

fn segment(dir: &Path, n: u32) -> PathBuf {
    dir.join(file_name(n))
}

fn refused(dir: &Path, expect: &str) {
    let error = read(dir, None, 0).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. } | OpenError::Wiped { .. }), "{error}");
    assert!(error.to_string().contains(expect), "{error}");
}

#[test]
fn a_log_is_read_from_any_place_on_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let ends = write(dir.path(), 20, 500);
    assert!(ends[20].at.segment() > 3, "{ends:?}");
    for (n, end) in (0..).zip(&ends) {
        let (found, last) = read(dir.path(), Some(*end), 0).unwrap();
        assert_eq!((found, last), ((n + 1..=20).collect(), ends[20]));
    }
    let mut tail = Tail::resume(dir.path(), STORE, SALT, ends[20], 500).unwrap();
    tail.start(&NoHook).unwrap();
    let mut draft = Draft::default();
    draft.change(b"key", Some(&21_u64.to_be_bytes()), None);
    tail.append(&mut draft).unwrap();
    // Its file is longer than its records by now.
    assert_eq!(read(dir.path(), None, 0).unwrap(), ((1..=21).collect(), tail.end()));
}

/// The last record is written in part, in every way: the log ends before it, and nothing of it is left.
#[test]
fn a_torn_tail_is_cut_off_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let ends = write(dir.path(), 5, u32::MAX);
    let path = segment(dir.path(), 1);
    let whole = fs::read(&path).unwrap();
    let (begin, end) = (ends[4].at.byte() as usize, ends[5].at.byte() as usize);
    assert_eq!(whole.len(), end);
    for at in begin..end {
        let zeros = [&whole[..at], &vec![0; end - at + 4096]].concat();
        let mut other = whole.clone();
        other[at] ^= 0x10;
        // What was there before may stay in front of what is new.
        let mut late = whole.clone();
        late[begin..at].fill(0);
        let is_torn = at > begin;
        for (torn, how) in
            [(whole[..at].to_vec(), "cut"), (zeros, "zeros"), (other, "flipped"), (late, "late")]
        {
            if how == "late" && !is_torn {
                continue;
            }
            // Where only zeros are missing, nothing is.
            let is_whole = how == "zeros" && whole[at..].iter().all(|byte| *byte == 0);
            let expect = if is_whole { (1..=5).collect::<Vec<_>>() } else { (1..=4).collect() };
            fs::write(&path, &torn).unwrap();
            let (found, last) = read(dir.path(), None, 0).unwrap();
            assert_eq!(found, expect, "{how} at {at}");
            assert_eq!(last, ends[expect.len()]);
            let left = fs::read(&path).unwrap();
            assert_eq!(left[..begin], whole[..begin], "{how} at {at}");
            let nothing_left = left[begin..].iter().all(|byte| *byte == 0);
            assert!(is_whole || nothing_left, "{how} at {at}: nothing of it is left");
        }
    }
}

/// Every byte of every record but the last: what was durable and is damaged is refused, with its place, and stays.
#[test]
fn damage_before_a_whole_record_is_refused_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let ends = write(dir.path(), 4, u32::MAX);
    let path = segment(dir.path(), 1);
    let whole = fs::read(&path).unwrap();
    for (n, record) in ends.windows(2).enumerate().take(3) {
        for at in record[0].at.byte() as usize..record[1].at.byte() as usize {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&path, &damaged).unwrap();
            refused(dir.path(), &format!("record {} at byte {} is damaged", n + 1, record[0].at.byte()));
            assert_eq!(fs::read(&path).unwrap(), damaged, "nothing is changed");
            // Whoever reads from behind it does not meet it.
            let after = read(dir.path(), Some(record[1]), 0).unwrap();
            assert_eq!(after.0.len(), 3 - n);
        }
    }
    // A record that is gone as a whole, or stands in another's place.
    let bytes = |n: usize| &whole[ends[n - 1].at.byte() as usize..ends[n].at.byte() as usize];
    let front = &whole[..FRONT as usize];
    for mixed in [
        [front, bytes(1), bytes(3), bytes(4)].concat(),
        [front, bytes(2), bytes(1), bytes(3), bytes(4)].concat(),
        [front, bytes(1), bytes(2), bytes(2), bytes(3), bytes(4)].concat(),
    ] {
        fs::write(&path, &mixed).unwrap();
        refused(dir.path(), "is damaged: record");
    }
}

#[test]
fn segments_that_are_missing_exchanged_or_damaged_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let specimen = dir.path().join("specimen");
    fs::create_dir(&specimen).unwrap();
    let ends = write(&specimen, 20, 500);
    let last = ends[20].at.segment();
    let fresh = |name: &str| {
        let to = dir.path().join(name);
        fs::create_dir(&to).unwrap();
        for n in 1..=last {
            fs::copy(segment(&specimen, n), segment(&to, n)).unwrap();
        }
        to
    };
    for n in 1..last {
        let gone = fresh(&format!("gone-{n}"));
        fs::remove_file(segment(&gone, n)).unwrap();
        refused(&gone, &format!("`log/{}` is missing", file_name(n)));

        let short = fresh(&format!("short-{n}"));
        let bytes = fs::read(segment(&short, n)).unwrap();
        fs::write(segment(&short, n), &bytes[..bytes.len() - 8]).unwrap();
        refused(&short, "and its records go on to byte");

        let damaged = fresh(&format!("damaged-{n}"));
        let at = bytes.len() - 20;
        fs::write(segment(&damaged, n), [&bytes[..at], b"x", &bytes[at + 1..]].concat()).unwrap();
        refused(&damaged, "the segment after it goes on behind it");

        let front = fresh(&format!("front-{n}"));
        fs::write(segment(&front, n), [b"x", &bytes[1..]].concat()).unwrap();
        refused(&front, "its beginning is damaged");

        let exchanged = fresh(&format!("exchanged-{n}"));
        fs::rename(segment(&exchanged, n), dir.path().join("aside")).unwrap();
        fs::rename(segment(&exchanged, n + 1), segment(&exchanged, n)).unwrap();
        fs::rename(dir.path().join("aside"), segment(&exchanged, n + 1)).unwrap();
        refused(&exchanged, "it is the segment of another place");
    }
    let none = fresh("none");
    fs::remove_dir_all(&none).unwrap();
    fs::create_dir(&none).unwrap();
    refused(&none, "`log/00000001` is missing");
    let ahead = read(&fresh("ahead"), Some(End { at: Place::new(last + 1, 64), ..ends[20] }), 0).unwrap_err();
    assert!(ahead.to_string().contains("and what is there was durable"), "{ahead}");
    let at = Place::new(last, ends[20].at.byte() + 8);
    let ahead = read(&fresh("further"), Some(End { at, ..ends[20] }), 0).unwrap_err();
    assert!(ahead.to_string().contains("it ends before byte"), "{ahead}");
    let other = Segments::look(&specimen, StoreId::from_bytes([8; 16])).unwrap_err();
    assert!(other.to_string().contains("another store"), "{other}");
}

/// A crash while a segment is begun leaves a file without a whole front, and no record in it.
#[test]
fn a_segment_that_was_not_born_is_removed_and_one_that_lived_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let ends = write(dir.path(), 20, 500);
    let next = segment(dir.path(), ends[20].at.segment() + 1);
    let front = fs::read(segment(dir.path(), 2)).unwrap();
    for left in [&b""[..], &[0; 64], &front[..40]] {
        fs::write(&next, left).unwrap();
        assert_eq!(read(dir.path(), None, 0).unwrap(), ((1..=20).collect(), ends[20]));
        assert!(!next.exists());
    }
    // The beginning of the last one is damaged, and its records are whole.
    let last = segment(dir.path(), ends[20].at.segment());
    let mut bytes = fs::read(&last).unwrap();
    bytes[3] ^= 1;
    fs::write(&last, &bytes).unwrap();
    refused(dir.path(), "its beginning is damaged, and record");
    assert_eq!(fs::read(&last).unwrap(), bytes);
}

/// What is in a body is never taken for a record: it does not know the salt.
#[test]
fn a_record_within_a_body_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut forged = Draft::default();
    forged.change(b"key", Some(b"forged"), None);
    let forged = forged.seal(b"guessed!", 2, 0).0.to_vec();
    let mut tail = Tail::create(dir.path(), STORE, SALT, 1, u32::MAX).unwrap();
    let mut draft = Draft::default();
    // Where records begin, after the head and a bit.
    draft.event(&[&[0; 4], &forged[..]].concat());
    draft.change(b"key", Some(&1_u64.to_be_bytes()), None);
    tail.append(&mut draft).unwrap();
    tail.close().unwrap();
    let path = segment(dir.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(read(dir.path(), None, 0).unwrap().0, Vec::<u64>::new());
}

/// Notes which files are synced.
#[derive(Default)]
struct Synced(std::sync::atomic::AtomicU64);

impl crate::SyncHook for Synced {
    fn before_sync(&self) -> std::io::Result<()> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }
}

/// What a process found when it opened the log it may show; so it makes it durable first, unless it is known to be.
#[test]
fn what_is_read_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let ends = write(dir.path(), 3, u32::MAX);
    let segments = Segments::look(dir.path(), STORE).unwrap();
    let error = segments.replay(ends[0], 4, &NoHook, &mut |_, _| Ok(())).unwrap_err();
    assert!(error.to_string().contains("it ends after write 3 of at least 4"), "{error}");
    for (from, sure, syncs) in [(0, 0, 1), (0, 2, 1), (0, 3, 0), (2, 0, 1), (3, 0, 0)] {
        let synced = Synced::default();
        segments.replay(ends[from], sure, &synced, &mut |_, _| Ok(())).unwrap();
        assert_eq!(synced.0.into_inner(), syncs, "from {from}, sure of {sure}");
    }
}
