//! Methods.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::as_text;

/// The method of a request: upper-case letters and hyphens.
///
/// `CONNECT` and `TRACE` are none: the one opens a tunnel that no grant sees into, the other hands headers back.
///
/// ```
/// use wflo_model::HttpMethod;
/// assert!("GET".parse::<HttpMethod>().unwrap().is_read());
/// assert!(!"POST".parse::<HttpMethod>().unwrap().is_read());
/// assert!("get".parse::<HttpMethod>().is_err());
/// assert!("CONNECT".parse::<HttpMethod>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpMethod(Arc<str>);

/// Longest method. The longest registered one has 17 letters.
const LONGEST: usize = 32;

impl HttpMethod {
    /// The method as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it only reads, and may be done again: `GET` and `HEAD`.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self.as_str(), "GET" | "HEAD")
    }
}

impl FromStr for HttpMethod {
    type Err = BadHttpMethod;

    fn from_str(text: &str) -> Result<Self, BadHttpMethod> {
        let letters = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        let starts = text.starts_with(|c: char| c.is_ascii_uppercase());
        if !letters || !starts || text.len() > LONGEST || matches!(text, "CONNECT" | "TRACE") {
            return Err(BadHttpMethod { text: text.chars().take(LONGEST).collect() });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for HttpMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(HttpMethod);

/// A text that is no method a step may use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a method: write it in upper case, such as `GET`; `CONNECT` and `TRACE` cannot be used", .text.escape_debug())]
pub struct BadHttpMethod {
    /// The text, or its beginning.
    pub text: String,
}
