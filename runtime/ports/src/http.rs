//! Requests over HTTP.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wflo_model::{HttpHeaderName, HttpMethod, HttpUrl, Octets};

/// Makes requests over HTTP.
///
/// Whether a request may be made is decided before it comes here. What an implementation owes is that it goes
/// where its address says and nowhere else:
///
/// - A host that is an address is connected to as it is: a grant has named it. `localhost` leads to loopback
///   addresses only. Any other name leads to [public](wflo_model::is_public) addresses only: it is looked up
///   once for a connection, every address is checked, and the connection goes to one that was.
/// - No proxy of the environment is used.
/// - Redirects are not followed. They are answers like others; whoever asked may ask again, and that request is
///   decided about as any other.
/// - Nothing is sent twice.
#[async_trait]
pub trait HttpClient: Send + Sync {
    /// Makes one request, and takes the answer in whole.
    ///
    /// Dropping the future abandons the request; the server may do it all the same.
    ///
    /// # Errors
    /// See [`HttpError`]. An answer of any status is no error.
    async fn send(&self, request: &HttpRequest, limits: HttpLimits) -> Result<HttpResponse, HttpError>;

    /// Makes one request, and hands the body of the answer on as it comes; gives the answer without it.
    ///
    /// A client that has no better way takes the answer in whole, which is what this does unless it is written anew.
    ///
    /// # Errors
    /// As [`send`](Self::send); and what `body` says.
    async fn receive(
        &self,
        request: &HttpRequest,
        limits: HttpLimits,
        body: &mut dyn BodySink,
    ) -> Result<HttpResponse, HttpError> {
        let mut answer = self.send(request, limits).await?;
        let whole = std::mem::take(&mut answer.body);
        body.begins(&answer);
        body.take(whole.as_bytes()).await?;
        Ok(answer)
    }
}

/// Takes the body of an answer as it comes.
#[async_trait]
pub trait BodySink: Send {
    /// The answer has come but for its body.
    fn begins(&mut self, answer: &HttpResponse);

    /// The next piece of the body.
    ///
    /// # Errors
    /// [`HttpError::TooLarge`] or [`HttpError::NotKept`]: nothing more is wanted of it.
    async fn take(&mut self, piece: &[u8]) -> Result<(), HttpError>;
}

/// Looks up the addresses of names: the one place where a name becomes an address.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses of a name.
    ///
    /// # Errors
    /// When there are none, or they cannot be asked for now.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// A request. Its JSON is what the journal keeps, and what `wasi:http/outgoing-handler.handle` has as arguments.
///
/// ```
/// use wflo_ports::HttpRequest;
/// let request: HttpRequest = serde_json::from_str(
///     r#"{"method":"POST","url":"https://example.org/api","headers":[["accept","*/*"]],"body":"{}"}"#,
/// )
/// .unwrap();
/// assert_eq!(request.body.as_text(), Some("{}"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// The method.
    pub method: HttpMethod,
    /// The address.
    pub url: HttpUrl,
    /// Headers in order, a name as often as it has values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(HttpHeaderName, Octets)>,
    /// The body.
    #[serde(default, skip_serializing_if = "Octets::is_empty")]
    pub body: Octets,
    /// How long the first byte of the answer may take, in milliseconds, where that is less than the host allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<u64>,
    /// How long any next part of the answer may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between_bytes_ms: Option<u64>,
}

impl HttpRequest {
    /// A request without headers and body.
    #[must_use]
    pub const fn new(method: HttpMethod, url: HttpUrl) -> Self {
        let body = Octets::new();
        Self { method, url, headers: Vec::new(), body, first_byte_ms: None, between_bytes_ms: None }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Headers in order, without those of the connection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(HttpHeaderName, Octets)>,
    /// The body.
    #[serde(default, skip_serializing_if = "Octets::is_empty")]
    pub body: Octets,
}

impl HttpResponse {
    /// Whether the server is done with the request, so that the answer may stand for it from now on. A server
    /// that was busy, or failed, is not: asked again, it may answer otherwise.
    ///
    /// ```
    /// use wflo_ports::HttpResponse;
    /// let answer = |status| HttpResponse { status, headers: vec![], body: "".into() };
    /// assert!(answer(201).is_settled() && answer(404).is_settled());
    /// assert!(!answer(429).is_settled() && !answer(503).is_settled());
    /// ```
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        !matches!(self.status, 408 | 425 | 429 | 500..)
    }
}

/// How much one request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Most bytes of the answer's body.
    pub response: u64,
    /// Longest time, from the look-up of the name to the last byte of the answer.
    pub time: Duration,
}

impl Default for HttpLimits {
    /// 4 MiB, 60 s.
    fn default() -> Self {
        Self { response: 4 << 20, time: Duration::from_secs(60) }
    }
}

/// Why a request has no answer, cut by whether the server may have done it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The name leads to an address that it must not lead to. Nothing was connected to.
    #[error("{message}")]
    Prohibited {
        /// Which.
        message: String,
    },
    /// The request cannot be written as HTTP. Nothing was sent.
    #[error("{message}")]
    Invalid {
        /// Why.
        message: String,
    },
    /// There was no connection: nothing was sent.
    #[error("{message}")]
    NotSent {
        /// Why.
        message: String,
    },
    /// The request was sent, and no answer came, or not all of it. The server may have done it.
    #[error("{message}")]
    Lost {
        /// What happened.
        message: String,
    },
    /// The answer is too large. The server has done it.
    #[error("the answer has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Whoever takes the answer could not keep it. The server has done it.
    #[error("the answer could not be kept: {message}")]
    NotKept {
        /// Why.
        message: String,
    },
}
