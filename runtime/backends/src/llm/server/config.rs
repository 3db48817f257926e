//! How a server is reached.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use wflo_model::ModelName;

/// How to reach a server that models are behind.
///
/// ```
/// use wflo_backends::llm::ServerConfig;
/// let models = vec!["gpt-4".parse().unwrap()];
/// let config = ServerConfig::new("http://127.0.0.1:8080/v1", models).with_api_key("sk-secret");
/// assert!(!format!("{config:?}").contains("sk-secret"));
/// ```
#[derive(Clone)]
pub struct ServerConfig {
    /// The address up to the version, such as `https://api.openai.com/v1`. A query in it is kept.
    pub base_url: String,
    /// Shown to the server in the header that its API has for it. Never shown elsewhere and never logged.
    pub api_key: Option<String>,
    /// The models this server answers for.
    pub models: Vec<ModelName>,
    /// Longest time of one try, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// How many times a request is sent again where that is safe.
    pub max_retries: u32,
}

impl ServerConfig {
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

    /// The address requests go to: `path` under the base.
    pub(super) fn endpoint(&self, path: &[&str]) -> Result<Url, BadServerConfig> {
        let bad = |reason: &'static str| BadServerConfig::BaseUrl { reason };
        let mut url = Url::parse(&self.base_url).map_err(|_| bad("it is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it begins with neither `http://` nor `https://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it holds credentials; use `api_key`"));
        }
        url.set_fragment(None);
        url.path_segments_mut().map_err(|()| bad("it has no host"))?.pop_if_empty().extend(path);
        Ok(url)
    }

    /// The value of the header that carries the key, after `scheme`; none without a key.
    pub(in crate::llm) fn key(&self, scheme: &str) -> Result<Option<HeaderValue>, BadServerConfig> {
        let Some(key) = &self.api_key else { return Ok(None) };
        if key.trim().is_empty() {
            return Err(BadServerConfig::ApiKey);
        }
        let value = HeaderValue::from_str(&format!("{scheme}{}", key.trim()));
        let mut value = value.map_err(|_| BadServerConfig::ApiKey)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            // Whoever writes credentials into the address gets an error, which shows no more than this.
            .field("base_url", &self.endpoint(&[]).map_or_else(|_| "(bad)".to_owned(), |url| shown(&url)))
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
pub enum BadServerConfig {
    /// The address.
    #[error(
        "`base_url` cannot be used: {reason}; it is the address up to the version, such as `https://api.openai.com/v1`"
    )]
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
    use super::{BadServerConfig, ServerConfig};

    #[test]
    fn the_endpoint_follows_the_base() {
        let check = |base: &str, expect: &str| {
            assert_eq!(
                ServerConfig::new(base, vec![]).endpoint(&["chat", "completions"]).unwrap().as_str(),
                expect
            );
        };
        check("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1/chat/completions");
        check("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1/chat/completions");
        check("http://localhost", "http://localhost/chat/completions");
        check("https://x.example/d?api-version=1", "https://x.example/d/chat/completions?api-version=1");
    }

    #[test]
    fn what_cannot_work_is_refused_without_showing_it() {
        for base in ["", "api.openai.com", "ftp://x", "data:x", "http://user:pa55@x/v1"] {
            let config = ServerConfig::new(base, vec![]);
            let error = config.endpoint(&[]).unwrap_err();
            assert!(matches!(error, BadServerConfig::BaseUrl { .. }), "{base}");
            assert!(!format!("{error} {config:?}").contains("pa55"));
        }
        for key in ["", " ", "a\nb"] {
            let config = ServerConfig::new("http://x", vec![]).with_api_key(key);
            assert_eq!(config.key("Bearer ").unwrap_err(), BadServerConfig::ApiKey);
        }
    }
}
