//! `wflo:secret`: placeholders.

use serde::Serialize;
use wflo_model::CallError;

use crate::bindings::wflo::secret::secrets::{self, Error};
use crate::link::Host;

/// The arguments of `placeholder`, as the journal keeps them.
#[derive(Serialize)]
struct Args {
    label: String,
}

impl secrets::Host for Host<'_> {
    async fn placeholder(&mut self, label: String) -> wasmtime::Result<Result<String, Error>> {
        let answer = self.call::<_, String>("wflo:secret/secrets", "placeholder", &Args { label }).await?;
        Ok(answer.map_err(|error| match error {
            CallError::AccessDenied { message } => Error::AccessDenied(message),
            CallError::Unknown { message } => Error::Unknown(message),
            other => Error::Other(other.to_string()),
        }))
    }
}
