//! Results, published to a server.

use serde::Serialize;

use crate::http::{Error, Response, post};

/// Publishes a value: posts it as JSON to an address that the step was granted.
///
/// ```no_run
/// # fn step() -> wflo::Result<()> {
/// let review = wflo::json!({ "title": "What 100 papers say", "body": "..." });
/// wflo::publish("https://reviews.example.org/api/drafts", &review)?;
/// # Ok(()) }
/// ```
///
/// Publish with a grant that names the header in which the server takes an idempotency key, and how long it remembers
/// one:
///
/// ```toml
/// grants.http = [
///     { allow = "POST https://reviews.example.org/api/*", idempotency_header = "Idempotency-Key", ttl = "24h" },
/// ]
/// ```
///
/// The host sets the header to a key of this step of this run, so that what is published again after a crash or in
/// another attempt is published once. Without it, a crash while the request is under way leaves nobody knowing, and the
/// run waits for a person to say.
///
/// A secret goes in by [`http::post`](crate::http::post), which takes headers.
///
/// # Errors
/// Those of a request, and [`Error::Status`] for any answer but success.
pub fn publish(url: impl Into<String>, value: &(impl Serialize + ?Sized)) -> Result<Response, Error> {
    post(url).body_json(value)?.send()?.success()
}
