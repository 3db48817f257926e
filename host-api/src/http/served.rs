//! The half of `wasi:http/types` that is for servers.
//!
//! A step serves nothing, and so can have none of these; but a component made for both halves imports them, as
//! those of JavaScript do, and has to be linked.

use wasmtime::component::Resource;

use super::{Fields, HttpView, IncomingBody, OutgoingBody};
use crate::bindings::wasi::http::types::{self, ErrorCode, Method, Scheme};

/// What there is none of.
#[derive(Debug)]
pub enum Served {}

/// The trap of a guest that acts as a server.
fn none<T>() -> wasmtime::Result<T> {
    Err(wasmtime::format_err!("a step makes requests over HTTP and serves none"))
}

impl types::HostIncomingRequest for HttpView<'_> {
    async fn method(&mut self, _: Resource<Served>) -> wasmtime::Result<Method> {
        none()
    }

    async fn path_with_query(&mut self, _: Resource<Served>) -> wasmtime::Result<Option<String>> {
        none()
    }

    async fn scheme(&mut self, _: Resource<Served>) -> wasmtime::Result<Option<Scheme>> {
        none()
    }

    async fn authority(&mut self, _: Resource<Served>) -> wasmtime::Result<Option<String>> {
        none()
    }

    async fn headers(&mut self, _: Resource<Served>) -> wasmtime::Result<Resource<Fields>> {
        none()
    }

    async fn consume(&mut self, _: Resource<Served>) -> wasmtime::Result<Result<Resource<IncomingBody>, ()>> {
        none()
    }

    async fn drop(&mut self, _: Resource<Served>) -> wasmtime::Result<()> {
        none()
    }
}

impl types::HostResponseOutparam for HttpView<'_> {
    async fn set(
        &mut self,
        _: Resource<Served>,
        _: Result<Resource<Served>, ErrorCode>,
    ) -> wasmtime::Result<()> {
        none()
    }

    async fn drop(&mut self, _: Resource<Served>) -> wasmtime::Result<()> {
        none()
    }
}

impl types::HostOutgoingResponse for HttpView<'_> {
    async fn new(&mut self, _: Resource<Fields>) -> wasmtime::Result<Resource<Served>> {
        none()
    }

    async fn status_code(&mut self, _: Resource<Served>) -> wasmtime::Result<u16> {
        none()
    }

    async fn set_status_code(&mut self, _: Resource<Served>, _: u16) -> wasmtime::Result<Result<(), ()>> {
        none()
    }

    async fn headers(&mut self, _: Resource<Served>) -> wasmtime::Result<Resource<Fields>> {
        none()
    }

    async fn body(&mut self, _: Resource<Served>) -> wasmtime::Result<Result<Resource<OutgoingBody>, ()>> {
        none()
    }

    async fn drop(&mut self, _: Resource<Served>) -> wasmtime::Result<()> {
        none()
    }
}
