//! SQL values, exact in JSON.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// A value of a database, and a parameter of a statement.
///
/// In JSON, null, booleans and text are themselves; everything else is an object of one key that names the
/// type and carries text, so that nothing is rounded on the way: `{"integer": "9007199254740993"}`,
/// `{"real": "0.1"}`, `{"decimal": "12.50"}`, `{"blob": "<hex>"}`, `{"timestamp": "2026-01-01T00:00:00Z"}`,
/// `{"uuid": "..."}`, `{"json": "..."}`.
///
/// ```
/// use wflo_model::SqlValue;
/// let big = SqlValue::Integer(9_007_199_254_740_993);
/// let json = serde_json::to_string(&big).unwrap();
/// assert_eq!(json, r#"{"integer":"9007199254740993"}"#);
/// assert_eq!(serde_json::from_str::<SqlValue>(&json).unwrap(), big);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// SQL NULL.
    Null,
    /// A boolean, where the database has one.
    Boolean(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// A double.
    Real(f64),
    /// An exact decimal, as text.
    Decimal(String),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// An instant, as RFC 3339 text.
    Timestamp(String),
    /// JSON, as text.
    Json(String),
    /// A UUID, as text.
    Uuid(String),
}

/// Rows of a result, in the order the database gave them.
///
/// ```
/// use wflo_model::{SqlRows, SqlValue};
/// let rows = SqlRows { columns: vec!["n".into()], rows: vec![vec![SqlValue::Integer(1)]] };
/// assert_eq!(rows.rows[0].len(), rows.columns.len());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SqlRows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// One list of values a row, as long as `columns`.
    pub rows: Vec<Vec<SqlValue>>,
}

/// As people read it, whole: nobody decides on what was cut off. Text is as it is, and may steer a terminal.
impl fmt::Display for SqlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Real(value) => value.fmt(f),
            Self::Blob(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Decimal(text)
            | Self::Text(text)
            | Self::Timestamp(text)
            | Self::Json(text)
            | Self::Uuid(text) => f.write_str(text),
        }
    }
}

impl Serialize for SqlValue {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => json!(value),
            Self::Text(text) => json!(text),
            Self::Integer(n) => json!({ "integer": n.to_string() }),
            Self::Real(n) => json!({ "real": format!("{n:?}") }),
            Self::Decimal(text) => json!({ "decimal": text }),
            Self::Blob(bytes) => json!({ "blob": to_hex(bytes) }),
            Self::Timestamp(text) => json!({ "timestamp": text }),
            Self::Json(text) => json!({ "json": text }),
            Self::Uuid(text) => json!({ "uuid": text }),
        }
        .serialize(to)
    }
}

impl<'de> Deserialize<'de> for SqlValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::try_from(Value::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Value> for SqlValue {
    type Error = BadSqlValue;

    fn try_from(value: Value) -> Result<Self, BadSqlValue> {
        match value {
            Value::Null => Ok(Self::Null),
            Value::Bool(value) => Ok(Self::Boolean(value)),
            Value::String(text) => Ok(Self::Text(text)),
            Value::Object(map) if map.len() == 1 => {
                let (tag, value) = map.into_iter().next().expect("the map has one entry");
                let Value::String(text) = value else { return Err(BadSqlValue) };
                match tag.as_str() {
                    "integer" => text.parse().map(Self::Integer).map_err(|_| BadSqlValue),
                    "real" => text.parse().map(Self::Real).map_err(|_| BadSqlValue),
                    "decimal" => Ok(Self::Decimal(text)),
                    "blob" => from_hex(&text).map(Self::Blob).ok_or(BadSqlValue),
                    "timestamp" => Ok(Self::Timestamp(text)),
                    "json" => Ok(Self::Json(text)),
                    "uuid" => Ok(Self::Uuid(text)),
                    _ => Err(BadSqlValue),
                }
            }
            _ => Err(BadSqlValue),
        }
    }
}

/// JSON that is no [`SqlValue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SQL value: null, a boolean, text, or an object such as `{{\"integer\": \"1\"}}`")]
pub struct BadSqlValue;

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::SqlValue;

    #[test]
    fn every_type_survives_json() {
        for value in [
            SqlValue::Null,
            SqlValue::Boolean(true),
            SqlValue::Integer(i64::MIN),
            SqlValue::Real(0.1),
            SqlValue::Real(f64::INFINITY),
            SqlValue::Decimal("12.50".into()),
            SqlValue::Text("{\"integer\":\"1\"}".into()),
            SqlValue::Blob(vec![0, 255]),
            SqlValue::Timestamp("2026-01-01T00:00:00Z".into()),
            SqlValue::Json("[1]".into()),
            SqlValue::Uuid("67e55044-10b1-426f-9247-bb680e5fe0c8".into()),
        ] {
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<SqlValue>(&json).unwrap(), value, "{json}");
        }
        assert!(serde_json::from_str::<SqlValue>("12").is_err());
        assert!(serde_json::from_str::<SqlValue>(r#"{"blob":"é0"}"#).is_err());
    }
}
