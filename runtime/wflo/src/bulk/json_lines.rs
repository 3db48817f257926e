//! Rows as lines of JSON.

use serde_json::Value;
use wflo_model::SqlValue;

use super::rows::Record;

/// The end of a line.
pub(super) fn end(text: &[u8]) -> Option<usize> {
    text.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
}

/// Reads a line; nothing where it is empty.
pub(super) fn read(line: &[u8]) -> Result<Option<Record>, String> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice(line) {
        Ok(Value::Object(values)) => {
            Ok(Some(Record::Named(values.into_iter().map(|(name, it)| (name, value(it))).collect())))
        }
        Ok(Value::Array(values)) => Ok(Some(Record::InOrder(values.into_iter().map(value).collect()))),
        Ok(_) => Err("it is neither an object nor an array".to_owned()),
        Err(error) => Err(format!("it is not JSON: {error}")),
    }
}

/// What a JSON value is to a database.
fn value(value: Value) -> SqlValue {
    match value {
        // A number beyond 64 bits keeps its digits.
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => SqlValue::Integer(integer),
            (None, Some(real)) if !number.is_u64() => SqlValue::Real(real),
            _ => SqlValue::Decimal(number.to_string()),
        },
        value @ (Value::Null | Value::Bool(_) | Value::String(_)) => {
            SqlValue::try_from(value).expect("these are values as they are")
        }
        value => SqlValue::try_from(value.clone()).unwrap_or_else(|_| SqlValue::Json(value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use wflo_model::SqlValue;

    use super::{Record, end, read};

    #[test]
    fn values_are_what_they_look_like() {
        let line = br#"{"a":1,"b":0.5,"c":"x","d":true,"e":null,"f":{"decimal":"12.50"},"g":[1],"h":{"x":1},"i":18446744073709551615}"#;
        let Ok(Some(Record::Named(values))) = read(line) else { panic!() };
        let values: Vec<_> = values.into_iter().map(|(_, value)| value).collect();
        assert_eq!(
            values,
            [
                SqlValue::Integer(1),
                SqlValue::Real(0.5),
                SqlValue::Text("x".into()),
                SqlValue::Boolean(true),
                SqlValue::Null,
                SqlValue::Decimal("12.50".into()),
                SqlValue::Json("[1]".into()),
                SqlValue::Json(r#"{"x":1}"#.into()),
                SqlValue::Decimal("18446744073709551615".into()),
            ]
        );
        assert!(matches!(read(b"[1,2]\n"), Ok(Some(Record::InOrder(values))) if values.len() == 2));
        assert!(matches!(read(b" \r\n"), Ok(None)));
        for bad in [&b"7"[..], b"{", b"{} {}", b"\xff"] {
            assert!(read(bad).is_err());
        }
        assert_eq!(end(b"{}\n{}"), Some(3));
        assert_eq!(end(b"{}"), None);
    }
}
