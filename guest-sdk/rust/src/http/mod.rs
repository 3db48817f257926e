//! Requests over HTTP, to what `workflow.toml` grants.
//!
//! ```no_run
//! use wflo::prelude::*;
//!
//! #[wflo::data]
//! struct Price {
//!     usd: f64,
//! }
//!
//! # fn step() -> wflo::Result<()> {
//! let feed = http::get("https://export.arxiv.org/api/query").query("id_list", "2401.00001").text()?;
//! let price: Price = http::get("https://api.example.org/prices/gold").json()?;
//! let made = http::post("https://api.example.org/reports").body_json(&json!({ "title": "gold" }))?.send()?;
//! assert_eq!(made.status(), 201);
//! # Ok(()) }
//! ```
//!
//! with, in `workflow.toml`,
//!
//! ```toml
//! grants.http = [
//!     "GET https://export.arxiv.org/api/*",
//!     "GET https://api.example.org/prices/*",
//!     { allow = "POST https://api.example.org/reports", idempotency_header = "Idempotency-Key", ttl = "24h" },
//! ]
//! ```
//!
//! Every request is journaled by the host, and a replayed step gets the same answers. Where the grant names an
//! idempotency header, the host sets it, so that a crash never makes a request happen twice. Other clients work
//! as well: this module is made on `wasi:http`, and has nothing of its own to the host.

mod error;
mod request;
mod response;
mod url;
mod wire;

pub use error::Error;
pub use request::{Request, get, post, request};
pub use response::Response;
