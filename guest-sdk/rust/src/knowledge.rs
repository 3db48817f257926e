//! Knowledge bases: folders of documents that the host has made searchable.

use std::fmt;

use crate::bindings::wflo::knowledge::search as host;

/// How many passages are given unless told otherwise.
const TOP: u32 = 5;

/// Names a knowledge base that the step was granted, `grants.knowledge = ["help"]`.
///
/// ```no_run
/// # fn step() -> wflo::Result<()> {
/// for passage in wflo::knowledge("help").search("how do I return shoes?")? {
///     wflo::info!("found", source = passage.source, score = passage.score);
/// }
/// # Ok(()) }
/// ```
pub fn knowledge(label: impl Into<String>) -> Knowledge {
    Knowledge { label: label.into(), top: TOP }
}

/// A knowledge base; see [`knowledge`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is searched before `search`"]
pub struct Knowledge {
    label: String,
    top: u32,
}

impl Knowledge {
    /// Sets how many passages are given at most: 5 unless told otherwise, and 50 at most.
    pub const fn top(mut self, top: u32) -> Self {
        self.top = top;
        self
    }

    /// Finds the passages that fit a question best, the best first.
    ///
    /// # Errors
    /// See [`KnowledgeError`].
    pub fn search(&self, query: &str) -> Result<Vec<Passage>, KnowledgeError> {
        let found = host::search(&self.label, query, self.top).map_err(|error| match error {
            host::Error::AccessDenied(message) => KnowledgeError::AccessDenied(message),
            host::Error::Unknown(message) => KnowledgeError::Unknown(message),
            host::Error::RefusedByPolicy(policy) => KnowledgeError::RefusedByPolicy(policy),
            host::Error::Rejected(message) => KnowledgeError::Rejected(message),
            host::Error::Invalid(message) => KnowledgeError::Invalid(message),
            host::Error::Unavailable(message) => KnowledgeError::Unavailable(message),
            host::Error::Other(message) => KnowledgeError::Other(message),
        })?;
        let passage = |host::Passage { source, title, text, score }| Passage { source, title, text, score };
        Ok(found.into_iter().map(passage).collect())
    }
}

/// A passage of a document.
#[crate::data]
pub struct Passage {
    /// The document, and after a `#` the number of the passage in it.
    pub source: String,
    /// The title of the document and the headings above the passage.
    pub title: String,
    /// Its text.
    pub text: String,
    /// How well it fits: above 0, the more the better.
    pub score: f64,
}

/// Why nothing was searched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KnowledgeError {
    /// The step was not granted the knowledge base.
    AccessDenied(String),
    /// The deployment binds none of that label.
    Unknown(String),
    /// A policy denied it; its name.
    RefusedByPolicy(String),
    /// People decided against it, or not in time; what they said.
    Rejected(String),
    /// The question is empty or too long, or too many passages are asked for.
    Invalid(String),
    /// It cannot be read now; another attempt may help.
    Unavailable(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for KnowledgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied(message) => write!(f, "access denied: {message}"),
            Self::RefusedByPolicy(policy) => write!(f, "policy `{policy}` denied the search"),
            Self::Unknown(message)
            | Self::Rejected(message)
            | Self::Invalid(message)
            | Self::Unavailable(message)
            | Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for KnowledgeError {}
