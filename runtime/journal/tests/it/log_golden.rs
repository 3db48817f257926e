//! Stores of versions 2 and 3 to the byte: their logs as they lie on the disk. The files never change; a new version gets
//! a file of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wflo_journal::{
    AccountRow, Append, Debit, FaultSync, OutboxKey, OutboxRow, Sizes, SledStore, Store, Touch,
};
use wflo_model::StoreId;
use wflo_ports::Entropy as _;

use crate::on_disk::segments;
use crate::records::counted;
use crate::support::{append, at, create, events, run};

fn open(state: &Path) -> SledStore {
    let mut sizes = Sizes::default();
    // Two segments, and an index that has all of it.
    (sizes.segment, sizes.at_the_end) = (1 << 10, 1);
    SledStore::open_sized(state, &*counted(), Arc::new(FaultSync::at(0)), sizes).unwrap()
}

/// A change of every kind.
async fn fill(store: &SledStore) {
    store.create_run(create(1, Some("order 17"), &["made"])).await.unwrap();
    let outbox = vec![OutboxRow { key: OutboxKey { due: at(5), id: [9; 16] }, value: b"tell".to_vec() }];
    let change = AccountRow { settled: 7, held: -3, overrun: 0 };
    let debits = vec![Debit { account: "refunds".into(), window: "2026-11-26".into(), change }];
    let touched = vec![Touch { step: "review".parse().unwrap(), item: Some(3), seq: 2 }];
    let events = (2..=40).map(|seq| format!("event {seq}").into_bytes()).collect();
    let due = Some(Some(at(70)));
    let all = Append { events, outbox, debits, touched, due, ..append(1, 1, 1, &[]) };
    store.submit(all).durable().await.unwrap();
    store.claim(run(1)).await.unwrap();
    let last = Append { due: Some(None), ended: Some(true), ..append(1, 2, 40, &["ended"]) };
    store.submit(last).durable().await.unwrap();
    store.put_meta("value/name", b"value".to_vec(), Vec::new()).durable().await.unwrap();
    // Most of it stays: what version 2 would have said as a whole.
    for version in ["first", "second"] {
        store.put_meta("value/long", long(version), Vec::new()).durable().await.unwrap();
    }
}

fn long(version: &str) -> Vec<u8> {
    format!("{version:>6}, and what is the same in every version of it").into_bytes()
}

fn golden(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/golden/log-v{version}.txt"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn version_3_is_written_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store).await;
    drop(store);
    let line = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        format!("{name} {}\n", hex(&fs::read(path).unwrap()))
    };
    let text = segments(dir.path()).iter().map(line).collect::<String>();
    if !golden(3).exists() {
        fs::write(golden(3), &text).unwrap();
        panic!("the golden file was missing, and is written: look at it, and commit it");
    }
    assert_eq!(text.lines().count(), 2, "two segments");
    assert_eq!(text, fs::read_to_string(golden(3)).unwrap());
}

/// Of the log alone, all the rest is made anew. Whatever the version was, it is this one's from then on.
#[tokio::test]
async fn versions_2_and_3_are_read_and_gone_on_with() {
    for version in [2, 3] {
        let dir = tempfile::tempdir().unwrap();
        lay_out(dir.path(), version);
        for _ in 0..2 {
            let store = open(dir.path());
            holds_it(&store).await;
            let expect = (version > 2).then(|| long("second"));
            assert_eq!(store.meta("value/long").await.unwrap(), expect);
            assert!(fs::read_to_string(dir.path().join("FORMAT")).unwrap().starts_with("wflo store 3\n"));
        }
        let store = open(dir.path());
        store.submit(append(1, 2, 41, &["more"])).durable().await.unwrap();
        drop(store);
        assert_eq!(events(&open(dir.path()), 1).await[41], "more");
    }
}

/// What [`fill`] has put there.
async fn holds_it(store: &SledStore) {
    let read = events(store, 1).await;
    assert_eq!((read.len(), &*read[0], &*read[39], &*read[40]), (41, "made", "event 40", "ended"));
    let row = store.run(run(1)).await.unwrap().unwrap();
    assert_eq!(
        (row.head, row.fence, row.due, row.ended, &row.state[..]),
        (41, 2, None, true, &b"after 40"[..])
    );
    assert_eq!(store.by_key(b"order 17").await.unwrap(), Some(run(1)));
    assert_eq!(store.outbox(None, at(9), 9).await.unwrap()[0].value, b"tell");
    assert_eq!(store.account("refunds", "2026-11-26").await.unwrap().held, -3);
    let places = store.places(run(1), &"review".parse().unwrap(), Some(3)).await.unwrap();
    assert_eq!(places, [1..=32]);
    assert_eq!(store.meta("value/name").await.unwrap().unwrap(), b"value");
    assert_eq!(store.due(at(99), 9).await.unwrap(), []);
    assert_eq!(store.unfinished(None, 9).await.unwrap(), []);
}

/// A state folder with the golden log and nothing else that could be told from it.
fn lay_out(state: &Path, version: u32) {
    let log = state.join("gen-0001/log");
    fs::create_dir_all(&log).unwrap();
    for line in fs::read_to_string(golden(version)).unwrap().lines() {
        let (name, content) = line.split_once(' ').unwrap();
        let digits = content.as_bytes().chunks(2).map(|it| std::str::from_utf8(it).unwrap());
        let bytes = digits.map(|it| u8::from_str_radix(it, 16).unwrap()).collect::<Vec<_>>();
        fs::write(log.join(name), bytes).unwrap();
    }
    // Its id is the first that the entropy of the tests gives.
    let mut id = [0; 16];
    counted().fill(&mut id).unwrap();
    let id = StoreId::from_bytes(id);
    fs::write(state.join("FORMAT"), format!("wflo store {version}\nid {id}\n")).unwrap();
    fs::write(state.join("CURRENT"), "gen-0001\n").unwrap();
}
