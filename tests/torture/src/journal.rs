//! What the journal of a run says, read from its audit file: the one place where bodies stand open.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::money::pico;

/// The events of a run, seen from what must hold of them.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// The calls of models, by the key they go out under.
    pub(crate) models: BTreeMap<String, Call>,
    /// How often each approval was closed, and how.
    pub(crate) closed: BTreeMap<String, Vec<String>>,
    /// How often each approval was consumed.
    pub(crate) consumed: BTreeMap<String, u32>,
    /// How many votes each approval got that were not late.
    pub(crate) votes: BTreeMap<String, u32>,
    /// What all of it cost, in pico-dollars.
    pub(crate) cost: i128,
    pub(crate) events: u64,
}

/// The calls of a model under one key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// How often it was about to be made.
    pub(crate) intents: usize,
    /// How often it was cut off.
    pub(crate) abandoned: usize,
    /// How often the model's answer was kept.
    pub(crate) answered: usize,
}

impl Journal {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("`{}`", file.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut this = Self::default();
        let mut keys: BTreeMap<u64, String> = BTreeMap::new();
        let mut settled = BTreeSet::new();
        let mut last = (0, 0);
        for line in text.lines().skip(1) {
            let line: Value = serde_json::from_str(line).context("a line of an audit file")?;
            // What a checkpoint says of the run.
            if line.get("checkpoint").is_some() {
                continue;
            }
            let (seq, time) = (number(&line, "seq")?, number(&line, "time_us")?);
            ensure!(seq == last.0 + 1, "event {seq} comes after event {}", last.0);
            ensure!(time >= last.1, "event {seq} is of a time before the event before it");
            last = (seq, time);
            let body = line["body"].as_str().with_context(|| format!("event {seq} has no body"))?;
            let event: Value = serde_json::from_str(body).with_context(|| format!("event {seq}"))?;
            this.take(seq, &event, &mut keys, &mut settled).with_context(|| format!("event {seq}"))?;
        }
        let open: Vec<_> = keys.keys().filter(|intent| !settled.contains(*intent)).collect();
        this.events = last.0;
        for intent in open {
            // Still under way, or cut off and not mended yet: it is no error of an unfinished run.
            this.models.entry(keys[intent].clone()).or_default();
        }
        Ok(this)
    }

    fn take(
        &mut self,
        seq: u64,
        event: &Value,
        keys: &mut BTreeMap<u64, String>,
        settled: &mut BTreeSet<u64>,
    ) -> Result<()> {
        if let Some(id) = event["consumes"].as_str() {
            *self.consumed.entry(id.to_owned()).or_default() += 1;
        }
        let of_model = |keys: &BTreeMap<u64, String>| {
            let intent = event["intent"].as_u64()?;
            Some((intent, keys.get(&intent)?.clone()))
        };
        match text(event, "event")? {
            "intent" if event["class"] == "repeatable" => {
                let key = text(event, "key")?.trim_start_matches("sha256:").to_owned();
                let call = self.models.entry(key.clone()).or_default();
                ensure!(call.answered == 0, "a model is asked again for what it has answered");
                call.intents += 1;
                keys.insert(seq, key);
            }
            "returned" => {
                if let Some((intent, key)) = of_model(keys) {
                    ensure!(settled.insert(intent), "intent {intent} is settled twice");
                    ensure!(event["result"].get("ok").is_some(), "the model failed: {}", event["result"]);
                    self.models.entry(key).or_default().answered += 1;
                }
                if let Some(cost) = event["spend"]["cost_usd"].as_str() {
                    ensure!(event["reused"].is_null(), "a reused answer costs again");
                    self.cost += pico(cost)?;
                }
            }
            "abandoned" => {
                if let Some((intent, key)) = of_model(keys) {
                    ensure!(settled.insert(intent), "intent {intent} is settled twice");
                    self.models.entry(key).or_default().abandoned += 1;
                }
                self.cost += pico(text(event, "cost")?)?;
            }
            "voted" if event["late"] == false => {
                *self.votes.entry(text(event, "approval")?.to_owned()).or_default() += 1;
            }
            "approval_closed" => {
                let outcome = text(event, "outcome")?.to_owned();
                self.closed.entry(text(event, "approval")?.to_owned()).or_default().push(outcome);
            }
            _ => {}
        }
        Ok(())
    }

    /// The keys of calls whose answers are in the journal: nobody may be asked for them again.
    pub(crate) fn answered(&self) -> impl Iterator<Item = &String> {
        self.models.iter().filter(|(_, call)| call.answered > 0).map(|(key, _)| key)
    }
}

fn text<'a>(event: &'a Value, name: &str) -> Result<&'a str> {
    event[name].as_str().with_context(|| format!("there is no `{name}` in {event}"))
}

fn number(line: &Value, name: &str) -> Result<u64> {
    line[name].as_u64().with_context(|| format!("there is no `{name}` in {line}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(events: &[Value]) -> Result<Journal> {
        let line = |(index, event): (usize, &Value)| {
            json!({ "seq": index + 1, "time_us": 1000 + index, "body": event.to_string() }).to_string()
        };
        let lines: Vec<_> = events.iter().enumerate().map(line).collect();
        Journal::parse(&format!("first line\n{}", lines.join("\n")))
    }

    fn intent(key: &str) -> Value {
        json!({ "event": "intent", "class": "repeatable", "key": format!("sha256:{key}"), "hold": "1" })
    }

    fn returned(intent: u64) -> Value {
        let spend = json!({ "cost_usd": "0.5" });
        json!({ "event": "returned", "intent": intent, "result": { "ok": {} }, "spend": spend })
    }

    #[test]
    fn a_call_that_was_cut_off_is_made_again_and_both_are_paid() {
        let cut_off = json!({ "event": "abandoned", "intent": 1, "cost": "1" });
        let journal = parse(&[intent("a"), cut_off, intent("a"), returned(3)]).unwrap();
        assert_eq!(journal.models["a"], Call { intents: 2, abandoned: 1, answered: 1 });
        assert_eq!((journal.cost, journal.events), (1_500_000_000_000, 4));
        assert_eq!(journal.answered().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn what_was_answered_may_not_be_asked_again() {
        let error = parse(&[intent("a"), returned(1), intent("a")]).unwrap_err();
        assert!(format!("{error:#}").contains("asked again"), "{error:#}");
        let error = parse(&[intent("a"), returned(1), returned(1)]).unwrap_err();
        assert!(format!("{error:#}").contains("settled twice"), "{error:#}");
    }

    #[test]
    fn time_does_not_go_back() {
        let body = json!({ "event": "joined" }).to_string();
        let line = |seq, time| json!({ "seq": seq, "time_us": time, "body": body }).to_string();
        let text = format!("first line\n{}\n{}", line(1, 7), line(2, 6));
        assert!(format!("{:#}", Journal::parse(&text).unwrap_err()).contains("a time before"));
    }
}
