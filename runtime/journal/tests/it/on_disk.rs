//! A generation as `DESIGN.md` describes it, read and written without the store: for tests that look at what is on the
//! disk, and that put something else there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes before the first record of a segment.
pub(crate) const FRONT: usize = 64;
/// Bytes of a record before its events.
const HEAD: usize = 28;

/// Where a record lies, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Where it begins in its segment.
    pub(crate) at: usize,
    /// Its bytes, those behind its end included.
    pub(crate) size: usize,
    pub(crate) number: u64,
    /// The keys it changes.
    pub(crate) changes: Vec<(Vec<u8>, Change)>,
}

/// What a record says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Its value.
    Value(Vec<u8>),
    /// What its value begins with, how many bytes behind that are as they were, and what is behind those.
    Patch(Vec<u8>, usize, Vec<u8>),
    /// That it goes.
    Gone,
}

/// The generation in use.
pub(crate) fn generation(state: &Path) -> PathBuf {
    state.join(fs::read_to_string(state.join("CURRENT")).unwrap().trim_end())
}

/// The segments of its log, in order.
pub(crate) fn segments(state: &Path) -> Vec<PathBuf> {
    let log = fs::read_dir(generation(state).join("log")).unwrap();
    let mut segments = log.map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    segments.sort();
    segments
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap()).into()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.finalize()
}

/// The records of a segment, up to where there is none.
pub(crate) fn records(segment: &Path) -> Vec<Record> {
    let bytes = fs::read(segment).unwrap();
    let (salt, mut at, mut out) = (&bytes[32..40], FRONT, Vec::new());
    while bytes.len() >= at + HEAD
        && (bytes[at..].starts_with(b"wfr\x02") || bytes[at..].starts_with(b"wfr\x03"))
    {
        let (events, changes) = (u32_at(&bytes, at + 4) as usize, u32_at(&bytes, at + 8) as usize);
        let end = at + HEAD + events + changes;
        if crc(&[salt, &bytes[at..at + 24], &bytes[at + HEAD..end]]) != u32_at(&bytes, at + 24) {
            break;
        }
        let (mut place, mut found) = (at + HEAD + events, Vec::new());
        while place < end {
            let (key, value) = (u16_at(&bytes, place), u16_at(&bytes, place + 2));
            place += 4;
            let name = bytes[place..place + key].to_vec();
            place += key;
            let mut take = |length: usize| {
                place += length;
                bytes[place - length..place].to_vec()
            };
            let change = match value {
                0xffff => Change::Gone,
                0xfffe => {
                    let lengths = take(6);
                    let (head, kept, tail) = (u16_at(&lengths, 0), u16_at(&lengths, 2), u16_at(&lengths, 4));
                    Change::Patch(take(head), kept, take(tail))
                }
                length => Change::Value(take(length)),
            };
            found.push((name, change));
        }
        let number = u64::from_be_bytes(bytes[at + 12..at + 20].try_into().unwrap());
        let size = (end - at).next_multiple_of(8);
        out.push(Record { at, size, number, changes: found });
        at += size;
    }
    out
}

fn number(from: &mut &[u8]) -> u64 {
    let (mut out, mut shift) = (0, 0);
    loop {
        let byte = from[0];
        *from = &from[1..];
        out |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return out;
        }
        shift += 7;
    }
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Where the events of a block lie: segment, byte and length of each.
pub(crate) fn places(extents: &[u8]) -> Vec<(u32, usize, usize)> {
    let (mut from, mut at, mut out) = (&extents[1..extents.len() - 4], 0, Vec::new());
    while !from.is_empty() {
        at += number(&mut from);
        for _ in 0..number(&mut from) {
            let length = number(&mut from);
            out.push(((at >> 32) as u32, at as u32 as usize, length as usize));
            at += length;
        }
    }
    out
}

/// Everything a generation holds, by key, events too.
pub(crate) fn pairs(state: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let segments = segments(state);
    let mut out = BTreeMap::new();
    for (key, value) in segments.iter().flat_map(|path| records(path)).flat_map(|record| record.changes) {
        match value {
            Change::Value(value) => drop(out.insert(key, value)),
            Change::Patch(head, kept, tail) => {
                let before = &out[&key];
                let value = [&head[..], &before[head.len()..head.len() + kept], &tail].concat();
                out.insert(key, value);
            }
            Change::Gone => drop(out.remove(&key)),
        }
    }
    let files = segments.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>();
    let blocks = out.extract_if(b"x".to_vec().., |key, _| key[0] == b'x').collect::<Vec<_>>();
    for (key, extents) in blocks {
        let block = u64::from(u32_at(&key, 17));
        for (seq, (segment, at, length)) in (block * 32 + 1..).zip(places(&extents)) {
            let key = [b"e", &key[1..17], &seq.to_be_bytes()].concat();
            out.insert(key, files[segment as usize - 1][at..at + length].to_vec());
        }
    }
    out
}

