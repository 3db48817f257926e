//! Parameters, as the text that PostgreSQL reads for the type it has inferred.

use std::error::Error;
use std::fmt::Write as _;

use serde::de::IgnoredAny;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};
use wflo_model::SqlValue;
use wflo_ports::DbError;

use crate::db::postgres::error::parameter_count;

/// The text of a parameter; none for null.
#[derive(Clone, Debug)]
pub(in crate::db::postgres) struct Parameter(Option<String>);

impl Parameter {
    /// A value on its way into a column by COPY, which reads any text as the column's type; an error is what the value
    /// is, in words.
    pub(in crate::db::postgres) fn copied(value: &SqlValue, of: &Type) -> Result<Self, &'static str> {
        match value {
            SqlValue::Text(value) => Ok(Self(Some(value.clone()))),
            other => text(other, of).map(Self),
        }
    }

    /// The text; none for null.
    pub(in crate::db::postgres) fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

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
    numbered
        .map(|(at, (value, of))| text(value, of).map(Parameter).map_err(|what| mistyped(at, what, of)))
        .collect()
}

fn mistyped(at: usize, what: &str, of: &Type) -> DbError {
    let meant = match of == &Type::BYTEA {
        true => format!("`decode(${at}, 'hex')` or `convert_to(${at}, 'UTF8')` makes bytes of a text"),
        false => format!("a cast such as `${at}::bytea` says what is meant"),
    };
    DbError::Invalid(format!(
        "parameter {at} is {what}, and the statement takes {} there; {meant}",
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
        SqlValue::Blob(bytes) if *of == Type::BYTEA => {
            bytes.iter().fold("\\x".to_owned(), |mut hex, byte| {
                write!(hex, "{byte:02x}").expect("text takes whatever is written to it");
                hex
            })
        }
        SqlValue::Blob(_) => return Err("bytes"),
        _ if *of == Type::BYTEA => return Err("no bytes"),
        SqlValue::Json(json) if element.is_some() => literal(json).ok_or("no JSON array")?,
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

/// A JSON array as PostgreSQL writes arrays; none for what is no JSON array. Numbers keep every digit, so the text is gone
/// through rather than read into numbers.
fn literal(json: &str) -> Option<String> {
    // What is valid JSON can be gone through without looking for mistakes.
    serde_json::from_str::<IgnoredAny>(json).ok()?;
    let json = json.trim_ascii();
    if !json.starts_with('[') {
        return None;
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '[' | ']' => {
                out.push(if first == '[' { '{' } else { '}' });
                1
            }
            '"' => {
                let length = text_length(rest);
                out.push_str(&in_quotes(&serde_json::from_str::<String>(&rest[..length]).ok()?));
                length
            }
            // An array of JSON has its elements as text.
            '{' => {
                let length = object_length(rest);
                out.push_str(&in_quotes(&rest[..length]));
                length
            }
            'n' => {
                out.push_str("NULL");
                4
            }
            _ => {
                if !first.is_ascii_whitespace() {
                    out.push(first);
                }
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Some(out)
}

/// The length of the JSON text that begins here, with its quotes.
fn text_length(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

/// The length of the JSON object that begins here.
fn object_length(json: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = json.as_bytes().get(at) {
        match byte {
            b'"' => at += text_length(&json[at..]) - 1,
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::{literal, real};

    #[test]
    fn arrays_and_doubles_are_written_as_postgresql_reads_them() {
        for (json, expect) in [
            ("[1, null, 2.50, 12345678901234567890.1]", "{1,NULL,2.50,12345678901234567890.1}"),
            (r#"[["a\"b\\", "NULL"], ["", "\u00e9,}"]]"#, r#"{{"a\"b\\","NULL"},{"","é,}"}}"#),
            (r#"[{"a": "}\"", "b": {}}, true]"#, r#"{"{\"a\": \"}\\\"\", \"b\": {}}",true}"#),
            ("[]", "{}"),
        ] {
            assert_eq!(literal(json).as_deref(), Some(expect), "{json}");
        }
        assert_eq!((literal("{}"), literal("[1"), literal("1")), (None, None, None));
        assert_eq!([real(7.0), real(-0.0), real(0.1), real(1e300)], ["7", "-0.0", "0.1", "1e300"]);
    }
}
