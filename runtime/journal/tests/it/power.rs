//! Power loss: bytes survive only where they were synced, and of those written since then any part may be there.
//!
//! The model stands in for a machine whose power is cut. What a `sync_data` of a segment of the log, or of the index's
//! file, has seen is durable; a copy of the folder is what a new machine finds, with the file as it was then, and of
//! every sector that has changed since either the old or the new content. All other files are ones that wflo syncs
//! before it relies on them, and are copied as they are.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use wflo_backends::SystemEntropy;
use wflo_journal::{
    Blobs, Created, Extras, Journal, MasterKey, Prune, ReadError, Sizes, SledStore, SyncHook,
};

use crate::on_disk::pairs;
use crate::support::{draft, entropy, raw_sled, run, try_raw_sled};

/// What a disk writes whole.
const SECTOR: usize = 512;
/// Power losses of each test.
const ROUNDS: u64 = 12;

/// Remembers what is durable of each file, by its inode. Nothing is really synced.
struct Power {
    /// Without it, the guard is off: what the database syncs by itself is all there is.
    guarded: bool,
    durable: Mutex<HashMap<u64, Vec<u8>>>,
}

impl Power {
    fn new(guarded: bool) -> Arc<Self> {
        Arc::new(Self { guarded, durable: Mutex::default() })
    }

    /// The file as it is after the power was cut.
    fn cut(&self, path: &Path, seed: u64) -> Vec<u8> {
        let now = fs::read(path).unwrap();
        let inode = fs::metadata(path).unwrap().ino();
        let durable = self.durable.lock().unwrap();
        let synced = match durable.get(&inode) {
            Some(synced) => synced.clone(),
            // The making of a store syncs its first files without asking the hook; any other must ask.
            None if path.ends_with("gen-0001/log/00000001") || path.ends_with("gen-0001/index/db") => {
                return now;
            }
            None => Vec::new(),
        };
        let mut random = seed;
        let mut after = synced;
        after.resize(now.len().max(after.len()), 0);
        for (sector, new) in now.chunks(SECTOR).enumerate() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if random >> 63 == 1 {
                after[sector * SECTOR..][..new.len()].copy_from_slice(new);
            }
        }
        after
    }

    /// The folder as a new machine finds it.
    fn cut_all(&self, from: &Path, to: &Path, seed: u64) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
            if from.is_dir() {
                self.cut_all(&from, &to, seed);
            } else if from.ends_with("db") || from.parent().is_some_and(|folder| folder.ends_with("log")) {
                fs::write(to, self.cut(&from, seed)).unwrap();
            } else if let Ok(content) = fs::read(&from) {
                // Temporary files may go while we look.
                fs::write(to, content).unwrap();
            }
        }
    }
}

impl SyncHook for Power {
    fn sync_data(&self, file: &File) -> io::Result<()> {
        let inode = file.metadata()?.ino();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
        let mut durable = self.durable.lock().unwrap();
        if self.guarded || !durable.contains_key(&inode) {
            durable.insert(inode, fs::read(path)?);
        }
        Ok(())
    }
}

/// Small parts, so that there are many segments, and checkpoints all the while.
fn small() -> Sizes {
    let mut sizes = Sizes::default();
    (sizes.segment, sizes.checkpoint, sizes.at_the_end) = (32 << 10, 16 << 10, 1);
    sizes
}

async fn open(state: &Path, hook: Option<Arc<dyn SyncHook>>) -> Result<Journal, String> {
    let store = match hook {
        Some(hook) => SledStore::open_sized(state, &SystemEntropy, hook, small()),
        None => SledStore::open(state, &SystemEntropy),
    };
    let store = store.map_err(|error| error.to_string())?;
    let blobs = Blobs::open(&state.join("blobs")).map_err(|error| error.to_string())?;
    let journal = Journal::open(Arc::new(store), blobs, MasterKey::new([3; 32]), entropy()).await;
    journal.map_err(|error| error.to_string())
}

/// Opens what the power has left: of each run there are all events, or all but the last `doubt`.
async fn whole(state: &Path, heads: &[u64], doubt: u64) -> Result<(), String> {
    let journal = open(state, None).await?;
    for (n, head) in (0..).zip(heads) {
        let error = |error: ReadError| format!("run {n}: {error}");
        let found = journal.read(run(n), 1).await.map_err(error)?.len() as u64;
        if found != *head - doubt && found != *head {
            return Err(format!("run {n} has {found} events of {head}"));
        }
    }
    Ok(())
}

