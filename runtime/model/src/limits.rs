//! How much one attempt may use.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much one attempt may use. Reaching a limit is a [`Fault`](crate::Fault) that names it, as [`LimitName`] does.
///
/// ```
/// use wflo_model::Limits;
/// assert_eq!(Limits::default().memory, 64 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of linear memory, all memories together.
    pub memory: u64,
    /// Elements of tables, all tables together.
    pub tables: u64,
    /// Core instances that the component is made of.
    pub instances: u64,
    /// Units of fuel, about one a wasm instruction.
    pub fuel: u64,
    /// Wall-clock time, host calls included, time parked not.
    pub timeout: Duration,
    /// Bytes of output.
    pub output: u64,
    /// Bytes of log. What is over is dropped, and a last line says so; a guest that goes on, up to
    /// [`LOG_FLOOD`](Self::LOG_FLOOD) times as much, is stopped.
    pub log: u64,
    /// Host calls.
    pub calls: u32,
    /// Bytes passed to one host call, and from it.
    pub call_bytes: u64,
    /// Bytes passed to and from all host calls together.
    pub traffic: u64,
    /// Bytes written to artifacts, all of them together.
    pub artifacts: u64,
}

impl Limits {
    /// How many times [`log`](Self::log) a guest may write before it counts as one that does nothing else. Chatter
    /// costs a step its last lines, not its life; a flood is a fault.
    pub const LOG_FLOOD: u64 = 16;

    /// Most bytes of memory that any attempt may be given where a deployment does not say otherwise: each that may run at
    /// the same time reserves address space for so many.
    pub const MOST_MEMORY: u64 = 512 << 20;

    /// Most bytes of the body of a request or answer over HTTP. A call carries bytes that are no text as base64,
    /// and headers beside them.
    ///
    /// ```
    /// use wflo_model::Limits;
    /// assert_eq!(Limits::default().http_body(), 4 << 20);
    /// ```
    #[must_use]
    pub const fn http_body(&self) -> u64 {
        self.call_bytes / 2
    }
}

impl Default for Limits {
    /// 64 MiB, 100,000 elements, 20 instances, 10^10 fuel, 5 minutes, 1 MiB of output, 1 MiB of log, 10,000 calls of
    /// 8 MiB, 256 MiB of all calls together, 1 GiB of artifacts.
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            // Far above what compilers emit (Python: 5,672).
            tables: 100_000,
            // Python components have 14.
            instances: 20,
            fuel: 10_000_000_000,
            timeout: Duration::from_secs(300),
            output: 1 << 20,
            log: 1 << 20,
            calls: 10_000,
            call_bytes: 8 << 20,
            traffic: 256 << 20,
            artifacts: 1 << 30,
        }
    }
}

/// A limit, as `limits` of a step in `workflow.toml` names it and as a fault tells which one was reached.
///
/// ```
/// use wflo_model::LimitName;
/// assert_eq!(LimitName::CallBytes.to_string(), "call_bytes");
/// assert_eq!(LimitName::ALL.len(), 11);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LimitName {
    /// [`Limits::memory`]
    Memory,
    /// [`Limits::tables`]
    Tables,
    /// [`Limits::instances`]
    Instances,
    /// [`Limits::fuel`]
    Fuel,
    /// [`Limits::timeout`]; it stands in the step itself, as `timeout_seconds`.
    Timeout,
    /// [`Limits::output`]
    Output,
    /// [`Limits::log`]
    Log,
    /// [`Limits::calls`]
    Calls,
    /// [`Limits::call_bytes`]
    CallBytes,
    /// [`Limits::traffic`]
    Traffic,
    /// [`Limits::artifacts`]
    Artifacts,
}

impl LimitName {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Memory,
        Self::Tables,
        Self::Instances,
        Self::Fuel,
        Self::Timeout,
        Self::Output,
        Self::Log,
        Self::Calls,
        Self::CallBytes,
        Self::Traffic,
        Self::Artifacts,
    ];

    /// The key of a step in `workflow.toml` that sets it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Tables => "tables",
            Self::Instances => "instances",
            Self::Fuel => "fuel",
            Self::Timeout => "timeout_seconds",
            Self::Output => "output",
            Self::Log => "log",
            Self::Calls => "calls",
            Self::CallBytes => "call_bytes",
            Self::Traffic => "traffic",
            Self::Artifacts => "artifacts",
        }
    }

    /// The key of `[limits]` in `wflo.toml` that is its ceiling.
    #[must_use]
    pub const fn ceiling(self) -> &'static str {
        match self {
            Self::Memory => "max_memory",
            Self::Tables => "max_tables",
            Self::Instances => "max_instances",
            Self::Fuel => "max_fuel",
            Self::Timeout => "max_timeout_seconds",
            Self::Output => "max_output",
            Self::Log => "max_log",
            Self::Calls => "max_calls",
            Self::CallBytes => "max_call_bytes",
            Self::Traffic => "max_traffic",
            Self::Artifacts => "max_artifacts",
        }
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    #[test]
    fn a_plan_of_an_earlier_version_has_the_defaults_of_what_it_does_not_name() {
        let limits: Limits = serde_json::from_str(r#"{"memory":1048576,"calls":7}"#).unwrap();
        assert_eq!(limits, Limits { memory: 1 << 20, calls: 7, ..Limits::default() });
        assert!(serde_json::from_str::<Limits>(r#"{"memroy":1}"#).is_err());
    }
}
