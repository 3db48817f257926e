//! Values on their way into PostgreSQL and out of it.
//!
//! Parameters go in as text, which PostgreSQL itself reads as the type it has inferred. Results come in its binary form
//! and are exact; types that have no counterpart are asked for as text, and arrays as JSON.

mod calendar;
mod numeric;
mod parameter;

use std::error::Error;

use tokio_postgres::types::{FromSql, Kind, Type};
use wflo_model::SqlValue;

pub(super) use parameter::{Parameter, parameters};

/// How a column is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As it is.
    Plain,
    /// Cast to text: what it is has no counterpart.
    Text,
    /// As JSON: an array.
    Json,
    /// As JSON with text for elements, which have no counterpart.
    Texts,
}

impl Shape {
    /// How a column of a result is asked for.
    pub(super) fn of(of: &Type) -> Self {
        match of.kind() {
            Kind::Enum(_) => Self::Plain,
            Kind::Domain(of) => Self::of(of),
            // What has no name of its own is no parameter either: it may as well be an object.
            Kind::Array(of) if *of.kind() != Kind::Pseudo && Self::of(of) == Self::Text => Self::Texts,
            Kind::Array(_) => Self::Json,
            _ if is_plain(of) => Self::Plain,
            _ => Self::Text,
        }
    }

    /// How it is asked for where it has to go back as exactly what it was: the text of an array has its bounds.
    pub(super) fn of_image(of: &Type) -> Self {
        match Self::of(of) {
            Self::Json | Self::Texts => Self::Text,
            other => other,
        }
    }

    /// An expression for it.
    pub(super) fn of_expression(self, expression: &str) -> String {
        match self {
            Self::Plain => expression.to_owned(),
            Self::Text => format!("({expression})::pg_catalog.text"),
            Self::Json => format!("pg_catalog.to_json({expression})::pg_catalog.text"),
            Self::Texts => {
                format!("pg_catalog.to_json(({expression})::pg_catalog.text[])::pg_catalog.text")
            }
        }
    }
}

fn is_plain(of: &Type) -> bool {
    [
        Type::BOOL,
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::OID,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::NUMERIC,
        Type::TEXT,
        Type::VARCHAR,
        Type::BPCHAR,
        Type::NAME,
        Type::UNKNOWN,
        Type::BYTEA,
        Type::UUID,
        Type::JSON,
        Type::JSONB,
        Type::DATE,
        Type::TIMESTAMP,
        Type::TIMESTAMPTZ,
    ]
    .contains(of)
}

/// A value of a result, of whatever type.
#[derive(Debug)]
pub(super) struct Read(pub(super) SqlValue);

impl<'a> FromSql<'a> for Read {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        read(of, raw).map(Self)
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(SqlValue::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn read(of: &Type, raw: &[u8]) -> Result<SqlValue, Box<dyn Error + Sync + Send>> {
    if let Kind::Domain(of) = of.kind() {
        return read(of, raw);
    }
    let text = || Ok::<_, Box<dyn Error + Sync + Send>>(std::str::from_utf8(raw)?.to_owned());
    Ok(match *of {
        Type::BOOL => SqlValue::Boolean(raw != [0]),
        Type::INT2 => SqlValue::Integer(i16::from_sql(of, raw)?.into()),
        Type::INT4 => SqlValue::Integer(i32::from_sql(of, raw)?.into()),
        Type::INT8 => SqlValue::Integer(i64::from_sql(of, raw)?),
        Type::OID => SqlValue::Integer(u32::from_sql(of, raw)?.into()),
        Type::FLOAT4 => SqlValue::Real(f32::from_sql(of, raw)?.into()),
        Type::FLOAT8 => SqlValue::Real(f64::from_sql(of, raw)?),
        Type::NUMERIC => {
            SqlValue::Decimal(numeric::to_text(raw).ok_or("a numeric value of an unknown form")?)
        }
        Type::BYTEA => SqlValue::Blob(raw.to_vec()),
        Type::UUID => SqlValue::Uuid(uuid(raw)),
        Type::JSON => SqlValue::Json(text()?),
        // The first byte is the version of the form.
        Type::JSONB => SqlValue::Json(String::from_utf8(raw.get(1..).unwrap_or_default().to_vec())?),
        Type::DATE => SqlValue::Text(calendar::date(i32::from_be_bytes(raw.try_into()?))),
        Type::TIMESTAMP => SqlValue::Text(calendar::timestamp(i64::from_be_bytes(raw.try_into()?), "")),
        Type::TIMESTAMPTZ => {
            SqlValue::Timestamp(calendar::timestamp(i64::from_be_bytes(raw.try_into()?), "Z"))
        }
        _ => SqlValue::Text(text()?),
    })
}

fn uuid(raw: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in raw.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The bytes a value counts for against a limit: its own, or 8 for what has no length.
pub(super) fn size(value: &SqlValue) -> usize {
    match value {
        SqlValue::Null | SqlValue::Boolean(_) | SqlValue::Integer(_) | SqlValue::Real(_) => 8,
        SqlValue::Blob(bytes) => bytes.len().max(8),
        SqlValue::Decimal(text)
        | SqlValue::Text(text)
        | SqlValue::Timestamp(text)
        | SqlValue::Json(text)
        | SqlValue::Uuid(text) => text.len().max(8),
    }
}
