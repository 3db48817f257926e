//! JSON Schemas of types.

use serde_json::{Map, Value, json};

use super::shape::{Name, Shape};

/// A JSON Schema that the JSON of every value of the type meets.
pub(crate) fn schema(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        // Beyond 2^53 it is a text. `decimal` is how policies know that a text may be a number.
        Shape::Integer(integer) if integer.is_wide() => {
            let pattern = if integer.bounds().0 < 0 { "^(0|-?[1-9][0-9]*)$" } else { "^(0|[1-9][0-9]*)$" };
            json!({ "type": ["integer", "string"], "format": "decimal", "pattern": pattern })
        }
        Shape::Integer(integer) => {
            let (least, greatest) = integer.bounds();
            let bound = |n: i128| i64::try_from(n).expect("it has at most 32 bits");
            json!({ "type": "integer", "minimum": bound(least), "maximum": bound(greatest) })
        }
        Shape::Float(_) => json!({ "type": "number" }),
        Shape::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Shape::Text => json!({ "type": "string" }),
        Shape::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Shape::List(of) => json!({ "type": "array", "items": schema(of) }),
        Shape::Record(fields) => {
            let properties: Map<_, _> =
                fields.iter().map(|(name, of)| (name.json.clone(), schema(of))).collect();
            let required: Vec<_> = fields
                .iter()
                .filter(|(_, of)| !of.may_be_null())
                .map(|(name, _)| Value::from(name.json.as_str()))
                .collect();
            object(properties, required)
        }
        Shape::Tuple(of) => json!({
            "type": "array",
            "prefixItems": of.iter().map(schema).collect::<Vec<_>>(),
            "minItems": of.len(),
            "maxItems": of.len(),
        }),
        Shape::Variant(cases) => {
            let plain: Vec<_> = cases.iter().filter(|(_, of)| of.is_none()).map(|(name, _)| name).collect();
            let loaded = cases.iter().filter_map(|(name, of)| Some(only(&name.json, schema(of.as_ref()?))));
            let mut ways: Vec<_> = loaded.collect();
            if !plain.is_empty() {
                ways.insert(0, one_of(plain.into_iter()));
            }
            alternatives(ways)
        }
        Shape::Enum(names) => one_of(names.iter()),
        Shape::Flags(names) => json!({ "type": "array", "items": one_of(names.iter()), "uniqueItems": true }),
        Shape::Option(of) if of.may_be_null() => {
            alternatives(vec![json!({ "type": "null" }), only("some", schema(of))])
        }
        Shape::Option(of) => json!({ "anyOf": [schema(of), { "type": "null" }] }),
        Shape::Result { ok, err } => {
            let way = |name: &str, of: &Option<Box<Shape>>| {
                only(name, of.as_ref().map_or_else(|| json!({ "type": "null" }), |of| schema(of)))
            };
            alternatives(vec![way("ok", ok), way("err", err)])
        }
    }
}

/// An object with this one field.
fn only(name: &str, of: Value) -> Value {
    object(Map::from_iter([(name.to_owned(), of)]), vec![name.into()])
}

fn object(properties: Map<String, Value>, required: Vec<Value>) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// One of these names.
fn one_of<'a>(names: impl Iterator<Item = &'a Name>) -> Value {
    json!({ "type": "string", "enum": names.map(|name| name.json.as_str()).collect::<Vec<_>>() })
}

fn alternatives(mut ways: Vec<Value>) -> Value {
    if ways.len() == 1 { ways.remove(0) } else { json!({ "oneOf": ways }) }
}
