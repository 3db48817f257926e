//! The journal: runs above a store.

use std::path::Path;
use std::sync::Arc;

use wflo_model::{Content, Digest, RunId, StepName, StoreId, Timestamp};
use wflo_ports::Entropy;

use crate::audit_key::AuditKey;
use crate::blobs::{BlobError, BlobName, Blobs};
use crate::entropy::draw;
use crate::error::{AppendError, OpenError, ReadError};
use crate::key::Key;
use crate::master::{MasterKey, MasterSource, StoreKeys};
use crate::places::{EVERYBODYS, KnownPlaces};
use crate::prune::UnderWay;
use crate::read::{Entry, Reader};
use crate::record::{CHECKSUM, ChainState, Cursor, Header, Malformed};
use crate::reserved;
use crate::run_keys::{RunKeys, unwrap, wrap};
use crate::seal::{NONCE, OVERHEAD};
use crate::store::{AccountRow, CreateOutcome, CreateRun, MAX_VALUE, MemoryStore, SledStore, Store};
use crate::tree::{MARKER, Moved, Tree};
use crate::walk::Walk;
use crate::writer::{Draft, MAX_BODY, Place, RunWriter, Sealer, check, check_summary};

/// The name under which a value sealed with the master key stands, so that a wrong key is seen at once.
const KEY_CHECK: &str = "wflo/master-key";
/// The master key, where nobody says that it is elsewhere.
pub(crate) const KEY_FILE: &str = "seal.key";
/// Values of the caller have names behind this.
const CALLER: &str = "value/";
/// Runs fetched at a time.
const PAGE: usize = 256;
/// Version of a sealed value of the deployment.
pub(crate) const META_VERSION: u8 = 1;

/// Runs at rest: chained, sealed, durable. Cheap to clone.
#[derive(Clone)]
pub struct Journal(pub(crate) Arc<Shared>);

/// What journal, writers and readers have in common.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Blobs,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) under_way: UnderWay,
    pub(crate) audit_key: tokio::sync::OnceCell<AuditKey>,
    /// Which runs have moved since the newest checkpoint.
    pub(crate) moved: Moved,
    /// The audit tree; none until somebody asks.
    pub(crate) tree: tokio::sync::Mutex<Option<Tree>>,
    pub(crate) keys: StoreKeys,
}

impl Shared {
    /// The key of a run that is not erased.
    pub(crate) fn unwrap(&self, run: RunId, state: &ChainState) -> Result<[u8; 32], ReadError> {
        let wrapped = state.wrapped.as_ref().ok_or(ReadError::Erased { run })?;
        let key = unwrap(&self.keys.wrap, run, wrapped);
        key.ok_or_else(|| ReadError::corrupt(Key::Run(run), "the master key does not open the run's key"))
    }
}

/// What came of [`Journal::create_run`].
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it is taken apart at once")]
pub enum Created {
    /// The run was made; this is its writer.
    New(RunWriter),
    /// This run was made with the same key before; nothing was written.
    Exists(RunId),
}

/// A run as the list of runs shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHead {
    /// The run.
    pub run: RunId,
    /// Its newest event.
    pub head: u64,
    /// The hash of its newest event.
    pub hash: Digest,
    /// The time of its newest event.
    pub time: Timestamp,
    /// The number of its newest writer.
    pub fence: u64,
    /// Its timer.
    pub due: Option<Timestamp>,
    /// Whether it has ended, as its writer says.
    pub ended: bool,
    /// Whether it was erased: nothing of it can be read but headers.
    pub erased: bool,
    /// What its writer last gave as summary.
    pub summary: Vec<u8>,
}

