//! What a guest has open.

use std::fmt;
use std::hash::{Hash as _, Hasher};

use bytes::Bytes;
use serde::Serialize;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};
use wflo_model::{Call, GuestPath};
use wflo_ports::{FileKind, FileStat, Opened};

use super::answer::{self, FileAnswer};
use super::{Entries, FilesView};
use crate::Gate;
use crate::bindings::wasi::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};
use crate::link::unexpected;

pub(super) const INTERFACE: &str = "wasi:filesystem/types";

/// A file or folder that a guest has open.
#[derive(Clone, Debug)]
pub struct Descriptor {
    /// The folder that was granted, by the guest's name for it.
    mount: GuestPath,
    /// The way from there; empty for the folder itself.
    path: String,
    /// Everything in it, of a file.
    bytes: Option<Bytes>,
}

/// The arguments of a call, as the journal keeps them.
#[derive(Serialize)]
struct Args<'a> {
    mount: &'a GuestPath,
    #[serde(skip_serializing_if = "str::is_empty")]
    base: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    nofollow: bool,
}

impl Descriptor {
    pub(super) const fn folder(mount: GuestPath, path: String) -> Self {
        Self { mount, path, bytes: None }
    }

    /// A path from here.
    fn below(&self, path: &str) -> String {
        if self.path.is_empty() { path.to_owned() } else { format!("{}/{path}", self.path) }
    }

    fn stat(&self) -> FileStat {
        match &self.bytes {
            Some(bytes) => FileStat { kind: FileKind::File, size: bytes.len() as u64 },
            None => FileStat { kind: FileKind::Folder, size: 0 },
        }
    }

    /// Tells files apart for guests that look for links. It follows from the name, and so from nothing outside.
    fn hash(&self, path: &str) -> MetadataHashValue {
        let mut upper = Fnv::default();
        (&self.mount, self.below(path)).hash(&mut upper);
        let mut lower = Fnv(upper.0 ^ 0x5bd1_e995);
        self.below(path).hash(&mut lower);
        MetadataHashValue { lower: lower.0, upper: upper.0 }
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => self.mount.fmt(f),
            path => write!(f, "{}/{path}", self.mount),
        }
    }
}

/// FNV-1a: the standard hasher may change with the compiler, and the guest sees what comes of this one.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn described(FileStat { kind, size }: FileStat) -> DescriptorStat {
    DescriptorStat {
        type_: answer::kind(kind),
        link_count: 1,
        size,
        data_access_timestamp: None,
        data_modification_timestamp: None,
        status_change_timestamp: None,
    }
}

impl FilesView<'_> {
    /// The gate, or the trap of a guest that calls its host while it describes itself.
    pub(super) fn gate(&mut self) -> wasmtime::Result<&mut dyn Gate> {
        match &mut self.gate {
            Some(gate) => Ok(&mut **gate),
            None => {
                Err(wasmtime::format_err!("a component must not call its host while it describes itself"))
            }
        }
    }

    /// Makes a call about a path below a folder that the guest has open.
    async fn ask(
        &mut self,
        function: &str,
        this: &Descriptor,
        path: &str,
        follow: bool,
    ) -> wasmtime::Result<Result<FileAnswer, ErrorCode>> {
        if this.bytes.is_some() {
            return Ok(Err(ErrorCode::NotDirectory));
        }
        let args = Args { mount: &this.mount, base: &this.path, path, nofollow: !follow };
        let args = serde_json::to_value(args).expect("texts are JSON");
        match self.gate()?.call(Call::new(INTERFACE, function, args)).await? {
            Err(error) => Ok(Err(answer::refusal(&error))),
            Ok(value) => match serde_json::from_value(value) {
                Ok(FileAnswer::Failed(failure)) => Ok(Err(answer::code(failure))),
                Ok(answer) => Ok(Ok(answer)),
                Err(error) => Err(unexpected(INTERFACE, function, &error.to_string())),
            },
        }
    }

    fn bytes(&self, this: &Resource<Descriptor>) -> wasmtime::Result<Result<Bytes, ErrorCode>> {
        Ok(self.table.get(this)?.bytes.clone().ok_or(ErrorCode::IsDirectory))
    }
}

