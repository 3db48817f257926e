//! `wflo:infra/terraform`: what there is, what would change, and the change.

use serde::Serialize;
use wflo_model::CallError;
use wflo_ports::{
    PlannedChange, TerraformAction, TerraformApplied, TerraformPlan, TerraformResource, TerraformState,
};

use crate::bindings::wflo::infra::terraform::{
    self, Action, Applied, Change, Error, File, Infrastructure, ManagedResource, Planned,
};
use crate::link::Host;

const TERRAFORM: &str = "wflo:infra/terraform";

/// The arguments of `state`, as the journal keeps them.
#[derive(Serialize)]
struct StateArgs {
    terraform: String,
}

/// The arguments of `plan`.
#[derive(Serialize)]
struct PlanArgs {
    terraform: String,
    files: Vec<FileArgs>,
}

/// A file among them.
#[derive(Serialize)]
struct FileArgs {
    path: String,
    content: String,
}

/// The arguments of `apply`, as the guest gives them.
#[derive(Serialize)]
struct ApplyArgs {
    terraform: String,
    plan: String,
}

impl terraform::Host for Host<'_> {
    async fn state(&mut self, label: String) -> wasmtime::Result<Result<Infrastructure, Error>> {
        let args = StateArgs { terraform: label };
        let answer = self.call::<_, TerraformState>(TERRAFORM, "state", &args).await?;
        Ok(answer.map_err(error_to_guest).map(|state| Infrastructure {
            serial: state.serial,
            outputs: json(&state.outputs),
            resources: state.resources.into_iter().map(resource).collect(),
        }))
    }

    async fn plan(&mut self, label: String, files: Vec<File>) -> wasmtime::Result<Result<Planned, Error>> {
        let files = files.into_iter().map(|File { path, content }| FileArgs { path, content }).collect();
        let args = PlanArgs { terraform: label, files };
        let answer = self.call::<_, TerraformPlan>(TERRAFORM, "plan", &args).await?;
        Ok(answer.map_err(error_to_guest).map(plan))
    }

    async fn apply(&mut self, label: String, plan: String) -> wasmtime::Result<Result<Applied, Error>> {
        let args = ApplyArgs { terraform: label, plan };
        let answer = self.call::<_, TerraformApplied>(TERRAFORM, "apply", &args).await?;
        Ok(answer.map_err(error_to_guest).map(|applied| Applied {
            serial: applied.serial,
            outputs: json(&applied.outputs),
            resources: applied.resources,
        }))
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("what was read from JSON is JSON")
}

fn resource(TerraformResource { address, kind, values }: TerraformResource) -> ManagedResource {
    ManagedResource { address, kind, values: values.to_string() }
}

fn plan(plan: TerraformPlan) -> Planned {
    let changes = |all: Vec<PlannedChange>| all.into_iter().map(change).collect();
    Planned {
        digest: plan.digest.to_string(),
        adds: plan.adds,
        changes: plan.changes,
        destroys: plan.destroys,
        resources: changes(plan.resources),
        outputs: changes(plan.outputs),
        text: plan.text,
        detail: plan.detail.to_string(),
    }
}

fn change(PlannedChange { address, action }: PlannedChange) -> Change {
    let action = match action {
        TerraformAction::Create => Action::Create,
        TerraformAction::Update => Action::Update,
        TerraformAction::Replace => Action::Replace,
        TerraformAction::Delete => Action::Delete,
    };
    Change { address, action }
}

fn error_to_guest(error: CallError) -> Error {
    match error {
        CallError::AccessDenied { message } => Error::AccessDenied(message),
        CallError::Invalid { message } | CallError::Unknown { message } => Error::Invalid(message),
        CallError::Constraint { message } => Error::Stale(message),
        CallError::Upstream { message } => Error::Failed(message),
        CallError::Limit { message } => Error::Limit(message),
        CallError::RefusedByPolicy { policy } => Error::RefusedByPolicy(policy),
        CallError::Rejected { message } => Error::Rejected(message),
        CallError::Unavailable { message } => Error::Unavailable(message),
        other => Error::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_model::CallError;

    use super::{Action, Error, TerraformPlan, error_to_guest, plan};

    #[test]
    fn a_plan_reaches_the_guest_as_the_gate_gave_it() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let answer: TerraformPlan = serde_json::from_value(json!({
            "digest": digest, "adds": 1, "changes": 2, "destroys": 3,
            "resources": [{"address": "a.b", "action": "replace"}], "outputs": [],
            "text": "Plan: ..", "detail": {"resources": {}},
        }))
        .unwrap();
        let told = plan(answer);
        assert_eq!((told.adds, told.changes, told.destroys), (1, 2, 3));
        assert_eq!((told.digest, told.detail.as_str()), (digest, r#"{"resources":{}}"#));
        assert!(matches!(told.resources[0].action, Action::Replace));
    }

    #[test]
    fn what_failed_and_what_could_not_be_put_back_are_told_apart() {
        let failed = CallError::Upstream { message: "no capacity".into() };
        assert!(matches!(error_to_guest(failed), Error::Failed(text) if text == "no capacity"));
        let worse = CallError::Other { message: "neither".into() };
        assert!(matches!(error_to_guest(worse), Error::Other(text) if text == "neither"));
        let stale = CallError::Constraint { message: "plan again".into() };
        assert!(matches!(error_to_guest(stale), Error::Stale(text) if text == "plan again"));
    }
}
