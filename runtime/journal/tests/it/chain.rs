//! The journal above the store: chain, seals, blobs, keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use wflo_backends::SystemEntropy;
use wflo_journal::{
    AppendError, BlobError, Blobs, Created, Draft, Entry, Extras, FaultSync, Journal, MAX_BODY, MAX_SUMMARY,
    MasterKey, MasterKeyError, MemoryStore, OpenError, ReadError, RunWriter, SledStore, Store,
};
use wflo_model::{Content, Digest, StoreId};

use crate::on_disk::edit;
use crate::support::{at, draft, entropy, files, run};

async fn in_memory() -> Journal {
    Journal::in_memory(entropy()).await.unwrap()
}

async fn in_folder(dir: &Path) -> Journal {
    Journal::open_state(dir, None, entropy()).await.unwrap()
}

async fn new_run(journal: &Journal, n: u8, drafts: Vec<Draft>) -> RunWriter {
    match journal.create_run(run(n), None, drafts, b"summary".to_vec()).await.unwrap() {
        Created::New(writer) => writer,
        Created::Exists(_) => panic!("no key was given"),
    }
}

async fn add(writer: &mut RunWriter, drafts: Vec<Draft>) {
    writer.append(drafts, Extras::default()).unwrap().ticket.durable().await.unwrap();
}

fn bodies(entries: &[Entry]) -> Vec<&[u8]> {
    entries.iter().map(|entry| &entry.body[..]).collect()
}

#[tokio::test]
async fn events_come_back_chained_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let journal = in_folder(dir.path()).await;
    let mut writer = new_run(&journal, 1, vec![draft("a")]).await;
    let full = Draft {
        time: at(50),
        kind: 9,
        step: Some("analyze".parse().unwrap()),
        item: Some(3),
        attempt: 2,
        ordinal: 4,
        body: b"b".to_vec(),
    };
    let early = Draft { time: at(20), ..draft("c") };
    let appended = writer.append(vec![full.clone(), early], Extras::default()).unwrap();
    appended.ticket.durable().await.unwrap();
    let id = journal.store_id();
    drop((journal, writer));

    let journal = in_folder(dir.path()).await;
    assert_eq!(journal.store_id(), id);
    let entries = journal.read(run(1), 1).await.unwrap();
    assert_eq!(bodies(&entries), [b"a", b"b", b"c"]);
    assert_eq!(appended.headers, entries[1..].iter().map(|entry| entry.header.clone()).collect::<Vec<_>>());
    let header = &entries[1].header;
    assert_eq!((header.run, header.seq, header.fence, header.time), (run(1), 2, 1, at(50)));
    assert_eq!((header.kind, &header.step, header.item), (9, &full.step, Some(3)));
    assert_eq!((header.attempt, header.ordinal), (2, 4));
    assert_eq!(entries[2].header.time, at(50), "time never goes back");
    assert_eq!(entries[0].header.prev, Digest::ZERO);
    for pair in entries.windows(2) {
        assert_eq!(pair[0].header.hash(), pair[0].hash);
        assert_eq!(pair[1].header.prev, pair[0].hash);
    }
    for from in 0..=5 {
        let expect = &entries[usize::try_from(from).unwrap().clamp(1, 4) - 1..];
        assert_eq!(journal.read(run(1), from).await.unwrap(), expect, "from {from}");
    }
}

#[tokio::test]
async fn a_long_run_is_read_page_by_page() {
    let journal = in_memory().await;
    let mut writer = new_run(&journal, 1, Vec::new()).await;
    let drafts = (0..1000).map(|n| draft(n.to_string()));
    add(&mut writer, drafts.collect()).await;
    let mut reader = journal.reader(run(1), 700).await.unwrap();
    assert_eq!(reader.head(), 1000);
    let mut seen = 699;
    while let Some(entry) = reader.next().await.unwrap() {
        assert_eq!(entry.body, seen.to_string().as_bytes());
        seen += 1;
    }
    assert_eq!(seen, 1000);
}

