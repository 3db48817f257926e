//! Checking audit files.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;
use wflo_model::{Digest, RunId, StoreId, Timestamp};

use super::line::{ERASED_VERSION, EventLine, FORMAT, FirstLine, VERSION};
use crate::record::Header;
use crate::reserved::SYSTEM_LOG;
use crate::writer::MAX_BODY;

/// Longest line read: a body of the largest size, each byte as an escape of six.
const MAX_LINE: usize = 6 * MAX_BODY + (1 << 20);

/// What an audit file proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The store that the file says it is from. No hash covers it.
    pub store: StoreId,
    /// The run.
    pub run: RunId,
    /// How many events it has.
    pub events: u64,
    /// The hash of the last: whoever noted it elsewhere can compare.
    pub head: Digest,
    /// Whether the run was erased: then nothing is proven of what its events said.
    pub erased: bool,
    /// The time of the first event.
    pub from: Timestamp,
    /// The time of the last event.
    pub to: Timestamp,
}

impl Verified {
    /// What is proven and what is not, in words, for a person.
    #[must_use]
    pub fn explain(&self) -> String {
        let bodies = if self.erased {
            "no header is changed. The run was erased: what its events said is gone, and of it only the \
             commitments are left, by which nobody can tell it"
        } else {
            "no header is changed, and every body is the one that was committed to when its event was recorded"
        };
        let of = if self.run == SYSTEM_LOG {
            "the log of the store".to_owned()
        } else {
            format!("run {}", self.run)
        };
        format!(
            "Proven: the chain of {of} is whole from event 1 to event {}, {} to {}. No event in between is \
             missing, added or out of order, {bodies}.\n\
             Not proven: that no events were cut off after event {}, and that the run was not rewritten as a \
             whole by someone who holds the store. To rule that out, compare the hash of the last event with one \
             noted elsewhere: {}\n",
            self.events, self.from, self.to, self.events, self.head
        )
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}: {} events, the chain is whole up to {}", self.run, self.events, self.head)
    }
}

/// Why an audit file proves nothing, or where it stops doing so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The first line is not that of an audit file.
    #[error("this is not an audit file: {why}")]
    NotAuditFile {
        /// What is wrong.
        why: String,
    },
    /// It was written by a newer version.
    #[error("this audit file has version {found}; this program knows {ERASED_VERSION}")]
    NewerVersion {
        /// Its version.
        found: u32,
    },
    /// A line is not that of an event.
    #[error("line {line} is not an event: {why}")]
    BadLine {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// An event is not there.
    #[error("event {seq} is missing: event {found} stands in its place")]
    Missing {
        /// The event that should be there.
        seq: u64,
        /// The one that is.
        found: u64,
    },
    /// A body is not the one committed to.
    #[error("event {seq}: the body is not the one that was recorded")]
    ChangedBody {
        /// The event.
        seq: u64,
    },
    /// A field of a header is not the one that was hashed.
    #[error("event {seq}: a field beside the body is not the one that was recorded")]
    ChangedHeader {
        /// The event.
        seq: u64,
    },
    /// An event does not follow the one before it.
    #[error(
        "event {seq} does not follow the event before it: one of the two was changed, added or taken out"
    )]
    BrokenChain {
        /// The event.
        seq: u64,
    },
    /// Time or writer go backwards, which the journal never writes.
    #[error("event {seq}: {what} is less than that of the event before it")]
    Disorder {
        /// The event.
        seq: u64,
        /// What goes backwards.
        what: &'static str,
    },
    /// The file ends too soon.
    #[error("the file is cut short: it announces {expected} events and has {found}")]
    CutShort {
        /// The events announced.
        expected: u64,
        /// The events there.
        found: u64,
    },
    /// The last event is not the one announced.
    #[error("event {seq}, the last, is not the one that the first line announces")]
    WrongHead {
        /// The event.
        seq: u64,
    },
    /// The file cannot be read.
    #[error("cannot read the audit file: {0}")]
    Io(#[from] io::Error),
}

