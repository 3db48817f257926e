//! Compiling in a process of its own.
//!
//! The parent starts a program, writes the component to its standard input and reads code from its standard output;
//! the program is one whose main function calls [`compile_worker`], usually the parent's own executable with a hidden
//! subcommand. The child limits itself before it reads a byte of the component, has an empty environment, may write no
//! file, and is killed when its time is over or the parent gives up.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use serde::{Deserialize, Serialize};
use wasmtime::Engine;

use crate::compiler::{CodeSettings, CompileError, CompileLimits, Compiler, fingerprint};

/// Compiles in a process of its own, within limits.
///
/// ```no_run
/// use std::sync::Arc;
/// use wflo_sandbox::{Apart, CompileLimits, Sandbox, SandboxConfig};
///
/// // A program whose `main` calls `compile_worker` when it is started so: see there.
/// let compiler = Apart::new(std::env::current_exe()?, ["compile-component".into()], CompileLimits::default());
/// let sandbox = Sandbox::with_compiler(SandboxConfig::default(), Arc::new(compiler))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Apart {
    program: PathBuf,
    arguments: Vec<OsString>,
    limits: CompileLimits,
}

/// What the child is told, as the last of its arguments.
#[derive(Serialize, Deserialize)]
struct Order {
    settings: CodeSettings,
    /// Bytes of address space.
    memory: u64,
    /// Seconds of processor time.
    cpu: u64,
}

/// Threads that compile. More make little of one component faster, and each takes address space.
const THREADS: &str = "4";
/// Most bytes of code that are read back; a component of Python comes to 33 MiB.
const MOST_CODE: u64 = 1 << 30;
/// Most bytes of a child's last words.
const MOST_WORDS: u64 = 4 << 10;
/// What a child says that has refused a component.
const REFUSED: u8 = 3;

impl Apart {
    /// Compiles by starting `program` with `arguments` and one more, which is what [`compile_worker`] takes.
    #[must_use]
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = OsString>,
        limits: CompileLimits,
    ) -> Self {
        Self { program: program.into(), arguments: arguments.into_iter().collect(), limits }
    }

    fn start(&self, settings: CodeSettings) -> io::Result<Child> {
        let CompileLimits { memory, cpu, .. } = self.limits;
        let order = Order { settings, memory, cpu: cpu.as_secs().max(1) };
        Command::new(&self.program)
            .args(&self.arguments)
            .arg(serde_json::to_string(&order)?)
            .env_clear()
            .env("RAYON_NUM_THREADS", THREADS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// What an end that is no success means.
    fn ended(&self, status: ExitStatus, words: &str) -> CompileError {
        let too_much = |what: String| CompileError::TooMuch { what };
        let message = words.trim().to_owned();
        if status.code() == Some(REFUSED.into()) {
            return CompileError::Invalid { message };
        }
        if is_over_cpu(status) {
            return too_much(format!("more than {:?} of processor time", self.limits.cpu));
        }
        // An allocation, a mapping, and a thread that cannot be had.
        if ["memory allocation of", "os error 12", "os error 11"].iter().any(|said| words.contains(said)) {
            return too_much(format!("more than {} MiB of memory", self.limits.memory >> 20));
        }
        CompileError::Ended { status: status.to_string(), message }
    }
}

impl Compiler for Apart {
    fn compile(&self, settings: &CodeSettings, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        let process = |source| CompileError::Process { source };
        let mut child = self.start(*settings).map_err(process)?;
        let mut stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let (done, both_read) = mpsc::channel();
        // Three pipes, each with somebody at its end, so that neither side waits for the other.
        let read = thread::scope(|scope| {
            scope.spawn(move || {
                // A child that has refused reads no further, and says why.
                drop(stdin.write_all(component));
            });
            let words = scope.spawn(move || {
                let mut words = Vec::new();
                drop(stderr.take(MOST_WORDS).read_to_end(&mut words));
                String::from_utf8_lossy(&words).into_owned()
            });
            let code = scope.spawn(move || {
                let mut code = Vec::new();
                let read = stdout.take(MOST_CODE).read_to_end(&mut code).map(|_| code);
                let _ = done.send(());
                read
            });
            let in_time = both_read.recv_timeout(self.limits.wall).is_ok();
            // It closes its output as the last thing it does, or it is late.
            if !in_time {
                child.kill().map_err(process)?;
            }
            let status = child.wait().map_err(process)?;
            let code = code.join().expect("reading does not panic").map_err(process)?;
            let words = words.join().expect("reading does not panic");
            match (in_time, status.success()) {
                (false, _) => {
                    Err(CompileError::TooMuch { what: format!("longer than {:?}", self.limits.wall) })
                }
                (true, false) => Err(self.ended(status, &words)),
                (true, true) => Ok(code),
            }
        })?;
        let engine = Engine::new(&settings.config())
            .map_err(|error| CompileError::Invalid { message: format!("{error:#}") })?;
        match read.strip_prefix(fingerprint(&engine).as_bytes()) {
            Some(code) => Ok(code.to_vec()),
            // Such code may load and compute something else.
            None => Err(CompileError::Ended {
                status: "code for another engine".to_owned(),
                message: "the program that compiles is of another version".to_owned(),
            }),
        }
    }
}

#[cfg(unix)]
fn is_over_cpu(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;

    // SIGXCPU, and SIGKILL a second later for who does not hear it; nobody else kills it but its parent, by time.
    matches!(status.signal(), Some(24 | 9))
}

#[cfg(not(unix))]
fn is_over_cpu(_: ExitStatus) -> bool {
    false
}

/// Compiles one component, as the child of an [`Apart`]: the main function of its program calls this when it is started
/// with the arguments that were given there, with the one after them, its standard input and its standard output.
///
/// It limits its own process first, so it must not share it with anything else.
///
/// ```no_run
/// # use std::process::ExitCode;
/// fn main() -> ExitCode {
///     // Before anything else is started:
///     let mut arguments = std::env::args().skip(1);
///     if arguments.next().as_deref() == Some("compile-component") {
///         let order = arguments.next().unwrap_or_default();
///         return match wflo_sandbox::compile_worker(&order, &mut std::io::stdin(), &mut std::io::stdout()) {
///             Ok(()) => ExitCode::SUCCESS,
///             Err(failed) => {
///                 eprintln!("{failed}");
///                 failed.code.into()
///             }
///         };
///     }
///     ExitCode::SUCCESS
/// }
/// ```
///
/// # Errors
/// What the parent is to be told, on standard error and by the exit code.
pub fn compile_worker(order: &str, from: &mut impl Read, to: &mut impl Write) -> Result<(), WorkerFailed> {
    let failed = |code, message| WorkerFailed { code, message };
    let order: Order =
        serde_json::from_str(order).map_err(|error| failed(1, format!("the order: {error}")))?;
    limit(&order).map_err(|error| failed(1, format!("the limits: {error}")))?;
    let mut component = Vec::new();
    from.read_to_end(&mut component).map_err(|error| failed(1, error.to_string()))?;
    let engine = Engine::new(&order.settings.config()).map_err(|error| failed(1, format!("{error:#}")))?;
    let code =
        engine.precompile_component(&component).map_err(|error| failed(REFUSED, format!("{error:#}")))?;
    let written = to.write_all(fingerprint(&engine).as_bytes()).and_then(|()| to.write_all(&code));
    written.and_then(|()| to.flush()).map_err(|error| failed(1, error.to_string()))
}

/// Why a child has no code for its parent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WorkerFailed {
    /// What the process is to exit with.
    pub code: u8,
    message: String,
}

