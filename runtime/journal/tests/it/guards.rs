//! The guards around sled: each against what was seen to go wrong without it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use wflo_backends::SystemEntropy;
use wflo_journal::{Append, AppendError, OpenError, ReadError, SledStore, Store, SyncHook};

use crate::support::{append, events, files, made, run, try_raw_sled as raw};

fn open(state: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(state, &SystemEntropy)
}

/// A state folder whose store has a run of three events.
async fn specimen() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let store = open(&state).unwrap();
    made(&store, 1).await;
    store.submit(append(1, 1, 1, &["2", "3"])).durable().await.unwrap();
    (dir, state)
}

fn event_key(n: u8, seq: u64) -> Vec<u8> {
    [&b"e"[..], run(n).as_bytes(), &seq.to_be_bytes()].concat()
}

/// Notes the files that are synced.
#[derive(Default)]
struct Noted(Mutex<Vec<u64>>);

impl SyncHook for Noted {
    fn sync_data(&self, file: &fs::File) -> std::io::Result<()> {
        self.0.lock().unwrap().push(file.metadata()?.ino());
        file.sync_data()
    }
}

#[tokio::test]
async fn every_group_is_synced_before_it_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let noted = Arc::new(Noted::default());
    let store = SledStore::open_with(dir.path(), &SystemEntropy, Arc::clone(&noted) as _).unwrap();
    let data = fs::metadata(dir.path().join("gen-0001/db")).unwrap().ino();
    made(&store, 1).await;
    for head in 1..=5 {
        noted.0.lock().unwrap().clear();
        store.submit(append(1, 1, head, &["x"])).durable().await.unwrap();
        assert_eq!(*noted.0.lock().unwrap(), [data]);
    }
}

/// Guard 3: sled has no reason to keep anything apart, pages of its tree included.
#[tokio::test]
async fn the_largest_values_stay_in_the_file_that_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    made(&store, 1).await;
    for round in 0..10 {
        let events = vec![vec![7; 4092]; 200];
        let append = Append { events, ..append(1, 1, 1 + 200 * round, &[]) };
        store.submit(append).durable().await.unwrap();
    }
    assert!(fs::metadata(dir.path().join("gen-0001/db")).unwrap().len() > 8 << 20);
    assert_eq!(files(&dir.path().join("gen-0001/blobs")), Vec::<PathBuf>::new());
}

