//! The key under which it is noted what was looked for.

use wflo_model::{Digest, MacKey};

use crate::entropy::draw;
use crate::error::AppendError;
use crate::journal::Journal;

/// Where it is kept, sealed: its own random bytes, so that it stays when the master key is rotated.
pub(crate) const NAME: &str = "wflo/audit-key";
const DOMAIN: &[u8] = b"wflo filter v1";

/// The audit key of a store. Equal filters have equal digests under it in all runs, so that "who saw patient 17" can be
/// answered after the runs were erased; without it the digests mean nothing.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # use std::sync::Arc;
/// # use wflo_backends::SystemEntropy;
/// # use wflo_journal::Journal;
/// let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
/// let key = journal.audit_key().await.unwrap();
/// assert_eq!(key.filter("patient_id", "17"), key.filter("Patient_ID", "17"));
/// assert_ne!(key.filter("patient_id", "17"), key.filter("amount", "17"));
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct AuditKey(MacKey);

impl AuditKey {
    /// The digest of a column, in any case, and the value that it had to have, as text: `17` is 17.
    #[must_use]
    pub fn filter(&self, column: &str, value: &str) -> Digest {
        self.0.digest(&[DOMAIN, column.to_lowercase().as_bytes(), value.as_bytes()])
    }
}

impl Journal {
    /// The audit key of the store, which is made if there is none; durable then when this returns.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn audit_key(&self) -> Result<AuditKey, AppendError> {
        let key = self.0.audit_key.get_or_try_init(|| async {
            let key = match self.get_sealed(NAME).await? {
                Some(kept) => kept.try_into().map_err(|_| AppendError::Corrupt {
                    key: NAME.to_owned(),
                    what: "it is no key".to_owned(),
                })?,
                None => {
                    let drawn = draw::<32>(&*self.0.entropy)?;
                    self.put_sealed(NAME, &drawn).await?;
                    drawn
                }
            };
            Ok::<_, AppendError>(AuditKey(MacKey::new(key)))
        });
        key.await.cloned()
    }
}
