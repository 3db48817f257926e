//! workflow.toml and wflo.toml: authored, validated, pinned as a Plan.

mod approval;
mod plan;
mod price;
mod retry;

pub use approval::{ApprovalRule, Approver, OnReject, OnTimeout, Quorum};
pub use plan::{OnExceeded, OnFailure, Plan, PlanInput, PlanStep};
pub use price::{Price, Tier, UnknownPrice};
pub use retry::Retry;
pub use wflo_model::{Grants, Limits};
