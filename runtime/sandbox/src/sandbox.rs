//! The sandbox: one for a process.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};
use wflo_model::{Content, Digest};

use crate::cache::CodeCache;
use crate::compiler::{CodeSettings, CompileError, Compiler};
use crate::config::SandboxConfig;
use crate::linked::{self, Linked};
use crate::program::Program;
use crate::state::State;
use crate::{clock, ticker};

/// Compiles components and gives them room to run. Cheap to share; one for a process is enough.
///
/// ```no_run
/// # async fn doc(component: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// use wflo_sandbox::{Sandbox, SandboxConfig};
///
/// let sandbox = Sandbox::new(SandboxConfig::default())?;
/// let program = sandbox.load(&component.into()).await?;
/// for missing in program.missing(&Default::default()) {
///     eprintln!("{missing}");
/// }
/// for step in program.describe().await? {
///     eprintln!("{}: {}", step.name, step.summary);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Sandbox {
    pool: Arc<Pool>,
    linker: Linker<State>,
    cache: Option<CodeCache>,
    settings: CodeSettings,
    compiler: Option<Arc<dyn Compiler>>,
    programs: Mutex<HashMap<Digest, Arc<OnceCell<Arc<Program>>>>>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Where instances live: what a program needs of its sandbox.
pub(crate) struct Pool {
    pub(crate) engine: Engine,
    /// Instances that may be alive: the allocator refuses those over its limits and never waits.
    pub(crate) permits: Semaphore,
    pub(crate) max_memory: u64,
    /// Interfaces that the host brings itself, with their versions.
    pub(crate) own: Vec<String>,
}

impl Sandbox {
    /// Sets up wasmtime, the linker and the cache of compiled code. Components are compiled in this process, without
    /// limits: that is for those one trusts.
    ///
    /// # Errors
    /// When address space for the pool cannot be had, or the cache's folder cannot be made.
    pub fn new(config: SandboxConfig) -> Result<Arc<Self>, SandboxError> {
        Self::with(config, None, &[])
    }

    /// As [`new`](Self::new), with components compiled by somebody else: [`Apart`](crate::Apart) is one who does it in
    /// a process of its own.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_compiler(
        config: SandboxConfig,
        compiler: Arc<dyn Compiler>,
    ) -> Result<Arc<Self>, SandboxError> {
        Self::with(config, Some(compiler), &[])
    }

    /// As [`new`](Self::new), with components compiled by somebody else, where there is one ([`Apart`](crate::Apart) does
    /// it in a process of its own), and with interfaces that the host brings itself.
    ///
    /// # Errors
    /// As [`new`](Self::new); and when an interface is linked already, or has the name of none that a host can bring.
    pub fn with(
        config: SandboxConfig,
        compiler: Option<Arc<dyn Compiler>>,
        own: &[&dyn Linked],
    ) -> Result<Arc<Self>, SandboxError> {
        let settings = config.code();
        let engine = Engine::new(&config.engine()).map_err(|source| SandboxError::Engine { source })?;
        let linker = linker(&engine).map_err(|source| SandboxError::Engine { source });
        let linker =
            linker.and_then(|mut linker| linked::add_to_linker(&mut linker, own).map(|()| linker))?;
        ticker::start(&engine).map_err(|source| SandboxError::Thread { source })?;
        let cache = match config.cache_dir {
            Some(path) => match CodeCache::open(&path, &engine, config.cache_bytes) {
                Ok(cache) => Some(cache),
                Err(source) => return Err(SandboxError::CacheDir { path, source }),
            },
            None => None,
        };
        let permits = Semaphore::new(usize::try_from(config.instances).unwrap_or(Semaphore::MAX_PERMITS));
        let own = own.iter().map(|own| own.import().to_owned()).collect();
        let pool = Arc::new(Pool { engine, permits, max_memory: config.max_memory, own });
        Ok(Arc::new(Self { pool, linker, cache, settings, compiler, programs: Mutex::new(HashMap::new()) }))
    }

    /// Makes a program of a component: from memory, from the cache, or by compiling them, which takes
    /// from 0.1 s for Rust to 5 s for Python, off the async threads.
    ///
    /// A component that imports more than there is loads all the same, so that the caller can first say what is
    /// [missing](Program::missing). Programs are kept for as long as the sandbox lives.
    ///
    /// # Errors
    /// When the bytes are no component that wasmtime accepts.
    pub async fn load(self: &Arc<Self>, component: &Content) -> Result<Arc<Program>, LoadError> {
        let digest = component.digest();
        // The lock is not held while compiling; the cell lets one caller compile and the others wait for it.
        let cell = {
            let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
            programs.entry(digest).or_default().clone()
        };
        let interrupted = |source| LoadError::Interrupted { source };
        let compile = || async {
            let sandbox = self.clone();
            let cached = tokio::task::spawn_blocking(move || sandbox.cached(digest)).await;
            if let Some(program) = cached.map_err(interrupted)? {
                return Ok(program);
            }
            let (sandbox, component) = (self.clone(), component.clone());
            let compiled = tokio::task::spawn_blocking(move || sandbox.compile(&component)).await;
            compiled.map_err(interrupted)?
        };
        cell.get_or_try_init(compile).await.cloned()
    }

    /// The program of a component that [`load`](Self::load) has compiled before; none otherwise.
    #[must_use]
    pub fn loaded(&self, digest: &Digest) -> Option<Arc<Program>> {
        let programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.get(digest)?.get().cloned()
    }

    /// The program of code that is on disk.
    fn cached(&self, digest: Digest) -> Option<Arc<Program>> {
        let component = self.cache.as_ref()?.load(&self.pool.engine, digest)?;
        Some(Arc::new(Program::new(self.pool.clone(), &self.linker, digest, &component, true)))
    }

    fn compile(&self, component: &Content) -> Result<Arc<Program>, LoadError> {
        let digest = component.digest();
        let component = self.compile_anew(digest, component.bytes())?;
        Ok(Arc::new(Program::new(self.pool.clone(), &self.linker, digest, &component, false)))
    }
}

