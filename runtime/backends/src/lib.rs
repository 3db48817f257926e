//! The real outside: models over HTTP or from tape, SQLite, HTTP, knowledge bases, mail, channels to people, terraform, the
//! system's clock and randomness.
//!
//! Everything here implements a trait of [`wflo_ports`] and is called from the runtime's gate only: by then
//! the call is authorised, priced, approved and journaled. The runtime holds the implementations as
//! `Arc<dyn ChatModel>`, `Arc<dyn Database>` and `Arc<dyn HttpClient>`.
#![warn(missing_debug_implementations)]

pub mod db;
pub mod files;
pub mod http;
pub mod knowledge;
pub mod llm;
pub mod mail;
pub mod notify;
mod system;
pub mod terraform;
mod wal;
mod web;

pub use system::{SystemClock, SystemEntropy};
