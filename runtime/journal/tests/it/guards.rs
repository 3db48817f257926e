//! The guards around sled, and around the log above it: each against what was seen to go wrong without it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use wflo_backends::SystemEntropy;
use wflo_journal::{AppendError, OpenError, ReadError, SledStore, Store, SyncHook};

use crate::on_disk::{append_patch, edit};
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
    let data = fs::metadata(dir.path().join("gen-0001/log/00000001")).unwrap().ino();
    made(&store, 1).await;
    for head in 1..=5 {
        noted.0.lock().unwrap().clear();
        store.submit(append(1, 1, head, &["x"])).durable().await.unwrap();
        assert_eq!(*noted.0.lock().unwrap(), [data]);
    }
}

/// Guard 3: sled has no reason to keep anything apart, pages of ours and of its tree included.
#[tokio::test]
async fn the_largest_values_stay_in_the_file_that_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    for round in 0..1000 {
        store.put_meta(&format!("{round:0256}"), vec![7; 4092], Vec::new()).durable().await.unwrap();
    }
    drop(store);
    assert!(fs::metadata(dir.path().join("gen-0001/index/db")).unwrap().len() > 4 << 20);
    assert_eq!(files(&dir.path().join("gen-0001/index/blobs")), Vec::<PathBuf>::new());
    let store = open(dir.path()).unwrap();
    assert_eq!(store.meta(&format!("{:0256}", 7)).await.unwrap().unwrap(), [7; 4092]);
}

#[tokio::test]
async fn a_snapshot_that_a_crash_cut_short_is_removed() {
    let (_dir, state) = specimen().await;
    let index = state.join("gen-0001/index");
    let half = index.join("snap.00000000FFFFFFFF.generating");
    fs::write(&half, b"cut short").unwrap();
    fs::write(index.join("notes.generating"), b"not sled's").unwrap();
    assert!(raw(&index).is_err(), "sled alone takes it for a snapshot");
    let store = open(&state).unwrap();
    assert_eq!(events(&store, 1).await, ["1", "2", "3"]);
    assert!(!half.exists());
    assert!(index.join("notes.generating").exists(), "no other file is touched");
}