impl Journal {
    /// Opens a journal above a store. The first time, a value sealed with the master key is left there.
    ///
    /// # Errors
    /// [`OpenError::WrongMasterKey`] when the store was sealed with another key.
    pub async fn open(
        store: Arc<dyn Store>,
        blobs: Blobs,
        master: MasterKey,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let marker = match store.meta(MARKER).await {
            Ok(marker) => marker.map(|tag| tag.try_into().map_or(Moved::DAMAGED, u64::from_be_bytes)),
            // Whoever cannot tell whether anything has moved looks.
            Err(ReadError::Corrupt { .. }) => Some(Moved::DAMAGED),
            Err(error) => return Err(error.into()),
        };
        let mut keys = master.keys();
        if let Some(kept) = crate::rekey::kept_run_keys(&*store, &keys).await? {
            keys.run_keys = kept;
        }
        let journal = Self(Arc::new(Shared {
            moved: Moved::new(marker),
            tree: tokio::sync::Mutex::new(None),
            store,
            blobs,
            entropy,
            under_way: UnderWay::default(),
            audit_key: tokio::sync::OnceCell::new(),
            keys,
        }));
        let expect = journal.store_id();
        match journal.get_sealed(KEY_CHECK).await {
            Ok(None) => journal.put_sealed(KEY_CHECK, expect.as_bytes()).await?,
            Ok(Some(found)) if found == expect.as_bytes() => {}
            Ok(Some(_)) | Err(ReadError::Corrupt { .. }) => return Err(OpenError::WrongMasterKey),
            Err(error) => return Err(error.into()),
        }
        Ok(journal)
    }

    /// Opens the journal in a state folder, or makes one there: a [`SledStore`], blobs in `blobs/`, and unless
    /// `master` is given, the key in `seal.key`, made with the store.
    ///
    /// # Errors
    /// As [`SledStore::open`] and [`Journal::open`]; [`OpenError::MasterKey`] also when the store is there and its
    /// key is not: a new one would open nothing.
    pub async fn open_state(
        path: &Path,
        master: Option<MasterKey>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        Self::open_at(path, master.map(MasterSource::Key), entropy).await
    }

    /// As [`Journal::open_state`], with the master key from anywhere. Where it comes from a file and its rotation was cut
    /// short, that is settled here: see [`Journal::rotate_master`].
    ///
    /// # Errors
    /// As [`Journal::open_state`].
    pub async fn open_at(
        path: &Path,
        master: Option<MasterSource>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let (store, blobs) = open_files(path, &entropy).await?;
        let master = match master {
            Some(MasterSource::Key(master)) => master,
            Some(MasterSource::File(file)) => settled(&store, &file).await?,
            None => {
                let file = path.join(KEY_FILE);
                match store.meta(KEY_CHECK).await? {
                    Some(_) => settled(&store, &file).await?,
                    None => MasterKey::from_file_or_create(&file, &*entropy)?,
                }
            }
        };
        Self::open(Arc::new(store), blobs, master, entropy).await
    }

    /// A journal in memory, under keys of its own.
    ///
    /// # Errors
    /// When there is no randomness or no thread.
    pub async fn in_memory(entropy: Arc<dyn Entropy>) -> Result<Self, OpenError> {
        let id = StoreId::from_bytes(draw(&*entropy)?);
        let master = MasterKey::new(draw(&*entropy)?);
        let store = MemoryStore::new(id).map_err(|source| OpenError::Io { path: "memory".into(), source })?;
        Self::open(Arc::new(store), Blobs::in_memory(), master, entropy).await
    }

