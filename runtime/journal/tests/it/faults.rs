//! Every sync of every scenario fails in turn, in every way; then the process is dead, and another looks at what is
//! there: nothing acknowledged is lost, nothing is there in part, every chain is whole.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use wflo_backends::SystemEntropy;
use wflo_journal::{
    AppendError, Blobs, Created, Draft, Extras, Fault, FaultDisk, FaultSync, Journal, MasterKey, OpenError,
    OutboxEntry, OutboxKey, Prune, PruneError, RunWriter, Sizes, SledStore, SyncHook,
};
use wflo_model::RunId;

use crate::support::{at, draft, entropy, run, small};

/// Bodies of events, in order.
type Bodies = Vec<Vec<u8>>;
/// A value of the deployment.
type Value = Option<Vec<u8>>;

/// What a scenario has done, as far as it knows.
#[derive(Default)]
struct Ledger {
    /// Bodies of each run: those acknowledged, and after them those in doubt.
    runs: BTreeMap<RunId, (Bodies, Bodies)>,
    /// Timers: the acknowledged one, and one in doubt.
    due: BTreeMap<RunId, (Option<u64>, Option<u64>)>,
    /// Values: the acknowledged one, and one in doubt.
    metas: BTreeMap<&'static str, (Value, Value)>,
    /// Fences that were acknowledged.
    fences: BTreeMap<RunId, u64>,
    /// Runs whose pruning or erasing was asked for, and whether it was acknowledged.
    pruned: BTreeMap<RunId, bool>,
    erased: BTreeMap<RunId, bool>,
}

/// A scenario goes on until something fails.
struct Scenario {
    journal: Journal,
    ledger: Ledger,
}

/// What failed, where it was injected; anything else fails the test.
struct Stopped;

impl Scenario {
    /// Takes an outcome apart; every failure must be one that a failing disk may have.
    fn settle<T>(result: Result<T, AppendError>) -> Result<T, Stopped> {
        result.map_err(|error| {
            let expected = matches!(error, AppendError::Unknown { .. } | AppendError::Poisoned { .. });
            assert!(expected, "not the failure of a disk: {error}");
            Stopped
        })
    }

    async fn create(&mut self, n: u8, bodies: &[&str]) -> Result<RunWriter, Stopped> {
        let drafts = bodies.iter().map(|body| draft(*body)).collect();
        let bodies = bodies.iter().map(|body| body.as_bytes().to_vec()).collect::<Vec<_>>();
        self.ledger.runs.insert(run(n), (Vec::new(), bodies.clone()));
        let key = format!("key {n}");
        match Self::settle(self.journal.create_run(run(n), Some(&key), drafts, b"summary".to_vec()).await)? {
            Created::New(writer) => {
                self.ledger.runs.insert(run(n), (bodies, Vec::new()));
                Ok(writer)
            }
            Created::Exists(_) => panic!("the key is new"),
        }
    }

    async fn append(
        &mut self,
        writer: &mut RunWriter,
        bodies: &[&str],
        extras: Extras,
    ) -> Result<(), Stopped> {
        let step = Some("step".parse().unwrap());
        let drafts = bodies.iter().map(|body| Draft { step: step.clone(), attempt: 1, ..draft(*body) });
        let bodies = bodies.iter().map(|body| body.as_bytes().to_vec()).collect::<Vec<_>>();
        let id = writer.run();
        if let Some(due) = extras.due {
            self.ledger.due.entry(id).or_default().1 = due.map(|due| due.micros());
        }
        self.ledger.runs.get_mut(&id).unwrap().1.extend(bodies.clone());
        Self::settle(Self::settle(writer.append(drafts.collect(), extras.clone()))?.ticket.durable().await)?;
        let (acknowledged, doubt) = self.ledger.runs.get_mut(&id).unwrap();
        acknowledged.extend(bodies);
        doubt.clear();
        if let Some(due) = extras.due {
            self.ledger.due.insert(id, (due.map(|due| due.micros()), due.map(|due| due.micros())));
        }
        Ok(())
    }

    async fn put(&mut self, name: &'static str, value: &str) -> Result<(), Stopped> {
        self.ledger.metas.entry(name).or_default().1 = Some(value.into());
        Self::settle(self.journal.meta_put(name, value.as_bytes()).await)?;
        self.ledger.metas.get_mut(name).unwrap().0 = Some(value.into());
        Ok(())
    }

    async fn claim(&mut self, n: u8) -> Result<RunWriter, Stopped> {
        let writer = Self::settle(self.journal.claim(run(n)).await)?;
        self.ledger.fences.insert(run(n), writer.fence());
        Ok(writer)
    }

    async fn prune(&mut self, n: u8) -> Result<(), Stopped> {
        self.ledger.pruned.insert(run(n), false);
        let head = self.ledger.runs[&run(n)].0.len() as u64;
        let prune = Prune { runs: [(run(n), head)].into(), ..Prune::default() };
        self.done(self.journal.prune(prune).await)?;
        self.ledger.pruned.insert(run(n), true);
        Ok(())
    }

