//! Opening sled 0.34.7 and keeping its files; `DESIGN.md` says what each guard is against.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::OpenError;
use crate::store::state_dir::sync_dir;

/// Memory for sled's page cache.
const CACHE: u64 = 64 << 20;
/// sled keeps apart, in files that it never syncs, what takes a quarter of a segment: 512 KiB here. The largest it
/// writes is a page of its tree, and no page comes near: a leaf has 17 values before it is split, each a page of ours
/// of 5 KiB at most, and an inner page 257 keys of 258 bytes. Larger segments would cost: sled fills the last one with
/// zeros each time it opens, and syncs them.
const SEGMENT: usize = 2 << 20;
/// sled collects garbage only in its own periodic flush.
const FLUSH_EVERY_MS: u64 = 500;
/// How long to wait for sled to let go of its files after an earlier store of this process was closed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens sled in a folder. Its panics become errors: it has some where files are damaged.
pub(in crate::store) fn open(dir: &Path) -> Result<sled::Db, OpenError> {
    remove_half_snapshots(dir).map_err(at(dir))?;
    let config = sled::Config::new()
        .path(dir)
        .cache_capacity(CACHE)
        .segment_size(segment_size(dir))
        .flush_every_ms(Some(FLUSH_EVERY_MS));
    let patience = Instant::now() + PATIENCE;
    loop {
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => return Ok(db),
            // We hold the lock of the state folder, so this can only be a store of this process that is closing.
            Ok(Err(sled::Error::Io(error)))
                if error.to_string().contains("could not acquire lock") && Instant::now() < patience =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(Err(error)) => return Err(failed(dir)(error)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
                let what = format!("the database panicked while opening: {text}");
                return Err(OpenError::Corrupt { path: dir.to_owned(), what });
            }
        }
    }
}

/// The size of sled's segments: it opens with no other than it was made with.
fn segment_size(dir: &Path) -> usize {
    // Lines of text, and a checksum that sled looks at.
    let settings = fs::read(dir.join("conf")).unwrap_or_default();
    let settings = String::from_utf8_lossy(&settings);
    let made_with = settings.lines().find_map(|line| line.strip_prefix("segment_size: ")?.parse().ok());
    made_with.unwrap_or(SEGMENT)
}

/// Removes snapshots that a crash cut short: sled would take them for whole ones, and call the database corrupt.
fn remove_half_snapshots(dir: &Path) -> io::Result<()> {
    for path in files(dir)? {
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("snap.") && name.ends_with(".generating")) {
            tracing::warn!(path = %path.display(), "removing a snapshot that a crash cut short");
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Makes everything that sled created durable; it leaves its settings to the operating system.
pub(in crate::store) fn sync_files(dir: &Path) -> io::Result<()> {
    for path in files(dir)? {
        match File::open(&path) {
            Ok(file) => file.sync_all()?,
            // sled renames and removes snapshots in the background.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    sync_dir(dir)
}

/// Takes group's and others' rights away from what sled made. What it makes later is behind the folder's 0700.
pub(in crate::store) fn make_private(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for path in files(dir)? {
            let mode = if path.is_dir() { 0o700 } else { 0o600 };
            match fs::set_permissions(&path, fs::Permissions::from_mode(mode)) {
                // sled renames and removes snapshots in the background.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Removes a folder that sled has let go of, or is about to.
pub(in crate::store) fn remove(dir: &Path) -> io::Result<()> {
    // sled closes its files a moment after it was dropped, and may make one until then.
    let patience = Instant::now() + PATIENCE;
    loop {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && Instant::now() < patience => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return Ok(()),
        }
    }
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

/// What an error of sled's is at opening.
pub(in crate::store) fn failed(path: &Path) -> impl Fn(sled::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |error| match error {
        sled::Error::Io(source) => OpenError::Io { path: path.clone(), source },
        other => OpenError::Corrupt { path: path.clone(), what: other.to_string() },
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Io { path: path.clone(), source }
}
