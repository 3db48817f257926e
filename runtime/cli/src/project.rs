//! A workflow's folder: its two files and its components. The one place that reads the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wflo::{Host, Outside, Principal, Principals, Runtime};
use wflo_backends::db::sqlite::{Sqlite, SqliteOptions};
use wflo_backends::llm::{Cassette, OpenAi, OpenAiConfig};
use wflo_backends::{SystemClock, SystemEntropy};
use wflo_journal::{Journal, MasterKey};
use wflo_manifest::{
    CassetteMode, ComponentRef, DbBinding, Deployment, LlmBinding, LlmKind, Pinning, Plan, Text, Workflow,
};
use wflo_model::Digest;
use wflo_ports::ChatModel;
use wflo_sandbox::{Sandbox, SandboxConfig};

use crate::args::Global;
use crate::failure::{Code, Failure};

/// A workflow's folder.
pub(crate) struct Project {
    pub(crate) dir: PathBuf,
    config: PathBuf,
    state: PathBuf,
    pub(crate) deployment: Deployment,
}

/// A workflow ready to run.
pub(crate) struct Pinned {
    pub(crate) plan: Plan,
    pub(crate) components: BTreeMap<Digest, Vec<u8>>,
}

/// A variable of the environment.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Project {
    /// Finds the folder and reads its deployment file; a folder without one has the defaults.
    pub(crate) fn find(global: &Global, dir: Option<&Path>) -> Result<Self, Failure> {
        let dir = match dir.or(global.dir.as_deref()) {
            Some(dir) => dir.to_owned(),
            None => nearest().ok_or_else(|| {
                Failure::usage("there is no `workflow.toml` here or above")
                    .hint("go to a workflow's folder, or name it with `--dir`")
            })?,
        };
        let config = global.config.clone().unwrap_or_else(|| dir.join("wflo.toml"));
        let deployment = if config.is_file() || global.config.is_some() {
            let text = read(&config)?;
            Deployment::parse(&config.display().to_string(), &text)
                .map_err(|wrong| Failure::rendered(Code::Usage, wrong.render(false)))?
        } else {
            Deployment::default()
        };
        let beside = config.parent().map(Path::to_owned).unwrap_or_default();
        let state = global.state.clone().unwrap_or_else(|| beside.join(&deployment.store.path));
        Ok(Self { dir, config, state, deployment })
    }

    fn beside(&self, path: &str) -> PathBuf {
        self.config.parent().map_or_else(|| PathBuf::from(path), |folder| folder.join(path))
    }

    /// Opens the store and makes a runtime on it.
    pub(crate) async fn runtime(&self) -> Result<Runtime, Failure> {
        let master = match &self.deployment.store.seal_key {
            Some(key) => Some(MasterKey::from_hex(&resolve(key)?).map_err(Failure::usage)?),
            None => None,
        };
        let journal = open(&self.state, master).await?;
        let config =
            SandboxConfig { cache_dir: Some(self.state.join("compiled")), ..SandboxConfig::default() };
        let sandbox = Sandbox::new(config).map_err(Failure::bug)?;
        Ok(Runtime::new(journal, sandbox, Arc::new(SystemClock), Arc::new(SystemEntropy)))
    }

    /// The principals of the deployment's file.
    pub(crate) fn principals(&self) -> Result<Principals, Failure> {
        let mut known = Principals::default();
        for (name, principal) in &self.deployment.principals {
            let token_hash = principal.token_hash.as_ref().map(resolve).transpose()?;
            known.0.insert(name.clone(), Principal { groups: principal.groups.clone(), token_hash });
        }
        Ok(known)
    }

    /// Opens what the deployment binds.
    pub(crate) fn host(&self) -> Result<Host, Failure> {
        let mut outside = Outside::default();
        for (label, db) in &self.deployment.db {
            let DbBinding::Sqlite { path } = db else {
                return Err(Failure::usage(format!("this version cannot open database `{label}`")));
            };
            let database = Sqlite::open(self.beside(path), SqliteOptions::default())
                .map_err(|error| Failure::usage(format!("database `{label}`: {error}")))?;
            outside = outside.with_database(label.clone(), Arc::new(database));
        }
        // A cassette that shares its models with the binding it records from answers for them.
        let is_tape = |binding: &LlmBinding| matches!(binding.kind, LlmKind::Cassette { .. });
        let (tapes, others): (Vec<_>, Vec<_>) = self.deployment.llm.values().partition(|it| is_tape(it));
        for binding in others.into_iter().chain(tapes) {
            outside = outside.with_models(self.model(binding)?);
        }
        Ok(Host { outside: Arc::new(outside), principals: self.principals()? })
    }

    fn model(&self, binding: &LlmBinding) -> Result<Arc<dyn ChatModel>, Failure> {
        let models = binding.models.iter().cloned().collect();
        match &binding.kind {
            LlmKind::OpenAi { base_url, api_key, timeout, max_retries } => {
                let mut config = OpenAiConfig::new(resolve(base_url)?, models);
                if let Some(key) = api_key {
                    config = config.with_api_key(resolve(key)?);
                }
                (config.timeout, config.max_retries) = (*timeout, *max_retries);
                Ok(Arc::new(OpenAi::new(config).map_err(Failure::usage)?))
            }
            LlmKind::Cassette { path, mode, upstream } => {
                let path = self.beside(path);
                let tape = match (mode, upstream) {
                    (CassetteMode::Record, Some(label)) => {
                        let upstream = self.deployment.llm.get(label).ok_or_else(|| {
                            Failure::usage(format!("there is no `[llm.{label}]` to record from"))
                        })?;
                        Cassette::record(path, self.model(upstream)?)
                    }
                    _ => Cassette::open(path, models),
                };
                Ok(Arc::new(tape.map_err(|error| Failure::usage(chain(&error)))?))
            }
            _ => Err(Failure::usage("this version does not know that kind of model binding")),
        }
    }

    /// Reads, checks and pins the workflow. All that is wrong with it is said at once.
    pub(crate) fn pin(&self, known: &Principals) -> Result<Pinned, Failure> {
        let file = self.dir.join("workflow.toml");
        let wrong =
            |problems: wflo_manifest::Diagnostics| Failure::rendered(Code::Usage, problems.render(false));
        let workflow = Workflow::parse(&file.display().to_string(), &read(&file)?).map_err(wrong)?;
        let mut digests = BTreeMap::new();
        let mut components = BTreeMap::new();
        for component in workflow.components() {
            if let ComponentRef::Path(path) = component
                && let Ok(bytes) = std::fs::read(self.dir.join(path))
            {
                let digest = Digest::of(&bytes);
                digests.insert(component.clone(), digest);
                components.insert(digest, bytes);
            }
        }
        let pinning = Pinning {
            components: &digests,
            deployment: &self.deployment,
            known: &known.directory(),
            prompts: &wflo::prompt_versions(),
        };
        Ok(Pinned { plan: Plan::new(&workflow, &pinning).map_err(wrong)?, components })
    }
}

/// Opens the journal. Another command that has it open is waited for, a while.
async fn open(state: &Path, master: Option<MasterKey>) -> Result<Journal, Failure> {
    let mut patience = 200;
    loop {
        match Journal::open_state(state, master.clone(), Arc::new(SystemEntropy)).await {
            Ok(journal) => return Ok(journal),
            Err(wflo_journal::OpenError::Locked { .. }) if patience > 0 => patience -= 1,
            Err(error @ wflo_journal::OpenError::Locked { .. }) => {
                return Err(Failure::bug(error).hint("wait until the other command has ended"));
            }
            Err(error) => return Err(Failure::bug(error)),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn resolve(text: &Text) -> Result<String, Failure> {
    text.resolve(&variable).map_err(Failure::usage)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))
}

fn nearest() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().find(|folder| folder.join("workflow.toml").is_file()).map(Path::to_owned)
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