    async fn erase(&mut self, n: u8) -> Result<(), Stopped> {
        self.ledger.erased.insert(run(n), false);
        self.done(self.journal.erase(run(n), Vec::new()).await)?;
        self.ledger.erased.insert(run(n), true);
        Ok(())
    }

    fn done<T: Debug>(&self, result: Result<T, PruneError>) -> Result<(), Stopped> {
        match result {
            Ok(_) => Ok(()),
            Err(PruneError::Failed { .. }) => {
                assert_eq!(self.journal.poisoned(), None, "what failed before the switch stops nobody");
                Err(Stopped)
            }
            Err(PruneError::Unknown { .. } | PruneError::LeftBehind { .. } | PruneError::Poisoned { .. }) => {
                Err(Stopped)
            }
            Err(error) => panic!("not the failure of a disk: {error}"),
        }
    }

    /// A bit of everything.
    async fn everything(&mut self) -> Result<(), Stopped> {
        let large = "large ".repeat(1000);
        let ended = Extras { ended: Some(true), ..Extras::default() };
        let due = |due| Extras { due: Some(Some(at(due))), ..Extras::default() };
        // Enough events for the index of steps to begin.
        let mut one = self.create(1, &["1"; 40]).await?;
        let mut two = self.create(2, &["1", &large]).await?;
        let key = OutboxKey { due: at(5), id: [1; 16] };
        let outbox = vec![OutboxEntry { key, body: b"tell of 2".to_vec() }];
        self.append(&mut one, &["2", "3"], Extras { outbox, ..due(70) }).await?;
        self.put("identities", "small").await?;
        self.append(&mut two, &["3"], ended.clone()).await?;
        let mut three = self.create(3, &[&large]).await?;
        self.append(&mut one, &[&large, "5", &large], due(20)).await?;
        self.append(&mut three, &["2"], ended.clone()).await?;
        self.put("identities", &large).await?;
        self.prune(2).await?;
        self.append(&mut one, &["7"], Extras::default()).await?;
        let mut one = self.claim(1).await?;
        self.append(&mut one, &["8", &large], Extras { due: Some(None), ..Extras::default() }).await?;
        self.erase(3).await?;
        self.append(&mut one, &["10"], ended).await?;
        let mut four = self.create(4, &["1"]).await?;
        self.put("identities", "small again").await?;
        self.prune(1).await?;
        self.append(&mut four, &["2"], Extras::default()).await
    }
}

/// What a new process finds.
async fn check(journal: &Journal, ledger: &Ledger) {
    let runs = journal.runs().await.unwrap();
    let there = |id: &RunId| runs.iter().find(|head| head.run == *id);
    for (id, (acknowledged, doubt)) in &ledger.runs {
        let Some(head) = there(id) else {
            let gone = ledger.pruned.contains_key(id) || acknowledged.is_empty();
            assert!(gone, "run {id} was acknowledged and is gone");
            assert!(journal.read(*id, 1).await.is_err());
            continue;
        };
        assert_ne!(ledger.pruned.get(id), Some(&true), "run {id} was pruned and is there");
        if head.erased {
            assert!(ledger.erased.contains_key(id));
            assert_eq!(journal.headers(*id).await.unwrap().len(), acknowledged.len());
            continue;
        }
        assert_ne!(ledger.erased.get(id), Some(&true), "run {id} was erased and can be read");
        let entries = journal.read(*id, 1).await.unwrap();
        let found = entries.iter().map(|entry| entry.body.clone()).collect::<Vec<_>>();
        let all = [&acknowledged[..], doubt].concat();
        assert!(
            found == *acknowledged || found == all,
            "run {id}: whole, and what was acknowledged is there"
        );
        let of_step = journal.read_of(*id, &"step".parse().unwrap(), None).await.unwrap();
        let expect = entries.into_iter().filter(|entry| entry.header.step.is_some());
        assert_eq!(of_step, expect.collect::<Vec<_>>(), "the index of run {id} fits");
        let (due, doubt) = ledger.due.get(id).copied().unwrap_or_default();
        let found = head.due.map(|due| due.micros());
        assert!(found == due || found == doubt, "the timer of run {id}");
        assert!(head.fence >= ledger.fences.get(id).copied().unwrap_or(1));
    }
    // What an append promises is there with its events, and not without them.
    let told: Vec<_> =
        journal.outbox(None, at(u64::MAX), 9).await.unwrap().into_iter().map(|it| it.body).collect();
    if there(&run(1)).is_some() {
        let has_event = journal.read(run(1), 41).await.unwrap().iter().any(|entry| entry.body == b"2");
        assert_eq!(told, if has_event { vec![b"tell of 2".to_vec()] } else { Vec::new() });
    }
    let unfinished = journal.unfinished(None, 99).await.unwrap();
    let expect = runs.iter().rev().filter(|head| !head.ended).map(|head| head.run).collect::<Vec<_>>();
    assert_eq!(unfinished, expect);
    let mut due = journal.due(at(u64::MAX), 99).await.unwrap();
    due.sort_unstable();
    let expect = runs.iter().rev().filter(|head| head.due.is_some()).map(|head| head.run).collect::<Vec<_>>();
    assert_eq!(due, expect);
    for (name, (acknowledged, doubt)) in &ledger.metas {
        let found = journal.meta_get(name).await.unwrap();
        assert!(found == *acknowledged || found == *doubt, "value {name}");
    }
}