/// Puts other content there: a log of one record. The index is made anew when the store is opened. Of a run whose
/// events are not all there, those that are missing have no bytes.
pub(crate) fn edit(state: &Path, change: impl FnOnce(&mut BTreeMap<Vec<u8>, Vec<u8>>)) {
    let mut pairs = pairs(state);
    let segments = segments(state);
    let last = segments.iter().flat_map(|path| records(path)).last().unwrap().number;
    change(&mut pairs);

    let mut front = fs::read(&segments[0]).unwrap()[..FRONT].to_vec();
    front[40..48].copy_from_slice(&last.to_be_bytes());
    let sum = crc(&[&front[..60]]);
    front[60..].copy_from_slice(&sum.to_be_bytes());
    let (mut events, mut blocks) = (Vec::new(), BTreeMap::<Vec<u8>, Vec<(u64, usize)>>::new());
    for (key, value) in pairs.extract_if(b"e".to_vec()..b"f".to_vec(), |_, _| true) {
        let seq = u64::from_be_bytes(key[17..].try_into().unwrap()) - 1;
        let block = [b"x", &key[1..17], &(seq as u32 / 32).to_be_bytes()].concat();
        let (places, at) =
            (blocks.entry(block).or_default(), (1 << 32) + (FRONT + HEAD + events.len()) as u64);
        places.resize(seq as usize % 32, (at, 0));
        places.push((at, value.len()));
        events.extend(value);
    }
    for (key, places) in blocks {
        let (mut value, mut before) = (vec![1], 0);
        for (at, length) in places {
            put_number(&mut value, at - before);
            put_number(&mut value, 1);
            put_number(&mut value, length as u64);
            before = at + length as u64;
        }
        let sum = crc(&[&key, &value]);
        value.extend(sum.to_be_bytes());
        pairs.insert(key, value);
    }
    let mut changes = Vec::new();
    for (key, value) in pairs {
        changes.extend((key.len() as u16).to_be_bytes());
        changes.extend((value.len() as u16).to_be_bytes());
        changes.extend(key);
        changes.extend(value);
    }
    let mut record = b"wfr\x03".to_vec();
    record.extend((events.len() as u32).to_be_bytes());
    record.extend((changes.len() as u32).to_be_bytes());
    record.extend(last.to_be_bytes());
    record.extend([0; 4]);
    let sum = crc(&[&front[32..40], &record, &events, &changes]);
    record.extend(sum.to_be_bytes());
    record.extend(events);
    record.extend(changes);
    record.resize(record.len().next_multiple_of(8), 0);

    fs::remove_dir_all(generation(state).join("index")).unwrap();
    segments.iter().for_each(|path| fs::remove_file(path).unwrap());
    fs::write(&segments[0], [front, record].concat()).unwrap();
}

/// Writes a record behind the last, as a store would that dies just after: it says of a key that its value is what it was.
pub(crate) fn append_patch(state: &Path, key: &[u8]) {
    let path = segments(state).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let last = records(&path).pop().unwrap();
    let value = &pairs(state)[key];
    let (first, end) = (&value[..1], &value[value.len() - 4..]);
    let mut changes = (key.len() as u16).to_be_bytes().to_vec();
    changes.extend(0xfffe_u16.to_be_bytes());
    changes.extend(key);
    [1, value.len() - 5, 4].iter().for_each(|length| changes.extend((*length as u16).to_be_bytes()));
    changes.extend([first, end].concat());
    let mut record = b"wfr\x03\0\0\0\0".to_vec();
    record.extend((changes.len() as u32).to_be_bytes());
    record.extend((last.number + 1).to_be_bytes());
    record.extend(&bytes[last.at + 24..last.at + 28]);
    let sum = crc(&[&bytes[32..40], &record, &changes]);
    record.extend(sum.to_be_bytes());
    record.extend(changes);
    record.resize(record.len().next_multiple_of(8), 0);
    bytes.truncate(last.at + last.size);
    fs::write(path, [bytes, record].concat()).unwrap();
}
