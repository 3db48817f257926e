//! Records to the byte: what version 1 looks like, and that no damaged bit is taken for anything.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wflo_backends::SystemEntropy;
use wflo_journal::{
    Created, DiskImage, Draft, Entry, Extras, FaultDisk, FaultSync, Journal, OpenError, ReadError, RunHead,
};
use wflo_model::{Content, RunId, StepName};
use wflo_ports::{Entropy, SystemEntropyError};

use crate::support::{at, draft, entropy, run};

/// Bytes that look random and are the same each time: SplitMix64.
pub(crate) struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SystemEntropyError> {
        for byte in bytes {
            let mut n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (n >> 32) as u8;
        }
        Ok(())
    }
}

pub(crate) fn counted() -> Arc<Counted> {
    Arc::new(Counted(AtomicU64::new(1)))
}

pub(crate) async fn open(disk: &FaultDisk, entropy: Arc<dyn Entropy>) -> Result<Journal, OpenError> {
    disk.open(Arc::new(FaultSync::at(0)), entropy).await
}

/// One record of every kind, each of its forms at least once.
pub(crate) async fn specimen() -> FaultDisk {
    let entropy = counted();
    let disk = FaultDisk::new(&*entropy).unwrap();
    let journal = open(&disk, entropy as _).await.unwrap();
    let of = |item, body: &str| Draft {
        step: Some("review".parse().unwrap()),
        item,
        attempt: 1,
        ordinal: 2,
        ..draft(body)
    };
    let first = vec![draft("created"), of(None, "started"), of(Some(7), "item")];
    let made = journal.create_run(run(1), Some("order 17"), first, b"summary".to_vec()).await.unwrap();
    let Created::New(mut one) = made else { panic!("the key is new") };
    // The first 32 events are in no index.
    let others = (3..32).map(|_| draft("")).chain([of(None, "goes on")]);
    one.append(others.collect(), Extras::default()).unwrap().ticket.durable().await.unwrap();
    let extras = Extras { due: Some(Some(at(70))), ..Extras::default() };
    let large = "large ".repeat(700);
    one.append(vec![of(Some(7), &large)], extras).unwrap().ticket.durable().await.unwrap();
    let made = journal.create_run(run(2), None, vec![draft("secret")], b"before".to_vec()).await.unwrap();
    let Created::New(mut two) = made else { panic!("no key was given") };
    let ended = Extras { ended: Some(true), ..Extras::default() };
    two.append(Vec::new(), ended).unwrap().ticket.durable().await.unwrap();
    journal.erase(run(2), b"erased".to_vec()).await.unwrap();
    journal.meta_put("identities", b"alice").await.unwrap();
    journal.meta_put("large", large.as_bytes()).await.unwrap();
    journal.put_public(&Content::new(b"public".to_vec())).await.unwrap();
    disk
}

/// Everything that can be read, each under what is asked.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    runs: Result<Vec<RunHead>, Key>,
    entries: Vec<Result<Vec<Entry>, Key>>,
    headers: Result<usize, Key>,
    indexes: Vec<Result<Vec<RunId>, Key>>,
    metas: Vec<Result<Option<Vec<u8>>, Key>>,
    public: Option<Vec<u8>>,
}

/// An error, as far as this compares it: the key it names.
type Key = String;

pub(crate) async fn look(journal: &Journal) -> Seen {
    fn named<T>(result: Result<T, ReadError>) -> Result<T, Key> {
        result.map_err(|error| match error {
            ReadError::Corrupt { key, .. } => key,
            other => other.to_string(),
        })
    }
    let review = "review".parse::<StepName>().unwrap();
    let public = wflo_model::Digest::of(b"public");
    Seen {
        runs: named(journal.runs().await),
        entries: vec![
            named(journal.read(run(1), 1).await),
            named(journal.read_of(run(1), &review, None).await),
            named(journal.read_of(run(1), &review, Some(7)).await),
        ],
        headers: named(journal.headers(run(2)).await).map(|headers| headers.len()),
        indexes: vec![
            named(journal.unfinished(None, 9).await),
            named(journal.due(at(99), 9).await),
            named(journal.by_key("order 17").await).map(|run| run.into_iter().collect()),
        ],
        metas: vec![named(journal.meta_get("identities").await), named(journal.meta_get("large").await)],
        public: journal.get_public(&public).await.ok().map(|it| it.bytes().to_vec()),
    }
}

