//! A runtime to measure, in memory or in a folder.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use wflo::{Host, Outside, Principal, Principals, RunStatus, RunView, Runtime, Start};
use wflo_backends::{SystemClock, SystemEntropy};
use wflo_journal::{Blobs, Journal, MasterKey, SledStore, SyncHook};
use wflo_manifest::Plan;
use wflo_model::RunId;
use wflo_sandbox::{Sandbox, SandboxConfig};

use crate::guest::Guest;

/// A runtime, its host and its guest. Cheap to clone.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) host: Host,
    pub(crate) guest: Arc<Guest>,
}

impl World {
    pub(crate) fn new(journal: Journal, guest: Guest, outside: Outside) -> Result<Self> {
        Self::in_sandbox(journal, guest, outside, SandboxConfig::default())
    }

    /// With a folder for compiled code, and room for so many instances.
    pub(crate) fn with_room(
        journal: Journal,
        guest: Guest,
        outside: Outside,
        cache: &Path,
        instances: usize,
    ) -> Result<Self> {
        let (cache_dir, instances) = (Some(cache.to_owned()), u32::try_from(instances)?);
        let config = SandboxConfig { cache_dir, instances, ..SandboxConfig::default() };
        Self::in_sandbox(journal, guest, outside, config)
    }

    fn in_sandbox(journal: Journal, guest: Guest, outside: Outside, config: SandboxConfig) -> Result<Self> {
        let sandbox = Sandbox::new(config)?;
        let runtime = Runtime::new(journal, sandbox, Arc::new(SystemClock), Arc::new(SystemEntropy));
        // Whoever approves is looked up when what they approved is done.
        let crew = Principal { groups: ["crew".parse()?].into(), ..Principal::default() };
        let principals = Principals([("alice".parse()?, crew)].into());
        let host = Host { outside: Arc::new(outside), principals };
        Ok(Self { runtime: Arc::new(runtime), host, guest: Arc::new(guest) })
    }

    /// Starts a run.
    pub(crate) async fn start(&self, plan: &Plan) -> Result<RunId> {
        let start = Start {
            plan: plan.clone(),
            components: vec![self.guest.content.clone()],
            inputs: serde_json::Map::new(),
            requester: "bench".parse()?,
            key: None,
        };
        Ok(self.runtime.start(start).await?)
    }

    /// Drives a run until nothing can move.
    pub(crate) async fn drive(&self, run: RunId) -> Result<RunView> {
        Ok(self.runtime.drive(run, &self.host, None).await?)
    }

    /// Drives a run to its end.
    pub(crate) async fn finish(&self, run: RunId) -> Result<RunView> {
        let view = self.drive(run).await?;
        let why = view.steps.iter().find_map(|step| step.error.as_deref()).unwrap_or_default();
        ensure!(view.status == RunStatus::Succeeded, "a run is {}: {why}", view.status);
        Ok(view)
    }
}

/// A journal in memory.
pub(crate) async fn in_memory() -> Result<Journal> {
    Ok(Journal::in_memory(Arc::new(SystemEntropy)).await?)
}

/// A journal in a folder.
pub(crate) async fn in_folder(path: &Path) -> Result<Journal> {
    Ok(Journal::open_state(path, None, Arc::new(SystemEntropy)).await?)
}

/// A journal in a folder whose syncs are counted.
pub(crate) async fn counted(path: &Path) -> Result<(Journal, Arc<Syncs>)> {
    let syncs = Arc::new(Syncs::default());
    let store = SledStore::open_with(path, &SystemEntropy, Arc::clone(&syncs) as Arc<dyn SyncHook>)?;
    let blobs = Blobs::open_with(&path.join("blobs"), Some(Arc::clone(&syncs) as Arc<dyn SyncHook>))?;
    let master = MasterKey::from_file_or_create(&path.join("seal.key"), &SystemEntropy)?;
    let journal = Journal::open(Arc::new(store), blobs, master, Arc::new(SystemEntropy)).await?;
    Ok((journal, syncs))
}

/// Counts syncs of files and folders.
#[derive(Debug, Default)]
pub(crate) struct Syncs(AtomicU64);

impl Syncs {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl SyncHook for Syncs {
    fn before_sync(&self) -> std::io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
