//! Secrets that a step uses and never has.

use std::fmt;

use crate::bindings::wflo::secret::secrets as host;

/// Gives what stands for a secret that the step was granted, `secrets = ["stripe"]`.
///
/// Write it where the secret belongs, in a header or the body of a request: the host puts the secret in its place on
/// the way out, for the hosts that the deployment has bound it to, and takes it out of what they answer. Anywhere else
/// it is refused.
///
/// ```no_run
/// use wflo::{http, secret};
/// # fn step() -> wflo::Result<()> {
/// let key = secret("stripe")?;
/// http::post("https://api.stripe.com/v1/refunds")
///     .header("authorization", format!("Bearer {key}"))
///     .body_json(&wflo::json!({"charge": "ch_1"}))?
///     .send()?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`SecretError::AccessDenied`] for one that was not granted.
pub fn secret(label: &str) -> Result<Secret, SecretError> {
    host::placeholder(label).map(Secret).map_err(|error| match error {
        host::Error::AccessDenied(message) => SecretError::AccessDenied(message),
        host::Error::Unknown(message) => SecretError::Unknown(message),
        host::Error::Other(message) => SecretError::Other(message),
    })
}

/// What stands for a secret. It may be printed: it is of no use to anybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// The placeholder: letters, digits and hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretError {
    /// The step was not granted it.
    AccessDenied(String),
    /// The deployment binds none of that label.
    Unknown(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccessDenied(message) => write!(f, "access denied: {message}"),
            Self::Unknown(message) | Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for SecretError {}
