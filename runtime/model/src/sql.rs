//! SQL values, exact in JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::digest::hex;

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

impl SqlValue {
    /// What names its type in JSON, and its text; none for what is itself there.
    fn tagged(&self) -> Option<(&'static str, Cow<'_, str>)> {
        Some(match self {
            Self::Null | Self::Boolean(_) | Self::Text(_) => return None,
            Self::Integer(n) => ("integer", n.to_string().into()),
            Self::Real(n) => ("real", format!("{n:?}").into()),
            Self::Blob(bytes) => ("blob", hex(bytes).into()),
            Self::Decimal(text) => ("decimal", text.into()),
            Self::Timestamp(text) => ("timestamp", text.into()),
            Self::Json(text) => ("json", text.into()),
            Self::Uuid(text) => ("uuid", text.into()),
        })
    }
}

impl Serialize for SqlValue {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if let Some((tag, text)) = self.tagged() {
            let mut map = to.serialize_map(Some(1))?;
            map.serialize_entry(tag, &*text)?;
            return map.end();
        }
        match self {
            Self::Boolean(value) => to.serialize_bool(*value),
            Self::Text(text) => to.serialize_str(text),
            _ => to.serialize_unit(),
        }
    }
}

/// The same JSON, without a copy of its text.
impl From<SqlValue> for Value {
    fn from(value: SqlValue) -> Self {
        if let Some((tag, text)) = value.tagged() {
            return Self::Object([(tag.to_owned(), Self::String(text.into_owned()))].into_iter().collect());
        }
        match value {
            SqlValue::Boolean(value) => Self::Bool(value),
            SqlValue::Text(text) => Self::String(text),
            _ => Self::Null,
        }
    }
}

/// The same JSON, without a copy of the texts.
impl From<SqlRows> for Value {
    fn from(SqlRows { columns, rows }: SqlRows) -> Self {
        let members = [("columns", Self::from(columns)), ("rows", Self::from(rows))];
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl<'de> Deserialize<'de> for SqlValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue)
    }
}

/// What names the type of a value.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tag {
    Integer,
    Real,
    Decimal,
    Blob,
    Timestamp,
    Json,
    Uuid,
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = SqlValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, text, or an object such as `{\"integer\": \"1\"}`")
    }

    fn visit_unit<E: de::Error>(self) -> Result<SqlValue, E> {
        Ok(SqlValue::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<SqlValue, E> {
        Ok(SqlValue::Boolean(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SqlValue, E> {
        Ok(SqlValue::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<SqlValue, E> {
        Ok(SqlValue::Text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SqlValue, A::Error> {
        let (tag, text) = map.next_entry::<Tag, String>()?.ok_or_else(|| A::Error::custom(BadSqlValue))?;
        let value = match tag {
            Tag::Integer => text.parse().map(SqlValue::Integer).ok(),
            Tag::Real => text.parse().map(SqlValue::Real).ok(),
            Tag::Decimal => Some(SqlValue::Decimal(text)),
            Tag::Blob => from_hex(&text).map(SqlValue::Blob),
            Tag::Timestamp => Some(SqlValue::Timestamp(text)),
            Tag::Json => Some(SqlValue::Json(text)),
            Tag::Uuid => Some(SqlValue::Uuid(text)),
        };
        let is_all = map.next_key::<IgnoredAny>()?.is_none();
        value.filter(|_| is_all).ok_or_else(|| A::Error::custom(BadSqlValue))
    }
}

impl TryFrom<Value> for SqlValue {
    type Error = BadSqlValue;

    fn try_from(value: Value) -> Result<Self, BadSqlValue> {
        Self::deserialize(value).map_err(|_| BadSqlValue)
    }
}

/// JSON that is no [`SqlValue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SQL value: null, a boolean, text, or an object such as `{{\"integer\": \"1\"}}`")]
pub struct BadSqlValue;

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let as_value = serde_json::to_value(&value).unwrap();
            assert_eq!(as_value.to_string(), json);
            assert_eq!(Value::from(value.clone()), as_value);
            let rows = SqlRows { columns: vec!["c".into()], rows: vec![vec![value.clone(), SqlValue::Null]] };
            assert_eq!(Value::from(rows.clone()), serde_json::to_value(rows).unwrap());
            assert_eq!(SqlValue::try_from(as_value).unwrap(), value, "{json}");
        }
        assert!(serde_json::from_str::<SqlValue>("12").is_err());
        assert!(serde_json::from_str::<SqlValue>(r#"{"blob":"é0"}"#).is_err());
        for bad in [r#"{}"#, r#"{"integer":1}"#, r#"{"integer":"1","real":"1"}"#, r#"{"other":"1"}"#, "[]"] {
            assert!(serde_json::from_str::<SqlValue>(bad).is_err(), "{bad}");
            let value: Value = serde_json::from_str(bad).unwrap();
            assert_eq!(SqlValue::try_from(value), Err(BadSqlValue), "{bad}");
        }
    }
}
