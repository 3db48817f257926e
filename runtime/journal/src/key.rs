//! The keys of the store's one tree.
//!
//! Every key begins with one byte that names its table; numbers are big-endian, so that the order of the bytes
//! is the order of the numbers.

use std::fmt;

use wflo_model::{RunId, Timestamp};

/// Longest idempotency key in bytes, as a store takes it.
pub const MAX_RUN_KEY: usize = 256;

/// The tables of the store, by the first byte of their keys. The bytes are part of the format and never change.
///
/// | byte | key | value |
/// |---|---|---|
/// | `e` | run16 seq8 | an event |
/// | `r` | run16 | head, fence, due time and state of a run |
/// | `q` | due8 run16 | nothing: the timer of a run |
/// | `k` | key | the run that was created with this idempotency key |
/// | `m` | name | a value of the deployment |
/// | `o` | due8 id16 | what waits to leave |
/// | `i` | run16 key | reserved: idempotency of requests to a run |
/// | `s` | run16 step 0x00 \[item4\] | where the events of a step or item lie |
/// | `u` | run16 | nothing: a run that has not ended |
/// | `b` | account 0x00 window | what an account above the runs stands at |
/// | `a` | seq8 | reserved: leaves of the audit log |
/// | `x` | run16 block4 | where in the log 32 events of a run lie |
///
/// ```
/// use wflo_journal::KeyKind;
/// assert_eq!(KeyKind::Event as u8, b'e');
/// assert_eq!(KeyKind::from_byte(b'r'), Some(KeyKind::Run));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum KeyKind {
    /// Leaves of the audit log. Reserved.
    AuditLeaf = b'a',
    /// Accounts above the runs, by window.
    Budget = b'b',
    /// Events.
    Event = b'e',
    /// Idempotency of requests to a run. Reserved.
    Request = b'i',
    /// Runs by the idempotency key of their creation.
    RunKey = b'k',
    /// Values of the deployment.
    Meta = b'm',
    /// What waits to leave, by the time when it is due.
    Outbox = b'o',
    /// Timers by due time.
    Due = b'q',
    /// Head, fence and state of runs.
    Run = b'r',
    /// Where the events of a step or item lie.
    Item = b's',
    /// Runs that have not ended.
    Unfinished = b'u',
    /// Where in the log the events of a run lie, by blocks of 32.
    Extents = b'x',
}

impl KeyKind {
    /// The table that a key's first byte names.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'a' => Self::AuditLeaf,
            b'b' => Self::Budget,
            b'e' => Self::Event,
            b'i' => Self::Request,
            b'k' => Self::RunKey,
            b'm' => Self::Meta,
            b'o' => Self::Outbox,
            b'q' => Self::Due,
            b'r' => Self::Run,
            b's' => Self::Item,
            b'u' => Self::Unfinished,
            b'x' => Self::Extents,
            _ => return None,
        })
    }
}

