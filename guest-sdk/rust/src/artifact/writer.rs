//! Writing an artifact.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

use super::error::from_io;
use super::{Artifact, Error};
use crate::bindings::wflo::artifact::store as host;

/// Bytes that are gathered before the host is given them.
const GATHERED: usize = 256 << 10;

/// An artifact that is being written; see [`create`](super::create). One that is dropped unfinished never was.
pub struct Writer {
    host: host::Writer,
    gathered: Vec<u8>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    pub(super) const fn new(host: host::Writer) -> Self {
        Self { host, gathered: Vec::new() }
    }

    /// Writes a value as one line of JSON.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a value that JSON cannot hold; see [`Error`].
    pub fn row(&mut self, row: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        serde_json::to_writer(&mut self.gathered, row).map_err(|error| Error::Invalid(error.to_string()))?;
        self.gathered.push(b'\n');
        self.hand_on(GATHERED).map_err(from_io)
    }

    /// Makes the artifact, and gives the reference to hand it on by.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn finish(mut self) -> Result<Artifact, Error> {
        self.hand_on(1).map_err(from_io)?;
        Artifact::read(&host::Writer::finish(self.host)?)
    }

    /// Gives the host what was gathered, if it is that much.
    fn hand_on(&mut self, least: usize) -> io::Result<()> {
        if self.gathered.len() >= least {
            self.host.write(&self.gathered).map_err(Error::from)?;
            self.gathered.clear();
        }
        Ok(())
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(GATHERED)];
        self.gathered.extend_from_slice(taken);
        self.hand_on(GATHERED)?;
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on(1)
    }
}
