//! Reading a log: its segments, and their files.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::place::Place;
use super::segment::file_name;

/// Most segments that are kept open for reading: 4 GiB of log. Others are opened when they are read.
const OPEN: usize = 64;

/// The segments of a log, as readers see them.
pub(in crate::store) struct LogFiles {
    dir: PathBuf,
    open: Mutex<HashMap<u32, Arc<File>>>,
}

impl LogFiles {
    pub(in crate::store) fn new(dir: PathBuf) -> Self {
        Self { dir, open: Mutex::default() }
    }

    /// The bytes at a place.
    pub(in crate::store) fn read(&self, at: Place, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        read_exact_at(&*self.file(at.segment())?, &mut bytes, u64::from(at.byte()))?;
        Ok(bytes)
    }

    fn file(&self, segment: u32) -> io::Result<Arc<File>> {
        // A map is whole between any two of its changes.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&segment) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(self.dir.join(file_name(segment)))?);
        if open.len() >= OPEN {
            let any = open.keys().next().copied();
            any.and_then(|any| open.remove(&any));
        }
        open.insert(segment, Arc::clone(&file));
        Ok(file)
    }
}

/// Reads as many bytes as the buffer has, from a place of a file.
#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

/// Writes all bytes at a place of a file.
#[cfg(unix)]
pub(super) fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

/// Reads as many bytes as the buffer has, from a place of a file.
#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => (bytes, at) = (&mut bytes[read..], at + read as u64),
        }
    }
    Ok(())
}

/// Writes all bytes at a place of a file.
#[cfg(windows)]
pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, at)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => (bytes, at) = (&bytes[written..], at + written as u64),
        }
    }
    Ok(())
}
