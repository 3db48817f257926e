//! A workflow's folder: its two files and its components. The one place that reads the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use wflo_journal::{MasterKey, MasterSource};
use wflo_manifest::{AuditRules, ComponentRef, Deployment, Diagnostics, Directory, Pinning, Plan, Workflow};
use wflo_model::{Content, Digest};
use wflo_sandbox::Sandbox;

use crate::args::Global;
use crate::failure::{Code, Failure};
use crate::functions;
use crate::session::{Deploy, Keeping, Place, Room, sandbox};
use crate::terminal;

/// A workflow's folder.
pub(crate) struct Project {
    pub(crate) dir: PathBuf,
    config: PathBuf,
    pub(crate) state: PathBuf,
    /// The text of the deployment's file, if there is one.
    text: Option<String>,
    pub(crate) deployment: Deployment,
    /// Where components are looked at, once one is.
    sandbox: OnceLock<Arc<Sandbox>>,
}

/// A workflow ready to run.
pub(crate) struct Pinned {
    pub(crate) workflow: Workflow,
    pub(crate) plan: Plan,
    pub(crate) components: BTreeMap<Digest, Component>,
}

/// A component of a workflow, as it was read.
pub(crate) struct Component {
    pub(crate) named: ComponentRef,
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
}

/// A variable of the environment.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The user of this machine: by the environment, or where that does not say, as in a cron job, by their number.
pub(crate) fn local_user() -> String {
    use std::os::unix::fs::MetadataExt as _;
    let by_number = || {
        // The owner of one's own process. Systems without it have the variable.
        let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
        let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = known.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == uid).then(|| name.to_owned())
        });
        Some(name.unwrap_or_else(|| format!("uid-{uid}")))
    };
    let named = variable("USER").or_else(|| variable("LOGNAME")).or_else(by_number);
    named.unwrap_or_else(|| "unknown".to_owned())
}

impl Project {
    /// Finds the folder and reads its deployment file; a folder without one has the defaults.
    ///
    /// Only a command that names its store by `--state` or `--config` needs no workflow around it.
    pub(crate) fn find(global: &Global, folder: Option<&Path>) -> Result<Self, Failure> {
        let dir = match folder.or(global.dir.as_deref()) {
            Some(dir) => dir.to_owned(),
            None => match nearest() {
                Some(dir) => dir,
                None if global.state.is_some() || global.config.is_some() => PathBuf::from("."),
                None => {
                    return Err(Failure::usage("there is no `workflow.toml` here or above")
                        .hint("go to a workflow's folder, or name it with `--dir`"));
                }
            },
        };
        if folder.is_some() && !dir.join("workflow.toml").is_file() {
            return Err(no_workflow(&dir));
        }
        let config = global.config.clone().unwrap_or_else(|| dir.join("wflo.toml"));
        let text = if config.is_file() || global.config.is_some() { Some(read(&config)?) } else { None };
        let deployment = match &text {
            Some(text) => Deployment::parse(&shown(&config), text)
                .map_err(|wrong| Failure::rendered(Code::Usage, wrong.render(terminal::stderr_colors())))?,
            None => Deployment::default(),
        };
        let beside = config.parent().map(Path::to_owned).unwrap_or_default();
        let state = global.state.clone().unwrap_or_else(|| beside.join(&deployment.store.path));
        Ok(Self { dir, config, state, text, deployment, sandbox: OnceLock::new() })
    }

