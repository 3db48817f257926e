//! The body of a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::request::Exchange;
use super::room::Held;
use super::{Fields, HttpView};
use crate::bindings::wasi::http::types::{self, ErrorCode};

/// What a guest may write before it asks again how much it may.
const CHUNK: usize = 64 << 10;

/// A body as it grows, shared by the request, the guest's handle on it, and its stream.
pub(super) type SharedBody = Arc<Mutex<Body>>;

/// A body as it grows.
#[derive(Debug, Default)]
pub(super) struct Body {
    bytes: Vec<u8>,
    held: Held,
    limit: usize,
    too_long: bool,
    pub(super) state: BodyState,
    /// The request that was handed over, and waits for this body.
    pub(super) waiting: Option<Exchange>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BodyState {
    #[default]
    Open,
    Finished,
    /// The guest let go of it without finishing it: what it has of it is not what it meant to send.
    Dropped,
}

pub(super) fn lock(body: &SharedBody) -> MutexGuard<'_, Body> {
    // Nothing in here is left half done by a panic.
    body.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Body {
    pub(super) fn shared(limit: u64, held: Held) -> SharedBody {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Arc::new(Mutex::new(Self { limit, held, ..Self::default() }))
    }

    /// Takes the bytes of a finished body.
    pub(super) fn take(&mut self) -> Result<Vec<u8>, ErrorCode> {
        match self.state {
            BodyState::Finished if self.too_long => Err(self.size_error()),
            BodyState::Finished => {
                self.held = Held::default();
                Ok(std::mem::take(&mut self.bytes))
            }
            BodyState::Open | BodyState::Dropped => Err(ErrorCode::HttpProtocolError),
        }
    }

    fn size_error(&self) -> ErrorCode {
        ErrorCode::HttpRequestBodySize(Some(self.limit as u64))
    }
}

/// A guest's handle on a body. Its stream is a child of it in the table, so that it goes first.
#[derive(Debug)]
pub struct OutgoingBody {
    body: SharedBody,
    stream_taken: bool,
}

impl OutgoingBody {
    pub(super) const fn new(body: SharedBody) -> Self {
        Self { body, stream_taken: false }
    }
}

/// What a guest writes a body to: always ready, up to the limit.
struct BodyStream(SharedBody);

#[async_trait]
impl Pollable for BodyStream {
    async fn ready(&mut self) {}
}

impl OutputStream for BodyStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut body = lock(&self.0);
        if body.too_long {
            return Err(StreamError::Closed);
        }
        if body.bytes.len() + bytes.len() > body.limit {
            body.too_long = true;
            (body.bytes, body.held) = Default::default();
            return Err(StreamError::LastOperationFailed(body.size_error().into()));
        }
        let length = body.bytes.len() + bytes.len();
        body.held.resize(length).map_err(|stop| StreamError::Trap(stop.into()))?;
        body.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        match lock(&self.0).too_long {
            true => Err(StreamError::Closed),
            false => Ok(()),
        }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let body = lock(&self.0);
        if body.too_long {
            return Err(StreamError::Closed);
        }
        // One more than there is room for: a guest that needs it learns why it cannot have it.
        Ok(CHUNK.min(body.limit - body.bytes.len() + 1))
    }
}

impl types::HostOutgoingBody for HttpView<'_> {
    async fn write(
        &mut self,
        body: Resource<OutgoingBody>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        let this = self.table.get_mut(&body)?;
        if std::mem::replace(&mut this.stream_taken, true) {
            return Ok(Err(()));
        }
        let stream: DynOutputStream = Box::new(BodyStream(this.body.clone()));
        Ok(Ok(self.table.push_child(stream, &body)?))
    }

    async fn finish(
        &mut self,
        body: Resource<OutgoingBody>,
        trailers: Option<Resource<Fields>>,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        let this = self.table.delete(body)?;
        if let Some(trailers) = trailers {
            let trailers = self.table.delete(trailers)?;
            if !trailers.entries().is_empty() {
                lock(&this.body).state = BodyState::Dropped;
                self.give_up(&this.body, ErrorCode::HttpRequestTrailerSectionSize(Some(0)));
                return Ok(Err(ErrorCode::HttpRequestTrailerSectionSize(Some(0))));
            }
        }
        let (taken, waiting) = {
            let mut body = lock(&this.body);
            body.state = BodyState::Finished;
            if body.too_long {
                (Err(body.size_error()), body.waiting.take())
            } else if let Some(exchange) = body.waiting.take() {
                (body.take().and_then(|bytes| exchange.check_length(bytes)), Some(exchange))
            } else {
                return Ok(Ok(()));
            }
        };
        match (taken, waiting) {
            (Ok(bytes), Some(exchange)) => {
                self.complete(exchange, bytes).await?;
                Ok(Ok(()))
            }
            (Ok(_), None) => Ok(Ok(())),
            (Err(code), waiting) => {
                if let Some(exchange) = waiting {
                    exchange.slot.fill(Err(code.clone()));
                }
                Ok(Err(code))
            }
        }
    }

    async fn drop(&mut self, body: Resource<OutgoingBody>) -> wasmtime::Result<()> {
        let this = self.table.delete(body)?;
        lock(&this.body).state = BodyState::Dropped;
        self.give_up(&this.body, ErrorCode::HttpProtocolError);
        Ok(())
    }
}

impl HttpView<'_> {
    /// Ends the request that waits for a body which will never be finished.
    fn give_up(&mut self, body: &SharedBody, code: ErrorCode) {
        if let Some(exchange) = lock(body).waiting.take() {
            exchange.slot.fill(Err(code));
        }
    }
}
