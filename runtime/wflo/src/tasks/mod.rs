//! The verbs of `wflo:llm/tasks`, and others that are made of several calls: code of the host above the gate.
//!
//! Each request to a provider, and each search, is a call of its own through [`Caller::make`], with its own hold, intent,
//! result and call key; what is here only builds requests and checks answers, the same way each time, so that
//! replay needs nothing but the recorded calls.

mod answer;
mod apply;
mod batch;
mod chat;
mod once;
mod question;
mod synthesize;
mod transform;
mod validate;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wflo_host_api::Stop;
use wflo_model::{Call, CallError, CallResult, Digest};

use answer::Answer;
use apply::Apply;
use chat::Chat;
use question::{Question, Total};
use synthesize::Synthesize;
use transform::Transform;
use validate::Validate;

/// Whoever makes the calls that a task is made of: the gate, or a replay.
#[async_trait]
pub(crate) trait Caller: Send {
    /// Makes one call.
    async fn make(&mut self, call: Call) -> Result<CallResult, Stop>;
}

const ANALYZE: &str = include_str!("../prompts/analyze.v1.md");
const ANSWER: &str = include_str!("../prompts/answer.v1.md");
const CLASSIFY: &str = include_str!("../prompts/classify.v1.md");
const CONDENSE: &str = include_str!("../prompts/condense.v1.md");
const GENERATE_CODE: &str = include_str!("../prompts/generate-code.v1.md");
const MODERATE: &str = include_str!("../prompts/moderate.v1.md");
const REPAIR: &str = include_str!("../prompts/repair.v1.md");
const SYNTHESIZE: &str = include_str!("../prompts/synthesize.v1.md");
const TRANSFORM: &str = include_str!("../prompts/transform.v1.md");
const VALIDATE: &str = include_str!("../prompts/validate.v1.md");

/// The prompts of this version by task, as a plan pins them.
///
/// ```
/// assert!(wflo::prompt_versions().contains_key("analyze.v1"));
/// ```
#[must_use]
pub fn prompt_versions() -> BTreeMap<String, Digest> {
    [
        ("analyze.v1", ANALYZE),
        ("answer.v1", ANSWER),
        ("classify.v1", CLASSIFY),
        ("condense.v1", CONDENSE),
        ("generate-code.v1", GENERATE_CODE),
        ("moderate.v1", MODERATE),
        ("repair.v1", REPAIR),
        ("synthesize.v1", SYNTHESIZE),
        ("transform.v1", TRANSFORM),
        ("validate.v1", VALIDATE),
    ]
    .map(|(name, text)| (name.to_owned(), Digest::of(text.as_bytes())))
    .into()
}

/// A task: one question to a model, or many.
pub(crate) enum Task {
    /// One question, and what is made of its answer.
    Once(Question, fn(Value) -> Value),
    /// A search, and one question about what it finds.
    Answer(Answer),
    /// One question for each batch of rows.
    Transform(Transform),
    /// One question for each batch of the data.
    Validate(Validate),
    /// One question, and before it as many as condense what is too much for one.
    Synthesize(Synthesize),
    /// A conversation whose answer must keep to a schema.
    Chat(Chat),
    /// A plan of infrastructure: what there is, and then the change.
    Apply(Apply),
}

impl Task {
    /// Reads a call of a task; none for a call of anything else.
    pub(crate) fn of(call: &Call) -> Option<Result<Self, CallError>> {
        if call.interface == "wflo:infra/terraform" && call.function == "apply" {
            return Some(arguments(call).map(Self::Apply));
        }
        if call.interface == "wflo:llm/chat" && call.function == "complete" {
            return Chat::of(call).map(|chat| chat.map(Self::Chat));
        }
        if call.interface != "wflo:llm/tasks" {
            return None;
        }
        Some(match call.function.as_str() {
            "analyze" => once::analyze(call),
            "answer" => Answer::of(call).map(Self::Answer),
            "classify" => once::classify(call),
            "generate-code" => once::generate_code(call),
            "moderate" => once::moderate(call),
            "synthesize" => arguments(call).map(Self::Synthesize),
            "transform" => arguments(call).map(Self::Transform),
            "validate" => Validate::of(call).map(Self::Validate),
            other => Err(CallError::AccessDenied { message: format!("there is no task `{other}`") }),
        })
    }

    /// Asks whom it needs, and gives what the guest gets.
    pub(crate) async fn perform(self, caller: &mut dyn Caller) -> Result<CallResult, Stop> {
        let mut total = Total::default();
        let value = match self {
            Self::Apply(apply) => return apply.perform(caller).await,
            Self::Chat(chat) => return chat.perform(caller).await,
            Self::Once(question, read) => question.ask(caller, &mut total).await?.map(read),
            Self::Answer(answer) => answer.perform(caller, &mut total).await?,
            Self::Transform(transform) => transform.perform(caller, &mut total).await?,
            Self::Validate(validate) => validate.perform(caller, &mut total).await?,
            Self::Synthesize(synthesize) => synthesize.perform(caller, &mut total).await?,
        };
        Ok(value.map(|value| total.answer(&value)))
    }
}

/// Reads the arguments of a call.
fn arguments<T: DeserializeOwned>(call: &Call) -> Result<T, CallError> {
    T::deserialize(&call.args).map_err(|error| invalid(call, &error.to_string()))
}

fn invalid(call: &Call, why: &str) -> CallError {
    CallError::Invalid { message: format!("`{call}`: {why}") }
}

#[cfg(test)]
mod tests;
