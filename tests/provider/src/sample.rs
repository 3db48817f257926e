//! The simplest value that satisfies a JSON Schema.

use serde_json::{Map, Value, json};

/// A value for the usual forms of a schema; null for what is none of them. Of several values allowed it is the
/// first that occurs in `text`, else the last.
pub(crate) fn of(schema: &Value, text: &str) -> Value {
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(values) = schema["enum"].as_array() {
        let text = text.to_lowercase();
        let occurs =
            |value: &&Value| value.as_str().is_some_and(|value| text.contains(&value.to_lowercase()));
        return values.iter().find(occurs).or(values.last()).cloned().unwrap_or_default();
    }
    for several in ["anyOf", "oneOf"] {
        if let Some(first) = schema[several].get(0) {
            return of(first, text);
        }
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0).and_then(Value::as_str));
    match kind {
        Some("object") => object(schema, text),
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or(0);
            (0..least).map(|_| of(&schema["items"], text)).collect()
        }
        Some("string") => json!("text"),
        Some("boolean") => json!(true),
        Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(0)),
        // A confidence, most of the time.
        Some("number") => schema.get("maximum").cloned().unwrap_or(json!(0.5)),
        _ => Value::Null,
    }
}

fn object(schema: &Value, text: &str) -> Value {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let fields = required.map(|name| (name.to_owned(), of(&schema["properties"][name], text)));
    Value::Object(fields.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_a_value_of_each_form() {
        let schema = json!({
            "type": "object",
            "properties": {
                "kind": { "enum": ["a", "b"] },
                "tags": { "type": "array", "items": { "type": "string" }, "minItems": 2 },
                "sure": { "type": ["boolean", "null"] },
                "confidence": { "type": "number", "minimum": 0, "maximum": 1 },
                "of": { "anyOf": [{ "const": 7 }, { "type": "null" }] },
                "skipped": { "type": "string" },
            },
            "required": ["kind", "tags", "sure", "confidence", "of"],
        });
        let expected =
            json!({ "kind": "b", "tags": ["text", "text"], "sure": true, "confidence": 1, "of": 7 });
        assert_eq!(of(&schema, "nothing"), expected);
    }
}
