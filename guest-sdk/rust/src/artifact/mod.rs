//! Artifacts: bytes of any size that a step makes or fetches, and hands on by reference.
//!
//! ```no_run
//! use std::io::Write as _;
//! use wflo::artifact::{self, Artifact};
//! use wflo::prelude::*;
//!
//! #[wflo::data]
//! struct Sale {
//!     id: u64,
//!     amount: f64,
//! }
//!
//! # fn extract() -> wflo::Result<Artifact> {
//! // From a server to an artifact: the bytes do not come through the step.
//! let raw = http::get("https://shop.example.org/sales.csv").save("sales.csv")?;
//! # Ok(raw) }
//! # fn transform(raw: Artifact) -> wflo::Result<Artifact> {
//! // Row by row, however many there are.
//! let mut out = artifact::create("large.jsonl")?;
//! for row in raw.open()?.rows::<Sale>() {
//!     let sale = row?;
//!     if sale.amount > 100.0 {
//!         out.row(&sale)?;
//!     }
//! }
//! Ok(out.finish()?)
//! # }
//! ```
//!
//! An [`Artifact`] is what goes into the output of a step; whoever depends on that step opens it. It needs no grant.

mod error;
mod reader;
mod writer;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bindings::wflo::artifact::store as host;
use crate::bindings::wflo::artifact::types::Address;

pub use error::Error;
pub use reader::{Lines, Reader, Rows};
pub use writer::Writer;

/// The reference to an artifact: put it into an output, and take it from one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// Its name.
    pub artifact: String,
    /// The step that made it.
    pub step: String,
    /// The item that made it, where that step fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub digest: String,
}

impl Artifact {
    /// Opens it, at its beginning.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(&self) -> Result<Reader, Error> {
        let (name, step) = (self.artifact.clone(), Some(self.step.clone()));
        Ok(Reader::new(host::open(&Address { name, step, item: self.item })?))
    }

    pub(crate) fn read(reference: &str) -> Result<Self, Error> {
        serde_json::from_str(reference).map_err(|error| Error::Other(error.to_string()))
    }
}

/// Begins an artifact. The name is of letters, digits and `_-.`, and new in this attempt.
///
/// # Errors
/// See [`Error`].
pub fn create(name: &str) -> Result<Writer, Error> {
    Ok(Writer::new(host::create(name)?))
}

/// Opens an artifact by its name: one of this step, else of the only step before it that has one so called.
///
/// # Errors
/// See [`Error`].
pub fn open(name: &str) -> Result<Reader, Error> {
    Ok(Reader::new(host::open(&Address { name: name.to_owned(), step: None, item: None })?))
}
