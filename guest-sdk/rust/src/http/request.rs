//! A request to be made.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::url::{encode, follow, same_origin};
use super::{Error, Response, wire};
use crate::artifact::{self, Artifact};
use crate::bindings::wflo::artifact::http as host;

/// How many redirects a `GET` or `HEAD` follows unless told otherwise.
const REDIRECTS: u32 = 5;

/// Begins a `GET`.
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// Begins a `POST`.
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// Begins a request with another method.
///
/// ```no_run
/// # use wflo::prelude::*;
/// # fn step() -> wflo::Result<()> {
/// http::request("DELETE", "https://api.example.org/reports/7").send()?;
/// # Ok(()) }
/// ```
pub fn request(method: impl Into<String>, url: impl Into<String>) -> Request {
    let method = method.into();
    let redirects = if matches!(method.as_str(), "GET" | "HEAD") { REDIRECTS } else { 0 };
    Request { method, url: url.into(), headers: Vec::new(), body: Vec::new(), timeout: None, redirects }
}

/// A request to be made; see [`get`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "nothing is sent before `send`, `text`, `json` or `bytes`"]
pub struct Request {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) timeout: Option<Duration>,
    redirects: u32,
}

impl Request {
    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Adds a parameter to the query of the address, encoded as forms are.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        let mark = if self.url.contains('?') { '&' } else { '?' };
        self.url = format!("{}{mark}{}={}", self.url, encode(name), encode(&value.to_string()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to a value as JSON, and the header that says so.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a value that JSON cannot hold.
    pub fn body_json(self, body: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(self.header("content-type", "application/json").body(body))
    }

    /// Sets how long the server may take to begin its answer. The host has a limit of its own.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how many redirects are followed: 5 for `GET` and `HEAD`, none for the others. Each is a request of its
    /// own that needs a grant; credentials are not sent on to another host.
    pub fn redirects(mut self, most: u32) -> Self {
        self.redirects = most;
        self
    }

    /// Sends it, and gives the answer, whatever its status.
    ///
    /// # Errors
    /// See [`Error`]; never [`Error::Status`].
    pub fn send(mut self) -> Result<Response, Error> {
        loop {
            let response = wire::send(&self)?;
            if !self.follows(&response) {
                return Ok(response);
            }
        }
    }

    /// Sends it, and keeps the body of a successful answer as an artifact of that name. The bytes go from the server to
    /// the artifact and not through the step: their number is limited by `limits.artifacts` alone.
    ///
    /// # Errors
    /// [`artifact::Error::Status`] for an answer that is none of success; see there for others.
    pub fn save(mut self, name: &str) -> Result<Artifact, artifact::Error> {
        loop {
            let (method, url) = (self.method.clone(), self.url.clone());
            let (headers, body) = (self.headers.clone(), self.body.clone());
            let host::Saved { status, headers, artifact, body } =
                host::save(&host::Request { method, url, headers, body }, name)?;
            if let Some(reference) = artifact {
                return Artifact::read(&reference);
            }
            let response = Response::new(status, headers, body);
            if !self.follows(&response) {
                let body = String::from_utf8_lossy(response.bytes());
                let body = body[..body.floor_char_boundary(500)].trim().to_owned();
                return Err(artifact::Error::Status { status, body });
            }
        }
    }

    /// Whether an answer sends it elsewhere, where it is ready to go then.
    fn follows(&mut self, response: &Response) -> bool {
        let moved = matches!(response.status(), 301 | 302 | 303 | 307 | 308);
        let Some(next) = response.header("location").filter(|_| moved && self.redirects > 0) else {
            return false;
        };
        let next = follow(&self.url, next);
        if !same_origin(&self.url, &next) {
            self.headers.retain(|(name, _)| !is_credential(name));
        }
        self.url = next;
        self.redirects -= 1;
        true
    }

    /// Sends it, and gives the body of a successful answer as text.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn text(self) -> Result<String, Error> {
        self.send()?.success()?.text()
    }

    /// Sends it, and reads the body of a successful answer as JSON.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.send()?.success()?.json()
    }

    /// Sends it, and gives the body of a successful answer as it is.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn bytes(self) -> Result<Vec<u8>, Error> {
        Ok(self.send()?.success()?.into_bytes())
    }
}

fn is_credential(name: &str) -> bool {
    ["authorization", "cookie", "x-api-key"].iter().any(|credential| name.eq_ignore_ascii_case(credential))
}

#[cfg(test)]
mod tests {
    use super::{get, post};

    #[test]
    fn a_request_says_what_it_was_given() {
        let request = get("https://x.example/a").query("q", "a b&c").query("n", 1).header("X-One", "1");
        assert_eq!(request.url, "https://x.example/a?q=a%20b%26c&n=1");
        assert_eq!(request.headers, [("X-One".to_owned(), b"1".to_vec())]);
        assert_eq!(request.redirects, 5);
        let request = post("https://x.example/").body_json(&[1]).unwrap();
        assert_eq!((request.body, request.redirects), (b"[1]".to_vec(), 0));
        assert_eq!(request.headers, [("content-type".to_owned(), b"application/json".to_vec())]);
    }
}
