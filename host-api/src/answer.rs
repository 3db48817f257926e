//! The values a gate answers with, for calls whose answer is no type of the ports.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_model::PicoUsd;
use wflo_ports::TokenUsage;

/// The value of `wflo:llm/chat.complete`.
///
/// ```
/// use wflo_host_api::ChatAnswer;
/// let answer: ChatAnswer = serde_json::from_value(serde_json::json!({
///     "text": "yes", "model": "gpt-4-0613", "finish_reason": "stop",
///     "usage": {"input": 12, "output": 1}, "cost_usd": "0.00042", "estimated": false,
/// })).unwrap();
/// assert_eq!(answer.cost_usd.to_string(), "0.00042");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatAnswer {
    /// The text.
    pub text: String,
    /// The model as the provider names it.
    pub model: String,
    /// Why it stopped.
    pub finish_reason: String,
    /// Tokens charged for.
    pub usage: TokenUsage,
    /// What was charged.
    pub cost_usd: PicoUsd,
    /// Whether the provider reported no usage and the quote was charged.
    pub estimated: bool,
}

/// The value of every function of `wflo:llm/tasks`.
///
/// ```
/// use wflo_host_api::TaskAnswer;
/// let answer: TaskAnswer = serde_json::from_value(serde_json::json!({
///     "value": {"risk": "high"}, "usage": {"input": 12, "output": 1}, "cost_usd": "0", "estimated": true,
/// })).unwrap();
/// assert_eq!(answer.value["risk"], "high");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskAnswer {
    /// JSON that satisfies the schema asked for.
    pub value: Value,
    /// Tokens of all requests of the task together.
    pub usage: TokenUsage,
    /// What was charged for all of them.
    pub cost_usd: PicoUsd,
    /// Whether any of them was charged at its quote.
    pub estimated: bool,
}

/// The value of `wflo:notify/mail.send` and `wflo:notify/channel.send`.
///
/// ```
/// use wflo_host_api::QueuedAnswer;
/// let answer: QueuedAnswer = serde_json::from_value(serde_json::json!({ "id": "0f@wflo" })).unwrap();
/// assert_eq!(answer.id, "0f@wflo");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedAnswer {
    /// What names the message: of mail, the `Message-ID` without angle brackets.
    pub id: String,
}
