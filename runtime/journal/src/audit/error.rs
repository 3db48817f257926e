//! Why an audit file proves nothing, or where it stops doing so.

use std::io;

use crate::tree::VerifierKey;

/// Why an audit file proves nothing, or where it stops doing so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The first line is not that of an audit file.
    #[error("this is not an audit file: {why}")]
    NotAuditFile {
        /// What is wrong.
        why: String,
    },
    /// It was written by a newer version.
    #[error("this audit file has version {found}; this program knows {known}", known = super::line::PROVEN_VERSION)]
    NewerVersion {
        /// Its version.
        found: u32,
    },
    /// A line is not that of an event.
    #[error("line {line} is not an event: {why}")]
    BadLine {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// An event is not there.
    #[error("event {seq} is missing: event {found} stands in its place")]
    Missing {
        /// The event that should be there.
        seq: u64,
        /// The one that is.
        found: u64,
    },
    /// A body is not the one committed to.
    #[error("event {seq}: the body is not the one that was recorded")]
    ChangedBody {
        /// The event.
        seq: u64,
    },
    /// A field of a header is not the one that was hashed.
    #[error("event {seq}: a field beside the body is not the one that was recorded")]
    ChangedHeader {
        /// The event.
        seq: u64,
    },
    /// An event does not follow the one before it.
    #[error(
        "event {seq} does not follow the event before it: one of the two was changed, added or taken out"
    )]
    BrokenChain {
        /// The event.
        seq: u64,
    },
    /// Time or writer go backwards, which the journal never writes.
    #[error("event {seq}: {what} is less than that of the event before it")]
    Disorder {
        /// The event.
        seq: u64,
        /// What goes backwards.
        what: &'static str,
    },
    /// The file ends too soon.
    #[error("the file is cut short: it announces {expected} events and has {found}")]
    CutShort {
        /// The events announced.
        expected: u64,
        /// The events there.
        found: u64,
    },
    /// The last event is not the one announced.
    #[error("event {seq}, the last, is not the one that the first line announces")]
    WrongHead {
        /// The event.
        seq: u64,
    },
    /// The line of the checkpoint is not as wflo writes it.
    #[error("the proof by a checkpoint is damaged: {why}")]
    BadProof {
        /// What is wrong.
        why: String,
    },
    /// A checkpoint is that of another store: two logs were put together.
    #[error("a checkpoint is of `{found}`, and the file is of `{expected}`: two logs were put together")]
    OtherStore {
        /// Its origin.
        found: String,
        /// The origin it should have.
        expected: String,
    },
    /// A checkpoint is not signed by the key that signed checkpoints of that size.
    #[error("checkpoint {size} is not signed by the key of the log: it was changed, or another key made it")]
    NotSigned {
        /// The size of the checkpoint.
        size: u64,
    },
    /// The key of the log is none of those that are trusted.
    #[error("the checkpoint is signed by a key that you do not trust: {key}")]
    Untrusted {
        /// The key.
        key: Box<VerifierKey>,
    },
    /// The leaf is not in the tree.
    #[error("that the run stood at event {seq} is not in checkpoint {size}: the proof does not fit")]
    NotIncluded {
        /// The event.
        seq: u64,
        /// The size of the checkpoint.
        size: u64,
    },
    /// The newest checkpoint does not go on from an earlier one.
    #[error("checkpoint {new} does not go on from checkpoint {old}: the log was rewritten in between")]
    Inconsistent {
        /// The size of the earlier one.
        old: u64,
        /// The size of the newest one.
        new: u64,
    },
    /// A checkpoint kept elsewhere is another one than the log has at that size.
    #[error(
        "checkpoint {size}, as it was kept elsewhere, is not the one of this file: the log was rewritten"
    )]
    Rewritten {
        /// The size of both.
        size: u64,
    },
    /// A checkpoint kept elsewhere is newer than the file.
    #[error(
        "the file goes to checkpoint {size}, and checkpoint {kept} was kept elsewhere: it is an older file, or the \
         log was cut off\nhint: export the run again"
    )]
    OlderThanKept {
        /// The size of the newest one in the file.
        size: u64,
        /// The size of the one kept.
        kept: u64,
    },
    /// The file has no proof from a checkpoint that was kept elsewhere.
    #[error(
        "the file does not say how its log goes on from checkpoint {kept}\nhint: export the run with `--since` and \
         that checkpoint"
    )]
    NotCompared {
        /// The size of the one kept.
        kept: u64,
    },
    /// The run ends before the event that a checkpoint has of it.
    #[error(
        "events were cut off: checkpoint {size} has event {seq} of the run, and the file ends with event {found}"
    )]
    CutOff {
        /// The size of the checkpoint.
        size: u64,
        /// The event it has.
        seq: u64,
        /// The last event of the file.
        found: u64,
    },
    /// An event is not the one that a checkpoint has.
    #[error("event {seq} is not the one in checkpoint {size}: the run was rewritten")]
    Contradicted {
        /// The event.
        seq: u64,
        /// The size of the checkpoint.
        size: u64,
    },
    /// Something was demanded that only a checkpoint proves, and the file has none.
    #[error("no checkpoint is in the file, so nothing is proven of who wrote it")]
    NoCheckpoint,
    /// The file cannot be read.
    #[error("cannot read the audit file: {0}")]
    Io(#[from] io::Error),
}
