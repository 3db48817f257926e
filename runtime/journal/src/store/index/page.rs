//! A page of the index: neighbouring keys with their values, as one value of sled.
//!
//! `01 ‖ (shared ‖ rest ‖ length ‖ key' ‖ value)* ‖ CRC-32(name ‖ all before)`, where `shared` says how many bytes a key
//! has in common with the one before it, `rest` and `length` how many follow of it and its value; these three are LEB128.
//! The name of a page is the key it stands under in sled.
//!
//! sled holds some 240 bytes in memory for every eight values it has, read or not. With a page of two kilobytes in the
//! place of each, a run that stands still costs a few bytes, and one of a million costs no more than others.

use crate::record::{CHECKSUM, Cursor, Malformed, frame, put, take};
use crate::store::view::Pair;

const VERSION: u8 = 1;
/// Most bytes of a page, unless one value alone takes more.
pub(super) const FULL: usize = 2 << 10;

/// What a pair takes in a page, at most.
pub(super) fn weight((key, value): &Pair) -> usize {
    6 + key.len() + value.len()
}

/// The page of this name with these pairs, which are in order.
pub(super) fn encode(name: &[u8], pairs: &[Pair]) -> Vec<u8> {
    let size = pairs.iter().map(weight).sum::<usize>() + 1 + CHECKSUM;
    let mut out = Vec::with_capacity(size);
    out.push(VERSION);
    let mut before: &[u8] = &[];
    for (key, value) in pairs {
        let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
        put(&mut out, shared as u64);
        put(&mut out, (key.len() - shared) as u64);
        put(&mut out, value.len() as u64);
        out.extend_from_slice(&key[shared..]);
        out.extend_from_slice(value);
        before = key;
    }
    frame(name, out)
}

/// A key, put together for as long as it is looked at, and its value in the page.
type Borrowed<'key, 'page> = (&'key [u8], &'page [u8]);

/// Goes through the pairs of a page.
pub(super) struct Pairs<'a> {
    from: Cursor<'a>,
    key: Vec<u8>,
}

impl<'a> Pairs<'a> {
    /// The pairs of the page of this name.
    pub(super) fn of(name: &[u8], page: &'a [u8]) -> Result<Self, Malformed> {
        let end = page.len().checked_sub(CHECKSUM).ok_or(Malformed("the page is cut short"))?;
        let mut crc = crc32fast::Hasher::new();
        crc.update(name);
        crc.update(&page[..end]);
        if crc.finalize().to_be_bytes() != page[end..] {
            return Err(Malformed("the checksum of its page does not fit"));
        }
        let mut from = Cursor::new(&page[..end]);
        from.version(VERSION)?;
        Ok(Self { from, key: Vec::new() })
    }

    /// The next key, and its value.
    fn next(&mut self) -> Result<Option<Borrowed<'_, 'a>>, Malformed> {
        if self.from.is_empty() {
            return Ok(None);
        }
        let length = |from: &mut Cursor<'_>| take(from).map(|it| usize::try_from(it).unwrap_or(usize::MAX));
        let (shared, rest, value) =
            (length(&mut self.from)?, length(&mut self.from)?, length(&mut self.from)?);
        if shared > self.key.len() {
            return Err(Malformed("a key begins with more than the one before it has"));
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(self.from.take(rest)?);
        Ok(Some((&self.key, self.from.take(value)?)))
    }

    /// The value of a key.
    pub(super) fn find(mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        while let Some((found, value)) = self.next()? {
            match found.cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(value.to_vec())),
                std::cmp::Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    /// All that are left.
    pub(super) fn collect(mut self) -> Result<Vec<Pair>, Malformed> {
        let mut out = Vec::new();
        while let Some((key, value)) = self.next()? {
            out.push((key.to_vec(), value.to_vec()));
        }
        Ok(out)
    }
}

/// Cuts pairs into pages: full ones where what is new lies at the end, as keys that begin with the time do; else of
/// equal size, so that each has room.
pub(super) fn cut(pairs: Vec<Pair>, at_the_end: bool) -> Vec<Vec<Pair>> {
    let whole = pairs.iter().map(weight).sum::<usize>();
    let most = if at_the_end { FULL } else { whole.div_ceil(whole.div_ceil(FULL).max(1)).max(1) };
    let (mut out, mut page, mut size) = (Vec::new(), Vec::new(), 0);
    for pair in pairs {
        let weight = weight(&pair);
        // Equal pages are begun where the one before has its part.
        let full = if at_the_end { size + weight > most } else { size >= most || size + weight > FULL };
        if full && !page.is_empty() {
            out.push(std::mem::take(&mut page));
            size = 0;
        }
        size += weight;
        page.push(pair);
    }
    if !page.is_empty() {
        out.push(page);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(key: &str, value: &str) -> Pair {
        (key.as_bytes().to_vec(), value.as_bytes().to_vec())
    }

    #[test]
    fn golden_bytes() {
        let page = encode(b"name", &[pair("r|one", "1"), pair("r|other", "22"), pair("u", "")]);
        let end = page.len() - CHECKSUM;
        assert_eq!(page[..end], *b"\x01\x00\x05\x01r|one1\x03\x04\x02ther22\x00\x01\x00u");
        let mut crc = crc32fast::Hasher::new();
        crc.update(b"name");
        crc.update(&page[..end]);
        assert_eq!(page[end..], crc.finalize().to_be_bytes());
    }

    fn pairs() -> impl Strategy<Value = Vec<Pair>> {
        let key = prop::collection::vec(0..4_u8, 0..8);
        let value = prop::collection::vec(any::<u8>(), 0..700);
        prop::collection::btree_map(key, value, 0..40).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn pages_come_back(pairs in pairs(), name: Vec<u8>, other in prop::collection::vec(0..4_u8, 0..8)) {
            let page = encode(&name, &pairs);
            prop_assert_eq!(Pairs::of(&name, &page).unwrap().collect().unwrap(), pairs.clone());
            for (key, value) in &pairs {
                let found = Pairs::of(&name, &page).unwrap().find(key).unwrap();
                prop_assert_eq!(found.as_ref(), Some(value));
            }
            let expect = pairs.iter().find(|(key, _)| *key == other).map(|(_, value)| value.clone());
            prop_assert_eq!(Pairs::of(&name, &page).unwrap().find(&other).unwrap(), expect);
        }

        #[test]
        fn any_flipped_bit_is_seen(pairs in pairs(), place: prop::sample::Index, bit in 0..8_u8) {
            let mut page = encode(b"name", &pairs);
            let place = place.index(page.len());
            page[place] ^= 1 << bit;
            prop_assert!(Pairs::of(b"name", &page).is_err());
            page[place] ^= 1 << bit;
            prop_assert!(Pairs::of(b"another", &page).is_err());
        }

        #[test]
        fn what_is_cut_is_whole_and_no_page_is_too_full(pairs in pairs(), at_the_end: bool) {
            let pages = cut(pairs.clone(), at_the_end);
            prop_assert_eq!(pages.concat(), pairs);
            for page in pages {
                prop_assert!(!page.is_empty());
                prop_assert!(page.len() == 1 || page.iter().map(weight).sum::<usize>() <= FULL);
            }
        }

        #[test]
        fn decoding_never_panics(mut bytes: Vec<u8>) {
            bytes.insert(0, VERSION);
            let page = frame(b"name", bytes);
            let _ = Pairs::of(b"name", &page).and_then(Pairs::collect);
        }
    }
}
