//! Data held against rules, in batches.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wflo_host_api::Stop;
use wflo_model::{Call, CallError, ModelName};

use super::batch::{numbered, pieces};
use super::question::{Question, Total};
use super::{Caller, VALIDATE, arguments, invalid};

/// Most values of a list in one request.
const MOST_VALUES: usize = 100;
/// Most issues that are told of a rule; more of them say no more.
const MOST_ISSUES: usize = 50;

#[derive(Deserialize)]
pub(crate) struct Validate {
    model: ModelName,
    data: Value,
    rules: Vec<String>,
}

/// What was found about a rule.
struct Verdict {
    passed: bool,
    issues: Vec<Value>,
}

impl Validate {
    pub(super) fn of(call: &Call) -> Result<Self, CallError> {
        let this: Self = arguments(call)?;
        if this.rules.is_empty() {
            return Err(invalid(call, "at least one rule is needed"));
        }
        Ok(this)
    }

    pub(super) async fn perform(
        self,
        caller: &mut dyn Caller,
        total: &mut Total,
    ) -> Result<Result<Value, CallError>, Stop> {
        let Self { model, data, rules } = self;
        // A list may be long, and each of its values is judged for itself; everything else is judged as a whole.
        let parts: Vec<Value> = match data {
            Value::Array(values) if !values.is_empty() => {
                pieces(values, MOST_VALUES).into_iter().map(Value::Array).collect()
            }
            whole => vec![whole],
        };
        let mut verdicts: Vec<_> =
            rules.iter().map(|_| Verdict { passed: true, issues: Vec::new() }).collect();
        for part in parts {
            let user = format!("Rules:\n{}\n\nData:\n{part}", numbered(&rules));
            let question = Question::new(model.clone(), VALIDATE, user, schema(rules.len()));
            let mut answer = match question.ask(caller, total).await? {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(error)),
            };
            for (n, verdict) in verdicts.iter_mut().enumerate() {
                let found = &mut answer[rule(n)];
                verdict.passed &= found["passed"] == true;
                if let Value::Array(issues) = found["issues"].take() {
                    verdict.issues.extend(issues);
                }
            }
        }
        Ok(Ok(told(&rules, verdicts)))
    }
}

/// How the rule of a number is called in an answer: a property of its own, so that each has exactly one verdict.
fn rule(n: usize) -> String {
    format!("rule_{}", n + 1)
}

fn schema(rules: usize) -> Value {
    let verdict = json!({
        "type": "object",
        "properties": {
            "passed": { "type": "boolean" },
            "issues": { "type": "array", "items": { "type": "string" } },
        },
        "required": ["passed", "issues"],
        "additionalProperties": false,
    });
    let names: Vec<_> = (0..rules).map(rule).collect();
    let properties: Map<_, _> = names.iter().map(|name| (name.clone(), verdict.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": names, "additionalProperties": false })
}

fn told(rules: &[String], verdicts: Vec<Verdict>) -> Value {
    let passed = verdicts.iter().all(|verdict| verdict.passed);
    let mut all = Vec::new();
    let mut told = Vec::with_capacity(rules.len());
    for (rule, mut verdict) in rules.iter().zip(verdicts) {
        // What a model notes about a rule that holds breaks nothing.
        if verdict.passed {
            verdict.issues.clear();
        }
        verdict.issues.truncate(MOST_ISSUES);
        all.extend(verdict.issues.iter().cloned());
        told.push(json!({ "rule": rule, "passed": verdict.passed, "issues": verdict.issues }));
    }
    json!({ "passed": passed, "verdicts": told, "issues": all })
}