#[tokio::test]
async fn a_wiped_folder_is_refused() {
    type Wipe = fn(&Path);
    let wipes: [(&str, Wipe); 5] = [
        ("`gen-0001/log` is missing", |state| fs::remove_dir_all(state.join("gen-0001")).unwrap()),
        ("`gen-0001/log` is missing", |state| fs::remove_dir_all(state.join("gen-0001/log")).unwrap()),
        ("`log/00000001` is missing", |state| fs::remove_file(state.join("gen-0001/log/00000001")).unwrap()),
        ("`CURRENT` is missing", |state| fs::remove_file(state.join("CURRENT")).unwrap()),
        ("it ends after write 0 of at least 3", |state| {
            let log = state.join("gen-0001/log/00000001");
            fs::write(&log, &fs::read(&log).unwrap()[..64]).unwrap();
            fs::remove_dir_all(state.join("gen-0001/index")).unwrap();
        }),
    ];
    for (expect, wipe) in wipes {
        let (_dir, state) = specimen().await;
        wipe(&state);
        for _ in 0..2 {
            let error = open(&state).expect_err(expect);
            let is_refused = matches!(&error, OpenError::Wiped { .. } | OpenError::Corrupt { .. });
            assert!(is_refused && error.to_string().contains(expect), "{error}");
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
        (format.replace("store 3", "store 4"), "has format 4; this version knows 3"),
        (format.replace("store 3", "store 0"), "has format 0; this version knows 3"),
        (format.replace("wflo", "other"), "has no line `wflo store N`"),
        ("wflo store 3\n".to_owned(), "has no line `id STORE`"),
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
            fs::create_dir_all(dir.path().join("gen-0001/log")).unwrap();
            fs::write(dir.path().join("gen-0001/log/00000001"), b"half a file").unwrap();
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
    let generation = state.join("gen-0001");
    for dir in [&state, &generation, &generation.join("log"), &generation.join("index")] {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
    }
    let all = files(&state);
    assert!(all.len() >= 5, "{all:?}");
    for file in all {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// Whoever may write in the folder could put a key or a socket of their own there, whatever the rights to ours.
#[tokio::test]
async fn a_folder_that_others_could_write_in_is_taken_from_them() {
    let (_dir, state) = specimen().await;
    for mode in [0o777, 0o770, 0o755, 0o701] {
        fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
        drop(open(&state).unwrap());
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700, "{mode:o}");
    }
}

/// Opening looks at no run, for there may be many; whoever takes one over does.
#[tokio::test]
async fn a_row_and_events_that_do_not_fit_are_refused_when_the_run_is_claimed() {
    type Damage = fn(&mut BTreeMap<Vec<u8>, Vec<u8>>);
    let damages: [(Damage, u64); 3] = [
        (|pairs| drop(pairs.remove(&event_key(1, 3)).unwrap()), 3),
        (|pairs| drop(pairs.remove(&event_key(1, 1)).unwrap()), 1),
        (|pairs| drop(pairs.insert(event_key(1, 4), b"one too many".to_vec())), 4),
    ];
    for (damage, place) in damages {
        let (_dir, state) = specimen().await;
        edit(&state, damage);
        let store = open(&state).unwrap();
        let error = store.claim(run(1)).await.unwrap_err();
        assert!(matches!(error, AppendError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(&format!("`e|{}|{place}`", run(1))), "{error}");
        made(&store, 2).await;
    }
}

#[tokio::test]
async fn a_missing_or_damaged_event_is_named() {
    type Damage = fn(&mut BTreeMap<Vec<u8>, Vec<u8>>);
    let damages: [(Damage, &str); 3] = [
        (|pairs| drop(pairs.remove(&event_key(1, 2)).unwrap()), "the event is missing"),
        (
            |pairs| drop(pairs.insert(event_key(1, 2), b"something else".to_vec())),
            "the checksum does not fit",
        ),
        (
            |pairs| {
                let other = pairs[&event_key(1, 3)].clone();
                pairs.insert(event_key(1, 2), other);
            },
            "the checksum does not fit",
        ),
    ];
    for (damage, expect) in damages {
        let (_dir, state) = specimen().await;
        edit(&state, damage);
        let store = open(&state).unwrap();
        let error = store.read(run(1), 1, 9).await.unwrap_err();
        assert_eq!(error.to_string(), format!("record `e|{}|2` is corrupt: {expect}", run(1)));
        assert_eq!(store.read(run(1), 3, 9).await.unwrap(), [b"3"]);
    }
}

#[tokio::test]
async fn a_damaged_row_is_an_error_and_no_empty_store() {
    let (_dir, state) = specimen().await;
    let key = [&b"r"[..], run(1).as_bytes()].concat();
    edit(&state, |pairs| pairs.get_mut(&key).unwrap()[8] ^= 1);
    let store = open(&state).unwrap();
    let is_row = |key: &str| key == format!("r|{}", run(1));
    let error = store.run(run(1)).await.unwrap_err();
    assert!(matches!(&error, ReadError::Corrupt { key, .. } if is_row(key)), "{error}");
    let error = store.claim(run(1)).await.unwrap_err();
    assert!(matches!(&error, AppendError::Corrupt { key, .. } if is_row(key)), "{error}");
    assert!(store.runs(None, 9).await.is_err(), "never skipped");
}

/// sled's files may be damaged as they like: the log says all that they said.
#[tokio::test]
async fn an_index_that_is_damaged_or_gone_is_made_anew() {
    let (dir, state) = specimen().await;
    let index = state.join("gen-0001/index");
    let data = fs::read(index.join("db")).unwrap();
    let used = data.iter().rposition(|byte| *byte != 0).unwrap();
    type Damage = Box<dyn Fn(&Path)>;
    let mut damages: Vec<(String, Damage)> = vec![
        ("gone".into(), Box::new(|index| fs::remove_dir_all(index).unwrap())),
        ("without data".into(), Box::new(|index| fs::remove_file(index.join("db")).unwrap())),
        ("empty".into(), Box::new(|index| fs::write(index.join("db"), b"").unwrap())),
        ("settings".into(), Box::new(|index| fs::write(index.join("conf"), [0xff; 64]).unwrap())),
    ];
    for at in (0..used).step_by(used / 40) {
        let mut damaged = data.clone();
        damaged[at] ^= 0x55;
        let damage = move |index: &Path| fs::write(index.join("db"), &damaged).unwrap();
        damages.push((format!("byte {at}"), Box::new(damage)));
    }
    for (what, damage) in damages {
        let copy = dir.path().join("copy");
        let _ = fs::remove_dir_all(&copy);
        copy_dir(&state, &copy);
        damage(&copy.join("gen-0001/index"));
        for _ in 0..2 {
            let store = open(&copy).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(events(&store, 1).await, ["1", "2", "3"], "{what}");
        }
    }
}

/// Of an index that sled opens without a word, and that has lost what it was given last.
#[tokio::test]
async fn an_index_that_has_lost_something_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let old = dir.path().join("old");
    let put = async |n: u8| {
        let store = open(&state).unwrap();
        for i in 0..100 {
            store.put_meta(&format!("{n}-{i}"), vec![n; 4000], Vec::new()).durable().await.unwrap();
        }
    };
    put(1).await;
    copy_dir(&state.join("gen-0001/index"), &old);
    put(2).await;
    assert!(fs::read_to_string(state.join("MARK")).unwrap().contains("\ncheckpoint 3\n"));
    fs::remove_dir_all(state.join("gen-0001/index")).unwrap();
    fs::rename(&old, state.join("gen-0001/index")).unwrap();
    // An earlier one is as good as its standing; only what it was known to have seen can be amiss.
    let store = open(&state).unwrap();
    for n in 1..=2 {
        for i in 0..100 {
            assert_eq!(store.meta(&format!("{n}-{i}")).await.unwrap().unwrap(), [n; 4000]);
        }
    }
    drop(store);
    let mark = fs::read_to_string(state.join("MARK")).unwrap();
    assert!(mark.contains("\ncheckpoint 4\n"), "it was made anew: {mark}");
}

/// Damages the page of the rows in the index, where sled does not see it; gives its first byte as it was.
fn damage_the_page_of_rows(state: &Path) -> u8 {
    let db = raw(&state.join("gen-0001/index")).unwrap();
    let page = db.get(b"pr").unwrap().expect("rows have a page").to_vec();
    db.insert(b"pr", page.iter().map(|byte| byte ^ 1).collect::<Vec<_>>()).unwrap();
    db.flush().unwrap();
    page[0]
}

/// A page of the index that is damaged where sled does not see it: it is named, and gone when the store is opened next.
#[tokio::test]
async fn a_damaged_page_is_named_and_the_index_made_anew() {
    let (_dir, state) = specimen().await;
    // The specimen is too small for a checkpoint at its end: have it made anew, and whole.
    fs::remove_dir_all(state.join("gen-0001/index")).unwrap();
    drop(open(&state).unwrap());
    damage_the_page_of_rows(&state);
    let store = open(&state).unwrap();
    let error = store.run(run(1)).await.unwrap_err();
    let expect = format!("record `r|{}` is corrupt: the checksum of its page does not fit", run(1));
    assert_eq!(error.to_string(), expect);
    assert!(store.runs(None, 9).await.is_err(), "never skipped");
    drop(store);
    assert_eq!(events(&open(&state).unwrap(), 1).await, ["1", "2", "3"]);
}

/// The log says how a value differs from one that only the index has, in a page that is damaged.
#[tokio::test]
async fn an_index_that_is_found_damaged_while_the_log_is_read_is_made_anew() {
    let (_dir, state) = specimen().await;
    // Made anew, it has everything.
    fs::remove_dir_all(state.join("gen-0001/index")).unwrap();
    drop(open(&state).unwrap());
    append_patch(&state, &[&b"r"[..], run(1).as_bytes()].concat());
    let first = damage_the_page_of_rows(&state);
    let store = open(&state).unwrap();
    assert_eq!(store.run(run(1)).await.unwrap().unwrap().head, 3);
    assert_eq!(events(&store, 1).await, ["1", "2", "3"]);
    drop(store);
    let db = raw(&state.join("gen-0001/index")).unwrap();
    assert_eq!(db.get(b"pr").unwrap().expect("rows have a page")[0], first, "it was made anew");
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

    // Of a backup that mixes a later mark with an earlier log, what is missing is seen.
    fs::write(killed.join("MARK"), "writes 99\n").unwrap();
    let error = open(&killed).err().unwrap().to_string();
    assert!(error.contains("of at least 99"), "{error}");
    for damaged in ["", "writes x\n", "writes 3\ncheckpoint x\n"] {
        fs::write(killed.join("MARK"), damaged).unwrap();
        assert!(matches!(open(&killed), Err(OpenError::Corrupt { .. })), "{damaged}");
    }
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
