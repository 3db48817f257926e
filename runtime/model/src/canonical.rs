//! Canonical JSON: the bytes every digest is taken over.

use serde::Serialize;

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

/// A value that has no canonical JSON form.
#[derive(Debug, thiserror::Error)]
#[error("the value has no canonical JSON form")]
pub struct NotCanonical {
    source: serde_json::Error,
}
