//! From JSON to values of WIT.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};
use wasmtime::component::Val;

use super::shape::{Float, Integer, Name, Shape};

/// Whole numbers up to here are exact as the doubles that numbers of JSON are.
pub(crate) const EXACT: i128 = 1 << 53;

/// JSON that is no value of its type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Where, as a JSON pointer.
    pub(crate) at: String,
    /// What is wrong there.
    why: String,
}

impl Misfit {
    fn new(why: impl Into<String>) -> Self {
        Self { at: String::new(), why: why.into() }
    }

    /// The same, seen from one level above.
    fn within(mut self, name: impl std::fmt::Display) -> Self {
        self.at = format!("/{name}{}", self.at);
        self
    }
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.at.is_empty() { f.write_str(&self.why) } else { write!(f, "at `{}`: {}", self.at, self.why) }
    }
}

/// The value that `json` is.
pub(crate) fn lower(shape: &Shape, json: &Value) -> Result<Val, Misfit> {
    match (shape, json) {
        (Shape::Bool, Value::Bool(value)) => Ok(Val::Bool(*value)),
        (Shape::Integer(of), Value::Number(number)) => match whole(number) {
            None if is_huge(number) => Err(beyond(of.wit())),
            n => integer(*of, n),
        },
        (Shape::Integer(of), Value::String(text)) if of.is_wide() => integer(*of, digits(text)),
        (Shape::Integer(of), Value::Object(given)) if exact(given).is_some() => {
            integer(*of, exact(given).and_then(digits))
        }
        (Shape::Float(_), Value::Object(given)) if exact(given).is_some() => {
            let nearest = exact(given).and_then(|text| text.parse().ok()).and_then(Number::from_f64);
            lower(shape, &nearest.map_or(Value::Null, Value::Number))
        }
        (Shape::Float(Float::F64), Value::Number(number)) => finite(number.as_f64()).map(Val::Float64),
        (Shape::Float(Float::F32), Value::Number(number)) => {
            #[expect(clippy::cast_possible_truncation, reason = "the nearest is what is meant")]
            let nearest = finite(number.as_f64())? as f32;
            if nearest.is_finite() { Ok(Val::Float32(nearest)) } else { Err(beyond("f32")) }
        }
        (Shape::Char, Value::String(text)) => {
            let mut all = text.chars();
            match (all.next(), all.next()) {
                (Some(one), None) => Ok(Val::Char(one)),
                _ => Err(Misfit::new("expected one character, found another number of them")),
            }
        }
        (Shape::Text, Value::String(text)) => Ok(Val::String(text.clone())),
        (Shape::Bytes, Value::String(text)) => match STANDARD.decode(text) {
            Ok(bytes) => Ok(Val::List(bytes.into_iter().map(Val::U8).collect())),
            Err(_) => Err(Misfit::new("expected bytes as base64, found another text")),
        },
        (Shape::List(of), Value::Array(items)) => all(items, |_| of).map(Val::List),
        (Shape::Tuple(of), Value::Array(items)) if items.len() == of.len() => {
            all(items, |index| &of[index]).map(Val::Tuple)
        }
        (Shape::Tuple(of), Value::Array(items)) => {
            Err(Misfit::new(format!("expected {} elements, found {}", of.len(), items.len())))
        }
        (Shape::Record(fields), Value::Object(given)) => record(fields, given).map(Val::Record),
        (Shape::Variant(cases), Value::String(name)) => match named(cases.iter(), |(case, _)| case, name)? {
            (case, None) => Ok(Val::Variant(case.wit.clone(), None)),
            (case, Some(_)) => {
                Err(Misfit::new(format!("case `{0}` has a value: expected `{{\"{0}\": ..}}`", case.json)))
            }
        },
        (Shape::Variant(cases), Value::Object(given)) => {
            let (name, value) = single(given)?;
            match named(cases.iter(), |(case, _)| case, name)? {
                (case, Some(of)) => {
                    let value = lower(of, value).map_err(|misfit| misfit.within(name))?;
                    Ok(Val::Variant(case.wit.clone(), Some(Box::new(value))))
                }
                (case, None) => {
                    Err(Misfit::new(format!("case `{0}` has no value: expected `\"{0}\"`", case.json)))
                }
            }
        }
        (Shape::Enum(names), Value::String(name)) => {
            Ok(Val::Enum(named(names.iter(), |name| name, name)?.wit.clone()))
        }
        (Shape::Flags(names), Value::Array(given)) => flags(names, given).map(Val::Flags),
        (Shape::Option(_), Value::Null) => Ok(Val::Option(None)),
        (Shape::Option(of), Value::Object(given)) if of.may_be_null() => match single(given)? {
            ("some", value) => {
                let value = lower(of, value).map_err(|misfit| misfit.within("some"))?;
                Ok(Val::Option(Some(Box::new(value))))
            }
            (name, _) => Err(Misfit::new(format!("expected `some`, found `{}`", shown(name)))),
        },
        (Shape::Option(of), json) if !of.may_be_null() => {
            lower(of, json).map(|value| Val::Option(Some(Box::new(value))))
        }
        (Shape::Result { ok, err }, Value::Object(given)) => {
            let (name, value) = single(given)?;
            let payload = |of: &Option<Box<Shape>>| match of {
                Some(of) => lower(of, value).map(|value| Some(Box::new(value))),
                None if value.is_null() => Ok(None),
                None => Err(Misfit::new(format!("expected null, found {}", kind(value)))),
            };
            match name {
                "ok" => payload(ok).map(|value| Val::Result(Ok(value))),
                "err" => payload(err).map(|value| Val::Result(Err(value))),
                other => {
                    return Err(Misfit::new(format!("expected `ok` or `err`, found `{}`", shown(other))));
                }
            }
            .map_err(|misfit| misfit.within(name))
        }
        (shape, json) => Err(Misfit::new(format!("expected {}, found {}", wanted(shape), kind(json)))),
    }
}

