//! Values while an expression is evaluated.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Number, Value, json};

use super::Decimal;
use super::evaluate::{EvaluationError, Meter};
use super::scope::Bound;

/// A value. Lists and objects of the scope stay where they are.
#[derive(Clone)]
pub(super) enum Operand<'a> {
    Null,
    Boolean(bool),
    Number(Decimal),
    Text(Cow<'a, str>),
    /// A list of the scope.
    Array(&'a [Value]),
    /// A list that was made.
    List(Rc<Vec<Operand<'a>>>),
    /// An object of the scope.
    Object(&'a Map<String, Value>),
    /// An object that was made.
    Map(Rc<Vec<(&'a str, Operand<'a>)>>),
    /// Names of the scope under a name, such as `steps`.
    Names(&'a BTreeMap<String, Bound<'a>>),
}

impl<'a> Operand<'a> {
    /// A value of JSON. An exact number of a database is a number.
    pub(super) fn json(value: &'a Value) -> Result<Self, EvaluationError> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Boolean(*value),
            Value::Number(number) => Self::Number(decimal(number)?),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(list) => Self::Array(list),
            Value::Object(object) => tagged(object).map_or(Self::Object(object), Self::Number),
        })
    }

    pub(super) fn bound(bound: &'a Bound<'a>) -> Result<Self, EvaluationError> {
        Ok(match bound {
            Bound::Json(value) => Self::json(value)?,
            Bound::Object(object) => Self::Object(object),
            Bound::Number(number) => Self::Number(*number),
            Bound::Text(text) => Self::Text(Cow::Borrowed(text)),
            Bound::Boolean(value) => Self::Boolean(*value),
            Bound::Names(names) => Self::Names(names),
        })
    }

    /// What it is, for messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Array(_) | Self::List(_) => "a list",
            Self::Object(_) | Self::Map(_) | Self::Names(_) => "an object",
        }
    }

    /// How many elements, if it is a list.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Array(list) => Some(list.len()),
            Self::List(list) => Some(list.len()),
            _ => None,
        }
    }

    /// An element, if it is a list that has it.
    pub(super) fn element(&self, index: usize) -> Option<Result<Self, EvaluationError>> {
        match self {
            Self::Array(list) => list.get(index).map(Self::json),
            Self::List(list) => list.get(index).cloned().map(Ok),
            _ => None,
        }
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_) | Self::Map(_) | Self::Names(_))
    }

    /// How many fields, if it is an object.
    pub(super) fn fields(&self) -> Option<usize> {
        match self {
            Self::Object(object) => Some(object.len()),
            Self::Map(entries) => Some(entries.len()),
            Self::Names(names) => Some(names.len()),
            _ => None,
        }
    }

    /// A field, if it is an object that has it.
    pub(super) fn field(&self, key: &str) -> Option<Result<Self, EvaluationError>> {
        match self {
            Self::Object(object) => object.get(key).map(Self::json),
            Self::Map(entries) => {
                entries.iter().find(|(name, _)| *name == key).map(|(_, value)| Ok(value.clone()))
            }
            Self::Names(names) => names.get(key).map(Self::bound),
            _ => None,
        }
    }

    /// The keys, if it is an object.
    fn keys(&self) -> Vec<&str> {
        match self {
            Self::Object(object) => object.keys().map(String::as_str).collect(),
            Self::Map(entries) => entries.iter().map(|(name, _)| *name).collect(),
            Self::Names(names) => names.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether two values are equal. Values of different kinds are not, which is no error: `null == 1` is false.
    pub(super) fn equals(&self, other: &Self, meter: &mut Meter) -> Result<bool, EvaluationError> {
        meter.charge(1)?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => {
                meter.charge_text(a.len().min(b.len()))?;
                a == b
            }
            _ => match (self.len(), other.len(), self.fields(), other.fields()) {
                (Some(a), Some(b), ..) if a == b => {
                    for index in 0..a {
                        let (Some(x), Some(y)) = (self.element(index), other.element(index)) else {
                            return Ok(false);
                        };
                        if !x?.equals(&y?, meter)? {
                            return Ok(false);
                        }
                    }
                    true
                }
                (None, None, Some(a), Some(b)) if a == b => {
                    for key in self.keys() {
                        let (Some(x), Some(y)) = (self.field(key), other.field(key)) else {
                            return Ok(false);
                        };
                        if !x?.equals(&y?, meter)? {
                            return Ok(false);
                        }
                    }
                    true
                }
                _ => false,
            },
        })
    }

    /// As JSON. What is copied out of the scope in one piece costs nothing: it is no larger than the scope.
    pub(super) fn into_json(self, meter: &mut Meter) -> Result<Value, EvaluationError> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => Value::Bool(value),
            Self::Number(number) => number_json(number),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Array(list) => Value::Array(list.to_vec()),
            Self::Object(object) => Value::Object(object.clone()),
            Self::List(list) => {
                let parts = list.iter().map(|part| part.clone().into_part(meter));
                Value::Array(parts.collect::<Result<_, _>>()?)
            }
            Self::Map(entries) => {
                let parts =
                    entries.iter().map(|(key, part)| Ok(((*key).to_owned(), part.clone().into_part(meter)?)));
                Value::Object(parts.collect::<Result<_, EvaluationError>>()?)
            }
            Self::Names(names) => {
                let parts =
                    names.iter().map(|(key, part)| Ok((key.clone(), Self::bound(part)?.into_part(meter)?)));
                Value::Object(parts.collect::<Result<_, EvaluationError>>()?)
            }
        })
    }

    /// A part of a value that was made, which may be there many times and is paid for each time.
    fn into_part(self, meter: &mut Meter) -> Result<Value, EvaluationError> {
        match &self {
            Self::Array(list) => list.iter().try_for_each(|part| weigh(part, meter))?,
            Self::Object(object) => object.values().try_for_each(|part| weigh(part, meter))?,
            Self::Text(text) => meter.charge_text(text.len())?,
            _ => {}
        }
        meter.charge(1)?;
        self.into_json(meter)
    }
}

