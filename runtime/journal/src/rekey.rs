//! Rotating the master key: everything it seals or wraps, sealed and wrapped anew in a new generation of the store.
//!
//! Bodies are sealed by keys of their runs and stay as they are. What changes is every row (the wrapped key of the run),
//! every sealed value of the deployment, and their blobs. Since the old generation is removed, nothing is left on the
//! disk that the old key opens; backups are beyond it.

use std::path::Path;
use std::sync::Arc;

use wflo_model::{Digest, MacKey, RunId};
use wflo_ports::{Entropy, SystemEntropyError};

use crate::blobs::{BlobName, Blobs};
use crate::entropy::draw;
use crate::error::{AppendError, OpenError, PruneError, ReadError};
use crate::journal::{
    Journal, KEY_FILE, META_VERSION, MetaRecord, chain_state, meta_bound, meta_record, open_files, settled,
};
use crate::key::Key;
use crate::master::{MasterKey, MasterKeyError, MasterSource, StoreKeys};
use crate::outbox;
use crate::record::{ChainState, RunRow};
use crate::run_keys::{unwrap, wrap};
use crate::store::{Fate, Sieve, Store};

/// Where the key of idempotency keys is kept once the master key is not the first.
const RUN_KEYS: &str = "wflo/idempotency-key";
/// Values that are not sealed: they say what the store is, not what is in it.
const OPEN_VALUES: [&str; 3] = ["wflo/marker", "wflo/writes", crate::tree::MARKER];