#[tokio::test]
async fn bodies_of_every_size_come_back_and_large_ones_are_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let journal = in_folder(dir.path()).await;
    let mut writer = new_run(&journal, 1, Vec::new()).await;
    let body = |size: usize| draft(vec![b'x'; size]);
    let sizes = (3700..4100).step_by(7).chain([0, 1, 5000, 5000, 100_000]).collect::<Vec<_>>();
    for &size in &sizes {
        add(&mut writer, vec![body(size)]).await;
    }
    let entries = journal.read(run(1), 1).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.body.len()).collect::<Vec<_>>(), sizes);
    let blobs = dir.path().join("blobs/runs").join(run(1).to_string());
    let large = sizes.iter().filter(|&&size| size > 3895).collect::<std::collections::HashSet<_>>().len();
    assert_eq!(files(&blobs).len(), large, "each content once");

    let mut other = new_run(&journal, 2, Vec::new()).await;
    add(&mut other, vec![body(5000)]).await;
    let name =
        |n| files(&dir.path().join("blobs/runs").join(run(n).to_string()))[0].file_name().unwrap().to_owned();
    assert!(files(&blobs).iter().all(|file| file.file_name().unwrap() != name(2)), "names are the run's own");
}

#[tokio::test]
async fn nothing_of_a_body_key_or_value_is_readable_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let secret = "patient 17 is well";
    let journal = in_folder(dir.path()).await;
    let made =
        journal.create_run(run(1), Some(secret), vec![draft(secret)], b"readable summary".to_vec()).await;
    let Ok(Created::New(mut writer)) = made else { panic!("{made:?}") };
    add(&mut writer, vec![draft(secret.repeat(1000))]).await;
    journal.meta_put("identities", secret.as_bytes()).await.unwrap();
    journal.meta_put("more", secret.repeat(1000).as_bytes()).await.unwrap();
    journal.put_public(&Content::new(b"public content".to_vec())).await.unwrap();
    drop((journal, writer));

    let on_disk = files(dir.path()).iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>();
    let found = |text: &str| {
        on_disk.iter().any(|content| content.windows(text.len()).any(|window| window == text.as_bytes()))
    };
    assert!(!found(secret) && !found("patient"));
    assert!(found("readable summary") && found("public content"), "what is not sealed is found this way");
}

#[tokio::test]
async fn a_claim_fences_the_writer_before_and_goes_on_with_its_chain() {
    let journal = in_memory().await;
    let mut old = new_run(&journal, 1, vec![draft("1")]).await;
    let mut new = journal.claim(run(1)).await.unwrap();
    assert_eq!((old.fence(), new.fence(), new.head()), (1, 2, 1));
    assert_eq!(new.summary(), b"summary");
    let stale = old.append(vec![draft("stale")], Extras::default()).unwrap();
    assert!(matches!(stale.ticket.durable().await, Err(AppendError::Fenced)));
    assert!(matches!(old.append(vec![draft("again")], Extras::default()), Err(AppendError::Fenced)));
    add(&mut new, vec![draft("2")]).await;
    let entries = journal.read(run(1), 1).await.unwrap();
    assert_eq!(bodies(&entries), [b"1", b"2"]);
    assert_eq!(entries[1].header.fence, 2);
    assert_eq!(old.keys().seed("s", None, 1), new.keys().seed("s", None, 1));
    assert_eq!(journal.keys(run(1)).await.unwrap().args().digest(&[b"x"]), new.keys().args().digest(&[b"x"]));
}

