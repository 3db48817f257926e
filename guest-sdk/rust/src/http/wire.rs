//! A request through `wasi:http`.

use super::url::parts;
use super::{Error, Request, Response};
use crate::bindings::wasi::http::outgoing_handler::handle;
use crate::bindings::wasi::http::types::{
    Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use crate::bindings::wasi::io::streams::StreamError;

/// How much is read and written at a time.
const CHUNK: u64 = 64 << 10;

pub(super) fn send(request: &Request) -> Result<Response, Error> {
    let error = |code| Error::new(&code, &request.url);
    let outgoing = outgoing(request)?;
    if !request.body.is_empty() {
        // Finished before it is handed over, so that whatever is wrong with it comes at one place.
        let body = outgoing.body().map_err(|()| Error::Other("the body is taken".to_owned()))?;
        write(&body, &request.body)?;
        OutgoingBody::finish(body, None).map_err(error)?;
    }
    let options = request.timeout.map(|timeout| {
        let options = RequestOptions::new();
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        // A host that does not take it has a limit of its own.
        let _ = options.set_first_byte_timeout(Some(nanos));
        options
    });
    let future = handle(outgoing, options).map_err(error)?;
    future.subscribe().block();
    match future.get() {
        Some(Ok(Ok(response))) => read(&response),
        Some(Ok(Err(code))) => Err(error(code)),
        Some(Err(())) | None => Err(Error::Other("the answer is not there".to_owned())),
    }
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, Error> {
    let headers = Fields::from_list(&request.headers)
        .map_err(|error| Error::Invalid(format!("a header cannot be sent: {error}")))?;
    let invalid = || Error::Invalid(format!("`{}` is not an address of HTTP", request.url));
    let (scheme, authority, path) = parts(&request.url).ok_or_else(invalid)?;
    let scheme = if scheme.eq_ignore_ascii_case("http") { Scheme::Http } else { Scheme::Https };
    let outgoing = OutgoingRequest::new(headers);
    outgoing
        .set_method(&Method::Other(request.method.clone()))
        .map_err(|()| Error::Invalid(format!("`{}` is not a method", request.method)))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| invalid())?;
    outgoing.set_authority(Some(authority)).map_err(|()| invalid())?;
    outgoing.set_path_with_query(Some(path)).map_err(|()| invalid())?;
    Ok(outgoing)
}

fn write(body: &OutgoingBody, mut bytes: &[u8]) -> Result<(), Error> {
    let stream = body.write().map_err(|()| Error::Other("the body is taken".to_owned()))?;
    while !bytes.is_empty() {
        let room = stream.check_write().map_err(|_| Error::TooLarge)?.min(CHUNK);
        let (now, rest) = bytes.split_at(bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        if now.is_empty() {
            stream.subscribe().block();
            continue;
        }
        stream.write(now).map_err(|_| Error::TooLarge)?;
        bytes = rest;
    }
    stream.flush().map_err(|_| Error::TooLarge)
}

fn read(response: &IncomingResponse) -> Result<Response, Error> {
    let body = response.consume().map_err(|()| Error::Other("the answer is taken".to_owned()))?;
    let stream = body.stream().map_err(|()| Error::Other("the answer is taken".to_owned()))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(Error::Other(error.to_debug_string()));
            }
        }
    }
    drop(stream);
    drop(IncomingBody::finish(body));
    Ok(Response::new(response.status(), response.headers().entries(), bytes))
}
