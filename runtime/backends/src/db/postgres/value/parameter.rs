//! Parameters, as the text that PostgreSQL reads for the type it has inferred.

use std::error::Error;
use std::fmt::Write as _;

use serde_json::Value;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};
use wflo_model::SqlValue;
use wflo_ports::DbError;

use crate::db::postgres::error::parameter_count;

/// The text of a parameter; none for null.
#[derive(Clone, Debug)]
pub(in crate::db::postgres) struct Parameter(Option<String>);

impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// The parameters of a statement that takes these types.
///
/// # Errors
/// [`DbError::Invalid`] where their number or a type does not fit.
pub(in crate::db::postgres) fn parameters<'v>(
    values: impl ExactSizeIterator<Item = &'v SqlValue>,
    types: &[Type],
) -> Result<Vec<Parameter>, DbError> {
    if values.len() != types.len() {
        return Err(parameter_count(values.len(), types.len()));
    }
    let numbered = (1..).zip(values.zip(types));
    numbered.map(|(at, (value, of))| text(value, of).map(Parameter).map_err(|what| mistyped(at, what, of))).collect()
}

fn mistyped(at: usize, what: &str, of: &Type) -> DbError {
    DbError::Invalid(format!(
        "parameter {at} is {what}, and the statement takes {} there; a cast such as `${at}::bytea` says what is meant",
        of.name()
    ))
}

/// What PostgreSQL is to read; an error is what the value is, in words.
fn text(value: &SqlValue, of: &Type) -> Result<Option<String>, &'static str> {
    if let Kind::Domain(of) = of.kind() {
        return text(value, of);
    }
    let element = match of.kind() {
        Kind::Array(element) => Some(element),
        _ => None,
    };
    Ok(Some(match value {
        SqlValue::Null => return Ok(None),
        SqlValue::Blob(bytes) if *of == Type::BYTEA => bytes.iter().fold("\\x".to_owned(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("text takes whatever is written to it");
            hex
        }),
        SqlValue::Blob(_) => return Err("bytes"),
        _ if *of == Type::BYTEA => return Err("no bytes"),
        SqlValue::Json(json) if element.is_some() => {
            let array: Value = serde_json::from_str(json).map_err(|_| "no JSON")?;
            literal(&array).ok_or("JSON that is no array")?
        }
        SqlValue::Boolean(value) => value.to_string(),
        SqlValue::Integer(n) => n.to_string(),
        SqlValue::Real(n) => real(*n),
        // An instant becomes what a clock in UTC shows.
        SqlValue::Timestamp(text) if *of == Type::TIMESTAMP => match text.parse::<jiff::Timestamp>() {
            Ok(instant) => instant.to_string().trim_end_matches('Z').to_owned(),
            Err(_) => text.clone(),
        },
        SqlValue::Decimal(text)
        | SqlValue::Text(text)
        | SqlValue::Timestamp(text)
        | SqlValue::Json(text)
        | SqlValue::Uuid(text) => text.clone(),
    }))
}

/// A double, so that it is the same when it is read.
fn real(n: f64) -> String {
    match n {
        _ if n.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        // An integer also where a column takes nothing else.
        _ if n.fract() == 0.0 && n.abs() < 1e15 && (n != 0.0 || n.is_sign_positive()) => format!("{n:.0}"),
        _ => format!("{n:?}"),
    }
}

/// A JSON array as PostgreSQL writes arrays.
fn literal(array: &Value) -> Option<String> {
    let Value::Array(elements) = array else { return None };
    let elements: Vec<String> = elements
        .iter()
        .map(|element| match element {
            Value::Null => Some("NULL".to_owned()),
            Value::Array(_) => literal(element),
            Value::String(text) => Some(in_quotes(text)),
            // An array of JSON has its elements as text.
            Value::Object(_) => Some(in_quotes(&element.to_string())),
            Value::Bool(_) | Value::Number(_) => Some(element.to_string()),
        })
        .collect::<Option<_>>()?;
    Some(format!("{{{}}}", elements.join(",")))
}

fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{literal, real};

    #[test]
    fn arrays_and_doubles_are_written_as_postgresql_reads_them() {
        assert_eq!(literal(&json!([1, null, 2.5])).unwrap(), "{1,NULL,2.5}");
        assert_eq!(literal(&json!([["a\"b\\", "NULL"], [""]])).unwrap(), r#"{{"a\"b\\","NULL"},{""}}"#);
        assert_eq!(literal(&json!({ "a": 1 })), None);
        assert_eq!(real(7.0), "7");
        assert_eq!(real(-0.0), "-0.0");
        assert_eq!(real(0.1), "0.1");
        assert_eq!(real(1e300), "1e300");
    }
}