/// Checks an audit file, with no store and no key: every commitment, every hash and the chain are computed anew.
///
/// What it cannot see, and [`Verified::explain`] says: a tail that was cut off together with the count in the
/// first line, and a run that was rewritten as a whole.
///
/// # Errors
/// [`VerifyError`] names the first event that is not as it was recorded.
pub fn verify(file: impl Read) -> Result<Verified, VerifyError> {
    let mut lines = Lines { file: BufReader::new(file), line: Vec::new(), number: 0 };
    let first = first_line(&mut lines)?;
    let erased = first.version == ERASED_VERSION;
    let mut before: Option<Header> = None;
    let mut before_hash = Digest::ZERO;
    let mut from = Timestamp::default();
    while let Some((number, line)) = lines.next()? {
        let line: EventLine = serde_json::from_slice(line)
            .map_err(|error| VerifyError::BadLine { line: number, why: error.to_string() })?;
        let expected = before.as_ref().map_or(1, |before| before.seq + 1);
        let (hash, time, is_erased) = (line.hash, line.time.clone(), line.is_erased());
        let header = line.header(first.run);
        let seq = header.seq;
        if seq != expected {
            return Err(VerifyError::Missing { seq: expected, found: seq });
        }
        if header.hash() != hash || time != header.time.to_string() {
            return Err(VerifyError::ChangedHeader { seq });
        }
        if header.prev != before_hash {
            return Err(VerifyError::BrokenChain { seq });
        }
        if let Some(before) = &before {
            let less = |what| Err(VerifyError::Disorder { seq, what });
            if header.time < before.time {
                return less("its time");
            }
            if header.fence < before.fence {
                return less("the number of its writer");
            }
        } else {
            from = header.time;
        }
        let bad = |why: &str| VerifyError::BadLine { line: number, why: why.to_owned() };
        if erased {
            if !is_erased {
                return Err(bad("it has a salt or a body, and the run was erased"));
            }
        } else {
            let (salt, body) = line.opened().map_err(bad)?;
            if Header::commit(&salt, &body) != header.commitment {
                return Err(VerifyError::ChangedBody { seq });
            }
        }
        before_hash = hash;
        before = Some(header);
    }
    let found = before.as_ref().map_or(0, |last| last.seq);
    match before {
        Some(last) if found == first.events => {
            if before_hash != first.head {
                return Err(VerifyError::WrongHead { seq: found });
            }
            Ok(Verified {
                store: first.store,
                run: first.run,
                events: found,
                head: before_hash,
                erased,
                from,
                to: last.time,
            })
        }
        Some(_) if found > first.events => Err(VerifyError::WrongHead { seq: found }),
        _ if first.events == 0 => Err(VerifyError::NotAuditFile { why: "it has no events".to_owned() }),
        _ => Err(VerifyError::CutShort { expected: first.events, found }),
    }
}

fn first_line<R: Read>(lines: &mut Lines<R>) -> Result<FirstLine, VerifyError> {
    /// The part of the first line that every version has.
    #[derive(Deserialize)]
    struct Any {
        format: String,
        version: u32,
    }
    let bad = |why: String| VerifyError::NotAuditFile { why };
    let Some((_, line)) = lines.next()? else { return Err(bad("it is empty".to_owned())) };
    let any: Any = serde_json::from_slice(line).map_err(|error| bad(error.to_string()))?;
    if any.format != FORMAT {
        return Err(bad(format!("its format is `{}`", any.format)));
    }
    if any.version != VERSION && any.version != ERASED_VERSION {
        return Err(VerifyError::NewerVersion { found: any.version });
    }
    serde_json::from_slice(line).map_err(|error| bad(error.to_string()))
}

/// Lines of bounded length.
struct Lines<R> {
    file: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> Lines<R> {
    fn next(&mut self) -> Result<Option<(u64, &[u8])>, VerifyError> {
        self.line.clear();
        let limit = MAX_LINE as u64 + 1;
        let read = (&mut self.file).take(limit).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if read as u64 == limit {
            return Err(VerifyError::BadLine { line: self.number, why: "the line is too long".to_owned() });
        }
        Ok(Some((self.number, &self.line)))
    }
}
