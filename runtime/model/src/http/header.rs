//! Names of headers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::as_text;

/// The name of a header that a step may send, in lower case.
///
/// Headers that steer the connection are none: they belong to whoever holds it, which is the host. With one of
/// them a guest could reach another site through a granted one (`host`), or put a second request behind the
/// first (`transfer-encoding`).
///
/// ```
/// use wflo_model::HttpHeaderName;
/// let name: HttpHeaderName = "Idempotency-Key".parse().unwrap();
/// assert_eq!(name.as_str(), "idempotency-key");
/// assert!("Host".parse::<HttpHeaderName>().is_err());
/// assert!("x\r\nHost: other".parse::<HttpHeaderName>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpHeaderName(Arc<str>);

/// Longest name, against a guest that fills the journal with them.
const LONGEST: usize = 256;

/// What the connection's owner sets, and nobody else.
const OF_THE_CONNECTION: &[&str] = &[
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl HttpHeaderName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HttpHeaderName {
    type Err = BadHttpHeader;

    fn from_str(text: &str) -> Result<Self, BadHttpHeader> {
        // RFC 9110, section 5.6.2: a token.
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let shown = || text.chars().take(64).collect();
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(token) {
            return Err(BadHttpHeader::NoName { text: shown() });
        }
        let name = text.to_ascii_lowercase();
        if OF_THE_CONNECTION.contains(&name.as_str()) {
            return Err(BadHttpHeader::OfTheConnection { name });
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for HttpHeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(HttpHeaderName);

/// A text that names no header a step may send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadHttpHeader {
    /// It is no name at all.
    #[error("`{}` is not the name of a header", .text.escape_debug())]
    NoName {
        /// The text, or its beginning.
        text: String,
    },
    /// It steers the connection.
    #[error("header `{name}` is the host's to set")]
    OfTheConnection {
        /// The name.
        name: String,
    },
}
