//! From the error that a call into a guest came back with, to the reason a person can read.

use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;
use wflo_host_api::Stop;
use wflo_model::{Fault, FaultKind, LimitName, Limits};

use crate::state::HANDLES;

/// A limit that the sandbox itself keeps, as the error it traps with. Each is printed with the name by which
/// `workflow.toml` sets it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LimitHit {
    #[error("more than {limit} bytes of memory (`{}`)", LimitName::Memory)]
    Memory { limit: u64 },
    #[error("more than {limit} elements in tables (`{}`)", LimitName::Tables)]
    Tables { limit: u64 },
    #[error("more than {limit} core instances (`{}`)", LimitName::Instances)]
    Instances { limit: u64 },
    #[error("longer than {limit:?} (`{}`)", LimitName::Timeout)]
    Deadline { limit: Duration },
    #[error("more than {limit} units of fuel (`{}`)", LimitName::Fuel)]
    Fuel { limit: u64 },
    #[error("an output of {bytes} bytes, more than {limit} (`{}`)", LimitName::Output)]
    Output { bytes: u64, limit: u64 },
    #[error("more than {limit} host calls (`{}`)", LimitName::Calls)]
    Calls { limit: u32 },
    #[error("{what} has more than {limit} bytes (`{}`)", LimitName::CallBytes)]
    CallBytes { what: String, limit: u64 },
    #[error("more than {limit} bytes to and from all host calls (`{}`)", LimitName::Traffic)]
    Traffic { limit: u64 },
    #[error("more than {} times {limit} bytes of log (`{}`)", wflo_model::Limits::LOG_FLOOD, LimitName::Log)]
    Log { limit: u64 },
}

/// Why a guest did not return.
pub(crate) enum Halt {
    /// It ran into a limit, or did what it must not.
    Fault(Fault),
    /// The gate stopped it, or the host failed.
    Stop(Stop),
}

impl Halt {
    /// Sorts `error`. `stderr` is what the guest printed last: where it says why, nothing else does.
    pub(crate) fn new(error: wasmtime::Error, limits: &Limits, stderr: &[String]) -> Self {
        let error = match error.downcast::<Stop>() {
            Ok(Stop::Fault(fault)) => return Self::Fault(fault),
            Ok(stop) => return Self::Stop(stop),
            Err(error) => error,
        };
        if let Some(hit) = error.downcast_ref::<LimitHit>() {
            return Self::Fault(hit.fault());
        }
        if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
            return Self::Stop(Stop::Host(format!("no room for another instance: {error:#}")));
        }
        let (kind, message) = if let Some(trap) = error.downcast_ref::<Trap>() {
            match trap {
                Trap::OutOfFuel => return Self::Fault(LimitHit::Fuel { limit: limits.fuel }.fault()),
                Trap::StackOverflow => (FaultKind::Stack, with_stderr("stack overflow (`stack`)", stderr)),
                // Rust and C keep a stack of their own at the start of memory.
                Trap::MemoryOutOfBounds => {
                    (FaultKind::Stack, with_stderr("stack overflow or bad memory access", stderr))
                }
                trap => (FaultKind::Trap, with_stderr(&trap.to_string(), stderr)),
            }
        } else if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
            (FaultKind::Trap, with_stderr(&format!("the guest exited with code {code}"), stderr))
        } else if let Some(ResourceTableError::Full) = error.downcast_ref() {
            (FaultKind::Trap, with_stderr(&format!("more than {HANDLES} handles at a time"), stderr))
        } else if error.root_cause().to_string().contains(TOO_MUCH_DATA) {
            let what = "what was passed to a host call or returned".to_owned();
            return Self::Fault(LimitHit::CallBytes { what, limit: limits.call_bytes }.fault());
        } else if error.root_cause().to_string().contains(TOO_MANY_INSTANCES) {
            return Self::Fault(LimitHit::Instances { limit: limits.instances }.fault());
        } else {
            (FaultKind::Trap, with_stderr(&error.root_cause().to_string(), stderr))
        };
        Self::Fault(Fault { kind, message })
    }
}

