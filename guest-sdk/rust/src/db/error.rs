//! Why a statement has no result.

use std::fmt;

use crate::FailureKind;
use crate::bindings::wflo::db::sql as host;

/// Why a statement has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The step was not granted this database, table, column or kind of statement.
    AccessDenied(String),
    /// The statement is not valid SQL, or its parameters do not fit.
    Invalid(String),
    /// A constraint of the database refused it.
    Constraint(String),
    /// Too many rows or bytes, or it ran too long.
    Limit(String),
    /// A policy denied the statement; its name.
    RefusedByPolicy(String),
    /// People were asked about the statement and decided against it, or not in time; what they said.
    /// [`Context::decision`](crate::Context::decision) has their votes.
    Rejected(String),
    /// The database cannot be reached, or is busy.
    Unavailable(String),
    /// A row does not fit the type it is read as.
    Decode(String),
    /// Anything else the database said.
    Other(String),
}

impl Error {
    /// What another attempt of the step could do, if this error fails it: it may help where the database was
    /// away.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Unavailable(_) => FailureKind::Retryable,
            _ => FailureKind::Permanent,
        }
    }

    pub(super) fn in_column(self, column: &str) -> Self {
        match self {
            Self::Decode(what) => Self::Decode(format!("column `{column}`: {what}")),
            other => other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied(what) => write!(f, "access to the database denied: {what}"),
            Self::Invalid(what) => write!(f, "invalid statement: {what}"),
            Self::Constraint(what) => write!(f, "a constraint refused the statement: {what}"),
            Self::Limit(what) => write!(f, "the statement went over a limit: {what}"),
            Self::RefusedByPolicy(policy) => write!(f, "policy `{policy}` denied the statement"),
            Self::Rejected(why) => write!(f, "the statement was not approved: {why}"),
            Self::Unavailable(what) => write!(f, "the database is unavailable: {what}"),
            Self::Decode(what) => write!(f, "a row has another type: {what}"),
            Self::Other(what) => write!(f, "the statement failed: {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Decode(message.to_string())
    }

    /// SQL calls null what serde calls a unit value.
    fn invalid_type(got: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        match got {
            serde::de::Unexpected::Unit => Self::Decode(format!("invalid type: null, expected {expected}")),
            got => Self::Decode(format!("invalid type: {got}, expected {expected}")),
        }
    }
}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::AccessDenied(what) => Self::AccessDenied(what),
            host::Error::Invalid(what) => Self::Invalid(what),
            host::Error::Constraint(what) => Self::Constraint(what),
            host::Error::Limit(what) => Self::Limit(what),
            host::Error::RefusedByPolicy(policy) => Self::RefusedByPolicy(policy),
            host::Error::Rejected(why) => Self::Rejected(why),
            host::Error::Unavailable(what) => Self::Unavailable(what),
            host::Error::Other(what) => Self::Other(what),
        }
    }
}
