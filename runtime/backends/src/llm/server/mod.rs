//! What all providers behind HTTP have in common: how they are reached, when they are asked again, what they refuse.

mod client;
mod config;
mod refusal;
mod retry;

pub(super) use client::{Dialect, Server};
pub use config::{BadServerConfig, ServerConfig};
pub(super) use refusal::Refusal;