#[tokio::test]
async fn appends_under_way_land_in_order_and_fail_together() {
    let journal = in_memory().await;
    let mut writer = new_run(&journal, 1, Vec::new()).await;
    let tickets =
        (0..200).map(|n| writer.append(vec![draft(n.to_string())], Extras::default()).unwrap().ticket);
    let last = tickets.collect::<Vec<_>>().pop().unwrap();
    last.durable().await.unwrap();
    let entries = journal.read(run(1), 1).await.unwrap();
    let expect = (0..200).map(|n| n.to_string().into_bytes()).collect::<Vec<_>>();
    assert_eq!(bodies(&entries), expect);

    let _taken = journal.claim(run(1)).await.unwrap();
    let doomed = (0..20).filter_map(|_| writer.append(vec![draft("x")], Extras::default()).ok());
    for appended in doomed.collect::<Vec<_>>() {
        assert!(matches!(appended.ticket.durable().await, Err(AppendError::Fenced)));
    }
    assert_eq!(journal.head(run(1)).await.unwrap().head, 200);
}

#[tokio::test]
async fn summary_timer_and_list() {
    let journal = in_memory().await;
    let mut writer = new_run(&journal, 1, vec![draft("1")]).await;
    new_run(&journal, 2, Vec::new()).await;
    let extras = Extras { summary: Some(b"waiting".to_vec()), due: Some(Some(at(70))), ..Extras::default() };
    writer.append(Vec::new(), extras).unwrap().ticket.durable().await.unwrap();
    let runs = journal.runs().await.unwrap();
    assert_eq!(runs.iter().map(|head| (head.run, head.head)).collect::<Vec<_>>(), [(run(2), 0), (run(1), 1)]);
    assert_eq!((&runs[1].summary[..], runs[1].due), (&b"waiting"[..], Some(at(70))));
    assert_eq!(runs[1].hash, journal.read(run(1), 1).await.unwrap()[0].hash);
    assert_eq!(journal.runs_before(Some(run(2)), 9).await.unwrap(), runs[1..]);
    assert_eq!(journal.due(at(69), 9).await.unwrap(), []);
    assert_eq!(journal.due(at(70), 9).await.unwrap(), [run(1)]);
    add(&mut writer, vec![draft("2")]).await;
    assert_eq!(journal.head(run(1)).await.unwrap().summary, b"waiting", "it stays until another is given");
    assert_eq!(journal.due(at(70), 9).await.unwrap(), [run(1)]);
}

/// A draft of an item, or of a step.
fn of(step: &str, item: Option<u32>, body: impl Into<Vec<u8>>) -> Draft {
    Draft { step: Some(step.parse().unwrap()), item, attempt: 1, ..draft(body) }
}

/// Steps and items, interleaved at random and written by several writers: what is read of each is what a reading of
/// the whole run would have picked.
#[tokio::test]
async fn the_events_of_an_item_are_those_of_the_run_that_belong_to_it() {
    let journal = in_memory().await;
    let mut writer = new_run(&journal, 1, vec![draft("created"), of("a", None, "first")]).await;
    let mut random = 7_u64;
    for round in 0..120 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = random >> 33;
        let step = ["a", "b", "c"][usize::try_from(pick % 3).unwrap()];
        let item = (!pick.is_multiple_of(5)).then(|| u32::try_from(pick / 5 % 40).unwrap());
        let drafts = (0..=pick % 4).map(|n| of(step, item, format!("{round} {n}")));
        add(&mut writer, drafts.chain([draft("of the run")]).collect()).await;
        if round % 50 == 49 {
            writer = journal.claim(run(1)).await.unwrap();
        }
    }
    let all = journal.read(run(1), 1).await.unwrap();
    for step in ["a", "b", "c", "d"] {
        let step = step.parse().unwrap();
        for item in std::iter::once(None).chain((0..41).map(Some)) {
            let belongs =
                |entry: &&Entry| entry.header.step.as_ref() == Some(&step) && entry.header.item == item;
            let expect = all.iter().filter(belongs).cloned().collect::<Vec<_>>();
            assert_eq!(journal.read_of(run(1), &step, item).await.unwrap(), expect, "{step} {item:?}");
        }
    }
    let unknown = journal.read_of(run(9), &"a".parse().unwrap(), None).await;
    assert!(matches!(unknown, Err(ReadError::UnknownRun { .. })));
}

