//! The traits a wflo host implements: models, databases, files, HTTP, clock and randomness.
//!
//! The runtime calls these only from its gate: by then the call is authorised, priced, approved and
//! journaled. An implementation does one thing: it performs. It retries what it knows to be safe, and it
//! never decides whether a call may be made.

mod clock;
mod db;
mod files;
mod http;
mod llm;

pub use clock::{Clock, Entropy, SystemEntropyError};
pub use db::{Begun, Database, DbError, Executed, Marker, QueryLimits, Statement, Transaction};
pub use files::{FileEntry, FileError, FileFailure, FileKind, FilePlace, FileStat, Files, Opened};
pub use http::{HttpClient, HttpError, HttpLimits, HttpRequest, HttpResponse, Resolver};
pub use llm::{
    ChatModel, ChatRequest, Completion, IdempotencyKey, Message, ModelError, Role, TokenBound, TokenUsage,
};
