//! Messages to people on channels.

use crate::bindings::wflo::notify::channel as host;
use crate::mail::Error;

/// Queues a message for a channel that the step was granted, `grants.notify = ["slack://cs-managers"]`: a line, and what
/// it says as plain text. It leaves when the step has succeeded, with the run and the step it comes from.
///
/// ```no_run
/// # fn step() -> wflo::Result<()> {
/// wflo::notify("slack://cs-managers", "a refund of 150 USD", "was paid to order 7")?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Error::AccessDenied`] for a channel that was not granted, or that does not accept the labels of the step's data.
pub fn notify(
    address: impl AsRef<str>,
    title: impl Into<String>,
    text: impl Into<String>,
) -> Result<(), Error> {
    let message = host::Message { title: title.into(), text: text.into() };
    host::send(address.as_ref(), &message).map_err(|error| match error {
        host::Error::AccessDenied(message) => Error::AccessDenied(message),
        host::Error::Unknown(message) => Error::Unknown(message),
        host::Error::RefusedByPolicy(policy) => Error::RefusedByPolicy(policy),
        host::Error::Rejected(message) => Error::Rejected(message),
        host::Error::Invalid(message) => Error::Invalid(message),
        host::Error::Other(message) => Error::Other(message),
    })
}
