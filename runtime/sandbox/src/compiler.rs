//! Who turns components into native code, and what the code has to fit.

use std::hash::{Hash as _, Hasher};
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wasmtime::{Config, Engine};
use wflo_model::Digest;

/// Turns components into native code, somewhere.
///
/// Compilers are large programs, and a component is whatever its author made of it: one that takes the compiler's
/// memory or time without end should not take those of the process that drives runs. [`Apart`](crate::Apart) compiles
/// in a process of its own. A sandbox [without a compiler](crate::Sandbox::new) compiles in its own process, which is
/// right for components that are trusted.
///
/// What a compiler returns is run as native code: it is trusted as the sandbox itself is.
///
/// ```
/// use wflo_sandbox::{CodeSettings, CompileError, Compiler};
///
/// /// Refuses what is too long before it looks at it.
/// struct Short<C>(C);
///
/// impl<C: Compiler> Compiler for Short<C> {
///     fn compile(&self, settings: &CodeSettings, component: &[u8]) -> Result<Vec<u8>, CompileError> {
///         match component.len() {
///             ..=1_000_000 => self.0.compile(settings, component),
///             _ => Err(CompileError::Invalid { message: "longer than 1 MB".into() }),
///         }
///     }
/// }
/// ```
pub trait Compiler: Send + Sync + 'static {
    /// Compiles a component for engines of these settings. It may block; it is called on a thread that may.
    ///
    /// # Errors
    /// When the bytes are no component, or compiling them takes too much.
    fn compile(&self, settings: &CodeSettings, component: &[u8]) -> Result<Vec<u8>, CompileError>;
}

/// The settings of an engine that its code depends on.
///
/// ```
/// use wflo_sandbox::{CodeSettings, SandboxConfig};
/// assert_eq!(SandboxConfig::default().code(), CodeSettings { max_memory: 512 << 20 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSettings {
    /// Most bytes of linear memory an instance can ever have.
    pub max_memory: u64,
}

impl CodeSettings {
    /// Those that decide what a guest computes must never depend on the machine.
    pub(crate) fn config(self) -> Config {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            // Less than wasm's 4 GiB, so that the pool fits where address space is limited.
            .memory_reservation(self.max_memory)
            .consume_fuel(true)
            .epoch_interruption(true)
            // The same bits on every machine and in every replay.
            .cranelift_nan_canonicalization(true)
            .relaxed_simd_deterministic(true);
        config
    }
}

/// Names everything in an engine that code depends on, wasmtime's version included.
pub(crate) fn fingerprint(engine: &Engine) -> String {
    let mut hash = EngineHash(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hash);
    Digest::from_bytes(hash.0.finalize().into()).hex()[..16].to_owned()
}

/// SHA-256 as a [`Hasher`]: the standard one may change with the compiler.
struct EngineHash(Sha256);

impl Hasher for EngineHash {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // Only the whole digest is used.
        0
    }
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The bytes are no component that wasmtime accepts.
    #[error("{message}")]
    Invalid {
        /// The compiler's words.
        message: String,
    },
    /// Compiling it takes more than it may.
    #[error("compiling it takes {what}")]
    TooMuch {
        /// Of what, and how much there is.
        what: String,
    },
    /// The process that compiles cannot be started or spoken to.
    #[error("the compiler's process failed: {source}")]
    Process {
        /// What the system said.
        source: io::Error,
    },
    /// The process that compiles ended as it never should.
    #[error("the compiler's process ended with {status}: {message}")]
    Ended {
        /// How.
        status: String,
        /// Its last words.
        message: String,
    },
}

/// How much compiling one component may take.
///
/// ```
/// use wflo_sandbox::CompileLimits;
/// assert_eq!(CompileLimits::default().memory, 4 << 30);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Bytes of address space.
    pub memory: u64,
    /// Processor time, all threads together.
    pub cpu: Duration,
    /// Wall-clock time.
    pub wall: Duration,
}

impl Default for CompileLimits {
    /// 4 GiB, 2 minutes of processor time, 2 minutes. The largest that was measured, of Python, takes 9 seconds of
    /// processor time and 1 GiB.
    fn default() -> Self {
        Self { memory: 4 << 30, cpu: Duration::from_secs(120), wall: Duration::from_secs(120) }
    }
}
