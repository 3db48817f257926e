//! Whether a schema keeps to what providers can enforce.

use serde_json::Value;

/// Whether a schema may be sent with `strict`: every object names all its properties as required and allows
/// no others. Providers refuse other schemas as strict; without it they follow them as well as they can, and
/// the runtime checks the answer either way.
pub(super) fn is_strict(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("object") && is_strict_part(schema)
}

fn is_strict_part(schema: &Value) -> bool {
    let Value::Object(map) = schema else { return false };
    let says_object = match map.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => false,
    };
    if says_object || map.contains_key("properties") {
        let Some(Value::Object(properties)) = map.get("properties") else { return false };
        let required = map.get("required").and_then(Value::as_array);
        let all =
            properties.keys().all(|key| required.is_some_and(|names| names.iter().any(|name| name == key)));
        if !all || map.get("additionalProperties") != Some(&Value::Bool(false)) {
            return false;
        }
    }
    map.iter().all(|(key, value)| match key.as_str() {
        "properties" | "$defs" | "definitions" => {
            value.as_object().is_some_and(|parts| parts.values().all(is_strict_part))
        }
        "items" => is_strict_part(value),
        "anyOf" => value.as_array().is_some_and(|parts| parts.iter().all(is_strict_part)),
        "type"
        | "required"
        | "additionalProperties"
        | "enum"
        | "const"
        | "$ref"
        | "description"
        | "title" => true,
        // Support for the rest differs from provider to provider.
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_strict;

    #[test]
    fn strict_is_said_of_strict_schemas_only() {
        let strict = json!({
            "type": "object", "additionalProperties": false, "required": ["a", "b"],
            "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {
                "type": ["object", "null"], "properties": {}, "additionalProperties": false}}},
        });
        assert!(is_strict(&strict));
        let mut open = strict.clone();
        open["additionalProperties"] = json!(true);
        let mut optional = strict.clone();
        optional["required"] = json!(["a"]);
        let mut deep = strict.clone();
        deep["properties"]["b"]["items"] = json!({"type": "object"});
        let mut odd = strict;
        odd["patternProperties"] = json!({});
        for schema in [open, optional, deep, odd, json!({"type": "string"}), json!(true), json!({})] {
            assert!(!is_strict(&schema), "{schema}");
        }
    }
}
