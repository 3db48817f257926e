//! A request before it is made.

use wasmtime::component::Resource;
use wflo_model::{HttpMethod, HttpUrl, Octets};
use wflo_ports::HttpRequest;

use super::body::{Body, BodyState, OutgoingBody, SharedBody, lock};
use super::response::Slot;
use super::room::Held;
use super::{Fields, HttpView};
use crate::bindings::wasi::http::types::{self, ErrorCode, Method, Scheme};

/// A request as the guest puts it together.
#[derive(Debug)]
pub struct OutgoingRequest {
    method: Method,
    scheme: Option<Scheme>,
    authority: Option<String>,
    path_with_query: Option<String>,
    headers: Fields,
    pub(super) body: Option<SharedBody>,
}

/// How long the guest is willing to wait, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestOptions {
    connect: Option<u64>,
    first_byte: Option<u64>,
    between_bytes: Option<u64>,
}

/// A request that was handed over, and where its answer is to go.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(super) request: HttpRequest,
    /// What the guest said the body has.
    length: Option<u64>,
    pub(super) slot: Slot,
    /// The room of its headers, which it keeps while it waits for its body.
    _held: Held,
}

impl Exchange {
    /// Holds the body against the length that the guest announced: a server would take what is too much for
    /// another request.
    pub(super) fn check_length(&self, bytes: Vec<u8>) -> Result<Vec<u8>, ErrorCode> {
        match self.length {
            Some(length) if length != bytes.len() as u64 => {
                Err(ErrorCode::HttpRequestBodySize(Some(bytes.len() as u64)))
            }
            _ => Ok(bytes),
        }
    }
}

impl RequestOptions {
    /// Those of a client that says no more than how long the answer may take to begin.
    pub(super) fn first_byte(ms: Option<u32>) -> Self {
        Self { first_byte: ms.map(|ms| u64::from(ms) * 1_000_000), ..Self::default() }
    }
}

impl OutgoingRequest {
    /// A request without a body, of the parts of its address.
    pub(super) fn of_parts(method: &str, scheme: &str, authority: &str, path: &str, headers: Fields) -> Self {
        Self {
            method: Method::Other(method.to_owned()),
            scheme: Some(Scheme::Other(scheme.to_ascii_lowercase())),
            authority: Some(authority.to_owned()),
            path_with_query: Some(path.to_owned()),
            headers,
            body: None,
        }
    }

    /// The request without its body, in the form that the gate judges.
    pub(super) fn exchange(self, options: RequestOptions) -> Result<Exchange, ErrorCode> {
        let method = method(&self.method).ok_or(ErrorCode::HttpRequestMethodInvalid)?;
        let scheme = match &self.scheme {
            None | Some(Scheme::Https) => "https",
            Some(Scheme::Http) => "http",
            Some(Scheme::Other(other)) => other,
        };
        let authority = self.authority.as_deref().ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let path = self.path_with_query.as_deref().unwrap_or("/");
        let url: HttpUrl = url(scheme, authority, path).ok_or(ErrorCode::HttpRequestUriInvalid)?;
        let mut request = HttpRequest::new(method, url);
        let mut length = None;
        let (headers, held) = self.headers.into_held();
        for (name, value) in headers {
            if name.as_str() != "content-length" {
                request.headers.push((name, value));
                continue;
            }
            // The host writes it, from the body there is.
            let said = value.as_text().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let said = said.and_then(|text| text.parse::<u64>().ok()).ok_or(ErrorCode::HttpProtocolError)?;
            if length.is_some_and(|other| other != said) {
                return Err(ErrorCode::HttpProtocolError);
            }
            length = Some(said);
        }
        request.first_byte_ms = options.first_byte.map(millis);
        request.between_bytes_ms = options.between_bytes.map(millis);
        Ok(Exchange { request, length, slot: Slot::default(), _held: held })
    }
}

fn millis(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000)
}

fn method(method: &Method) -> Option<HttpMethod> {
    let text = match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(other) => other,
    };
    text.parse().ok()
}

/// Puts an address together of what are its parts, and of nothing more than that.
fn url(scheme: &str, authority: &str, path_with_query: &str) -> Option<HttpUrl> {
    if authority.is_empty() || authority.contains(['/', '?', '#', '@']) || path_with_query.contains('#') {
        return None;
    }
    let slash = match path_with_query.chars().next() {
        Some('/') => "",
        Some('?') | None => "/",
        Some(_) => return None,
    };
    format!("{scheme}://{authority}{slash}{path_with_query}").parse().ok()
}

