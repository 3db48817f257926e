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
        let in_blob = from.flag()?;
        let length = from.u16()?;
        let header_bytes = from.take(usize::from(length))?;
        let header = Header::decode(header_bytes)?;
        let form = if in_blob { BodyForm::Blob(Digest::from_bytes(from.array()?)) } else { BodyForm::Inline };
        let sealed = from.rest();
        Ok(Self { header, header_bytes, form, prefix: &bytes[..bytes.len() - sealed.len()], sealed })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::any_header;
    use super::*;

    proptest! {
        #[test]
        fn events_come_back(header in any_header(), blob: Option<[u8; 32]>, sealed: Vec<u8>) {
            let form = blob.map_or(BodyForm::Inline, |name| BodyForm::Blob(Digest::from_bytes(name)));
            let header_bytes = header.encode();
            let prefix = EventRecord::prefix(&header_bytes, form, 0);
            let expect_length = 4 + header_bytes.len() + if blob.is_some() { 32 } else { 0 };
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
