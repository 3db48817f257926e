//! Folders, opened so that nothing leads out of them.
//!
//! Each access opens the folder anew and walks down from it with cap-std, which resolves every part of a path below a
//! folder that is open, links included: what leads out is refused by the walk itself, and a link that somebody puts there
//! meanwhile is one more to be refused.

use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, FileType, Metadata, OpenOptions, OpenOptionsExt as _};
use rustix::fs::OFlags;
use wflo_model::{HostPath, Octets};
use wflo_ports::{FileEntry, FileError, FileFailure, FileKind, FilePlace, FileStat, Files, Opened};

/// Most entries of a folder that are listed.
const MOST_ENTRIES: usize = 10_000;

/// Where files are.
#[derive(Clone, Debug, Default)]
pub struct HostFilesConfig {
    /// What relative folders are in: that of `wflo.toml`.
    pub root: PathBuf,
    /// Folders of the host itself, which no lent folder may hold or lie in: the store and its keys.
    pub kept: Vec<PathBuf>,
}

/// Reads files of this machine, as [`Files`] wants them read.
///
/// ```
/// use std::sync::Arc;
/// use wflo_backends::files::{HostFiles, HostFilesConfig};
/// use wflo_ports::Files;
/// let config = HostFilesConfig { root: "/srv/clinic".into(), kept: vec!["/srv/clinic/.wflo".into()] };
/// let files: Arc<dyn Files> = Arc::new(HostFiles::new(config));
/// ```
#[derive(Clone, Debug)]
pub struct HostFiles(Arc<HostFilesConfig>);

impl HostFiles {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(config: HostFilesConfig) -> Self {
        Self(Arc::new(config))
    }

    /// Reading may wait for a disk or a network, so it happens on a thread that may.
    async fn blocking<T: Send + 'static>(
        &self,
        place: &FilePlace,
        read: impl FnOnce(&Dir, &FilePlace) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        let (config, place) = (Arc::clone(&self.0), place.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let base = config.base(&place)?;
            read(&base, &place)
        });
        reading.await.unwrap_or_else(|error| Err(FileError::Unavailable { message: error.to_string() }))
    }
}

impl HostFilesConfig {
    /// Where the guest is, opened.
    fn base(&self, place: &FilePlace) -> Result<Dir, FileError> {
        let folder = self.folder(&place.folder).map_err(|error| match failure(&error) {
            Err(prohibited) => prohibited,
            Ok(_) => FileError::Unavailable { message: format!("folder `{}`: {error}", place.folder) },
        })?;
        if place.base.is_empty() { Ok(folder) } else { folder.open_dir(&place.base).map_err(told) }
    }

    fn folder(&self, folder: &HostPath) -> io::Result<Dir> {
        let whole = self.root.join(folder.as_str());
        self.check_kept(&whole)?;
        if folder.is_absolute() {
            return Dir::open_ambient_dir(&whole, ambient_authority());
        }
        // A link in the folder of `wflo.toml` is whoever's wrote the workflow: it leads nowhere else either.
        Dir::open_ambient_dir(&self.root, ambient_authority())?.open_dir(folder.as_str())
    }

