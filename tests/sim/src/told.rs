//! What people were told, held against what there was to be told.

use std::collections::{BTreeMap, BTreeSet};

use wflo_engine::{About, ApprovalState, Notice, Notices, Recorded, RunState};
use wflo_model::{Digest, RunId};

use crate::world::World;

/// Nothing was told that is not durable; and once everything is over, everything was told that is still of interest.
pub(crate) fn heard(world: &World, told: &BTreeMap<RunId, Vec<Recorded>>, is_over: bool) {
    let property = "people are told";
    let heard = world.lock().heard.clone();
    let ids: BTreeSet<&str> = heard.iter().map(|heard| heard.id.as_str()).collect();
    let mut known: BTreeMap<String, (RunId, u64)> = BTreeMap::new();
    for (run, events) in told {
        let mut state = RunState::default();
        let mut all = Notices::default();
        for recorded in events {
            if state.apply(recorded).is_err() {
                return;
            }
            // Of each event alone: within one append, one notice can make another needless.
            let mut alone = Notices::default();
            alone.hear(recorded, &state);
            known.extend(alone.take().into_iter().map(|(seq, notice)| (id(*run, seq, &notice), (*run, seq))));
            all.hear(recorded, &state);
        }
        for (seq, notice) in all.take() {
            let wanted = match notice.about {
                // Whoever was not asked before it was decided need not hear of it.
                About::Asked { approval } => {
                    state.approval(&approval).is_some_and(|asked| asked.state == ApprovalState::Open)
                }
                About::Happened { .. } => true,
                _ => false,
            };
            if is_over && wanted && !ids.contains(id(*run, seq, &notice).as_str()) {
                world.violated(property, format!("nobody was told of event {seq} of {run}: {notice:?}"));
            }
        }
    }
    for heard in &heard {
        match known.get(&heard.id) {
            Some((run, seq)) if heard.durable.get(run).is_some_and(|head| seq <= head) => {}
            other => world.violated(property, format!("of {other:?} people heard too early: {}", heard.id)),
        }
    }
}

/// The id that a channel gets: the same each time.
fn id(run: RunId, seq: u64, notice: &Notice) -> String {
    let about = serde_json::to_vec(&notice.about).expect("it has text keys");
    let channel = notice.channel.as_bytes();
    let digest =
        Digest::of_parts(&[b"wflo outbox", &run.as_bytes()[..], &seq.to_be_bytes(), channel, b"\0", &about]);
    digest.as_bytes()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
