//! The traits a wflo host implements: models, databases, files, HTTP, knowledge, mail, channels to people, terraform, clock and
//! randomness.
//!
//! The runtime calls these only from its gate: by then the call is authorised, priced, approved and
//! journaled. An implementation does one thing: it performs. It retries what it knows to be safe, and it
//! never decides whether a call may be made.
#![warn(missing_debug_implementations)]

mod clock;
mod db;
mod files;
mod http;
mod knowledge;
mod llm;
mod mail;
mod notify;
mod terraform;

pub use clock::{Clock, Entropy, SystemEntropyError};
pub use db::{
    Begun, BulkInsert, Capture, ChangeLimits, ChangeSet, Conflict, ConflictReason, Cursor, Database, DbError,
    Executed, Marker, MarkerPurpose, QueryLimits, RowChange, RowSource, Statement, TableChange, Transaction,
    Uncapturable, Undone,
};
pub use files::{FileEntry, FileError, FileFailure, FileKind, FilePlace, FileStat, Files, Opened};
pub use http::{BodySink, HttpClient, HttpError, HttpLimits, HttpRequest, HttpResponse, Resolver};
pub use knowledge::{Knowledge, KnowledgeError, Passage};
pub use llm::{
    ChatModel, ChatRequest, Completion, IdempotencyKey, Message, ModelError, Role, TokenBound, TokenUsage,
};
pub use mail::{Mail, MailError, MailMessage};
pub use notify::{Notification, NotificationKind, Notifier, NotifyError};
pub use terraform::{
    BadConfigurationPath, ConfigurationPath, PlannedChange, ReplacedFile, RestoreRequest, Restored,
    Terraform, TerraformAction, TerraformApplied, TerraformBase, TerraformError, TerraformFile,
    TerraformPlan, TerraformResource, TerraformSnapshot, TerraformState, Verified,
};
