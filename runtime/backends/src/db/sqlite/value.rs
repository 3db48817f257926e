//! Values on their way into SQLite and out of it.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use wflo_model::SqlValue;
use wflo_ports::DbError;

/// A parameter, as SQLite stores it: it knows null, integers, doubles, text and blobs, so booleans are 0 and
/// 1, and decimals, timestamps, UUIDs and JSON are text.
///
/// # Errors
/// For a NaN, which SQLite would silently turn into NULL.
pub(super) fn to_sqlite(value: &SqlValue) -> Result<ToSqlOutput<'_>, DbError> {
    Ok(match value {
        SqlValue::Null => ToSqlOutput::Owned(Value::Null),
        SqlValue::Boolean(value) => ToSqlOutput::Owned(Value::Integer(i64::from(*value))),
        SqlValue::Integer(n) => ToSqlOutput::Owned(Value::Integer(*n)),
        SqlValue::Real(n) if n.is_nan() => {
            return Err(DbError::Invalid("a parameter is NaN, which SQLite cannot store".into()));
        }
        SqlValue::Real(n) => ToSqlOutput::Owned(Value::Real(*n)),
        SqlValue::Decimal(text)
        | SqlValue::Text(text)
        | SqlValue::Timestamp(text)
        | SqlValue::Json(text)
        | SqlValue::Uuid(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        SqlValue::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
    })
}

/// A value of a row.
///
/// # Errors
/// For text that is no UTF-8; `column` tells which.
pub(super) fn from_sqlite(value: ValueRef<'_>, column: &str) -> Result<SqlValue, DbError> {
    Ok(match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(n) => SqlValue::Integer(n),
        ValueRef::Real(n) => SqlValue::Real(n),
        ValueRef::Text(bytes) => SqlValue::Text(
            std::str::from_utf8(bytes)
                .map_err(|_| {
                    DbError::Other(format!(
                        "column `{column}` holds text that is not UTF-8; read it with `CAST({column} AS BLOB)`"
                    ))
                })?
                .to_owned(),
        ),
        ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
    })
}

/// The bytes a value counts for against a limit: its own, or 8 for what has no length.
pub(super) fn size(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len().max(8),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 8,
    }
}
