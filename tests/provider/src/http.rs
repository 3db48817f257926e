//! As much of HTTP/1.1 as clients of the API speak.

use std::io::{self, BufRead, Error, ErrorKind, Read, Write};

use serde_json::{Value, json};

/// More than any test sends.
const MOST_BYTES: u64 = 64 << 20;

pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads the next request; none when the client has closed, or said it would after the last one.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Err(Error::new(ErrorKind::InvalidData, "no request line"));
        };
        let (method, path) = (method.to_owned(), path.to_owned());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        let mut request = Self { method, path, body: Vec::new(), headers };
        let length: u64 = match request.header("content-length") {
            Some(text) => text.parse().map_err(|_| Error::new(ErrorKind::InvalidData, "no length"))?,
            None => 0,
        };
        if length > MOST_BYTES || request.header("transfer-encoding").is_some() {
            return Err(Error::new(ErrorKind::InvalidData, "a body of unknown or absurd length"));
        }
        reader.take(length).read_to_end(&mut request.body)?;
        Ok(Some(request))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether the client wants the connection closed after this request.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

pub(crate) struct Response {
    status: u16,
    body: Value,
    pub(crate) retry_after: Option<u32>,
}

impl Response {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.clone(), retry_after: None }
    }

    /// What answers, in other words; an error stays as it is.
    pub(crate) fn map(mut self, words: impl FnOnce(&Value) -> Value) -> Self {
        if self.status == 200 {
            self.body = words(&self.body);
        }
        self
    }

    /// An error, in the form of the API.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let kind = if status == 429 { "rate_limit_exceeded" } else { "provider_error" };
        Self::json(
            status,
            &json!({ "error": { "message": message, "type": kind, "param": null, "code": null } }),
        )
    }

    pub(crate) fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            404 => "Not Found",
            429 => "Too Many Requests",
            500 => "Internal Server Error",
            503 => "Service Unavailable",
            _ => "Other",
        };
        let mut text = format!("HTTP/1.1 {} {reason}\r\nContent-Type: application/json\r\n", self.status);
        if let Some(seconds) = self.retry_after {
            text.push_str(&format!("Retry-After: {seconds}\r\n"));
        }
        let body = self.body.to_string();
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        writer.write_all(text.as_bytes())?;
        writer.flush()
    }
}
