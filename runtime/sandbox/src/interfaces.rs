//! Which interfaces there are, and what a component asks for beyond them.

use std::collections::BTreeSet;
use std::fmt;

use wflo_host_api::INTERFACES;
use wflo_model::{Capability, InterfaceName, interface_capability};

/// The interfaces of WASI that are linked. All of them are virtual: clocks, poll and randomness follow from
/// the gate, output becomes log, the environment is empty, and sockets deny everything.
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
    /// The interface to grant, where the host brings it itself.
    pub own: Option<InterfaceName>,
}

impl Missing {
    /// An import of an interface that the host brings itself, and that was not granted.
    #[must_use]
    pub fn own(interface: &str, own: InterfaceName) -> Self {
        Self { interface: interface.to_owned(), capability: None, own: Some(own) }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.capability, &self.own) {
            (Some(capability), _) => {
                write!(f, "`{}` is imported but not granted; add `{}`", self.interface, capability.example())
            }
            (None, Some(own)) => write!(
                f,
                "`{}` is imported but not granted; add `grants.interface.\"{own}\" = {{ .. }}`",
                self.interface
            ),
            (None, None) => write!(
                f,
                "`{}` is imported, but no grant gives it and this host does not offer it",
                self.interface
            ),
        }
    }
}

/// Those of `imports` that neither the virtual set nor `granted` covers. `own` are the interfaces that the host brings
/// itself: they are there, and who was granted them is known elsewhere.
pub(crate) fn missing(imports: &[String], granted: &BTreeSet<Capability>, own: &[String]) -> Vec<Missing> {
    let missing = |import: &String| {
        let capability = match interface_capability(import) {
            _ if is_own(import, own) => return None,
            Ok(_) if !is_offered(import) => None,
            Ok(Some(capability)) if !granted.contains(&capability) => Some(capability),
            Ok(_) => return None,
            Err(_) => None,
        };
        Some(Missing { interface: import.clone(), capability, own: None })
    };
    imports.iter().filter_map(missing).collect()
}

/// Whether an import is one of the interfaces that the host brings itself, in a compatible version.
pub(crate) fn is_own(import: &str, own: &[String]) -> bool {
    own.iter().any(|own| compatible(own) == compatible(import))
}

/// Whether an interface of this name, in a compatible version, is linked.
fn is_offered(import: &str) -> bool {
    VIRTUAL_WASI.iter().chain(INTERFACES).any(|offered| compatible(offered) == compatible(import))
}

/// The name with that part of the version which has to be equal, as the component model's linking has it: all
/// patches of one 0.x are one interface, and a pre-release is only itself.
fn compatible(import: &str) -> (&str, &str) {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let stable = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let dot = if version.starts_with("0.") {
        version.match_indices('.').nth(1)
    } else {
        version.match_indices('.').next()
    };
    match dot {
        Some((end, _)) if stable => (name, &version[..end]),
        _ => (name, version),
    }
}

#[cfg(test)]
mod tests {

    use wasmtime::Engine;
    use wasmtime::component::{Linker, ResourceType};
    use wflo_host_api::{FUNCTIONS, INTERFACES};
    use wflo_model::Capability;

    use super::{VIRTUAL_WASI, missing};
    use crate::sandbox::linker;
    use crate::state::State;

    /// Something of each interface of WASI: if it is linked, it cannot be defined again.
    const MEMBERS: &[&str] = &[
        "get-environment",
        "exit",
        "get-stderr",
        "get-stdin",
        "get-stdout",
        "[resource-drop]terminal-input",
        "[resource-drop]terminal-output",
        "get-terminal-stderr",
        "get-terminal-stdin",
        "get-terminal-stdout",
        "now",
        "now",
        "[method]error.to-debug-string",
        "poll",
        "[method]input-stream.read",
        "get-insecure-random-u64",
        "insecure-seed",
        "get-random-u64",
        "instance-network",
        "resolve-addresses",
        "[resource-drop]network",
        "[method]tcp-socket.start-connect",
        "create-tcp-socket",
        "[method]udp-socket.stream",
        "create-udp-socket",
    ];

    fn is_linked(linker: &mut Linker<State>, interface: &str, member: &str) -> bool {
        let mut instance = linker.instance(interface).unwrap();
        match member.strip_prefix("[resource-drop]") {
            Some(resource) => {
                instance.resource(resource, ResourceType::host::<State>(), |_, _| Ok(())).is_err()
            }
            None => instance.func_wrap(member, |_, (): ()| Ok(())).is_err(),
        }
    }

    #[test]
    fn everything_offered_is_linked() {
        let mut linker = linker(&Engine::default()).unwrap();
        assert!(!is_linked(&mut linker, "wasi:cli/nothing@0.2.12", "nothing"));
        assert_eq!(VIRTUAL_WASI.len(), MEMBERS.len());
        for (interface, member) in VIRTUAL_WASI.iter().zip(MEMBERS) {
            // The version of WASI that this wasmtime brings; guests of any 0.2 link against it.
            assert!(is_linked(&mut linker, &format!("{interface}.12"), member), "{interface} {member}");
        }
        for (interface, function, _) in FUNCTIONS {
            let versioned = INTERFACES.iter().find(|name| name.split('@').next() == Some(interface)).unwrap();
            assert!(is_linked(&mut linker, versioned, function), "{versioned} {function}");
        }
    }

    #[test]
    fn what_is_missing_names_the_grant() {
        let check = |import: &str, granted: &[Capability], expect: Option<Option<Capability>>| {
            let granted = granted.iter().copied().collect();
            let found = missing(&[import.to_owned()], &granted, &["clinic:ehr/records@0.1.0".to_owned()]);
            assert_eq!(found.first().map(|missing| missing.capability), expect, "{import}");
        };
        check("wflo:db/sql@0.1.0", &[], Some(Some(Capability::Db)));
        check("wflo:db/sql@0.1.0", &[Capability::Db], None);
        check("wflo:db/sql@0.1.0", &[Capability::Llm], Some(Some(Capability::Db)));
        check("wflo:db/sql@0.2.0", &[Capability::Db], Some(None));
        check("wflo:db/nothing@0.1.0", &[Capability::Db], Some(None));
        check("wflo:step/context@0.1.7", &[], None);
        check("wflo:llm/tasks@0.1.0", &[], Some(Some(Capability::Llm)));
        check("wasi:cli/environment@0.2.6", &[], None);
        check("wasi:cli/environment@0.3.0", &[], Some(None));
        check("wasi:cli/command@0.2.6", &[], Some(None));
        check("wasi:http/outgoing-handler@0.2.6", &[], Some(Some(Capability::Http)));
        check("wasi:logging/logging@0.1.0-draft", &[], None);
        check("wasi:logging/logging@0.1.0", &[], Some(None));
        check("wflo:secret/secrets@0.1.0", &[], Some(Some(Capability::Secrets)));
        check("wflo:knowledge/search@0.1.0", &[], Some(Some(Capability::Knowledge)));
        check("wflo:notify/mail@0.1.0", &[Capability::Notify], Some(Some(Capability::Mail)));
        check("wflo:notify/channel@0.1.0", &[Capability::Notify], None);
        check("wflo:infra/terraform@0.1.0", &[], Some(Some(Capability::Terraform)));
        check("wflo:infra/terraform@0.1.0", &[Capability::Terraform], None);
        check("evil:corp/spy@1.0.0", &[Capability::Db], Some(None));
        check("spy", &[], Some(None));
        check("clinic:ehr/records@0.1.3", &[], None);
        check("clinic:ehr/records@0.2.0", &[], Some(None));
    }
}
