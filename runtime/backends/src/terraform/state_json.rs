//! The state, as `state pull` gives it: version 4 of its format, which terraform has had since 0.12 and OpenTofu has.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use wflo_ports::{TerraformApplied, TerraformBase, TerraformError, TerraformResource, TerraformState};

use super::redact::redacted;

/// A state, with its secrets. It has no `Debug` on purpose.
#[derive(Default, Deserialize)]
pub(super) struct Pulled {
    version: u64,
    serial: u64,
    lineage: String,
    #[serde(default)]
    outputs: BTreeMap<String, Output>,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(default)]
    value: Value,
    #[serde(default)]
    sensitive: bool,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    module: Option<String>,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    #[serde(default)]
    index_key: Option<Value>,
    #[serde(default)]
    attributes: Value,
    #[serde(default)]
    sensitive_attributes: Vec<Value>,
}

impl Pulled {
    /// Reads what `state pull` printed; nothing where nothing was ever applied.
    pub(super) fn read(text: &str) -> Result<Self, TerraformError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let unreadable =
            |why: String| TerraformError::Unavailable { message: format!("the state cannot be read: {why}") };
        let pulled: Self = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        match pulled.version {
            4 => Ok(pulled),
            other => Err(unreadable(format!("it is of version {other}"))),
        }
    }

    pub(super) fn base(&self) -> TerraformBase {
        TerraformBase { serial: self.serial, lineage: self.lineage.clone() }
    }

    /// What is told of it.
    pub(super) fn view(&self) -> TerraformState {
        let resources = self.resources.iter().flat_map(|resource| {
            resource.instances.iter().map(|instance| TerraformResource {
                address: resource.address(instance),
                kind: resource.kind.clone(),
                values: redacted(&instance.attributes, &instance.marks()),
            })
        });
        TerraformState {
            serial: self.serial,
            lineage: self.lineage.clone(),
            outputs: self.shown_outputs(),
            resources: resources.collect(),
        }
    }

    /// What is told of it after an apply.
    pub(super) fn applied(&self) -> TerraformApplied {
        let managed = self.resources.iter().filter(|resource| resource.mode == "managed");
        let resources =
            managed.flat_map(|resource| resource.instances.iter().map(|instance| resource.address(instance)));
        TerraformApplied {
            serial: self.serial,
            outputs: self.shown_outputs(),
            resources: resources.collect(),
        }
    }

    fn shown_outputs(&self) -> BTreeMap<String, Value> {
        let shown = |output: &Output| redacted(&output.value, &Value::Bool(output.sensitive));
        self.outputs.iter().map(|(name, output)| (name.clone(), shown(output))).collect()
    }
}

impl Resource {
    fn address(&self, instance: &Instance) -> String {
        let module = self.module.as_ref().map(|module| format!("{module}.")).unwrap_or_default();
        let data = if self.mode == "data" { "data." } else { "" };
        let index = instance.index_key.as_ref().map(|key| format!("[{key}]")).unwrap_or_default();
        format!("{module}{data}{}.{}{index}", self.kind, self.name)
    }
}

impl Instance {
    /// The paths that are marked as sensitive, in the shape that `show -json` writes marks in.
    fn marks(&self) -> Value {
        let mut marks = Value::Object(serde_json::Map::new());
        for path in &self.sensitive_attributes {
            // A path that has a step this does not know marks everything below the last that it does.
            let steps = path.as_array().map(Vec::as_slice).unwrap_or_default();
            let mut at = &mut marks;
            for step in steps {
                let Some(name) = step["value"].as_str() else { break };
                if !at.is_object() {
                    break;
                }
                at = &mut at[name];
                if at.is_null() {
                    *at = Value::Object(serde_json::Map::new());
                }
            }
            *at = Value::Bool(true);
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Pulled;

    const TEXT: &str = r#"{
        "version": 4, "terraform_version": "1.9.0", "serial": 7, "lineage": "l",
        "outputs": {
            "url": {"value": "https://a.example", "type": "string"},
            "key": {"value": "s3same", "type": "string", "sensitive": true}
        },
        "resources": [
            {"mode": "managed", "type": "aws_instance", "name": "web", "provider": "p", "instances": [
                {"index_key": 0, "schema_version": 1, "attributes": {"size": "m5.large", "user_data": "s3same"},
                 "sensitive_attributes": [[{"type": "get_attr", "value": "user_data"}]]}
            ]},
            {"module": "module.db", "mode": "managed", "type": "aws_db_instance", "name": "it", "provider": "p",
             "instances": [{"index_key": "eu", "attributes": {"password": "s3same", "tags": {"a": "b", "c": "s3same"}},
                "sensitive_attributes": [[{"type": "get_attr", "value": "tags"}, {"type": "index", "value": "c"}]]}]},
            {"mode": "data", "type": "aws_ami", "name": "it", "provider": "p", "instances": [{"attributes": null}]}
        ]
    }"#;

    #[test]
    fn what_is_secret_is_not_told() {
        let view = Pulled::read(TEXT).unwrap().view();
        assert!(!serde_json::to_string(&view).unwrap().contains("s3same"));
        let addresses: Vec<_> = view.resources.iter().map(|it| it.address.as_str()).collect();
        assert_eq!(
            addresses,
            ["aws_instance.web[0]", "module.db.aws_db_instance.it[\"eu\"]", "data.aws_ami.it"]
        );
        assert_eq!(view.resources[0].values, json!({"size": "m5.large", "user_data": null}));
        assert_eq!(view.resources[1].values, json!({"password": null, "tags": {"a": "b", "c": null}}));
        assert_eq!(view.outputs["url"], "https://a.example");
        assert_eq!(view.outputs["key"], json!(null));
    }

    #[test]
    fn what_is_there_after_an_apply_is_what_is_managed() {
        let applied = Pulled::read(TEXT).unwrap().applied();
        assert_eq!((applied.serial, applied.resources.len()), (7, 2));
        assert!(!serde_json::to_string(&applied).unwrap().contains("s3same"));
    }

    #[test]
    fn nothing_and_another_format_are_told_apart() {
        assert_eq!(Pulled::read("\n").unwrap().view().serial, 0);
        let error = |text: &str| Pulled::read(text).err().unwrap().to_string();
        assert!(error("{\"version\": 5, \"serial\": 1, \"lineage\": \"l\"}").contains("version 5"));
        assert!(error("no state").contains("cannot be read"));
    }
}