/// sled opens its files with no other size of segments than they were made with; earlier versions made them larger.
#[tokio::test]
async fn a_generation_of_larger_segments_opens() {
    let (_dir, state) = specimen().await;
    let (generation, large) = (state.join("gen-0001"), state.join("large"));
    {
        let from = raw(&generation).unwrap();
        let config = sled::Config::new().path(&large).segment_size(16 << 20).flush_every_ms(None);
        let to = config.open().unwrap();
        for pair in from.iter() {
            let (key, value) = pair.unwrap();
            to.insert(key, value).unwrap();
        }
        to.flush().unwrap();
    }
    fs::remove_dir_all(&generation).unwrap();
    fs::rename(&large, &generation).unwrap();
    let store = open(&state).unwrap();
    assert_eq!(events(&store, 1).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_snapshot_that_a_crash_cut_short_is_removed() {
    let (_dir, state) = specimen().await;
    let generation = state.join("gen-0001");
    let half = generation.join("snap.00000000FFFFFFFF.generating");
    fs::write(&half, b"cut short").unwrap();
    fs::write(generation.join("notes.generating"), b"not sled's").unwrap();
    assert!(raw(&generation).is_err(), "sled alone takes it for a snapshot");
    let store = open(&state).unwrap();
    assert_eq!(events(&store, 1).await, ["1", "2", "3"]);
    assert!(!half.exists());
    assert!(generation.join("notes.generating").exists(), "no other file is touched");
}

#[tokio::test]
async fn a_wiped_folder_is_refused() {
    type Wipe = fn(&Path);
    let wipes: [(&str, Wipe); 4] = [
        ("`gen-0001/db` is missing", |state| fs::remove_dir_all(state.join("gen-0001")).unwrap()),
        ("`gen-0001/db` is missing", |state| fs::remove_file(state.join("gen-0001/db")).unwrap()),
        ("`CURRENT` is missing", |state| fs::remove_file(state.join("CURRENT")).unwrap()),
        ("the database is empty", |state| {
            fs::remove_dir_all(state.join("gen-0001")).unwrap();
            raw(&state.join("gen-0001")).unwrap().flush().unwrap();
        }),
    ];
    for (expect, wipe) in wipes {
        let (_dir, state) = specimen().await;
        wipe(&state);
        for _ in 0..2 {
            let error = open(&state).err().expect(expect);
            assert!(matches!(&error, OpenError::Wiped { what, .. } if what.contains(expect)), "{error}");
        }
    }
}

#[tokio::test]
async fn the_database_of_another_store_is_refused() {
    let (_one, one) = specimen().await;
    let (_two, two) = specimen().await;
    fs::rename(two.join("gen-0001"), two.join("away")).unwrap();
    fs::rename(one.join("gen-0001"), two.join("gen-0001")).unwrap();
    let error = open(&two).err().unwrap();
    assert!(error.to_string().contains("another store"), "{error}");
}

#[tokio::test]
async fn a_folder_of_another_format_is_refused() {
    let (_dir, state) = specimen().await;
    let format = fs::read_to_string(state.join("FORMAT")).unwrap();
    for (text, expect) in [
        (format.replace("store 1", "store 2"), "has format 2; this version knows 1"),
        (format.replace("wflo", "other"), "has no line `wflo store N`"),
        ("wflo store 1\n".to_owned(), "has no line `id STORE`"),
    ] {
        fs::write(state.join("FORMAT"), text).unwrap();
        let error = open(&state).err().unwrap();
        assert!(error.to_string().contains(expect), "{error}");
    }
    fs::write(state.join("FORMAT"), &format).unwrap();
    fs::write(state.join("CURRENT"), "../elsewhere\n").unwrap();
    assert!(matches!(open(&state).err(), Some(OpenError::NotAStore { .. })));
    fs::remove_file(state.join("FORMAT")).unwrap();
    let error = open(&state).err().unwrap();
    assert!(error.to_string().contains("`FORMAT` is missing"), "{error}");
}

#[tokio::test]
async fn a_store_whose_making_was_cut_short_is_made_anew() {
    // As left by a crash at each point of the making.
    for (generation, current) in [(false, false), (true, false), (true, true)] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("creating"), b"").unwrap();
        if generation {
            fs::create_dir(dir.path().join("gen-0001")).unwrap();
            fs::write(dir.path().join("gen-0001/db"), b"half a file").unwrap();
        }
        if current {
            fs::write(dir.path().join("CURRENT"), b"gen-0001\n").unwrap();
        }
        let store = open(dir.path()).unwrap();
        made(&store, 1).await;
        assert!(!dir.path().join("creating").exists());
        drop(store);
        assert_eq!(events(&open(dir.path()).unwrap(), 1).await, ["1"]);
    }
}

#[tokio::test]
async fn a_second_store_in_the_same_folder_is_refused() {
    let (_dir, state) = specimen().await;
    let store = open(&state).unwrap();
    let error = open(&state).err().unwrap();
    let me = std::process::id();
    assert!(matches!(error, OpenError::Locked { by: Some(by), .. } if by == me));
    assert!(error.to_string().contains(&format!("in use by process {me}")));
    drop(store);
    open(&state).unwrap();
}

