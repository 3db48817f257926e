//! The index is a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store::log::{End, Place};
use crate::store::sync::NoHook;

fn standing(checkpoint: u64) -> Standing {
    let end = End { at: Place::new(1, 64), next: 1, link: 0 };
    Standing { store: StoreId::from_bytes([7; 16]), salt: *b"saltsalt", checkpoint, end }
}

fn look(index: &Index, first: &[u8], last: &[u8], down: bool) -> Vec<Pair> {
    index.scan(first, last, down).unwrap().map(Result::unwrap).collect()
}

/// Keys of a few tables, near each other, with values of all sizes.
fn changes() -> impl Strategy<Value = Vec<Changes>> {
    let key = (prop::sample::select(&b"bmrqx"[..]), prop::collection::vec(0..6_u8, 1..5));
    let key = key.prop_map(|(table, rest)| [&[table], &rest[..]].concat());
    let value = prop::option::of((0..4_u8, 0..900_usize).prop_map(|(byte, size)| vec![byte; size]));
    prop::collection::vec(prop::collection::btree_map(key, value, 0..120), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_index_is_what_its_changes_come_to(rounds in changes(), loaded in changes()) {
        let dir = tempfile::tempdir().unwrap();
        let mut expect = BTreeMap::new();
        let mut loader = Loader::new(Index::create(&dir.path().join("index")).unwrap());
        for (key, value) in &loaded[0] {
            if let Some(value) = value {
                loader.add((key.clone(), value.clone())).unwrap();
                expect.insert(key.clone(), value.clone());
            }
        }
        let mut index = loader.finish(&standing(1)).unwrap();
        for (n, changes) in (2..).zip(&rounds) {
            index.merge(changes, &standing(n)).unwrap();
            for (key, value) in changes {
                match value {
                    Some(value) => drop(expect.insert(key.clone(), value.clone())),
                    None => drop(expect.remove(key)),
                }
            }
            let all = expect.iter().map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>();
            prop_assert_eq!(look(&index, &[0], &[0xff; 9], false), all.clone());
            for key in changes.keys().chain(loaded[0].keys()) {
                let found = index.get(key).unwrap();
                prop_assert_eq!(found.as_ref(), expect.get(key));
            }
            let (first, last) = (vec![b'm', 3], vec![b'r', 2, 4]);
            let mut part = expect.range(first.clone()..=last.clone())
                .map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>();
            prop_assert_eq!(look(&index, &first, &last, false), part.clone());
            part.reverse();
            prop_assert_eq!(look(&index, &first, &last, true), part);
            index.sync(&NoHook).unwrap();
            // Taken in twice, changes change nothing more.
            index.merge(changes, &standing(n)).unwrap();
            drop(index);
            let path = dir.path().join("index");
            let store = StoreId::from_bytes([7; 16]);
            let (again, found) = Index::open(&path, store, b"saltsalt", n).unwrap().expect("it is whole");
            prop_assert_eq!(found, standing(n));
            index = again;
            prop_assert_eq!(look(&index, &[0], &[0xff; 9], false), all);
        }
    }
}

#[test]
fn many_small_runs_take_few_pages() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::create(&dir.path().join("index")).unwrap();
    let mut n = 0_u32;
    for round in 1..=8 {
        let mut changes = Changes::new();
        for _ in 0..500 {
            n += 1;
            let id = [&[1, 0x8f][..], &n.to_be_bytes(), &[n as u8; 10]].concat();
            changes.insert([b"r", &id[..]].concat(), Some(vec![n as u8; 300]));
            changes.insert([b"u", &id[..]].concat(), Some(vec![n as u8; 4]));
            changes.insert([b"x", &id[..], &[0; 4]].concat(), Some(vec![n as u8; 30]));
        }
        index.merge(&changes, &standing(round)).unwrap();
    }
    let pages = index.db.len() - 1;
    let bytes = 4000 * (300 + 11 + 4 + 11 + 30 + 15);
    assert!(pages * FULL_ENOUGH < bytes, "{pages} pages for {bytes} bytes");
    let first = index.get(&[&b"r\x01\x8f"[..], &1_u32.to_be_bytes(), &[1; 10]].concat()).unwrap();
    assert_eq!(first.unwrap(), [1; 300]);
}

/// What a page has at least where keys come in order.
const FULL_ENOUGH: usize = page::FULL * 3 / 4;

#[test]
fn of_an_index_that_is_not_this_logs_nothing_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let index = Index::create(&path).unwrap();
    index.merge(&Changes::new(), &standing(3)).unwrap();
    index.sync(&NoHook).unwrap();
    drop(index);
    let store = StoreId::from_bytes([7; 16]);
    let open = |store, salt, checkpoint| Index::open(&path, store, salt, checkpoint).unwrap().is_some();
    assert!(open(store, b"saltsalt", 3));
    assert!(!open(store, b"saltsalt", 4), "it has lost something");
    assert!(!open(store, b"saltsale", 3));
    assert!(!open(StoreId::from_bytes([8; 16]), b"saltsalt", 3));
}