/// That no more is read than the stretches of an item shows where everything else is gone.
#[tokio::test]
async fn reading_an_item_reads_no_more_than_its_stretches() {
    let dir = tempfile::tempdir().unwrap();
    let journal = in_folder(dir.path()).await;
    let mut writer = new_run(&journal, 1, Vec::new()).await;
    // An item at the beginning, that parks, and goes on after 3,000 events of others.
    add(&mut writer, vec![of("review", Some(0), "begins"), of("review", Some(0), "parks")]).await;
    for n in 1..=3 {
        add(&mut writer, (0..1000).map(|_| of("review", Some(n), "other")).collect()).await;
    }
    add(&mut writer, vec![of("review", Some(0), "goes on")]).await;
    drop((journal, writer));
    edit(dir.path(), |pairs| (34..2976).for_each(|seq| drop(pairs.remove(&event_key(1, seq)))));
    let journal = in_folder(dir.path()).await;
    let review = "review".parse().unwrap();
    let entries = journal.read_of(run(1), &review, Some(0)).await.unwrap();
    assert_eq!(bodies(&entries), [&b"begins"[..], b"parks", b"goes on"]);
    let other = journal.read_of(run(1), &review, Some(1)).await.unwrap_err();
    assert_eq!(other.to_string(), format!("record `e|{}|34` is corrupt: the event is missing", run(1)));
}

/// An ended run costs nobody who looks for work.
#[tokio::test]
async fn a_run_that_has_ended_is_not_among_the_unfinished() {
    let dir = tempfile::tempdir().unwrap();
    let journal = in_folder(dir.path()).await;
    let mut one = new_run(&journal, 1, vec![draft("1")]).await;
    new_run(&journal, 2, vec![draft("1")]).await;
    assert_eq!(journal.unfinished(None, 9).await.unwrap(), [run(1), run(2)]);
    let ended = Extras { ended: Some(true), ..Extras::default() };
    one.append(vec![draft("ended")], ended).unwrap().ticket.durable().await.unwrap();
    drop((journal, one));
    let journal = in_folder(dir.path()).await;
    assert_eq!(journal.unfinished(None, 9).await.unwrap(), [run(2)]);
    assert_eq!(journal.runs().await.unwrap().len(), 2, "it is there all the same");
}

#[tokio::test]
async fn a_key_finds_its_run() {
    let journal = in_memory().await;
    let make =
        async |n, key| journal.create_run(run(n), Some(key), vec![draft("1")], Vec::new()).await.unwrap();
    assert!(matches!(make(1, "order-1").await, Created::New(_)));
    assert!(matches!(make(2, "order-1").await, Created::Exists(found) if found == run(1)));
    assert!(matches!(make(2, "order-2").await, Created::New(_)));
    assert!(matches!(make(3, &"k".repeat(9000)).await, Created::New(_)));
    assert_eq!(journal.by_key("order-2").await.unwrap(), Some(run(2)));
    assert_eq!(journal.by_key("order-3").await.unwrap(), None);
}

#[tokio::test]
async fn too_large_leaves_the_writer_as_it_was() {
    let journal = in_memory().await;
    let mut writer = new_run(&journal, 1, vec![draft("1")]).await;
    let too_many = vec![draft(vec![0; 3000]); 400];
    let summary = Extras { summary: Some(vec![0; MAX_SUMMARY + 1]), ..Extras::default() };
    assert!(matches!(writer.append(too_many, Extras::default()), Err(AppendError::TooLarge { .. })));
    let body = vec![draft(vec![0; MAX_BODY + 1])];
    assert!(matches!(writer.append(body, Extras::default()), Err(AppendError::TooLarge { .. })));
    assert!(matches!(writer.append(Vec::new(), summary), Err(AppendError::TooLarge { .. })));
    let largest = Extras { summary: Some(vec![0; MAX_SUMMARY]), ..Extras::default() };
    writer.append(vec![draft("2")], largest).unwrap().ticket.durable().await.unwrap();
    assert_eq!(bodies(&journal.read(run(1), 1).await.unwrap()), [b"1", b"2"]);
}

