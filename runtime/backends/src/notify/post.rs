//! Posting JSON to a channel's server.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Url};
use wflo_ports::NotifyError;

use crate::web::{self, all_causes};

/// Longest time for the whole.
const WHOLE: Duration = Duration::from_secs(20);
/// Most bytes of an answer that are looked at. Those of channels are a few words.
const ANSWER: usize = 16 * 1024;
/// Most characters of it that are shown.
const SHOWN: usize = 200;

/// A channel that cannot be used as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadChannel {
    /// Why.
    pub message: String,
}

/// Posts to one address.
pub(crate) struct Post {
    client: Client,
    url: Url,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    retry_after: Option<Duration>,
}

impl Post {
    /// The address is a secret: no message shows it.
    pub(crate) fn new(url: &str) -> Result<Self, BadChannel> {
        let bad = |message: &str| BadChannel { message: message.to_owned() };
        let url = Url::parse(url).map_err(|error| bad(&format!("the address of the channel: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("the address of the channel must begin with `http://` or `https://`"));
        }
        let client = web::client(url.scheme() == "http")
            .retry(reqwest::retry::never())
            .timeout(WHOLE)
            .build()
            .map_err(|error| bad(&format!("the HTTP client does not start: {}", all_causes(error))))?;
        Ok(Self { client, url })
    }

    /// Posts a body of JSON.
    pub(crate) async fn send(&self, body: String, headers: HeaderMap) -> Result<Answer, NotifyError> {
        let later = |error| NotifyError::Later { message: all_causes(error), after: None };
        let post = self.client.post(self.url.clone()).headers(headers);
        let post = post.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body);
        let mut answer = post.send().await.map_err(later)?;
        let status = answer.status().as_u16();
        let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(later)? {
            let room = ANSWER - bytes.len();
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if bytes.len() == ANSWER {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer { status, text, retry_after: seconds.map(Duration::from_secs) })
    }
}

impl Answer {
    /// Whether it was taken, by the status alone.
    pub(crate) fn accepted(self) -> Result<Self, NotifyError> {
        match self.status {
            200..=299 => Ok(self),
            408 | 425 | 429 | 500.. => Err(self.later()),
            _ => Err(self.refused()),
        }
    }

    pub(crate) fn later(&self) -> NotifyError {
        NotifyError::Later { message: self.said(), after: self.retry_after }
    }

    pub(crate) fn refused(&self) -> NotifyError {
        NotifyError::Refused { message: self.said() }
    }

    fn said(&self) -> String {
        let said: String = self.text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect();
        let said = said.trim();
        let cut: String = said.chars().take(SHOWN).collect();
        match (self.status, cut.is_empty()) {
            (status, true) => format!("the channel answered with status {status}"),
            (status, false) => format!("the channel answered with status {status}: {cut}"),
        }
    }
}

/// A header's value that may be a secret.
pub(crate) fn secret(name: HeaderName, value: &str) -> Result<(HeaderName, HeaderValue), BadChannel> {
    let mut value = HeaderValue::from_str(value).map_err(|_| BadChannel {
        message: "the secret of the channel cannot be sent in a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok((name, value))
}
