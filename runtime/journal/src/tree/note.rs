//! C2SP signed notes (<https://c2sp.org/signed-note>): a text, and lines by which keys vouch for it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// The signature type of Ed25519.
const ED25519: u8 = 1;
/// What a line of a signature begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// A public key that signs notes under a name, as C2SP writes it: `NAME+ID+KEY`.
///
/// ```
/// use wflo_journal::VerifierKey;
/// let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// let key: VerifierKey = text.parse().unwrap();
/// assert_eq!((key.name(), key.to_string()), ("PeterNeumann", text.to_owned()));
/// assert!(text.replace("c74f", "c74e").parse::<VerifierKey>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

/// A text that is no key of a verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no key of a verifier: such a one is `NAME+ID+KEY`, as `wflo key show` prints it")]
pub struct BadKey;

/// A text that is no signed note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no signed note: {0}")]
pub struct BadNote(pub(super) &'static str);

impl VerifierKey {
    pub(crate) fn new(name: &str, key: &SigningKey) -> Self {
        Self { name: name.to_owned(), key: key.verifying_key() }
    }

    /// The name under which it signs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of name and key, cut off: says which key a signature is by before it is checked.
    fn id(&self) -> [u8; 4] {
        let mut hash = Sha256::new();
        hash.update(self.name.as_bytes());
        hash.update(b"\n");
        hash.update([ED25519]);
        hash.update(self.key.as_bytes());
        hash.finalize()[..4].try_into().expect("a digest has 32 bytes")
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519][..], self.key.as_bytes()].concat());
        write!(f, "{}+{:08x}+{key}", self.name, u32::from_be_bytes(self.id()))
    }
}

impl FromStr for VerifierKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let text = text.trim();
        let (name, rest) = text.split_once('+').ok_or(BadKey)?;
        let (_, key) = rest.split_once('+').ok_or(BadKey)?;
        let bytes = STANDARD.decode(key).map_err(|_| BadKey)?;
        let (&[kind], key) = bytes.split_first_chunk::<1>().ok_or(BadKey)?;
        let key = <[u8; 32]>::try_from(key).map_err(|_| BadKey)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| BadKey)?;
        let this = Self { name: name.to_owned(), key };
        // There is one way to write it, id and all.
        if kind == ED25519 && !name.is_empty() && !this.key.is_weak() && this.to_string() == text {
            Ok(this)
        } else {
            Err(BadKey)
        }
    }
}

/// Signs a text that ends with a line break, under a name with each key.
pub(crate) fn sign(name: &str, text: &str, keys: &[&SigningKey]) -> String {
    debug_assert!(text.ends_with('\n'), "a note is made of whole lines");
    keys.iter().fold(format!("{text}\n"), |mut note, key| {
        let id = VerifierKey::new(name, key).id();
        let signature = key.sign(text.as_bytes());
        let signature = STANDARD.encode([&id[..], &signature.to_bytes()].concat());
        note.push_str(&format!("{DASH}{name} {signature}\n"));
        note
    })
}

/// A note taken apart; what it says is not yet vouched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note<'a> {
    /// The text, with its last line break.
    pub(crate) text: &'a str,
    signatures: Vec<(&'a str, [u8; 4], Signature)>,
}

impl<'a> Note<'a> {
    pub(crate) fn parse(note: &'a str) -> Result<Self, BadNote> {
        let end = note.rfind("\n\n").ok_or(BadNote("there is no empty line before signatures"))? + 1;
        let (text, lines) = (&note[..end], &note[end + 1..]);
        if lines.is_empty() || !lines.ends_with('\n') {
            return Err(BadNote("it is cut short"));
        }
        let signatures = lines.lines().map(|line| {
            let bad = || BadNote("a line of a signature is damaged");
            let (name, signature) =
                line.strip_prefix(DASH).and_then(|line| line.split_once(' ')).ok_or_else(bad)?;
            let bytes = STANDARD.decode(signature).map_err(|_| bad())?;
            let (id, signature) = bytes.split_first_chunk::<4>().ok_or_else(bad)?;
            let signature = Signature::from_slice(signature).map_err(|_| bad())?;
            Ok((name, *id, signature))
        });
        Ok(Self { text, signatures: signatures.collect::<Result<_, _>>()? })
    }

    /// Whether the key vouches for the text.
    pub(crate) fn is_signed_by(&self, key: &VerifierKey) -> bool {
        let by_it = |(name, id, _): &&(&str, [u8; 4], Signature)| *name == key.name && *id == key.id();
        let signed = self.signatures.iter().find(by_it);
        // Strict: there is one signature of a text by a key, and none by a key that signs everything.
        signed.is_some_and(|(_, _, signature)| key.key.verify_strict(self.text.as_bytes(), signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    const EXAMPLE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn the_example_of_the_specification_verifies() {
        let note = Note::parse(EXAMPLE).unwrap();
        assert!(note.text.ends_with("problem is.\n"));
        assert!(note.is_signed_by(&KEY.parse().unwrap()));
        let other = EXAMPLE.replace("answer", "question");
        assert!(!Note::parse(&other).unwrap().is_signed_by(&KEY.parse().unwrap()));
    }

    #[test]
    fn what_was_signed_verifies_by_each_of_its_keys_and_by_no_other() {
        let (one, two, three) = (
            SigningKey::from_bytes(&[1; 32]),
            SigningKey::from_bytes(&[2; 32]),
            SigningKey::from_bytes(&[3; 32]),
        );
        let text = sign("log", "a\n\nb\n", &[&one, &two]);
        let note = Note::parse(&text).unwrap();
        assert_eq!(note.text, "a\n\nb\n");
        let signed = |name: &str, key| note.is_signed_by(&VerifierKey::new(name, key));
        assert!(signed("log", &one) && signed("log", &two));
        assert!(!signed("log", &three) && !signed("lug", &one));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let holds = Note::parse(&changed).is_ok_and(|note| {
                note.is_signed_by(&VerifierKey::new("log", &one))
                    && note.is_signed_by(&VerifierKey::new("log", &two))
            });
            assert!(!holds, "byte {at}");
        }
    }

    #[test]
    fn what_is_no_note_is_refused() {
        for text in ["", "\n", "text\n", "text\n\n", "text\n\n\u{2014} a b", "text\n\nno signature\n"] {
            assert!(Note::parse(text).is_err(), "{text:?}");
        }
        for text in ["", "a", "a+b", "a+b+c", &KEY.replace("PeterNeumann", ""), &KEY.replace("+AR", "+AB")] {
            assert!(text.parse::<VerifierKey>().is_err(), "{text}");
        }
    }
}
