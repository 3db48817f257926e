//! JSON Schema written as TOML.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Map, Number, Value as Json};
use toml_edit::Value;

use crate::diagnostic::Span;
use crate::near::{did_you_mean, nearest};
use crate::reader::{Kind, Node, Reader, Section};

/// Integers beyond this lose digits in JSON, whose numbers are doubles.
const EXACT: u64 = 1 << 53;

/// Keywords of JSON Schema 2020-12, those of earlier drafts that validators still know, and annotations.
const KEYWORDS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];

/// What `type` can be.
const TYPES: &[&str] = &["array", "boolean", "integer", "null", "number", "object", "string"];

/// Reads a schema; every problem is reported where it stands.
pub(crate) fn schema(reader: &mut Reader, node: &Node<'_>) -> Option<Json> {
    schema_with(reader, node, &[])
}

/// Reads a schema that may have keys of its place beside its keywords, in itself and in no part of it.
pub(crate) fn schema_with(reader: &mut Reader, node: &Node<'_>, own: &[&str]) -> Option<Json> {
    if !node.is_table() {
        node.expected(reader, "a table: a JSON Schema");
        return None;
    }
    let before = reader.found.errors();
    let mut json = json(reader, node)?;
    if let Some(json) = json.as_object_mut() {
        json.retain(|name, _| !own.contains(&name.as_str()));
    }
    keywords(reader, node, own);
    if json.get("$schema").is_some_and(|dialect| !is_known_dialect(dialect)) {
        let message = "`$schema` names no draft of JSON Schema that wflo knows";
        reader.error(locate(node, "/$schema"), message).hint("leave it out: 2020-12 is meant");
        return None;
    }
    if let Ok(meta) = jsonschema::meta::validator_for(&json) {
        let mut seen = BTreeSet::new();
        for error in meta.iter_errors(&json) {
            let place = error.instance_path().to_string();
            let text = words(&error.to_string());
            // The parts of the meta-schema each say the same.
            if !seen.insert((place.clone(), text.clone())) {
                continue;
            }
            let wrong = json.pointer(&place).and_then(Json::as_str);
            match (place.rsplit('/').next(), wrong) {
                (Some("type"), Some(wrong)) => {
                    let message = format!("`{wrong}` is no type of JSON Schema");
                    let found = reader.error(locate(node, &place), message);
                    found.hint = did_you_mean(wrong, "types are", TYPES.iter().copied());
                }
                _ => _ = reader.error(locate(node, &place), format!("not a JSON Schema: {text}")),
            }
        }
    }
    if reader.found.errors() > before {
        return None;
    }
    if let Err(error) = compile(&json) {
        reader.error(node.key.clone(), format!("not a JSON Schema: {error}"));
        return None;
    }
    Some(json)
}

/// Makes a validator. References to other documents are errors: nothing is fetched.
pub(crate) fn compile(schema: &Json) -> Result<Validator, String> {
    jsonschema::options()
        .should_validate_formats(true)
        .with_retriever(NoOtherDocuments)
        .build(schema)
        .map_err(|error| words(&error.to_string()))
}

/// What a value does wrong, one text for each place.
pub(crate) fn violations(validator: &Validator, value: &Json) -> Vec<String> {
    let text = |error: jsonschema::ValidationError<'_>| {
        let place = error.instance_path().to_string();
        let words = words(&error.to_string());
        if place.is_empty() { words } else { format!("at `{place}`: {words}") }
    };
    validator.iter_errors(value).map(text).collect()
}

