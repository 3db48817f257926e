//! The real outside: models over HTTP or from tape, SQLite, the system's clock and randomness.
//!
//! Everything here implements a trait of [`wflo_ports`] and is called from the runtime's gate only: by then
//! the call is authorised, priced, approved and journaled. The runtime holds the implementations as
//! `Arc<dyn ChatModel>` and `Arc<dyn Database>`.

pub mod db;
pub mod llm;
mod system;

pub use system::{SystemClock, SystemEntropy};