    /// The store's id.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.0.store.id()
    }

    /// What failed, if the store takes no more writes.
    #[must_use]
    pub fn poisoned(&self) -> Option<String> {
        self.0.store.poisoned()
    }

    /// Makes a run with its first events, durable when this returns; or names the run that was made with `key`.
    ///
    /// The key itself is not kept, only a keyed digest of it. The summary is not sealed.
    ///
    /// # Errors
    /// [`AppendError::RunExists`], [`AppendError::Reserved`], [`AppendError::TooLarge`], or the store failed.
    pub async fn create_run(
        &self,
        run: RunId,
        key: Option<&str>,
        drafts: Vec<Draft>,
        summary: Vec<u8>,
    ) -> Result<Created, AppendError> {
        if reserved::is_reserved(run) {
            return Err(AppendError::Reserved { run });
        }
        self.make_run(run, key, drafts, summary).await
    }

    /// As [`Journal::create_run`], of any id.
    pub(crate) async fn make_run(
        &self,
        run: RunId,
        key: Option<&str>,
        drafts: Vec<Draft>,
        summary: Vec<u8>,
    ) -> Result<Created, AppendError> {
        check_summary(&summary)?;
        let key = key.map(|key| self.0.keys.run_keys.digest(&[key.as_bytes()]).as_bytes().to_vec());
        // Saves writing blobs for a run that will not be; the store decides all the same.
        if let Some(key) = &key
            && let Some(run) = self.0.store.by_key(key).await?
        {
            return Ok(Created::Exists(run));
        }
        let entropy = &*self.0.entropy;
        let run_key = draw::<32>(entropy)?;
        let wrapped = wrap(&self.0.keys.wrap, run, &run_key, &draw(entropy)?);
        let place = Place { run, head: 0, hash: Digest::ZERO, time: Timestamp::default() };
        let mut sealer =
            Sealer { shared: Arc::clone(&self.0), keys: Arc::new(RunKeys::new(&run_key)), place };
        self.0.under_way.begin(run);
        let sealed = sealer.seal(1, drafts).inspect_err(|_| self.0.under_way.end(run))?;
        let state = ChainState::encode(&sealer.place.hash, sealer.place.time, &wrapped, &summary);
        let mut places = KnownPlaces::default();
        let touched = places.touch(&sealed.headers);
        let create = CreateRun { run, key, events: sealed.events, state, touched, after: sealed.blobs };
        self.0.moved.note(run, &*self.0.store);
        let created = self.0.store.create_run(create).await;
        // Once more, for a checkpoint may have come between the two, and have found no run.
        self.0.moved.note(run, &*self.0.store);
        // Not where this is dropped before the answer: the run may be made all the same.
        self.0.under_way.end(run);
        match created? {
            CreateOutcome::New => Ok(Created::New(RunWriter::resume(sealer, 1, wrapped, summary, places))),
            CreateOutcome::Exists(run) => Ok(Created::Exists(run)),
        }
    }

    /// Makes the caller the run's only writer, durable when this returns. An older writer gets
    /// [`AppendError::Fenced`] from then on.
    ///
    /// # Errors
    /// [`AppendError::UnknownRun`], [`AppendError::Erased`], [`AppendError::Corrupt`], or the store failed.
    pub async fn claim(&self, run: RunId) -> Result<RunWriter, AppendError> {
        let row = self.0.store.claim(run).await?;
        let state = chain_state(run, &row)?;
        let key = self.0.unwrap(run, &state)?;
        let wrapped = state.wrapped.expect("the key was unwrapped from it");
        Ok(RunWriter::new(Arc::clone(&self.0), run, row.head, row.fence, &key, wrapped, state))
    }

    /// The events of a run from `from` on, every one checked.
    ///
    /// # Errors
    /// [`ReadError::UnknownRun`], [`ReadError::Erased`], [`ReadError::Corrupt`], or the disk failed.
    pub async fn read(&self, run: RunId, from: u64) -> Result<Vec<Entry>, ReadError> {
        let mut reader = self.reader(run, from).await?;
        let mut entries = Vec::new();
        while let Some(entry) = reader.next().await? {
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Reads the events of a run from `from` on one after another, for runs that are long.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub async fn reader(&self, run: RunId, from: u64) -> Result<Reader, ReadError> {
        Reader::new(Arc::clone(&self.0), run, from).await
    }

    /// The events of a step, or of one item of it, in order: what a resume of that item needs of a run however
    /// long. `item` is that of the events' headers: `None` gives those of the step itself, not those of its items.
    ///
    /// It reads the stretches of the run in which such events lie, not what is before, after and between them: 32
    /// events for one that lies alone, and always the first 32 of the run. Their order, checksums and chain are checked within each stretch; bodies are
    /// opened and checked for what is returned. That nothing but these stretches was changed, it cannot see.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use std::sync::Arc;
    /// # use wflo_backends::SystemEntropy;
    /// # use wflo_journal::{Created, Draft, Extras, Journal};
    /// # use wflo_model::{RunId, Timestamp};
    /// # let journal = Journal::in_memory(Arc::new(SystemEntropy)).await.unwrap();
    /// # let run = RunId::new(Timestamp::from_micros(1), [0; 10]);
    /// let of = |item| Draft {
    ///     step: Some("review".parse().unwrap()),
    ///     item: Some(item),
    ///     ..Draft::new(Timestamp::from_micros(1), 3, format!("of item {item}").into_bytes())
    /// };
    /// journal.create_run(run, None, vec![of(0), of(1), of(0)], Vec::new()).await.unwrap();
    /// let entries = journal.read_of(run, &"review".parse().unwrap(), Some(1)).await.unwrap();
    /// assert_eq!(entries.len(), 1);
    /// assert_eq!(entries[0].body, b"of item 1");
    /// # });
    /// ```
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub async fn read_of(
        &self,
        run: RunId,
        step: &StepName,
        item: Option<u32>,
    ) -> Result<Vec<Entry>, ReadError> {
        // The head before the places: then they hold every event up to that head.
        let mut reader = self.reader(run, 1).await?;
        let mut entries = Vec::new();
        let places = self.0.store.places(run, step, item).await?;
        for stretch in std::iter::once(EVERYBODYS).chain(places) {
            reader.walk().turn_to(stretch).await?;
            let of = |header: &Header| header.step.as_ref() == Some(step) && header.item == item;
            while let Some(entry) = reader.next_that(of).await? {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// The headers of a run, with their chain checked and no body looked at: all that there is of an erased run.
    ///
    /// # Errors
    /// [`ReadError::UnknownRun`], [`ReadError::Corrupt`], or the disk failed.
    pub async fn headers(&self, run: RunId) -> Result<Vec<Header>, ReadError> {
        let row = self.0.store.run(run).await?.ok_or(ReadError::UnknownRun { run })?;
        let mut walk = Walk::new(Arc::clone(&self.0), run, &row, &chain_state(run, &row)?);
        let mut headers = Vec::new();
        while let Some(record) = walk.fetch().await? {
            headers.push(walk.follow(&record)?.0.header);
        }
        Ok(headers)
    }

    /// Runs that have not ended, oldest first, at most `limit` of those after `after`; fewer only at the end. Costs
    /// what it gives, however many runs have ended: see [`Extras::ended`](crate::Extras::ended).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn unfinished(&self, after: Option<RunId>, limit: usize) -> Result<Vec<RunId>, ReadError> {
        let mut runs = self.0.store.unfinished(after, limit).await?;
        // They are the last ones, so fewer than the limit still means the end.
        runs.retain(|run| !reserved::is_reserved(*run));
        Ok(runs)
    }

    /// The keys of a run, without claiming it: for replay and for digests.
    ///
    /// # Errors
    /// [`ReadError::UnknownRun`], [`ReadError::Corrupt`], or the disk failed.
    pub async fn keys(&self, run: RunId) -> Result<RunKeys, ReadError> {
        let row = self.0.store.run(run).await?.ok_or(ReadError::UnknownRun { run })?;
        Ok(RunKeys::new(&self.0.unwrap(run, &chain_state(run, &row)?)?))
    }

    /// A run as the list of runs shows it.
    ///
    /// # Errors
    /// [`ReadError::UnknownRun`], [`ReadError::Corrupt`], or the disk failed.
    pub async fn head(&self, run: RunId) -> Result<RunHead, ReadError> {
        let row = self.0.store.run(run).await?.ok_or(ReadError::UnknownRun { run })?;
        run_head(run, row)
    }

    /// The run that was made with this key.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn by_key(&self, key: &str) -> Result<Option<RunId>, ReadError> {
        self.0.store.by_key(self.0.keys.run_keys.digest(&[key.as_bytes()]).as_bytes()).await
    }

    /// All runs, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn runs(&self) -> Result<Vec<RunHead>, ReadError> {
        let mut out: Vec<RunHead> = Vec::new();
        loop {
            let page = self.runs_before(out.last().map(|last| last.run), PAGE).await?;
            let full = page.len() == PAGE;
            out.extend(page);
            if !full {
                return Ok(out);
            }
        }
    }

    /// Runs made before `before`, newest first, at most `limit`; fewer only at the end.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn runs_before(&self, before: Option<RunId>, limit: usize) -> Result<Vec<RunHead>, ReadError> {
        let rows = self.0.store.runs(Some(reserved::clamped(before)), limit).await?;
        rows.into_iter().map(|(run, row)| run_head(run, row)).collect()
    }

    /// Runs whose timer is due at `now`, soonest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<RunId>, ReadError> {
        Ok(self.0.store.due(now, limit).await?.into_iter().map(|(_, run)| run).collect())
    }

    /// What an account above the runs stands at in a window of time: what the [debits](crate::Extras::debits) of all
    /// appends come to.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`], or the disk failed.
    pub async fn account(&self, account: &str, window: &str) -> Result<AccountRow, ReadError> {
        self.0.store.account(account, window).await
    }

    /// A value of the deployment.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`], or the disk failed.
    pub async fn meta_get(&self, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        self.get_sealed(&format!("{CALLER}{name}")).await
    }

    /// Sets a value of the deployment, sealed under the master key; durable when this returns.
    ///
    /// # Errors
    /// [`AppendError::TooLarge`], or the store failed.
    pub async fn meta_put(&self, name: &str, value: &[u8]) -> Result<(), AppendError> {
        self.put_sealed(&format!("{CALLER}{name}"), value).await
    }

    /// Keeps public content under its SHA-256; durable when this returns. Public content is not sealed.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn put_public(&self, content: &Content) -> Result<Digest, BlobError> {
        let digest = content.digest();
        if self.holds_public(&digest) {
            return Ok(digest);
        }
        self.0.under_way.public(digest);
        let put = self.0.blobs.put_now(BlobName::Public(digest), content.clone()).await;
        put.map_err(|message| BlobError::Io { digest, message })?;
        self.0.under_way.public_is_durable(digest);
        Ok(digest)
    }

    /// Whether [`put_public`](Self::put_public) of this process has made content of that digest durable: then it is
    /// there as long as the process is, for [`prune`](Self::prune) leaves it.
    #[must_use]
    pub fn holds_public(&self, digest: &Digest) -> bool {
        self.0.under_way.holds_public(digest)
    }

    /// Public content by its SHA-256, which is checked.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Corrupt`], or the disk fails.
    pub async fn get_public(&self, digest: &Digest) -> Result<Content, BlobError> {
        let digest = *digest;
        let found = self.0.blobs.get(BlobName::Public(digest));
        let content = found.map_err(|error| BlobError::Io { digest, message: error.to_string() })?;
        let content = Content::new(content.ok_or(BlobError::Missing { digest })?);
        if content.digest() == digest { Ok(content) } else { Err(BlobError::Corrupt { digest }) }
    }

    pub(crate) async fn put_sealed(&self, name: &str, value: &[u8]) -> Result<(), AppendError> {
        check("a value", value.len(), MAX_BODY)?;
        let nonce: [u8; NONCE] = draw(&*self.0.entropy)?;
        let mut after = Vec::new();
        let mut record = vec![META_VERSION, 0];
        if record.len() + OVERHEAD + value.len() + CHECKSUM <= MAX_VALUE {
            let sealed = self.0.keys.meta.seal(&meta_bound(name), &nonce, value);
            record.extend_from_slice(&sealed);
        } else {
            let blob = self.0.keys.meta_blobs.digest(&[name.as_bytes(), value]);
            let sealed = self.0.keys.meta.seal(&meta_bound(name), &nonce, value);
            after.push(self.0.blobs.put(BlobName::Meta(blob), sealed));
            record[1] = 1;
            record.extend_from_slice(blob.as_bytes());
        }
        self.0.store.put_meta(name, record, after).durable().await
    }

    pub(crate) async fn get_sealed(&self, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(record) = self.0.store.meta(name).await? else { return Ok(None) };
        let bad = |what: &str| ReadError::corrupt(Key::Meta(name), what);
        let open = |sealed: &[u8]| self.0.keys.meta.open(&meta_bound(name), sealed);
        let opened = match meta_record(&record).map_err(|error| bad(&error.to_string()))? {
            MetaRecord::Inline(sealed) => open(sealed),
            MetaRecord::Blob(blob) => {
                let found = self.0.blobs.get(BlobName::Meta(blob)).map_err(ReadError::io)?;
                let sealed = found.ok_or_else(|| bad("its blob is missing"))?;
                open(&sealed).filter(|value| self.0.keys.meta_blobs.digest(&[name.as_bytes(), value]) == blob)
            }
        };
        opened.map(Some).ok_or_else(|| bad("the seal does not fit"))
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Journal").field(&self.store_id()).finish()
    }
}