/// Writes small and large bodies, and prunes in between, cutting the power after every few of them; gives the rounds
/// in which something was lost that had been acknowledged.
async fn losses(guarded: bool) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let power = Power::new(guarded);
    let journal = open(&state, Some(Arc::clone(&power) as _)).await.unwrap();
    let mut acknowledged = Vec::new();
    let mut writers = Vec::new();
    let mut lost = 0;
    for round in 0..ROUNDS {
        if round % 4 == 3 {
            journal.prune(Prune::default()).await.unwrap();
            // The new generation must be durable by itself, not by the next append.
            let after = dir.path().join(format!("pruned-{round}"));
            power.cut_all(&state, &after, round);
            let whole = whole(&after, &acknowledged, 0).await;
            assert!(!guarded || whole.is_ok(), "round {round}, after pruning: {whole:?}");
        }
        let n = u8::try_from(round).unwrap();
        let made = journal.create_run(run(n), None, vec![draft("1")], Vec::new()).await.unwrap();
        let Created::New(writer) = made else { panic!("no key was given") };
        writers.push(writer);
        acknowledged.push(1);
        for (writer, head) in writers.iter_mut().zip(&mut acknowledged) {
            for size in [10, 3000, 9000] {
                let body = vec![n; size];
                let appended = writer.append(vec![draft(body)], Extras::default()).unwrap();
                appended.ticket.durable().await.unwrap();
                *head += 1;
            }
        }
        // More is under way when the power goes.
        let under_way = writers.iter_mut().map(|writer| {
            writer.append(vec![draft("x"), draft("y".repeat(3000))], Extras::default()).unwrap().ticket
        });
        let under_way = under_way.collect::<Vec<_>>();
        let after = dir.path().join(format!("after-{round}"));
        power.cut_all(&state, &after, round);
        for (ticket, head) in under_way.into_iter().zip(&mut acknowledged) {
            ticket.durable().await.unwrap();
            *head += 2;
        }
        let whole = whole(&after, &acknowledged, 2).await;
        assert!(!guarded || whole.is_ok(), "round {round}: {whole:?}");
        lost += u64::from(whole.is_err());
        fs::remove_dir_all(after).unwrap();
    }
    lost
}

/// Guard 1, and all that is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_power_goes() {
    assert_eq!(losses(true).await, 0);
}

/// Its specimen: where what was written is not synced, every round loses something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_our_own_sync_acknowledged_events_are_lost() {
    assert_eq!(losses(false).await, ROUNDS);
}

/// The specimen of guard 3: sled keeps a large value in a file of its own, which nobody syncs. Where the power takes
/// that file, the value is lost, though `flush` and a sync of the database's file came after it.
#[tokio::test]
async fn without_the_limit_large_values_are_lost_when_the_power_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sled");
    {
        let db = sled::Config::new().path(&path).flush_every_ms(None).open().unwrap();
        db.insert("large", vec![7; 300 << 10]).unwrap();
        db.insert("small", vec![7; 4096]).unwrap();
        db.flush().unwrap();
        File::open(path.join("db")).unwrap().sync_all().unwrap();
    }
    let apart =
        fs::read_dir(path.join("blobs")).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(apart.len(), 1, "the large one and not the small one");
    fs::remove_file(&apart[0]).unwrap();
    let config = sled::Config::new().path(&path).flush_every_ms(None);
    let look = std::panic::AssertUnwindSafe(|| config.open().and_then(|db| db.get("large")));
    let found = std::panic::catch_unwind(look);
    let whole = matches!(&found, Ok(Ok(Some(value))) if value.len() == 300 << 10);
    assert!(!whole, "the value is lost: {found:?}");
}

/// Guard 5 with its specimen: sled's file stays large when all in it was removed, by how much is left to its threads, and
/// a new generation is as large as what lives.
#[tokio::test]
async fn deleting_gives_no_space_back_and_a_new_generation_does() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let journal = open(&state, Some(Power::new(true))).await.unwrap();
    let mut heads = HashMap::new();
    for n in 0..20 {
        let drafts = (0..250).map(|_| draft(vec![n; 3000])).collect();
        assert!(matches!(journal.create_run(run(n), None, drafts, Vec::new()).await, Ok(Created::New(_))));
        heads.insert(run(n), 250);
    }
    drop(journal);
    let size = |generation: &str| {
        let log = fs::read_dir(state.join(generation).join("log")).unwrap();
        log.map(|entry| entry.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    let full = size("gen-0001");
    assert!(full > 20 * 250 * 3000, "{full}");

    // What a generation of version 1 was: every event an entry of sled's.
    let entries = dir.path().join("entries");
    let db = raw_sled(&entries);
    for (key, value) in pairs(&state) {
        db.insert(key, value).unwrap();
    }
    db.flush().unwrap();
    drop(db);
    let db = raw_sled(&entries);
    for key in db.iter().keys() {
        db.remove(key.unwrap()).unwrap();
    }
    db.flush().unwrap();
    drop(db);
    drop(try_raw_sled(&entries).unwrap());
    let emptied = fs::metadata(entries.join("db")).unwrap().len();

    heads.remove(&run(7));
    let journal = open(&state, None).await.unwrap();
    let pruned = journal.prune(Prune { runs: heads, public: None }).await.unwrap();
    assert_eq!(pruned.runs, 19);
    let lives = size("gen-0002");
    assert!(lives < full / 8, "{lives} of {full}");
    assert!(emptied > 4 * lives, "{emptied} bytes of no events; one run of them has {lives}");
    assert!(!state.join("gen-0001").exists());
    assert!(pruned.bytes > full / 2);
    assert_eq!(journal.read(run(7), 1).await.unwrap().len(), 250);
}
