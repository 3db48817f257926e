//! The log under a store: what a crash may leave of it, and what is refused. Byte by byte, the log's own tests show it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use wflo_backends::SystemEntropy;
use wflo_journal::{Append, FaultSync, OpenError, Sizes, SledStore, Store, Touch};

use crate::on_disk::{FRONT, pairs, records, segments};
use crate::support::{append, at, create, events, files, made, run, small};

fn open(state: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(state, &SystemEntropy)
}

fn open_small(state: &Path) -> SledStore {
    SledStore::open_sized(state, &SystemEntropy, Arc::new(FaultSync::at(0)), small()).unwrap()
}

/// A state folder whose store has a run of three events in three groups; as a killed process leaves it, with a mark
/// from before it.
async fn killed() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let store = open(&state).unwrap();
    made(&store, 1).await;
    for head in 1..3 {
        store.submit(append(1, 1, head, &[&(head + 1).to_string()])).durable().await.unwrap();
    }
    drop(store);
    fs::remove_file(state.join("MARK")).unwrap();
    (dir, state)
}

/// Cuts the log after some bytes of its last record.
fn tear(state: &Path, keep: usize) {
    let log = segments(state).pop().unwrap();
    let last = records(&log).pop().unwrap();
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..last.at + keep]).unwrap();
}

#[tokio::test]
async fn a_record_that_is_cut_short_was_never_written() {
    for keep in [0, 1, 28, 100] {
        let (_dir, state) = killed().await;
        tear(&state, keep);
        for _ in 0..2 {
            assert_eq!(events(&open(&state).unwrap(), 1).await, ["1", "2"], "{keep} bytes");
        }
        let store = open(&state).unwrap();
        store.submit(append(1, 1, 2, &["again"])).durable().await.unwrap();
        drop(store);
        assert_eq!(events(&open(&state).unwrap(), 1).await, ["1", "2", "again"]);
    }
}

#[tokio::test]
async fn a_record_that_was_marked_and_is_cut_short_is_refused() {
    let (_dir, state) = killed().await;
    // A clean end, which marks.
    drop(open(&state).unwrap());
    let store = open(&state).unwrap();
    store.submit(append(1, 1, 3, &["4"])).durable().await.unwrap();
    drop(store);
    tear(&state, 100);
    let before = files(&state).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>();
    for _ in 0..2 {
        let error = open(&state).err().unwrap();
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("it ends after write 4 of at least 5"), "{error}");
    }
    for (content, path) in before {
        // sled writes when it is opened, and the lock says by whom it is held.
        let may_change = path.parent().unwrap().ends_with("index") || path.ends_with("lock");
        assert!(may_change || fs::read(&path).unwrap() == content, "{}", path.display());
    }
}

#[tokio::test]
async fn a_record_that_is_damaged_before_others_is_refused_with_its_place() {
    let (_dir, state) = killed().await;
    let log = segments(&state).remove(0);
    let record = records(&log).remove(1);
    let mut bytes = fs::read(&log).unwrap();
    bytes[record.at + 40] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let error = open(&state).err().unwrap();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    let expect =
        format!("record {} at byte {} is damaged: record 3 behind it is whole", record.number, record.at);
    assert!(error.to_string().contains(&expect), "{error}");
    assert_eq!(fs::read(&log).unwrap(), bytes, "nothing is changed");
}

/// What the index has taken in is not read again when the store is opened: damage there is found, and named, by whoever
/// reads the events.
#[tokio::test]
async fn an_event_that_is_damaged_behind_the_index_is_named_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path());
    made(&store, 1).await;
    store.submit(append(1, 1, 1, &["second", "third"])).durable().await.unwrap();
    store.submit(append(1, 1, 3, &["fourth"])).durable().await.unwrap();
    drop(store);
    for log in segments(dir.path()) {
        let bytes = fs::read(&log).unwrap();
        let place = bytes.windows(6).position(|it| it == b"second");
        if let Some(place) = place {
            let mut bytes = bytes;
            bytes[place] ^= 1;
            fs::write(&log, bytes).unwrap();
        }
    }
    let store = open_small(dir.path());
    let error = store.read(run(1), 1, 9).await.unwrap_err();
    let expect = format!("record `e|{}|2` is corrupt: the checksum does not fit", run(1));
    assert_eq!(error.to_string(), expect);
    assert_eq!(store.read(run(1), 3, 9).await.unwrap(), [&b"third"[..], b"fourth"]);
    store.submit(append(1, 1, 4, &["goes on"])).durable().await.unwrap();
}

#[tokio::test]
async fn a_segment_that_is_missing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path());
    made(&store, 1).await;
    for head in 1..20 {
        store.submit(append(1, 1, head, &[&"x".repeat(200)])).durable().await.unwrap();
    }
    drop(store);
    let all = segments(dir.path());
    assert!(all.len() > 4, "{all:?}");
    for (n, path) in (1..).zip(&all) {
        let aside = dir.path().join("aside");
        fs::rename(path, &aside).unwrap();
        let error = open(dir.path()).err().unwrap().to_string();
        let expect = if n == all.len() { "what is there was durable" } else { "is missing" };
        assert!(error.contains(expect), "segment {n}: {error}");
        fs::rename(&aside, path).unwrap();
    }
    assert_eq!(events(&open(dir.path()).unwrap(), 1).await.len(), 20);
}

