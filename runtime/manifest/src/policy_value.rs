//! Values that policies read by a bare name: what they are called, and what they are.

use std::borrow::Borrow;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use wflo_model::SqlValue;

use crate::expression::{Bound, Decimal, Name, ValueKind};
use crate::expression_check::kind_of;

/// Words that CEL keeps for itself.
const KEPT: [&str; 22] = [
    "AND", "NOT", "OR", "as", "break", "const", "continue", "else", "false", "for", "function", "if",
    "import", "in", "let", "loop", "null", "package", "return", "true", "var", "while",
];

/// The name of a fact, of a statement's parameter or of a field of an output, as an expression reads it.
///
/// ```
/// use wflo_manifest::BareName;
/// assert!("refund_amount".parse::<BareName>().is_ok());
/// assert!("refund-amount".parse::<BareName>().is_err(), "a dash is a minus");
/// assert!("inputs".parse::<BareName>().is_err(), "the inputs of the run are called so");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareName(Arc<str>);

impl BareName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BareName {
    type Err = BadBareName;

    fn from_str(text: &str) -> Result<Self, BadBareName> {
        let word = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !word || !starts || text.len() > 128 {
            return Err(BadBareName::NoWord { text: text.chars().take(64).collect() });
        }
        if Name::is_reserved(text) || KEPT.contains(&text) {
            return Err(BadBareName::Kept { text: text.to_owned() });
        }
        Ok(Self(text.into()))
    }
}

impl Borrow<str> for BareName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BareName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for BareName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BareName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that no expression can read as a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadBareName {
    /// It is no word.
    #[error(
        "`{text}` cannot be read in a policy: use letters, digits and `_`, 128 at most, no digit in front"
    )]
    NoWord {
        /// The text, cut to what a message can hold.
        text: String,
    },
    /// It means something else.
    #[error("`{text}` means something else in an expression: choose another name")]
    Kept {
        /// The text.
        text: String,
    },
}

/// What a value is declared to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// Anything: its schema does not say.
    Any,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// An exact number, which may be written as a text: `"150.00"`.
    Decimal,
    /// A text.
    Text,
    /// A list.
    Array,
    /// An object.
    Object,
    /// An instant, as text.
    Timestamp,
    /// A UUID, as text.
    Uuid,
    /// Bytes, as text.
    Blob,
    /// JSON, as text or as itself.
    Json,
}

impl ValueType {
    /// What a fact can be, in the words of JSON Schema.
    pub(crate) const FACTS: [(&'static str, Self); 7] = [
        ("string", Self::Text),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("decimal", Self::Decimal),
        ("boolean", Self::Boolean),
        ("array", Self::Array),
        ("object", Self::Object),
    ];

    /// What a parameter of a statement can be, in the words of SQL values.
    pub(crate) const PARAMS: [(&'static str, Self); 9] = [
        ("integer", Self::Integer),
        ("decimal", Self::Decimal),
        ("real", Self::Number),
        ("text", Self::Text),
        ("boolean", Self::Boolean),
        ("timestamp", Self::Timestamp),
        ("uuid", Self::Uuid),
        ("blob", Self::Blob),
        ("json", Self::Json),
    ];

    /// What the values of a JSON Schema are: its `type`, and a text of `format = "decimal"` is a decimal.
    pub(crate) fn of_schema(schema: &Value) -> Self {
        if schema.get("format").is_some_and(|format| format == "decimal") {
            return Self::Decimal;
        }
        if schema.get("type").is_some_and(|name| name == "integer") {
            return Self::Integer;
        }
        match kind_of(schema) {
            ValueKind::Any | ValueKind::Null | ValueKind::Wide => Self::Any,
            ValueKind::Boolean => Self::Boolean,
            ValueKind::Number => Self::Number,
            ValueKind::Text => Self::Text,
            ValueKind::List => Self::Array,
            ValueKind::Object => Self::Object,
        }
    }

    /// What an expression sees of it.
    pub(crate) fn kind(self) -> ValueKind {
        match self {
            Self::Any => ValueKind::Any,
            Self::Boolean => ValueKind::Boolean,
            Self::Integer | Self::Number | Self::Decimal => ValueKind::Number,
            Self::Text | Self::Timestamp | Self::Uuid | Self::Blob | Self::Json => ValueKind::Text,
            Self::Array => ValueKind::List,
            Self::Object => ValueKind::Object,
        }
    }

    /// A value as an expression is to see it; `None` if it is null or not of this type. Values of a database may be
    /// tagged as [`SqlValue`] has them.
    ///
    /// ```
    /// use serde_json::json;
    /// use wflo_manifest::{Bound, ValueType};
    /// let refund = json!("150.00");
    /// assert!(matches!(ValueType::Decimal.read(&refund), Some(Bound::Number(n)) if n == 150_u64.into()));
    /// assert!(ValueType::Number.read(&refund).is_none(), "a text is no number unless that is declared");
    /// ```
    #[must_use]
    pub fn read(self, value: &Value) -> Option<Bound<'_>> {
        let number = || number(value);
        Some(match (self, value) {
            (_, Value::Null) => return None,
            (Self::Any, value) => value.into(),
            (Self::Boolean, Value::Bool(value)) => (*value).into(),
            (Self::Integer, _) => number().filter(|n| n.is_integer())?.into(),
            (Self::Number, _) => number()?.into(),
            (Self::Decimal, Value::String(text)) => text.parse::<Decimal>().ok()?.into(),
            (Self::Decimal, _) => number()?.into(),
            (Self::Text | Self::Timestamp | Self::Uuid | Self::Blob, Value::String(_)) => value.into(),
            (Self::Json, _) => Bound::Text(json_text(value)?),
            (Self::Timestamp | Self::Uuid | Self::Blob, Value::Object(object)) => {
                let tag = match self {
                    Self::Timestamp => "timestamp",
                    Self::Uuid => "uuid",
                    _ => "blob",
                };
                let text = object.get(tag).filter(|_| object.len() == 1)?;
                text.is_string().then(|| text.into())?
            }
            (Self::Blob, Value::Array(_)) => Bound::Text(hexadecimal(&bytes(value)?)),
            (Self::Array, Value::Array(_)) | (Self::Object, Value::Object(_)) => value.into(),
            _ => return None,
        })
    }
}

/// The bytes that a list of numbers is, as most languages write bytes in JSON.
pub(crate) fn bytes(value: &Value) -> Option<Vec<u8>> {
    value.as_array()?.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect()
}

/// The JSON that a value is, as text: a text is JSON as it is written, and anything else is itself. `None` for a text that
/// is no JSON.
pub(crate) fn json_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => serde_json::from_str::<IgnoredAny>(text).ok().map(|_| text.clone()),
        other => Some(match SqlValue::try_from(other.clone()) {
            Ok(SqlValue::Json(text)) => text,
            _ => other.to_string(),
        }),
    }
}

