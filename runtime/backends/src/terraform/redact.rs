//! What is not told of values that terraform keeps in clear.

use serde_json::{Map, Value};

/// Names of attributes that hold secrets, whatever a provider says of them.
const NAMES: &[&str] =
    &["password", "secret", "token", "private_key", "access_key", "credential", "connection_string"];

/// A value without what `sensitive` marks: `true` for all of it, or a shape with `true` where something is, as
/// terraform writes it; and without what is named like a secret.
pub(super) fn redacted(value: &Value, sensitive: &Value) -> Value {
    match (value, sensitive) {
        (_, Value::Bool(true)) => Value::Null,
        (Value::Object(fields), marks) => {
            let kept = fields.iter().map(|(name, value)| {
                let mark = marks.get(name).unwrap_or(&Value::Null);
                let value =
                    if is_secret(name) && !value.is_boolean() { Value::Null } else { redacted(value, mark) };
                (name.clone(), value)
            });
            Value::Object(kept.collect::<Map<_, _>>())
        }
        (Value::Array(items), marks) => {
            let kept = items.iter().enumerate();
            Value::Array(
                kept.map(|(at, item)| redacted(item, marks.get(at).unwrap_or(&Value::Null))).collect(),
            )
        }
        _ => value.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::redacted;

    #[test]
    fn marks_and_names_take_values_away() {
        let value = json!({"size": "m5", "user": {"name": "ada", "pin": 1}, "db_password": "x", "list": [{"a": 1}, {"a": 2}]});
        let marks = json!({"user": {"pin": true}, "list": [{}, {"a": true}]});
        assert_eq!(
            redacted(&value, &marks),
            json!({"size": "m5", "user": {"name": "ada", "pin": null}, "db_password": null, "list": [{"a": 1}, {"a": null}]})
        );
        assert_eq!(redacted(&json!("x"), &json!(true)), json!(null));
        assert_eq!(
            redacted(&json!({"needs_password": true}), &json!(false)),
            json!({"needs_password": true})
        );
    }
}