/// A crash between any two groups, and a checkpoint that has not ended: the log has everything, whatever the index has.
#[tokio::test]
async fn an_index_from_any_earlier_time_comes_to_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let store = open_small(&state);
    let mut kept = Vec::new();
    for n in 1..=12_u8 {
        made(&store, n).await;
        for head in 1..4 {
            let due = Some((head < 3).then(|| at(u64::from(n) * 10 + head)));
            let touched = vec![Touch { step: "step".parse().unwrap(), item: None, seq: head + 1 }];
            let body = "body ".repeat(40);
            let append = Append { due, touched, ended: Some(head == 3), ..append(n, 1, head, &[&body]) };
            store.submit(append).durable().await.unwrap();
        }
        let copy = dir.path().join(format!("index-{n}"));
        copy_dir(&state.join("gen-0001/index"), &copy);
        kept.push(copy);
    }
    drop(store);
    let truth = pairs(&state);
    fs::remove_file(state.join("MARK")).unwrap();
    for copy in kept {
        fs::remove_dir_all(state.join("gen-0001/index")).unwrap();
        fs::rename(&copy, state.join("gen-0001/index")).unwrap();
        let store = open(&state).unwrap();
        assert_eq!(store.runs(None, 99).await.unwrap().len(), 12);
        for n in 1..=12 {
            assert_eq!(events(&store, n).await.len(), 4, "{}", copy.display());
            let row = store.run(run(n)).await.unwrap().unwrap();
            assert!(row.ended && row.due.is_none() && row.head == 4);
        }
        assert_eq!(store.due(at(u64::MAX), 99).await.unwrap(), []);
        assert_eq!(store.unfinished(None, 99).await.unwrap(), []);
        drop(store);
        assert_eq!(pairs(&state), truth, "the log is as it was");
        fs::remove_file(state.join("MARK")).unwrap();
    }
}

/// A log of more records than are wanted in memory at a time.
#[tokio::test]
async fn an_index_is_made_anew_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for n in 0..200 {
        store.create_run(create(n, Some(&format!("key {n}")), &["1", "2"])).await.unwrap();
    }
    drop(store);
    fs::remove_dir_all(dir.path().join("gen-0001/index")).unwrap();
    for _ in 0..2 {
        let store = open_small(dir.path());
        for n in 0..200 {
            assert_eq!(events(&store, n).await, ["1", "2"]);
            assert_eq!(store.by_key(format!("key {n}").as_bytes()).await.unwrap(), Some(run(n)));
        }
    }
}

/// The largest group there is, and a run of many blocks, across segments and generations.
#[tokio::test]
async fn long_runs_are_read_wherever_their_events_lie() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path());
    let body = |seq: u64| seq.to_string().repeat(1 + (seq as usize * 37) % 90).into_bytes();
    store.create_run(create(1, None, &[])).await.unwrap();
    let mut head = 0;
    for size in (1..40).chain([300, 33, 64, 1]) {
        let events = (head + 1..=head + size).map(body).collect();
        let other = store.create_run(create(100 + (head % 100) as u8, None, &["between"])).await;
        drop(other);
        store.submit(Append { events, ..append(1, 1, head, &[]) }).durable().await.unwrap();
        head += size;
    }
    let expect = (1..=head).map(body).collect::<Vec<_>>();
    let look = async |store: &SledStore| {
        assert_eq!(store.read(run(1), 1, usize::MAX).await.unwrap(), expect);
        for from in [1, 2, 31, 32, 33, 64, 65, 500, head] {
            let some = store.read(run(1), from, 40).await.unwrap();
            let end = expect.len().min(from as usize + 39);
            assert_eq!(some, expect[from as usize - 1..end], "from {from}");
        }
    };
    look(&store).await;
    drop(store);
    let store = open_small(dir.path());
    look(&store).await;
    store.prune(Box::new(Keep)).await.unwrap();
    look(&store).await;
    drop(store);
    look(&open(dir.path()).unwrap()).await;
    assert_eq!(records(&segments(dir.path())[0])[0].at, FRONT);
}

struct Keep;

impl wflo_journal::Sieve for Keep {
    fn run(
        &mut self,
        _: wflo_model::RunId,
        _: &wflo_journal::RunRow,
    ) -> Result<wflo_journal::Fate, wflo_journal::PruneError> {
        Ok(wflo_journal::Fate::Keep)
    }

    fn event(
        &mut self,
        _: wflo_model::RunId,
        _: u64,
        record: Vec<u8>,
    ) -> Result<Vec<u8>, wflo_journal::PruneError> {
        Ok(record)
    }
}

/// Nothing that a killed process leaves is in the way of the sizes another one wants.
#[tokio::test]
async fn sizes_are_no_part_of_the_format() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let store = match round % 2 {
            0 => open_small(dir.path()),
            _ => open(dir.path()).unwrap(),
        };
        made(&store, round).await;
        store.submit(append(round, 1, 1, &[&"x".repeat(600)])).durable().await.unwrap();
        assert_eq!(store.runs(None, 9).await.unwrap().len(), 1 + usize::from(round));
    }
    assert_eq!(Sizes::default().segment, 64 << 20);
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}
