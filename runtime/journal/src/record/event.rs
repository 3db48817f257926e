//! An event as the store keeps it: its header, and its body sealed.

use wflo_model::Digest;

use super::codec::{Cursor, Malformed};
use super::header::Header;

const VERSION: u8 = 1;

/// Where the body of an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyForm {
    /// Behind the salt in the sealed part.
    Inline,
    /// In the blob of this name; the sealed part holds the salt alone.
    Blob(Digest),
    /// Nowhere: the run was erased, and there is no sealed part.
    Erased,
}

/// An event as the store keeps it. `prefix` is everything before the sealed part; the seal binds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventRecord<'a> {
    pub(crate) header: Header,
    pub(crate) header_bytes: &'a [u8],
    pub(crate) form: BodyForm,
    pub(crate) prefix: &'a [u8],
    pub(crate) sealed: &'a [u8],
}

impl<'a> EventRecord<'a> {
    /// Everything before the sealed part.
    pub(crate) fn prefix(header: &[u8], form: BodyForm, capacity: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + header.len() + 32 + capacity);
        out.push(VERSION);
        out.push(match form {
            BodyForm::Inline => 0,
            BodyForm::Blob(_) => 1,
            BodyForm::Erased => 2,
        });
        out.extend_from_slice(
            &u16::try_from(header.len()).expect("a header has 249 bytes at most").to_be_bytes(),
        );
        out.extend_from_slice(header);
        if let BodyForm::Blob(name) = form {
            out.extend_from_slice(name.as_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(bytes);
        from.version(VERSION)?;
        let form = from.u8()?;
        let length = from.u16()?;
        let header_bytes = from.take(usize::from(length))?;
        let header = Header::decode(header_bytes)?;
        let form = match form {
            0 => BodyForm::Inline,
            1 => BodyForm::Blob(Digest::from_bytes(from.array()?)),
            2 => BodyForm::Erased,
            _ => return Err(Malformed("the record has its body in an unknown place")),
        };
        let sealed = from.rest();
        if form == BodyForm::Erased && !sealed.is_empty() {
            return Err(Malformed("the record has bytes after its end"));
        }
        Ok(Self { header, header_bytes, form, prefix: &bytes[..bytes.len() - sealed.len()], sealed })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::any_header;
    use super::*;

    #[test]
    fn golden_bytes() {
        let name = Digest::from_bytes([0xaa; 32]);
        assert_eq!(EventRecord::prefix(b"header", BodyForm::Inline, 0), b"\x01\0\0\x06header");
        assert_eq!(EventRecord::prefix(b"header", BodyForm::Erased, 0), b"\x01\x02\0\x06header");
        let blob = [&b"\x01\x01\0\x06header"[..], &[0xaa; 32]].concat();
        assert_eq!(EventRecord::prefix(b"header", BodyForm::Blob(name), 0), blob);
    }

    proptest! {
        #[test]
        fn events_come_back(header in any_header(), form in 0..3_u8, blob: [u8; 32], mut sealed: Vec<u8>) {
            let form = match form {
                0 => BodyForm::Inline,
                1 => BodyForm::Blob(Digest::from_bytes(blob)),
                _ => BodyForm::Erased,
            };
            if form == BodyForm::Erased {
                sealed.clear();
            }
            let header_bytes = header.encode();
            let prefix = EventRecord::prefix(&header_bytes, form, 0);
            let expect_length = 4 + header_bytes.len() + if form == BodyForm::Blob(Digest::from_bytes(blob)) { 32 } else { 0 };
            prop_assert_eq!(prefix.len(), expect_length);
            let bytes = [&prefix[..], &sealed].concat();
            let expect = EventRecord {
                header, header_bytes: &header_bytes, form, prefix: &prefix, sealed: &sealed
            };
            prop_assert_eq!(EventRecord::decode(&bytes).unwrap(), expect);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = EventRecord::decode(&bytes);
        }
    }
}
