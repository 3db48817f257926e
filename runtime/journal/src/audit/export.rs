//! Writing audit files.

use std::io::Write;

use serde::Serialize;
use wflo_model::RunId;

use super::line::{EventLine, FORMAT, FirstLine, VERSION};
use crate::error::ReadError;
use crate::journal::Journal;

/// Why an audit file was not written, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The run cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file cannot be written.
    #[error("cannot write the audit file: {0}")]
    Write(#[from] std::io::Error),
}

/// Writes a run as an audit file and says how many events it has. Every event is checked as it is read; bodies
/// are written open, so the file must be kept as what is in it demands.
///
/// # Errors
/// When the run cannot be read, also for one damaged event; what was written by then is cut short, and
/// [`super::verify`] says so.
pub async fn export(
    journal: &Journal,
    run: RunId,
    out: &mut (impl Write + Send),
) -> Result<u64, ExportError> {
    let mut reader = journal.reader(run, 1).await?;
    let first = FirstLine {
        format: FORMAT.to_owned(),
        version: VERSION,
        store: journal.store_id(),
        run,
        events: reader.head(),
        head: reader.head_hash(),
    };
    write_line(out, &first)?;
    while let Some(entry) = reader.next().await? {
        write_line(out, &EventLine::new(entry))?;
    }
    out.flush()?;
    Ok(reader.head())
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> Result<(), std::io::Error> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    out.write_all(&text)
}
