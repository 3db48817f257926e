//! From a complete request to a call of the gate, and from its answer to a response.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::IoError;
use wflo_model::{Call, CallError, CallResult, Octets};
use wflo_ports::{HttpRequest, HttpResponse};

use super::body::lock;
use super::request::Exchange;
use super::response::Slot;
use super::{FutureResponse, HttpView, OutgoingRequest, RequestOptions};
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{self, ErrorCode};
use crate::link::unexpected;
use crate::{Begun, Gate, LogLevel, LogLine};

pub(super) const INTERFACE: &str = "wasi:http/outgoing-handler";
pub(super) const FUNCTION: &str = "handle";

impl outgoing_handler::Host for HttpView<'_> {
    async fn handle(
        &mut self,
        request: Resource<OutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> wasmtime::Result<Result<Resource<FutureResponse>, ErrorCode>> {
        let request = self.table.delete(request)?;
        let options = options.map(|options| self.table.delete(options)).transpose()?.unwrap_or_default();
        self.gate()?;
        let body = request.body.clone();
        let mut exchange = match request.exchange(options) {
            Ok(exchange) => exchange,
            Err(code) => return Ok(Err(code)),
        };
        let slot = exchange.slot.clone();
        match Self::body_of(body.as_ref()) {
            Err(code) => return Ok(Err(code)),
            Ok(Some(bytes)) => {
                exchange.request.body = match exchange.check_length(bytes.into_bytes()) {
                    Ok(bytes) => bytes.into(),
                    Err(code) => return Ok(Err(code)),
                };
                // A denial is told here and now; other errors come with the response.
                match self.begin(exchange.request, &slot).await? {
                    Some(Err(ErrorCode::HttpRequestDenied)) => {
                        return Ok(Err(ErrorCode::HttpRequestDenied));
                    }
                    Some(answer) => slot.fill(answer),
                    None => {}
                }
            }
            Ok(None) => {
                // Clients that write the body next take a denial now and lose their way later.
                if let Some(error) = self.refused(&exchange.request).await? {
                    return Ok(Err(error));
                }
                if let Some(body) = &body {
                    lock(body).waiting = Some(exchange);
                }
            }
        }
        Ok(Ok(self.table.push(FutureResponse(slot))?))
    }
}

impl types::Host for HttpView<'_> {
    async fn http_error_code(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<ErrorCode>().cloned())
    }
}

impl HttpView<'_> {
    /// The gate, or the trap of a guest that calls its host while it describes itself.
    pub(super) fn gate(&mut self) -> wasmtime::Result<&mut dyn Gate> {
        match &mut self.gate {
            Some(gate) => Ok(&mut **gate),
            None => {
                Err(wasmtime::format_err!("a component must not call its host while it describes itself"))
            }
        }
    }

    /// Makes the call of a request whose body has just been finished.
    pub(super) async fn complete(&mut self, exchange: Exchange, body: Vec<u8>) -> wasmtime::Result<()> {
        let Exchange { mut request, slot, .. } = exchange;
        request.body = Octets::from(body);
        if let Some(answer) = self.begin(request, &slot).await? {
            slot.fill(answer);
        }
        Ok(())
    }

    /// Hands a complete request over, and gives its answer if it is there at once. Else `slot` gets it in time.
    async fn begin(
        &mut self,
        request: HttpRequest,
        slot: &Slot,
    ) -> wasmtime::Result<Option<Result<HttpResponse, ErrorCode>>> {
        let shown = shown(&request);
        let call = call_of(&request);
        let gate = self.gate()?;
        match gate.begin(call).await? {
            Begun::Done(result) => Ok(Some(answered(gate, &shown, result)?)),
            Begun::UnderWay(call) => {
                self.under_way.add(call, slot.clone(), shown);
                Ok(None)
            }
        }
    }

    /// Whether a request that is not complete has no grant anyway.
    async fn refused(&mut self, request: &HttpRequest) -> wasmtime::Result<Option<ErrorCode>> {
        let call = call_of(request);
        let gate = self.gate()?;
        let refused = gate.refuse(&call).await?;
        Ok(refused.map(|error| told(gate, &shown(request), error)))
    }
}

pub(super) fn call_of(request: &HttpRequest) -> Call {
    let args = serde_json::to_value(request).expect("a request is JSON: its keys are text");
    Call::new(INTERFACE, FUNCTION, args)
}

/// A request for a log: without its query, which may hold a key.
fn shown(request: &HttpRequest) -> String {
    format!("{} {}{}", request.method, request.url.origin(), request.url.path())
}

/// What the guest is told of what its request came to.
pub(super) fn answered(
    gate: &mut dyn Gate,
    request: &str,
    result: CallResult,
) -> wasmtime::Result<Result<HttpResponse, ErrorCode>> {
    match result {
        Ok(value) => match serde_json::from_value(value) {
            Ok(response) => Ok(Ok(response)),
            Err(error) => Err(unexpected(INTERFACE, FUNCTION, &error.to_string())),
        },
        Err(error) => Ok(Err(told(gate, request, error))),
    }
}

/// What the guest is told of an error. Most codes say no more than their name, so the log says the rest.
fn told(gate: &mut dyn Gate, request: &str, error: CallError) -> ErrorCode {
    let message = format!("{request}: {error}");
    gate.log(LogLine { level: LogLevel::Warn, context: "wasi:http".to_owned(), message });
    match error {
        CallError::AccessDenied { .. }
        | CallError::RefusedByPolicy { .. }
        | CallError::Rejected { .. }
        | CallError::BudgetExceeded { .. } => ErrorCode::HttpRequestDenied,
        CallError::Unknown { .. } => ErrorCode::ConfigurationError,
        CallError::RateLimited { .. } => ErrorCode::ConnectionLimitReached,
        CallError::Limit { .. } => ErrorCode::HttpResponseBodySize(None),
        CallError::Unavailable { .. } => ErrorCode::DestinationUnavailable,
        CallError::Upstream { .. } => ErrorCode::ConnectionTerminated,
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}
