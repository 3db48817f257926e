//! JSON Schemas of Rust types.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The schema a model must keep to for `T` to read its answer. Objects are closed: providers that force an
/// answer into a schema ask for it, and a field nobody reads is a field paid for in vain.
pub(crate) fn answer<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.meta_schema = None;
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(close).transform(&mut schema);
    schema.remove("title");
    schema.to_value()
}

/// The schema of what a step returns; none where the type promises nothing.
pub(crate) fn output<T: JsonSchema>() -> Option<String> {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.meta_schema = None;
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    let promises = schema.as_object().is_some_and(|schema| !schema.is_empty());
    promises.then(|| schema.to_value().to_string())
}

fn close(schema: &mut Schema) {
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
        schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[crate::data]
    #[serde(rename_all = "camelCase")]
    struct Finding {
        /// The account.
        account_id: String,
        kind: Kind,
        score: Option<f64>,
    }

    #[crate::data]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        CardTesting,
        Structuring,
    }

    #[crate::data]
    struct Findings {
        findings: Vec<Finding>,
    }

    #[test]
    fn an_answer_is_closed_and_inline() {
        let expected = json!({
            "type": "object",
            "properties": {
                "findings": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "accountId": { "type": "string", "description": "The account." },
                            "kind": { "type": "string", "enum": ["card_testing", "structuring"] },
                            "score": { "type": ["number", "null"], "format": "double" }
                        },
                        "required": ["accountId", "kind"],
                        "additionalProperties": false
                    }
                }
            },
            "required": ["findings"],
            "additionalProperties": false
        });
        assert_eq!(answer::<Findings>(), expected);
    }

    #[test]
    fn fields_keep_the_order_of_the_type() {
        let text = answer::<Finding>()["properties"].to_string();
        assert!(
            text.find("accountId") < text.find("kind") && text.find("kind") < text.find("score"),
            "{text}"
        );
    }

    #[test]
    fn any_value_promises_nothing() {
        assert_eq!(output::<Value>(), None);
        assert_eq!(output::<u32>().as_deref(), Some(r#"{"type":"integer","format":"uint32","minimum":0}"#));
    }
}
