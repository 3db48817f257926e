//! What somebody who verifies knows beforehand, and what the checkpoint of a file is worth to them.

use wflo_model::{Digest, RunId, StoreId};

use super::error::VerifyError;
use super::line::ProofLine;
use crate::tree::{Checkpoint, Leaf, Rotation, SignedCheckpoint, VerifierKey, is_consistent, is_included};

/// What somebody who verifies an audit file knows beforehand, from elsewhere than the file.
///
/// ```
/// use wflo_journal::audit::Trust;
/// assert!(Trust::default().keys.is_empty(), "nothing");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Keys that are known to be the store's.
    pub keys: Vec<VerifierKey>,
    /// Checkpoints that were kept elsewhere: signed notes.
    pub kept: Vec<String>,
}

impl Trust {
    /// Whether anything is demanded that only a checkpoint in the file can answer.
    pub(super) const fn asks_for_proof(&self) -> bool {
        !self.keys.is_empty() || !self.kept.is_empty()
    }
}

/// What the checkpoint of a file proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The newest checkpoint in the file.
    pub checkpoint: Checkpoint,
    /// The key that signed it.
    pub key: VerifierKey,
    /// Whether that key follows from one that was trusted beforehand.
    pub trusted: bool,
    /// The event that is the last one it proves.
    pub seq: u64,
    /// The hash of that event.
    pub hash: Digest,
    /// The size of the first checkpoint that proves it.
    pub since: u64,
    /// Sizes of checkpoints kept elsewhere that the newest is shown to go on from, or to be.
    pub kept: Vec<u64>,
}

/// Checks what the file's second line says.
pub(super) fn check(
    line: &ProofLine,
    store: StoreId,
    run: RunId,
    trust: &Trust,
) -> Result<Proven, VerifyError> {
    let bad = |why: String| VerifyError::BadProof { why };
    let origin = Checkpoint::origin_of(store);
    let read = |note: &str| -> Result<(), VerifyError> {
        let of = SignedCheckpoint::parse(note).map_err(|error| bad(error.to_string()))?.checkpoint.origin;
        if of == origin {
            Ok(())
        } else {
            Err(VerifyError::OtherStore { found: of, expected: origin.clone() })
        }
    };
    read(&line.checkpoint)?;
    let newest = SignedCheckpoint::parse(&line.checkpoint).map_err(|error| bad(error.to_string()))?;
    let rotations = line.rotations.iter().map(|note| Rotation::parse(&origin, note));
    let rotations = rotations.collect::<Result<Vec<_>, _>>().map_err(|error| bad(error.to_string()))?;
    let key: VerifierKey = line.key.parse().map_err(|_| bad("its key is none".to_owned()))?;
    let keys = Keys::new(key, &rotations).map_err(|why| bad(why.to_owned()))?;
    let key = keys.check(&newest)?.clone();
    let trusted = trust.keys.iter().any(|trusted| keys.has(trusted));
    if !trust.keys.is_empty() && !trusted {
        return Err(VerifyError::Untrusted { key: Box::new(key) });
    }

    let Checkpoint { size, root, .. } = &newest.checkpoint;
    let leaf = Leaf { run, seq: line.seq, hash: line.hash };
    if !is_included(leaf.leaf_hash(), line.leaf, *size, &line.inclusion, root) {
        return Err(VerifyError::NotIncluded { seq: line.seq, size: *size });
    }
    let (mut since, mut earlier) = (*size, vec![(*size, *root)]);
    for it in &line.earlier {
        read(&it.checkpoint)?;
        let old = SignedCheckpoint::parse(&it.checkpoint).map_err(|error| bad(error.to_string()))?;
        let at = old.checkpoint.size;
        keys.check(&old)?;
        if !is_consistent((at, &old.checkpoint.root), (*size, root), &it.consistency) {
            return Err(VerifyError::Inconsistent { old: at, new: *size });
        }
        if at > line.leaf {
            since = since.min(at);
        }
        earlier.push((at, old.checkpoint.root));
    }
    let mut kept = Vec::new();
    for note in &trust.kept {
        read(note)?;
        let old = SignedCheckpoint::parse(note).map_err(|error| bad(error.to_string()))?;
        let at = old.checkpoint.size;
        keys.check(&old)?;
        match earlier.iter().find(|(size, _)| *size == at) {
            Some((_, root)) if *root == old.checkpoint.root => kept.push(at),
            Some(_) => return Err(VerifyError::Rewritten { size: at }),
            None if at > *size => return Err(VerifyError::OlderThanKept { size: *size, kept: at }),
            None => return Err(VerifyError::NotCompared { kept: at }),
        }
    }
    kept.sort_unstable();
    let (seq, hash) = (line.seq, line.hash);
    Ok(Proven { checkpoint: newest.checkpoint, key, trusted, seq, hash, since, kept })
}

/// The keys that have signed, one after another, each with the sizes of the checkpoints that are its own.
struct Keys(Vec<(VerifierKey, std::ops::RangeInclusive<u64>)>);

impl Keys {
    /// The keys up to `last`; each must have been handed on by the one before.
    fn new(last: VerifierKey, rotations: &[Rotation]) -> Result<Self, &'static str> {
        let mut keys: Vec<(VerifierKey, std::ops::RangeInclusive<u64>)> = Vec::new();
        let mut from = 0;
        for rotation in rotations {
            if keys.is_empty() {
                keys.push((rotation.old.clone(), 0..=rotation.size));
            } else if let Some((before, sizes)) = keys.last_mut() {
                if *before != rotation.old || from > rotation.size {
                    return Err("the keys were not handed on one after another");
                }
                *sizes = from..=rotation.size;
            }
            from = rotation.size;
            keys.push((rotation.new.clone(), from..=u64::MAX));
        }
        match keys.last() {
            None => keys.push((last, 0..=u64::MAX)),
            Some((key, _)) if *key == last => {}
            Some(_) => return Err("its key is not the one that the rotations lead to"),
        }
        Ok(Self(keys))
    }

    /// Checks that a checkpoint is signed by the key it must be signed by, at its size.
    fn check(&self, signed: &SignedCheckpoint<'_>) -> Result<&VerifierKey, VerifyError> {
        let size = signed.checkpoint.size;
        let mut at_that_size = self.0.iter().filter(|(_, sizes)| sizes.contains(&size));
        let signer = at_that_size.find(|(key, _)| signed.is_signed_by(key));
        signer.map(|(key, _)| key).ok_or(VerifyError::NotSigned { size })
    }

    fn has(&self, key: &VerifierKey) -> bool {
        self.0.iter().any(|(known, _)| known == key)
    }
}
