//! What outlives a process: the disk, the databases, the people, the time; and the moments at which it can be killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use wflo::{Principal, Principals};
use wflo_model::{Digest, GroupName, PrincipalName, RunId, Timestamp};
use wflo_ports::{Clock, Entropy, SystemEntropyError};

use crate::channel::Heard;
use crate::database::DbData;
use crate::scenario::{Crash, Kind, Scenario, Wrong};
use crate::site::Requested;
use crate::store::{Image, Request};
use crate::{Rng, Violation};

/// When every simulation begins.
const BEGINNING: u64 = 1_800_000_000_000_000;

/// Looks at the clock after which a process counts as one that spins.
const MOST_LOOKS: u32 = 100_000;

/// Everything that a simulated process does not take with it when it is killed.
pub(crate) struct World {
    inner: Mutex<Inner>,
    /// Told when the process is killed.
    pub(crate) killed: Notify,
}

pub(crate) struct Inner {
    pub(crate) rng: Rng,
    /// What is durable.
    pub(crate) image: Image,
    /// The group that is being synced.
    pub(crate) syncing: Vec<Request>,
    pub(crate) databases: BTreeMap<&'static str, DbData>,
    /// Each request that reached a model, with what was durable of each run then.
    pub(crate) asked: Vec<Performed>,
    /// Each request that reached the server.
    pub(crate) requested: Vec<Requested>,
    /// Everything that the channel heard.
    pub(crate) heard: Vec<Heard>,
    pub(crate) people: Arc<Principals>,
    /// Who was in which group when events were written: run, first event, people.
    pub(crate) written: Vec<(RunId, u64, Arc<Principals>)>,
    pub(crate) promises: Vec<Promise>,
    pub(crate) violations: Vec<Violation>,
    /// Actions done so far.
    pub(crate) acted: usize,
    /// Runs by number.
    pub(crate) runs: BTreeMap<u32, RunId>,
    faults: Vec<crate::scenario::Fault>,
    counts: [u32; 6],
    drawn: u64,
    seed: u64,
    calm: bool,
    alive: bool,
    moments: u32,
    looks: u32,
    crash: Option<Crash>,
    crashes: std::collections::VecDeque<Crash>,
    /// The time at the start of this process, and its own clock then.
    time: Timestamp,
    started: Option<Instant>,
    skew: i64,
}

/// A request that reached a model.
#[derive(Clone, Debug)]
pub(crate) struct Performed {
    pub(crate) key: Digest,
    pub(crate) durable: BTreeMap<RunId, u64>,
}

/// Something that somebody was told is so.
#[derive(Clone, Debug)]
pub(crate) enum Promise {
    Voted { approval: wflo_model::ApprovalId, run: RunId, by: PrincipalName },
    Cancelled { run: RunId },
    RolledBack { run: RunId },
    Stands { run: RunId, events: u64 },
}

impl World {
    pub(crate) fn new(scenario: &Scenario) -> Arc<Self> {
        let people = [
            ("alice", &["red"][..]),
            ("bob", &["red", "blue"]),
            ("carol", &["blue", "green"]),
            ("dave", &[]),
            ("rita", &["red"]),
        ];
        let people = people.iter().map(|(name, groups)| {
            let groups = groups.iter().map(|group| name_of(group)).collect();
            (name_of(name), Principal { groups, ..Principal::default() })
        });
        let inner = Inner {
            rng: Rng::new(scenario.seed).fork(2),
            image: Image::default(),
            syncing: Vec::new(),
            databases: ["left", "right"].map(|name| (name, DbData::default())).into(),
            asked: Vec::new(),
            requested: Vec::new(),
            heard: Vec::new(),
            people: Arc::new(Principals(people.collect())),
            written: Vec::new(),
            promises: Vec::new(),
            violations: Vec::new(),
            acted: 0,
            runs: BTreeMap::new(),
            faults: scenario.faults.clone(),
            counts: [0; 6],
            drawn: 0,
            seed: scenario.seed,
            calm: false,
            alive: false,
            moments: 0,
            looks: 0,
            crash: None,
            crashes: scenario.crashes.clone().into(),
            time: Timestamp::from_micros(BEGINNING),
            started: None,
            skew: 0,
        };
        Arc::new(Self { inner: Mutex::new(inner), killed: Notify::new() })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("one thread does everything, and a panic ends the simulation")
    }

