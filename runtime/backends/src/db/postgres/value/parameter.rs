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

/// What is no element of an array of composites.
const OBJECT: &str = "a JSON array with an object";

fn mistyped(at: usize, what: &str, of: &Type) -> DbError {
    let meant = match of == &Type::BYTEA {
        true => format!("`decode(${at}, 'hex')` or `convert_to(${at}, 'UTF8')` makes bytes of a text"),
        false if what == OBJECT => {
            "an element of it is text, as the server writes it, such as `\"(1,x)\"`".to_owned()
        }
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
        SqlValue::Json(json) if let Some(element) = element => literal(json, element)?,
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

/// A JSON array as PostgreSQL writes arrays of a type; an error is what it is instead, in words. Numbers keep every digit,
/// so the text is gone through rather than read into numbers.
fn literal(json: &str, of: &Type) -> Result<String, &'static str> {
    if let Kind::Domain(of) = of.kind() {
        return literal(json, of);
    }
    // What is valid JSON can be gone through without looking for mistakes.
    let json = json.trim_ascii();
    if serde_json::from_str::<IgnoredAny>(json).is_err() || !json.starts_with('[') {
        return Err("no JSON array");
    }
    match of.kind() {
        _ if [Type::JSON, Type::JSONB].contains(of) => Ok(array_of_json(json)),
        Kind::Composite(_) if elements(json).any(|element| element.starts_with('{')) => Err(OBJECT),
        _ => Ok(array(json)),
    }
}

/// An array whose elements are JSON, each as it is; null is that of SQL.
fn array_of_json(json: &str) -> String {
    let written = elements(json).map(|element| match element {
        "null" => "NULL".to_owned(),
        element => in_quotes(element),
    });
    format!("{{{}}}", written.collect::<Vec<_>>().join(","))
}

/// An array of anything else: arrays within are its dimensions.
fn array(json: &str) -> String {
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
                let text: String = serde_json::from_str(&rest[..length]).expect("it is a text of valid JSON");
                out.push_str(&in_quotes(&text));
                length
            }
            '{' => {
                let length = nested_length(rest);
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
    out
}

/// The elements of a JSON array, each as it is written.
fn elements(json: &str) -> impl Iterator<Item = &str> {
    let mut rest = &json[1..];
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        let length = match rest.chars().next()? {
            ']' => return None,
            '"' => text_length(rest),
            '{' | '[' => nested_length(rest),
            _ => rest.find(|c: char| matches!(c, ',' | ']') || c.is_ascii_whitespace())?,
        };
        let element;
        (element, rest) = rest.split_at(length);
        Some(element)
    })
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

/// The length of the JSON object or array that begins here.
fn nested_length(json: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = json.as_bytes().get(at) {
        match byte {
            b'"' => at += text_length(&json[at..]) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
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
    use tokio_postgres::types::Type;

    use super::{literal, real};

    #[test]
    fn arrays_and_doubles_are_written_as_postgresql_reads_them() {
        for (json, expect) in [
            ("[1, null, 2.50, 12345678901234567890.1]", "{1,NULL,2.50,12345678901234567890.1}"),
            (r#"[["a\"b\\", "NULL"], ["", "\u00e9,}"]]"#, r#"{{"a\"b\\","NULL"},{"","é,}"}}"#),
            (r#"[{"a": "}\"", "b": {}}, true]"#, r#"{"{\"a\": \"}\\\"\", \"b\": {}}",true}"#),
            ("[]", "{}"),
        ] {
            assert_eq!(literal(json, &Type::TEXT).as_deref(), Ok(expect), "{json}");
        }
        for bad in ["{}", "[1", "1"] {
            assert_eq!(literal(bad, &Type::INT4), Err("no JSON array"));
        }
        assert_eq!([real(7.0), real(-0.0), real(0.1), real(1e300)], ["7", "-0.0", "0.1", "1e300"]);
    }

    #[test]
    fn elements_that_are_json_stay_as_they_are_written() {
        for (json, expect) in [
            (
                r#" [ "5" ,"true", 5,true,null , "null" ] "#,
                r#"{"\"5\"","\"true\"","5","true",NULL,"\"null\""}"#,
            ),
            (
                r#"[{"a": [1, "]"]},[1, [2]],"\u00e9\"" ]"#,
                r#"{"{\"a\": [1, \"]\"]}","[1, [2]]","\"\\u00e9\\\"\""}"#,
            ),
            ("[]", "{}"),
            ("[ 1.50]", r#"{"1.50"}"#),
        ] {
            assert_eq!(literal(json, &Type::JSONB).as_deref(), Ok(expect), "{json}");
        }
    }
}
