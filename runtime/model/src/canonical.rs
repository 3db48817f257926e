//! Canonical JSON: the bytes every digest is taken over.

use serde::Serialize;
use serde_json::Value;

/// The largest integer up to which doubles have all: as far, the canonical form of an integer is its digits.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// Writes `value` as RFC 8785 canonical JSON.
///
/// SQL integers, decimals and money travel as tagged strings ([`SqlValue`](crate::SqlValue),
/// [`PicoUsd`](crate::PicoUsd)), since JSON numbers are doubles and 9007199254740993 would lose a digit.
///
/// ```
/// use serde_json::json;
/// let bytes = wflo_model::canonical(&json!({"b": 1, "a": [true, null]})).unwrap();
/// assert_eq!(bytes, br#"{"a":[true,null],"b":1}"#);
/// ```
///
/// # Errors
/// When the value has no JSON form: a map whose keys are not text, or a number that is not finite.
pub fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, NotCanonical> {
    serde_json_canonicalizer::to_vec(value).map_err(|source| NotCanonical { source })
}

/// As [`canonical`], of a JSON value, which always has that form. A third of the time: what a guest asks for passes here
/// each time.
///
/// ```
/// use serde_json::json;
/// let value = json!({"b": 1, "a": [true, null]});
/// assert_eq!(wflo_model::canonical_json(&value), wflo_model::canonical(&value).unwrap());
/// ```
#[must_use]
pub fn canonical_json(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    write(&mut out, value);
    out
}

fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            let mut members = map.iter().collect::<Vec<_>>();
            members.sort_unstable_by(|one, other| one.0.encode_utf16().cmp(other.0.encode_utf16()));
            out.push(b'{');
            for (n, (key, value)) in members.into_iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write_plain(out, key);
                out.push(b':');
                write(out, value);
            }
            out.push(b'}');
        }
        Value::Number(number) if number.as_i64().is_none_or(|it| it.unsigned_abs() > MAX_SAFE) => {
            out.extend(canonical(number).expect("a number of JSON is finite"));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => write_plain(out, value),
    }
}

/// What serde_json writes as RFC 8785 has it.
fn write_plain(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("it is written to memory");
}

/// A value that has no canonical JSON form.
#[derive(Debug, thiserror::Error)]
#[error("the value has no canonical JSON form")]
pub struct NotCanonical {
    source: serde_json::Error,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![".{0,8}", "[\\u{0}-\\u{2f}\\u{7f}\\u{2028}\\u{e000}\\u{ffff}\\u{1f600}]{0,4}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-(1_i64 << 54)..1 << 54).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            (-1000..1000).prop_map(|n| Value::from(f64::from(n) / 8.0)),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((text.clone(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Keys in the order of UTF-16, where that is not the order of UTF-8.
    #[test]
    fn members_are_in_the_order_of_the_rfc() {
        let value = json!({ "\u{ffff}": 1, "\u{1f600}": 2, "a": -0.0, "": 1e21 });
        let expect = "{\"\":1e+21,\"a\":0,\"\u{1f600}\":2,\"\u{ffff}\":1}";
        assert_eq!(String::from_utf8(canonical_json(&value)).unwrap(), expect);
    }

    proptest! {
        #[test]
        fn it_is_what_the_library_writes(value in any_json()) {
            prop_assert_eq!(canonical_json(&value), canonical(&value).unwrap());
        }
    }
}
