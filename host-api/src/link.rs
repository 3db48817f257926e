//! Adding the interfaces to a linker, and what all their implementations share.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wasmtime::component::{HasData, Linker};
use wflo_model::{Call, CallError};

use crate::bindings::{wasi, wflo};
use crate::{ArtifactView, FilesView, Gate, HttpView, Stop, artifact, files, http};

/// The data of a store whose guest may call wflo's interfaces.
pub trait HostView {
    /// The gate of the attempt; none while a component is only asked to describe itself, when every call to
    /// the host ends it.
    fn gate(&mut self) -> Option<&mut dyn Gate>;

    /// What `wasi:http` works on.
    fn http(&mut self) -> HttpView<'_>;

    /// What `wasi:filesystem` works on.
    fn files(&mut self) -> FilesView<'_>;

    /// What `wflo:artifact` works on.
    fn artifacts(&mut self) -> ArtifactView<'_>;
}

/// Adds every interface of `wflo:*`, `wasi:logging`, `wasi:http` and `wasi:filesystem` to `linker`: exactly
/// [`INTERFACES`](crate::INTERFACES) with [`FUNCTIONS`](crate::FUNCTIONS).
///
/// # Errors
/// When one of them is in the linker already.
pub fn add_to_linker<T: HostView + Send + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    http::add_to_linker(linker)?;
    files::add_to_linker(linker)?;
    artifact::add_to_linker(linker)?;
    wasi::logging::logging::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::step::types::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::step::context::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::llm::types::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::llm::chat::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::llm::tasks::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::db::sql::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::db::sql_json::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::approval::gate::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::approval::policy::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::secret::secrets::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::notify::mail::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::notify::channel::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::knowledge::search::add_to_linker::<T, HasHost>(linker, host)?;
    wflo::infra::terraform::add_to_linker::<T, HasHost>(linker, host)
}

/// What the interfaces of a store work on: for the `add_to_linker` that wasmtime's `bindgen!` makes of each.
pub fn host<T: HostView>(data: &mut T) -> Host<'_> {
    Host { gate: data.gate() }
}

/// Tells wasmtime that the implementations work on a [`Host`].
#[derive(Debug)]
pub struct HasHost;

impl HasData for HasHost {
    type Data<'a> = Host<'a>;
}

/// What every interface is implemented on: the way to the gate and nothing else.
///
/// Those of wflo are, and so are those that a host brings itself. Its `bindgen!` makes a trait of an interface, and
/// the trait is implemented on this: each function turns its arguments into a [`call`](Self::call), which the gate
/// authorises, journals, has approved and performs, and turns what it came to into a result. There is nothing else
/// that a function here could do anything with.
///
/// ```
/// use wflo_host_api::{HasHost, Host, HostView};
/// use wflo_model::CallError;
///
/// wasmtime::component::bindgen!({
///     inline: "
///         package clinic:ehr@0.1.0;
///         interface records { note: func(patient: string, text: string) -> result<u64, string>; }
///         world all { import records; }
///     ",
///     imports: { default: async | trappable },
/// });
///
/// impl clinic::ehr::records::Host for Host<'_> {
///     async fn note(&mut self, patient: String, text: String) -> wasmtime::Result<Result<u64, String>> {
///         let args = serde_json::json!({ "patient": patient, "text": text });
///         let answer: Result<u64, CallError> = self.call("clinic:ehr/records", "note", &args).await?;
///         Ok(answer.map_err(|error| error.to_string()))
///     }
/// }
///
/// fn link<T: HostView + Send>(linker: &mut wasmtime::component::Linker<T>) -> wasmtime::Result<()> {
///     clinic::ehr::records::add_to_linker::<T, HasHost>(linker, wflo_host_api::host)
/// }
/// ```
pub struct Host<'a> {
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
    ///
    /// # Errors
    /// The inner error is typed, and the guest's to handle: access was denied, people rejected it, the other side
    /// failed.
    pub async fn call<A: Serialize, V: DeserializeOwned>(
        &mut self,
        interface: &str,
        function: &str,
        args: &A,
    ) -> wasmtime::Result<Result<V, CallError>> {
        let args = match serde_json::to_value(args) {
            Ok(args) => args,
            Err(error) => return Ok(Err(CallError::Invalid { message: error.to_string() })),
        };
        self.call_json(interface, function, args).await
    }

    /// As [`call`](Self::call), with arguments that are JSON.
    pub(crate) async fn call_json<V: DeserializeOwned>(
        &mut self,
        interface: &str,
        function: &str,
        args: Value,
    ) -> wasmtime::Result<Result<V, CallError>> {
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