impl Sandbox {
    fn compile_anew(&self, digest: Digest, bytes: &[u8]) -> Result<Component, LoadError> {
        let engine = &self.pool.engine;
        let invalid = |source| LoadError::Invalid { source };
        let Some(compiler) = &self.compiler else {
            let compiled = Component::from_binary(engine, bytes).map_err(invalid)?;
            if self.cache.is_some() {
                self.keep(digest, &compiled.serialize().map_err(invalid)?);
            }
            return Ok(compiled);
        };
        let code = compiler.compile(&self.settings, bytes).map_err(|source| LoadError::Compile { source })?;
        self.keep(digest, &code);
        #[expect(unsafe_code, reason = "the one way to load compiled code; see below")]
        // SAFETY: the code is what our compiler made for an engine of these settings: whoever supplies a compiler
        // vouches for it, as `Compiler` says.
        let loaded = unsafe { Component::deserialize(engine, &code) };
        loaded.map_err(invalid)
    }

    fn keep(&self, digest: Digest, code: &[u8]) {
        if let Some(cache) = &self.cache
            && let Err(error) = cache.store(digest, code)
        {
            tracing::warn!(%error, "compiled code could not be kept; the next process compiles again");
        }
    }
}

/// Links everything there is: what the gate stands behind, and what is virtual.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    clock::add_to_linker(&mut linker)?;
    // Files are ours, in the place of wasmtime's, which read the host's own.
    linker.allow_shadowing(true);
    wflo_host_api::add_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// wasmtime cannot be set up as configured.
    #[error("the sandbox cannot be set up: {source:#}")]
    Engine {
        /// wasmtime's words.
        source: wasmtime::Error,
    },
    /// An interface that the host brings itself cannot be linked.
    #[error("interface `{interface}` cannot be linked: {why}")]
    Interface {
        /// The interface.
        interface: String,
        /// Why.
        why: String,
    },
    /// A thread could not be started.
    #[error("the sandbox's clock thread cannot be started")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
    /// The cache's folder cannot be made, or not for its owner alone.
    #[error("the folder of compiled code `{}` cannot be used", path.display())]
    CacheDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a component cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are no component, or one that wants more than any instance gets.
    #[error("not a component that can run here: {source:#}")]
    Invalid {
        /// wasmtime's words.
        source: wasmtime::Error,
    },
    /// The compiler refused them, or takes too much.
    #[error("not a component that can run here: {source}")]
    Compile {
        /// Why.
        source: CompileError,
    },
    /// The host is shutting down, or the compiler panicked.
    #[error("compiling was interrupted")]
    Interrupted {
        /// What happened to the task.
        source: tokio::task::JoinError,
    },
}
