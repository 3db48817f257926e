//! Language models.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_model::{Digest, ModelName};

/// A binding that answers chat requests for some models.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// The models this binding answers for.
    fn models(&self) -> &[ModelName];

    /// How many tokens a request can be at most; the budget is held by it, so it must never be too low.
    fn bound(&self, request: &ChatRequest) -> TokenBound;

    /// Asks once, with the retries that the provider's protocol makes safe.
    ///
    /// Dropping the future abandons the request; the provider may charge for it all the same.
    ///
    /// # Errors
    /// See [`ModelError`].
    async fn complete(&self, request: &ChatRequest, key: &IdempotencyKey) -> Result<Completion, ModelError>;
}

/// A request to a model. `max_tokens` is always set by the time it reaches a binding that charges.
///
/// ```
/// use wflo_ports::{ChatRequest, Message, Role};
/// let request = ChatRequest {
///     model: "gpt-4".parse().unwrap(),
///     messages: vec![Message { role: Role::User, content: "hello".into() }],
///     schema: None,
///     max_tokens: Some(64),
///     temperature: None,
///     seed: None,
/// };
/// assert!(serde_json::to_string(&request).unwrap().contains("gpt-4"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The model, by its granted name.
    pub model: ModelName,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// JSON Schema of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Most tokens to answer with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Sampling temperature, 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Sampling seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

/// An upper bound of the tokens of a request, and of what the model can answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBound {
    /// Tokens of the request, at most.
    pub input: u64,
    /// Tokens the model can answer with at most, where that is known.
    pub output: Option<u32>,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// The text.
    pub text: String,
    /// The model as the provider names it.
    pub model: String,
    /// Why it stopped: `stop`, `length`, or the provider's word.
    pub finish_reason: String,
    /// What the provider says was used; none if it does not say.
    pub usage: Option<TokenUsage>,
}

/// Tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Of the request.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
}

/// Names a call across crashes and attempts, so that a provider that can may drop the second of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Digest);

/// Why a model did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelError {
    /// The rate is limited, also after the binding's own retries.
    #[error("rate limited")]
    RateLimited {
        /// How long to wait, if the provider said so.
        retry_after: Option<Duration>,
    },
    /// The request is longer than the model's context.
    #[error("context too long: {message}")]
    ContextTooLong {
        /// The provider's words.
        message: String,
    },
    /// The provider failed after it may have done the work: it may charge for it.
    #[error("{message}")]
    Upstream {
        /// What happened.
        message: String,
    },
    /// The request never reached the provider, or it refused it unread: nothing is charged.
    #[error("{message}")]
    NotSent {
        /// What happened.
        message: String,
    },
    /// The tape has no answer to this request.
    #[error("{message}")]
    NotOnTape {
        /// Which request, and what to do.
        message: String,
    },
}