    /// What the host keeps for itself is not lent under another name.
    fn check_kept(&self, folder: &Path) -> io::Result<()> {
        let Ok(real) = folder.canonicalize() else { return Ok(()) };
        for kept in self.kept.iter().filter_map(|kept| kept.canonicalize().ok()) {
            if kept.starts_with(&real) || real.starts_with(&kept) {
                return Err(io::Error::new(
                    ErrorKind::PermissionDenied,
                    "what the host keeps for itself lies in it, or around it",
                ));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Files for HostFiles {
    async fn open(&self, place: &FilePlace, most: u64) -> Result<Opened, FileError> {
        self.blocking(place, move |base, place| {
            let path = path(place);
            let found = look(base, path, place.follow)?;
            match kind(found.file_type()) {
                FileKind::Folder => return base.open_dir(path).map(|_| Opened::Folder).map_err(told),
                FileKind::File => {}
                FileKind::Link => return Err(FileError::Failed(FileFailure::Loop)),
                // To open a pipe is to wait for whoever writes to it; a device may do anything.
                FileKind::Other => {
                    let message = format!("`{path}` is no file");
                    return Err(FileError::Prohibited { message });
                }
            }
            let (file, size) = open(base, path)?;
            if size > most {
                return Err(FileError::Failed(FileFailure::TooLarge));
            }
            let mut bytes = Vec::new();
            // It may grow meanwhile.
            file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(told)?;
            if bytes.len() as u64 > most {
                return Err(FileError::Failed(FileFailure::TooLarge));
            }
            Ok(Opened::File(Octets::from(bytes)))
        })
        .await
    }

    async fn list(&self, place: &FilePlace) -> Result<Vec<FileEntry>, FileError> {
        self.blocking(place, |base, place| {
            let mut entries = Vec::new();
            for entry in base.read_dir(path(place)).map_err(told)? {
                let entry = entry.map_err(told)?;
                // A name that is no text cannot be said to a guest, nor opened by one.
                let Ok(name) = entry.file_name().into_string() else { continue };
                if entries.len() == MOST_ENTRIES {
                    return Err(FileError::Failed(FileFailure::TooLarge));
                }
                entries.push(FileEntry { name, kind: kind(entry.file_type().map_err(told)?) });
            }
            entries.sort();
            Ok(entries)
        })
        .await
    }

    async fn look(&self, place: &FilePlace) -> Result<FileStat, FileError> {
        self.blocking(place, |base, place| {
            let found = look(base, path(place), place.follow)?;
            let kind = kind(found.file_type());
            Ok(FileStat { kind, size: if kind == FileKind::File { found.len() } else { 0 } })
        })
        .await
    }
}

fn path(place: &FilePlace) -> &str {
    if place.path.is_empty() { "." } else { &place.path }
}

/// Opens a file, and nothing else: what is there by now need not be what was looked at.
fn open(base: &Dir, path: &str) -> Result<(File, u64), FileError> {
    let mut options = OpenOptions::new();
    // Neither waits for whoever writes to a pipe, nor makes a terminal this process' own.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = base.open_with(path, &options).map_err(told)?;
    let opened = file.metadata().map_err(told)?;
    if opened.is_file() { Ok((file, opened.len())) } else { Err(FileError::Failed(FileFailure::Io)) }
}

fn look(base: &Dir, path: &str, follow: bool) -> Result<Metadata, FileError> {
    let found = if follow { base.metadata(path) } else { base.symlink_metadata(path) };
    found.map_err(told)
}

fn kind(kind: FileType) -> FileKind {
    if kind.is_file() {
        FileKind::File
    } else if kind.is_dir() {
        FileKind::Folder
    } else if kind.is_symlink() {
        FileKind::Link
    } else {
        FileKind::Other
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
fn told(error: io::Error) -> FileError {
    failure(&error).map_or_else(|prohibited| prohibited, FileError::Failed)
}

/// What a guest is told, and apart from it what leads out.
fn failure(error: &io::Error) -> Result<FileFailure, FileError> {
    match error.kind() {
        // cap-std says so without the system's word; a file that the host may not read has one.
        ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
            Err(FileError::Prohibited { message: error.to_string() })
        }
        ErrorKind::PermissionDenied => Ok(FileFailure::NotPermitted),
        ErrorKind::NotFound => Ok(FileFailure::NoEntry),
        ErrorKind::NotADirectory => Ok(FileFailure::NotFolder),
        ErrorKind::InvalidInput | ErrorKind::InvalidFilename => Ok(FileFailure::BadName),
        // The number of `ELOOP`, whose kind is not stable.
        _ if error.raw_os_error() == Some(40) => Ok(FileFailure::Loop),
        _ => Ok(FileFailure::Io),
    }
}

#[cfg(test)]
mod tests {
    use super::{Dir, FileError, FileFailure, ambient_authority, open};

    #[test]
    fn a_pipe_that_took_the_place_of_a_file_is_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        // Nobody writes to it.
        let made = std::process::Command::new("mkfifo").arg(home.path().join("pipe")).status().unwrap();
        assert!(made.success());
        std::fs::write(home.path().join("file"), "hello").unwrap();
        let base = Dir::open_ambient_dir(home.path(), ambient_authority()).unwrap();
        assert!(matches!(open(&base, "pipe"), Err(FileError::Failed(FileFailure::Io))));
        assert_eq!(open(&base, "file").unwrap().1, 5);
    }
}
