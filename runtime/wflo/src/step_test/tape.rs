//! The answers of one test, and what became of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use wflo_host_api::Decision;
use wflo_model::{Call, CallResult, Timestamp};
use wflo_ports::Clock;

use super::compare::differing;
use super::{TapeArgs, TapeEntry};

/// The clock of a test: it stands still until something moves it.
#[derive(Debug)]
pub(super) struct HandClock(AtomicU64);

impl HandClock {
    pub(super) const fn new(at: Timestamp) -> Self {
        Self(AtomicU64::new(at.micros()))
    }

    /// Moves it on; it is never set back.
    pub(super) fn forward(&self, to: Timestamp) {
        self.0.fetch_max(to.micros(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// What the gate of a test has in the place of everything outside.
#[derive(Debug)]
pub(crate) struct Tape {
    entries: Vec<TapeEntry>,
    clock: Arc<HandClock>,
    /// What the clock shows after each call.
    times: Vec<Timestamp>,
    seed: Option<[u8; 32]>,
    decision: Option<Decision>,
    played: Mutex<Played>,
}

#[derive(Debug, Default)]
struct Played {
    /// Entries that have answered.
    used: Vec<bool>,
    /// The one that did last.
    last: Option<usize>,
    unanswered: Option<Unanswered>,
}

/// A call that nothing on the tape answers.
#[derive(Clone, Debug)]
pub(super) struct Unanswered {
    pub(super) ordinal: u32,
    pub(super) call: Call,
    /// The entry that is most like it, if any is of the same function: its number, from 0, and whether it has answered
    /// already.
    pub(super) nearest: Option<(usize, bool)>,
}

impl Tape {
    pub(super) fn new(
        entries: Vec<TapeEntry>,
        clock: Arc<HandClock>,
        times: Vec<Timestamp>,
        seed: Option<[u8; 32]>,
        decision: Option<Decision>,
    ) -> Self {
        let entries: Vec<_> = entries.into_iter().map(TapeEntry::exact).collect();
        let used = vec![false; entries.len()];
        let played = Mutex::new(Played { used, ..Played::default() });
        Self { entries, clock, times, seed, decision, played }
    }

    /// The seed of the step's randomness, where it is to be that of a recorded attempt.
    pub(crate) const fn seed(&self) -> Option<[u8; 32]> {
        self.seed
    }

    /// What was decided before the step begins.
    pub(crate) const fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    /// Moves the clock to where it stood after a recorded call.
    pub(crate) fn tick(&self, ordinal: u32) {
        let at = usize::try_from(ordinal).ok().and_then(|ordinal| self.times.get(ordinal.checked_sub(1)?));
        if let Some(at) = at {
            self.clock.forward(*at);
        }
    }

    /// What answers a call: the first entry for it that has not answered yet.
    pub(super) fn answer(&self, ordinal: u32, call: &Call) -> Option<CallResult> {
        let mut played = self.played();
        let of_it = |entry: &TapeEntry| entry.interface == call.interface && entry.function == call.function;
        let found = self
            .entries
            .iter()
            .enumerate()
            .find(|(number, entry)| !played.used[*number] && of_it(entry) && entry.args.fit(&call.args));
        if let Some((number, entry)) = found {
            played.used[number] = true;
            played.last = Some(number);
            return Some(entry.answer.clone().into());
        }
        let alike = self.entries.iter().enumerate().filter(|(_, entry)| of_it(entry));
        let nearest =
            alike.min_by_key(|(number, entry)| (played.used[*number], entry.args.distance(&call.args)));
        let nearest = nearest.map(|(number, _)| (number, played.used[number]));
        played.unanswered.get_or_insert(Unanswered { ordinal, call: call.clone(), nearest });
        None
    }

    /// Takes note that the gate has denied a call by itself: an entry that says that it is denied has been of use.
    pub(crate) fn denied(&self, call: &Call) {
        let mut played = self.played();
        let found = self.entries.iter().enumerate().find(|(number, entry)| {
            let is_it = entry.interface == call.interface && entry.function == call.function;
            let says_so = matches!(entry.answer, super::TapeAnswer::Error(_));
            !played.used[*number] && is_it && says_so && entry.args.fit(&call.args)
        });
        if let Some((number, _)) = found {
            played.used[number] = true;
        }
    }

    pub(super) fn unanswered(&self) -> Option<Unanswered> {
        self.played().unanswered.clone()
    }

    /// The entries that nothing has asked for, with their numbers, from 0.
    pub(super) fn unused(&self) -> Vec<(usize, &TapeEntry)> {
        let played = self.played();
        self.entries.iter().enumerate().filter(|(number, _)| !played.used[*number]).collect()
    }

    /// The entry that has answered last, with its number, from 0.
    pub(super) fn last(&self) -> Option<(usize, &TapeEntry)> {
        let number = self.played().last?;
        Some((number, self.entry(number)?))
    }

    pub(super) fn entry(&self, number: usize) -> Option<&TapeEntry> {
        self.entries.get(number)
    }

    fn played(&self) -> MutexGuard<'_, Played> {
        // Nothing panics while it is held.
        self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TapeArgs {
    /// Whether the arguments of a call are among those it is for.
    fn fit(&self, args: &Value) -> bool {
        self.differing("", args).is_empty()
    }

    /// At how many places they differ.
    fn distance(&self, args: &Value) -> usize {
        self.differing("", args).len()
    }

    /// Where they differ, place by place.
    pub(super) fn differing(&self, at: &str, args: &Value) -> Vec<crate::Difference> {
        match self {
            Self::Any => Vec::new(),
            Self::Like(wanted) => differing(at, wanted, args, true),
            Self::Exactly(wanted) => differing(at, wanted, args, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use wflo_model::{Call, Timestamp};

    use super::{HandClock, Tape, TapeArgs, TapeEntry};
    use crate::step_test::TapeAnswer;

    fn tape(entries: Vec<TapeEntry>) -> Tape {
        let clock = Arc::new(HandClock::new(Timestamp::from_micros(1)));
        Tape::new(entries, clock, Vec::new(), None, None)
    }

    fn entry(function: &str, args: TapeArgs, value: Value) -> TapeEntry {
        TapeEntry::new("wflo:db/sql", function, args, TapeAnswer::Value(value))
    }

    fn query(args: Value) -> Call {
        Call::new("wflo:db/sql", "query", args)
    }

    #[test]
    fn an_entry_answers_once_and_only_what_it_is_for() {
        let tape = tape(vec![
            entry("execute", TapeArgs::Any, json!(0)),
            entry("query", TapeArgs::Exactly(json!({"db": "a", "sql": "x"})), json!(1)),
            entry("query", TapeArgs::Like(json!({"db": "a"})), json!(2)),
            entry("query", TapeArgs::Any, json!(3)),
        ]);
        let ask = |args| tape.answer(1, &query(args)).map(Result::unwrap);
        assert_eq!(ask(json!({"db": "b", "sql": "x"})), Some(json!(3)));
        assert_eq!(ask(json!({"db": "a", "sql": "x"})), Some(json!(1)));
        assert_eq!(ask(json!({"db": "a", "sql": "x"})), Some(json!(2)));
        assert_eq!(ask(json!({"db": "a", "sql": "x"})), None);
        assert_eq!(tape.unused().len(), 1);
    }

    #[test]
    fn what_is_unanswered_has_a_nearest_entry() {
        let tape = tape(vec![
            entry("query", TapeArgs::Exactly(json!({"db": "a", "sql": "far away", "params": []})), json!(1)),
            entry("query", TapeArgs::Exactly(json!({"db": "b", "sql": "y", "params": []})), json!(2)),
        ]);
        assert!(tape.answer(3, &query(json!({"db": "b", "sql": "x", "params": []}))).is_none());
        let unanswered = tape.unanswered().unwrap();
        assert_eq!((unanswered.ordinal, unanswered.nearest), (3, Some((1, false))));
    }

    #[test]
    fn a_part_is_a_part_at_every_depth() {
        let like = |part: Value| TapeArgs::Like(part);
        let args = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}], "more": {"a": 1, "b": 2}});
        for part in [json!({}), json!({"model": "m"}), json!({"more": {"b": 2}})] {
            assert!(like(part.clone()).fit(&args), "{part}");
        }
        for part in [json!({"model": "n"}), json!({"other": 1}), json!({"messages": []}), json!([])] {
            assert!(!like(part.clone()).fit(&args), "{part}");
        }
    }
}
