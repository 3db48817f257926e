//! Why a step did not succeed.

use std::any::Any;
use std::fmt;

use crate::{artifact, db, http, llm, terraform};

/// The result of a step, and of most functions in one.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a step did not succeed, and whether another attempt may help.
///
/// Made from any error by `?`. Errors of this crate choose their own kind, [`llm::Error::kind`],
/// [`db::Error::kind`], [`http::Error::kind`] and [`terraform::Error::kind`]; every other error is [permanent](FailureKind::Permanent).
///
/// ```
/// use wflo::FailureKind;
///
/// fn parse(text: &str) -> wflo::Result<u32> {
///     Ok(text.parse()?)
/// }
///
/// let error = parse("x").unwrap_err();
/// assert_eq!(error.kind(), FailureKind::Permanent);
/// assert_eq!(error.to_string(), "invalid digit found in string");
/// ```
pub struct Error {
    kind: FailureKind,
    message: String,
}

/// What another attempt could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It cannot help.
    Permanent,
    /// It may help; what models answered is kept, and not paid for again.
    Retryable,
    /// It may help, and models are to be asked afresh.
    Redo,
}

impl Error {
    /// What another attempt could do.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The same error as another kind.
    ///
    /// ```
    /// # use wflo::{Error, FailureKind};
    /// let error: Error = wflo::permanent("the ledger is closed").with_kind(FailureKind::Retryable);
    /// assert_eq!(error.kind(), FailureKind::Retryable);
    /// ```
    #[must_use]
    pub fn with_kind(mut self, kind: FailureKind) -> Self {
        self.kind = kind;
        self
    }
}

/// Makes an error that no other attempt can mend.
///
/// ```
/// # fn check(passed: bool) -> wflo::Result<()> {
/// if !passed {
///     return Err(wflo::permanent("quality check failed"));
/// }
/// # Ok(()) }
/// # assert!(check(false).is_err());
/// ```
#[must_use]
pub fn permanent(message: impl fmt::Display) -> Error {
    Error { kind: FailureKind::Permanent, message: message.to_string() }
}

/// Makes an error after which another attempt may help. What models answered is kept.
#[must_use]
pub fn retryable(message: impl fmt::Display) -> Error {
    Error { kind: FailureKind::Retryable, message: message.to_string() }
}

/// Makes an error after which another attempt may help that asks models afresh: their answers were no use.
#[must_use]
pub fn redo(message: impl fmt::Display) -> Error {
    Error { kind: FailureKind::Redo, message: message.to_string() }
}

/// Returns from a step with a [permanent](permanent) error; takes what `format!` takes.
///
/// ```
/// fn check(left: i64) -> wflo::Result<()> {
///     if left < 0 {
///         wflo::bail!("{left} left, which cannot be");
///     }
///     Ok(())
/// }
/// assert_eq!(check(-1).unwrap_err().to_string(), "-1 left, which cannot be");
/// ```
#[macro_export]
macro_rules! bail {
    ($($message:tt)+) => {
        return ::core::result::Result::Err($crate::permanent(::core::format_args!($($message)+)))
    };
}

impl<E: std::error::Error + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let any: &dyn Any = &error;
        let kind = if let Some(error) = any.downcast_ref::<llm::Error>() {
            error.kind()
        } else if let Some(error) = any.downcast_ref::<db::Error>() {
            error.kind()
        } else if let Some(error) = any.downcast_ref::<http::Error>() {
            error.kind()
        } else if let Some(crate::KnowledgeError::Unavailable(_)) = any.downcast_ref() {
            FailureKind::Retryable
        } else if let Some(error) = any.downcast_ref::<artifact::Error>() {
            error.kind()
        } else if let Some(error) = any.downcast_ref::<terraform::Error>() {
            error.kind()
        } else {
            FailureKind::Permanent
        };
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self { kind, message }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through<E: std::error::Error + 'static>(error: E) -> Error {
        let fail = || -> Result<()> { Err(error)? };
        fail().unwrap_err()
    }

    #[test]
    fn errors_choose_their_kind() {
        assert_eq!(through(llm::Error::RateLimited(Some(3))).kind(), FailureKind::Retryable);
        assert_eq!(through(llm::Error::AccessDenied("gpt-4".into())).kind(), FailureKind::Permanent);
        assert_eq!(through(db::Error::Unavailable("busy".into())).kind(), FailureKind::Retryable);
        assert_eq!(through(db::Error::AccessDenied("accounts".into())).kind(), FailureKind::Permanent);
        assert_eq!(through(http::Error::Unavailable).kind(), FailureKind::Retryable);
        assert_eq!(through(http::Error::AccessDenied("https://x/".into())).kind(), FailureKind::Permanent);
        assert_eq!(through(terraform::Error::Stale("plan again".into())).kind(), FailureKind::Retryable);
        assert_eq!(through(terraform::Error::Failed("no".into())).kind(), FailureKind::Permanent);
        assert_eq!(through(std::fmt::Error).kind(), FailureKind::Permanent);
    }

    #[test]
    fn the_message_names_every_cause() {
        let source = serde_json::from_str::<u8>("x").unwrap_err();
        let error = through(crate::ContextError::Decode { what: "input `since`".into(), source });
        assert_eq!(error.to_string(), "input `since` has another type: expected value at line 1 column 1");
    }
}
