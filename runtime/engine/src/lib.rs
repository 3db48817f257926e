//! The pure core of wflo: events, the fold over them, and what happens next.
//!
//! A run is a list of [`Recorded`] events. [`RunState::apply`] folds them; [`decide`] says what to do next.
//! Neither does I/O, reads a clock or awaits, so that a simulation can drive them through every history.

mod alert;
mod approval;
mod decide;
mod event;
mod kind;
mod ledger;
mod notice;
mod permit;
mod place;
pub mod policy;
mod retry;
mod rollback;
mod standing;
mod start;
mod state;
mod status;
mod top_up;
mod unit;

pub use alert::budget_alert;
pub use approval::{Approval, ApprovalState, Ballot, Edit, Permitted, VoteRefused, Voter, cast, edit};
pub use decide::{Command, decide, next_due};
pub use event::{
    AttemptEnd, CallClass, Event, Filter, Forked, GateAt, GatedCall, InheritedArtifact, Lent, Outcome,
    ParkReason, Reported, Resolution, Returned, Subject, Transcript, Verdict,
};
pub use kind::{EventKind, UnknownKind};
pub use ledger::{Account, Day, Ledger, Quote, Refusal, Spend, Sums, Tokens, Totals};
pub use notice::{About, MAIL, Notice, Notices};
pub use permit::scope;
pub use place::{Place, Recorded, UnitId};
pub use retry::{backoff, retry_at};
pub use rollback::{
    Compensation, LeftEffect, Reapplied, Reapply, Rollback, RollbackPlan, StepUndone, TakenBack, UndoWrites,
    inherited_steps, plan_rollback,
};
pub use standing::standing;
pub use state::{BadHistory, Cancel, Created, RunState};
pub use status::{RunStatus, StepStatus};
pub use unit::{Compute, Items, OpenCall, StepState, Unit};
