//! What the tests share.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;

use tempfile::TempDir;
use wflo_backends::SystemEntropy;
use wflo_journal::{
    Append, CreateOutcome, CreateRun, Draft, FaultSync, MemoryStore, Sizes, SledStore, Store, SyncHook,
};
use wflo_model::{RunId, StoreId, Timestamp};
use wflo_ports::Entropy;

/// Makes a test of each function for every kind of store.
macro_rules! contract {
    ($($name:ident,)*) => {
        mod memory {
            use super::Kind;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Kind::Memory).await;
            })*
        }
        mod sled {
            use super::Kind;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Kind::Sled).await;
            })*
        }
        mod small {
            use super::Kind;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Kind::Small).await;
            })*
        }
    };
}
pub(crate) use contract;

/// A kind of store under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Sled,
    /// As on disk, with parts so small that every few groups begin a segment and bring the index up to date. Where
    /// syncs are counted or held back, they are as large as ever.
    Small,
}

/// Sizes with which every few groups begin a segment and bring the index up to date.
pub(crate) fn small() -> Sizes {
    let mut sizes = Sizes::default();
    (sizes.segment, sizes.checkpoint, sizes.at_the_end) = (1 << 10, 500, 1);
    sizes
}

/// A store that can be closed and opened again.
pub(crate) struct Bench {
    dir: TempDir,
    memory: Option<Arc<MemoryStore>>,
    store: Option<Arc<dyn Store>>,
    sizes: Sizes,
}

impl Bench {
    pub(crate) fn new(kind: Kind) -> Self {
        let sizes = if kind == Kind::Small { small() } else { Sizes::default() };
        Self::of(kind, Arc::new(FaultSync::at(0)), sizes)
    }

    pub(crate) fn with_hook(kind: Kind, hook: Arc<dyn SyncHook>) -> Self {
        Self::of(kind, hook, Sizes::default())
    }

    fn of(kind: Kind, hook: Arc<dyn SyncHook>, sizes: Sizes) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Self { dir, memory: None, store: None, sizes };
        match kind {
            Kind::Sled | Kind::Small => bench.store = Some(bench.open_sled(hook)),
            Kind::Memory => bench.hold(MemoryStore::with_hook(StoreId::from_bytes([7; 16]), hook).unwrap()),
        }
        bench
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.store.as_ref().unwrap())
    }

    /// As after a crash. Nobody else may hold the store.
    pub(crate) fn reopen(&mut self) {
        self.store = None;
        let hook = Arc::new(FaultSync::at(0));
        match self.memory.take() {
            Some(memory) => self.hold(memory.reopen(hook).unwrap()),
            None => self.store = Some(self.open_sled(hook)),
        }
    }

    fn hold(&mut self, memory: MemoryStore) {
        let memory = Arc::new(memory);
        self.store = Some(Arc::clone(&memory) as Arc<dyn Store>);
        self.memory = Some(memory);
    }

    fn open_sled(&self, hook: Arc<dyn SyncHook>) -> Arc<dyn Store> {
        Arc::new(SledStore::open_sized(&self.state(), &SystemEntropy, hook, self.sizes).unwrap())
    }

    pub(crate) fn state(&self) -> std::path::PathBuf {
        self.dir.path().join("state")
    }
}

/// Holds every sync back while it is told to.
#[derive(Default)]
pub(crate) struct HoldSync {
    state: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    hold: bool,
    waiting: bool,
    syncs: u64,
    /// Syncs up to this one are not held back.
    pass: u64,
}

impl HoldSync {
    /// Until it is released, or the test ends: a failing test must not wait for ever.
    #[must_use]
    pub(crate) fn hold(&self) -> ReleaseAtEnd<'_> {
        self.state.lock().unwrap().hold = true;
        ReleaseAtEnd(self)
    }

    /// Blocks until a sync is being held back.
    pub(crate) fn until_waiting(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| !state.waiting).unwrap());
    }

    /// Lets the sync that is held back happen, and blocks until the next one is.
    pub(crate) fn next(&self) {
        let mut state = self.state.lock().unwrap();
        let now = state.syncs;
        state.pass = now;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| state.syncs == now || !state.waiting).unwrap());
    }

    pub(crate) fn release(&self) {
        self.state.lock().unwrap().hold = false;
        self.changed.notify_all();
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.state.lock().unwrap().syncs
    }
}

/// Lets syncs happen when it goes.
pub(crate) struct ReleaseAtEnd<'a>(&'a HoldSync);

impl Drop for ReleaseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl SyncHook for HoldSync {
    fn before_sync(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.syncs += 1;
        let me = state.syncs;
        state.waiting = state.hold;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.hold && state.pass < me).unwrap();
        state.waiting = false;
        Ok(())
    }
}

pub(crate) fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

pub(crate) fn run(n: u8) -> RunId {
    RunId::from_bytes([n; 16])
}

pub(crate) fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(crate) fn draft(body: impl Into<Vec<u8>>) -> Draft {
    Draft::new(at(1), 1, body.into())
}

pub(crate) fn create(n: u8, key: Option<&str>, events: &[&str]) -> CreateRun {
    CreateRun {
        run: run(n),
        key: key.map(|key| key.as_bytes().to_vec()),
        events: events.iter().map(|event| event.as_bytes().to_vec()).collect(),
        state: b"made".to_vec(),
        touched: Vec::new(),
        after: Vec::new(),
    }
}

pub(crate) async fn made(store: &dyn Store, n: u8) {
    assert_eq!(store.create_run(create(n, None, &["1"])).await.unwrap(), CreateOutcome::New);
}

/// Lets a future come to where it waits, so that its request is with the store.
pub(crate) async fn begin<F: Future + Unpin>(future: &mut F) {
    std::future::poll_fn(|context| {
        assert!(Pin::new(&mut *future).poll(context).is_pending(), "it waits");
        Poll::Ready(())
    })
    .await;
}

pub(crate) fn append(n: u8, fence: u64, expected: u64, events: &[&str]) -> Append {
    Append {
        run: run(n),
        fence,
        expected,
        events: events.iter().map(|event| event.as_bytes().to_vec()).collect(),
        state: format!("after {expected}").into_bytes(),
        due: None,
        ended: None,
        touched: Vec::new(),
        outbox: Vec::new(),
        debits: Vec::new(),
        after: Vec::new(),
    }
}

pub(crate) async fn events(store: &dyn Store, n: u8) -> Vec<String> {
    let events = store.read(run(n), 1, usize::MAX).await.unwrap();
    events.into_iter().map(|event| String::from_utf8(event).unwrap()).collect()
}

/// sled without our guards. Retries, for sled lets go of its files a moment after it was dropped.
pub(crate) fn try_raw_sled(generation: &Path) -> sled::Result<sled::Db> {
    let config = sled::Config::new().path(generation).segment_size(2 << 20).flush_every_ms(None);
    for _ in 0..400 {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("lock") => {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            other => return other,
        }
    }
    panic!("sled does not let go of its lock");
}

pub(crate) fn raw_sled(generation: &Path) -> sled::Db {
    try_raw_sled(generation).unwrap()
}

/// Every file below a folder.
pub(crate) fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(files(&path)) } else { out.push(path) }
    }
    out
}
