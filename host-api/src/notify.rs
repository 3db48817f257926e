//! `wflo:notify`: messages to people, which leave when the step has succeeded.

use serde::Serialize;
use wflo_model::CallError;

use crate::QueuedAnswer;
use crate::bindings::wflo::notify::{channel, mail};
use crate::link::Host;

/// The arguments of `mail.send`, as the journal keeps them.
#[derive(Serialize)]
struct MailArgs {
    to: Vec<String>,
    subject: String,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<String>,
}

/// The arguments of `channel.send`, as the journal keeps them.
#[derive(Serialize)]
struct ChannelArgs {
    address: String,
    title: String,
    text: String,
}

impl mail::Host for Host<'_> {
    async fn send(&mut self, message: mail::Message) -> wasmtime::Result<Result<String, mail::Error>> {
        let mail::Message { to, subject, text, answers } = message;
        let args = MailArgs { to, subject, text, answers };
        let answer = self.call::<_, QueuedAnswer>("wflo:notify/mail", "send", &args).await?;
        Ok(answer.map(|queued| queued.id).map_err(|error| match error {
            CallError::AccessDenied { message } => mail::Error::AccessDenied(message),
            CallError::Unknown { message } => mail::Error::Unknown(message),
            CallError::RefusedByPolicy { policy } => mail::Error::RefusedByPolicy(policy),
            CallError::Rejected { message } => mail::Error::Rejected(message),
            CallError::Invalid { message } => mail::Error::Invalid(message),
            other => mail::Error::Other(other.to_string()),
        }))
    }
}

impl channel::Host for Host<'_> {
    async fn send(
        &mut self,
        address: String,
        message: channel::Message,
    ) -> wasmtime::Result<Result<(), channel::Error>> {
        let channel::Message { title, text } = message;
        let args = ChannelArgs { address, title, text };
        let answer = self.call::<_, QueuedAnswer>("wflo:notify/channel", "send", &args).await?;
        Ok(answer.map(|_| ()).map_err(|error| match error {
            CallError::AccessDenied { message } => channel::Error::AccessDenied(message),
            CallError::Unknown { message } => channel::Error::Unknown(message),
            CallError::RefusedByPolicy { policy } => channel::Error::RefusedByPolicy(policy),
            CallError::Rejected { message } => channel::Error::Rejected(message),
            CallError::Invalid { message } => channel::Error::Invalid(message),
            other => channel::Error::Other(other.to_string()),
        }))
    }
}
