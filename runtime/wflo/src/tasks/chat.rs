//! A conversation whose answer must keep to a schema: held to it here, whatever the provider has made of it.

use serde_json::Value;
use wflo_host_api::Stop;
use wflo_model::{Call, CallError, CallResult};
use wflo_ports::ChatRequest;

use super::question::{Question, Total};
use super::{Caller, arguments};

pub(crate) struct Chat(Question);

impl Chat {
    /// Reads a call; none if its answer may be anything.
    pub(super) fn of(call: &Call) -> Option<Result<Self, CallError>> {
        call.args.get("schema").filter(|schema| !schema.is_null())?;
        let request = arguments::<ChatRequest>(call);
        Some(request.map(|request| Self(Question::of(request))))
    }

    /// Asks, and gives the last answer as `chat.complete` gives one, with what all requests used together.
    pub(super) async fn perform(self, caller: &mut dyn Caller) -> Result<CallResult, Stop> {
        let mut total = Total::default();
        let answered = self.0.ask_all(caller, &mut total).await?;
        Ok(answered.map(|(mut answer, value)| {
            let text = answer["text"].as_str().unwrap_or_default();
            // What stood around the JSON is forgiven, and not passed on.
            if serde_json::from_str::<Value>(text).is_err() {
                answer["text"] = value.to_string().into();
            }
            total.within(answer)
        }))
    }
}