#[tokio::test]
async fn values_and_public_content_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let journal = in_folder(dir.path()).await;
    assert_eq!(journal.meta_get("identities").await.unwrap(), None);
    for value in [&b"small"[..], &[7; 20_000], b""] {
        journal.meta_put("identities", value).await.unwrap();
        assert_eq!(journal.meta_get("identities").await.unwrap().unwrap(), value);
    }
    journal.meta_put("large", &[7; 20_000]).await.unwrap();
    let digest = journal.put_public(&Content::new(b"component".to_vec())).await.unwrap();
    assert_eq!(digest, Digest::of(b"component"));
    drop(journal);
    let journal = in_folder(dir.path()).await;
    assert_eq!(journal.meta_get("large").await.unwrap().unwrap(), [7; 20_000]);
    assert_eq!(journal.get_public(&digest).await.unwrap().bytes(), b"component");
    let other = Digest::of(b"other");
    assert!(matches!(journal.get_public(&other).await, Err(BlobError::Missing { .. })));
    fs::write(dir.path().join("blobs/public").join(digest.hex()), b"changed").unwrap();
    assert!(matches!(journal.get_public(&digest).await, Err(BlobError::Corrupt { .. })));
}

#[tokio::test]
async fn another_master_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(in_folder(dir.path()).await);
    let open = async |key| Journal::open_state(dir.path(), key, entropy()).await;
    let wrong = open(Some(MasterKey::new([9; 32]))).await.unwrap_err();
    assert!(matches!(wrong, OpenError::WrongMasterKey));

    let file = dir.path().join("seal.key");
    let key = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let missing = open(None).await.unwrap_err();
    assert!(matches!(missing, OpenError::MasterKey(MasterKeyError::Io { .. })), "{missing}");
    assert!(!file.exists(), "no key is made that would open nothing");

    fs::write(&file, &key).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let readable = open(None).await.unwrap_err();
    assert!(matches!(readable, OpenError::MasterKey(MasterKeyError::Readable { mode: 0o644, .. })));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    open(None).await.unwrap();
}

/// Changes the stored bytes of a record, with a checksum that fits: only seal and chain can see it.
fn forge(state: &Path, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
    edit(state, |pairs| {
        let value = pairs.get_mut(key).unwrap();
        value.truncate(value.len() - 4);
        change(value);
        let mut crc = crc32fast::Hasher::new();
        crc.update(key);
        crc.update(value);
        value.extend_from_slice(&crc.finalize().to_be_bytes());
    });
}

fn event_key(n: u8, seq: u64) -> Vec<u8> {
    [&b"e"[..], run(n).as_bytes(), &seq.to_be_bytes()].concat()
}

