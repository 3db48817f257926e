//! What there is to undo, read from the events of a run.

use std::collections::BTreeMap;

use wflo_model::{Digest, Inserted, Label, StepName};

use super::reapply::{has_stayed, plan_of};
use super::{Compensation, LeftEffect, Reapply, RollbackPlan, TakenBack, UndoWrites};
use crate::{AttemptEnd, Event, GatedCall, Recorded, Resolution, UnitId};

/// An effect outside of databases.
struct Effect {
    what: String,
    certain: bool,
    /// What is taken back by the host itself.
    applied: Option<Applied>,
}

/// A plan of terraform that was applied, or may have been.
struct Applied {
    terraform: Label,
    snapshot: u64,
    serial: Option<u64>,
}

/// What an attempt has committed, or may have.
struct Committed {
    event: u64,
    /// The rows of each database, none where they were not kept.
    databases: BTreeMap<Label, Option<u64>>,
    /// Whether every database has; false where a person gave it up.
    certain: bool,
}

/// What one step or item has done.
#[derive(Default)]
struct Done {
    began: u64,
    /// By the key of the call: made twice under one key it is one effect.
    effects: BTreeMap<Digest, Effect>,
    /// The messages that the attempt under way has queued, and those that have left since an attempt has succeeded.
    queued: Vec<String>,
    sent: Vec<String>,
    /// The commit under way.
    committing: Option<Committed>,
    committed: Vec<Committed>,
    /// The events that have what was there before a plan was applied: by folder and plan.
    prepared: BTreeMap<(Label, String), u64>,
}

/// Reads from the events of a run what a rollback to `to` has to undo: everything that began after that step had ended;
/// without it, everything. What was undone before is left out.
///
/// `compensates` says of a step whether its component can undo it.
#[must_use]
pub fn plan_rollback(
    events: &[Recorded],
    to: Option<&StepName>,
    compensates: impl Fn(&StepName) -> bool,
) -> RollbackPlan {
    let mut units: BTreeMap<UnitId, Done> = BTreeMap::new();
    let mut calls: BTreeMap<u64, (UnitId, Digest)> = BTreeMap::new();
    let mut kept_until = 0;
    for recorded in events {
        let unit = recorded.place.unit_id().filter(|unit| unit.compensates().is_none());
        let Some(unit) = unit else { continue };
        if to == Some(&unit.step) && has_ended(&recorded.event) {
            kept_until = recorded.seq;
        }
        take(recorded, unit, &mut units, &mut calls);
    }
    let mut units: Vec<_> = units.into_iter().filter(|(_, done)| done.began > kept_until).collect();
    units.sort_by_key(|(_, done)| std::cmp::Reverse(done.began));
    let mut plan = RollbackPlan::default();
    let taken_back = TakenBack::of(events);
    for (unit, done) in units {
        let taken = taken_back.get(&unit).cloned().unwrap_or_default();
        add(&mut plan, unit, done, taken, &compensates);
    }
    // Of steps side by side, the one that began first may have committed last. The journal has a commit before the
    // database lets go of its rows, so its order is that in which they changed.
    plan.undo.sort_by_key(|undo| std::cmp::Reverse(undo.event));
    plan.reapply.sort_by_key(|reapply| std::cmp::Reverse(reapply.snapshot));
    plan.expect_states_of(&taken_back);
    plan
}

fn has_ended(event: &Event) -> bool {
    match event {
        Event::AttemptEnded { retry_at, .. } => retry_at.is_none(),
        Event::StepEnded { .. } | Event::Joined | Event::Inherited { .. } => true,
        _ => false,
    }
}

