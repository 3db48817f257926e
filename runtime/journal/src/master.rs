//! The master key: the one secret that opens everything else.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use wflo_model::MacKey;
use wflo_ports::{Entropy, SystemEntropyError};

use crate::entropy::draw;
use crate::seal::{SealKey, derive};

/// The key that wraps the key of every run. Whoever has it and the store can read all; whoever has the store
/// alone can read ids, times and summaries.
///
/// ```
/// use wflo_journal::MasterKey;
/// let key = MasterKey::from_hex(&"0f".repeat(32)).unwrap();
/// assert_eq!(format!("{key:?}"), "MasterKey(..)");
/// assert!(MasterKey::from_hex("0f").is_err());
/// ```
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Takes 32 secret bytes.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Reads 64 hex digits; space around them is ignored.
    ///
    /// # Errors
    /// [`MasterKeyError::NotHex`].
    pub fn from_hex(text: &str) -> Result<Self, MasterKeyError> {
        let digits = text.trim().as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(MasterKeyError::NotHex);
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).expect("hex digits are ASCII");
            *byte = u8::from_str_radix(pair, 16).expect("both are hex digits");
        }
        Ok(Self(key))
    }

    /// Reads the key from a file that only its owner can read.
    ///
    /// # Errors
    /// [`MasterKeyError::Readable`] if group or others have any right to it, [`MasterKeyError::Io`],
    /// [`MasterKeyError::NotHex`].
    pub fn from_file(path: &Path) -> Result<Self, MasterKeyError> {
        let io = |source| MasterKeyError::Io { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(io)?;
        check_mode(&file, path)?;
        let mut text = String::new();
        // A key file is 65 bytes; whatever is longer is none.
        (&mut file).take(1024).read_to_string(&mut text).map_err(io)?;
        Self::from_hex(&text)
    }

    /// Reads the key from a file, which is made with a random key and mode 0600 if there is none. The file is
    /// durable when this returns; of two processes that make it at once, both get the same key.
    ///
    /// # Errors
    /// As [`MasterKey::from_file`]; [`MasterKeyError::NoEntropy`].
    pub fn from_file_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Self, MasterKeyError> {
        match Self::from_file(path) {
            Err(MasterKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let key = draw::<32>(entropy)?;
        let tag = u64::from_be_bytes(draw(entropy)?);
        let temporary = path.with_extension(format!("tmp-{tag:016x}"));
        let made = create(&temporary, path, &key);
        // Only the name goes: the key has its own, unless another process was first.
        let _ = std::fs::remove_file(&temporary);
        made.map_err(|source| MasterKeyError::Io { path: path.to_owned(), source })?;
        Self::from_file(path)
    }

    /// Puts a new key beside the file, durably: it takes the place of the one there once the store is sealed with it.
    pub(crate) fn put_next(&self, file: &Path) -> Result<(), MasterKeyError> {
        let next = next_of(file);
        let io = |source| MasterKeyError::Io { path: next.clone(), source };
        // One that is there was never used: see `settled`.
        remove(&next).map_err(io)?;
        let temporary = next.with_extension("tmp");
        remove(&temporary).map_err(io)?;
        let made = create(&temporary, &next, &self.0);
        let _ = std::fs::remove_file(&temporary);
        made.map_err(io)
    }

    /// The key in the file, after a rotation that may have been cut short: if the key beside it is the one that opens
    /// the store, as `opens` says, it is given its place; if it is not, it goes.
    pub(crate) fn settled(file: &Path, opens: impl Fn(&Self) -> bool) -> Result<Self, MasterKeyError> {
        let next = next_of(file);
        let io = |source| MasterKeyError::Io { path: file.to_owned(), source };
        match Self::from_file(&next) {
            Ok(key) if opens(&key) => {
                std::fs::rename(&next, file).map_err(io)?;
                sync_parent(file).map_err(io)?;
                Ok(key)
            }
            Ok(_) => {
                remove(&next).map_err(io)?;
                Self::from_file(file)
            }
            Err(MasterKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::from_file(file)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn keys(&self) -> StoreKeys {
        StoreKeys {
            wrap: SealKey::new(&derive(&self.0, "wrap run keys")),
            meta: SealKey::new(&derive(&self.0, "seal meta")),
            outbox: SealKey::new(&derive(&self.0, "seal outbox")),
            meta_blobs: MacKey::new(derive(&self.0, "meta blob names")),
            run_keys: MacKey::new(self.run_keys()),
        }
    }

    /// The key of idempotency keys of a store that was never sealed with another one. What was written under it cannot be
    /// written anew, so a rotation keeps it, sealed; see [`crate::rekey`].
    pub(crate) fn run_keys(&self) -> [u8; 32] {
        derive(&self.0, "idempotency keys")
    }
}

/// Where the next key is put.
fn next_of(file: &Path) -> PathBuf {
    file.with_added_extension("next")
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Where the master key comes from.
#[derive(Clone, Debug)]
pub enum MasterSource {
    /// From whoever calls.
    Key(MasterKey),
    /// From a file that only its owner may read. Where it is `seal.key` in the state folder it is made with the store.
    File(PathBuf),
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// What is derived from the master key.
pub(crate) struct StoreKeys {
    pub(crate) wrap: SealKey,
    pub(crate) meta: SealKey,
    pub(crate) outbox: SealKey,
    pub(crate) meta_blobs: MacKey,
    pub(crate) run_keys: MacKey,
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// Others could read the file.
    #[error("the key file `{}` has mode {mode:04o}; only its owner may have rights to it: run `chmod 600 {}`", path.display(), path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The text is no key.
    #[error("a master key is 64 hex digits")]
    NotHex,
    /// The file cannot be read or made.
    #[error("cannot read the key file `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There was no randomness to make a key of.
    #[error(transparent)]
    NoEntropy(#[from] SystemEntropyError),
}

fn create(temporary: &Path, path: &Path, key: &[u8; 32]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(temporary)?;
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    file.write_all(format!("{text}\n").as_bytes())?;
    file.sync_all()?;
    // A link fails where a rename would put this key in the place of another process's.
    match std::fs::hard_link(temporary, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_parent(path)
}

fn check_mode(file: &File, path: &Path) -> Result<(), MasterKeyError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let meta = file.metadata().map_err(|source| MasterKeyError::Io { path: path.to_owned(), source })?;
        let mode = meta.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Readable { path: path.to_owned(), mode });
        }
    }
    #[cfg(not(unix))]
    let _ = (file, path);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use wflo_backends::SystemEntropy;

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        let one = MasterKey::from_file_or_create(&path, &SystemEntropy).unwrap();
        let two = MasterKey::from_file_or_create(&path, &SystemEntropy).unwrap();
        assert_eq!(one.0, two.0);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        MasterKey::from_file_or_create(&path, &SystemEntropy).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = MasterKey::from_file_or_create(&path, &SystemEntropy).unwrap_err();
            assert!(matches!(error, MasterKeyError::Readable { mode: found, .. } if found == mode));
            assert!(error.to_string().contains("chmod 600"));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "zz", &"g0".repeat(32), &"00".repeat(33), &"é".repeat(32)] {
            assert!(matches!(MasterKey::from_hex(text), Err(MasterKeyError::NotHex)), "{text}");
        }
    }
}
