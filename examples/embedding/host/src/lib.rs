//! A clinic that embeds wflo: an interface and a knowledge base of its own beside wflo's, behind the same gate.
//!
//! `main.rs` asks whoever sits at a terminal; `bin/clinic-service.rs` is a service over HTTP, with approvers who log in.

mod clinic;
mod guidelines;
mod records;

pub use clinic::Clinic;
