//! What a transaction changed, row by row, and what would undo it.

use crate::{Digest, SqlValue, canonical};
use serde::{Deserialize, Serialize};

/// What one transaction of a step changed in one database: its net effect, one entry a row.
///
/// A row that was inserted and deleted again is not in it, nor one that ended as it began. It serialises as JSON with
/// exact values (see [`SqlValue`]); tables are in the order of their names and rows in the order of their keys, so
/// that equal effects have equal bytes.
///
/// ```
/// use wflo_model::{ChangeSet, RowChange, SqlValue, TableChange};
/// let blocked = RowChange::Update {
///     key: vec![SqlValue::Text("A-7".into())],
///     before: vec![SqlValue::Text("A-7".into()), SqlValue::Text("active".into())],
///     after: vec![SqlValue::Text("A-7".into()), SqlValue::Text("blocked".into())],
/// };
/// let changes = ChangeSet {
///     tables: vec![TableChange {
///         table: "accounts".into(),
///         key_columns: vec!["id".into()],
///         columns: vec!["id".into(), "status".into()],
///         rows: vec![blocked],
///     }],
/// };
/// assert_eq!(changes.row_count(), 1);
/// let undo = changes.inverse();
/// assert_eq!(undo.tables[0].rows[0].after(), changes.tables[0].rows[0].before());
/// assert_ne!(undo.digest(), changes.digest());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// The tables with changed rows, by name.
    pub tables: Vec<TableChange>,
}

/// The changed rows of one table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableChange {
    /// The table, as the database spells it.
    pub table: String,
    /// The columns of its primary key, in the order of the key.
    pub key_columns: Vec<String>,
    /// The columns whose values are kept, in the order of the table: all but those the database computes.
    pub columns: Vec<String>,
    /// The rows, in the order of their keys.
    pub rows: Vec<RowChange>,
}

/// What became of one row. A row whose key changed is one that was deleted and one that was inserted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RowChange {
    /// It was not there before.
    Insert {
        /// Values of the key columns.
        key: Vec<SqlValue>,
        /// Its values, one for each of the table's columns.
        after: Vec<SqlValue>,
    },
    /// It has other values.
    Update {
        /// Values of the key columns.
        key: Vec<SqlValue>,
        /// The values it had.
        before: Vec<SqlValue>,
        /// The values it has.
        after: Vec<SqlValue>,
    },
    /// It is gone.
    Delete {
        /// Values of the key columns.
        key: Vec<SqlValue>,
        /// The values it had.
        before: Vec<SqlValue>,
    },
}

impl RowChange {
    /// What happened, in one word: `insert`, `update` or `delete`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Insert { .. } => "insert",
            Self::Update { .. } => "update",
            Self::Delete { .. } => "delete",
        }
    }

    /// Values of the key columns.
    #[must_use]
    pub fn key(&self) -> &[SqlValue] {
        match self {
            Self::Insert { key, .. } | Self::Update { key, .. } | Self::Delete { key, .. } => key,
        }
    }

    /// The values it had, if it was there.
    #[must_use]
    pub fn before(&self) -> Option<&[SqlValue]> {
        match self {
            Self::Insert { .. } => None,
            Self::Update { before, .. } | Self::Delete { before, .. } => Some(before),
        }
    }

    /// The values it has, if it is there.
    #[must_use]
    pub fn after(&self) -> Option<&[SqlValue]> {
        match self {
            Self::Insert { after, .. } | Self::Update { after, .. } => Some(after),
            Self::Delete { .. } => None,
        }
    }

    /// What would undo it.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self.clone() {
            Self::Insert { key, after } => Self::Delete { key, before: after },
            Self::Update { key, before, after } => Self::Update { key, before: after, after: before },
            Self::Delete { key, before } => Self::Insert { key, after: before },
        }
    }
}

impl ChangeSet {
    /// Whether nothing changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// How many rows changed.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.tables.iter().map(|table| table.rows.len()).sum()
    }

    /// What would undo it: each row the other way round.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let inverse = |table: &TableChange| TableChange {
            rows: table.rows.iter().map(RowChange::inverse).collect(),
            ..table.clone()
        };
        Self { tables: self.tables.iter().map(inverse).collect() }
    }

    /// SHA-256 of its canonical JSON: the same for the same effect. Values can be guessed from it, so it is for
    /// comparing, and is kept only where the change set may be.
    ///
    /// # Panics
    /// Never: a change set is JSON with text keys by construction.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let bytes = canonical(self).expect("a change set has text keys and no JSON numbers");
        Digest::of_parts(&[b"wflo change set", &bytes])
    }
}

#[cfg(test)]
mod tests {
    use super::{ChangeSet, RowChange, TableChange};
    use crate::SqlValue;

    fn sample() -> ChangeSet {
        let big = SqlValue::Integer(9_007_199_254_740_993);
        let row = |n: f64| vec![big.clone(), SqlValue::Real(n), SqlValue::Blob(vec![0, 255])];
        let key = vec![big.clone()];
        ChangeSet {
            tables: vec![TableChange {
                table: "t".into(),
                key_columns: vec!["id".into()],
                columns: vec!["id".into(), "x".into(), "b".into()],
                rows: vec![
                    RowChange::Insert { key: key.clone(), after: row(0.1) },
                    RowChange::Update { key: key.clone(), before: row(0.1), after: row(0.2) },
                    RowChange::Delete { key, before: row(f64::INFINITY) },
                ],
            }],
        }
    }

    #[test]
    fn it_survives_json_exactly() {
        let json = serde_json::to_string(&sample()).unwrap();
        assert!(json.contains(r#"{"kind":"insert","key":[{"integer":"9007199254740993"}]"#), "{json}");
        let back: ChangeSet = serde_json::from_str(&json).unwrap();
        assert_eq!(back, sample());
        assert_eq!(back.digest(), sample().digest());
    }

    #[test]
    fn undoing_twice_is_doing() {
        let changes = sample();
        let kinds: Vec<_> = changes.inverse().tables[0].rows.iter().map(RowChange::kind).collect();
        assert_eq!(kinds, ["delete", "update", "insert"]);
        assert_eq!(changes.inverse().inverse(), changes);
        assert_eq!(changes.row_count(), 3);
        assert!(!changes.is_empty() && ChangeSet::default().is_empty());
    }
}
