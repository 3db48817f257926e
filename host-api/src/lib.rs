//! The WIT interfaces of wflo as Rust: bindings, linker, and the gate they all go through.

mod gate;

pub use gate::{Decision, DecisionStatus, DecisionVote, Gate, LogLevel, LogLine, Stop, StepContext};
