//! Infrastructure: who may do what with a working copy, and how it is done.

use serde::Deserialize;
use serde_json::{Value, json};
use wflo_engine::{CallClass, Event, ParkReason};
use wflo_host_api::Stop;
use wflo_model::{Call, CallError, CallResult, Digest, Grants, Label, TerraformVerb};
use wflo_ports::{ConfigurationPath, TerraformBase, TerraformError, TerraformFile, Verified};

use crate::Outside;
use crate::gate::{AttemptGate, InDoubt, returned};
use crate::history::OpenIntent;
use crate::operation::arguments;
use crate::outside::OutsideTerraform;
use crate::player::Asked;

/// A call of `wflo:infra/terraform`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TerraformCall {
    terraform: Label,
    does: Does,
}

/// What it does there.
#[derive(Clone, Debug, PartialEq)]
enum Does {
    /// `state`
    State,
    /// `plan`
    Plan(Vec<FileArgs>),
    /// What comes before `apply`; no guest can ask for it.
    Prepare(Digest),
    /// `apply`, with what it was prepared to be applied to.
    Apply { plan: Digest, base: TerraformBase },
}

/// A file as a guest writes it down: its path may be anything.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct FileArgs {
    path: String,
    content: String,
}

#[derive(Deserialize)]
struct PlanArgs {
    files: Vec<FileArgs>,
}

#[derive(Deserialize)]
struct ApplyArgs {
    plan: Digest,
    #[serde(default)]
    base: Option<TerraformBase>,
}

#[derive(Deserialize)]
struct Labelled {
    terraform: Label,
}

impl TerraformCall {
    /// Reads a call.
    ///
    /// # Errors
    /// `Invalid` for arguments that do not fit, `AccessDenied` for a function that does not exist.
    pub(crate) fn parse(call: &Call) -> Result<Self, CallError> {
        let does = match call.function.as_str() {
            "state" => Does::State,
            "plan" => Does::Plan(arguments::<PlanArgs>(call)?.files),
            "prepare" => Does::Prepare(arguments::<ApplyArgs>(call)?.plan),
            "apply" => match arguments(call)? {
                ApplyArgs { plan, base: Some(base) } => Does::Apply { plan, base },
                ApplyArgs { base: None, .. } => {
                    let message = format!("`{call}` does not say what it starts from");
                    return Err(CallError::Invalid { message });
                }
            },
            _ => return Err(CallError::AccessDenied { message: format!("there is no function `{call}`") }),
        };
        let Labelled { terraform } = arguments(call)?;
        Ok(Self { terraform, does })
    }

    /// What a crash in its middle means.
    pub(crate) const fn class(&self) -> CallClass {
        match self.does {
            Does::State | Does::Plan(_) | Does::Prepare(_) => CallClass::Read,
            Does::Apply { .. } => CallClass::Verifiable,
        }
    }

    /// Whether it applies a plan: what policies hear by what that counts.
    pub(crate) const fn is_apply(&self) -> bool {
        matches!(self.does, Does::Apply { .. })
    }

    /// The working copy that it puts something of the step's into; none where it does not.
    pub(crate) const fn writes_to(&self) -> Option<&Label> {
        match self.does {
            Does::State => None,
            Does::Plan(_) | Does::Prepare(_) | Does::Apply { .. } => Some(&self.terraform),
        }
    }

    const fn verb(&self) -> TerraformVerb {
        match self.does {
            Does::State => TerraformVerb::State,
            Does::Plan(_) => TerraformVerb::Plan,
            Does::Prepare(_) | Does::Apply { .. } => TerraformVerb::Apply,
        }
    }

    /// Whether the step may make it: its grant, and the deployment's binding today. What is in the files is judged by
    /// whoever plans with them.
    ///
    /// # Errors
    /// `AccessDenied` with the grant that is lacking or the path that leads out, `Unknown` where nothing is bound.
    pub(crate) fn authorise(&self, grants: &Grants, outside: &Outside) -> Result<(), CallError> {
        let (label, verb) = (&self.terraform, self.verb());
        if !grants.terraform.get(label).is_some_and(|verbs| verbs.contains(&verb)) {
            let message = format!(
                "`{verb}` of terraform folder `{label}` is not granted; `grants.terraform = [{{ label = \"{label}\", allow = [\"{verb}\"] }}]` would"
            );
            return Err(CallError::AccessDenied { message });
        }
        if let Does::Plan(files) = &self.does {
            let bad = files.iter().find_map(|file| file.path.parse::<ConfigurationPath>().err());
            if let Some(bad) = bad {
                return Err(CallError::AccessDenied { message: bad.to_string() });
            }
        }
        bound(outside, label).map(|_| ())
    }
}

