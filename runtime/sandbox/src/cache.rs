//! Compiled code on disk.
//!
//! An entry is two files: `<name>.cwasm`, wasmtime's own format, and `<name>.sha256`, its checksum, where
//! `<name>` is the component's digest and a hash of everything in the engine that the code depends on. wasmtime
//! does not notice code that was damaged, nor all differences of settings; the checksum and the name do.
//! Files appear by rename and are never changed: other processes may have them mapped. A checksum is written anew each
//! time its code is used, so that its age tells how long that was ago; what was not used for longest is evicted when
//! the folder is full, and code of other engines after a month.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use wasmtime::Engine;
use wasmtime::component::Component;
use wflo_model::{Digest, Hasher};

use crate::compiler::fingerprint;

/// Code of other engines that nobody used for so long is of versions that are gone.
const STALE: Duration = Duration::from_secs(30 * 86_400);
/// A file that was begun so long ago and has no name yet is of a process that died over it.
const ABANDONED: Duration = Duration::from_secs(3_600);

/// A folder of compiled code, for one engine.
pub(crate) struct CodeCache {
    dir: PathBuf,
    engine: String,
    most: u64,
}

impl CodeCache {
    /// Opens the folder, and makes it if it is not there, for its owner alone.
    pub(crate) fn open(dir: &Path, engine: &Engine, most: u64) -> io::Result<Self> {
        make_private(dir)?;
        let this = Self { dir: dir.to_owned(), engine: fingerprint(engine), most };
        this.check_owner()?;
        Ok(this)
    }

    /// The folder is ours: whoever owns it can put code into it, which would run as us.
    #[cfg(unix)]
    fn check_owner(&self) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt as _;

        let folder = fs::symlink_metadata(&self.dir)?;
        if !folder.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is a link, or no folder"));
        }
        // A file that we make is ours: there is no safe call that says who we are.
        let probe = self.temporary();
        let ours = File::create(&probe).and_then(|file| file.metadata());
        drop(fs::remove_file(&probe));
        if ours?.uid() != folder.uid() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to somebody else"));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn check_owner(&self) -> io::Result<()> {
        Ok(())
    }

    /// The code of the component with this digest; none if there is no entry, or a damaged one.
    pub(crate) fn load(&self, engine: &Engine, component: Digest) -> Option<Component> {
        let path = self.path(component, "cwasm");
        let found = digest_of(&path).ok()?;
        let checksum = fs::read_to_string(self.path(component, "sha256")).ok()?;
        if checksum != found.to_string() {
            tracing::warn!(path = %path.display(), "compiled code is damaged; compiling anew");
            return None;
        }
        #[expect(unsafe_code, reason = "the one way to load compiled code; see below")]
        // SAFETY: the file is native code, and what we wrote: the folder is its owner's alone, the name holds the
        // engine's compatibility hash, the checksum was right, and files here are replaced but never changed.
        let loaded = unsafe { Component::deserialize_file(engine, &path) };
        let loaded = loaded
            .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "compiled code was refused"))
            .ok()?;
        // Its age is what eviction goes by; that it cannot be written is no reason not to run.
        drop(self.put(&self.path(component, "sha256"), checksum.as_bytes()));
        Some(loaded)
    }

    /// Keeps the code of a component, and makes room for it. A process that dies in here, or two that do this at once,
    /// leave at worst an entry whose checksum is wrong.
    pub(crate) fn store(&self, component: Digest, code: &[u8]) -> io::Result<()> {
        let checksum = self.path(component, "sha256");
        self.put(&checksum, Digest::of(code).to_string().as_bytes())?;
        self.put(&self.path(component, "cwasm"), code)?;
        self.evict(&checksum)
    }

    /// Removes what is too much, and what nobody will use again. `newest` is the checksum that was written just now:
    /// its age is none, and its code stays.
    fn evict(&self, newest: &Path) -> io::Result<()> {
        let now = fs::metadata(newest)?.modified()?;
        let age = |at: SystemTime| now.duration_since(at).unwrap_or_default();
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            // Another process may evict at the same time: what is gone is gone.
            let Ok(modified) = fs::metadata(&path).and_then(|meta| meta.modified()) else { continue };
            let is = |extension| path.extension().is_some_and(|found| found == extension);
            if is("tmp") && age(modified) > ABANDONED {
                drop(fs::remove_file(&path));
            }
            if !is("sha256") || path == newest {
                continue;
            }
            let code = path.with_extension("cwasm");
            let bytes = fs::metadata(&code).map(|meta| meta.len()).unwrap_or_default();
            entries.push((modified, path, code, bytes));
        }
        entries.sort();
        let kept = fs::metadata(newest.with_extension("cwasm"))?.len();
        let mut all = entries.iter().map(|(.., bytes)| bytes).sum::<u64>().saturating_add(kept);
        for (modified, checksum, code, bytes) in entries {
            let name = checksum.file_stem().unwrap_or_default().to_string_lossy();
            let is_stale = !name.ends_with(&self.engine) && age(modified) > STALE;
            if all > self.most || is_stale {
                // Without its checksum the code is nobody's; who has it mapped keeps it.
                drop(fs::remove_file(&checksum));
                drop(fs::remove_file(&code));
                all = all.saturating_sub(bytes);
            }
        }
        Ok(())
    }

    fn path(&self, component: Digest, extension: &str) -> PathBuf {
        self.dir.join(format!("{}-{}.{extension}", component.hex(), self.engine))
    }

    /// A name that nobody else writes to.
    fn temporary(&self) -> PathBuf {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!(".{}-{number}.tmp", std::process::id()))
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.temporary();
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

/// The digest of a file. Code of Python is tens of megabytes: most of the time of reading it at once would go into making
/// room for it.
fn digest_of(path: &Path) -> io::Result<Digest> {
    // A link is nothing of ours, and a device has no end.
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?;
    let mut hasher = Hasher::default();
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&piece[..read]),
        }
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
