//! The pure core of wflo: events, the fold over them, and what happens next.
//!
//! A run is a list of [`Recorded`] events. [`RunState::apply`] folds them; [`decide`] says what to do next.
//! Neither does I/O, reads a clock or awaits, so that a simulation can drive them through every history.

mod approval;
mod decide;
mod event;
mod ledger;
pub mod policy;
mod state;
mod status;

pub use approval::{Approval, ApprovalState, Ballot, VoteRefused, Voter, cast};
pub use decide::{Command, decide, next_due, retry_at};
pub use event::{
    AttemptEnd, CallClass, Event, EventKind, Outcome, ParkReason, Place, Recorded, Returned, Subject,
    UnknownKind, Verdict,
};
pub use ledger::{Ledger, Quote, Refusal, Spend, Tokens, Totals};
pub use state::{BadHistory, Created, RunState, StepState};
pub use status::{RunStatus, StepStatus};
