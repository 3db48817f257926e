//! A response, from its future to its last byte.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{DynInputStream, DynPollable, Pollable, subscribe};
use wflo_ports::HttpResponse;

use super::{Fields, HttpView};
use crate::bindings::wasi::http::types::{self, ErrorCode};

/// Where an answer goes: filled once, by whoever completes the request.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    /// The guest has not finished the request's body, or has not been told the answer.
    #[default]
    Incomplete,
    Answered(Result<HttpResponse, ErrorCode>),
    Taken,
}

impl Slot {
    pub(super) fn fill(&self, answer: Result<HttpResponse, ErrorCode>) {
        *self.lock() = State::Answered(answer);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A response that the guest waits for.
#[derive(Debug)]
pub struct FutureResponse(pub(super) Slot);

#[async_trait]
impl Pollable for FutureResponse {
    /// Ready when it is answered. It does not become so while this is waited for: whoever polls for the guest has the
    /// gate tell it what has come.
    async fn ready(&mut self) {
        let incomplete = matches!(*self.0.lock(), State::Incomplete);
        if incomplete {
            std::future::pending().await
        }
    }
}

impl types::HostFutureIncomingResponse for HttpView<'_> {
    async fn subscribe(&mut self, this: Resource<FutureResponse>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    async fn get(
        &mut self,
        this: Resource<FutureResponse>,
    ) -> wasmtime::Result<Option<Result<Result<Resource<IncomingResponse>, ErrorCode>, ()>>> {
        let state = {
            let mut state = self.table.get(&this)?.0.lock();
            match &*state {
                State::Incomplete => return Ok(None),
                State::Answered(_) | State::Taken => std::mem::replace(&mut *state, State::Taken),
            }
        };
        match state {
            State::Answered(Ok(response)) => {
                let response = self.table.push(IncomingResponse { response, consumed: false })?;
                Ok(Some(Ok(Ok(response))))
            }
            State::Answered(Err(code)) => Ok(Some(Ok(Err(code)))),
            State::Incomplete | State::Taken => Ok(Some(Err(()))),
        }
    }

    async fn drop(&mut self, this: Resource<FutureResponse>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

/// A response.
#[derive(Debug)]
pub struct IncomingResponse {
    response: HttpResponse,
    consumed: bool,
}

impl types::HostIncomingResponse for HttpView<'_> {
    async fn status(&mut self, this: Resource<IncomingResponse>) -> wasmtime::Result<u16> {
        Ok(self.table.get(&this)?.response.status)
    }

    async fn headers(&mut self, this: Resource<IncomingResponse>) -> wasmtime::Result<Resource<Fields>> {
        let headers = self.table.get(&this)?.response.headers.clone();
        self.push_fields(Fields::immutable(headers))
    }

    async fn consume(
        &mut self,
        this: Resource<IncomingResponse>,
    ) -> wasmtime::Result<Result<Resource<IncomingBody>, ()>> {
        let this = self.table.get_mut(&this)?;
        if std::mem::replace(&mut this.consumed, true) {
            return Ok(Err(()));
        }
        let body = std::mem::take(&mut this.response.body).into_bytes();
        Ok(Ok(self.table.push(IncomingBody(Some(body)))?))
    }

    async fn drop(&mut self, this: Resource<IncomingResponse>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

/// The body of a response, until its stream is taken.
#[derive(Debug)]
pub struct IncomingBody(Option<Vec<u8>>);

impl types::HostIncomingBody for HttpView<'_> {
    async fn stream(
        &mut self,
        this: Resource<IncomingBody>,
    ) -> wasmtime::Result<Result<Resource<DynInputStream>, ()>> {
        let Some(bytes) = self.table.get_mut(&this)?.0.take() else { return Ok(Err(())) };
        let stream: DynInputStream = Box::new(MemoryInputPipe::new(bytes));
        Ok(Ok(self.table.push_child(stream, &this)?))
    }

    async fn finish(&mut self, this: Resource<IncomingBody>) -> wasmtime::Result<Resource<FutureTrailers>> {
        self.table.delete(this)?;
        Ok(self.table.push(FutureTrailers { taken: false })?)
    }

    async fn drop(&mut self, this: Resource<IncomingBody>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

/// The trailers of a response: known at once, and none, as the journal keeps none.
#[derive(Debug)]
pub struct FutureTrailers {
    taken: bool,
}

#[async_trait]
impl Pollable for FutureTrailers {
    async fn ready(&mut self) {}
}

impl types::HostFutureTrailers for HttpView<'_> {
    async fn subscribe(&mut self, this: Resource<FutureTrailers>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    async fn get(
        &mut self,
        this: Resource<FutureTrailers>,
    ) -> wasmtime::Result<Option<Result<Result<Option<Resource<Fields>>, ErrorCode>, ()>>> {
        let taken = std::mem::replace(&mut self.table.get_mut(&this)?.taken, true);
        Ok(Some(if taken { Err(()) } else { Ok(Ok(None)) }))
    }

    async fn drop(&mut self, this: Resource<FutureTrailers>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