impl LimitHit {
    pub(crate) fn fault(&self) -> Fault {
        let kind = match self {
            Self::Memory { .. } | Self::Tables { .. } => FaultKind::OutOfMemory,
            Self::Instances { .. } => FaultKind::TooManyInstances,
            Self::Deadline { .. } => FaultKind::Deadline,
            Self::Fuel { .. } => FaultKind::OutOfFuel,
            Self::Output { .. } => FaultKind::BadOutput,
            Self::Calls { .. } => FaultKind::TooManyCalls,
            Self::CallBytes { .. } | Self::Traffic { .. } => FaultKind::TooMuchData,
            Self::Log { .. } => FaultKind::TooMuchLog,
        };
        Fault { kind, message: self.to_string() }
    }
}

impl From<LimitHit> for Stop {
    fn from(hit: LimitHit) -> Self {
        Self::Fault(hit.fault())
    }
}

/// wasmtime keeps the types of these errors to itself; tests with guests hold us to the texts.
const TOO_MUCH_DATA: &str = "fuel allocated for hostcalls has been exhausted";
const TOO_MANY_INSTANCES: &str = "instance count too high";

fn with_stderr(what: &str, stderr: &[String]) -> String {
    let mut message = what.to_owned();
    for line in stderr {
        message.push_str("\n  ");
        message.push_str(line);
    }
    message
}

#[cfg(test)]
mod tests {
    use wasmtime::Trap;
    use wflo_host_api::Stop;
    use wflo_model::{FaultKind, LimitName, Limits};

    use super::{Halt, LimitHit};

    fn halt(error: wasmtime::Error, stderr: &[String]) -> Halt {
        Halt::new(error.context("outer"), &Limits::default(), stderr)
    }

    #[test]
    fn errors_keep_their_kind_under_context() {
        let check = |error: wasmtime::Error, expect: FaultKind| match halt(error, &[]) {
            Halt::Fault(fault) => assert_eq!(fault.kind, expect),
            Halt::Stop(stop) => panic!("{stop}"),
        };
        check(Trap::OutOfFuel.into(), FaultKind::OutOfFuel);
        check(Trap::StackOverflow.into(), FaultKind::Stack);
        check(Trap::IntegerDivisionByZero.into(), FaultKind::Trap);
        check(LimitHit::Memory { limit: 1 }.into(), FaultKind::OutOfMemory);
        check(LimitHit::Tables { limit: 1 }.into(), FaultKind::OutOfMemory);
        check(wasmtime::format_err!("unknown handle index 7"), FaultKind::Trap);
    }

    #[test]
    fn each_limit_is_named() {
        let hits = [
            LimitHit::Memory { limit: 1 },
            LimitHit::Tables { limit: 1 },
            LimitHit::Instances { limit: 1 },
            LimitHit::Fuel { limit: 1 },
            LimitHit::Deadline { limit: std::time::Duration::ZERO },
            LimitHit::Output { bytes: 2, limit: 1 },
            LimitHit::Log { limit: 1 },
            LimitHit::Calls { limit: 1 },
            LimitHit::CallBytes { what: "it".into(), limit: 1 },
            LimitHit::Traffic { limit: 1 },
        ];
        // What artifacts take is counted behind the gate.
        let mut names = LimitName::ALL.to_vec();
        names.retain(|name| *name != LimitName::Artifacts);
        assert_eq!(hits.len(), names.len());
        for (hit, name) in hits.iter().zip(names) {
            assert!(hit.fault().message.ends_with(&format!("(`{name}`)")), "{hit}");
        }
    }

    #[test]
    fn a_stop_comes_back_as_it_was() {
        let halt = halt(Stop::Parked.into(), &[]);
        assert!(matches!(halt, Halt::Stop(Stop::Parked)));
    }

    #[test]
    fn the_last_words_are_in_the_message() {
        let stderr = ["panicked at src/lib.rs:1".to_owned(), "boom".to_owned()];
        let Halt::Fault(fault) = halt(Trap::UnreachableCodeReached.into(), &stderr) else { panic!() };
        assert!(fault.message.ends_with("\n  panicked at src/lib.rs:1\n  boom"), "{}", fault.message);
    }
}
