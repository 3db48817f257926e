//! Where the gate of a test takes its answers from.

use wflo_engine::{Event, Returned};
use wflo_host_api::{Artifacts as _, SavedAnswer, Stop};
use wflo_model::{Artifact, Call, CallError, CallResult};
use wflo_ports::HttpResponse;

use super::Tape;
use crate::artifact::Save;
use crate::gate::{AttemptGate, returned};
use crate::operation::Operation;
use crate::player::{Asked, Divergence};

impl Operation {
    /// Whether the gate answers it itself: it reaches nothing outside.
    pub(crate) const fn is_the_gates_own(&self) -> bool {
        matches!(
            self,
            Self::Ask(_)
                | Self::Artifact(_)
                | Self::Fact(_)
                | Self::Secret(_)
                | Self::Cost(_)
                | Self::Output(_)
        )
    }
}

impl AttemptGate {
    /// Answers a call from the tape, where it would be performed: it was authorised, policies and people have been
    /// asked. One that is not on the tape ends the test, as one that is not in a journal ends a replay.
    pub(crate) async fn taped(
        &mut self,
        asked: Asked,
        operation: &Operation,
        tape: &Tape,
    ) -> Result<CallResult, Stop> {
        let made = self.performed.as_ref().unwrap_or(&asked.call);
        let made = Call { args: self.placeholders.masked(made), ..made.clone() };
        let Some(answer) = tape.answer(self.player.ordinal(), &made) else {
            let expected = "an entry of the tape".to_owned();
            return Err(self.diverged(Divergence {
                ordinal: self.player.ordinal(),
                expected,
                got: made.to_string(),
            }));
        };
        let (result, artifact) = match (operation, answer) {
            (Operation::Save(save), Ok(value)) => self.saved_from(save, value).await?,
            (_, answer) => (answer, None),
        };
        self.append(Event::Returned(Returned { artifact, ..returned(None, asked, &result) }))?;
        Ok(result)
    }

    /// Has the body of an answer on the tape become the artifact it was saved as.
    async fn saved_from(
        &mut self,
        save: &Save,
        value: serde_json::Value,
    ) -> Result<(CallResult, Option<Artifact>), Stop> {
        let mut answer: HttpResponse = serde_json::from_value(value)
            .map_err(|error| Stop::Host(format!("the tape's answer to `{}`: {error}", save.request.url)))?;
        if !(200..300).contains(&answer.status) {
            return Ok((Ok(serde_json::json!(SavedAnswer { answer, saved: None })), None));
        }
        let writer = match self.desk.create(save.artifact.clone()) {
            Ok(writer) => writer,
            Err(error @ CallError::Invalid { .. }) => return Ok((Err(error), None)),
            Err(error) => return Err(Stop::Host(error.to_string())),
        };
        let body = std::mem::take(&mut answer.body);
        self.desk.write(writer, body.as_bytes()).await?;
        let artifact = self.desk.seal(writer).await?;
        let saved = Some(self.own_artifact(artifact.clone()));
        Ok((Ok(serde_json::json!(SavedAnswer { answer, saved })), Some(artifact)))
    }
}
