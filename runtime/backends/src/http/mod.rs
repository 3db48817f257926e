//! Requests over HTTP, to where a grant says and nowhere else.

mod client;
mod names;

pub use client::{Http, HttpConfig};
pub use names::SystemResolver;