/// The text of bytes, as their tag has it.
fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    text
}

/// A number of JSON, or the exact number of a database.
pub(crate) fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(n) => (n.as_i64().map(Decimal::from))
            .or_else(|| n.as_u64().map(Decimal::from))
            .or_else(|| n.as_f64().and_then(Decimal::from_f64)),
        Value::Object(_) => match SqlValue::try_from(value.clone()).ok()? {
            SqlValue::Integer(n) => Some(n.into()),
            SqlValue::Real(x) => Decimal::from_f64(x),
            SqlValue::Decimal(text) => text.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{BareName, ValueType};
    use crate::expression::Bound;

    #[test]
    fn a_value_is_read_as_what_it_is_declared_to_be() {
        let check = |declared: ValueType, value: Value, expect: Option<&str>| {
            let found = declared.read(&value).map(|bound| match bound {
                Bound::Json(value) => value.to_string(),
                Bound::Number(n) => n.to_string(),
                Bound::Boolean(value) => value.to_string(),
                Bound::Text(text) => format!("{text:?}"),
                other => panic!("{other:?}"),
            });
            assert_eq!(found.as_deref(), expect, "{declared:?} of {value}");
        };
        for declared in
            [ValueType::Any, ValueType::Text, ValueType::Number, ValueType::Decimal, ValueType::Json]
        {
            check(declared, Value::Null, None);
        }
        check(ValueType::Decimal, json!("150.00"), Some("150"));
        check(ValueType::Decimal, json!(150.5), Some("150.5"));
        check(ValueType::Decimal, json!({"decimal": "150.00"}), Some("150"));
        check(ValueType::Decimal, json!({"integer": "9007199254740993"}), Some("9007199254740993"));
        check(ValueType::Decimal, json!("150,00"), None);
        check(ValueType::Number, json!("150"), None);
        check(ValueType::Number, json!({"real": "NaN"}), None);
        check(ValueType::Number, json!(true), None);
        check(ValueType::Integer, json!(7.0), Some("7"));
        check(ValueType::Integer, json!(7.5), None);
        check(ValueType::Integer, json!({"integer": "7", "decimal": "1"}), None);
        check(ValueType::Text, json!("x"), Some("\"x\""));
        check(ValueType::Text, json!(1), None);
        check(
            ValueType::Timestamp,
            json!({"timestamp": "2026-01-01T00:00:00Z"}),
            Some("\"2026-01-01T00:00:00Z\""),
        );
        check(ValueType::Uuid, json!({"timestamp": "2026-01-01T00:00:00Z"}), None);
        check(ValueType::Blob, json!({"blob": "00ff"}), Some("\"00ff\""));
        check(ValueType::Blob, json!([0, 255]), Some("\"00ff\""));
        check(ValueType::Blob, json!([0, 256]), None);
        check(ValueType::Json, json!({"a": [1]}), Some(r#""{\"a\":[1]}""#));
        check(ValueType::Json, json!({"json": "[ 1 ]"}), Some("\"[ 1 ]\""));
        check(ValueType::Boolean, json!(false), Some("false"));
        check(ValueType::Array, json!([1]), Some("[1]"));
        check(ValueType::Object, json!([1]), None);
        check(ValueType::Any, json!([1]), Some("[1]"));
    }

    #[test]
    fn names_are_words_that_mean_nothing_else() {
        for name in ["a", "_a1", "refund_amount", "andy"] {
            assert!(name.parse::<BareName>().is_ok(), "{name}");
        }
        for name in ["", "1a", "a-b", "a.b", "é", "inputs", "call", "true", "in", "AND"] {
            assert!(name.parse::<BareName>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_schema_declares_what_its_values_are() {
        let of = |schema: Value| ValueType::of_schema(&schema);
        assert_eq!(of(json!({"type": "string", "format": "decimal"})), ValueType::Decimal);
        assert_eq!(of(json!({"type": "integer"})), ValueType::Integer);
        assert_eq!(of(json!({"type": ["integer", "number"]})), ValueType::Number);
        assert_eq!(of(json!({"type": ["string", "null"]})), ValueType::Any);
        assert_eq!(of(json!({"enum": ["safe"]})), ValueType::Any);
    }
}
