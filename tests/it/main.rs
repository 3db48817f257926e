//! The command, end to end, on real parts: components, SQLite, sled, a model server on loopback.

mod approval;
mod audit;
mod browser;
mod budget;
mod check;
mod chores;
mod crash;
mod decisions;
mod fraud;
mod gate;
mod harness;
mod hostile;
mod http;
mod http_client;
mod manifest;
mod notify;
mod readme;
mod refunds;
mod rollback;
mod security;
mod serve;
mod serve_browser;
mod shared;
mod signals;
mod torture;
mod wire;
