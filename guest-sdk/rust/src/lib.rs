//! Write the steps of [wflo](https://github.com/wflo-ai/wflo) workflows in Rust.
//!
//! A step is a function. It runs in a sandbox of its own and reaches nothing but what `workflow.toml` grants
//! it, through the functions of this crate.
//!
//! ```
//! use wflo::prelude::*;
//!
//! #[wflo::data]
//! struct Flagged {
//!     /// Ids of accounts with fraudulent transactions.
//!     accounts: Vec<String>,
//! }
//!
//! /// Analyze recent transactions for fraud patterns
//! #[wflo::step]
//! fn analyze_transactions(ctx: Context) -> wflo::Result<Flagged> {
//!     let since: String = ctx.input("since")?;
//!     let rows = db("bank").query("SELECT * FROM transactions WHERE at >= ?1", params![since])?;
//!     Ok(llm::analyze("gpt-4").data(&rows).prompt("Identify suspicious transaction patterns").json()?)
//! }
//!
//! /// Block accounts flagged as suspicious
//! #[wflo::step]
//! fn block_suspicious_accounts(ctx: Context) -> wflo::Result<usize> {
//!     let flagged: Flagged = ctx.output_of("analyze_transactions")?;
//!     for account in &flagged.accounts {
//!         db("bank").execute("UPDATE accounts SET status = 'blocked' WHERE id = ?1", params![account])?;
//!     }
//!     wflo::info!("blocked", count = flagged.accounts.len());
//!     Ok(flagged.accounts.len())
//! }
//!
//! wflo::export!(analyze_transactions, block_suspicious_accounts);
//! # fn main() {}
//! ```
//!
//! `Cargo.toml` needs two things beside the dependency, `wflo = { package = "wflo-sdk", ... }`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//! ```
//!
//! and `cargo build --target wasm32-wasip2 --release` makes the component. It imports what its steps use and
//! nothing else: a step that asks no database does not import `wflo:db`, so it needs no grant for one.
//!
//! # Errors
//!
//! `?` turns any error into a failure of the step. [`Error`] says which kind: another attempt may help where a
//! model was busy or a database away, and not elsewhere. [`retryable`], [`redo`] and [`permanent`] say it outright.
#![warn(missing_debug_implementations)]

// Generated code says `::wflo`, here as in a guest.
extern crate self as wflo;

mod approval;
pub mod artifact;
#[doc(hidden)]
pub mod bindings;
mod context;
pub mod db;
mod error;
mod fact;
mod handler;
pub mod http;
mod knowledge;
pub mod llm;
pub mod log;
pub mod mail;
mod notify;
mod publish;
mod schema;
mod secret;
pub mod terraform;

pub use approval::{Ask, AskError, Decision, DecisionStatus, Vote};
pub use artifact::Artifact;
pub use context::{Context, ContextError, Undo};
pub use fact::{FactError, Verdict, fact};
pub use knowledge::{Knowledge, KnowledgeError, Passage, knowledge};
pub use notify::notify;
pub use publish::publish;
#[doc(no_inline)]
pub use schemars::{self, JsonSchema};
pub use secret::{Secret, SecretError, secret};
#[doc(no_inline)]
pub use serde::{self, Deserialize, Serialize};
#[doc(no_inline)]
pub use serde_json::{self, Value, json};
pub use wflo_sdk_macros::{data, step};

pub use db::db;
pub use error::{Error, FailureKind, Result, permanent, redo, retryable};
pub use terraform::terraform;

/// Everything a file of steps usually names.
///
/// ```
/// use wflo::prelude::*;
/// # let _ = params![1, "two"];
/// ```
pub mod prelude {
    pub use crate::db::db;
    pub use crate::terraform::terraform;
    pub use crate::{Context, http, llm, mail, params};
    pub use serde_json::{Value, json};
}

/// What generated code refers to. No part of the interface.
#[doc(hidden)]
pub mod __rt {
    pub use crate::handler::{
        Entry, HasSchema, NoSchema, Output, Step, compensate, describe, done, output, run, unique,
    };

    pub use crate::bindings;
    pub use crate::bindings::export_component;
    pub use crate::bindings::exports::wflo::step::handler::{Failure, Guest, StepInfo, Undo};
}
