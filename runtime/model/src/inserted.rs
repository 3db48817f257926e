//! Rows that a step has inserted in bulk, and what would undo it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Artifact, Digest, SqlValue, canonical};

/// Some of the rows that a transaction has inserted in bulk: their keys, and a digest of each as it was inserted, by
/// which it is told whether somebody has changed it since. There may be millions, so that they are never all in memory:
/// they are kept in batches like this one, one a line, outside of the event that tells of them.
///
/// ```
/// use wflo_model::{InsertedRows, RowDigest, SqlValue};
/// let row = [SqlValue::Integer(7), SqlValue::Text("Ada".into())];
/// let batch = InsertedRows {
///     table: "people".into(),
///     key_columns: vec!["id".into()],
///     columns: vec!["id".into(), "name".into()],
///     rows: vec![(vec![SqlValue::Integer(7)], RowDigest::of(&row))],
/// };
/// let line = serde_json::to_string(&batch).unwrap();
/// assert_eq!(serde_json::from_str::<InsertedRows>(&line).unwrap(), batch);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InsertedRows {
    /// The table, as the database spells it.
    pub table: String,
    /// The columns of its primary key, in the order of the key.
    pub key_columns: Vec<String>,
    /// The columns that the digests are over, in the order of the table.
    pub columns: Vec<String>,
    /// Key and digest of each row.
    pub rows: Vec<(Vec<SqlValue>, RowDigest)>,
}

/// What tells whether a row is as it was: the first half of the SHA-256 of its values.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowDigest([u8; 16]);

impl RowDigest {
    /// The digest of a row's values.
    ///
    /// # Panics
    /// Never: values are JSON with text keys by construction.
    #[must_use]
    pub fn of(values: &[SqlValue]) -> Self {
        let bytes = canonical(&values).expect("values have text keys and no JSON numbers");
        let digest = Digest::of_parts(&[b"wflo row", &bytes]);
        Self(*digest.as_bytes().first_chunk().expect("a digest has more than 16 bytes"))
    }
}

impl fmt::Display for RowDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RowDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for RowDigest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RowDigest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let mut bytes = [0; 16];
        let bad = || serde::de::Error::custom("a digest of a row has 32 hex digits");
        if text.len() != 32 || !text.is_ascii() {
            return Err(bad());
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

/// All rows that a transaction has inserted in bulk in one database, and where they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inserted {
    /// How many rows, by table.
    pub tables: BTreeMap<String, u64>,
    /// The batches of [`InsertedRows`], as lines of JSON, in the order of insertion.
    pub kept: Artifact,
}

impl Inserted {
    /// How many rows there are.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.tables.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{InsertedRows, RowDigest};
    use crate::SqlValue;

    #[test]
    fn a_digest_tells_values_and_types_apart() {
        let of = |value| RowDigest::of(&[value, SqlValue::Null]);
        let all = [
            of(SqlValue::Integer(1)),
            of(SqlValue::Text("1".into())),
            of(SqlValue::Real(1.0)),
            of(SqlValue::Null),
            RowDigest::of(&[SqlValue::Integer(1)]),
        ];
        for (at, digest) in all.iter().enumerate() {
            assert!(!all[..at].contains(digest), "{at}");
        }
        assert!(serde_json::from_str::<RowDigest>("\"00\"").is_err());
        assert!(serde_json::from_str::<InsertedRows>("{}").is_err());
    }
}
