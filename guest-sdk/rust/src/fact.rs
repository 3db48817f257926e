//! Claims that policies hear.

use std::fmt;

use serde::Serialize;

use crate::bindings::wflo::approval::policy as host;

/// Claims a fact that the step declares in `workflow.toml`, and hears what the policies say to it.
///
/// Where a policy has people asked, the step parks until they have decided, at no cost. A policy of `on_reject =
/// "continue"` gives a rejection back as a verdict; every other ends the step.
///
/// ```no_run
/// # fn step() -> wflo::Result<()> {
/// if !wflo::fact("confidence", 0.72)?.permits() {
///     wflo::bail!("the moderators do not agree");
/// }
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`FactError::AccessDenied`] for a fact that is not declared, [`FactError::RefusedByPolicy`] for one that a policy
/// denies.
pub fn fact(name: &str, value: impl Serialize) -> Result<Verdict, FactError> {
    let value = serde_json::to_string(&value).map_err(|error| FactError::Invalid(error.to_string()))?;
    match host::fact(name, &value) {
        Ok(host::Verdict::Unopposed) => Ok(Verdict::Unopposed),
        Ok(host::Verdict::AutoApproved) => Ok(Verdict::AutoApproved),
        Ok(host::Verdict::Approved) => Ok(Verdict::Approved),
        Ok(host::Verdict::Rejected) => Ok(Verdict::Rejected),
        Err(host::Error::AccessDenied(message)) => Err(FactError::AccessDenied(message)),
        Err(host::Error::Invalid(message)) => Err(FactError::Invalid(message)),
        Err(host::Error::RefusedByPolicy(policy)) => Err(FactError::RefusedByPolicy(policy)),
        Err(host::Error::Other(message)) => Err(FactError::Other(message)),
    }
}

/// What the policies said to a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a rejection is a verdict, not an error"]
pub enum Verdict {
    /// None objects.
    Unopposed,
    /// One permits it outright.
    AutoApproved,
    /// People were asked and have approved.
    Approved,
    /// People were asked and have rejected it, or did not decide in time.
    Rejected,
}

impl Verdict {
    /// Whether the step may go on with what it claimed.
    ///
    /// ```
    /// use wflo::Verdict;
    /// assert!(Verdict::Unopposed.permits() && !Verdict::Rejected.permits());
    /// ```
    #[must_use]
    pub const fn permits(self) -> bool {
        !matches!(self, Self::Rejected)
    }
}

/// Why a fact was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FactError {
    /// The step declares no fact of that name.
    AccessDenied(String),
    /// The value cannot be written as JSON.
    Invalid(String),
    /// A policy denied it; its name.
    RefusedByPolicy(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for FactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied(message) => write!(f, "access denied: {message}"),
            Self::RefusedByPolicy(policy) => write!(f, "policy `{policy}` denied the fact"),
            Self::Invalid(message) | Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for FactError {}
