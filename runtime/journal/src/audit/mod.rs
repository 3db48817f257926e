//! Audit files: a run written out so that anyone can check it, with no store and no key.
//!
//! One JSON object a line. The first names the run; each line after it is one event, with every field of its
//! header, the salt, and the body to the byte. [`verify`] computes commitments, hashes and chain anew.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::sync::Arc;
//! use wflo_backends::SystemEntropy;
//! use wflo_journal::{Draft, Journal, audit};
//! use wflo_model::{RunId, Timestamp};
//!
//! let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
//! let run = RunId::new(Timestamp::from_micros(1), [0; 10]);
//! let started = Draft::new(Timestamp::from_micros(1), 1, br#"{"inputs":{"amount":5}}"#.to_vec());
//! journal.create_run(run, None, vec![started], Vec::new()).await.unwrap();
//!
//! let mut file = Vec::new();
//! audit::export(&journal, run, &mut file).await.unwrap();
//! assert_eq!(audit::verify(&file[..]).unwrap().events, 1);
//!
//! let forged = String::from_utf8(file).unwrap().replace("5}", "6}");
//! let error = audit::verify(forged.as_bytes()).unwrap_err();
//! assert_eq!(error.to_string(), "event 1: the body is not the one that was recorded");
//! # });
//! ```

mod error;
mod export;
mod hex;
mod line;
mod trust;
mod verify;
mod words;

pub use error::VerifyError;
pub use export::{ExportError, export, export_since};
pub use trust::{Proven, Trust};
pub use verify::{verify, verify_with};
pub use words::Verified;
