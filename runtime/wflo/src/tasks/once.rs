//! Tasks that are one question to a model.

use serde::Deserialize;
use serde_json::{Value, json};
use wflo_model::{Call, CallError, ModelName};

use super::batch::numbered;
use super::question::Question;
use super::{ANALYZE, CLASSIFY, GENERATE_CODE, MODERATE, Task, arguments, invalid};

#[derive(Deserialize)]
struct Analyze {
    model: ModelName,
    data: Value,
    prompt: String,
    schema: Value,
}

pub(super) fn analyze(call: &Call) -> Result<Task, CallError> {
    let Analyze { model, data, prompt, schema } = arguments(call)?;
    let user = format!("{}\n\nData:\n{data}", prompt.trim());
    Ok(Task::Once(Question::new(model, ANALYZE, user, schema), |value| value))
}

#[derive(Deserialize)]
struct Classify {
    model: ModelName,
    text: String,
    categories: Vec<String>,
}

pub(super) fn classify(call: &Call) -> Result<Task, CallError> {
    let Classify { model, text, categories } = arguments(call)?;
    if categories.is_empty() {
        return Err(invalid(call, "at least one category is needed"));
    }
    let schema = json!({
        "type": "object",
        "properties": {
            "category": { "type": "string", "enum": categories },
            "confidence": { "type": "number", "minimum": 0, "maximum": 1 },
            "details": { "type": "string" },
        },
        "required": ["category", "confidence", "details"],
        "additionalProperties": false,
    });
    Ok(Task::Once(Question::new(model, CLASSIFY, format!("Text:\n{text}"), schema), |value| value))
}

#[derive(Deserialize)]
struct GenerateCode {
    model: ModelName,
    language: String,
    requirements: Value,
}

pub(super) fn generate_code(call: &Call) -> Result<Task, CallError> {
    let GenerateCode { model, language, requirements } = arguments(call)?;
    if language.trim().is_empty() {
        return Err(invalid(call, "a language is needed"));
    }
    let schema = json!({
        "type": "object",
        "properties": { "code": { "type": "string" }, "explanation": { "type": "string" } },
        "required": ["code", "explanation"],
        "additionalProperties": false,
    });
    let user = format!("Language: {}\n\nRequirements:\n{requirements}", language.trim());
    Ok(Task::Once(Question::new(model, GENERATE_CODE, user, schema), without_fence))
}

/// Takes a Markdown fence off the code, which many models cannot help.
fn without_fence(mut value: Value) -> Value {
    if let Some(Value::String(code)) = value.get_mut("code")
        && let Some(inner) = code.trim().strip_prefix("```").and_then(|rest| rest.strip_suffix("```"))
        && let Some((_, inner)) = inner.split_once('\n')
    {
        *code = inner.to_owned();
    }
    value
}

#[derive(Deserialize)]
struct Moderate {
    model: ModelName,
    content: String,
    policies: Vec<String>,
}

pub(super) fn moderate(call: &Call) -> Result<Task, CallError> {
    let Moderate { model, content, policies } = arguments(call)?;
    if policies.is_empty() {
        return Err(invalid(call, "at least one policy is needed"));
    }
    let schema = json!({
        "type": "object",
        "properties": {
            "verdict": { "type": "string", "enum": ["safe", "review", "block"] },
            "confidence": { "type": "number", "minimum": 0, "maximum": 1 },
            "reasoning": { "type": "string" },
            "violated": { "type": "array", "items": { "type": "string", "enum": policies } },
        },
        "required": ["verdict", "confidence", "reasoning", "violated"],
        "additionalProperties": false,
    });
    let user = format!("Policies:\n{}\n\nContent:\n{content}", numbered(&policies));
    Ok(Task::Once(Question::new(model, MODERATE, user, schema), |value| value))
}
