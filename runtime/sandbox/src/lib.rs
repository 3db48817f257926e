//! wasmtime for wflo: engine, compile cache, import check, virtual WASI, limits, faults.
//!
//! A [`Sandbox`] is made once and shared. It turns the bytes of a component into a [`Program`], compiled once
//! and kept on disk; a program runs a step against a [`Gate`](wflo_host_api::Gate), under
//! [`Limits`](wflo_model::Limits), in an instance of its own that is dropped when the attempt [ends](Ended),
//! however it ends.
//!
//! A step is one of those that the component says it holds, or a function that it exports with types of its own: what it
//! takes and gives is then JSON that follows from these types ([`Program::signature`]).
//!
//! What a guest gets without the gate is virtual: its clock is the gate's, its randomness comes from the gate's
//! seed, it has no environment, no arguments, no files, no network, and what it prints becomes lines of log.
//! So the same component with the same answers of the gate does the same again, byte for byte.
#![warn(missing_debug_implementations)]

mod apart;
mod attempt;
mod cache;
mod clock;
mod compiler;
mod config;
mod fault;
mod interfaces;
mod linked;
mod memory;
mod metered;
mod output;
mod program;
mod random;
mod sandbox;
mod state;
mod ticker;
mod typed;

pub use apart::{Apart, WorkerFailed, compile_worker};
pub use attempt::{End, Ended, Usage};
pub use compiler::{CodeSettings, CompileError, CompileLimits, Compiler};
pub use config::SandboxConfig;
pub use interfaces::Missing;
pub use linked::Linked;
pub use program::{DescribeError, LinkError, Program};
pub use sandbox::{LoadError, Sandbox, SandboxError};
pub use state::State as Guest;
pub use typed::FunctionError;
