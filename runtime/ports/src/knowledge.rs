//! Knowledge bases.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// A folder of documents that can be searched.
///
/// What may be searched, and by whom, is decided before it comes here. What an implementation owes: it finds what the
/// documents say now, and a question is words and nothing else, whatever signs are in it.
#[async_trait]
pub trait Knowledge: Send + Sync {
    /// Finds the passages that fit a question best, the best first, at most `top`.
    ///
    /// # Errors
    /// See [`KnowledgeError`].
    async fn search(&self, query: &str, top: usize) -> Result<Vec<Passage>, KnowledgeError>;
}

/// A passage of a document.
///
/// ```
/// use wflo_ports::Passage;
/// let passage: Passage = serde_json::from_str(
///     r##"{"source":"returns.md#2","title":"Returns > Refunds","text":"Within 30 days.","score":4.2}"##,
/// )
/// .unwrap();
/// assert_eq!(passage.source, "returns.md#2");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// The document, by its path below the folder, and after a `#` the number of the passage in it, from 1.
    pub source: String,
    /// The title of the document and the headings above the passage.
    pub title: String,
    /// Its text.
    pub text: String,
    /// How well it fits: above 0, the more the better.
    pub score: f64,
}

/// Why a knowledge base was not searched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KnowledgeError {
    /// It cannot be read now.
    #[error("{message}")]
    Unavailable {
        /// Why.
        message: String,
    },
    /// It is more than a knowledge base may be.
    #[error("{message}")]
    TooLarge {
        /// What of it.
        message: String,
    },
}
