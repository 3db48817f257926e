//! Files of the host.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wflo_model::{HostPath, Octets};

/// Reads files of the host, below folders that it is told.
///
/// Whether a folder may be read is decided before it comes here. What an implementation owes is that it reads what lies
/// in that folder and nothing else: neither `..`, nor an absolute path, nor a link, nor a link that appears while it
/// looks, leads out of it. It writes nothing.
#[async_trait]
pub trait Files: Send + Sync {
    /// Opens a file, and takes it in whole; or a folder.
    ///
    /// # Errors
    /// See [`FileError`].
    async fn open(&self, place: &FilePlace, most: u64) -> Result<Opened, FileError>;

    /// What is in a folder, by name.
    ///
    /// # Errors
    /// See [`FileError`].
    async fn list(&self, place: &FilePlace) -> Result<Vec<FileEntry>, FileError>;

    /// What a path leads to.
    ///
    /// # Errors
    /// See [`FileError`].
    async fn look(&self, place: &FilePlace) -> Result<FileStat, FileError>;
}

/// A path below a folder of the host. The path begins at `base`, and may not leave that either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePlace {
    /// The folder that was lent.
    pub folder: HostPath,
    /// Where in it the guest is; empty for the folder itself.
    pub base: String,
    /// The path from there; empty for that place itself.
    pub path: String,
    /// Whether a link at its end is followed.
    pub follow: bool,
}

/// What was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opened {
    /// A file, with everything in it.
    File(Octets),
    /// A folder.
    Folder,
}

/// What is in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
}

/// What a path leads to. When it was changed is not told: a copy of the folder is the same to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Bytes, of a file.
    pub size: u64,
}

/// What something in a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A link.
    Link,
    /// Anything else: a device, a socket, a pipe. It can be seen and not opened.
    Other,
}

/// Why there is nothing to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It leads out of the folder, or is nothing that may be opened.
    #[error("{message}")]
    Prohibited {
        /// Why.
        message: String,
    },
    /// The file system says no, in words that a guest knows.
    #[error("{0}")]
    Failed(FileFailure),
    /// The folder that was lent is not there, or the host fails.
    #[error("{message}")]
    Unavailable {
        /// What happened.
        message: String,
    },
}

/// What a file system says to a path that it does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileFailure {
    /// There is nothing of that name.
    #[error("there is no such file")]
    NoEntry,
    /// A part of the path is no folder.
    #[error("a part of the path is no folder")]
    NotFolder,
    /// The host may not read it itself.
    #[error("the host may not read it")]
    NotPermitted,
    /// Links lead in a circle.
    #[error("links lead in a circle")]
    Loop,
    /// It is more than a call may return.
    #[error("the file is too large")]
    TooLarge,
    /// The name is too long, or none.
    #[error("that is no name of a file")]
    BadName,
    /// Anything else.
    #[error("the file cannot be read")]
    Io,
}
