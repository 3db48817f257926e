//! Sealing: XChaCha20-Poly1305 with random nonces, and keys derived by HKDF-SHA256.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;

/// Bytes of a nonce. 192 bits drawn at random never meet twice under one key.
pub(crate) const NONCE: usize = 24;
/// Bytes that sealing adds: nonce and tag.
pub(crate) const OVERHEAD: usize = NONCE + 16;

/// A key that seals and opens.
#[derive(Clone)]
pub(crate) struct SealKey(XChaCha20Poly1305);

impl SealKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(key.into()))
    }

    /// Appends nonce, ciphertext and tag of `parts` to `out`, and binds what `out` holds before.
    pub(crate) fn seal_onto(&self, out: &mut Vec<u8>, nonce: &[u8; NONCE], parts: &[&[u8]]) {
        out.reserve(OVERHEAD + parts.iter().map(|part| part.len()).sum::<usize>());
        let bound = out.len();
        out.extend_from_slice(nonce);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        let (bound, rest) = out.split_at_mut(bound);
        let tag = self.encrypt(nonce, bound, &mut rest[NONCE..]);
        out.extend_from_slice(&tag);
    }

    /// Nonce, ciphertext and tag of `plain`, with `bound` bound to it but not contained.
    pub(crate) fn seal(&self, bound: &[u8], nonce: &[u8; NONCE], plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(OVERHEAD + plain.len());
        out.extend_from_slice(nonce);
        out.extend_from_slice(plain);
        let tag = self.encrypt(nonce, bound, &mut out[NONCE..]);
        out.extend_from_slice(&tag);
        out
    }

    /// Opens nonce, ciphertext and tag. `None` if any bit of them or of `bound` is not as it was sealed, or the
    /// key is another.
    pub(crate) fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
        let (cipher, tag) = rest.split_last_chunk::<16>()?;
        let mut plain = cipher.to_vec();
        let nonce = XNonce::from(*nonce);
        self.0.decrypt_inout_detached(&nonce, bound, plain.as_mut_slice().into(), &Tag::from(*tag)).ok()?;
        Some(plain)
    }

    fn encrypt(&self, nonce: &[u8; NONCE], bound: &[u8], plain: &mut [u8]) -> Tag {
        self.0
            .encrypt_inout_detached(&XNonce::from(*nonce), bound, plain.into())
            .expect("the cipher takes 256 GiB, and nothing here is as large")
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn derived_keys_differ_by_label_and_never_change() {
        let key = derive(&[7; 32], "seal");
        assert_ne!(key, derive(&[7; 32], "args"));
        assert_eq!(key, derive(&[7; 32], "seal"));
    }

    proptest! {
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