/// Opens the store and the blobs of a state folder.
pub(crate) async fn open_files(
    path: &Path,
    entropy: &Arc<dyn Entropy>,
) -> Result<(SledStore, Blobs), OpenError> {
    let (root, drawn) = (path.to_owned(), Arc::clone(entropy));
    let opening = tokio::task::spawn_blocking(move || {
        let store = SledStore::open(&root, &*drawn)?;
        let blobs = root.join("blobs");
        let blobs = Blobs::open(&blobs).map_err(|source| OpenError::Io { path: blobs, source })?;
        Ok::<_, OpenError>((store, blobs))
    });
    opening.await.expect("opening gives its panics back as errors")
}

/// The key of a file, after a rotation that may have been cut short.
pub(crate) async fn settled(store: &dyn Store, file: &Path) -> Result<MasterKey, OpenError> {
    let check = store.meta(KEY_CHECK).await?;
    let opens = |key: &MasterKey| {
        let sealed = check.as_deref().and_then(|record| meta_record(record).ok());
        let Some(MetaRecord::Inline(sealed)) = sealed else { return false };
        key.keys().meta.open(&meta_bound(KEY_CHECK), sealed).is_some()
    };
    Ok(MasterKey::settled(file, opens)?)
}

pub(crate) enum MetaRecord<'a> {
    Inline(&'a [u8]),
    Blob(Digest),
}

pub(crate) fn meta_record(record: &[u8]) -> Result<MetaRecord<'_>, Malformed> {
    let mut from = Cursor::new(record);
    from.version(META_VERSION)?;
    if !from.flag()? {
        return Ok(MetaRecord::Inline(from.rest()));
    }
    let blob = Digest::from_bytes(from.array()?);
    from.finish()?;
    Ok(MetaRecord::Blob(blob))
}

pub(crate) fn meta_bound(name: &str) -> Vec<u8> {
    [b"wflo value v1\0", name.as_bytes()].concat()
}

pub(crate) fn chain_state(run: RunId, row: &crate::RunRow) -> Result<ChainState, ReadError> {
    ChainState::decode(&row.state).map_err(|error| ReadError::corrupt(Key::Run(run), error))
}

fn run_head(run: RunId, row: crate::RunRow) -> Result<RunHead, ReadError> {
    let state = chain_state(run, &row)?;
    Ok(RunHead {
        run,
        head: row.head,
        hash: state.hash,
        time: state.time,
        fence: row.fence,
        due: row.due,
        ended: row.ended,
        erased: state.wrapped.is_none(),
        summary: state.summary,
    })
}
