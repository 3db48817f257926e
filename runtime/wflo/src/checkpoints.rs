//! Checkpoints of the audit, and the key that signs them.

use wflo_journal::VerifierKey;
use wflo_model::PrincipalName;

use crate::system_event::SystemEvent;
use crate::{Runtime, RuntimeError};

impl Runtime {
    /// Makes a checkpoint of the audit, if anything has moved since the last one; gives it as a signed note. Whoever
    /// holds a store calls this every few seconds and before letting it go.
    ///
    /// # Errors
    /// When the store cannot be read or written; the next call tries again.
    pub async fn checkpoint(&self) -> Result<Option<String>, RuntimeError> {
        Ok(self.journal().checkpoint(self.now()).await?)
    }

    /// Has another key sign checkpoints from now on, for somebody; gives the new one. Durable when this returns.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn rotate_signing_key(&self, by: &PrincipalName) -> Result<VerifierKey, RuntimeError> {
        // What there is belongs to the old key.
        self.checkpoint().await?;
        let new = self.journal().rotate_signing_key(self.now()).await?;
        let (key, public) = ("signing".to_owned(), Some(new.to_string()));
        self.system().append(SystemEvent::KeyRotated { key, public, by: by.clone() }).await?;
        Ok(new)
    }

    /// Notes that the master key was rotated, for somebody: that is done while no runtime has the store.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn note_master_key(&self, by: &PrincipalName) -> Result<(), RuntimeError> {
        let key = "master".to_owned();
        self.system().append(SystemEvent::KeyRotated { key, public: None, by: by.clone() }).await
    }
}
