//! Language models, by the names that `workflow.toml` grants.
//!
//! ```no_run
//! use wflo::prelude::*;
//!
//! #[wflo::data]
//! struct Flagged {
//!     accounts: Vec<String>,
//! }
//!
//! # fn step(rows: &[u32], message: &str) -> wflo::Result<()> {
//! let flagged: Flagged = llm::analyze("gpt-4").data(rows).prompt("Which are suspicious?").json()?;
//! let intent = llm::classify("gpt-4").text(message).one_of(["refund", "question"])?;
//! let checked = llm::validate("gpt-4").data(rows).rules(["no number twice"])?;
//! let reply = llm::chat("gpt-4").system("You are terse.").user(message).max_tokens(200).text()?;
//! # Ok(()) }
//! ```
//!
//! Every request is held against the budget, journaled and charged by the host. A replayed step gets the same
//! answers and pays nothing.

mod rows;
mod tasks;

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bindings::wflo::llm::chat as chat_host;
use crate::bindings::wflo::llm::types as host;
use crate::{FailureKind, JsonSchema, schema};

pub use tasks::{
    Analyze, Answering, Citation, Cited, Classification, Classify, Code, GenerateCode, Moderate, Moderation,
    RuleVerdict, Synthesize, Transform, Validate, Validation, Verdict, analyze, answer, classify,
    generate_code, moderate, synthesize, transform, validate,
};

/// Begins a conversation with a model.
pub fn chat(model: impl Into<String>) -> Chat {
    Chat {
        request: chat_host::Request {
            model: model.into(),
            messages: Vec::new(),
            schema: None,
            max_tokens: None,
            temperature: None,
            seed: None,
        },
    }
}

/// A conversation to be had; see [`chat`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `text` or `json`"]
pub struct Chat {
    request: chat_host::Request,
}

impl Chat {
    /// Adds instructions.
    pub fn system(self, content: impl Into<String>) -> Self {
        self.message(chat_host::Role::System, content.into())
    }

    /// Adds what the one who asks says.
    pub fn user(self, content: impl Into<String>) -> Self {
        self.message(chat_host::Role::User, content.into())
    }

    /// Adds what the model said before.
    pub fn assistant(self, content: impl Into<String>) -> Self {
        self.message(chat_host::Role::Assistant, content.into())
    }

    /// Limits the answer. Without it, the budget and the model do.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.request.max_tokens = Some(tokens);
        self
    }

    /// Sets the sampling temperature, 0 to 2.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.request.temperature = Some(temperature);
        self
    }

    /// Sets the sampling seed, for providers that take one.
    pub fn seed(mut self, seed: u64) -> Self {
        self.request.seed = Some(seed);
        self
    }

    /// Holds the answer to a JSON Schema, in place of the one of the type it is read as.
    pub fn schema(mut self, schema: Value) -> Self {
        self.request.schema = Some(schema.to_string());
        self
    }

    /// Asks, and gives the answer as text.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn text(self) -> Result<String, Error> {
        Ok(self.send()?.text)
    }

    /// Asks for an answer that satisfies the schema of `T`, and reads it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn json<T: DeserializeOwned + JsonSchema>(mut self) -> Result<T, Error> {
        self.request.schema.get_or_insert_with(|| schema::answer::<T>().to_string());
        read(&self.send()?.text)
    }

    /// Asks, and gives the answer with all that is known about it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn send(self) -> Result<Completion, Error> {
        let completion = chat_host::complete(&self.request)?;
        Ok(Completion {
            text: completion.text,
            model: completion.model,
            finish_reason: completion.finish_reason,
            usage: completion.usage.into(),
        })
    }

    fn message(mut self, role: chat_host::Role, content: String) -> Self {
        self.request.messages.push(chat_host::Message { role, content });
        self
    }
}

/// What a model answered to a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completion {
    /// The text.
    pub text: String,
    /// The model as the provider names it.
    pub model: String,
    /// Why it stopped: `stop`, `length`, or the provider's word.
    pub finish_reason: String,
    /// What it used and cost.
    pub usage: Usage,
}

