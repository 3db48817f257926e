//! Sealing: XChaCha20-Poly1305 with random nonces, and keys derived by HKDF-SHA256.

use chacha20::{R20, hchacha};
use hkdf::Hkdf;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};
use sha2::Sha256;

/// Bytes of a nonce. 192 bits drawn at random never meet twice under one key.
pub(crate) const NONCE: usize = 24;
/// Bytes of a tag.
const TAG: usize = 16;
/// Bytes that sealing adds: nonce and tag.
pub(crate) const OVERHEAD: usize = NONCE + TAG;

/// A key that seals and opens.
///
/// The cipher is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): HChaCha20 turns the key and two thirds of the nonce into a
/// key for ChaCha20-Poly1305 (RFC 8439), whose nonce is the rest. The latter is ring's, which is several times as fast as
/// a portable one.
#[derive(Clone)]
pub(crate) struct SealKey([u8; 32]);

impl SealKey {
    pub(crate) const fn new(key: &[u8; 32]) -> Self {
        Self(*key)
    }

    /// Appends nonce, ciphertext and tag of `parts` to `out`, and binds what `out` holds before.
    pub(crate) fn seal_onto(&self, out: &mut Vec<u8>, nonce: &[u8; NONCE], parts: &[&[u8]]) {
        out.reserve(OVERHEAD + parts.iter().map(|part| part.len()).sum::<usize>());
        let bound = out.len();
        out.extend_from_slice(nonce);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        let (bound, rest) = out.split_at_mut(bound);
        let tag = self.encrypt(nonce, bound, &mut rest[NONCE..]);
        out.extend_from_slice(tag.as_ref());
    }

    /// Nonce, ciphertext and tag of `plain`, with `bound` bound to it but not contained.
    pub(crate) fn seal(&self, bound: &[u8], nonce: &[u8; NONCE], plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(OVERHEAD + plain.len());
        out.extend_from_slice(nonce);
        out.extend_from_slice(plain);
        let tag = self.encrypt(nonce, bound, &mut out[NONCE..]);
        out.extend_from_slice(tag.as_ref());
        out
    }

    /// Opens nonce, ciphertext and tag. `None` if any bit of them or of `bound` is not as it was sealed, or the
    /// key is another.
    pub(crate) fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
        let mut plain = rest.to_vec();
        let (key, nonce) = self.of(nonce);
        let length = key.open_in_place(nonce, Aad::from(bound), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }

    fn encrypt(&self, nonce: &[u8; NONCE], bound: &[u8], plain: &mut [u8]) -> Tag {
        let (key, nonce) = self.of(nonce);
        key.seal_in_place_separate_tag(nonce, Aad::from(bound), plain)
            .expect("the cipher takes 256 GiB, and nothing here is as large")
    }

    /// The key and the nonce of ChaCha20-Poly1305.
    fn of(&self, nonce: &[u8; NONCE]) -> (LessSafeKey, Nonce) {
        let (first, last) = nonce.split_first_chunk::<16>().expect("a nonce has more bytes");
        let key = hchacha::<R20>((&self.0).into(), first.into());
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, &key).expect("the key has as many bytes as the cipher takes");
        let mut short = [0; 12];
        short[4..].copy_from_slice(last);
        (LessSafeKey::new(key), Nonce::assume_unique_for_key(short))
    }
}

/// Derives a key for one use from `key`, which has full entropy. `label` names the use.
pub(crate) fn derive(key: &[u8; 32], label: &str) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(Some(b"wflo journal v1"), key)
        .expand(label.as_bytes(), &mut out)
        .expect("HKDF-SHA256 gives up to 8160 bytes");
    out
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::XChaCha20Poly1305;
    use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn derived_keys_differ_by_label_and_never_change() {
        let key = derive(&[7; 32], "seal");
        assert_ne!(key, derive(&[7; 32], "args"));
        assert_eq!(key, derive(&[7; 32], "seal"));
    }

    /// The vector of draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn it_seals_as_the_draft_does() {
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
        let bound = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let key = SealKey::new(&std::array::from_fn(|at| 0x80 + at as u8));
        let sealed = key.seal(&bound, &std::array::from_fn(|at| 0x40 + at as u8), plain);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(&sealed[NONCE..][..16]), "bd6d179d3e83d43b9576579493c0e939");
        assert_eq!(hex(&sealed[NONCE + plain.len()..]), "c0875924c1c7987947deafd8780acf49");
    }

    proptest! {
        /// What is at rest was sealed by this one, and may be read by another.
        #[test]
        fn it_is_what_the_pure_one_seals(key: [u8; 32], nonce: [u8; NONCE], bound: Vec<u8>, plain: Vec<u8>) {
            let pure = XChaCha20Poly1305::new(&key.into());
            let theirs = pure.encrypt(&nonce.into(), Payload { msg: &plain, aad: &bound }).unwrap();
            let ours = SealKey::new(&key).seal(&bound, &nonce, &plain);
            prop_assert_eq!(&ours[..NONCE], nonce);
            prop_assert_eq!(&ours[NONCE..], theirs);
        }

        #[test]
        fn what_was_sealed_opens(key: [u8; 32], nonce: [u8; NONCE], bound: Vec<u8>, plain: Vec<u8>) {
            let key = SealKey::new(&key);
            prop_assert_eq!(key.open(&bound, &key.seal(&bound, &nonce, &plain)), Some(plain.clone()));
            let mut out = bound.clone();
            key.seal_onto(&mut out, &nonce, &[&plain[..plain.len() / 2], &plain[plain.len() / 2..]]);
            prop_assert_eq!(key.open(&bound, &out[bound.len()..]), Some(plain));
        }

        #[test]
        fn any_change_is_seen(plain: Vec<u8>, place: prop::sample::Index, bit in 0..8u8) {
            let key = SealKey::new(&[1; 32]);
            let mut sealed = key.seal(b"bound", &[2; NONCE], &plain);
            prop_assert_eq!(key.open(b"other", &sealed), None);
            prop_assert_eq!(SealKey::new(&[3; 32]).open(b"bound", &sealed), None);
            let place = place.index(sealed.len());
            sealed[place] ^= 1 << bit;
            prop_assert_eq!(key.open(b"bound", &sealed), None);
        }
    }
}
