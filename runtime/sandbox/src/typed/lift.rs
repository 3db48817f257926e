//! From values of WIT to JSON text.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wasmtime::component::Val;

use super::lower::EXACT;
use super::shape::{Name, Shape};

/// Why a value has no JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unwritable {
    /// A number that JSON does not have; where, as a JSON pointer.
    NotFinite { at: String },
    /// It is longer than it may be.
    TooLong { limit: u64 },
    /// It is no value of its type. wasmtime checks them, so this is a bug of ours.
    NotOfItsType,
}

impl Unwritable {
    fn within(self, name: impl std::fmt::Display) -> Self {
        match self {
            Self::NotFinite { at } => Self::NotFinite { at: format!("/{name}{at}") },
            other => other,
        }
    }
}

/// Writes a value as JSON of `limit` bytes at most.
pub(crate) fn lift(shape: &Shape, value: &Val, limit: u64) -> Result<String, Unwritable> {
    let mut text = Text { out: String::new(), limit };
    text.value(shape, value)?;
    Ok(text.out)
}

struct Text {
    out: String,
    limit: u64,
}

impl Text {
    fn value(&mut self, shape: &Shape, value: &Val) -> Result<(), Unwritable> {
        match (shape, value) {
            (Shape::Bool, Val::Bool(value)) => self.push(if *value { "true" } else { "false" }),
            (Shape::Integer(_), Val::S8(n)) => self.integer((*n).into()),
            (Shape::Integer(_), Val::U8(n)) => self.integer((*n).into()),
            (Shape::Integer(_), Val::S16(n)) => self.integer((*n).into()),
            (Shape::Integer(_), Val::U16(n)) => self.integer((*n).into()),
            (Shape::Integer(_), Val::S32(n)) => self.integer((*n).into()),
            (Shape::Integer(_), Val::U32(n)) => self.integer((*n).into()),
            (Shape::Integer(_), Val::S64(n)) => self.integer((*n).into()),
            (Shape::Integer(_), Val::U64(n)) => self.integer((*n).into()),
            (Shape::Float(_), Val::Float64(x)) => self.float(*x, || serde_json::to_string(x)),
            // The fewest digits that lead back to it; as a double it would have more.
            (Shape::Float(_), Val::Float32(x)) => self.float((*x).into(), || serde_json::to_string(x)),
            (Shape::Char, Val::Char(value)) => self.text(value.encode_utf8(&mut [0; 4])),
            (Shape::Text, Val::String(value)) => self.text(value),
            (Shape::Bytes, Val::List(bytes)) => {
                let byte = |value: &Val| match value {
                    Val::U8(byte) => Ok(*byte),
                    _ => Err(Unwritable::NotOfItsType),
                };
                let bytes = bytes.iter().map(byte).collect::<Result<Vec<_>, _>>()?;
                self.push("\"")?;
                self.push(&STANDARD.encode(bytes))?;
                self.push("\"")
            }
            (Shape::List(of), Val::List(items)) => self.list(items.iter().map(|item| (&**of, item))),
            (Shape::Tuple(of), Val::Tuple(items)) if of.len() == items.len() => {
                self.list(of.iter().zip(items))
            }
            (Shape::Record(fields), Val::Record(values)) if fields.len() == values.len() => {
                self.push("{")?;
                for (index, ((name, of), (_, value))) in fields.iter().zip(values).enumerate() {
                    self.push(if index == 0 { "" } else { "," })?;
                    self.field(&name.json, Some(of), Some(value))?;
                }
                self.push("}")
            }
            (Shape::Variant(cases), Val::Variant(case, value)) => {
                let (name, of) = find(cases, |(name, _)| name, case)?;
                match (of, value) {
                    (None, None) => self.text(&name.json),
                    (of, value) => self.only(&name.json, of.as_ref(), value.as_deref()),
                }
            }
            (Shape::Enum(names), Val::Enum(case)) => self.text(&find(names, |name| name, case)?.json),
            (Shape::Flags(names), Val::Flags(set)) => {
                self.push("[")?;
                // In the order of their type, whatever order they come in.
                let set = names.iter().filter(|name| set.contains(&name.wit));
                for (index, name) in set.enumerate() {
                    self.push(if index == 0 { "" } else { "," })?;
                    self.text(&name.json)?;
                }
                self.push("]")
            }
            (Shape::Option(_), Val::Option(None)) => self.push("null"),
            (Shape::Option(of), Val::Option(Some(value))) if of.may_be_null() => {
                self.only("some", Some(of), Some(value))
            }
            (Shape::Option(of), Val::Option(Some(value))) => self.value(of, value),
            (Shape::Result { ok, .. }, Val::Result(Ok(value))) => {
                self.only("ok", ok.as_deref(), value.as_deref())
            }
            (Shape::Result { err, .. }, Val::Result(Err(value))) => {
                self.only("err", err.as_deref(), value.as_deref())
            }
            _ => Err(Unwritable::NotOfItsType),
        }
    }

