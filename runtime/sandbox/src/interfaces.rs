//! Which interfaces there are, and what a component asks for beyond them.

use std::collections::BTreeSet;
use std::fmt;

use wflo_host_api::FUNCTIONS;
use wflo_model::{Capability, interface_capability};

/// The interfaces of WASI that are linked. All of them are virtual: clocks, poll and randomness follow from
/// the gate, output becomes log, the environment is empty, there are no files, and sockets deny everything.
/// Sockets are here because components of Python import them without using them.
const VIRTUAL_WASI: &[&str] = &[
    "wasi:cli/environment@0.2",
    "wasi:cli/exit@0.2",
    "wasi:cli/stderr@0.2",
    "wasi:cli/stdin@0.2",
    "wasi:cli/stdout@0.2",
    "wasi:cli/terminal-input@0.2",
    "wasi:cli/terminal-output@0.2",
    "wasi:cli/terminal-stderr@0.2",
    "wasi:cli/terminal-stdin@0.2",
    "wasi:cli/terminal-stdout@0.2",
    "wasi:clocks/monotonic-clock@0.2",
    "wasi:clocks/wall-clock@0.2",
    "wasi:filesystem/preopens@0.2",
    "wasi:filesystem/types@0.2",
    "wasi:io/error@0.2",
    "wasi:io/poll@0.2",
    "wasi:io/streams@0.2",
    "wasi:random/insecure@0.2",
    "wasi:random/insecure-seed@0.2",
    "wasi:random/random@0.2",
    "wasi:sockets/instance-network@0.2",
    "wasi:sockets/ip-name-lookup@0.2",
    "wasi:sockets/network@0.2",
    "wasi:sockets/tcp@0.2",
    "wasi:sockets/tcp-create-socket@0.2",
    "wasi:sockets/udp@0.2",
    "wasi:sockets/udp-create-socket@0.2",
];

/// An import that a component may not have.
///
/// Printed, it says what to do: `wflo:db/sql@0.1.0` needs a grant, such as `grants.db.<label> = ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The import, as the component names it.
    pub interface: String,
    /// What a grant would have to give; none if no grant gives it and this host does not offer it.
    pub capability: Option<Capability>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.capability {
            Some(capability) => {
                write!(f, "`{}` is imported but not granted; add `{}`", self.interface, capability.example())
            }
            None => write!(
                f,
                "`{}` is imported, but no grant gives it and this host does not offer it",
                self.interface
            ),
        }
    }
}

/// Those of `imports` that neither the virtual set nor `granted` covers.
pub(crate) fn missing(imports: &[String], granted: &BTreeSet<Capability>) -> Vec<Missing> {
    let missing = |import: &String| {
        let capability = match interface_capability(import) {
            Ok(Some(capability)) if !granted.contains(&capability) => Some(capability),
            Ok(_) if offered(import) => return None,
            _ => None,
        };
        Some(Missing { interface: import.clone(), capability })
    };
    imports.iter().filter_map(missing).collect()
}

/// Whether an interface of this name, in a compatible version, is linked.
fn offered(import: &str) -> bool {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    match name.split_once(':') {
        Some(("wasi", "logging/logging")) => version == "0.1.0-draft",
        Some(("wasi", _)) => {
            version.starts_with("0.2.")
                && VIRTUAL_WASI.iter().any(|linked| linked.split('@').next() == Some(name))
        }
        Some(("wflo", _)) => {
            version.starts_with("0.1.") && FUNCTIONS.iter().any(|(interface, ..)| *interface == name)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wasmtime::Engine;
    use wasmtime::component::Component;
    use wflo_host_api::FUNCTIONS;
    use wflo_model::Capability;

    use super::{VIRTUAL_WASI, missing};
    use crate::sandbox::linker;

    /// Every linked interface is on a list: a component that imports all of both lists links.
    #[test]
    fn everything_offered_is_linked() {
        let engine = Engine::default();
        let linker = linker(&engine).unwrap();
        let wasi = VIRTUAL_WASI.iter().map(|interface| format!("{interface}.0"));
        let wflo = FUNCTIONS.iter().map(|(interface, ..)| match *interface {
            "wasi:logging/logging" => format!("{interface}@0.1.0-draft"),
            _ => format!("{interface}@0.1.0"),
        });
        for interface in wasi.chain(wflo) {
            let links = |name: &str| {
                let text = format!("(component (import \"{name}\" (instance)))");
                linker.instantiate_pre(&Component::new(&engine, text).unwrap()).is_ok()
            };
            assert!(links(&interface), "{interface} is not linked");
            assert!(
                missing(&[interface.clone()], &BTreeSet::from([Capability::Db, Capability::Llm])).is_empty()
            );
        }
    }

    #[test]
    fn what_is_missing_names_the_grant() {
        let check = |import: &str, granted: &[Capability], expect: Option<Option<Capability>>| {
            let granted = granted.iter().copied().collect();
            let found = missing(&[import.to_owned()], &granted);
            assert_eq!(found.first().map(|missing| missing.capability), expect, "{import}");
        };
        check("wflo:db/sql@0.1.0", &[], Some(Some(Capability::Db)));
        check("wflo:db/sql@0.1.0", &[Capability::Db], None);
        check("wflo:db/sql@0.1.0", &[Capability::Llm], Some(Some(Capability::Db)));
        check("wflo:llm/tasks@0.1.0", &[], Some(Some(Capability::Llm)));
        check("wasi:cli/environment@0.2.6", &[], None);
        check("wasi:cli/environment@0.3.0", &[], Some(None));
        check("wasi:cli/command@0.2.6", &[], Some(None));
        check("wasi:http/outgoing-handler@0.2.6", &[], Some(Some(Capability::Http)));
        check("wasi:logging/logging@0.1.0-draft", &[], None);
        check("evil:corp/spy@1.0.0", &[Capability::Db], Some(None));
        check("spy", &[], Some(None));
    }
}
