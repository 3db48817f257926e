//! What is in a folder, entry by entry.

use wasmtime::component::Resource;
use wflo_ports::FileEntry;

use super::{FilesView, answer};
use crate::bindings::wasi::filesystem::types::{self, DirectoryEntry, ErrorCode};

/// What is left to be read of a folder.
#[derive(Debug)]
pub struct Entries(pub(super) std::vec::IntoIter<FileEntry>);

impl types::HostDirectoryEntryStream for FilesView<'_> {
    async fn read_directory_entry(
        &mut self,
        this: Resource<Entries>,
    ) -> wasmtime::Result<Result<Option<DirectoryEntry>, ErrorCode>> {
        let next = self.table.get_mut(&this)?.0.next();
        Ok(Ok(next.map(|FileEntry { name, kind }| DirectoryEntry { type_: answer::kind(kind), name })))
    }

    async fn drop(&mut self, this: Resource<Entries>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
