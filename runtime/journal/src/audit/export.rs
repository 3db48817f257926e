//! Writing audit files.

use std::io::Write;

use serde::Serialize;
use wflo_model::{Digest, RunId};

use super::line::{ERASED_VERSION, EventLine, FORMAT, FirstLine, VERSION};
use crate::error::ReadError;
use crate::journal::Journal;
use crate::record::Header;

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
/// are written open, so the file must be kept as what is in it demands. Of an erased run there are headers only, and
/// [`super::verify`] says so.
///
/// # Errors
/// When the run cannot be read, also for one damaged event; what was written by then is cut short, and
/// [`super::verify`] says so.
pub async fn export(
    journal: &Journal,
    run: RunId,
    out: &mut (impl Write + Send),
) -> Result<u64, ExportError> {
    let first = |version, events, head| FirstLine {
        format: FORMAT.to_owned(),
        version,
        store: journal.store_id(),
        run,
        events,
        head,
    };
    let mut reader = match journal.reader(run, 1).await {
        Ok(reader) => reader,
        Err(ReadError::Erased { .. }) => {
            let headers = journal.headers(run).await?;
            let events = headers.len() as u64;
            let head = headers.last().map_or(Digest::ZERO, Header::hash);
            write_line(out, &first(ERASED_VERSION, events, head))?;
            for header in headers {
                let hash = header.hash();
                write_line(out, &EventLine::of_header(header, hash))?;
            }
            out.flush()?;
            return Ok(events);
        }
        Err(error) => return Err(error.into()),
    };
    write_line(out, &first(VERSION, reader.head(), reader.head_hash()))?;
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