/// The values of a record's fields, in its order. An option that is not there is none.
pub(crate) fn record(
    fields: &[(Name, Shape)],
    given: &Map<String, Value>,
) -> Result<Vec<(String, Val)>, Misfit> {
    if let Some(name) = given.keys().find(|name| fields.iter().all(|(field, _)| field.json != **name)) {
        let all = fields.iter().map(|(field, _)| field);
        return Err(Misfit::new(format!("there is no field `{}`: {}", shown(name), listed(all))));
    }
    let field = |(name, of): &(Name, Shape)| match given.get(&name.json) {
        Some(value) => {
            let value = lower(of, value).map_err(|misfit| misfit.within(&name.json))?;
            Ok((name.wit.clone(), value))
        }
        None if of.may_be_null() => Ok((name.wit.clone(), Val::Option(None))),
        None => Err(Misfit::new(format!("`{}` is missing", name.json))),
    };
    fields.iter().map(field).collect()
}

fn all<'a>(items: &[Value], of: impl Fn(usize) -> &'a Shape) -> Result<Vec<Val>, Misfit> {
    let item = |(index, item): (usize, &Value)| lower(of(index), item).map_err(|misfit| misfit.within(index));
    items.iter().enumerate().map(item).collect()
}

/// A number, if it is whole; `1.0` and `1` are one number.
#[expect(clippy::cast_possible_truncation, reason = "the value is whole and within 2^53")]
fn whole(number: &Number) -> Option<i128> {
    let exact = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    exact.or_else(|| {
        let x = number.as_f64()?;
        (x.fract() == 0.0 && x.abs() <= EXACT as f64).then_some(x as i128)
    })
}

/// The digits of `{"integer": ".."}` or `{"decimal": ".."}`: how an expression of the manifest and a database write a number
/// that no double holds.
fn exact(given: &Map<String, Value>) -> Option<&str> {
    let (tag, value) = given.iter().next().filter(|_| given.len() == 1)?;
    value.as_str().filter(|_| ["integer", "decimal"].contains(&tag.as_str()))
}

/// A whole number that is written out, in the one way there is to write it.
fn digits(text: &str) -> Option<i128> {
    let n: i128 = text.parse().ok()?;
    (n.to_string() == text).then_some(n)
}

/// Whether a number of JSON is whole, but too large to be told exactly.
fn is_huge(number: &Number) -> bool {
    number.as_f64().is_some_and(|x| x.fract() == 0.0)
}

