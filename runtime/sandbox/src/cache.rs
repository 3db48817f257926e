//! Compiled code on disk.
//!
//! An entry is two files: `<name>.cwasm`, wasmtime's own format, and `<name>.sha256`, its checksum, where
//! `<name>` is the component's digest and a hash of everything in the engine that the code depends on. wasmtime
//! does not notice code that was damaged, nor all differences of settings; the checksum and the name do.
//! Files appear by rename and are never changed: other processes may have them mapped.

use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;
use wflo_model::Digest;

/// A folder of compiled code, for one engine.
pub(crate) struct CodeCache {
    dir: PathBuf,
    engine: String,
}

impl CodeCache {
    /// Opens the folder, and makes it if it is not there, for its owner alone.
    pub(crate) fn open(dir: &Path, engine: &Engine) -> io::Result<Self> {
        make_private(dir)?;
        let mut hash = EngineHash(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hash);
        let engine = Digest::from_bytes(hash.0.finalize().into()).hex();
        Ok(Self { dir: dir.to_owned(), engine: engine[..16].to_owned() })
    }

    /// The code of the component with this digest; none if there is no entry, or a damaged one.
    pub(crate) fn load(&self, engine: &Engine, component: Digest) -> Option<Component> {
        let path = self.path(component, "cwasm");
        let code = fs::read(&path).ok()?;
        let checksum = fs::read_to_string(self.path(component, "sha256")).ok()?;
        if checksum != Digest::of(&code).to_string() {
            tracing::warn!(path = %path.display(), "compiled code is damaged; compiling anew");
            return None;
        }
        drop(code);
        #[expect(unsafe_code, reason = "the one way to load compiled code; see below")]
        // SAFETY: the file is native code, and what we wrote: the folder is its owner's alone, the name holds the
        // engine's compatibility hash, the checksum was right, and files here are replaced but never changed.
        let loaded = unsafe { Component::deserialize_file(engine, &path) };
        loaded
            .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "compiled code was refused"))
            .ok()
    }

    /// Keeps the code of a component. A process that dies in here, or two that do this at once, leave at worst an
    /// entry whose checksum is wrong.
    pub(crate) fn store(&self, component: Digest, compiled: &Component) -> io::Result<()> {
        let code = compiled.serialize().map_err(io::Error::other)?;
        self.put(&self.path(component, "sha256"), Digest::of(&code).to_string().as_bytes())?;
        self.put(&self.path(component, "cwasm"), &code)
    }

    fn path(&self, component: Digest, extension: &str) -> PathBuf {
        self.dir.join(format!("{}-{}.{extension}", component.hex(), self.engine))
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!(".{}-{number}.tmp", std::process::id()));
        let written = File::create(&temporary)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            // What is left of it has no name that anybody reads.
            drop(fs::remove_file(&temporary));
        }
        written
    }
}

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // It may have been there already.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
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
