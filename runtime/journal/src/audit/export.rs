//! Writing audit files.

use std::io::Write;

use serde::Serialize;
use wflo_model::{Digest, RunId};

use super::line::{
    ERASED_VERSION, EarlierLine, EventLine, FORMAT, FirstLine, PROVEN_VERSION, ProofLine, VERSION,
};
use crate::error::ReadError;
use crate::journal::Journal;
use crate::record::Header;
use crate::tree::{CheckpointError, Evidence};

/// Why an audit file was not written, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The run cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The key of the audit tree cannot be read.
    #[error(transparent)]
    Tree(#[from] CheckpointError),
    /// The file cannot be written.
    #[error("cannot write the audit file: {0}")]
    Write(#[from] std::io::Error),
}

/// Writes a run as an audit file and says how many events it has; as [`export_since`], with no older checkpoint.
///
/// # Errors
/// As [`export_since`].
pub async fn export(
    journal: &Journal,
    run: RunId,
    out: &mut (impl Write + Send),
) -> Result<u64, ExportError> {
    export_since(journal, run, &[], out).await
}

/// Writes a run as an audit file and says how many events it has. Every event is checked as it is read; bodies
/// are written open, so the file must be kept as what is in it demands. Of an erased run there are headers only, and
/// [`super::verify`] says so.
///
/// If the run is in a checkpoint, the newest one goes along with the proof that it is in it, and that it goes on from
/// the first checkpoint that had it and from those of the sizes in `since`. [`Journal::checkpoint`] before this has the
/// proof reach to the newest event.
///
/// # Errors
/// When the run cannot be read, also for one damaged event; what was written by then is cut short, and
/// [`super::verify`] says so.
pub async fn export_since(
    journal: &Journal,
    run: RunId,
    since: &[u64],
    out: &mut (impl Write + Send),
) -> Result<u64, ExportError> {
    // Before the head is read: then the file has every event that the proof speaks of.
    let proof = match journal.evidence(run, since).await? {
        Some(evidence) => Some(proof(evidence, journal.verifier_key().await?.to_string())),
        None => None,
    };
    let first = |erased, events, head| FirstLine {
        format: FORMAT.to_owned(),
        version: match (&proof, erased) {
            (Some(_), _) => PROVEN_VERSION,
            (None, true) => ERASED_VERSION,
            (None, false) => VERSION,
        },
        store: journal.store_id(),
        run,
        events,
        head,
        erased: erased && proof.is_some(),
    };
    let mut reader = match journal.reader(run, 1).await {
        Ok(reader) => reader,
        Err(ReadError::Erased { .. }) => {
            let headers = journal.headers(run).await?;
            let events = headers.len() as u64;
            let head = headers.last().map_or(Digest::ZERO, Header::hash);
            write_line(out, &first(true, events, head))?;
            proof.iter().try_for_each(|proof| write_line(out, proof))?;
            for header in headers {
                let hash = header.hash();
                write_line(out, &EventLine::of_header(header, hash))?;
            }
            out.flush()?;
            return Ok(events);
        }
        Err(error) => return Err(error.into()),
    };
    write_line(out, &first(false, reader.head(), reader.head_hash()))?;
    proof.iter().try_for_each(|proof| write_line(out, proof))?;
    while let Some(entry) = reader.next().await? {
        write_line(out, &EventLine::new(entry))?;
    }
    out.flush()?;
    Ok(reader.head())
}

fn proof(evidence: Evidence, key: String) -> ProofLine {
    let Evidence { checkpoint, leaf, index, inclusion, earlier, rotations } = evidence;
    let earlier = earlier.into_iter();
    let earlier = earlier.map(|(checkpoint, consistency)| EarlierLine { checkpoint, consistency }).collect();
    let (seq, hash) = (leaf.seq, leaf.hash);
    ProofLine { checkpoint, key, leaf: index, seq, hash, inclusion, earlier, rotations }
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> Result<(), std::io::Error> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    out.write_all(&text)
}
