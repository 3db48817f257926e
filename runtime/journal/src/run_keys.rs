//! The keys of a run, derived once from its random key.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use wflo_model::{Digest, MacKey, RunId};

use crate::record::WRAPPED_KEY;
use crate::seal::{NONCE, SealKey, derive};

/// The keys of a run. All come from one random key that is kept wrapped in the run's row: without it, nothing of
/// the run can be read, and no digest of its arguments means anything.
pub struct RunKeys {
    seal: SealKey,
    blobs: MacKey,
    args: MacKey,
    seed: [u8; 32],
}

impl RunKeys {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self {
            seal: SealKey::new(&derive(key, "seal")),
            blobs: MacKey::new(derive(key, "blob names")),
            args: MacKey::new(derive(key, "arguments")),
            seed: derive(key, "randomness"),
        }
    }

    /// The key for digests of arguments: equal arguments have equal digests within the run.
    #[must_use]
    pub const fn args(&self) -> &MacKey {
        &self.args
    }

    /// The seed of the randomness that an attempt sees: the same each time it is replayed, another for any other
    /// attempt, item or step.
    #[must_use]
    pub fn seed(&self, step: &str, item: Option<u32>, attempt: u32) -> [u8; 32] {
        let mut out = [0; 32];
        Hkdf::<Sha256>::from_prk(&self.seed)
            .expect("32 bytes are a key for HKDF-SHA256")
            .expand_multi_info(
                &[
                    b"wflo attempt v1\0",
                    &(step.len() as u64).to_be_bytes(),
                    step.as_bytes(),
                    &[u8::from(item.is_some())],
                    &item.unwrap_or(0).to_be_bytes(),
                    &attempt.to_be_bytes(),
                ],
                &mut out,
            )
            .expect("HKDF-SHA256 gives up to 8160 bytes");
        out
    }

    pub(crate) const fn seal(&self) -> &SealKey {
        &self.seal
    }

    pub(crate) fn blob_name(&self, body: &[u8]) -> Digest {
        self.blobs.digest(&[body])
    }
}

impl fmt::Debug for RunKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunKeys(..)")
    }
}

/// Wraps a run's key for its row; the run is bound to it.
pub(crate) fn wrap(by: &SealKey, run: RunId, key: &[u8; 32], nonce: &[u8; NONCE]) -> [u8; WRAPPED_KEY] {
    by.seal(&bound(run), nonce, key).try_into().expect("a nonce, 32 bytes and a tag")
}

/// Unwraps what [`wrap`] wrapped.
pub(crate) fn unwrap(by: &SealKey, run: RunId, wrapped: &[u8; WRAPPED_KEY]) -> Option<[u8; 32]> {
    by.open(&bound(run), wrapped)?.try_into().ok()
}

fn bound(run: RunId) -> Vec<u8> {
    [b"wflo run key v1\0", &run.as_bytes()[..]].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn seeds_differ_by_step_item_and_attempt_and_run() {
        let keys = RunKeys::new(&[1; 32]);
        let seeds = HashSet::from([
            keys.seed("a", None, 1),
            keys.seed("a", None, 2),
            keys.seed("a", Some(0), 1),
            keys.seed("a", Some(1), 1),
            keys.seed("b", None, 1),
            RunKeys::new(&[2; 32]).seed("a", None, 1),
        ]);
        assert_eq!(seeds.len(), 6);
        assert_eq!(keys.seed("a", None, 1), RunKeys::new(&[1; 32]).seed("a", None, 1));
    }

    #[test]
    fn a_wrapped_key_opens_for_its_run_only() {
        let by = SealKey::new(&[9; 32]);
        let (one, two) = (RunId::from_bytes([1; 16]), RunId::from_bytes([2; 16]));
        let wrapped = wrap(&by, one, &[5; 32], &[0; NONCE]);
        assert_eq!(unwrap(&by, one, &wrapped), Some([5; 32]));
        assert_eq!(unwrap(&by, two, &wrapped), None);
    }
}
