//! Mail.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Sends mail.
///
/// Whether a message may be sent, and to whom, is decided before it comes here. What an implementation owes: the
/// envelope goes to the addresses of the message and to no others, and a message is sent under the id it has, so that
/// one which is sent again can be told to be the same.
#[async_trait]
pub trait Mail: Send + Sync {
    /// Sends one message; the server has taken it when this returns.
    ///
    /// # Errors
    /// See [`MailError`].
    async fn send(&self, message: &MailMessage) -> Result<(), MailError>;
}

/// A message of plain text.
///
/// ```
/// use wflo_ports::MailMessage;
/// let message: MailMessage = serde_json::from_str(
///     r#"{"id":"1@wflo","to":["pi@university.edu"],"subject":"done","text":"It is done."}"#,
/// )
/// .unwrap();
/// assert_eq!(message.to, ["pi@university.edu"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailMessage {
    /// What names it, without angle brackets: the `Message-ID`.
    pub id: String,
    /// To whom.
    pub to: Vec<String>,
    /// The message that it goes on from: `In-Reply-To` and `References`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<String>,
    /// One line.
    pub subject: String,
    /// What it says.
    pub text: String,
}

/// Why a message was not sent, cut by whether it may have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// It cannot be written as mail. Nothing was sent.
    #[error("{message}")]
    Invalid {
        /// Why.
        message: String,
    },
    /// The server does not take it, now or later. Nothing was sent.
    #[error("{message}")]
    Refused {
        /// What it said.
        message: String,
    },
    /// The server does not take it now, or is not there. Nothing was sent.
    #[error("{message}")]
    Later {
        /// What happened.
        message: String,
    },
    /// The connection broke: it may have been sent.
    #[error("{message}")]
    Lost {
        /// What happened.
        message: String,
    },
}
