//! The inputs of a run: defaults, and whether values are what the workflow takes.

use serde_json::{Map, Value};

use crate::near::did_you_mean;
use crate::plan::{Plan, PlanInput, PlanStep};
use crate::schema::{compile, violations, whole};

impl Plan {
    /// Completes the inputs of a run with defaults and checks them. A whole number is written as one, `7` for `7.0` and
    /// `7e0`, as defaults are: a step that takes an integer takes no other spelling in most languages.
    ///
    /// # Errors
    /// Everything that is wrong with them, one text for each.
    pub fn inputs(&self, given: Map<String, Value>) -> Result<Map<String, Value>, Vec<String>> {
        let mut problems = Vec::new();
        for name in given.keys().filter(|name| !self.inputs.contains_key(name.as_str())) {
            problems.push(self.no_such_input(name));
        }
        let mut complete = Map::new();
        for (name, input) in &self.inputs {
            match given.get(name.as_str()).or(input.default.as_ref()) {
                Some(value) => {
                    let wrong = input.violations(value);
                    problems.extend(wrong.into_iter().map(|wrong| format!("input `{name}`: {wrong}")));
                    complete.insert(name.as_str().to_owned(), with_whole_numbers(value));
                }
                None => problems.push(format!("input `{name}` is missing and has no default")),
            }
        }
        if problems.is_empty() { Ok(complete) } else { Err(problems) }
    }

    /// The value of an input that was given as text, as in `--input since=2026-01-01`: the text itself where the
    /// schema takes text, else JSON.
    ///
    /// # Errors
    /// When there is no such input, or the text is no JSON where JSON is meant.
    pub fn input_from_text(&self, name: &str, text: &str) -> Result<Value, String> {
        let Some(input) = self.inputs.get(name) else { return Err(self.no_such_input(name)) };
        let takes = |kind: &str| match input.schema.get("type") {
            Some(Value::String(one)) => one == kind,
            Some(Value::Array(several)) => several.iter().any(|one| one == kind),
            _ => false,
        };
        let only_text = input.schema.get("type").is_some_and(|one| one == "string");
        if only_text {
            return Ok(Value::String(text.to_owned()));
        }
        match serde_json::from_str(text) {
            Ok(value) => match beyond_64_bits(text) {
                Some(digits) => Err(format!(
                    "input `{name}`: `{digits}` is beyond 64 bits, and would be rounded: give it as a text"
                )),
                None => Ok(value),
            },
            Err(_) if takes("string") || input.schema.get("type").is_none() => {
                Ok(Value::String(text.to_owned()))
            }
            Err(error) => Err(format!("input `{name}`: `{text}` is not JSON: {error}")),
        }
    }

    fn no_such_input(&self, name: &str) -> String {
        let names = self.inputs.keys().map(wflo_model::InputName::as_str);
        let hint = did_you_mean(name, "the inputs are", names).unwrap_or_else(|| "it takes none".to_owned());
        format!("workflow `{}` has no input `{name}`: {hint}", self.workflow)
    }
}

impl PlanStep {
    /// What is wrong with an output of the step, by its schema; nothing if it has none.
    #[must_use]
    pub fn output_violations(&self, output: &Value) -> Vec<String> {
        self.output.as_ref().map_or_else(Vec::new, |schema| violations_of(schema, output))
    }
}

impl PlanInput {
    fn violations(&self, value: &Value) -> Vec<String> {
        violations_of(&self.schema, value)
    }
}

/// A whole number of a text in JSON that no integer of 64 bits is, as it is written there. As a double, which it would become,
/// it is another one.
///
/// ```
/// assert_eq!(wflo_manifest::beyond_64_bits(r#"{"n": 18446744073709551616}"#), Some("18446744073709551616"));
/// assert_eq!(wflo_manifest::beyond_64_bits(r#"{"n": 18446744073709551615}"#), None);
/// ```
#[must_use]
pub fn beyond_64_bits(json: &str) -> Option<&str> {
    let mut rest = json;
    while let Some(at) = rest.find(|sign: char| sign == '"' || sign == '-' || sign.is_ascii_digit()) {
        rest = &rest[at..];
        if let Some(text) = rest.strip_prefix('"') {
            let mut is_escaped = false;
            let end = text.find(|sign| {
                let ends = sign == '"' && !is_escaped;
                is_escaped = sign == '\\' && !is_escaped;
                ends
            });
            rest = end.map_or("", |end| &text[end + 1..]);
            continue;
        }
        let is_number = |sign: char| sign.is_ascii_digit() || "+-.eE".contains(sign);
        let (number, after) = rest.split_at(rest.find(|sign| !is_number(sign)).unwrap_or(rest.len()));
        let is_whole = !number.contains(['.', 'e', 'E']);
        if is_whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
            return Some(number);
        }
        rest = after;
    }
    None
}

/// The same value, in which whole numbers are written so.
fn with_whole_numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().and_then(whole);
            whole.map_or_else(|| value.clone(), Value::from)
        }
        Value::Array(items) => items.iter().map(with_whole_numbers).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), with_whole_numbers(member))).collect()
        }
        _ => value.clone(),
    }
}

fn violations_of(schema: &Value, value: &Value) -> Vec<String> {
    match compile(schema) {
        Ok(validator) => violations(&validator, value),
        Err(error) => vec![format!("its schema cannot be used: {error}")],
    }
}

#[cfg(test)]
mod tests {
    use super::beyond_64_bits;

    #[test]
    fn whole_numbers_that_would_be_rounded_are_found() {
        let found = [
            ("18446744073709551616", "18446744073709551616"),
            ("-9223372036854775809", "-9223372036854775809"),
            (r#"{"99999999999999999999": "\\", "b": [1, 99999999999999999999]}"#, "99999999999999999999"),
        ];
        for (json, digits) in found {
            assert_eq!(beyond_64_bits(json), Some(digits), "{json}");
        }
        let fine = [
            "18446744073709551615",
            "-9223372036854775808",
            "1e20",
            "-0",
            "1.5",
            "0.99999999999999999999",
            r#""99999999999999999999""#,
            r#"["\"99999999999999999999", "é99999999999999999999"]"#,
            "[]",
            "true",
            "",
        ];
        for json in fine {
            assert_eq!(beyond_64_bits(json), None, "{json}");
        }
    }
}
