//! The clinic, as its programs are used.

mod built;
mod clinic;
mod service;
