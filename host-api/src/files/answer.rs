//! What the gate answers to calls about files, and what a guest makes of it.

use serde::{Deserialize, Serialize};
use wflo_model::CallError;
use wflo_ports::{FileEntry, FileFailure, FileKind, FileStat, Opened};

use crate::bindings::wasi::filesystem::types::{DescriptorType, ErrorCode};

/// The value of a call of `wasi:filesystem/types`.
///
/// ```
/// use wflo_host_api::FileAnswer;
/// use wflo_ports::FileFailure;
/// let none = FileAnswer::Failed(FileFailure::NoEntry);
/// assert_eq!(serde_json::to_string(&none).unwrap(), r#"{"failed":"no_entry"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAnswer {
    /// Of `open-at`.
    Opened(Opened),
    /// Of `read-directory`.
    Entries(Vec<FileEntry>),
    /// Of `stat-at`.
    Stat(FileStat),
    /// The file system said no.
    Failed(FileFailure),
}

pub(super) fn code(failure: FileFailure) -> ErrorCode {
    match failure {
        FileFailure::NoEntry => ErrorCode::NoEntry,
        FileFailure::NotFolder => ErrorCode::NotDirectory,
        FileFailure::NotPermitted => ErrorCode::Access,
        FileFailure::Loop => ErrorCode::Loop,
        FileFailure::TooLarge => ErrorCode::FileTooLarge,
        FileFailure::BadName => ErrorCode::Invalid,
        _ => ErrorCode::Io,
    }
}

pub(super) fn refusal(error: &CallError) -> ErrorCode {
    match error {
        CallError::AccessDenied { .. } | CallError::RefusedByPolicy { .. } | CallError::Rejected { .. } => {
            ErrorCode::NotPermitted
        }
        CallError::Unknown { .. } => ErrorCode::NoEntry,
        CallError::Invalid { .. } => ErrorCode::Invalid,
        _ => ErrorCode::Io,
    }
}

pub(super) const fn kind(kind: FileKind) -> DescriptorType {
    match kind {
        FileKind::File => DescriptorType::RegularFile,
        FileKind::Folder => DescriptorType::Directory,
        FileKind::Link => DescriptorType::SymbolicLink,
        FileKind::Other => DescriptorType::Unknown,
    }
}