/// Why the master key was not rotated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RekeyError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The key that was given is not in a file, and no new one was given.
    #[error("the master key comes from the environment, and nobody said what the new one is")]
    NoNewKey,
    /// The key file cannot be read or written.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store cannot be written.
    #[error(transparent)]
    Write(#[from] AppendError),
    /// The new generation could not be made, or the old one not be removed.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// There was no randomness to make a key from.
    #[error(transparent)]
    NoEntropy(#[from] SystemEntropyError),
}

impl Journal {
    /// Gives the store in a state folder another master key: `next`, or a random one where the key is in a file. Nobody
    /// else may have the store open. It takes as long as [`Journal::prune`] does.
    ///
    /// The commit point is the switch of generations. A key in a file is put beside it as `FILE.next` before that, and
    /// takes its place afterwards; a crash at any point leaves a store that [`Journal::open_at`] opens, with the old
    /// key before the commit point and the new one after it, and which of the two is then in the file. A key that comes
    /// from elsewhere must be changed there once this has returned.
    ///
    /// # Errors
    /// [`RekeyError`]. Unless it is [`PruneError::Unknown`] or [`PruneError::LeftBehind`], the old key is still the key.
    pub async fn rotate_master(
        path: &Path,
        master: Option<MasterSource>,
        next: Option<MasterKey>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<(), RekeyError> {
        let (store, blobs) = open_files(path, &entropy).await?;
        let source = master.unwrap_or_else(|| MasterSource::File(path.join(KEY_FILE)));
        let (old, file) = match source {
            MasterSource::Key(key) => (key, None),
            MasterSource::File(file) => (settled(&store, &file).await?, Some(file)),
        };
        let next = match (next, &file) {
            (Some(next), _) => next,
            (None, Some(_)) => MasterKey::new(draw(&*entropy)?),
            (None, None) => return Err(RekeyError::NoNewKey),
        };
        if let Some(file) = &file {
            next.put_next(file)?;
        }
        let store: Arc<dyn Store> = Arc::new(store);
        rekey(Arc::clone(&store), blobs, old, &next, entropy).await?;
        if let Some(file) = &file {
            MasterKey::settled(file, |_| true)?;
        }
        Ok(())
    }
}

/// Seals a store anew.
pub(crate) async fn rekey(
    store: Arc<dyn Store>,
    blobs: Blobs,
    old: MasterKey,
    new: &MasterKey,
    entropy: Arc<dyn Entropy>,
) -> Result<(), RekeyError> {
    // Opened once, so that it is known to be the key of the store, and is whole.
    let journal = Journal::open(Arc::clone(&store), blobs.clone(), old.clone(), Arc::clone(&entropy)).await?;
    if journal.get_sealed(RUN_KEYS).await?.is_none() {
        journal.put_sealed(RUN_KEYS, &old.run_keys()).await?;
    }
    drop(journal);
    let replaced = Arc::default();
    let sieve = Rewrapping {
        old: old.keys(),
        new: new.keys(),
        blobs: blobs.clone(),
        entropy,
        replaced: Arc::clone(&replaced),
    };
    store.prune(Box::new(sieve)).await?;
    let replaced = std::mem::take(&mut *replaced.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let removed = tokio::task::spawn_blocking(move || {
        replaced.into_iter().try_for_each(|blob| blobs.remove_meta(blob))
    });
    let message = match removed.await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Err(PruneError::LeftBehind { sifted: crate::Sifted::default(), message }.into())
}

/// The key of idempotency keys that a rotation has kept.
pub(crate) async fn kept_run_keys(store: &dyn Store, keys: &StoreKeys) -> Result<Option<MacKey>, ReadError> {
    let Some(record) = store.meta(RUN_KEYS).await? else { return Ok(None) };
    let Ok(MetaRecord::Inline(sealed)) = meta_record(&record) else {
        return Err(ReadError::corrupt(Key::Meta(RUN_KEYS), "it is no key"));
    };
    // Whether the master key is the right one is checked after this, and has an error of its own.
    let opened = keys.meta.open(&meta_bound(RUN_KEYS), sealed);
    Ok(opened.and_then(|key| key.try_into().ok()).map(MacKey::new))
}

struct Rewrapping {
    old: StoreKeys,
    new: StoreKeys,
    blobs: Blobs,
    entropy: Arc<dyn Entropy>,
    /// Blobs that nothing names any more once it is done.
    replaced: Arc<std::sync::Mutex<Vec<Digest>>>,
}

impl Rewrapping {
    fn nonce(&self) -> Result<[u8; crate::seal::NONCE], PruneError> {
        draw(&*self.entropy).map_err(|error| PruneError::Failed { message: error.to_string() })
    }
}

impl Sieve for Rewrapping {
    fn run(&mut self, _: RunId, _: &RunRow) -> Result<Fate, PruneError> {
        Ok(Fate::Keep)
    }

    fn event(&mut self, _: RunId, _: u64, record: Vec<u8>) -> Result<Vec<u8>, PruneError> {
        Ok(record)
    }

    fn row(&mut self, run: RunId, row: &RunRow) -> Result<Option<RunRow>, PruneError> {
        let state = chain_state(run, row)?;
        // Of an erased run there is no key.
        let Some(wrapped) = &state.wrapped else { return Ok(None) };
        let key = unwrap(&self.old.wrap, run, wrapped);
        let key = key
            .ok_or_else(|| ReadError::corrupt(Key::Run(run), "the master key does not open the run's key"))?;
        let wrapped = wrap(&self.new.wrap, run, &key, &self.nonce()?);
        let state = ChainState::encode(&state.hash, state.time, &wrapped, &state.summary);
        Ok(Some(RunRow { state, ..row.clone() }))
    }

    fn outbox(&mut self, id: [u8; 16], record: Vec<u8>) -> Result<Vec<u8>, PruneError> {
        let bound = outbox::bound(&id);
        let sealed = record.strip_prefix(&[outbox::VERSION][..]);
        let body = sealed.and_then(|sealed| self.old.outbox.open(&bound, sealed));
        let body = body.ok_or_else(|| ReadError::Corrupt {
            key: "outbox".to_owned(),
            what: "the seal does not fit".to_owned(),
        })?;
        let sealed = self.new.outbox.seal(&bound, &self.nonce()?, &body);
        Ok([&[outbox::VERSION][..], &sealed].concat())
    }

    fn meta(&mut self, name: &str, record: Vec<u8>) -> Result<Vec<u8>, PruneError> {
        if OPEN_VALUES.contains(&name) {
            return Ok(record);
        }
        let bad = |what: &str| PruneError::from(ReadError::corrupt(Key::Meta(name), what));
        let failed = |message: String| PruneError::Failed { message };
        let bound = meta_bound(name);
        match meta_record(&record).map_err(|error| bad(&error.to_string()))? {
            MetaRecord::Inline(sealed) => {
                let value = self.old.meta.open(&bound, sealed).ok_or_else(|| bad("the seal does not fit"))?;
                let sealed = self.new.meta.seal(&bound, &self.nonce()?, &value);
                Ok([&[META_VERSION, 0][..], &sealed].concat())
            }
            MetaRecord::Blob(blob) => {
                let sealed =
                    self.blobs.get(BlobName::Meta(blob)).map_err(|error| failed(error.to_string()))?;
                let sealed = sealed.ok_or_else(|| bad("its blob is missing"))?;
                let value =
                    self.old.meta.open(&bound, &sealed).ok_or_else(|| bad("the seal does not fit"))?;
                let new = self.new.meta_blobs.digest(&[name.as_bytes(), &value]);
                let sealed = self.new.meta.seal(&bound, &self.nonce()?, &value);
                self.blobs.put(BlobName::Meta(new), sealed).wait().map_err(failed)?;
                self.replaced.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(blob);
                Ok([&[META_VERSION, 1][..], new.as_bytes()].concat())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use wflo_backends::SystemEntropy;
    use wflo_model::Timestamp;

    use super::*;
    use crate::{Created, Draft, Extras, Fault, FaultSync, OutboxEntry, OutboxKey, SledStore, SyncHook};

    fn entropy() -> Arc<dyn Entropy> {
        Arc::new(SystemEntropy)
    }

    fn run(n: u8) -> RunId {
        RunId::from_bytes([n; 16])
    }

    fn draft(body: &[u8]) -> Draft {
        Draft::new(Timestamp::from_micros(1), 1, body.to_vec())
    }

    /// A store with a bit of everything.
    async fn fill(path: &Path) {
        let journal = Journal::open_state(path, None, entropy()).await.unwrap();
        let made = journal.create_run(run(1), Some("key"), vec![draft(b"inline")], Vec::new()).await.unwrap();
        let Created::New(mut writer) = made else { panic!("it is new") };
        let large = draft(&b"large ".repeat(2000));
        writer.append(vec![large], Extras::default()).unwrap().ticket.durable().await.unwrap();
        journal.create_run(run(2), None, vec![draft(b"erased")], Vec::new()).await.unwrap();
        let mut writer = journal.claim(run(2)).await.unwrap();
        let ended = Extras { ended: Some(true), ..Extras::default() };
        writer.append(vec![draft(b"")], ended).unwrap().ticket.durable().await.unwrap();
        journal.erase(run(2), Vec::new()).await.unwrap();
        journal.meta_put("small", b"a value").await.unwrap();
        journal.meta_put("large", &b"a large value ".repeat(1000)).await.unwrap();
        let key = OutboxKey { due: Timestamp::from_micros(5), id: [9; 16] };
        let entry = OutboxEntry { key, body: b"tell the fraud team".to_vec() };
        journal.change_outbox(Vec::new(), vec![entry]).await.unwrap();
        journal.audit_key().await.unwrap();
        journal.checkpoint(Timestamp::from_micros(1)).await.unwrap().unwrap();
    }

    /// Everything there is, as far as it does not change.
    async fn look(journal: &Journal) -> String {
        let entries = journal.read(run(1), 1).await.unwrap();
        let values = [journal.meta_get("small").await.unwrap(), journal.meta_get("large").await.unwrap()];
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            entries.iter().map(|entry| &entry.body).collect::<Vec<_>>(),
            journal.keys(run(1)).await.unwrap().seed("step", None, 1),
            journal.headers(run(2)).await.unwrap().len(),
            values,
            journal.by_key("key").await.unwrap(),
            journal.audit_key().await.unwrap().filter("patient_id", "17"),
            (
                journal.verifier_key().await.unwrap(),
                journal.newest_checkpoint().await.unwrap(),
                journal.outbox(None, Timestamp::from_micros(9), 9).await.unwrap(),
            ),
        )
    }

    #[tokio::test]
    async fn everything_opens_with_the_new_key_and_nothing_with_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        fill(path).await;
        let truth = look(&Journal::open_state(path, None, entropy()).await.unwrap()).await;
        let old = MasterKey::from_file(&path.join(KEY_FILE)).unwrap();
        let old_bytes = std::fs::read(path.join(KEY_FILE)).unwrap();
        // Twice: the second time, the key of idempotency keys is a kept one.
        for _ in 0..2 {
            Journal::rotate_master(path, None, None, entropy()).await.unwrap();
            let journal = Journal::open_state(path, None, entropy()).await.unwrap();
            assert_eq!(look(&journal).await, truth);
        }
        assert_ne!(std::fs::read(path.join(KEY_FILE)).unwrap(), old_bytes);
        let mode = std::fs::metadata(path.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!next(path).exists());
        let refused = Journal::open_state(path, Some(old.clone()), entropy()).await;
        assert!(matches!(refused, Err(OpenError::WrongMasterKey)));
        assert_eq!(path.join("blobs/meta").read_dir().unwrap().count(), 1, "the old blob is gone");

        // From the environment and back.
        let file = MasterKey::from_file(&path.join(KEY_FILE)).unwrap();
        let rotate = |from: &MasterKey, to| {
            Journal::rotate_master(path, Some(MasterSource::Key(from.clone())), to, entropy())
        };
        assert!(matches!(rotate(&file, None).await, Err(RekeyError::NoNewKey)));
        assert!(matches!(
            rotate(&old, Some(file.clone())).await,
            Err(RekeyError::Open(OpenError::WrongMasterKey))
        ));
        rotate(&file, Some(old.clone())).await.unwrap();
        assert_eq!(look(&Journal::open_state(path, Some(old), entropy()).await.unwrap()).await, truth);
    }

    fn next(path: &Path) -> PathBuf {
        path.join("seal.key.next")
    }

    /// The power goes at every sync of a rotation in turn: the store opens afterwards with one key or the other, and
    /// nothing of it is lost; and rotating again brings it to its end.
    #[tokio::test]
    async fn a_rotation_that_is_cut_off_anywhere_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let specimen = dir.path().join("specimen");
        fill(&specimen).await;
        let truth = look(&Journal::open_state(&specimen, None, entropy()).await.unwrap()).await;
        let (mut before, mut after) = (0, 0);
        for (n, fault) in (1..).flat_map(|n| [(n, Fault::Off), (n, Fault::Late)]) {
            let path = dir.path().join(format!("{n}-{fault:?}"));
            copy(&specimen, &path);
            let hook = Arc::new(FaultSync::new(n, fault));
            let cut = interrupted(&path, Arc::clone(&hook)).await;
            if !hook.has_struck() {
                assert!(cut.is_ok(), "{cut:?}");
                break;
            }
            let pending = MasterKey::from_file(&next(&path)).ok();
            let journal = Journal::open_state(&path, None, entropy()).await.unwrap();
            assert_eq!(look(&journal).await, truth, "sync {n}, {fault:?}");
            drop(journal);
            assert!(!next(&path).exists(), "it is settled");
            let now = MasterKey::from_file(&path.join(KEY_FILE)).unwrap();
            let is_new = pending.is_some_and(|pending| pending.run_keys() == now.run_keys());
            if is_new {
                after += 1
            } else {
                before += 1
            }
            Journal::rotate_master(&path, None, None, entropy()).await.unwrap();
            let journal = Journal::open_state(&path, None, entropy()).await.unwrap();
            assert_eq!(look(&journal).await, truth, "sync {n}, {fault:?}, rotated again");
        }
        assert!(before > 3 && after > 0, "{before} before the commit point, {after} after it");
    }

    /// As [`Journal::rotate_master`], with syncs that fail; it never comes to its last step.
    async fn interrupted(path: &Path, hook: Arc<FaultSync>) -> Result<(), RekeyError> {
        let store = SledStore::open_with(path, &SystemEntropy, Arc::clone(&hook) as Arc<dyn SyncHook>)?;
        let blobs = Blobs::open_with(&path.join("blobs"), Some(hook)).expect("blobs open");
        let file = path.join(KEY_FILE);
        let (old, new) = (MasterKey::from_file(&file)?, MasterKey::new(draw(&SystemEntropy)?));
        new.put_next(&file)?;
        rekey(Arc::new(store), blobs, old, &new, entropy()).await
    }

    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in from.read_dir().unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), &to).unwrap();
            }
        }
    }
}
