//! Why a request gave nothing.

use std::fmt;

use crate::FailureKind;
use crate::bindings::wasi::http::types::ErrorCode;

/// Why a request gave nothing. The log of the step has the host's words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The step was not granted this request, or the deployment does not allow it.
    AccessDenied(String),
    /// The request is not one that can be sent.
    Invalid(String),
    /// The server cannot be reached: nothing was sent.
    Unavailable,
    /// The request was sent, and the answer did not come.
    Lost,
    /// The body of the request or of the answer is larger than a step may have.
    TooLarge,
    /// The server answered, and not with success.
    Status {
        /// The status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// The answer does not fit the type it is read as.
    Decode(String),
    /// Anything else.
    Other(String),
}

impl Error {
    /// What another attempt of the step could do, if this error fails it: it may help where the server was away,
    /// busy or broken.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Unavailable | Self::Lost | Self::Status { status: 408 | 425 | 429 | 500.., .. } => {
                FailureKind::Retryable
            }
            _ => FailureKind::Permanent,
        }
    }

    pub(super) fn new(code: &ErrorCode, url: &str) -> Self {
        // The query may hold a key, and errors end in journals.
        let url = url.split('?').next().unwrap_or_default();
        match code {
            ErrorCode::HttpRequestDenied | ErrorCode::ConfigurationError => {
                Self::AccessDenied(url.to_owned())
            }
            ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestMethodInvalid => {
                Self::Invalid(url.to_owned())
            }
            ErrorCode::DestinationUnavailable | ErrorCode::ConnectionLimitReached => Self::Unavailable,
            ErrorCode::ConnectionTerminated => Self::Lost,
            ErrorCode::HttpRequestBodySize(_) | ErrorCode::HttpResponseBodySize(_) => Self::TooLarge,
            ErrorCode::InternalError(Some(message)) => Self::Other(message.clone()),
            other => Self::Other(format!("{other:?}")),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied(url) => write!(f, "access denied: `{url}`"),
            Self::Invalid(what) => write!(f, "invalid request: {what}"),
            Self::Unavailable => f.write_str("the server cannot be reached"),
            Self::Lost => f.write_str("the server did not answer"),
            Self::TooLarge => f.write_str("a body is larger than a step may have"),
            Self::Status { status, body } if body.is_empty() => write!(f, "the server answered {status}"),
            Self::Status { status, body } => write!(f, "the server answered {status}: {body}"),
            Self::Decode(what) => write!(f, "the answer has another type: {what}"),
            Self::Other(what) => write!(f, "the request failed: {what}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorCode, FailureKind};

    #[test]
    fn what_may_help_is_told_by_the_status() {
        let kind = |status| Error::Status { status, body: String::new() }.kind();
        for status in [408, 425, 429, 500, 503] {
            assert_eq!(kind(status), FailureKind::Retryable, "{status}");
        }
        for status in [301, 400, 401, 404, 409] {
            assert_eq!(kind(status), FailureKind::Permanent, "{status}");
        }
    }

    #[test]
    fn codes_of_the_host_become_words() {
        let said = |code| Error::new(&code, "https://x.example/").to_string();
        assert_eq!(said(ErrorCode::HttpRequestDenied), "access denied: `https://x.example/`");
        assert_eq!(said(ErrorCode::DestinationUnavailable), "the server cannot be reached");
        assert_eq!(said(ErrorCode::InternalError(Some("words".into()))), "the request failed: words");
    }
}