impl Seen {
    /// The keys that errors name.
    pub(crate) fn named(&self) -> Vec<&str> {
        let mut out = Vec::new();
        out.extend(self.runs.as_ref().err());
        out.extend(self.entries.iter().filter_map(|it| it.as_ref().err()));
        out.extend(self.headers.as_ref().err());
        out.extend(self.indexes.iter().filter_map(|it| it.as_ref().err()));
        out.extend(self.metas.iter().filter_map(|it| it.as_ref().err()));
        out.into_iter().map(String::as_str).collect()
    }

    /// Whether whatever is not an error is as in `truth`.
    fn lies(&self, truth: &Self) -> bool {
        fn lie<T: PartialEq>(seen: &Result<T, Key>, truth: &Result<T, Key>) -> bool {
            seen.is_ok() && seen != truth
        }
        let many =
            |seen: &[Result<Vec<Entry>, _>], truth: &[_]| seen.iter().zip(truth).any(|(a, b)| lie(a, b));
        lie(&self.runs, &truth.runs)
            || many(&self.entries, &truth.entries)
            || lie(&self.headers, &truth.headers)
            || self.indexes.iter().zip(&truth.indexes).any(|(a, b)| lie(a, b))
            || self.metas.iter().zip(&truth.metas).any(|(a, b)| lie(a, b))
            || (self.public.is_some() && self.public != truth.public)
    }
}

