//! A record of the log: what one group changes, events first.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `wfr` and the version, 3 |
//! | 4 | 4 | length of the events |
//! | 8 | 4 | length of the changes |
//! | 12 | 8 | number: one more than that of the record before |
//! | 20 | 4 | link: the checksum of the record before |
//! | 24 | 4 | checksum: CRC-32 of the salt of the generation, what is before this field, and what is after it |
//! | 28 | | events, one behind another |
//! | | | changes: `key length2 ‖ value length2 ‖ key ‖ value`; of what goes, the length of its value is `ffff` |
//! | | | of a value most of which stays, the length is `fffe`, and the value is `head length2 ‖ kept length2 ‖ tail length2 ‖ head ‖ tail` |
//! | | 0..7 | zeros, up to a multiple of eight |
//!
//! Every change says what is there afterwards, as far as it says anything: taken in twice, a record changes no more than
//! taken in once; see [`Patch`]. Version 2 knew no values most of which stay.

use super::patch::Patch;
use crate::record::{Cursor, Malformed};

/// Bytes before the events.
pub(in crate::store) const HEAD: usize = 28;
/// Records begin at multiples of this.
pub(in crate::store) const ALIGN: usize = 8;
const MAGIC: [u8; 4] = *b"wfr\x03";
/// What a record of the version before begins with.
const MAGIC_2: [u8; 4] = *b"wfr\x02";
/// The length of a value that is taken away.
const GONE: u16 = u16::MAX;
/// The length of a value most of which stays.
const PATCHED: u16 = u16::MAX - 1;

/// Goes into the checksum of every record of a generation, so that nothing which came into the log from elsewhere, a
/// body or a remainder, is ever taken for one.
pub(in crate::store) type Salt = [u8; 8];

/// A record that is being put together. Its buffers are used again for the next one.
#[derive(Default)]
pub(in crate::store) struct Draft {
    /// The head, events, and, once it is sealed, everything.
    bytes: Vec<u8>,
    changes: Vec<u8>,
}

impl Draft {
    /// Adds an event; gives how far from the record's beginning it lies.
    pub(in crate::store) fn event(&mut self, value: &[u8]) -> usize {
        self.bytes.resize(self.bytes.len().max(HEAD), 0);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(value);
        at
    }

    /// Adds what a key has from now on; `before` is what it has by now, where that is known.
    pub(in crate::store) fn change(&mut self, key: &[u8], value: Option<&[u8]>, before: Option<&[u8]>) {
        let length =
            |length: usize| u16::try_from(length).expect("keys and values have 4 KiB at most").to_be_bytes();
        let patch = before.zip(value).and_then(|(before, value)| Patch::between(before, value));
        self.changes.extend_from_slice(&length(key.len()));
        match (value, patch) {
            (_, Some(Patch { head, kept, tail })) => {
                self.changes.extend_from_slice(&PATCHED.to_be_bytes());
                self.changes.extend_from_slice(key);
                [head.len(), kept, tail.len()]
                    .iter()
                    .for_each(|it| self.changes.extend_from_slice(&length(*it)));
                self.changes.extend_from_slice(head);
                self.changes.extend_from_slice(tail);
            }
            (Some(value), None) => {
                self.changes.extend_from_slice(&length(value.len()));
                self.changes.extend_from_slice(key);
                self.changes.extend_from_slice(value);
            }
            (None, None) => {
                self.changes.extend_from_slice(&GONE.to_be_bytes());
                self.changes.extend_from_slice(key);
            }
        }
    }

    /// How many bytes it has by now.
    pub(in crate::store) fn size(&self) -> usize {
        self.bytes.len().max(HEAD) + self.changes.len()
    }

    /// Whether there is nothing in it.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.size() == HEAD
    }

    /// Makes the record whole; gives its bytes and its checksum.
    pub(in crate::store) fn seal(&mut self, salt: &Salt, number: u64, link: u32) -> (&[u8], u32) {
        self.bytes.resize(self.bytes.len().max(HEAD), 0);
        let length = |length: usize| u32::try_from(length).expect("a group is a few megabytes").to_be_bytes();
        let (events, changes) = (self.bytes.len() - HEAD, self.changes.len());
        self.bytes.append(&mut self.changes);
        self.bytes[..4].copy_from_slice(&MAGIC);
        self.bytes[4..8].copy_from_slice(&length(events));
        self.bytes[8..12].copy_from_slice(&length(changes));
        self.bytes[12..20].copy_from_slice(&number.to_be_bytes());
        self.bytes[20..24].copy_from_slice(&link.to_be_bytes());
        let sum = checksum(salt, &self.bytes);
        self.bytes[24..28].copy_from_slice(&sum.to_be_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        (&self.bytes, sum)
    }

    /// Empties it for the next record.
    pub(in crate::store) fn clear(&mut self) {
        /// A buffer that a large group has made larger is given back.
        const KEEP: usize = 1 << 20;
        self.bytes.clear();
        self.changes.clear();
        self.bytes.shrink_to(KEEP);
        self.changes.shrink_to(KEEP);
    }
}

