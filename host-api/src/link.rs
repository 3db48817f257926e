//! Adding the interfaces to a linker, and what all their implementations share.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wasmtime::component::{HasData, Linker};
use wflo_model::{Call, CallError};

use crate::bindings::{wasi, wflo};
use crate::{FilesView, Gate, HttpView, Stop, files, http};

/// The data of a store whose guest may call wflo's interfaces.
pub trait HostView {
    /// The gate of the attempt; none while a component is only asked to describe itself, when every call to
    /// the host ends it.
    fn gate(&mut self) -> Option<&mut dyn Gate>;

    /// What `wasi:http` works on.
    fn http(&mut self) -> HttpView<'_>;

    /// What `wasi:filesystem` works on.
    fn files(&mut self) -> FilesView<'_>;
}

/// Adds every interface of `wflo:*`, `wasi:logging`, `wasi:http` and `wasi:filesystem` to `linker`: exactly
/// [`INTERFACES`](crate::INTERFACES) with [`FUNCTIONS`](crate::FUNCTIONS).
///
/// # Errors
/// When one of them is in the linker already.
pub fn add_to_linker<T: HostView + Send + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    fn host<T: HostView>(data: &mut T) -> Host<'_> {
        Host { gate: data.gate() }
    }
    http::add_to_linker(linker)?;
    files::add_to_linker(linker)?;
    wasi::logging::logging::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::step::types::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::step::context::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::llm::types::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::llm::chat::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::llm::tasks::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::db::sql::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::approval::gate::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::approval::policy::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::secret::secrets::add_to_linker::<T, HasHost>(linker, host)
}

/// Tells wasmtime what the implementations work on.
struct HasHost;

impl HasData for HasHost {
    type Data<'a> = Host<'a>;
}

/// What every interface is implemented on: the way to the gate and nothing else.
pub(crate) struct Host<'a> {
    gate: Option<&'a mut dyn Gate>,
}

impl Host<'_> {
    /// The gate, or the trap of a guest that calls its host while it describes itself.
    pub(crate) fn gate(&mut self) -> wasmtime::Result<&mut dyn Gate> {
        match &mut self.gate {
            Some(gate) => Ok(&mut **gate),
            None => {
                Err(wasmtime::format_err!("a component must not call its host while it describes itself"))
            }
        }
    }

    /// Makes a call and reads its value as a `V`.
    ///
    /// The outer error is a trap: the gate stopped the attempt, or answered with what the interface does not
    /// know, which is a bug of the host and never the guest's to handle.
    pub(crate) async fn call<A: Serialize, V: DeserializeOwned>(
        &mut self,
        interface: &str,
        function: &str,
        args: &A,
    ) -> wasmtime::Result<Result<V, CallError>> {
        let args = match serde_json::to_value(args) {
            Ok(args) => args,
            Err(error) => return Ok(Err(CallError::Invalid { message: error.to_string() })),
        };
        match self.gate()?.call(Call::new(interface, function, args)).await? {
            Ok(value) => match serde_json::from_value(value) {
                Ok(value) => Ok(Ok(value)),
                Err(error) => Err(unexpected(interface, function, &error.to_string())),
            },
            Err(error) => Ok(Err(error)),
        }
    }
}

/// The trap for an answer of the gate that does not have the shape of its interface.
pub(crate) fn unexpected(interface: &str, function: &str, why: &str) -> wasmtime::Error {
    Stop::Host(format!("the gate answered `{interface}.{function}` with an unexpected value: {why}")).into()
}

/// Reads JSON text that a guest passed as `what`.
pub(crate) fn parse_json(what: &str, text: &str) -> Result<Value, CallError> {
    serde_json::from_str(text)
        .map_err(|error| CallError::Invalid { message: format!("`{what}` is not JSON: {error}") })
}
