//! The calls of `wflo:artifact`: what they mean and how they are made.

use serde::Deserialize as _;
use serde_json::{Value, json};
use wflo_engine::{Event, Returned, RunState};
use wflo_host_api::{SavedAnswer, Stop};
use wflo_model::{
    Artifact, ArtifactAddress, ArtifactName, Call, CallError, CallResult, FoundArtifact, StepName,
};
use wflo_ports::HttpRequest;

use crate::gate::{AttemptGate, returned};
use crate::player::Asked;

pub(crate) const STORE: &str = "wflo:artifact/store";
pub(crate) const HTTP: &str = "wflo:artifact/http";

/// A call of `wflo:artifact`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArtifactCall {
    /// An artifact is there from now on. Its bytes are durable already.
    Finish(Artifact),
    /// One is about to be read.
    Open(ArtifactAddress),
}

/// A request whose answer becomes an artifact.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Save {
    pub(crate) artifact: ArtifactName,
    pub(crate) request: HttpRequest,
}

impl ArtifactCall {
    /// Reads a call of the store.
    ///
    /// # Errors
    /// `Invalid` for arguments that do not fit, `AccessDenied` for a function that does not exist.
    pub(crate) fn parse(call: &Call) -> Result<Self, CallError> {
        let invalid = |error: serde_json::Error| CallError::Invalid { message: format!("`{call}`: {error}") };
        match call.function.as_str() {
            "finish" => Artifact::deserialize(&call.args).map(Self::Finish).map_err(invalid),
            "open" => ArtifactAddress::deserialize(&call.args).map(Self::Open).map_err(invalid),
            _ => Err(CallError::AccessDenied { message: format!("there is no function `{call}`") }),
        }
    }
}

impl Save {
    /// Reads a call: the arguments are those of a request over HTTP, and a name beside them.
    ///
    /// # Errors
    /// `Invalid` for arguments that do not fit.
    pub(crate) fn parse(call: &Call) -> Result<Self, CallError> {
        let invalid =
            |error: &dyn std::fmt::Display| CallError::Invalid { message: format!("`{call}`: {error}") };
        let mut args = call.args.clone();
        let name = args.as_object_mut().and_then(|args| args.shift_remove("artifact")).unwrap_or_default();
        let artifact = ArtifactName::deserialize(&name).map_err(|error| invalid(&error))?;
        let request = HttpRequest::deserialize(&args).map_err(|error| invalid(&error))?;
        Ok(Self { artifact, request })
    }
}

/// The artifact that the answer to a `save` has become, if it has.
pub(crate) fn saved(result: &CallResult) -> Option<Artifact> {
    let saved = SavedAnswer::deserialize(result.as_ref().ok()?).ok()?.saved?;
    Some(saved.artifact)
}

impl AttemptGate {
    /// Makes a call that was authorised: nothing outside is asked.
    pub(crate) fn artifact(&mut self, asked: Asked, call: ArtifactCall) -> Result<CallResult, Stop> {
        let (result, artifact) = match call {
            ArtifactCall::Finish(artifact) => {
                let found = self.own_artifact(artifact.clone());
                (Ok(json!(found)), Some(artifact))
            }
            ArtifactCall::Open(which) => (self.found(&which).map(|found| json!(found)), None),
        };
        if let Err(error @ CallError::AccessDenied { .. }) = result {
            return self.deny(asked, error);
        }
        self.append(Event::Returned(Returned { artifact, ..returned(None, asked, &result) }))?;
        Ok(result)
    }

    /// An artifact of this attempt.
    pub(crate) fn own_artifact(&self, artifact: Artifact) -> FoundArtifact {
        FoundArtifact { step: self.step.name.clone(), item: self.place.item, artifact }
    }

    /// The artifact that a step means.
    ///
    /// # Errors
    /// `AccessDenied` for one of a step that it does not depend on, `Unknown` where there is none, `Invalid` where it
    /// may be one of several.
    pub(crate) fn found(&self, which: &ArtifactAddress) -> Result<FoundArtifact, CallError> {
        let own = &self.step.name;
        let ancestors = self.plan.transitive(own);
        self.log.read(|state| {
            let mine = || {
                let unit = self.place.unit_id().map(|unit| state.unit(&unit));
                let artifacts = unit.map(|unit| unit.artifacts.clone()).unwrap_or_default();
                artifacts.into_iter().rfind(|it| it.artifact == which.artifact)
            };
            if which.step.as_ref().is_none_or(|step| step == own)
                && which.item.is_none_or(|item| Some(item) == self.place.item)
                && let Some(artifact) = mine()
            {
                return Ok(self.own_artifact(artifact));
            }
            one_of(state, which, own, ancestors.iter())
        })
    }
}

/// The one artifact of the steps before that is meant.
fn one_of<'a>(
    state: &RunState,
    which: &ArtifactAddress,
    own: &StepName,
    ancestors: impl Iterator<Item = &'a StepName> + Clone,
) -> Result<FoundArtifact, CallError> {
    if let Some(step) = which.step.as_ref().filter(|step| *step != own)
        && !ancestors.clone().any(|ancestor| ancestor == step)
    {
        let message =
            format!("step `{own}` does not depend on step `{step}`, whose artifact {which} would be");
        return Err(CallError::AccessDenied { message });
    }
    let mut found = Vec::new();
    for step in ancestors.filter(|ancestor| which.step.as_ref().is_none_or(|step| step == *ancestor)) {
        for (item, artifact) in state.step(step).artifacts() {
            if artifact.artifact == which.artifact && (which.item.is_none() || which.item == item) {
                found.push(FoundArtifact { step: step.clone(), item, artifact: artifact.clone() });
            }
        }
    }
    match found.len() {
        0 => Err(CallError::Unknown { message: format!("there is no artifact {which}") }),
        1 => Ok(found.remove(0)),
        several => {
            let message = format!("there are {several} artifacts {which}: say of which step, and which item");
            Err(CallError::Invalid { message })
        }
    }
}

/// A value of a call that was made before, as its event is to have it: with the artifact that it stands for.
pub(crate) fn artifact_of(call: &Call, value: &Value) -> Option<Artifact> {
    (call.interface == HTTP).then(|| saved(&Ok(value.clone()))).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_model::Call;

    use super::Save;

    #[test]
    fn a_request_that_is_saved_reads_as_a_request_and_a_name() {
        let args = json!({"artifact": "rows", "method": "GET", "url": "https://example.org/a"});
        let save = Save::parse(&Call::new("wflo:artifact/http", "save", args)).unwrap();
        assert_eq!(
            (save.artifact.as_str(), save.request.url.to_string().as_str()),
            ("rows", "https://example.org/a")
        );
        for bad in [json!({}), json!({"artifact": "a/b", "method": "GET", "url": "https://example.org/"})] {
            assert!(Save::parse(&Call::new("wflo:artifact/http", "save", bad)).is_err());
        }
    }
}
