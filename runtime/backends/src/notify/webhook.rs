//! Signed requests to a server of one's own.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use sha2::Sha256;
use wflo_model::Label;
use wflo_ports::{Clock, Notification, Notifier, NotifyError};

use super::post::{BadChannel, Post};

/// Posts each notification as JSON, signed.
///
/// | header | |
/// |---|---|
/// | `wflo-id` | names the notification: the same however often it is told |
/// | `wflo-timestamp` | seconds since 1970 when it was sent; refuse what is older than a few minutes |
/// | `wflo-signature` | `v1=`, and in hex HMAC-SHA256 under the secret of the timestamp, a full stop, and the body |
///
/// Any status of 200 to 299 says that it was taken.
pub struct Webhook {
    post: Post,
    secret: String,
    clock: Arc<dyn Clock>,
    accepts: BTreeSet<Label>,
}

impl Webhook {
    /// Prepares to tell; connects to nothing yet.
    ///
    /// # Errors
    /// When the address cannot be used, or the secret is empty.
    pub fn new(
        url: &str,
        secret: impl Into<String>,
        clock: Arc<dyn Clock>,
        accepts: BTreeSet<Label>,
    ) -> Result<Self, BadChannel> {
        let secret = secret.into();
        if secret.is_empty() {
            return Err(BadChannel { message: "the secret of the webhook is empty".to_owned() });
        }
        Ok(Self { post: Post::new(url)?, secret, clock, accepts })
    }
}

/// The signature of a body that was sent at `timestamp`, in seconds since 1970: what a receiver compares with.
///
/// ```
/// use wflo_backends::notify::signature;
/// assert!(signature("secret", 1_700_000_000, "{}").starts_with("v1="));
/// assert_ne!(signature("secret", 1, "{}"), signature("secret", 2, "{}"));
/// ```
#[must_use]
pub fn signature(secret: &str, timestamp: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().fold("v1=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[async_trait]
impl Notifier for Webhook {
    async fn tell(&self, notification: &Notification) -> Result<(), NotifyError> {
        let mut body = serde_json::to_value(notification).expect("a notification has text keys");
        // Times as others read them.
        body["at"] = json!(notification.at.to_string());
        body["until"] = json!(notification.until.map(|at| at.to_string()));
        let body = body.to_string();
        let timestamp = self.clock.now().micros() / 1_000_000;
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("wflo-id", notification.id.clone()),
            ("wflo-timestamp", timestamp.to_string()),
            ("wflo-signature", signature(&self.secret, timestamp, &body)),
        ] {
            let value = HeaderValue::from_str(&value).expect("digits, hex and an id can be sent");
            headers.insert(HeaderName::from_static(name), value);
        }
        self.post.send(body, headers).await?.accepted()?;
        Ok(())
    }

    fn accepts(&self) -> &BTreeSet<Label> {
        &self.accepts
    }

    fn hears_decisions(&self) -> bool {
        true
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn the_signature_is_the_one_that_others_compute() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec
        assert_eq!(
            signature("whsec", 1_700_000_000, "{\"a\":1}"),
            "v1=8ad37ba156048ae0e0a5533c75cdf26fee88b07f93cb57ee4c80adb053012032"
        );
    }
}