    fn push(&mut self, text: &str) -> Result<(), Unwritable> {
        self.out.push_str(text);
        if self.out.len() as u64 > self.limit {
            return Err(Unwritable::TooLong { limit: self.limit });
        }
        Ok(())
    }

    fn integer(&mut self, n: i128) -> Result<(), Unwritable> {
        let quote = if n.abs() > EXACT { "\"" } else { "" };
        write!(self.out, "{quote}{n}{quote}").expect("writing to a string does not fail");
        self.push("")
    }

    /// A whole number is written as one: `1`, which is what `1.0` is in canonical JSON.
    #[expect(clippy::cast_possible_truncation, reason = "the value is whole and within 2^53")]
    fn float(&mut self, x: f64, text: impl Fn() -> serde_json::Result<String>) -> Result<(), Unwritable> {
        if !x.is_finite() {
            return Err(Unwritable::NotFinite { at: String::new() });
        }
        let is_zero_with_sign = x == 0.0 && x.is_sign_negative();
        if x.fract() == 0.0 && x.abs() <= EXACT as f64 && !is_zero_with_sign {
            return self.integer(x as i128);
        }
        self.push(&text().expect("a finite number has a text"))
    }

    fn text(&mut self, text: &str) -> Result<(), Unwritable> {
        // Escaped it is no shorter: what is too long is not even looked at.
        if (self.out.len() + text.len()) as u64 > self.limit {
            return Err(Unwritable::TooLong { limit: self.limit });
        }
        self.push(&serde_json::to_string(text).expect("a text has a text"))
    }

    fn list<'a>(&mut self, items: impl Iterator<Item = (&'a Shape, &'a Val)>) -> Result<(), Unwritable> {
        self.push("[")?;
        for (index, (of, item)) in items.enumerate() {
            self.push(if index == 0 { "" } else { "," })?;
            self.value(of, item).map_err(|error| error.within(index))?;
        }
        self.push("]")
    }

    fn only(&mut self, name: &str, of: Option<&Shape>, value: Option<&Val>) -> Result<(), Unwritable> {
        self.push("{")?;
        self.field(name, of, value)?;
        self.push("}")
    }

    fn field(&mut self, name: &str, of: Option<&Shape>, value: Option<&Val>) -> Result<(), Unwritable> {
        self.text(name)?;
        self.push(":")?;
        match (of, value) {
            (Some(of), Some(value)) => self.value(of, value).map_err(|error| error.within(name)),
            (None, None) => self.push("null"),
            _ => Err(Unwritable::NotOfItsType),
        }
    }
}

fn find<'a, T>(all: &'a [T], name: impl Fn(&T) -> &Name, wanted: &str) -> Result<&'a T, Unwritable> {
    all.iter().find(|one| name(one).wit == wanted).ok_or(Unwritable::NotOfItsType)
}
