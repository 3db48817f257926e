//! Rows of an artifact, transformed by a model into those of another.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Transform;
use crate::JsonSchema;
use crate::artifact::{self, Artifact};

/// Rows that are read and asked about at a time.
const BATCH: usize = 200;

impl Transform {
    /// Asks for one new row for each row of an artifact, both as lines of JSON, and keeps the new ones as an artifact of
    /// that name. However many there are, some hundreds are in memory at a time. Each of them is asked about and paid
    /// for: where a rule would do, have a model work the rule out.
    ///
    /// ```no_run
    /// # use wflo::prelude::*;
    /// #[wflo::data]
    /// struct Letter {
    ///     id: u64,
    ///     language: String,
    /// }
    ///
    /// # fn step(letters: wflo::Artifact) -> wflo::Result<()> {
    /// let told = llm::transform("gpt-4").instructions("Say in which language each is").artifact::<Letter>(&letters, "told.jsonl")?;
    /// # let _ = told;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`json`](Self::json), and of the artifacts.
    pub fn artifact<T>(self, rows: &Artifact, name: &str) -> crate::Result<Artifact>
    where
        T: Serialize + DeserializeOwned + JsonSchema,
    {
        let mut transformed = artifact::create(name)?;
        let mut rows = rows.open()?.rows::<Value>();
        loop {
            let batch = rows.by_ref().take(BATCH).collect::<Result<Vec<_>, _>>()?;
            if batch.is_empty() {
                return Ok(transformed.finish()?);
            }
            for row in self.again().rows(&batch).json::<T>()? {
                transformed.row(&row)?;
            }
        }
    }
}
