//! The shapes of answers, for their description. A test holds them against real answers: the types they describe are the
//! runtime's views.

#![expect(dead_code, reason = "they are only described; a test reads real answers as them")]

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One run in a list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunLine {
    pub(crate) run: String,
    pub(crate) workflow: String,
    pub(crate) version: String,
    pub(crate) status: String,
    pub(crate) requester: String,
    pub(crate) created_at: String,
    pub(crate) cost_usd: String,
}

/// One run.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Run {
    pub(crate) run: String,
    pub(crate) workflow: String,
    pub(crate) version: String,
    pub(crate) status: String,
    pub(crate) waiting_for: Vec<Wait>,
    pub(crate) steps: Vec<Step>,
    pub(crate) cost_usd: String,
    pub(crate) held_usd: String,
    pub(crate) budget_usd: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) requester: String,
    pub(crate) created_at: String,
    pub(crate) events: u64,
}

/// One thing a run waits for.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Wait {
    pub(crate) kind: String,
    pub(crate) id: Option<String>,
    pub(crate) step: Option<String>,
    pub(crate) item: Option<u32>,
    pub(crate) intent: Option<u64>,
    pub(crate) message: Option<String>,
    pub(crate) until: Option<String>,
    #[serde(default)]
    pub(crate) committed: Vec<String>,
}

/// One step of a run.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) attempts: u32,
    #[schema(value_type = Option<Object>)]
    pub(crate) output: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub(crate) items: Option<Value>,
    pub(crate) cost_usd: String,
    pub(crate) fuel: u64,
    pub(crate) memory_peak: u64,
    pub(crate) ms: u64,
    pub(crate) error: Option<String>,
}

/// One approval.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Approval {
    pub(crate) id: String,
    pub(crate) run: String,
    pub(crate) workflow: String,
    pub(crate) step: Option<String>,
    pub(crate) item: Option<u32>,
    pub(crate) subject_digest: String,
    pub(crate) approvers: Vec<String>,
    pub(crate) quorum: usize,
    pub(crate) votes: Vec<Vote>,
    pub(crate) status: String,
    pub(crate) at: String,
    pub(crate) expires_at: Option<String>,
    #[schema(value_type = Object)]
    pub(crate) shows: Value,
    pub(crate) lacking: Vec<String>,
    pub(crate) follows: Option<String>,
    #[serde(default)]
    pub(crate) authors: Vec<String>,
    #[serde(default)]
    pub(crate) may_edit: bool,
}

/// One vote.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Vote {
    pub(crate) principal: String,
    pub(crate) verdict: String,
    pub(crate) comment: Option<String>,
    pub(crate) at: String,
}

/// What a run cost.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Cost {
    pub(crate) run: String,
    pub(crate) workflow: String,
    pub(crate) requester: String,
    pub(crate) day: String,
    pub(crate) budget_usd: Option<String>,
    pub(crate) cost_usd: String,
    pub(crate) held_usd: String,
    pub(crate) left_usd: Option<String>,
    pub(crate) overrun_usd: String,
    /// Each a step and what it cost.
    #[schema(value_type = Vec<Vec<String>>)]
    pub(crate) steps: Vec<(String, String)>,
    /// Each a model and what it was asked.
    #[schema(value_type = Vec<Object>)]
    pub(crate) models: Vec<(String, Value)>,
    /// What fuel and time cost, where the deployment prices them.
    pub(crate) compute_usd: String,
}

/// One line of a run's log.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct LogLine {
    pub(crate) seq: u64,
    pub(crate) at: String,
    pub(crate) step: Option<String>,
    pub(crate) attempt: u32,
    pub(crate) level: String,
    pub(crate) context: String,
    pub(crate) message: String,
}
