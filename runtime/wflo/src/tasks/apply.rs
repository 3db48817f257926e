//! `wflo:infra/terraform.apply`, as a guest calls it: what is there is written down first, and then the plan is applied.
//!
//! Both are calls of their own. What the second is about is in its arguments, as it was read from the plan: that is what
//! policies judge, what people are shown, and what the journal has.

use serde::Deserialize;
use serde_json::{Value, json};
use wflo_host_api::Stop;
use wflo_model::{Call, CallResult};
use wflo_ports::TerraformSnapshot;

use super::Caller;

/// What a guest wants applied.
#[derive(Debug, Deserialize)]
pub(crate) struct Apply {
    terraform: String,
    plan: String,
}

impl Apply {
    pub(super) async fn perform(self, caller: &mut dyn Caller) -> Result<CallResult, Stop> {
        let Self { terraform, plan } = self;
        let args = json!({ "terraform": terraform, "plan": plan });
        let prepared = match caller.make(Call::new("wflo:infra/terraform", "prepare", args)).await? {
            Ok(prepared) => prepared,
            Err(error) => return Ok(Err(error)),
        };
        let TerraformSnapshot { plan: read, base, .. } = serde_json::from_value(prepared)
            .map_err(|error| Stop::Host(format!("what was prepared cannot be read: {error}")))?;
        let args: Value = json!({
            "terraform": terraform,
            "plan": plan,
            "adds": read.adds,
            "changes": read.changes,
            "destroys": read.destroys,
            "outputs": read.outputs.len(),
            "resources": read.resources,
            "text": read.text,
            "base": base,
        });
        caller.make(Call::new("wflo:infra/terraform", "apply", args)).await
    }
}