/// Takes in what an event says about effects.
fn take(
    recorded: &Recorded,
    unit: UnitId,
    units: &mut BTreeMap<UnitId, Done>,
    calls: &mut BTreeMap<u64, (UnitId, Digest)>,
) {
    let effect_of = |intent: &u64| calls.get(intent).cloned();
    match &recorded.event {
        Event::AttemptStarted { .. } => {
            let done = units.entry(unit).or_default();
            done.queued.clear();
            if done.began == 0 {
                done.began = recorded.seq;
            }
        }
        // The parent of this fork has made it, and it is this run's to take back now.
        Event::Lent(lent) if lent.class.has_effect() => {
            let done = units.entry(unit).or_default();
            if done.began == 0 {
                done.began = recorded.seq;
            }
            let effect = Effect { what: words(&lent.call), certain: true, applied: None };
            done.effects.insert(Digest::of(&recorded.seq.to_be_bytes()), effect);
        }
        Event::Intent { asked, class, key, .. } if class.has_effect() => {
            calls.insert(recorded.seq, (unit.clone(), *key));
            let done = units.entry(unit).or_default();
            let applied = plan_of(asked, "apply").and_then(|(terraform, plan)| {
                let snapshot = *done.prepared.get(&(terraform.clone(), plan.to_owned()))?;
                Some(Applied { terraform, snapshot, serial: None })
            });
            let effect = Effect { what: words(asked), certain: false, applied };
            done.effects.entry(*key).or_insert(effect);
        }
        Event::Returned(crate::Returned { queued: Some(_), call: Some(call), performed, .. }) => {
            let message = words(performed.as_ref().unwrap_or(call));
            units.entry(unit).or_default().queued.push(message);
        }
        Event::Denied { call, .. } if GatedCall::is_output(call) => {
            units.entry(unit).or_default().queued.clear();
        }
        Event::Returned(returned) if returned.intent.is_none() => {
            let call = returned.call.as_ref().filter(|_| returned.result.is_ok());
            if let Some((terraform, plan)) = call.and_then(|call| plan_of(call, "prepare")) {
                let prepared = &mut units.entry(unit).or_default().prepared;
                prepared.insert((terraform, plan.to_owned()), recorded.seq);
            }
        }
        Event::Returned(returned) if !has_stayed(&returned.result) => {
            if let Some((unit, key)) = returned.intent.as_ref().and_then(effect_of) {
                let effects = &mut units.entry(unit).or_default().effects;
                if effects.get(&key).is_some_and(|effect| effect.applied.is_some()) {
                    effects.remove(&key);
                }
            }
        }
        Event::Returned(returned) if returned.result.is_ok() => {
            if let Some((unit, key)) = returned.intent.as_ref().and_then(effect_of)
                && let Some(effect) = units.entry(unit).or_default().effects.get_mut(&key)
            {
                effect.certain = true;
                if let Some(applied) = &mut effect.applied {
                    applied.serial = returned.result.as_ref().ok().and_then(|it| it.get("serial")?.as_u64());
                }
            }
        }
        Event::Resolved { intent, resolution: Resolution::Compensate, .. }
            if units.get(&unit).is_some_and(|done| done.commits_in(*intent)) =>
        {
            let committing = units.get_mut(&unit).and_then(|done| done.committing.as_mut());
            committing.into_iter().for_each(|committing| committing.certain = false);
        }
        Event::Resolved { intent, resolution, .. } => {
            if let Some((unit, key)) = effect_of(intent) {
                let effects = &mut units.entry(unit).or_default().effects;
                match resolution {
                    Resolution::NotDone => _ = effects.remove(&key),
                    Resolution::Done { .. } | Resolution::Compensate => {
                        if let Some(effect) = effects.get_mut(&key) {
                            effect.certain = matches!(resolution, Resolution::Done { .. });
                        }
                    }
                }
            }
        }
        Event::Committing { databases, changes, inserted, .. } => {
            let in_bulk = |label: &Label| inserted.get(label).map_or(0, Inserted::row_count);
            let rows =
                |label: &Label| changes.get(label).map(|changes| changes.row_count() as u64 + in_bulk(label));
            let databases = databases.iter().map(|label| (label.clone(), rows(label))).collect();
            let committing = Committed { event: recorded.seq, databases, certain: true };
            units.entry(unit).or_default().committing = Some(committing);
        }
        Event::AttemptEnded { end, .. } => {
            let done = units.entry(unit).or_default();
            let committing = done.committing.take();
            let queued = std::mem::take(&mut done.queued);
            let has_succeeded = matches!(end, AttemptEnd::Succeeded { .. });
            // One that was given up may have committed in some of its databases.
            done.committed.extend(committing.filter(|it| has_succeeded || !it.certain));
            if has_succeeded {
                done.sent.extend(queued);
            }
        }
        _ => {}
    }
}