/// A TOML value as JSON. What JSON cannot say exactly is reported.
pub(crate) fn json(reader: &mut Reader, node: &Node<'_>) -> Option<Json> {
    match node.kind {
        Kind::Table(_) | Kind::Value(Value::InlineTable(_)) => {
            let section = node.section(reader, "a schema")?;
            object(reader, &section)
        }
        Kind::Tables(_) => {
            let sections = node.sections(reader, "a schema");
            sections
                .iter()
                .map(|section| object(reader, section))
                .collect::<Option<Vec<_>>>()
                .map(Json::Array)
        }
        Kind::Value(Value::Array(_)) => {
            let nodes = node.list(reader)?;
            nodes.iter().map(|node| json(reader, node)).collect::<Option<Vec<_>>>().map(Json::Array)
        }
        Kind::Value(Value::String(text)) => Some(Json::String(text.value().clone())),
        Kind::Value(Value::Boolean(value)) => Some(Json::Bool(*value.value())),
        Kind::Value(Value::Datetime(date)) => Some(Json::String(date.value().to_string())),
        Kind::Value(Value::Integer(n)) => {
            let n = *n.value();
            if n.unsigned_abs() > EXACT {
                reader
                    .error(node.span.clone(), format!("`{n}` is not exact in JSON"))
                    .hint("write it as a string");
                return None;
            }
            Some(Json::from(n))
        }
        Kind::Value(Value::Float(x)) => {
            let x = *x.value();
            let number = whole(x).map(Number::from).or_else(|| Number::from_f64(x));
            if number.is_none() {
                reader.error(node.span.clone(), format!("`{x}` has no form in JSON"));
            }
            number.map(Json::Number)
        }
    }
}

/// `1.0` and `1` are one number in canonical JSON, so they are one here.
#[expect(clippy::cast_possible_truncation, reason = "the value is whole and below 2^53")]
pub(crate) fn whole(x: f64) -> Option<i64> {
    (x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0).then_some(x as i64)
}

fn object(reader: &mut Reader, section: &Section<'_>) -> Option<Json> {
    let mut map = Map::new();
    let mut whole = true;
    for node in section.all() {
        match json(reader, &node) {
            Some(value) => _ = map.insert(node.name, value),
            None => whole = false,
        }
    }
    whole.then_some(Json::Object(map))
}

/// Reports keywords that JSON Schema does not have: it would ignore them, and with them what they were to check.
fn keywords(reader: &mut Reader, node: &Node<'_>, own: &[&str]) {
    if !node.is_table() {
        return;
    }
    let Some(section) = node.section(reader, "a schema") else { return };
    for node in section.all() {
        let name = node.name.as_str();
        match name {
            "properties" | "$defs" | "definitions" | "patternProperties" => {
                if let Some(section) = node.is_table().then(|| node.section(reader, "a schema")).flatten() {
                    section.all().iter().for_each(|schema| keywords(reader, schema, &[]));
                }
            }
            "items" | "not" | "additionalProperties" | "contains" => keywords(reader, &node, &[]),
            _ if KEYWORDS.contains(&name) || own.contains(&name) || name.starts_with("x-") => {}
            _ => {
                let hint =
                    nearest(name, KEYWORDS.iter().copied()).map(|near| format!("did you mean `{near}`?"));
                let hint = hint.unwrap_or_else(|| "keywords of your own begin with `x-`".to_owned());
                reader.error(node.key.clone(), format!("`{name}` is no keyword of JSON Schema")).hint(hint);
            }
        }
    }
}

/// Where the value at a JSON pointer stands, or the nearest one around it.
fn locate(node: &Node<'_>, pointer: &str) -> Span {
    let mut here = node.clone();
    let mut quiet = Reader::new(&crate::diagnostic::Source::new("", ""));
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let next = match here.kind {
            Kind::Value(Value::Array(_)) => {
                let index = part.parse::<usize>().ok();
                here.list(&mut quiet).zip(index).and_then(|(list, index)| list.into_iter().nth(index))
            }
            Kind::Table(_) | Kind::Value(Value::InlineTable(_)) => {
                let section = here.section(&mut quiet, "a schema");
                section.and_then(|section| section.all().into_iter().find(|node| node.name == part))
            }
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => break,
        }
    }
    match here.kind {
        Kind::Value(_) => here.span,
        _ => here.key,
    }
}

fn is_known_dialect(dialect: &Json) -> bool {
    let uri = dialect.as_str().unwrap_or_default().trim_end_matches('#');
    uri.starts_with("http://json-schema.org/draft-0") || uri.starts_with("https://json-schema.org/draft/20")
}

/// The words of the validator in our form: literals in backticks, no final period.
fn words(text: &str) -> String {
    text.trim_end_matches('.').replace('"', "`")
}

struct NoOtherDocuments;

impl jsonschema::Retrieve for NoOtherDocuments {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Json, Box<dyn std::error::Error + Send + Sync + 'static>> {
        Err(format!("`{uri}` is another document, and none is fetched").into())
    }
}
