//! Why there is no artifact, or none of it.

use std::{fmt, io};

use crate::FailureKind;
use crate::bindings::wflo::artifact::types as host;

/// Why there is no artifact, or none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// It belongs to a step that this one does not depend on; or the request that should fill it is not granted.
    AccessDenied(String),
    /// There is none of that name.
    Unknown(String),
    /// Too many are open, or there is more than `limits.artifacts` allows.
    Limit(String),
    /// The name is none, or used already; or the request is none.
    Invalid(String),
    /// A policy denied the request that should fill it; its name.
    RefusedByPolicy(String),
    /// People decided against the request, or not in time.
    Rejected(String),
    /// The server failed, or its answer broke off.
    Upstream(String),
    /// The server cannot be reached.
    Unavailable(String),
    /// The server answered, and not with success.
    Status {
        /// The status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// A line is longer than a reader takes, or a row does not fit the type it is read as; which line, from 1, and why.
    Row {
        /// Its number.
        line: u64,
        /// Why.
        why: String,
    },
    /// Anything else.
    Other(String),
}

impl Error {
    /// What another attempt of the step could do, if this error fails it: it may help where a server was away, busy or
    /// broken.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Unavailable(_)
            | Self::Upstream(_)
            | Self::Status { status: 408 | 425 | 429 | 500.., .. } => FailureKind::Retryable,
            _ => FailureKind::Permanent,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied(what) => write!(f, "access denied: {what}"),
            Self::RefusedByPolicy(policy) => write!(f, "policy `{policy}` denied the request"),
            Self::Rejected(why) => write!(f, "the request was not approved: {why}"),
            Self::Status { status, body } if body.is_empty() => write!(f, "the server answered {status}"),
            Self::Status { status, body } => write!(f, "the server answered {status}: {body}"),
            Self::Row { line, why } => write!(f, "line {line}: {why}"),
            Self::Unknown(what)
            | Self::Limit(what)
            | Self::Invalid(what)
            | Self::Upstream(what)
            | Self::Unavailable(what)
            | Self::Other(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::AccessDenied(what) => Self::AccessDenied(what),
            host::Error::Unknown(what) => Self::Unknown(what),
            host::Error::Limit(what) => Self::Limit(what),
            host::Error::Invalid(what) => Self::Invalid(what),
            host::Error::RefusedByPolicy(policy) => Self::RefusedByPolicy(policy),
            host::Error::Rejected(why) => Self::Rejected(why),
            host::Error::Upstream(what) => Self::Upstream(what),
            host::Error::Unavailable(what) => Self::Unavailable(what),
            host::Error::Other(what) => Self::Other(what),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

/// What a reader or writer of the standard library came back with, which is one of ours.
pub(super) fn from_io(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, from_io};
    use crate::FailureKind;

    #[test]
    fn what_may_help_is_told() {
        let kind = |status| Error::Status { status, body: String::new() }.kind();
        assert_eq!((kind(503), kind(404)), (FailureKind::Retryable, FailureKind::Permanent));
        assert_eq!(Error::Upstream("broke off".into()).kind(), FailureKind::Retryable);
    }

    #[test]
    fn an_error_survives_the_standard_library() {
        let error = Error::Limit("too much".into());
        assert_eq!(from_io(error.clone().into()), error);
    }
}
