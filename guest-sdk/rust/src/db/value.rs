//! Values of statements and rows.

use serde::de::{Deserializer, IntoDeserializer, Visitor, value::BorrowedStrDeserializer};
use serde::{Serialize, Serializer};

use super::Error;

pub use crate::bindings::wflo::db::sql::Value;

/// What can be a parameter of a statement.
///
/// ```
/// use wflo::db::{ToValue, Value};
/// assert_eq!("A-0007".to_value(), Value::Text("A-0007".into()));
/// assert_eq!(None::<i64>.to_value(), Value::Null);
/// assert_eq!(Value::Decimal("9.95".into()).to_value(), Value::Decimal("9.95".into()));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no parameter of a statement",
    note = "parameters are booleans, numbers, text, bytes, JSON, `Option`s of them and `wflo::db::Value`"
)]
pub trait ToValue {
    /// The value.
    fn to_value(&self) -> Value;
}

impl ToValue for Value {
    fn to_value(&self) -> Value {
        self.clone()
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl ToValue for bool {
    fn to_value(&self) -> Value {
        Value::Boolean(*self)
    }
}

impl ToValue for f64 {
    fn to_value(&self) -> Value {
        Value::Real(*self)
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value {
        Value::Blob(self.to_vec())
    }
}

impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value {
        Value::Blob(self.clone())
    }
}

impl ToValue for serde_json::Value {
    fn to_value(&self) -> Value {
        Value::Json(self.to_string())
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl ToValue for $integer {
            fn to_value(&self) -> Value {
                Value::Integer(i64::from(*self))
            }
        }
    )*};
}

integers!(i8 i16 i32 i64 u8 u16 u32);

/// Beyond what a 64-bit integer of SQL holds they are exact decimals.
macro_rules! wide_integers {
    ($($integer:ty)*) => {$(
        impl ToValue for $integer {
            fn to_value(&self) -> Value {
                i64::try_from(*self).map_or_else(|_| Value::Decimal(self.to_string()), Value::Integer)
            }
        }
    )*};
}

wide_integers!(u64 usize isize);

/// As JSON, with exact decimals, timestamps and UUIDs as text and bytes as a list of numbers.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_unit(),
            Self::Boolean(value) => to.serialize_bool(*value),
            Self::Integer(value) => to.serialize_i64(*value),
            Self::Real(value) => to.serialize_f64(*value),
            Self::Decimal(text) | Self::Text(text) | Self::Timestamp(text) | Self::Uuid(text) => {
                to.serialize_str(text)
            }
            Self::Blob(bytes) => bytes.serialize(to),
            Self::Json(text) => match serde_json::from_str::<serde_json::Value>(text) {
                Ok(value) => value.serialize(to),
                Err(_) => to.serialize_str(text),
            },
        }
    }
}

impl<'de> IntoDeserializer<'de, Error> for &'de Value {
    type Deserializer = ValueDeserializer<'de>;

    fn into_deserializer(self) -> ValueDeserializer<'de> {
        ValueDeserializer(self)
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
pub struct ValueDeserializer<'de>(&'de Value);

impl<'de> Deserializer<'de> for ValueDeserializer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Real(value) => visitor.visit_f64(*value),
            Value::Decimal(text) | Value::Text(text) | Value::Timestamp(text) | Value::Uuid(text) => {
                visitor.visit_borrowed_str(text)
            }
            Value::Blob(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::Json(text) => {
                let mut json = serde_json::Deserializer::from_str(text);
                json.deserialize_any(visitor).map_err(serde::de::Error::custom)
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Integer(value @ (0 | 1)) => visitor.visit_bool(*value == 1),
            _ => self.deserialize_any(visitor),
        }
    }

    /// Bytes are also what a `Vec<u8>` is made of, which asks for a sequence.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Blob(bytes) => {
                visitor.visit_seq(serde::de::value::SeqDeserializer::new(bytes.iter().copied()))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    /// SQL has no 32-bit floats and many integers where a float is meant: serde widens both by itself.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Json(text) => {
                let mut json = serde_json::Deserializer::from_str(text);
                json.deserialize_enum(name, variants, visitor).map_err(serde::de::Error::custom)
            }
            Value::Text(text) => BorrowedStrDeserializer::new(text).deserialize_enum(name, variants, visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    #[crate::data]
    #[derive(Debug, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Status {
        Active,
        Blocked,
    }

    #[track_caller]
    fn reads<T: DeserializeOwned + PartialEq + std::fmt::Debug>(value: Value, expect: T) {
        assert_eq!(T::deserialize(value.into_deserializer()), Ok(expect));
    }

    #[test]
    fn reads_what_it_can_hold() {
        reads(Value::Integer(7), 7_u8);
        reads(Value::Integer(7), 7.0_f64);
        reads(Value::Integer(1), true);
        reads(Value::Boolean(false), false);
        reads(Value::Null, None::<String>);
        reads(Value::Text("x".into()), Some("x".to_owned()));
        reads(Value::Text("blocked".into()), Status::Blocked);
        reads(Value::Json(r#""active""#.into()), Status::Active);
        reads(Value::Json("[1,2]".into()), vec![1, 2]);
        reads(Value::Blob(vec![1, 2]), vec![1_u8, 2]);
        reads(Value::Decimal("9.95".into()), "9.95".to_owned());
    }

    #[test]
    fn refuses_what_it_cannot() {
        let read = |value: Value| u8::deserialize(value.into_deserializer()).unwrap_err().to_string();
        assert!(read(Value::Integer(300)).contains("a row has another type: invalid value: integer `300`"));
        assert!(read(Value::Text("7".into())).contains("invalid type: string \"7\""));
    }

    #[test]
    fn wide_integers_stay_exact() {
        assert_eq!(u64::MAX.to_value(), Value::Decimal("18446744073709551615".into()));
        assert_eq!(3_usize.to_value(), Value::Integer(3));
    }

    #[test]
    fn serializes_as_plain_json() {
        let values = [Value::Null, Value::Integer(-1), Value::Json("{\"a\":1}".into()), Value::Blob(vec![1])];
        assert_eq!(serde_json::to_string(&values).unwrap(), r#"[null,-1,{"a":1},[1]]"#);
    }
}
