//! How much one attempt may use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much one attempt may use. Reaching a limit is a [`Fault`](crate::Fault) that names it.
///
/// ```
/// use wflo_model::Limits;
/// assert_eq!(Limits::default().memory, 64 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of linear memory.
    pub memory: u64,
    /// Units of fuel, about one a wasm instruction.
    pub fuel: u64,
    /// Wall-clock time, host calls included, time parked not.
    pub timeout: Duration,
    /// Bytes of output.
    pub output: u64,
    /// Bytes of log; what is over is dropped, and a last line says so.
    pub log: u64,
    /// Host calls.
    pub calls: u32,
    /// Bytes passed to one host call, and from it.
    pub call_bytes: u64,
}

impl Limits {
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
    /// 64 MiB, 10^10 fuel, 5 minutes, 1 MiB of output, 1 MiB of log, 10,000 calls of 8 MiB.
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            fuel: 10_000_000_000,
            timeout: Duration::from_secs(300),
            output: 1 << 20,
            log: 1 << 20,
            calls: 10_000,
            call_bytes: 8 << 20,
        }
    }
}
