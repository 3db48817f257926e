//! Headers.

use wasmtime::component::Resource;
use wflo_model::{BadHttpHeader, HttpHeaderName, Octets};

use super::HttpView;
use super::room::Held;
use crate::bindings::wasi::http::types::{self, HeaderError};

/// Most bytes of all headers together: against a guest that fills the host's memory with them.
const LONGEST: usize = 64 << 10;
/// What a header takes beside its name and its value: an empty one is something too.
const ENTRY: usize = 64;

/// Headers in the order in which they were added.
#[derive(Debug, Default)]
pub struct Fields {
    entries: Vec<(HttpHeaderName, Octets)>,
    bytes: usize,
    immutable: bool,
    held: Held,
}

impl Fields {
    /// Headers that the guest may look at, and not change.
    pub(super) fn immutable(entries: Vec<(HttpHeaderName, Octets)>) -> Self {
        let bytes = entries.iter().map(|(name, value)| size(name, value)).sum();
        Self { entries, bytes, immutable: true, held: Held::default() }
    }

    pub(super) fn into_immutable(mut self) -> Self {
        self.immutable = true;
        self
    }

    /// The same once more, without room of its own.
    pub(super) fn copy(&self) -> Self {
        let Self { entries, bytes, immutable, held: _ } = self;
        Self { entries: entries.clone(), bytes: *bytes, immutable: *immutable, held: Held::default() }
    }

    /// The headers with the room they take: they are sent.
    pub(super) fn into_held(self) -> (Vec<(HttpHeaderName, Octets)>, Held) {
        (self.entries, self.held)
    }

    /// The headers as they are.
    pub(super) fn entries(&self) -> &[(HttpHeaderName, Octets)] {
        &self.entries
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Octets> {
        let same = move |entry: &&(HttpHeaderName, Octets)| entry.0.as_str().eq_ignore_ascii_case(name);
        self.entries.iter().filter(same).map(|(_, value)| value)
    }

    pub(super) fn append(&mut self, name: &str, value: Vec<u8>) -> Result<(), HeaderError> {
        let name = self.writable(name)?;
        // RFC 9110, section 5.5: visible characters, blanks between them, and bytes beyond ASCII. A line end
        // would begin another header.
        let visible = |byte: &u8| matches!(byte, b' ' | b'\t' | 0x21..=0x7e | 0x80..);
        if !value.iter().all(visible) || value.trim_ascii().len() != value.len() {
            return Err(HeaderError::InvalidSyntax);
        }
        let value = Octets::from(value);
        let bytes = self.bytes + size(&name, &value);
        if bytes > LONGEST {
            return Err(HeaderError::Forbidden);
        }
        self.bytes = bytes;
        self.entries.push((name, value));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), HeaderError> {
        let name = self.writable(name)?;
        let bytes = &mut self.bytes;
        self.entries.retain(|(other, value)| {
            let keep = *other != name;
            if !keep {
                *bytes = bytes.saturating_sub(size(other, value));
            }
            keep
        });
        Ok(())
    }

    fn writable(&self, name: &str) -> Result<HttpHeaderName, HeaderError> {
        if self.immutable {
            return Err(HeaderError::Immutable);
        }
        name.parse().map_err(|error| match error {
            BadHttpHeader::OfTheConnection { .. } => HeaderError::Forbidden,
            _ => HeaderError::InvalidSyntax,
        })
    }
}

/// What a header takes.
fn size(name: &HttpHeaderName, value: &Octets) -> usize {
    name.as_str().len() + value.as_bytes().len() + ENTRY
}

impl HttpView<'_> {
    /// Gives headers to the guest, which take room from there on.
    pub(super) fn push_fields(&mut self, mut fields: Fields) -> wasmtime::Result<Resource<Fields>> {
        fields.held = self.room.hold(fields.bytes)?;
        Ok(self.table.push(fields)?)
    }

    /// Changes headers; what they take changes with them.
    fn change_fields(
        &mut self,
        fields: &Resource<Fields>,
        change: impl FnOnce(&mut Fields) -> Result<(), HeaderError>,
    ) -> wasmtime::Result<Result<(), HeaderError>> {
        let fields = self.table.get_mut(fields)?;
        let result = change(fields);
        fields.held.resize(fields.bytes)?;
        Ok(result)
    }
}

