//! Ids, digests, money, grants and canonical JSON: the words every wflo crate shares.
//!
//! Nothing here does I/O, reads a clock or draws randomness; ids are made from bytes that the caller
//! supplies.
#![warn(missing_debug_implementations)]

mod access;
mod artifact;
mod call;
mod canonical;
mod changes;
mod content;
mod digest;
mod fault;
mod function;
mod grants;
mod hasher;
mod http;
mod id;
mod inserted;
mod interface;
mod limits;
mod money;
mod name;
mod role;
mod row_filter;
mod sql;
mod steers;
mod time;
mod undone;

pub use access::{DbAccess, TableAccess};
pub use artifact::{Artifact, ArtifactAddress, BulkRows, FoundArtifact, RowFormat};
pub use call::{Call, CallError, CallResult};
pub use canonical::{NotCanonical, canonical, canonical_json};
pub use changes::{ChangeSet, RowChange, TableChange};
pub use content::Content;
pub use digest::{BadDigest, Digest, MacKey};
pub use fault::{Failure, FailureKind, Fault, FaultKind};
pub use function::{BadFunctionName, FunctionName, Parameter, Signature};
pub use grants::{
    BadGrant, BadMailAddress, BadMailPattern, BadPath, Capability, FileGrant, Grants, GuestPath, HostPath,
    MailAddress, MailPattern, TerraformGrants, TerraformVerb, interface_capability,
};
pub use hasher::Hasher;
pub use http::{
    BadHttpHeader, BadHttpMethod, BadHttpPattern, BadHttpUrl, BadOctets, HttpGrant, HttpHeaderName, HttpHost,
    HttpMethod, HttpPattern, HttpScheme, HttpUrl, Idempotency, Octets, is_public,
};
pub use id::{ApprovalId, BadId, RunId, StoreId};
pub use inserted::{Inserted, InsertedRows, RowDigest};
pub use interface::{BadInterfaceName, GrantReader, InterfaceName};
pub use limits::{LimitName, Limits};
pub use money::{BadMoney, PicoUsd};
pub use name::{
    ArtifactName, BadName, ChannelName, GroupName, InputName, Label, ModelName, PolicyName, PrincipalName,
    StatementName, StepName, WorkflowName,
};
pub use role::{Act, Role};
pub use row_filter::{
    BadRowFilter, Comparison, FilterOperand, FilterValue, RowCondition, RowFilter, RowTest,
};
pub use sql::{BadSqlValue, SqlRows, SqlValue};
pub use steers::steers;
pub use time::{BadTimestamp, Timestamp};
pub use undone::{Conflict, ConflictReason, Undone};
