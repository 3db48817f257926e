//! From the error that a call into a guest came back with, to the reason a person can read.

use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;
use wflo_host_api::Stop;
use wflo_model::{Fault, FaultKind};

/// A limit that the sandbox itself keeps, as the error it traps with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LimitHit {
    #[error("more than {limit} bytes of memory")]
    Memory { limit: u64 },
    #[error("more than {} elements in a table", crate::config::TABLE_ELEMENTS)]
    Table,
    #[error("longer than {limit:?}")]
    Deadline { limit: Duration },
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
    pub(crate) fn new(error: wasmtime::Error, fuel: u64, stderr: &[String]) -> Self {
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
                Trap::OutOfFuel => (FaultKind::OutOfFuel, format!("more than {fuel} units of fuel")),
                Trap::StackOverflow | Trap::MemoryOutOfBounds => {
                    (FaultKind::Stack, with_stderr("stack overflow or bad memory access", stderr))
                }
                trap => (FaultKind::Trap, with_stderr(&trap.to_string(), stderr)),
            }
        } else if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
            (FaultKind::Trap, with_stderr(&format!("the guest exited with code {code}"), stderr))
        } else if error.root_cause().to_string().contains(TOO_MUCH_DATA) {
            (FaultKind::TooMuchData, "more bytes passed to a host call than allowed".to_owned())
        } else {
            (FaultKind::Trap, with_stderr(&error.root_cause().to_string(), stderr))
        };
        Self::Fault(Fault { kind, message })
    }
}

impl LimitHit {
    pub(crate) fn fault(&self) -> Fault {
        let kind = match self {
            Self::Memory { .. } | Self::Table => FaultKind::OutOfMemory,
            Self::Deadline { .. } => FaultKind::Deadline,
        };
        Fault { kind, message: self.to_string() }
    }
}

/// wasmtime keeps the type of this error to itself; a test with a guest holds us to the text.
const TOO_MUCH_DATA: &str = "fuel allocated for hostcalls has been exhausted";

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
    use wflo_model::FaultKind;

    use super::{Halt, LimitHit};

    #[test]
    fn errors_keep_their_kind_under_context() {
        let check =
            |error: wasmtime::Error, expect: FaultKind| match Halt::new(error.context("outer"), 1, &[]) {
                Halt::Fault(fault) => assert_eq!(fault.kind, expect),
                Halt::Stop(stop) => panic!("{stop}"),
            };
        check(Trap::OutOfFuel.into(), FaultKind::OutOfFuel);
        check(Trap::StackOverflow.into(), FaultKind::Stack);
        check(Trap::IntegerDivisionByZero.into(), FaultKind::Trap);
        check(LimitHit::Memory { limit: 1 }.into(), FaultKind::OutOfMemory);
        check(LimitHit::Table.into(), FaultKind::OutOfMemory);
        check(wasmtime::format_err!("unknown handle index 7"), FaultKind::Trap);
    }

    #[test]
    fn a_stop_comes_back_as_it_was() {
        let halt = Halt::new(wasmtime::Error::from(Stop::Parked).context("outer"), 1, &[]);
        assert!(matches!(halt, Halt::Stop(Stop::Parked)));
    }

    #[test]
    fn the_last_words_are_in_the_message() {
        let stderr = ["panicked at src/lib.rs:1".to_owned(), "boom".to_owned()];
        let Halt::Fault(fault) = Halt::new(Trap::UnreachableCodeReached.into(), 1, &stderr) else { panic!() };
        assert!(fault.message.ends_with("\n  panicked at src/lib.rs:1\n  boom"), "{}", fault.message);
    }
}
