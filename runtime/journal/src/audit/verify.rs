//! Checking audit files.

use std::io::{BufRead, BufReader, Read};

use serde::Deserialize;
use wflo_model::{Digest, RunId, StepName, Timestamp};

use super::error::VerifyError;
use super::line::{ERASED_VERSION, EventLine, FORMAT, FirstLine, PROVEN_VERSION, ProofLine, Text, VERSION};
use super::trust::{Proven, Trust, check};
use super::words::Verified;
use crate::record::Header;
use crate::writer::MAX_BODY;

/// Longest line read: a body of the largest size, each byte as an escape of six.
const MAX_LINE: usize = 6 * MAX_BODY + (1 << 20);
/// Bytes read at a time.
const BUFFER: usize = 1 << 18;

/// Checks an audit file, with no store and no key: as [`verify_with`], trusting nothing.
///
/// # Errors
/// As [`verify_with`].
pub fn verify(file: impl Read) -> Result<Verified, VerifyError> {
    verify_with(file, &Trust::default())
}

/// Checks an audit file, with no store: every commitment, every hash and the chain are computed anew, and so are the
/// proofs of the file's checkpoint. It is read once, line by line.
///
/// What it cannot see, [`Verified::explain`] says: without a checkpoint, a tail that was cut off together with the
/// count in the first line, and a run that was rewritten as a whole; with one, what only the holder of its key can do.
///
/// # Errors
/// [`VerifyError`] names the first event that is not as it was recorded, or what is wrong with a checkpoint;
/// [`VerifyError::NoCheckpoint`] when `trust` has anything and the file has none.
pub fn verify_with(file: impl Read, trust: &Trust) -> Result<Verified, VerifyError> {
    let mut lines = Lines { file: BufReader::with_capacity(BUFFER, file), line: Vec::new(), number: 0 };
    let first = first_line(&mut lines)?;
    let proven = if first.version == PROVEN_VERSION {
        let bad = |why: String| VerifyError::BadProof { why };
        let (_, line) = lines.next()?.ok_or_else(|| bad("its line is missing".to_owned()))?;
        let line: ProofLine = serde_json::from_slice(line).map_err(|error| bad(error.to_string()))?;
        Some(check(&line, first.store, first.run, trust)?)
    } else {
        None
    };
    if proven.is_none() && trust.asks_for_proof() {
        return Err(VerifyError::NoCheckpoint);
    }
    let mut chain = Chain::new(first.run, first.erased || first.version == ERASED_VERSION, proven.as_ref());
    while let Some((number, line)) = lines.next()? {
        let bad = |why: String| VerifyError::BadLine { line: number, why };
        // Checked for being text once, and not again for each field.
        let line = std::str::from_utf8(line).map_err(|error| bad(error.to_string()))?;
        let line: EventLine<'_> = serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
        chain.follow(&line, number)?;
    }
    let found = chain.seq;
    match found {
        0 if first.events == 0 => Err(VerifyError::NotAuditFile { why: "it has no events".to_owned() }),
        _ if found < first.events => Err(VerifyError::CutShort { expected: first.events, found }),
        _ if found > first.events || chain.hash != first.head => Err(VerifyError::WrongHead { seq: found }),
        _ => {
            if let Some(Proven { checkpoint, seq, .. }) = proven.as_ref().filter(|proven| proven.seq > found)
            {
                return Err(VerifyError::CutOff { size: checkpoint.size, seq: *seq, found });
            }
            Ok(Verified {
                store: first.store,
                run: first.run,
                events: found,
                head: chain.hash,
                erased: chain.erased,
                from: chain.from,
                to: chain.time,
                proven,
            })
        }
    }
}

