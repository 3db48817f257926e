//! Every byte wflo keeps at rest: records, hash chain, sealing, blobs, stores.
//!
//! Two layers. A [`Store`] keeps opaque bytes: it orders the appends of a run, refuses stale writers, and makes
//! many appends durable with one flush ([`SledStore`], [`MemoryStore`]). The [`Journal`] above it gives the
//! bytes their meaning: headers in a hash chain per run, bodies sealed with a key per run, large bodies in blob
//! files. `DESIGN.md` beside this crate has the formats to the byte.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::sync::Arc;
//! use wflo_backends::SystemEntropy;
//! use wflo_journal::{Created, Draft, Extras, Journal};
//! use wflo_model::{RunId, Timestamp};
//!
//! let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
//! let draft = |body: &str| Draft::new(Timestamp::from_micros(1), 1, body.as_bytes().to_vec());
//! let run = RunId::new(Timestamp::from_micros(1), [0; 10]);
//!
//! let Created::New(mut writer) =
//!     journal.create_run(run, None, vec![draft("started")], b"summary".to_vec()).await.unwrap()
//! else {
//!     unreachable!("no key was given, so no other run can have it");
//! };
//! let appended = writer.append(vec![draft("went on")], Extras::default()).unwrap();
//! appended.ticket.durable().await.unwrap();
//!
//! let entries = journal.read(run, 1).await.unwrap();
//! assert_eq!(entries[1].body, b"went on");
//! assert_eq!(entries[1].header.prev, entries[0].hash);
//! # });
//! ```
#![warn(missing_debug_implementations)]

pub mod audit;
mod audit_key;
mod blobs;
mod entropy;
mod error;
mod fault_disk;
mod journal;
mod key;
mod master;
mod outbox;
mod places;
mod prune;
mod read;
mod record;
mod rekey;
mod reserved;
mod run_blobs;
mod run_keys;
mod seal;
mod store;
mod tree;
mod walk;
mod writer;

pub use audit_key::AuditKey;
pub use blobs::{BlobError, Blobs};
pub use error::{AppendError, OpenError, PruneError, ReadError};
pub use fault_disk::{DiskImage, FaultDisk};
pub use journal::{Created, Journal, RunHead};
pub use key::{KeyKind, MAX_RUN_KEY};
pub use master::{MasterKey, MasterKeyError, MasterSource};
pub use outbox::OutboxEntry;
pub use prune::{Erased, Prune, Pruned};
pub use read::{Entry, Reader};
pub use record::{Header, Malformed, RunRow};
pub use rekey::RekeyError;
pub use reserved::SYSTEM_LOG;
pub use run_blobs::RunBlobs;
pub use run_keys::RunKeys;
pub use store::{
    AccountRow, Answer, Append, Barrier, BarrierSignal, CreateOutcome, CreateRun, Debit, Fate, Fault,
    FaultSync, MAX_APPEND, MAX_VALUE, MemoryStore, OutboxChange, OutboxKey, OutboxRow, Sieve, Sifted, Sizes,
    SledStore, Store, SyncHook, Ticket, Touch,
};
pub use tree::{BadKey, BadNote, Checkpoint, CheckpointError, VerifierKey};
pub use writer::{Appended, Draft, Extras, MAX_BODY, MAX_SUMMARY, RunWriter};