/// A key of an implemented table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    Event(RunId, u64),
    Run(RunId),
    Due(Timestamp, RunId),
    /// The key of [`KeyKind::RunKey`].
    Named(&'a [u8]),
    Meta(&'a str),
    /// A step of a run, or an item of it.
    Item(RunId, &'a str, Option<u32>),
    Unfinished(RunId),
    /// The id of what waits, and when it is due.
    Outbox(Timestamp, [u8; 16]),
    /// An account above the runs, and a window of time.
    Account(&'a str, &'a str),
    /// A block of a run.
    Extents(RunId, u32),
}

impl<'a> Key<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(25);
        match self {
            Self::Event(run, seq) => {
                out.push(KeyKind::Event as u8);
                out.extend_from_slice(run.as_bytes());
                out.extend_from_slice(&seq.to_be_bytes());
            }
            Self::Run(run) => {
                out.push(KeyKind::Run as u8);
                out.extend_from_slice(run.as_bytes());
            }
            Self::Due(due, run) => {
                out.push(KeyKind::Due as u8);
                out.extend_from_slice(&due.micros().to_be_bytes());
                out.extend_from_slice(run.as_bytes());
            }
            Self::Named(key) => {
                out.push(KeyKind::RunKey as u8);
                out.extend_from_slice(key);
            }
            Self::Meta(name) => {
                out.push(KeyKind::Meta as u8);
                out.extend_from_slice(name.as_bytes());
            }
            Self::Item(run, step, item) => {
                out.push(KeyKind::Item as u8);
                out.extend_from_slice(run.as_bytes());
                out.extend_from_slice(step.as_bytes());
                out.push(0);
                if let Some(item) = item {
                    out.extend_from_slice(&item.to_be_bytes());
                }
            }
            Self::Unfinished(run) => {
                out.push(KeyKind::Unfinished as u8);
                out.extend_from_slice(run.as_bytes());
            }
            Self::Extents(run, block) => {
                out.push(KeyKind::Extents as u8);
                out.extend_from_slice(run.as_bytes());
                out.extend_from_slice(&block.to_be_bytes());
            }
            Self::Account(account, window) => {
                out.push(KeyKind::Budget as u8);
                out.extend_from_slice(account.as_bytes());
                out.push(0);
                out.extend_from_slice(window.as_bytes());
            }
            Self::Outbox(due, id) => {
                out.push(KeyKind::Outbox as u8);
                out.extend_from_slice(&due.micros().to_be_bytes());
                out.extend_from_slice(id);
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let run = |bytes: &[u8]| Some(RunId::from_bytes(bytes.try_into().ok()?));
        let number = |bytes: &[u8]| Some(u64::from_be_bytes(bytes.try_into().ok()?));
        Some(match KeyKind::from_byte(kind)? {
            KeyKind::Event => Self::Event(run(rest.get(..16)?)?, number(&rest[16..])?),
            KeyKind::Run => Self::Run(run(rest)?),
            KeyKind::Due => Self::Due(Timestamp::from_micros(number(rest.get(..8)?)?), run(&rest[8..])?),
            KeyKind::RunKey => Self::Named(rest),
            KeyKind::Meta => Self::Meta(std::str::from_utf8(rest).ok()?),
            KeyKind::Unfinished => Self::Unfinished(run(rest)?),
            KeyKind::Extents => {
                Self::Extents(run(rest.get(..16)?)?, u32::from_be_bytes(rest[16..].try_into().ok()?))
            }
            KeyKind::Outbox => {
                let due = Timestamp::from_micros(number(rest.get(..8)?)?);
                Self::Outbox(due, rest[8..].try_into().ok()?)
            }
            KeyKind::Budget => {
                let (account, window) = rest.split_at(rest.iter().position(|&byte| byte == 0)?);
                Self::Account(std::str::from_utf8(account).ok()?, std::str::from_utf8(&window[1..]).ok()?)
            }
            KeyKind::Item => {
                let (id, rest) = rest.split_at_checked(16)?;
                let (step, item) = rest.split_at(rest.iter().position(|&byte| byte == 0)?);
                let item = match &item[1..] {
                    [] => None,
                    item => Some(u32::from_be_bytes(item.try_into().ok()?)),
                };
                Self::Item(run(id)?, std::str::from_utf8(step).ok()?, item)
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(run, seq) => write!(f, "e|{run}|{seq}"),
            Self::Run(run) => write!(f, "r|{run}"),
            Self::Due(due, run) => write!(f, "q|{}|{run}", due.micros()),
            Self::Named(key) => {
                f.write_str("k|")?;
                key.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Meta(name) => write!(f, "m|{name}"),
            Self::Item(run, step, None) => write!(f, "s|{run}|{step}"),
            Self::Item(run, step, Some(item)) => write!(f, "s|{run}|{step}|{item}"),
            Self::Unfinished(run) => write!(f, "u|{run}"),
            Self::Extents(run, block) => write!(f, "x|{run}|{block}"),
            Self::Account(account, window) => write!(f, "b|{account}|{window}"),
            Self::Outbox(due, id) => {
                write!(f, "o|{}|", due.micros())?;
                id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// A key as text, whatever it is.
pub(crate) fn show(bytes: &[u8]) -> String {
    match Key::decode(bytes) {
        Some(key) => key.to_string(),
        None => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_of_the_tables_never_change() {
        let kinds = "abeikmoqrsux".bytes().map(|byte| (byte, KeyKind::from_byte(byte).unwrap()));
        for (byte, kind) in kinds {
            assert_eq!(kind as u8, byte);
        }
        assert_eq!((0..=255).filter_map(KeyKind::from_byte).count(), 12);
    }

    proptest! {
        #[test]
        fn keys_come_back(run: [u8; 16], n: u64, key: Vec<u8>, name in "[a-z/]{0,40}", item: Option<u32>) {
            let run = RunId::from_bytes(run);
            let time = Timestamp::from_micros(n);
            for key in [Key::Event(run, n), Key::Run(run), Key::Due(time, run), Key::Named(&key), Key::Meta(&name),
                Key::Item(run, &name, item), Key::Unfinished(run), Key::Outbox(time, *run.as_bytes()), Key::Account(&name, "2026-11-25"),
                Key::Extents(run, n as u32)] {
                let bytes = key.encode();
                prop_assert_eq!(Key::decode(&bytes), Some(key));
            }
        }

        #[test]
        fn event_keys_sort_by_run_and_seq(a: ([u8; 16], u64), b: ([u8; 16], u64)) {
            let key = |(run, seq)| Key::Event(RunId::from_bytes(run), seq).encode();
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = show(&bytes);
        }
    }
}
