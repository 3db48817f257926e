//! The key that signs checkpoints, at rest.

use ed25519_dalek::SigningKey;

use super::note::VerifierKey;
use crate::entropy::draw;
use crate::error::AppendError;
use crate::journal::Journal;

/// Where the key is kept, sealed under the master key as all values are.
pub(crate) const SIGNING_KEY: &str = "wflo/signing-key";
/// Where the key is kept that is about to take its place.
pub(super) const NEXT_KEY: &str = "wflo/signing-key-next";

impl Journal {
    /// The public key by which checkpoints of this store are signed now. The key is made when it is first asked for.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn verifier_key(&self) -> Result<VerifierKey, super::CheckpointError> {
        let mut tree = self.0.tree.lock().await;
        let tree = self.tree(&mut tree).await?;
        Ok(VerifierKey::new(&tree.origin, &tree.key))
    }

    pub(super) async fn signing_key(&self, name: &str) -> Result<Option<SigningKey>, AppendError> {
        let Some(seed) = self.get_sealed(name).await? else { return Ok(None) };
        let bad = |_| AppendError::Corrupt { key: name.to_owned(), what: "it is no key".to_owned() };
        Ok(Some(SigningKey::from_bytes(&seed.try_into().map_err(bad)?)))
    }

    pub(super) async fn new_signing_key(&self, name: &str) -> Result<SigningKey, AppendError> {
        let seed = draw::<32>(&*self.0.entropy)?;
        self.put_sealed(name, &seed).await?;
        Ok(SigningKey::from_bytes(&seed))
    }
}
