//! Asking people, and what they decided.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::bindings::wflo::approval::gate;

/// A question to people, in the middle of a step.
///
/// The step parks until they have decided, at no cost, and goes on as if no time had passed. A rejection is a
/// decision, not an error.
///
/// ```no_run
/// # fn step() -> wflo::Result<()> {
/// use std::time::Duration;
/// use wflo::Ask;
///
/// let decision = Ask::new("Restart the cluster?")
///     .details(&["db-1", "db-2"])
///     .approvers(["sre-team"])
///     .timeout(Duration::from_secs(3600))
///     .decide()?;
/// if !decision.is_approved() {
///     return Err(wflo::permanent("nobody wanted it"));
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nobody is asked before `decide`"]
pub struct Ask {
    ask: gate::Ask,
    unserializable: Option<String>,
}

impl Ask {
    /// One line for the people who decide.
    pub fn new(summary: impl Into<String>) -> Self {
        let (summary, approvers) = (summary.into(), Vec::new());
        let ask = gate::Ask { summary, details: None, approvers, quorum: None, timeout_seconds: None };
        Self { ask, unserializable: None }
    }

    /// What is decided on.
    pub fn details(mut self, details: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_string(details) {
            Ok(text) => self.ask.details = Some(text),
            Err(error) => self.unserializable = Some(error.to_string()),
        }
        self
    }

    /// Groups and principals that are asked: one distinct person of each.
    pub fn approvers<T: Into<String>>(mut self, approvers: impl IntoIterator<Item = T>) -> Self {
        self.ask.approvers.extend(approvers.into_iter().map(Into::into));
        self
    }

    /// Any so many distinct persons of those asked, instead of one of each.
    pub fn quorum(mut self, persons: u32) -> Self {
        self.ask.quorum = Some(persons);
        self
    }

    /// How long they have, in whole seconds; for ever otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.ask.timeout_seconds = Some(u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX));
        self
    }

    /// Asks, and waits for the decision.
    ///
    /// # Errors
    /// When nobody is asked, or the details cannot be written as JSON.
    pub fn decide(self) -> Result<Decision, AskError> {
        if let Some(message) = self.unserializable {
            return Err(AskError::Invalid(message));
        }
        gate::request(&self.ask).map(Decision::from).map_err(|error| match error {
            gate::Error::AccessDenied(message) => AskError::AccessDenied(message),
            gate::Error::Invalid(message) => AskError::Invalid(message),
            gate::Error::Other(message) => AskError::Other(message),
        })
    }
}

/// Why people could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError {
    /// The deployment does not allow it.
    AccessDenied(String),
    /// The question makes no sense: nobody is asked, or the details are not JSON.
    Invalid(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied(message) => write!(f, "access denied: {message}"),
            Self::Invalid(message) | Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for AskError {}

impl Decision {
    /// Whether everybody who had to has approved.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.status == DecisionStatus::Approved
    }
}

/// What people decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// How it ended.
    pub status: DecisionStatus,
    /// The votes that counted, in the order they were cast.
    pub votes: Vec<Vote>,
}

/// How an approval ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecisionStatus {
    /// Everybody who had to has approved.
    Approved,
    /// Somebody who may has rejected.
    Rejected,
    /// Nobody decided in time.
    Expired,
}

/// One person's vote.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vote {
    /// The principal.
    pub by: String,
    /// Whether it was in favour.
    pub approved: bool,
    /// What they wrote beside it.
    pub comment: Option<String>,
}

impl From<gate::Outcome> for Decision {
    fn from(decision: gate::Outcome) -> Self {
        let status = match decision.status {
            gate::Status::Approved => DecisionStatus::Approved,
            gate::Status::Rejected => DecisionStatus::Rejected,
            gate::Status::Expired => DecisionStatus::Expired,
        };
        let vote = |vote: gate::Vote| Vote { by: vote.by, approved: vote.approved, comment: vote.comment };
        Self { status, votes: decision.votes.into_iter().map(vote).collect() }
    }
}