impl types::HostOutgoingRequest for HttpView<'_> {
    async fn new(&mut self, headers: Resource<Fields>) -> wasmtime::Result<Resource<OutgoingRequest>> {
        let headers = self.table.delete(headers)?.into_immutable();
        Ok(self.table.push(OutgoingRequest {
            method: Method::Get,
            scheme: None,
            authority: None,
            path_with_query: None,
            headers,
            body: None,
        })?)
    }

    async fn body(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> wasmtime::Result<Result<Resource<OutgoingBody>, ()>> {
        let (limit, held) = (self.body_limit, self.room.hold(0)?);
        let request = self.table.get_mut(&request)?;
        if request.body.is_some() {
            return Ok(Err(()));
        }
        let body = Body::shared(limit, held);
        request.body = Some(body.clone());
        Ok(Ok(self.table.push(OutgoingBody::new(body))?))
    }

    async fn method(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Method> {
        Ok(self.table.get(&request)?.method.clone())
    }

    async fn set_method(
        &mut self,
        request: Resource<OutgoingRequest>,
        value: Method,
    ) -> wasmtime::Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        Ok(method(&value).map(|_| request.method = value).ok_or(()))
    }

    async fn path_with_query(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&request)?.path_with_query.clone())
    }

    async fn set_path_with_query(
        &mut self,
        request: Resource<OutgoingRequest>,
        value: Option<String>,
    ) -> wasmtime::Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        if value.as_ref().is_some_and(|path| url("http", "host", path).is_none()) {
            return Ok(Err(()));
        }
        request.path_with_query = value;
        Ok(Ok(()))
    }

    async fn scheme(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<Scheme>> {
        Ok(self.table.get(&request)?.scheme.clone())
    }

    async fn set_scheme(
        &mut self,
        request: Resource<OutgoingRequest>,
        value: Option<Scheme>,
    ) -> wasmtime::Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        if matches!(value, Some(Scheme::Other(_))) {
            return Ok(Err(()));
        }
        request.scheme = value;
        Ok(Ok(()))
    }

    async fn authority(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&request)?.authority.clone())
    }

    async fn set_authority(
        &mut self,
        request: Resource<OutgoingRequest>,
        value: Option<String>,
    ) -> wasmtime::Result<Result<(), ()>> {
        let request = self.table.get_mut(&request)?;
        if value.as_ref().is_some_and(|authority| url("http", authority, "/").is_none()) {
            return Ok(Err(()));
        }
        request.authority = value;
        Ok(Ok(()))
    }

    async fn headers(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<Resource<Fields>> {
        let headers = self.table.get(&request)?.headers.copy();
        self.push_fields(headers)
    }

    async fn drop(&mut self, request: Resource<OutgoingRequest>) -> wasmtime::Result<()> {
        self.table.delete(request)?;
        Ok(())
    }
}

impl types::HostRequestOptions for HttpView<'_> {
    async fn new(&mut self) -> wasmtime::Result<Resource<RequestOptions>> {
        Ok(self.table.push(RequestOptions::default())?)
    }

    async fn connect_timeout(&mut self, this: Resource<RequestOptions>) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&this)?.connect)
    }

    /// Taken, and at most what the host's own is: a connection is made in seconds or not at all.
    async fn set_connect_timeout(
        &mut self,
        this: Resource<RequestOptions>,
        value: Option<u64>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.table.get_mut(&this)?.connect = value;
        Ok(Ok(()))
    }

    async fn first_byte_timeout(&mut self, this: Resource<RequestOptions>) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&this)?.first_byte)
    }

    async fn set_first_byte_timeout(
        &mut self,
        this: Resource<RequestOptions>,
        value: Option<u64>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.table.get_mut(&this)?.first_byte = value;
        Ok(Ok(()))
    }

    async fn between_bytes_timeout(
        &mut self,
        this: Resource<RequestOptions>,
    ) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&this)?.between_bytes)
    }

    async fn set_between_bytes_timeout(
        &mut self,
        this: Resource<RequestOptions>,
        value: Option<u64>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.table.get_mut(&this)?.between_bytes = value;
        Ok(Ok(()))
    }

    async fn drop(&mut self, this: Resource<RequestOptions>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HttpView<'_> {
    /// What a body has come to by the time its request is handed over: its bytes if it is complete, none if the
    /// request has to wait for it.
    pub(super) fn body_of(body: Option<&SharedBody>) -> Result<Option<Octets>, ErrorCode> {
        let Some(body) = body else { return Ok(Some(Octets::new())) };
        let mut body = lock(body);
        match body.state {
            BodyState::Open => Ok(None),
            BodyState::Finished | BodyState::Dropped => body.take().map(|bytes| Some(bytes.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Method, method, url};

    #[test]
    fn the_parts_of_an_address_stay_apart() {
        let check = |authority: &str, path: &str, expect: Option<&str>| {
            let found = url("https", authority, path).map(|url| url.to_string());
            assert_eq!(found.as_deref(), expect, "{authority} {path}");
        };
        check("example.org", "/a?b", Some("https://example.org/a?b"));
        check("example.org:8443", "", Some("https://example.org:8443/"));
        check("example.org", "?b", Some("https://example.org/?b"));
        check("example.org", "@evil.example/", None);
        check("example.org", ".evil.example/", None);
        check("example.org", "/a#b", None);
        check("example.org/a", "/", None);
        check("granted@example.org", "/", None);
        check("", "/", None);
    }

    #[test]
    fn methods_that_tunnel_are_none() {
        assert_eq!(method(&Method::Other("PROPFIND".into())).unwrap().as_str(), "PROPFIND");
        for bad in [Method::Connect, Method::Trace, Method::Other("get".into()), Method::Other("A B".into())]
        {
            assert_eq!(method(&bad), None, "{bad:?}");
        }
    }
}