#[cfg(unix)]
fn limit(order: &Order) -> io::Result<()> {
    use rlimit::Resource;

    Resource::AS.set(order.memory, order.memory)?;
    // A second between the signal that can be told from others and the one that cannot be ignored.
    Resource::CPU.set(order.cpu, order.cpu + 1)?;
    Resource::CORE.set(0, 0)?;
    // It writes to a pipe and to nothing else.
    Resource::FSIZE.set(0, 0)
}

#[cfg(not(unix))]
fn limit(_: &Order) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "a process cannot limit itself here"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Duration;

    use super::{Apart, CodeSettings, CompileError, CompileLimits, Compiler};

    /// What comes of a child that does as `script` says.
    fn child(script: &str) -> Result<Vec<u8>, CompileError> {
        let limits = CompileLimits { wall: Duration::from_secs(5), ..CompileLimits::default() };
        compile(script, limits)
    }

    fn compile(script: &str, limits: CompileLimits) -> Result<Vec<u8>, CompileError> {
        let apart = Apart::new("/bin/sh", ["-c".into(), script.into()], limits);
        // More than a pipe holds.
        apart.compile(&CodeSettings { max_memory: 1 << 20 }, &vec![b'x'; 1 << 20])
    }

    #[test]
    fn the_end_of_a_child_says_what_it_was() {
        assert!(
            matches!(child("echo bad magic >&2; exit 3"), Err(CompileError::Invalid { message }) if message == "bad magic")
        );
        let too_much = |script: &str, words: &str| match child(script) {
            Err(CompileError::TooMuch { what }) => assert!(what.contains(words), "{what}"),
            other => panic!("{other:?}"),
        };
        too_much("kill -XCPU $$", "processor time");
        too_much("echo 'memory allocation of 16 bytes failed' >&2; kill -ABRT $$", "4096 MiB of memory");
        assert!(
            matches!(child("echo oh >&2; exit 1"), Err(CompileError::Ended { message, .. }) if message == "oh")
        );
        assert!(
            matches!(child("cat"), Err(CompileError::Ended { message, .. }) if message.contains("another version"))
        );
    }

    #[test]
    fn who_takes_too_long_is_killed() {
        let limits = CompileLimits { wall: Duration::from_millis(50), ..CompileLimits::default() };
        // It becomes what waits, so that there is nobody left when it is killed.
        let late = compile("exec tail -f /dev/null", limits);
        assert!(matches!(late, Err(CompileError::TooMuch { what }) if what.contains("50ms")));
    }

    #[test]
    fn a_program_that_is_not_there_is_the_hosts_fault() {
        let apart = Apart::new("/nowhere/at/all", [], CompileLimits::default());
        let failed = apart.compile(&CodeSettings { max_memory: 1 << 20 }, b"");
        assert!(matches!(failed, Err(CompileError::Process { .. })));
    }

    #[test]
    fn the_environment_of_a_child_is_empty() {
        // Its shell adds the folder it is in.
        let Err(CompileError::Ended { message, .. }) = child("env >&2; exit 1") else { panic!() };
        let names: Vec<_> =
            message.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        assert!(
            names.iter().all(|name| ["PWD", "_", "RAYON_NUM_THREADS", "OLDPWD", "SHLVL"].contains(name)),
            "{names:?}"
        );
    }
}