    /// A process starts.
    pub(crate) fn start(&self) {
        let inner = &mut *self.lock();
        inner.started = Some(Instant::now());
        (inner.alive, inner.moments, inner.looks) = (true, 0, 0);
        inner.crash = if inner.calm { None } else { inner.crashes.pop_front() };
    }

    /// A process has ended, killed or not. What was being synced was made durable, or not.
    pub(crate) fn end(&self) {
        let inner = &mut *self.lock();
        inner.alive = false;
        let crash = inner.crash.take();
        let landed = crash.is_none_or(|crash| crash.landed);
        for request in std::mem::take(&mut inner.syncing) {
            if landed {
                inner.image.apply(&request);
            }
        }
        // What did not land was never written.
        let heads = inner.image.heads();
        inner.written.retain(|(run, first, _)| heads.get(run).is_some_and(|head| first <= head));
        inner.time = inner.time.after(Duration::from_secs(crash.map_or(0, |crash| crash.down)));
    }

    /// Brings the time of the process into that of the world, before its clock is gone.
    pub(crate) fn keep_time(&self) {
        let inner = &mut *self.lock();
        if let Some(started) = inner.started.take() {
            inner.time = inner.time.after(started.elapsed());
        }
    }

    /// A moment at which the process can be killed; false once it is.
    pub(crate) fn moment(&self) -> bool {
        let inner = &mut *self.lock();
        inner.moments += 1;
        if inner.alive && inner.crash.is_some_and(|crash| inner.moments >= crash.after) {
            inner.alive = false;
            self.killed.notify_one();
        }
        inner.alive
    }

    /// As [`moment`](Self::moment); what waits here when the process is killed never goes on.
    pub(crate) async fn live_on(&self) {
        if !self.moment() {
            std::future::pending::<()>().await;
        }
    }

    /// What goes wrong with the next operation of a kind.
    pub(crate) fn fault(&self, kind: Kind) -> Option<Wrong> {
        let inner = &mut *self.lock();
        if inner.calm {
            return None;
        }
        let count = &mut inner.counts[kind as usize];
        let nth = *count;
        *count += 1;
        inner
            .faults
            .iter()
            .find(|fault| fault.nth == nth && fault.what.kind() == kind)
            .map(|fault| fault.what)
    }

    /// From now on nothing goes wrong.
    pub(crate) fn calm_down(&self) {
        let inner = &mut *self.lock();
        (inner.calm, inner.crash) = (true, None);
        inner.crashes.clear();
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.lock().calm
    }

    pub(crate) fn set_clock(&self, ms: i64) {
        self.lock().skew += ms * 1000;
    }

    pub(crate) fn promise(&self, promise: Promise) {
        self.lock().promises.push(promise);
    }

    pub(crate) fn violated(&self, property: &'static str, what: impl Into<String>) {
        self.lock().violations.push(Violation { property, what: what.into() });
    }

    pub(crate) fn change_groups(&self, who: &str, group: &str, joins: bool) {
        let inner = &mut *self.lock();
        let mut people = (*inner.people).clone();
        if let Some(person) = people.0.get_mut(&name_of::<PrincipalName>(who)) {
            let group: GroupName = name_of(group);
            if joins { _ = person.groups.insert(group) } else { _ = person.groups.remove(&group) }
        }
        inner.people = Arc::new(people);
    }

    pub(crate) fn groups_of(&self, who: &PrincipalName) -> BTreeSet<GroupName> {
        self.lock().people.groups_of(who).unwrap_or_default()
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        let inner = &mut *self.lock();
        inner.looks += 1;
        if inner.looks == MOST_LOOKS {
            inner.alive = false;
            let what = "the time is looked at again and again".to_owned();
            inner.violations.push(Violation { property: "nothing is stuck", what });
            self.killed.notify_one();
        }
        let now = inner.time.after(inner.started.map_or(Duration::ZERO, |started| started.elapsed()));
        Timestamp::from_micros(now.micros().saturating_add_signed(inner.skew))
    }
}

impl Entropy for World {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SystemEntropyError> {
        let inner = &mut *self.lock();
        // Never the same twice, also across processes, and the same again for the same seed.
        let mut rng = Rng::new(inner.seed ^ inner.drawn.wrapping_mul(0x9e37_79b9));
        inner.drawn += 1;
        for chunk in bytes.chunks_mut(8) {
            let drawn = rng.draw().to_be_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
        Ok(())
    }
}

/// A name that the simulation itself has written.
pub(crate) fn name_of<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("the simulation gives valid names only")
}
