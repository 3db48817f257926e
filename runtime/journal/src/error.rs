//! What can go wrong, cut by what the caller does next.

use std::path::PathBuf;

use wflo_model::RunId;
use wflo_ports::SystemEntropyError;

use crate::MasterKeyError;

/// Why an append, a creation or a claim did not become durable.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no such run.
    #[error("there is no run `{run}`")]
    UnknownRun {
        /// The run asked for.
        run: RunId,
    },
    /// A run with this id is there already.
    #[error("the run `{run}` exists already")]
    RunExists {
        /// Its id.
        run: RunId,
    },
    /// The run has other events than the writer thinks: nothing was written.
    #[error("the run has moved on to event {head}")]
    Conflict {
        /// The newest event the run has.
        head: u64,
    },
    /// Another writer has claimed the run since: nothing was written, and this writer may never write again.
    #[error("another process has taken this run over")]
    Fenced,
    /// Something is larger than the store takes: nothing was written.
    #[error("{what} has {size} bytes; at most {limit} are kept")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The largest size.
        limit: usize,
    },
    /// The disk failed while this was being written: it may be there or not. Open the store again to see.
    #[error("it is unknown whether the journal was written: {message}")]
    Unknown {
        /// What the disk said.
        message: String,
    },
    /// The store failed before; nothing of this was written. Open the store again.
    #[error("the journal failed and takes no more writes: {message}")]
    Poisoned {
        /// What failed.
        message: String,
    },
    /// The run was erased: nothing can be written to it any more.
    #[error("run `{run}` was erased")]
    Erased {
        /// The run.
        run: RunId,
    },
    /// The id is that of a log of the store itself: nothing was written.
    #[error("`{run}` is the log of the store itself, and no run can have its id")]
    Reserved {
        /// The id.
        run: RunId,
    },
    /// A record that this write builds on is corrupt: nothing was written.
    #[error("record `{key}` is corrupt: {what}")]
    Corrupt {
        /// The record's key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// There was no randomness to seal with: nothing was written.
    #[error(transparent)]
    NoEntropy(#[from] SystemEntropyError),
    /// Something that was to be taken is not there any more: nothing was written.
    #[error("somebody else has taken it")]
    Gone,
}

/// Why something could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such run.
    #[error("there is no run `{run}`")]
    UnknownRun {
        /// The run asked for.
        run: RunId,
    },
    /// The run was erased: there are its headers, and nothing of what its events said.
    #[error("run `{run}` was erased")]
    Erased {
        /// The run.
        run: RunId,
    },
    /// A record is damaged, missing, out of its place or opened by another key.
    #[error("record `{key}` is corrupt: {what}")]
    Corrupt {
        /// The record's key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// The disk failed.
    #[error("cannot read the journal: {message}")]
    Io {
        /// What the disk said.
        message: String,
    },
}

impl ReadError {
    pub(crate) fn corrupt(key: impl ToString, what: impl ToString) -> Self {
        Self::Corrupt { key: key.to_string(), what: what.to_string() }
    }

    pub(crate) fn io(message: impl ToString) -> Self {
        Self::Io { message: message.to_string() }
    }
}

impl From<ReadError> for AppendError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::UnknownRun { run } => Self::UnknownRun { run },
            ReadError::Erased { run } => Self::Erased { run },
            ReadError::Corrupt { key, what } => Self::Corrupt { key, what },
            ReadError::Io { message } => Self::Poisoned { message },
        }
    }
}

/// Why a store was not pruned, or a run not erased.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// There is no such run. Nothing was changed.
    #[error("there is no run `{run}`")]
    UnknownRun {
        /// The run asked for.
        run: RunId,
    },
    /// A run has gone on since it was decided that it should go. Nothing was changed.
    #[error("run `{run}` has gone on to event {head}")]
    Moved {
        /// The run.
        run: RunId,
        /// Its newest event.
        head: u64,
    },
    /// A run that has not ended cannot be erased. Nothing was changed.
    #[error("run `{run}` has not ended\nhint: cancel it first")]
    Unfinished {
        /// The run.
        run: RunId,
    },
    /// The run is erased already. Nothing was changed.
    #[error("run `{run}` was erased")]
    Erased {
        /// The run.
        run: RunId,
    },
    /// It is a log of the store itself, which is neither dropped nor erased. Nothing was changed.
    #[error("`{run}` is the log of the store itself, which is never dropped or erased")]
    Reserved {
        /// Its id.
        run: RunId,
    },
    /// A record is damaged. Nothing was changed.
    #[error("record `{key}` is corrupt: {what}")]
    Corrupt {
        /// The record's key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// The disk failed before the switch, or is full. Nothing was changed, and the journal goes on.
    #[error("cannot write a new generation: {message}")]
    Failed {
        /// What the disk said.
        message: String,
    },
    /// The store failed before. Nothing was changed.
    #[error("the journal failed and takes no more writes: {message}")]
    Poisoned {
        /// What failed.
        message: String,
    },
    /// The disk failed at the switch: a reopened store has the old generation or the new one, each whole.
    #[error("it is unknown whether the journal has switched to its new generation: {message}")]
    Unknown {
        /// What the disk said.
        message: String,
    },
    /// It is done, and in use, but for files that could not be removed: what they hold is still on the disk.
    /// Old generations are removed when the store is opened, blobs when it is pruned the next time.
    #[error("what was left out of the journal is not removed from the disk: {message}")]
    LeftBehind {
        /// What was left out.
        sifted: crate::Sifted,
        /// What the disk said.
        message: String,
    },
}

impl From<ReadError> for PruneError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::UnknownRun { run } => Self::UnknownRun { run },
            ReadError::Erased { run } => Self::Erased { run },
            ReadError::Corrupt { key, what } => Self::Corrupt { key, what },
            ReadError::Io { message } => Self::Failed { message },
        }
    }
}

/// Why a store or journal cannot be opened. Nothing was changed unless it says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("the state folder `{}` is in use{}", path.display(), by.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Locked {
        /// The state folder.
        path: PathBuf,
        /// The process that has it open, where it could be told.
        by: Option<u32>,
    },
    /// The folder says that a store was made here, and the store is not there any more.
    #[error("the store in `{}` is gone: {what}", path.display())]
    Wiped {
        /// The state folder.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// The folder holds something that no version of wflo left there.
    #[error("`{}` does not hold a wflo store: {what}", path.display())]
    NotAStore {
        /// The state folder.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The store was made by a newer version.
    #[error("the store in `{}` has format {found}; this version knows {known}", path.display())]
    NewerFormat {
        /// The state folder.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The database files are damaged.
    #[error("the store in `{}` is damaged: {what}", path.display())]
    Corrupt {
        /// The state folder or record.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The master key does not open this store.
    #[error("the master key is not the one this store was sealed with")]
    WrongMasterKey,
    /// The master key cannot be read or made.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The system failed.
    #[error("cannot open `{}`: {source}", path.display())]
    Io {
        /// What was opened.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Reading the store failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Writing the first records failed.
    #[error(transparent)]
    Write(#[from] AppendError),
    /// There was no randomness to make keys from.
    #[error(transparent)]
    NoEntropy(#[from] SystemEntropyError),
    /// Others may write in the folder, and it cannot be taken from them.
    #[error("others may write in the state folder `{}`, which has mode {mode:04o}; run `chmod 700 {}`", path.display(), path.display())]
    Shared {
        /// The state folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}