/// What a model answered to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The answer.
    pub value: T,
    /// What all requests of the task used and cost together.
    pub usage: Usage,
}

/// What a call used and cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// USD, exact, as a decimal.
    pub cost_usd: String,
    /// True when the provider reported no usage and the quote was charged instead.
    pub estimated: bool,
}

impl From<host::Usage> for Usage {
    fn from(usage: host::Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost_usd: usage.cost_usd,
            estimated: usage.estimated,
        }
    }
}

/// Why a model did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The step was not granted this model.
    AccessDenied(String),
    /// The call would exceed the budget and was not made; what is left, in USD.
    BudgetExceeded(String),
    /// No binding of the deployment serves a model of this name.
    UnknownModel(String),
    /// A policy denied the call; its name.
    RefusedByPolicy(String),
    /// People were asked about the call and decided against it, or not in time; what they said.
    Rejected(String),
    /// The provider limits the rate; seconds to wait, if it said so.
    RateLimited(Option<u32>),
    /// The request is longer than the model's context.
    ContextTooLong(String),
    /// The answer does not satisfy the schema, or does not fit the type it is read as.
    BadOutput(String),
    /// The provider failed, or could not be reached.
    Upstream(String),
    /// The request itself is wrong.
    Invalid(String),
    /// Anything else.
    Other(String),
}

impl Error {
    /// What another attempt of the step could do, if this error fails it: it may help where the provider was
    /// away or limits the rate, and where the model answered something else than it was asked for.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::RateLimited(_) | Self::Upstream(_) => FailureKind::Retryable,
            Self::BadOutput(_) => FailureKind::Redo,
            _ => FailureKind::Permanent,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied(what) => write!(f, "access to a model denied: {what}"),
            Self::BudgetExceeded(left) => write!(f, "the call would exceed the budget, {left} USD are left"),
            Self::UnknownModel(model) => write!(f, "no binding serves model `{model}`"),
            Self::Rejected(why) => write!(f, "the model call was not approved: {why}"),
            Self::RefusedByPolicy(policy) => write!(f, "policy `{policy}` denied the model call"),
            Self::RateLimited(Some(seconds)) => write!(f, "the provider limits the rate for {seconds} s"),
            Self::RateLimited(None) => f.write_str("the provider limits the rate"),
            Self::ContextTooLong(what) => write!(f, "the request is too long for the model: {what}"),
            Self::BadOutput(what) => write!(f, "the model's answer is no use: {what}"),
            Self::Upstream(what) => write!(f, "the provider failed: {what}"),
            Self::Invalid(what) => write!(f, "invalid request to a model: {what}"),
            Self::Other(what) => write!(f, "the model call failed: {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::AccessDenied(what) => Self::AccessDenied(what),
            host::Error::BudgetExceeded(left) => Self::BudgetExceeded(left),
            host::Error::UnknownModel(model) => Self::UnknownModel(model),
            host::Error::RefusedByPolicy(policy) => Self::RefusedByPolicy(policy),
            host::Error::Rejected(why) => Self::Rejected(why),
            host::Error::RateLimited(seconds) => Self::RateLimited(seconds),
            host::Error::ContextTooLong(what) => Self::ContextTooLong(what),
            host::Error::BadOutput(what) => Self::BadOutput(what),
            host::Error::Upstream(what) => Self::Upstream(what),
            host::Error::Invalid(what) => Self::Invalid(what),
            host::Error::Other(what) => Self::Other(what),
        }
    }
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| Error::BadOutput(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_keeps_its_messages_in_order() {
        let chat = chat("gpt-4").system("Be terse.").user("Hello").assistant("Hi.").user("Bye").max_tokens(9);
        let roles: Vec<_> = chat.request.messages.iter().map(|message| message.role).collect();
        use chat_host::Role::{Assistant, System, User};
        assert_eq!(roles, [System, User, Assistant, User]);
        assert_eq!(chat.request.max_tokens, Some(9));
    }
}
