//! The embeddable wflo runtime: gate, executor, recovery.
//!
//! A [`Runtime`] holds a journal and a sandbox, or whatever else runs [`Components`]. It [starts](Runtime::start) runs of a pinned
//! [`Plan`](wflo_manifest::Plan), [drives](Runtime::drive) them until they end or wait, takes
//! [votes](Runtime::vote), and shows what happened. What steps can reach is what the [`Host`] lends.
//!
#![doc = include_str!("../docs/embedding.md")]
#![warn(missing_debug_implementations)]

mod accounts;
mod arguments;
mod artifact;
mod ask;
mod attempt;
mod beside;
mod bulk;
mod changes_view;
mod checkpoints;
mod compensate;
mod compute;
mod cost;
mod describe;
mod difference;
mod edit;
mod error;
mod executor;
mod fact;
mod files;
mod fork;
mod gate;
mod guest;
mod halt;
mod history;
mod http;
mod identities;
mod interface;
mod intervene;
mod label_gate;
mod lend;
mod message;
mod model_call;
mod named;
mod observing;
mod operation;
mod outbox;
mod output_gate;
mod outside;
mod packed;
mod pages;
mod placeholder;
mod player;
mod policy_gate;
mod prepare;
mod principal;
mod queries;
mod question;
mod reapply;
mod recovery;
mod redact;
mod replay;
mod report;
mod resumable;
mod retention;
mod rollback;
mod rollback_view;
mod row_filters;
mod run_log;
mod runs;
mod runtime;
mod scrub;
mod search;
mod secret;
mod seen;
mod signal;
mod statement;
mod step_test;
mod system_event;
mod system_log;
mod tasks;
mod terraform;
mod throttle;
mod top_up;
mod transactions;
mod transcript;
mod trial;
mod undo;
mod view;

pub use accounts::AccountView;
pub use artifact::{ArtifactReader, ArtifactView};
pub use attempt::AttemptFailed;
pub use changes_view::ChangesView;
pub use describe::ComponentView;
pub use difference::RowDifference;
pub use error::{NotRollable, RuntimeError};
pub use executor::Observer;
pub use fork::Fork;
pub use guest::{Components, StepProgram};
pub use interface::{CallClassOf, Interface, InterfaceError, InterfaceGrant, offer};
pub use outbox::OutboxLine;
pub use outside::{Outside, OutsideFiles, OutsideHttp, OutsideMail, OutsideTerraform};
pub use prepare::NotPrepared;
pub use principal::{NotAuthenticated, NotPermitted, Principal, Principals, Standing, new_token};
pub use replay::{AttemptReplay, Difference, ReplayView};
pub use report::{About, ReportAction, ReportLine, ReportQuery};
pub use resumable::Resumable;
pub use retention::{GcView, Retention};
pub use rollback_view::{CompensatedView, ReappliedView, RollbackView, UndoneView};
pub use run_log::{LogFailed, Summary};
pub use runtime::{Host, Runtime, Start};
pub use secret::{BadSecret, Secret};
pub use seen::Seen;
pub use step_test::{
    GivenArtifact, Record, RecordedSetting, StepTest, TapeAnswer, TapeArgs, TapeEntry, TestApproval,
    TestBench, TestEnd, TestExpectation, TestExpects, TestVote, Tested,
};
pub use system_event::{SystemEvent, SystemRecorded};
pub use tasks::prompt_versions;
pub use trial::RollbackTrial;
pub use view::{ApprovalView, CostView, ItemsView, LogView, RunLine, RunView, StepView, VoteView, WaitView};
pub use wflo_engine::{Filter, GateAt, Resolution, RunStatus, StepStatus, Verdict, Voter};
pub use wflo_model::{Act, Role};