/// The working copy that the deployment binds under a label today.
pub(crate) fn bound<'a>(outside: &'a Outside, label: &Label) -> Result<&'a OutsideTerraform, CallError> {
    outside.terraform(label).ok_or_else(|| CallError::Unknown {
        message: format!("the deployment binds no terraform folder `{label}`"),
    })
}

impl AttemptGate {
    /// Makes a call of a working copy that was authorised. The commit point of an apply is in the working copy: what came
    /// of one that a crash cut off is for [`verify`](Self::verify) to find out.
    pub(crate) async fn terraform(&mut self, call: Asked, it: TerraformCall) -> Result<CallResult, Stop> {
        let folder = match bound(&self.outside, &it.terraform) {
            Ok(bound) => std::sync::Arc::clone(bound.folder()),
            Err(error) => return Err(Stop::Host(error.to_string())),
        };
        let made = match &it.does {
            Does::State => folder.state().await.map(|state| json!(state)),
            Does::Plan(files) => match files.iter().map(file).collect::<Result<Vec<_>, _>>() {
                Ok(files) => folder.plan(&files).await.map(|plan| json!(plan)),
                Err(error) => return Err(Stop::Host(format!("a file that was authorised: {error}"))),
            },
            Does::Prepare(plan) => folder.prepare(plan).await.map(|snapshot| json!(snapshot)),
            Does::Apply { plan, base } => {
                let (plan, base) = (*plan, base.clone());
                let class = CallClass::Verifiable;
                let intent = self.intent(&call, class, None).await?;
                let called = call.call.to_string();
                self.in_doubt = Some(InDoubt { intent, call: called.clone(), class });
                let applied = folder.apply(&plan, &base).await;
                self.in_doubt = None;
                let result = match applied {
                    Ok(applied) => Ok(json!(applied)),
                    Err(TerraformError::Lost { message }) => {
                        let call = format!("{called}: {message}");
                        return Err(self.park(ParkReason::Unknown { intent, call }).await);
                    }
                    Err(error) => Err(told(error)),
                };
                self.append(Event::Returned(returned(Some(intent), call, &result)))?;
                return Ok(result);
            }
        };
        match made {
            Err(error @ TerraformError::Prohibited { .. }) => self.deny(call, told(error)),
            made => {
                let result = made.map_err(told);
                self.append(Event::Returned(returned(None, call, &result)))?;
                Ok(result)
            }
        }
    }

    /// Finds out what became of an apply that a crash cut off: it waits for a terraform that has outlived its starter, and
    /// asks for a fresh plan. What cannot be told is for a person to say.
    pub(crate) async fn verify(
        &mut self,
        call: Asked,
        it: TerraformCall,
        open: OpenIntent,
    ) -> Result<CallResult, Stop> {
        let unknown = |called: String| ParkReason::Unknown { intent: open.seq, call: called };
        let called = call.call.to_string();
        let Does::Apply { plan, .. } = it.does else { return Err(self.park(unknown(called)).await) };
        let folder = match bound(&self.outside, &it.terraform) {
            Ok(bound) => std::sync::Arc::clone(bound.folder()),
            Err(error) => return Err(self.park(unknown(format!("{called}: {error}"))).await),
        };
        let result = match folder.verify(&plan).await {
            Ok(Verified::NotBegun) => {
                let cost = open.hold;
                self.append(Event::Abandoned { intent: open.seq, cost })?;
                return self.live(call, crate::operation::Operation::Terraform(it)).await;
            }
            Ok(Verified::Done(applied)) => Ok(json!(applied)),
            Ok(Verified::Restored { message }) => Err(CallError::Upstream { message }),
            Ok(Verified::Unknown { message }) => {
                return Err(self.park(unknown(format!("{called}: {message}"))).await);
            }
            Ok(_) => return Err(self.park(unknown(called)).await),
            // It may be told later: nothing is written.
            Err(error) => {
                return Err(Stop::Host(format!("what became of `{called}` cannot be told now: {error}")));
            }
        };
        self.append(Event::Returned(returned(Some(open.seq), call, &result)))?;
        Ok(result)
    }
}

