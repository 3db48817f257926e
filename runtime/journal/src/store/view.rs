//! What readers see of a store: what is durable, and nothing else. A backend shows a group only when it is.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use wflo_model::{RunId, StepName, Timestamp};

use super::generation::ReplaceError;
use super::{AccountRow, OutboxKey, OutboxRow};
use crate::error::{PruneError, ReadError};
use crate::key::{self, Key};
use crate::record::{ItemBlocks, RunRow, unframe};

/// A changed key and its new value; none where it goes.
pub(super) type Write = (Vec<u8>, Option<Vec<u8>>);
/// A key and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// The new value of a pair; none leaves it out.
pub(super) type Sift<'a> = dyn FnMut(&[u8], Vec<u8>) -> Result<Option<Vec<u8>>, PruneError> + 'a;

/// An ordered map whose changes come in atomic batches. Nothing that is not durable is ever seen in it.
pub(super) trait Backend: Send + Sync + 'static {
    /// Whether a group takes the time of a sync.
    const SYNCS: bool = false;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError>;
    /// Up to `limit` pairs between two keys, both included; from the last one down if `down`.
    fn scan(&self, first: &[u8], last: &[u8], limit: usize, down: bool) -> Result<Vec<Pair>, ReadError>;
    /// Makes all changes durable, and then visible at once. After an error they are durable or not, and never visible.
    fn commit(&self, writes: Vec<Write>) -> Result<(), String>;
    /// Replaces the content by what `sift` makes of it, durably, all or nothing; gives how many bytes less it takes.
    /// Called while nothing is being committed.
    fn replace(&self, sift: &mut Sift<'_>) -> Result<u64, ReplaceError>;
}

/// A backend as its writer and its readers share it.
pub(super) struct Shared<B> {
    pub(super) backend: B,
    poison: OnceLock<String>,
}

impl<B: Backend> Shared<B> {
    pub(super) fn new(backend: B) -> Self {
        Self { backend, poison: OnceLock::new() }
    }

    /// Takes no more writes from here on; gives what failed first.
    pub(super) fn poison(&self, message: &str) -> String {
        tracing::error!(message, "the journal failed and takes no more writes");
        self.poison.get_or_init(|| message.to_owned()).clone()
    }

    pub(super) fn poisoned(&self) -> Option<String> {
        self.poison.get().cloned()
    }

    pub(super) fn row(&self, run: RunId) -> Result<Option<RunRow>, ReadError> {
        let key = Key::Run(run).encode();
        self.get(&key)?.map(|value| decode_row(&key, &value)).transpose()
    }

