//! What the parent of a fork was answered, by the steps and items that begin anew in the fork.
//!
//! A fork stands before a call: those that came before it are not made again. A step that had not ended there begins
//! anew, with its own gates, clock and randomness, and where it makes a call that the parent has an answer to, it is
//! given that, as a second attempt is given what the first was answered.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use wflo_engine::{CallClass, Event, Lent, Recorded, TakenBack, UnitId};
use wflo_model::{Call, Digest};
use wflo_ports::Marker;

use crate::history::{History, LentCall};
use crate::player::call_key;

/// What one step or item is lent, and the intents that are thereby not made again.
#[derive(Default)]
pub(crate) struct Loan {
    pub(crate) lent: Vec<Lent>,
    pub(crate) intents: Vec<u64>,
}

/// What a step or item had been answered up to where a fork is made, given its events and what was undone of it since.
/// `next` is the number of the fork's event that will have the first of it.
pub(crate) fn lend(
    upto: &[&Recorded],
    unit: &UnitId,
    marker: &Marker,
    next: u64,
    taken: Option<&TakenBack>,
) -> Loan {
    // What was compensated is not done any more: the fork does it itself, and has it undone itself.
    let is_compensated = taken.is_some_and(|taken| taken.compensated);
    let is_lent = |class: CallClass| !(is_compensated && class.has_effect());
    let history = History::of(upto.iter().map(|&recorded| recorded.clone()), unit, u32::MAX);
    let marked = marker.digest();
    let mut whole: HashMap<u64, Value> = HashMap::new();
    let mut asked_for: BTreeMap<Digest, (Call, Digest, CallClass, u64)> = BTreeMap::new();
    let mut order = Vec::new();
    for recorded in upto {
        let Event::Intent { asked, transcript, class, args, key, .. } = &recorded.event else { continue };
        let mut asked = asked.clone();
        if let (Some(transcript), Some(Value::Array(messages))) = (transcript, asked.args.get_mut("messages"))
        {
            if let Some((earlier, count)) = transcript.goes_on
                && let Some(Value::Array(before)) = whole.get(&earlier)
            {
                let before = before.iter().take(count as usize).cloned();
                *messages = before.chain(std::mem::take(messages)).collect();
            }
            whole.insert(recorded.seq, Value::Array(messages.clone()));
        }
        // A plan of terraform is of the run that made it.
        if *class != CallClass::Verifiable && is_lent(*class) && history.reusable.contains_key(key) {
            order.push((*key, recorded.seq));
            asked_for.insert(*key, (asked, *args, *class, recorded.seq));
        }
    }
    let mut loan = Loan::default();
    let mut said: Vec<(u64, Vec<Value>)> = Vec::new();
    // What it was lent itself, where the parent is a fork too.
    for LentCall { call, n, class, reusable } in history.lent.iter().filter(|it| is_lent(it.class)) {
        let mut call = call.clone();
        let goes_on = shorten(&mut call, &mut said, next + loan.lent.len() as u64);
        loan.lent.push(Lent { call, goes_on, n: *n, class: *class, value: reusable.value.clone() });
    }
    for (key, seq) in order {
        let Some((mut call, args, class, latest)) = asked_for.get(&key).cloned() else { continue };
        loan.intents.push(seq);
        // One that was made again after a crash is lent once.
        if latest != seq {
            continue;
        }
        let n =
            (1..).find(|n| call_key(&marked, &args, *n) == key).expect("its key was made of such a number");
        let at = next + loan.lent.len() as u64;
        let goes_on = shorten(&mut call, &mut said, at);
        let value = history.reusable[&key].value.clone();
        loan.lent.push(Lent { call, goes_on, n, class, value });
    }
    loan
}

/// Takes the messages out of a chat request that an earlier one has already: a conversation is kept once.
fn shorten(call: &mut Call, said: &mut Vec<(u64, Vec<Value>)>, at: u64) -> Option<u64> {
    let Some(Value::Array(messages)) = call.args.get_mut("messages") else { return None };
    let all = messages.clone();
    let earlier = said.iter().rev().filter(|(_, before)| all.starts_with(before));
    let longest = earlier.max_by_key(|(_, before)| before.len());
    let goes_on = longest.map(|(seq, before)| {
        messages.drain(..before.len());
        *seq
    });
    said.push((at, all));
    goes_on
}

/// The call of a loan with all its messages, given those lent before it.
pub(crate) fn whole(lent: &Lent, before: &[LentCall]) -> Call {
    let mut call = lent.call.clone();
    let earlier = lent.goes_on.and_then(|seq| before.iter().find(|it| it.reusable.seq == seq));
    if let (Some(earlier), Some(Value::Array(messages))) = (earlier, call.args.get_mut("messages"))
        && let Some(Value::Array(said)) = earlier.call.args.get("messages")
    {
        *messages = said.iter().cloned().chain(std::mem::take(messages)).collect();
    }
    call
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wflo_engine::{CallClass, Lent};
    use wflo_model::Call;

    use super::{shorten, whole};
    use crate::history::{LentCall, Reusable};

    fn chat(messages: &[&str]) -> Call {
        Call::new("wflo:llm/chat", "complete", json!({ "model": "m", "messages": messages }))
    }

    #[test]
    fn a_conversation_is_lent_once_and_whole() {
        let asked = [&["a", "b"][..], &["a", "b", "c", "d"], &["x"], &["a", "b", "c", "d", "e"]];
        let mut said = Vec::new();
        let mut before: Vec<LentCall> = Vec::new();
        let mut kept = Vec::new();
        for (at, messages) in (5..).zip(asked) {
            let mut call = chat(messages);
            let goes_on = shorten(&mut call, &mut said, at);
            kept.push((goes_on, call.args["messages"].as_array().unwrap().len()));
            let class = CallClass::Repeatable;
            let lent = Lent { call, goes_on, n: 1, class, value: Value::Null };
            let call = whole(&lent, &before);
            assert_eq!(call, chat(messages));
            before.push(LentCall { call, n: 1, class, reusable: Reusable::model(at) });
        }
        assert_eq!(kept, [(None, 2), (Some(5), 2), (None, 1), (Some(6), 1)]);
    }
}
