//! Conversations in the journal: each message once.
//!
//! A chat request repeats all that was said before. Its intent keeps only what is new, and the number of the earlier
//! intent it goes on from. Calls are matched by the digest of their whole arguments, so replay needs no more.

use std::collections::HashMap;

use serde_json::Value;
use wflo_engine::Transcript;
use wflo_journal::RunKeys;
use wflo_model::{Call, Digest, canonical_json};

/// The conversations that the chat requests of a step or item have made so far: the intent of each, by the digest of
/// its messages.
#[derive(Debug, Default)]
pub(crate) struct Transcripts(HashMap<Digest, u64>);

impl Transcripts {
    /// Takes the messages out of a call that an earlier request has already.
    pub(crate) fn shorten(&self, keys: &RunKeys, mut call: Call) -> (Call, Option<Transcript>) {
        let Some(messages) = call.args.get_mut("messages").and_then(Value::as_array_mut) else {
            return (call, None);
        };
        let (mut digest, mut goes_on) = (Digest::ZERO, None);
        for (count, message) in (1..).zip(messages.iter()) {
            let message = canonical_json(message);
            digest = keys.args().digest(&[b"wflo transcript", digest.as_bytes(), &message]);
            if let Some(intent) = self.0.get(&digest) {
                goes_on = Some((*intent, count));
            }
        }
        if let Some((_, count)) = goes_on {
            messages.drain(..count as usize);
        }
        (call, Some(Transcript { digest, goes_on }))
    }

    /// Remembers the conversation of an intent.
    pub(crate) fn remember(&mut self, transcript: &Transcript, intent: u64) {
        self.0.entry(transcript.digest).or_insert(intent);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use std::sync::Arc;

    use wflo_backends::SystemEntropy;
    use wflo_journal::{Created, Draft, Journal, RunKeys};
    use wflo_model::{Call, RunId, Timestamp};

    use super::Transcripts;

    /// The keys of some run.
    async fn keys() -> Arc<RunKeys> {
        let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
        let run = RunId::new(Timestamp::from_micros(1), [0; 10]);
        let first = vec![Draft::new(Timestamp::from_micros(1), 1, Vec::new())];
        match journal.create_run(run, None, first, Vec::new()).await.unwrap() {
            Created::New(writer) => Arc::clone(writer.keys()),
            Created::Exists(_) => unreachable!("no key was given"),
        }
    }

    fn ask(messages: &[&str]) -> Call {
        let messages: Vec<_> =
            messages.iter().map(|text| json!({ "role": "user", "content": text })).collect();
        Call::new("wflo:llm/chat", "complete", json!({ "model": "m", "messages": messages }))
    }

    #[tokio::test]
    async fn a_conversation_keeps_each_message_once() {
        let keys = keys().await;
        let mut known = Transcripts::default();
        let mut kept = 0;
        let said: Vec<String> = (0..50).map(|turn| format!("message {turn}")).collect();
        let mut last = None;
        for turn in 1..=said.len() {
            let messages: Vec<&str> = said[..turn].iter().map(String::as_str).collect();
            let (call, transcript) = known.shorten(&keys, ask(&messages));
            let transcript = transcript.unwrap();
            assert_eq!(transcript.goes_on, last);
            kept += call.args["messages"].as_array().unwrap().len();
            known.remember(&transcript, turn as u64 * 10);
            last = Some((turn as u64 * 10, u32::try_from(turn).unwrap()));
        }
        assert_eq!(kept, said.len());
    }

    #[tokio::test]
    async fn another_conversation_goes_on_from_what_it_shares() {
        let keys = keys().await;
        let mut known = Transcripts::default();
        let (_, first) = known.shorten(&keys, ask(&["a", "b"]));
        known.remember(&first.unwrap(), 5);
        assert_eq!(known.shorten(&keys, ask(&["a", "b", "c"])).1.unwrap().goes_on, Some((5, 2)));
        assert_eq!(known.shorten(&keys, ask(&["a", "b"])).1.unwrap().goes_on, Some((5, 2)));
        assert_eq!(known.shorten(&keys, ask(&["a", "x"])).1.unwrap().goes_on, None);
        assert_eq!(known.shorten(&keys, ask(&["b", "a"])).1.unwrap().goes_on, None);
    }
}
