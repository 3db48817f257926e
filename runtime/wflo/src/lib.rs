//! The embeddable wflo runtime: gate, executor, recovery.
//!
//! A [`Runtime`] holds a journal and a sandbox, or whatever else runs [`Components`]. It [starts](Runtime::start) runs of a pinned
//! [`Plan`](wflo_manifest::Plan), [drives](Runtime::drive) them until they end or wait, takes
//! [votes](Runtime::vote), and shows what happened. What steps can reach is what the [`Host`] lends.

mod accounts;
mod ask;
mod attempt;
mod cost;
mod edit;
mod error;
mod executor;
mod fact;
mod files;
mod fork;
mod gate;
mod guest;
mod history;
mod http;
mod identities;
mod interface;
mod intervene;
mod label_gate;
mod model_call;
mod named;
mod operation;
mod outbox;
mod output_gate;
mod outside;
mod placeholder;
mod player;
mod policy_gate;
mod principal;
mod queries;
mod question;
mod recovery;
mod redact;
mod replay;
mod resumable;
mod retention;
mod run_log;
mod runs;
mod runtime;
mod scrub;
mod secret;
mod statement;
mod tasks;
mod top_up;
mod transactions;
mod transcript;
mod view;

pub use accounts::AccountView;
pub use attempt::AttemptFailed;
pub use error::RuntimeError;
pub use executor::Observer;
pub use fork::Fork;
pub use guest::{Components, StepProgram};
pub use interface::{CallClassOf, Interface, InterfaceError, InterfaceGrant, offer};
pub use outbox::OutboxLine;
pub use outside::{Outside, OutsideFiles, OutsideHttp};
pub use principal::{NotAuthenticated, Principal, Principals, new_token};
pub use replay::{AttemptReplay, Difference, ReplayView};
pub use resumable::Resumable;
pub use retention::{GcView, Retention};
pub use run_log::{LogFailed, Summary};
pub use runtime::{Host, Runtime, Start};
pub use secret::{BadSecret, Secret};
pub use tasks::prompt_versions;
pub use view::{ApprovalView, CostView, ItemsView, LogView, RunLine, RunView, StepView, VoteView, WaitView};
pub use wflo_engine::{GateAt, Resolution, RunStatus, StepStatus, Verdict, Voter};