/// And then it goes on.
async fn go_on(journal: &Journal) {
    for id in journal.unfinished(None, 99).await.unwrap() {
        let mut writer = journal.claim(id).await.unwrap();
        let appended =
            writer.append(vec![draft("on"), draft("on ".repeat(3000))], Extras::default()).unwrap();
        appended.ticket.durable().await.unwrap();
        assert_eq!(journal.read(id, 1).await.unwrap().last().unwrap().body, "on ".repeat(3000).into_bytes());
    }
    journal.prune(Prune::default()).await.unwrap();
}

/// Threads that share a sweep: mostly they wait for the disk.
const SWEEPERS: u64 = 4;

/// Goes through the syncs `first`, `first + SWEEPERS`, and so on, up to where none is left to fail; `open` opens the
/// disk of the n-th try. Gives the last n.
///
/// Where parts are small, another thread brings the index up to date all the while: a sync of its may fail when nobody
/// is told any more.
async fn sweep<F>(
    fault: Fault,
    first: u64,
    small: bool,
    mut open: impl FnMut(u64, Option<Arc<FaultSync>>) -> F,
) -> u64
where
    F: Future<Output = Result<Journal, OpenError>>,
{
    for n in (0..).map(|round| first + round * SWEEPERS) {
        let faults = Arc::new(FaultSync::new(n, fault));
        let ledger = match open(n, Some(Arc::clone(&faults))).await {
            Ok(journal) => {
                let mut scenario = Scenario { journal, ledger: Ledger::default() };
                let stopped = scenario.everything().await.is_err();
                let told = stopped == faults.has_struck() || (small && !stopped);
                assert!(told, "sync {n}: a failure is told");
                scenario.ledger
            }
            Err(OpenError::Write(_) | OpenError::Io { .. }) => Ledger::default(),
            Err(error) => panic!("sync {n}: not the failure of a disk: {error}"),
        };
        let journal = open(n, None).await.unwrap();
        check(&journal, &ledger).await;
        go_on(&journal).await;
        if !faults.has_struck() {
            return n;
        }
    }
    unreachable!("a scenario comes to its end")
}

/// Runs sweeps beside each other, and gives the last sync of each.
fn sweep_all<F: Future<Output = u64>>(start: impl Fn(Fault, u64) -> F + Sync) -> Vec<u64> {
    std::thread::scope(|scope| {
        let sweepers = [Fault::Lost, Fault::Late, Fault::Off]
            .into_iter()
            .flat_map(|fault| (1..=SWEEPERS).map(move |first| (fault, first)));
        let threads = sweepers.map(|(fault, first)| {
            let start = &start;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(start(fault, first))
            })
        });
        threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn whatever_sync_fails_in_memory_the_journal_stays_whole() {
    let last = sweep_all(async |fault, first| {
        let mut disk = (0, Arc::new(FaultDisk::new(&SystemEntropy).unwrap()));
        let open = |n, faults| {
            if disk.0 != n {
                disk = (n, Arc::new(FaultDisk::new(&SystemEntropy).unwrap()));
            }
            let (disk, hook) = (Arc::clone(&disk.1), hook(faults));
            async move { disk.open(hook, entropy()).await }
        };
        sweep(fault, first, false, open).await
    });
    assert!(last.iter().all(|last| *last > 20), "{last:?}");
}

#[test]
fn whatever_sync_fails_on_disk_the_journal_stays_whole() {
    let last = on_disk(Sizes::default());
    assert!(last.iter().all(|last| *last > 40), "{last:?}");
}

/// The same with a segment for every few groups, and with checkpoints all the while.
#[test]
fn whatever_sync_fails_of_small_parts_the_journal_stays_whole() {
    let last = on_disk(small());
    assert!(last.iter().all(|last| *last > 60), "{last:?}");
}

fn on_disk(sizes: Sizes) -> Vec<u64> {
    sweep_all(async |fault, first| {
        let dir = tempfile::tempdir().unwrap();
        let open = |n: u64, faults| {
            let state = dir.path().join(n.to_string());
            async move { open_sled(&state, hook(faults), sizes).await }
        };
        sweep(fault, first, sizes != Sizes::default(), open).await
    })
}

fn hook(faults: Option<Arc<FaultSync>>) -> Arc<dyn SyncHook> {
    faults.unwrap_or_else(|| Arc::new(FaultSync::at(0)))
}

async fn open_sled(state: &Path, hook: Arc<dyn SyncHook>, sizes: Sizes) -> Result<Journal, OpenError> {
    let store = SledStore::open_sized(state, &SystemEntropy, Arc::clone(&hook), sizes)?;
    let blobs = Blobs::open_with(&state.join("blobs"), Some(hook));
    let blobs = blobs.map_err(|source| OpenError::Io { path: state.to_owned(), source })?;
    Journal::open(Arc::new(store), blobs, MasterKey::new([3; 32]), entropy()).await
}
