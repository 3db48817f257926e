//! How an attempt can end other than well.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the guest itself said went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whether another attempt can help.
    pub kind: FailureKind,
    /// The guest's words.
    pub message: String,
}

/// Whether another attempt can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// It cannot.
    Permanent,
    /// It may.
    Retryable,
    /// It may, and models are to be asked afresh.
    Redo,
}

/// What the sandbox or the host stopped an attempt for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which limit or rule.
    pub kind: FaultKind,
    /// Details for a person: the trap, the last lines of stderr.
    pub message: String,
}

/// Which limit or rule an attempt ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// The guest trapped: a panic, `unreachable`, a division by zero.
    Trap,
    /// The fuel of the attempt is used up.
    OutOfFuel,
    /// Linear memory or a table would have grown past its limit.
    OutOfMemory,
    /// The wall-clock limit of the attempt passed.
    Deadline,
    /// The stack is exhausted, or memory was accessed out of bounds.
    Stack,
    /// The output is not JSON, or not what the step's schema says, or too large.
    BadOutput,
    /// More host calls than the attempt may make.
    TooManyCalls,
    /// More bytes passed to a host call than allowed.
    TooMuchData,
    /// The component does not have the step it should run.
    NoSuchStep,
    /// The component is made of more instances than the attempt may have.
    TooManyInstances,
    /// The guest writes log without end.
    TooMuchLog,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trap => "trap",
            Self::OutOfFuel => "out_of_fuel",
            Self::OutOfMemory => "out_of_memory",
            Self::Deadline => "deadline",
            Self::Stack => "stack",
            Self::BadOutput => "bad_output",
            Self::TooManyCalls => "too_many_calls",
            Self::TooMuchData => "too_much_data",
            Self::NoSuchStep => "no_such_step",
            Self::TooManyInstances => "too_many_instances",
            Self::TooMuchLog => "too_much_log",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
