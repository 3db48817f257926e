//! `wasi:filesystem`: folders that were granted, to read.
//!
//! Opening a file is a call of the gate, and what it answers is the file, with every byte of it: from then on nothing
//! depends on the file system, which may change, and a replay needs none. Listing a folder and looking at a path are calls
//! too. Everything else is the guest's own: reading at a place, seeking, telling a size.
//!
//! Whatever would write is a call as well, and is denied: so that it can be seen who tried.

#![expect(
    unreachable_pub,
    reason = "bindings re-export the types of resources, though nobody outside sees them"
)]

mod answer;
mod descriptor;
mod entries;
mod refused;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::IoError;

use crate::bindings::wasi::filesystem::{preopens, types};
use crate::{Gate, HostView};

pub use answer::FileAnswer;
pub use descriptor::Descriptor;
pub use entries::Entries;

/// What `wasi:filesystem` works on.
pub struct FilesView<'a> {
    /// The gate of the attempt; none while a component is only asked to describe itself.
    pub gate: Option<&'a mut dyn Gate>,
    /// The guest's handles, those on streams included.
    pub table: &'a mut ResourceTable,
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = FilesView<'a>;
}

pub(crate) fn add_to_linker<T: HostView + Send + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, HasFiles>(linker, T::files)?;
    preopens::add_to_linker::<T, HasFiles>(linker, T::files)
}

impl preopens::Host for FilesView<'_> {
    async fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        // A component that describes itself has none: languages ask for them before anything else.
        let folders = self.gate.as_ref().map(|gate| gate.context().folders.clone()).unwrap_or_default();
        let mut all = Vec::new();
        for folder in folders {
            let name = folder.to_string();
            all.push((self.table.push(Descriptor::folder(folder, String::new()))?, name));
        }
        Ok(all)
    }
}

impl types::Host for FilesView<'_> {
    async fn filesystem_error_code(
        &mut self,
        _: Resource<IoError>,
    ) -> wasmtime::Result<Option<types::ErrorCode>> {
        // Streams are in memory and do not fail.
        Ok(None)
    }
}