    pub(super) fn rows(
        &self,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<(RunId, RunRow)>, ReadError> {
        let first = Key::Run(RunId::from_bytes([0; 16])).encode();
        let last = match before.map(|run| u128::from_be_bytes(*run.as_bytes()).checked_sub(1)) {
            None => Key::Run(RunId::from_bytes([0xff; 16])).encode(),
            Some(Some(n)) => Key::Run(RunId::from_bytes(n.to_be_bytes())).encode(),
            Some(None) => return Ok(Vec::new()),
        };
        let pairs = self.backend.scan(&first, &last, limit, true)?;
        let row = |(key, value): Pair| match Key::decode(&key) {
            Some(Key::Run(run)) => Ok((run, decode_row(&key, &unframe(&key, value)?)?)),
            _ => Err(ReadError::corrupt(key::show(&key), "no key of a run")),
        };
        pairs.into_iter().map(row).collect()
    }

    pub(super) fn events(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, ReadError> {
        let from = from.max(1);
        let head = self.row(run)?.ok_or(ReadError::UnknownRun { run })?.head;
        let last = head.min(from.saturating_add(limit as u64).saturating_sub(1));
        if from > last {
            return Ok(Vec::new());
        }
        let (first, end) = (Key::Event(run, from).encode(), Key::Event(run, last).encode());
        let pairs = self.backend.scan(&first, &end, limit, false)?;
        let mut out = Vec::with_capacity(pairs.len());
        for (seq, (key, value)) in (from..).zip(pairs) {
            if key != Key::Event(run, seq).encode() {
                return Err(self.missing(run, seq));
            }
            out.push(unframe(&key, value)?);
        }
        let next = from + out.len() as u64;
        if next <= last {
            return Err(self.missing(run, next));
        }
        Ok(out)
    }

    /// Why an event is not there that the row promised: the run may have been left out of a new generation since.
    fn missing(&self, run: RunId, seq: u64) -> ReadError {
        match self.row(run) {
            Ok(None) => ReadError::UnknownRun { run },
            Ok(Some(_)) => ReadError::corrupt(Key::Event(run, seq), "the event is missing"),
            Err(error) => error,
        }
    }

    pub(super) fn by_key(&self, key: &[u8]) -> Result<Option<RunId>, ReadError> {
        let key = Key::Named(key).encode();
        self.get(&key)?.map(|value| decode_run(&key, &value)).transpose()
    }

    pub(super) fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<(Timestamp, RunId)>, ReadError> {
        let first = Key::Due(Timestamp::default(), RunId::from_bytes([0; 16])).encode();
        let last = Key::Due(now, RunId::from_bytes([0xff; 16])).encode();
        self.backend
            .scan(&first, &last, limit, false)?
            .into_iter()
            .map(|(key, value)| {
                unframe(&key, value)?;
                match Key::decode(&key) {
                    Some(Key::Due(due, run)) => Ok((due, run)),
                    _ => Err(ReadError::corrupt(key::show(&key), "no key of a timer")),
                }
            })
            .collect()
    }

    pub(super) fn unfinished(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, ReadError> {
        let first = match after.map(|run| u128::from_be_bytes(*run.as_bytes()).checked_add(1)) {
            None => RunId::from_bytes([0; 16]),
            Some(Some(n)) => RunId::from_bytes(n.to_be_bytes()),
            Some(None) => return Ok(Vec::new()),
        };
        let first = Key::Unfinished(first).encode();
        let last = Key::Unfinished(RunId::from_bytes([0xff; 16])).encode();
        let run = |(key, value): Pair| {
            unframe(&key, value)?;
            match Key::decode(&key) {
                Some(Key::Unfinished(run)) => Ok(run),
                _ => Err(ReadError::corrupt(key::show(&key), "no key of an unfinished run")),
            }
        };
        self.backend.scan(&first, &last, limit, false)?.into_iter().map(run).collect()
    }

    pub(super) fn places(
        &self,
        run: RunId,
        step: &StepName,
        item: Option<u32>,
    ) -> Result<Vec<RangeInclusive<u64>>, ReadError> {
        let key = Key::Item(run, step.as_str(), item).encode();
        let Some(value) = self.backend.get(&key)? else { return Ok(Vec::new()) };
        Ok(decode_blocks(&key, value)?.events().collect())
    }

    pub(super) fn account(&self, account: &str, window: &str) -> Result<AccountRow, ReadError> {
        let key = Key::Account(account, window).encode();
        let Some(value) = self.get(&key)? else { return Ok(AccountRow::default()) };
        AccountRow::decode(&value).map_err(|error| ReadError::corrupt(key::show(&key), error))
    }

    pub(super) fn outbox(
        &self,
        after: Option<OutboxKey>,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, ReadError> {
        // The next key in order: ids are as long as any, so a zero behind one comes before every other.
        let mut first = Key::Outbox(Timestamp::default(), [0; 16]).encode();
        if let Some(OutboxKey { due, id }) = after {
            first = [&Key::Outbox(due, id).encode()[..], &[0]].concat();
        }
        let last = Key::Outbox(until, [0xff; 16]).encode();
        if first > last {
            return Ok(Vec::new());
        }
        let row = |(key, value): Pair| {
            let value = unframe(&key, value)?;
            match Key::decode(&key) {
                Some(Key::Outbox(due, id)) => Ok(OutboxRow { key: OutboxKey { due, id }, value }),
                _ => Err(ReadError::corrupt(key::show(&key), "no key of the outbox")),
            }
        };
        self.backend.scan(&first, &last, limit, false)?.into_iter().map(row).collect()
    }

    pub(super) fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        self.get(&Key::Meta(name).encode())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.backend.get(key)?.map(|value| unframe(key, value)).transpose()
    }
}

pub(super) fn decode_row(key: &[u8], value: &[u8]) -> Result<RunRow, ReadError> {
    RunRow::decode(value).map_err(|error| ReadError::corrupt(key::show(key), error))
}

pub(super) fn decode_blocks(key: &[u8], value: Vec<u8>) -> Result<ItemBlocks, ReadError> {
    ItemBlocks::decode(&unframe(key, value)?).map_err(|error| ReadError::corrupt(key::show(key), error))
}

pub(super) fn decode_account(key: &[u8], value: Vec<u8>) -> Result<AccountRow, ReadError> {
    AccountRow::decode(&unframe(key, value)?).map_err(|error| ReadError::corrupt(key::show(key), error))
}

pub(super) fn decode_run(key: &[u8], value: &[u8]) -> Result<RunId, ReadError> {
    let bytes = value.try_into().map_err(|_| ReadError::corrupt(key::show(key), "no id of a run"))?;
    Ok(RunId::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::record::frame;

    /// Holds the row of a run of two events, which is gone after the first look if the run is dropped.
    struct Vanishing {
        dropped: bool,
        looked: AtomicBool,
    }

    impl Backend for Vanishing {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
            let row = RunRow { head: 2, fence: 1, due: None, ended: false, state: Vec::new() };
            let again = self.looked.swap(true, Ordering::SeqCst);
            Ok((!(again && self.dropped)).then(|| frame(key, row.encode())))
        }

        fn scan(&self, _: &[u8], _: &[u8], _: usize, _: bool) -> Result<Vec<Pair>, ReadError> {
            Ok(Vec::new())
        }

        fn commit(&self, _: Vec<Write>) -> Result<(), String> {
            unreachable!("nothing is written")
        }

        fn replace(&self, _: &mut Sift<'_>) -> Result<u64, ReplaceError> {
            unreachable!("nothing is written")
        }
    }

    #[test]
    fn a_run_that_goes_while_it_is_read_is_unknown_and_not_damaged() {
        let run = RunId::from_bytes([1; 16]);
        let read = |dropped| {
            let shared = Shared::new(Vanishing { dropped, looked: AtomicBool::new(false) });
            shared.events(run, 1, 9).unwrap_err()
        };
        assert!(matches!(read(true), ReadError::UnknownRun { .. }));
        assert!(matches!(read(false), ReadError::Corrupt { .. }));
    }
}