fn integer(of: Integer, n: Option<i128>) -> Result<Val, Misfit> {
    let Some(n) = n else {
        return Err(Misfit::new(format!("expected {}, found no whole number", wanted(&Shape::Integer(of)))));
    };
    let fits = match of {
        Integer::S8 => i8::try_from(n).map(Val::S8),
        Integer::U8 => u8::try_from(n).map(Val::U8),
        Integer::S16 => i16::try_from(n).map(Val::S16),
        Integer::U16 => u16::try_from(n).map(Val::U16),
        Integer::S32 => i32::try_from(n).map(Val::S32),
        Integer::U32 => u32::try_from(n).map(Val::U32),
        Integer::S64 => i64::try_from(n).map(Val::S64),
        Integer::U64 => u64::try_from(n).map(Val::U64),
    };
    fits.map_err(|_| beyond(of.wit()))
}

fn finite(x: Option<f64>) -> Result<f64, Misfit> {
    x.filter(|x| x.is_finite()).ok_or_else(|| beyond("f64"))
}

fn beyond(wit: &str) -> Misfit {
    Misfit::new(format!("the number is beyond `{wit}`"))
}

/// The flags that are set, in the order of their type.
fn flags(names: &[Name], given: &[Value]) -> Result<Vec<String>, Misfit> {
    let mut set = vec![false; names.len()];
    for (index, flag) in given.iter().enumerate() {
        let wrong = |misfit: Misfit| misfit.within(index);
        let Value::String(flag) = flag else {
            return Err(wrong(Misfit::new(format!("expected a flag's name, found {}", kind(flag)))));
        };
        let at = named(names.iter().enumerate(), |(_, name)| name, flag).map_err(wrong)?.0;
        if std::mem::replace(&mut set[at], true) {
            return Err(wrong(Misfit::new(format!("flag `{flag}` is there twice"))));
        }
    }
    Ok(names.iter().zip(set).filter(|(_, set)| *set).map(|(name, _)| name.wit.clone()).collect())
}

/// The one field of an object.
fn single(given: &Map<String, Value>) -> Result<(&str, &Value), Misfit> {
    let mut all = given.iter();
    match (all.next(), all.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        _ => Err(Misfit::new(format!("expected an object with one field, found {}", given.len()))),
    }
}

/// That which is called so.
fn named<T: Clone>(
    all: impl Iterator<Item = T> + Clone,
    name: impl Fn(&T) -> &Name,
    wanted: &str,
) -> Result<T, Misfit> {
    match all.clone().find(|one| name(one).json == wanted) {
        Some(found) => Ok(found),
        None => {
            let names: Vec<_> = all.map(|one| name(&one).clone()).collect();
            Err(Misfit::new(format!("there is no `{}`: {}", shown(wanted), listed(names.iter()))))
        }
    }
}

/// Names that there are: some of them, where there are many.
fn listed<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    const MOST: usize = 20;
    let all: Vec<_> = names.map(|name| format!("`{}`", name.json)).collect();
    let more = if all.len() > MOST { ", .." } else { "" };
    format!("there is {}{more}", all[..all.len().min(MOST)].join(", "))
}

/// A name from outside, no longer than a message should have it.
fn shown(name: &str) -> String {
    const MOST: usize = 64;
    let short: String =
        name.chars().take(MOST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if short.len() < name.len() { format!("{short}..") } else { short }
}

/// What the JSON of a type is, in words.
fn wanted(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".to_owned(),
        Shape::Integer(of) if of.is_wide() => {
            format!("`{}`: a whole number, or its digits as a text", of.wit())
        }
        Shape::Integer(of) => format!("`{}`: a whole number", of.wit()),
        Shape::Float(of) => format!("`{}`: a number", of.wit()),
        Shape::Char => "one character".to_owned(),
        Shape::Text => "a text".to_owned(),
        Shape::Bytes => "bytes as base64".to_owned(),
        Shape::List(_) => "a list".to_owned(),
        Shape::Tuple(of) => format!("a list of {} elements", of.len()),
        Shape::Record(_) => "an object".to_owned(),
        Shape::Variant(_) => "the name of a case, or an object of that name and its value".to_owned(),
        Shape::Enum(_) => "one of its names".to_owned(),
        Shape::Flags(_) => "a list of flags".to_owned(),
        Shape::Option(of) if of.may_be_null() => "null or `{\"some\": ..}`".to_owned(),
        Shape::Option(of) => format!("null or {}", wanted(of)),
        Shape::Result { .. } => "`{\"ok\": ..}` or `{\"err\": ..}`".to_owned(),
    }
}

/// What a piece of JSON is, in words.
fn kind(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
