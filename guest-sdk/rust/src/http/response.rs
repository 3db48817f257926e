//! An answer.

use serde::de::DeserializeOwned;

use super::Error;

/// Most of a body that an error shows.
const SHOWN: usize = 500;

/// An answer, in whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Response {
    pub(super) const fn new(status: u16, headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Self {
        Self { status, headers, body }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status says success.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..300)
    }

    /// The first value of a header, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body, to keep.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.body
    }

    /// The body as text.
    ///
    /// # Errors
    /// [`Error::Decode`] if it is not UTF-8.
    pub fn text(self) -> Result<String, Error> {
        String::from_utf8(self.body).map_err(|error| Error::Decode(error.to_string()))
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`Error::Decode`] if it is not JSON, or of another type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Decode(error.to_string()))
    }

    /// The answer, if it is one of success.
    ///
    /// # Errors
    /// [`Error::Status`] with the beginning of the body.
    pub fn success(self) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(&self.body);
        let body = body[..body.floor_char_boundary(SHOWN)].trim().to_owned();
        Err(Error::Status { status: self.status, body })
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Response};

    #[test]
    fn an_answer_is_read_as_what_it_is_asked_for() {
        let answer = |status, body: &[u8]| {
            Response::new(status, vec![("Content-Type".into(), b"text/plain".to_vec())], body.to_vec())
        };
        assert_eq!(answer(200, b"[1]").json::<Vec<u8>>().unwrap(), [1]);
        assert!(matches!(answer(200, b"x").json::<u8>(), Err(Error::Decode(_))));
        assert!(matches!(answer(200, &[0xff]).text(), Err(Error::Decode(_))));
        assert_eq!(answer(200, b"").header("content-type"), Some("text/plain"));
        assert!(answer(204, b"").success().is_ok());
        let error = answer(404, " no such paper\n".as_bytes()).success().unwrap_err();
        assert_eq!(error.to_string(), "the server answered 404: no such paper");
        let Err(Error::Status { body, .. }) = answer(500, "é".repeat(1000).as_bytes()).success() else {
            panic!()
        };
        assert_eq!(body.len(), 500);
    }
}
