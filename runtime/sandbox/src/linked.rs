//! Interfaces that the host brings itself, on their way into the linker.

use wasmtime::component::Linker;
use wflo_model::InterfaceName;

use crate::sandbox::SandboxError;
use crate::state::State;

/// An interface that the host brings itself, as far as the sandbox has to know it.
///
/// Its functions are implemented on [`Host`](wflo_host_api::Host), which is all that they can reach; see there.
pub trait Linked: Send + Sync {
    /// The interface as components import it, with its version: `clinic:ehr/records@0.1.0`.
    fn import(&self) -> &str;

    /// Adds it to a linker, by the `add_to_linker` of its bindings:
    /// `records::add_to_linker::<_, HasHost>(linker, wflo_host_api::host)`.
    ///
    /// # Errors
    /// What wasmtime says.
    fn link(&self, linker: &mut Linker<State>) -> wasmtime::Result<()>;
}

/// Adds the host's own interfaces. None can take the place of another, or of one of wflo's.
pub(crate) fn add_to_linker(linker: &mut Linker<State>, own: &[&dyn Linked]) -> Result<(), SandboxError> {
    for own in own {
        let interface = own.import();
        let bad = |why: String| SandboxError::Interface { interface: interface.to_owned(), why };
        if InterfaceName::of_import(interface).is_none() || !interface.contains('@') {
            return Err(bad("its name is none that a host can bring; write it with its version".to_owned()));
        }
        own.link(linker).map_err(|error| bad(format!("{error:#}")))?;
    }
    Ok(())
}