    /// Where the store is. Its key is this deployment's, should this command be the one that opens it.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        let master = self.master()?;
        let AuditRules { publish, every } = &self.deployment.audit;
        let beside = self.config.parent().unwrap_or(Path::new(""));
        let keeping = Keeping { every: *every, publish: publish.as_ref().map(|folder| beside.join(folder)) };
        Ok(Place { state: self.state.clone(), master, keeping, room: self.room() })
    }

    /// What the sandbox of a process has room for.
    pub(crate) fn room(&self) -> Room {
        Room::of(&self.deployment)
    }

    /// A sandbox to look at components in: the same each time, so that each is loaded once.
    ///
    /// What it compiles is kept for the run that comes next: a component of Python takes ten seconds. Where nothing can
    /// be kept, as in a folder of somebody else's, it can be looked at all the same.
    pub(crate) fn sandbox(&self) -> Result<&Arc<Sandbox>, Failure> {
        if let Some(sandbox) = self.sandbox.get() {
            return Ok(sandbox);
        }
        let made = sandbox(Some(&self.state), &self.room()).or_else(|_| sandbox(None, &self.room()))?;
        Ok(self.sandbox.get_or_init(|| made))
    }

    /// The master key, where the deployment says where it is.
    pub(crate) fn master(&self) -> Result<Option<MasterSource>, Failure> {
        let Some(key) = &self.deployment.store.seal_key else { return Ok(None) };
        if let Some(file) = key.plain().and_then(|text| text.strip_prefix("file:")) {
            let beside = self.config.parent().unwrap_or(Path::new(""));
            return Ok(Some(MasterSource::File(beside.join(file))));
        }
        let key = key.resolve(&variable).map_err(Failure::usage)?;
        Ok(Some(MasterSource::Key(MasterKey::from_hex(&key).map_err(Failure::usage)?)))
    }

    /// The deployment, ready to travel.
    pub(crate) fn deploy(&self) -> Result<Deploy, Failure> {
        let config = std::path::absolute(&self.config)
            .map_err(|error| Failure::usage(format!("`{}`: {error}", self.config.display())))?;
        let named = self.deployment.variables().into_iter();
        let variables = named.filter_map(|name| Some((name.clone(), variable(&name)?))).collect();
        Ok(Deploy { config, text: self.text.clone(), variables })
    }

    /// The people of the deployment, and those that the store knows.
    pub(crate) fn everybody(&self, known: &Directory) -> Directory {
        let mut everybody = known.clone();
        for (name, principal) in &self.deployment.principals {
            everybody.add(name.clone(), principal.groups.iter().cloned());
        }
        everybody
    }

    /// Reads, checks and pins the workflow. All that is wrong with it is said at once.
    pub(crate) async fn pin(&self, known: &Directory) -> Result<Result<Pinned, Diagnostics>, Failure> {
        self.pin_with(|_| self.everybody(known)).await
    }

    /// The same for tests: people who are asked and whom nobody knows yet are no reason not to run any.
    pub(crate) async fn pin_for_tests(&self) -> Result<Result<Pinned, Diagnostics>, Failure> {
        self.pin_with(|workflow| self.everybody(&workflow.stand_ins())).await
    }

    async fn pin_with(
        &self,
        known: impl FnOnce(&Workflow) -> Directory,
    ) -> Result<Result<Pinned, Diagnostics>, Failure> {
        let file = self.dir.join("workflow.toml");
        if !file.exists() {
            return Err(no_workflow(&self.dir));
        }
        let text = read(&file)?;
        let (signatures, mut files) = functions::signatures(self, &text).await?;
        let workflow = match Workflow::parse_with(&shown(&file), &text, &signatures) {
            Ok(workflow) => workflow,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let mut digests = BTreeMap::new();
        let mut components = BTreeMap::new();
        for named in workflow.components() {
            let ComponentRef::Path(path) = named else { continue };
            let path = std::path::absolute(self.dir.join(path)).map_err(Failure::usage)?;
            // A component may be large: it is read once.
            let read = files.remove(named).map_or_else(|| std::fs::read(&path).map(Content::new), Ok);
            if let Ok(content) = read {
                let digest = content.digest();
                digests.insert(named.clone(), digest);
                components.insert(digest, Component { named: named.clone(), path, content });
            }
        }
        let everybody = known(&workflow);
        let pinning = Pinning {
            components: &digests,
            deployment: &self.deployment,
            known: &everybody,
            prompts: &wflo::prompt_versions(),
        };
        Ok(Plan::new(&workflow, &pinning).map(|plan| Pinned { workflow, plan, components }))
    }
}

fn no_workflow(dir: &Path) -> Failure {
    Failure::usage(format!("there is no workflow in `{}`", dir.display()))
        .hint("a workflow is a folder with a `workflow.toml`; `wflo new` makes one")
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))
}

/// A path as people are shown it: from where they are, if it is below.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
    below.strip_prefix(".").unwrap_or(below).display().to_string()
}

/// The nearest folder with a `workflow.toml`, from here upwards.
pub(crate) fn nearest() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().find(|folder| folder.join("workflow.toml").is_file()).map(Path::to_owned)
}
