//! Stores of version 1, as it wrote them, become stores of this version: all that was in them is.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use wflo_backends::SystemEntropy;
use wflo_journal::{
    Blobs, Created, Extras, Fault, FaultSync, Journal, MasterKey, OpenError, Prune, Sizes, SledStore,
    SyncHook,
};
use wflo_model::StoreId;
use wflo_ports::Entropy as _;

use crate::on_disk::{pairs, records, segments};
use crate::records::{Seen, counted, look, open as open_disk, parse, specimen};
use crate::support::{at, draft, entropy, raw_sled, run, small, try_raw_sled};

/// Groups that the store has written.
const WRITES: u64 = 41;

fn framed(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(value);
    [value, &crc.finalize().to_be_bytes()].concat()
}

/// The id and the master key of the golden store.
fn golden() -> (StoreId, MasterKey) {
    let (entropy, mut id, mut master) = (counted(), [0; 16], [0; 32]);
    entropy.fill(&mut id).unwrap();
    entropy.fill(&mut master).unwrap();
    (StoreId::from_bytes(id), MasterKey::new(master))
}

/// A state folder of version 1: the golden records as entries of sled's, and the golden blobs.
fn version_1(state: &Path, change: impl FnOnce(&sled::Db)) {
    let text = include_str!("golden/store-v1.txt");
    let image = parse(text);
    let (id, _) = golden();
    let generation = state.join("gen-0001");
    fs::create_dir_all(&generation).unwrap();
    let db = raw_sled(&generation);
    for (key, value) in image.records {
        db.insert(key, value).unwrap();
    }
    for (key, value) in [(&b"mwflo/marker"[..], &id.as_bytes()[..]), (b"mwflo/writes", &WRITES.to_be_bytes())]
    {
        db.insert(key, framed(key, value)).unwrap();
    }
    change(&db);
    db.flush().unwrap();
    drop(db);
    for (path, content) in image.blobs {
        let path = state.join("blobs").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::write(state.join("FORMAT"), format!("wflo store 1\nid {id}\n")).unwrap();
    fs::write(state.join("CURRENT"), "gen-0001\n").unwrap();
    fs::write(state.join("MARK"), format!("writes {}\n", WRITES - 1)).unwrap();
}

fn fresh() -> (TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    version_1(&state, |_| {});
    (dir, state)
}

async fn open(state: &Path, hook: Arc<dyn SyncHook>, sizes: Sizes) -> Result<Journal, OpenError> {
    let store = SledStore::open_sized(state, &SystemEntropy, hook, sizes)?;
    let blobs = Blobs::open(&state.join("blobs")).unwrap();
    Journal::open(Arc::new(store), blobs, golden().1, entropy()).await
}

async fn opened(state: &Path) -> Journal {
    open(state, Arc::new(FaultSync::at(0)), Sizes::default()).await.unwrap()
}

/// What the golden store says.
async fn truth() -> Seen {
    look(&open_disk(&specimen().await, entropy()).await.unwrap()).await
}

#[tokio::test]
async fn a_store_of_version_1_is_turned_into_one_of_this_version() {
    let truth = truth().await;
    let (_dir, state) = fresh();
    let journal = opened(&state).await;
    assert_eq!(look(&journal).await, truth);
    let format = fs::read_to_string(state.join("FORMAT")).unwrap();
    assert_eq!(format, format!("wflo store 3\nid {}\n", golden().0));
    assert!(!state.join("gen-0001").exists() && state.join("gen-0002/log").is_dir());
    let mut writer = journal.claim(run(1)).await.unwrap();
    writer.append(vec![draft("goes on")], Extras::default()).unwrap().ticket.durable().await.unwrap();
    drop((writer, journal));
    assert!(fs::read_to_string(state.join("MARK")).unwrap().starts_with("writes 4"), "numbers go on");

    let journal = opened(&state).await;
    assert_eq!(journal.read(run(1), 1).await.unwrap().last().unwrap().body, b"goes on");
    journal.prune(Prune { public: Some(HashSet::new()), ..Prune::default() }).await.unwrap();
    assert_eq!(journal.read(run(1), 1).await.unwrap().len(), 35);
    assert_eq!(journal.headers(run(2)).await.unwrap().len(), 1);
    let Created::Exists(found) =
        journal.create_run(run(9), Some("order 17"), vec![draft("")], Vec::new()).await.unwrap()
    else {
        panic!("the key is taken")
    };
    assert_eq!(found, run(1));
}

/// Every record is there to the byte, and every event still has the form it had.
#[test]
fn what_is_copied_is_the_same_to_the_byte() {
    let (_dir, state) = fresh();
    let sizes = small();
    drop(SledStore::open_sized(&state, &SystemEntropy, Arc::new(FaultSync::at(0)), sizes).unwrap());
    let mut found = pairs(&state);
    let (id, _) = golden();
    assert_eq!(found.remove(&b"mwflo/marker"[..]), Some(framed(b"mwflo/marker", id.as_bytes())));
    assert_eq!(found, parse(include_str!("golden/store-v1.txt")).records);
    let first = segments(&state).iter().flat_map(|path| records(path)).next().unwrap();
    assert_eq!(first.number, WRITES + 1);
}

/// The n-th sync fails, for every n, in every way: the store is of the one version or the other afterwards, and whole.
#[tokio::test]
async fn an_upgrade_that_is_cut_off_anywhere_loses_nothing() {
    let truth = truth().await;
    let (mut before, mut after) = (0, 0);
    for (n, fault) in (1..).flat_map(|n| [Fault::Lost, Fault::Late, Fault::Off].map(|fault| (n, fault))) {
        let (_dir, state) = fresh();
        let faults = Arc::new(FaultSync::new(n, fault));
        let cut = open(&state, Arc::clone(&faults) as _, small()).await.is_err();
        if !faults.has_struck() {
            assert!(!cut);
            break;
        }
        match fs::read_to_string(state.join("CURRENT")).unwrap().trim_end() {
            "gen-0001" => before += 1,
            _ => after += 1,
        }
        for _ in 0..2 {
            assert_eq!(look(&opened(&state).await).await, truth, "sync {n}, {fault:?}");
        }
        assert!(fs::read_to_string(state.join("FORMAT")).unwrap().starts_with("wflo store 3\n"));
    }
    assert!(before > 10 && after > 2, "{before} before the commit point, {after} after it");
}

#[tokio::test]
async fn an_upgrade_that_died_before_it_said_so_is_brought_to_its_end() {
    let truth = truth().await;
    let (_dir, state) = fresh();
    drop(opened(&state).await);
    fs::write(state.join("FORMAT"), format!("wflo store 1\nid {}\n", golden().0)).unwrap();
    fs::create_dir(state.join("gen-0001")).unwrap();
    fs::write(state.join("gen-0001/db"), "what version 1 left").unwrap();
    assert_eq!(look(&opened(&state).await).await, truth);
    assert!(fs::read_to_string(state.join("FORMAT")).unwrap().starts_with("wflo store 3\n"));
    assert!(!state.join("gen-0001").exists());
}

/// What was damaged stays so, and is named when it is read; what was not is as it was.
#[tokio::test]
async fn damage_is_taken_along_and_named() {
    let event = |seq: u64| [b"e", &run(1).as_bytes()[..], &seq.to_be_bytes()].concat();
    let dir = tempfile::tempdir().unwrap();
    version_1(dir.path(), |db| {
        db.remove(event(3)).unwrap();
        let mut damaged = db.get(event(7)).unwrap().unwrap().to_vec();
        damaged[20] ^= 1;
        db.insert(event(7), damaged).unwrap();
    });
    let journal = opened(dir.path()).await;
    let missing = journal.read(run(1), 1).await.unwrap_err().to_string();
    assert_eq!(missing, format!("record `e|{}|3` is corrupt: the event is missing", run(1)));
    let mut reader = journal.reader(run(1), 1).await.unwrap();
    assert!(reader.next().await.is_err());
    assert_eq!(journal.headers(run(2)).await.unwrap().len(), 1);
    assert_eq!(journal.due(at(99), 9).await.unwrap(), [run(1)]);
}

#[tokio::test]
async fn a_store_of_version_1_that_is_not_whole_is_refused_and_left_as_it_is() {
    type Damage = (&'static str, fn(&Path));
    let damages: [Damage; 6] = [
        ("`gen-0001/db` is missing", |state| fs::remove_dir_all(state.join("gen-0001")).unwrap()),
        ("`CURRENT` is missing", |state| fs::remove_file(state.join("CURRENT")).unwrap()),
        ("the database is empty", |state| {
            fs::remove_dir_all(state.join("gen-0001")).unwrap();
            try_raw_sled(&state.join("gen-0001")).unwrap().flush().unwrap();
        }),
        ("it ends after write 41 of at least 99", |state| {
            fs::write(state.join("MARK"), "writes 99\n").unwrap()
        }),
        ("another store", |state| {
            fs::write(state.join("FORMAT"), format!("wflo store 1\nid {}\n", "0".repeat(32))).unwrap();
        }),
        ("gen-0001", |state| fs::write(state.join("gen-0001/conf"), [0xff; 64]).unwrap()),
    ];
    for (expect, damage) in damages {
        let (_dir, state) = fresh();
        damage(&state);
        for _ in 0..2 {
            let error = open(&state, Arc::new(FaultSync::at(0)), Sizes::default()).await.unwrap_err();
            assert!(error.to_string().contains(expect), "{error}");
            assert!(fs::read_to_string(state.join("FORMAT")).unwrap().starts_with("wflo store 1\n"));
            assert!(!state.join("gen-0002").exists());
        }
    }
}

/// sled opens its files with no other size of segments than they were made with; the first versions made them larger.
#[tokio::test]
async fn a_generation_of_larger_segments_is_read() {
    let truth = truth().await;
    let (dir, state) = fresh();
    let (generation, large) = (state.join("gen-0001"), dir.path().join("large"));
    {
        let from = raw_sled(&generation);
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
    assert_eq!(look(&opened(&state).await).await, truth);
}
