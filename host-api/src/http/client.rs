//! `wflo:http/client`: a request in one call. Behind this it is the call that `wasi:http` makes.

use wflo_model::CallError;
use wflo_ports::{HttpRequest, HttpResponse};

use super::handler::{FUNCTION, INTERFACE, call_of};
use super::request::{OutgoingRequest, RequestOptions};
use super::{Fields, HttpView};
use crate::bindings::wflo::http::client::{self, Error, Request, Response};
use crate::link::unexpected;

impl client::Host for HttpView<'_> {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        self.gate()?;
        let request = match self.request_of(request) {
            Ok(request) => request,
            Err(error) => return Ok(Err(error)),
        };
        match self.gate()?.call(call_of(&request)).await? {
            Ok(value) => match serde_json::from_value(value) {
                Ok(response) => Ok(Ok(told(response))),
                Err(error) => Err(unexpected(INTERFACE, FUNCTION, &error.to_string())),
            },
            Err(error) => Ok(Err(refused(error))),
        }
    }
}

impl HttpView<'_> {
    /// The request in the form that the gate judges; held to everything that one of `wasi:http` is held to.
    fn request_of(&self, request: Request) -> Result<HttpRequest, Error> {
        let Request { method, url, headers, body, first_byte_ms } = request;
        // A query may hold a key, and errors end in journals.
        let shown = url.split('?').next().unwrap_or_default().to_owned();
        if body.len() as u64 > self.body_limit {
            return Err(Error::TooLarge(format!("the body is longer than {} bytes", self.body_limit)));
        }
        let mut fields = Fields::default();
        for (name, value) in headers {
            fields
                .append(&name, value)
                .map_err(|error| Error::Invalid(format!("header `{name}` cannot be sent: {error}")))?;
        }
        let bad = || Error::Invalid(format!("`{method} {shown}` is not a request that can be sent"));
        let (scheme, rest) = url.split_once("://").ok_or_else(bad)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let outgoing = OutgoingRequest::of_parts(&method, scheme, authority, path, fields);
        let options = RequestOptions::first_byte(first_byte_ms);
        let exchange = outgoing.exchange(options).map_err(|_| bad())?;
        let body = exchange.check_length(body).map_err(|_| bad())?;
        let mut request = exchange.request;
        request.body = body.into();
        Ok(request)
    }
}

fn told(response: HttpResponse) -> Response {
    let headers = response.headers.into_iter();
    Response {
        status: response.status,
        headers: headers.map(|(name, value)| (name.as_str().to_owned(), value.into_bytes())).collect(),
        body: response.body.into_bytes(),
    }
}

fn refused(error: CallError) -> Error {
    match error {
        CallError::AccessDenied { message } | CallError::Unknown { message } => Error::AccessDenied(message),
        CallError::Invalid { message } => Error::Invalid(message),
        CallError::RefusedByPolicy { policy } => Error::RefusedByPolicy(policy),
        CallError::Rejected { message } => Error::Rejected(message),
        CallError::Limit { message } => Error::TooLarge(message),
        CallError::Unavailable { message } => Error::Unavailable(message),
        CallError::Upstream { message } => Error::Lost(message),
        error @ CallError::RateLimited { .. } => Error::Unavailable(error.to_string()),
        other => Error::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::ResourceTable;

    use super::super::{HttpRoom, HttpView, UnderWay};
    use super::{Error, Request};

    fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            method: method.into(),
            url: url.into(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), value.as_bytes().to_vec()))
                .collect(),
            body: b"body".to_vec(),
            first_byte_ms: Some(5),
        }
    }

    #[test]
    fn a_request_is_what_wasi_would_make_of_it() {
        let (mut table, mut under_way) = (ResourceTable::new(), UnderWay::default());
        let room = HttpRoom::new(1000);
        let (under_way, room) = (&mut under_way, &room);
        let view = HttpView { gate: None, table: &mut table, under_way, body_limit: 100, room };
        let made = view
            .request_of(request(
                "POST",
                "https://x.example:8443/a?b",
                &[("X-One", "1"), ("content-length", "4")],
            ))
            .unwrap();
        assert_eq!((made.url.origin().as_str(), made.url.path()), ("https://x.example:8443", "/a"));
        assert_eq!((made.first_byte_ms, made.body.into_bytes()), (Some(5), b"body".to_vec()));
        assert_eq!(made.headers.len(), 1, "the host writes the length");
    }

    #[test]
    fn what_wasi_would_refuse_is_refused() {
        let (mut table, mut under_way) = (ResourceTable::new(), UnderWay::default());
        let room = HttpRoom::new(1000);
        let (under_way, room) = (&mut under_way, &room);
        let view = HttpView { gate: None, table: &mut table, under_way, body_limit: 4, room };
        for (url, headers) in [
            ("x.example/", &[][..]),
            ("https://", &[]),
            ("https://u:p@x.example/", &[]),
            ("https://x.example/#f", &[]),
            ("ftp://x.example/", &[]),
            ("https://x.example/", &[("host", "y.example")]),
            ("https://x.example/", &[("a", "b\r\nc: d")]),
            ("https://x.example/", &[("content-length", "5")]),
        ] {
            let made = view.request_of(request("POST", url, headers));
            assert!(matches!(made, Err(Error::Invalid(_))), "{url}: {made:?}");
        }
        let long = Request { body: vec![0; 5], ..request("POST", "https://x.example/", &[]) };
        assert!(matches!(view.request_of(long), Err(Error::TooLarge(_))));
    }
}
