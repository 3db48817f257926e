//! Reading an artifact.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::error::from_io;
use super::{Artifact, Error};
use crate::bindings::wflo::artifact::store as host;

/// Bytes asked of the host at a time.
const ASKED: usize = 256 << 10;

/// Longest line that is taken: a source without line ends must not fill the step's memory.
const LONGEST: u64 = 16 << 20;

/// An artifact that is being read; see [`open`](super::open). It holds some 256 KiB of it in memory.
pub struct Reader {
    buffered: BufReader<FromHost>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("at", &self.buffered.get_ref().at).finish_non_exhaustive()
    }
}

struct FromHost {
    host: host::Reader,
    at: u64,
}

impl Reader {
    pub(super) fn new(host: host::Reader) -> Self {
        Self { buffered: BufReader::with_capacity(ASKED, FromHost { host, at: 0 }) }
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.buffered.get_ref().host.size()
    }

    /// The reference to it.
    ///
    /// # Errors
    /// Never but for a bug of the host.
    pub fn artifact(&self) -> Result<Artifact, Error> {
        Artifact::read(&self.buffered.get_ref().host.reference())
    }

    /// Its lines, one after another, each as bytes without its end.
    #[must_use]
    pub const fn lines(self) -> Lines {
        Lines { from: self, number: 0, line: Vec::new() }
    }

    /// Its lines of JSON, each read as a `T`. Empty lines are passed over.
    #[must_use]
    pub const fn rows<T: DeserializeOwned>(self) -> Rows<T> {
        Rows { lines: self.lines(), row: PhantomData }
    }
}

impl Read for FromHost {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = u32::try_from(into.len()).unwrap_or(u32::MAX);
        let bytes = self.host.read(most).map_err(Error::from)?;
        into[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for FromHost {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let size = self.host.size();
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?.min(size);
        self.host.seek(self.at);
        Ok(self.at)
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.buffered.read(into)
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.buffered.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.buffered.consume(bytes);
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.buffered.seek(to)
    }
}

/// The lines of an artifact; see [`Reader::lines`].
pub struct Lines {
    from: Reader,
    number: u64,
    line: Vec<u8>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Lines {
    /// The next line, with its number from 1; none at the end. It is held in one buffer for all of them.
    ///
    /// # Errors
    /// [`Error::Row`] for a line that is too long; see [`Error`].
    pub fn next_line(&mut self) -> Result<Option<(u64, &[u8])>, Error> {
        self.line.clear();
        self.number += 1;
        let read = self.from.by_ref().take(LONGEST + 1).read_until(b'\n', &mut self.line).map_err(from_io)?;
        if read as u64 > LONGEST {
            let why = format!("it has more than {LONGEST} bytes");
            return Err(Error::Row { line: self.number, why });
        }
        let end = self.line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
        Ok((read > 0).then_some((self.number, &self.line[..end])))
    }
}

impl Iterator for Lines {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().map(|line| line.map(|(_, line)| line.to_vec())).transpose()
    }
}

/// The rows of an artifact; see [`Reader::rows`].
pub struct Rows<T> {
    lines: Lines,
    row: PhantomData<T>,
}

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Iterator for Rows<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return match self.lines.next_line() {
                Ok(Some((_, []))) => continue,
                Ok(Some((line, row))) => Some(
                    serde_json::from_slice(row).map_err(|error| Error::Row { line, why: error.to_string() }),
                ),
                Ok(None) => None,
                Err(error) => Some(Err(error)),
            };
        }
    }
}