impl types::HostFields for HttpView<'_> {
    async fn new(&mut self) -> wasmtime::Result<Resource<Fields>> {
        self.push_fields(Fields::default())
    }

    async fn from_list(
        &mut self,
        entries: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<Resource<Fields>, HeaderError>> {
        let mut fields = Fields::default();
        for (name, value) in entries {
            if let Err(error) = fields.append(&name, value) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(self.push_fields(fields)?))
    }

    async fn get(&mut self, fields: Resource<Fields>, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        let fields = self.table.get(&fields)?;
        Ok(fields.values(&name).map(|value| value.as_bytes().to_vec()).collect())
    }

    async fn has(&mut self, fields: Resource<Fields>, name: String) -> wasmtime::Result<bool> {
        Ok(self.table.get(&fields)?.values(&name).next().is_some())
    }

    async fn set(
        &mut self,
        fields: Resource<Fields>,
        name: String,
        values: Vec<Vec<u8>>,
    ) -> wasmtime::Result<Result<(), HeaderError>> {
        self.change_fields(&fields, |fields| {
            // All of it or nothing.
            let mut changed = fields.copy();
            changed.remove(&name)?;
            values.into_iter().try_for_each(|value| changed.append(&name, value))?;
            (fields.entries, fields.bytes) = (changed.entries, changed.bytes);
            Ok(())
        })
    }

    async fn delete(
        &mut self,
        fields: Resource<Fields>,
        name: String,
    ) -> wasmtime::Result<Result<(), HeaderError>> {
        self.change_fields(&fields, |fields| fields.remove(&name))
    }

    async fn append(
        &mut self,
        fields: Resource<Fields>,
        name: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), HeaderError>> {
        self.change_fields(&fields, |fields| fields.append(&name, value))
    }

    async fn entries(&mut self, fields: Resource<Fields>) -> wasmtime::Result<Vec<(String, Vec<u8>)>> {
        let entries = &self.table.get(&fields)?.entries;
        Ok(entries.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect())
    }

    async fn clone(&mut self, fields: Resource<Fields>) -> wasmtime::Result<Resource<Fields>> {
        let mut copy = self.table.get(&fields)?.copy();
        copy.immutable = false;
        self.push_fields(copy)
    }

    async fn drop(&mut self, fields: Resource<Fields>) -> wasmtime::Result<()> {
        self.table.delete(fields)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, HeaderError};

    #[test]
    fn a_header_cannot_bring_another_one() {
        let mut fields = Fields::default();
        fields.append("X-One", b"a".to_vec()).unwrap();
        fields.append("x-one", "é b".as_bytes().to_vec()).unwrap();
        assert_eq!(fields.values("X-ONE").count(), 2);
        for (name, value) in [
            ("x", &b"a\r\nHost: evil"[..]),
            ("x", b"a\nb"),
            ("x", b"a\0"),
            ("x", b" a"),
            ("x", b"a\t"),
            ("x\r\ny", b"a"),
            ("x: y", b"a"),
            ("", b"a"),
        ] {
            assert!(
                matches!(fields.append(name, value.to_vec()), Err(HeaderError::InvalidSyntax)),
                "{name:?}"
            );
        }
        for name in ["Host", "connection", "Transfer-Encoding", "TE", "proxy-authorization"] {
            assert!(matches!(fields.append(name, b"a".to_vec()), Err(HeaderError::Forbidden)), "{name}");
        }
        fields.remove("X-one").unwrap();
        assert_eq!((fields.entries.len(), fields.bytes), (0, 0));
    }

    #[test]
    fn headers_are_bounded_and_can_be_closed() {
        let mut fields = Fields::default();
        let added = (0..100).take_while(|_| fields.append("x", vec![b'a'; 1023]).is_ok()).count();
        assert_eq!(added, 60);
        let mut many = Fields::default();
        let added = (0..10_000).take_while(|_| many.append("x", Vec::new()).is_ok()).count();
        assert_eq!(added, 1008, "an empty one counts");
        let mut fields = fields.into_immutable();
        assert!(matches!(fields.append("x", Vec::new()), Err(HeaderError::Immutable)));
        assert!(matches!(fields.remove("x"), Err(HeaderError::Immutable)));
    }
}
