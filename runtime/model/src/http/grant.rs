//! What a step may request over HTTP.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{HttpHeaderName, HttpMethod, HttpPattern, HttpUrl};

/// One kind of request that a step may make.
///
/// ```
/// use wflo_model::HttpGrant;
/// let grant = HttpGrant::new("GET https://export.arxiv.org/api/*".parse().unwrap());
/// assert_eq!(serde_json::to_string(&grant).unwrap(), r#"{"allow":"GET https://export.arxiv.org/api/*"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HttpGrant {
    /// Which requests.
    pub allow: HttpPattern,
    /// How the server tells a repeated request from a new one, where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
}

/// A server's promise to do a request once, however often it comes with the same key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Idempotency {
    /// The header that carries the key. The host sets it, and the guest may not.
    pub header: HttpHeaderName,
    /// How long the server remembers a key. Past it, a request whose outcome is not known is not made again.
    pub ttl: Duration,
}

impl HttpGrant {
    /// Allows requests whose server keeps no keys.
    #[must_use]
    pub const fn new(allow: HttpPattern) -> Self {
        Self { allow, idempotency: None }
    }

    /// Whether everything `narrower` allows is allowed by this: reflexive, transitive.
    ///
    /// It is about which requests may be made. How one is made again after a crash gives no right to make it.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        self.allow.covers(&narrower.allow)
    }

    /// Of `grants`, the one that a request is made under: the first that allows it, and of those that do, one
    /// with a key before one without.
    pub fn find<'a>(
        grants: impl IntoIterator<Item = &'a Self>,
        method: &HttpMethod,
        url: &HttpUrl,
    ) -> Option<&'a Self> {
        let mut first = None;
        for grant in grants.into_iter().filter(|grant| grant.allow.matches(method, url)) {
            if grant.idempotency.is_some() {
                return Some(grant);
            }
            first.get_or_insert(grant);
        }
        first
    }
}
