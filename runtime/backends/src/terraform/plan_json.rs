//! A plan, as `show -json` gives it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use wflo_model::Digest;
use wflo_ports::{PlannedChange, TerraformAction, TerraformError, TerraformPlan};

use super::redact::redacted;

/// Most bytes of what a plan shows to people.
const MOST_TEXT: usize = 256 << 10;

/// A plan with its secrets. It has no `Debug` on purpose.
#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    resource_changes: Vec<ResourceChange>,
    #[serde(default)]
    output_changes: BTreeMap<String, Change>,
}

#[derive(Deserialize)]
struct ResourceChange {
    address: String,
    #[serde(default)]
    mode: String,
    change: Change,
}

#[derive(Deserialize)]
struct Change {
    actions: Vec<String>,
    #[serde(default)]
    before: Value,
    #[serde(default)]
    after: Value,
    #[serde(default)]
    before_sensitive: Value,
    #[serde(default)]
    after_sensitive: Value,
}

impl Change {
    /// What becomes of it; none where nothing does, or where it is only read or forgotten.
    fn action(&self) -> Option<TerraformAction> {
        let words: Vec<_> = self.actions.iter().map(String::as_str).collect();
        match words[..] {
            ["create"] => Some(TerraformAction::Create),
            ["update"] => Some(TerraformAction::Update),
            ["delete"] => Some(TerraformAction::Delete),
            ["delete", "create"] | ["create", "delete"] => Some(TerraformAction::Replace),
            ["no-op"] | ["read"] => None,
            // What a later terraform does beside these is a change until somebody says what it is.
            _ => Some(TerraformAction::Update),
        }
    }

    fn detail(&self) -> Value {
        json!({
            "actions": self.actions,
            "before": redacted(&self.before, &self.before_sensitive),
            "after": redacted(&self.after, &self.after_sensitive),
        })
    }
}

/// Reads a plan from what `show -json` and `show` printed.
pub(super) fn read(digest: Digest, json: &str, text: String) -> Result<TerraformPlan, TerraformError> {
    let shown: Shown = serde_json::from_str(json).map_err(|error| TerraformError::Unavailable {
        message: format!("the plan cannot be read: {error}"),
    })?;
    let mut plan = TerraformPlan {
        digest,
        adds: 0,
        changes: 0,
        destroys: 0,
        resources: Vec::new(),
        outputs: Vec::new(),
        text: cut(text),
        detail: Value::Null,
    };
    let (mut resources, mut outputs) = (Map::new(), Map::new());
    for ResourceChange { address, change, .. } in
        shown.resource_changes.into_iter().filter(|it| it.mode != "data")
    {
        let Some(action) = change.action() else { continue };
        match action {
            TerraformAction::Create => plan.adds += 1,
            TerraformAction::Update => plan.changes += 1,
            TerraformAction::Delete => plan.destroys += 1,
            TerraformAction::Replace => {
                plan.adds += 1;
                plan.destroys += 1;
            }
        }
        resources.insert(address.clone(), change.detail());
        plan.resources.push(PlannedChange { address, action });
    }
    for (address, change) in shown.output_changes {
        let Some(action) = change.action() else { continue };
        outputs.insert(address.clone(), change.detail());
        plan.outputs.push(PlannedChange { address, action });
    }
    plan.detail = json!({ "resources": resources, "outputs": outputs });
    Ok(plan)
}

fn cut(mut text: String) -> String {
    if text.len() > MOST_TEXT {
        text.truncate(text.floor_char_boundary(MOST_TEXT));
        text.push_str("\n(the rest is left out)\n");
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_model::Digest;

    use super::{TerraformAction, read};

    #[test]
    fn counts_are_terraforms_and_secrets_are_not_told() {
        let change = |address: &str, actions: &[&str]| {
            json!({"address": address, "mode": "managed", "type": "t", "change": {
                "actions": actions, "before": {"size": 1, "pin": "s3same"}, "after": {"size": 2, "pin": "s3same"},
                "before_sensitive": {"pin": true}, "after_sensitive": {"pin": true},
            }})
        };
        let mut data = change("data.t.read", &["read"]);
        data["mode"] = json!("data");
        let shown = json!({
            "format_version": "1.2",
            "resource_changes": [
                change("t.add", &["create"]), change("t.change", &["update"]), change("t.gone", &["delete"]),
                change("t.anew", &["delete", "create"]), change("t.first", &["create", "delete"]),
                change("t.same", &["no-op"]), data,
            ],
            "output_changes": {
                "key": {"actions": ["create"], "before": null, "after": "s3same", "after_sensitive": true},
                "url": {"actions": ["no-op"], "before": "a", "after": "a"},
            },
        });
        let plan = read(Digest::ZERO, &shown.to_string(), "\nPlan: ..\n".to_owned()).unwrap();
        assert_eq!((plan.adds, plan.changes, plan.destroys), (3, 1, 3));
        assert_eq!(plan.resources.len(), 5);
        assert_eq!(plan.resources[3].action, TerraformAction::Replace);
        assert_eq!(plan.outputs.len(), 1);
        assert_eq!(plan.text, "Plan: ..");
        assert!(!serde_json::to_string(&plan).unwrap().contains("s3same"));
        assert_eq!(plan.detail["resources"]["t.change"]["after"]["size"], 2);
        assert!(!plan.is_empty());
    }

    #[test]
    fn a_plan_of_nothing_is_empty() {
        let plan =
            read(Digest::ZERO, r#"{"format_version":"0.1","resource_changes":[]}"#, "x".repeat(300 << 10));
        let plan = plan.unwrap();
        assert!(plan.is_empty());
        assert!(plan.text.ends_with("(the rest is left out)") && plan.text.len() < 257 << 10);
    }
}
