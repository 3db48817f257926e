//! That another key signs checkpoints from now on: said by both.

use ed25519_dalek::SigningKey;

use super::note::{BadNote, Note, VerifierKey, sign};

/// A key handed on to another. Both have signed it: the old one, so that whoever trusts it can trust the new one; the
/// new one, so that nobody can hand on to a key that is not theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rotation {
    pub(crate) old: VerifierKey,
    pub(crate) new: VerifierKey,
    /// The size of the tree then: checkpoints up to it are by the old key, those after it by the new one.
    pub(crate) size: u64,
}

impl Rotation {
    pub(crate) fn sign(origin: &str, old: &SigningKey, new: &SigningKey, size: u64) -> String {
        let (old_key, new_key) = (VerifierKey::new(origin, old), VerifierKey::new(origin, new));
        let text = format!("{origin}/key-rotation\n{size}\nold {old_key}\nnew {new_key}\n");
        sign(origin, &text, &[old, new])
    }

    /// Reads a rotation of the log of that origin, and checks both signatures.
    pub(crate) fn parse(origin: &str, note: &str) -> Result<Self, BadNote> {
        let bad = BadNote("its text is no rotation of a key");
        let note = Note::parse(note)?;
        let mut lines = note.text.lines();
        let mut next = || lines.next().unwrap_or_default();
        let (title, size, old, new) = (next(), next(), next(), next());
        let key =
            |line: &str, which: &str| line.strip_prefix(which).and_then(|key| key.parse().ok()).ok_or(bad);
        let (old, new): (VerifierKey, VerifierKey) = (key(old, "old ")?, key(new, "new ")?);
        let size = size.parse().map_err(|_| bad)?;
        let this = Self { old, new, size };
        let text = format!("{origin}/key-rotation\n{size}\nold {}\nnew {}\n", this.old, this.new);
        if title.is_empty() || note.text != text || this.old.name() != origin || this.new.name() != origin {
            return Err(bad);
        }
        if note.is_signed_by(&this.old) && note.is_signed_by(&this.new) {
            Ok(this)
        } else {
            Err(BadNote("a rotation of a key is not signed by both keys"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_keys_must_have_signed() {
        let (old, new) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let note = Rotation::sign("log", &old, &new, 7);
        let rotation = Rotation::parse("log", &note).unwrap();
        assert_eq!((rotation.size, rotation.old), (7, VerifierKey::new("log", &old)));
        assert!(Rotation::parse("other", &note).is_err());
        let lines: Vec<&str> = note.lines().collect();
        for signature in [5, 6] {
            let mut lines = lines.clone();
            lines.remove(signature);
            let error = Rotation::parse("log", &format!("{}\n", lines.join("\n"))).unwrap_err();
            assert_eq!(
                error.to_string(),
                "it is no signed note: a rotation of a key is not signed by both keys"
            );
        }
    }
}
