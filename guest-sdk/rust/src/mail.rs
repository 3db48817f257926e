//! Mail, to the addresses that `workflow.toml` grants.
//!
//! ```no_run
//! use wflo::prelude::*;
//!
//! # fn step(ctx: Context) -> wflo::Result<()> {
//! let customer: String = ctx.input("customer_email")?;
//! mail::to(customer).subject("How did we do?").text("Please rate your support experience.").send()?;
//! # Ok(()) }
//! ```
//!
//! with `grants.mail = ["*@example.org"]`. A mail is queued, and leaves when the step has succeeded: a step that fails or
//! is tried again has written to nobody.

use std::fmt;

use crate::bindings::wflo::notify::mail as host;

/// Begins a mail to an address, such as `pi@university.edu`, without a display name.
pub fn to(address: impl Into<String>) -> Mail {
    Mail { to: vec![address.into()], subject: String::new(), text: String::new(), answers: None }
}

/// Queues a mail of three parts; [`to`] has the others.
///
/// # Errors
/// See [`Error`].
pub fn send(
    address: impl Into<String>,
    subject: impl Into<String>,
    text: impl Into<String>,
) -> Result<MailId, Error> {
    to(address).subject(subject).text(text).send()
}

/// A mail to be sent; see [`to`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is queued before `send`"]
pub struct Mail {
    to: Vec<String>,
    subject: String,
    text: String,
    answers: Option<String>,
}

impl Mail {
    /// Adds another address. Everybody sees the others.
    pub fn and_to(mut self, address: impl Into<String>) -> Self {
        self.to.push(address.into());
        self
    }

    /// Sets the subject: one line.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// Sets what it says, as plain text.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Says which message it answers, by its `Message-ID` without angle brackets: mailboxes show it in one thread.
    pub fn answers(mut self, id: impl Into<String>) -> Self {
        self.answers = Some(id.into());
        self
    }

    /// Queues it, and gives the `Message-ID` that it will have.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn send(self) -> Result<MailId, Error> {
        let Self { to, subject, text, answers } = self;
        match host::send(&host::Message { to, subject, text, answers }) {
            Ok(id) => Ok(MailId(id)),
            Err(host::Error::AccessDenied(message)) => Err(Error::AccessDenied(message)),
            Err(host::Error::Unknown(message)) => Err(Error::Unknown(message)),
            Err(host::Error::RefusedByPolicy(policy)) => Err(Error::RefusedByPolicy(policy)),
            Err(host::Error::Rejected(message)) => Err(Error::Rejected(message)),
            Err(host::Error::Invalid(message)) => Err(Error::Invalid(message)),
            Err(host::Error::Other(message)) => Err(Error::Other(message)),
        }
    }
}

/// What names a mail: its `Message-ID`, without angle brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MailId(String);

impl MailId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a mail, or a message on a channel, is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The step was not granted the address, the deployment does not allow it, or the step's data may not go there.
    AccessDenied(String),
    /// The deployment has no mail, or no such channel.
    Unknown(String),
    /// A policy denied it; its name.
    RefusedByPolicy(String),
    /// People decided against it, or not in time; what they said.
    Rejected(String),
    /// It cannot be sent as it is.
    Invalid(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied(message) => write!(f, "access denied: {message}"),
            Self::RefusedByPolicy(policy) => write!(f, "policy `{policy}` denied the message"),
            Self::Unknown(message)
            | Self::Rejected(message)
            | Self::Invalid(message)
            | Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::to;

    #[test]
    fn a_mail_says_what_it_was_given() {
        let mail = to("a@b.example").and_to("c@d.example").subject("s").text("t").answers("1@wflo");
        assert_eq!(mail.to, ["a@b.example", "c@d.example"]);
        assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("s", "t"));
        assert_eq!(mail.answers.as_deref(), Some("1@wflo"));
    }
}