/// Follows a chain event by event.
struct Chain<'a> {
    run: RunId,
    erased: bool,
    proven: Option<&'a Proven>,
    /// Of the event before; zero before the first.
    seq: u64,
    hash: Digest,
    time: Timestamp,
    fence: u64,
    /// The time of the first event.
    from: Timestamp,
    /// The header of the event before, and that time as text: the next is like it but for a few fields.
    header: Option<Header>,
    written: (Timestamp, String),
    encoded: Vec<u8>,
}

impl<'a> Chain<'a> {
    fn new(run: RunId, erased: bool, proven: Option<&'a Proven>) -> Self {
        Self {
            run,
            erased,
            proven,
            seq: 0,
            hash: Digest::ZERO,
            time: Timestamp::default(),
            fence: 0,
            from: Timestamp::default(),
            header: None,
            written: (Timestamp::default(), Timestamp::default().to_string()),
            encoded: Vec::new(),
        }
    }

    /// Checks that the line is the next event.
    fn follow(&mut self, line: &EventLine<'_>, number: u64) -> Result<(), VerifyError> {
        let seq = line.seq;
        if seq != self.seq + 1 {
            return Err(VerifyError::Missing { seq: self.seq + 1, found: seq });
        }
        if !self.is_header(line) {
            return Err(VerifyError::ChangedHeader { seq });
        }
        if line.prev != self.hash {
            return Err(VerifyError::BrokenChain { seq });
        }
        let less = |what| Err(VerifyError::Disorder { seq, what });
        if line.time_us < self.time {
            return less("its time");
        }
        if line.fence < self.fence {
            return less("the number of its writer");
        }
        let bad = |why: &str| VerifyError::BadLine { line: number, why: why.to_owned() };
        if self.erased {
            if !line.is_erased() {
                return Err(bad("it has a salt or a body, and the run was erased"));
            }
        } else {
            let (salt, body) = line.opened().map_err(bad)?;
            if Header::commit(&salt, &body) != line.commitment {
                return Err(VerifyError::ChangedBody { seq });
            }
        }
        if let Some(proven) = self.proven
            && proven.seq == seq
            && proven.hash != line.hash
        {
            return Err(VerifyError::Contradicted { seq, size: proven.checkpoint.size });
        }
        if seq == 1 {
            self.from = line.time_us;
        }
        (self.seq, self.hash, self.time, self.fence) = (seq, line.hash, line.time_us, line.fence);
        Ok(())
    }

    /// Whether hash and time are those of the header that the line stands for.
    fn is_header(&mut self, line: &EventLine<'_>) -> bool {
        let step = line.step.as_ref().map(|Text(step)| &**step);
        // Most events are of the step of the one before: its name was read then.
        let same =
            self.header.as_ref().is_some_and(|header| header.step.as_ref().map(StepName::as_str) == step);
        let header = if same { self.header.take() } else { line.header(self.run) };
        let Some(mut header) = header else { return false };
        (header.seq, header.fence, header.time, header.kind) =
            (line.seq, line.fence, line.time_us, line.kind);
        (header.item, header.attempt, header.ordinal) = (line.item, line.attempt, line.ordinal);
        (header.commitment, header.prev) = (line.commitment, line.prev);
        if self.written.0 != line.time_us {
            use std::fmt::Write as _;
            self.written.0 = line.time_us;
            self.written.1.clear();
            write!(self.written.1, "{}", line.time_us).expect("a string takes all that is written");
        }
        self.encoded.clear();
        header.encode_into(&mut self.encoded);
        let is_it = Header::hash_encoded(&self.encoded) == line.hash && line.time.0 == self.written.1;
        self.header = Some(header);
        is_it
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
    if ![VERSION, ERASED_VERSION, PROVEN_VERSION].contains(&any.version) {
        return Err(VerifyError::NewerVersion { found: any.version });
    }
    let first: FirstLine = serde_json::from_slice(line).map_err(|error| bad(error.to_string()))?;
    if first.erased && first.version != PROVEN_VERSION {
        return Err(bad(format!("version {} has no field `erased`", first.version)));
    }
    Ok(first)
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
