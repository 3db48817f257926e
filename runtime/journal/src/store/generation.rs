//! A new generation: what lives is copied, and the rest is gone with the old one.

use std::collections::HashMap;

use wflo_model::RunId;

use super::view::{Backend, Shared, decode_row, decode_run};
use crate::error::{PruneError, ReadError};
use crate::key::{self, Key};
use crate::record::{RunRow, frame, unframe};

/// Says what of a store the next generation holds. It is asked on the thread that owns all writes, while nothing
/// else is written: what it sees is the newest there is.
pub trait Sieve: Send {
    /// What becomes of a run. Asked once for every run, before any event.
    ///
    /// # Errors
    /// Any error ends it, and nothing was changed.
    fn run(&mut self, run: RunId, row: &RunRow) -> Result<Fate, PruneError>;

    /// The new record of an event, for runs that are [`Fate::Rewrite`].
    ///
    /// # Errors
    /// Any error ends it, and nothing was changed.
    fn event(&mut self, run: RunId, seq: u64, record: Vec<u8>) -> Result<Vec<u8>, PruneError>;

    /// The new row of a run that is [`Fate::Keep`]; none leaves it as it is. Its events stay.
    ///
    /// # Errors
    /// Any error ends it, and nothing was changed.
    fn row(&mut self, run: RunId, row: &RunRow) -> Result<Option<RunRow>, PruneError> {
        let _ = (run, row);
        Ok(None)
    }

    /// The new value of the deployment.
    ///
    /// # Errors
    /// Any error ends it, and nothing was changed.
    fn meta(&mut self, name: &str, value: Vec<u8>) -> Result<Vec<u8>, PruneError> {
        let _ = name;
        Ok(value)
    }

    /// The new entry of the outbox.
    ///
    /// # Errors
    /// Any error ends it, and nothing was changed.
    fn outbox(&mut self, id: [u8; 16], value: Vec<u8>) -> Result<Vec<u8>, PruneError> {
        let _ = id;
        Ok(value)
    }
}

/// What becomes of a run in the next generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Keep,
    /// Row, events, timer, places and key are left out.
    Drop,
    /// It gets this row, and each event becomes what the sieve makes of it.
    Rewrite(RunRow),
}

/// What a new generation left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// Runs.
    pub runs: u64,
    /// Events.
    pub events: u64,
    /// Bytes of the store's files before, less those after.
    pub bytes: u64,
}

/// Why a backend did not replace its content.
pub(super) enum ReplaceError {
    /// The old content is in use, and whole.
    Nothing(PruneError),
    /// It cannot be told which content a reopened store has.
    Unknown(String),
    /// The new content is in use, and durable; the old was not removed.
    LeftBehind(u64, String),
}

/// Builds and switches to a new generation. The commit point is the backend's switch.
pub(super) fn sift<B: Backend>(shared: &Shared<B>, sieve: &mut dyn Sieve) -> Result<Sifted, PruneError> {
    if let Some(message) = shared.poisoned() {
        return Err(PruneError::Poisoned { message });
    }
    let mut fates = fates(shared, sieve)?;
    let runs = fates.values().filter(|fate| matches!(fate, Fate::Drop)).count() as u64;
    let mut sifted = Sifted { runs, ..Sifted::default() };
    let replaced = shared.backend.replace(&mut |key, value| {
        let of = match Key::decode(key) {
            Some(Key::Event(run, _) | Key::Run(run) | Key::Due(_, run)) => run,
            Some(Key::Item(run, ..) | Key::Unfinished(run) | Key::Extents(run, _)) => run,
            Some(Key::Named(_)) => decode_run(key, &unframe(key, value.clone())?)?,
            Some(Key::Meta(name)) => {
                // A damaged one stays damaged, and named when it is read.
                let Ok(old) = unframe(key, value.clone()) else { return Ok(Some(value)) };
                return Ok(Some(frame(key, sieve.meta(name, old)?)));
            }
            // What waits to leave outlives its run: whoever sends it sees that there is nothing left to say.
            Some(Key::Outbox(_, id)) => {
                let Ok(old) = unframe(key, value.clone()) else { return Ok(Some(value)) };
                return Ok(Some(frame(key, sieve.outbox(id, old)?)));
            }
            // Whatever a later version keeps: not a run's, as far as this one knows.
            Some(Key::Account(..)) | None => return Ok(Some(value)),
        };
        match (fates.get_mut(&of), Key::decode(key)) {
            (None | Some(Fate::Keep), Some(Key::Run(run))) => {
                let row = decode_row(key, &unframe(key, value.clone())?)?;
                let new = sieve.row(run, &row)?;
                Ok(Some(new.map_or(value, |row| frame(key, row.encode()))))
            }
            (None | Some(Fate::Keep), _) => Ok(Some(value)),
            (Some(Fate::Drop), decoded) => {
                sifted.events += u64::from(matches!(decoded, Some(Key::Event(..))));
                Ok(None)
            }
            (Some(Fate::Rewrite(_)), Some(Key::Event(run, seq))) => {
                let record = sieve.event(run, seq, unframe(key, value)?)?;
                Ok(Some(frame(key, record)))
            }
            (Some(Fate::Rewrite(row)), Some(Key::Run(_))) => Ok(Some(frame(key, row.encode()))),
            (Some(Fate::Rewrite(_)), _) => Ok(Some(value)),
        }
    });
    match replaced {
        Ok(bytes) => Ok(Sifted { bytes, ..sifted }),
        Err(ReplaceError::Nothing(error)) => Err(error),
        Err(ReplaceError::LeftBehind(bytes, message)) => {
            Err(PruneError::LeftBehind { sifted: Sifted { bytes, ..sifted }, message })
        }
        Err(ReplaceError::Unknown(message)) => Err(PruneError::Unknown { message: shared.poison(&message) }),
    }
}

/// The fate of every run that is not kept as it is.
fn fates<B: Backend>(shared: &Shared<B>, sieve: &mut dyn Sieve) -> Result<HashMap<RunId, Fate>, PruneError> {
    /// Rows looked at at a time.
    const PAGE: usize = 1024;
    let mut out = HashMap::new();
    let mut first = Key::Run(RunId::from_bytes([0; 16])).encode();
    let last = Key::Run(RunId::from_bytes([0xff; 16])).encode();
    loop {
        let page = shared.backend.scan(&first, &last, PAGE, false)?;
        let full = page.len() == PAGE;
        for (key, value) in page {
            let Some(Key::Run(run)) = Key::decode(&key) else {
                return Err(ReadError::corrupt(key::show(&key), "no key of a run").into());
            };
            let row = decode_row(&key, &unframe(&key, value)?)?;
            match sieve.run(run, &row)? {
                Fate::Keep => {}
                fate => drop(out.insert(run, fate)),
            }
            first = [&key[..], &[0]].concat();
        }
        if !full {
            return Ok(out);
        }
    }
}