fn file(file: &FileArgs) -> Result<TerraformFile, wflo_ports::BadConfigurationPath> {
    Ok(TerraformFile { path: file.path.parse()?, content: file.content.clone() })
}

/// What a guest is told about an error.
fn told(error: TerraformError) -> CallError {
    let message = error.to_string();
    match error {
        TerraformError::Prohibited { .. } => CallError::AccessDenied { message },
        TerraformError::Invalid { .. } | TerraformError::Unknown { .. } => CallError::Invalid { message },
        TerraformError::Stale { .. } => CallError::Constraint { message },
        TerraformError::Limit { .. } => CallError::Limit { message },
        TerraformError::Unavailable { .. } => CallError::Unavailable { message },
        TerraformError::Failed { .. } => CallError::Upstream { message },
        _ => CallError::Other { message },
    }
}

/// Whether `apply` could have returned a value.
pub(crate) fn fits_apply(value: &Value) -> Result<(), String> {
    wflo_ports::TerraformApplied::deserialize(value).map(|_| ()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_engine::CallClass;
    use wflo_model::{Call, CallError, Grants, TerraformVerb};

    use super::TerraformCall;
    use crate::Outside;

    fn parse(function: &str, args: serde_json::Value) -> Result<TerraformCall, CallError> {
        TerraformCall::parse(&Call::new("wflo:infra/terraform", function, args))
    }

    fn grants(verbs: &[TerraformVerb]) -> Grants {
        let terraform = [("prod".parse().unwrap(), verbs.iter().copied().collect())].into();
        Grants { terraform, ..Grants::default() }
    }

    #[test]
    fn each_use_has_a_grant_of_its_own() {
        let plan = format!("sha256:{}", "0".repeat(64));
        let base = json!({"serial": 1, "lineage": "l"});
        let state = parse("state", json!({"terraform": "prod"})).unwrap();
        let planned = parse("plan", json!({"terraform": "prod", "files": []})).unwrap();
        let prepare = parse("prepare", json!({"terraform": "prod", "plan": plan})).unwrap();
        let apply = parse("apply", json!({"terraform": "prod", "plan": plan, "base": base})).unwrap();
        assert_eq!([&state, &planned, &prepare].map(TerraformCall::class), [CallClass::Read; 3]);
        assert_eq!(
            (apply.class(), apply.is_apply(), prepare.is_apply()),
            (CallClass::Verifiable, true, false)
        );
        for (call, verb) in [
            (&state, TerraformVerb::State),
            (&planned, TerraformVerb::Plan),
            (&prepare, TerraformVerb::Apply),
            (&apply, TerraformVerb::Apply),
        ] {
            for granted in [TerraformVerb::State, TerraformVerb::Plan, TerraformVerb::Apply] {
                let may = call.authorise(&grants(&[granted]), &Outside::default());
                match may {
                    // Only the deployment is lacking.
                    Err(CallError::Unknown { .. }) => assert_eq!(granted, verb, "{call:?}"),
                    Err(CallError::AccessDenied { message }) => {
                        assert_ne!(granted, verb, "{call:?}");
                        assert!(
                            message.contains(&format!("`{verb}` of terraform folder `prod`")),
                            "{message}"
                        );
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_path_that_leads_out_is_denied_and_a_guest_cannot_say_what_it_starts_from() {
        let files = json!([{"path": "../main.tf", "content": ""}]);
        let planned = parse("plan", json!({"terraform": "prod", "files": files})).unwrap();
        let denied = planned.authorise(&grants(&[TerraformVerb::Plan]), &Outside::default());
        assert!(matches!(denied, Err(CallError::AccessDenied { message }) if message.contains("leads out")));
        let plan = format!("sha256:{}", "0".repeat(64));
        assert!(matches!(
            parse("apply", json!({"terraform": "prod", "plan": plan})),
            Err(CallError::Invalid { .. })
        ));
        assert!(matches!(
            parse("destroy", json!({"terraform": "prod"})),
            Err(CallError::AccessDenied { .. })
        ));
    }
}
