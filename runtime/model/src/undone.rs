//! What came of undoing.

use crate::{RowChange, SqlValue, TableChange};
use serde::{Deserialize, Serialize};

/// What came of applying the inverse of a change set.
///
/// Rows that nobody has touched since are as they were before. A row that somebody has changed is left as it is, and
/// stands here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Undone {
    /// Rows that are as they were: put back, or found so.
    pub rows: u64,
    /// Rows that were left as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
}

/// A row that could not be put back and was left as it is.
///
/// ```
/// use wflo_model::{Conflict, ConflictReason, SqlValue};
/// let conflict = Conflict {
///     table: "accounts".into(),
///     key_columns: vec!["id".into()],
///     key: vec![SqlValue::Integer(7)],
///     columns: vec!["id".into(), "status".into()],
///     expected: Some(vec![SqlValue::Integer(7), SqlValue::Text("blocked".into())]),
///     found: Some(vec![SqlValue::Integer(7), SqlValue::Text("closed".into())]),
///     wanted: Some(vec![SqlValue::Integer(7), SqlValue::Text("active".into())]),
///     reason: ConflictReason::Changed,
/// };
/// assert_eq!(conflict.reason.to_string(), "it has changed since");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// The table.
    pub table: String,
    /// The columns of its primary key.
    pub key_columns: Vec<String>,
    /// The row's key.
    pub key: Vec<SqlValue>,
    /// The columns of the images below.
    pub columns: Vec<String>,
    /// The row as the step left it; none if it had deleted it.
    pub expected: Option<Vec<SqlValue>>,
    /// The row as it is now; none if it is not there.
    pub found: Option<Vec<SqlValue>>,
    /// The row as it was before the step; none if it was not there.
    pub wanted: Option<Vec<SqlValue>>,
    /// Why it was left.
    pub reason: ConflictReason,
}

impl Conflict {
    /// The conflict over a row of a change set, which is now as `found`.
    ///
    /// ```
    /// use wflo_model::{Conflict, ConflictReason, RowChange, SqlValue, TableChange};
    /// let row = RowChange::Insert { key: vec![SqlValue::Integer(7)], after: vec![SqlValue::Integer(7)] };
    /// let columns = vec!["id".to_owned()];
    /// let table = TableChange { table: "t".into(), key_columns: columns.clone(), columns, rows: Vec::new() };
    /// let conflict = Conflict::new(&table, &row, None, ConflictReason::Changed);
    /// assert_eq!((conflict.expected, conflict.wanted), (Some(vec![SqlValue::Integer(7)]), None));
    /// ```
    #[must_use]
    pub fn new(
        table: &TableChange,
        row: &RowChange,
        found: Option<Vec<SqlValue>>,
        reason: ConflictReason,
    ) -> Self {
        Self {
            table: table.table.clone(),
            key_columns: table.key_columns.clone(),
            key: row.key().to_vec(),
            columns: table.columns.clone(),
            expected: row.after().map(<[_]>::to_vec),
            found,
            wanted: row.before().map(<[_]>::to_vec),
            reason,
        }
    }
}

/// Why a row was left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "because", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConflictReason {
    /// Somebody has changed it after the step.
    #[error("it has changed since")]
    Changed,
    /// Rows that refer to it are there, and would be changed or left dangling.
    #[error("rows of `{table}` refer to it")]
    Referenced {
        /// Where they are.
        table: String,
    },
    /// A row it refers to is gone.
    #[error("the row of `{table}` that it refers to is gone")]
    Dangling {
        /// Where that was.
        table: String,
    },
    /// A constraint of the database is against it.
    #[error("{message}")]
    Constraint {
        /// What the database said.
        message: String,
    },
    /// The table or a column of it is not there any more.
    #[error("the table has another form now: {message}")]
    Schema {
        /// What is missing.
        message: String,
    },
}
