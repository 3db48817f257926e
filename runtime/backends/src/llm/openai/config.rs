//! How a server is reached.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use wflo_model::ModelName;

/// How to reach a server that speaks the chat completions API.
///
/// ```
/// use wflo_backends::llm::OpenAiConfig;
/// let models = vec!["gpt-4".parse().unwrap()];
/// let config = OpenAiConfig::new("http://127.0.0.1:8080/v1", models).with_api_key("sk-secret");
/// assert!(!format!("{config:?}").contains("sk-secret"));
/// ```
#[derive(Clone)]
pub struct OpenAiConfig {
    /// The address before `/chat/completions`, such as `https://api.openai.com/v1`. A query in it is kept.
    pub base_url: String,
    /// Sent as a bearer token. Never shown and never logged.
    pub api_key: Option<String>,
    /// The models this server answers for.
    pub models: Vec<ModelName>,
    /// Longest time of one try, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// How many times a request is sent again where that is safe.
    pub max_retries: u32,
}

impl OpenAiConfig {
    /// A server without a key: 5 minutes for a try, 3 retries.
    #[must_use]
    pub fn new(base_url: impl Into<String>, models: Vec<ModelName>) -> Self {
        Self {
            base_url: base_url.into(),
            api_key: None,
            models,
            timeout: Duration::from_secs(300),
            max_retries: 3,
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn with_api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// The address requests go to.
    pub(super) fn endpoint(&self) -> Result<Url, BadOpenAiConfig> {
        let bad = |reason: &'static str| BadOpenAiConfig::BaseUrl { reason };
        let mut url = Url::parse(&self.base_url).map_err(|_| bad("it is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it begins with neither `http://` nor `https://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it holds credentials; use `api_key`"));
        }
        url.set_fragment(None);
        url.path_segments_mut()
            .map_err(|()| bad("it has no host"))?
            .pop_if_empty()
            .extend(["chat", "completions"]);
        Ok(url)
    }

    /// The value of the `Authorization` header.
    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, BadOpenAiConfig> {
        let Some(key) = &self.api_key else { return Ok(None) };
        if key.trim().is_empty() {
            return Err(BadOpenAiConfig::ApiKey);
        }
        let mut value =
            HeaderValue::from_str(&format!("Bearer {}", key.trim())).map_err(|_| BadOpenAiConfig::ApiKey)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl fmt::Debug for OpenAiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiConfig")
            // Whoever writes credentials into the address gets an error, which shows no more than this.
            .field("base_url", &self.endpoint().map_or_else(|_| "(bad)".to_owned(), |url| shown(&url)))
            .field("api_key", &self.api_key.as_ref().map(|_| "(hidden)"))
            .field("models", &self.models)
            .field("timeout", &self.timeout)
            .field("max_retries", &self.max_retries)
            .finish()
    }
}

/// An address without its query, which may hold a key.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadOpenAiConfig {
    /// The address.
    #[error("`base_url` cannot be used: {reason}; it is the address before `/chat/completions`")]
    BaseUrl {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The key.
    #[error("`api_key` is empty or holds characters that no HTTP header can carry")]
    ApiKey,
    /// The HTTP client did not start.
    #[error("the HTTP client does not start: {message}")]
    Client {
        /// What it said.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::{BadOpenAiConfig, OpenAiConfig};

    #[test]
    fn the_endpoint_follows_the_base() {
        let check = |base: &str, expect: &str| {
            assert_eq!(OpenAiConfig::new(base, vec![]).endpoint().unwrap().as_str(), expect);
        };
        check("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1/chat/completions");
        check("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1/chat/completions");
        check("http://localhost", "http://localhost/chat/completions");
        check("https://x.example/d?api-version=1", "https://x.example/d/chat/completions?api-version=1");
    }

    #[test]
    fn what_cannot_work_is_refused_without_showing_it() {
        for base in ["", "api.openai.com", "ftp://x", "data:x", "http://user:pa55@x/v1"] {
            let config = OpenAiConfig::new(base, vec![]);
            let error = config.endpoint().unwrap_err();
            assert!(matches!(error, BadOpenAiConfig::BaseUrl { .. }), "{base}");
            assert!(!format!("{error} {config:?}").contains("pa55"));
        }
        for key in ["", " ", "a\nb"] {
            let config = OpenAiConfig::new("http://x", vec![]).with_api_key(key);
            assert_eq!(config.authorization().unwrap_err(), BadOpenAiConfig::ApiKey);
        }
    }
}
