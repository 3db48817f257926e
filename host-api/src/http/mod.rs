//! `wasi:http`: requests over HTTP, each a call of the gate.
//!
//! A request reaches the gate when `handle` was called *and* its body is finished, or was never taken,
//! whichever is later: real clients write the body before `handle` or after it. The call is made there and then,
//! and what the gate answers is there before the guest goes on: a future of a response is ready as soon as its
//! request is complete. So the order in which responses come is the order in which requests were completed, in
//! every replay.
//!
//! Nothing here waits for anything but the gate. Bodies are bytes in memory: a request's can always be written,
//! up to a limit, and a response's is there in whole. That is what keeps streams from telling real time.
//!
//! Requests are therefore made one after another. For several under way at a time, the gate would have to take
//! a call without being waited for; the place is [`Exchange`](request::Exchange), whose slot would then be
//! filled by `wasi:io/poll`, one answer at a time, in an order that the journal keeps.

#![expect(
    unreachable_pub,
    reason = "bindings re-export the types of resources, though nobody outside sees them"
)]

mod body;
mod client;
mod fields;
mod handler;
mod request;
mod response;
mod served;

use wasmtime::component::{HasData, Linker, ResourceTable};

use crate::bindings::wasi::http::{outgoing_handler, types};
use crate::bindings::wflo::http::client as in_one_call;
use crate::{Gate, HostView};

pub use body::OutgoingBody;
pub use fields::Fields;
pub use request::{OutgoingRequest, RequestOptions};
pub use response::{FutureResponse, FutureTrailers, IncomingBody, IncomingResponse};
pub use served::Served;

/// What `wasi:http` works on.
pub struct HttpView<'a> {
    /// The gate of the attempt; none while a component is only asked to describe itself.
    pub gate: Option<&'a mut dyn Gate>,
    /// The guest's handles, those on streams included.
    pub table: &'a mut ResourceTable,
    /// Most bytes of a request's body.
    pub body_limit: u64,
}

struct HasHttp;

impl HasData for HasHttp {
    type Data<'a> = HttpView<'a>;
}

pub(crate) fn add_to_linker<T: HostView + Send + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, HasHttp>(linker, T::http)?;
    outgoing_handler::add_to_linker::<T, HasHttp>(linker, T::http)?;
    in_one_call::add_to_linker::<T, HasHttp>(linker, T::http)
}
