//! Who saw what, in a form that outlives what was seen.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_engine::{Event, Filter, Recorded};
use wflo_journal::AuditKey;
use wflo_model::{Call, PrincipalName, StepName, Timestamp};

/// Something that was seen or changed through a filter: by the row filters of a grant, or by the parameters of a named
/// statement. The values stand as digests under the audit key of the store, so that it can be told whether it was
/// patient 17, and not who it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Seen {
    /// When first.
    pub at: Timestamp,
    /// On whose behalf: who asked for the run.
    pub by: PrincipalName,
    /// The step.
    pub step: StepName,
    /// What was called, such as `bank.get_account`.
    pub what: String,
    /// Whether it was changed, too.
    pub changed: bool,
    /// The filters, all of which held.
    pub filters: Vec<Filter>,
}

/// What was seen in a run, each thing once.
pub(crate) fn seen(events: &[Recorded], key: &AuditKey) -> Vec<Seen> {
    let mut asked: HashMap<u64, &Call> = HashMap::new();
    let mut by = None;
    let mut out: Vec<Seen> = Vec::new();
    for recorded in events {
        match &recorded.event {
            Event::RunCreated { requester, .. } => by = Some(requester),
            Event::Intent { asked: call, .. } => drop(asked.insert(recorded.seq, call)),
            Event::Returned(returned) if returned.result.is_ok() => {
                let intent = returned.intent.and_then(|intent| asked.get(&intent).copied());
                let (Some(call), Some(by), Some(step)) =
                    (returned.call.as_ref().or(intent), by, &recorded.place.step)
                else {
                    continue;
                };
                let mut filters = returned.filters.clone();
                filters.extend(filters_of(call, key));
                filters.sort_unstable();
                filters.dedup();
                if filters.is_empty() {
                    continue;
                }
                let (what, changed) = (subject(call), returned.intent.is_some());
                let is_known = |it: &Seen| {
                    it.step == *step && it.what == what && it.changed == changed && it.filters == filters
                };
                if !out.iter().any(is_known) {
                    let (at, by, step) = (recorded.time, by.clone(), step.clone());
                    out.push(Seen { at, by, step, what, changed, filters });
                }
            }
            _ => {}
        }
    }
    out
}

/// What a call is about, in a word: the database and the statement, or the function.
pub(crate) fn subject(call: &Call) -> String {
    let args = &call.args;
    match (args["db"].as_str(), args["statement"].as_str(), args["model"].as_str()) {
        (Some(db), Some(statement), _) => format!("{db}.{statement}"),
        (Some(db), None, _) => db.to_owned(),
        (_, _, Some(model)) => model.to_owned(),
        _ => match args["terraform"].as_str() {
            Some(folder) => format!("{folder}: {call}"),
            None => call.to_string(),
        },
    }
}

/// The parameters of a named statement, as filters.
pub(crate) fn filters_of(call: &Call, key: &AuditKey) -> Vec<Filter> {
    let is_named = call.interface == "wflo:db/sql" && call.function == "call";
    let params = call.args["params"].as_object().filter(|_| is_named);
    let filter = |(name, value): (&String, &Value)| {
        Some(Filter { column: name.clone(), digest: key.filter(name, &plain(value)?) })
    };
    params.into_iter().flatten().filter_map(filter).collect()
}

/// A value as people write it: exact types stand in JSON as `{"integer": "17"}`.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Object(tagged) if tagged.len() == 1 => plain(tagged.values().next()?),
        _ => None,
    }
}
