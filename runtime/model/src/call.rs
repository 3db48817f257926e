//! A call of a guest to its host, as data.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A call of a guest that reaches outside its sandbox, before anything is decided about it.
///
/// ```
/// use wflo_model::Call;
/// let call = Call::new("wflo:db/sql", "query", serde_json::json!({"db": "bank"}));
/// assert_eq!(call.to_string(), "wflo:db/sql.query");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Package and interface, without version: `wflo:db/sql`.
    pub interface: String,
    /// The function: `query`.
    pub function: String,
    /// Its arguments by name.
    pub args: Value,
}

impl Call {
    /// Makes a call.
    #[must_use]
    pub fn new(interface: &str, function: &str, args: Value) -> Self {
        Self { interface: interface.to_owned(), function: function.to_owned(), args }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.interface, self.function)
    }
}

/// What a call came to: a value of the interface's own type as JSON, or a typed error that the guest can handle.
pub type CallResult = Result<Value, CallError>;

/// Why a call has no value. Each interface maps these to the cases of its own error type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallError {
    /// The step was not granted it, or the deployment no longer allows it.
    #[error("access denied: {message}")]
    AccessDenied {
        /// What was refused, and the grant that would allow it.
        message: String,
    },
    /// It would exceed the budget and was not made.
    #[error("budget exceeded: {left_usd} USD left")]
    BudgetExceeded {
        /// What is left, in USD.
        left_usd: crate::PicoUsd,
    },
    /// Nothing in the deployment answers to that name.
    #[error("{message}")]
    Unknown {
        /// Which name.
        message: String,
    },
    /// A policy denied it.
    #[error("refused by policy `{policy}`")]
    RefusedByPolicy {
        /// The policy.
        policy: String,
    },
    /// People decided against it, or nobody decided in time, and the policy that asked lets the step go on.
    #[error("{message}")]
    Rejected {
        /// Who, and what they wrote.
        message: String,
    },
    /// The other side limits the rate.
    #[error("rate limited")]
    RateLimited {
        /// Seconds to wait, if it said so.
        retry_after: Option<u32>,
    },
    /// Longer than the model's context.
    #[error("context too long: {message}")]
    ContextTooLong {
        /// The provider's words.
        message: String,
    },
    /// The model did not keep to the schema.
    #[error("bad output: {message}")]
    BadOutput {
        /// How it violates the schema.
        message: String,
    },
    /// The other side failed.
    #[error("{message}")]
    Upstream {
        /// What happened.
        message: String,
    },
    /// The arguments are wrong.
    #[error("{message}")]
    Invalid {
        /// How.
        message: String,
    },
    /// A constraint of the database refused it.
    #[error("{message}")]
    Constraint {
        /// Which.
        message: String,
    },
    /// A limit was reached.
    #[error("{message}")]
    Limit {
        /// Which.
        message: String,
    },
    /// It cannot be reached now; another attempt may help.
    #[error("{message}")]
    Unavailable {
        /// What happened.
        message: String,
    },
    /// Anything else.
    #[error("{message}")]
    Other {
        /// What happened.
        message: String,
    },
}