async fn forged(change: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let journal = in_folder(dir.path()).await;
    let mut writer = new_run(&journal, 1, vec![draft("1")]).await;
    add(&mut writer, vec![draft("2"), draft("3".repeat(9000))]).await;
    add(&mut new_run(&journal, 2, vec![draft("1")]).await, vec![draft("2")]).await;
    drop((journal, writer));
    change(dir.path());
    let journal = in_folder(dir.path()).await;
    match journal.read(run(1), 1).await {
        Err(ReadError::Corrupt { key, what }) => format!("{key}: {what}").replace(&run(1).to_string(), "RUN"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn forged_records_are_named() {
    // Bytes of the record: version, form, length (2), then the header as its golden test has it.
    let header = 4;
    for (place, expect) in [
        (header + 25, "e|RUN|2: the seal does not fit"),
        (header + 50, "e|RUN|2: the seal does not fit"),
        (header + 90, "e|RUN|2: it does not follow the event before it"),
        (header + 20, "e|RUN|2: it is the event of another place"),
        (header + 125, "e|RUN|2: the seal does not fit"),
        (header, "e|RUN|2: the record has an unknown version"),
        (0, "e|RUN|2: the record has an unknown version"),
    ] {
        let found = forged(|state| forge(state, &event_key(1, 2), |value| value[place] ^= 4)).await;
        assert_eq!(found, expect, "byte {place}");
    }
    let last = forged(|state| forge(state, &event_key(1, 3), |value| value[header + 50] ^= 4)).await;
    assert_eq!(last, "e|RUN|3: the row of the run has another event as its newest");
    let row = [&b"r"[..], run(1).as_bytes()].concat();
    let key = forged(|state| forge(state, &row, |value| value[80] ^= 4)).await;
    assert_eq!(key, "r|RUN: the master key does not open the run's key");
}

#[tokio::test]
async fn damaged_blobs_are_named() {
    let blob = |state: &Path| files(&state.join("blobs/runs").join(run(1).to_string())).remove(0);
    let missing = forged(|state| fs::remove_file(blob(state)).unwrap()).await;
    assert_eq!(missing, "e|RUN|3: the blob of its body is missing");
    let cut = forged(|state| fs::write(blob(state), b"cut").unwrap()).await;
    assert_eq!(cut, "e|RUN|3: the seal of its body's blob does not fit");
    let flipped = forged(|state| {
        let mut content = fs::read(blob(state)).unwrap();
        content[100] ^= 1;
        fs::write(blob(state), content).unwrap();
    });
    assert_eq!(flipped.await, "e|RUN|3: the seal of its body's blob does not fit");
}

/// Fails each sync of store and blobs in turn: what was acknowledged can be read, and the rest is whole or gone.
#[tokio::test]
async fn whatever_sync_fails_the_journal_stays_whole() {
    let mut completed = false;
    for fail_at in 1..40 {
        let dir = tempfile::tempdir().unwrap();
        let faults = Arc::new(FaultSync::at(fail_at));
        let id = StoreId::from_bytes([1; 16]);
        let store = Arc::new(MemoryStore::with_hook(id, Arc::clone(&faults) as _).unwrap());
        let blobs = Blobs::open_with(dir.path(), Some(Arc::clone(&faults) as _)).unwrap();
        let master = MasterKey::new([3; 32]);
        let open = async |store: Arc<MemoryStore>, blobs| {
            Journal::open(store as Arc<dyn Store>, blobs, master.clone(), entropy()).await
        };
        let mut acknowledged = 0;
        let scenario = async {
            let journal = open(Arc::clone(&store), blobs.clone()).await.ok()?;
            let made =
                journal.create_run(run(1), None, vec![draft("1".repeat(9000))], Vec::new()).await.ok()?;
            let Created::New(mut writer) = made else { panic!("no key was given") };
            acknowledged = 1;
            for n in 2..6 {
                let body = if n % 2 == 0 { n.to_string() } else { n.to_string().repeat(9000) };
                let appended = writer.append(vec![draft(body)], Extras::default()).ok()?;
                appended.ticket.durable().await.ok()?;
                acknowledged = n;
            }
            Some(())
        };
        completed = scenario.await.is_some();
        assert_eq!(completed, faults.count() < fail_at);

        let store = Arc::new(store.reopen(Arc::new(FaultSync::at(0))).unwrap());
        let journal = open(store, blobs).await.unwrap();
        let read = journal.read(run(1), 1).await;
        match acknowledged {
            0 => assert!(matches!(read, Err(ReadError::UnknownRun { .. })), "sync {fail_at}: {read:?}"),
            _ => assert_eq!(read.unwrap().len(), acknowledged, "sync {fail_at}"),
        }
        if completed {
            break;
        }
    }
    assert!(completed, "the sweep comes to the end of the scenario");
}

/// Many runs at once, on disk: the chain of each is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(dir.path(), &SystemEntropy).unwrap());
    let journal = Journal::open(store, Blobs::in_memory(), MasterKey::new([1; 32]), entropy()).await.unwrap();
    let tasks = (0..64).map(|n| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let mut writer = new_run(&journal, n, vec![draft("1")]).await;
            for _ in 0..20 {
                add(&mut writer, vec![draft(vec![n; 300])]).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    for n in 0..64 {
        assert_eq!(journal.read(run(n), 1).await.unwrap().len(), 21);
    }
}
