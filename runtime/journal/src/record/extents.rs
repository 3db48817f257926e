//! Where in the log of a store the events of a block of a run lie.

use super::blocks::BLOCK;
use super::codec::{Cursor, Malformed};

const VERSION: u8 = 1;
/// No place is as far as this, so that no sum of places and lengths overflows.
const FURTHEST: u64 = 1 << 62;

/// The events of a block, in order: where each lies in the log, and how long it is there.
///
/// What one append wrote lies together, and is one extent: a place, and the lengths of what follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extents(Vec<Extent>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Extent {
    at: u64,
    lengths: Vec<u16>,
}

impl Extent {
    fn end(&self) -> u64 {
        self.at + self.lengths.iter().map(|length| u64::from(*length)).sum::<u64>()
    }
}

impl Extents {
    /// Takes in the next event of the block, which lies behind all before it.
    pub(crate) fn add(&mut self, at: u64, length: u16) {
        match self.0.last_mut() {
            Some(last) if last.end() == at => last.lengths.push(length),
            _ => self.0.push(Extent { at, lengths: vec![length] }),
        }
    }

    /// How many events there are.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|extent| extent.lengths.len()).sum()
    }

    /// The place and length of each event, in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = (u64, u16)> + '_ {
        self.0.iter().flat_map(|extent| {
            extent.lengths.iter().scan(extent.at, |at, length| {
                let place = *at;
                *at += u64::from(*length);
                Some((place, *length))
            })
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        // Room for most, and for the checksum that goes behind it.
        let mut out = Vec::with_capacity(8 + 8 * self.0.len());
        out.push(VERSION);
        let mut before = 0;
        for extent in &self.0 {
            put(&mut out, extent.at - before);
            put(&mut out, extent.lengths.len() as u64);
            extent.lengths.iter().for_each(|length| put(&mut out, u64::from(*length)));
            before = extent.end();
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(bytes);
        from.version(VERSION)?;
        let (mut out, mut before, mut count) = (Vec::new(), 0_u64, 0);
        while !from.is_empty() {
            let at = take(&mut from)?.checked_add(before).filter(|at| *at < FURTHEST);
            let at = at.ok_or(Malformed("a place is past all"))?;
            let events = take(&mut from)?;
            if events == 0 || events > BLOCK - count {
                return Err(Malformed("it has too many events, or an extent without any"));
            }
            count += events;
            let length = |from: &mut Cursor<'_>| {
                u16::try_from(take(from)?).map_err(|_| Malformed("an event is too long"))
            };
            let lengths = (0..events).map(|_| length(&mut from)).collect::<Result<_, _>>()?;
            let extent = Extent { at, lengths };
            before = extent.end();
            out.push(extent);
        }
        Ok(Self(out))
    }
}

/// Appends a number, seven bits a byte, the lowest first (LEB128).
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads what [`put`] wrote.
pub(crate) fn take(from: &mut Cursor<'_>) -> Result<u64, Malformed> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = from.u8()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Malformed("a number is too long"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes() {
        let mut extents = Extents::default();
        extents.add(0x1_0000_0200, 300);
        extents.add(0x1_0000_0200 + 300, 5);
        extents.add(0x1_0000_1000, 4096);
        let bytes = b"\x01\x80\x84\x80\x80\x10\x02\xac\x02\x05\xcf\x19\x01\x80\x20";
        assert_eq!(extents.encode(), bytes);
        assert_eq!(extents.count(), 3);
        let events = [(0x1_0000_0200, 300), (0x1_0000_032c, 5), (0x1_0000_1000, 4096)];
        assert_eq!(extents.events().collect::<Vec<_>>(), events);
    }

    proptest! {
        #[test]
        fn extents_come_back(events in prop::collection::vec((0..1_u64 << 40, 0..5000_u16), 0..=32)) {
            let (mut extents, mut end, mut expect) = (Extents::default(), 0, Vec::new());
            for (gap, length) in events {
                // Every other one follows the one before it.
                let at = end + if gap % 2 == 0 { 0 } else { gap };
                extents.add(at, length);
                expect.push((at, length));
                end = at + u64::from(length);
            }
            prop_assert_eq!(extents.events().collect::<Vec<_>>(), expect);
            prop_assert_eq!(Extents::decode(&extents.encode()).unwrap(), extents);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = Extents::decode(&bytes);
        }

        #[test]
        fn numbers_come_back(number: u64) {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            let mut from = Cursor::new(&bytes);
            prop_assert_eq!(take(&mut from).unwrap(), number);
            prop_assert!(from.is_empty());
        }
    }
}
