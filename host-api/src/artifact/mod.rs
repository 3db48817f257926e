//! `wflo:artifact`: bytes of any size, handed on by reference.
//!
//! Finishing an artifact and opening one are calls of the gate. Writing and reading are not: what is written is seen by
//! nobody before it is finished, and what is read follows from the digest that the opening has put into the journal. The
//! bytes themselves are kept by the gate's [`Artifacts`].

#![expect(
    unreachable_pub,
    reason = "bindings re-export the types of resources, though nobody outside sees them"
)]

mod desk;
mod http;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wflo_model::{ArtifactAddress, ArtifactName, BadName, Call, CallError, CallResult, FoundArtifact};

use crate::bindings::wflo::artifact::types::{Address, Error};
use crate::bindings::wflo::artifact::{http as http_bindings, store, types};
use crate::link::unexpected;
use crate::{Gate, HostView, Stop};

pub use desk::Artifacts;
pub use http::SavedAnswer;

pub(crate) const STORE: &str = "wflo:artifact/store";

/// What `wflo:artifact` works on.
pub struct ArtifactView<'a> {
    /// The gate of the attempt; none while a component is only asked to describe itself.
    pub gate: Option<&'a mut dyn Gate>,
    /// The guest's handles.
    pub table: &'a mut ResourceTable,
}

struct HasArtifacts;

impl HasData for HasArtifacts {
    type Data<'a> = ArtifactView<'a>;
}

pub(crate) fn add_to_linker<T: HostView + Send + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, HasArtifacts>(linker, T::artifacts)?;
    store::add_to_linker::<T, HasArtifacts>(linker, T::artifacts)?;
    http_bindings::add_to_linker::<T, HasArtifacts>(linker, T::artifacts)
}

/// An artifact that is being written, by its number at the gate's desk.
#[derive(Debug)]
pub struct Writer(u32);

/// An artifact that is being read.
#[derive(Debug)]
pub struct Reader {
    found: FoundArtifact,
    at: u64,
}

impl ArtifactView<'_> {
    fn gate(&mut self) -> wasmtime::Result<&mut dyn Gate> {
        match &mut self.gate {
            Some(gate) => Ok(&mut **gate),
            None => {
                Err(wasmtime::format_err!("a component must not call its host while it describes itself"))
            }
        }
    }

    fn desk(&mut self) -> wasmtime::Result<&mut dyn Artifacts> {
        match self.gate()?.artifacts() {
            Some(desk) => Ok(desk),
            None => Err(Stop::Host("this host keeps no artifacts".to_owned()).into()),
        }
    }

    /// Makes a call whose answer is an artifact.
    async fn found(
        &mut self,
        function: &str,
        args: serde_json::Value,
    ) -> wasmtime::Result<Result<FoundArtifact, Error>> {
        let answer: CallResult = self.gate()?.call(Call::new(STORE, function, args)).await?;
        match answer {
            Ok(value) => match serde_json::from_value(value) {
                Ok(found) => Ok(Ok(found)),
                Err(error) => Err(unexpected(STORE, function, &error.to_string())),
            },
            Err(error) => Ok(Err(error_to_guest(error))),
        }
    }
}

impl types::Host for ArtifactView<'_> {}

impl store::Host for ArtifactView<'_> {
    async fn create(&mut self, name: String) -> wasmtime::Result<Result<Resource<Writer>, Error>> {
        let name: ArtifactName = match name.parse() {
            Ok(name) => name,
            Err(error) => return Ok(Err(Error::Invalid(error.to_string()))),
        };
        match self.desk()?.create(name) {
            Ok(writer) => Ok(Ok(self.table.push(Writer(writer))?)),
            Err(error) => Ok(Err(error_to_guest(error))),
        }
    }

    async fn open(&mut self, which: Address) -> wasmtime::Result<Result<Resource<Reader>, Error>> {
        let which = match address(which) {
            Ok(which) => which,
            Err(error) => return Ok(Err(Error::Invalid(error.to_string()))),
        };
        match self.found("open", serde_json::json!(which)).await? {
            Ok(found) => Ok(Ok(self.table.push(Reader { found, at: 0 })?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl store::HostWriter for ArtifactView<'_> {
    async fn write(&mut self, this: Resource<Writer>, bytes: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        let number = self.table.get(&this)?.0;
        self.desk()?.write(number, &bytes).await?;
        Ok(Ok(()))
    }

    async fn finish(&mut self, this: Resource<Writer>) -> wasmtime::Result<Result<String, Error>> {
        let number = self.table.delete(this)?.0;
        let artifact = self.desk()?.seal(number).await?;
        let found = self.found("finish", serde_json::json!(artifact)).await?;
        Ok(found.map(|found| found.reference().to_string()))
    }

    async fn drop(&mut self, this: Resource<Writer>) -> wasmtime::Result<()> {
        let number = self.table.delete(this)?.0;
        self.desk()?.discard(number);
        Ok(())
    }
}

impl store::HostReader for ArtifactView<'_> {
    async fn size(&mut self, this: Resource<Reader>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.found.artifact.bytes)
    }

    async fn reference(&mut self, this: Resource<Reader>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.found.reference().to_string())
    }

    async fn read(&mut self, this: Resource<Reader>, most: u32) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let Reader { found, at } = self.table.get(&this)?;
        let (artifact, at) = (found.artifact.clone(), *at);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let bytes = self.desk()?.read(&artifact, at, most).await?;
        self.table.get_mut(&this)?.at = at + bytes.len() as u64;
        Ok(Ok(bytes))
    }

    async fn seek(&mut self, this: Resource<Reader>, at: u64) -> wasmtime::Result<()> {
        let this = self.table.get_mut(&this)?;
        this.at = at.min(this.found.artifact.bytes);
        Ok(())
    }

    async fn drop(&mut self, this: Resource<Reader>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

fn address(which: Address) -> Result<ArtifactAddress, BadName> {
    let Address { name, step, item } = which;
    let step = step.map(|step| step.parse()).transpose()?;
    Ok(ArtifactAddress { artifact: name.parse()?, step, item })
}

fn error_to_guest(error: CallError) -> Error {
    match error {
        CallError::AccessDenied { message } => Error::AccessDenied(message),
        CallError::Unknown { message } => Error::Unknown(message),
        CallError::Invalid { message } => Error::Invalid(message),
        CallError::Limit { message } => Error::Limit(message),
        CallError::RefusedByPolicy { policy } => Error::RefusedByPolicy(policy),
        CallError::Rejected { message } => Error::Rejected(message),
        CallError::Upstream { message } => Error::Upstream(message),
        CallError::Unavailable { message } => Error::Unavailable(message),
        other => Error::Other(other.to_string()),
    }
}