/// How errors name a record.
fn name(key: &[u8]) -> String {
    let id = |bytes: &[u8]| RunId::from_bytes(bytes[..16].try_into().unwrap());
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
    let rest = &key[1..];
    match key[0] {
        b'e' => format!("e|{}|{}", id(rest), number(&rest[16..])),
        b'r' => format!("r|{}", id(rest)),
        b'u' => format!("u|{}", id(rest)),
        b'q' => format!("q|{}|{}", number(&rest[..8]), id(&rest[8..])),
        b'k' => format!("k|{}", rest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        b'm' => format!("m|{}", String::from_utf8_lossy(rest)),
        b's' => {
            let item = if rest.ends_with(&[0, 0, 0, 7]) { "|7" } else { "" };
            format!("s|{}|review{item}", id(rest))
        }
        other => panic!("a table without a test: {other}"),
    }
}

/// Flips a bit of every byte of every record in turn: it is found, the record is named, and nothing false is shown.
#[tokio::test]
async fn every_damaged_byte_of_a_record_is_found_and_its_key_is_named() {
    let disk = specimen().await;
    let image = disk.image();
    let truth = look(&open(&disk, entropy()).await.unwrap()).await;
    assert!(truth.named().is_empty(), "{truth:?}");
    let tables = image.records.keys().map(|key| key[0]).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(tables.into_iter().collect::<Vec<_>>(), b"ekmqrsu");
    // What only says that something has moved is not needed to read, and written anew.
    for (key, value) in image.records.iter().filter(|(key, _)| *key != MARKER) {
        for place in 0..value.len() {
            let mut damaged = image.clone();
            damaged.records.get_mut(key).unwrap()[place] ^= 1 << (place % 8);
            disk.set_image(damaged);
            let journal = match open(&disk, entropy()).await {
                Ok(journal) => journal,
                // What says which master key it is cannot be told from another's.
                Err(error) => {
                    assert_eq!(key, b"mwflo/master-key", "{error}");
                    continue;
                }
            };
            let seen = look(&journal).await;
            assert!(
                seen.named().contains(&&name(key)[..]),
                "byte {place} of {}: {:?}",
                name(key),
                seen.named()
            );
            assert!(!seen.lies(&truth), "byte {place} of {}", name(key));
        }
    }
}

/// The same for blobs: it is found, and the record that names the blob is named.
#[tokio::test]
async fn every_damaged_byte_of_a_blob_is_found() {
    let disk = specimen().await;
    let image = disk.image();
    let truth = look(&open(&disk, entropy()).await.unwrap()).await;
    assert_eq!(image.blobs.len(), 3);
    for (path, content) in &image.blobs {
        // A large one would take long, and its bytes are alike.
        for place in (0..content.len()).filter(|place| *place < 100 || place.is_multiple_of(97)) {
            let mut damaged = image.clone();
            damaged.blobs.get_mut(path).unwrap()[place] ^= 1 << (place % 8);
            disk.set_image(damaged);
            let seen = look(&open(&disk, entropy()).await.unwrap()).await;
            let named = seen.named().iter().any(|key| key.starts_with("e|") || *key == "m|value/large");
            assert!(named || seen.public.is_none(), "byte {place} of {path}");
            assert!(!seen.lies(&truth), "byte {place} of {path}");
        }
    }
}

/// Version 1 to the byte, sealed parts included: what this version writes, and what every later one must read. The
/// file never changes; a new version gets a file of its own.
#[tokio::test]
async fn version_1_is_written_and_read_to_the_byte() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/store-v1.txt");
    let disk = specimen().await;
    let text = show(&disk.image());
    if !golden.exists() {
        std::fs::write(&golden, &text).unwrap();
        panic!("the golden file was missing, and is written: look at it, and commit it");
    }
    let expect = std::fs::read_to_string(&golden).unwrap();
    for (number, (found, expect)) in (1..).zip(text.lines().zip(expect.lines())) {
        assert_eq!(found, expect, "line {number}");
    }
    assert_eq!(text.len(), expect.len());

    let truth = look(&open(&disk, entropy()).await.unwrap()).await;
    let other = FaultDisk::new(&*counted()).unwrap();
    other.set_image(parse(&expect));
    let seen = look(&open(&other, Arc::new(SystemEntropy)).await.unwrap()).await;
    assert_eq!(seen, truth);
    assert_eq!(seen.entries[0].as_ref().unwrap()[33].body, "large ".repeat(700).as_bytes());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|it| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16).unwrap())
        .collect()
}

/// The key of the marker of runs that have moved, which came after version 1 was fixed.
const MARKER: &[u8] = b"mwflo/moved";

fn show(image: &DiskImage) -> String {
    let records = image.records.iter().filter(|(key, _)| *key != MARKER);
    let records = records.map(|(key, value)| format!("record {} {}\n", hex(key), hex(value)));
    let blobs = image.blobs.iter().map(|(path, content)| format!("blob {path} {}\n", hex(content)));
    records.chain(blobs).collect()
}

pub(crate) fn parse(text: &str) -> DiskImage {
    let (mut records, mut blobs) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        let [kind, name, content] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("three words a line")
        };
        match kind {
            "record" => drop(records.insert(unhex(name), unhex(content))),
            "blob" => drop(blobs.insert(name.to_owned(), unhex(content))),
            other => panic!("`{other}` is neither a record nor a blob"),
        }
    }
    DiskImage { records, blobs }
}

/// A marker that cannot be read keeps nobody from opening: whoever does not know whether anything has moved looks.
#[tokio::test]
async fn a_damaged_marker_has_every_run_looked_at() {
    let disk = specimen().await;
    let mut image = disk.image();
    let runs = image.records.keys().filter(|key| key[0] == b'r').count();
    image.records.get_mut(MARKER).expect("runs have moved")[0] ^= 1;
    disk.set_image(image);
    let journal = open(&disk, entropy()).await.unwrap();
    let note = journal.checkpoint(at(9)).await.unwrap().unwrap();
    assert_eq!(note.lines().nth(1), Some(&*runs.to_string()));
    assert_eq!(journal.checkpoint(at(9)).await.unwrap(), None);
}
