//! `wasi:logging`: lines of log.

use crate::bindings::wasi::logging::logging::{self, Level};
use crate::link::Host;
use crate::{LogLevel, LogLine};

impl logging::Host for Host<'_> {
    async fn log(&mut self, level: Level, context: String, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Trace => LogLevel::Trace,
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
            Level::Critical => LogLevel::Critical,
        };
        let gate = self.gate()?;
        gate.log(LogLine { level, context, message });
        Ok(gate.logged()?)
    }
}