/// Pays for a copy.
fn weigh(value: &Value, meter: &mut Meter) -> Result<(), EvaluationError> {
    meter.charge(1)?;
    match value {
        Value::String(text) => meter.charge_text(text.len()),
        Value::Array(list) => list.iter().try_for_each(|part| weigh(part, meter)),
        Value::Object(object) => object.values().try_for_each(|part| weigh(part, meter)),
        _ => Ok(()),
    }
}

fn decimal(number: &Number) -> Result<Decimal, EvaluationError> {
    let decimal = number
        .as_i64()
        .map(Decimal::from)
        .or_else(|| number.as_u64().map(Decimal::from))
        .or_else(|| number.as_f64().and_then(Decimal::from_f64));
    decimal.ok_or(EvaluationError::OutOfRange)
}

/// The number of `{"decimal": "150.00"}` and its like: the exact values of a database.
fn tagged(object: &Map<String, Value>) -> Option<Decimal> {
    let (tag, value) = object.iter().next().filter(|_| object.len() == 1)?;
    let text = value.as_str().filter(|_| ["decimal", "integer", "real"].contains(&tag.as_str()))?;
    text.parse().ok()
}

/// A number as JSON: itself where it is whole and of 64 bits, or a double holds it; else tagged as the values of databases
/// are.
fn number_json(number: Decimal) -> Value {
    match (number.to_i64(), number.to_u64()) {
        (Some(n), _) => json!(n),
        (None, Some(n)) => json!(n),
        _ if number.is_integer() => json!({ "integer": number.to_string() }),
        _ => match Number::from_f64(number.to_f64()) {
            Some(double) if decimal(&double).ok() == Some(number) => Value::Number(double),
            _ => json!({ "decimal": number.to_string() }),
        },
    }
}
