//! The WIT interfaces of wflo as Rust: bindings, linker, and the gate they all go through.
//!
//! A host function here does three things: it turns the guest's arguments into a [`Call`](wflo_model::Call),
//! asks the [`Gate`], and turns what the gate answers into the interface's own result. Whether a call may be
//! made, what it costs and who performs it is decided behind the gate and nowhere else.
#![warn(missing_debug_implementations)]

mod answer;
mod approval;
mod artifact;
mod bindings;
mod context;
mod db;
mod db_json;
mod files;
mod functions;
mod gate;
mod http;
mod infra;
mod knowledge;
mod link;
mod llm;
mod logging;
mod notify;
mod opaque;
mod secret;
mod step;

pub use answer::{ChatAnswer, QueuedAnswer, TaskAnswer};
pub use approval::FactVerdict;
pub use artifact::{ArtifactView, Artifacts, SavedAnswer};
pub use files::{FileAnswer, FilesView};
pub use functions::{FUNCTIONS, INTERFACES, Reach};
pub use gate::{
    Arrival, Begun, Decision, DecisionStatus, DecisionVote, Gate, LogLevel, LogLine, StepContext, Stop,
};
pub use http::{HttpRoom, HttpView, UnderWay};
pub use link::{HasHost, Host, HostView, add_to_linker, host};
pub use step::{StepInfo, StepInstance, StepPre, Undo};
