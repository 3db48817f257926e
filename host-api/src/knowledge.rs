//! `wflo:knowledge`: passages of documents.

use serde::Serialize;
use wflo_model::CallError;
use wflo_ports::Passage;

use crate::bindings::wflo::knowledge::search::{self, Error};
use crate::link::Host;

/// The arguments of `search`, as the journal keeps them.
#[derive(Serialize)]
struct Args {
    knowledge: String,
    query: String,
    top: u32,
}

impl search::Host for Host<'_> {
    async fn search(
        &mut self,
        knowledge: String,
        query: String,
        top: u32,
    ) -> wasmtime::Result<Result<Vec<search::Passage>, Error>> {
        let args = Args { knowledge, query, top };
        let answer = self.call::<_, Vec<Passage>>("wflo:knowledge/search", "search", &args).await?;
        Ok(answer.map(|found| found.into_iter().map(to_guest).collect()).map_err(|error| match error {
            CallError::AccessDenied { message } => Error::AccessDenied(message),
            CallError::Unknown { message } => Error::Unknown(message),
            CallError::RefusedByPolicy { policy } => Error::RefusedByPolicy(policy),
            CallError::Rejected { message } => Error::Rejected(message),
            CallError::Invalid { message } => Error::Invalid(message),
            CallError::Unavailable { message } => Error::Unavailable(message),
            other => Error::Other(other.to_string()),
        }))
    }
}

fn to_guest(passage: Passage) -> search::Passage {
    let Passage { source, title, text, score } = passage;
    search::Passage { source, title, text, score }
}