#[tokio::test]
async fn everything_is_for_its_owner_only() {
    let (_dir, state) = specimen().await;
    let _store = open(&state).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for dir in [&state, &state.join("gen-0001"), &state.join("gen-0001/blobs")] {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
    }
    let all = files(&state);
    assert!(all.len() >= 5, "{all:?}");
    for file in all {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// Opening looks at no run, for there may be many; whoever takes one over does.
#[tokio::test]
async fn a_row_and_events_that_do_not_fit_are_refused_when_the_run_is_claimed() {
    type Damage = fn(&sled::Db);
    let damages: [(Damage, u64); 3] = [
        (|db| drop(db.remove(event_key(1, 3)).unwrap()), 3),
        (|db| drop(db.remove(event_key(1, 1)).unwrap()), 1),
        (|db| drop(db.insert(event_key(1, 4), b"one too many").unwrap()), 4),
    ];
    for (damage, place) in damages {
        let (_dir, state) = specimen().await;
        let db = raw(&state.join("gen-0001")).unwrap();
        damage(&db);
        db.flush().unwrap();
        drop(db);
        let store = open(&state).unwrap();
        let error = store.claim(run(1)).await.unwrap_err();
        assert!(matches!(error, AppendError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(&format!("`e|{}|{place}`", run(1))), "{error}");
        made(&store, 2).await;
    }
}

#[tokio::test]
async fn a_missing_or_damaged_event_is_named() {
    type Damage = fn(&sled::Db);
    let damages: [(Damage, &str); 3] = [
        (|db| drop(db.remove(event_key(1, 2)).unwrap()), "the event is missing"),
        (|db| drop(db.insert(event_key(1, 2), b"something else").unwrap()), "the checksum does not fit"),
        (
            |db| {
                let other = db.get(event_key(1, 3)).unwrap().unwrap();
                db.insert(event_key(1, 2), other).unwrap();
            },
            "the checksum does not fit",
        ),
    ];
    for (damage, expect) in damages {
        let (_dir, state) = specimen().await;
        let db = raw(&state.join("gen-0001")).unwrap();
        damage(&db);
        db.flush().unwrap();
        drop(db);
        let store = open(&state).unwrap();
        let error = store.read(run(1), 1, 9).await.unwrap_err();
        assert_eq!(error.to_string(), format!("record `e|{}|2` is corrupt: {expect}", run(1)));
        assert_eq!(store.read(run(1), 3, 9).await.unwrap(), [b"3"]);
    }
}

#[tokio::test]
async fn a_damaged_row_is_an_error_and_no_empty_store() {
    let (_dir, state) = specimen().await;
    let db = raw(&state.join("gen-0001")).unwrap();
    let key = [&b"r"[..], run(1).as_bytes()].concat();
    let mut row = db.get(&key).unwrap().unwrap().to_vec();
    row[8] ^= 1;
    db.insert(key, row).unwrap();
    db.flush().unwrap();
    drop(db);
    let store = open(&state).unwrap();
    let is_row = |key: &str| key == format!("r|{}", run(1));
    let error = store.run(run(1)).await.unwrap_err();
    assert!(matches!(&error, ReadError::Corrupt { key, .. } if is_row(key)), "{error}");
    let error = store.claim(run(1)).await.unwrap_err();
    assert!(matches!(&error, AppendError::Corrupt { key, .. } if is_row(key)), "{error}");
    assert!(store.runs(None, 9).await.is_err(), "never skipped");
}

#[tokio::test]
async fn damaged_files_are_an_error_and_no_panic() {
    let (_dir, state) = specimen().await;
    let conf = state.join("gen-0001/conf");
    fs::write(&conf, vec![0xff; 64]).unwrap();
    let error = open(&state).err().unwrap();
    assert!(matches!(error, OpenError::Corrupt { .. } | OpenError::Io { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_log_is_not_taken_for_one_that_a_crash_cut_off() {
    let (dir, state) = specimen().await;
    let data = state.join("gen-0001/db");
    let whole = fs::read(&data).unwrap();
    // The log of sled fills its first bytes; what comes after is space.
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let (mut refused, mut lost_by_sled) = (0, 0);
    for at in (0..used).step_by(used / 40) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&data, &damaged).unwrap();
        let without = dir.path().join("without");
        let _ = fs::remove_dir_all(&without);
        copy_dir(&state, &without);
        fs::remove_file(without.join("MARK")).unwrap();
        // What sled does by itself: it drops what comes after, and says nothing.
        if let Ok(store) = open(&without) {
            let kept = store.read(run(1), 1, 10).await.map(|events| events.len());
            lost_by_sled += usize::from(!matches!(kept, Ok(3)));
        }
        match open(&state) {
            Ok(store) => match store.read(run(1), 1, 10).await {
                Ok(read) => assert_eq!(read, [b"1", b"2", b"3"], "damaged at {at}"),
                Err(ReadError::Corrupt { .. }) => refused += 1,
                Err(other) => panic!("damaged at {at}: {other}"),
            },
            Err(OpenError::Corrupt { .. } | OpenError::Wiped { .. } | OpenError::Read(_)) => refused += 1,
            Err(other) => panic!("damaged at {at}: {other}"),
        }
    }
    assert!(refused > 0, "nothing was damaged");
    assert!(lost_by_sled > 0, "the guard is against nothing");
}

#[tokio::test]
async fn a_store_that_was_killed_is_marked_from_before() {
    let (dir, state) = specimen().await;
    let marked = fs::read_to_string(state.join("MARK")).unwrap();
    let store = open(&state).unwrap();
    store.submit(append(1, 1, 3, &["4"])).durable().await.unwrap();
    // As it is when the process is killed now: the mark is an older one, and the store is whole.
    let killed = dir.path().join("killed");
    copy_dir(&state, &killed);
    drop(store);
    assert_eq!(fs::read_to_string(killed.join("MARK")).unwrap(), marked);
    assert_ne!(fs::read_to_string(state.join("MARK")).unwrap(), marked, "a clean end marks anew");
    assert_eq!(events(&open(&killed).unwrap(), 1).await, ["1", "2", "3", "4"]);

    // Of a backup that mixes a later mark with an earlier database, what is missing is seen.
    fs::write(killed.join("MARK"), "writes 99\n").unwrap();
    let error = open(&killed).err().unwrap().to_string();
    assert!(error.contains("of at least 99"), "{error}");
    fs::write(killed.join("MARK"), "").unwrap();
    assert!(matches!(open(&killed), Err(OpenError::Corrupt { .. })));
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
