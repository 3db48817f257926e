//! `wasi:http`: requests over HTTP, each a call of the gate.
//!
//! A request reaches the gate when `handle` was called *and* its body is finished, or was never taken,
//! whichever is later: real clients write the body before `handle` or after it. The gate begins it there and then,
//! and the guest goes on: as many requests as it likes are [under way](UnderWay) beside it. What they come to it is
//! told where it waits, by `wasi:io/poll`: one answer at a time, in an order that the journal keeps, so that it is the
//! same in every replay. A future of a response is ready once its answer was told, and not before.
//!
//! Bodies are bytes in memory: a request's can always be written, up to a limit, and a response's is there in whole.
//! That is what keeps streams from telling real time.

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
mod room;
mod served;
mod under_way;

use wasmtime::component::{HasData, Linker, ResourceTable};

use crate::bindings::wasi::http::{outgoing_handler, types};
use crate::bindings::wflo::http::client as in_one_call;
use crate::{Gate, HostView};

pub use body::OutgoingBody;
pub use fields::Fields;
pub use request::{OutgoingRequest, RequestOptions};
pub use response::{FutureResponse, FutureTrailers, IncomingBody, IncomingResponse};
pub use room::HttpRoom;
pub use served::Served;
pub use under_way::UnderWay;

/// What `wasi:http` works on.
pub struct HttpView<'a> {
    /// The gate of the attempt; none while a component is only asked to describe itself.
    pub gate: Option<&'a mut dyn Gate>,
    /// The guest's handles, those on streams included.
    pub table: &'a mut ResourceTable,
    /// The requests that the gate has under way.
    pub under_way: &'a mut UnderWay,
    /// Most bytes of a request's body.
    pub body_limit: u64,
    /// What all requests that are being put together may have.
    pub room: &'a HttpRoom,
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