/// A whole record.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Record<'a> {
    pub(in crate::store) number: u64,
    pub(in crate::store) link: u32,
    pub(in crate::store) checksum: u32,
    /// Its bytes in the log, those behind its end included.
    pub(in crate::store) size: usize,
    changes: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record that these bytes begin with; none where they begin with no whole one.
    pub(in crate::store) fn parse(salt: &Salt, bytes: &'a [u8]) -> Option<Self> {
        let after = bytes.strip_prefix(&MAGIC).or_else(|| bytes.strip_prefix(&MAGIC_2))?;
        let mut from = Cursor::new(after);
        let length = |length: u32| usize::try_from(length).ok();
        let (events, changes) = (length(from.u32().ok()?)?, length(from.u32().ok()?)?);
        let (number, link, sum) = (from.u64().ok()?, from.u32().ok()?, from.u32().ok()?);
        let end = HEAD.checked_add(events)?.checked_add(changes)?;
        let whole = bytes.get(..end)?;
        let size = end.next_multiple_of(ALIGN);
        let padding = bytes.get(end..size)?;
        let fits = checksum(salt, whole) == sum && padding.iter().all(|byte| *byte == 0);
        fits.then(|| Self { number, link, checksum: sum, size, changes: &whole[HEAD + events..] })
    }

    /// What it changes, in order: each key, and what it has from now on.
    pub(in crate::store) fn changes(
        &self,
    ) -> impl Iterator<Item = Result<(&'a [u8], Change<'a>), Malformed>> + use<'a> {
        let mut from = Cursor::new(self.changes);
        std::iter::from_fn(move || (!from.is_empty()).then(|| change(&mut from)))
    }
}

/// What a key has from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Change<'a> {
    /// A value.
    Value(&'a [u8]),
    /// The value before, most of it.
    Patch(Patch<'a>),
    /// Nothing.
    Gone,
}

fn change<'a>(from: &mut Cursor<'a>) -> Result<(&'a [u8], Change<'a>), Malformed> {
    let (key, value) = (from.u16()?, from.u16()?);
    let key = from.take(usize::from(key))?;
    let change = match value {
        GONE => Change::Gone,
        PATCHED => {
            let (head, kept, tail) = (from.u16()?.into(), from.u16()?.into(), from.u16()?.into());
            Change::Patch(Patch { head: from.take(head)?, kept, tail: from.take(tail)? })
        }
        length => Change::Value(from.take(usize::from(length))?),
    };
    Ok((key, change))
}

fn checksum(salt: &Salt, record: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(salt);
    crc.update(&record[..24]);
    crc.update(&record[HEAD..]);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes() {
        let mut draft = Draft::default();
        assert!(draft.is_empty());
        assert_eq!(draft.event(b"event"), 28);
        assert_eq!(draft.event(b"another"), 33);
        draft.change(b"key", Some(b"value"), Some(b"other"));
        draft.change(b"gone", None, Some(b"value"));
        draft.change(
            b"most",
            Some(&[&b"new"[..], &[7; 40], b"end"].concat()),
            Some(&[&b"old"[..], &[7; 40]].concat()),
        );
        let (bytes, sum) = draft.seal(b"saltsalt", 0x0102, 0x0a0b_0c0d);
        let expect = [
            &b"wfr\x03\0\0\0\x0c\0\0\0\x28\0\0\0\0\0\0\x01\x02\x0a\x0b\x0c\x0d"[..],
            &sum.to_be_bytes(),
            b"eventanother\0\x03\0\x05keyvalue\0\x04\xff\xffgone\0\x04\xff\xfemost\0\x03\0\x28\0\x03newend",
        ];
        assert_eq!(bytes, expect.concat());
        assert_eq!(sum, GOLDEN_SUM);
        let record = Record::parse(b"saltsalt", bytes).unwrap();
        assert_eq!((record.number, record.link, record.size), (0x0102, 0x0a0b_0c0d, 80));
        let changes = record.changes().map(Result::unwrap).collect::<Vec<_>>();
        let most = Change::Patch(Patch { head: b"new", kept: 40, tail: b"end" });
        let expect = [(&b"key"[..], Change::Value(b"value")), (b"gone", Change::Gone), (b"most", most)];
        assert_eq!(changes, expect);
        assert_eq!(Record::parse(b"saltsale", bytes), None, "a record of another generation is none of this");
    }

    const GOLDEN_SUM: u32 = 1_558_427_611;

    proptest! {
        #[test]
        fn records_come_back_and_any_flipped_bit_is_seen(
            events in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5),
            changes in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..20), prop::option::of(prop::collection::vec(any::<u8>(), 0..20))),
                0..5,
            ),
            place: prop::sample::Index,
            bit in 0..8_u8,
        ) {
            let mut draft = Draft::default();
            let places = events.iter().map(|event| draft.event(event)).collect::<Vec<_>>();
            changes.iter().for_each(|(key, value)| draft.change(key, value.as_deref(), None));
            let size = draft.size();
            let mut bytes = draft.seal(&[7; 8], 9, 5).0.to_vec();
            prop_assert_eq!(bytes.len(), size.next_multiple_of(ALIGN));
            let record = Record::parse(&[7; 8], &bytes).unwrap();
            let found = record.changes().collect::<Result<Vec<_>, _>>().unwrap();
            let expect = changes.iter().map(|(key, value)| (&key[..], value.as_deref().map_or(Change::Gone, Change::Value)));
            prop_assert_eq!(found, expect.collect::<Vec<_>>());
            for (event, place) in events.iter().zip(places) {
                prop_assert_eq!(&bytes[place..][..event.len()], &event[..]);
            }
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert_eq!(Record::parse(&[7; 8], &bytes), None);
        }

        #[test]
        fn parsing_never_panics(mut bytes: Vec<u8>, whole: bool) {
            if whole && bytes.len() > 4 {
                bytes[..4].copy_from_slice(&MAGIC);
            }
            let _ = Record::parse(&[7; 8], &bytes);
        }
    }
}
