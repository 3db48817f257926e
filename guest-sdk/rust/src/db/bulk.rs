//! Inserting the rows of an artifact.

use super::Error;
use crate::artifact::Artifact;
use crate::bindings::wflo::db::sql::{self as host, RowFormat, RowSource};

/// A bulk insert to be made; see [`Db::bulk_insert`](super::Db::bulk_insert).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is inserted before `json_lines` or `csv`"]
pub struct BulkInsert {
    db: String,
    table: String,
    columns: Vec<String>,
    rows: Artifact,
}

impl BulkInsert {
    pub(super) fn new(db: String, table: String, rows: &Artifact) -> Self {
        Self { db, table, columns: Vec::new(), rows: rows.clone() }
    }

    /// Sets the columns that get values; without it, those of the first row.
    pub fn columns<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.columns = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Inserts rows that stand in the artifact as lines of JSON, as [`Writer::row`](crate::artifact::Writer::row) writes
    /// them; gives their number.
    ///
    /// # Errors
    /// See [`Error`]. All rows are inserted, or none.
    pub fn json_lines(self) -> Result<u64, Error> {
        self.insert(RowFormat::JsonLines)
    }

    /// Inserts rows that stand in the artifact as comma-separated values, with the names of the columns in the first
    /// line; gives their number.
    ///
    /// # Errors
    /// See [`Error`]. All rows are inserted, or none.
    pub fn csv(self) -> Result<u64, Error> {
        self.insert(RowFormat::Csv)
    }

    fn insert(self, format: RowFormat) -> Result<u64, Error> {
        let Artifact { artifact: name, step, item, .. } = self.rows;
        let rows = RowSource { name, step: Some(step), item, format };
        Ok(host::bulk_insert(&self.db, &self.table, &self.columns, &rows)?)
    }
}