impl Done {
    /// Whether this event is that of the commit under way.
    fn commits_in(&self, event: u64) -> bool {
        self.committing.as_ref().is_some_and(|committing| committing.event == event)
    }
}

fn add(
    plan: &mut RollbackPlan,
    unit: UnitId,
    done: Done,
    taken: TakenBack,
    compensates: &impl Fn(&StepName) -> bool,
) {
    let Done { effects, sent, committed, .. } = done;
    let TakenBack { compensated, databases: undone, terraform: taken_back } = taken;
    let UnitId { step, item } = unit.clone();
    let (applied, effects): (Vec<_>, Vec<_>) =
        effects.into_values().partition(|effect| effect.applied.is_some());
    for Effect { certain, applied, .. } in applied {
        let Some(Applied { terraform, snapshot, serial }) = applied else { continue };
        if !taken_back.contains_key(&terraform) {
            let step = step.clone();
            plan.reapply.push(Reapply { step, item, terraform, snapshot, serial, certain, run: None });
        }
    }
    let sent = sent.into_iter().map(|what| Effect { what, certain: true, applied: None });
    let mut effects: Vec<Effect> = effects.into_iter().chain(sent).collect();
    for Committed { event, databases, certain } in committed {
        let mut rows = BTreeMap::new();
        for (label, kept) in databases {
            // What was left is tried again.
            match kept.map(|count| undone.get(&label).copied().unwrap_or(count)) {
                Some(0) => {}
                Some(count) => _ = rows.insert(label, count),
                None => {
                    let what = format!("what it wrote to database `{label}` without `rollback = true`");
                    effects.push(Effect { what, certain, applied: None });
                }
            }
        }
        if !rows.is_empty() {
            let step = step.clone();
            plan.undo.push(UndoWrites { step, item, event, databases: rows, certain, run: None });
        }
    }
    if effects.is_empty() || compensated {
        return;
    }
    if compensates(&step) && unit.compensator().is_some() {
        let certain = effects.iter().all(|effect| effect.certain);
        let effects = effects.into_iter().map(|effect| effect.what).collect();
        plan.compensate.push(Compensation { step, item, certain, effects });
    } else {
        let left = |effect: Effect| LeftEffect {
            step: step.clone(),
            item,
            what: effect.what,
            certain: effect.certain,
        };
        plan.left.extend(effects.into_iter().map(left));
    }
}

/// A call that has an effect, in words: its target, and nothing of what it carried.
fn words(call: &wflo_model::Call) -> String {
    let text = |key: &str| call.args.get(key).and_then(serde_json::Value::as_str);
    match (text("method"), text("url")) {
        (Some(method), Some(url)) => {
            let end = url.find(['?', '#']).unwrap_or(url.len());
            format!("`{method} {}`", &url[..end])
        }
        _ if call.interface == "wflo:notify/mail" => {
            let to = call.args["to"].as_array().map(Vec::as_slice).unwrap_or_default();
            let to: Vec<_> = to.iter().filter_map(serde_json::Value::as_str).collect();
            format!("mail to {}", to.join(", "))
        }
        _ if call.interface == "wflo:notify/channel" => {
            format!("a message to `{}`", text("address").unwrap_or_default())
        }
        _ => format!("`{call}`"),
    }
}
