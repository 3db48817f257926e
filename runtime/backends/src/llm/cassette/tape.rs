//! The file: one JSON object a line.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wflo_model::{Digest, canonical};
use wflo_ports::{ChatRequest, Completion};

/// One line of a tape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) request: ChatRequest,
    pub(super) completion: Completion,
}

/// What equal requests have in common: everything but `max_tokens`, which follows from the budget's rest and
/// not from what is asked.
pub(super) fn identity(request: &ChatRequest) -> Option<Digest> {
    let request = ChatRequest { max_tokens: None, ..request.clone() };
    canonical(&request).ok().map(|bytes| Digest::of_parts(&[b"wflo cassette request", &bytes]))
}

/// The entries of a file, and where each request has its first one.
#[derive(Debug, Default)]
pub(super) struct Tape {
    /// With the number of their line, from 1.
    entries: Vec<(usize, Entry)>,
    first: HashMap<Digest, usize>,
}

impl Tape {
    /// Reads the lines of a file.
    fn parse(path: &Path, text: &str) -> Result<Self, CassetteError> {
        let mut tape = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let entry = serde_json::from_str(line).map_err(|source| CassetteError::Line {
                path: path.to_owned(),
                line: number,
                source,
            })?;
            tape.push(number, entry);
        }
        Ok(tape)
    }

    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, CassetteError> {
        let text = std::fs::read_to_string(path).map_err(|source| io_error(path, source))?;
        Self::parse(path, &text)
    }

    /// The first answer to a request.
    pub(super) fn find(&self, request: &ChatRequest) -> Option<&Completion> {
        let at = self.first.get(&identity(request)?)?;
        Some(&self.entries[*at].1.completion)
    }

    /// All requests, each with the number of its line.
    pub(super) fn requests(&self) -> impl Iterator<Item = (usize, &ChatRequest)> {
        self.entries.iter().map(|(line, entry)| (*line, &entry.request))
    }

    fn push(&mut self, line: usize, entry: Entry) {
        if let Some(identity) = identity(&entry.request) {
            self.first.entry(identity).or_insert(self.entries.len());
        }
        self.entries.push((line, entry));
    }
}

/// A file that grows.
#[derive(Debug)]
pub(super) struct Recorder {
    path: PathBuf,
    file: File,
    lines: usize,
}

impl Recorder {
    /// Opens a file for recording, or makes it. A last line without its end, which a crash left, is cut off.
    pub(super) fn open(path: &Path) -> Result<(Self, Tape), CassetteError> {
        let error = |source| io_error(path, source);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(error)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(error)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() && serde_json::from_str::<Entry>(&text[whole..]).is_ok() {
            // Only the end of the line is missing: an editor left it out.
            file.write_all(b"\n").map_err(error)?;
            text.push('\n');
        } else {
            file.set_len(whole as u64).map_err(error)?;
            text.truncate(whole);
        }
        file.seek(SeekFrom::End(0)).map_err(error)?;
        let tape = Tape::parse(path, &text)?;
        Ok((Self { path: path.to_owned(), file, lines: text.lines().count() }, tape))
    }

    /// Adds an entry to the file, then to `tape`. The entry is durable when this returns; a crash before
    /// leaves at most a part of a line, which the next recording cuts off.
    pub(super) fn record(&mut self, tape: &mut Tape, entry: Entry) -> Result<(), CassetteError> {
        let error = |source| io_error(&self.path, source);
        let mut line = serde_json::to_string(&entry).map_err(|source| error(source.into()))?;
        line.push('\n');
        let before = self.file.stream_position().map_err(error)?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // So that the next line does not begin in the middle of this one.
            let _ = self.file.set_len(before).and_then(|()| self.file.seek(SeekFrom::Start(before)));
            return Err(error(source));
        }
        self.lines += 1;
        tape.push(self.lines, entry);
        Ok(())
    }
}

fn io_error(path: &Path, source: io::Error) -> CassetteError {
    let path = path.to_owned();
    if source.kind() == io::ErrorKind::NotFound {
        CassetteError::Missing { path }
    } else {
        CassetteError::Io { path, source }
    }
}

/// Why a cassette cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CassetteError {
    /// There is no such file.
    #[error("there is no cassette `{}`; `mode = \"record\"` makes one", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("cannot use cassette `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no `{"request": ..., "completion": ...}`.
    #[error("line {line} of cassette `{}` is no recorded request and answer", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}
