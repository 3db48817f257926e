//! workflow.toml and wflo.toml: authored, validated, pinned as a Plan.
//!
//! Each stage is a type of its own, and later code cannot see an earlier one: the text becomes a [`Workflow`],
//! whose parts fit together, and that becomes a [`Plan`], which is pinned to components, prices and limits and
//! does not change while a run lasts. The deployment's file becomes a [`Deployment`]. All problems of a file are
//! reported at once, as [`Diagnostics`] with places in it.
//!
//! Nothing here does I/O, reads the environment or a clock: the text of files comes in, values go out.
#![warn(missing_debug_implementations)]

mod absent;
mod approval;
mod approval_toml;
mod approval_union;
mod arguments;
mod channel;
mod channel_toml;
mod component;
mod compute;
mod db_toml;
mod deployment;
mod deployment_toml;
mod diagnostic;
mod directory;
mod explain;
mod expression;
mod expression_check;
mod expression_toml;
mod graph;
mod http;
mod inputs;
mod interface;
mod labels;
mod limits;
mod made_up;
mod message_toml;
mod near;
mod parameters;
mod pin;
mod plan;
mod policy;
mod policy_check;
#[cfg(test)]
mod policy_tests;
mod policy_toml;
mod policy_value;
mod price;
mod prices;
mod reach_toml;
mod reader;
mod retry;
mod review;
mod row_filter;
mod sandbox_rules;
mod schema;
mod size;
mod spending;
mod stand_ins;
mod statement;
mod terraform_toml;
mod text;
mod together;
mod typed;
mod unkept;
mod unsupported;
mod variables;
mod walls;
mod workflow;
mod workflow_toml;

pub use approval::{ApprovalAt, ApprovalRule, Approver, OnReject, OnTimeout, Quorum};
pub use arguments::{Argument, ArgumentError};
pub use channel::{Channel, ChannelKind, MailServer, Urgency};
pub use component::{BadComponent, ComponentRef};
pub use compute::ComputePrice;
pub use deployment::{
    AuditRules, BudgetRules, CassetteMode, Ceilings, DbBinding, Deployment, HostBinding, KnowledgeBinding,
    LlmBinding, LlmKind, LlmServer, MailAccepts, Principal, SecretBinding, Serve, Store,
};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, Source, Span};
pub use directory::Directory;
pub use expression::{BadDecimal, Bound, Decimal, EvaluationError, Expression, ExpressionError, Name, Scope};
pub use inputs::beyond_64_bits;
pub use labels::DataLabels;
pub use parameters::BadParameters;
pub use pin::Pinning;
pub use plan::{OnCancel, OnExceeded, OnFailure, OnItemFailure, Plan, PlanInput, PlanStep};
pub use policy::{Policy, PolicyAction, PolicyEvent, TERRAFORM_COUNTS};
pub use policy_value::{BadBareName, BareName, ValueType};
pub use price::{Price, Tier, UnknownPrice};
pub use prices::Prices;
pub use retry::Retry;
pub use review::Described;
pub use sandbox_rules::SandboxRules;
pub use spending::{Spending, WindowLimits};
pub use statement::Statement;
pub use terraform_toml::TerraformBinding;
pub use text::{MissingVariable, Text};
pub use typed::Signatures;
pub use wflo_model::{Grants, Limits};
pub use workflow::Workflow;