impl types::HostDescriptor for FilesView<'_> {
    async fn open_at(
        &mut self,
        this: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> wasmtime::Result<Result<Resource<Descriptor>, ErrorCode>> {
        let writes = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        if open_flags.intersects(writes)
            || flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY)
        {
            return self.refuse("open-at", &this, path).await;
        }
        let folder = self.table.get(&this)?.clone();
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        let opened = match self.ask("open-at", &folder, &path, follow).await? {
            Ok(FileAnswer::Opened(opened)) => opened,
            Ok(other) => return Err(unexpected(INTERFACE, "open-at", &format!("{other:?}"))),
            Err(code) => return Ok(Err(code)),
        };
        let bytes = match opened {
            Opened::File(_) if open_flags.contains(OpenFlags::DIRECTORY) => {
                return Ok(Err(ErrorCode::NotDirectory));
            }
            Opened::File(octets) => Some(Bytes::from(octets.into_bytes())),
            Opened::Folder => None,
        };
        let path = folder.below(&path);
        Ok(Ok(self.table.push(Descriptor { mount: folder.mount, path, bytes })?))
    }

    async fn stat_at(
        &mut self,
        this: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> wasmtime::Result<Result<DescriptorStat, ErrorCode>> {
        let folder = self.table.get(&this)?.clone();
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        match self.ask("stat-at", &folder, &path, follow).await? {
            Ok(FileAnswer::Stat(stat)) => Ok(Ok(described(stat))),
            Ok(other) => Err(unexpected(INTERFACE, "stat-at", &format!("{other:?}"))),
            Err(code) => Ok(Err(code)),
        }
    }

    async fn read_directory(
        &mut self,
        this: Resource<Descriptor>,
    ) -> wasmtime::Result<Result<Resource<Entries>, ErrorCode>> {
        let folder = self.table.get(&this)?.clone();
        match self.ask("read-directory", &folder, "", true).await? {
            Ok(FileAnswer::Entries(entries)) => Ok(Ok(self.table.push(Entries(entries.into_iter()))?)),
            Ok(other) => Err(unexpected(INTERFACE, "read-directory", &format!("{other:?}"))),
            Err(code) => Ok(Err(code)),
        }
    }

    async fn read(
        &mut self,
        this: Resource<Descriptor>,
        length: u64,
        offset: u64,
    ) -> wasmtime::Result<Result<(Vec<u8>, bool), ErrorCode>> {
        let bytes = match self.bytes(&this)? {
            Ok(bytes) => bytes,
            Err(code) => return Ok(Err(code)),
        };
        let (from, to) = within(&bytes, offset, length);
        Ok(Ok((bytes[from..to].to_vec(), to == bytes.len())))
    }

    async fn read_via_stream(
        &mut self,
        this: Resource<Descriptor>,
        offset: u64,
    ) -> wasmtime::Result<Result<Resource<DynInputStream>, ErrorCode>> {
        let bytes = match self.bytes(&this)? {
            Ok(bytes) => bytes,
            Err(code) => return Ok(Err(code)),
        };
        let (from, to) = within(&bytes, offset, u64::MAX);
        let stream: DynInputStream = Box::new(MemoryInputPipe::new(bytes.slice(from..to)));
        Ok(Ok(self.table.push(stream)?))
    }

    async fn stat(
        &mut self,
        this: Resource<Descriptor>,
    ) -> wasmtime::Result<Result<DescriptorStat, ErrorCode>> {
        Ok(Ok(described(self.table.get(&this)?.stat())))
    }

    async fn get_flags(
        &mut self,
        this: Resource<Descriptor>,
    ) -> wasmtime::Result<Result<DescriptorFlags, ErrorCode>> {
        self.table.get(&this)?;
        Ok(Ok(DescriptorFlags::READ))
    }

    async fn get_type(
        &mut self,
        this: Resource<Descriptor>,
    ) -> wasmtime::Result<Result<DescriptorType, ErrorCode>> {
        Ok(Ok(answer::kind(self.table.get(&this)?.stat().kind)))
    }

    async fn advise(
        &mut self,
        this: Resource<Descriptor>,
        _: u64,
        _: u64,
        _: Advice,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.table.get(&this)?;
        Ok(Ok(()))
    }

    async fn sync_data(&mut self, this: Resource<Descriptor>) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.table.get(&this)?;
        Ok(Ok(()))
    }

    async fn sync(&mut self, this: Resource<Descriptor>) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.table.get(&this)?;
        Ok(Ok(()))
    }

    async fn is_same_object(
        &mut self,
        this: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        let (this, other) = (self.table.get(&this)?, self.table.get(&other)?);
        Ok(this.mount == other.mount && this.path == other.path)
    }

    async fn metadata_hash(
        &mut self,
        this: Resource<Descriptor>,
    ) -> wasmtime::Result<Result<MetadataHashValue, ErrorCode>> {
        let this = self.table.get(&this)?;
        Ok(Ok(Descriptor::folder(this.mount.clone(), String::new()).hash(&this.path)))
    }

    async fn metadata_hash_at(
        &mut self,
        this: Resource<Descriptor>,
        _: PathFlags,
        path: String,
    ) -> wasmtime::Result<Result<MetadataHashValue, ErrorCode>> {
        Ok(Ok(self.table.get(&this)?.hash(&path)))
    }

    async fn readlink_at(
        &mut self,
        this: Resource<Descriptor>,
        _: String,
    ) -> wasmtime::Result<Result<String, ErrorCode>> {
        self.table.get(&this)?;
        // Where a link leads says how the host is built.
        Ok(Err(ErrorCode::Unsupported))
    }

    async fn write_via_stream(
        &mut self,
        this: Resource<Descriptor>,
        _: u64,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ErrorCode>> {
        self.refuse("write-via-stream", &this, String::new()).await
    }

    async fn append_via_stream(
        &mut self,
        this: Resource<Descriptor>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ErrorCode>> {
        self.refuse("append-via-stream", &this, String::new()).await
    }

    async fn set_size(
        &mut self,
        this: Resource<Descriptor>,
        _: u64,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.refuse("set-size", &this, String::new()).await
    }

    async fn set_times(
        &mut self,
        this: Resource<Descriptor>,
        _: NewTimestamp,
        _: NewTimestamp,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.refuse("set-times", &this, String::new()).await
    }

    async fn write(
        &mut self,
        this: Resource<Descriptor>,
        _: Vec<u8>,
        _: u64,
    ) -> wasmtime::Result<Result<u64, ErrorCode>> {
        self.refuse("write", &this, String::new()).await
    }

    async fn create_directory_at(
        &mut self,
        this: Resource<Descriptor>,
        path: String,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.refuse("create-directory-at", &this, path).await
    }

    async fn set_times_at(
        &mut self,
        this: Resource<Descriptor>,
        _: PathFlags,
        path: String,
        _: NewTimestamp,
        _: NewTimestamp,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.refuse("set-times-at", &this, path).await
    }

    async fn link_at(
        &mut self,
        this: Resource<Descriptor>,
        _: PathFlags,
        path: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.refuse("link-at", &this, path).await
    }

    async fn remove_directory_at(
        &mut self,
        this: Resource<Descriptor>,
        path: String,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.refuse("remove-directory-at", &this, path).await
    }

    async fn rename_at(
        &mut self,
        this: Resource<Descriptor>,
        path: String,
        _: Resource<Descriptor>,
        _: String,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.refuse("rename-at", &this, path).await
    }

    async fn symlink_at(
        &mut self,
        this: Resource<Descriptor>,
        _: String,
        path: String,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.refuse("symlink-at", &this, path).await
    }

    async fn unlink_file_at(
        &mut self,
        this: Resource<Descriptor>,
        path: String,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        self.refuse("unlink-file-at", &this, path).await
    }

    async fn drop(&mut self, this: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

/// The part of `bytes` that a read gets.
fn within(bytes: &Bytes, offset: u64, length: u64) -> (usize, usize) {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    (place(offset), place(offset.saturating_add(length)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Descriptor, within};

    #[test]
    fn reads_end_where_the_file_does() {
        let bytes = Bytes::from_static(b"0123456789");
        assert_eq!(within(&bytes, 0, 4), (0, 4));
        assert_eq!(within(&bytes, 8, 4), (8, 10));
        assert_eq!(within(&bytes, 20, 4), (10, 10));
        assert_eq!(within(&bytes, 4, u64::MAX), (4, 10));
        assert_eq!(within(&bytes, u64::MAX, u64::MAX), (10, 10));
    }

    #[test]
    fn a_file_has_one_hash_however_it_is_reached() {
        let root = Descriptor::folder("/data".parse().unwrap(), String::new());
        let sub = Descriptor::folder("/data".parse().unwrap(), "sub".to_owned());
        let pair = |hash: super::MetadataHashValue| (hash.lower, hash.upper);
        assert_eq!(pair(root.hash("sub/a")), pair(sub.hash("a")));
        assert_ne!(pair(root.hash("a")), pair(sub.hash("a")));
        // Pinned: guests may keep it, and recorded runs would diverge.
        assert_eq!(pair(root.hash("a")), pair(root.hash("a")));
    }
}
